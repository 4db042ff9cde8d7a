//! Finds what `adopt` adopts: the tool, its migrations directory, its history table and the applied migrations.

use std::path::PathBuf;

use anyhow::Result;

use super::{Adoption, Args};
use crate::adopt::tool_history::{self, HistoryRow, ToolHistory, ToolHistoryTable};
use crate::adopt::{self, Tool, convert, detect, render, tool_folder};
use crate::commands::{Context, project};
use crate::error::{Failure, fail, refuse};
use crate::pg::session::Session;

/// A tool and its folder.
pub(super) struct ToolFolder {
    pub(super) tool: Tool,
    pub(super) path: PathBuf,
    pub(super) shown: String,
}

/// Finds everything; nothing is written.
pub(super) async fn subject(args: &Args, context: &Context, session: &Session) -> Result<Adoption> {
    let named = match &args.table {
        Some(name) => Some(split(name)?),
        None => None,
    };
    let tables = tool_history::find_history_tables(session, named).await?;
    let tool_folder = tool_folder(args, context, &tables)?;
    let found = table(&tables, tool_folder.tool, named)?;
    let rendered = match tool_folder.tool {
        Tool::Alembic => Some(render::render(&tool_folder.path, &tool_folder.shown).await?),
        _ => None,
    };
    let mut listed = match &rendered {
        Some(rendered) => rendered.listed.clone(),
        None => adopt::list(tool_folder.tool, &tool_folder.path, &tool_folder.shown)?,
    };
    if listed.entries.is_empty() && listed.findings.is_empty() {
        return Err(fail(format!(
            "{} has no migrations of {}",
            tool_folder.shown, tool_folder.tool
        ))
        .hint("Give the directory with --dir, or the tool with --from")
        .into());
    }
    let mut record = match &found {
        Some(found) => tool_history::read(session, found).await?,
        None => ToolHistory::default(),
    };
    if let Some(rendered) = &rendered {
        // Alembic records heads only; everything below them is applied, other branches are not.
        let below = rendered.below(&std::mem::take(&mut record.up_to));
        record.rows = below.into_iter().map(HistoryRow::of).collect();
    }
    let mut converted = None;
    if args.convert || rendered.is_some() {
        listed
            .findings
            .retain(|finding| finding.code != tool_folder::REPEATABLE);
        let (path, shown) = into(args, context, &tool_folder)?;
        let made = convert::convert(&listed, &path, &shown);
        listed.entries.clone_from(&made.entries);
        converted = Some(made);
    }
    let keys: Vec<String> = listed
        .entries
        .iter()
        .map(|entry| entry.key.clone())
        .collect();
    let mut findings = listed.findings;
    findings.extend(record.broken.clone());
    Ok(Adoption {
        tool_folder,
        found,
        rows: record.applied(&keys),
        entries: listed.entries,
        converted,
        findings,
    })
}

fn split(name: &str) -> Result<(&str, &str)> {
    let (schema, table) = name.split_once('.').unwrap_or(("public", name));
    if schema.is_empty() || table.is_empty() {
        return Err(fail(format!("`{name}` is not a table name"))
            .hint("Use --table schema.table")
            .into());
    }
    Ok((schema, table))
}

/// The directory for converted files.
pub(super) fn into(
    args: &Args,
    context: &Context,
    tool_folder: &ToolFolder,
) -> Result<(PathBuf, String)> {
    let path = context
        .config
        .root
        .join(args.into.as_deref().unwrap_or("migrations"));
    let shown = context.config.shown(&path);
    let taken = path.is_dir()
        && path
            .read_dir()
            .is_ok_and(|mut items| items.next().is_some());
    if taken || path == tool_folder.path {
        return Err(refuse(format!("{shown} is not empty; nothing was written"))
            .hint("Choose another directory with --into")
            .into());
    }
    Ok((path, shown))
}

/// Decides which tool and which folder: what was said, else what the configuration says, else what the files and
/// the tables look like.
fn tool_folder(args: &Args, context: &Context, tables: &[ToolHistoryTable]) -> Result<ToolFolder> {
    let root = &context.config.root;
    let said = match &args.from {
        Some(word) => Some(Tool::parse(word)?),
        None => project::layout(context)?,
    };
    let settings = &context.config.file.migrations;
    let configured = settings
        .layout
        .is_some()
        .then(|| settings.dir.clone())
        .flatten();
    let dir = args.dir.clone().or(configured);
    let mut tool_folders: Vec<detect::DetectedFolder> = match &dir {
        None => detect::project(root),
        Some(dir) => {
            let path = root.join(dir);
            if !path.is_dir() {
                return Err(fail(format!("there is no folder `{dir}`")).into());
            }
            let tools = said.map_or_else(|| detect::tools(&path), |tool| vec![tool]);
            let folder = dir.trim_end_matches('/').to_owned();
            tools
                .into_iter()
                .map(|tool| detect::DetectedFolder {
                    tool,
                    folder: folder.clone(),
                })
                .collect()
        }
    };
    if let Some(tool) = said {
        tool_folders.retain(|tool_folder| tool_folder.tool == tool);
    }
    // Where several would read the files, the one whose table is there does.
    let has_table = |tool_folder: &detect::DetectedFolder| {
        tables.iter().any(|table| table.tool == tool_folder.tool)
    };
    if tool_folders.iter().any(has_table) {
        tool_folders.retain(has_table);
    }
    match tool_folders.as_slice() {
        [tool_folder] => Ok(ToolFolder {
            tool: tool_folder.tool,
            path: root.join(&tool_folder.folder),
            shown: tool_folder.folder.clone(),
        }),
        [] => Err(none(said, tables).into()),
        several => Err(unclear(several).into()),
    }
}

fn none(said: Option<Tool>, tables: &[ToolHistoryTable]) -> Failure {
    let message = match (said, tables.first()) {
        (Some(tool), _) => format!("no directory with {tool} migrations found in this project"),
        (None, Some(table)) => format!(
            "{} has run on this database ({table}), but no directory with its migrations was found in this project",
            table.tool
        ),
        (None, None) => {
            "no directory with migrations of a supported tool found in this project".to_owned()
        }
    };
    fail(message).hint("Give the directory with --dir")
}

fn unclear(tool_folders: &[detect::DetectedFolder]) -> Failure {
    let words: Vec<String> = tool_folders
        .iter()
        .map(|tool_folder| format!("{} in {}", tool_folder.tool, tool_folder.folder))
        .collect();
    refuse(format!(
        "the migrations could belong to {}; nothing was written",
        words.join(", or ")
    ))
    .hint("Choose the tool with --from and the directory with --dir")
}

/// Finds the history table of the tool.
fn table(
    tables: &[ToolHistoryTable],
    tool: Tool,
    named: Option<(&str, &str)>,
) -> Result<Option<ToolHistoryTable>> {
    if let Some((schema, name)) = named {
        let found = tables
            .iter()
            .find(|table| table.schema == schema && table.name == name);
        let Some(found) = found else {
            return Err(fail(format!(
                "history table `{schema}.{name}` of a supported tool not found"
            ))
            .hint("Use --table schema.table")
            .into());
        };
        return Ok(Some(ToolHistoryTable {
            tool,
            ..found.clone()
        }));
    }
    let mut of_tool = tables.iter().filter(|table| table.tool == tool);
    match (of_tool.next(), of_tool.next()) {
        (Some(first), Some(second)) => Err(refuse(format!(
            "{tool} has two history tables, {first} and {second}; nothing was written"
        ))
        .hint("Choose one with --table")
        .into()),
        (first, _) => Ok(first.cloned()),
    }
}
