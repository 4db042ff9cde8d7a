//! Dumps in several parts: which tables go into which part, and joining the parts' tables of contents.
//!
//! The first part is a whole dump that lacks the rows of some big tables; each other one holds rows of a few of those and nothing
//! else, so that every part is an ordinary dump that `pg_restore` opens. All are of one snapshot. Together they are the dump that
//! one connection would have written, and readers of an archive see them that way: one table of contents, one set of sums.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};

use crate::dump_inspector::DumpSummary;
use crate::file_encoding::hex;
use crate::snapshot::DumpedTable;
use crate::toc::{self, Entry, Section, Toc};

/// The size of the tables from which the dump is parallel by default.
const LARGE: u64 = 1 << 30;

/// A table smaller than this fraction of a part's share stays in the first part.
const WORTH: u64 = 16;

/// At most so many tables are moved to other parts, because each is named on a command line.
const NAMED: usize = 200;

/// Returns the default number of dump connections.
///
/// Every part keeps two CPUs busy, the server's and ours. A small database gains nothing, and four readers are enough for a
/// server in use. They take at most half of the `free` connections, because a backup that fails for want of a connection is
/// worthless.
pub fn sessions(tables: &[DumpedTable], processors: usize, free: usize) -> usize {
    let bytes: u64 = tables.iter().map(|table| table.bytes).sum();
    if bytes < LARGE {
        return 1;
    }
    (processors / 2).min(free / 2).clamp(1, 4)
}

/// Chooses the tables of each part but the first, which keeps all others; the parts are about equally large.
pub fn share(tables: &[DumpedTable], sessions: usize) -> Vec<Vec<&DumpedTable>> {
    let total: u64 = tables.iter().map(|table| table.bytes).sum();
    let worth = (total / (sessions as u64 * WORTH)).max(1);
    let mut large: Vec<&DumpedTable> = tables
        .iter()
        .filter(|table| table.has_rows() && !table.is_member && table.bytes >= worth)
        .collect();
    large.sort_by_key(|table| std::cmp::Reverse(table.bytes));
    large.truncate(NAMED);
    let rest = total - large.iter().map(|table| table.bytes).sum::<u64>();
    let mut shares = vec![(0, Vec::new()); sessions.max(1)];
    shares[0].0 = rest;
    for table in large {
        // Largest first, each to the part with the least so far.
        if let Some((bytes, share)) = shares.iter_mut().min_by_key(|(bytes, _)| *bytes) {
            *bytes += table.bytes;
            share.push(table);
        }
    }
    let others = shares.into_iter().skip(1).map(|(_, share)| share);
    others.filter(|share| !share.is_empty()).collect()
}

/// The parts of a dump as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedParts {
    /// The summary that a dump in one part would have; data offsets are relative to the entry's part.
    pub summary: DumpSummary,
    /// Entries from parts other than the first.
    pub moved: Vec<MovedEntry>,
    /// Where among the entries it stands.
    at: usize,
}

/// An entry from a part other than the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedEntry {
    /// The part's number.
    pub part: usize,
    /// The entry's number in its part.
    pub was: i64,
    /// Its number among all.
    pub id: i64,
    /// The number of its table.
    needs: Option<i64>,
}

