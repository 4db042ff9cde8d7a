//! Reads an archive back: verifies every checksum, then compares the dump with the expected contents recorded with it.
//!
//! Nothing of an archive is used before all of it is verified.

mod join_parts;
pub mod temp_file;
pub mod tenant;

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use age::x25519::Identity;
use anyhow::{Context as _, Result};

use crate::archive::{self, Archive, DUMP, PROOF, StoredFile};
use crate::dump_inspector::{DumpInspector, DumpSummary};
use crate::dump_parts::{self, JoinedParts};
use crate::error::{Failure, fail, refuse};
use crate::event::{Event, Interrupt, Unit, Watch};
use crate::file_encoding::{self, DecryptionKey};
use crate::mapping::{Mapping, Renaming};
use crate::pipe;
use crate::proof::{Proof, sequences, tables};
use crate::store::{Store, folder};
use crate::toc::Toc;
use join_parts::Layout;
use temp_file::TempFile;

/// The contents of a verified archive.
#[derive(Clone, Debug)]
pub struct ArchiveContents {
    /// The expected contents of a restored database.
    pub proof: Proof,
    /// The dump's table of contents and sums.
    pub summary: DumpSummary,
    /// Whether roles of the archive become one where it is restored.
    pub roles_merged: bool,
}

impl ArchiveContents {
    fn new(proof: Proof, summary: DumpSummary) -> Self {
        ArchiveContents {
            proof,
            summary,
            roles_merged: false,
        }
    }

    /// Applies mapped role names to the contents.
    fn rename(&mut self, mapping: &Mapping, toc: Toc, grown: i64) {
        self.roles_merged = mapping.merges(&self.proof.database, &self.summary.toc);
        self.proof.database = mapping.database(&self.proof.database);
        self.summary.toc = toc;
        for offset in self.summary.offsets.values_mut() {
            *offset = offset.saturating_add_signed(grown);
        }
    }
}

/// A verified archive.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Its description.
    pub archive: Archive,
    /// What is in it; absent when it is encrypted and no key was given.
    pub contents: Option<ArchiveContents>,
}

/// Which archive, and what may open it.
#[derive(Clone, Copy)]
pub struct ArchiveSource<'a> {
    /// Where it is.
    pub store: &'a Store,
    pub name: &'a str,
    /// Keys that may open it.
    pub identities: &'a [Identity],
}

/// Checks every file of an archive without a database; without a key an encrypted one only by its checksums.
pub async fn verify(
    source: &ArchiveSource<'_>,
    watch: Watch<'_>,
    interrupt: &Interrupt,
) -> Result<Verified> {
    let archive = source.store.archive(source.name)?;
    let reading = ArchiveReader::new(source, &archive);
    let contents = supervise(reading.clone(), watch, interrupt, move |reading| {
        let whole = reading.all(io::sink(), |_, _| Ok(()))?;
        Ok(whole.map(|(whole, _)| whole.contents))
    })
    .await?;
    Ok(Verified { archive, contents })
}

/// Checks the stored files before the description is written: by reading every byte, or only the sizes.
pub async fn check_stored(
    store: &Store,
    archive: &Archive,
    read: bool,
    watch: Watch<'_>,
    interrupt: &Interrupt,
) -> Result<()> {
    let there = store.sizes(&archive.name)?;
    for file in &archive.files {
        let size = there.get(&file.name).copied();
        if size != Some(file.size) {
            let has = size.map_or("the file is missing".to_owned(), |size| {
                format!("{size} stored")
            });
            return Err(fail(format!(
                "{} lost part of {}: {} bytes sent, {has}; no backup was made",
                store.shown(),
                file.name,
                file.size
            ))
            .hint("try again; if it happens again, the store cannot be trusted")
            .into());
        }
    }
    if !read {
        return Ok(());
    }
    let source = ArchiveSource {
        store,
        name: &archive.name,
        identities: &[],
    };
    let reading = ArchiveReader::new(&source, archive);
    supervise(reading, watch, interrupt, |reading| {
        let mut each = reading.archive.files.iter();
        each.try_for_each(|file| reading.stored(file))
    })
    .await
    .context("reading back the stored files; no backup was made")
}

/// A dump unpacked into a private file, ready for `pg_restore`.
pub struct Unpacked {
    pub archive: Archive,
    /// What is in it.
    pub contents: ArchiveContents,
    scratch: TempFile,
    /// Where in it the dump or its first part lies, which holds all large objects.
    first: Range<u64>,
}

