//! Owns giving the finished database its name, in the place of another where there is one.

use std::time::Duration;

use anyhow::Result;

use crate::backup::restore::plan::Plan;
use crate::backup::restore::{Admin, remains};
use crate::backup::swap::{self, Swap};
use crate::event::silent;
use crate::pg::connect;
use crate::pg::lock::{self, Share};
use crate::pg::pooler;
use crate::pg::target::Target;
use crate::sql::name::Ident;
use crate::sql::safe::Sql;

/// Gives the finished database its name.
pub(super) async fn take(admin: &Admin, plan: &Plan) -> Result<Option<String>> {
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
        return Ok(None);
    };
    keep_migrations_out(&admin.target.with_database(&plan.name)).await?;
    let swap = Swap {
        finished: &plan.building,
        name: &plan.name,
        kept_as,
        connection_limit: plan.connection_limit,
    };
    swap::run(&admin.session, &admin.target, &swap).await?;
    if plan.is_empty {
        remains::discard(&admin.target, kept_as).await;
        return Ok(None);
    }
    Ok(Some(kept_as.clone()))
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
