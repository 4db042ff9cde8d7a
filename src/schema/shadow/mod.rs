//! The shadow database: migrations replayed into an empty database, to be read, probed and measured there.
//!
//! Nothing here touches a live database.

pub mod diff_trial;
pub mod object_origin;
pub mod predict;
pub mod rollback;
pub mod schema_clone;
pub mod seed;

use anyhow::{Context as _, Result};

use crate::error::{Failure, fail};
use crate::event::{Event, Interrupt, Unit, Watch, silent};
use crate::migrate::files::{Direction, Migration};
use crate::migrate::job;
use crate::pg::connect;
use crate::pg::embedded::sandbox;
use crate::pg::lock::LockedSession;
use crate::pg::server_error::ServerError;
use crate::pg::session::Session;
use crate::pg::shadow_server::ShadowServer;
use crate::pg::supabase;
use crate::pg::target::Target;
use crate::plan::execution::Execution;
use crate::plan::lock_schedule::LockSchedule;
use crate::plan::step_failure::Stopped;
use crate::plan::{Step, StepRecorder};
use crate::sql::position;
use crate::sql::safe::Sql;
use crate::sql::split;

/// Keeps no books: a shadow database lives for one comparison.
struct NoRecorder;

impl StepRecorder for NoRecorder {
    fn lock_history(&self) -> Sql {
        Sql::default()
    }

    fn unit_began(&self, _: usize, _: &Sql) -> Sql {
        Sql::new("SELECT")
    }

    fn unit_done(&self, _: usize, _: &Sql) -> Sql {
        Sql::new("SELECT")
    }

    fn step_done(&self, _: usize, _: usize) -> Sql {
        Sql::new("SELECT")
    }

    fn is_recorded(&self) -> Option<Sql> {
        None
    }

    fn is_recorded_by_this_run(&self, _: Option<usize>) -> Option<Sql> {
        None
    }
}

/// A database that migrations were replayed into, with a session on it.
pub struct Shadow {
    /// Where it is.
    pub target: Target,
    pub session: Session,
}

/// Makes a fresh database of this name, which looks like Supabase's where the project's migrations expect that.
pub async fn empty(scratch: &ShadowServer, name: &str, project: &[Migration]) -> Result<Shadow> {
    let target = scratch.database(name).await?;
    let session = connect::open(&target, &silent).await?;
    let texts = || project.iter().map(|migration| &*migration.up.text);
    if supabase::is_expected(texts()) {
        supabase::prepare(&session).await?;
    }
    Ok(Shadow { target, session })
}

/// Makes a fresh database of this name that migrations can be replayed into: the extensions they make can be had there.
pub async fn prepare(scratch: &ShadowServer, name: &str, project: &[Migration]) -> Result<Shadow> {
    let shadow = empty(scratch, name, project).await?;
    let texts = project.iter().map(|migration| &*migration.up.text);
    let wanted: Vec<String> = texts.flat_map(supabase::extensions).collect();
    let lacking = supabase::unavailable(&shadow.session, &wanted).await?;
    if !lacking.is_empty() {
        let server = scratch.why.clone();
        return Err(supabase::missing_extensions(&lacking, &server).into());
    }
    Ok(shadow)
}

/// Whether migrations leave alone what all databases of a server share, so that they can be replayed in several at
/// the same time.
///
/// A role that is made and is there already is not minded: the first replay of all stands alone.
pub fn keep_to_themselves(migrations: &[Migration]) -> bool {
    const SHARED: [(&str, &str); 12] = [
        ("drop", "role"),
        ("drop", "user"),
        ("drop", "group"),
        ("drop", "owned"),
        ("alter", "role"),
        ("alter", "user"),
        ("alter", "group"),
        ("alter", "system"),
        ("alter", "database"),
        ("on", "role"),
        ("on", "parameter"),
        ("reassign", "owned"),
    ];
    let files = migrations
        .iter()
        .flat_map(|migration| std::iter::once(&migration.up).chain(&migration.down));
    files.into_iter().all(|file| {
        // Strings and comments too: what is executed may be put together in a string.
        let lower = file.text.to_lowercase();
        let words: Vec<&str> = lower
            .split(|sign: char| !(sign.is_alphanumeric() || sign == '_'))
            .filter(|word| !word.is_empty())
            .collect();
        !words.contains(&"tablespace")
            && words
                .windows(2)
                .all(|pair| !SHARED.contains(&(pair[0], pair[1])))
    })
}

