//! Goose's folder: `<number>_<name>.sql` with `-- +goose Up` and `-- +goose Down` in one file.
//!
//! `StatementBegin` and `StatementEnd` tell goose where a statement ends; here PostgreSQL's own grammar does.

use std::path::Path;

use anyhow::Result;

use crate::adopt::folder::{Draft, Gathering, number};
use crate::adopt::sections::{self, Way};

pub(super) fn gather(folder: &Path, into: &mut Gathering) -> Result<()> {
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
                into.odd_name(&item.shown, "<number>_<name>.sql");
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
            into.wrong(
                &item.shown,
                "`+goose ENVSUB ON` puts environment variables into the SQL, which af-db does not",
                "write the values themselves",
            );
        }
        let outside = said("no transaction");
        let ways = sections::split(&script, |line| match command(line)?.as_str() {
            "up" => Some(Way::Up),
            "down" => Some(Way::Down),
            _ => None,
        });
        let Some(up) = ways.up else {
            into.wrong(
                &item.shown,
                "there is no line `-- +goose Up`",
                "begin the way up with it, as goose wants",
            );
            continue;
        };
        let mut draft = Draft::new(version.to_string(), version, &name, up);
        draft.down = ways.down;
        draft.outside = (outside, outside);
        into.push(draft);
    }
    Ok(())
}

/// Returns what a line tells goose, in lower case.
fn command(line: &str) -> Option<String> {
    let rest = line.trim().strip_prefix("--")?.trim_start();
    let rest = rest.strip_prefix("+goose")?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    Some(words.join(" ").to_lowercase())
}
