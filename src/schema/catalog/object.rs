//! The objects of a catalog: keys, objects and their facts.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use crate::catalog::acl::Acl;
use crate::catalog::kind::Kind;
use crate::catalog::text::Text;
use crate::sql::name::Ident;

/// Facts sorted by name, shared by all objects with the same facts.
pub type Facts = Arc<[(Text, Value)]>;

/// The identity of an object: its kind and name, never its OID.
///
/// Keys are ordered by kind, then by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The kind of object.
    pub kind: Kind,
    /// The schema; empty for objects in no schema.
    pub schema: Text,
    /// The name; for functions and operators including their argument types, quoted.
    pub name: Text,
    /// The name within a relation, server or role: a column, a constraint, a policy; empty otherwise.
    pub part: Text,
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        // Shared texts are equal without a comparison.
        let text = |one: &Text, other: &Text| match Text::ptr_eq(one, other) {
            true => Ordering::Equal,
            false => one.cmp(other),
        };
        self.kind
            .cmp(&other.kind)
            .then_with(|| text(&self.schema, &other.schema))
            .then_with(|| text(&self.name, &other.name))
            .then_with(|| text(&self.part, &other.part))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Key {
    /// Names an object that is not part of another.
    pub fn named(kind: Kind, schema: &str, name: &str) -> Self {
        Key::part(kind, schema, name, "")
    }

    /// Names a part of a relation.
    pub fn part(kind: Kind, schema: &str, name: &str, part: &str) -> Self {
        Key {
            kind,
            schema: schema.into(),
            name: name.into(),
            part: part.into(),
        }
    }

    /// Returns a key that sorts before every key of the kind.
    pub(crate) fn first(kind: Kind) -> Self {
        Key::part(kind, "", "", "")
    }

    /// Returns the name with its schema, quoted, without the kind and without the part.
    pub fn qualified(&self) -> String {
        let name = if self.kind.name_is_preformatted() {
            self.name.to_string()
        } else {
            Ident::new(&*self.name).to_string()
        };
        if self.schema.is_empty() {
            return name;
        }
        format!("{}.{name}", Ident::new(&*self.schema))
    }

    /// Returns the whole name without the kind, such as `public.orders.id`.
    pub fn subject(&self) -> String {
        if self.part.is_empty() {
            return self.qualified();
        }
        match self.kind {
            Kind::UserMapping | Kind::SystemGrant => format!("{} {}", self.part, self.qualified()),
            Kind::DefaultPrivileges => {
                let place = if self.schema.is_empty() {
                    String::new()
                } else {
                    format!(" in {}", Ident::new(&*self.schema))
                };
                format!("{} on {}{place}", Ident::new(&*self.name), self.part)
            }
            _ => format!("{}.{}", self.qualified(), Ident::new(&*self.part)),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Database => f.write_str("database"),
            Kind::DefaultPrivileges => write!(f, "default privileges of {}", self.subject()),
            Kind::RowSecurity => write!(f, "row-level security of {}", self.qualified()),
            Kind::Partition => write!(f, "partition {}", self.qualified()),
            Kind::SequenceOwner => write!(f, "owner column of sequence {}", self.qualified()),
            Kind::Default | Kind::Identity | Kind::NotNull => {
                write!(f, "{} of column {}", self.kind, self.subject())
            }
            Kind::Policy | Kind::Trigger | Kind::Rule | Kind::Constraint => {
                write!(
                    f,
                    "{} {} on {}",
                    self.kind,
                    Ident::new(&*self.part),
                    self.qualified()
                )
            }
            _ => write!(f, "{} {}", self.kind, self.subject()),
        }
    }
}

/// The value of a fact.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// One text as the server printed it; `t` for a flag.
    Text(Text),
    /// Several texts in an order that matters.
    List(Vec<Text>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => f.write_str(text),
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        f.write_str(", ")?;
                    }
                    f.write_str(item)?;
                }
                Ok(())
            }
        }
    }
}

/// One object as the server describes it.
///
/// Equality ignores the dependencies, which follow from the facts, and whether a materialized view is populated.
#[derive(Clone, Debug, Default)]
pub struct Object {
    /// The owner, for kinds that have one.
    pub owner: Option<Text>,
    pub comment: Option<Text>,
    /// The privileges; absent while they are the built-in defaults.
    pub acl: Option<Acl>,
    /// Security labels as provider and label.
    pub labels: Vec<(Text, Text)>,
    /// The facts, sorted by name; defaults are left out.
    pub facts: Facts,
    /// Whether a materialized view is not populated; not compared, but needed to create it.
    pub unfilled: bool,
    /// The table of an index or of extended statistics.
    pub on: Option<Box<Key>>,
    /// The objects that this one depends on, apart from its schema and its parent; sorted.
    pub needs: Vec<Key>,
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.facts == other.facts
            && self.owner == other.owner
            && self.comment == other.comment
            && self.acl == other.acl
            && self.labels == other.labels
    }
}

impl Object {
    pub fn fact(&self, name: &str) -> Option<&Value> {
        self.facts
            .binary_search_by(|(known, _)| (**known).cmp(name))
            .ok()
            .map(|index| &self.facts[index].1)
    }

    /// Returns the text of a fact.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.fact(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Returns the list of a fact; empty if the fact is absent.
    pub fn list(&self, name: &str) -> &[Text] {
        match self.fact(name) {
            Some(Value::List(items)) => items,
            _ => &[],
        }
    }

    pub fn has(&self, name: &str) -> bool {
        self.fact(name).is_some()
    }

    /// Sets or removes a fact.
    pub fn set(&mut self, name: &str, value: Option<Value>) {
        let mut facts = self.facts.to_vec();
        let found = facts.binary_search_by(|(known, _)| (**known).cmp(name));
        match (found, value) {
            (Ok(index), Some(value)) => facts[index].1 = value,
            (Ok(index), None) => {
                facts.remove(index);
            }
            (Err(index), Some(value)) => facts.insert(index, (name.into(), value)),
            (Err(_), None) => return,
        }
        self.facts = facts.into();
    }

    /// Keeps the facts whose names the test accepts.
    pub fn keep_facts(&mut self, keep: impl Fn(&str) -> bool) {
        let kept = self.facts.iter().filter(|(name, _)| keep(name));
        self.facts = kept.cloned().collect();
    }
}
