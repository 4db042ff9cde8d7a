//! Policies that believe what the user writes: user metadata, request headers, cookies.

use crate::advise::AdviceContext;
use crate::finding::Finding;

const FORGEABLE: &[(&str, &str)] = &[
    (
        "user_metadata",
        "user metadata, which users can change; use app_metadata",
    ),
    (
        "raw_user_meta_data",
        "user metadata, which users can change; use raw_app_meta_data",
    ),
    (
        "request.headers",
        "request headers, which the client sets; use the verified claims",
    ),
    (
        "request.cookies",
        "cookies, which the client sets; use the verified claims",
    ),
];

pub(super) fn check(context: &AdviceContext<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (table, policy, text) in context
        .conditions()
        .filter(|(_, policy, _)| !policy.restrictive)
    {
        let found = FORGEABLE.iter().find(|(word, _)| text.contains(word));
        if let Some((_, what)) = found {
            let (what, help) = what.split_once("; ").unwrap_or((what, ""));
            let message = format!("policy `{}` trusts {what}", policy.name);
            findings.push(
                Finding::error("rls-forgeable", table.qualified(), message)
                    .detail(text)
                    .help(help),
            );
        }
    }
    findings
}
