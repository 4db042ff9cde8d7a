//! Joins the parts of a dump in one file, which `pg_restore` can load in parallel and in any order.
//!
//! Each part is unpacked as it is into a place of its own; before them is room for the one table of contents, which is written
//! last. Nothing between the places is ever read: the table of contents says where the data of each entry begins.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;

use anyhow::{Context as _, Result, ensure};

use super::{ReadArchive, damaged};
use crate::archive::Archive;
use crate::dump_inspector::DumpSummary;
use crate::dump_parts;
use crate::mapping::Mapping;
use crate::toc::{self, Toc};

/// Where each part of a dump lies.
pub(super) struct Layout {
    places: Vec<Range<u64>>,
}

/// How much mapped role names may lengthen a table of contents; a hole in the file otherwise.
const GROWTH: u64 = 4;

impl Layout {
    /// Assigns each part a place in the file; `None` for a dump in one part.
    pub(super) fn of(archive: &Archive) -> Result<Option<Self>> {
        let dumps = archive.dumps()?;
        if dumps.len() == 1 {
            return Ok(None);
        }
        let heads: Option<u64> = dumps.iter().map(|dump| dump.head).sum();
        let heads = heads.ok_or_else(|| damaged(archive, "a part of the dump has no length"))?;
        let mut from = (heads * GROWTH).next_multiple_of(64 << 10);
        let places = dumps.iter().map(|dump| {
            let place = from..from + dump.content;
            from = place.end;
            place
        });
        Ok(Some(Layout {
            places: places.collect(),
        }))
    }

    pub(super) fn first(&self) -> Range<u64> {
        self.places[0].clone()
    }

    /// Goes to the place of a part.
    pub(super) fn place(&self, into: &mut io::BufWriter<File>, part: usize) -> Result<()> {
        let place = self
            .places
            .get(part)
            .context("the dump has too many parts")?;
        into.seek(SeekFrom::Start(place.start))
            .context("unpacking the dump")?;
        Ok(())
    }

    /// Writes the table of contents of all parts; afterwards offsets are those in the file.
    pub(super) fn assemble(
        &self,
        file: &mut File,
        whole: &mut ReadArchive,
        mapping: &Mapping,
    ) -> Result<Toc> {
        let joined = whole.joined.as_ref().context("the backup has no dump")?;
        let mut heads = Vec::new();
        for (place, part) in self.places.iter().zip(&whole.parts) {
            heads.push((head(file, place.start, part.toc.length)?, &part.toc));
        }
        let (bytes, toc) = dump_parts::contents(joined, &heads)?;
        let (bytes, toc) = if mapping.is_empty() {
            (bytes, toc)
        } else {
            mapping.renamed(&bytes, &toc)?
        };
        ensure!(
            bytes.len() as u64 <= self.places[0].start,
            "the mapped role names do not fit into the table of contents"
        );
        file.rewind()
            .and_then(|()| file.write_all(&bytes))
            .context("unpacking the dump")?;
        let moved: Vec<(i64, u64)> = joined
            .moved
            .iter()
            .map(|one| (one.id, self.places[one.part].start))
            .collect();
        let offsets = &mut whole.contents.summary.offsets;
        for (id, offset) in offsets.iter_mut() {
            let from = moved.iter().find(|(moved, _)| moved == id);
            *offset += from.map_or(self.places[0].start, |(_, from)| *from);
        }
        for (id, _) in moved {
            let Some(offset) = offsets.get(&id) else {
                continue;
            };
            // The byte that says what kind of data it is stands before the number of its entry.
            file.seek(SeekFrom::Start(offset + 1))
                .and_then(|_| file.write_all(&toc::int(id as u64).map_err(io::Error::other)?))
                .context("unpacking the dump")?;
        }
        Ok(toc)
    }
}

fn head(file: &mut File, from: u64, length: u64) -> Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length)?];
    file.seek(SeekFrom::Start(from))
        .and_then(|_| file.read_exact(&mut bytes))
        .context("reading the unpacked dump")?;
    Ok(bytes)
}

/// Fills in where each entry's data begins, which `pg_dump` could not know while it wrote to a pipe; with it `pg_restore` finds
/// the data of each table at once instead of reading all that stands before it.
pub(super) fn point_at_data(file: &mut File, summary: &DumpSummary) -> Result<()> {
    /// "The offset is set", in the format's words.
    const SET: u8 = 2;
    for entry in &summary.toc.entries {
        if let Some(offset) = summary.offsets.get(&entry.id) {
            let mut field = [SET; 9];
            field[1..].copy_from_slice(&offset.to_le_bytes());
            file.seek(SeekFrom::Start(entry.offset_at))
                .and_then(|_| file.write_all(&field))
                .context("unpacking the dump")?;
        }
    }
    Ok(())
}
