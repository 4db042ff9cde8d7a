//! Connections to PostgreSQL servers: where a server is, how to reach it, what it is, what it answered.
//!
//! Independent of migrations, policies and configuration files.

pub mod backend;
pub mod cancel;
pub mod child_server;
pub mod connect;
pub mod dev;
pub mod embedded;
mod handshake;
pub mod lock;
pub mod pooler;
pub mod process_group;
pub mod program;
pub mod protection_marker;
pub mod server_error;
pub mod server_info;
pub mod session;
pub mod session_setup;
pub mod shadow_server;
pub mod supabase;
pub mod target;
mod tls;
