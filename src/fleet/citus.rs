//! Owns what is particular to a database that Citus spreads over workers: which tables are spread, what does not reach the
//! workers by itself, and whether the policies that the coordinator shows are those that the shards have.
//!
//! It reads the catalogs that Citus documents (`pg_dist_partition`) and asks shards through `run_command_on_shards`; what
//! runs on a shard is decided by the shard's own policies, so they are looked at, not taken for granted.

use anyhow::Result;
use tokio_postgres::types::Type;

use crate::finding::{Finding, Location};
use crate::migrate::files::Migration;
use crate::pg::session::Session;
use crate::sql::class::{Class, Object};
use crate::sql::name::Literal;
use crate::sql::safe::Sql;
use crate::sql::split;

/// How a table is spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Distribution {
    /// In shards, by a column.
    Distributed,
    /// Whole, on every node.
    Reference,
    /// Whole, in one shard on one node, as the tables of a distributed schema are.
    Single,
    /// On the coordinator, known to Citus because a foreign key led there.
    Managed,
}

/// A table that Citus knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CitusTable {
    /// Its name, quoted.
    pub name: String,
    /// How it is spread.
    pub spread: Distribution,
}

/// What there is to say of a database that Citus spreads.
pub struct CitusReport {
    /// How much was looked at.
    pub words: String,
    /// What is wrong or worth knowing.
    pub findings: Vec<Finding>,
}

/// Lists the tables that Citus knows; none where Citus is not there.
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
        spread: spread(
            row.get("method"),
            row.get("replication"),
            row.get("colocation"),
        ),
    };
    Ok(Some(rows.iter().map(table).collect()))
}

fn spread(method: &str, replication: &str, colocation: i64) -> Distribution {
    match (method, replication) {
        ("n", "t") => Distribution::Reference,
        ("n", _) if colocation > 0 => Distribution::Single,
        ("n", _) => Distribution::Managed,
        _ => Distribution::Distributed,
    }
}

/// Judges the governed schemas of a database that Citus spreads, and what is to be run on it; none without Citus.
pub async fn judge(
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
        if table.spread == Distribution::Managed {
            continue;
        }
        let (asked, differ) = shards_of(session, &table.name).await?;
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
            "it is on the coordinator alone: Citus knows nothing of it",
        )
        .help("create_distributed_table, create_reference_table, or leave it where it is")
    }));
    findings.extend(pending.iter().flat_map(|migration| unpropagated(migration)));
    let known = tables.len();
    Ok(Some(CitusReport {
        words: format!("{known} tables that Citus knows, policies read on {shards} shards"),
        findings,
    }))
}

/// Returns the text that says how rows of a relation are guarded; shards carry their number behind every name.
fn guarded(relation: &str) -> Sql {
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

/// Holds the policies of a table's shards against the table's own; gives how many shards were asked.
async fn shards_of(session: &Session, table: &str) -> Result<(usize, Vec<Finding>)> {
    let rows = session.query_sql(&guarded(table), &[]).await?;
    let own: String = rows.first().map(|row| row.get(0)).unwrap_or_default();
    let command = guarded("%s");
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
            "{} of its {} shards guard rows otherwise than the coordinator says: {}",
            differ.len(),
            answers.len(),
            few(&differ)
        );
        findings.push(
            Finding::error("citus-policy", table, message)
                .detail(format!("coordinator {own}\nshard {} {example}", differ[0]))
                .help("say the policies again on the coordinator, and look again; a shard decides by its own"),
        );
    }
    if !silent.is_empty() {
        let message = format!(
            "{} of its {} shards could not be asked how they guard rows: {}",
            silent.len(),
            answers.len(),
            few(&silent)
        );
        findings.push(
            Finding::error("citus-unasked", table, message)
                .help("see SELECT * FROM citus_check_cluster_node_health()"),
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

/// Tells which statements make what Citus does not carry to the workers.
fn unpropagated(migration: &Migration) -> Vec<Finding> {
    let mut findings = Vec::new();
    for statement in split::split(&migration.up.text) {
        let Some(what) = stays(statement.class) else {
            continue;
        };
        let message =
            format!("{what} stays on the coordinator: Citus does not carry it to the workers");
        findings.push(
            Finding::warn("citus-not-propagated", &migration.up.shown, message)
                .place(Location::at(
                    &*migration.up.shown,
                    statement.position.line,
                    statement.position.column,
                ))
                .help("where shards need it: SELECT run_command_on_workers($cmd$ … $cmd$)"),
        );
    }
    findings
}

fn stays(class: Class) -> Option<&'static str> {
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
    fn a_table_is_what_its_row_says() {
        let check = |method, replication, colocation, expected| {
            assert_eq!(spread(method, replication, colocation), expected);
        };
        check("h", "s", 2, Distribution::Distributed);
        check("h", "c", 2, Distribution::Distributed);
        check("n", "t", 3, Distribution::Reference);
        check("n", "s", 4, Distribution::Single);
        check("n", "s", 0, Distribution::Managed);
    }

    #[test]
    fn what_stays_behind_is_told() {
        assert_eq!(stays(Class::Create(Object::Policy)), None);
        assert_eq!(stays(Class::Create(Object::Rule)), Some("a rule"));
    }
}
