//! Reads damaged files for as long as asked, to find what the tests' few do not.
//!
//! `cargo bench --profile dist --bench fuzz -- 1000000` reads a million, `-- 1000000 500` those from seed 500 on. Panics are printed
//! with their seeds; after each thousandth input so is the seed, for what ends the whole process.

#![expect(clippy::print_stdout, reason = "what is found is for the terminal")]

#[path = "../tests/it/fuzz/mod.rs"]
#[expect(dead_code, reason = "the tests in it are not run here")]
mod fuzz;

use std::time::Instant;

fn main() {
    let mut numbers = std::env::args()
        .skip(1)
        .filter_map(|word| word.parse::<u64>().ok());
    let (count, first) = (
        numbers.next().unwrap_or(1_000_000),
        numbers.next().unwrap_or(0),
    );
    let seeds = fuzz::Seeds::of_the_repository();
    let mut found = 0;
    for seed in first..first + count {
        if seed % 10_000 == 0 {
            println!("at seed {seed}");
        }
        let (reader, bytes) = seeds.input(seed);
        let began = Instant::now();
        if let Err(panic) = fuzz::one(reader, &bytes, &format!("seed {seed}")) {
            println!("{panic}");
            found += 1;
        }
        if began.elapsed().as_millis() > 1000 {
            println!("{reader:?} took {:?} for seed {seed}", began.elapsed());
        }
    }
    println!("{count} read, {found} panics");
}
