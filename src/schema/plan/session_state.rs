//! Knows what a file does to the session that runs it: what a continued run can set again, what an interruption loses,
//! and what would take the migration lock or the right to record from the run.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::pg::lock;
use crate::plan::unit::Outline;
use crate::sql::class::Class;
use crate::sql::name::Literal;
use crate::sql::safe::Sql;
use crate::sql::token::{self, Token, TokenKind};

/// Says whether a statement gives the migration lock away, where its text shows it.
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

/// Says whether the transactions that begin behind a statement are read only, where it changes that.
pub(super) fn read_only(class: Class, text: &str) -> Option<bool> {
    let words = Words::new(text);
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
    let words = Words::new(text);
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

/// Finds within the functions of a database what they set for the rest of the session under a name of their own.
const CUSTOM_SETTING: &str = r"(?:\mset_config\s*\(\s*'+|\mset\s+(?:session\s+)?)((?:[a-z_][\w$]*\.)+[a-z_][\w$]*)(?:'+(?:(?!set_config)[^;])*?,\s*(?:is_local\s*=>\s*)?'*f(?:alse)?'*\s*\)|\s*=|\s+to\M)";

fn is_discard_all(text: &str) -> bool {
    let words = Words::new(text);
    words.has("discard") && words.has("all")
}

/// Says whether a text calls a function that gives the migration lock away.
fn unlocks(text: &str) -> bool {
    let words = Words::new(text);
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

/// Gives what stands in the quotes of a statement.
fn literals(text: &str) -> Vec<&str> {
    let quoted = |token: &Token| matches!(token.kind, TokenKind::DollarText | TokenKind::Text);
    token::code(text)
        .filter(quoted)
        .map(|token| token::inside_dollars(token.text(text).trim_matches('\'')))
        .collect()
}

/// Says whether a statement only changes settings, in a way that can be repeated.
pub(super) fn is_repeatable(class: Class, text: &str) -> bool {
    match class {
        Class::Set { local } => !local,
        Class::Reset => !Words::new(text).has("discard"),
        Class::Select => Words::new(text).only_sets(),
        _ => false,
    }
}

/// Says whether a statement may change a setting until the end of its transaction.
fn sets_locally(class: Class, text: &str) -> bool {
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
struct Words<'a> {
    text: &'a str,
    tokens: Vec<Token>,
}

impl<'a> Words<'a> {
    fn new(text: &'a str) -> Self {
        Words {
            text,
            tokens: token::code(text).collect(),
        }
    }

    fn has(&self, word: &str) -> bool {
        self.tokens
            .iter()
            .any(|token| token.is_word(self.text, word))
    }

    /// Says whether a statement makes something temporary of a name, and does not use it.
    fn makes(&self, name: &str) -> bool {
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

    /// Says whether a query is nothing but calls of `set_config` with literals, for the rest of the session.
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

/// Gives the expression that describes what the session holds beyond its beginning, as text.
///
/// Within a transaction a local setting cannot be told from one of the session. `all` is false where the text says that
/// there may be one; then settings are left out. `custom` names the settings of the file's own: only hashes of their values
/// are kept, because they may be secrets and the description stays in the journal.
pub(super) fn description(all: bool, custom: &BTreeSet<String>) -> Sql {
    let settings = if all {
        let names = custom
            .iter()
            .map(|name| Sql::fill("{}", &[&Literal::new(name)]));
        Sql::fill(
            "(SELECT pg_catalog.jsonb_object_agg(s.name, CASE WHEN pg_catalog.strpos(s.name, '.') OPERATOR(pg_catalog.=) 0 THEN s.setting \
             ELSE pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(s.setting, 'UTF8')), 'hex') END) FROM pg_catalog.pg_settings AS s \
             WHERE s.source OPERATOR(pg_catalog.=) 'session' AND NOT pg_catalog.starts_with(s.name, 'transaction_') AND NOT s.name OPERATOR(pg_catalog.=) ANY (ARRAY['application_name', \
             'client_connection_check_interval', 'idle_in_transaction_session_timeout', 'idle_session_timeout', 'lock_timeout', \
             'statement_timeout'])), 'role', CURRENT_USER, 'custom', (SELECT pg_catalog.jsonb_object_agg(n.name, \
             pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.current_setting(n.name, true), 'UTF8')), 'hex')) \
             FROM (SELECT pg_catalog.unnest(ARRAY[{}]::pg_catalog.text[]) AS name UNION SELECT pg_catalog.lower(m.found[1]) FROM pg_catalog.pg_proc AS p \
             CROSS JOIN LATERAL pg_catalog.regexp_matches(CASE WHEN p.prosrc OPERATOR(pg_catalog.=) '' THEN pg_catalog.pg_get_functiondef(p.oid) ELSE p.prosrc END, {}, 'gi') AS m (found) \
             WHERE p.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid AND p.prokind OPERATOR(pg_catalog.<>) 'a') AS n \
             WHERE pg_catalog.current_setting(n.name, true) OPERATOR(pg_catalog.<>) '')",
            &[&Sql::join(names, ", "), &Literal::new(CUSTOM_SETTING)],
        )
    } else {
        Sql::new("'unknown'")
    };
    Sql::fill(
        "pg_catalog.jsonb_build_object('session', pg_catalog.jsonb_build_object('settings', {}, 'temporary', (SELECT pg_catalog.jsonb_agg(c.relname ORDER BY c.relname) \
         FROM pg_catalog.pg_class AS c WHERE c.relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema() \
         AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,v,m,S,f,p}'::pg_catalog.\"char\"[])), \
         'functions', (SELECT pg_catalog.jsonb_agg(p.proname ORDER BY p.proname) FROM pg_catalog.pg_proc AS p \
         WHERE p.pronamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()), \
         'types', (SELECT pg_catalog.jsonb_agg(t.typname ORDER BY t.typname) FROM pg_catalog.pg_type AS t LEFT JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) t.typrelid \
         WHERE t.typnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema() AND (t.typtype OPERATOR(pg_catalog.=) ANY ('{d,e,r}'::pg_catalog.\"char\"[]) OR c.relkind OPERATOR(pg_catalog.=) 'c')), \
         'prepared', (SELECT pg_catalog.jsonb_agg(p.name ORDER BY p.name) FROM pg_catalog.pg_prepared_statements AS p WHERE p.from_sql), \
         'cursors', (SELECT pg_catalog.jsonb_agg(u.name ORDER BY u.name) FROM pg_catalog.pg_cursors AS u WHERE u.is_holdable)))::pg_catalog.text",
        &[&settings],
    )
}

/// How a session stands: what [`description`] gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SessionState {
    settings: Option<serde_json::Map<String, serde_json::Value>>,
    held: Vec<(&'static str, String)>,
}

impl SessionState {
    /// Reads a description; none where the text is something else, such as a person's words.
    pub(super) fn read(text: &str) -> Option<SessionState> {
        let value: serde_json::Value = serde_json::from_str(text).ok()?;
        let session = value.get("session")?;
        let mut held = Vec::new();
        for (kind, what) in [
            ("temporary", TEMPORARY_TABLE),
            ("functions", "temporary function"),
            ("types", "temporary type"),
            ("prepared", "prepared statement"),
            ("cursors", "cursor"),
        ] {
            let names = session.get(kind).and_then(serde_json::Value::as_array);
            let names = names.into_iter().flatten();
            held.extend(names.filter_map(|name| Some((what, name.as_str()?.to_owned()))));
        }
        let known = session.get("settings") != Some(&serde_json::json!("unknown"));
        let settings = known.then(|| {
            let mut settings = session
                .get("settings")
                .and_then(serde_json::Value::as_object)
                .cloned()
                .unwrap_or_default();
            settings.extend(
                session
                    .get("role")
                    .map(|it| ("role".to_owned(), it.clone())),
            );
            let custom = session.get("custom").and_then(serde_json::Value::as_object);
            settings.extend(custom.cloned().unwrap_or_default());
            settings
        });
        Some(SessionState { settings, held })
    }

    /// Says what of this session a new one lacks that has repeated the settings, and that the rest of the text needs.
    pub(super) fn missing_in(
        &self,
        now: &SessionState,
        rest: &RemainingStatements<'_>,
    ) -> Option<String> {
        let held = self.held.iter().find(|(_, name)| rest.needs(name));
        if let Some((what, name)) = held {
            return Some(format!("the {what} `{name}` is gone"));
        }
        if let (Some((what, name)), true) = (self.temporary().next(), rest.builds_statements()) {
            return Some(format!(
                "the {what} `{name}` is gone, and a statement that is put together at run time may use it"
            ));
        }
        let (Some(before), Some(now)) = (&self.settings, &now.settings) else {
            return None;
        };
        let names = before.keys().chain(now.keys());
        let changed = names
            .into_iter()
            .find(|name| before.get(*name) != now.get(*name))?;
        if changed.contains('.') {
            return Some(format!(
                "the setting `{changed}` has lost the value that the file gave it"
            ));
        }
        let shown = |value: Option<&serde_json::Value>| match value {
            Some(serde_json::Value::String(text)) => format!("`{text}`"),
            _ => "the default".to_owned(),
        };
        Some(format!(
            "`{changed}` was {} and is {} now",
            shown(before.get(changed)),
            shown(now.get(changed))
        ))
    }
}

const TEMPORARY_TABLE: &str = "temporary table";

impl SessionState {
    fn temporary(&self) -> impl Iterator<Item = &(&'static str, String)> {
        let mut held = self.held.iter();
        std::iter::from_fn(move || held.find(|(what, _)| *what == TEMPORARY_TABLE))
    }

    /// Gives the temporary tables that the rest of a text does not name, but that what it calls may use.
    pub(super) fn unnamed(&self, rest: &RemainingStatements<'_>) -> Vec<&str> {
        let names = self.temporary().map(|(_, name)| name.as_str());
        let text = rest.all();
        names.filter(|name| !speaks_of(text, name)).collect()
    }
}

/// Says whether a text names something without a schema, or in `pg_temp`.
pub(super) fn speaks_of(text: &str, name: &str) -> bool {
    let (text, name) = (text.to_lowercase(), name.to_lowercase());
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices(&name).any(|(at, _)| {
        let before = text[..at].trim_end_matches('"');
        let is_elsewhere = before.ends_with('.') && !before.ends_with("pg_temp.");
        !is_elsewhere && !before.ends_with(is_part) && !text[at + name.len()..].starts_with(is_part)
    })
}

/// The statements of a text that have not run yet.
pub(super) struct RemainingStatements<'a> {
    pub(super) text: &'a str,
    pub(super) outline: &'a Outline,
    pub(super) statements: Range<usize>,
}

impl RemainingStatements<'_> {
    /// Says whether a name is used before it is made again.
    fn needs(&self, name: &str) -> bool {
        for index in self.statements.clone() {
            let text = &self.text[self.outline.statements[index].clone()];
            if speaks_of(text, name) {
                let words = Words::new(text);
                let makes = words.makes(name);
                return !makes || words.has("if");
            }
        }
        false
    }

    /// Gives the text from the first of the statements on.
    pub(super) fn all(&self) -> &str {
        let first = self.outline.statements.get(self.statements.start);
        first.map_or("", |first| &self.text[first.start..])
    }

    /// Says whether a block builds a statement out of parts, whose names cannot be seen.
    fn builds_statements(&self) -> bool {
        self.statements.clone().any(|index| {
            let text = &self.text[self.outline.statements[index].clone()];
            let class = crate::sql::classify::class(text);
            class == Class::Do
                && literals(text).iter().any(|body| {
                    let words = Words::new(body);
                    words.tokens.windows(3).any(|three| {
                        let is_whole =
                            matches!(three[1].kind, TokenKind::Text | TokenKind::DollarText)
                                && (three[2].kind == TokenKind::Semicolon
                                    || three[2].is_word(body, "using")
                                    || three[2].is_word(body, "into"));
                        three[0].is_word(body, "execute") && !is_whole
                    })
                })
        })
    }
}

/// Remembers, behind the statements of a unit and before our own settings, how the session stands; [`REMEMBERED`] gives it.
pub(super) fn remember(text: &str, outline: &Outline, statements: Range<usize>) -> Sql {
    let local = statements.into_iter().any(|index| {
        let text = &text[outline.statements[index].clone()];
        sets_locally(crate::sql::classify::class(text), text)
    });
    Sql::fill(
        "SELECT pg_catalog.set_config('af_db.session', {}, true)",
        &[&description(!local, &outline.custom)],
    )
}

/// The expression that gives what [`remember`] kept for the rest of the transaction.
pub(super) const REMEMBERED: &str = "pg_catalog.current_setting('af_db.session')";

/// Says whether a statement may change how the server reads the text behind it, which must then be sent by itself.
pub(super) fn changes_lexing(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let words = Words::new(text);
    lower.contains("standard_conforming_strings")
        || lower.contains("backslash_quote")
        || words.has("reset") && words.has("all")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::unit;
    use crate::sql::classify;

    #[test]
    fn settings_that_can_be_repeated_are_known() {
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
    fn what_gives_the_lock_away_is_seen() {
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
    fn what_makes_a_session_read_only_is_seen() {
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
    fn settings_of_the_files_own_are_found_in_bodies_as_well() {
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
    fn what_makes_a_temporary_object_again_is_told_from_what_uses_it() {
        let check = |text: &str, expected: bool| {
            assert_eq!(Words::new(text).makes("tmp"), expected, "{text}");
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
    fn a_name_in_another_schema_is_not_the_temporary_one() {
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

    #[test]
    fn what_a_new_session_lacks_is_named() {
        let read = |text: &str| SessionState::read(text).expect("a description");
        let before = read(
            r#"{"session": {"settings": {"search_path": "app"}, "role": "me", "temporary": ["tmp"], "prepared": null, "cursors": null}}"#,
        );
        let now = read(r#"{"session": {"settings": {"search_path": "app"}, "role": "me"}}"#);
        let other = read(r#"{"session": {"settings": null, "role": "me"}}"#);
        let check = |now: &SessionState, text: &str, expected: Option<&str>| {
            let outline = unit::outline(text);
            let rest = RemainingStatements {
                text,
                outline: &outline,
                statements: 0..outline.statements.len(),
            };
            assert_eq!(before.missing_in(now, &rest).as_deref(), expected, "{text}");
        };
        check(&now, "SELECT 1", None);
        check(&now, "SELECT * FROM tmpx", None);
        check(
            &now,
            "CREATE TEMP TABLE tmp (a int); SELECT * FROM tmp",
            None,
        );
        check(
            &now,
            "INSERT INTO t SELECT * FROM Tmp",
            Some("the temporary table `tmp` is gone"),
        );
        check(
            &other,
            "SELECT 1",
            Some("`search_path` was `app` and is the default now"),
        );
        assert_eq!(
            SessionState::read("statement 2 of migration 1 is said to be done"),
            None
        );
    }
}
