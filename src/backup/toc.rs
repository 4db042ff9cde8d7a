//! Parses `pg_dump`'s custom format up to its table of contents: the header and one entry per object.
//!
//! Reads archive versions 1.14 (PostgreSQL 14) to 1.16 (PostgreSQL 18) and refuses others. Never changes an entry: where each
//! entry keeps the offset of its data is noted, so that a restore can fill in what a pipe could not know.

use std::ops::Range;

use anyhow::{Result, bail};

/// What stands at the start of a dump: who made it from what, and what it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Toc {
    /// The archive format, such as `(1, 14)`.
    pub format: (u8, u8),
    /// The database's name.
    pub database: String,
    /// The server's version as it printed it.
    pub server_version: String,
    /// The version of the `pg_dump` that wrote it.
    pub dump_version: String,
    /// The objects, in the order of the archive.
    pub entries: Vec<Entry>,
    /// How many bytes the header and the table of contents take.
    pub length: u64,
    /// Bytes in an integer and in an offset, as this dump writes them.
    pub sizes: (u8, u8),
}

/// When an object is restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Section {
    /// Not by itself.
    #[default]
    None,
    /// Before the rows.
    PreData,
    /// With the rows.
    Data,
    /// After the rows.
    PostData,
}

/// One object of a dump.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The number that its data block carries.
    pub id: i64,
    /// What it is, such as `TABLE DATA` or `POLICY`.
    pub kind: String,
    /// When it is restored.
    pub section: Section,
    /// Its schema; empty where it has none.
    pub schema: String,
    /// Its name as `pg_dump` labels it, such as `users own_rows` for a policy.
    pub tag: String,
    pub owner: String,
    /// The statements that make it.
    pub definition: String,
    /// The `COPY` that loads it; empty for all but table data.
    pub copy: String,
    /// The oid it had.
    pub oid: String,
    /// Whether a data block belongs to it.
    pub has_data: bool,
    /// The numbers of the entries it cannot be without.
    pub needs: Vec<i64>,
    /// Where all of it stands.
    pub at: Range<u64>,
    /// Where those numbers stand, with the end of their list.
    pub needs_at: Range<u64>,
    /// Where in the file its data offset stands: a flag and the offset itself.
    pub offset_at: u64,
    /// Where its statements stand, with their length before them.
    pub definition_at: Range<u64>,
    /// Where its owner stands, with its length before it.
    pub owner_at: Range<u64>,
}

impl Entry {
    /// The object's name: `public.orders` or the bare tag.
    pub fn name(&self) -> String {
        if self.schema.is_empty() {
            self.tag.clone()
        } else {
            format!("{}.{}", self.schema, self.tag)
        }
    }

    /// The column list of its `COPY` as `pg_dump` wrote it: `(id, "Name")`.
    pub fn copy_columns(&self) -> &str {
        let end = self.copy.rfind(" FROM stdin").unwrap_or(self.copy.len());
        let head = &self.copy[..end];
        if !head.ends_with(')') {
            return "";
        }
        // `COPY schema.table (columns)`: the list opens at the first blank-parenthesis outside of a quoted name.
        let mut quoted = false;
        let bytes = head.as_bytes();
        for at in 0..bytes.len() {
            match bytes[at] {
                b'"' => quoted = !quoted,
                b'(' if !quoted && at > 0 && bytes[at - 1] == b' ' => return &head[at..],
                _ => {}
            }
        }
        ""
    }
}

/// Reads the table of contents; `None` when `bytes` ends before it does.
pub fn read(bytes: &[u8]) -> Result<Option<Toc>> {
    let mut reader = Reader {
        bytes,
        at: 0,
        int_size: 4,
    };
    match reader.toc() {
        Ok(toc) => Ok(Some(toc)),
        Err(Stop::Short) => Ok(None),
        Err(Stop::Wrong(why)) => bail!("{why}"),
    }
}

enum Stop {
    Short,
    Wrong(String),
}

type Step<T> = std::result::Result<T, Stop>;

fn wrong<T>(why: impl Into<String>) -> Step<T> {
    Err(Stop::Wrong(why.into()))
}

