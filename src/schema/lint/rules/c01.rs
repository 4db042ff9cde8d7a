//! C01: a column renamed.

use crate::finding::Severity;
use crate::lint::alter::{Action, Does};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;

/// Finds a column renamed.
pub(crate) const RULE: Rule = Rule {
    code: "C01",
    name: "rename-column",
    severity: Severity::Warn,
    required: false,
    why: "Code that runs while the migration does uses the old name, and fails at once.",
    safe: "add a column with the new name, keep both in step by a trigger, release, then drop the old one",
    versions: "all",
    bad: "ALTER TABLE orders RENAME COLUMN note TO remark;",
    good: "ALTER TABLE orders ADD COLUMN remark text;",
    check: Check::Action(check),
};

fn check(action: &Action<'_>, scene: &Scene<'_>) -> Option<Hit> {
    let Does::RenameColumn(from, to) = &action.does else {
        return None;
    };
    let table = &action.table;
    scene.exists_before(table).then(|| {
        Hit::new(
            format!("{table}.{from}"),
            format!("code that still says `{from}` for `{to}` fails the moment this commits"),
        )
    })
}
