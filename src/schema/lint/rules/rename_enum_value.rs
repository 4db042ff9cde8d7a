//! C04: an enum value renamed.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::{Class, Object};

pub(crate) const RULE: Rule = Rule {
    code: "C04",
    name: "rename-enum-value",
    severity: Severity::Warn,
    required: false,
    why: "Code that is still running sends the old value and fails immediately.",
    safe: "Add the new value, update the rows, and keep the old value",
    versions: "all",
    bad: "ALTER TYPE state RENAME VALUE 'new' TO 'fresh';",
    good: "ALTER TYPE state ADD VALUE 'fresh';",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let phrase = context.phrase();
    let at = phrase
        .find(&["rename", "value"])
        .filter(|_| context.class() == Class::Alter(Object::Type))?;
    let (name, _) = phrase.name(2)?;
    context.exists_before(&name).then(|| {
        Hit::new(
            &name,
            format!(
                "Renaming enum value {} breaks running code that uses the old value",
                phrase.at(at + 2)
            ),
        )
    })
}
