//! Normalizes a manifest: executes it in a shadow database and reads it back, so that PostgreSQL decides what it means.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use anyhow::Result;

use crate::catalog::{self, Catalog, Key, Scope};
use crate::event::{Event, Unit, Watch};
use crate::finding::{Finding, Location};
use crate::manifest::located_statement::LocatedStatement;
use crate::manifest::statements::{self, Statements};
use crate::manifest::{Manifest, declared_names, document_statements};
use crate::pg::server_error::ServerError;
use crate::pg::session::Session;
use crate::sql::name::Ident;
use crate::sql::safe::Sql;
use crate::yaml::{Located, nearest};

#[derive(Debug)]
pub struct NormalizedManifest {
    /// The declared schema; incomplete if there are findings.
    pub catalog: Catalog,
    /// Statements that PostgreSQL rejected, with their locations.
    pub findings: Vec<Finding>,
    /// The locations of declared objects by quoted name: `public.orders`, `public.orders.id`.
    pub locations: BTreeMap<String, Location>,
}

/// Executes a manifest in an empty database and reads the schema back.
pub async fn normalize(
    manifest: &Manifest,
    session: &Session,
    scope: &Scope,
    watch: Watch<'_>,
) -> Result<NormalizedManifest> {
    let statements = statements(manifest)?;
    // Function bodies may name objects that are created later.
    session
        .run(&Sql::new(
            "SET check_function_bodies = off; SET client_min_messages = error",
        ))
        .await?;
    let [first, last] = statements;
    let mut refused = run_all(first, session, watch).await?;
    refused.extend(run_all(last, session, watch).await?);
    session.run(&Sql::new("RESET ALL")).await?;
    let mut findings = declared_names::truncated_names(manifest);
    findings.extend(explain(refused, manifest));
    let catalog = catalog::read::read(session, scope).await?;
    Ok(NormalizedManifest {
        catalog,
        findings,
        locations: declared_names::locations(manifest)?,
    })
}

/// Turns a manifest into statements, in the order of execution.
pub fn statements(manifest: &Manifest) -> Result<[Vec<LocatedStatement>; 2]> {
    let mut found = Statements::default();
    for file in &manifest.files {
        document_statements::add(&file.name, &file.document, &mut found)?;
    }
    for file in &manifest.sql {
        let text = Located {
            value: file.text.clone(),
            line: 1,
            column: 1,
        };
        statements::add_sql(&file.name, &text, &mut found);
    }
    Ok(found.in_order())
}

/// Runs the statements repeatedly until a round has no success; returns those that failed, with their last errors.
async fn run_all(
    statements: Vec<LocatedStatement>,
    session: &Session,
    watch: Watch<'_>,
) -> Result<Vec<(LocatedStatement, ServerError)>> {
    let total = statements.len() as u64;
    watch(Event::Began {
        task: "normalizing the manifest",
        total: Some(total),
        unit: Unit::Items,
    });
    let mut left: Vec<(LocatedStatement, ServerError)> = statements
        .into_iter()
        .map(|statement| (statement, ServerError::default()))
        .collect();
    loop {
        let before = left.len();
        let mut refused = Vec::new();
        for (statement, _) in left {
            let shown = statement.location.to_string();
            let text = statement.sql.as_str();
            session.confinement().check(&shown, text)?;
            let Err(error) = session.run(&statement.sql).await else {
                continue;
            };
            let server = error
                .downcast_ref::<ServerError>()
                .filter(|server| !server.closed);
            let Some(server) = server.cloned() else {
                return Err(error.context(format!("normalizing {}", statement.location)));
            };
            if statement
                .tolerates
                .is_none_or(|sqlstate| !server.is(sqlstate))
            {
                refused.push((statement, server));
            }
        }
        left = refused;
        watch(Event::Advanced {
            done: total - left.len() as u64,
            note: "",
        });
        if left.is_empty() || left.len() == before {
            break;
        }
    }
    watch(Event::Ended);
    Ok(left)
}

