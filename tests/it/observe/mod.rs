//! What is observed on a shadow database, held against what happens on a filled table.

mod actual_effects;
mod support;

mod changes;
mod hazards;
mod pipelining;
mod prediction_guard;
mod row_checks;
mod statement_pairs;
mod steps;
