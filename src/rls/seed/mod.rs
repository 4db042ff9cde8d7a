//! Owns the data of the proof: rows for two tenants in every table, in dependency order, varied so that every policy
//! and view matters. What a table refuses is lifted in the scratch copy or the table is said to be unfilled.

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
