//! The `af-db` program.

fn main() {}
