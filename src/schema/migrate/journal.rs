//! `af_db.journal`: an append-only record of runs in which each row contains the hash of the previous row.
//!
//! Without it, only the record of who did what is lost; which migrations are applied is in refinery's history.

use anyhow::Result;

use crate::migrate::files::Direction;
use crate::migrate::history::{History, HistoryRow};
use crate::pg::session::Session;
use crate::sql::name::Literal;
use crate::sql::safe::Sql;

/// Who runs, from where, with what; the same for every row of a run.
///
/// Behind a `/` the id of a run holds the schema that it was about, where tenants share a database: each has a separate history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunIdentity {
    /// A random name.
    pub id: String,
    /// The operating system's user, and the CI's.
    pub actor: String,
    /// The machine.
    pub host: String,
    /// The project's commit.
    pub git_commit: Option<String>,
    /// The approved plan, if the run was bound to one.
    pub plan_sha256: Option<String>,
}

impl RunIdentity {
    /// Returns the tenant's schema that the run is about; empty where tenants do not share the database.
    pub fn tenant(&self) -> &str {
        self.id.split_once('/').map_or("", |(_, schema)| schema)
    }
}

/// The event that a journal row records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalState {
    /// A file without a transaction was started.
    Began,
    /// One of its statements that cannot be undone was started.
    UnitBegan,
    /// One of its statements is done.
    UnitDone,
    /// A statement of a down migration that cannot be undone was started.
    RevertUnitBegan,
    /// A statement of a down migration is done.
    RevertUnitDone,
    /// The migration is applied.
    Applied,
    /// The migration is reverted.
    Reverted,
    /// It failed and was rolled back.
    Failed,
    /// It failed and what it had done stays.
    FailedHalfWay,
    /// The down migration failed and what it had done stays.
    RevertFailedHalfWay,
    /// The result of a run was checked; the note contains the schema fingerprint.
    Checked,
    /// A person corrected the record.
    Repaired,
    /// The migration was recorded without being run.
    Baselined,
    /// The journal was started next to a history that had rows already; the note lists them.
    Opened,
}

impl JournalState {
    /// Returns the word in the table.
    pub fn word(self) -> &'static str {
        match self {
            JournalState::Began => "began",
            JournalState::UnitBegan => "unit-began",
            JournalState::UnitDone => "unit-done",
            JournalState::RevertUnitBegan => "revert-unit-began",
            JournalState::RevertUnitDone => "revert-unit-done",
            JournalState::Applied => "applied",
            JournalState::Reverted => "reverted",
            JournalState::Failed => "failed",
            JournalState::FailedHalfWay => "failed-half-way",
            JournalState::RevertFailedHalfWay => "revert-failed-half-way",
            JournalState::Checked => "checked",
            JournalState::Repaired => "repaired",
            JournalState::Baselined => "baselined",
            JournalState::Opened => "opened",
        }
    }
}

impl JournalState {
    pub(crate) fn unit_began(direction: Direction) -> Self {
        match direction {
            Direction::Up => JournalState::UnitBegan,
            Direction::Down => JournalState::RevertUnitBegan,
        }
    }

    pub fn unit_done(direction: Direction) -> Self {
        match direction {
            Direction::Up => JournalState::UnitDone,
            Direction::Down => JournalState::RevertUnitDone,
        }
    }

    pub fn failed_half_way(direction: Direction) -> Self {
        match direction {
            Direction::Up => JournalState::FailedHalfWay,
            Direction::Down => JournalState::RevertFailedHalfWay,
        }
    }

    pub(crate) fn whole(direction: Direction) -> Self {
        match direction {
            Direction::Up => JournalState::Applied,
            Direction::Down => JournalState::Reverted,
        }
    }
}

