//! SQL text: safe assembly, tokens, splitting and classification of statements.

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
