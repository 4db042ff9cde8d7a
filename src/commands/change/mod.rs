//! What every command that writes to a managed database does: choose, check the guards, run under the lock, verify.

pub(crate) mod approved_plan;
pub(crate) mod data_loss;
pub(crate) mod gate;
pub(crate) mod planning;
pub(crate) mod run;
pub(crate) mod select;
pub(crate) mod verify;