impl Unpacked {
    /// Returns the path of the dump, valid while this value lives.
    pub fn path(&self) -> &Path {
        self.scratch.path()
    }

    /// Reads the dump again and calls `tell` for each large object.
    pub fn large_objects(&self, tell: crate::dump_inspector::OnObject) -> Result<()> {
        let mut file = File::open(self.path()).context("reading the unpacked dump")?;
        let mut tap = DumpInspector::with_objects(io::sink(), tell);
        file.seek(SeekFrom::Start(self.first.start))
            .and_then(|_| io::copy(&mut file.take(self.first.end - self.first.start), &mut tap))
            .context("reading the unpacked dump")?;
        Ok(())
    }
}

/// Checks every file of an archive and unpacks its dump, with the names its roles have where it goes.
pub async fn unpack(
    source: &ArchiveSource<'_>,
    directory: &Path,
    mapping: &Mapping,
    watch: Watch<'_>,
    interrupt: &Interrupt,
) -> Result<Unpacked> {
    let archive = source.store.archive(source.name)?;
    if archive.scope.tenant.is_some() {
        return Err(refuse(format!(
            "backup `{}` contains only one tenant's rows; nothing was restored",
            source.name
        ))
        .hint("restore it into the tenant's database, without --drill, --swap or --into")
        .into());
    }
    check_key(source, &archive)?;
    check_space(&archive, directory)?;
    let scratch = TempFile::make(directory)?;
    scratch.reserve(unpacked_bytes(&archive)?);
    let file = scratch.file.try_clone().context("unpacking the dump")?;
    let reading = ArchiveReader::new(source, &archive);
    let mapping = mapping.clone();
    let layout = Layout::of(&archive)?;
    let (contents, first) = supervise(reading, watch, interrupt, move |reading| match layout {
        None => one(reading, file, &mapping),
        Some(layout) => several(reading, file, &layout, &mapping),
    })
    .await?;
    Ok(Unpacked {
        archive,
        contents,
        scratch,
        first,
    })
}

const BUFFER: usize = 256 << 10;

/// Unpacks a dump that is in one file.
fn one(
    reading: &ArchiveReader,
    file: File,
    mapping: &Mapping,
) -> Result<(ArchiveContents, Range<u64>)> {
    let into = Renaming::new(io::BufWriter::with_capacity(BUFFER, file), mapping);
    let whole = reading.all(into, |_, _| Ok(()))?;
    let (whole, into) = whole.context("the backup could not be read")?;
    let (file, renamed) = into.finish()?;
    let mut contents = whole.contents;
    if let Some((toc, grown)) = renamed {
        mapping.check(&contents.proof.database, &contents.summary.toc)?;
        contents.rename(mapping, toc, grown);
    }
    let mut file = finished(file)?;
    let end = file.stream_position().context("unpacking the dump")?;
    join_parts::point_at_data(&mut file, &contents.summary)?;
    Ok((contents, 0..end))
}

/// Unpacks a dump in several files, each into its place, and joins them.
fn several(
    reading: &ArchiveReader,
    file: File,
    layout: &Layout,
    mapping: &Mapping,
) -> Result<(ArchiveContents, Range<u64>)> {
    let into = io::BufWriter::with_capacity(BUFFER, file);
    let place = |into: &mut io::BufWriter<File>, part: usize| layout.place(into, part);
    let whole = reading.all(into, place)?;
    let (mut whole, into) = whole.context("the backup could not be read")?;
    let mut file = finished(into)?;
    let toc = layout.assemble(&mut file, &mut whole, mapping)?;
    let mut contents = whole.contents;
    if mapping.is_empty() {
        contents.summary.toc = toc;
    } else {
        mapping.check(&contents.proof.database, &contents.summary.toc)?;
        contents.rename(mapping, toc, 0);
    }
    join_parts::point_at_data(&mut file, &contents.summary)?;
    Ok((contents, layout.first()))
}

fn finished(file: io::BufWriter<File>) -> Result<File> {
    let file = file.into_inner().map_err(|error| error.into_error());
    file.map_err(unpack_trouble)
}

fn unpacked_bytes(archive: &Archive) -> Result<u64> {
    Ok(archive.dumps()?.iter().map(|dump| dump.content).sum())
}

