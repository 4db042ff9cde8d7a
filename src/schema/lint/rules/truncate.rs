//! D05: TRUNCATE of an existing table.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::Class;

pub(crate) const RULE: Rule = Rule {
    code: "D05",
    name: "truncate",
    severity: Severity::Warn,
    required: false,
    why: "All rows are lost at once; with CASCADE also those of all tables that reference it.",
    safe: "Delete the rows in batches, and take a backup first",
    versions: "all",
    bad: "TRUNCATE orders;",
    good: "DELETE FROM orders WHERE created < '2020-01-01';",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    if context.class() != Class::Truncate {
        return None;
    }
    let phrase = context.phrase();
    let at = phrase.skip(phrase.skip(1, &["table"]), &["only"]);
    let mut names = phrase
        .from(at)
        .list()
        .into_iter()
        .filter_map(|part| part.name(0));
    let (name, _) = names.find(|(name, _)| context.exists_before(name))?;
    let others = if phrase.has(&["cascade"]) {
        " and of all tables that reference it"
    } else {
        ""
    };
    Some(Hit::new(
        &name,
        format!("TRUNCATE deletes all rows of `{name}`{others}"),
    ))
}
