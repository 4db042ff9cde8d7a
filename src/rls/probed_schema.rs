//! What the probes need from the catalog: relations, constraints, policies, functions, roles and
//! privileges. One query per kind of object, whatever the number of tables.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_postgres::types::Type;

use crate::pg::session::Session;
use crate::sql::name::ObjectName;

/// A column of a relation.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Column {
    pub name: String,
    /// Its type as declared, a domain included.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The name of the type below any domain.
    pub base: String,
    /// The type below any domain with its modifier.
    pub base_type: String,
    /// `e` enum, `c` composite, `r` range and so on.
    pub kind: String,
    /// The category, `A` for arrays.
    pub category: String,
    /// The longest text it takes.
    pub length: Option<i64>,
    /// Whether it refuses nulls.
    pub required: bool,
    pub default: Option<String>,
    /// Whether it is computed.
    pub generated: bool,
    /// The values of its enum.
    pub labels: Option<Vec<String>>,
    /// Names and types of the fields of its composite type.
    pub fields: Option<Vec<(String, String)>>,
    /// The checks of its domain.
    pub checks: Option<Vec<String>>,
}

/// A table, view, foreign table or sequence.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Relation {
    /// Its number in this database.
    pub oid: i64,
    pub schema: String,
    pub name: String,
    /// `r`, `p`, `v`, `m`, `f` or `S`, as `pg_class` says.
    pub kind: String,
    pub owner: String,
    /// Whether row-level security is enabled.
    pub protected: bool,
    /// Whether it is forced on the owner.
    pub forced: bool,
    /// Its options, such as `security_invoker=true`.
    pub options: Vec<String>,
    /// The bounds of a partition.
    pub bound: Option<String>,
    /// The key of a partitioned table.
    pub key: Option<String>,
    pub is_partition: bool,
    /// The query of a view.
    pub definition: Option<String>,
    /// What it inherits from or is a partition of.
    pub parents: Vec<i64>,
    /// What a view reads.
    pub reads: Vec<i64>,
    /// The table a sequence belongs to.
    pub owned_by: Option<i64>,
    pub columns: Vec<Column>,
}

impl Relation {
    /// Returns its name for statements.
    pub fn object(&self) -> ObjectName {
        ObjectName::new(self.schema.clone(), self.name.clone())
    }

    /// Returns its name for people and reports, without quotes.
    pub fn title(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// Finds a column.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Whether it stores rows of its own.
    pub fn is_table(&self) -> bool {
        matches!(self.kind.as_str(), "r" | "p")
    }

    /// Whether it is a view or a materialized view.
    pub fn is_view(&self) -> bool {
        matches!(self.kind.as_str(), "v" | "m")
    }
}

/// A constraint or a unique index (`i`).
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Constraint {
    pub table: i64,
    pub name: String,
    /// `c`, `p`, `u`, `f`, `x` or `i`.
    pub kind: String,
    /// Its columns in order.
    pub columns: Vec<String>,
    /// The table a foreign key points to.
    pub target: Option<i64>,
    /// The columns it points to.
    pub target_columns: Vec<String>,
    /// What a delete of the target does, as `pg_constraint` says.
    pub on_delete: Option<String>,
    pub definition: String,
    /// Whether it came with a partition's parent.
    pub inherited: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CatalogPolicy {
    pub table: i64,
    pub name: String,
    /// `r`, `a`, `w`, `d` or `*`.
    pub command: String,
    /// Whether it admits rather than restricts.
    pub permissive: bool,
    /// Whom it concerns.
    pub roles: Vec<String>,
    /// Which rows it lets be seen.
    pub using: Option<String>,
    /// Which rows it lets be written.
    pub check: Option<String>,
    /// The columns of its table it looks at.
    pub columns: Vec<String>,
    /// Other tables it looks at.
    pub reads: Vec<i64>,
    /// Functions it calls.
    pub calls: Vec<i64>,
}

impl CatalogPolicy {
    /// Returns both expressions, one after the other.
    pub fn text(&self) -> String {
        format!(
            "{} {}",
            self.using.as_deref().unwrap_or(""),
            self.check.as_deref().unwrap_or("")
        )
    }
}

/// A parameter that a caller fills.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Argument {
    /// Its name, empty where it has none.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The name of the type below any domain.
    pub base: String,
    /// `p` for a pseudo-type, `c` for a row.
    pub kind: String,
    /// The relation whose row it takes.
    pub relation: Option<i64>,
    /// The values of its enum.
    pub labels: Option<Vec<String>>,
}

/// A function or procedure.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Function {
    /// Its number in this database.
    pub oid: i64,
    pub schema: String,
    pub name: String,
    /// Its arguments as its identity.
    pub identity: String,
    /// `f` or `p`.
    pub kind: String,
    /// Whether it runs as its owner.
    pub definer: bool,
    /// Whether it is trusted to leak nothing.
    pub leakproof: bool,
    /// `i`, `s` or `v`.
    pub volatility: String,
    pub owner: String,
    /// Settings that hold while it runs.
    pub settings: Vec<String>,
    pub language: String,
    /// Its body.
    pub source: Option<String>,
    /// What it gives, in words.
    pub result: Option<String>,
    /// The name of the type it gives.
    pub result_kind: String,
    pub set: bool,
    /// How many arguments may be left out.
    pub defaults: usize,
    /// What a caller fills.
    pub arguments: Vec<Argument>,
}

