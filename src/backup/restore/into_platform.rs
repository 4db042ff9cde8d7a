//! Restores an archive into an existing Supabase platform, in one transaction.
//!
//! Its database cannot be replaced by renaming, because the platform's services use it. It must be new instead, and the load
//! is committed whole or not at all. Verification follows the commit, because other sessions cannot see the rows before.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::Instant;
use tokio_postgres::types::Type;

use crate::clients::Clients;
use crate::compare::{self, SchemaCompareOptions};
use crate::error::refuse;
use crate::event::{Event, Watch, silent};
use crate::finding::Finding;
use crate::pg::connect;
use crate::pg::lock::{self, Share};
use crate::pg::server_error::ServerError;
use crate::pg::session::Session;
use crate::pg::target::Target;
use crate::profile::{self, Profile, ProfileContext};
use crate::properties;
use crate::restore::entry_selection::{self, EntrySelection};
use crate::restore::plan;
use crate::restore::psql_script::PsqlScript;
use crate::restore::{Options, Restored, Times, milliseconds, statistics};
use crate::roles_and_settings::{self, MissingRoles};
use crate::sql::name::ObjectName;
use crate::sql::safe::Sql;
use crate::toc::Toc;
use crate::unpack::{ArchiveContents, Unpacked};

/// Returns whether the target database exists and has a Supabase platform.
pub(super) async fn has_platform(admin: &Session, target: &Target) -> Result<bool> {
    let there = admin
        .query(
            "SELECT FROM pg_catalog.pg_database AS d WHERE d.datname = $1",
            &[(&target.database(), Type::TEXT)],
        )
        .await?;
    if there.is_empty() {
        return Ok(false);
    }
    let session = connect::open(target, &silent).await?;
    let row = session
        .query_one(
            "SELECT pg_catalog.to_regclass('auth.users') IS NOT NULL \
             AND EXISTS (SELECT FROM pg_catalog.pg_roles AS r WHERE r.rolname = 'supabase_admin')",
            &[],
        )
        .await?;
    session.close().await;
    Ok(row.get(0))
}

pub(super) struct IntoPlatform<'a> {
    pub(super) options: &'a Options,
    pub(super) unpacked: &'a Unpacked,
    pub(super) watch: Watch<'a>,
}

