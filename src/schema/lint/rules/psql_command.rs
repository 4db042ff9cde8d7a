//! T26: a psql command in a migration.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::Class;

pub(crate) const RULE: Rule = Rule {
    code: "T26",
    name: "psql-command",
    severity: Severity::Error,
    required: false,
    why: "Lines that begin with a backslash are psql commands; the server does not accept them.",
    safe: "Write out the SQL; turn copied rows into INSERT",
    versions: "all",
    bad: "\\\\i other.sql",
    good: "INSERT INTO t VALUES (1);",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    (context.class() == Class::MetaCommand).then(|| {
        let text = context.statement().statement.text;
        let command = text.split_whitespace().next().unwrap_or(text);
        Hit::new(
            command,
            format!("`{command}` is a psql command; the server does not accept it"),
        )
    })
}
