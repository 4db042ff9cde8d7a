//! Finds the tables with a tenant's rows and which rows those are: by the tenant column, by the key of the tenant
//! itself, and by keys that point at such rows.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};

use crate::error::{fail, refuse};
use crate::pg::session::Session;
use crate::sql::name::{Ident, Literal, ObjectName};
use crate::sql::safe::Sql;

/// A table as far as tenants are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    pub name: ObjectName,
    /// The columns that a row is made of: generated ones are not.
    pub columns: Vec<String>,
    /// Whether its rows lie in partitions.
    pub is_partitioned: bool,
    /// Whether row-level security would hide rows from our role.
    pub is_filtered: bool,
    pub is_readable: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    pub name: String,
    /// The table that points.
    pub from: i64,
    pub columns: Vec<String>,
    /// The table pointed at.
    pub to: i64,
    /// The columns pointed at.
    pub referenced: Vec<String>,
}

/// Every table and key of a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableMap {
    /// The tables, by their oids.
    pub tables: BTreeMap<i64, Table>,
    pub keys: Vec<ForeignKey>,
}

/// A table with rows of the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantTable {
    /// The table's oid.
    pub oid: i64,
    pub table: Table,
    /// Which of its rows, as a condition on `t`.
    pub rows: Sql,
}

/// The tables with rows of a tenant, what is pointed at before what points.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TenantTables {
    pub members: Vec<TenantTable>,
    /// Whether keys run in a circle, so that no order suits all of them.
    pub is_circular: bool,
    /// Referenced tables without a tenant.
    pub shared: Vec<ObjectName>,
}

/// Reads tables and keys.
pub async fn read(session: &Session) -> Result<TableMap> {
    let tables = session
        .query(include_str!("../queries/tenant_tables.sql"), &[])
        .await
        .context("listing the tables")?;
    let keys = session
        .query(include_str!("../queries/tenant_keys.sql"), &[])
        .await
        .context("listing the foreign keys")?;
    let table = |row: &tokio_postgres::Row| {
        let table = Table {
            name: ObjectName::new(row.get::<_, String>("schema"), row.get::<_, String>("name")),
            columns: row.get("columns"),
            is_partitioned: row.get("partitioned"),
            is_filtered: row.get("filtered"),
            is_readable: row.get("readable"),
        };
        (row.get("oid"), table)
    };
    let key = |row: &tokio_postgres::Row| ForeignKey {
        name: row.get("name"),
        from: row.get("from_table"),
        columns: row.get("columns"),
        to: row.get("to_table"),
        referenced: row.get("referenced"),
    };
    Ok(TableMap {
        tables: tables.iter().map(table).collect(),
        keys: keys.iter().map(key).collect(),
    })
}

impl TableMap {
    /// Finds the tables with rows of a tenant.
    pub fn tenant_tables(&self, column: &str, tenant: &str) -> Result<TenantTables> {
        let mut rows = self.direct(column, tenant);
        if rows.is_empty() {
            return Err(fail(format!("no table has a column `{column}`"))
                .hint("set tenancy.column in af-db.yaml to the tenant column")
                .into());
        }
        rows.extend(self.roots(column, tenant, &rows));
        while self.descend(&mut rows) {}
        let order = self.order(&rows);
        let shared: BTreeSet<&ObjectName> = self
            .keys
            .iter()
            .filter(|key| rows.contains_key(&key.from) && !rows.contains_key(&key.to))
            .filter_map(|key| Some(&self.tables.get(&key.to)?.name))
            .collect();
        let shared = shared.into_iter().cloned().collect();
        let is_circular = order.1;
        let members = order.0.into_iter().filter_map(|oid| {
            Some(TenantTable {
                oid,
                table: self.tables.get(&oid)?.clone(),
                rows: rows.remove(&oid)?,
            })
        });
        Ok(TenantTables {
            members: members.collect(),
            is_circular,
            shared,
        })
    }

    /// The tables that name the tenant themselves.
    fn direct(&self, column: &str, tenant: &str) -> BTreeMap<i64, Sql> {
        self.tables
            .iter()
            .filter(|(_, table)| table.columns.iter().any(|one| one == column))
            .map(|(oid, _)| (*oid, is_tenant(column, tenant)))
            .collect()
    }

    /// The tables whose rows are the tenants: what the tenant's column points at.
    fn roots(&self, column: &str, tenant: &str, rows: &BTreeMap<i64, Sql>) -> BTreeMap<i64, Sql> {
        self.keys
            .iter()
            .filter(|key| rows.contains_key(&key.from) && !rows.contains_key(&key.to))
            .filter(|key| key.columns == [column] && key.referenced.len() == 1)
            .filter(|key| self.tables.contains_key(&key.to))
            .map(|key| (key.to, is_tenant(&key.referenced[0], tenant)))
            .collect()
    }

    /// Adds tables whose keys point at rows of the tenant; says whether there were any.
    fn descend(&self, rows: &mut BTreeMap<i64, Sql>) -> bool {
        let mut found: BTreeMap<i64, Vec<Sql>> = BTreeMap::new();
        for key in &self.keys {
            if !rows.contains_key(&key.from)
                && self.tables.contains_key(&key.from)
                && let (Some(to), Some(condition)) = (self.tables.get(&key.to), rows.get(&key.to))
            {
                found
                    .entry(key.from)
                    .or_default()
                    .push(points_at(key, to, condition));
            }
        }
        let any = !found.is_empty();
        rows.extend(
            found
                .into_iter()
                .map(|(oid, ways)| (oid, Sql::join(ways, " OR "))),
        );
        any
    }

