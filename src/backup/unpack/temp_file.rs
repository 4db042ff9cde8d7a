//! Owns files that nobody else sees and nobody has to remove.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// A file without a name where the system allows it, so that nothing stays behind however we end.
pub(crate) struct TempFile {
    pub(crate) file: File,
    path: PathBuf,
    _named: Option<tempfile::TempPath>,
}

impl TempFile {
    /// Gives the path under which another program can open it while this value lives.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn make(directory: &Path) -> Result<Self> {
        let doing = || format!("making a scratch file in {}", directory.display());
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

    /// Takes the room for so many bytes at once, which costs a fraction of taking it page by page.
    ///
    /// Where it is not to be had like that, writing will tell.
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
