//! Sqitch's project: `sqitch.plan` has the order and the dependencies; `deploy/`, `revert/`, `verify/` the SQL.
//!
//! A change has no version; its position in the plan is used, which is stable as long as the plan only grows.

use std::path::Path;

use anyhow::Result;

use crate::adopt::sha1;
use crate::adopt::tool_folder::{FolderReader, ToolFile, under};
use crate::disk;

/// A line of the plan.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    Change { name: &'a str, needs: Vec<&'a str> },
    Tag(&'a str),
}

pub(super) fn gather(folder: &Path, into: &mut FolderReader) -> Result<()> {
    let plan = folder.join("sqitch.plan");
    let shown = under(&into.shown, "sqitch.plan");
    if !plan.is_file() {
        into.layout_error(
            &shown,
            "sqitch.plan is missing",
            "set the folder that contains sqitch.plan",
        );
        return Ok(());
    }
    let text = disk::read_text(&plan, &shown)?;
    let lines: Vec<Line<'_>> = text.lines().filter_map(parse).collect();
    let mut seen: Vec<&str> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Line::Change { name, needs } = line else {
            continue;
        };
        for need in needs {
            if !is_met(need, &seen, &lines[..at]) {
                let message =
                    format!("`{name}` requires `{need}`, which is not before it in the plan");
                into.layout_error(&shown, message, "fix the plan; check with: sqitch check");
            }
        }
        let earlier = seen.iter().filter(|known| *known == name).count();
        seen.push(name);
        let version = i64::try_from(seen.len()).unwrap_or(i64::MAX);
        let file = file_of(folder, name, &lines[at + 1..]);
        change(folder, into, name, &file, earlier, version);
    }
    Ok(())
}

/// Adds a change with its three scripts.
fn change(
    folder: &Path,
    into: &mut FolderReader,
    name: &str,
    file: &str,
    earlier: usize,
    version: i64,
) {
    let path = |part: &str| folder.join(part).join(format!("{file}.sql"));
    let shown = |part: &str, into: &FolderReader| under(&into.shown, &format!("{part}/{file}.sql"));
    let deploy = shown("deploy", into);
    let Some(up) = into.script(&path("deploy"), &deploy) else {
        return;
    };
    let key = if earlier == 0 {
        name.to_owned()
    } else {
        format!("{name}#{}", earlier + 1)
    };
    let proof = sha1::hex(up.text.as_bytes());
    let mut draft = ToolFile::new(key, version, name, up);
    draft.proof = Some(proof);
    let (revert, verify) = (shown("revert", into), shown("verify", into));
    draft.down = into.optional_script(&path("revert"), &revert);
    draft.verify = into.optional_script(&path("verify"), &verify);
    into.push(draft);
}

fn parse(line: &str) -> Option<Line<'_>> {
    let line = line.split(" # ").next().unwrap_or(line).trim();
    if line.is_empty() || line.starts_with(['%', '#']) {
        return None;
    }
    if let Some(rest) = line.strip_prefix('@') {
        return Some(Line::Tag(rest.split_whitespace().next()?));
    }
    let line = line.strip_prefix('+').unwrap_or(line).trim_start();
    let name = line.split_whitespace().next()?;
    let rest = line[name.len()..].trim_start();
    let needs = rest
        .strip_prefix('[')
        .and_then(|rest| rest.split(']').next())
        .map(|needs| needs.split_whitespace().collect())
        .unwrap_or_default();
    Some(Line::Change { name, needs })
}

/// Returns whether a dependency of a change comes before it; those in other projects are not checked.
fn is_met(need: &str, seen: &[&str], before: &[Line<'_>]) -> bool {
    if need.contains(':') {
        return true;
    }
    if let Some(conflict) = need.strip_prefix('!') {
        return !seen.contains(&conflict);
    }
    let (name, tag) = need.split_once('@').unwrap_or((need, ""));
    let tagged = tag.is_empty() || before.contains(&Line::Tag(tag)) || tag == "HEAD";
    tagged && (name.is_empty() || seen.contains(&name))
}

/// Returns the file of a change; the old text of a reworked change has the name of the tag in between.
fn file_of(folder: &Path, name: &str, after: &[Line<'_>]) -> String {
    let again = after
        .iter()
        .position(|line| matches!(line, Line::Change { name: other, .. } if *other == name));
    let between = again.map_or(&after[..0], |again| &after[..again]);
    for line in between {
        if let Line::Tag(tag) = line {
            let file = format!("{name}@{tag}");
            if folder.join("deploy").join(format!("{file}.sql")).is_file() {
                return file;
            }
        }
    }
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_is_read() {
        let line = "users [appschema !old other:x] 2026-01-05T10:00:00Z Marge <marge@example.com> # adds users [x]";
        let needs = vec!["appschema", "!old", "other:x"];
        assert_eq!(
            parse(line),
            Some(Line::Change {
                name: "users",
                needs: needs.clone()
            })
        );
        assert_eq!(
            parse("@v1 2026-01-05T10:00:00Z M <m@e> # t"),
            Some(Line::Tag("v1"))
        );
        assert_eq!(parse("%project=x"), None);
        assert!(is_met("appschema", &["appschema"], &[]));
        assert!(!is_met("!old", &["old"], &[]));
        assert!(!is_met("later", &["appschema"], &[]));
        assert!(is_met("a@v1", &["a"], &[Line::Tag("v1")]));
    }
}
