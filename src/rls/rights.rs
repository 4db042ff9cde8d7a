//! [`Rights`]: policies, row-level security and grants of a database, declared or read.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::acl::{Acl, Grantee};
use crate::catalog::{Catalog, Key, Kind, Object};
use crate::finding::Location;

/// Everybody, in the places where roles are named.
pub const PUBLIC: &str = "public";

/// What a policy is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Command {
    Select,
    Insert,
    Update,
    Delete,
    /// All four.
    All,
}

impl Command {
    /// Returns the word of SQL.
    pub fn word(self) -> &'static str {
        match self {
            Command::Select => "SELECT",
            Command::Insert => "INSERT",
            Command::Update => "UPDATE",
            Command::Delete => "DELETE",
            Command::All => "ALL",
        }
    }

    /// Reads the word of SQL.
    pub fn from_word(word: &str) -> Option<Command> {
        Some(match word.to_ascii_uppercase().as_str() {
            "SELECT" => Command::Select,
            "INSERT" => Command::Insert,
            "UPDATE" => Command::Update,
            "DELETE" => Command::Delete,
            "ALL" => Command::All,
            _ => return None,
        })
    }

    /// Returns the letter of the privilege it needs.
    pub(crate) fn privilege(self) -> char {
        match self {
            Command::Select | Command::All => 'r',
            Command::Insert => 'a',
            Command::Update => 'w',
            Command::Delete => 'd',
        }
    }

    /// Returns the single commands.
    pub(crate) fn each(self) -> Vec<Command> {
        match self {
            Command::All => vec![
                Command::Select,
                Command::Insert,
                Command::Update,
                Command::Delete,
            ],
            one => vec![one],
        }
    }
}

/// A policy; its name is what it is called, not what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub name: String,
    pub command: Command,
    /// Whether it narrows what the others admit.
    pub restrictive: bool,
    /// The roles, without quotes; `public` is everybody.
    pub roles: BTreeSet<String>,
    /// Which rows are reached.
    pub using: Option<String>,
    /// Which rows may be written.
    pub check: Option<String>,
    /// Where it is declared.
    pub place: Option<Location>,
}

/// Row-level security of one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableSecurity {
    /// Whether policies are applied.
    pub enabled: bool,
    /// Whether they are applied to the owner too.
    pub forced: bool,
    pub policies: Vec<Policy>,
}

/// One privilege of one grantee on one object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// The object, or the column of a relation.
    pub on: Key,
    /// Who may; `public` is everybody.
    pub grantee: String,
    /// The privilege's letter.
    pub privilege: char,
    /// Whether it may be passed on.
    pub grantable: bool,
}

/// Who may do what.
#[derive(Clone, Debug, Default)]
pub struct Rights {
    /// Tables by `Key::named(Kind::Table, …)`.
    pub tables: BTreeMap<Key, TableSecurity>,
    /// Every privilege beyond those of owners.
    pub grants: BTreeSet<Grant>,
}

/// What a database says of a role that decides what its rights come to.
#[derive(Clone, Debug, Default)]
pub struct Roles(BTreeMap<String, RoleMemberships>);

#[derive(Clone, Debug, Default)]
struct RoleMemberships {
    exempt: bool,
    superuser: bool,
    inherits_from: Vec<String>,
}

impl Roles {
    /// Reads the roles of a catalog whose scope took them.
    pub fn of(catalog: &Catalog) -> Roles {
        let mut roles = BTreeMap::new();
        for (key, object) in catalog.of_kind(Kind::Role) {
            let inherits_from = if object.has("no_inherit") {
                Vec::new()
            } else {
                object
                    .list("member_of")
                    .iter()
                    .map(|role| unquote(role.strip_suffix(" WITH ADMIN OPTION").unwrap_or(role)))
                    .collect()
            };
            roles.insert(
                key.name.to_string(),
                RoleMemberships {
                    exempt: object.has("superuser") || object.has("bypass_rls"),
                    superuser: object.has("superuser"),
                    inherits_from,
                },
            );
        }
        Roles(roles)
    }

