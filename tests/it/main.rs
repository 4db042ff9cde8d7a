//! Tests against a real PostgreSQL, in one binary.

mod support;

mod adopt;
mod backup;
mod block_budget;
mod catalog;
mod cli_dev;
mod cli_doctor;
mod cli_format;
mod cli_prove;
mod cli_wrong;
#[cfg(feature = "sqlite")]
mod copy;
mod dev;
mod drift;
mod fleet;
mod fuzz;
mod generated;
mod house;
mod journal;
mod laws;
mod manifest;
mod migrate;
mod observe;
mod output;
mod pg_certificates;
mod pg_connect;
mod pg_lock;
mod pg_pooler;
mod pg_tls;
mod plan;
mod protection;
mod reading;
mod reference;
mod rls_compare;
mod rls_live;
mod rls_mutations;
mod rls_prove;
mod sandbox;
mod shadow_server;
mod supabase;
mod tidy;
mod times;
