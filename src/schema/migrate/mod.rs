//! Migrations: the files of a folder, the history in a database, what is pending, and applying it.
//!
//! Uses refinery for the file grammar, the checksums, the history table and the choice of what runs; how it runs
//! is `plan::execution`.

pub mod apply;
pub mod checksum;
pub mod directive;
pub(crate) mod file_name;
pub mod files;
pub mod history;
pub mod job;
pub mod journal;
pub mod new_migration;
pub mod plan_history;
pub mod refinery;
pub mod static_checks;
pub mod status;
mod stopped_run;
pub mod verify;

/// Counts statements, such as `1 statement` or `2 statements`.
fn count_statements(number: usize) -> String {
    match number {
        1 => "1 statement".to_owned(),
        _ => format!("{number} statements"),
    }
}
