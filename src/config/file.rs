//! Owns the shape of `af-db.yaml`; every key optional, an unknown key refused.

use serde::Deserialize;

use crate::config::Named;

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct File {
    /// The databases this project governs, by name.
    pub environments: Named<Environment>,
    /// The schemas governed; `public` where nothing is said.
    pub schemas: Option<Vec<String>>,
    /// The major version the target runs, for scratch servers when no database is at hand.
    pub postgres_major: Option<u32>,
    /// How tenants are told apart; the policy set may say more.
    pub tenancy: Option<serde_json::Value>,
    /// Which rules matter how much.
    pub lint: LintSettings,
    /// Where the migrations are and how they run.
    pub migrations: MigrationSettings,
    /// How fast a restore must be and how old a backup may be.
    pub recovery: Option<RecoverySettings>,
    /// What backups do where no flag says otherwise.
    pub backup: BackupSettings,
    /// What `preflight` looks at beside the server.
    pub preflight: PreflightSettings,
    /// Who is told when a command begins and ends.
    pub notify: Option<NotifySettings>,
}

/// One database and how carefully it is treated.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Environment {
    /// The address; `${NAME}` is taken from the environment.
    pub url: Option<String>,
    /// The address for everything that writes, when `url` is a pooler.
    pub direct_url: Option<String>,
    /// Typed confirmation, plan approval, fresh backup.
    pub protected: bool,
    /// What must hold before `up` runs, such as `approved-plan` or `verified-backup-within 24h`.
    pub require: Vec<String>,
    /// Public keys of the people who may approve a plan.
    pub approvers: Vec<String>,
    /// How many of them must sign a plan, each with a key of their own [default: 1 where there are approvers].
    ///
    /// This number is the guarantee that several people have looked at a plan. The name of its author is compared with
    /// theirs only as a check against mistakes.
    pub approvals: Option<usize>,
}

/// Which lint rules matter how much.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct LintSettings {
    /// The least severity that fails a run: `error`, `warn` or `never`.
    pub fail_on: Option<String>,
    /// Severity by rule: `error`, `warn`, `note` or `off`.
    pub rules: Named<String>,
    /// Severities for some files, tables or environments only; a later one wins.
    pub overrides: Vec<OverrideSettings>,
    /// From where on work under a blocking lock matters.
    pub thresholds: ThresholdSettings,
    /// The file of accepted legacy findings, which can only shrink.
    pub baseline: Option<String>,
}

/// The severity of a rule for some files, tables or environments only.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OverrideSettings {
    /// The rule, by code or name.
    pub rule: String,
    /// The severity: `error`, `warn`, `note` or `off`.
    pub severity: String,
    /// Only for files whose path begins so.
    #[serde(default)]
    pub path: Option<String>,
    /// Only for this table and what is in it.
    #[serde(default)]
    pub table: Option<String>,
    /// Only in this environment.
    #[serde(default)]
    pub environment: Option<String>,
}

/// From where on work under a blocking lock matters.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ThresholdSettings {
    /// A smaller table is only noted; 8 MiB where nothing is said.
    pub warn_bytes: Option<u64>,
    /// A larger table is an error; 128 MiB where nothing is said.
    pub error_bytes: Option<u64>,
    /// From so many rows written a second on, a warning is an error; 100 where nothing is said.
    pub error_writes: Option<u64>,
}

/// Where the migrations are and how they run.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct MigrationSettings {
    /// The folder, `migrations` where nothing is said.
    pub dir: Option<String>,
    /// Whose file layout it has; af-db's own where nothing is said.
    pub layout: Option<String>,
    /// The history table, `public.refinery_schema_history` where nothing is said.
    pub history_table: Option<String>,
    /// The width of versions in a new history: `int4` or `int8`.
    pub history_width: Option<String>,
    /// How long one statement waits for a lock before everything is retried, such as `2s`.
    pub lock_timeout: Option<String>,
    /// How long all retries together may take, such as `5min`.
    pub lock_budget: Option<String>,
    /// How long others may wait for what a run has locked before it stops itself; `30s` where nothing is said.
    pub block_budget: Option<String>,
}

/// The recovery targets that drills measure against.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RecoverySettings {
    /// The longest a restore may take, such as `5min`.
    pub time: Option<String>,
    /// The oldest the newest proven backup may be, such as `24h`.
    pub point: Option<String>,
}

/// What backups do where no flag says otherwise.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct BackupSettings {
    /// The store: a folder or a URL; `backups` where nothing is said.
    pub store: Option<String>,
    /// Public keys that archives are encrypted for.
    pub recipients: Vec<String>,
    /// What to keep, such as `7d,4w,12m`.
    pub keep: Option<String>,
    /// Queries a drill runs on the restored database.
    pub smoke: Vec<String>,
    /// Commands of the project's own around backups and restores.
    pub hooks: HookSettings,
}

/// Commands of the project's own around backups and restores; each gets the database, the store and the archive in `AF_DB_…`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct HookSettings {
    /// Before a backup: one that fails keeps it from beginning.
    pub before_backup: Vec<String>,
    /// After a backup that was made.
    pub after_backup: Vec<String>,
    /// Before a restore: one that fails keeps it from beginning.
    pub before_restore: Vec<String>,
    /// After a restore that was proven.
    pub after_restore: Vec<String>,
    /// The longest one may take; `5min` where nothing is said.
    pub timeout: Option<String>,
}

/// What `preflight` looks at beside the server.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct PreflightSettings {
    /// Commands of the project's own: 0 is well, 1 a warning, anything else blocks.
    pub commands: Vec<String>,
}

/// Who is told when a command begins and ends.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NotifySettings {
    /// Where to; `${NAME}` is taken from the environment.
    pub url: String,
    /// The secret that signs what is told; only from the environment, as `${NAME}`.
    #[serde(default)]
    pub secret: Option<String>,
    /// Of which commands; `up`, `down` and `restore` where nothing is said.
    #[serde(default)]
    pub commands: Option<Vec<String>>,
}
