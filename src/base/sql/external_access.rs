//! Detects in SQL text that it accesses something outside of its database: programs, other servers, files of the server.
//!
//! SQL assembled at run time cannot be seen here. Where SQL is only tried, the sandbox of its server blocks it
//! (`pg::embedded::sandbox`); this module is for servers that cannot be sandboxed, and for reviewing migrations.

use crate::sql::token::{self, Token, TokenKind};

/// What SQL accesses outside of its database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExternalAccess {
    /// Runs programs or native code on the server's machine.
    Programs,
    /// Connects to other servers.
    Network,
    /// Reads or writes files of the server's machine.
    Files,
}

impl ExternalAccess {
    pub const ALL: [ExternalAccess; 3] = [
        ExternalAccess::Programs,
        ExternalAccess::Network,
        ExternalAccess::Files,
    ];

    /// The value of `AF_DB_SHADOW_ALLOW` that permits it.
    pub fn word(self) -> &'static str {
        match self {
            ExternalAccess::Programs => "programs",
            ExternalAccess::Network => "network",
            ExternalAccess::Files => "files",
        }
    }

    /// The name of the sandbox rule that blocks it.
    pub fn rule(self) -> &'static str {
        match self {
            ExternalAccess::Programs => "shadow-programs",
            ExternalAccess::Network => "shadow-network",
            ExternalAccess::Files => "shadow-files",
        }
    }

    pub fn refusal(self) -> &'static str {
        match self {
            ExternalAccess::Programs => "blocks running programs",
            ExternalAccess::Network => "blocks connections to other servers",
            ExternalAccess::Files => "blocks reading and writing files of this machine",
        }
    }

    /// How to lift the rule.
    pub fn hint(self) -> String {
        format!(
            "remove the statement from the migration; if you trust this SQL, set in your environment (not in .env): AF_DB_SHADOW_ALLOW={}",
            self.word()
        )
    }
}

/// Access found in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundAccess {
    pub reach: ExternalAccess,
    /// Byte offset.
    pub start: usize,
    /// The words that cause it.
    pub what: String,
}

/// Returns whether text meant as an expression cannot escape from parentheses around it or end the statement.
///
/// Valid for servers with `standard_conforming_strings` on.
pub fn is_expression(text: &str) -> bool {
    let mut depth = 0_usize;
    for token in token::tokens(text) {
        match token.kind {
            TokenKind::Semicolon | TokenKind::Backslash => return false,
            TokenKind::Open => depth += 1,
            TokenKind::Close if depth == 0 => return false,
            TokenKind::Close => depth -= 1,
            _ if !token.closed => return false,
            _ => {}
        }
    }
    depth == 0
}

/// The nesting limit of texts within texts: a string in a `DO` block in a function has depth three.
const DEPTH: usize = 4;

/// Finds the first access; function bodies and strings are searched too, as their content may be executed.
pub fn find(text: &str) -> Option<FoundAccess> {
    within(text, 0, DEPTH)
}

fn within(text: &str, offset: usize, depth: usize) -> Option<FoundAccess> {
    let mut before: Vec<String> = Vec::new();
    let mut tokens = token::code(text).peekable();
    while let Some(token) = tokens.next() {
        if token.kind == TokenKind::Semicolon {
            before.clear();
            continue;
        }
        let next = tokens.peek().map(|next| next.kind);
        let found = look(&before, text, token, next).map(|reach| FoundAccess {
            reach,
            start: offset + token.start,
            what: shown(&before, token.text(text)),
        });
        if found.is_some() {
            return found;
        }
        if let Some((start, inner)) = inner(text, token).filter(|_| depth > 0) {
            let found = within(inner, offset + token.start + start, depth - 1);
            if found.is_some() {
                return found;
            }
        }
        before.push(word(text, token));
        if starts_statement(&before) {
            before.clear();
        }
    }
    // Whether a subscription connects is determined by its options at the end.
    None
}

