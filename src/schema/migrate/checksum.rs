//! Checksums of migrations: refinery's, for both version widths, and sha256.

use std::hash::{Hash as _, Hasher as _};

use sha2::{Digest as _, Sha256};
use siphasher::sip::SipHasher13;

/// How wide versions are in a history table; it goes into refinery's checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// `int4`, refinery's default.
    Int4,
    /// `int8`, refinery's `int8-versions`.
    Int8,
}

/// Computes what refinery stores for a migration.
///
/// Refinery hashes the name, the version in its compiled width, and the text.
pub fn refinery(name: &str, version: i64, text: &str, width: Width) -> u64 {
    let mut hasher = SipHasher13::new();
    name.hash(&mut hasher);
    match width {
        // A version that does not fit can never have been stored in this width.
        Width::Int4 => i32::try_from(version).unwrap_or(i32::MAX).hash(&mut hasher),
        Width::Int8 => version.hash(&mut hasher),
    }
    text.hash(&mut hasher);
    hasher.finish()
}

/// Computes the sha256 of a text, in hexadecimal.
pub fn sha256(text: &str) -> String {
    format!("{:x}", Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_what_refinery_computes() {
        for (stem, sql) in [
            ("V1__k", "SELECT 1;"),
            ("V20260401120000__größe_x", ""),
            ("U3__a", "a\r\nb"),
        ] {
            let theirs = refinery_core::Migration::unapplied(stem, sql).unwrap();
            let ours = refinery(theirs.name(), theirs.version(), sql, Width::Int8);
            assert_eq!(ours, theirs.checksum(), "{stem}");
        }
    }

    #[test]
    fn widths_differ() {
        let both = [Width::Int4, Width::Int8].map(|width| refinery("k", 1, "", width));
        assert_ne!(both[0], both[1]);
    }
}
