//! Migrations, schema governance, row-level security and backups for PostgreSQL. This page is the architecture.
//!
//! # Where to begin
//!
//! Read `commands/up.rs`: it is one screen long, and every other writing command has the same shape: resolve, lock, select, check the
//! guards, run, verify, report. Then [`plan::execution`], the one loop that runs SQL on a managed database, and [`catalog`], the one
//! model of a schema that everything compares.
//!
//! # The line
//!
//! ```text
//! finding error event visible disk yaml http | sql pg | plan catalog diff | migrate lint shadow adopt copy manifest rls backup | drill fleet | config commands cli
//! ```
//!
//! A module may `use crate::` only what stands to its left; commands do not import each other; files do not import each other in a
//! circle. `tests/it/tidy.rs` and `tests/it/house.rs` check this.
//!
//! The line is cut into crates, so that a change compiles only what uses it: `af-db-base` (up to [`pg`]), `af-db-schema` (up to
//! [`manifest`]), `af-db-rls`, `af-db-backup`, and this crate, which re-exports them under one name.
//!
//! # Three routes
//!
//! `af-db up` with one pending file:
//!
//! 1. `cli` parses the arguments, [`config`] resolves the database, `commands/mod.rs` opens the session.
//! 2. `commands/up.rs` takes the migration lock: [`pg::lock::LockedSession`] is the only way to get an execution.
//! 3. [`migrate::files`] lists the folder, [`migrate::history`] and [`migrate::journal`] read what was applied, [`migrate::status`] compares.
//! 4. `commands/change/select.rs` chooses the files; [`migrate::static_checks`] refuses what cannot run as written.
//! 5. `commands/change/gate.rs` checks the guards: approved plan, fresh backup, proven isolation, typed confirmation.
//! 6. `commands/change/run.rs` starts the heartbeat with its block budget and hands the files to [`migrate::apply`].
//! 7. `migrate/refinery.rs` lets refinery decide the order; [`plan::execution`] runs each step with its history and journal rows, lock
//!    retries, and the prediction guard of an approved plan.
//! 8. `commands/change/verify.rs` checks what was left; `commands/output.rs` prints the report.
//!
//! A declared policy:
//!
//! 1. [`rls::declared`] reads `policies/*.yaml` and expands templates into policies and grants.
//! 2. `commands/policies.rs` reads the [`catalog`]; [`rls::compare`] has the server normalise the declared text and compares.
//! 3. `diff-rls` prints the differences with the SQL that fixes them; `--apply` runs that SQL through `commands/change/run.rs`.
//! 4. `--prove` copies the schema into a shadow database, inserts rows for two tenants (`rls/seed`), runs the probes (`rls/probe`), and
//!    derives a verdict for each table and command ([`rls::verdict`]).
//!
//! A backup and its restore:
//!
//! 1. `commands/backup` opens the session and the store; [`backup::dump`] locks every table and exports one snapshot.
//! 2. `pg_dump` runs in that snapshot; its output is inspected, hashed, compressed, encrypted and written to the store.
//! 3. [`backup::proof`] records row hashes and the schema; `archive.json` is written last.
//! 4. `commands/restore` chooses the archive; `backup/unpack` checks every hash before anything is restored.
//! 5. [`backup::restore`] builds a new database, compares it with the proof, and only then gives it the name.
//!
//! # Recipes
//!
//! - A lint rule: a file in `src/schema/lint/rules`, a line in its `mod.rs`, two cases in `tests/cases/lint`.
//! - A command: a file in `src/commands` with `Args` and `run`, a variant in `cli.rs`, a line in `commands/help.rs`.
//! - A flag of `up`: a field of `Args` in `commands/up.rs`; what all writing commands share goes to `commands/change/run.rs`.
//! - A probe of tenant isolation: a file in `src/rls/probe`, called from its `mod.rs`, with a case that leaks and one that does not.
//! - An adopted tool: a file in `src/schema/adopt`, a variant of its tool list.

pub use af_db_backup as backup;
pub use af_db_base::{disk, error, event, finding, http, pg, sql, visible, yaml};
pub use af_db_rls as rls;
#[cfg(feature = "sqlite")]
pub use af_db_schema::copy;
pub use af_db_schema::{adopt, catalog, diff, lint, manifest, migrate, plan, shadow};

pub mod drill;
pub mod fleet;

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "cli")]
pub mod commands;
#[cfg(feature = "cli")]
pub mod config;
