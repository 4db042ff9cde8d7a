//! The difference of two catalogs: the changes ([`between`]) and the statements that migrate one to the other
//! ([`ddl::statements`]).
//!
//! Both treat all kinds of objects alike; only `ddl` knows the syntax of each kind. Nothing here connects to a server.

mod base_type_cycle;
pub mod ddl;
mod decide;
mod graph;
mod implied_steps;
mod partition;
mod plan;
pub mod predictable;
mod rebuild_triggers;
pub mod report;
mod topological_sort;

use std::fmt;

use crate::catalog::{Catalog, Key, Kind, Object, Text, Value};

/// One object that differs between two catalogs.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub key: Key,
    /// The object that contains this one, such as the table of a column.
    pub parent: Option<Key>,
    /// The object in the first catalog; absent when it is new.
    pub before: Option<Object>,
    /// The object in the second catalog; absent when it is dropped.
    pub after: Option<Object>,
}

/// One property of an object that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// Such as `not null`.
    pub name: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

/// Compares two catalogs; the result is empty exactly when they are equal.
///
/// The order of columns counts only where adding and dropping columns would not produce it.
pub fn between(from: &Catalog, to: &Catalog) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut before = from.objects.iter().peekable();
    let mut after = to.objects.iter().peekable();
    loop {
        let (key, old, new) = match (before.peek(), after.peek()) {
            (None, None) => return changes,
            (Some(&(key, old)), None) => (key, Some(old), None),
            (None, Some(&(key, new))) => (key, None, Some(new)),
            (Some(&(one, old)), Some(&(other, new))) => match one.cmp(other) {
                std::cmp::Ordering::Less => (one, Some(old), None),
                std::cmp::Ordering::Greater => (other, None, Some(new)),
                std::cmp::Ordering::Equal => (one, Some(old), Some(new)),
            },
        };
        if old.is_some() {
            before.next();
        }
        if new.is_some() {
            after.next();
        }
        if let (Some(old), Some(new)) = (old, new)
            && is_same(key, old, new)
        {
            continue;
        }
        let side = if new.is_some() { to } else { from };
        changes.push(Change {
            key: key.clone(),
            parent: side.parent(key),
            before: old.cloned(),
            after: new.cloned(),
        });
    }
}

/// Leaves out objects that are added or dropped together with the object that contains them.
pub fn outermost(changes: &[Change]) -> Vec<&Change> {
    let whole: std::collections::BTreeSet<&Key> = changes
        .iter()
        .filter(|change| change.before.is_none() || change.after.is_none())
        .map(|change| &change.key)
        .collect();
    changes
        .iter()
        .filter(|change| {
            !change
                .parent
                .as_ref()
                .is_some_and(|parent| whole.contains(parent))
        })
        .collect()
}

fn is_same(key: &Key, old: &Object, new: &Object) -> bool {
    if old == new {
        return true;
    }
    let has_columns = key.kind.is_relation() || key.kind == Kind::Type;
    has_columns && keeps_order(old, new) && {
        let (mut old, mut new) = (old.clone(), new.clone());
        old.set("columns", None);
        new.set("columns", None);
        old == new
    }
}

/// Returns whether dropping and adding columns produces the new order.
fn keeps_order(old: &Object, new: &Object) -> bool {
    natural_order(old.list("columns"), new.list("columns"), |_| false) == new.list("columns")
}

/// Returns the order that dropping and adding columns would produce.
fn natural_order(old: &[Text], new: &[Text], made_again: impl Fn(&Text) -> bool) -> Vec<Text> {
    let old_set: std::collections::HashSet<&Text> =
        old.iter().filter(|name| !made_again(name)).collect();
    let new_set: std::collections::HashSet<&Text> = new.iter().collect();
    let kept = old
        .iter()
        .filter(|name| new_set.contains(name) && old_set.contains(name));
    let added = new.iter().filter(|name| !old_set.contains(name));
    kept.chain(added).cloned().collect()
}