/// One row to be appended.
#[derive(Clone, Debug, Default)]
pub struct JournalEntry {
    /// The migration.
    pub version: Option<i64>,
    pub name: Option<String>,
    /// How many of its statements are done, or which one was started.
    pub statement: Option<usize>,
    /// The sha256 of the file up.
    pub up_sha256: Option<String>,
    /// The sha256 of the file down.
    pub down_sha256: Option<String>,
    /// When the step began, as PostgreSQL reads it; the time of the row if not set.
    pub started: Option<String>,
    /// How often a lock was waited for without success.
    pub lock_waits: usize,
    /// The error.
    pub error: Option<String>,
    /// A person's words, such as a loss that was accepted.
    pub note: Option<String>,
    /// An expression that gives the note on the server, in place of words.
    pub note_expression: Option<Sql>,
}

/// The order of the columns that are hashed; the hash covers all of them and the hash before.
const HASHED: &str = "v.id, v.run, v.version, v.name, v.state, v.statement, v.up_sha256, v.down_sha256, v.plan_sha256, \
     v.actor, v.role, v.host, v.git_commit, v.tool, pg_catalog.extract('epoch', v.started), \
     pg_catalog.extract('epoch', v.at), v.lock_waits, v.lsn, v.error, v.note, v.previous";

/// Creates the journal; every part of it may already be there.
pub fn create() -> Sql {
    Sql::new(include_str!("queries/journal_create.sql"))
}

/// Appends a row: the link is made on the server from the newest one, under its lock.
pub fn append(run: &RunIdentity, state: JournalState, entry: &JournalEntry) -> Sql {
    let number = |number: Option<i64>| {
        number.map_or_else(|| Sql::new("NULL"), |number| Sql::fill("{}", &[&number]))
    };
    let statement = entry
        .statement
        .map(|statement| i64::try_from(statement).unwrap_or(i64::MAX));
    let started = match &entry.started {
        Some(started) => Sql::fill("{}::timestamptz", &[&Literal::new(started)]),
        None => Sql::new("pg_catalog.clock_timestamp()"),
    };
    let waits = i64::try_from(entry.lock_waits).unwrap_or(i64::MAX);
    let note = entry.note_expression.clone();
    let note = note.unwrap_or_else(|| text(entry.note.as_deref()));
    let version = concat!("af-db ", env!("CARGO_PKG_VERSION"));
    Sql::fill(
        "WITH v AS (
  SELECT h.id OPERATOR(pg_catalog.+) 1 AS id, {}::text AS run, {}::bigint AS version, {}::text AS name, {}::text AS state,
    {}::integer AS statement, {}::text AS up_sha256, {}::text AS down_sha256, {}::text AS plan_sha256,
    {}::text AS actor, SESSION_USER::text AS role, {}::text AS host, {}::text AS git_commit, {}::text AS tool,
    {} AS started, pg_catalog.clock_timestamp() AS at, {}::integer AS lock_waits,
    pg_catalog.pg_current_wal_insert_lsn()::text AS lsn, {}::text AS error, {}::text AS note, h.hash AS previous
  FROM af_db.journal_head AS h FOR UPDATE
), j AS (
  INSERT INTO af_db.journal
  SELECT v.id, v.run, v.version, v.name, v.state, v.statement, v.up_sha256, v.down_sha256, v.plan_sha256, v.actor, v.role,
    v.host, v.git_commit, v.tool, v.started, v.at, v.lock_waits, v.lsn, v.error, v.note, v.previous, {}
  FROM v RETURNING id, hash
)
UPDATE af_db.journal_head AS h SET id = j.id, hash = j.hash FROM j",
        &[
            &Literal::new(&run.id),
            &number(entry.version),
            &text(entry.name.as_deref()),
            &Literal::new(state.word()),
            &number(statement),
            &text(entry.up_sha256.as_deref()),
            &text(entry.down_sha256.as_deref()),
            &text(run.plan_sha256.as_deref()),
            &Literal::new(&run.actor),
            &Literal::new(&run.host),
            &text(run.git_commit.as_deref()),
            &Literal::new(version),
            &started,
            &waits,
            &text(entry.error.as_deref()),
            &note,
            &hash(),
        ],
    )
}

