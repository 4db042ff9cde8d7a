//! The schema that members are compared with: that of the majority with the same history, if they are the majority of the
//! fleet, else the result of the migrations on a shadow server.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;

use crate::catalog::Catalog;
use crate::commands::Context;
use crate::commands::fleet::fingerprints;
use crate::commands::fleet::member_state::{SameHistory, SkipReason, SkippedMember, Survey};
use crate::commands::fleet::shared_migrations;
use crate::diff::report::{self, Sides};
use crate::diff::{self, Change};
use crate::event::silent;
use crate::finding::{Finding, Severity};
use crate::fleet::{Fleet, Member, Tenant};
use crate::migrate::files::{Direction, Migration, MigrationFolder};
use crate::pg::connect;
use crate::pg::shadow_server::ShadowServer;
use crate::shadow::{self, Shadow};
use crate::sql::name::Ident;
use crate::sql::safe::Sql;

/// The smallest group whose majority is a reference.
const MIN_GROUP: usize = 3;

/// Where the reference comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReferenceSource {
    /// The majority of the databases with one history, if they are the majority of the fleet. A smaller group may consist
    /// of drifted databases only: they were skipped by the previous run.
    Majority,
    /// The migrations alone.
    Migrations,
}

/// Finds the reference of each group of databases and compares the others with it.
pub(super) struct ReferenceSchema<'a> {
    trust: ReferenceSource,
    /// How many databases answered.
    answered: usize,
    context: &'a Context,
    fleet: &'a Fleet,
    folder: &'a MigrationFolder,
    // Started only when few databases have one history.
    scratch: Option<ShadowServer>,
    shadows: usize,
}

impl<'a> ReferenceSchema<'a> {
    pub(super) fn new(
        context: &'a Context,
        fleet: &'a Fleet,
        folder: &'a MigrationFolder,
        trust: ReferenceSource,
        answered: usize,
    ) -> Self {
        ReferenceSchema {
            trust,
            answered,
            context,
            fleet,
            folder,
            scratch: None,
            shadows: 0,
        }
    }

