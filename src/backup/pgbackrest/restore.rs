//! Restores a cluster to just before an LSN: into a new directory, paused, checked, then promoted.
//!
//! It never archives WAL, so that nothing of it reaches the repository before it replaces the old cluster.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::Serialize;
use tokio_postgres::types::Type;

use super::Stanza;
use super::info;
use crate::error::{Exit, fail, refuse, with_exit};
use crate::event::{Event, Interrupt, Watch, silent};
use crate::pg::child_server::ShutdownMode;
use crate::pg::connect;
use crate::pg::embedded::cluster::{self, Cluster, Start};
use crate::pg::embedded::privileges;
use crate::pg::embedded::{self, ChosenPrograms};
use crate::pg::session::Session;
use crate::pg::target::Target;
use crate::sql::safe::Sql;

pub struct RestorePoint<'a> {
    /// Recovery stops before this LSN.
    pub lsn: &'a str,
    /// The run that must not be in the restored journal, if one was given.
    pub run: Option<&'a str>,
    /// The directory for the cluster; it must not exist, or be empty.
    pub data: &'a Path,
    /// The database to look into.
    pub database: &'a str,
    /// A superuser of the cluster.
    pub user: &'a str,
    /// The system identifier of the live cluster, if it can be read.
    pub system_identifier: Option<&'a str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RestoredCluster {
    /// The backup it began with.
    pub backup: String,
    /// The last replayed LSN.
    pub lsn: String,
    /// When the last transaction that is in it was committed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_commit: Option<String>,
    /// Milliseconds to copy the files back.
    pub copy: u64,
    /// Milliseconds to replay the WAL.
    pub replay: u64,
}

/// Restores, recovers to the target, checks that it was reached, and promotes; the cluster is left stopped.
pub async fn run(
    stanza: &Stanza,
    point: &RestorePoint<'_>,
    embedded: &embedded::Options,
    watch: Watch<'_>,
    interrupt: &Interrupt,
) -> Result<RestoredCluster> {
    let _guard = interrupt.guard();
    let place = info::position(point.lsn).ok_or_else(|| {
        fail(format!("`{}` is not an LSN", point.lsn))
            .hint("an LSN looks like 0/AD650C0; or name a run with --before-run")
    })?;
    let info = stanza.info().await?;
    check_identity(&info, point)?;
    let Some(backup) = info.before(place) else {
        return Err(refuse(format!(
            "stanza `{}` has no backup from before {}; nothing was restored",
            stanza.name, point.lsn
        ))
        .hint("`pgbackrest info` lists the backups")
        .into());
    };
    make_room(point.data, stanza)?;
    let work = async {
        let clock = Instant::now();
        watch(Event::Info(&format!("restoring backup {}", backup.label)));
        copy_back(stanza, point, &backup.label).await?;
        let copy = milliseconds(clock);
        let clock = Instant::now();
        watch(Event::Info(&format!("replaying WAL up to {}", point.lsn)));
        // For the socket, the log and the replacement configuration files.
        let room = tempfile::Builder::new().prefix("af-db-").tempdir()?;
        let (mut recovered, (lsn, last_commit)) =
            recover(point, embedded, room.path(), watch).await?;
        recovered.promote().await?;
        Ok(RestoredCluster {
            backup: backup.label.clone(),
            lsn,
            last_commit,
            copy,
            replay: milliseconds(clock),
        })
    };
    let reached = tokio::select! {
        reached = work => reached,
        () = interrupt.wait() => Err(with_exit(Exit::Interrupted, "interrupted; nothing was restored").into()),
    };
    if reached.is_err() {
        // The directory was empty or missing before.
        let _ = fs::remove_dir_all(point.data);
    }
    reached
}

fn check_identity(info: &info::Info, point: &RestorePoint<'_>) -> Result<()> {
    if let (Some(theirs), Some(ours)) = (info.system_identifier.as_deref(), point.system_identifier)
        && theirs != ours
    {
        return Err(refuse(format!(
            "the repository belongs to cluster {theirs}, but the server is {ours}; nothing was restored"
        ))
        .hint("name the stanza of this server with --stanza")
        .into());
    }
    Ok(())
}

