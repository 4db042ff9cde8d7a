//! One tenant's rows: finding their tables, exporting them as a plain SQL script, and restoring them.
//!
//! The script is plain SQL: `age -d | zstd -d | psql -1 -v ON_ERROR_STOP=1` loads it without us.

pub mod export;
pub mod restore;
pub mod script;
pub mod tenant_tables;

use anyhow::{Context as _, Result};

use crate::pg::session::Session;
use crate::sql::safe::Sql;

/// The stem of the script.
pub const SCRIPT: &str = "tenant.sql";

/// What decides how values are printed and read, the same at both ends.
const RENDERING: &str = "SET client_encoding = 'UTF8'; SET DateStyle = ISO; SET IntervalStyle = postgres; SET TimeZone = 'UTC'; \
SET extra_float_digits = 3; SET bytea_output = hex; SET xmlbinary = base64; SET lc_monetary = 'C'; \
SET row_security = off; SET statement_timeout = 0; SELECT pg_catalog.set_config('search_path', '', false);";

async fn render(session: &Session) -> Result<()> {
    session
        .run(&Sql::new(RENDERING))
        .await
        .context("preparing the session")
}
