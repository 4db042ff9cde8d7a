//! Owns comparing a restored database with the proof of its archive; every difference names its object.

pub mod data;
pub mod properties;
pub mod rows;
pub mod schema;

/// What decides how strictly two schemas are compared.
#[derive(Clone, Copy, Debug)]
pub struct SchemaCompareOptions {
    /// Owners were left to whoever restores.
    pub no_owner: bool,
    /// The servers are of different major versions, which print the same view differently.
    pub across_majors: bool,
    /// Roles of the archive became one, and with them what each was granted.
    pub roles_merged: bool,
}
