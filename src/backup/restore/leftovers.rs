//! Finds and removes the incomplete databases of interrupted restores, and lists those that restores replaced.

use std::time::Duration;

use anyhow::{Context as _, Result};
use chrono::{DateTime, NaiveDateTime, Utc};
use tokio_postgres::types::Type;

use crate::event::{Event, Watch, silent};
use crate::pg::connect;
use crate::pg::session::Session;
use crate::pg::target::Target;
use crate::sql::name::Ident;
use crate::sql::safe::Sql;

/// The connection limit that marks a database as incomplete, beside its name: an unusual value, set from its creation until the
/// transaction that gives it its final name.
pub(super) const UNFINISHED_LIMIT: i64 = 32_101;

/// The advisory lock that restores hold shared while they run, and a sweep exclusively.
const WORKING: i64 = 0x6166_6462_7265_7374;

/// Removes the databases of killed restores, unless another restore is running.
pub(super) async fn sweep(session: &Session, watch: Watch<'_>) -> Result<()> {
    let key = [(
        &WORKING as &(dyn tokio_postgres::types::ToSql + Sync),
        Type::INT8,
    )];
    let alone = session
        .query_one("SELECT pg_catalog.pg_try_advisory_lock($1)", &key)
        .await?;
    if alone.get(0) {
        for name in list(session).await? {
            let drop = Sql::fill("DROP DATABASE IF EXISTS {}", &[&Ident::new(name.as_str())]);
            // Not ours, or in use: it stays and does no harm.
            if session.run(&drop).await.is_ok() {
                watch(Event::Warning(&format!(
                    "removed `{name}`, the incomplete database of an interrupted restore"
                )));
            }
        }
        session
            .query_one("SELECT pg_catalog.pg_advisory_unlock($1)", &key)
            .await?;
    }
    // Held until the session ends, so that a database in progress is not swept.
    session
        .query_one("SELECT pg_catalog.pg_advisory_lock_shared($1)", &key)
        .await?;
    Ok(())
}

/// Lists the incomplete databases of interrupted restores on a server; the next restore removes them.
///
/// Empty while a restore is running, because its database cannot be distinguished from leftovers.
pub async fn list(session: &Session) -> Result<Vec<String>> {
    let left = session
        .query(
            include_str!("../queries/leftovers.sql"),
            &[(&UNFINISHED_LIMIT, Type::INT8), (&WORKING, Type::INT8)],
        )
        .await
        .context("looking for leftovers of interrupted restores")?;
    Ok(left.iter().map(|row| row.get(0)).collect())
}

/// A database that was replaced by a restore and not yet dropped.
pub struct KeptDatabase {
    /// The name it is kept under.
    pub name: String,
    /// When it was replaced.
    pub since: DateTime<Utc>,
    /// Absent where the role may not read it.
    pub bytes: Option<i64>,
}

impl KeptDatabase {
    /// Returns whether it had this name before.
    pub fn was(&self, name: &str) -> bool {
        self.name == suffixed(name, &self.name[self.name.len() - SUFFIX..])
    }
}

/// Appends to a name, which PostgreSQL would cut at 63 bytes.
pub fn suffixed(name: &str, suffix: &str) -> String {
    let mut end = name.len().min(63 - suffix.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{suffix}", &name[..end])
}

/// How long the suffix of a kept database is.
const SUFFIX: usize = "_before_20260101t000000".len();

/// Lists the databases on a server that restores replaced, oldest first.
pub async fn kept_databases(session: &Session) -> Result<Vec<KeptDatabase>> {
    let rows = session
        .query(include_str!("../queries/kept_databases.sql"), &[])
        .await
        .context("listing databases that were replaced by a restore")?;
    let kept = |row: &tokio_postgres::Row| {
        let stamp = NaiveDateTime::parse_from_str(row.get("stamp"), "%Y%m%dt%H%M%S");
        // Digits that are no time were not written by us.
        Some(KeptDatabase {
            name: row.get("name"),
            since: stamp.ok()?.and_utc(),
            bytes: row.get("bytes"),
        })
    };
    let mut found: Vec<KeptDatabase> = rows.iter().filter_map(kept).collect();
    found.sort_by(|left, right| (left.since, &left.name).cmp(&(right.since, &right.name)));
    Ok(found)
}

/// Drops a database of ours; if that fails, the next restore sweeps it.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_database_is_matched_by_its_former_name() {
        let long = "n".repeat(63);
        let cut = "n".repeat(63 - SUFFIX);
        let cases = [
            ("app_before_20260102t030405", "app", true),
            ("app_before_20260102t030405", "ap", false),
            ("app_2_before_20260102t030405", "app", false),
            (&format!("{cut}_before_20260102t030405"), &long, true),
        ];
        for (kept, name, expected) in cases {
            let kept = KeptDatabase {
                name: kept.to_owned(),
                since: DateTime::UNIX_EPOCH,
                bytes: None,
            };
            assert_eq!(kept.was(name), expected, "{} {name}", kept.name);
        }
    }
}