/// Replays migrations, in order, into a fresh database.
pub async fn build(
    scratch: &ShadowServer,
    name: &str,
    migrations: &[Migration],
    watch: Watch<'_>,
) -> Result<Shadow> {
    let mut shadow = prepare(scratch, name, migrations).await?;
    let total = u64::try_from(migrations.len()).ok();
    watch(Event::Began {
        task: "replaying migrations",
        total,
        unit: Unit::Items,
    });
    for (done, migration) in (0..).zip(migrations) {
        watch(Event::Advanced {
            done,
            note: &migration.up.shown,
        });
        shadow = shadow.run(migration, Direction::Up).await?;
    }
    watch(Event::Ended);
    Ok(shadow)
}

impl Shadow {
    /// Runs a migration one way; a migration that fails here would fail anywhere.
    pub async fn run(self, migration: &Migration, direction: Direction) -> Result<Self> {
        let (shadow, failed) = self.attempt(migration, direction).await?;
        match failed {
            None => Ok(shadow),
            Some(failure) => Err(failure.into()),
        }
    }

    /// Runs a migration one way; gives the shadow database back whatever comes of it.
    pub(crate) async fn attempt(
        self,
        migration: &Migration,
        direction: Direction,
    ) -> Result<(Self, Option<Failure>)> {
        let step = job::step(migration, direction)
            .with_context(|| format!("{} has no down migration", migration.up.shown))?;
        self.attempt_step(step).await
    }

    /// Runs a step; gives the shadow database back whatever comes of it.
    pub async fn attempt_step(self, step: Step) -> Result<(Self, Option<Failure>)> {
        let Shadow { target, session } = self;
        split::check_closed(&step.label, &step.text)?;
        if let Err(failure) = session.confinement().check(&step.label, &step.text) {
            return Ok((Shadow { target, session }, Some(failure)));
        }
        // A throwaway server is not the one whose patience the file speaks of.
        let step = Step {
            timeout: None,
            ..step
        };
        let interrupt = Interrupt::default();
        let session = LockedSession::on_throwaway(session);
        let mut execution = Execution::new(
            session,
            &target,
            LockSchedule::default(),
            &silent,
            &interrupt,
        );
        let ran = execution.run(&step, &NoRecorder).await;
        let session = execution.finish().into_session();
        let failed = ran.err().map(|stopped| failure(&step, &stopped));
        Ok((Shadow { target, session }, failed))
    }
}

fn failure(step: &Step, stopped: &Stopped) -> Failure {
    let stopped = stopped.failure();
    let mut message = format!(
        "{} fails on the shadow database: {}",
        step.label, stopped.error
    );
    if let Some(offset) = stopped.offset {
        let place = position::of_byte(&step.text, offset);
        let quoted = position::quote(&step.text, place);
        message.push_str(&format!(
            "\n  at {}:{}:{}\n{quoted}",
            step.label, place.line, place.column
        ));
    }
    let failure = fail(message);
    match explain(&stopped.error) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// Returns a hint if the shadow server lacks something that the target may have.
fn explain(error: &ServerError) -> Option<String> {
    if let Some(hint) = sandbox::hint(&error.message) {
        return Some(hint);
    }
    let missing_here = error.is("0A000") || error.is("58P01");
    (missing_here && error.message.contains("extension")).then(|| {
        "the extension is not installed on the shadow server and may exist on the target; \
         set AF_DB_SHADOW_URL to a server that has the extension"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_of_cluster_wide_objects_are_not_run_in_parallel() {
        let check = |expected: bool, up: &str, down: &str| {
            let folder = tempfile::tempdir().expect("a folder");
            std::fs::write(folder.path().join("V1__a.sql"), up).expect("a file");
            std::fs::write(folder.path().join("V1__a.down.sql"), down).expect("a file");
            let files = crate::migrate::files::list(folder.path(), "migrations");
            let migrations = files.expect("a folder of migrations").migrations;
            assert_eq!(keep_to_themselves(&migrations), expected, "{up} {down}");
        };
        check(true, "CREATE TABLE users (role text)", "DROP TABLE users");
        check(true, "DO $$ BEGIN CREATE ROLE app; END $$", "SELECT 1");
        check(false, "CREATE ROLE app", "drop  Role app");
        check(
            false,
            "DO $$ BEGIN EXECUTE 'ALTER\nROLE app SET a = 1'; END $$",
            "",
        );
        check(false, "COMMENT ON ROLE app IS 'x'", "");
        check(false, "CREATE TABLE t (a int) TABLESPACE fast", "");
    }
}
