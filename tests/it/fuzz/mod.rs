//! Damaged files of every kind: nothing that reads them may panic or run for ever, and no text may be lost.
//!
//! The seeds are files of this repository and the small ones in `tests/cases/fuzz`, among them every input that was
//! once found to break something. `cargo bench --profile dist --bench fuzz -- 1000000` runs the same for longer.

pub(crate) mod random;
pub(crate) mod readers;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use random::Random;
use readers::Reader;

/// How long an input is at most before it is changed.
const LONGEST: usize = 1500;

/// Nothing of this size takes a second; a reader that takes a minute runs for ever.
const FOREVER: Duration = Duration::from_secs(60);

/// Files to begin with, by what reads them.
pub(crate) struct Seeds(Vec<(Reader, Vec<Vec<u8>>)>);

impl Seeds {
    pub(crate) fn of_the_repository() -> Self {
        let folders = |reader| match reader {
            Reader::Migration => &[
                "migrations",
                "tests/cases/lint",
                "tests/cases/observe",
                "tests/cases/diff",
            ][..],
            Reader::Manifest => &["schemas", "tests/cases/manifest"],
            Reader::Policies => &["policies", "tests/cases/rls", "examples/supabase/policies"],
            Reader::Line => &["schemas", "policies", "tests/cases/manifest"],
            Reader::Configuration => &["af-db.yaml", "examples"],
            Reader::Plan | Reader::Archive | Reader::Proof => &[],
        };
        let seeds = Reader::ALL.map(|reader| {
            let (own, endings): (&str, &[&str]) = match reader {
                Reader::Migration => ("sql", &["sql"]),
                Reader::Manifest => ("manifest.yaml", &["yaml", "sql"]),
                Reader::Policies => ("policies.yaml", &["yaml", "sql"]),
                Reader::Line => ("line.txt", &["yaml"]),
                Reader::Configuration => ("config.yaml", &["af-db.yaml"]),
                Reader::Plan => ("plan.json", &[]),
                Reader::Archive => ("archive.json", &[]),
                Reader::Proof => ("proof.json", &[]),
            };
            let mut found = Vec::new();
            for folder in folders(reader) {
                collect(&root().join(folder), endings, &mut found);
            }
            collect(&root().join("tests/cases/fuzz"), &[own], &mut found);
            if reader == Reader::Line {
                found = found.iter().flat_map(|file| lines(file)).collect();
            }
            assert!(!found.is_empty(), "{reader:?} has no seeds");
            (reader, found)
        });
        Seeds(Vec::from(seeds))
    }

    /// Returns what a seed makes: which reader, and what it is given.
    pub(crate) fn input(&self, seed: u64) -> (Reader, Vec<u8>) {
        let mut random = Random::new(seed);
        // Migrations have the most readers.
        let index = match random.below(20) {
            number @ 0..14 => number / 2 + 1,
            _ => 0,
        };
        let (reader, files) = &self.0[index];
        let file = random.pick(files);
        let mut bytes = match reader {
            Reader::Migration => random.piece(file, LONGEST).to_vec(),
            // A piece of YAML from its middle is none, and of JSON no piece is.
            Reader::Manifest | Reader::Policies => file[..file.len().min(LONGEST)].to_vec(),
            _ => file.clone(),
        };
        let other = random.below(self.0.len());
        let other = random.pick(&self.0[other].1);
        let most = if *reader == Reader::Migration { 4 } else { 2 };
        random.change(&mut bytes, other, most);
        (*reader, bytes)
    }

    /// Returns every file as it is, so that what was once found is read in every run.
    pub(crate) fn unchanged(&self) -> impl Iterator<Item = (Reader, &[u8])> {
        let all = self.0.iter();
        all.flat_map(|(reader, files)| files.iter().map(|file| (*reader, file.as_slice())))
    }
}

/// Returns what stands behind the keys of a YAML file.
fn lines(file: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(file);
    let values = text
        .lines()
        .map(|line| line.split_once(": ").map_or(line, |(_, value)| value));
    values
        .map(|value| value.trim().as_bytes().to_vec())
        .collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn collect(path: &Path, endings: &[&str], into: &mut Vec<Vec<u8>>) {
    if path.is_dir() {
        let entries = std::fs::read_dir(path).expect("the folder can be read");
        let mut inside: Vec<PathBuf> = entries
            .map(|entry| entry.expect("an entry").path())
            .collect();
        inside.sort();
        for path in inside {
            collect(&path, endings, into);
        }
    } else if endings
        .iter()
        .any(|ending| path.to_string_lossy().ends_with(ending))
    {
        into.push(std::fs::read(path).expect("the file can be read"));
    }
}

/// Reads one input; an error is the panic it ended in, with all that is needed to see it again.
pub(crate) fn one(reader: Reader, bytes: &[u8], from: &str) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| reader.read(bytes))).map_err(|_| {
        let shown: String = String::from_utf8_lossy(bytes).chars().take(2000).collect();
        format!("{reader:?} panicked on {from}: {shown:?}")
    })
}

#[test]
fn damaged_files_are_read_without_a_panic_or_an_endless_loop() {
    use std::sync::atomic::{AtomicU64, Ordering};
    const INPUTS: u64 = 20_000;
    static AT: AtomicU64 = AtomicU64::new(0);
    let reading = std::thread::spawn(|| {
        let seeds = Seeds::of_the_repository();
        for seed in 0..INPUTS {
            AT.store(seed, Ordering::Relaxed);
            let (reader, bytes) = seeds.input(seed);
            one(reader, &bytes, &format!("seed {seed}"))?;
        }
        Ok(())
    });
    let (mut last, mut since) = (0, std::time::Instant::now());
    while !reading.is_finished() {
        std::thread::park_timeout(Duration::from_millis(20));
        let at = AT.load(Ordering::Relaxed);
        if at != last {
            (last, since) = (at, std::time::Instant::now());
        }
        assert!(
            since.elapsed() < FOREVER,
            "the input of seed {at} is read for ever"
        );
    }
    let read: Result<(), String> = reading.join().expect("panics are caught");
    assert_eq!(read, Ok(()));
}

#[test]
fn what_was_once_found_stays_fixed() {
    for (reader, bytes) in Seeds::of_the_repository().unchanged() {
        let short = &bytes[..bytes.len().min(20_000)];
        assert_eq!(one(reader, short, "a file as it is"), Ok(()));
    }
}
