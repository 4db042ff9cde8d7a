//! Row-level security: declared policies, the policies of a database, the difference and its fix; and probes of tenant isolation.
//!
//! Isolation is proven by probing, only in a shadow database, with generated rows. A probe that could not run is
//! inconclusive, never passed.

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
