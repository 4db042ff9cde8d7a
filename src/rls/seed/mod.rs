//! The test rows of a proof: rows for two tenants in every table, in dependency order, varied so that every policy
//! and view matters. A constraint that refuses a row is dropped in the copy, or the table is reported as unfilled.

mod candidates;
pub(super) mod condition_solver;
pub(super) mod fixtures;
pub(super) mod insert;
mod matched_settings;
pub(super) mod plan;
mod row_values;
pub(super) mod row_variants;
pub(super) mod tenancy_map;
mod tenancy_survey;
pub(super) mod values;
