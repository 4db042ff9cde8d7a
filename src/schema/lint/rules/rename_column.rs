//! C01: a column renamed.

use crate::finding::Severity;
use crate::lint::alter::{AlterAction, AlterKind};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;

pub(crate) const RULE: Rule = Rule {
    code: "C01",
    name: "rename-column",
    severity: Severity::Warn,
    required: false,
    why: "Code that is still running uses the old name and fails immediately.",
    safe: "Add a column with the new name, synchronize both with a trigger, release, then drop the old column",
    versions: "all",
    bad: "ALTER TABLE orders RENAME COLUMN note TO remark;",
    good: "ALTER TABLE orders ADD COLUMN remark text;",
    check: Check::AlterAction(check),
};

fn check(action: &AlterAction<'_>, context: &StatementContext<'_>) -> Option<Hit> {
    let AlterKind::RenameColumn(from, to) = &action.kind else {
        return None;
    };
    let table = &action.table;
    context.exists_before(table).then(|| {
        Hit::new(
            format!("{table}.{from}"),
            format!("Renaming `{from}` to `{to}` breaks running code that uses the old name"),
        )
    })
}
