//! Writes block YAML, unquoted wherever that reads back unchanged.

use std::fmt::Write as _;

/// A document being written.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
}

impl Page {
    /// Writes `key:` alone; its content follows one level deeper.
    pub(super) fn open(&mut self, depth: usize, key: &str) {
        let _ = writeln!(self.text, "{:1$}{2}:", "", depth * 2, spell_key(key));
    }

    /// Writes `key: value`.
    pub(super) fn entry(&mut self, depth: usize, key: &str, value: &str) {
        let _ = writeln!(
            self.text,
            "{:1$}{2}: {3}",
            "",
            depth * 2,
            spell_key(key),
            spell(value)
        );
    }

    /// Writes `key: true`.
    pub(super) fn flag(&mut self, depth: usize, key: &str) {
        let _ = writeln!(self.text, "{:1$}{key}: true", "", depth * 2);
    }

    /// Writes `- value`.
    pub(super) fn item(&mut self, depth: usize, value: &str) {
        let _ = writeln!(self.text, "{:1$}- {2}", "", depth * 2, spell(value));
    }

    /// Writes a line of SQL, with its comment.
    pub(super) fn line(&mut self, depth: usize, key: &str, sql: &str, comment: Option<&str>) {
        let Some(comment) = comment else {
            return self.entry(depth, key, sql);
        };
        self.open(depth, key);
        if !sql.is_empty() {
            self.entry(depth + 1, "is", sql);
        }
        self.entry(depth + 1, "comment", comment);
    }

    /// Returns whether nothing was written.
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }
}

fn spell_key(key: &str) -> String {
    let plain = key.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && key.chars().all(|character| {
            character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | '-')
        });
    if plain && !means_something(key) {
        key.to_owned()
    } else {
        quote(key)
    }
}

fn spell(value: &str) -> String {
    let plain = value
        .starts_with(|first: char| first.is_ascii_alphabetic() || matches!(first, '_' | '('))
        && !value.ends_with([' ', ':'])
        && !value.contains(": ")
        && !value.contains(" #")
        && !value.chars().any(char::is_control)
        && !value
            .chars()
            .any(|character| matches!(character, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}'));
    if plain && !means_something(value) {
        value.to_owned()
    } else {
        quote(value)
    }
}

/// Returns whether any version of YAML reads the word as something other than text.
fn means_something(word: &str) -> bool {
    const WORDS: [&str; 11] = [
        "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf",
    ];
    WORDS.contains(&word.to_ascii_lowercase().as_str())
}

fn quote(text: &str) -> String {
    let strange = |character: char| {
        character.is_control() || matches!(character, '\u{2028}' | '\u{2029}' | '\u{feff}')
    };
    if !text.chars().any(strange) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            other if strange(other) => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(other));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn every_text_reads_back() {
        let texts = [
            "uuid not null",
            "",
            " ",
            "a: b",
            "a #b",
            "a#b",
            "'",
            "it's",
            "\"x\"",
            "- a",
            "[a]",
            "{a}",
            "*a",
            "&a",
            "!a",
            "|",
            ">",
            "%",
            "@",
            "`",
            "null",
            "~",
            "Yes",
            "0x1",
            "1.5",
            "1e3",
            "true",
            "a\nb",
            "\n",
            "tab\there",
            "trailing ",
            "trailing:",
            "\u{1}\u{7f}",
            "🐘; drop",
            "\\",
            "a\\nb",
            "(a > 0)",
            "a, b",
            "\u{2028}\u{85}\u{feff}",
            "---",
            "...",
            "NaN",
            "=",
            "<<",
            "numeric default '-1'::integer",
        ];
        for text in texts {
            let mut page = Page::default();
            page.entry(0, "value", text);
            page.entry(0, text, "x");
            let written = page.into_text();
            let read: BTreeMap<String, String> =
                crate::yaml::read("x.yaml", &written).expect(&written);
            assert_eq!(
                read.get("value").map(String::as_str),
                Some(text),
                "{written}"
            );
            assert_eq!(read.get(text).map(String::as_str), Some("x"), "{written}");
        }
    }
}