    /// Whether a role is there; none is known to be missing where none were read.
    pub fn knows(&self, role: &str) -> bool {
        self.0.is_empty() || role == PUBLIC || role.starts_with("pg_") || self.0.contains_key(role)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether no policy applies to a role.
    pub fn is_exempt(&self, role: &str) -> bool {
        self.0.get(role).is_some_and(|role| role.exempt)
    }

    /// Whether a role may do everything.
    pub fn is_superuser(&self, role: &str) -> bool {
        self.0.get(role).is_some_and(|role| role.superuser)
    }

    /// Returns the role, everybody, and what it inherits from.
    pub fn reach<'a>(&'a self, role: &'a str) -> BTreeSet<&'a str> {
        let mut reached = BTreeSet::from([PUBLIC]);
        let mut left = vec![role];
        while let Some(next) = left.pop() {
            if reached.insert(next) {
                let from = self.0.get(next).map(|role| role.inherits_from.as_slice());
                left.extend(from.unwrap_or_default().iter().map(String::as_str));
            }
        }
        reached
    }
}

impl Rights {
    /// Reads the rights of a catalog.
    pub fn of(catalog: &Catalog, roles: &Roles) -> Rights {
        let mut rights = Rights::default();
        for (key, _) in catalog.of_kind(Kind::Table) {
            rights.tables.insert(key.clone(), TableSecurity::default());
        }
        for (key, object) in catalog.of_kind(Kind::RowSecurity) {
            if let Some(rows) = rights.tables.get_mut(&table_of(key)) {
                rows.enabled = object.has("enabled");
                rows.forced = object.has("forced");
            }
        }
        for (key, object) in catalog.of_kind(Kind::Policy) {
            // Policies of tables outside the schemas read stand on the platform's tables.
            let rows = rights
                .tables
                .entry(table_of(key))
                .or_insert_with(|| TableSecurity {
                    enabled: true,
                    ..TableSecurity::default()
                });
            rows.policies.push(policy(key, object));
        }
        for (key, object) in &catalog.objects {
            take_grants(catalog, key, object, roles, &mut rights.grants);
        }
        rights
    }

    /// Returns the grants on an object and on its columns.
    pub fn grants_on<'a>(&'a self, key: &'a Key) -> impl Iterator<Item = &'a Grant> {
        self.grants.iter().filter(move |grant| {
            grant.on == *key
                || grant.on.kind == Kind::Column
                    && grant.on.schema == key.schema
                    && grant.on.name == key.name
        })
    }
}

/// Returns the table that a part belongs to.
pub(crate) fn table_of(key: &Key) -> Key {
    Key::named(Kind::Table, &key.schema, &key.name)
}

fn policy(key: &Key, object: &Object) -> Policy {
    let command = object.text("command").and_then(Command::from_word);
    Policy {
        name: key.part.to_string(),
        command: command.unwrap_or(Command::All),
        restrictive: object.has("restrictive"),
        roles: object
            .list("roles")
            .iter()
            .map(|role| unquote(role))
            .collect(),
        using: object.text("using").map(str::to_owned),
        check: object.text("with_check").map(str::to_owned),
        place: None,
    }
}

/// Kinds whose privileges are compared.
pub(crate) fn is_governed(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Table
            | Kind::ForeignTable
            | Kind::View
            | Kind::MaterializedView
            | Kind::Column
            | Kind::Sequence
            | Kind::Function
            | Kind::Procedure
            | Kind::Aggregate
            | Kind::Schema
            | Kind::DefaultPrivileges
    )
}

fn take_grants(
    catalog: &Catalog,
    key: &Key,
    object: &Object,
    roles: &Roles,
    into: &mut BTreeSet<Grant>,
) {
    if !is_governed(key.kind) {
        return;
    }
    let standard;
    let acl = match &object.acl {
        Some(acl) => acl,
        None => {
            standard = Acl::standard(key.kind, catalog.version);
            &standard
        }
    };
    for grant in &acl.0 {
        let grantee = match &grant.grantee {
            Grantee::Public => PUBLIC,
            Grantee::Role(role) if !roles.is_superuser(role) => role,
            Grantee::Role(_) | Grantee::Owner => continue,
        };
        for privilege in grant.privileges.chars() {
            into.insert(Grant {
                on: key.clone(),
                grantee: grantee.to_owned(),
                privilege,
                grantable: grant.grantable.contains(privilege),
            });
        }
    }
}

/// Takes the quotes off a name that the server printed.
pub(crate) fn unquote(name: &str) -> String {
    match name
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    {
        Some(inner) => inner.replace("\"\"", "\""),
        None => name.to_owned(),
    }
}
