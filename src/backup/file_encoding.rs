//! How a file of an archive is stored: compressed with zstd and its checksums, encrypted with age on request,
//! and hashed as it reaches the store.
//!
//! The format is standard: `age -d | zstd -d` restores the content.

use std::io::{self, BufRead, BufReader, Read, Write};

use age::x25519::{Identity, Recipient};
use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

use crate::error::{fail, failure_in_stream_error};

/// The size and checksum of a stored file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChecksum {
    /// Bytes as stored.
    pub size: u64,
    /// SHA-256 of the bytes as stored, in hexadecimal.
    pub sha256: String,
}

/// Where a stored file goes: a file or an upload.
pub trait Sink: Write + Send {
    /// Makes what was written durable, or fails.
    fn complete(self: Box<Self>) -> Result<()>;
}

/// Counts and hashes what passes.
struct Hashing<T> {
    inner: T,
    digest: Sha256,
    size: u64,
}

impl<T> Hashing<T> {
    fn new(inner: T) -> Self {
        Hashing {
            inner,
            digest: Sha256::new(),
            size: 0,
        }
    }

    fn checksum(self) -> (T, FileChecksum) {
        let sealed = FileChecksum {
            size: self.size,
            sha256: hex(&self.digest.finalize()),
        };
        (self.inner, sealed)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.digest.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.digest.update(&into[..read]);
        self.size += read as u64;
        Ok(read)
    }
}

type Bottom = Hashing<Box<dyn Sink>>;

enum Layer {
    Clear(Bottom),
    Secret(Box<age::stream::StreamWriter<Bottom>>),
}

impl Write for Layer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Layer::Clear(bottom) => bottom.write(bytes),
            Layer::Secret(age) => age.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Layer::Clear(bottom) => bottom.flush(),
            Layer::Secret(age) => age.flush(),
        }
    }
}

/// Compresses a piece at a time, each a frame of its own with its checksum, which costs a fifth less than one endless frame: nothing
/// is copied into a window first.
struct ZstdFrames {
    layer: Layer,
    zstd: zstd::bulk::Compressor<'static>,
    held: Vec<u8>,
    frame: Vec<u8>,
}

impl ZstdFrames {
    /// What one frame holds; twice as far as level 1 looks back.
    const PIECE: usize = 1 << 20;

    fn new(layer: Layer) -> io::Result<Self> {
        // Level 1 is both smaller and faster than gzip 6 on dumps; higher levels cost more than they save.
        let mut zstd = zstd::bulk::Compressor::new(1)?;
        zstd.include_checksum(true)?;
        Ok(ZstdFrames {
            layer,
            zstd,
            held: Vec::with_capacity(Self::PIECE),
            frame: vec![0; zstd::zstd_safe::compress_bound(Self::PIECE)],
        })
    }

    /// Writes what is held as a frame.
    fn end_frame(&mut self) -> io::Result<()> {
        let length = self.zstd.compress_to_buffer(&self.held, &mut self.frame)?;
        self.held.clear();
        self.layer.write_all(&self.frame[..length])
    }

    fn finish(mut self) -> io::Result<Layer> {
        // Empty content is a frame, too.
        self.end_frame()?;
        Ok(self.layer)
    }
}

impl Write for ZstdFrames {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.held.len() == Self::PIECE {
            self.end_frame()?;
        }
        let taken = bytes.len().min(Self::PIECE - self.held.len());
        self.held.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.layer.flush()
    }
}

/// Writes one file of an archive.
pub struct Writer {
    frames: ZstdFrames,
}

impl Writer {
    /// Begins a file; with recipients only they can read it.
    pub fn new(sink: Box<dyn Sink>, recipients: &[Recipient]) -> Result<Self> {
        let bottom = Hashing::new(sink);
        let layer = if recipients.is_empty() {
            Layer::Clear(bottom)
        } else {
            let recipients = recipients.iter().map(|one| one as &dyn age::Recipient);
            let encryptor =
                age::Encryptor::with_recipients(recipients).context("preparing encryption")?;
            Layer::Secret(Box::new(encryptor.wrap_output(bottom)?))
        };
        Ok(Writer {
            frames: ZstdFrames::new(layer)?,
        })
    }

