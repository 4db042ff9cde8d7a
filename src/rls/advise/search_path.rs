//! Functions that run with the rights of their owner and look names up where the caller says.

use crate::advise::AdviceContext;
use crate::catalog::Kind;
use crate::finding::Finding;

pub(super) fn check(context: &AdviceContext<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for kind in [Kind::Function, Kind::Procedure] {
        for (function, object) in context.catalog.of_kind(kind) {
            let definition = object.text("definition").unwrap_or_default();
            // The body comes last and may speak of the path as well.
            let head = definition.split("\nAS ").next().unwrap_or_default();
            if !object.has("security_definer") && !head.contains(" SECURITY DEFINER") {
                continue;
            }
            let path = head
                .lines()
                .find_map(|line| line.trim().strip_prefix("SET search_path TO "));
            let what = match path.map(str::trim) {
                None => {
                    "The SECURITY DEFINER function resolves names through the caller's search_path"
                }
                Some("''" | "\"\"") => continue,
                Some(path) if path.trim_end().ends_with("'pg_temp'") => continue,
                Some("'pg_catalog'") => continue,
                Some(_) => {
                    "The SECURITY DEFINER function resolves names in pg_temp first: a caller's temporary table can replace a real one"
                }
            };
            let subject = function.qualified();
            let help = format!("ALTER ROUTINE {subject} SET search_path = ''");
            findings.push(Finding::warn("rls-search-path", subject, what).help(help));
        }
    }
    findings
}
