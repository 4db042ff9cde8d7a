//! Functions said to be leakproof, which see rows before policies do.

use crate::advise::AdviceContext;
use crate::catalog::Kind;
use crate::finding::Finding;

pub(super) fn check(context: &AdviceContext<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (function, object) in context.catalog.of_kind(Kind::Function) {
        let definition = object.text("definition").unwrap_or_default();
        let head = definition.split("\nAS ").next().unwrap_or_default();
        if head.contains(" LEAKPROOF") && !head.contains("NOT LEAKPROOF") {
            let subject = function.qualified();
            let message = "The function is declared LEAKPROOF: PostgreSQL calls it on rows that policies hide, and its errors and notices can reveal them";
            let help = format!("ALTER FUNCTION {subject} NOT LEAKPROOF");
            findings.push(Finding::warn("rls-leakproof", subject, message).help(help));
        }
    }
    findings
}