    /// Ends the file and returns its checksum.
    pub fn complete(self) -> Result<FileChecksum> {
        let bottom = match self.frames.finish()? {
            Layer::Clear(bottom) => bottom,
            Layer::Secret(age) => age.finish()?,
        };
        let (mut sink, sealed) = bottom.checksum();
        sink.flush()?;
        sink.complete()?;
        Ok(sealed)
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.frames.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.frames.flush()
    }
}

/// Whether a stored file can be read, not only checked.
#[derive(Clone, Copy)]
pub enum DecryptionKey<'a> {
    /// It is not encrypted.
    None,
    /// It is encrypted and these may open it.
    Identities(&'a [Identity]),
    /// Encrypted without a key: only the checksum is verified.
    Absent,
}

/// Copies what is inside a stored file to `into` and checks size and checksum of the whole of it.
///
/// A difference in size or checksum is reported before any other error, because it is their cause. What reached `into` must
/// not be used unless this succeeded. No more than `most` bytes reach it, however much a few compressed ones would become.
pub fn open(
    name: &str,
    stored: &mut dyn Read,
    expected: &FileChecksum,
    key: DecryptionKey<'_>,
    into: &mut dyn Write,
    most: u64,
) -> Result<u64> {
    // One byte too many is enough to see that it is another file.
    let mut hashing = Hashing::new(stored.take(expected.size.saturating_add(1)));
    let mut into = Limited {
        inner: into,
        left: most,
    };
    let copied = unseal(&mut hashing, key, &mut into);
    let drained = io::copy(&mut hashing, &mut io::sink());
    let (_, found) = hashing.checksum();
    if let Err(error) = drained {
        return Err(failure_in_stream_error(error.into()).context(format!("reading {name}")));
    }
    if found.size != expected.size {
        return Err(fail(format!(
            "{name} is damaged: {} bytes instead of {}",
            found.size, expected.size
        ))
        .hint("use another backup; this one cannot be trusted")
        .into());
    }
    if found.sha256 != expected.sha256 {
        return Err(fail(format!("{name} is damaged: checksum mismatch"))
            .hint("use another backup; this one cannot be trusted")
            .into());
    }
    copied.with_context(|| format!("reading {name}"))
}

fn unseal(stored: &mut dyn Read, key: DecryptionKey<'_>, into: &mut dyn Write) -> Result<u64> {
    match key {
        DecryptionKey::Absent => Ok(0),
        DecryptionKey::None => unzip(stored, into),
        DecryptionKey::Identities(identities) => {
            let input = bounded_header(stored)?;
            let decryptor =
                age::Decryptor::new_buffered(input).context("reading the age header")?;
            let identities = identities.iter().map(|one| one as &dyn age::Identity);
            let opened = decryptor.decrypt(identities).map_err(|_| {
                fail("none of the given keys decrypts this backup")
                    .hint("pass the identity file of one of its recipients with --identity")
            })?;
            unzip(opened, into)
        }
    }
}

/// The longest age header: room for hundreds of recipients. Its reader parses what it has again with every line that
/// arrives, so a longer one would cost time out of all proportion.
const HEADER_BYTES: u64 = 1 << 16;

/// Reads no more of an age header than the bound allows, and refuses one that does not end within it before anything of it
/// is parsed.
fn bounded_header(stored: &mut dyn Read) -> Result<impl BufRead> {
    let mut start = Vec::new();
    stored.take(HEADER_BYTES).read_to_end(&mut start)?;
    // The reader of a header reads whole lines, however long: where none ends the header, it gets no more than this.
    let ends = memchr::memmem::find(&start, b"\n---")
        .is_some_and(|end| memchr::memchr(b'\n', &start[end + 1..]).is_some());
    if !ends && start.len() as u64 == HEADER_BYTES && start.starts_with(b"age-encryption.org/") {
        return Err(anyhow::Error::msg("the age header is longer than 64 kB")
            .context("reading the age header"));
    }
    let rest = stored.take(if ends { u64::MAX } else { 0 });
    Ok(BufReader::new(io::Cursor::new(start).chain(rest)))
}

