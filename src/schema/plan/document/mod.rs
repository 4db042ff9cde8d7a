//! The plan file: what will run on which database, its observed effects and its findings.
//!
//! The same project and the same database give the same bytes on every machine, so their sha256 identifies the plan. It contains
//! no time, no address, no role and no password. The commands create plans; this module writes, reads and
//! [compares](compare) them.

pub mod compare;
mod observation_diff;
mod resumed_names;

use std::collections::BTreeSet;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::{fail, refuse};
use crate::finding::Finding;
use crate::plan::Mode;
use crate::plan::observe::reach::Reach;
use crate::plan::observe::{RelationKind, StepObservation};

/// The version of the document this program writes and reads.
pub const VERSION: u32 = 2;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PlanDocument {
    /// The version of the document.
    pub version: u32,
    /// The program that made it.
    pub tool: String,
    pub environment: String,
    /// Who asked for it, where another process has to approve it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The database, so that the plan cannot run on another one.
    pub target: TargetDatabase,
    /// What is applied there.
    pub history: HistoryHead,
    /// The fingerprint of its schema.
    pub schema: String,
    /// The fingerprint the schema will have; absent where the steps could not be tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_after: Option<String>,
    /// How long one attempt waits for a lock.
    pub lock_timeout_ms: u64,
    /// How long all attempts together may take.
    pub lock_budget_ms: u64,
    /// What is run, in order.
    pub steps: Vec<PlannedMigration>,
    /// The objects whose data is lost, by name.
    pub losses: Vec<String>,
    /// What there is to say against it.
    pub findings: Vec<Finding>,
    /// The code that the steps can trigger, such as triggers, and what it writes.
    #[serde(default)]
    pub reach: Reach,
    /// The sha256 of all other fields, which detects manual changes; only present in the file.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub contents_sha256: String,
}

/// What identifies a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TargetDatabase {
    /// The cluster, where the role may read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_identifier: Option<String>,
    pub database: String,
    /// The OID, because a database recreated under the same name is another one.
    pub database_oid: u32,
    /// The server's version, as `server_version_num` counts.
    pub server_version: i32,
    /// Where names without a schema lead.
    pub search_path: String,
}

/// What is applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct HistoryHead {
    /// The history table.
    pub table: String,
    /// How many migrations are applied.
    pub applied: usize,
    /// The newest of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// The sha256 of all rows.
    pub sha256: String,
}

/// A migration to be applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PlannedMigration {
    pub version: i64,
    pub name: String,
    pub file: String,
    /// The sha256 of the file.
    pub sha256: String,
    /// The checksum that the history will hold.
    pub checksum: String,
    /// How it runs.
    pub mode: Mode,
    /// How long it may take on the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// How many of its units an earlier run has left done.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub continues_behind: usize,
    /// Whether and how it can be undone.
    pub way_back: PlannedDown,
    pub statements: Vec<PlannedStatement>,
    /// What they did on a shadow database of the database; absent where they could not be tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<StepObservation>,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// Whether and how a migration can be undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlannedDown {
    /// By this file, of this sha256.
    File { file: String, sha256: String },
    /// Not at all, for this reason.
    Irreversible(String),
    /// There is none.
    None,
}

/// A statement of a migration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PlannedStatement {
    /// The line of the file it begins at.
    pub line: u32,
    /// Its text, but for passwords.
    pub sql: String,
}

impl PlanDocument {
    /// Returns the text of the file: keys in a fixed order, two spaces, one line feed at the end.
    pub fn print(&self) -> Result<String> {
        let pretty = |document: &PlanDocument| -> Result<String> {
            let mut text = serde_json::to_string_pretty(document)?;
            text.push('\n');
            Ok(text)
        };
        let mut document = PlanDocument {
            contents_sha256: String::new(),
            ..self.clone()
        };
        document.contents_sha256 = sha256(&pretty(&document)?);
        pretty(&document)
    }