fn check_space(archive: &Archive, directory: &Path) -> Result<()> {
    let needed = unpacked_bytes(archive)?;
    match folder::free(directory) {
        Some(free) if free < needed + (16 << 20) => Err(refuse(format!(
            "{} has {} MB free; unpacking `{}` needs {} MB; nothing was restored",
            directory.display(),
            free >> 20,
            archive.name,
            (needed >> 20) + 16
        ))
        .hint("choose a folder with more space with --scratch")
        .into()),
        _ => Ok(()),
    }
}

fn unpack_trouble(error: io::Error) -> anyhow::Error {
    if error.kind() == io::ErrorKind::StorageFull {
        return fail("not enough space to unpack the dump; nothing was restored")
            .hint("choose a folder with more space with --scratch")
            .into();
    }
    anyhow::Error::from(error).context("unpacking the dump")
}

/// Refuses an encrypted archive without a key.
fn check_key(source: &ArchiveSource<'_>, archive: &Archive) -> Result<()> {
    if archive.is_encrypted() && source.identities.is_empty() {
        return Err(refuse(format!(
            "backup `{}` is encrypted; nothing was restored",
            source.name
        ))
        .hint("pass the identity file of one of its recipients with --identity")
        .into());
    }
    Ok(())
}

/// An archive read to its end.
struct ReadArchive {
    contents: ArchiveContents,
    parts: Vec<DumpSummary>,
    /// What the parts amount to; absent where the backup has no dump.
    joined: Option<JoinedParts>,
}

impl ReadArchive {
    fn new(contents: ArchiveContents) -> Self {
        ReadArchive {
            contents,
            parts: Vec::new(),
            joined: None,
        }
    }
}

/// Everything a thread needs to read an archive.
#[derive(Clone)]
struct ArchiveReader {
    store: Store,
    archive: Archive,
    identities: Vec<Identity>,
    passed: Arc<AtomicU64>,
    stop: Arc<std::sync::atomic::AtomicBool>,
}

impl ArchiveReader {
    fn new(source: &ArchiveSource<'_>, archive: &Archive) -> Self {
        ArchiveReader {
            store: source.store.clone(),
            archive: archive.clone(),
            identities: source.identities.to_vec(),
            passed: Arc::default(),
            stop: Arc::default(),
        }
    }