/// Joins the summaries of the parts, the first one first.
pub fn join(parts: &[DumpSummary]) -> Result<JoinedParts> {
    let (first, others) = parts.split_first().context("the dump has no part")?;
    let mut summary = first.clone();
    let entries = &first.toc.entries;
    let mut next = entries.iter().map(|entry| entry.id).max().unwrap_or(0);
    let tables: BTreeMap<_, i64> = of_kind(entries, "TABLE").collect();
    let mut with_rows: BTreeMap<_, i64> = of_kind(entries, "TABLE DATA").collect();
    let is_after = |entry: &Entry| entry.section == Section::PostData;
    let at = entries.iter().position(is_after).unwrap_or(entries.len());
    let (mut moved, mut added) = (Vec::new(), Vec::new());
    if !others.is_empty() {
        let all: Vec<&str> = parts.iter().map(|part| part.contents.as_str()).collect();
        summary.contents = hex(&Sha256::digest(all.join(" ")));
    }
    for (part, other) in (1..).zip(others) {
        summary.bytes += other.bytes;
        for entry in &other.toc.entries {
            if entry.section != Section::Data {
                // Database and session entries, which every part has; the first part's are used.
                continue;
            }
            ensure!(
                entry.kind == "TABLE DATA",
                "part {part} of the dump has {} {}, not only rows",
                entry.kind,
                entry.name()
            );
            let key = (entry.schema.as_str(), entry.tag.as_str());
            next += 1;
            ensure!(
                with_rows.insert(key, next).is_none(),
                "the dump has the rows of {} twice",
                entry.name()
            );
            let needs = tables.get(&key).copied();
            moved.push(MovedEntry {
                part,
                was: entry.id,
                id: next,
                needs,
            });
            added.push(Entry {
                id: next,
                needs: needs.into_iter().collect(),
                ..entry.clone()
            });
            summary
                .tables
                .extend(other.tables.get(&entry.id).map(|sum| (next, *sum)));
            summary
                .offsets
                .extend(other.offsets.get(&entry.id).map(|at| (next, *at)));
        }
    }
    summary.toc.entries.splice(at..at, added);
    Ok(JoinedParts { summary, moved, at })
}

fn of_kind<'a>(
    entries: &'a [Entry],
    kind: &'static str,
) -> impl Iterator<Item = ((&'a str, &'a str), i64)> {
    let of_kind = entries.iter().filter(move |entry| entry.kind == kind);
    of_kind.map(|entry| ((entry.schema.as_str(), entry.tag.as_str()), entry.id))
}

/// Builds the table of contents of the joined dump.
pub fn contents(joined: &JoinedParts, parts: &[(Vec<u8>, &Toc)]) -> Result<(Vec<u8>, Toc)> {
    let (first, toc) = parts.first().context("the dump has no part")?;
    let begins = |entry: &Entry| entry.at.start as usize;
    let from = toc.entries.first().map_or(first.len(), begins);
    let at = toc.entries.get(joined.at).map_or(first.len(), begins);
    let count = toc.entries.len() + joined.moved.len();
    let mut bytes = first[..from - NUMBER].to_vec();
    bytes.extend_from_slice(&toc::int(count as u64)?);
    bytes.extend_from_slice(&first[from..at]);
    for moved in &joined.moved {
        let (part, toc) = &parts[moved.part];
        let was = toc.entries.iter().find(|entry| entry.id == moved.was);
        let was = was.context("a part of the dump lacks an entry")?;
        let span = |from: u64, to: u64| &part[from as usize..to as usize];
        bytes.extend_from_slice(&toc::int(u64::try_from(moved.id)?)?);
        bytes.extend_from_slice(span(was.at.start + NUMBER as u64, was.needs_at.start));
        if let Some(needs) = moved.needs {
            let needs = needs.to_string();
            bytes.extend_from_slice(&toc::int(needs.len() as u64)?);
            bytes.extend_from_slice(needs.as_bytes());
        }
        // The end of the list.
        bytes.extend_from_slice(&[1, 1, 0, 0, 0]);
        bytes.extend_from_slice(span(was.needs_at.end, was.at.end));
    }
    bytes.extend_from_slice(&first[at..]);
    let toc = toc::read(&bytes)?.context("the table of contents is incomplete")?;
    Ok((bytes, toc))
}