impl Change {
    /// Returns the differing properties; empty when the object is in only one catalog.
    pub fn details(&self) -> Vec<Detail> {
        let (Some(before), Some(after)) = (&self.before, &self.after) else {
            return Vec::new();
        };
        let mut details = Vec::new();
        let mut add = |name: &str, before: Option<String>, after: Option<String>| {
            if before != after {
                details.push(Detail {
                    name: name.replace('_', " "),
                    before,
                    after,
                });
            }
        };
        let mut names: Vec<&Text> = before
            .facts
            .iter()
            .chain(&*after.facts)
            .map(|(name, _)| name)
            .collect();
        names.sort();
        names.dedup();
        for name in names {
            if &**name == "columns" && keeps_order(before, after) {
                continue;
            }
            add(name, words(before.fact(name)), words(after.fact(name)));
        }
        let text = |text: &Option<Text>| text.as_deref().map(str::to_owned);
        add("owner", text(&before.owner), text(&after.owner));
        add("comment", text(&before.comment), text(&after.comment));
        let acl = |object: &Object| {
            let acl = object.acl.as_ref();
            Some(acl.map_or_else(|| "the defaults".to_owned(), ToString::to_string))
        };
        if before.acl != after.acl {
            add("privileges", acl(before), acl(after));
        }
        let labels = |object: &Object| {
            let labels = object
                .labels
                .iter()
                .map(|(provider, label)| format!("{provider}: {label}"));
            let labels: Vec<String> = labels.collect();
            (!labels.is_empty()).then(|| labels.join(", "))
        };
        add("security labels", labels(before), labels(after));
        details
    }
}

fn words(value: Option<&Value>) -> Option<String> {
    value.map(|value| match value {
        Value::Text(text) if &**text == "t" => "yes".to_owned(),
        value => value.to_string(),
    })
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.before, &self.after) {
            (None, _) => write!(f, "{} is new", self.key),
            (_, None) => write!(f, "{} is gone", self.key),
            _ => {
                let details = self.details();
                let names: Vec<&str> = details.iter().map(|detail| detail.name.as_str()).collect();
                write!(f, "{} differs in {}", self.key, names.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[&str]) -> Catalog {
        let mut catalog = Catalog::default();
        let mut object = Object::default();
        let names: Vec<Text> = columns.iter().map(|name| Text::from(*name)).collect();
        object.set("columns", Some(Value::List(names)));
        let key = Key::named(Kind::Table, "public", "t");
        catalog.objects.insert(key, object);
        for name in columns {
            let key = Key::part(Kind::Column, "public", "t", name);
            let mut column = Object::default();
            column.set("type", Some(Value::Text("integer".into())));
            catalog.objects.insert(key, column);
        }
        catalog
    }

    #[test]
    fn a_column_more_is_one_change_and_order_counts_only_when_it_must() {
        let check = |from: &[&str], to: &[&str], expected: &[&str]| {
            let changes = between(&table(from), &table(to));
            let shown: Vec<String> = changes.iter().map(Change::to_string).collect();
            assert_eq!(shown, expected);
        };
        check(&["a", "b"], &["a", "b"], &[]);
        check(&["a"], &["a", "b"], &["column public.t.b is new"]);
        check(
            &["a", "b", "c"],
            &["a", "c"],
            &["column public.t.b is gone"],
        );
        check(
            &["a", "b"],
            &["b", "a"],
            &["table public.t differs in columns"],
        );
        check(
            &["a"],
            &["b", "a"],
            &[
                "table public.t differs in columns",
                "column public.t.b is new",
            ],
        );
    }

    #[test]
    fn parts_of_a_new_object_are_not_listed() {
        let changes = between(&Catalog::default(), &table(&["a", "b"]));
        assert_eq!(changes.len(), 3);
        assert_eq!(outermost(&changes).len(), 1);
    }
}
