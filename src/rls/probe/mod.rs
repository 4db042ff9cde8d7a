//! The probes, one family per file. Each finds leaks by what happens, names the cause, and has a control
//! that could have failed.

mod call_arguments;
pub(super) mod context;
pub(super) mod copy_command;
pub(super) mod foreign_keys;
pub(super) mod function_calls;
mod leak_cause;
mod leaky_functions;
mod merge_command;
pub(super) mod privilege_escalation;
pub(super) mod privileges;
pub(super) mod random_search;
pub(super) mod reads;
mod search_path_hijack;
pub(super) mod side_channels;
mod write_statements;
pub(super) mod writes;
