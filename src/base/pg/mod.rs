//! Owns every conversation with a PostgreSQL server: where it is, how to reach it, what it is, what it answered.
//!
//! Knows nothing of migrations, policies or configuration files.

pub mod backend;
pub mod cancel;
pub mod connect;
pub mod dev;
pub mod embedded;
pub mod facts;
pub mod group;
mod handshake;
pub mod kept;
pub mod lock;
pub mod marker;
pub mod pooler;
pub mod scratch;
pub mod server_error;
pub mod session;
pub mod supabase;
pub mod target;
mod tls;
pub mod tools;
