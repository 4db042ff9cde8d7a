//! What the text of a statement does to the session that runs it: settings, the migration lock, read-only transactions.

use std::collections::BTreeSet;

use crate::pg::lock;
use crate::sql::class::Class;
use crate::sql::token::{self, Token, TokenKind};

/// Whether a statement gives the migration lock away, where its text shows it.
pub(super) fn releases_lock(class: Class, text: &str) -> bool {
    if class == Class::Reset && is_discard_all(text) {
        return true;
    }
    let mut bodies = vec![text];
    if class == Class::Do {
        bodies.extend(literals(text));
    }
    !matches!(class, Class::Create(_)) && bodies.iter().any(|body| unlocks(body))
}

/// Whether the transactions that begin after a statement are read only, where it changes that.
pub(super) fn read_only(class: Class, text: &str) -> Option<bool> {
    let words = SessionWords::new(text);
    match class {
        Class::Reset if words.has("all") => return Some(false),
        Class::Set { local: false } | Class::Reset => {}
        Class::Select if text.contains("default_transaction_read_only") && words.only_sets() => {
            return Some(!text.contains("off") && !text.contains("false'"));
        }
        _ => return None,
    }
    let lower = text.to_ascii_lowercase();
    let is_off = [
        "off",
        "false",
        "write",
        "default_transaction_read_only = 0",
        "to default",
        "reset",
    ]
    .iter()
    .any(|word| lower.contains(word));
    let sets = words.has("default_transaction_read_only")
        || words.has("characteristics") && (words.has("only") || words.has("write"));
    sets.then_some(!is_off)
}

/// Collects the settings of the file's own, such as `app.tenant`, that a text sets for the session; the server does not list them.
pub(super) fn custom_settings(text: &str, into: &mut BTreeSet<String>) {
    custom_settings_within(text, into, 0);
}

/// How deep bodies within bodies are read.
const DEEPEST: usize = 4;

fn custom_settings_within(text: &str, into: &mut BTreeSet<String>, depth: usize) {
    let words = SessionWords::new(text);
    let at = |place: usize| words.tokens.get(place).map_or("", |token| token.text(text));
    for (place, token) in words.tokens.iter().enumerate() {
        if matches!(token.kind, TokenKind::Text | TokenKind::DollarText) && depth < DEEPEST {
            let body = token::meaning(token.text(text), *token);
            custom_settings_within(&body, into, depth + 1);
        } else if token.is_word(text, "set_config") && at(place + 1) == "(" {
            let name = at(place + 2).trim_matches('\'').to_lowercase();
            into.extend(Some(name).filter(|name| is_custom(name)));
        } else if token.is_word(text, "set") {
            let first = place + 1 + usize::from(at(place + 1).eq_ignore_ascii_case("session"));
            let mut name = at(first).to_lowercase();
            let mut dot = first + 1;
            while at(dot) == "." {
                name = format!("{name}.{}", at(dot + 1).to_lowercase());
                dot += 2;
            }
            into.extend(Some(name).filter(|name| is_custom(name)));
        }
    }
}

fn is_custom(name: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|it| it.is_alphanumeric() || it == '_' || it == '$')
    };
    name.contains('.') && name.split('.').all(is_part)
}

fn is_discard_all(text: &str) -> bool {
    let words = SessionWords::new(text);
    words.has("discard") && words.has("all")
}

/// Whether a text calls a function that gives the migration lock away.
fn unlocks(text: &str) -> bool {
    let words = SessionWords::new(text);
    let key = lock::KEY.to_string();
    words.tokens.iter().enumerate().any(|(at, token)| {
        let name = token.text(text).trim_matches('"').to_ascii_lowercase();
        let argument = |place: usize| words.tokens.get(at + place).map(|it| it.text(text));
        match name.as_str() {
            "pg_advisory_unlock_all" => argument(1) == Some("("),
            "pg_advisory_unlock" | "pg_advisory_unlock_shared" => argument(2) == Some(&key),
            _ => false,
        }
    })
}

/// Returns what stands in the quotes of a statement.
pub(super) fn literals(text: &str) -> Vec<&str> {
    let quoted = |token: &Token| matches!(token.kind, TokenKind::DollarText | TokenKind::Text);
    token::code(text)
        .filter(quoted)
        .map(|token| token::inside_dollars(token.text(text).trim_matches('\'')))
        .collect()
}

