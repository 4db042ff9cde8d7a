//! The actual effects of a statement: the whole catalog, the counters and the locks, before and after, on any database.
//!
//! Deliberately another way than the observer's: it looks at everything, has no triggers and no shadow database.

use std::collections::{BTreeMap, BTreeSet};

use af_db::event::silent;
use af_db::pg::connect;
use af_db::pg::session::Session;
use af_db::pg::target::Target;
use af_db::sql::safe::Sql;

use crate::support::server::rows;

/// A verdict, one fact a line; the words are those of [`super::hazards`].
pub(super) type Verdict = BTreeSet<String>;

/// A relation.
#[derive(Clone)]
struct Relation {
    name: String,
    kind: String,
    file: String,
    table: String,
    scans: i64,
}

struct Stock {
    relations: BTreeMap<String, Relation>,
    columns: BTreeSet<String>,
}

const RELATIONS: &str = "
SELECT c.oid, format('%I.%I', n.nspname, c.relname), c.relkind, pg_relation_filenode(c.oid), coalesce(i.indrelid, 0),
    pg_stat_get_xact_numscans(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_index i ON i.indexrelid = c.oid
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND c.relkind <> 't'";

const COLUMNS: &str = "
SELECT c.oid, a.attnum, format('%I.%I.%I', n.nspname, c.relname, a.attname)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
    AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')";

const LOCKS: &str = "
SELECT relation, mode FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation'";

const STRENGTH: [&str; 8] = [
    "AccessShare",
    "RowShare",
    "RowExclusive",
    "ShareUpdateExclusive",
    "Share",
    "ShareRowExclusive",
    "Exclusive",
    "AccessExclusive",
];

fn strength(mode: &str) -> usize {
    let mode = mode.trim_end_matches("Lock");
    STRENGTH
        .iter()
        .position(|known| *known == mode)
        .expect("a known mode")
}

async fn stock(session: &Session) -> Stock {
    let relations = rows(session, RELATIONS).await.into_iter().map(|row| {
        let relation = Relation {
            name: row[1].clone(),
            kind: row[2].clone(),
            file: row[3].clone(),
            table: row[4].clone(),
            scans: row[5].parse().expect("a count"),
        };
        (row[0].clone(), relation)
    });
    let relations = relations.collect();
    let columns = rows(session, COLUMNS).await.into_iter();
    Stock {
        relations,
        columns: columns
            .map(|row| format!("{} {} {}", row[0], row[1], row[2]))
            .collect(),
    }
}

/// Opens a session whose counters miss nothing.
pub(super) async fn session(target: &Target) -> Session {
    let session = connect::open(target, &silent).await.expect("a session");
    let sql = "SET max_parallel_maintenance_workers = 0; SET max_parallel_workers_per_gather = 0; \
               SET client_min_messages = error";
    session.run(&Sql::new(sql)).await.expect("settings");
    session
}

/// Counts the rows of every table.
pub(super) async fn counts(session: &Session) -> BTreeMap<String, i64> {
    let mut counts = BTreeMap::new();
    for (id, relation) in stock(session).await.relations {
        if relation.kind == "r" {
            let sql = format!("SELECT count(*) FROM ONLY {}", relation.name);
            counts.insert(
                id,
                rows(session, &sql).await[0][0].parse().expect("a count"),
            );
        }
    }
    counts
}

/// Runs a statement in a transaction that is rolled back, and tells what it did; of one that fails, its SQLSTATE.
pub(super) async fn verdict(
    session: &Session,
    (before_it, statement): (&str, &str),
    counts: &BTreeMap<String, i64>,
) -> Verdict {
    let run = |text: &str| Sql::written_by_user(text);
    session.run(&run("BEGIN")).await.expect("a transaction");
    session
        .run(&run(before_it))
        .await
        .expect("what goes before");
    let before = stock(session).await;
    let held: Vec<Vec<String>> = rows(session, LOCKS).await;
    let verdict = match session.run(&run(statement)).await {
        Err(error) => failed(&error),
        Ok(()) => {
            let locks: Vec<Vec<String>> = rows(session, LOCKS).await;
            let after = stock(session).await;
            let mut verdict = compare((&before, &after), (&held, locks), statement);
            lost(session, (&before, &after), counts, &mut verdict).await;
            verdict
        }
    };
    session.run(&run("ROLLBACK")).await.expect("a rollback");
    verdict
}

fn failed(error: &anyhow::Error) -> Verdict {
    let server = error
        .downcast_ref::<af_db::pg::server_error::ServerError>()
        .expect("the server's words");
    BTreeSet::from([format!(
        "fails {}",
        server.sqlstate.clone().unwrap_or_default()
    )])
}

/// Whether a statement leaves empty files behind, which is no work.
fn empties(statement: &str) -> bool {
    statement.to_lowercase().contains("truncate")
}

fn compare(
    (before, after): (&Stock, &Stock),
    (held, locks): (&[Vec<String>], Vec<Vec<String>>),
    statement: &str,
) -> Verdict {
    let mut verdict = Verdict::new();
    let mut strongest: BTreeMap<&str, usize> = BTreeMap::new();
    for lock in &locks {
        let kept = strongest.entry(&lock[0]).or_default();
        *kept = (*kept).max(strength(&lock[1]));
    }
    let before_it = |id: &str| {
        let held = held.iter().filter(|lock| lock[0] == id);
        held.map(|lock| strength(&lock[1])).max()
    };
    for (id, mode) in &strongest {
        if before_it(id).is_some_and(|held| held >= *mode) {
            continue;
        }
        let Some(relation) = before.relations.get(*id) else {
            continue;
        };
        // Who holds a table needs no lock on its indexes.
        let of_table = strongest.get(relation.table.as_str());
        if relation.kind.to_lowercase() == "i" && of_table.is_some_and(|table| table >= mode) {
            continue;
        }
        verdict.insert(format!("lock {} {}", STRENGTH[*mode], relation.name));
    }
    let files: BTreeSet<&str> = before
        .relations
        .values()
        .map(|it| it.file.as_str())
        .collect();
    let emptied = |id: &str| empties(statement) && has_new_file((before, after), id);
    for (id, now) in &after.relations {
        let Some(old) = before.relations.get(id) else {
            if now.kind == "i"
                && !files.contains(now.file.as_str())
                && let Some(table) = before.relations.get(&now.table)
            {
                verdict.insert(format!("build {}", table.name));
            }
            continue;
        };
        let has_rows = now.kind == "r" || now.kind == "m";
        if has_rows && now.file != old.file {
            verdict.insert(format!("rewrite {}", old.name));
        }
        if has_rows && now.scans > old.scans && !emptied(id) {
            verdict.insert(format!("scan {}", old.name));
        }
        if now.kind == "i" && now.file != old.file && !emptied(&now.table) {
            let table = before
                .relations
                .get(&now.table)
                .expect("the table of an index");
            verdict.insert(format!("build {}", table.name));
        }
    }
    verdict
}

fn has_new_file((before, after): (&Stock, &Stock), id: &str) -> bool {
    let file = |stock: &Stock| {
        stock
            .relations
            .get(id)
            .map(|relation| relation.file.clone())
    };
    file(before) != file(after)
}

/// Finds rows and columns that were there and are not.
async fn lost(
    session: &Session,
    (before, after): (&Stock, &Stock),
    counts: &BTreeMap<String, i64>,
    verdict: &mut Verdict,
) {
    for (id, count) in counts.iter().filter(|(_, count)| **count > 0) {
        let (Some(old), now) = (before.relations.get(id), after.relations.get(id)) else {
            continue;
        };
        let left = match now {
            None => 0,
            Some(now) => {
                let sql = format!("SELECT count(*) FROM ONLY {}", now.name);
                rows(session, &sql).await[0][0].parse().expect("a count")
            }
        };
        if left < *count {
            verdict.insert(format!("loss {}", old.name));
        }
    }
    let ids = |stock: &Stock| -> BTreeSet<(String, String)> {
        let parts = stock.columns.iter().map(|column| {
            let mut parts = column.split(' ');
            (
                parts.next().unwrap_or("").to_owned(),
                parts.next().unwrap_or("").to_owned(),
            )
        });
        parts.collect()
    };
    let left = ids(after);
    for column in &before.columns {
        let mut parts = column.splitn(3, ' ');
        let (table, number) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        let there = after.relations.contains_key(table);
        if there && !left.contains(&(table.to_owned(), number.to_owned())) {
            verdict.insert(format!("loss {}", parts.next().unwrap_or("")));
        }
    }
}

/// Runs a statement that no transaction holds, while others hold it up, and tells what it did.
///
/// Each of `blockers` is a table and the mode it is held in; the statement's locks are read while it waits for each.
pub(super) async fn verdict_alone(
    target: &Target,
    statement: &str,
    blockers: &[(&str, &str)],
) -> Verdict {
    let (session, onlooker) = (self::session(target).await, self::session(target).await);
    let before = stock(&onlooker).await;
    let mut holders = Vec::new();
    for (table, mode) in blockers {
        let holder = self::session(target).await;
        let sql = format!("BEGIN; LOCK TABLE ONLY {table} IN {mode} MODE");
        holder
            .run(&Sql::written_by_user(sql))
            .await
            .expect("a lock");
        holders.push(holder);
    }
    let pid = session.server_info().backend_pid;
    let sql = Sql::written_by_user(statement);
    let ran = session.run(&sql);
    let mut locks: BTreeSet<Vec<String>> = BTreeSet::new();
    let held = async {
        for holder in holders {
            waits(&onlooker, pid, holder.server_info().backend_pid).await;
            let sql = format!(
                "SELECT relation, mode FROM pg_locks WHERE pid = {pid} AND locktype = 'relation' AND relation >= 16384"
            );
            locks.extend(rows(&onlooker, &sql).await);
            holder.run(&Sql::new("ROLLBACK")).await.expect("a rollback");
        }
    };
    let (ran, ()) = futures_util::future::join(ran, held).await;
    if let Err(error) = ran {
        return failed(&error);
    }
    let after = stock(&onlooker).await;
    let locks = locks.into_iter().collect();
    let mut verdict = compare((&before, &after), (&[], locks), statement);
    // Counters of another session are not to be seen; what is built was read.
    verdict.retain(|line| !line.starts_with("scan "));
    verdict
}

/// Waits until a session waits for another one, or has nothing to do.
async fn waits(onlooker: &Session, pid: i32, holder: i32) {
    let sql = format!(
        "SELECT {holder} = ANY (pg_blocking_pids(pid)) OR state = 'idle' AND query NOT LIKE 'SET %' \
         FROM pg_stat_activity WHERE pid = {pid}"
    );
    for _ in 0..100_000 {
        if rows(onlooker, &sql).await[0][0] == "t" {
            return;
        }
    }
    panic!("the statement neither waits nor ends");
}
