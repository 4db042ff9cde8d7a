//! C14: a trigger put on an existing table.

use crate::finding::Severity;
use crate::lint::around::Fact;
use crate::lint::known;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::{Class, Object};

/// Finds a trigger put on an existing table.
pub(crate) const RULE: Rule = Rule {
    code: "C14",
    name: "trigger-on-existing-table",
    severity: Severity::Note,
    required: false,
    why: "Writes to the table wait while it is made, and from then on every row pays for it.",
    safe: "measure what it costs for each row first",
    versions: "all",
    bad: "CREATE TRIGGER audit AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION f();",
    good: "CREATE TABLE t (a int); CREATE TRIGGER audit AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    if scene.class() != Class::Create(Object::Trigger) {
        return None;
    }
    let phrase = scene.phrase();
    let (table, _) = phrase.find(&["on"]).and_then(|on| phrase.name(on + 1))?;
    let name = known::created(phrase)?.name;
    let again = scene.is_before(&Fact::DropsTrigger(name.to_ascii_lowercase()));
    (!again && !phrase.has(&["or", "replace"]) && scene.exists_before(&table)).then(|| {
        Hit::new(
            &name,
            format!("every row written to `{table}` runs `{name}` from now on"),
        )
    })
}
