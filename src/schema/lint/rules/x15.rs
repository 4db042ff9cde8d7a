//! X15: triggers or foreign keys switched off.

use crate::finding::Severity;
use crate::lint::alter;
use crate::lint::around::Fact;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::{Class, Object};

/// Finds triggers or foreign keys switched off.
pub(crate) const RULE: Rule = Rule {
    code: "X15",
    name: "triggers-off",
    severity: Severity::Error,
    required: false,
    why: "Rows written meanwhile miss foreign keys, checks by trigger and audit, and nothing looks at them later.",
    safe: "disable the one trigger that is in the way by name, and enable it again in the same migration",
    versions: "all",
    bad: "ALTER TABLE orders DISABLE TRIGGER ALL;",
    good: "ALTER TABLE orders DISABLE TRIGGER audit; ALTER TABLE orders ENABLE TRIGGER audit;",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let phrase = scene.phrase();
    if phrase.contains(&["session_replication_role"]) && phrase.contains(&["replica"])
        || phrase.contains(&["session_replication_role"])
            && scene.line().statement.text.contains("'replica'")
    {
        return matches!(
            scene.class(),
            Class::Set { .. } | Class::Select | Class::Alter(_)
        )
        .then(|| {
            Hit::new(
                "session_replication_role",
                "rows written from here on miss every foreign key and trigger",
            )
        });
    }
    let alter = alter::read(phrase).filter(|_| scene.class() == Class::Alter(Object::Table))?;
    let action = alter
        .actions
        .iter()
        .find(|action| action.phrase.begins(&["disable", "trigger"]))?;
    let trigger = action.phrase.at(2).to_ascii_lowercase();
    let on_again = Fact::EnablesTrigger(alter.table.clone(), trigger.clone());
    let on_again = scene.is_after(&on_again);
    let foreign_keys = trigger == "all";
    (foreign_keys || !on_again).then(|| {
        let what = if foreign_keys {
            "every foreign key and trigger"
        } else {
            "this trigger"
        };
        Hit::new(
            &alter.table,
            format!("rows written to `{}` from here on miss {what}", alter.table),
        )
        .start(action.phrase.start())
    })
}
