//! O12: autovacuum disabled for a table.

use crate::finding::Severity;
use crate::lint::alter;
use crate::lint::declared_so_far;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::{Class, Object};

pub(crate) const RULE: Rule = Rule {
    code: "O12",
    name: "autovacuum-off",
    severity: Severity::Warn,
    required: false,
    why: "Dead rows accumulate and statistics become outdated until autovacuum is enabled again.",
    safe: "Tune autovacuum_vacuum_scale_factor for the table instead",
    versions: "all",
    bad: "ALTER TABLE orders SET (autovacuum_enabled = false);",
    good: "ALTER TABLE orders SET (autovacuum_vacuum_scale_factor = 0.01);",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let phrase = context.phrase();
    let (Class::Alter(Object::Table) | Class::Create(Object::Table)) = context.class() else {
        return None;
    };
    let at = (0..phrase.len()).find(|at| {
        phrase.is(*at, "autovacuum_enabled")
            && phrase.at(at + 1) == "="
            && matches!(
                phrase
                    .at(at + 2)
                    .trim_matches('\'')
                    .to_ascii_lowercase()
                    .as_str(),
                "false" | "off" | "0" | "no"
            )
    })?;
    let name = alter::read(phrase)
        .map(|alter| alter.table)
        .or_else(|| declared_so_far::created(phrase))?;
    Some(
        Hit::new(
            &name,
            format!("Autovacuum is disabled on `{name}`; dead rows accumulate"),
        )
        .start(phrase.from(at).start()),
    )
}