/// Bytes of a number of the format: its sign and itself.
const NUMBER: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump_inspector::{DumpInspector, RowSum};
    use crate::sql::name::ObjectName;
    use std::io::Write as _;

    fn table(name: &str, bytes: u64) -> DumpedTable {
        DumpedTable {
            name: ObjectName::new("public", name),
            kind: 'r',
            persistence: 'p',
            readable: true,
            filtered: false,
            bytes,
            is_member: false,
            owner: None,
        }
    }

    fn shared(tables: &[(&str, u64)], sessions: usize) -> Vec<String> {
        let tables: Vec<DumpedTable> = tables
            .iter()
            .map(|(name, bytes)| table(name, *bytes))
            .collect();
        let shares = share(&tables, sessions);
        let names = |share: &Vec<&DumpedTable>| -> Vec<String> {
            let names = share.iter().map(|one| one.name.name.as_str().to_owned());
            names.collect()
        };
        shares.iter().map(|share| names(share).join(" ")).collect()
    }

    #[test]
    fn parts_are_about_equally_large() {
        let tables = [("a", 50), ("b", 40), ("c", 30), ("d", 20), ("e", 10)];
        assert_eq!(shared(&tables, 1), [] as [String; 0]);
        assert_eq!(shared(&tables, 2), ["b c"]);
        assert_eq!(shared(&tables, 3), ["b e", "c d"]);
        // What is not worth a place of its own stays; a table is never split, and an empty part is none.
        assert_eq!(shared(&[("a", 1000), ("b", 1), ("c", 0)], 4), ["a"]);
        assert_eq!(shared(&[("a", 1000)], 4), [] as [String; 0]);
        assert_eq!(shared(&[("a", 0)], 2), [] as [String; 0]);
    }

    #[test]
    fn extension_tables_stay_in_the_first_part() {
        let mut tables = [table("a", 10), table("b", 10), table("c", 10)];
        tables[1].is_member = true;
        let shares = share(&tables, 8);
        let names = shares.iter().flatten().map(|one| one.name.name.as_str());
        assert_eq!(names.collect::<Vec<_>>(), ["a", "c"]);
    }

    #[test]
    fn default_dump_connections_depend_on_size() {
        let small = [table("a", LARGE - 1)];
        let large = [table("a", LARGE), table("b", 1)];
        assert_eq!(sessions(&small, 64, 90), 1);
        for (processors, expected) in [(1, 1), (2, 1), (4, 2), (8, 4), (64, 4)] {
            assert_eq!(sessions(&large, processors, 90), expected, "{processors}");
        }
        for (free, expected) in [(0, 1), (3, 1), (4, 2), (8, 4)] {
            assert_eq!(sessions(&large, 64, free), expected, "{free} free");
        }
    }

    /// A dump's bytes and what is heard of them.
    fn summary(dump: &[u8]) -> (Vec<u8>, DumpSummary) {
        let mut tap = DumpInspector::new(Vec::new());
        tap.write_all(dump).unwrap();
        tap.finish().unwrap()
    }

    #[test]
    fn parts_make_one_table_of_contents() {
        use crate::dump_inspector::tests::small_dump;
        let (first, summary_first) = summary(&small_dump(&["1\ta"]));
        let (other, mut summary_other) = summary(&small_dump(&["2\tb", "3\tc"]));
        // The same table twice is no dump, nor is anything but rows in another part.
        let wrong = |parts: &[DumpSummary]| join(parts).unwrap_err().to_string();
        let twice = wrong(&[summary_first.clone(), summary_other.clone()]);
        assert_eq!(twice, "the dump has the rows of public.t twice");
        summary_other.toc.entries[0].tag = "u".to_owned();
        let objects = wrong(&[summary_first.clone(), summary_other.clone()]);
        assert_eq!(
            objects,
            "part 1 of the dump has BLOBS public.BLOBS, not only rows"
        );
        summary_other.toc.entries.pop();

        let parts = [summary_first, summary_other];
        let joined = join(&parts).unwrap();
        let sums: Vec<(i64, u64)> = joined
            .summary
            .tables
            .iter()
            .map(|(id, sum)| (*id, sum.rows))
            .collect();
        assert_eq!(sums, [(7, 1), (10, 2)]);
        assert_eq!(
            joined.summary.large_objects,
            RowSum {
                rows: 1,
                ..parts[0].large_objects
            }
        );
        let heads = [(first, &parts[0].toc), (other, &parts[1].toc)];
        let heads = heads.map(|(bytes, toc)| (bytes[..toc.length as usize].to_vec(), toc));
        let (bytes, toc) = contents(&joined, &heads).unwrap();
        assert_eq!(toc.length, bytes.len() as u64);
        let ids: Vec<(i64, &str)> = toc
            .entries
            .iter()
            .map(|one| (one.id, one.kind.as_str()))
            .collect();
        assert_eq!(ids, [(7, "TABLE DATA"), (9, "BLOBS"), (10, "TABLE DATA")]);
        assert_eq!(toc.entries[2].copy, parts[1].toc.entries[0].copy);
    }
}
