//! Creates, loads and verifies the new database under an unused name.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use tokio::time::Instant;

use crate::compare::rows::LoadedTablesSender;
use crate::compare::{self, SchemaCompareOptions};
use crate::event::{Event, silent};
use crate::finding::Finding;
use crate::load;
use crate::pg::connect;
use crate::pg::server_error::ServerError;
use crate::pg::session::Session;
use crate::pg::target::Target;
use crate::properties;
use crate::restore::entry_selection::EntrySelection;
use crate::restore::leftovers::UNFINISHED_LIMIT;
use crate::restore::plan::Plan;
use crate::restore::{Times, Work, interrupted, milliseconds, statistics};
use crate::roles_and_settings::{self, MissingRoles};
use crate::sql::name::{Ident, Literal};
use crate::sql::safe::Sql;

/// One restore.
pub(super) struct NewDatabase<'a> {
    pub(super) work: Work<'a>,
    pub(super) choice: &'a EntrySelection,
    pub(super) plan: &'a Plan,
    /// Whether the database under construction is ours to remove.
    pub(super) made: Cell<bool>,
}

impl NewDatabase<'_> {
    /// Creates, loads and verifies the new database.
    pub(super) async fn build(&self, admin: &Session, times: &mut Times) -> Result<Vec<Finding>> {
        let (options, plan) = (self.work.options, self.plan);
        let database = &self.choice.contents.proof.database;
        let missing = roles_and_settings::missing_roles(admin, database).await?;
        if !options.no_owner {
            let new = MissingRoles {
                database,
                names: missing,
                trusted: &options.role_attributes,
            };
            roles_and_settings::create_roles(admin, &new, self.work.watch).await?;
        }
        self.create(admin).await?;
        let target = options.target.with_database(&plan.building);
        // Keeps another restore from sweeping the new database, and notices a lost server.
        let session = connect::open(&target, &silent).await?;
        let loading = load::DumpLoad {
            clients: &plan.clients,
            target: &target,
            dump: self.work.unpacked.path(),
            list: self.choice.list(),
            jobs: options.jobs,
            no_owner: options.no_owner,
            entries: &self.choice.contents.summary.toc.entries,
            watch: self.work.watch,
        };
        let clock = Instant::now();
        loading.schema().await?;
        times.schema = milliseconds(clock);
        let proof = &self.choice.contents.proof;
        // No other session can connect and only definitions follow, so loaded rows are final and are read while others load and
        // indexes are built.
        let (arriving, loaded) = compare::rows::loaded_tables(&proof.tables);
        // Loading keeps the CPUs busy; readers run at a lower priority.
        let readers = usize::try_from(options.jobs / 2)?.max(1);
        let rows = compare::rows::rows(&target, proof, loaded, readers, &silent);
        let finish = self.finish(&loading, &session, admin, arriving, times);
        let (mut findings, ()) = tokio::try_join!(rows, finish)?;
        let clock = Instant::now();
        findings.extend(self.prove(&target, &session).await?);
        times.prove = milliseconds(clock);
        session.close().await;
        anyhow::ensure!(!self.work.interrupt.is_raised(), interrupted());
        Ok(findings)
    }

    /// Loads rows, builds indexes and constraints, and applies the database's properties.
    async fn finish(
        &self,
        loading: &load::DumpLoad<'_>,
        session: &Session,
        admin: &Session,
        arriving: LoadedTablesSender<'_>,
        times: &mut Times,
    ) -> Result<()> {
        let (options, plan) = (self.work.options, self.plan);
        let database = &self.choice.contents.proof.database;
        let clock = Instant::now();
        let data = Cell::new(0);
        loading
            .rows(&|entry| match entry {
                Some(entry) => arriving.table(&entry.schema, &entry.tag),
                None => {
                    data.set(milliseconds(clock));
                    arriving.rest();
                }
            })
            .await?;
        drop(arriving);
        times.data = data.get();
        times.indexes = milliseconds(clock).saturating_sub(times.data);
        let clock = Instant::now();
        let reset = Sql::fill(
            "ALTER DATABASE {} RESET ALL",
            &[&Ident::new(&plan.building)],
        );
        admin.run(&reset).await?;
        roles_and_settings::apply(session, admin, &plan.building, database, options.no_owner)
            .await?;
        (self.work.watch)(Event::Info("analyzing"));
        statistics::gather(loading.target, options.jobs).await?;
        times.analyze = milliseconds(clock);
        (self.work.watch)(Event::Info("verifying rows"));
        Ok(())
    }

    async fn create(&self, admin: &Session) -> Result<()> {
        let database = &self.choice.contents.proof.database;
        let building = Ident::new(&self.plan.building);
        let mut sql = Sql::fill(
            "CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}",
            &[
                &building,
                &Literal::new(&database.encoding),
                &Literal::new(&database.collate),
                &Literal::new(&database.ctype),
            ],
        );
        match (database.provider.as_deref(), &database.locale) {
            (Some("i"), Some(locale)) => {
                sql.push(" LOCALE_PROVIDER icu ICU_LOCALE ")
                    .piece(&Literal::new(locale));
            }
            (Some("b"), Some(locale)) => {
                sql.push(" LOCALE_PROVIDER builtin BUILTIN_LOCALE ")
                    .piece(&Literal::new(locale));
            }
            _ => {}
        }
        sql.push(" CONNECTION LIMIT ").piece(&UNFINISHED_LIMIT);
        let created = admin.run(&sql).await;
        let is_anothers = created.as_ref().is_err_and(|error| {
            let server = error.downcast_ref::<ServerError>();
            server.is_some_and(|server| server.is("42P04"))
        });
        // If the answer was lost, the database may exist.
        self.made.set(!is_anothers);
        created.with_context(|| format!("creating database `{}`", self.plan.building))?;
        // No role may connect before everything, policies included, is in place.
        let mut settled = Sql::fill("REVOKE ALL ON DATABASE {} FROM PUBLIC", &[&building]);
        // As many sessions load as there are processors: an index that several build together costs more in all. What is not
        // yet on disk when the machine fails is swept; the name is given by a session that waits for the disk.
        settled.piece(&Sql::fill(
            "; ALTER DATABASE {} SET synchronous_commit TO off",
            &[&building],
        ));
        if self.work.options.jobs > 1 {
            settled.piece(&Sql::fill(
                "; ALTER DATABASE {} SET max_parallel_maintenance_workers TO 0",
                &[&building],
            ));
        }
        admin.run(&settled).await
    }

    /// Compares everything with the archive.
    async fn prove(&self, target: &Target, session: &Session) -> Result<Vec<Finding>> {
        let contents = &self.choice.contents;
        let mut findings = compare::data::others(target, &contents.proof).await?;
        if findings
            .iter()
            .any(|finding| finding.code == "proof-large-objects")
        {
            findings.extend(self.name_large_objects(session).await?);
        }
        (self.work.watch)(Event::Info("verifying schema"));
        let clients = &self.plan.clients;
        let restored = clients
            .schema(
                target,
                &contents.proof.encoding,
                "reading the restored schema",
            )
            .await?;
        let leniency = SchemaCompareOptions {
            no_owner: self.work.options.no_owner,
            across_majors: self.work.unpacked.archive.major() != self.plan.major,
            roles_merged: contents.roles_merged,
        };
        findings.extend(compare::schema::compare(
            &contents.summary.toc,
            &restored,
            leniency,
        ));
        findings.extend(self.fingerprint(session, leniency).await?);
        findings.extend(compare::properties::compare(
            &contents.proof.database,
            &properties::database(session).await?,
            leniency,
        ));
        Ok(findings)
    }

    /// Compares the schema fingerprint with the archive's, which covers what dump entries do not show.
    async fn fingerprint(
        &self,
        session: &Session,
        leniency: SchemaCompareOptions,
    ) -> Result<Option<Finding>> {
        let Some(expected) = &self.work.unpacked.archive.catalog else {
            return Ok(None);
        };
        // Owners are part of it, and another major version prints views in other words.
        let is_whole = self.choice.list().is_none() && self.work.options.mapping.is_empty();
        if leniency.no_owner || leniency.across_majors || !is_whole {
            return Ok(None);
        }
        let found = properties::fingerprint(session).await?;
        Ok((found != *expected).then(|| {
            Finding::warn(
                "proof-fingerprint",
                &self.plan.name,
                "the schema fingerprint differs from the backup, although every dumped object is equal",
            )
            .help("compare the two databases with af-db diff")
        }))
    }

    /// Reads the dump again to name the large objects that differ.
    async fn name_large_objects(&self, session: &Session) -> Result<Vec<Finding>> {
        let (_, found) = compare::data::large_objects(session).await?;
        let expected = Arc::new(Mutex::new(BTreeMap::new()));
        let told = Arc::clone(&expected);
        self.work
            .unpacked
            .large_objects(Box::new(move |oid, _, hash| {
                told.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(oid, hash);
            }))?;
        let expected = expected.lock().unwrap_or_else(PoisonError::into_inner);
        let all: BTreeSet<u32> = expected.keys().chain(found.keys()).copied().collect();
        let differing = all
            .into_iter()
            .filter(|oid| expected.get(oid) != found.get(oid));
        Ok(differing
            .take(20)
            .map(|oid| {
                let message = match (expected.contains_key(&oid), found.contains_key(&oid)) {
                    (true, false) => "it is missing",
                    (false, true) => "not in the backup",
                    _ => "content differs from the backup",
                };
                Finding::error("proof-large-object", format!("large object {oid}"), message)
            })
            .collect())
    }
}
