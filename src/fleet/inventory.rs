//! The members of a fleet: from its file, and from the query or command the file names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use tokio_postgres::SimpleQueryMessage;

use crate::error::{Failure, fail};
use crate::event::Watch;
use crate::fleet::wave::{self, WaveSpec, text};
use crate::fleet::{Fleet, Limits, Member, Tenant};
use crate::pg::connect;
use crate::pg::program::Program;
use crate::pg::target::Target;
use crate::sql::safe::Sql;
use crate::yaml;

/// How URLs and variables in the file are resolved.
pub struct InventoryContext<'a> {
    /// Parses a connection URL.
    pub target: &'a dyn Fn(&str) -> Result<Target>,
    /// Expands each `${NAME}`.
    pub expand: &'a dyn Fn(&str) -> Result<String>,
    /// The working directory of commands.
    pub folder: &'a std::path::Path,
    pub watch: Watch<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct FleetFile {
    base: Option<String>,
    databases: Vec<BTreeMap<String, serde_json::Value>>,
    schemas: Vec<BTreeMap<String, serde_json::Value>>,
    shared: Option<std::path::PathBuf>,
    query: Option<MemberQuery>,
    command: Option<Vec<String>>,
    waves: Vec<wave::WaveSource>,
    concurrency: Option<usize>,
    per_server: Option<usize>,
    failure_budget: Option<serde_json::Value>,
    retries: Option<usize>,
    connect_timeout: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct MemberQuery {
    url: String,
    sql: String,
}

type Entry = BTreeMap<String, String>;

/// Reads a fleet's file with its query and command; `name` is the file's name in messages.
pub async fn read(name: &str, text: &str, context: &InventoryContext<'_>) -> Result<Fleet> {
    let file: FleetFile = yaml::read(name, text)?;
    let listed = file.databases.iter().chain(&file.schemas);
    let mut entries: Vec<Entry> = listed.map(plain).collect();
    if let Some(query) = &file.query {
        let asked = ask(query, context).await;
        entries.extend(asked.with_context(|| format!("listing the databases of {name}"))?);
    }
    if let Some(command) = &file.command {
        let told = run(command, context).await;
        entries.extend(told.with_context(|| format!("listing the databases of {name}"))?);
    }
    if entries.is_empty() {
        return Err(fail(format!("{name} lists no databases"))
            .hint("add them under `databases:`, or use `query:` or `command:`")
            .into());
    }
    let base = match &file.base {
        Some(base) => {
            Some(target(base, context).with_context(|| format!("reading `base` of {name}"))?)
        }
        None => None,
    };
    let schemas = entries
        .iter()
        .filter_map(|entry| entry.get("schema").cloned());
    let siblings = Arc::new(schemas.collect::<BTreeSet<String>>());
    let mut members = Vec::with_capacity(entries.len());
    for (index, entry) in entries.into_iter().enumerate() {
        members.push(
            member(entry, base.as_ref(), &siblings, context)
                .with_context(|| format!("reading database {} of {name}", index + 1))?,
        );
    }
    reject_duplicates(name, &members)?;
    if file.shared.is_some() && siblings.is_empty() {
        return Err(
            fail(format!("{name}: `shared` needs tenants that are schemas"))
                .hint("list the tenants of one database with a `schema` each, or remove `shared`")
                .into(),
        );
    }
    let limits = limits(name, &file, members.len())?;
    let waves: Vec<WaveSpec> = file
        .waves
        .into_iter()
        .map(|written| wave::parse(name, written))
        .collect::<Result<_>>()?;
    Ok(Fleet {
        members,
        waves,
        limits,
        shared: file.shared.map(|path| context.folder.join(path)),
    })
}

fn plain(written: &BTreeMap<String, serde_json::Value>) -> Entry {
    let known = written.iter().filter(|(_, value)| !value.is_null());
    known
        .map(|(key, value)| (key.clone(), text(value)))
        .collect()
}

async fn ask(query: &MemberQuery, context: &InventoryContext<'_>) -> Result<Vec<Entry>> {
    let target = target(&query.url, context)?;
    let session = connect::open(&target, context.watch).await?;
    let answer = session
        .simple_query(&Sql::written_by_user(&query.sql))
        .await?;
    session.close().await;
    let rows = answer.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let entry = |row: tokio_postgres::SimpleQueryRow| {
        let columns = row.columns().iter().enumerate();
        columns
            .filter_map(|(at, column)| Some((column.name().to_owned(), row.get(at)?.to_owned())))
            .collect()
    };
    Ok(rows.map(entry).collect())
}

async fn run(command: &[String], context: &InventoryContext<'_>) -> Result<Vec<Entry>> {
    let [program, arguments @ ..] = command else {
        return Err(fail("`command` is empty")
            .hint("write a list: [program, argument, …]")
            .into());
    };
    // A path is relative to the file's folder; a bare name is looked up on the search path.
    let program = if program.contains('/') {
        context.folder.join(program)
    } else {
        program.into()
    };
    let written = command.join(" ");
    let hint = |error: anyhow::Error, hint: &str| {
        fail(format!("`{written}` failed to list the fleet: {error:#}")).hint(hint.to_owned())
    };
    let done = Program::new(program)
        .args(arguments)
        .directory(context.folder)
        .run()
        .await
        .map_err(|error| {
            hint(
                error,
                "use a program on the search path, or a path relative to the fleet's file: [./tenants.sh]",
            )
        })?
        .check("command failed")
        .map_err(|error| {
            hint(
                error,
                "run the command in the folder of the fleet's file to see its output",
            )
        })?;
    let listed: Vec<BTreeMap<String, serde_json::Value>> = serde_json::from_slice(&done.stdout)
        .context("the command that lists the fleet must print a JSON list of objects")?;
    Ok(listed.iter().map(plain).collect())
}

fn target(written: &str, context: &InventoryContext<'_>) -> Result<Target> {
    (context.target)(&(context.expand)(written)?)
}

fn member(
    mut entry: Entry,
    base: Option<&Target>,
    siblings: &Arc<BTreeSet<String>>,
    context: &InventoryContext<'_>,
) -> Result<Member> {
    let schema = entry.remove("schema");
    let url = entry.remove("url");
    let database = entry.remove("database");
    let name = entry
        .remove("name")
        .or_else(|| schema.clone().or_else(|| database.clone()));
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return Err(fail("`name` is missing")
            .hint("give each database a `name`")
            .into());
    };
    let target = match (url, database, base) {
        (Some(url), None, _) => target(&url, context)?,
        (Some(url), Some(database), _) => target(&url, context)?.with_database(&database),
        (None, Some(database), Some(base)) => base.with_database(&database),
        (None, None, Some(base)) if schema.is_some() => base.clone(),
        (None, _, _) => return Err(missing_url(&name).into()),
    };
    if let Some(schema) = &schema {
        reject_reserved_schema(&name, schema)?;
    }
    Ok(Member {
        name,
        target,
        tenant: schema.map(|schema| Tenant {
            schema,
            siblings: Arc::clone(siblings),
        }),
        attributes: entry,
    })
}

