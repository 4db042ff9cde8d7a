//! Inspects a dump as it streams: counts and hashes the rows of each table and the bytes of each large object.
//!
//! What is in the dump goes through unchanged; only rows that `pg_dump` writes one by one are put into larger blocks, which
//! `pg_restore` and the server then take at once. A row's hash is the SipHash of its `COPY` text; a table's hash is the sum
//! of its rows', so that it does not depend on their order, while a pair of equal rows still counts (unlike exclusive or).

use std::collections::BTreeMap;
use std::hash::Hasher as _;
use std::io::{self, Write};

use sha2::{Digest as _, Sha256};
use siphasher::sip128::{Hasher128 as _, SipHasher13};

use crate::file_encoding::hex;
use crate::toc::{self, Toc};

/// What a set of rows amounts to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowSum {
    pub rows: u64,
    /// How many bytes of `COPY` text, without line ends.
    pub bytes: u64,
    /// The sum of the rows' hashes.
    pub hash: u128,
}

/// Adds up rows that arrive in pieces of any size.
#[derive(Clone)]
pub struct RowHasher {
    sum: RowSum,
    hasher: SipHasher13,
    length: u64,
    head: [u8; 2],
    ended: bool,
}

impl Default for RowHasher {
    fn default() -> Self {
        RowHasher {
            sum: RowSum::default(),
            hasher: SipHasher13::new(),
            length: 0,
            head: [0; 2],
            ended: false,
        }
    }
}

impl RowHasher {
    /// Takes the next piece of `COPY` text; what follows the line `\.` is no row.
    pub fn feed(&mut self, mut piece: &[u8]) {
        while !self.ended && !piece.is_empty() {
            match memchr::memchr(b'\n', piece) {
                Some(end) if self.length == 0 && piece[..end] != *b"\\." => {
                    self.sum.rows += 1;
                    self.sum.bytes += end as u64;
                    let hash = SipHasher13::new().hash(&piece[..end]).as_u128();
                    self.sum.hash = self.sum.hash.wrapping_add(hash);
                    piece = &piece[end + 1..];
                }
                Some(end) => {
                    self.part(&piece[..end]);
                    self.end_row();
                    piece = &piece[end + 1..];
                }
                None => {
                    self.part(piece);
                    return;
                }
            }
        }
    }

    fn part(&mut self, part: &[u8]) {
        if self.length < 2 {
            for (slot, byte) in self.head[self.length as usize..].iter_mut().zip(part) {
                *slot = *byte;
            }
        }
        self.length += part.len() as u64;
        self.hasher.write(part);
    }

    fn end_row(&mut self) {
        if self.length == 2 && self.head == *b"\\." {
            self.ended = true;
        } else {
            self.sum.rows += 1;
            self.sum.bytes += self.length;
            self.sum.hash = self
                .sum
                .hash
                .wrapping_add(self.hasher.finish128().as_u128());
        }
        self.length = 0;
        self.hasher = SipHasher13::new();
    }

    pub fn sum(&self) -> RowSum {
        self.sum
    }

    /// Returns whether the line `\.` was read.
    pub fn ended(&self) -> bool {
        self.ended
    }
}

/// Hashes one large object: its number is part of the hash, so that two cannot swap their contents.
pub fn object_hash(oid: u32, pieces: &mut dyn Iterator<Item = &[u8]>) -> u128 {
    let mut hasher = ObjectHasher::new(oid);
    for piece in pieces {
        hasher.feed(piece);
    }
    hasher.finish()
}

/// Hashes one large object that arrives in pieces.
pub struct ObjectHasher {
    hasher: SipHasher13,
    /// How many bytes it has had.
    pub bytes: u64,
}

impl ObjectHasher {
    pub fn new(oid: u32) -> Self {
        let mut hasher = SipHasher13::new();
        hasher.write_u32(oid.to_le());
        ObjectHasher { hasher, bytes: 0 }
    }

    pub fn feed(&mut self, piece: &[u8]) {
        self.bytes += piece.len() as u64;
        self.hasher.write(piece);
    }

    pub fn finish(&self) -> u128 {
        self.hasher.finish128().as_u128()
    }
}

