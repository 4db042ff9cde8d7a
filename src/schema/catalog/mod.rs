//! [`Catalog`]: a schema as PostgreSQL describes it, in one form wherever it was read.
//!
//! An object is a [`Key`] with facts: texts that the server itself printed with an empty `search_path`. Two catalogs
//! are equal when the server would print both the same. Comparing and changing them is done in
//! [`crate::diff`]; SQL written by a person never reaches this module, only the definitions that a server prints.

pub mod acl;
mod assemble;
pub mod diagram;
mod fingerprint;
mod interner;
mod kind;
mod object;
pub mod read;
mod rename_schema;
mod row_decoder;
mod scope;
mod text;

use std::collections::BTreeMap;

pub use self::interner::Interner;
pub use self::kind::Kind;
pub use self::object::{Facts, Key, Object, Value};
pub use self::scope::is_platform;
pub use self::scope::{OwnObjects, Scope};
pub use self::text::Text;

/// A schema as one server described it at one moment.
///
/// Equality compares the objects alone, not the server version, the database or the reading role.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// The server's version as `server_version_num` gives it, such as 150018.
    pub version: i32,
    /// The database that was read.
    pub database: String,
    /// The role that read it.
    pub reader: String,
    /// Every object, by its key.
    pub objects: BTreeMap<Key, Object>,
    /// Objects in the database that af-db does not support, such as `2 large objects`.
    pub unmodelled: Vec<String>,
    /// What could not be read with the privileges of the role; it must not be treated as absent.
    pub unseen: Vec<String>,
}

impl PartialEq for Catalog {
    fn eq(&self, other: &Self) -> bool {
        self.objects == other.objects
    }
}

impl Catalog {
    /// Finds an object.
    pub fn get(&self, key: &Key) -> Option<&Object> {
        self.objects.get(key)
    }

    /// Returns every object of one kind in order.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = (&Key, &Object)> {
        self.objects
            .range(Key::first(kind)..)
            .take_while(move |(key, _)| key.kind == kind)
    }

    /// Returns the parts of one kind (columns, policies, constraints, …) of a relation in order of their names.
    pub fn parts<'a>(
        &'a self,
        kind: Kind,
        schema: &'a str,
        name: &'a str,
    ) -> impl Iterator<Item = (&'a Key, &'a Object)> {
        self.objects
            .range(Key::part(kind, schema, name, "")..)
            .take_while(move |(key, _)| {
                key.kind == kind && &*key.schema == schema && &*key.name == name
            })
    }

    /// Returns the columns of a table, view or composite type in their order.
    pub fn columns<'a>(&'a self, relation: &'a Key) -> Vec<(&'a Key, &'a Object)> {
        let order = self
            .get(relation)
            .map(|object| object.list("columns"))
            .unwrap_or_default();
        order
            .iter()
            .filter_map(|name| {
                let key = Key::part(Kind::Column, &relation.schema, &relation.name, name);
                self.objects.get_key_value(&key)
            })
            .collect()
    }

    /// Finds the object that contains another: the relation of a column, the table of an index.
    pub fn parent(&self, key: &Key) -> Option<Key> {
        if key.kind == Kind::Index || key.kind == Kind::Statistics {
            return self.get(key)?.on.as_deref().cloned();
        }
        if !key.kind.is_part() {
            return None;
        }
        [
            Kind::Table,
            Kind::View,
            Kind::MaterializedView,
            Kind::ForeignTable,
            Kind::Type,
        ]
        .into_iter()
        .map(|kind| Key::named(kind, &key.schema, &key.name))
        .find(|parent| self.objects.contains_key(parent))
    }

    /// Keeps the objects in the named schemas and those in no schema.
    pub fn only(&self, schemas: &[String]) -> Catalog {
        self.retain(|key, _| {
            let schema = if key.kind == Kind::Schema {
                &key.name
            } else {
                &key.schema
            };
            schema.is_empty() || schemas.iter().any(|wanted| **wanted == **schema)
        })
    }

    /// Keeps the objects that the test accepts.
    pub fn retain(&self, keep: impl Fn(&Key, &Object) -> bool) -> Catalog {
        Catalog {
            objects: self
                .objects
                .iter()
                .filter(|(key, object)| keep(key, object))
                .map(|(key, object)| (key.clone(), object.clone()))
                .collect(),
            version: self.version,
            database: self.database.clone(),
            reader: self.reader.clone(),
            unmodelled: self.unmodelled.clone(),
            unseen: self.unseen.clone(),
        }
    }

    /// Removes owners, so that schemas built by different roles compare equal.
    ///
    /// Grants stay, those of the owner as `Grantee::Owner`.
    pub fn without_owners(&self) -> Catalog {
        let mut catalog = self.clone();
        for object in catalog.objects.values_mut() {
            object.owner = None;
        }
        catalog
    }
}