/// No dump has a name or statement near this; a larger length is damage, not data to wait for.
const LONGEST: i64 = 1 << 30;

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    int_size: usize,
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Step<&[u8]> {
        let end = self.at.checked_add(count).ok_or(Stop::Short)?;
        let taken = self.bytes.get(self.at..end).ok_or(Stop::Short)?;
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Step<u8> {
        Ok(self.take(1)?[0])
    }

    fn int(&mut self) -> Step<i64> {
        let size = self.int_size;
        let raw = self.take(size + 1)?;
        Ok(int_of(raw))
    }

    fn text(&mut self) -> Step<Option<String>> {
        let length = self.int()?;
        if length < 0 {
            return Ok(None);
        }
        if length > LONGEST {
            return wrong("the table of contents is damaged: a text of impossible length");
        }
        let raw = self.take(length as usize)?;
        // A database in another encoding may hold other bytes; they only serve as names here.
        Ok(Some(String::from_utf8_lossy(raw).into_owned()))
    }

    fn word(&mut self) -> Step<String> {
        Ok(self.text()?.unwrap_or_default())
    }

    fn placed(&mut self) -> Step<(String, Range<u64>)> {
        let from = self.at as u64;
        let word = self.word()?;
        Ok((word, from..self.at as u64))
    }

    fn toc(&mut self) -> Step<Toc> {
        if self.take(5)? != b"PGDMP" {
            return wrong("this is not a pg_dump archive in custom format");
        }
        let format = (self.byte()?, self.byte()?);
        let _revision = self.byte()?;
        if format.0 != 1 || !(14..=16).contains(&format.1) {
            return wrong(format!(
                "unsupported archive format {}.{}; supported are 1.14 to 1.16 (PostgreSQL 14 to 18)",
                format.0, format.1
            ));
        }
        let (int_size, offset_size, kind) = (self.byte()?, self.byte()?, self.byte()?);
        if int_size != 4 || offset_size != 8 || kind != 1 {
            return wrong("this is not a pg_dump archive in custom format of a 64-bit machine");
        }
        self.int_size = usize::from(int_size);
        self.compression(format)?;
        // When it was made: second, minute, hour, day, month, year, daylight saving.
        for _ in 0..7 {
            self.int()?;
        }
        let mut toc = Toc {
            format,
            database: self.word()?,
            server_version: self.word()?,
            dump_version: self.word()?,
            sizes: (int_size, offset_size),
            ..Toc::default()
        };
        let count = self.int()?;
        if !(0..LONGEST).contains(&count) {
            return wrong("the table of contents is damaged: an impossible number of entries");
        }
        for _ in 0..count {
            let entry = self.entry(format, offset_size)?;
            toc.entries.push(entry);
        }
        toc.length = self.at as u64;
        Ok(toc)
    }

    /// We ask for no compression; another pipe's archive would hide its rows from us.
    fn compression(&mut self, format: (u8, u8)) -> Step<()> {
        let compressed = if format.1 >= 15 {
            self.byte()? != 0
        } else {
            self.int()? != 0
        };
        if compressed {
            return wrong("the dump is compressed by pg_dump itself, which is not supported");
        }
        Ok(())
    }

    fn entry(&mut self, format: (u8, u8), offset_size: u8) -> Step<Entry> {
        let from = self.at as u64;
        let mut entry = Entry {
            id: self.int()?,
            has_data: self.int()? != 0,
            ..Entry::default()
        };
        let _catalog = self.word()?;
        entry.oid = self.word()?;
        entry.tag = self.word()?;
        entry.kind = self.word()?;
        entry.section = match self.int()? {
            2 => Section::PreData,
            3 => Section::Data,
            4 => Section::PostData,
            _ => Section::None,
        };
        (entry.definition, entry.definition_at) = self.placed()?;
        let _drop = self.word()?;
        entry.copy = self.word()?;
        entry.schema = self.word()?;
        let _tablespace = self.word()?;
        let _access_method = self.word()?;
        if format.1 >= 16 {
            let _relkind = self.int()?;
        }
        (entry.owner, entry.owner_at) = self.placed()?;
        let _with_oids = self.word()?;
        let needs_from = self.at as u64;
        while let Some(needed) = self.text()? {
            entry.needs.extend(needed.parse::<i64>());
        }
        entry.offset_at = self.at as u64;
        entry.needs_at = needs_from..entry.offset_at;
        self.take(1 + usize::from(offset_size))?;
        entry.at = from..self.at as u64;
        Ok(entry)
    }
}

/// Reads an integer of the format: a sign, then the value from its lowest byte.
pub fn int_of(raw: &[u8]) -> i64 {
    let value = raw[1..]
        .iter()
        .rev()
        .fold(0i64, |value, byte| (value << 8) | i64::from(*byte));
    if raw[0] == 0 { value } else { -value }
}

/// Writes an integer of the format.
pub fn int(value: u64) -> Result<[u8; 5]> {
    let [a, b, c, d] = u32::try_from(value)?.to_le_bytes();
    Ok([0, a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(copy: &str) -> String {
        Entry {
            copy: copy.to_owned(),
            ..Entry::default()
        }
        .copy_columns()
        .to_owned()
    }

    #[test]
    fn column_lists_with_odd_names_are_found() {
        assert_eq!(columns("COPY public.t (id, v) FROM stdin;\n"), "(id, v)");
        assert_eq!(
            columns("COPY public.\"a (b\" (\"c (d)\", e) FROM stdin;\n"),
            "(\"c (d)\", e)"
        );
        assert_eq!(columns("COPY public.none  FROM stdin;\n"), "");
        assert_eq!(columns("COPY public.\"x\"\"(\" (id) FROM stdin;\n"), "(id)");
    }

    #[test]
    fn other_formats_are_refused_and_a_short_dump_waits_for_more() {
        assert!(read(b"hello world").is_err());
        assert_eq!(read(b"PGDMP").unwrap(), None);
        assert_eq!(read(b"PG").unwrap(), None);
        assert!(read(b"PGDMP\x01\x09\x00\x04\x08\x01").is_err());
        assert!(read(b"PGDMP\x01\x0e\x00\x04\x08\x03").is_err());
    }

    #[test]
    fn integers_carry_a_sign() {
        assert_eq!(int_of(&[0, 1, 2, 0, 0]), 513);
        assert_eq!(int_of(&[1, 1, 0, 0, 0]), -1);
    }
}
