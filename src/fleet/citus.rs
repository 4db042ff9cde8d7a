//! Checks of databases distributed by Citus: how tables are distributed, what is not propagated to the workers, and
//! whether coordinator and shards have the same policies.
//!
//! Reads the catalogs that Citus documents (`pg_dist_partition`) and queries shards with `run_command_on_shards`. A query on
//! a shard applies the shard's own policies, so these are compared.

use anyhow::Result;
use tokio_postgres::types::Type;

use crate::finding::{Finding, Location};
use crate::migrate::files::Migration;
use crate::pg::session::Session;
use crate::sql::class::{Class, Object};
use crate::sql::name::Literal;
use crate::sql::safe::Sql;
use crate::sql::split;

/// How a table is distributed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Distribution {
    /// Sharded by a column.
    Distributed,
    /// Replicated to every node.
    Reference,
    /// One shard on one node, like the tables of a distributed schema.
    Single,
    /// On the coordinator, and known to Citus because of a foreign key.
    Managed,
}

/// A table managed by Citus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CitusTable {
    /// The quoted name.
    pub name: String,
    pub distribution: Distribution,
}

/// The result of the checks.
pub struct CitusReport {
    /// A summary of what was checked.
    pub words: String,
    pub findings: Vec<Finding>,
}

/// Lists the tables managed by Citus; `None` without Citus.
pub async fn tables(session: &Session) -> Result<Option<Vec<CitusTable>>> {
    let there = session
        .query_one(
            "SELECT pg_catalog.to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL",
            &[],
        )
        .await?;
    if !there.get::<_, bool>(0) {
        return Ok(None);
    }
    let rows = session
        .query(include_str!("queries/citus.sql"), &[])
        .await?;
    let table = |row: &tokio_postgres::Row| CitusTable {
        name: row.get("name"),
        distribution: distribution(
            row.get("method"),
            row.get("replication"),
            row.get("colocation"),
        ),
    };
    Ok(Some(rows.iter().map(table).collect()))
}

fn distribution(method: &str, replication: &str, colocation: i64) -> Distribution {
    match (method, replication) {
        ("n", "t") => Distribution::Reference,
        ("n", _) if colocation > 0 => Distribution::Single,
        ("n", _) => Distribution::Managed,
        _ => Distribution::Distributed,
    }
}

/// Checks the managed schemas of a database distributed by Citus, and its pending migrations; `None` without Citus.
pub async fn check(
    session: &Session,
    schemas: &[String],
    pending: &[&Migration],
) -> Result<Option<CitusReport>> {
    let Some(tables) = tables(session).await? else {
        return Ok(None);
    };
    let mut findings = Vec::new();
    let mut shards = 0;
    for table in &tables {
        if table.distribution == Distribution::Managed {
            continue;
        }
        let (asked, differ) = check_shards(session, &table.name).await?;
        shards += asked;
        findings.extend(differ);
    }
    let local = session
        .query(
            include_str!("queries/citus_local.sql"),
            &[(&schemas, Type::TEXT_ARRAY)],
        )
        .await?;
    findings.extend(local.iter().map(|row| {
        Finding::note(
            "citus-local",
            row.get::<_, String>("name"),
            "local to the coordinator and not managed by Citus",
        )
        .help("use create_distributed_table or create_reference_table, unless the table is meant to be local")
    }));
    findings.extend(pending.iter().flat_map(|migration| unpropagated(migration)));
    let known = tables.len();
    Ok(Some(CitusReport {
        words: format!("{known} Citus tables, policies compared on {shards} shards"),
        findings,
    }))
}

/// Returns a query for the row-level security of a relation as text, without the shard numbers in names.
fn row_security_query(relation: &str) -> Sql {
    Sql::fill(
        "SELECT 'on ' || class.relrowsecurity::text || ', forced ' || class.relforcerowsecurity::text || COALESCE('; ' || (
  SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', policy.polname, policy.polcmd, policy.polpermissive,
      (SELECT pg_catalog.string_agg(COALESCE(role.rolname, 'public'), ',' ORDER BY role.rolname)
       FROM pg_catalog.unnest(policy.polroles) AS member LEFT JOIN pg_catalog.pg_roles AS role ON role.oid = member),
      'using ' || pg_catalog.regexp_replace(pg_catalog.pg_get_expr(policy.polqual, policy.polrelid), '_[0-9]{6,}', '', 'g'),
      'check ' || pg_catalog.regexp_replace(pg_catalog.pg_get_expr(policy.polwithcheck, policy.polrelid), '_[0-9]{6,}', '', 'g')),
    '; ' ORDER BY policy.polname)
  FROM pg_catalog.pg_policy AS policy WHERE policy.polrelid = class.oid), '')
