//! X10: a view that passes by row-level security.

use crate::finding::Severity;
use crate::lint::around::Fact;
use crate::lint::known;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::{Class, Object};

/// Finds a view that passes by row-level security.
pub(crate) const RULE: Rule = Rule {
    code: "X10",
    name: "view-passes-by-row-security",
    severity: Severity::Warn,
    required: false,
    why: "A view reads its tables with its owner's rights: whoever may read the view sees every row, whatever the policies say.",
    safe: "CREATE VIEW … WITH (security_invoker = true)",
    versions: "all",
    bad: "CREATE VIEW totals AS SELECT * FROM orders; -- orders has policies",
    good: "CREATE VIEW totals WITH (security_invoker = true) AS SELECT * FROM orders;",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    if scene.class() != Class::Create(Object::View) || !scene.known.rows_secured {
        return None;
    }
    let phrase = scene.phrase();
    let name = known::created(phrase)?;
    let body = phrase.from(phrase.find(&["as"])? + 1);
    let option = scene
        .line()
        .statement
        .text
        .to_ascii_lowercase()
        .contains("security_invoker");
    let set_later = scene.is_after(&Fact::SetsSecurityInvoker);
    let table = (0..body.len())
        .filter(|at| body.is(*at, "from") || body.is(*at, "join"))
        .filter_map(|at| body.name(at + 1))
        .map(|(table, _)| table)
        .find(|table| {
            scene
                .known
                .tables
                .get(table)
                .is_some_and(|table| table.secured.is_some())
        })?;
    (!option && !set_later).then(|| {
        let hit = Hit::new(&name, format!("whoever may read `{name}` sees every row of `{table}`, whatever its policies say"));
        if scene.known.major < 15 {
            hit.help("from PostgreSQL 15 on, WITH (security_invoker = true); before, grant the view to nobody that the policies hold back")
        } else {
            hit
        }
    })
}
