//! Asks whether an object was dropped or renamed.

use anyhow::Result;

use crate::catalog::Key;
use crate::commands::Context;
use crate::manifest::rename_detection::PossibleRename;

/// Asks whether an object was dropped or renamed; needs an interactive terminal.
pub(super) fn ask(context: &Context, gone: &PossibleRename, how: &str) -> Result<Option<usize>> {
    let name = |key: &Key| key.to_string().replace(['\n', '\r'], " ");
    let mut choices = vec![format!("Drop the {} (data is lost)", gone.key.kind.word())];
    choices.extend(
        gone.now
            .iter()
            .map(|now| format!("Rename it to {}", name(now))),
    );
    let question = format!("{} {how}", name(&gone.key));
    let chosen = context.terminal.choose(&question, &choices)?;
    Ok(chosen.checked_sub(1))
}
