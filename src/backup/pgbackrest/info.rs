//! Parses the output of `pgbackrest info`.

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

use crate::error::fail;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// The backups without errors, oldest first.
    pub backups: Vec<Backup>,
    /// The WAL archives, such as `15-1`.
    pub archives: Vec<String>,
    /// The newest archived WAL segment.
    pub newest_segment: Option<String>,
    pub system_identifier: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Backup {
    pub label: String,
    /// `full`, `diff` or `incr`.
    pub kind: String,
    pub start_lsn: String,
    /// The LSN from which it is consistent.
    pub stop_lsn: String,
    /// The first WAL segment it needs.
    pub start_segment: String,
    /// When it was complete, in seconds of the epoch.
    pub stopped: i64,
    /// Bytes of the cluster.
    pub size: u64,
    /// Bytes it added to the repository.
    pub stored: u64,
}

impl Info {
    /// Reads the answer of `info --output=json`.
    pub fn read(stanza: &str, bytes: &[u8]) -> Result<Self> {
        let unclear = || {
            fail("cannot parse the output of `pgbackrest info`")
                .hint("af-db needs pgBackRest 2.45 or newer")
        };
        let document: Value = serde_json::from_slice(bytes).map_err(|_| unclear())?;
        let all = document.as_array().ok_or_else(unclear)?;
        let ours = all.iter().find(|one| one["name"] == stanza);
        let status = ours.map_or(1, |one| one["status"]["code"].as_i64().unwrap_or(99));
        let Some(ours) = ours.filter(|_| matches!(status, 0 | 2)) else {
            let says = ours.and_then(|one| one["status"]["message"].as_str());
            return Err(fail(format!(
                "pgBackRest has no stanza `{stanza}`: {}",
                says.unwrap_or("missing")
            ))
            .hint("name another with --stanza, or create it with `pgbackrest stanza-create`")
            .into());
        };
        let mut info = Info {
            system_identifier: ours["db"]
                .as_array()
                .and_then(|all| all.last())
                .map(|database| database["system-id"].to_string()),
            ..Info::default()
        };
        for archive in ours["archive"].as_array().into_iter().flatten() {
            info.archives.extend(text(&archive["id"]));
            info.newest_segment = text(&archive["max"]).or(info.newest_segment);
        }
        for backup in ours["backup"].as_array().into_iter().flatten() {
            if backup["error"] != true {
                info.backups.extend(Backup::read(backup));
            }
        }
        Ok(info)
    }

    /// Returns the newest backup that is consistent before an LSN.
    pub fn before(&self, lsn: u64) -> Option<&Backup> {
        let fits = |backup: &&Backup| position(&backup.stop_lsn).is_some_and(|stop| stop <= lsn);
        self.backups.iter().rev().find(fits)
    }
}

impl Backup {
    fn read(value: &Value) -> Option<Self> {
        Some(Backup {
            label: text(&value["label"])?,
            kind: text(&value["type"])?,
            start_lsn: text(&value["lsn"]["start"])?,
            stop_lsn: text(&value["lsn"]["stop"])?,
            start_segment: text(&value["archive"]["start"])?,
            stopped: value["timestamp"]["stop"].as_i64()?,
            size: value["info"]["size"].as_u64()?,
            stored: value["info"]["repository"]["delta"].as_u64()?,
        })
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// Parses an LSN, such as `0/3000050`.
pub fn position(lsn: &str) -> Option<u64> {
    let (high, low) = lsn.split_once('/')?;
    let part = |text| u32::from_str_radix(text, 16).ok().map(u64::from);
    Some(part(high)? << 32 | part(low)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"[{"archive":[{"database":{"id":1,"repo-key":1},"id":"15-1","max":"000000010000000000000008","min":"000000010000000000000001"}],
        "backup":[
        {"archive":{"start":"000000010000000000000002","stop":"000000010000000000000003"},"error":false,"info":{"delta":9,"repository":{"delta":4,"size":4},"size":9},
         "label":"20261121-082440F","lsn":{"start":"0/2000028","stop":"0/3000050"},"timestamp":{"start":1,"stop":2},"type":"full"},
        {"archive":{"start":"000000010000000000000005","stop":"000000010000000000000005"},"error":true,"info":{"delta":9,"repository":{"delta":4,"size":4},"size":9},
         "label":"20261121-082440F_20261121-090000D","lsn":{"start":"0/5000028","stop":"0/5000050"},"timestamp":{"start":1,"stop":2},"type":"diff"}],
        "db":[{"id":1,"repo-key":1,"system-id":7710537776131389958,"version":"15"}],"name":"one","status":{"code":0,"message":"ok"}}]"#;

    #[test]
    fn backups_with_errors_are_ignored_and_the_newest_before_an_lsn_is_found() {
        let info = Info::read("one", ANSWER.as_bytes()).unwrap();
        assert_eq!(info.backups.len(), 1);
        assert_eq!(
            info.system_identifier.as_deref(),
            Some("7710537776131389958")
        );
        let before = |lsn: &str| {
            info.before(position(lsn).unwrap())
                .map(|backup| backup.label.as_str())
        };
        assert_eq!(before("0/5000060"), Some("20261121-082440F"));
        assert_eq!(before("0/3000040"), None);
        assert!(Info::read("two", ANSWER.as_bytes()).is_err());
        assert!(Info::read("one", b"{").is_err());
    }

    #[test]
    fn lsns_are_ordered() {
        assert!(position("1/0").unwrap() > position("0/FFFFFFFF").unwrap());
        assert_eq!(position("x"), None);
    }
}