/// Records what the history held when the journal was started: migrations that others applied, of which it has no rows.
pub fn open(run: &RunIdentity, history: &[HistoryRow]) -> Sql {
    let count = history.len();
    let mut note =
        format!("the history already had migrations when this journal was begun ({count}):");
    for row in history {
        note.push('\n');
        note.push_str(&line(row));
    }
    let entry = JournalEntry {
        note: Some(note),
        ..JournalEntry::default()
    };
    append(run, JournalState::Opened, &entry)
}

/// Returns the line of a history row in the note of an opened journal.
pub(super) fn line(row: &HistoryRow) -> String {
    // One row is one line, whatever its name holds.
    format!("{} {} {:?}", row.version, row.checksum, row.name)
}

/// Asks whether a run has recorded this, and whether its own is the newest row of all.
pub fn landed(
    run: &RunIdentity,
    state: JournalState,
    version: Option<i64>,
    statement: Option<usize>,
) -> Sql {
    let mut sql = Sql::fill(
        "SELECT EXISTS (SELECT FROM af_db.journal AS j WHERE j.run OPERATOR(pg_catalog.=) {} AND j.state OPERATOR(pg_catalog.=) {}",
        &[&Literal::new(&run.id), &Literal::new(state.word())],
    );
    if let Some(version) = version {
        sql.piece(&Sql::fill(
            " AND j.version OPERATOR(pg_catalog.=) {}",
            &[&version],
        ));
    }
    if let Some(statement) = statement.and_then(|statement| i64::try_from(statement).ok()) {
        sql.piece(&Sql::fill(
            " AND j.statement OPERATOR(pg_catalog.=) {}",
            &[&statement],
        ));
    }
    sql.piece(&Sql::fill(
        "), COALESCE((SELECT j.run OPERATOR(pg_catalog.=) {} FROM af_db.journal AS j \
         WHERE pg_catalog.substring(j.run, '/.*$') IS NOT DISTINCT FROM pg_catalog.substring({}, '/.*$') ORDER BY j.id DESC LIMIT 1), false)",
        &[&Literal::new(&run.id), &Literal::new(&run.id)],
    ));
    sql
}

/// Reads the note of the newest row of a unit, unless the migration was done or undone as a whole since.
pub fn noted(run: &RunIdentity, state: JournalState, version: i64, statement: usize) -> Sql {
    let statement = i64::try_from(statement).unwrap_or(i64::MAX);
    Sql::fill(
        "SELECT j.note FROM af_db.journal AS j WHERE j.version OPERATOR(pg_catalog.=) {} AND j.state OPERATOR(pg_catalog.=) {} \
         AND j.statement OPERATOR(pg_catalog.=) {} \
         AND pg_catalog.substring(j.run, '/.*$') IS NOT DISTINCT FROM pg_catalog.substring({}, '/.*$') \
         AND NOT EXISTS (SELECT FROM af_db.journal AS later WHERE later.version OPERATOR(pg_catalog.=) j.version \
         AND later.id OPERATOR(pg_catalog.>) j.id AND later.state OPERATOR(pg_catalog.=) ANY (ARRAY['applied', 'reverted', 'repaired', 'baselined']) \
         AND pg_catalog.substring(later.run, '/.*$') IS NOT DISTINCT FROM pg_catalog.substring(j.run, '/.*$')) \
         ORDER BY j.id DESC LIMIT 1",
        &[
            &version,
            &Literal::new(state.word()),
            &statement,
            &Literal::new(&run.id),
        ],
    )
}

/// A text or NULL.
fn text(value: Option<&str>) -> Sql {
    value.map_or_else(
        || Sql::new("NULL"),
        |value| Sql::fill("{}", &[&Literal::new(value)]),
    )
}

/// The hash of a row `v`, computed on the server so that every client computes the same.
pub(super) fn hash() -> Sql {
    let mut sql = Sql::new(
        "pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.jsonb_build_array(",
    );
    sql.push(HASHED).push(")::text, 'UTF8')), 'hex')");
    sql
}

