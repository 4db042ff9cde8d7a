//! Goose's folder: `<number>_<name>.sql` with `-- +goose Up` and `-- +goose Down` in one file.
//!
//! `StatementBegin` and `StatementEnd` are not needed: statements are split by PostgreSQL's grammar.

use std::path::Path;

use anyhow::Result;

use crate::adopt::sections::{self, Direction};
use crate::adopt::tool_folder::{FolderReader, ToolFile, number};

pub(super) fn gather(folder: &Path, into: &mut FolderReader) -> Result<()> {
    for item in into.items(folder, &into.shown.clone())? {
        let parsed = number(&item.name).and_then(|(_, version, rest)| {
            let (name, ending) = rest.strip_prefix('_')?.rsplit_once('.')?;
            Some((version, name.to_owned(), ending.to_owned()))
        });
        let (version, name) = match parsed {
            Some((version, name, ending)) if ending == "sql" => (version, name),
            Some((_, name, ending)) if ending == "go" && !name.ends_with("_test") => {
                into.program(&item.shown);
                continue;
            }
            _ if item.name.ends_with(".sql") => {
                into.unexpected_name(&item.shown, "<number>_<name>.sql");
                continue;
            }
            _ => continue,
        };
        let Some(script) = into.script(&item.path, &item.shown) else {
            continue;
        };
        let said = |wanted: &str| {
            script
                .text
                .lines()
                .any(|line| command(line) == Some(wanted.to_owned()))
        };
        if said("envsub on") {
            into.layout_error(
                &item.shown,
                "`+goose ENVSUB ON` is not supported: af-db does not substitute environment variables",
                "replace the variables with their values",
            );
        }
        let outside = said("no transaction");
        let ways = sections::split(&script, |line| match command(line)?.as_str() {
            "up" => Some(Direction::Up),
            "down" => Some(Direction::Down),
            _ => None,
        });
        let Some(up) = ways.up else {
            into.layout_error(
                &item.shown,
                "missing line `-- +goose Up`",
                "start the up migration with this line",
            );
            continue;
        };
        let mut draft = ToolFile::new(version.to_string(), version, &name, up);
        draft.down = ways.down;
        draft.outside = (outside, outside);
        into.push(draft);
    }
    Ok(())
}

/// Returns the goose directive of a line, in lower case.
fn command(line: &str) -> Option<String> {
    let rest = line.trim().strip_prefix("--")?.trim_start();
    let rest = rest.strip_prefix("+goose")?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    Some(words.join(" ").to_lowercase())
}
