//! Lists user-created content of a database, so that only an empty one is ever replaced or dropped.
//!
//! The rule is not a list of kinds, which would forget one: whatever a catalog numbers from 16384 on was made after `initdb`.
//! What has no number of its own (privileges, comments, settings, the owner) is asked for beside it: a database that has
//! nothing else may be replaced, but is kept. What template1 gives to every new database is not counted.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use tokio_postgres::types::Type;

use crate::event::silent;
use crate::pg::connect;
use crate::pg::session::Session;
use crate::pg::target::Target;
use crate::sql::name::{Literal, ObjectName};
use crate::sql::safe::Sql;

/// Catalogs whose objects are named first, because people know them; their rows can be described by the server.
const KNOWN: &[&str] = &[
    "pg_class",
    "pg_proc",
    "pg_namespace",
    "pg_extension",
    "pg_type",
    "pg_publication",
    "pg_event_trigger",
    "pg_foreign_server",
    "pg_foreign_data_wrapper",
    "pg_language",
    "pg_ts_config",
    "pg_ts_dict",
    "pg_ts_parser",
    "pg_ts_template",
    "pg_collation",
    "pg_conversion",
    "pg_operator",
    "pg_cast",
    "pg_transform",
    "pg_am",
    "pg_statistic_ext",
    "pg_default_acl",
];

/// A database that may be empty.
pub struct EmptinessCandidate<'a> {
    /// Its address, from which that of template1 is made.
    pub target: &'a Target,
    /// Roles that may own an untouched database.
    pub owners: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserContents {
    /// Objects and rows, in words; a database that has any is never replaced.
    pub objects: Vec<String>,
    /// What an otherwise empty database was given: owner, privileges, settings, comment. It is replaced, but kept.
    pub properties: Vec<String>,
}

/// Lists what users created in the session's database; nothing when it is empty.
pub async fn contents(
    session: &Session,
    candidate: &EmptinessCandidate<'_>,
) -> Result<UserContents> {
    let mut objects = objects(session, candidate).await?;
    let surroundings = surroundings(session, candidate).await?;
    let may_be_inherited = surroundings.iter().any(|one| one.inherited);
    let given = match may_be_inherited {
        true => template_surroundings(candidate).await,
        false => BTreeSet::new(),
    };
    let mut properties = Vec::new();
    for one in surroundings {
        if one.inherited && given.contains(&one) {
            continue;
        }
        let kind = if one.is_object {
            &mut objects
        } else {
            &mut properties
        };
        kind.push(one.what);
    }
    Ok(UserContents {
        objects,
        properties,
    })
}

/// Names the first few things found, for a message.
pub fn in_words(found: &[String]) -> String {
    const SHOWN: usize = 3;
    let more = if found.len() > SHOWN { ", …" } else { "" };
    let shown = &found[..found.len().min(SHOWN)];
    format!("{}{more}", shown.join(", "))
}

/// An object as a catalog has it. A new database has those of template1 with their numbers; one that was altered since has
/// another version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Object {
    catalog: String,
    oid: u32,
    version: String,
}

/// How many objects of each catalog are listed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ListDepth {
    One,
    All,
}

/// Names one object of each catalog that holds any which template1 did not give.
async fn objects(session: &Session, candidate: &EmptinessCandidate<'_>) -> Result<Vec<String>> {
    let doing = || "checking whether the database is empty";
    let catalogs = session
        .query(include_str!("queries/catalogs.sql"), &[])
        .await
        .with_context(doing)?;
    let (mut readable, mut found) = (Vec::new(), Vec::new());
    for row in &catalogs {
        let catalog: String = row.get("catalog");
        if row.get("readable") {
            readable.push(catalog);
        } else if catalog != "pg_user_mapping" {
            // User mappings are hidden from most roles; they show by their servers.
            found.push(format!("{catalog}, which this role may not read"));
        }
    }
    let mut made = listed(session, &readable, ListDepth::One)
        .await
        .with_context(doing)?;
    if !made.is_empty()
        && let Ok(template) = connect::open(&template(candidate), &silent).await
    {
        let given = listed(&template, &readable, ListDepth::All).await;
        let given: BTreeSet<Object> = given.unwrap_or_default().into_iter().collect();
        if !given.is_empty() {
            made = listed(session, &readable, ListDepth::All)
                .await
                .with_context(doing)?;
            made.retain(|one| !given.contains(one));
            if made.is_empty() {
                found.extend(other_rows(session, &template).await.with_context(doing)?);
            }
        }
        template.close().await;
    }
    let rank = |catalog: &str| KNOWN.iter().position(|known| *known == catalog);
    made.sort_by_key(|one| (rank(&one.catalog).unwrap_or(usize::MAX), one.oid));
    made.dedup_by(|next, one| next.catalog == one.catalog);
    if made.first().is_some_and(|one| one.catalog == "pg_class") {
        // Tables come with types, defaults and constraints, which need no words of their own.
        made.retain(|one| one.catalog != "pg_type" && rank(&one.catalog).is_some());
    }
    for one in made {
        let described = match rank(&one.catalog) {
            Some(_) => described(session, &one.catalog, one.oid).await?,
            None => None,
        };
        let bare = || format!("row {} of {}", one.oid, one.catalog);
        found.push(described.unwrap_or_else(bare));
    }
    Ok(found)
}