impl IntoPlatform<'_> {
    /// Loads and verifies; a failure before the commit changes nothing.
    pub(super) async fn run(&self, mut times: Times) -> Result<Restored> {
        let options = self.options;
        let session = connect::open(&options.target, self.watch).await?;
        let (server, _) = properties::server(&session).await?;
        let major = server.version_num / 10_000;
        let archive = &self.unpacked.archive;
        plan::refuse_newer(archive, major)?;
        let clients = plan::clients(options, archive, major).await?;
        let lock = lock::take(&session, Share::Alone, Duration::ZERO, self.watch).await?;
        let platform = clients
            .schema(&options.target, "UTF8", "reading the current schema")
            .await?;
        let extensions = entry_selection::extensions(&session).await?;
        let context = ProfileContext {
            platform: Some(&platform),
            extensions: &extensions,
        };
        let choice = entry_selection::choose(options, &self.unpacked.contents, context)?;
        self.check_fresh(&session, &platform, &choice.contents)
            .await?;
        let database = &choice.contents.proof.database;
        let missing = roles_and_settings::missing_roles(&session, database).await?;
        let missing = missing
            .into_iter()
            .filter(|role| !profile::is_platforms(role) && *role != database.owner)
            .collect();
        if !options.no_owner {
            let new = MissingRoles {
                database,
                names: missing,
                trusted: &options.role_attributes,
            };
            roles_and_settings::create_roles(&session, &new, self.watch).await?;
        }
        let clock = Instant::now();
        self.load(&session, &clients, &choice).await?;
        times.data = milliseconds(clock);
        let clock = Instant::now();
        (self.watch)(Event::Info("analyzing"));
        statistics::gather(&options.target, options.jobs).await?;
        times.analyze = milliseconds(clock);
        let clock = Instant::now();
        let mut findings = self
            .prove(&choice.contents, &platform, &clients, major)
            .await?;
        times.prove = milliseconds(clock);
        findings.extend(choice.findings);
        lock.release(&session).await?;
        session.close().await;
        Ok(Restored {
            archive: self.unpacked.archive.clone(),
            database: Some(options.target.database().to_owned()),
            kept_as: None,
            findings,
            times,
        })
    }

    /// Refuses a database with user objects or rows, and a platform too old for the rows.
    async fn check_fresh(
        &self,
        session: &Session,
        platform: &Toc,
        contents: &ArchiveContents,
    ) -> Result<()> {
        let name = self.options.target.database();
        if let Some(entry) = platform
            .entries
            .iter()
            .find(|entry| profile::is_users(entry))
        {
            return Err(refuse(format!(
                "database `{name}` already contains {} {}; nothing was restored",
                entry.kind.to_lowercase(),
                entry.name()
            ))
            .hint("restore into a new project, or into a new database with --into")
            .into());
        }
        for table in &contents.proof.tables {
            let key = ("TABLE", table.schema.as_str(), table.name.as_str());
            if !platform
                .entries
                .iter()
                .any(|entry| profile::key(entry) == key)
            {
                continue;
            }
            let object = ObjectName::new(&table.schema, &table.name);
            let columns = table.columns.trim_start_matches('(').trim_end_matches(')');
            let probe = Sql::fill(
                "SELECT {} FROM {} LIMIT 1",
                &[&Sql::printed_by_server(columns), &object],
            );
            match session.query_sql(&probe, &[]).await {
                Ok(rows) if rows.is_empty() => {}
                Ok(_) => {
                    return Err(refuse(format!(
                        "`{object}` in database `{name}` already has rows; nothing was restored"
                    ))
                    .hint("restore into a new project")
                    .into());
                }
                Err(error) => {
                    let server = error.downcast_ref::<ServerError>();
                    let Some(server) = server.filter(|server| server.is("42703")) else {
                        return Err(error);
                    };
                    return Err(refuse(format!(
                        "the platform of `{name}` is older than the backup's: in `{object}` {}; nothing was restored",
                        server.message
                    ))
                    .hint("upgrade the platform first")
                    .into());
                }
            }
        }
        Ok(())
    }

    async fn load(
        &self,
        session: &Session,
        clients: &Clients,
        choice: &EntrySelection,
    ) -> Result<()> {
        // The role's default privileges would leave the copy with broader privileges than its source.
        let given = session
            .query(include_str!("../queries/default_privileges.sql"), &[])
            .await
            .context("reading the default privileges")?;
        let (mut begin, mut end) = (Sql::new("BEGIN;\n"), Sql::new(""));
        for row in &given {
            let (revoke, give): (String, String) = (row.get("revoke"), row.get("give"));
            begin.piece(&Sql::printed_by_server(revoke)).push(";\n");
            end.piece(&Sql::printed_by_server(give)).push(";\n");
        }
        end.push("COMMIT;\n");
        // The platform's triggers and foreign keys already exist; all rows are of one snapshot, so no reference is missing at the end.
        let rows = Sql::new("SET LOCAL session_replication_role = replica;\n");
        let rest = Sql::new("SET LOCAL session_replication_role = origin;\n");
        let mut script = PsqlScript::start(
            self.options,
            self.unpacked,
            self.watch,
            clients,
            choice.list(),
        )?;
        script.say(&begin).await;
        script.section("pre-data").await?;
        script.say(&rows).await;
        script.section("data").await?;
        script.say(&rest).await;
        script.section("post-data").await?;
        script.say(&end).await;
        script.finish().await
    }

    async fn prove(
        &self,
        contents: &ArchiveContents,
        platform: &Toc,
        clients: &Clients,
        major: u32,
    ) -> Result<Vec<Finding>> {
        let target = &self.options.target;
        let mut findings = compare::data::compare(target, &contents.proof, self.watch).await?;
        (self.watch)(Event::Info("verifying schema"));
        let leniency = SchemaCompareOptions {
            no_owner: self.options.no_owner,
            across_majors: self.unpacked.archive.major() != major,
            roles_merged: contents.roles_merged,
        };
        let before: BTreeSet<_> = platform.entries.iter().map(profile::key).collect();
        let without = |toc: &Toc| {
            let mut toc = toc.clone();
            toc.entries
                .retain(|entry| !before.contains(&profile::key(entry)));
            toc
        };
        let restored = clients
            .schema(&self.options.target, "UTF8", "reading the current schema")
            .await?;
        findings.extend(compare::schema::compare(
            &without(&contents.summary.toc),
            &without(&restored),
            leniency,
        ));
        Ok(findings)
    }
}

pub(super) fn check_profile(profile: Profile, target: &Target) -> Result<()> {
    if profile != Profile::SupabaseProject {
        return Ok(());
    }
    Err(refuse(format!(
        "database `{}` has no Supabase platform to restore the project into; nothing was restored",
        target.database()
    ))
    .hint("use the database of a new project, or create a new database with --profile plain")
    .into())
}
