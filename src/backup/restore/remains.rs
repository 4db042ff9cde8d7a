//! Owns what restores leave when they are killed: how it is marked, and how it is removed.

use std::time::Duration;

use anyhow::Result;
use tokio_postgres::types::Type;

use crate::event::silent;
use crate::pg::connect;
use crate::pg::session::Session;
use crate::pg::target::Target;
use crate::sql::name::Ident;
use crate::sql::safe::Sql;

/// What marks a database as not finished, beside its name: a limit of connections that nobody sets, there from its creation on
/// until the very transaction that gives it its name.
pub(super) const MARK: i64 = 32_101;

/// What every restore on a server holds while it works, and the one that sweeps alone.
const WORKING: i64 = 0x6166_6462_7265_7374;

/// Removes what killed restores left: databases with our mark, while no other restore is working.
pub(super) async fn sweep(session: &Session) -> Result<()> {
    let key = [(
        &WORKING as &(dyn tokio_postgres::types::ToSql + Sync),
        Type::INT8,
    )];
    let alone = session
        .query_one("SELECT pg_catalog.pg_try_advisory_lock($1)", &key)
        .await?;
    if alone.get(0) {
        let left = session
            .query(
                include_str!("../queries/remains.sql"),
                &[(&MARK, Type::INT8)],
            )
            .await?;
        for row in left {
            let name: String = row.get(0);
            // Somebody else's, or in use after all: it stays, and does no harm.
            let _ = session
                .run(&Sql::fill(
                    "DROP DATABASE IF EXISTS {}",
                    &[&Ident::new(name)],
                ))
                .await;
        }
        session
            .query_one("SELECT pg_catalog.pg_advisory_unlock($1)", &key)
            .await?;
    }
    // Held until the session ends: what is being made must not be taken for remains.
    session
        .query_one("SELECT pg_catalog.pg_advisory_lock_shared($1)", &key)
        .await?;
    Ok(())
}

/// Removes a database; what cannot be removed now bears our mark, and the next restore sweeps it.
pub(super) async fn discard(target: &Target, name: &str) {
    // A line that was just cut, or a server that restarts after a crash, is often back within a moment.
    for _ in 0..10 {
        if let Ok(session) = connect::open(target, &silent).await {
            let sql = Sql::fill(
                "DROP DATABASE IF EXISTS {} WITH (FORCE)",
                &[&Ident::new(name)],
            );
            let dropped = session.run(&sql).await;
            session.close().await;
            if dropped.is_ok() {
                return;
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
