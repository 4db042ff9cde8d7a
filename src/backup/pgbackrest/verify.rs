//! Parses the report of `pgbackrest verify` and finds gaps in the WAL, which it does not look for.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};

use crate::finding::Finding;

/// Parses the status of the stanza and of each backup, and the counts that should be 0.
pub fn read_report(report: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut subject = "repository".to_owned();
    let mut stated = false;
    for line in report.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("status: ") {
            stated = true;
            if rest != "ok" {
                findings.push(broken(&subject, &format!("pgBackRest reports `{rest}`")));
            }
        } else if let Some(rest) = line.strip_prefix("backup: ") {
            let (label, said) = rest.split_once(", ").unwrap_or((rest, ""));
            subject = format!("backup {label}");
            if !said.contains("status: valid") {
                findings.push(broken(&subject, &format!("pgBackRest reports {said}")));
            }
        } else if let Some(rest) = line.strip_prefix("archiveId: ") {
            let (id, _) = rest.split_once(", ").unwrap_or((rest, ""));
            subject = format!("WAL {id}");
        } else {
            findings.extend(counts(&subject, line));
        }
    }
    if !stated {
        // An old version prints nothing at all, even for damage.
        findings.push(broken("repository", "not in pgBackRest's report"));
    }
    findings
}

/// Reads `missing: 0, checksum invalid: 1, …`.
fn counts(subject: &str, line: &str) -> Option<Finding> {
    let wrong: Vec<&str> = line
        .split(", ")
        .filter(|part| {
            let count = part.split_once(": ").map(|(_, count)| count.trim());
            let what = ["missing", "checksum invalid", "size invalid", "other"];
            what.iter().any(|what| part.starts_with(what)) && count != Some("0")
        })
        .collect();
    (!wrong.is_empty()).then(|| broken(subject, &wrong.join(", ")))
}

fn broken(subject: &str, message: &str) -> Finding {
    Finding::error("repository-damaged", subject, message)
        .help("make a full backup now; earlier backups may not be restorable")
}

pub fn segments(listing: &[u8]) -> Result<BTreeSet<String>> {
    let listing: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(listing).context("reading the list of WAL files")?;
    let is_segment =
        |name: &str| name.len() == 24 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    Ok(listing
        .keys()
        .filter_map(|path| path.rsplit('/').next())
        .filter_map(|file| file.split('-').next())
        .filter(|name| is_segment(name))
        .map(str::to_owned)
        .collect())
}

/// Finds what is missing between the oldest backup's first segment and the newest of each timeline.
pub fn missing_segments(names: &BTreeSet<String>, oldest: &str, segments: u64) -> Vec<Finding> {
    let number = |name: &str| {
        let part = |range| u64::from_str_radix(name.get(range)?, 16).ok();
        Some(part(8..16)? * segments + part(16..24)?)
    };
    let mut findings = Vec::new();
    let first = number(oldest).unwrap_or(0);
    let mut last: Option<(&str, u64, &str)> = None;
    for name in names {
        let (Some(timeline), Some(this)) = (name.get(..8), number(name)) else {
            continue;
        };
        if this < first {
            continue;
        }
        if let Some((before, at, from)) = last
            && before == timeline
            && this > at + 1
        {
            let count = this - at - 1;
            findings.push(broken(
                "log",
                &format!("{count} WAL files are missing between {from} and {name}; no restore can replay past the gap"),
            ));
        }
        last = Some((timeline, this, name));
    }
    let covers_backup = oldest.is_empty() || names.iter().any(|name| name == oldest);
    if !covers_backup {
        findings.push(broken(
            "log",
            &format!("{oldest} is missing; the oldest backup starts with it"),
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(findings: &[Finding]) -> Vec<String> {
        let each = findings.iter();
        each.map(|one| format!("{}: {}", one.subject, one.message))
            .collect()
    }

    #[test]
    fn damage_is_parsed_and_an_empty_report_is_damage() {
        let good = "stanza: one\nstatus: ok\n  archiveId: 15-1, total WAL checked: 8, total valid WAL: 8\n    missing: 0, checksum invalid: 0, size invalid: 0, other: 0\n  backup: 20261121-082440F, status: valid, total files checked: 964, total valid files: 964\n    missing: 0, checksum invalid: 0, size invalid: 0, other: 0\n";
        assert_eq!(read_report(good), []);
        let flipped = "stanza: one\nstatus: error\n  backup: 20261121-082440F, status: invalid, total files checked: 964, total valid files: 963\n    checksum invalid: 1\n";
        assert_eq!(
            messages(&read_report(flipped)),
            [
                "repository: pgBackRest reports `error`",
                "backup 20261121-082440F: pgBackRest reports status: invalid, total files checked: 964, total valid files: 963",
                "backup 20261121-082440F: checksum invalid: 1"
            ]
        );
        assert_eq!(
            messages(&read_report("")),
            ["repository: not in pgBackRest's report"]
        );
    }

    #[test]
    fn gaps_in_wal_are_found_and_the_end_of_a_logical_file_is_none() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let found = |names: &[&str], oldest| messages(&missing_segments(&set(names), oldest, 256));
        let whole = [
            "0000000100000000000000FE",
            "0000000100000000000000FF",
            "000000010000000100000000",
        ];
        assert_eq!(found(&whole, whole[0]), [] as [String; 0]);
        assert_eq!(
            found(&[whole[0], whole[2]], whole[0]),
            [
                "log: 1 WAL files are missing between 0000000100000000000000FE and 000000010000000100000000; no restore can replay past the gap"
            ]
        );
        // What only older backups needed may be gone; a new timeline begins where it likes.
        assert_eq!(
            found(
                &[
                    "000000010000000000000001",
                    whole[0],
                    whole[1],
                    "000000020000000100000005"
                ],
                whole[0]
            ),
            [] as [String; 0]
        );
        assert_eq!(found(&whole[1..], whole[0]).len(), 1);
    }

    #[test]
    fn segments_are_distinguished_from_other_files() {
        let listing = br#"{".":{"type":"path"},"0000000100000000":{"type":"path"},"0000000100000000/000000010000000000000004-5bc3.zst":{"type":"file"},"0000000100000000/000000010000000000000002.00000028.backup":{"type":"file"}}"#;
        let names = segments(listing).unwrap();
        assert_eq!(
            names.into_iter().collect::<Vec<_>>(),
            ["000000010000000000000004"]
        );
    }
}
