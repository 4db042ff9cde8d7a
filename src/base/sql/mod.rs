//! Owns SQL text: names that quote themselves and text fit to run; splitting and classifying statements.
//!
//! Never talks to a server and never builds a catalog.

pub mod name;
pub mod safe;
pub mod text;

pub mod position;
pub mod printable;
pub mod redact;
pub mod token;

pub mod directive;
pub mod external_access;
pub mod phrase;

pub mod class;
pub mod classify;
mod quoting;
pub mod split;
