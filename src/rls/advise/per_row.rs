//! Policies that ask who is asking once for each row.

use crate::advise::AdviceContext;
use crate::finding::Finding;

const ASKS: &[&str] = &[
    "auth.uid()",
    "auth.jwt()",
    "auth.role()",
    "auth.email()",
    "current_setting(",
];

pub(super) fn check(context: &AdviceContext<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (table, policy, text) in context.conditions() {
        if let Some(asks) = ASKS.iter().find(|asks| is_bare(text, asks)) {
            let shown = asks.trim_end_matches('(');
            let message = format!("policy `{}` calls {shown} once per row", policy.name);
            let help = format!(
                "use (select {}) instead: it is evaluated once per statement",
                if asks.ends_with('(') {
                    format!("{asks}…)")
                } else {
                    (*asks).to_owned()
                }
            );
            findings.push(
                Finding::note("rls-per-row", table.qualified(), message)
                    .detail(text)
                    .help(help),
            );
        }
    }
    findings.dedup_by(|a, b| (&a.subject, &a.message) == (&b.subject, &b.message));
    findings
}

/// Whether a call stands outside of a sub-select.
fn is_bare(text: &str, call: &str) -> bool {
    text.match_indices(call).any(|(at, _)| {
        let mut depth = 0i32;
        // Outwards: does any bracket around it open a SELECT?
        let mut inside = false;
        for (place, character) in text[..at].char_indices().rev() {
            match character {
                ')' => depth += 1,
                '(' if depth > 0 => depth -= 1,
                '(' => {
                    inside |= text[place + 1..]
                        .trim_start()
                        .to_ascii_uppercase()
                        .starts_with("SELECT")
                }
                _ => {}
            }
        }
        !inside
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sub_select_asks_once() {
        let check =
            |text: &str, bare: bool| assert_eq!(is_bare(text, "auth.uid()"), bare, "{text}");
        check("(owner = auth.uid())", true);
        check("(owner = ( SELECT auth.uid() AS uid))", false);
        check(
            "((owner = ( SELECT auth.uid() AS uid)) OR (other = auth.uid()))",
            true,
        );
        check(
            "(EXISTS ( SELECT 1 FROM m WHERE (m.u = auth.uid())))",
            false,
        );
    }
}
