//! I06: a lock_timeout set before a CONCURRENTLY statement.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::Class;

pub(crate) const RULE: Rule = Rule {
    code: "I06",
    name: "concurrently-under-lock-timeout",
    severity: Severity::Warn,
    required: false,
    why: "A concurrent build waits for all older transactions; lock_timeout cancels that wait and leaves an invalid index behind.",
    safe: "Remove the SET lock_timeout; af-db sets no lock_timeout for CONCURRENTLY statements",
    versions: "all",
    bad: "SET lock_timeout = '2s'; CREATE INDEX CONCURRENTLY i ON t (a);",
    good: "CREATE INDEX CONCURRENTLY i ON t (a);",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let concurrent = matches!(
        context.class(),
        Class::CreateIndex { concurrently: true } | Class::Reindex { concurrently: true }
    );
    if !concurrent {
        return None;
    }
    let setting = context.file.facts.lock_timeout_before(context.index)?;
    let setting = &context.file.statements[setting];
    let off = setting.class() == Class::Reset
        || setting
            .phrase()
            .at(setting.phrase().len() - 1)
            .trim_matches('\'')
            == "0";
    (!off).then(|| {
        Hit::new(
            context.statement().statement.verb(),
            "A lock_timeout set earlier in the file can cancel the build and leave an invalid index",
        )
    })
}