/// Whether a statement only changes settings, in a way that can be repeated.
pub(super) fn is_repeatable(class: Class, text: &str) -> bool {
    match class {
        Class::Set { local } => !local,
        Class::Reset => !SessionWords::new(text).has("discard"),
        Class::Select => SessionWords::new(text).only_sets(),
        _ => false,
    }
}

/// Whether a statement may change a setting until the end of its transaction.
pub(super) fn sets_locally(class: Class, text: &str) -> bool {
    if matches!(class, Class::Set { local: true }) {
        return true;
    }
    let text = text.to_ascii_lowercase();
    text.contains("set local")
        || text.split("set_config").skip(1).any(|call| {
            let end = call.find(')').unwrap_or(call.len());
            call[..end].contains("true")
        })
}

/// The words of a statement.
pub(super) struct SessionWords<'a> {
    text: &'a str,
    pub(super) tokens: Vec<Token>,
}

impl<'a> SessionWords<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        SessionWords {
            text,
            tokens: token::code(text).collect(),
        }
    }

    pub(super) fn has(&self, word: &str) -> bool {
        self.tokens
            .iter()
            .any(|token| token.is_word(self.text, word))
    }

    /// Whether a statement makes something temporary of a name, and does not use it.
    pub(super) fn makes(&self, name: &str) -> bool {
        let text = |token: &Token| token.text(self.text).trim_matches('"').to_lowercase();
        let is_name = |token: &Token| text(token) == name.to_lowercase();
        let mut places = (0..self.tokens.len()).filter(|at| is_name(&self.tokens[*at]));
        let (Some(at), None) = (places.next(), places.next()) else {
            return false;
        };
        let first = text(&self.tokens[0]);
        let near = &self.tokens[at.saturating_sub(3)..at];
        let is_after = |words: &[&str]| near.iter().any(|it| words.contains(&text(it).as_str()));
        first == "prepare"
            || is_after(&["temp", "temporary"])
            || first == "create" && at <= 6 && is_after(&["pg_temp"])
    }

    /// Whether a query is nothing but calls of `set_config` with literals, for the rest of the session.
    fn only_sets(&self) -> bool {
        let mut rest = &self.tokens[..];
        let word = |rest: &[Token], word: &str| {
            rest.first()
                .is_some_and(|token| token.is_word(self.text, word))
        };
        if !word(rest, "select") {
            return false;
        }
        rest = &rest[1..];
        loop {
            if word(rest, "pg_catalog") {
                rest = rest.get(2..).unwrap_or_default();
            }
            let call = rest.get(..8).filter(|call| {
                let texts: Vec<&str> = call.iter().map(|token| token.text(self.text)).collect();
                call[0].is_word(self.text, "set_config")
                    && [texts[1], texts[3], texts[5], texts[7]] == ["(", ",", ",", ")"]
                    && [call[2].kind, call[4].kind] == [TokenKind::Text, TokenKind::Text]
                    && call[6].is_word(self.text, "false")
            });
            if call.is_none() {
                return false;
            }
            rest = &rest[8..];
            if word(rest, "as") {
                rest = rest.get(2..).unwrap_or_default();
            }
            match rest.first() {
                None => return true,
                Some(token) if token.text(self.text) == "," => rest = &rest[1..],
                Some(_) => return false,
            }
        }
    }
}

/// Whether a text names something without a schema, or in `pg_temp`.
pub(super) fn speaks_of(text: &str, name: &str) -> bool {
    let (text, name) = (text.to_lowercase(), name.to_lowercase());
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices(&name).any(|(at, _)| {
        let before = text[..at].trim_end_matches('"');
        let is_elsewhere = before.ends_with('.') && !before.ends_with("pg_temp.");
        !is_elsewhere && !before.ends_with(is_part) && !text[at + name.len()..].starts_with(is_part)
    })
}

