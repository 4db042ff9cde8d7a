//! C14: a trigger created on an existing table.

use crate::finding::Severity;
use crate::lint::declared_so_far;
use crate::lint::file_facts::StatementFact;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::{Class, Object};

pub(crate) const RULE: Rule = Rule {
    code: "C14",
    name: "trigger-on-existing-table",
    severity: Severity::Note,
    required: false,
    why: "Writes to the table wait while the trigger is created, and each later write pays its cost.",
    safe: "Measure the cost per row first",
    versions: "all",
    bad: "CREATE TRIGGER audit AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION f();",
    good: "CREATE TABLE t (a int); CREATE TRIGGER audit AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    if context.class() != Class::Create(Object::Trigger) {
        return None;
    }
    let phrase = context.phrase();
    let (table, _) = phrase.find(&["on"]).and_then(|on| phrase.name(on + 1))?;
    let name = declared_so_far::created(phrase)?.name;
    let again = context.is_before(&StatementFact::DropsTrigger(name.to_ascii_lowercase()));
    (!again && !phrase.has(&["or", "replace"]) && context.exists_before(&table)).then(|| {
        Hit::new(
            &name,
            format!("Each row written to `{table}` will run trigger `{name}`"),
        )
    })
}