/// What a complete dump contains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DumpSummary {
    /// The table of contents.
    pub toc: Toc,
    /// The rows of each entry with data, by its number.
    pub tables: BTreeMap<i64, RowSum>,
    /// The large objects; a "row" here is an object.
    pub large_objects: RowSum,
    /// Where each entry's data begins, by its number.
    pub offsets: BTreeMap<i64, u64>,
    /// How many bytes passed.
    pub bytes: u64,
    /// The SHA-256 of the table of contents, which holds the text of the schema; of several parts, of all of them.
    pub contents: String,
}

enum State {
    /// Collecting the header and the table of contents.
    Contents(Vec<u8>, usize),
    /// Before the byte that says what kind of block follows.
    Block,
    /// Before the number of the entry a block belongs to.
    Id(u8),
    /// Before the length of a piece of rows.
    RowsLength,
    /// In a piece of rows that is put together with others.
    Small(u64),
    /// In a piece of rows that goes through as it is.
    Large(u64),
    /// Before the number of a large object.
    Object,
    /// Before the length of a piece of a large object.
    ObjectLength,
    /// In a piece of a large object.
    ObjectBytes(u64),
}

/// From this size on a piece of rows goes through as it is, and what was put together is passed on.
const PIECE: u64 = 64 << 10;

/// Called for each large object: its number, size and hash.
pub type OnObject = Box<dyn FnMut(u32, u64, u128) + Send>;

/// Passes a dump on to `inner` and inspects it.
pub struct DumpInspector<W> {
    inner: W,
    state: State,
    // The bytes of an integer that was cut by the edge of a buffer.
    partial: Vec<u8>,
    entry: i64,
    rows: RowHasher,
    // Small pieces of rows, not yet passed on.
    small: Vec<u8>,
    object: Option<(u32, ObjectHasher)>,
    summary: DumpSummary,
    on_object: Option<OnObject>,
    // How many bytes of contents are kept in memory at most.
    most: usize,
}

impl<W: Write> DumpInspector<W> {
    pub fn new(inner: W) -> Self {
        DumpInspector {
            inner,
            state: State::Contents(Vec::new(), 64 << 10),
            partial: Vec::new(),
            entry: 0,
            rows: RowHasher::default(),
            small: Vec::new(),
            object: None,
            summary: DumpSummary::default(),
            on_object: None,
            most: usize::MAX,
        }
    }

    /// Fails on a table of contents of more than `most` bytes.
    pub fn limited(inner: W, most: u64) -> Self {
        DumpInspector {
            most: usize::try_from(most).unwrap_or(usize::MAX),
            ..DumpInspector::new(inner)
        }
    }

    /// Calls `on_object` for each large object.
    pub fn with_objects(inner: W, on_object: OnObject) -> Self {
        DumpInspector {
            on_object: Some(on_object),
            ..DumpInspector::new(inner)
        }
    }

    /// Returns the summary so far; the table of contents is known once it has passed.
    pub fn so_far(&self) -> &DumpSummary {
        &self.summary
    }

    /// Ends the dump and returns its summary, or why it is incomplete.
    pub fn finish(mut self) -> anyhow::Result<(W, DumpSummary)> {
        if let State::Contents(..) = self.state {
            self.contents(true)?;
        }
        let State::Block = self.state else {
            anyhow::bail!("the dump ends in the middle");
        };
        for entry in &self.summary.toc.entries {
            anyhow::ensure!(
                !entry.has_data || self.summary.offsets.contains_key(&entry.id),
                "the dump has no data for {} {}",
                entry.kind,
                entry.name()
            );
        }
        Ok((self.inner, self.summary))
    }

    fn listen(&mut self, mut bytes: &[u8]) -> anyhow::Result<()> {
        if let State::Contents(held, due) = &mut self.state {
            held.extend_from_slice(bytes);
            anyhow::ensure!(
                held.len() <= self.most.saturating_add(bytes.len()),
                "the table of contents is larger than the file allows"
            );
            if held.len() < *due {
                return Ok(());
            }
            *due = held.len() * 2;
            return self.contents(false);
        }
        while !bytes.is_empty() {
            bytes = self.step(bytes)?;
        }
        Ok(())
    }

