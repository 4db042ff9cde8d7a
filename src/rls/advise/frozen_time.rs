//! Times that were 'now' when the policy was made.

use crate::advise::AdviceContext;
use crate::finding::Finding;

pub(super) fn check(context: &AdviceContext<'_>) -> Vec<Finding> {
    let frozen = |text: &str| {
        let mut pieces = text.split('\'');
        pieces.any(|piece| {
            // 'now' is stored as a time with fractions of a second, which distinguishes it from a hand-written literal.
            let digits = piece.bytes().filter(u8::is_ascii_digit).count();
            digits >= 17 && piece.contains(':') && piece.contains('.') && piece.starts_with("20")
        })
    };
    let conditions = context.conditions().filter(|(_, _, text)| frozen(text));
    conditions
        .map(|(table, policy, text)| {
            let message = format!(
                "policy `{}` compares with the time of its creation: the literal 'now' is evaluated once",
                policy.name
            );
            Finding::warn("rls-frozen-time", table.qualified(), message)
                .detail(text)
                .help("use now() or current_date")
        })
        .collect()
}
