//! The building blocks of a manifest: named entries in file order, and lines of SQL that may
//! have a comment.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor, value::MapAccessDeserializer};

use crate::yaml::Located;

/// Named entries in file order, with the location of each name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entries<T>(pub Vec<(Located<String>, T)>);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Entries(Vec::new())
    }
}

impl<T> Entries<T> {
    pub fn iter(&self) -> impl Iterator<Item = &(Located<String>, T)> {
        self.0.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor(PhantomData))
    }
}

struct EntriesVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for EntriesVisitor<T> {
    type Value = Entries<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Entries(entries))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Entries::default())
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Entries::default())
    }
}

/// A line of SQL: `uuid not null`, or `{ is: uuid not null, comment: … }`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SqlEntry {
    pub sql: Option<Located<String>>,
    pub comment: Option<Located<String>>,
    /// The previous name.
    pub renamed_from: Option<Located<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Spelled {
    is: Option<Located<String>>,
    comment: Option<Located<String>>,
    renamed_from: Option<Located<String>>,
}

impl<'de> Deserialize<'de> for SqlEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let placed = Located::<Either>::deserialize(deserializer)?;
        Ok(match placed.value {
            Either::Nothing => SqlEntry::default(),
            Either::Text(value) => SqlEntry {
                sql: Some(Located {
                    value,
                    line: placed.line,
                    column: placed.column,
                }),
                ..SqlEntry::default()
            },
            Either::Spelled(spelled) => SqlEntry {
                sql: spelled.is,
                comment: spelled.comment,
                renamed_from: spelled.renamed_from,
            },
        })
    }
}

enum Either {
    Nothing,
    Text(String),
    Spelled(Spelled),
}

impl<'de> Deserialize<'de> for Either {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EitherVisitor)
    }
}

struct EitherVisitor;

impl<'de> Visitor<'de> for EitherVisitor {
    type Value = Either;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a line of SQL, or a map with `is`, `comment` and `renamed-from`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Either, E> {
        Ok(Either::Text(text.to_owned()))
    }

    fn visit_unit<E: Error>(self) -> Result<Either, E> {
        Ok(Either::Nothing)
    }

    fn visit_none<E: Error>(self) -> Result<Either, E> {
        Ok(Either::Nothing)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Either, A::Error> {
        Spelled::deserialize(MapAccessDeserializer::new(map)).map(Either::Spelled)
    }
}