/// Makes the directory, for the user that the cluster belongs to.
fn make_room(data: &Path, stanza: &Stanza) -> Result<()> {
    let taken = fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_some());
    if taken {
        return Err(refuse(format!(
            "{} is not empty; nothing was restored",
            data.display()
        ))
        .hint("use a directory that does not exist; af-db never overwrites a cluster")
        .into());
    }
    let doing = || format!("creating {}", data.display());
    fs::create_dir_all(data).with_context(doing)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(data, fs::Permissions::from_mode(0o700)).with_context(doing)?;
    }
    privileges::give(data, stanza.user.as_ref()).with_context(doing)
}

async fn copy_back(stanza: &Stanza, point: &RestorePoint<'_>, label: &str) -> Result<()> {
    let arguments = [
        format!("--pg1-path={}", point.data.display()),
        // By LSN: a named restore point would be looked for in the newest backup, which may be later.
        "--type=lsn".to_owned(),
        format!("--target={}", point.lsn),
        "--target-exclusive".to_owned(),
        "--target-action=pause".to_owned(),
        format!("--set={label}"),
        "restore".to_owned(),
    ];
    stanza
        .run(&arguments, "pgBackRest failed to restore")
        .await
        .map(|_| ())
}

/// The minimum value of each setting that limits a replay.
type RequiredSettings = BTreeMap<String, String>;

/// The LSN where the replay ended and the commit time of its last transaction.
type ReachedPoint = (String, Option<String>);

/// Replays the WAL with limits no lower than those of the old cluster, without which replay fails: the server reports which
/// are too low, as it starts or where the WAL records a change.
async fn recover(
    point: &RestorePoint<'_>,
    embedded: &embedded::Options,
    room: &Path,
    watch: Watch<'_>,
) -> Result<(Recovered, ReachedPoint)> {
    let version = fs::read_to_string(point.data.join("PG_VERSION"))
        .context("reading the version of the restored cluster")?;
    let mut options = embedded.clone();
    options.major = version.trim().parse().ok();
    let choice = embedded::resolve(&options, watch).await?;
    privileges::give(room, choice.user.as_ref())?;
    let log = room.join("log");
    let mut needs = RequiredSettings::new();
    loop {
        let tried = replay(point, &choice, room, &needs).await;
        let told = lacking(&fs::read_to_string(&log).unwrap_or_default());
        if told
            .iter()
            .all(|(name, value)| needs.get(name) == Some(value))
        {
            return tried;
        }
        if let Ok((mut recovered, _)) = tried {
            // It paused at the settings change, not at the target.
            recovered.cluster.stop(ShutdownMode::Immediate);
        }
        needs.extend(told);
    }
}

async fn replay(
    point: &RestorePoint<'_>,
    choice: &ChosenPrograms,
    room: &Path,
    needs: &RequiredSettings,
) -> Result<(Recovered, ReachedPoint)> {
    let mut recovered = Recovered::start(point, choice, room, needs).await?;
    match recovered.prove(point).await {
        Ok(proven) => Ok((recovered, proven)),
        Err(error) => {
            recovered.cluster.stop(ShutdownMode::Immediate);
            Err(error)
        }
    }
}

/// A cluster that is paused after its replay.
struct Recovered {
    cluster: Cluster,
    target: Target,
}

impl Recovered {
    async fn start(
        point: &RestorePoint<'_>,
        choice: &ChosenPrograms,
        room: &Path,
        needs: &RequiredSettings,
    ) -> Result<Self> {
        let mut settings = settings(choice, point.data, room)?;
        settings.extend(needs.iter().map(|(name, value)| format!("{name}={value}")));
        let target = cluster::private_address(room, &mut settings)?
            .with_user(point.user)
            .with_database(point.database);
        let start = Start {
            sandbox: None,
            data: point.data,
            sockets: cfg!(unix).then_some(room),
            log: &room.join("log"),
            settings: &settings,
            on_our_death: ShutdownMode::Immediate,
        };
        let cluster = Cluster::start(choice, &start).await?;
        Ok(Recovered { cluster, target })
    }

