//! Renames the restored database to its final name, replacing another if it exists.

use std::time::Duration;

use anyhow::Result;

use crate::emptiness;
use crate::event::silent;
use crate::finding::Finding;
use crate::pg::connect;
use crate::pg::lock::{self, Share};
use crate::pg::pooler;
use crate::pg::target::Target;
use crate::restore::AdminSession;
use crate::restore::plan::Plan;
use crate::sql::name::Ident;
use crate::sql::safe::Sql;
use crate::swap::{self, OldDatabase, Swap};

/// What happened to the replaced database.
#[derive(Default)]
pub(super) struct RenameResult {
    /// The name it is kept under.
    pub(super) kept_as: Option<String>,
    /// Why an empty one is kept.
    pub(super) finding: Option<Finding>,
}

pub(super) async fn take(admin: &AdminSession, plan: &Plan) -> Result<RenameResult> {
    let building = Ident::new(&plan.building);
    let Some(kept_as) = &plan.kept_as else {
        let name = Ident::new(&plan.name);
        let sql = Sql::fill(
            "BEGIN; ALTER DATABASE {} RENAME TO {}; ALTER DATABASE {} CONNECTION LIMIT {}; COMMIT",
            &[&building, &name, &name, &plan.connection_limit],
        );
        let mut tries = 0;
        // Our own sessions on it may take a moment to end.
        while let Err(error) = admin.session.run(&sql).await {
            admin.session.run(&Sql::new("ROLLBACK")).await?;
            tries += 1;
            anyhow::ensure!(
                tries < 3,
                error.context(format!("renaming the restored database to `{}`", plan.name))
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        return Ok(RenameResult::default());
    };
    keep_migrations_out(&admin.target.with_database(&plan.name)).await?;
    let swap = Swap {
        finished: &plan.building,
        name: &plan.name,
        kept_as,
        connection_limit: plan.connection_limit,
        must_be_empty: plan.must_be_empty.then(|| plan.candidate(&admin.target)),
    };
    let old = swap::run(&admin.session, &admin.target, &swap).await?;
    if old == OldDatabase::Empty {
        // Without FORCE: if another session managed to connect, the database stays.
        let kept = Ident::new(kept_as.as_str());
        let dropped = Sql::fill("DROP DATABASE {}", &[&kept]);
        if admin.session.run(&dropped).await.is_ok() {
            return Ok(RenameResult::default());
        }
    }
    let finding = match old {
        OldDatabase::Bare(properties) => Some(replaced(&plan.name, kept_as, &properties)),
        OldDatabase::Empty | OldDatabase::Kept => None,
    };
    Ok(RenameResult {
        kept_as: Some(kept_as.clone()),
        finding,
    })
}

/// Reports the properties of the replaced empty database, which the restored one does not have.
fn replaced(name: &str, kept_as: &str, properties: &[String]) -> Finding {
    Finding::note(
        "restore-properties",
        name,
        format!(
            "the replaced empty database had {}; the restored one has the backup's instead",
            emptiness::in_words(properties)
        ),
    )
    .help(format!(
        "set what is still needed on `{name}` again; see `{kept_as}` until it is dropped"
    ))
}

/// Fails if a migration is running on the database to be replaced.
async fn keep_migrations_out(old: &Target) -> Result<()> {
    let session = connect::open(old, &silent).await?;
    pooler::require_session(&session, old).await?;
    // Released at once: the swap ends every session on the old database, ours included.
    let lock = lock::take(&session, Share::Alone, Duration::ZERO, &silent).await?;
    lock.release(&session).await?;
    session.close().await;
    Ok(())
}
