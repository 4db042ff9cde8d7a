//! The order of a base type and its input and output functions, which depend on each other.
//!
//! The type is created as a shell before its first function and completed after the last; all are dropped together.

use crate::catalog::{Catalog, Key, Kind};
use crate::diff::plan::Plan;

impl Plan<'_> {
    /// Returns the base types of an input or output function: those that it depends on and that depend on it.
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

    /// Returns the function of a new base type that is created first.
    pub(super) fn first_type_function(&self, of: &Key) -> Option<&Key> {
        let object = self.to.get(of).filter(|_| self.made.contains(of))?;
        object.needs.iter().find(|needed| {
            self.made.contains(*needed) && self.base_types_of_function(self.to, needed).contains(of)
        })
    }

    /// Returns the types that are created as shells before a function.
    pub(super) fn shell_types_before(&self, function: &Key) -> Vec<Key> {
        let mut types = self.base_types_of_function(self.to, function);
        types.retain(|of| self.first_type_function(of) == Some(function));
        types
    }
}