/// Takes so many bytes and no more.
struct Limited<'a> {
    inner: &'a mut dyn Write,
    left: u64,
}

impl Write for Limited<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len() as u64;
        if length > self.left {
            return Err(io::Error::other("the content is longer than declared"));
        }
        self.inner.write_all(bytes)?;
        self.left -= length;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The largest window, as a power of two, that a frame may ask memory for; ours ask for less.
const WINDOW: u32 = 25;

fn unzip(stored: impl Read, into: &mut dyn Write) -> Result<u64> {
    let mut zstd = zstd::Decoder::new(stored)?;
    zstd.window_log_max(WINDOW)?;
    let mut buffer = vec![0; 128 << 10];
    let mut copied = 0;
    loop {
        let read = zstd.read(&mut buffer)?;
        if read == 0 {
            return Ok(copied);
        }
        into.write_all(&buffer[..read])?;
        copied += read as u64;
    }
}

pub fn recipients(texts: &[String]) -> Result<Vec<Recipient>> {
    texts
        .iter()
        .map(|text| {
            text.parse::<Recipient>().map_err(|why| {
                fail(format!("`{text}` is not an age recipient: {why}"))
                    .hint("a recipient begins with age1; `age-keygen` prints one")
                    .into()
            })
        })
        .collect()
}

