//! T28: lock_timeout switched off before a table is locked.

use crate::finding::Severity;
use crate::lint::parsed_statement::ParsedStatement;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::rules::several_tables_locked;
use crate::lint::statement_context::StatementContext;

pub(crate) const RULE: Rule = Rule {
    code: "T28",
    name: "lock-timeout-off",
    severity: Severity::Warn,
    required: false,
    why: "Sessions queue behind a waiting lock request. Without a timeout, one long-running query blocks all access to the table until it ends.",
    safe: "Remove the SET lock_timeout; af-db sets it, retries and reports the blocking sessions",
    versions: "all",
    bad: "SET lock_timeout = 0; ALTER TABLE t ADD COLUMN a int;",
    good: "SET lock_timeout = '2s'; ALTER TABLE t ADD COLUMN a int;",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let table = several_tables_locked::altered(context, context.statement())?;
    let facts = &context.file.facts;
    let setting = facts.lock_timeout_before(context.index)?;
    let is_off = switched_off(&context.file.statements[setting]);
    // Reported once, at the first table.
    let is_reported = !facts.closed_before(context.index).is_empty();
    (is_off && !is_reported).then(|| {
        Hit::new(
            &table,
            format!("Waits for the lock on `{table}` without a timeout, and later queries queue behind it"),
        )
    })
}

/// Whether a statement about `lock_timeout` sets it to 0.
fn switched_off(line: &ParsedStatement<'_>) -> bool {
    let phrase = line.phrase();
    let Some(at) = phrase
        .find(&["lock_timeout"])
        .filter(|_| phrase.is(0, "set"))
    else {
        return false;
    };
    let value = phrase.at(at + 2).trim_matches('\'').trim();
    let number: String = value.chars().take_while(char::is_ascii_digit).collect();
    number.parse() == Ok(0)
}
