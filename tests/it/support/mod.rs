//! What the tests share.

pub(crate) mod message;
pub(crate) mod networked;
pub(crate) mod packages;
pub(crate) mod program;
pub(crate) mod project;
pub(crate) mod proxy;
pub(crate) mod server;
