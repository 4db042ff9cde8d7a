//! X10: a view that bypasses row-level security.

use crate::finding::Severity;
use crate::lint::declared_so_far;
use crate::lint::file_facts::StatementFact;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::{Class, Object};

pub(crate) const RULE: Rule = Rule {
    code: "X10",
    name: "view-passes-by-row-security",
    severity: Severity::Warn,
    required: false,
    why: "A view reads its tables with its owner's privileges: roles that can read the view see all rows, regardless of policies.",
    safe: "CREATE VIEW … WITH (security_invoker = true)",
    versions: "all",
    bad: "CREATE VIEW totals AS SELECT * FROM orders; -- orders has policies",
    good: "CREATE VIEW totals WITH (security_invoker = true) AS SELECT * FROM orders;",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    if context.class() != Class::Create(Object::View) || !context.declared.uses_rls {
        return None;
    }
    let phrase = context.phrase();
    let name = declared_so_far::created(phrase)?;
    let body = phrase.from(phrase.find(&["as"])? + 1);
    let option = context
        .statement()
        .statement
        .text
        .to_ascii_lowercase()
        .contains("security_invoker");
    let set_later = context.is_after(&StatementFact::SetsSecurityInvoker);
    let table = (0..body.len())
        .filter(|at| body.is(*at, "from") || body.is(*at, "join"))
        .filter_map(|at| body.name(at + 1))
        .map(|(table, _)| table)
        .find(|table| {
            context
                .declared
                .tables
                .get(table)
                .is_some_and(|table| table.rls_enabled.is_some())
        })?;
    (!option && !set_later).then(|| {
        let hit = Hit::new(&name, format!("View `{name}` bypasses the policies of `{table}` and exposes all its rows"));
        if context.declared.major < 15 {
            hit.help("Use WITH (security_invoker = true) from PostgreSQL 15 on; before, do not grant the view to roles that the policies restrict")
        } else {
            hit
        }
    })
}
