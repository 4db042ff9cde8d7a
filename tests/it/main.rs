//! Tests against a real PostgreSQL, in one binary.

mod support;

mod catalog;
mod manifest;
mod scratch;
mod supabase;
