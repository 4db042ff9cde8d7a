//! Helpers shared by the tests.

pub(crate) mod dev_project;
pub(crate) mod message;
pub(crate) mod packages;
pub(crate) mod project;
pub(crate) mod proxy;
pub(crate) mod server;
pub(crate) mod tcp_server;