FROM pg_catalog.pg_class AS class WHERE class.oid = {}::pg_catalog.regclass",
        &[&Literal::new(relation)],
    )
}

/// Compares the policies of a table's shards with the coordinator's; returns the number of shards.
async fn check_shards(session: &Session, table: &str) -> Result<(usize, Vec<Finding>)> {
    let rows = session.query_sql(&row_security_query(table), &[]).await?;
    let own: String = rows.first().map(|row| row.get(0)).unwrap_or_default();
    let command = row_security_query("%s");
    let answers = session
        .query(
            include_str!("queries/citus_shards.sql"),
            &[(&table, Type::TEXT), (&command.as_str(), Type::TEXT)],
        )
        .await?;
    let mut differ = Vec::new();
    let mut silent = Vec::new();
    let mut example = None;
    for answer in &answers {
        let shard: i64 = answer.get("shard");
        let said: Option<String> = answer.get("result");
        if !answer.get::<_, bool>("success") {
            silent.push(shard.to_string());
        } else if said.as_deref() != Some(own.as_str()) {
            differ.push(shard.to_string());
            example.get_or_insert(said.unwrap_or_default());
        }
    }
    let mut findings = Vec::new();
    if let Some(example) = example {
        let message = format!(
            "row-level security differs from the coordinator on {} of {} shards: {}",
            differ.len(),
            answers.len(),
            few(&differ)
        );
        findings.push(
            Finding::error("citus-policy", table, message)
                .detail(format!("coordinator {own}\nshard {} {example}", differ[0]))
                .help("recreate the policies on the coordinator; a query on a shard applies the shard's own policies"),
        );
    }
    if !silent.is_empty() {
        let message = format!(
            "row-level security could not be read on {} of {} shards: {}",
            silent.len(),
            answers.len(),
            few(&silent)
        );
        findings.push(
            Finding::error("citus-unasked", table, message)
                .help("check SELECT * FROM citus_check_cluster_node_health()"),
        );
    }
    Ok((answers.len(), findings))
}

fn few(shards: &[String]) -> String {
    const SHOWN: usize = 3;
    let mut text = shards[..shards.len().min(SHOWN)].join(", ");
    if shards.len() > SHOWN {
        text.push_str(&format!(" and {} more", shards.len() - SHOWN));
    }
    text
}

/// Finds statements whose objects Citus does not propagate to the workers.
fn unpropagated(migration: &Migration) -> Vec<Finding> {
    let mut findings = Vec::new();
    for statement in split::split(&migration.up.text) {
        let Some(what) = unpropagated_object(statement.class) else {
            continue;
        };
        let message = format!("Citus does not propagate {what} to the workers");
        findings.push(
            Finding::warn("citus-not-propagated", &migration.up.shown, message)
                .place(Location::at(
                    &*migration.up.shown,
                    statement.position.line,
                    statement.position.column,
                ))
                .help("if shards need the object: SELECT run_command_on_workers($cmd$ … $cmd$)"),
        );
    }
    findings
}

fn unpropagated_object(class: Class) -> Option<&'static str> {
    let (Class::Create(object) | Class::Alter(object) | Class::Drop(object)) = class else {
        return None;
    };
    Some(match object {
        Object::Rule => "a rule",
        Object::Trigger => "a trigger on a distributed table",
        Object::EventTrigger => "an event trigger",
        Object::Cast => "a cast",
        Object::Operator => "an operator",
        Object::Conversion => "a conversion",
        Object::Language => "a language",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distribution_is_read_from_the_catalog() {
        let check = |method, replication, colocation, expected| {
            assert_eq!(distribution(method, replication, colocation), expected);
        };
        check("h", "s", 2, Distribution::Distributed);
        check("h", "c", 2, Distribution::Distributed);
        check("n", "t", 3, Distribution::Reference);
        check("n", "s", 4, Distribution::Single);
        check("n", "s", 0, Distribution::Managed);
    }

    #[test]
    fn unpropagated_objects_are_recognised() {
        assert_eq!(unpropagated_object(Class::Create(Object::Policy)), None);
        assert_eq!(
            unpropagated_object(Class::Create(Object::Rule)),
            Some("a rule")
        );
    }
}
