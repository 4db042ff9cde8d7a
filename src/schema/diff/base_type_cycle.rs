//! Says how a base type and the functions that read and write it come and go: each needs the other.
//!
//! The type is there as a shell before its first function, and whole behind its last; it goes with all of them at once.

use crate::catalog::{Catalog, Key, Kind};
use crate::diff::plan::Plan;

impl Plan<'_> {
    /// Returns the base types that a function serves: those it needs and that need it.
    pub(super) fn base_types_of_function(&self, catalog: &Catalog, function: &Key) -> Vec<Key> {
        if function.kind != Kind::Function {
            return Vec::new();
        }
        let needs = catalog
            .get(function)
            .map(|object| object.needs.as_slice())
            .unwrap_or_default();
        needs
            .iter()
            .filter(|needed| needed.kind == Kind::Type)
            .filter(|of| {
                catalog
                    .get(of)
                    .is_some_and(|object| object.needs.contains(function))
            })
            .cloned()
            .collect()
    }

    /// Returns the function of a new base type that is made before its others.
    pub(super) fn first_type_function(&self, of: &Key) -> Option<&Key> {
        let object = self.to.get(of).filter(|_| self.made.contains(of))?;
        object.needs.iter().find(|needed| {
            self.made.contains(*needed) && self.base_types_of_function(self.to, needed).contains(of)
        })
    }

    /// Returns the types that must be there as shells before a function is made.
    pub(super) fn shell_types_before(&self, function: &Key) -> Vec<Key> {
        let mut types = self.base_types_of_function(self.to, function);
        types.retain(|of| self.first_type_function(of) == Some(function));
        types
    }
}
