//! X19: a secret in the text of a migration.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::Class;

pub(crate) const RULE: Rule = Rule {
    code: "X19",
    name: "secret-in-text",
    severity: Severity::Error,
    required: false,
    why: "Migrations are kept permanently: in version control, in the history and in the server log.",
    safe: "Remove the secret, revoke it, and set it from the environment",
    versions: "all",
    bad: "INSERT INTO settings VALUES ('postgres://app:secret@db/app');",
    good: "INSERT INTO settings VALUES ('set at start');",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    if context.class() == Class::Comment {
        return None;
    }
    let phrase = context.phrase();
    let (at, what) = (0..phrase.len()).find_map(|at| {
        let text = phrase.at(at);
        (text.starts_with(['\'', 'e', 'E', '$']) && text.len() > 16)
            .then(|| secret(text))
            .flatten()
            .map(|what| (at, what))
    })?;
    Some(Hit::new(what, format!("The migration contains {what}")).start(phrase.from(at).start()))
}
fn secret(text: &str) -> Option<&'static str> {
    const MARKS: &[(&str, &str)] = &[
        ("-----BEGIN", "a private key"),
        ("AKIA", "an AWS access key"),
        ("ghp_", "a GitHub token"),
        ("github_pat_", "a GitHub token"),
        ("sk_live_", "a Stripe key"),
        ("xoxb-", "a Slack token"),
        ("eyJhbGciOi", "a signed token"),
    ];
    let marked = MARKS.iter().find(|(mark, _)| {
        text.match_indices(mark).any(|(at, _)| {
            let rest = &text[at + mark.len()..];
            (*mark == "-----BEGIN" && rest.contains("PRIVATE KEY"))
                || rest
                    .bytes()
                    .take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
                    .count()
                    >= 12
        })
    });
    if let Some((_, what)) = marked {
        return Some(what);
    }
    let (_, rest) = text
        .split_once("postgres://")
        .or_else(|| text.split_once("postgresql://"))?;
    let (user, _) = rest.split_once('@')?;
    let password = user.split_once(':')?.1;
    let placeholder = password.is_empty() || password.contains(['<', '$', '{', '%', '*', ' ', '/']);
    (!placeholder).then_some("a database password")
}