/// Rejects the schemas of the server and of af-db, and the shared schema.
fn reject_reserved_schema(name: &str, schema: &str) -> Result<(), Failure> {
    let theirs = schema.is_empty()
        || schema.starts_with("pg_")
        || matches!(schema, "public" | "information_schema" | "af_db");
    if theirs {
        return Err(
            fail(format!("`{name}` uses the reserved schema `{schema}`"))
                .hint("give each tenant its own schema, and put common objects into `shared`"),
        );
    }
    Ok(())
}

fn missing_url(name: &str) -> Failure {
    fail(format!("`{name}` has no connection URL"))
        .hint("add a `url`, or a `database` on the server of `base`")
}

/// A database listed twice would be migrated twice at once; equal names could not be distinguished.
fn reject_duplicates(file: &str, members: &[Member]) -> Result<()> {
    let mut names = BTreeSet::new();
    let mut places = BTreeMap::new();
    for member in members {
        if !names.insert(&member.name) {
            return Err(fail(format!("{file} lists `{}` twice", member.name))
                .hint("give each database a unique `name`")
                .into());
        }
        let tenant = member.tenant.as_ref();
        let place = (member.location(), tenant.map(|tenant| &tenant.schema));
        let what = if tenant.is_some() {
            "schema"
        } else {
            "database"
        };
        if let Some(other) = places.insert(place, &member.name) {
            let double = format!(
                "`{other}` and `{}` of {file} are the same {what}",
                member.name
            );
            return Err(fail(double).hint("list the database once").into());
        }
    }
    for member in members.iter().filter(|member| member.tenant.is_some()) {
        if let Some(whole) = places.get(&(member.location(), None)) {
            let both = format!(
                "`{}` of {file} is a schema of the database that `{whole}` is",
                member.name
            );
            return Err(fail(both).hint("list the database or its schemas").into());
        }
    }
    Ok(())
}

fn limits(name: &str, file: &FleetFile, members: usize) -> Result<Limits> {
    let at_least_one = |key: &str, given: Option<usize>, otherwise: usize| match given {
        Some(0) => Err(
            fail(format!("{name}: `{key}` is 0, so nothing would ever run")).hint("set 1 or more"),
        ),
        given => Ok(given.unwrap_or(otherwise)),
    };
    let patience = match &file.connect_timeout {
        None => Duration::from_secs(10),
        Some(text) => wave::duration(name, "connect-timeout", text)?,
    };
    let budget = file.failure_budget.as_ref().map(text);
    Ok(Limits {
        concurrency: at_least_one("concurrency", file.concurrency, 16)?,
        per_server: at_least_one("per-server", file.per_server, 8)?,
        failures: budget.map_or(Ok(0), |text| failure_budget(name, &text, members))?,
        retries: file.retries.unwrap_or(3),
        patience,
    })
}

