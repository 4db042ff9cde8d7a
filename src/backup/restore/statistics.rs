//! Analyzes a restored database over several connections.

use anyhow::{Context as _, Result};

use crate::event::silent;
use crate::pg::connect;
use crate::pg::target::Target;
use crate::sql::name::ObjectName;
use crate::sql::safe::Sql;

/// Analyzes every table, as a bare `ANALYZE` does.
pub(super) async fn gather(target: &Target, jobs: u32) -> Result<()> {
    gather_in(target, jobs).await.context("analyzing")
}

async fn gather_in(target: &Target, jobs: u32) -> Result<()> {
    let session = connect::open(target, &silent).await?;
    let rows = session
        .query(include_str!("../queries/analyzed.sql"), &[])
        .await?;
    session.close().await;
    let mut lanes = vec![(0, Vec::new()); usize::try_from(jobs.max(1))?];
    for row in rows {
        let (schema, name, size): (&str, &str, i64) = (row.get(0), row.get(1), row.get(2));
        let Some(lane) = lanes.iter_mut().min_by_key(|(load, _)| *load) else {
            break;
        };
        // What is empty costs something as well.
        lane.0 += size + 1;
        lane.1.push(ObjectName::new(schema, name));
    }
    let lanes = lanes.into_iter().filter(|(_, tables)| !tables.is_empty());
    let lanes = lanes.map(|(_, tables)| async move {
        let session = connect::open(target, &silent).await?;
        let tables = tables.iter().map(|table| Sql::fill("{}", &[table]));
        let mut sql = Sql::new("ANALYZE ");
        sql.piece(&Sql::join(tables, ", "));
        session.run(&sql).await?;
        session.close().await;
        anyhow::Ok(())
    });
    futures_util::future::try_join_all(lanes).await?;
    Ok(())
}
