//! Creates a project from an existing database: the manifest, the policies, and a baseline migration recorded as applied.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::catalog::{Catalog, Kind, Scope, read};
use crate::commands::{Context, Purpose, change::gate, project};
use crate::config::FILE_NAME;
use crate::diff::ddl::{self, Options};
use crate::error::refuse;
use crate::finding::Finding;
use crate::manifest;
use crate::migrate::files;
use crate::migrate::history;
use crate::migrate::job;
use crate::migrate::journal::{self, JournalEntry, JournalState};
use crate::pg::connect;
use crate::pg::lock::LockedSession;
use crate::pg::session::Session;
use crate::pg::supabase;
use crate::rls::infer;
use crate::rls::rights::PUBLIC;
use crate::sql::name::{Ident, Literal};
use crate::sql::safe::Sql;

/// The project as written.
pub(crate) struct ImportedProject {
    pub(crate) written: Vec<String>,
    /// Policies that could not be expressed as templates, and why.
    pub(crate) findings: Vec<Finding>,
    /// Whether the baseline is recorded as applied.
    pub(crate) baselined: bool,
}

/// The migration that creates the existing schema.
const BASELINE: &str = "V1__baseline";

/// Writes the project; with `record`, the baseline is recorded as applied in the database.
pub(crate) async fn from_live(
    root: &Path,
    record: bool,
    context: &Context,
) -> Result<ImportedProject> {
    for name in [FILE_NAME, "migrations", "schemas", "policies"] {
        let path = root.join(name);
        let there = path.is_file()
            || path
                .read_dir()
                .is_ok_and(|mut entries| entries.next().is_some());
        if there {
            return Err(refuse(format!("{name} already exists; nothing was written"))
                .hint("Run af-db init --from-live in an empty directory. To write only the manifest: af-db manifest write")
                .into());
        }
    }
    let (session, _) = context.open(Purpose::Reading).await?;
    let catalog = read::read(&session, &Scope::whole()).await?;
    let with_roles = Scope {
        roles: true,
        global: false,
        ..Scope::whole()
    };
    let inferred = infer::infer(&read::read(&session, &with_roles).await?);
    let mut files = BTreeMap::new();
    files.insert(FILE_NAME.to_owned(), configuration(&catalog));
    for (name, text) in manifest::write::write(&manifest::compare::without_security(&catalog)) {
        files.insert(format!("schemas/{name}"), text);
    }
    files.insert("policies/from-live.yaml".to_owned(), inferred.yaml);
    if !inferred.sql.is_empty() {
        files.insert("policies/from-live.sql".to_owned(), inferred.sql);
    }
    let up = baseline(&session, &catalog, context).await?;
    files.insert(format!("migrations/{BASELINE}.sql"), up);
    session.close().await;
    for (name, text) in &files {
        let path = root.join(name);
        let folder = path.parent().context("a file lies in a folder")?;
        std::fs::create_dir_all(folder)
            .with_context(|| format!("creating {}", folder.display()))?;
        std::fs::write(&path, text).with_context(|| format!("writing {name}"))?;
    }
    if record {
        baselined(root, context).await?;
    }
    Ok(ImportedProject {
        written: files.into_keys().collect(),
        findings: inferred.findings,
        baselined: record,
    })
}

fn configuration(catalog: &Catalog) -> String {
    let mut schemas: BTreeSet<String> = catalog
        .of_kind(Kind::Schema)
        .map(|(key, _)| key.name.to_string())
        .collect();
    schemas.insert("public".to_owned());
    let schemas: Vec<String> = schemas
        .into_iter()
        .map(|name| serde_json::Value::from(name).to_string())
        .collect();
    format!(
        "# Created from a database. Every key is optional; see af-db --help for how the database is found.\nschemas: [{}]\n",
        schemas.join(", ")
    )
}

