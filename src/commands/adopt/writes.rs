//! The configuration and the files that `adopt` writes, and their description for the confirmation.

use anyhow::{Context as _, Result};

use super::{Adoption, Args, find};
use crate::adopt::{Tool, convert};
use crate::commands::Context;
use crate::commands::page::count;
use crate::config::FILE_NAME;
use crate::error::refuse;
use crate::migrate::files::MigrationFolder;
use crate::pg::target::Target;

/// The lines to add to the configuration.
pub(super) struct Setting {
    text: String,
    path: std::path::PathBuf,
}

/// The configuration to add; none if it is already present.
pub(super) fn setting(
    context: &Context,
    args: &Args,
    adoption: &Adoption,
) -> Result<Option<Setting>> {
    let config = &context.config;
    let (layout, folder) = if adoption.converted.is_some() {
        let (_, shown) = find::into(args, context, &adoption.tool_folder)?;
        (None, shown)
    } else {
        let tool = Some(adoption.tool_folder.tool).filter(|tool| *tool != Tool::Refinery);
        (tool, adoption.tool_folder.shown.clone())
    };
    let now = &config.file.migrations;
    let layout_is = now.layout.as_deref().unwrap_or("af-db");
    let wanted = layout.map_or("af-db", Tool::word);
    let dir_is = now
        .dir
        .as_deref()
        .unwrap_or("migrations")
        .trim_end_matches('/');
    if layout_is == wanted && dir_is == folder {
        return Ok(None);
    }
    let mut text = "migrations:\n".to_owned();
    if let Some(tool) = layout {
        text.push_str(&format!("  layout: {tool}\n"));
    }
    if dir_is != folder {
        text.push_str(&format!("  dir: {}\n", yaml_text(&folder)?));
    }
    let path = config
        .path
        .clone()
        .unwrap_or_else(|| config.root.join(FILE_NAME));
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    if there
        .lines()
        .any(|line| line.trim_end().starts_with("migrations:"))
    {
        let lines: Vec<&str> = text.lines().skip(1).map(str::trim).collect();
        return Err(refuse(format!(
            "{FILE_NAME} has other settings under `migrations`; nothing was written"
        ))
        .hint(format!(
            "Set {} there, then run this again",
            lines.join(" and ")
        ))
        .into());
    }
    Ok(Some(Setting { text, path }))
}

/// A name as YAML, quoted if needed.
fn yaml_text(text: &str) -> Result<String> {
    let plain = |character: char| character.is_ascii_alphanumeric() || "_-./".contains(character);
    if text.chars().all(plain) && text.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return Ok(text.to_owned());
    }
    serde_json::to_string(text).context("the name of the directory")
}

/// Describes what was found and what would be written.
pub(super) fn describe(
    adoption: &Adoption,
    target: &Target,
    applied: usize,
    pending: usize,
    differences: usize,
    setting: Option<&Setting>,
) -> Vec<String> {
    let tool_folder = &adoption.tool_folder;
    let files = count(adoption.entries.len(), "migration", "migrations");
    let mut lines = vec![format!(
        "found {files} of {} in {}",
        tool_folder.tool, tool_folder.shown
    )];
    lines.push(match &adoption.found {
        Some(found) => {
            format!(
                "found its history in {found} on {target}: {applied} applied, {pending} pending"
            )
        }
        None => format!("no history found on {target}: all {pending} are pending"),
    });
    lines.push(match differences {
        0 => "the database matches the applied files".to_owned(),
        _ => format!(
            "the database differs from the applied files: {}, accepted",
            count(differences, "difference", "differences")
        ),
    });
    lines.push("this would be written:".to_owned());
    if let Some(converted) = &adoption.converted {
        let copies = count(converted.copies.len(), "file", "files");
        lines.push(format!(
            "  {copies} in the layout of af-db, and {} with the old and new names",
            convert::TABLE
        ));
    }
    if let Some(setting) = setting {
        let words: Vec<&str> = setting.text.lines().map(str::trim).collect();
        lines.push(format!("  {FILE_NAME}: {}", words.join(" ")));
    }
    if let Some(found) = &adoption.found {
        let rows = count(applied, "row", "rows");
        lines.push(format!(
            "  {rows} in the history and journal of af-db; {found} is not changed"
        ));
    }
    lines
}

pub(super) fn folder(adoption: &Adoption) -> MigrationFolder {
    MigrationFolder {
        migrations: adoption
            .entries
            .iter()
            .map(|entry| entry.migration.clone())
            .collect(),
        findings: Vec::new(),
    }
}

/// Writes the copies and the configuration.
pub(super) fn files(
    context: &Context,
    args: &Args,
    adoption: &Adoption,
    setting: Option<Setting>,
) -> Result<Vec<String>> {
    let mut written = Vec::new();
    if let Some(converted) = &adoption.converted {
        let (path, _) = find::into(args, context, &adoption.tool_folder)?;
        let copies = convert::write(converted, &path)?;
        written.extend(copies.iter().map(|copy| context.config.shown(copy)));
    }
    if let Some(Setting { text, path }) = setting {
        let mut whole = std::fs::read_to_string(&path).unwrap_or_default();
        if !whole.is_empty() && !whole.ends_with('\n') {
            whole.push('\n');
        }
        whole.push_str(&text);
        std::fs::write(&path, whole).with_context(|| format!("writing {FILE_NAME}"))?;
        written.push(FILE_NAME.to_owned());
    }
    Ok(written)
}
