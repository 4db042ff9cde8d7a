//! T09: transaction control in a migration that runs in a transaction.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::Class;

pub(crate) const RULE: Rule = Rule {
    code: "T09",
    name: "transaction-in-migration",
    severity: Severity::Error,
    required: false,
    why: "af-db runs the migration and its history row in one transaction. A COMMIT in the file applies half of it without a history row, and a ROLLBACK discards only the history row.",
    safe: "Remove it; a migration that must commit in between begins with `-- af-db: no-transaction`",
    versions: "all",
    bad: "BEGIN; ALTER TABLE t ADD a int; COMMIT;",
    good: "ALTER TABLE t ADD a int;",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let control = matches!(
        context.class(),
        Class::Begin | Class::Commit | Class::Rollback | Class::TwoPhase
    );
    (control && context.file.in_transaction).then(|| {
        let verb = context.statement().statement.verb();
        Hit::new(
            &verb,
            format!(
                "`{verb}` interferes with the transaction around this migration and its history row"
            ),
        )
    })
}
