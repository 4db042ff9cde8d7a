//! Owns row-level security: what is declared, what is there, who gains or loses by the difference, how to mend it; who
//! the tenants are, what may be tried against them, and what came of it.
//!
//! Isolation is proven by trying, in a scratch copy only, with data the tool makes itself. What could not be tried
//! is `not-proven`, never `holds`.

#![allow(
    missing_docs,
    reason = "the `af-db` crate is what is documented for others"
)]

use af_db_base::{error, event, finding, pg, sql, yaml};
use af_db_schema::{catalog, diff, manifest};

pub mod rights;

mod formula;

mod access;

pub mod declared;
pub mod normalize;

mod difference;

pub mod fix_sql;

mod explain;

pub mod compare;

pub mod advise;
pub mod infer;

pub mod tenancy;

pub mod probed_schema;

mod expression_text;

mod forged_identities;
mod identities;
mod runner;
mod seed;

pub mod verdict;

mod probe;

pub mod schema_copy;

pub mod cost;

pub mod prove;

pub mod live_probe;
pub mod tenants_with_rows;

pub mod matrix;

pub mod html_report;