/// Turns failed statements into findings, without those that only follow from another failure.
fn explain(refused: Vec<(LocatedStatement, ServerError)>, manifest: &Manifest) -> Vec<Finding> {
    let makes = refused.iter().map(|(statement, _)| &*statement.makes);
    let makes: HashSet<&str> = makes.flat_map(called).collect();
    let follows = |error: &ServerError| is_missing(error) && names_one_of(error, &makes);
    // Statements that depend on each other are all shown.
    let hide = !refused.iter().all(|(_, error)| follows(error));
    let mut shown: Vec<&(LocatedStatement, ServerError)> = refused
        .iter()
        .filter(|(_, error)| !(hide && follows(error)))
        .collect();
    shown.sort_by_cached_key(|(statement, error)| statement.location_of(error.position));
    let known = DeclaredNames::of(manifest);
    let shown = shown.into_iter().enumerate();
    shown
        .map(|(index, (statement, error))| {
            let near = (index < GUESSED).then(|| known.near(error)).flatten();
            finding(statement, error, near)
        })
        .collect()
}

/// Only this many failures get a suggestion; more are usually one mistake repeated.
const GUESSED: usize = 100;

/// Returns whether an object that the statement needs does not exist.
fn is_missing(error: &ServerError) -> bool {
    const MISSING: [&str; 5] = ["42P01", "42883", "42704", "3F000", "42703"];
    error
        .sqlstate
        .as_deref()
        .is_some_and(|sqlstate| MISSING.contains(&sqlstate))
}

/// Returns whether the message names an object whose own statement failed.
fn names_one_of(error: &ServerError, makes: &HashSet<&str>) -> bool {
    let quoted = error.message.split('"').skip(1).step_by(2);
    quoted.into_iter().any(|name| makes.contains(name))
}

/// Returns the names that the server may use for an object described as `table public.orders`.
fn called(makes: &str) -> impl Iterator<Item = &str> {
    let name = makes.split_once(' ').map(|(_, name)| name);
    let bare = name.and_then(|name| name.strip_prefix("public."));
    let names = name.into_iter().chain(bare);
    names.map(|name| name.trim_matches('"'))
}

fn finding(statement: &LocatedStatement, error: &ServerError, near: Option<&str>) -> Finding {
    let place = statement.location_of(error.position);
    if statement.makes.starts_with("extension ") && error.message.contains("is not available") {
        let message = format!("{}; objects that need it cannot be checked", error.message);
        let help = "install the extension's package on the server used for shadow databases";
        return Finding::warn("manifest-extension", &statement.makes, message)
            .place(place)
            .help(help);
    }
    let mut finding =
        Finding::error("manifest-refused", &statement.makes, &error.message).place(place);
    let said: Vec<&str> = [&error.detail, &error.hint]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect();
    if !said.is_empty() {
        finding = finding.detail(said.join("\n"));
    }
    match near {
        Some(near) => finding.help(format!("did you mean `{near}`?")),
        None => finding,
    }
}

/// Declared names, to suggest one for a misspelt name.
struct DeclaredNames<'a> {
    tables: BTreeSet<&'a str>,
    columns: BTreeSet<&'a str>,
}

impl<'a> DeclaredNames<'a> {
    fn of(manifest: &'a Manifest) -> Self {
        let columns = manifest
            .tables()
            .flat_map(|(_, table)| table.columns.iter());
        DeclaredNames {
            tables: manifest.tables().map(|(name, _)| &*name.value).collect(),
            columns: columns.map(|(name, _)| &*name.value).collect(),
        }
    }

    /// Suggests a declared table, column or type for a missing one.
    fn near(&self, error: &ServerError) -> Option<&'a str> {
        let wanted = error.message.split('"').nth(1)?;
        let wanted = wanted.strip_prefix("public.").unwrap_or(wanted);
        match error.sqlstate.as_deref()? {
            "42P01" => nearest(wanted, self.tables.iter().copied()),
            "42703" => nearest(wanted, self.columns.iter().copied()),
            "42704" => nearest(wanted, TYPES.iter().copied()),
            _ => None,
        }
    }
}

/// Types that are often misspelt.
const TYPES: &[&str] = &[
    "bigint",
    "boolean",
    "bytea",
    "date",
    "double precision",
    "inet",
    "integer",
    "interval",
    "json",
    "jsonb",
    "numeric",
    "smallint",
    "text",
    "time",
    "timestamp",
    "timestamptz",
    "uuid",
    "varchar",
];

impl NormalizedManifest {
    /// Returns where the manifest declares an object or its parent.
    pub fn location_of(&self, key: &Key, parent: Option<&Key>) -> Option<Location> {
        let name = Ident::new(&*key.name);
        let in_table = parent.map(|parent| format!("{}.{name}", parent.qualified()));
        let names = [in_table, Some(key.subject()), Some(key.qualified())];
        names
            .into_iter()
            .chain([parent.map(Key::qualified)])
            .flatten()
            .find_map(|name| self.locations.get(&name).cloned())
    }
}
