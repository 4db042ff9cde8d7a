//! What is observed on a shadow, held against what happens on a filled table.

mod support;
mod truth;

mod bound;
mod changes;
mod hazards;
mod pairs;
mod questions;
mod steps;
mod together;