/// Parses `3` or `5%` of a total.
fn failure_budget(name: &str, text: &str, of: usize) -> Result<usize, Failure> {
    let wrong = || {
        fail(format!("{name}: `failure-budget: {text}` is not a number"))
            .hint("write a number of databases, or a percentage such as 5%")
    };
    match text.strip_suffix('%') {
        None => text.parse().map_err(|_| wrong()),
        Some(percent) => {
            let percent: usize = percent.trim().parse().map_err(|_| wrong())?;
            Ok(of * percent.min(100) / 100)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn fleet(text: &str) -> Result<Fleet> {
        let context = InventoryContext {
            target: &|url| Target::parse(url),
            expand: &|text| Ok(text.to_owned()),
            folder: std::path::Path::new("."),
            watch: &crate::event::silent,
        };
        read("fleet.yaml", text, &context).await
    }

    async fn refused(text: &str) -> String {
        let error = fleet(text).await.unwrap_err();
        format!(
            "{error:#} ({})",
            crate::error::hint_of(&error).unwrap_or("-")
        )
    }

    #[tokio::test]
    async fn a_list_is_read_with_its_attributes() {
        let fleet = fleet(
            "base: postgres://me@h/x\nfailure-budget: 50%\ndatabases:\n- {database: acme, tier: gold, seats: 3}\n\
             - {name: other, url: 'postgres://me@h2/y'}\n",
        )
        .await
        .unwrap();
        assert_eq!(fleet.members[0].name, "acme");
        assert_eq!(fleet.members[0].target.database(), "acme");
        assert_eq!(fleet.members[0].attributes["tier"], "gold");
        assert_eq!(fleet.members[0].attributes["seats"], "3");
        assert_ne!(fleet.members[0].server(), fleet.members[1].server());
        assert_eq!(fleet.limits.failures, 1);
    }

    #[tokio::test]
    async fn members_are_read_from_a_command() {
        let fleet = fleet(
            "base: postgres://h/x\ncommand: [echo, '[{\"database\": \"one\"}, {\"database\": \"two\", \"tier\": 1}]']\n",
        )
        .await
        .unwrap();
        assert_eq!(fleet.members.len(), 2);
        assert_eq!(fleet.members[1].attributes["tier"], "1");
    }

    #[tokio::test]
    async fn invalid_files_are_rejected() {
        insta::assert_snapshot!(refused("databases: []").await, @"fleet.yaml lists no databases (add them under `databases:`, or use `query:` or `command:`)");
        insta::assert_snapshot!(refused("databases: [{name: a}]").await, @"reading database 1 of fleet.yaml: `a` has no connection URL (add a `url`, or a `database` on the server of `base`)");
        insta::assert_snapshot!(refused("databases: [{url: 'postgres://h/a'}]").await, @"reading database 1 of fleet.yaml: `name` is missing (give each database a `name`)");
        insta::assert_snapshot!(refused("databases: [{name: a, url: 'postgres://h/a'}, {name: b, url: 'postgres://h/a'}]").await, @"`a` and `b` of fleet.yaml are the same database (list the database once)");
        insta::assert_snapshot!(refused("databases: [{name: a, url: 'postgres://h/a'}, {name: a, url: 'postgres://h/b'}]").await, @"fleet.yaml lists `a` twice (give each database a unique `name`)");
        insta::assert_snapshot!(refused("databases: [{name: a, url: 'postgres://h/a'}]\nconcurrency: 0").await, @"fleet.yaml: `concurrency` is 0, so nothing would ever run (set 1 or more)");
        insta::assert_snapshot!(refused("databases: [{name: a, url: 'postgres://h/a'}]\nfailure-budget: few").await, @"fleet.yaml: `failure-budget: few` is not a number (write a number of databases, or a percentage such as 5%)");
        insta::assert_snapshot!(refused("databases: [{schema: a, url: 'postgres://h/a'}, {name: b, schema: a, url: 'postgres://h/a'}]").await, @"`a` and `b` of fleet.yaml are the same schema (list the database once)");
        insta::assert_snapshot!(refused("databases: [{schema: a, url: 'postgres://h/a'}, {name: b, url: 'postgres://h/a'}]").await, @"`a` of fleet.yaml is a schema of the database that `b` is (list the database or its schemas)");
        insta::assert_snapshot!(refused("schemas: [{schema: pg_toast, url: 'postgres://h/a'}]").await, @"reading database 1 of fleet.yaml: `pg_toast` uses the reserved schema `pg_toast` (give each tenant its own schema, and put common objects into `shared`)");
        insta::assert_snapshot!(refused("shared: x\ndatabases: [{name: b, url: 'postgres://h/a'}]").await, @"fleet.yaml: `shared` needs tenants that are schemas (list the tenants of one database with a `schema` each, or remove `shared`)");
        insta::assert_snapshot!(refused("command: []").await, @"listing the databases of fleet.yaml: `command` is empty (write a list: [program, argument, …])");
        insta::assert_snapshot!(refused("command: [sh, -c, 'echo lost >&2; exit 3']").await, @"listing the databases of fleet.yaml: `sh -c echo lost >&2; exit 3` failed to list the fleet: command failed (exit status: 3): lost (run the command in the folder of the fleet's file to see its output)");
        insta::assert_snapshot!(refused("command: [echo, no]").await, @"listing the databases of fleet.yaml: the command that lists the fleet must print a JSON list of objects: expected ident at line 1 column 2 (-)");
    }
}
