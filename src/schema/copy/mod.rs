//! Copies rows from SQLite to PostgreSQL: maps columns, sends the rows by `COPY`, and verifies that
//! the same rows arrived.

pub mod mapping;
mod numeric;
pub mod schema;
pub mod sqlite;
mod target;
mod time;
mod transfer;
mod value;

pub use self::target::Table;
pub use self::transfer::{CopiedTable, copy_rows};
