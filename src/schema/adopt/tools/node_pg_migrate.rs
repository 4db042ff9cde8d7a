//! Node-pg-migrate's folder, its SQL files: `<number>_<name>.sql` with `-- Up Migration` and `-- Down Migration`.

use std::path::Path;

use anyhow::Result;

use crate::adopt::sections::{self, Direction};
use crate::adopt::tool_folder::{FolderReader, ToolFile, number};

pub(super) fn gather(folder: &Path, into: &mut FolderReader) -> Result<()> {
    let mut downs = Vec::new();
    for item in into.items(folder, &into.shown.clone())? {
        let Some((stem, ending)) = item.name.rsplit_once('.') else {
            continue;
        };
        let parsed = number(stem).and_then(|(_, version, rest)| {
            Some((version, rest.strip_prefix(['_', '-'])?.to_owned()))
        });
        let Some((version, name)) = parsed else {
            if ending == "sql" {
                into.unexpected_name(&item.shown, "<number>_<name>.sql");
            }
            continue;
        };
        match ending {
            "sql" => {}
            "js" | "ts" | "cjs" | "mjs" | "cts" | "mts" => {
                into.program(&item.shown);
                continue;
            }
            _ => continue,
        }
        if name.ends_with(".down") {
            downs.push((version, item));
            continue;
        }
        let Some(script) = into.script(&item.path, &item.shown) else {
            continue;
        };
        let ways = sections::split(&script, begins);
        // A file without markers is an up migration.
        let up = ways.up.or_else(|| {
            let whole = ways.down.is_none();
            whole.then(|| script.clone())
        });
        let Some(up) = up else {
            into.layout_error(
                &item.shown,
                "missing line `-- Up Migration`",
                "start the up migration with this line",
            );
            continue;
        };
        let stem = stem.strip_suffix(".up").unwrap_or(stem);
        let name = name.strip_suffix(".up").unwrap_or(&name);
        let mut draft = ToolFile::new(stem, version, name, up);
        draft.down = ways.down;
        into.push(draft);
    }
    for (version, item) in downs {
        if let Some(down) = into.optional_script(&item.path, &item.shown) {
            into.set_down(version, down);
        }
    }
    Ok(())
}

fn begins(line: &str) -> Option<Direction> {
    let rest = line.trim_start().strip_prefix("--")?;
    let words = rest.trim_start_matches([' ', '\t', '-']).to_lowercase();
    let mut words = words.split_whitespace();
    let way = match words.next()? {
        "up" => Direction::Up,
        "down" => Direction::Down,
        _ => return None,
    };
    words.next()?.starts_with("migration").then_some(way)
}