    /// Puts what is pointed at before what points, and says whether that was not possible for all.
    fn order(&self, rows: &BTreeMap<i64, Sql>) -> (Vec<i64>, bool) {
        let mut left: Vec<i64> = rows.keys().copied().collect();
        left.sort_by_key(|oid| self.tables.get(oid).map(|table| table.name.clone()));
        let (mut order, mut is_circular) = (Vec::new(), false);
        while !left.is_empty() {
            let waits = |oid: i64| {
                self.keys
                    .iter()
                    .any(|key| key.from == oid && key.to != oid && left.contains(&key.to))
            };
            let next = left.iter().position(|oid| !waits(*oid));
            is_circular |= next.is_none();
            order.push(left.remove(next.unwrap_or(0)));
        }
        (order, is_circular)
    }
}

fn is_tenant(column: &str, tenant: &str) -> Sql {
    Sql::fill("t.{} = {}", &[&Ident::new(column), &Literal::new(tenant)])
}

/// The condition that a row points at a row of the tenant; the inner `t` is the one pointed at.
fn points_at(key: &ForeignKey, to: &Table, condition: &Sql) -> Sql {
    let list = |columns: &[String]| {
        Sql::join(columns.iter().map(|name| Ident::new(name.as_str())), ", t.")
    };
    Sql::fill(
        "(t.{}) IN (SELECT t.{} FROM {} AS t WHERE {})",
        &[
            &list(&key.columns),
            &list(&key.referenced),
            &to.name,
            condition,
        ],
    )
}

impl TenantTables {
    /// Refuses tables whose rows would be omitted silently.
    pub fn check_rights(&self) -> Result<()> {
        for member in &self.members {
            let table = &member.table;
            if table.is_filtered {
                return Err(refuse(format!(
                    "row-level security hides rows of `{}` from this role; nothing was exported",
                    table.name
                ))
                .hint("work as a superuser or a role with BYPASSRLS: ALTER ROLE … BYPASSRLS")
                .into());
            }
            if !table.is_readable {
                return Err(refuse(format!(
                    "this role may not read `{}`; nothing was exported",
                    table.name
                ))
                .hint("work as the owner or a superuser, or GRANT pg_read_all_data to the role")
                .into());
            }
        }
        Ok(())
    }
}

impl TenantTable {
    pub fn columns(&self) -> Sql {
        let names = self.table.columns.iter();
        let list = Sql::join(names.map(|name| Ident::new(name.as_str())), ", ");
        Sql::fill("({})", &[&list])
    }

    /// The query of the tenant's rows.
    pub fn query(&self) -> Sql {
        let names = self.table.columns.iter();
        let list = Sql::join(names.map(|name| Ident::new(name.as_str())), ", t.");
        Sql::fill(
            "SELECT t.{} FROM {} AS t WHERE {}",
            &[&list, &self.table.name, &self.rows],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, columns: &[&str]) -> Table {
        Table {
            name: ObjectName::new("public", name),
            columns: columns.iter().map(|one| (*one).to_owned()).collect(),
            is_partitioned: false,
            is_filtered: false,
            is_readable: true,
        }
    }

    fn key(from: i64, column: &str, to: i64) -> ForeignKey {
        ForeignKey {
            name: format!("{from}_{column}"),
            from,
            columns: vec![column.to_owned()],
            to,
            referenced: vec!["id".to_owned()],
        }
    }

    fn map() -> TableMap {
        TableMap {
            tables: BTreeMap::from([
                (1, table("tenants", &["id", "name", "plan"])),
                (2, table("agents", &["id", "tenant_id"])),
                (3, table("versions", &["id", "agent"])),
                (4, table("plans", &["id"])),
                (5, table("notes", &["id", "version"])),
            ]),
            keys: vec![
                key(1, "plan", 4),
                key(2, "tenant_id", 1),
                key(3, "agent", 2),
                key(5, "version", 3),
            ],
        }
    }

    fn names(tenant_tables: &TenantTables) -> Vec<String> {
        let members = tenant_tables.members.iter();
        members.map(|one| one.table.name.name.to_string()).collect()
    }

    #[test]
    fn tenant_tables_include_referencing_tables() {
        let tenant_tables = map().tenant_tables("tenant_id", "it's").unwrap();
        assert_eq!(
            names(&tenant_tables),
            ["tenants", "agents", "versions", "notes"]
        );
        assert!(!tenant_tables.is_circular);
        assert_eq!(tenant_tables.shared, [ObjectName::new("public", "plans")]);
        assert_eq!(
            tenant_tables.members[3].query().as_str(),
            "SELECT t.id, t.version FROM public.notes AS t WHERE (t.version) IN (SELECT t.id FROM public.versions AS t WHERE \
             (t.agent) IN (SELECT t.id FROM public.agents AS t WHERE t.tenant_id = 'it''s'))"
        );
        assert!(map().tenant_tables("organisation_id", "1").is_err());
    }

    #[test]
    fn cyclic_foreign_keys_are_detected() {
        let mut map = map();
        map.tables
            .insert(2, table("agents", &["id", "tenant_id", "latest"]));
        map.keys.push(key(2, "latest", 3));
        let tenant_tables = map.tenant_tables("tenant_id", "1").unwrap();
        assert!(tenant_tables.is_circular);
        assert_eq!(tenant_tables.members.len(), 4);
        map.keys.push(key(2, "id", 2));
        assert_eq!(
            map.tenant_tables("tenant_id", "1").unwrap().members.len(),
            4
        );
    }
}
