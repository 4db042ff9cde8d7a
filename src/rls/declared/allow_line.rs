//! Parses one `allow` line, such as `select (id, name), insert on own rows`.

use crate::declared::policy_text::Problem;
use crate::rights::Command;
use crate::yaml::nearest;

/// A line, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AllowLine {
    /// What may be done.
    pub(crate) deeds: Vec<AllowedAction>,
    /// With which rows, by name.
    pub(crate) rows: Option<String>,
}

/// One thing that may be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AllowedAction {
    /// The command, where policies decide on it.
    pub(crate) command: Option<Command>,
    /// The letters of the privileges it takes.
    pub(crate) privileges: &'static str,
    /// With which columns.
    pub(crate) columns: Columns,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Columns {
    /// All that there are and will be.
    All,
    /// These.
    Only(Vec<String>),
    /// All that there are now but these.
    But(Vec<String>),
}

const WORDS: &[(&str, Option<Command>, &str)] = &[
    ("all", Some(Command::All), "arwd"),
    ("create", None, "C"),
    ("delete", Some(Command::Delete), "d"),
    ("execute", None, "X"),
    ("insert", Some(Command::Insert), "a"),
    ("maintain", None, "m"),
    ("references", None, "x"),
    ("select", Some(Command::Select), "r"),
    ("trigger", None, "t"),
    ("truncate", None, "D"),
    ("update", Some(Command::Update), "w"),
    ("usage", None, "U"),
];

/// Reads a line; the error says what is wrong and how it may have been meant.
pub(crate) fn read(text: &str) -> Result<AllowLine, Problem> {
    let (deeds, rows) = split_rows(text)?;
    if deeds.trim() == "nothing" {
        return Ok(AllowLine {
            deeds: Vec::new(),
            rows: None,
        });
    }
    let mut line = AllowLine {
        deeds: Vec::new(),
        rows,
    };
    for piece in split_commas(deeds) {
        line.deeds.push(deed(piece.trim())?);
    }
    Ok(line)
}

/// Takes `on … rows` off the end.
fn split_rows(text: &str) -> Result<(&str, Option<String>), Problem> {
    let behind = text.rfind(')').map_or(0, |at| at + 1);
    let Some(at) = text[behind..].find(" on ").map(|at| behind + at) else {
        return Ok((text, None));
    };
    let named = text[at + 4..].trim();
    let name = named
        .strip_suffix(" rows")
        .or_else(|| named.strip_suffix(" row"))
        .unwrap_or(named)
        .trim();
    if name.contains(',') {
        let message = format!("`{named}` is not a row set");
        let hint = "put actions on other rows on a separate line: [select on own rows, …]";
        return Err((message, Some(hint.to_owned())));
    }
    Ok((&text[..at], Some(name.to_owned())))
}

fn split_commas(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut depth, mut start) = (0i32, 0);
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                pieces.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    pieces.push(&text[start..]);
    pieces
}

fn deed(text: &str) -> Result<AllowedAction, Problem> {
    let (word, columns) = match text.split_once('(') {
        Some((word, rest)) => {
            let Some(inner) = rest.trim_end().strip_suffix(')') else {
                return Err((format!("`{text}` has no closing parenthesis"), None));
            };
            (word.trim(), read_columns(inner.trim()))
        }
        None => (text, Columns::All),
    };
    let lower = word.to_ascii_lowercase();
    let Some((_, command, privileges)) = WORDS.iter().find(|(known, _, _)| *known == lower) else {
        let near = nearest(&lower, WORDS.iter().map(|(known, _, _)| *known));
        let hint = near.map_or_else(
            || {
                let words: Vec<&str> = WORDS.iter().map(|(known, _, _)| *known).collect();
                format!("allowed: nothing, {}", words.join(", "))
            },
            |near| format!("did you mean `{near}`?"),
        );
        return Err((format!("unknown privilege `{word}`"), Some(hint)));
    };
    if columns != Columns::All && matches!(*privileges, "d" | "D" | "t" | "U" | "X" | "C" | "arwd")
    {
        return Err((
            format!("`{word}` does not take columns"),
            Some("only select, insert, update and references take columns".to_owned()),
        ));
    }
    Ok(AllowedAction {
        command: *command,
        privileges,
        columns,
    })
}

fn read_columns(text: &str) -> Columns {
    let (but, list) = match text.strip_prefix("all but ") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let names = list
        .split(',')
        .map(|name| crate::rights::unquote(name.trim()))
        .collect();
    if but {
        Columns::But(names)
    } else {
        Columns::Only(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match read(text) {
            Ok(line) => {
                let deeds: Vec<String> = line
                    .deeds
                    .iter()
                    .map(|deed| format!("{}{:?}", deed.privileges, deed.columns))
                    .collect();
                format!("{} on {:?}", deeds.join(" "), line.rows)
            }
            Err((message, hint)) => format!("{message}; {hint:?}"),
        }
    }

    #[test]
    fn lines_are_parsed() {
        insta::assert_snapshot!(shown("select, insert on own rows"), @r#"rAll aAll on Some("own")"#);
        insta::assert_snapshot!(shown("select (all but hash), update (name, \"On\") on own rows"), @r#"rBut(["hash"]) wOnly(["name", "On"]) on Some("own")"#);
        insta::assert_snapshot!(shown("all on all rows"), @r#"arwdAll on Some("all")"#);
        insta::assert_snapshot!(shown("nothing").trim(), @"on None");
        insta::assert_snapshot!(shown("selct on own rows"), @r#"unknown privilege `selct`; Some("did you mean `select`?")"#);
        insta::assert_snapshot!(shown("delete (a)"), @r#"`delete` does not take columns; Some("only select, insert, update and references take columns")"#);
        insta::assert_snapshot!(shown("select on own rows, insert"), @r#"`own rows, insert` is not a row set; Some("put actions on other rows on a separate line: [select on own rows, …]")"#);
    }
}
