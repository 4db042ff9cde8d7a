//! What of two catalogs is compared when one of them was declared: no more than the manifest speaks of.

use std::collections::BTreeSet;

use crate::catalog::{Catalog, Key, Kind, Object, Value};
use crate::manifest::Manifest;
use crate::manifest::write::same_index;
use crate::sql::split::split;

/// A declared schema and an actual one, cut down to what can be held against each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// What the manifest declares.
    pub declared: Catalog,
    /// What is there.
    pub actual: Catalog,
}

/// Takes from both catalogs what the manifest speaks of.
///
/// Policies, grants and owners count only where the manifest declares any; a partial manifest leaves everything else
/// of the database free.
pub fn comparable(manifest: &Manifest, declared: &Catalog, actual: &Catalog) -> Pair {
    let speech = Speech::of(manifest);
    let mut pair = Pair {
        declared: speech.cut(declared),
        actual: speech.cut(actual),
    };
    if manifest.is_partial() {
        pair.actual = restrict(&pair.declared, &pair.actual);
    }
    pair
}

/// Leaves out what belongs to a policy set: policies and grants, with those by default.
pub fn without_security(catalog: &Catalog) -> Catalog {
    Speech {
        policies: false,
        grants: false,
        owners: true,
    }
    .cut(catalog)
}

/// Leaves of the roles those that both know, with the attributes that say what they may do at all.
///
/// Which other roles a server has is its own affair, and so are settings, memberships, and the role that the declared
/// side was built as.
pub fn settled_roles(declared: &Catalog, actual: &Catalog) -> (Catalog, Catalog) {
    let known = |catalog: &Catalog, key: &Key| catalog.get(key).is_some();
    let cut = |catalog: &Catalog, other: &Catalog| {
        let mut cut = catalog.retain(|key, _| {
            key.kind != Kind::Role || known(other, key) && *key.name != *declared.reader
        });
        for (key, object) in &mut cut.objects {
            if key.kind == Kind::Role {
                object.keep_facts(|name| {
                    matches!(
                        name,
                        "superuser"
                            | "bypass_rls"
                            | "create_role"
                            | "create_database"
                            | "replication"
                            | "login"
                            | "no_inherit"
                    )
                });
                object.comment = None;
            }
        }
        cut
    };
    (cut(declared, actual), cut(actual, declared))
}

/// What a manifest speaks of beside the shape of the schema.
pub(crate) struct Speech {
    pub(crate) policies: bool,
    pub(crate) grants: bool,
    pub(crate) owners: bool,
}

impl Speech {
    pub(crate) fn of(manifest: &Manifest) -> Self {
        let verbs: BTreeSet<String> = manifest
            .texts()
            .flat_map(split)
            .map(|statement| statement.verb())
            .collect();
        let says = |front: &str| verbs.iter().any(|verb| verb.starts_with(front));
        let tables = || manifest.tables().map(|(_, table)| table);
        let documents = || manifest.files.iter().map(|file| &file.document);
        let grants = tables().any(|table| !table.grants.is_empty())
            || documents().any(|document| {
                let schemas = document
                    .schemas
                    .iter()
                    .filter_map(|(_, schema)| schema.as_ref());
                schemas.into_iter().any(|schema| !schema.grants.is_empty())
                    || document
                        .views
                        .iter()
                        .any(|(_, view)| !view.grants.is_empty())
            });
        Speech {
            policies: manifest.declares_policies() || says("CREATE POLICY"),
            grants: grants || says("GRANT") || says("REVOKE") || says("ALTER DEFAULT"),
            owners: tables().any(|table| table.owner.is_some())
                || documents()
                    .any(|document| document.views.iter().any(|(_, view)| view.owner.is_some())),
        }
    }

    fn cut(&self, catalog: &Catalog) -> Catalog {
        let mut cut = catalog.retain(|key, _| match key.kind {
            Kind::Policy => self.policies,
            Kind::DefaultPrivileges | Kind::SystemGrant => self.grants,
            // What holds for the whole database is not the schema's.
            Kind::Database | Kind::Parameter | Kind::Role => false,
            _ => true,
        });
        for object in cut.objects.values_mut() {
            if !self.grants {
                object.acl = None;
            }
            if !self.owners {
                object.owner = None;
            }
        }
        cut
    }
}

/// Keeps of a catalog what a partial declaration names, in its spelling wherever it holds.
fn restrict(declared: &Catalog, actual: &Catalog) -> Catalog {
    let mut kept = declared.retain(|_, _| false);
    for (key, wanted) in &declared.objects {
        let found = match key.kind {
            Kind::Constraint => {
                let mut others = actual.parts(Kind::Constraint, &key.schema, &key.name);
                others.find(|(_, other)| other.text("definition") == wanted.text("definition"))
            }
            Kind::Index => actual
                .of_kind(Kind::Index)
                .find(|(_, other)| other.on == wanted.on && same_index(other, wanted)),
            _ => actual.objects.get_key_value(key),
        };
        let Some((_, object)) = found else { continue };
        let by_definition = matches!(key.kind, Kind::Constraint | Kind::Index);
        let object = if by_definition {
            wanted.clone()
        } else {
            narrow(key, wanted, object, actual)
        };
        kept.objects.insert(key.clone(), object);
    }
    kept
}

/// Keeps of an object the facts that are declared.
fn narrow(key: &Key, wanted: &Object, object: &Object, actual: &Catalog) -> Object {
    let mut narrowed = object.clone();
    narrowed.keep_facts(|name| wanted.has(name));
    narrowed.needs.clone_from(&wanted.needs);
    if wanted.comment.is_none() {
        narrowed.comment = None;
    }
    if wanted.acl.is_none() {
        narrowed.acl = None;
    }
    if wanted.owner.is_none() {
        narrowed.owner = None;
    }
    narrowed.labels.clone_from(&wanted.labels);
    if key.kind.is_relation() {
        // Others may stand between them.
        let is_there = |column: &&crate::catalog::Text| {
            actual
                .get(&Key::part(Kind::Column, &key.schema, &key.name, column))
                .is_some()
        };
        let columns = wanted
            .list("columns")
            .iter()
            .filter(is_there)
            .cloned()
            .collect();
        narrowed.set("columns", Some(Value::List(columns)));
    }
    narrowed
}
