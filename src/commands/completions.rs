//! `af-db completions` and `af-db man`: what clap's own crates generate.

use anyhow::{Context as _, Result};

use crate::commands::output::Output;

/// Writes the completion script of a shell.
pub fn completions(
    output: &Output,
    mut command: clap::Command,
    shell: clap_complete::Shell,
) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "af-db", &mut script);
    output.text(&String::from_utf8(script).context("writing the completion script")?);
    Ok(())
}

/// Writes the manual page.
pub fn man(output: &Output, command: clap::Command) -> Result<()> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .context("writing the manual page")?;
    output.text(&String::from_utf8(page).context("writing the manual page")?);
    Ok(())
}
