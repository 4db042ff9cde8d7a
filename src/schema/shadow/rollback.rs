//! Tests that down migrations restore the previous schema and data: up, down, and compare the catalog and all rows.
//!
//! One down migration in eight runs without an error but does not restore the schema.

use anyhow::Result;
use futures_util::future::{join, try_join};

use crate::catalog::read::CatalogReader;
use crate::catalog::{Catalog, Scope};
use crate::diff::report::{self, Sides};
use crate::diff::{self, Change};
use crate::event::{Event, Unit, Watch, silent};
use crate::finding::{self, Finding, Location, Severity};
use crate::migrate::files::{Direction, Migration};
use crate::pg::connect;
use crate::pg::shadow_server::ShadowServer;
use crate::pg::target::Target;
use crate::shadow::seed::{self, Digests};
use crate::shadow::{self, Shadow};

/// Proves that each migration of a range restores the previous schema where it came from.
///
/// `base` is what stands below the range. The findings name the object that does not come back.
pub async fn prove(
    scratch: &ShadowServer,
    base: &[Migration],
    range: &[Migration],
    watch: Watch<'_>,
) -> Result<Vec<Finding>> {
    let all: Vec<Migration> = base.iter().chain(range).cloned().collect();
    let mut shadow = shadow::prepare(scratch, "rollback", &all).await?;
    let total = u64::try_from(base.len() + 2 * range.len()).ok();
    watch(Event::Began {
        task: "testing the down migration",
        total,
        unit: Unit::Items,
    });
    for (done, migration) in (0..).zip(base) {
        watch(Event::Advanced {
            done,
            note: &migration.up.shown,
        });
        shadow = shadow.run(migration, Direction::Up).await?;
    }
    let findings = if shadow::keep_to_themselves(&all) {
        at_once(scratch, shadow, range).await
    } else {
        one_after_the_other(shadow, range).await
    };
    watch(Event::Ended);
    findings
}

/// Walks without rows and with them in two databases at the same time.
async fn at_once(
    scratch: &ShadowServer,
    shadow: Shadow,
    range: &[Migration],
) -> Result<Vec<Finding>> {
    let Shadow { target, session } = shadow;
    session.close().await;
    let other = scratch.clone_database("rollback", "rollback_rows").await?;
    let open = async |target: Target| {
        let session = connect::open(&target, &silent).await?;
        anyhow::Ok(Shadow { target, session })
    };
    let (without, with) = try_join(open(target), open(other)).await?;
    let (without, with) = join(
        walk(without, range, Rows::None),
        walk(with, range, Rows::Some),
    )
    .await;
    let (_, mut findings) = without?;
    if findings.is_empty() {
        // What a wrong down migration does to rows is of no interest, and may well be an error.
        findings.extend(with?.1);
    }
    Ok(findings)
}

async fn one_after_the_other(shadow: Shadow, range: &[Migration]) -> Result<Vec<Finding>> {
    let (shadow, mut findings) = walk(shadow, range, Rows::None).await?;
    if findings.is_empty() {
        let (_, lost) = walk(shadow, range, Rows::Some).await?;
        findings.extend(lost);
    }
    Ok(findings)
}

/// Whether the tables hold rows during a walk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rows {
    None,
    Some,
}

/// What stood before a migration.
struct StateBefore {
    catalog: Catalog,
    rows: Digests,
}