    /// Returns the members whose schema matches the reference; the others are skipped.
    pub(super) async fn without_drifted<'f>(
        &mut self,
        group: SameHistory<'f>,
        surveyed: &mut Survey<'f>,
    ) -> SameHistory<'f> {
        if group
            .iter()
            .any(|(_, seen)| !seen.state.half_run.is_empty())
        {
            // The next run continues after the applied statements, and compares the schema afterwards.
            return group;
        }
        let has_majority = self.trust == ReferenceSource::Majority
            && group.len() >= MIN_GROUP
            && group.len() * 2 > self.answered;
        let most = majority_schema(&group).filter(|_| has_majority);
        let is_like = |fingerprint: &str| most.as_deref() == Some(fingerprint);
        let model = group
            .iter()
            .find(|(_, seen)| is_like(&seen.state.fingerprint));
        let model = model.map(|(member, _)| *member);
        if group
            .iter()
            .all(|(_, seen)| is_like(&seen.state.fingerprint))
        {
            return group;
        }
        let reference = self.reference(model, &group).await;
        let mut sound = Vec::new();
        // Databases with the same schema differ from the reference in the same way.
        let mut known: BTreeMap<String, Option<String>> = BTreeMap::new();
        for (member, seen) in group {
            let shape = &seen.state.fingerprint;
            if !is_like(shape) && !known.contains_key(shape) {
                let why = match &reference {
                    Ok((name, reference)) => {
                        self.drift(member, name, reference, model.is_none()).await
                    }
                    Err(error) => Ok(Some(format!("no reference schema available: {error:#}"))),
                };
                let why = why
                    .unwrap_or_else(|error| Some(format!("schema could not be read: {error:#}")));
                known.insert(shape.clone(), why);
            }
            match known.get(shape).cloned().flatten() {
                None => sound.push((member, seen)),
                Some(why) => surveyed.aside.push(SkippedMember {
                    name: member.name.clone(),
                    cause: SkipReason::Drifted,
                    why,
                }),
            }
        }
        sound
    }

    /// The reference of a group with its name: the schema of the model, else the replayed migrations.
    async fn reference(
        &mut self,
        model: Option<&Member>,
        group: &SameHistory<'_>,
    ) -> Result<(String, Catalog)> {
        if let Some(model) = model {
            return Ok((model.name.clone(), self.catalog(model).await?));
        }
        let history = group.first().map(|(_, seen)| &seen.state.history);
        let versions = history.into_iter().flatten().map(|(version, _)| *version);
        let applied: Vec<i64> = versions.collect();
        let is_tenant = group
            .first()
            .is_some_and(|(member, _)| member.tenant.is_some());
        let catalog = self.replayed(&applied, is_tenant).await?;
        Ok(("the migrations".to_owned(), catalog))
    }

    async fn catalog(&self, member: &Member) -> Result<Catalog> {
        let session = super::open(self.fleet, member).await?;
        let catalog = fingerprints::read(self.context, &session, member).await;
        session.close().await;
        catalog
    }

    /// Replays the migrations of a history on the shadow server.
    async fn replayed(&mut self, applied: &[i64], is_tenant: bool) -> Result<Catalog> {
        if self.scratch.is_none() {
            self.scratch = Some(self.context.scratch(None).await?);
        }
        let Some(scratch) = &self.scratch else {
            unreachable!("it was started above");
        };
        self.shadows += 1;
        let files: Vec<Migration> = self
            .folder
            .migrations
            .iter()
            .filter(|file| applied.contains(&file.version))
            .cloned()
            .collect();
        let name = format!("fleet_{}", self.shadows);
        if is_tenant {
            return self.replayed_for_tenant(scratch, &name, &files).await;
        }
        let shadow = shadow::build(scratch, &name, &files, &silent).await?;
        fingerprints::read(self.context, &shadow.session, &shadow_member(None, &shadow)).await
    }

    /// Replays the shared migrations, then those of a tenant in its own schema.
    async fn replayed_for_tenant(
        &self,
        scratch: &ShadowServer,
        name: &str,
        files: &[Migration],
    ) -> Result<Catalog> {
        const SCHEMA: &str = "tenant";
        let shared = shared_migrations::files(self.context, self.fleet)?;
        let shared = shared.map_or_else(Vec::new, |folder| folder.migrations);
        let shadow = shadow::build(scratch, name, &shared, &silent).await?;
        let schema = Ident::new(SCHEMA);
        let sql = Sql::fill(
            "CREATE SCHEMA {}; ALTER DATABASE {} SET search_path TO {}, {}",
            &[
                &schema,
                &Ident::new(name),
                &schema,
                &Sql::printed_by_server(&shadow.session.server_info().search_path),
            ],
        );
        shadow.session.run(&sql).await?;
        shadow.session.close().await;
        let session = connect::open(&shadow.target, &silent).await?;
        let mut shadow = Shadow { session, ..shadow };
        for file in files {
            shadow = shadow.run(file, Direction::Up).await?;
        }
        let member = shadow_member(Some(SCHEMA), &shadow);
        fingerprints::read(self.context, &shadow.session, &member).await
    }

    /// Describes how a database differs from the reference; none if it does not.
    async fn drift(
        &self,
        member: &Member,
        name: &str,
        reference: &Catalog,
        is_replay: bool,
    ) -> Result<Option<String>> {
        let own = self.catalog(member).await?;
        let mut changes = diff::between(reference, &own);
        if is_replay {
            // Roles belong to a server: owners and grants are not known from the files.
            changes.retain(is_not_only_roles);
        }
        let sides = Sides {
            code: "fleet-drift",
            severity: Severity::Error,
            before: name,
            after: "this database",
        };
        let differences = report::findings(&changes, &sides);
        if differences.is_empty() && is_replay {
            return Ok(None);
        }
        let describe = |finding: &Finding| format!("{}: {}", finding.subject, finding.message);
        let mut words: Vec<String> = differences.iter().take(3).map(describe).collect();
        if differences.len() > words.len() {
            words.push(format!("and {} more", differences.len() - words.len()));
        }
        Ok(Some(words.join("; ")))
    }
}

/// The shadow database as a member.
fn shadow_member(schema: Option<&str>, shadow: &Shadow) -> Member {
    Member {
        name: "the migrations".to_owned(),
        target: shadow.target.clone(),
        tenant: schema.map(|schema| Tenant {
            schema: schema.to_owned(),
            siblings: Arc::default(),
        }),
        attributes: BTreeMap::new(),
    }
}

fn is_not_only_roles(change: &Change) -> bool {
    let details = change.details();
    details.is_empty()
        || details
            .iter()
            .any(|detail| !matches!(detail.name.as_str(), "owner" | "privileges"))
}

/// The schema of more than half of the databases of a group; none if there is no such majority.
fn majority_schema(group: &SameHistory<'_>) -> Option<String> {
    let mut fingerprints: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, seen) in group {
        *fingerprints.entry(&seen.state.fingerprint).or_default() += 1;
    }
    let (shape, databases) = fingerprints
        .into_iter()
        .max_by_key(|(_, databases)| *databases)?;
    (databases * 2 > group.len()).then(|| shape.to_owned())
}
