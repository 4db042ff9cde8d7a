//! Tests against a real PostgreSQL, in one binary.

mod support;

mod catalog;
mod scratch;
mod supabase;
