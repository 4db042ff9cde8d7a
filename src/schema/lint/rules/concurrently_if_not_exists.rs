//! I05: CREATE INDEX CONCURRENTLY IF NOT EXISTS.

use crate::finding::Severity;
use crate::lint::declared_so_far;
use crate::lint::file_facts::StatementFact;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::Class;

pub(crate) const RULE: Rule = Rule {
    code: "I05",
    name: "concurrently-if-not-exists",
    severity: Severity::Warn,
    required: false,
    why: "A failed build leaves an invalid index behind. On the next run the name exists, so the statement does nothing and succeeds: the index is never used, and still slows down writes.",
    safe: "DROP INDEX CONCURRENTLY IF EXISTS first, then create the index without IF NOT EXISTS",
    versions: "all",
    bad: "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a);",
    good: "CREATE INDEX CONCURRENTLY i ON t (a);",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let phrase = context.phrase();
    let unsure = phrase.has(&["concurrently", "if", "not", "exists"]);
    if context.class() != (Class::CreateIndex { concurrently: true }) || !unsure {
        return None;
    }
    let name = declared_so_far::new_index(phrase)?.0?;
    let dropped = context.is_before(&StatementFact::DropsIndex(name.clone()));
    (!dropped).then(|| {
        Hit::new(
            &name,
            format!(
                "If an earlier build failed, the invalid index `{name}` is kept and this statement does nothing"
            ),
        )
        .help(format!(
            "DROP INDEX CONCURRENTLY IF EXISTS {name}; then CREATE INDEX CONCURRENTLY {name} …"
        ))
    })
}
