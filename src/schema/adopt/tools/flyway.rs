//! Flyway's folder: `V1.2__name.sql`, `U1.2__name.sql` (undo), `R__name.sql` (repeatable).
//!
//! The checksum is a CRC32 of the lines. Versions such as 1.10.3 become numbers with three digits per part.

use std::path::Path;

use anyhow::Result;

use crate::adopt::tool_folder::{FolderReader, ToolFile};
use crate::disk::{self, DirectoryEntry};
use crate::migrate::files::MigrationFile;

/// A versioned file: its parts, the text of its version, its name.
struct Versioned {
    item: DirectoryEntry,
    parts: Vec<i64>,
    key: String,
    name: String,
    is_undo: bool,
}

pub(super) fn gather(folder: &Path, into: &mut FolderReader) -> Result<()> {
    let mut versioned = Vec::new();
    walk(folder, &into.shown.clone(), into, &mut versioned)?;
    let dotted = versioned
        .iter()
        .any(|file: &Versioned| file.parts.len() > 1);
    let mut undos = Vec::new();
    for file in versioned {
        let Some(version) = number(&file.parts, dotted) else {
            into.layout_error(
                &file.item.shown,
                format!("version {} is not supported: at most four parts, each but the first below 1000", file.key),
                "use a shorter version",
            );
            continue;
        };
        if file.is_undo {
            undos.push((version, file));
            continue;
        }
        let Some(up) = into.script(&file.item.path, &file.item.shown) else {
            continue;
        };
        placeholders(&up, into);
        let proof = checksum(&up.text);
        let mut draft = ToolFile::new(file.key, version, &file.name, up);
        draft.outside.0 = is_outside(&file.item.path);
        draft.proof = Some(proof);
        into.push(draft);
    }
    for (version, file) in undos {
        let Some(down) = into.optional_script(&file.item.path, &file.item.shown) else {
            continue;
        };
        let outside = is_outside(&file.item.path);
        if !into.set_down_with_mode(version, down, outside) {
            let message = format!("version {} does not exist and cannot be undone", file.key);
            into.layout_error(
                &file.item.shown,
                message,
                "remove the file, or restore its V file",
            );
        }
    }
    Ok(())
}

fn walk(
    folder: &Path,
    shown: &str,
    into: &mut FolderReader,
    versioned: &mut Vec<Versioned>,
) -> Result<()> {
    for item in into.items(folder, shown)? {
        if item.is_folder {
            walk(&item.path, &item.shown, into, versioned)?;
            continue;
        }
        let Some((stem, ending)) = item.name.rsplit_once('.') else {
            continue;
        };
        let parsed = parse(stem);
        if matches!(ending, "java" | "class" | "kt" | "py") && parsed.is_some() {
            into.program(&item.shown);
            continue;
        }
        if ending != "sql" {
            continue;
        }
        match parsed {
            Some(('R', _, _, name)) => {
                if let Some(up) = into.script(&item.path, &item.shown) {
                    placeholders(&up, into);
                    let proof = checksum(&up.text);
                    let key = format!("R:{}", name.replace('_', " "));
                    let mut draft = ToolFile::new(key, 0, &format!("r_{name}"), up);
                    draft.proof = Some(proof);
                    into.push_repeatable(draft);
                }
            }
            Some((prefix, parts, key, name)) => versioned.push(Versioned {
                item,
                parts,
                key,
                name,
                is_undo: prefix == 'U',
            }),
            None => into.unexpected_name(&item.shown, "V<version>__<name>.sql"),
        }
    }
    Ok(())
}

/// Reads `V1_10__name` as prefix, parts, the version as Flyway records it, and name.
fn parse(stem: &str) -> Option<(char, Vec<i64>, String, String)> {
    let prefix = stem.chars().next().filter(|first| "VUR".contains(*first))?;
    let (version, name) = stem[1..].split_once("__")?;
    if prefix == 'R' {
        return version
            .is_empty()
            .then(|| (prefix, Vec::new(), String::new(), name.to_owned()));
    }
    let key = version.replace('_', ".");
    let parts: Option<Vec<i64>> = key.split('.').map(|part| part.parse().ok()).collect();
    Some((prefix, parts?, key, name.to_owned()))
}

