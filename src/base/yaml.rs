//! Reads YAML files: refuses unknown and duplicate keys, and reports every error with its position.
//!
//! The only file that names the YAML crate (`serde_yaml` is archived upstream and keeps no positions), so that
//! `af-db.yaml`, `schemas/` and `policies/` report errors alike.

use std::path::Path;

use anyhow::Result;
use serde::de::DeserializeOwned;

use crate::disk::{self, DirectoryWalk};
use crate::error::{Failure, fail};

/// A value with its line and column, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<T> {
    pub value: T,
    pub line: u32,
    pub column: u32,
}

impl<'de, T: serde::Deserialize<'de>> serde::Deserialize<'de> for Located<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = serde_saphyr::Spanned::<T>::deserialize(deserializer)?;
        let number = |at: u64| u32::try_from(at).unwrap_or(u32::MAX);
        Ok(Located {
            line: number(spanned.referenced.line()),
            column: number(spanned.referenced.column()),
            value: spanned.value,
        })
    }
}

/// The YAML and SQL files of a folder as (path in messages, text), in the order of their names.
#[derive(Clone, Debug, Default)]
pub struct FolderTexts {
    pub yaml: Vec<(String, String)>,
    pub sql: Vec<(String, String)>,
}

/// Reads every YAML and SQL file of a folder and its subfolders; a missing folder is empty.
///
/// Hidden files and those named in `skip` are ignored. `shown` is the folder's path in messages.
pub fn folder(folder: &Path, shown: &str, skip: &[&str]) -> Result<FolderTexts> {
    let mut texts = FolderTexts::default();
    if !folder.is_dir() {
        return Ok(texts);
    }
    let mut walk = DirectoryWalk::default();
    let mut waiting = walk.list(folder, shown)?;
    waiting.reverse();
    while let Some(entry) = waiting.pop() {
        if entry.name.starts_with('.') || skip.contains(&&*entry.name) {
            continue;
        }
        if entry.is_folder {
            let mut inside = walk.list(&entry.path, &entry.shown)?;
            inside.reverse();
            waiting.append(&mut inside);
            continue;
        }
        let extension = entry.path.extension().and_then(|it| it.to_str());
        let list = match extension {
            Some("yaml" | "yml") => &mut texts.yaml,
            Some("sql") => &mut texts.sql,
            _ => continue,
        };
        if let Some(control) = disk::control_in_name(&entry.name) {
            let message = format!("the name of {:?} contains {control}", entry.shown);
            return Err(fail(message).hint("rename the file").into());
        }
        let text = disk::read_text(&entry.path, &entry.shown)?;
        list.push((entry.shown, text));
    }
    Ok(texts)
}

/// Reads a document; `name` is the file's path in messages.
///
/// An empty document is read as `{}`.
pub fn read<T: DeserializeOwned>(name: &str, text: &str) -> Result<T> {
    if let Some((line, column)) = find_tab(text) {
        return Err(
            fail(format!("{name}:{line}:{column}: a tab cannot indent YAML"))
                .hint("replace the tab by spaces")
                .into(),
        );
    }
    let text = if is_blank(text) { "{}" } else { text };
    serde_saphyr::from_str_with_options(text, options(text))
        .map_err(|error| explain(name, &error).into())
}

/// Scales the parser's limits with the length of the text; the limits on aliases stay.
fn options(text: &str) -> serde_saphyr::Options {
    // Every event takes at least one byte, and a tag is longer when expanded.
    let most = 1000 + 2 * text.len();
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: most,
            max_nodes: most,
            max_total_scalar_bytes: 64 * 1024 + 8 * text.len(),
        },
    }
}

/// Finds a tab that stands before the first character of a line.
fn find_tab(text: &str) -> Option<(usize, usize)> {
    text.lines().enumerate().find_map(|(index, line)| {
        let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
        let blank = indent == line.len();
        line[..indent]
            .find('\t')
            .filter(|_| !blank)
            .map(|at| (index + 1, at + 1))
    })
}

fn is_blank(text: &str) -> bool {
    text.lines().all(|line| {
        let line = line.trim();
        line.is_empty() || line.starts_with('#') || line == "---"
    })
}

