//! Classifies statements by their keywords alone.
//!
//! It looks at no name and needs no parser, so it never fails and knows statements of any version; what it does
//! not know is [`Class::Other`].

use crate::sql::class::{Class, Object};
use crate::sql::token::{self, Quoting, Token, TokenKind};

/// Objects by their keywords; a longer spelling precedes the shorter one it begins with.
const OBJECTS: &[(&[&str], Object)] = &[
    (&["access", "method"], Object::AccessMethod),
    (&["aggregate"], Object::Aggregate),
    (&["cast"], Object::Cast),
    (&["collation"], Object::Collation),
    (&["conversion"], Object::Conversion),
    (&["database"], Object::Database),
    (&["domain"], Object::Domain),
    (&["event", "trigger"], Object::EventTrigger),
    (&["extension"], Object::Extension),
    (&["foreign", "data", "wrapper"], Object::ForeignDataWrapper),
    (&["foreign", "table"], Object::ForeignTable),
    (&["function"], Object::Function),
    (&["group"], Object::Role),
    (&["index"], Object::Index),
    (&["language"], Object::Language),
    (&["large", "object"], Object::LargeObject),
    (&["materialized", "view"], Object::MaterializedView),
    (&["operator"], Object::Operator),
    (&["policy"], Object::Policy),
    (&["procedure"], Object::Procedure),
    (&["publication"], Object::Publication),
    (&["role"], Object::Role),
    (&["routine"], Object::Routine),
    (&["rule"], Object::Rule),
    (&["schema"], Object::Schema),
    (&["sequence"], Object::Sequence),
    (&["server"], Object::Server),
    (&["statistics"], Object::Statistics),
    (&["subscription"], Object::Subscription),
    (&["table"], Object::Table),
    (&["tablespace"], Object::Tablespace),
    (&["text", "search"], Object::TextSearch),
    (&["transform"], Object::Transform),
    (&["trigger"], Object::Trigger),
    (&["type"], Object::Type),
    (&["user", "mapping"], Object::UserMapping),
    (&["user"], Object::Role),
    (&["view"], Object::View),
];

/// Words that may occur between `CREATE` or `DROP` and the object.
const MODIFIERS: &[&str] = &[
    "or",
    "replace",
    "unique",
    "temp",
    "temporary",
    "local",
    "global",
    "unlogged",
    "recursive",
    "constraint",
    "trusted",
    "procedural",
    "default",
];

/// Classifies a statement; leading white space and comments are ignored.
pub fn class(text: &str) -> Class {
    class_in(text, Quoting::Standard)
}

/// Classifies a statement whose plain literals are read with the given quoting.
pub fn class_in(text: &str, quoting: Quoting) -> Class {
    let words = Words { text, quoting };
    let Some(first) = words.code().next() else {
        return Class::Other;
    };
    if first.kind == TokenKind::Backslash {
        return Class::MetaCommand;
    }
    if first.kind == TokenKind::Open {
        return words.query();
    }
    let word = first.text(text).to_ascii_lowercase();
    match word.as_str() {
        "create" => words.create(),
        "alter" => words.alter(),
        "drop" => words.drop(),
        "select" | "with" | "values" | "table" | "insert" | "update" | "delete" | "merge" => {
            words.query()
        }
        "begin" | "start" | "commit" | "end" | "rollback" | "abort" | "savepoint" | "release"
        | "prepare" => words.transaction(&word),
        _ => words.other(&word),
    }
}

/// Returns the first keywords in upper case, at most four, up to the first name.
pub fn verb(text: &str) -> String {
    const WORDS: &[&str] = &[
        "concurrently",
        "column",
        "constraint",
        "default",
        "if",
        "in",
        "local",
        "only",
        "owned",
        "prepared",
        "privileges",
        "system",
        "to",
        "transaction",
        "into",
        "from",
        "unique",
        "or",
        "replace",
    ];
    let known = |word: &str| {
        WORDS.contains(&word)
            || MODIFIERS.contains(&word)
            || OBJECTS.iter().any(|(words, _)| words.contains(&word))
    };
    let mut shown: Vec<String> = Vec::new();
    for token in token::code(text).take(6) {
        let word = token.text(text).to_ascii_lowercase();
        if token.kind != TokenKind::Word || word == "if" || !(shown.is_empty() || known(&word)) {
            break;
        }
        shown.push(word.to_ascii_uppercase());
    }
    shown.join(" ")
}

