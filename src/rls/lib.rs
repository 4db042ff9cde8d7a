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
pub mod settle;

mod difference;

pub mod mend;

mod explain;

pub mod compare;

pub mod advise;
pub mod infer;

pub mod tenancy;

pub mod facts;

mod words;

mod fill;
mod forge;
mod identity;
mod runner;

pub mod verdict;

mod probe;

pub mod copy;

pub mod cost;

pub mod prove;

pub mod live;
pub mod present;

pub mod matrix;

pub mod page;