/// Lists the objects of catalogs that were made after `initdb`.
async fn listed(
    session: &Session,
    catalogs: &[String],
    how_many: ListDepth,
) -> Result<Vec<Object>> {
    let limit = Sql::new(match how_many {
        ListDepth::One => " ORDER BY c.oid LIMIT 1",
        ListDepth::All => "",
    });
    let part = |catalog: &String| {
        // Sessions leave temporary schemas behind, which users did not create.
        let except = match catalog.as_str() {
            "pg_namespace" => Sql::new(" AND c.nspname !~ '^pg_(toast_)?temp_[0-9]+$'"),
            _ => Sql::new(""),
        };
        Sql::fill(
            "(SELECT {}::pg_catalog.text AS catalog, c.oid, c.xmin::pg_catalog.text AS version FROM {} AS c \
             WHERE c.oid >= 16384{}{})",
            &[
                &Literal::new(catalog),
                &ObjectName::new("pg_catalog", catalog.as_str()),
                &except,
                &limit,
            ],
        )
    };
    let parts: Vec<Sql> = catalogs.iter().map(part).collect();
    let rows = session
        .query_sql(&Sql::join(parts, " UNION ALL "), &[])
        .await?;
    let object = |row: &tokio_postgres::Row| Object {
        catalog: row.get("catalog"),
        oid: row.get("oid"),
        version: row.get("version"),
    };
    Ok(rows.iter().map(object).collect())
}

/// Names a table or sequence that template1 gave and whose rows are not those it has there.
async fn other_rows(session: &Session, template: &Session) -> Result<Option<String>> {
    let tables = session
        .query(include_str!("queries/inherited_tables.sql"), &[])
        .await?;
    for row in &tables {
        let table = ObjectName::new(row.get::<_, String>("schema"), row.get::<_, String>("name"));
        // A sequence has no row type that could be written out as a whole.
        let row = Sql::new(match row.get("is_sequence") {
            true => "ROW(t.last_value, t.is_called)",
            false => "t",
        });
        let digest = Sql::fill(
            "SELECT pg_catalog.count(*)::pg_catalog.text || ' ' || coalesce(pg_catalog.sum(\
             pg_catalog.hashtextextended({}::pg_catalog.text, 0)), 0)::pg_catalog.text FROM {} AS t",
            &[&row, &table],
        );
        let (here, there) = futures_util::future::join(
            session.query_sql(&digest, &[]),
            template.query_sql(&digest, &[]),
        )
        .await;
        let text = |rows: Vec<tokio_postgres::Row>| rows.first().map(|row| row.get::<_, String>(0));
        let here = here.ok().and_then(text);
        if here.is_none() || here != there.ok().and_then(text) {
            return Ok(Some(format!("rows in {table}")));
        }
    }
    Ok(None)
}

async fn described(session: &Session, catalog: &str, oid: u32) -> Result<Option<String>> {
    let row = session
        .query_one(
            "SELECT pg_catalog.pg_describe_object($1::pg_catalog.text::pg_catalog.regclass, $2, 0)",
            &[
                (&format!("pg_catalog.{catalog}"), Type::TEXT),
                (&oid, Type::OID),
            ],
        )
        .await?;
    Ok(row.get(0))
}

/// Something that a database has beside the objects in it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Made {
    what: String,
    value: String,
    inherited: bool,
    is_object: bool,
}

async fn surroundings(session: &Session, candidate: &EmptinessCandidate<'_>) -> Result<Vec<Made>> {
    let rows = session
        .query(
            include_str!("queries/properties_set.sql"),
            &[(&candidate.owners, Type::TEXT_ARRAY)],
        )
        .await
        .context("checking the database's settings")?;
    let made = |row: &tokio_postgres::Row| Made {
        what: row.get("what"),
        value: row.get("value"),
        inherited: row.get("inherited"),
        is_object: row.get("is_object"),
    };
    Ok(rows.iter().map(made).collect())
}

/// Returns what a new database inherits from template1; if that cannot be read, everything counts as user-created.
async fn template_surroundings(candidate: &EmptinessCandidate<'_>) -> BTreeSet<Made> {
    let Ok(session) = connect::open(&template(candidate), &silent).await else {
        return BTreeSet::new();
    };
    let given = surroundings(&session, candidate).await;
    session.close().await;
    given.unwrap_or_default().into_iter().collect()
}

fn template(candidate: &EmptinessCandidate<'_>) -> Target {
    candidate.target.with_database("template1")
}