/// The SQL that creates the schema in an empty database.
async fn baseline(live: &Session, catalog: &Catalog, context: &Context) -> Result<String> {
    let scratch = context.scratch(Some(live)).await?;
    let empty = scratch.database("empty").await?;
    let session = connect::open(&empty, &context.watch()).await?;
    let row = live
        .query_one(
            "SELECT pg_catalog.to_regclass('auth.users') IS NOT NULL",
            &[],
        )
        .await?;
    if row.get(0) {
        supabase::prepare(&session).await?;
    }
    let there = read::read(&session, &Scope::whole()).await?;
    let known = session
        .query("SELECT rolname::text FROM pg_catalog.pg_roles", &[])
        .await?;
    let known: BTreeSet<String> = known.iter().map(|row| row.get(0)).collect();
    session.close().await;
    let options = Options {
        column_order: true,
        online: false,
    };
    let wanted = catalog.without_owners();
    let statements = ddl::statements(&there.without_owners(), &wanted, &options);
    let mut text = String::from(
        "-- The schema when af-db was adopted. On existing databases it is recorded as applied and not run.\n",
    );
    for role in roles(live).await?.difference(&known) {
        let make = Sql::fill("CREATE ROLE {}", &[&Ident::new(role.as_str())]);
        let guarded = Sql::fill(
            "DO {};\n",
            &[&Literal::new(format!(
                "BEGIN {make}; EXCEPTION WHEN duplicate_object THEN NULL; END"
            ))],
        );
        text.push_str(guarded.as_str());
    }
    for statement in statements {
        text.push_str(statement.sql.as_str().trim_end());
        text.push_str(";\n");
    }
    Ok(text)
}

/// The roles that grants and policies name.
async fn roles(live: &Session) -> Result<BTreeSet<String>> {
    let scope = Scope {
        roles: true,
        global: false,
        ..Scope::whole()
    };
    let catalog = read::read(live, &scope).await?;
    let roles = crate::rls::rights::Roles::of(&catalog);
    let rights = crate::rls::rights::Rights::of(&catalog, &roles);
    let granted = rights.grants.iter().map(|grant| grant.grantee.to_string());
    let of_policies = rights.tables.values().flat_map(|rows| &rows.policies);
    let of_policies =
        of_policies.flat_map(|policy| policy.roles.iter().map(|role| role.to_string()));
    Ok(granted
        .chain(of_policies)
        .filter(|role| role != PUBLIC && !role.starts_with("pg_"))
        .collect())
}

/// Records the migration as applied.
async fn baselined(root: &Path, context: &Context) -> Result<()> {
    let folder = files::list(&root.join("migrations"), "migrations")?;
    let (session, target) = context.open(Purpose::Writing).await?;
    let watch = context.watch();
    let session = LockedSession::take(session, Duration::from_secs(30), &watch).await?;
    let records = project::history_and_journal(context, &session).await?;
    if !records.history.rows.is_empty() {
        return Err(refuse(format!(
            "`{target}` already has a migration history; the files were written, the baseline was not recorded"
        ))
        .hint("Compare both with af-db status; adopt another tool's history with af-db adopt")
        .into());
    }
    gate::confirm(
        context,
        &session,
        &target,
        "V1__baseline will be recorded as applied, without running it\n",
    )
    .await?;
    let ledger = project::record_settings(context, &records.history, &folder)?;
    project::create_history_tables(&session, &ledger, &records.history).await?;
    let mut sql = Sql::new("BEGIN");
    for migration in &folder.migrations {
        let entry = JournalEntry {
            version: Some(migration.version),
            name: Some(migration.name.clone()),
            note: Some("adopted with its schema".to_owned()),
            ..JournalEntry::default()
        };
        sql.push(";\n")
            .piece(&history::insert(
                &ledger.history,
                &job::row(migration, ledger.width),
            ))
            .push(";\n")
            .piece(&journal::append(
                &ledger.run,
                JournalState::Baselined,
                &entry,
            ));
    }
    sql.push(";\nCOMMIT");
    if let Err(error) = session.run(&sql).await {
        session.roll_back().await;
        return Err(error.context("recording the baseline; the files were written"));
    }
    session.close().await;
    Ok(())
}