/// Walks a range up and down again; compares at each level.
async fn walk(
    mut shadow: Shadow,
    range: &[Migration],
    rows: Rows,
) -> Result<(Shadow, Vec<Finding>)> {
    let reader = match rows {
        Rows::None => {
            let session = connect::open(&shadow.target, &silent).await?;
            Some(CatalogReader::new(session, Scope::whole()).await?)
        }
        Rows::Some => None,
    };
    let reader = reader.as_ref();
    let mut levels = Vec::with_capacity(range.len());
    for migration in range {
        if rows == Rows::Some {
            seed::fill(&shadow.session).await?;
        }
        levels.push(level(&shadow, reader).await?);
        let (after, failed) = shadow.attempt(migration, Direction::Up).await?;
        shadow = after;
        if let Some(failure) = failed {
            // Without rows a migration that fails is broken; with made-up rows it only says that they do not fit it.
            if rows == Rows::Some {
                let message = format!("Data preservation could not be tested: {failure}");
                let finding =
                    Finding::note("rollback-rows-not-tried", &migration.up.shown, message);
                return Ok((shadow, vec![finding]));
            }
            return Err(failure.into());
        }
    }
    levels.push(level(&shadow, reader).await?);
    let mut findings = Vec::new();
    for (migration, pair) in range.iter().zip(levels.windows(2)).rev() {
        let (before, upped) = (&pair[0], &pair[1]);
        let Some(down) = &migration.down else { break };
        let (after, failed) = shadow.attempt(migration, Direction::Down).await?;
        shadow = after;
        if let Some(failure) = failed {
            let finding = Finding::error("rollback-fails", &down.shown, failure.message);
            findings.push(finding.place(Location::file(&down.shown)));
            break;
        }
        let now = level(&shadow, reader).await?;
        match rows {
            Rows::None => {
                let changes = diff::between(&before.catalog, &now.catalog);
                let lost = diff::outermost(&changes)
                    .into_iter()
                    .filter(|change| !only_moved(change, &upped.catalog));
                findings.extend(lost.map(|change| schema_finding(&down.shown, change)));
            }
            Rows::Some => findings.extend(row_findings(&down.shown, &before.rows, &now.rows)),
        }
        if finding::worst(&findings) == Some(Severity::Error) {
            // The same differences would be reported again at each earlier migration.
            break;
        }
    }
    Ok((shadow, findings))
}

/// Reads what stands now: the schema where there is a reader for it, else the rows.
async fn level(shadow: &Shadow, reader: Option<&CatalogReader>) -> Result<StateBefore> {
    Ok(match reader {
        Some(reader) => StateBefore {
            catalog: reader.read().await?,
            rows: Digests::new(),
        },
        None => StateBefore {
            catalog: Catalog::default(),
            rows: seed::digests(&shadow.session).await?,
        },
    })
}

/// Whether only columns that the up migration had dropped stand elsewhere: one that is added again comes last.
fn only_moved(change: &Change, upped: &Catalog) -> bool {
    let (Some(before), Some(after)) = (&change.before, &change.after) else {
        return false;
    };
    let details = change.details();
    if details.len() != 1 || details[0].name != "columns" {
        return false;
    }
    // A table that was dropped is made again whole, and then in whatever order its author chose.
    let Some(upped) = upped.get(&change.key) else {
        return false;
    };
    let upped = upped.list("columns");
    let kept: Vec<_> = upped
        .iter()
        .filter(|column| before.list("columns").contains(column))
        .collect();
    after.list("columns").iter().take(kept.len()).eq(kept)
}

fn schema_finding(down: &str, change: &Change) -> Finding {
    let message = match (&change.before, &change.after) {
        (Some(_), None) => "the down migration does not restore it",
        (None, Some(_)) => "the down migration does not remove it",
        _ => "the down migration restores it with differences",
    };
    let sides = Sides {
        code: "rollback-schema",
        severity: Severity::Error,
        before: "before",
        after: "afterwards",
    };
    let mut finding = report::finding(change, &sides);
    finding.message = message.to_owned();
    finding.place(Location::file(down))
}

fn row_findings(down: &str, before: &Digests, after: &Digests) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (table, rows) in before {
        // A missing table has been reported as a difference of the schema.
        let Some(now) = after.get(table) else {
            continue;
        };
        let lost = rows
            .iter()
            .filter(|row| now.binary_search(row).is_err())
            .count();
        let gained = now
            .iter()
            .filter(|row| rows.binary_search(row).is_err())
            .count();
        let subject = format!("rows of {table}");
        let finding = match (lost, gained) {
            (0, 0) => continue,
            (0, _) => Finding::note(
                "rollback-rows",
                subject,
                format!("{gained} extra rows after up and down"),
            ),
            (_, 0) => Finding::error(
                "rollback-rows",
                subject,
                format!(
                    "{lost} of {} test rows are missing after up and down",
                    rows.len()
                ),
            ),
            _ => Finding::error(
                "rollback-rows",
                subject,
                format!(
                    "{lost} of {} test rows differ after up and down",
                    rows.len()
                ),
            ),
        };
        findings.push(finding.place(Location::file(down)));
    }
    findings
}