    /// Reads the text of a file; refuses one that is not, byte for byte, what [`print`](PlanDocument::print) returns.
    pub fn parse(shown: &str, text: &str) -> Result<PlanDocument> {
        let refused = |why: String| {
            refuse(format!("{shown} is not a plan: {why}"))
                .hint("write a plan with af-db plan --out plan.json")
        };
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|error| refused(error.to_string()))?;
        let version = value.get("version").and_then(serde_json::Value::as_u64);
        if version.is_some_and(|version| version > u64::from(VERSION)) {
            return Err(fail(format!("{shown} was written by a newer af-db"))
                .hint("use that version, or plan again with this version")
                .into());
        }
        if version.is_some_and(|version| version < u64::from(VERSION)) {
            return Err(refuse(format!("{shown} was written by an older af-db"))
                .hint("plan again with this version")
                .into());
        }
        let mut document: PlanDocument =
            serde_json::from_value(value).map_err(|error| refused(error.to_string()))?;
        if document.print()? != text {
            return Err(refuse(format!("{shown} was modified after af-db wrote it"))
                .hint("plan again and have the new plan approved")
                .into());
        }
        document.contents_sha256.clear();
        Ok(document)
    }

    /// Names the tables that the steps lock.
    pub fn relations(&self) -> Vec<String> {
        let steps = self.steps.iter().filter_map(|step| step.observed.as_ref());
        let statements = steps.flat_map(|step| &step.statements);
        let locks = statements.flat_map(|statement| &statement.locks);
        let tables = locks.filter(|lock| {
            matches!(
                lock.kind,
                RelationKind::Table | RelationKind::Partitioned | RelationKind::MaterializedView
            )
        });
        let names: BTreeSet<String> = tables.map(|lock| lock.relation.clone()).collect();
        names.into_iter().collect()
    }

    /// Counts the statements of all steps.
    pub fn statements(&self) -> usize {
        self.steps.iter().map(|step| step.statements.len()).sum()
    }
}

/// Returns the name of a plan: the sha256 of its file, as any other program computes it.
pub fn sha256(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn planned(version: i64, sql: &str) -> PlannedMigration {
        let statement = PlannedStatement {
            line: 1,
            sql: sql.to_owned(),
        };
        PlannedMigration {
            version,
            name: "m".to_owned(),
            file: format!("migrations/V{version}__m.sql"),
            sha256: sha256(sql),
            checksum: "1".to_owned(),
            mode: Mode::Transaction,
            timeout_ms: None,
            continues_behind: 0,
            way_back: PlannedDown::None,
            statements: vec![statement],
            observed: None,
        }
    }

    pub(crate) fn document(steps: Vec<PlannedMigration>) -> PlanDocument {
        PlanDocument {
            version: VERSION,
            tool: "af-db 0.1.0".to_owned(),
            environment: "production".to_owned(),
            author: None,
            target: TargetDatabase {
                system_identifier: Some("7".to_owned()),
                database: "app".to_owned(),
                database_oid: 16384,
                server_version: 150_018,
                search_path: "public".to_owned(),
            },
            history: HistoryHead {
                table: "public.refinery_schema_history".to_owned(),
                applied: 0,
                version: None,
                sha256: sha256(""),
            },
            schema: "sha256:a".to_owned(),
            schema_after: Some("sha256:b".to_owned()),
            lock_timeout_ms: 2000,
            lock_budget_ms: 600_000,
            steps,
            losses: Vec::new(),
            findings: Vec::new(),
            reach: Reach::default(),
            contents_sha256: String::new(),
        }
    }

    #[test]
    fn plans_round_trip() {
        let mut document = document(vec![planned(1, "SELECT 1"), planned(2, "SELECT 2")]);
        document.author = Some("alice".to_owned());
        document.losses.push("public.a".to_owned());
        document
            .findings
            .push(Finding::warn("R02", "t", "wrong").help("x"));
        let text = document.print().unwrap();
        assert_eq!(PlanDocument::parse("plan.json", &text).unwrap(), document);
        assert_eq!(
            sha256("abc"),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn invalid_plans_are_refused() {
        for (text, said) in [
            ("", "is not a plan"),
            ("{}", "is not a plan"),
            (r#"{"version": 9}"#, "newer"),
            (r#"{"version": 1}"#, "older"),
        ] {
            let error = PlanDocument::parse("plan.json", text).unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
        }
    }
}