/// Turns the crate's error into `file:line:column: message`, with the nearest valid key as the hint.
fn explain(name: &str, error: &serde_saphyr::Error) -> Failure {
    let place = error.location().filter(|at| at.line() > 0);
    let place = place.map_or_else(String::new, |at| format!(":{}:{}", at.line(), at.column()));
    match error.without_snippet() {
        serde_saphyr::Error::SerdeUnknownField {
            field, expected, ..
        } => {
            let failure = fail(format!("{name}{place}: unknown key `{field}`"));
            match nearest(field, expected.iter().copied()) {
                Some(near) => failure.hint(format!("did you mean `{near}`?")),
                None if expected.is_empty() => failure,
                None => failure.hint(format!("valid keys: {}", expected.join(", "))),
            }
        }
        serde_saphyr::Error::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().unwrap_or("this key");
            fail(format!("{name}{place}: `{key}` is given twice")).hint("remove one of them")
        }
        other if other.to_string().starts_with("budget breached") => fail(format!(
            "{name}{place}: the file is too large or nested too deeply"
        ))
        .hint("split the file, for example into one per table"),
        other => fail(format!(
            "{name}{place}: {}",
            plain_words(strip_position(&other.to_string()))
        )),
    }
}

/// Replaces the crate's parser terms by words of YAML.
fn plain_words(text: &str) -> &str {
    match text {
        "expected sequence start" => "expected a list, such as [one, two]",
        "expected mapping start" | "expected empty mapping start" => {
            "expected keys with values, such as `key: value`"
        }
        other => other,
    }
}

/// Keeps the first line, without the crate's own ` at line N, column M`.
fn strip_position(text: &str) -> &str {
    let text = text.lines().next().unwrap_or_default();
    match text.find(" at line ") {
        Some(at) => &text[..at],
        None => text,
    }
}

/// Returns the known word closest to a misspelt one, if any is close enough.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(2);
    known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// The Levenshtein distance.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, from) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[derive(Debug, Default, serde::Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
    struct Sample {
        direct_url: Option<String>,
        schemas: Vec<Located<String>>,
        map: BTreeMap<String, String>,
    }

    fn refuse(text: &str) -> String {
        let error = read::<Sample>("x.yaml", text).unwrap_err();
        format!("{error}\n{}", crate::error::hint_of(&error).unwrap_or("-"))
    }

    #[test]
    fn values_are_read_with_positions() {
        let sample: Sample = read("x.yaml", "direct-url: a\nschemas:\n  - one\n  - two\n").unwrap();
        assert_eq!(sample.direct_url.as_deref(), Some("a"));
        assert_eq!((sample.schemas[1].line, sample.schemas[1].column), (4, 5));
        assert_eq!(sample.schemas[1].value, "two");
    }

    #[test]
    fn an_empty_document_is_the_default() {
        assert!(
            read::<Sample>("x.yaml", "# only words\n\n")
                .unwrap()
                .schemas
                .is_empty()
        );
    }

    #[test]
    fn errors_name_the_position_and_the_fix() {
        insta::assert_snapshot!(refuse("\tschemas: []"), @"
        x.yaml:1:1: a tab cannot indent YAML
        replace the tab by spaces
        ");
        insta::assert_snapshot!(refuse("schemas: []\ndirect_url: x"), @"
        x.yaml:2:1: unknown key `direct_url`
        did you mean `direct-url`?
        ");
        insta::assert_snapshot!(refuse("schemas: []\nschemas: []"), @"
        x.yaml:2:1: `schemas` is given twice
        remove one of them
        ");
        insta::assert_snapshot!(refuse("schemas: 3"), @"
        x.yaml:1:10: expected a list, such as [one, two]
        -
        ");
        insta::assert_snapshot!(refuse("schemas: [a"), @"
        x.yaml:1:10: unclosed bracket '['
        -
        ");
        insta::assert_snapshot!(refuse("map: {a: 1, a: 2}"), @"
        x.yaml:1:13: `a` is given twice
        remove one of them
        ");
    }

    #[test]
    fn an_anchor_bomb_is_refused() {
        let mut text = String::from("map:\n  a: &a0 x\n");
        text.push_str("schemas: &l0 [x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let item = format!("*l{}", level - 1);
            text.push_str(&format!(
                "k{level}: &l{level} [{}]\n",
                [item.as_str(); 9].join(", ")
            ));
        }
        assert!(read::<BTreeMap<String, serde_json::Value>>("x.yaml", &text).is_err());
    }

    #[test]
    fn nearest_word() {
        assert_eq!(
            nearest("with-chek", ["using", "with-check"]),
            Some("with-check")
        );
        assert_eq!(nearest("zzz", ["using", "with-check"]), None);
    }
}