    /// Reads the contents once enough has come, and then whatever came after them.
    fn contents(&mut self, last: bool) -> anyhow::Result<()> {
        let State::Contents(held, _) = &mut self.state else {
            return Ok(());
        };
        let Some(toc) = toc::read(held)? else {
            anyhow::ensure!(!last, "the dump ends inside its table of contents");
            return Ok(());
        };
        let held = std::mem::take(held);
        let length = toc.length as usize;
        self.summary.toc = toc;
        self.summary.contents = hex(&Sha256::digest(&held[..length]));
        self.state = State::Block;
        self.pass(&held[..length])?;
        let mut rest = &held[length..];
        while !rest.is_empty() {
            rest = self.step(rest)?;
        }
        Ok(())
    }

    fn pass(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.summary.bytes += bytes.len() as u64;
        self.inner.write_all(bytes)
    }

    /// Passes on what was put together.
    fn pass_small(&mut self) -> anyhow::Result<()> {
        if self.small.is_empty() {
            return Ok(());
        }
        let small = std::mem::take(&mut self.small);
        self.rows.feed(&small);
        self.pass(&toc::int(small.len() as u64)?)?;
        self.pass(&small)?;
        self.small = small;
        self.small.clear();
        Ok(())
    }

    /// Consumes complete small pieces, which are nearly all of a dump, and returns the rest.
    fn whole_pieces<'a>(&mut self, mut bytes: &'a [u8]) -> anyhow::Result<&'a [u8]> {
        while let Some((raw, after)) = bytes.split_first_chunk::<5>() {
            let length = toc::int_of(raw);
            let is_small = (1..PIECE as i64).contains(&length);
            if !is_small || length as usize > after.len() {
                break;
            }
            let (piece, rest) = after.split_at(length as usize);
            self.small.extend_from_slice(piece);
            if self.small.len() as u64 >= PIECE {
                self.pass_small()?;
            }
            bytes = rest;
        }
        Ok(bytes)
    }

    /// Consumes one element and returns the rest.
    fn step<'a>(&mut self, bytes: &'a [u8]) -> anyhow::Result<&'a [u8]> {
        match self.state {
            State::Small(left) => {
                let (now, rest) = split(bytes, left);
                self.small.extend_from_slice(now);
                self.state = match left - now.len() as u64 {
                    0 => State::RowsLength,
                    left => State::Small(left),
                };
                if matches!(self.state, State::RowsLength) && self.small.len() as u64 >= PIECE {
                    self.pass_small()?;
                }
                Ok(rest)
            }
            State::Large(left) => {
                let (now, rest) = split(bytes, left);
                self.rows.feed(now);
                self.pass(now)?;
                self.state = match left - now.len() as u64 {
                    0 => State::RowsLength,
                    left => State::Large(left),
                };
                Ok(rest)
            }
            State::ObjectBytes(left) => {
                let (now, rest) = split(bytes, left);
                if let Some((_, hasher)) = &mut self.object {
                    hasher.feed(now);
                }
                self.pass(now)?;
                self.state = match left - now.len() as u64 {
                    0 => State::ObjectLength,
                    left => State::ObjectBytes(left),
                };
                Ok(rest)
            }
            State::Block => {
                let kind = bytes[0];
                anyhow::ensure!(
                    kind == 1 || kind == 3,
                    "the dump has a block of unknown kind {kind}"
                );
                self.state = State::Id(kind);
                // The offset of an entry's data points at this byte.
                self.pass(&bytes[..1])?;
                Ok(&bytes[1..])
            }
            State::Contents(..) => unreachable!("listen handles the contents"),
            State::RowsLength if self.partial.is_empty() && bytes.len() > 5 => {
                let rest = self.whole_pieces(bytes)?;
                if rest.len() < bytes.len() {
                    return Ok(rest);
                }
                self.integer(bytes)
            }
            State::Id(_) | State::RowsLength | State::Object | State::ObjectLength => {
                self.integer(bytes)
            }
        }
    }

    fn integer<'a>(&mut self, bytes: &'a [u8]) -> anyhow::Result<&'a [u8]> {
        let (now, rest) = split(bytes, 5 - self.partial.len() as u64);
        self.partial.extend_from_slice(now);
        if self.partial.len() == 5 {
            let value = toc::int_of(&self.partial);
            self.partial.clear();
            self.number(value)?;
        }
        Ok(rest)
    }

    fn number(&mut self, value: i64) -> anyhow::Result<()> {
        anyhow::ensure!(value >= 0, "the dump is damaged: a negative length");
        let is_small = (1..PIECE as i64).contains(&value);
        if matches!(self.state, State::RowsLength) {
            if is_small {
                self.state = State::Small(value as u64);
                return Ok(());
            }
            self.pass_small()?;
        }
        self.pass(&toc::int(value as u64)?)?;
        self.state = match self.state {
            State::Id(kind) => {
                self.begin_block(value)?;
                if kind == 1 {
                    State::RowsLength
                } else {
                    State::Object
                }
            }
            State::RowsLength if value == 0 => {
                self.end_rows()?;
                State::Block
            }
            State::RowsLength => State::Large(value as u64),
            State::Object if value == 0 => State::Block,
            State::Object => {
                let oid = u32::try_from(value)?;
                self.object = Some((oid, ObjectHasher::new(oid)));
                State::ObjectLength
            }
            State::ObjectLength if value == 0 => {
                self.end_object();
                State::Object
            }
            State::ObjectLength => State::ObjectBytes(value as u64),
            _ => anyhow::bail!("the dump is damaged: a number out of place"),
        };
        Ok(())
    }

    fn begin_block(&mut self, entry: i64) -> anyhow::Result<()> {
        let begins = self.summary.bytes - 6;
        let first = self.summary.offsets.insert(entry, begins).is_none();
        anyhow::ensure!(first, "the dump has the data of entry {entry} twice");
        self.entry = entry;
        self.rows = RowHasher::default();
        Ok(())
    }

    fn end_rows(&mut self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.rows.ended(),
            "the dump ends the data of entry {} without its last line",
            self.entry
        );
        self.summary.tables.insert(self.entry, self.rows.sum());
        Ok(())
    }

    fn end_object(&mut self) {
        let Some((oid, hasher)) = self.object.take() else {
            return;
        };
        let hash = hasher.finish();
        let objects = &mut self.summary.large_objects;
        objects.rows += 1;
        objects.bytes += hasher.bytes;
        objects.hash = objects.hash.wrapping_add(hash);
        if let Some(tell) = &mut self.on_object {
            tell(oid, hasher.bytes, hash);
        }
    }
}