impl Function {
    /// Returns its name for statements.
    pub fn object(&self) -> ObjectName {
        ObjectName::new(self.schema.clone(), self.name.clone())
    }

    /// Returns its signature for people and reports.
    pub fn title(&self) -> String {
        let types: Vec<&str> = self
            .arguments
            .iter()
            .map(|argument| argument.type_name.as_str())
            .collect();
        format!("{}.{}({})", self.schema, self.name, types.join(", "))
    }

    /// Returns its body, empty where there is none.
    pub fn body(&self) -> &str {
        self.source.as_deref().unwrap_or("")
    }
}

/// A trigger or a rule.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Trigger {
    pub table: i64,
    pub name: String,
    /// The function it calls, 0 for a rule.
    pub function: i64,
    pub definition: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CatalogRole {
    pub name: String,
    /// Whether no rule binds it.
    pub superuser: bool,
    /// Whether policies do not bind it.
    pub bypass: bool,
    /// Whether it may connect.
    pub login: bool,
    /// Whether it has the rights of its groups without asking.
    pub inherit: bool,
    /// Whether it may make roles.
    pub createrole: bool,
    /// Whether it may make databases.
    pub createdb: bool,
    /// Whether it may read the log of changes.
    pub replication: bool,
    /// How many connections it may have.
    pub connections: i64,
    /// The roles it may become.
    pub becomes: Vec<String>,
    /// The roles whose rights it has.
    pub has: Vec<String>,
    /// Its own settings, `name=value`.
    pub settings: Vec<String>,
}

/// What a role may do with a relation.
#[derive(Clone, Debug, Default)]
pub struct RolePrivileges {
    /// Privileges on the whole relation.
    pub privileges: BTreeSet<String>,
    /// Columns it may read.
    pub readable: Vec<String>,
    /// Columns it may give when inserting.
    pub insertable: Vec<String>,
    /// Columns it may change.
    pub updatable: Vec<String>,
}

impl RolePrivileges {
    /// Whether it holds a privilege on the whole relation.
    pub fn may(&self, privilege: &str) -> bool {
        self.privileges.contains(privilege)
    }
}

/// Everything the catalog says.
#[derive(Clone, Debug, Default)]
pub struct ProbedSchema {
    /// The server's version.
    pub version: i64,
    /// Relations by number.
    pub relations: BTreeMap<i64, Relation>,
    /// Constraints and unique indexes.
    pub constraints: Vec<Constraint>,
    pub policies: Vec<CatalogPolicy>,
    /// Functions by number.
    pub functions: BTreeMap<i64, Function>,
    /// Triggers and rules.
    pub triggers: Vec<Trigger>,
    /// Roles by name.
    pub roles: BTreeMap<String, CatalogRole>,
    /// What roles may do, by role and relation.
    pub rights: BTreeMap<(String, i64), RolePrivileges>,
    /// Which functions roles may call.
    pub callable: BTreeMap<String, BTreeSet<i64>>,
}

