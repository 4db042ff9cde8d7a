//! D13: a view dropped and recreated.

use crate::finding::Severity;
use crate::lint::declared_so_far;
use crate::lint::file_facts::StatementFact;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::{Class, Object};

pub(crate) const RULE: Rule = Rule {
    code: "D13",
    name: "recreate-view",
    severity: Severity::Note,
    required: false,
    why: "The view's grants, comments, owner and security_invoker option are lost without notice.",
    safe: "Use CREATE OR REPLACE VIEW if the columns allow it; otherwise repeat the grants in the same migration",
    versions: "all",
    bad: "DROP VIEW totals; CREATE VIEW totals AS SELECT 1;",
    good: "CREATE OR REPLACE VIEW totals AS SELECT 1;",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let (Class::Drop(Object::View) | Class::Drop(Object::MaterializedView)) = context.class()
    else {
        return None;
    };
    let phrase = context.phrase();
    let from = if phrase.is(1, "materialized") { 3 } else { 2 };
    let (name, start) = declared_so_far::dropped(phrase, from).into_iter().next()?;
    let made = context.is_after(&StatementFact::CreatesView(name.clone()));
    let granted = context.is_after(&StatementFact::Grants(name.name.to_ascii_lowercase()));
    (made && !granted && context.exists_before(&name)).then(|| {
        Hit::new(
            &name,
            format!("Recreating view `{name}` loses its grants, comments and options"),
        )
        .start(start)
    })
}
