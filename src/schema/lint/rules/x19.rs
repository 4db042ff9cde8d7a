//! X19: a secret in the text of a migration.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::Class;

/// Finds a secret in the text of a migration.
pub(crate) const RULE: Rule = Rule {
    code: "X19",
    name: "secret-in-text",
    severity: Severity::Error,
    required: false,
    why: "Migrations are kept for ever: in version control, in the history, in the server's log.",
    safe: "take the secret out, replace it where it is used, and set it from the environment",
    versions: "all",
    bad: "INSERT INTO settings VALUES ('postgres://app:secret@db/app');",
    good: "INSERT INTO settings VALUES ('set at start');",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    if scene.class() == Class::Comment {
        return None;
    }
    let phrase = scene.phrase();
    let (at, what) = (0..phrase.len()).find_map(|at| {
        let text = phrase.at(at);
        (text.starts_with(['\'', 'e', 'E', '$']) && text.len() > 16)
            .then(|| secret(text))
            .flatten()
            .map(|what| (at, what))
    })?;
    Some(
        Hit::new(what, format!("{what} stands in the text of this migration"))
            .start(phrase.from(at).start()),
    )
}
/// Names the kind of secret a literal holds.
fn secret(text: &str) -> Option<&'static str> {
    const MARKS: &[(&str, &str)] = &[
        ("-----BEGIN", "a private key"),
        ("AKIA", "an access key of AWS"),
        ("ghp_", "a token of GitHub"),
        ("github_pat_", "a token of GitHub"),
        ("sk_live_", "a key of Stripe"),
        ("xoxb-", "a token of Slack"),
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
