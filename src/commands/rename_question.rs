//! Owns rename_question a person what only a person can know about a schema.

use anyhow::Result;

use crate::catalog::Key;
use crate::commands::Context;
use crate::manifest::rename::Gone;

/// Asks what became of something that is gone; only for where a person is known to be there.
pub(super) fn ask(context: &Context, gone: &Gone, how: &str) -> Result<Option<usize>> {
    let name = |key: &Key| key.to_string().replace(['\n', '\r'], " ");
    let mut choices = vec!["It is gone, with all it holds".to_owned()];
    choices.extend(
        gone.now
            .iter()
            .map(|now| format!("It is {} now", name(now))),
    );
    let question = format!("{} {how}", name(&gone.key));
    let chosen = context.terminal.choose(&question, &choices)?;
    Ok(chosen.checked_sub(1))
}
