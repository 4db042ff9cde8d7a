//! The structure of `af-db.yaml`; every key is optional, an unknown key is an error.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct File {
    /// The databases this project manages, by name.
    pub environments: BTreeMap<String, Environment>,
    /// The managed schemas [default: public].
    pub schemas: Option<Vec<String>>,
    /// The target's major version, for shadow databases when no database is reachable.
    pub postgres_major: Option<u32>,
    /// How rows are assigned to tenants; the policy set may refine it.
    pub tenancy: Option<serde_json::Value>,
    pub lint: LintSettings,
    pub migrations: MigrationSettings,
    /// Recovery time and recovery point objectives.
    pub recovery: Option<RecoverySettings>,
    /// Defaults of backup commands.
    pub backup: BackupSettings,
    /// Additional checks of `preflight`.
    pub preflight: PreflightSettings,
    /// Notifications when a command starts and ends.
    pub notify: Option<NotifySettings>,
}

/// A database and its protection.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Environment {
    /// The connection URL; `${NAME}` is taken from the environment.
    pub url: Option<String>,
    /// The connection URL for writing, when `url` is a pooler.
    pub direct_url: Option<String>,
    /// Requires typed confirmation, plan approval and a fresh backup.
    pub protected: bool,
    /// What must hold before `up` runs, such as `approved-plan` or `verified-backup-within 24h`.
    pub require: Vec<String>,
    /// Public keys of the people who may approve a plan.
    pub approvers: Vec<String>,
    /// How many of them must sign a plan, each with their own key [default: 1 if there are approvers].
    ///
    /// This number ensures that several people have reviewed a plan. The plan's author is compared with the approvers only
    /// to catch mistakes.
    pub approvals: Option<usize>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct LintSettings {
    /// The lowest severity that fails a run: `error`, `warn` or `never`.
    pub fail_on: Option<String>,
    /// Severity by rule: `error`, `warn`, `note` or `off`.
    pub rules: BTreeMap<String, String>,
    /// Severities for some files, tables or environments only; a later one wins.
    pub overrides: Vec<OverrideSettings>,
    pub thresholds: ThresholdSettings,
    /// The file of accepted legacy findings, which can only shrink.
    pub baseline: Option<String>,
}

/// The severity of a rule for some files, tables or environments only.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OverrideSettings {
    /// Code or name.
    pub rule: String,
    /// `error`, `warn`, `note` or `off`.
    pub severity: String,
    /// A path prefix.
    #[serde(default)]
    pub path: Option<String>,
    /// A table, including what is in it.
    #[serde(default)]
    pub table: Option<String>,
    #[serde(default)]
    pub environment: Option<String>,
}

/// The table sizes from which work under a blocking lock matters.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ThresholdSettings {
    /// A smaller table is only a note [default: 8 MiB].
    pub warn_bytes: Option<u64>,
    /// A larger table is an error [default: 128 MiB].
    pub error_bytes: Option<u64>,
    /// From this many rows written per second on, a warning is an error [default: 100].
    pub error_writes: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct MigrationSettings {
    /// [default: migrations]
    pub dir: Option<String>,
    /// The tool whose file layout is used [default: af-db].
    pub layout: Option<String>,
    /// The history table [default: public.refinery_schema_history].
    pub history_table: Option<String>,
    /// The width of versions in a new history: `int4` or `int8`.
    pub history_width: Option<String>,
    /// Lock timeout of one attempt, such as `2s`.
    pub lock_timeout: Option<String>,
    /// Lock budget of all attempts, such as `5min`.
    pub lock_budget: Option<String>,
    /// How long other sessions may be blocked before the run aborts [default: 30s].
    pub block_budget: Option<String>,
}

/// The recovery objectives that drills check.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RecoverySettings {
    /// Recovery time: the maximum duration of a restore, such as `5min`.
    pub time: Option<String>,
    /// Recovery point: the maximum age of the newest restore-tested backup, such as `24h`.
    pub point: Option<String>,
}

/// Defaults of backup commands.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct BackupSettings {
    /// A folder or a URL [default: backups].
    pub store: Option<String>,
    /// Public keys that backups are encrypted for.
    pub recipients: Vec<String>,
    /// The retention, such as `7d,4w,12m`.
    pub keep: Option<String>,
    /// Smoke queries of a drill on the restored database.
    pub smoke: Vec<String>,
    pub hooks: HookSettings,
}

/// Commands of the project; each gets the database, the store and the backup in `AF_DB_…`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct HookSettings {
    /// Runs before a backup; if it fails, no backup is made.
    pub before_backup: Vec<String>,
    /// Runs after a completed backup.
    pub after_backup: Vec<String>,
    /// Runs before a restore; if it fails, nothing is restored.
    pub before_restore: Vec<String>,
    /// Runs after a verified restore.
    pub after_restore: Vec<String>,
    /// The time limit of a command [default: 5min].
    pub timeout: Option<String>,
}

/// Additional checks of `preflight`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct PreflightSettings {
    /// Commands of the project: exit status 0 is ok, 1 a warning, any other an error.
    pub commands: Vec<String>,
}

/// Notifications when a command starts and ends.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NotifySettings {
    /// The URL; `${NAME}` is taken from the environment.
    pub url: String,
    /// The secret that signs notifications; only from the environment, as `${NAME}`.
    #[serde(default)]
    pub secret: Option<String>,
    /// The commands [default: up, down, restore].
    #[serde(default)]
    pub commands: Option<Vec<String>>,
}