/// Whether a statement may change how the server reads the text after it, which must then be sent by itself.
pub(super) fn changes_lexing(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let words = SessionWords::new(text);
    lower.contains("standard_conforming_strings")
        || lower.contains("backslash_quote")
        || words.has("reset") && words.has("all")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::classify;

    #[test]
    fn repeatable_settings_are_detected() {
        let check = |text: &str, expected: bool| {
            assert_eq!(
                is_repeatable(classify::class(text), text),
                expected,
                "{text}"
            );
        };
        check("SET search_path = app", true);
        check("SET ROLE app", true);
        check("RESET ALL", true);
        check(
            "SELECT pg_catalog.set_config('search_path', '', false)",
            true,
        );
        check(
            "SELECT set_config('a.b', 'c', FALSE) AS x, set_config('d.e', 'f', false)",
            true,
        );
        check("SELECT set_config('search_path', 'app', true)", false);
        check(
            "SELECT set_config('search_path', current_setting('x'), false)",
            false,
        );
        check(
            "SELECT set_config('search_path', 'app', false) FROM t",
            false,
        );
        check("SET LOCAL search_path = app", false);
        check("DISCARD TEMP", false);
    }

    #[test]
    fn releasing_the_lock_is_detected() {
        let check = |text: &str, expected: bool| {
            let class = classify::class(text);
            assert_eq!(releases_lock(class, text), expected, "{text}");
        };
        check("SELECT pg_advisory_unlock_all()", true);
        check("SELECT pg_catalog.\"pg_advisory_unlock_all\" ()", true);
        check("DO $$ BEGIN PERFORM pg_advisory_unlock_all(); END $$", true);
        check("SELECT pg_advisory_unlock(107091476111873)", true);
        check("DISCARD ALL", true);
        check("discard /* */ all", true);
        check("SELECT pg_advisory_unlock(42)", false);
        check("DISCARD TEMP", false);
        check("SELECT 'pg_advisory_unlock_all()'", false);
        check(
            "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'SELECT pg_advisory_unlock_all()'",
            false,
        );
    }

    #[test]
    fn read_only_settings_are_detected() {
        let check = |text: &str, expected: Option<bool>| {
            assert_eq!(read_only(classify::class(text), text), expected, "{text}");
        };
        check("SET default_transaction_read_only = on", Some(true));
        check("SET default_transaction_read_only = off", Some(false));
        check("SET default_transaction_read_only TO 'off'", Some(false));
        check("SET default_transaction_read_only TO DEFAULT", Some(false));
        check("RESET default_transaction_read_only", Some(false));
        check("RESET ALL", Some(false));
        check(
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
            Some(true),
        );
        check(
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
            Some(false),
        );
        check(
            "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE",
            None,
        );
        check(
            "SELECT set_config('default_transaction_read_only', 'on', false)",
            Some(true),
        );
        check("SET LOCAL default_transaction_read_only = on", None);
        check("SET search_path = app", None);
    }

    #[test]
    fn custom_settings_are_found_in_bodies() {
        let check = |text: &str, expected: &[&str]| {
            let mut found = BTreeSet::new();
            custom_settings(text, &mut found);
            assert_eq!(found.into_iter().collect::<Vec<_>>(), expected, "{text}");
        };
        check("SET app.tenant = '42'", &["app.tenant"]);
        check("SET SESSION App.Tenant TO 1", &["app.tenant"]);
        check("SET LOCAL app.tenant = '42'", &[]);
        check("SET search_path = app", &[]);
        check("SELECT set_config('app.tenant', x, false)", &["app.tenant"]);
        check(
            "DO $$ BEGIN EXECUTE 'SELECT set_config(''a.b.c'', ''1'', false)'; EXECUTE 'SET d.e = 1'; END $$",
            &["a.b.c", "d.e"],
        );
    }

    #[test]
    fn creating_a_temporary_object_differs_from_using_it() {
        let check = |text: &str, expected: bool| {
            assert_eq!(SessionWords::new(text).makes("tmp"), expected, "{text}");
        };
        check("CREATE TEMP TABLE tmp (id int)", true);
        check("CREATE LOCAL TEMPORARY TABLE tmp AS SELECT 1", true);
        check("CREATE TABLE pg_temp.tmp (id int)", true);
        check(
            "CREATE OR REPLACE FUNCTION pg_temp.tmp() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            true,
        );
        check("SELECT 1 INTO TEMP tmp", true);
        check("PREPARE tmp AS SELECT 1", true);
        check("CREATE TEMP TABLE other AS SELECT * FROM tmp", false);
        check("CREATE TABLE made AS SELECT pg_temp.tmp() AS a", false);
        check("SELECT * FROM tmp", false);
    }

    #[test]
    fn names_in_another_schema_do_not_match_temporary_tables() {
        let check = |text: &str, expected: bool| {
            assert_eq!(speaks_of(text, "tmp"), expected, "{text}");
        };
        check("SELECT * FROM Tmp", true);
        check("SELECT pg_temp.tmp()", true);
        check("SELECT * FROM \"tmp\"", true);
        check("SELECT * FROM public.tmp", false);
        check("SELECT * FROM app.\"tmp\"", false);
        check("SELECT * FROM tmps", false);
    }
}
