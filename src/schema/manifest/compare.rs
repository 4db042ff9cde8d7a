//! Which parts of a declared and an actual schema are compared: those that the manifest declares.

use std::collections::BTreeSet;

use crate::catalog::{Catalog, Key, Kind, Object, Value};
use crate::manifest::Manifest;
use crate::manifest::write::same_index;
use crate::sql::split::split;

/// A declared and an actual schema, reduced to what can be compared.
#[derive(Clone, Debug, PartialEq)]
pub struct ComparableSchemas {
    pub declared: Catalog,
    pub actual: Catalog,
}

/// Reduces both catalogs to what the manifest declares.
///
/// Policies, grants and owners count only where the manifest declares any; a partial manifest leaves everything else
/// of the database unchecked.
pub fn comparable(manifest: &Manifest, declared: &Catalog, actual: &Catalog) -> ComparableSchemas {
    let speech = DeclaredAspects::of(manifest);
    let mut pair = ComparableSchemas {
        declared: speech.cut(declared),
        actual: speech.cut(actual),
    };
    if manifest.is_partial() {
        pair.actual = restrict(&pair.declared, &pair.actual);
    }
    pair
}

/// Leaves out policies, grants and default privileges, which are managed in policies/.
pub fn without_security(catalog: &Catalog) -> Catalog {
    DeclaredAspects {
        policies: false,
        grants: false,
        owners: true,
    }
    .cut(catalog)
}

/// Reduces roles to those in both catalogs, with the attributes that grant rights.
///
/// Other roles of a server are not compared, nor are settings, memberships, and the role that the declared
/// schema was built with.
pub fn common_roles(declared: &Catalog, actual: &Catalog) -> (Catalog, Catalog) {
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

/// Which aspects a manifest declares besides the objects themselves.
pub(crate) struct DeclaredAspects {
    pub(crate) policies: bool,
    pub(crate) grants: bool,
    pub(crate) owners: bool,
}

impl DeclaredAspects {
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
        DeclaredAspects {
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
            // Properties of the whole database are not part of the schema.
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

/// Reduces a catalog to what a partial manifest declares, with its definitions where they hold.
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

/// Reduces an object to the declared facts.
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
        // Other columns may be between them.
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