    /// Waits until the replay pauses and checks that it ended at the target.
    async fn prove(&mut self, point: &RestorePoint<'_>) -> Result<ReachedPoint> {
        let session = connect::open(&self.target, &silent).await?;
        self.wait(
            &session,
            "SELECT pg_catalog.pg_get_wal_replay_pause_state() = 'paused'",
        )
        .await?;
        let row = session
            .query_one(include_str!("../queries/replayed.sql"), &[])
            .await
            .context("reading the replay position")?;
        let (lsn, last_commit): (String, Option<String>) = (row.get("lsn"), row.get("last_commit"));
        let (reached, wanted) = (info::position(&lsn), info::position(point.lsn));
        anyhow::ensure!(
            reached <= wanted,
            "replay continued to {lsn}, past {}",
            point.lsn
        );
        if let Some(run) = point.run {
            let found = session
                .query_one(
                    "SELECT pg_catalog.count(*) FROM af_db.journal AS j WHERE j.run = $1",
                    &[(&run, Type::TEXT)],
                )
                .await
                .context("checking the journal of the restored database")?;
            let left: i64 = found.get(0);
            anyhow::ensure!(left == 0, "the restored database still contains run {run}");
        }
        session.close().await;
        Ok((lsn, last_commit))
    }

    async fn wait(&self, session: &Session, question: &'static str) -> Result<()> {
        loop {
            if self.cluster.has_ended() {
                return Err(fail("the restored cluster stopped before it reached the target LSN")
                    .hint("a WAL file may be missing; check with: af-db backup verify --engine pgbackrest")
                    .into());
            }
            let row = session.query_one(question, &[]).await;
            if row.context("waiting for the replay")?.get(0) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Promotes the cluster and stops it.
    async fn promote(&mut self) -> Result<()> {
        let session = connect::open(&self.target, &silent).await?;
        session
            .run(&Sql::new("SELECT pg_catalog.pg_wal_replay_resume()"))
            .await
            .context("ending the recovery")?;
        self.wait(&session, "SELECT NOT pg_catalog.pg_is_in_recovery()")
            .await?;
        session.close().await;
        self.cluster.stop(ShutdownMode::Fast);
        Ok(())
    }
}

/// Returns the settings during recovery: no other connections, no archiving, and a log of settings that are too low.
fn settings(choice: &ChosenPrograms, data: &Path, room: &Path) -> Result<Vec<String>> {
    let mut settings = Vec::new();
    let hba = put(
        room,
        "hba",
        "local all all trust\nhost all all 127.0.0.1/32 trust\n",
        choice,
    )?;
    settings.push(format!("hba_file={}", hba.display()));
    if !data.join("postgresql.conf").exists() {
        // Some systems keep it elsewhere; then it is not in a backup either.
        let empty = put(room, "postgresql.conf", "", choice)?;
        settings.push(format!("config_file={}", empty.display()));
        settings.push(format!(
            "ident_file={}",
            put(room, "ident", "", choice)?.display()
        ));
    }
    for setting in [
        "archive_mode=off",
        "listen_addresses=",
        "port=5432",
        "hot_standby=on",
        "ssl=off",
        "logging_collector=off",
        "log_destination=stderr",
        "external_pid_file=",
        "synchronous_standby_names=",
        "lc_messages=C",
        "log_min_messages=warning",
        "log_error_verbosity=default",
    ] {
        settings.push(setting.to_owned());
    }
    Ok(settings)
}

fn put(room: &Path, name: &str, text: &str, choice: &ChosenPrograms) -> Result<PathBuf> {
    let path = room.join(name);
    fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    privileges::give(&path, choice.user.as_ref())?;
    Ok(path)
}

/// Parses the settings that the server's log reports as too low for a replay.
fn lacking(log: &str) -> RequiredSettings {
    let told = |line: &str| {
        let (before, after) = line
            .split_once(" is a lower setting than on the primary server, where its value was ")?;
        let (name, _) = before.rsplit_once(" = ")?;
        let value = after.trim_end().strip_suffix('.')?;
        let name = name.rsplit(char::is_whitespace).next()?;
        Some((name.to_owned(), value.to_owned()))
    };
    log.lines().filter_map(told).collect()
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_too_low_for_a_replay_are_parsed() {
        let log = "2026 UTC [7] FATAL:  recovery aborted because of insufficient parameter settings\n\
                   2026 UTC [7] DETAIL:  max_connections = 20 is a lower setting than on the primary server, where its value was 37.\n\
                   2026 UTC [7] HINT:  You can restart the server after making the necessary configuration changes.\n";
        let needs = lacking(log);
        assert_eq!(
            needs.into_iter().collect::<Vec<_>>(),
            [("max_connections".to_owned(), "37".to_owned())]
        );
        assert!(lacking("2026 UTC [7] FATAL:  the database system is starting up\n").is_empty());
    }
}
