//! Dbmate's folder: `<number>_<name>.sql` with `-- migrate:up` and `-- migrate:down` in one file.

use std::path::Path;

use anyhow::Result;

use crate::adopt::sections::{self, Direction};
use crate::adopt::tool_folder::{FolderReader, ToolFile, number};

pub(super) fn gather(folder: &Path, into: &mut FolderReader) -> Result<()> {
    for item in into.items(folder, &into.shown.clone())? {
        let Some(stem) = item.name.strip_suffix(".sql") else {
            continue;
        };
        let parsed = number(stem).map(|(digits, version, rest)| {
            (
                digits.to_owned(),
                version,
                rest.trim_start_matches('_').to_owned(),
            )
        });
        let Some((digits, version, name)) = parsed else {
            into.unexpected_name(&item.shown, "<number>_<name>.sql");
            continue;
        };
        let Some(script) = into.script(&item.path, &item.shown) else {
            continue;
        };
        let ways = sections::split(&script, |line| Some(command(line)?.0));
        let Some(up) = ways.up else {
            into.layout_error(
                &item.shown,
                "missing line `-- migrate:up`",
                "start the up migration with this line",
            );
            continue;
        };
        let outside = |wanted: Direction| {
            let mut commands = script.text.lines().filter_map(command);
            commands.any(|(way, outside)| way == wanted && outside)
        };
        let mut draft = ToolFile::new(digits, version, &name, up);
        draft.down = ways.down;
        draft.outside = (outside(Direction::Up), outside(Direction::Down));
        into.push(draft);
    }
    Ok(())
}

/// Returns the migration that a line begins, and whether it runs outside a transaction.
fn command(line: &str) -> Option<(Direction, bool)> {
    let rest = line.trim().strip_prefix("--")?.trim_start();
    let rest = rest.strip_prefix("migrate:")?;
    let mut words = rest.split_whitespace();
    let way = match words.next()? {
        "up" => Direction::Up,
        "down" => Direction::Down,
        _ => return None,
    };
    Some((way, words.any(|word| word == "transaction:false")))
}
