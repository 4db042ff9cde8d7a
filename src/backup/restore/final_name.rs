//! Gives the finished database its name, in the place of another where there is one.

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

/// What became of the database that stood there.
#[derive(Default)]
pub(super) struct RenameResult {
    /// The name it is kept under.
    pub(super) kept_as: Option<String>,
    /// Says why one that was empty is kept all the same.
    pub(super) finding: Option<Finding>,
}

/// Gives the finished database its name.
pub(super) async fn take(admin: &AdminSession, plan: &Plan) -> Result<RenameResult> {
    let building = Ident::new(&plan.building);
    let Some(kept_as) = &plan.kept_as else {
        let name = Ident::new(&plan.name);
        let sql = Sql::fill(
            "BEGIN; ALTER DATABASE {} RENAME TO {}; ALTER DATABASE {} CONNECTION LIMIT {}; COMMIT",
            &[&building, &name, &name, &plan.connection_limit],
        );
        let mut tries = 0;
        // Our own sessions on it may need a moment to be gone.
        while let Err(error) = admin.session.run(&sql).await {
            admin.session.run(&Sql::new("ROLLBACK")).await?;
            tries += 1;
            anyhow::ensure!(
                tries < 3,
                error.context(format!("naming the database `{}`", plan.name))
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
        // Without force: whoever managed to get in all the same keeps what is there.
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

/// Says what an empty database had that the restored one does not have from it.
fn replaced(name: &str, kept_as: &str, properties: &[String]) -> Finding {
    Finding::note(
        "restore-properties",
        name,
        format!(
            "the empty database that was there had {}; the restored one has the archive's instead",
            emptiness::in_words(properties)
        ),
    )
    .help(format!(
        "set again on `{name}` what is still needed; `{kept_as}` keeps it until it is dropped"
    ))
}

/// Makes sure that no migration is running on what is about to be replaced.
async fn keep_migrations_out(old: &Target) -> Result<()> {
    let session = connect::open(old, &silent).await?;
    pooler::require_session(&session, old).await?;
    // Held no longer than this: the swap ends every session on the old database, ours included.
    let lock = lock::take(&session, Share::Alone, Duration::ZERO, &silent).await?;
    lock.release(&session).await?;
    session.close().await;
    Ok(())
}