/// Classifies a token by the words of its statement before it and the token after it.
fn look(
    before: &[String],
    text: &str,
    token: Token,
    next: Option<TokenKind>,
) -> Option<ExternalAccess> {
    let word = word(text, token);
    let last = |back: usize| {
        let at = before.len().checked_sub(back)?;
        before.get(at).map(String::as_str)
    };
    let is_text = matches!(token.kind, TokenKind::Text | TokenKind::DollarText);
    let named = matches!(
        token.kind,
        TokenKind::Word | TokenKind::QuotedName | TokenKind::Text
    );
    let first = before.first().map(String::as_str);
    let direction = matches!(last(1), Some("from" | "to"));
    let before_text = matches!(next, Some(TokenKind::Text | TokenKind::DollarText));
    match word.as_str() {
        "program" if direction && (first == Some("copy") || before_text) => {
            Some(ExternalAccess::Programs)
        }
        "system" if last(1) == Some("alter") => Some(ExternalAccess::Programs),
        "pg_execute_server_program" if named => Some(ExternalAccess::Programs),
        "pg_read_server_files" | "pg_write_server_files" if named => Some(ExternalAccess::Files),
        "c" | "plpythonu" | "plpython2u" | "plpython3u" | "plperlu" | "pltclu" | "plsh"
            if named && last(1) == Some("language") =>
        {
            Some(ExternalAccess::Programs)
        }
        "plpythonu" | "plpython2u" | "plpython3u" | "plperlu" | "pltclu" | "plsh"
            if makes(before, "extension") =>
        {
            Some(ExternalAccess::Programs)
        }
        "file_fdw" | "adminpack" if makes(before, "extension") => Some(ExternalAccess::Files),
        "schema" if last(1) == Some("foreign") && last(2) == Some("import") => {
            Some(ExternalAccess::Network)
        }
        "connection" if first == Some("create") && makes_any(before, "subscription") => {
            let rest = text[token.end..].split(';').next().unwrap_or_default();
            let rest = rest.to_lowercase().replace([' ', '\t', '\n', '\r'], "");
            (!rest.contains("connect=false")).then_some(ExternalAccess::Network)
        }
        "refresh" if makes_any(before, "subscription") => Some(ExternalAccess::Network),
        _ if is_text && first == Some("copy") && direction => Some(ExternalAccess::Files),
        _ if is_text && before.len() == 1 && first == Some("load") => {
            Some(ExternalAccess::Programs)
        }
        name if next == Some(TokenKind::Open) && token.kind != TokenKind::Text => function(name),
        _ => None,
    }
}

/// Classifies a function.
fn function(name: &str) -> Option<ExternalAccess> {
    const FILES: [&str; 12] = [
        "lo_import",
        "lo_export",
        "pg_read_file",
        "pg_read_binary_file",
        "pg_ls_dir",
        "pg_stat_file",
        "pg_file_write",
        "pg_file_read",
        "pg_file_unlink",
        "pg_file_rename",
        "pg_file_sync",
        "pg_logdir_ls",
    ];
    if FILES.contains(&name) {
        return Some(ExternalAccess::Files);
    }
    let dblink = name == "dblink" || name.starts_with("dblink_");
    dblink.then_some(ExternalAccess::Network)
}

/// Returns whether the next word is the name in `CREATE <kind> [IF NOT EXISTS]`.
fn makes(before: &[String], kind: &str) -> bool {
    let mut words = before.iter().rev().map(String::as_str).peekable();
    for skipped in ["exists", "not", "if"] {
        words.next_if_eq(&skipped);
    }
    words.next() == Some(kind) && words.next() == Some("create")
}

/// Returns whether the statement creates or alters an object of this kind.
fn makes_any(before: &[String], kind: &str) -> bool {
    before.get(1).is_some_and(|word| word == kind)
}

/// Recognises the PL/pgSQL words after which a statement begins.
fn starts_statement(before: &[String]) -> bool {
    let last = before.last().map_or("", String::as_str);
    let alone = before.len() == 1;
    matches!(last, "then" | "loop") || alone && matches!(last, "begin" | "else" | "declare")
}

/// Returns a token as a word: lower case, a quoted name or literal without its quotes.
fn word(text: &str, token: Token) -> String {
    let text = token.text(text);
    match token.kind {
        TokenKind::Word => text.to_lowercase(),
        TokenKind::QuotedName => text.trim_matches('"').to_owned(),
        TokenKind::Text if text.len() < 64 => text.trim_matches('\'').to_lowercase(),
        _ => String::new(),
    }
}

/// Returns the content of a string literal with its offset.
fn inner(text: &str, token: Token) -> Option<(usize, &str)> {
    let text = token.text(text);
    let start = match token.kind {
        TokenKind::Text => text.find('\'')? + 1,
        TokenKind::DollarText => text[1..].find('$')? + 2,
        _ => return None,
    };
    Some((start, &text[start..]))
}

