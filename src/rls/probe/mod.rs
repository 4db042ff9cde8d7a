//! Owns the attempts, one family a file. Each finds leaks by what happens, names what lets them through, and has a control
//! that could have failed.

mod argument;
mod blame;
pub(super) mod bulk;
pub(super) mod call;
pub(super) mod climb;
mod compose;
mod early;
pub(super) mod grant;
mod merge;
pub(super) mod peek;
pub(super) mod read;
pub(super) mod refer;
pub(super) mod search;
mod shadow;
pub(super) mod stand;
pub(super) mod write;