/// Splits off at most so many bytes.
fn split(bytes: &[u8], most: u64) -> (&[u8], &[u8]) {
    bytes.split_at(most.min(bytes.len() as u64) as usize)
}

impl<W: Write> Write for DumpInspector<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.listen(bytes)
            .map_err(|error| match error.downcast::<io::Error>() {
                // Errors of the writer, such as a full disk, keep their kind.
                Ok(error) => error,
                Err(error) => io::Error::new(io::ErrorKind::InvalidData, error.to_string()),
            })?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn int(value: i64, into: &mut Vec<u8>) {
        into.push(u8::from(value < 0));
        into.extend_from_slice(&(value.unsigned_abs() as u32).to_le_bytes());
    }

    fn text(value: &str, into: &mut Vec<u8>) {
        int(value.len() as i64, into);
        into.extend_from_slice(value.as_bytes());
    }

    /// Writes a small dump of one table and one large object, as `pg_dump` 15 would.
    pub(crate) fn small_dump(rows: &[&str]) -> Vec<u8> {
        let mut dump = b"PGDMP\x01\x0e\x00\x04\x08\x01".to_vec();
        for value in [0, 1, 2, 3, 4, 5, 126, 0] {
            int(value, &mut dump);
        }
        for word in ["demo", "15.1", "15.1"] {
            text(word, &mut dump);
        }
        int(2, &mut dump);
        for (id, tag, kind, copy) in [
            (7, "t", "TABLE DATA", "COPY public.t (id, v) FROM stdin;\n"),
            (9, "BLOBS", "BLOBS", ""),
        ] {
            int(id, &mut dump);
            int(1, &mut dump);
            for word in ["0", "0", tag, kind] {
                text(word, &mut dump);
            }
            int(3, &mut dump);
            for word in ["", "", copy, "public", "", "", "postgres", "false"] {
                text(word, &mut dump);
            }
            int(-1, &mut dump);
            dump.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0, 0]);
        }
        dump.push(1);
        int(7, &mut dump);
        for row in rows {
            text(&format!("{row}\n"), &mut dump);
        }
        text("\\.\n\n\n", &mut dump);
        int(0, &mut dump);
        dump.push(3);
        int(9, &mut dump);
        int(16393, &mut dump);
        text("hello", &mut dump);
        int(0, &mut dump);
        int(0, &mut dump);
        dump
    }

    fn hear(dump: &[u8], piece: usize) -> anyhow::Result<DumpSummary> {
        let mut tap = DumpInspector::new(Vec::new());
        for bytes in dump.chunks(piece) {
            tap.write_all(bytes)?;
        }
        let (passed, summary) = tap.finish()?;
        assert_eq!(passed.len() as u64, summary.bytes);
        Ok(summary)
    }

    fn passed(dump: &[u8], piece: usize) -> Vec<u8> {
        let mut tap = DumpInspector::new(Vec::new());
        for bytes in dump.chunks(piece) {
            tap.write_all(bytes).unwrap();
        }
        tap.finish().unwrap().0
    }

    #[test]
    fn a_dump_is_summarized_the_same_in_pieces_of_any_size() {
        let rows = small_dump(&["1\ta", "2\tb\\nc", "3\t\\N"]);
        let dump = passed(&rows, rows.len());
        // Three rows and the end came as four blocks and go as one.
        assert_eq!(dump.len(), rows.len() - 3 * 5);
        let whole = hear(&rows, rows.len()).unwrap();
        assert_eq!(whole.bytes, dump.len() as u64);
        assert_eq!(passed(&dump, 7), dump);
        assert_eq!(whole.tables[&7].rows, 3);
        assert_eq!(whole.large_objects.rows, 1);
        assert_eq!(dump[whole.offsets[&7] as usize], 1);
        assert_eq!(dump[whole.offsets[&9] as usize], 3);
        for piece in [1, 2, 3, 5, 7, 64] {
            assert_eq!(hear(&dump, piece).unwrap(), whole, "pieces of {piece}");
            assert_eq!(hear(&rows, piece).unwrap(), whole, "pieces of {piece}");
        }
    }

    #[test]
    fn rows_of_any_size_are_joined_once() {
        let long = "x".repeat(PIECE as usize + 10);
        let short = "y".repeat(1000);
        let mut rows = vec![short.as_str(); 200];
        rows.insert(100, &long);
        let dump = small_dump(&rows);
        let once = passed(&dump, 100_000);
        assert!(once.len() < dump.len());
        for piece in [999, 4096, 70_000, dump.len()] {
            assert_eq!(passed(&dump, piece), once, "pieces of {piece}");
            assert_eq!(passed(&once, piece), once, "pieces of {piece}");
        }
        let summary = hear(&once, 4096).unwrap();
        assert_eq!(summary.tables[&7].rows, 201);
        assert_eq!(summary.tables, hear(&dump, 10).unwrap().tables);
    }

    #[test]
    fn order_does_not_matter_and_content_does() {
        let sum = |rows: &[&str]| hear(&small_dump(rows), 4096).unwrap().tables[&7];
        assert_eq!(sum(&["1\ta", "2\tb"]), sum(&["2\tb", "1\ta"]));
        assert_ne!(sum(&["1\ta", "2\tb"]).hash, sum(&["1\ta", "2\tc"]).hash);
        assert_ne!(sum(&["x", "x"]).hash, sum(&["y", "y"]).hash);
        assert_ne!(sum(&["x"]), sum(&["x", "x"]));
    }

    #[test]
    fn a_dump_cut_anywhere_is_refused() {
        let dump = small_dump(&["1\ta", "2\tb"]);
        for end in 0..dump.len() {
            if let Ok(summary) = hear(&dump[..end], 4096) {
                panic!(
                    "{end} of {} bytes were accepted as complete: {summary:?}",
                    dump.len()
                );
            }
        }
    }
}