fn shown(before: &[String], last: &str) -> String {
    if last.starts_with(['\'', '$', 'e', 'E']) && last.ends_with(['\'', '$']) {
        let word = |word: Option<&String>| word.map_or("", |word| word).to_uppercase();
        return format!("{} … {}", word(before.first()), word(before.last()));
    }
    let words = before.iter().map(String::as_str);
    let near = words.skip(before.len().saturating_sub(1)).chain([last]);
    let near: Vec<&str> = near.filter(|word| !word.is_empty()).collect();
    let mut text = near.join(" ");
    if let Some((end, _)) = text.char_indices().nth(60) {
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn external_access_is_found() {
        let check = |reach: Option<ExternalAccess>, text: &str| {
            assert_eq!(find(text).map(|found| found.reach), reach, "{text}");
        };
        let (programs, network, files) = (
            Some(ExternalAccess::Programs),
            Some(ExternalAccess::Network),
            Some(ExternalAccess::Files),
        );
        check(programs, "COPY (SELECT 1) TO PROGRAM 'id'");
        check(programs, "copy t from /* x */ program $$id$$");
        check(
            programs,
            "DO $$ BEGIN EXECUTE 'COPY t FROM PROGRAM ''id'''; END $$",
        );
        check(programs, "ALTER SYSTEM SET archive_command = 'id'");
        check(programs, "LOAD '/tmp/x.so'");
        check(
            programs,
            "CREATE FUNCTION f() RETURNS int LANGUAGE 'c' AS '/tmp/x', 'f'",
        );
        check(
            programs,
            "CREATE FUNCTION f() RETURNS int LANGUAGE plpython3u AS 'return 1'",
        );
        check(programs, "CREATE EXTENSION IF NOT EXISTS \"plperlu\"");
        check(programs, "GRANT pg_execute_server_program TO me");
        check(files, "GRANT pg_write_server_files TO me");
        check(files, "COPY t TO '/tmp/x'");
        check(
            files,
            "DO $$BEGIN IF true THEN COPY t FROM '/x'; END IF; END$$",
        );
        check(files, "SELECT pg_catalog.lo_export(1, '/tmp/x')");
        check(files, "SELECT \"pg_read_file\"('/etc/passwd')");
        check(files, "CREATE EXTENSION file_fdw");
        check(network, "SELECT dblink_exec('host=x', 'DROP TABLE t')");
        check(
            network,
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $f$ SELECT x FROM dblink ('a', 'b') AS t(x int) $f$",
        );
        check(network, "IMPORT FOREIGN SCHEMA public FROM SERVER s INTO x");
        check(
            network,
            "CREATE SUBSCRIPTION s CONNECTION 'host=x' PUBLICATION p",
        );
        check(network, "ALTER SUBSCRIPTION s REFRESH PUBLICATION");
        check(
            None,
            "CREATE SUBSCRIPTION s CONNECTION 'host=x' PUBLICATION p WITH (connect = false)",
        );
        check(
            None,
            "CREATE TABLE program (load text, copy text, system int)",
        );
        check(None, "SELECT substring(copy FROM 'x') FROM program");
        check(None, "COPY t (a, b) FROM STDIN WITH (DELIMITER 'x')");
        check(
            None,
            "CREATE EXTENSION dblink; CREATE EXTENSION postgres_fdw",
        );
        check(
            None,
            "CREATE FUNCTION c() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        );
        check(None, "COMMENT ON TABLE t IS 'we load the program'");
        check(None, "-- COPY t TO PROGRAM 'x'");
        check(None, "SELECT 'open");
        check(None, "DO $$ BEGIN $");
    }

    #[test]
    fn an_expression_cannot_escape_its_parentheses() {
        let check =
            |expected: bool, text: &str| assert_eq!(is_expression(text), expected, "{text}");
        check(true, "a = (b + 1) AND c IN (SELECT ');' FROM t) -- so");
        check(true, "$$;)$$ = x /* ) */");
        check(false, "true); DROP TABLE t; SELECT (true");
        check(false, "true) OR (true))");
        check(false, "(true");
        check(false, "true; SELECT 1");
        check(false, "true /* open");
        check(false, "'open");
        check(false, "true \\g");
    }

    #[test]
    fn the_offset_is_that_of_the_word() {
        let text = "SELECT 1;\nDO $$ BEGIN COPY t TO PROGRAM 'id'; END $$";
        let found = find(text).expect("it runs a program");
        assert_eq!(found.start, text.find("PROGRAM").expect("it is there"));
        assert_eq!(found.what, "to PROGRAM");
    }
}
