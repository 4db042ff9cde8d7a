//! The fingerprint of a catalog: one hash of everything that is compared.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::catalog::{Catalog, Key, Object};

impl Catalog {
    /// Returns the sha256 of the canonical text, as `sha256:` and 64 hexadecimal digits.
    ///
    /// Equal catalogs have equal fingerprints on every machine and every server version that prints them the same.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        let mut text = String::new();
        for (key, object) in &self.objects {
            text.clear();
            write_object(&mut text, key, object);
            hash.update(text.as_bytes());
        }
        let mut hex = String::from("sha256:");
        for byte in hash.finalize() {
            let _ = write!(hex, "{byte:02x}");
        }
        hex
    }
}

/// Every string is quoted, so that different objects never produce the same text.
fn write_object(text: &mut String, key: &Key, object: &Object) {
    let _ = writeln!(
        text,
        "{} {:?} {:?} {:?}",
        key.kind.word(),
        key.schema,
        key.name,
        key.part
    );
    if let Some(owner) = &object.owner {
        let _ = writeln!(text, " owner {owner:?}");
    }
    if let Some(comment) = &object.comment {
        let _ = writeln!(text, " comment {comment:?}");
    }
    if let Some(acl) = &object.acl {
        let _ = writeln!(text, " acl {:?}", acl.sorted());
    }
    for label in &object.labels {
        let _ = writeln!(text, " label {label:?}");
    }
    for (name, value) in &*object.facts {
        let _ = writeln!(text, " {name} {value:?}");
    }
}
