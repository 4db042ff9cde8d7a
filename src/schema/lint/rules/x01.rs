//! X01: row-level security switched off.

use crate::finding::Severity;
use crate::lint::alter::Action;
use crate::lint::around::Fact;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;

/// Finds row-level security switched off.
pub(crate) const RULE: Rule = Rule {
    code: "X01",
    name: "row-security-off",
    severity: Severity::Error,
    required: false,
    why: "From this moment every role with a grant reads and writes every row.",
    safe: "change the policies instead; if the table must be open, say so in the policy set",
    versions: "all",
    bad: "ALTER TABLE orders DISABLE ROW LEVEL SECURITY;",
    good: "ALTER TABLE orders ENABLE ROW LEVEL SECURITY;",
    check: Check::Action(check),
};

fn check(action: &Action<'_>, scene: &Scene<'_>) -> Option<Hit> {
    let off = action
        .phrase
        .begins(&["disable", "row", "level", "security"]);
    let unforced = action
        .phrase
        .begins(&["no", "force", "row", "level", "security"]);
    let table = &action.table;
    if (!off && !unforced) || scene.script.source.down {
        return None;
    }
    let on_again = scene.is_after(&if off {
        Fact::EnablesRowSecurity(table.clone())
    } else {
        Fact::ForcesRowSecurity(table.clone())
    });
    (!on_again).then(|| {
        let message = if off {
            format!(
                "every role with a grant on `{table}` reads and writes every row of it from now on"
            )
        } else {
            format!("the owner of `{table}` passes by its policies from now on")
        };
        Hit::new(table, message)
    })
}
