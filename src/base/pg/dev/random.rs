//! Random passwords and tokens, from the operating system's own source.

use anyhow::{Context as _, Result};

/// Returns 24 random characters.
pub(super) fn password() -> Result<String> {
    use base64::Engine as _;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random_bytes()?))
}

#[cfg(unix)]
pub(super) fn random_bytes() -> Result<[u8; 18]> {
    use std::io::Read as _;
    let mut bytes = [0; 18];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .context("reading /dev/urandom")?;
    Ok(bytes)
}

/// The standard library seeds its hash keys from the operating system.
#[cfg(not(unix))]
pub(super) fn random_bytes() -> Result<[u8; 18]> {
    use std::hash::{BuildHasher as _, RandomState};
    let mut bytes = [0; 18];
    for part in bytes.chunks_mut(8) {
        let fresh = std::thread::spawn(|| RandomState::new().hash_one(0))
            .join()
            .map_err(|_| crate::error::fail("generating a password failed"))?;
        part.copy_from_slice(&fresh.to_le_bytes()[..part.len()]);
    }
    Ok(bytes)
}
