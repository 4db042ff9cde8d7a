//! X15: triggers disabled.

use crate::finding::Severity;
use crate::lint::alter;
use crate::lint::file_facts::StatementFact;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::{Class, Object};

pub(crate) const RULE: Rule = Rule {
    code: "X15",
    name: "triggers-off",
    severity: Severity::Error,
    required: false,
    why: "Rows written meanwhile skip foreign keys, trigger checks and audit, and are not checked later.",
    safe: "Disable only the trigger in question by name, and enable it again in the same migration",
    versions: "all",
    bad: "ALTER TABLE orders DISABLE TRIGGER ALL;",
    good: "ALTER TABLE orders DISABLE TRIGGER audit; ALTER TABLE orders ENABLE TRIGGER audit;",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let phrase = context.phrase();
    if phrase.contains(&["session_replication_role"]) && phrase.contains(&["replica"])
        || phrase.contains(&["session_replication_role"])
            && context.statement().statement.text.contains("'replica'")
    {
        return matches!(
            context.class(),
            Class::Set { .. } | Class::Select | Class::Alter(_)
        )
        .then(|| {
            Hit::new(
                "session_replication_role",
                "Rows written after this statement skip all foreign keys and triggers",
            )
        });
    }
    let alter = alter::read(phrase).filter(|_| context.class() == Class::Alter(Object::Table))?;
    let action = alter
        .actions
        .iter()
        .find(|action| action.phrase.begins(&["disable", "trigger"]))?;
    let trigger = action.phrase.at(2).to_ascii_lowercase();
    let on_again = StatementFact::EnablesTrigger(alter.table.clone(), trigger.clone());
    let on_again = context.is_after(&on_again);
    let foreign_keys = trigger == "all";
    (foreign_keys || !on_again).then(|| {
        let what = if foreign_keys {
            "all foreign keys and triggers"
        } else {
            "this trigger"
        };
        Hit::new(
            &alter.table,
            format!(
                "Rows written to `{}` after this statement skip {what}",
                alter.table
            ),
        )
        .start(action.phrase.start())
    })
}