/// Returns the number of a version: unchanged if no version of the folder has parts.
fn number(parts: &[i64], dotted: bool) -> Option<i64> {
    if !dotted {
        return parts.first().copied();
    }
    let (first, rest) = parts.split_first()?;
    if rest.len() > 3 || rest.iter().any(|part| *part > 999) {
        return None;
    }
    let mut number = *first;
    for at in 0..3 {
        number = number
            .checked_mul(1000)?
            .checked_add(rest.get(at).copied().unwrap_or(0))?;
    }
    Some(number)
}

/// The factor of the first part of a version with parts.
const FIRST: i64 = 1_000_000_000;

/// Returns whether versions in a folder have parts.
pub(in crate::adopt) fn is_dotted(folder: &Path) -> bool {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
    names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter_map(|name| parse(name.strip_suffix(".sql")?))
        .any(|(_, parts, _, _)| parts.len() > 1)
}

/// Returns the next major version, for folders whose versions have parts.
pub(in crate::adopt) fn after(last: i64) -> i64 {
    (last / FIRST + 1) * FIRST
}

/// Returns a major version as in the file name.
pub(in crate::adopt) fn shown(folder: &Path, version: i64) -> i64 {
    if is_dotted(folder) {
        version / FIRST
    } else {
        version
    }
}

/// Reports placeholders that Flyway would replace.
fn placeholders(script: &MigrationFile, into: &mut FolderReader) {
    let Some(at) = script.text.find("${") else {
        return;
    };
    let rest = &script.text[at + 2..];
    let Some(name) = rest.split('}').next().filter(|name| {
        !name.is_empty()
            && name
                .chars()
                .all(|part| part.is_alphanumeric() || "_.:-".contains(part))
    }) else {
        return;
    };
    into.layout_error(
        &script.shown,
        format!("unsupported Flyway placeholder `${{{name}}}`"),
        "replace the placeholder with its value",
    );
}

/// Returns whether the script's own settings beside it take it out of a transaction.
fn is_outside(path: &Path) -> bool {
    let mut name = path.as_os_str().to_owned();
    name.push(".conf");
    let text = disk::read_text(Path::new(&name), "").unwrap_or_default();
    text.lines().any(|line| {
        let line: String = line.split_whitespace().collect();
        line.eq_ignore_ascii_case("executeInTransaction=false")
    })
}

/// Computes Flyway's checksum: the CRC32 of the lines without line ends, as a signed number.
fn checksum(text: &str) -> String {
    let mut hasher = crc32fast::Hasher::new();
    for line in text.trim_start_matches('\u{feff}').split('\n') {
        hasher.update(line.strip_suffix('\r').unwrap_or(line).as_bytes());
    }
    hasher.finalize().cast_signed().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_sort_as_flyway_sorts_them() {
        let versions = ["V1__a", "V1_1__b", "V1.10__c", "V2__d", "V10.0.1__e"];
        let numbers: Vec<i64> = versions
            .iter()
            .map(|stem| number(&parse(stem).unwrap().1, true).unwrap())
            .collect();
        assert!(numbers.is_sorted(), "{numbers:?}");
        assert_eq!(number(&[7], false), Some(7));
        assert_eq!(number(&[1, 1000], true), None);
        assert_eq!(parse("V1_10__x").unwrap().2, "1.10");
    }

    #[test]
    fn the_checksum_leaves_line_ends_out() {
        assert_eq!(checksum("a\nb\n"), checksum("a\r\nb"));
        assert_eq!(
            checksum("123456789"),
            0xcbf4_3926_u32.cast_signed().to_string()
        );
    }
}
