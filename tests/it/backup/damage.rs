//! A damaged archive is refused before anything is changed, whatever the damage.

use std::fs;
use std::path::{Path, PathBuf};

use af_db::backup::archive::Archive;
use af_db::error::{Exit, exit_of};

use super::{Bench, options};

/// Numbers that look random and are the same every time (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// Does one damage to an archive and says what.
fn damage(folder: &Path, other: &Path, dice: &mut Dice) -> String {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("an archive")
        .map(|entry| entry.expect("a file").path())
        .collect();
    files.sort();
    let file = &files[dice.below(files.len() as u64) as usize];
    let name = file
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    let mut bytes = fs::read(file).expect("a file");
    let at = dice.below(bytes.len() as u64) as usize;
    // The same file of another archive of the same database.
    let partner = match name.as_str() {
        "archive.json" => other.join("proof.json.zst"),
        _ => other.join(&name),
    };
    let partner = if partner.exists() {
        partner
    } else {
        partner.with_added_extension("age")
    };
    match dice.below(4) {
        // Which part holds the table that differs is not always the same; a swap for an equal file is no damage.
        3 if fs::read(&partner).expect("a file") != bytes => {
            fs::copy(partner, file).expect("copying");
            format!("{name} swapped with another archive's")
        }
        0 | 3 => {
            bytes[at] ^= 1 << dice.below(8);
            fs::write(file, bytes).expect("writing");
            format!("a bit flipped in byte {at} of {name}")
        }
        1 => {
            fs::write(file, &bytes[..at]).expect("writing");
            format!("{name} cut to {at} bytes")
        }
        _ => {
            fs::remove_file(file).expect("removing");
            format!("{name} removed")
        }
    }
}

fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir(to).expect("a folder");
    for entry in fs::read_dir(from).expect("an archive") {
        let path = entry.expect("a file").path();
        fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("a copy");
    }
}

async fn two_archives(
    bench: &Bench,
    key: Option<&age::x25519::Identity>,
    jobs: Option<u32>,
) -> (Archive, Archive) {
    let mut options = options(&bench.database.target);
    options.jobs = jobs;
    options.recipients = key
        .map(|key| key.to_public().to_string())
        .into_iter()
        .collect();
    let one = bench.next_backup(&options).await;
    // Roles are everybody's on a server, that of another test too.
    let role = format!("between_{}", bench.database.name);
    let sql = format!("INSERT INTO keyless VALUES (1, 'another'); CREATE ROLE {role}");
    bench.database.run(&sql).await;
    options.target = bench.database.target.clone();
    let other = bench.next_backup(&options).await;
    bench.database.run(&format!("DROP ROLE {role}")).await;
    (one, other)
}

#[tokio::test]
async fn a_hundred_damaged_archives_are_refused() {
    all_are_refused(None).await;
}

#[tokio::test]
async fn a_hundred_damaged_archives_in_parts_are_refused() {
    all_are_refused(Some(3)).await;
}

async fn all_are_refused(jobs: Option<u32>) {
    let bench = Bench::full().await;
    let key = age::x25519::Identity::generate();
    let mut dice = Dice(20_260_102);
    for key in [None, Some(&key)] {
        let keys: Vec<age::x25519::Identity> = key.cloned().into_iter().collect();
        let (one, other) = two_archives(&bench, key, jobs).await;
        let (folder, other) = (bench.archive_path(&one), bench.archive_path(&other));
        let whole = bench.folder.path().join("whole");
        copy(&folder, &whole);
        let before = bench.databases().await;
        for round in 0..50 {
            copy(&whole, &folder);
            let done = damage(&folder, &other, &mut dice);
            let refused = bench.verify(&one, &keys).await.err();
            assert!(refused.is_some(), "accepted: {done}");
            // Reading is what a restore begins with; some are tried to the end to show it.
            if round % 5 == 0 {
                let mut options = bench.restore_options("never");
                options.identities.clone_from(&keys);
                let error = bench.restore(&one, &options).await.err();
                assert!(
                    error.is_some_and(|error| exit_of(&error) == Exit::CannotDo),
                    "restored: {done}"
                );
            }
        }
        assert_eq!(bench.databases().await, before);
        copy(&whole, &folder);
        assert!(
            bench.verify(&one, &keys).await.is_ok(),
            "the undamaged one is still accepted"
        );
    }
}

#[tokio::test]
async fn a_file_that_does_not_match_proof_json_is_refused() {
    let bench = Bench::full().await;
    let (one, other) = two_archives(&bench, None, None).await;
    // An attacker replaces the dump and fixes the description, checksum and all.
    let (folder, theirs) = (bench.archive_path(&one), bench.archive_path(&other));
    fs::copy(
        theirs.join("database.dump.zst"),
        folder.join("database.dump.zst"),
    )
    .unwrap();
    let mut forged = one.clone();
    forged.files[0] = other.files[0].clone();
    fs::write(folder.join("archive.json"), forged.to_json().unwrap()).unwrap();
    let error = bench.verify(&one, &[]).await.unwrap_err();
    assert!(
        error.to_string().contains("does not match proof.json"),
        "{error:#}"
    );
}
