//! Resolves names and patterns of the declared policies in a catalog.

use crate::catalog::{Catalog, Key, Kind};
use crate::yaml::nearest;

/// Finds a relation written as `name` or `schema.name`.
pub(crate) fn relation(catalog: &Catalog, kinds: &[Kind], name: &str) -> Option<Key> {
    let written = |schema: &str, name: &str| {
        let found = kinds.iter().map(|kind| Key::named(*kind, schema, name));
        found
            .into_iter()
            .find(|key| catalog.objects.contains_key(key))
    };
    name.split_once('.')
        .and_then(|(schema, table)| written(schema, table))
        .or_else(|| written("public", name))
}

/// Finds the objects that a name or pattern means, in order.
pub(crate) fn matching(catalog: &Catalog, kinds: &[Kind], pattern: &str) -> Vec<Key> {
    let mut found: Vec<Key> = Vec::new();
    for kind in kinds {
        let keys = catalog.of_kind(*kind).map(|(key, _)| key);
        found.extend(keys.filter(|key| matches(key, pattern)).cloned());
    }
    found
}

/// Whether a pattern means an object: `log_*` in `public`, `billing.*`, `app.tenant_id()`, `app.tenant_id`.
pub(crate) fn matches(key: &Key, pattern: &str) -> bool {
    let bare = if key.kind.name_is_preformatted() {
        key.name.split('(').next().unwrap_or(&key.name)
    } else {
        &key.name
    };
    let has_arguments = pattern.contains('(');
    let name = if has_arguments { &*key.name } else { bare };
    let qualified = if key.schema.is_empty() {
        name.to_owned()
    } else {
        format!("{}.{name}", key.schema)
    };
    glob(pattern, &qualified) || &*key.schema == "public" && glob(pattern, name)
}

/// Whether a pattern with `*` fits a text.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    if !pattern.contains('*') {
        return rest.is_empty();
    }
    let mut parts: Vec<&str> = parts.collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Returns the name a person would write for an object: without `public.`.
pub(crate) fn short(key: &Key) -> String {
    let schema = &*key.schema;
    if schema == "public" || schema.is_empty() {
        key.name.to_string()
    } else {
        format!("{schema}.{}", key.name)
    }
}

/// Finds the name that a misspelt one may have meant.
pub(crate) fn near(catalog: &Catalog, kinds: &[Kind], name: &str) -> Option<String> {
    let known: Vec<String> = kinds
        .iter()
        .flat_map(|kind| catalog.of_kind(*kind).map(|(key, _)| short(key)))
        .collect();
    nearest(name, known.iter().map(String::as_str)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit() {
        let check = |pattern: &str, text: &str, fits: bool| {
            assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
        };
        check("log_*", "log_x", true);
        check("log_*", "alog_x", false);
        check("*_log", "x_log", true);
        check("a*c*e", "abcde", true);
        check("a*c*e", "abde", false);
        check("a", "ab", false);
        check("*", "", true);
    }
}
