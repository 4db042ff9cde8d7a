//! Functions that run with the rights of their owner and that a request may call.

use crate::advise::{AdviceContext, list};
use crate::catalog::Kind;
use crate::finding::Finding;

pub(super) fn check(context: &AdviceContext<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for kind in [Kind::Function, Kind::Procedure] {
        for (function, object) in context.catalog.of_kind(kind) {
            // What a trigger runs cannot be called.
            let is_trigger = object.text("returns") == Some("trigger")
                || object.text("returns") == Some("event_trigger");
            let definer = object.has("security_definer")
                || object
                    .text("definition")
                    .is_some_and(|text| text.contains(" SECURITY DEFINER"));
            let holders = context.holders(function, "X");
            if !definer || is_trigger || holders.is_empty() {
                continue;
            }
            let subject = function.qualified();
            let message = format!(
                "The SECURITY DEFINER function bypasses row-level security, and {} can call it",
                list(&holders)
            );
            let help = format!(
                "REVOKE EXECUTE ON ROUTINE {subject} FROM PUBLIC, {}; or SECURITY INVOKER",
                context.revoked(&context.requests)
            );
            findings.push(Finding::warn("rls-definer-function", subject, message).help(help));
        }
    }
    findings
}
