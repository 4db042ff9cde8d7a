//! Owns the data of the proof: rows for two tenants in every table, in dependency order, varied so that every policy
//! and view matters. What a table refuses is lifted in the scratch copy or the table is said to be unfilled.

mod agreed;
mod candidates;
pub(super) mod fixtures;
pub(super) mod ground;
pub(super) mod insert;
pub(super) mod plan;
mod row;
pub(super) mod solve;
mod survey;
pub(super) mod value;
pub(super) mod vary;