/// Returns the reason why PostgreSQL rejects a statement inside a transaction block.
pub fn cannot_run_in_transaction(
    class: Class,
    text: &str,
    quoting: Quoting,
) -> Option<&'static str> {
    let words = Words { text, quoting };
    match class {
        Class::CreateIndex { concurrently: true } => {
            Some("CREATE INDEX CONCURRENTLY commits several times")
        }
        Class::DropIndex { concurrently: true } => {
            Some("DROP INDEX CONCURRENTLY commits several times")
        }
        Class::Reindex { concurrently: true } => Some("REINDEX CONCURRENTLY commits several times"),
        Class::Reindex { .. } if words.reindexes_many() => {
            Some("REINDEX of a schema, database or system commits after each table")
        }
        Class::Vacuum => Some("VACUUM manages its own transactions"),
        Class::AlterSystem => Some("ALTER SYSTEM cannot be rolled back"),
        Class::Create(Object::Database) => Some("CREATE DATABASE cannot be rolled back"),
        Class::Drop(Object::Database) => Some("DROP DATABASE cannot be rolled back"),
        Class::Create(Object::Tablespace) => Some("CREATE TABLESPACE cannot be rolled back"),
        Class::Drop(Object::Tablespace) => Some("DROP TABLESPACE cannot be rolled back"),
        Class::Alter(Object::Database) if words.has(&["set", "tablespace"]) => {
            Some("ALTER DATABASE … SET TABLESPACE cannot be rolled back")
        }
        Class::Create(Object::Subscription) if !words.without_slot() => {
            Some("CREATE SUBSCRIPTION creates a replication slot on the publisher")
        }
        Class::Drop(Object::Subscription) => {
            Some("DROP SUBSCRIPTION drops the replication slot on the publisher")
        }
        Class::Alter(Object::Subscription) if words.refreshes_subscription() => {
            Some("ALTER SUBSCRIPTION with a refresh changes the publisher")
        }
        Class::Alter(Object::Table) if words.detaches_concurrently() => {
            Some("DETACH PARTITION CONCURRENTLY commits several times")
        }
        Class::Cluster if words.clusters_all() => {
            Some("CLUSTER without a table commits after each table")
        }
        _ => None,
    }
}

/// A statement's keywords.
#[derive(Clone, Copy)]
struct Words<'a> {
    text: &'a str,
    quoting: Quoting,
}

