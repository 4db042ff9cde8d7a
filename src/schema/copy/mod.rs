//! Moving rows from SQLite into PostgreSQL: which column becomes which, the rows by `COPY`, and the proof that
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
