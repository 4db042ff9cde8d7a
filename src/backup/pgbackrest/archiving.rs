//! Checks the WAL archiving of a server that uses pgBackRest.

use anyhow::{Context as _, Result};
use chrono::Utc;

use super::Stanza;
use super::info::Info;
use crate::pg::session::Session;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivingStatus {
    pub says: String,
    /// What to do about a problem.
    pub remedy: Option<String>,
}

impl ArchivingStatus {
    fn amiss(says: impl Into<String>, remedy: impl Into<String>) -> Self {
        ArchivingStatus {
            says: says.into(),
            remedy: Some(remedy.into()),
        }
    }
}

/// Checks a server's archiving and its repository; `None` if it does not archive with pgBackRest.
pub async fn check(session: &Session) -> Result<Option<ArchivingStatus>> {
    let row = session
        .query_one(include_str!("../queries/archiving.sql"), &[])
        .await
        .context("reading the WAL archiving settings")?;
    let command: String = row.get("command");
    if !command.contains("pgbackrest") {
        return Ok(None);
    }
    if !row.get::<_, bool>("is_on") {
        return Ok(Some(ArchivingStatus::amiss(
            "archive_command uses pgBackRest, but archive_mode is off",
            "set archive_mode to on and restart the server",
        )));
    }
    if row.get::<_, bool>("fails") {
        return Ok(Some(ArchivingStatus::amiss(
            "WAL archiving fails, and WAL accumulates on the server",
            "see the server's log, then test with `pgbackrest check`",
        )));
    }
    let option = |name: &str| option(&command, name);
    let name = option("--stanza=").unwrap_or_else(|| "main".to_owned());
    let config = option("--config=").map(std::path::PathBuf::from);
    let stanza = Stanza::new(&name, config.as_deref())?;
    let info = match stanza.info().await {
        Ok(info) => info,
        Err(error) => {
            return Ok(Some(ArchivingStatus::amiss(
                format!("stanza `{name}` cannot be read from here: {error:#}"),
                "run this on the machine where pgBackRest is configured",
            )));
        }
    };
    let ours = session.server_info().system_identifier;
    let ours = ours.map(|number| number.to_string());
    let archived: Option<f64> = row.get("archived");
    let now = Utc::now().timestamp();
    Ok(Some(status(&name, &info, ours.as_deref(), now, archived)))
}

fn status(
    name: &str,
    info: &Info,
    ours: Option<&str>,
    now: i64,
    archived: Option<f64>,
) -> ArchivingStatus {
    if let (Some(theirs), Some(ours)) = (info.system_identifier.as_deref(), ours)
        && theirs != ours
    {
        return ArchivingStatus::amiss(
            format!("stanza `{name}` belongs to cluster {theirs}, but the server is {ours}"),
            "correct the stanza, or run `pgbackrest stanza-upgrade`",
        );
    }
    let Some(newest) = info.backups.last() else {
        return ArchivingStatus::amiss(
            format!("stanza `{name}` has no backup to restore"),
            "af-db backup --engine pgbackrest --type full",
        );
    };
    let archived = match archived {
        Some(seconds) => format!("WAL last archived {} ago", age(seconds as i64)),
        None => "no WAL archived since the statistics were reset".to_owned(),
    };
    ArchivingStatus {
        says: format!(
            "stanza `{name}`: newest backup {} is {} old, {archived}",
            newest.label,
            age(now - newest.stopped)
        ),
        remedy: None,
    }
}

/// Finds the value of an option in a command line, quoted or not.
fn option(command: &str, name: &str) -> Option<String> {
    let (_, rest) = command.split_once(name)?;
    let quote = rest
        .chars()
        .next()
        .filter(|first| matches!(first, '\'' | '"'));
    let value = match quote {
        Some(quote) => rest[1..].split(quote).next()?,
        None => rest.split_whitespace().next()?,
    };
    Some(value.to_owned())
}

fn age(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{} s", seconds.max(0)),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pgbackrest::info::Backup;

    #[test]
    fn the_stanza_is_parsed_from_archive_command() {
        let command = "'/usr/bin/pgbackrest' --config='/etc/my conf' --stanza=main archive-push %p";
        assert_eq!(
            option(command, "--config=").as_deref(),
            Some("/etc/my conf")
        );
        assert_eq!(option(command, "--stanza=").as_deref(), Some("main"));
        assert_eq!(option("pgbackrest archive-push %p", "--stanza="), None);
    }

    #[test]
    fn problems_come_with_a_remedy() {
        let said = |info: &Info| {
            let standing = status("main", info, Some("7"), 10_000, Some(30.0));
            (standing.says, standing.remedy.is_some())
        };
        let mut info = Info {
            system_identifier: Some("8".to_owned()),
            ..Info::default()
        };
        assert_eq!(
            said(&info),
            (
                "stanza `main` belongs to cluster 8, but the server is 7".to_owned(),
                true
            )
        );
        info.system_identifier = Some("7".to_owned());
        assert_eq!(
            said(&info),
            ("stanza `main` has no backup to restore".to_owned(), true)
        );
        info.backups.push(Backup {
            label: "20260101-000000F".to_owned(),
            kind: "full".to_owned(),
            start_lsn: "0/1".to_owned(),
            stop_lsn: "0/2".to_owned(),
            start_segment: String::new(),
            stopped: 1_000,
            size: 1,
            stored: 1,
        });
        assert_eq!(
            said(&info),
            (
                "stanza `main`: newest backup 20260101-000000F is 2 h old, WAL last archived 30 s ago".to_owned(),
                false
            )
        );
    }
}
