//! The baseline: accepted legacy findings, in a file that can only shrink.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::error::fail;
use crate::finding::{Finding, Location, fingerprints};
use crate::lint::rules;

/// The version of the file this program writes and reads.
const VERSION: u32 = 1;

/// The accepted findings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Baseline {
    /// The version of the file.
    pub version: u32,
    /// What is accepted, by fingerprint.
    pub accepted: BTreeMap<String, Entry>,
}

/// An accepted finding, in words for those who read the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Entry {
    /// The rule.
    pub code: String,
    /// The file it stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The object it speaks of.
    pub subject: String,
}

impl Baseline {
    /// Accepts findings as they are.
    ///
    /// Findings of required rules are not accepted.
    pub fn of(findings: &[Finding]) -> Self {
        let entries = findings.iter().map(|finding| Entry {
            code: finding.code.clone(),
            file: finding.place.as_ref().map(|place| place.file.clone()),
            subject: finding.subject.clone(),
        });
        Baseline {
            version: VERSION,
            accepted: fingerprints(findings)
                .into_iter()
                .zip(entries)
                .filter(|(_, entry)| !is_required(&entry.code))
                .collect(),
        }
    }

    /// Reads the file's text.
    pub fn parse(text: &str) -> Result<Self> {
        let baseline: Baseline = serde_json::from_str(text).context("reading the lint baseline")?;
        if baseline.version > VERSION {
            return Err(fail("the lint baseline was written by a newer af-db")
                .hint("use that version, or recreate the baseline")
                .into());
        }
        Ok(baseline)
    }

    /// Returns the file's text; the same findings give the same text.
    pub fn print(&self) -> Result<String> {
        let mut text = serde_json::to_string_pretty(self).context("writing the lint baseline")?;
        text.push('\n');
        Ok(text)
    }

    /// Removes accepted findings, and reports entries that no longer match.
    pub fn apply(&self, findings: Vec<Finding>, path: &str) -> Vec<Finding> {
        let names = fingerprints(&findings);
        let mut kept: Vec<Finding> = findings
            .into_iter()
            .zip(&names)
            .filter(|(finding, name)| {
                is_required(&finding.code) || !self.accepted.contains_key(*name)
            })
            .map(|(finding, _)| finding)
            .collect();
        let gone = self
            .accepted
            .iter()
            .filter(|(name, _)| !names.contains(name))
            .count();
        if gone > 0 {
            let entries = if gone == 1 {
                "1 entry"
            } else {
                &format!("{gone} entries")
            };
            kept.push(
                Finding::warn(
                    "baseline-gone",
                    path,
                    format!("{entries} of the baseline no longer match a finding"),
                )
                .place(Location::file(path))
                .help("Remove them from the baseline, so that these findings are reported if they return"),
            );
        }
        kept
    }

    /// Returns the baseline without fixed findings; never adds entries.
    #[must_use]
    pub fn shrunk(&self, findings: &[Finding]) -> Self {
        let names = fingerprints(findings);
        let mut baseline = self.clone();
        baseline.accepted.retain(|name, _| names.contains(name));
        baseline
    }
}

/// Whether a rule cannot be disabled, not even by a modified baseline file.
fn is_required(code: &str) -> bool {
    rules::find(code).is_some_and(|rule| rule.required)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(code: &str, line: u32) -> Finding {
        Finding::warn(code, "t", "wrong").place(Location::at("a.sql", line, 1))
    }

    #[test]
    fn accepted_findings_stay_accepted_when_lines_move() {
        let baseline = Baseline::of(&[finding("R02", 1)]);
        let left = baseline.apply(vec![finding("R02", 9), finding("R03", 1)], "b.json");
        assert_eq!(left, [finding("R03", 1)]);
    }

    #[test]
    fn duplicate_findings_are_new() {
        let baseline = Baseline::of(&[finding("R02", 1)]);
        let left = baseline.apply(vec![finding("R02", 1), finding("R02", 2)], "b.json");
        assert_eq!(left, [finding("R02", 2)]);
    }

    #[test]
    fn baselines_only_shrink() {
        let baseline = Baseline::of(&[finding("R02", 1), finding("R03", 1)]);
        let left = baseline.apply(vec![finding("R02", 1)], "b.json");
        assert_eq!(left[0].code, "baseline-gone");
        let shrunk = baseline.shrunk(&[finding("R02", 1), finding("R04", 1)]);
        assert_eq!(shrunk, Baseline::of(&[finding("R02", 1)]));
        assert_eq!(Baseline::parse(&shrunk.print().unwrap()).unwrap(), shrunk);
    }

    #[test]
    fn required_rules_are_not_accepted() {
        let found = [finding("D06", 1), finding("R02", 1)];
        let mut baseline = Baseline::of(&found);
        assert_eq!(baseline.accepted.len(), 1);
        // Nor when the entry is added by hand.
        let name = fingerprints(&found)[0].clone();
        let entry = Entry {
            code: "D06".to_owned(),
            file: None,
            subject: "t".to_owned(),
        };
        baseline.accepted.insert(name, entry);
        assert_eq!(baseline.apply(found.to_vec(), "b.json"), found[..1]);
    }

    #[test]
    fn a_newer_file_is_refused() {
        let error = Baseline::parse(r#"{"version":9,"accepted":{}}"#).unwrap_err();
        assert!(error.to_string().contains("newer"));
    }
}