impl ProbedSchema {
    /// Reads everything but rights, which need to know the roles.
    pub async fn read(session: &Session) -> Result<Self> {
        let relations: Vec<Relation> =
            documents(session, include_str!("queries/relations.sql")).await?;
        let functions: Vec<Function> =
            documents(session, include_str!("queries/functions.sql")).await?;
        let roles: Vec<CatalogRole> = documents(session, include_str!("queries/roles.sql")).await?;
        let version = session
            .query_one(
                "SELECT pg_catalog.current_setting('server_version_num')::int8",
                &[],
            )
            .await?;
        Ok(ProbedSchema {
            version: version.get(0),
            relations: relations.into_iter().map(|one| (one.oid, one)).collect(),
            constraints: documents(session, include_str!("queries/constraints.sql")).await?,
            policies: documents(session, include_str!("queries/policies.sql")).await?,
            functions: functions.into_iter().map(|one| (one.oid, one)).collect(),
            triggers: documents(session, include_str!("queries/triggers.sql")).await?,
            roles: roles
                .into_iter()
                .map(|one| (one.name.clone(), one))
                .collect(),
            rights: BTreeMap::new(),
            callable: BTreeMap::new(),
        })
    }

    /// Reads what these roles may do.
    pub async fn read_privileges(&mut self, session: &Session, roles: &[String]) -> Result<()> {
        let roles: Vec<&str> = roles.iter().map(String::as_str).collect();
        let rows = session
            .query(
                include_str!("queries/privileges.sql"),
                &[(&roles, Type::TEXT_ARRAY)],
            )
            .await
            .context("reading privileges")?;
        for row in rows {
            let rights = RolePrivileges {
                privileges: row.get::<_, Vec<String>>(2).into_iter().collect(),
                readable: row.get(3),
                insertable: row.get(4),
                updatable: row.get(5),
            };
            self.rights.insert((row.get(0), row.get(1)), rights);
        }
        let rows = session
            .query(
                include_str!("queries/callable.sql"),
                &[(&roles, Type::TEXT_ARRAY)],
            )
            .await
            .context("reading which functions may be called")?;
        for row in rows {
            self.callable
                .entry(row.get(0))
                .or_default()
                .insert(row.get(1));
        }
        Ok(())
    }

    /// Finds a relation by `schema.name`, or by its bare name where that is the only one.
    pub fn find(&self, title: &str) -> Option<&Relation> {
        let bare = title.replace('"', "");
        let mut named = self
            .relations
            .values()
            .filter(|relation| relation.name == bare);
        self.relations
            .values()
            .find(|relation| relation.title() == title || relation.title() == bare)
            .or_else(|| match (named.next(), named.next()) {
                (Some(only), None) => Some(only),
                (Some(first), Some(_)) => Some(first),
                _ => None,
            })
    }

    /// Returns what a role may do with a relation.
    pub fn rights(&self, role: &str, relation: i64) -> RolePrivileges {
        self.rights
            .get(&(role.to_owned(), relation))
            .cloned()
            .unwrap_or_default()
    }

    /// Returns the policies of a table.
    pub fn policies_of(&self, table: i64) -> impl Iterator<Item = &CatalogPolicy> {
        self.policies
            .iter()
            .filter(move |policy| policy.table == table)
    }

    /// Returns the primary key's columns.
    pub fn primary_key(&self, table: i64) -> Vec<String> {
        self.constraints
            .iter()
            .find(|constraint| constraint.table == table && constraint.kind == "p")
            .map(|constraint| constraint.columns.clone())
            .unwrap_or_default()
    }

    /// Returns the foreign keys of a table.
    pub fn foreign_keys(&self, table: i64) -> impl Iterator<Item = &Constraint> {
        self.constraints
            .iter()
            .filter(move |constraint| constraint.table == table && constraint.kind == "f")
    }
}

async fn documents<T: DeserializeOwned>(session: &Session, sql: &'static str) -> Result<Vec<T>> {
    let rows = session
        .query(sql, &[])
        .await
        .context("reading the catalog")?;
    rows.iter()
        .map(|row| {
            let document: Value = row.get(0);
            serde_json::from_value(document).context("reading a document of the catalog")
        })
        .collect()
}