    fn key(&self) -> DecryptionKey<'_> {
        match (self.archive.is_encrypted(), self.identities.is_empty()) {
            (false, _) => DecryptionKey::None,
            (true, true) => DecryptionKey::Absent,
            (true, false) => DecryptionKey::Identities(&self.identities),
        }
    }

    /// Reads every file; the dump goes to `into`, announced by `next` before each part.
    fn all<W: Write + Send>(
        &self,
        mut into: W,
        mut place: impl FnMut(&mut W, usize) -> Result<()>,
    ) -> Result<Option<(ReadArchive, W)>> {
        if self.archive.scope.tenant.is_some() {
            let found = self.script(into)?;
            return Ok(found.map(|(proof, into)| {
                let contents = ArchiveContents::new(proof, DumpSummary::default());
                (ReadArchive::new(contents), into)
            }));
        }
        let (mut parts, mut proof) = (Vec::new(), Vec::new());
        let is_readable = !matches!(self.key(), DecryptionKey::Absent);
        self.archive.dumps()?;
        self.archive.file(PROOF)?;
        if is_readable {
            for file in self.archive.dumps()? {
                place(&mut into, parts.len())?;
                let (summary, back) = self.part(file, into)?;
                into = back;
                parts.push(summary);
            }
        }
        for file in &self.archive.files {
            let stem = archive::stem(&file.name);
            if is_readable && (stem == DUMP || archive::is_rows(stem)) {
                continue;
            }
            let content = match stem {
                PROOF => self.proof(file, &mut proof),
                _ => self.one(file, &mut io::sink()),
            }?;
            self.check_length(file, content)?;
        }
        if !is_readable {
            return Ok(None);
        }
        let joined = dump_parts::join(&parts)
            .map_err(|error| damaged(&self.archive, &format!("{error:#}")))?;
        let proof: Proof = serde_json::from_slice(&proof).context("reading proof.json")?;
        self.compare(&proof, &joined.summary)?;
        let whole = ReadArchive {
            contents: ArchiveContents::new(proof, joined.summary.clone()),
            parts,
            joined: Some(joined),
        };
        Ok(Some((whole, into)))
    }

    /// Reads a part of the dump.
    fn part<W: Write + Send>(&self, file: &StoredFile, into: W) -> Result<(DumpSummary, W)> {
        let mut tap = DumpInspector::limited(into, in_memory(file));
        let content = pipe::across(&mut tap, |into| self.one(file, into))?;
        self.check_length(file, content)?;
        let (into, summary) = tap.finish()?;
        Ok((summary, into))
    }

    fn check_length(&self, file: &StoredFile, content: u64) -> Result<()> {
        if content == file.content || matches!(self.key(), DecryptionKey::Absent) {
            return Ok(());
        }
        Err(damaged(
            &self.archive,
            &format!("{} has a different length", file.name),
        )
        .into())
    }

    /// Reads `proof.json` into memory.
    fn proof(&self, file: &StoredFile, into: &mut Vec<u8>) -> Result<u64> {
        if file.content > in_memory(file) {
            let why = format!("{} is larger than the file allows", file.name);
            return Err(damaged(&self.archive, &why).into());
        }
        self.one(file, into)
    }

    fn one(&self, file: &StoredFile, into: &mut dyn Write) -> Result<u64> {
        self.open(file, self.key(), into)
    }

    /// Reads a file only to see that it is the one that was stored.
    fn stored(&self, file: &StoredFile) -> Result<()> {
        self.open(file, DecryptionKey::Absent, &mut io::sink())
            .map(|_| ())
    }

    fn open(&self, file: &StoredFile, key: DecryptionKey<'_>, into: &mut dyn Write) -> Result<u64> {
        let mut counted = Counted {
            inner: self.store.read(&self.archive.name, &file.name)?,
            passed: &self.passed,
            stop: &self.stop,
        };
        let expected = file.checksum();
        file_encoding::open(&file.name, &mut counted, &expected, key, into, file.content)
    }

    /// Compares the dump with the expected contents.
    fn compare(&self, proof: &Proof, summary: &DumpSummary) -> Result<()> {
        let mut now = tables(summary);
        now.sort();
        let is_same = now == proof.tables
            && sequences(&summary.toc) == proof.sequences
            && proof
                .contents
                .as_ref()
                .is_none_or(|contents| *contents == summary.contents)
            && proof.large_objects == summary.large_objects.into();
        if !is_same {
            return Err(damaged(&self.archive, "the dump does not match proof.json").into());
        }
        Ok(())
    }
}

/// Returns how many bytes of a file's content may be kept in memory: a multiple of its compressed size, small enough
/// that a few stored bytes cannot exhaust it.
fn in_memory(file: &StoredFile) -> u64 {
    (32 << 20) + file.size.saturating_mul(256)
}

fn damaged(archive: &Archive, why: &str) -> Failure {
    fail(format!("backup `{}` is damaged: {why}", archive.name))
        .hint("use another backup; this one cannot be trusted")
}

struct Counted<'a> {
    inner: Box<dyn Read + Send>,
    passed: &'a AtomicU64,
    stop: &'a std::sync::atomic::AtomicBool,
}

impl Read for Counted<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("interrupted"));
        }
        let read = self.inner.read(into)?;
        self.passed.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Reads on a separate thread, because it computes, and reports progress.
async fn supervise<T: Send + 'static>(
    reading: ArchiveReader,
    watch: Watch<'_>,
    interrupt: &Interrupt,
    work: impl FnOnce(&ArchiveReader) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (passed, stop) = (Arc::clone(&reading.passed), Arc::clone(&reading.stop));
    let (name, total) = (reading.archive.name.clone(), reading.archive.stored_bytes());
    watch(Event::Began {
        task: "verifying the backup",
        total: Some(total),
        unit: Unit::Bytes,
    });
    let mut working = tokio::task::spawn_blocking(move || work(&reading));
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(200));
    let worked = loop {
        tokio::select! {
            worked = &mut working => break worked.context("reading the backup")?,
            () = interrupt.wait(), if !stop.load(Ordering::Relaxed) => stop.store(true, Ordering::Relaxed),
            _ = tick.tick() => watch(Event::Advanced { done: passed.load(Ordering::Relaxed), note: &name }),
        }
    };
    watch(Event::Ended);
    if stop.load(Ordering::Relaxed) {
        return Err(crate::error::with_exit(
            crate::error::Exit::Interrupted,
            "interrupted; nothing was changed",
        )
        .into());
    }
    worked
}
