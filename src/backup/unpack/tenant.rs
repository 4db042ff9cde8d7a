//! Reads a tenant's archive back: verifies every checksum, then compares the script with the expected rows.

use std::fs::File;
use std::io::{self, Seek as _, Write};
use std::path::Path;

use anyhow::{Context as _, Result};

use super::{ArchiveReader, ArchiveSource, check_key, damaged, supervise, unpack_trouble};
use crate::archive::{self, Archive, PROOF};
use crate::event::{Interrupt, Watch};
use crate::file_encoding::DecryptionKey;
use crate::proof::Proof;
use crate::tenant::SCRIPT;
use crate::tenant::script::ScriptInspector;

/// A verified tenant archive, its script unpacked into a private file.
pub struct UnpackedScript {
    /// Its description.
    pub archive: Archive,
    /// What must hold of the rows once they are loaded.
    pub proof: Proof,
    /// The script, from its beginning.
    pub script: io::BufReader<File>,
}

/// Checks every file of a tenant's archive and unpacks its script.
pub async fn unpack(
    source: &ArchiveSource<'_>,
    directory: &Path,
    watch: Watch<'_>,
    interrupt: &Interrupt,
) -> Result<UnpackedScript> {
    let archive = source.store.archive(source.name)?;
    check_key(source, &archive)?;
    let file = tempfile::tempfile_in(directory)
        .with_context(|| format!("creating a temporary file in {}", directory.display()))?;
    let into = file.try_clone().context("unpacking the script")?;
    let reading = ArchiveReader::new(source, &archive);
    let proof = supervise(reading, watch, interrupt, move |reading| {
        let unpacked = reading.script(io::BufWriter::new(into))?;
        let (proof, mut into) = unpacked.context("the backup could not be read")?;
        into.flush().map_err(unpack_trouble)?;
        Ok(proof)
    })
    .await?;
    let mut script = io::BufReader::with_capacity(256 << 10, file);
    script.rewind().context("unpacking the script")?;
    Ok(UnpackedScript {
        archive,
        proof,
        script,
    })
}

impl ArchiveReader {
    /// Reads every file of a tenant's archive; the script goes to `into`.
    pub(super) fn script<W: Write>(&self, mut into: W) -> Result<Option<(Proof, W)>> {
        let mut summary = ScriptInspector::default();
        let mut proof = Vec::new();
        for file in &self.archive.files {
            match archive::stem(&file.name) {
                SCRIPT => self.one(
                    file,
                    &mut Both {
                        one: &mut summary,
                        other: &mut into,
                    },
                ),
                PROOF => self.proof(file, &mut proof),
                _ => self.one(file, &mut io::sink()),
            }?;
        }
        self.archive.file(SCRIPT)?;
        self.archive.file(PROOF)?;
        if matches!(self.key(), DecryptionKey::Absent) {
            return Ok(None);
        }
        let proof: Proof = serde_json::from_slice(&proof).context("reading proof.json")?;
        if !summary.holds(&proof.tables) {
            let why = "the script does not match proof.json";
            return Err(damaged(&self.archive, why).into());
        }
        Ok(Some((proof, into)))
    }
}

/// Writes to two places.
struct Both<'a> {
    one: &'a mut dyn Write,
    other: &'a mut dyn Write,
}

impl Write for Both<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.one.write_all(bytes)?;
        self.other.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.other.flush()
    }
}
