//! Prints an error with everything a user sees of it.

use af_db::error::{exit_of, hint_of};

/// Returns message, causes, hint and exit status, with the given texts replaced by constant names.
pub(crate) fn shown(error: &anyhow::Error, replaced: &[(&str, &str)]) -> String {
    let mut text = format!("error: {error}");
    for cause in error.chain().skip(1) {
        text.push_str(&format!("\ncaused by: {cause}"));
    }
    if let Some(hint) = hint_of(error) {
        text.push_str(&format!("\nhint: {hint}"));
    }
    text.push_str(&format!("\nexit: {}", exit_of(error).code()));
    for (from, to) in replaced {
        text = text.replace(from, to);
    }
    text
}
