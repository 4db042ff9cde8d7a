//! Moving rows from SQLite into PostgreSQL: which column becomes which, the rows by `COPY`, and the proof that
//! the same rows arrived.

pub mod map;
mod numeric;
pub mod schema;
mod send;
pub mod sqlite;
mod target;
mod time;
mod value;

pub use self::send::{Moved, go};
pub use self::target::Table;
