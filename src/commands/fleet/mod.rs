//! Commands on a fleet of databases: reading the fleet file, opening members and querying all of them.

mod approved_plan;
mod each_member;
mod fingerprints;
mod member_state;
mod member_up;
mod phase;
mod plan;
mod reference_schema;
mod shared_migrations;
mod status;
mod survey;
mod tenant_databases;
mod up;
mod up_report;
mod verdict;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use tokio_postgres::types::Type;

use crate::commands::{Context, project, protection};
use crate::error::fail;
use crate::event::{Event, Unit, silent};
use crate::fleet::{self, Fleet, InventoryContext, Member, NextStep, Tenant};
use crate::migrate::files::MigrationFolder;
use crate::migrate::history::HistoryTable;
use crate::migrate::journal;
use crate::migrate::status::{self as migration_status, FolderStatus};
use crate::pg::connect;
use crate::pg::session::Session;
use crate::sql::name::Ident;
use crate::sql::safe::Sql;

pub(crate) use each_member::{MemberCommand, on_each};
pub(crate) use plan::plan;
pub(crate) use shared_migrations::of_file as shared_files;
pub(crate) use status::status;
pub(crate) use up::{UpOptions, up};
pub(crate) use verdict::verdict;

/// Reads a fleet file and lists its members.
pub(crate) async fn load(context: &Context, path: &Path) -> Result<Fleet> {
    let name = context.config.shown(path);
    let text = std::fs::read_to_string(path).map_err(|error| {
        fail(format!("cannot read {name}: {error}")).hint("Name the fleet file: --fleet FILE")
    })?;
    let env = &context.config.env;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let watch = context.watch();
    let reader = InventoryContext {
        target: &|address| env.target(address),
        expand: &|text| env.expand(text),
        folder: folder.unwrap_or(Path::new(".")),
        watch: &watch,
    };
    fleet::read(&name, &text, &reader).await
}

/// Opens a session on a member within the fleet's connection timeout.
pub(crate) async fn open(fleet: &Fleet, member: &Member) -> Result<Session> {
    let opening = async {
        let mut session =
            connect::open_with(&member.target, &connect::RetryLimits::ONCE, &silent).await?;
        if let Some(tenant) = &member.tenant {
            enter(&mut session, tenant).await?;
        }
        Ok(session)
    };
    match tokio::time::timeout(fleet.limits.patience, opening).await {
        Ok(opened) => opened,
        Err(_) => {
            let seconds = fleet.limits.patience.as_secs();
            Err(fail(format!("no answer within {seconds} s")).into())
        }
    }
}

/// Opens a session for writing, and applies the rules of a protected environment if the database is one.
pub(crate) async fn open_to_write(
    there: &Context,
    fleet: &Fleet,
    member: &Member,
) -> Result<Session> {
    let session = open(fleet, member).await?;
    protection::enter_member(there, &session, &member.target).await?;
    Ok(session)
}

/// Sets the search path of a session to a tenant's schema.
async fn enter(session: &mut Session, tenant: &Tenant) -> Result<()> {
    let schema = Ident::new(&tenant.schema);
    let row = session
        .query_one(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname OPERATOR(pg_catalog.=) $1)",
            &[(&tenant.schema, Type::TEXT)],
        )
        .await?;
    if !row.get::<_, bool>(0) {
        return Err(fail(format!("schema `{}` does not exist", tenant.schema))
            .hint(format!(
                "CREATE SCHEMA {schema}, or remove it from the list of tenants"
            ))
            .into());
    }
    let path = path_of(tenant, &session.server_info().search_path);
    session.set_search_path(&path).await
}

/// The search path of a tenant: its own schema, then the default one.
fn path_of(tenant: &Tenant, otherwise: &str) -> Sql {
    let schema = Ident::new(&tenant.schema);
    if otherwise.trim().is_empty() {
        return Sql::fill("{}", &[&schema]);
    }
    Sql::fill("{}, {}", &[&schema, &Sql::printed_by_server(otherwise)])
}

/// Queries every member of a fleet; returns the answers in the order of the fleet file.
async fn query_all<'f, T, F>(
    context: &Context,
    fleet: &'f Fleet,
    question: impl Fn(&'f Member) -> F,
) -> Vec<(&'f Member, T)>
where
    F: Future<Output = T>,
{
    let watch = context.watch();
    let members: Vec<&Member> = fleet.members.iter().collect();
    watch(Event::Began {
        task: "querying the fleet",
        total: u64::try_from(members.len()).ok(),
        unit: Unit::Items,
    });
    let mut answers = BTreeMap::new();
    fleet::for_each_member(&members, fleet.limits, question, |member, answer| {
        answers.insert(member.name.as_str(), answer);
        watch(Event::Advanced {
            done: u64::try_from(answers.len()).unwrap_or(0),
            note: &member.name,
        });
        NextStep::Continue
    })
    .await;
    watch(Event::Ended);
    members
        .into_iter()
        .filter_map(|member| Some((member, answers.remove(member.name.as_str())?)))
        .collect()
}

/// Compares a member's history and journal with the migration files.
async fn compare_history(
    context: &Context,
    session: &Session,
    folder: &MigrationFolder,
) -> Result<(project::HistoryAndJournal, FolderStatus)> {
    let records = project::history_and_journal(context, session)
        .await
        .context("reading its history")?;
    let mut standing = project::migration_status(context, folder, &records)?;
    let tenant = context.config.tenant.as_ref();
    if let Some(tenant) = tenant.filter(|_| records.history.table == HistoryTable::Missing)
        && !journal::knows(session, &records.history, &tenant.schema).await?
    {
        // All tenants share the journal. It has no row of this one: the tenant is new.
        standing
            .findings
            .retain(|finding| finding.code != migration_status::GONE);
    }
    Ok((records, standing))
}