/// Reads an identity file as `age-keygen` writes it.
pub fn identities(text: &str) -> Result<Vec<Identity>> {
    let found = text
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("AGE-SECRET-KEY-"))
        .map(|line| {
            line.parse::<Identity>()
                .map_err(|why| fail(format!("cannot read an age identity: {why}")).into())
        })
        .collect::<Result<Vec<_>>>()?;
    if found.is_empty() {
        return Err(fail("the identity file contains no age identity")
            .hint("the file needs a line that begins with AGE-SECRET-KEY-1")
            .into());
    }
    Ok(found)
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        use std::fmt::Write as _;
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// Keeps what was written.
    #[derive(Clone, Default)]
    pub(crate) struct Kept(pub(crate) Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Sink for Kept {
        fn complete(self: Box<Self>) -> Result<()> {
            Ok(())
        }
    }

    fn seal(content: &[u8], recipients: &[Recipient]) -> (Vec<u8>, FileChecksum) {
        let kept = Kept::default();
        let mut writer = Writer::new(Box::new(kept.clone()), recipients).unwrap();
        writer.write_all(content).unwrap();
        let sealed = writer.complete().unwrap();
        let stored = kept.0.lock().unwrap().clone();
        (stored, sealed)
    }

    fn read(stored: &[u8], sealed: &FileChecksum, key: DecryptionKey<'_>) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        open("f", &mut { stored }, sealed, key, &mut content, u64::MAX)?;
        Ok(content)
    }

    #[test]
    fn an_age_header_is_bounded() {
        let key = Identity::generate();
        let recipients = vec![key.to_public(); 100];
        let (stored, sealed) = seal(b"content", &recipients);
        let keys = [key];
        assert_eq!(
            read(&stored, &sealed, DecryptionKey::Identities(&keys)).unwrap(),
            b"content"
        );
        let stanza = b"-> other\nAAAA\n";
        let begin = b"age-encryption.org/v1\n";
        let mut endless = begin.to_vec();
        for _ in 0..20_000 {
            endless.extend_from_slice(stanza);
        }
        let mut stored = &endless[..];
        let opened = unseal(
            &mut stored,
            DecryptionKey::Identities(&keys),
            &mut io::sink(),
        );
        let error = format!("{:#}", opened.unwrap_err());
        assert!(
            error.ends_with("the age header is longer than 64 kB"),
            "{error}"
        );
        assert!(stored.len() > endless.len() / 2);
    }

    #[test]
    fn an_age_header_with_an_endless_line_is_bounded() {
        let keys = [Identity::generate()];
        for (begin, refusal) in [
            ("", "Header is invalid"),
            (
                "age-encryption.org/v1\n",
                "the age header is longer than 64 kB",
            ),
            (
                "age-encryption.org/v1\n-> other\nAAAA\n---",
                "the age header is longer than 64 kB",
            ),
        ] {
            let mut endless = begin.as_bytes().to_vec();
            endless.resize(1 << 20, b'A');
            let mut stored = &endless[..];
            let opened = unseal(
                &mut stored,
                DecryptionKey::Identities(&keys),
                &mut io::sink(),
            );
            let error = format!("{:#}", opened.unwrap_err());
            assert!(error.contains(refusal), "{begin}: {error}");
            assert!(stored.len() > endless.len() / 2, "{begin}");
        }
    }

    #[test]
    fn content_longer_than_declared_is_refused() {
        let (stored, sealed) = seal(&vec![0; 64 << 20], &[]);
        let unpacked = |most: u64| {
            let mut content = Vec::new();
            let opened = open(
                "f",
                &mut &stored[..],
                &sealed,
                DecryptionKey::None,
                &mut content,
                most,
            );
            (opened.is_ok(), content.len())
        };
        assert_eq!(unpacked(64 << 20), (true, 64 << 20));
        let (is_open, length) = unpacked(1 << 20);
        assert!(!is_open && length <= 1 << 20, "{length}");
        // A store that never ends is not read to its end.
        let mut endless = (&stored[..]).chain(io::repeat(0));
        let error = open(
            "f",
            &mut endless,
            &sealed,
            DecryptionKey::Absent,
            &mut io::sink(),
            0,
        )
        .unwrap_err();
        assert!(error.to_string().contains("bytes instead of"), "{error}");
    }

    #[test]
    fn a_file_is_decrypted_only_with_the_right_key() {
        let (mine, other) = (Identity::generate(), Identity::generate());
        let (stored, sealed) = seal(b"secret rows", &[mine.to_public()]);
        assert!(stored.starts_with(b"age-encryption.org/v1"));
        let opened = read(&stored, &sealed, DecryptionKey::Identities(&[mine])).unwrap();
        assert_eq!(opened, b"secret rows");
        let error = read(&stored, &sealed, DecryptionKey::Identities(&[other])).unwrap_err();
        assert!(
            format!("{error:#}").contains("none of the given keys"),
            "{error:#}"
        );
        assert!(
            read(&stored, &sealed, DecryptionKey::Absent)
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn every_length_round_trips_as_standard_zstd() {
        let piece = ZstdFrames::PIECE;
        for length in [0, 1, piece - 1, piece, piece + 1, 2 * piece, 3 * piece + 5] {
            let content: Vec<u8> = (0..length).map(|at| (at / 7 % 251) as u8).collect();
            let (stored, sealed) = seal(&content, &[]);
            assert!(read(&stored, &sealed, DecryptionKey::None).unwrap() == content);
            assert!(zstd::decode_all(&stored[..]).unwrap() == content);
        }
    }

    #[test]
    fn no_flipped_bit_is_ever_accepted() {
        let mine = Identity::generate();
        for recipients in [vec![], vec![mine.to_public()]] {
            let (stored, sealed) = seal(b"1\ta\n2\tb\n", &recipients);
            let identities = [mine.clone()];
            let key = if recipients.is_empty() {
                DecryptionKey::None
            } else {
                DecryptionKey::Identities(&identities)
            };
            for bit in 0..stored.len() * 8 {
                let mut damaged = stored.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                let error = read(&damaged, &sealed, key).unwrap_err();
                assert!(
                    error.to_string().contains("checksum"),
                    "bit {bit}: {error:#}"
                );
            }
            for end in 0..stored.len() {
                assert!(read(&stored[..end], &sealed, key).is_err(), "cut at {end}");
            }
        }
    }

    #[test]
    fn invalid_keys_are_named() {
        assert!(recipients(&["age1nonsense".to_owned()]).is_err());
        assert!(identities("# nothing").is_err());
    }
}