/// A version that was started and not finished, by its newest row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// The migration.
    pub version: i64,
    /// The newest row's word.
    pub state: String,
    /// How many statements were done, or which one was started.
    pub statement: usize,
    /// Which way it was run.
    pub direction: Direction,
    /// The sha256 of the file that was run, then.
    pub sha256: Option<String>,
    /// When.
    pub at: String,
    /// Why it stopped, if known.
    pub error: Option<String>,
}

impl Unfinished {
    /// Whether a statement was started of which its outcome is unknown.
    pub fn is_uncertain(&self) -> bool {
        self.state == JournalState::unit_began(self.direction).word()
    }
}

/// Reads what was started and not finished by runs about a tenant's schema, or with none about the database, in one round trip.
pub async fn unfinished(session: &Session, tenant: &str) -> Result<Vec<Unfinished>> {
    let rows = session
        .query(
            include_str!("queries/journal_unfinished.sql"),
            &[(&tenant, tokio_postgres::types::Type::TEXT)],
        )
        .await?;
    let read = |row: &tokio_postgres::Row| {
        let state: String = row.get("state");
        let (direction, column) = if state.starts_with("revert-") {
            (Direction::Down, "down_sha256")
        } else {
            (Direction::Up, "up_sha256")
        };
        let statement = row.get::<_, Option<i32>>("statement").unwrap_or(0);
        Unfinished {
            version: row.get("version"),
            state,
            statement: usize::try_from(statement).unwrap_or(0),
            direction,
            sha256: row.get(column),
            at: row.get("at"),
            error: row.get("error"),
        }
    };
    Ok(rows.iter().map(read).collect())
}

/// Whether any run was about a tenant's schema.
pub async fn knows(session: &Session, history: &History, tenant: &str) -> Result<bool> {
    if !history.has_journal {
        return Ok(false);
    }
    let row = session
        .query_one(
            include_str!("queries/journal_knows.sql"),
            &[(&tenant, tokio_postgres::types::Type::TEXT)],
        )
        .await?;
    Ok(row.get(0))
}

/// Whether the journal knows a migration of a tenant's history, or what the history held before the journal.
pub async fn has_begun(session: &Session, tenant: &str) -> Result<bool> {
    let row = session
        .query_one(
            include_str!("queries/journal_begun_for.sql"),
            &[(&tenant, tokio_postgres::types::Type::TEXT)],
        )
        .await?;
    Ok(row.get(0))
}

/// A row of the journal as people read it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct JournalRow {
    /// Its place in the chain.
    pub id: i64,
    /// The run it belongs to.
    pub run: String,
    /// The migration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What happened.
    pub state: String,
    /// Statements done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement: Option<i32>,
    /// Who.
    pub actor: String,
    /// As whom.
    pub role: String,
    /// From where.
    pub host: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git_commit: Option<String>,
    /// With what.
    pub tool: String,
    /// When it ended.
    pub at: String,
    /// How long it took, in milliseconds.
    pub took_ms: i64,
    /// How often a lock was waited for without success.
    pub lock_waits: i32,
    /// The write-ahead log's position then, for recovery to a point in time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lsn: Option<String>,
    /// The error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// A person's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Reads the newest rows, oldest first.
pub async fn read(session: &Session, limit: i64) -> Result<Vec<JournalRow>> {
    let rows = session
        .query(
            include_str!("queries/journal_read.sql"),
            &[(&limit, tokio_postgres::types::Type::INT8)],
        )
        .await?;
    let read = |row: &tokio_postgres::Row| JournalRow {
        id: row.get("id"),
        run: row.get("run"),
        version: row.get("version"),
        name: row.get("name"),
        state: row.get("state"),
        statement: row.get("statement"),
        actor: row.get("actor"),
        role: row.get("role"),
        host: row.get("host"),
        git_commit: row.get("git_commit"),
        tool: row.get("tool"),
        at: row.get("at"),
        took_ms: row.get("took_ms"),
        lock_waits: row.get("lock_waits"),
        lsn: row.get("lsn"),
        error: row.get("error"),
        note: row.get("note"),
    };
    Ok(rows.iter().map(read).collect())
}
