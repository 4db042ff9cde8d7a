//! Owns row-level security: who the tenants are, what may be tried against them, and what came of it.
//!
//! Isolation is proven by trying, in a scratch copy only, with data the tool makes itself. What could not be tried
//! is `not-proven`, never `holds`.

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

pub mod prove;
