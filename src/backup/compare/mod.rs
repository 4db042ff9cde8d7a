//! Compares a restored database with its archive; every difference names its object.

pub mod data;
pub mod properties;
pub mod rows;
pub mod schema;

#[derive(Clone, Copy, Debug)]
pub struct SchemaCompareOptions {
    /// The restore left every object to the restoring role.
    pub no_owner: bool,
    /// The servers are of different major versions, which print the same view differently.
    pub across_majors: bool,
    /// Roles of the archive were mapped to the same role, so their grants merged.
    pub roles_merged: bool,
}
