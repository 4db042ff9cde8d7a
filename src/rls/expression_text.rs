//! What the text of expressions and function bodies mentions (literals, settings, claims, numbers), and what names suggest.
//!
//! It guesses only to make more varied data and identities; no verdict rests on a name alone, except which rows are
//! meant to be shared.

use std::collections::BTreeSet;

/// What an expression mentions.
#[derive(Clone, Debug, Default)]
pub(super) struct MentionedNames {
    /// Settings that are read.
    pub(super) settings: BTreeSet<String>,
    /// Names of claims or JSON keys.
    pub(super) keys: BTreeSet<String>,
    /// Other string literals.
    pub(super) values: BTreeSet<String>,
}

/// Reads an expression or a body.
pub(super) fn read(text: &str) -> MentionedNames {
    let mut words = MentionedNames::default();
    for (before, literal) in literals(text) {
        let before = before.trim_end().trim_end_matches('(').trim_end();
        if before.ends_with("current_setting") || before.ends_with("set_config") {
            words.settings.insert(literal);
        } else if before.ends_with("->") || before.ends_with("->>") || before.ends_with('?') {
            words.keys.insert(literal);
        } else if before.ends_with("#>") || before.ends_with("#>>") {
            words.keys.extend(
                literal
                    .trim_matches(['{', '}'])
                    .split(',')
                    .map(str::to_owned),
            );
        } else {
            words.values.insert(literal);
        }
    }
    words
}

/// Returns every string literal with the text before it.
fn literals(text: &str) -> Vec<(&str, String)> {
    let mut found = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(start) = text[at..].find('\'').map(|offset| at + offset) {
        let mut literal = String::new();
        let mut end = start + 1;
        while end < bytes.len() {
            if bytes[end] == b'\'' {
                if bytes.get(end + 1) != Some(&b'\'') {
                    break;
                }
                end += 1;
            }
            let width = text[end..].chars().next().map_or(1, char::len_utf8);
            literal.push_str(&text[end..end + width]);
            end += width;
        }
        if literal.len() <= 80 && !literal.contains('\n') {
            found.push((&text[..start], literal));
        }
        at = (end + 1).min(text.len());
    }
    found
}

/// Returns the whole numbers of a text, outside of words.
pub(super) fn numbers(text: &str) -> BTreeSet<i64> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '.')
        .filter_map(|word| word.parse().ok())
        .filter(|number: &i64| number.abs() < 1_000_000)
        .collect()
}

/// Whether a text mentions a name as a whole word.
pub(super) fn mentions(text: &str, name: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    !name.is_empty()
        && text.match_indices(name).any(|(at, _)| {
            !is_part(text[..at].chars().next_back())
                && !is_part(text[at + name.len()..].chars().next())
        })
}

/// Whether a text names a table without its schema.
pub(super) fn mentions_bare(text: &str, name: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    !name.is_empty()
        && text.match_indices(name).any(|(at, _)| {
            let before = text[..at].trim_end_matches('"').chars().next_back();
            !is_part(before)
                && before != Some('.')
                && !is_part(text[at + name.len()..].chars().next())
        })
}

fn has_part(name: &str, parts: &[&str]) -> bool {
    let name = name.to_lowercase();
    name.split('_').any(|part| parts.contains(&part))
}

/// Whether a column says that its row is meant for everybody.
pub(super) fn suggests_sharing(name: &str) -> bool {
    has_part(
        name,
        &[
            "public",
            "published",
            "shared",
            "share",
            "listed",
            "visibility",
            "global",
            "template",
            "featured",
            "marketplace",
        ],
    )
}

/// Whether a value says that its row is meant for everybody.
pub(super) fn is_shared_value(value: &str) -> bool {
    matches!(
        value.to_lowercase().as_str(),
        "public"
            | "published"
            | "shared"
            | "everyone"
            | "global"
            | "listed"
            | "world"
            | "all"
            | "true"
            | "t"
    )
}

/// Whether a name or value suggests an operator of the platform rather than a member of a tenant.
pub(super) fn suggests_staff(name: &str) -> bool {
    let name = name.to_lowercase();
    has_part(
        &name,
        &[
            "staff",
            "superadmin",
            "superuser",
            "platform",
            "support",
            "internal",
            "system",
            "operator",
            "root",
            "employee",
            "impersonate",
            "god",
        ],
    ) || name.contains("super_admin")
        || name.contains("service_role")
}

/// Whether a column holds a user.
pub(super) fn suggests_user(name: &str) -> bool {
    let name = name.to_lowercase();
    has_part(
        &name,
        &[
            "user", "owner", "author", "member", "creator", "uid", "sub", "profile", "person",
            "assignee", "sender",
        ],
    ) || matches!(
        name.as_str(),
        "created_by" | "updated_by" | "assigned_to" | "submitted_by" | "invited_by"
    )
}

/// Whether a column's name speaks of a table: `from_wallet_id` of `wallets`.
pub(super) fn names(column: &str, table: &str) -> bool {
    let stem = column.trim_end_matches("_id").trim_end_matches('s');
    let last = |name: &str| {
        let word = name.rsplit('_').next().unwrap_or_default();
        word.trim_end_matches('s').to_owned()
    };
    stem.len() > 1 && table.contains(stem) || last(stem).len() > 2 && last(stem) == last(table)
}

/// Whether a column holds the rank of a member.
pub(super) fn suggests_rank(name: &str) -> bool {
    has_part(
        name,
        &[
            "role",
            "rank",
            "level",
            "permission",
            "permissions",
            "access",
            "capability",
            "position",
        ],
    )
}

/// Whether a column says when or whether a row stopped to count.
pub(super) fn suggests_end(name: &str) -> bool {
    has_part(
        name,
        &[
            "revoked",
            "removed",
            "deleted",
            "left",
            "ended",
            "suspended",
            "disabled",
            "deactivated",
            "banned",
            "blocked",
            "terminated",
            "archived",
            "expired",
        ],
    )
}

/// Whether a value says that a row does not count, or not yet.
pub(super) fn is_ended_value(value: &str) -> bool {
    matches!(
        value.to_lowercase().as_str(),
        "inactive"
            | "revoked"
            | "removed"
            | "suspended"
            | "disabled"
            | "deleted"
            | "left"
            | "banned"
            | "blocked"
            | "pending"
            | "invited"
            | "expired"
            | "former"
            | "declined"
            | "rejected"
            | "deactivated"
            | "terminated"
            | "cancelled"
            | "canceled"
            | "archived"
            | "requested"
    )
}

/// Whether a key is secret or random and cannot be guessed.
pub(super) fn is_unguessable(name: &str) -> bool {
    has_part(
        name,
        &[
            "hash",
            "token",
            "secret",
            "digest",
            "uuid",
            "nonce",
            "key",
            "fingerprint",
            "checksum",
            "guid",
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_gives_its_words() {
        let words = read(
            "((org = (((auth.jwt() -> 'app_metadata'::text) ->> 'org'::text))::uuid) OR (kind = 'it''s'::text) OR (current_setting('app.x'::text, true) = ''::text))",
        );
        assert!(words.settings.contains("app.x"));
        assert!(words.keys.contains("org") && words.keys.contains("app_metadata"));
        assert!(words.values.contains("it's"));
    }

    #[test]
    fn bare_names_are_told_from_qualified_ones() {
        assert!(mentions_bare("FROM members m", "members"));
        assert!(!mentions_bare("FROM public.members m", "members"));
        assert!(!mentions_bare("FROM membership m", "members"));
        assert!(mentions("public.members", "members"));
    }
}
