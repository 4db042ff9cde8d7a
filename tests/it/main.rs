//! Tests against a real PostgreSQL, in one binary.
