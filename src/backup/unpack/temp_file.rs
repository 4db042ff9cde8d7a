//! Temporary files that are private and need no removal.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// A file without a name where the system allows it, so that nothing is left behind after a crash.
pub(crate) struct TempFile {
    pub(crate) file: File,
    path: PathBuf,
    _named: Option<tempfile::TempPath>,
}

impl TempFile {
    /// Returns the path for other programs, valid while this value lives.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn make(directory: &Path) -> Result<Self> {
        let doing = || format!("creating a temporary file in {}", directory.display());
        #[cfg(target_os = "linux")]
        {
            use std::os::fd::AsRawFd as _;
            let file = tempfile::tempfile_in(directory).with_context(doing)?;
            let path = PathBuf::from(format!(
                "/proc/{}/fd/{}",
                std::process::id(),
                file.as_raw_fd()
            ));
            if path.exists() {
                return Ok(TempFile {
                    file,
                    path,
                    _named: None,
                });
            }
        }
        let named = tempfile::NamedTempFile::new_in(directory).with_context(doing)?;
        let (file, path) = named.into_parts();
        Ok(TempFile {
            file,
            path: path.to_path_buf(),
            _named: Some(path),
        })
    }

    /// Allocates `bytes` bytes at once, which is much cheaper than page by page.
    ///
    /// A failure is ignored: writing reports it.
    pub(crate) fn reserve(&self, bytes: u64) {
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{FallocateFlags, fallocate};

            // The file ends where writing ends all the same.
            let _ = fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, bytes);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = bytes;
    }
}