impl<'a> Words<'a> {
    fn code(self) -> impl Iterator<Item = Token> + Clone + 'a {
        token::code_in(self.text, self.quoting)
    }

    fn is(self, token: Token, words: &[&str]) -> bool {
        words.iter().any(|word| token.is_word(self.text, word))
    }

    /// `index` counts words from 0.
    fn word_at(self, index: usize, words: &[&str]) -> bool {
        self.code()
            .nth(index)
            .is_some_and(|token| self.is(token, words))
    }

    /// Returns the tokens outside of parentheses.
    fn outside(self) -> impl Iterator<Item = Token> + 'a {
        let mut depth = 0_usize;
        self.code().filter(move |token| match token.kind {
            TokenKind::Open => {
                depth += 1;
                false
            }
            TokenKind::Close => {
                depth = depth.saturating_sub(1);
                false
            }
            _ => depth == 0,
        })
    }

    /// Looks for consecutive words outside of parentheses.
    fn has(self, phrase: &[&str]) -> bool {
        let outside: Vec<Token> = self.outside().collect();
        outside.windows(phrase.len()).any(|window| {
            window
                .iter()
                .zip(phrase)
                .all(|(token, word)| token.is_word(self.text, word))
        })
    }

    /// Finds the object kind after the first word, and the number of words read up to its end.
    fn object(self) -> (Object, usize) {
        let modifiers = self.code().skip(1);
        let at = 1 + modifiers
            .take_while(|token| self.is(*token, MODIFIERS))
            .count();
        let words: Vec<Token> = self.code().skip(at).take(3).collect();
        for (spelling, object) in OBJECTS {
            let fits = spelling.len() <= words.len()
                && spelling
                    .iter()
                    .zip(&words)
                    .all(|(word, token)| token.is_word(self.text, word));
            if fits {
                return (*object, at + spelling.len());
            }
        }
        (Object::Other, at)
    }

    fn create(self) -> Class {
        match self.object() {
            (Object::Index, after) => Class::CreateIndex {
                concurrently: self.word_at(after, &["concurrently"]),
            },
            (Object::Table, _) if self.makes_table_from_query() => Class::CreateTableAs,
            (object, _) => Class::Create(object),
        }
    }

    /// `CREATE TABLE … AS SELECT`: the first `AS` outside of parentheses, not preceded by another word of a query.
    fn makes_table_from_query(self) -> bool {
        let mut outside = self.outside();
        let found = outside.any(|token| self.is(token, &["as"]));
        found
            && outside.next().is_none_or(|token| {
                self.is(token, &["select", "with", "values", "table", "execute"])
            })
    }

    fn alter(self) -> Class {
        if self.word_at(1, &["system"]) {
            return Class::AlterSystem;
        }
        if self.word_at(1, &["default"]) && self.word_at(2, &["privileges"]) {
            return Class::AlterDefaultPrivileges;
        }
        match self.object().0 {
            Object::Type if self.has(&["add", "value"]) => Class::AlterTypeAddValue,
            object => Class::Alter(object),
        }
    }

    fn drop(self) -> Class {
        if self.word_at(1, &["owned"]) {
            return Class::DropOwned;
        }
        match self.object() {
            (Object::Index, after) => Class::DropIndex {
                concurrently: self.word_at(after, &["concurrently"]),
            },
            (object, _) => Class::Drop(object),
        }
    }

    /// Finds the verb of a query: after `WITH …` the first such word outside of parentheses.
    fn query(self) -> Class {
        let outside = |token: &Token| token.kind == TokenKind::Word;
        for token in self.outside().filter(outside) {
            let word = token.text(self.text).to_ascii_lowercase();
            match word.as_str() {
                "insert" => return Class::Insert,
                "update" => return Class::Update,
                "delete" => return Class::Delete,
                "merge" => return Class::Merge,
                "values" | "table" => return Class::Select,
                "select" if self.selects_into() => return Class::SelectInto,
                "select" => return Class::Select,
                _ => {}
            }
        }
        Class::Select
    }

    fn selects_into(self) -> bool {
        self.outside()
            .take_while(|token| !self.is(*token, &["from", "where", "union"]))
            .any(|token| self.is(token, &["into"]))
    }

    fn transaction(self, word: &str) -> Class {
        let second = |words: &[&str]| self.word_at(1, words);
        match word {
            "begin" | "start" => Class::Begin,
            "prepare" if second(&["transaction"]) => Class::TwoPhase,
            "prepare" => Class::Other,
            "commit" | "end" | "rollback" | "abort" if second(&["prepared"]) => Class::TwoPhase,
            "commit" | "end" => Class::Commit,
            "rollback" if self.has(&["to"]) => Class::Savepoint,
            "rollback" | "abort" => Class::Rollback,
            _ => Class::Savepoint,
        }
    }

    fn other(self, word: &str) -> Class {
        let concurrently = || {
            self.outside()
                .take(6)
                .any(|token| self.is(token, &["concurrently"]))
        };
        match word {
            "set" => Class::Set {
                local: self.word_at(1, &["local", "constraints", "transaction"]),
            },
            "reset" | "discard" => Class::Reset,
            "do" => Class::Do,
            "call" => Class::Call,
            "copy" => Class::Copy {
                // The grammar accepts STDIN and STDOUT for each other.
                from_stdin: self.has(&["from", "stdin"]) || self.has(&["from", "stdout"]),
            },
            "truncate" => Class::Truncate,
            "lock" => Class::Lock,
            "reassign" => Class::ReassignOwned,
            "refresh" => Class::Refresh {
                concurrently: concurrently(),
            },
            "reindex" => Class::Reindex {
                concurrently: concurrently() || self.option_on("concurrently"),
            },
            "cluster" | "repack" => Class::Cluster,
            "vacuum" => Class::Vacuum,
            "analyze" | "analyse" => Class::Analyze,
            "comment" => Class::Comment,
            "security" => Class::SecurityLabel,
            "grant" => Class::Grant,
            "revoke" => Class::Revoke,
            "explain" => Class::Explain,
            "import" => Class::ImportForeignSchema,
            _ => Class::Other,
        }
    }

    /// Returns whether `(…, OPTION, …)` right after the first word switches an option on.
    fn option_on(self, option: &str) -> bool {
        let mut tokens = self
            .code()
            .skip(1)
            .take_while(|token| token.kind != TokenKind::Close)
            .skip_while(|token| !token.is_word(self.text, option));
        tokens.next().is_some()
            && tokens.next().is_none_or(|token| {
                !self.is(token, &["off", "false"]) && token.text(self.text) != "0"
            })
    }

    fn reindexes_many(self) -> bool {
        self.outside()
            .skip(1)
            .take(1)
            .any(|token| self.is(token, &["schema", "database", "system"]))
    }

    /// `WITH (connect = false)`, `(create_slot = false)`, `(slot_name = NONE)`: nothing is created on the publisher.
    fn without_slot(self) -> bool {
        let tokens: Vec<Token> = self.code().collect();
        tokens.windows(3).any(|window| {
            let off = self.is(window[2], &["false", "off"])
                || matches!(window[2].text(self.text), "0" | "'false'" | "'off'" | "'0'");
            window[1].text(self.text) == "="
                && self.is(window[0], &["connect", "create_slot"])
                && off
        })
    }

    fn refreshes_subscription(self) -> bool {
        let publications = self.has(&["publication"]);
        let tokens: Vec<Token> = self.code().collect();
        let off = tokens.windows(3).any(|window| {
            self.is(window[0], &["refresh"])
                && window[1].text(self.text) == "="
                && self.is(window[2], &["false", "off"])
        });
        publications && !off
    }

    fn detaches_concurrently(self) -> bool {
        self.has(&["detach", "partition"])
            && self
                .outside()
                .last()
                .is_some_and(|token| self.is(token, &["concurrently", "finalize"]))
            && !self
                .outside()
                .last()
                .is_some_and(|token| self.is(token, &["finalize"]))
    }

    fn clusters_all(self) -> bool {
        self.outside()
            .skip(1)
            .all(|token| self.is(token, &["verbose"]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_have_a_class() {
        let check = |text: &str, expected: Class| assert_eq!(class(text), expected, "{text}");
        check("CREATE TABLE t (a int)", Class::Create(Object::Table));
        check(
            "create unlogged table if not exists t (a int generated always as (1) stored)",
            Class::Create(Object::Table),
        );
        check("CREATE TEMP TABLE t AS SELECT 1", Class::CreateTableAs);
        check(
            "CREATE TABLE t (a) AS WITH x AS (SELECT 1) SELECT 1",
            Class::CreateTableAs,
        );
        check(
            "CREATE TABLE t (a int) PARTITION BY RANGE (a)",
            Class::Create(Object::Table),
        );
        check(
            "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)",
            Class::CreateIndex { concurrently: true },
        );
        check(
            "CREATE INDEX ON t (a)",
            Class::CreateIndex {
                concurrently: false,
            },
        );
        check(
            "DROP INDEX CONCURRENTLY IF EXISTS i",
            Class::DropIndex { concurrently: true },
        );
        check(
            "CREATE OR REPLACE FUNCTION f() RETURNS int",
            Class::Create(Object::Function),
        );
        check(
            "CREATE CONSTRAINT TRIGGER x AFTER INSERT ON t",
            Class::Create(Object::Trigger),
        );
        check(
            "CREATE OR REPLACE RECURSIVE VIEW v",
            Class::Create(Object::View),
        );
        check(
            "CREATE USER MAPPING FOR a SERVER b",
            Class::Create(Object::UserMapping),
        );
        check("CREATE USER u", Class::Create(Object::Role));
        check(
            "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO a",
            Class::AlterDefaultPrivileges,
        );
        check(
            "ALTER TYPE t ADD VALUE IF NOT EXISTS 'a'",
            Class::AlterTypeAddValue,
        );
        check(
            "ALTER TYPE t ADD ATTRIBUTE a int",
            Class::Alter(Object::Type),
        );
        check("ALTER SYSTEM SET work_mem = 1", Class::AlterSystem);
    }

    #[test]
    fn other_statements_have_a_class() {
        let check = |text: &str, expected: Class| assert_eq!(class(text), expected, "{text}");
        check(
            "WITH a AS (DELETE FROM t RETURNING *) INSERT INTO u SELECT * FROM a",
            Class::Insert,
        );
        check("WITH a AS (SELECT 1) SELECT * FROM a", Class::Select);
        check("(SELECT 1) UNION (SELECT 2)", Class::Select);
        check("SELECT 1 INTO t FROM x", Class::SelectInto);
        check("ROLLBACK TO SAVEPOINT a", Class::Savepoint);
        check("ROLLBACK", Class::Rollback);
        check("COMMIT PREPARED 'a'", Class::TwoPhase);
        check("PREPARE p AS SELECT 1", Class::Other);
        check("SET LOCAL role a", Class::Set { local: true });
        check("set search_path = a", Class::Set { local: false });
        check(
            "COPY t (a) FROM STDIN WITH (FORMAT csv)",
            Class::Copy { from_stdin: true },
        );
        check("COPY t FROM stdout", Class::Copy { from_stdin: true });
        check("COPY t TO stdin", Class::Copy { from_stdin: false });
        check("COPY t FROM 'f'", Class::Copy { from_stdin: false });
        check(
            "REFRESH MATERIALIZED VIEW CONCURRENTLY v",
            Class::Refresh { concurrently: true },
        );
        check("\\gexec", Class::MetaCommand);
        check("", Class::Other);
        check("FROBNICATE t", Class::Other);
    }

    #[test]
    fn statements_refused_in_transactions_are_recognised() {
        let check = |text: &str, alone: bool| {
            let reason = cannot_run_in_transaction(class(text), text, Quoting::Standard);
            assert_eq!(reason.is_some(), alone, "{text}");
        };
        check("CREATE INDEX CONCURRENTLY i ON t (a)", true);
        check("CREATE INDEX i ON t (a)", false);
        check("DROP INDEX CONCURRENTLY i", true);
        check("REINDEX INDEX CONCURRENTLY i", true);
        check("REINDEX (CONCURRENTLY) TABLE t", true);
        check("REINDEX (CONCURRENTLY FALSE) TABLE t", false);
        check("REINDEX (VERBOSE) DATABASE d", true);
        check("REINDEX SCHEMA s", true);
        check("REINDEX TABLE t", false);
        check("VACUUM t", true);
        check("ANALYZE t", false);
        check("CREATE DATABASE d", true);
        check("DROP DATABASE IF EXISTS d", true);
        check("ALTER DATABASE d SET TABLESPACE s", true);
        check("ALTER DATABASE d SET work_mem = 1", false);
        check("CREATE TABLESPACE s LOCATION '/x'", true);
        check("ALTER SYSTEM RESET ALL", true);
        check("CREATE SUBSCRIPTION s CONNECTION 'c' PUBLICATION p", true);
        check(
            "CREATE SUBSCRIPTION s CONNECTION 'c' PUBLICATION p WITH (connect = false)",
            false,
        );
        check(
            "CREATE SUBSCRIPTION s CONNECTION 'c' PUBLICATION p WITH (create_slot = false)",
            false,
        );
        check("ALTER SUBSCRIPTION s REFRESH PUBLICATION", true);
        check("ALTER SUBSCRIPTION s DISABLE", false);
        check("ALTER TABLE t DETACH PARTITION u CONCURRENTLY", true);
        check("ALTER TABLE t DETACH PARTITION u FINALIZE", false);
        check("ALTER TABLE t DETACH PARTITION u", false);
        check("CLUSTER", true);
        check("CLUSTER (VERBOSE)", true);
        check("CLUSTER t USING i", false);
        check("ALTER TYPE t ADD VALUE 'a'", false);
    }

    #[test]
    fn a_verb_is_short() {
        let check = |text: &str, expected: &str| assert_eq!(verb(text), expected);
        check(
            "create unique index concurrently if not exists i on t (a)",
            "CREATE UNIQUE INDEX CONCURRENTLY",
        );
        check("ALTER TABLE orders ADD COLUMN a int", "ALTER TABLE");
        check("frobnicate t", "FROBNICATE");
        check("\\gexec", "");
    }
}
