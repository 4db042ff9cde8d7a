//! Escapes text before it is printed: a terminal interprets control characters, a CI runner interprets whole lines.
//!
//! Names, values and messages come from databases and files and are untrusted. What would be interpreted is shown as
//! text instead, such as `\x1b` or `\u{202e}`.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Escapes text to one line: line breaks and tabs become `\n` and `\t`.
pub fn line(text: &str) -> Cow<'_, str> {
    let harmless = |text: &str| !text.contains(['\n', '\t']) && is_harmless(text);
    if harmless(text) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    push(&mut shown, text, true);
    Cow::Owned(shown)
}

/// Escapes text of several lines; all but the first are indented, so that none looks like a line of our own output.
pub fn block(text: &str) -> String {
    let mut shown = String::with_capacity(text.len() + 16);
    for (index, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if index > 0 {
            shown.push('\n');
            if !line.is_empty() && !line.starts_with([' ', '\t']) && !is_quoted(line) {
                shown.push_str("  ");
            }
        }
        push(&mut shown, line, false);
    }
    shown
}

/// Recognises a quoted line of a file with its number: a caret follows on the next line.
fn is_quoted(line: &str) -> bool {
    let behind = line.trim_start_matches(|character: char| character.is_ascii_digit());
    behind.len() < line.len() && behind.starts_with(" | ")
}

/// Escapes a document and keeps its lines.
pub fn document(text: &str) -> Cow<'_, str> {
    if is_harmless(text) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for line in text.split_inclusive('\n') {
        let (line, end) = match line.strip_suffix('\n') {
            Some(line) => (line, "\n"),
            None => (line, ""),
        };
        let (line, end) = match line.strip_suffix('\r') {
            Some(line) if !end.is_empty() => (line, "\r\n"),
            _ => (line, end),
        };
        push(&mut shown, line, false);
        shown.push_str(end);
    }
    Cow::Owned(shown)
}

/// Escapes the strings of a JSON document; the result parses as the same document.
pub fn json(text: &str) -> Cow<'_, str> {
    let obeyed = |character: char| character != '\n' && is_interpreted(character, 'a');
    if !text.contains(obeyed) && !text.contains("##") {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for (at, character) in text.char_indices() {
        // Outside of strings only white space and ASCII can stand, and `#` cannot.
        let hash = character == '#' && text[..at].ends_with('#');
        if obeyed(character) || hash {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// Returns whether nothing in the text would be interpreted.
pub fn is_harmless(text: &str) -> bool {
    let mut before = ' ';
    let mut breaks = text.chars().peekable();
    while let Some(character) = breaks.next() {
        let ends_line = character == '\r' && breaks.peek() == Some(&'\n');
        let kept = matches!(character, '\n' | '\t') || ends_line;
        if !kept && is_interpreted(character, before) {
            return false;
        }
        before = character;
    }
    !text.contains("##")
        && text
            .lines()
            .all(|line| !line.trim_start().starts_with("::"))
}

/// Appends one line, escaped.
fn push(shown: &mut String, text: &str, escape_tabs: bool) {
    let command = text.len() - text.trim_start().len();
    let is_command = text[command..].starts_with("::");
    let mut before = ' ';
    for (at, character) in text.char_indices() {
        match character {
            '\n' => shown.push_str("\\n"),
            '\t' if escape_tabs => shown.push_str("\\t"),
            '\t' => shown.push('\t'),
            '\r' => shown.push_str("\\r"),
            // GitHub reads `::name` at the beginning of a line, and `##[name]` and `##vso[name]` anywhere.
            ':' if is_command && at == command => shown.push_str("\\x3a"),
            '#' if before == '#' && is_bracketed(&text[at + 1..]) => shown.push_str("\\x23"),
            _ if is_interpreted(character, before) && character.is_ascii() => {
                let _ = write!(shown, "\\x{:02x}", u32::from(character));
            }
            _ if is_interpreted(character, before) => {
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(character));
            }
            _ => shown.push(character),
        }
        before = character;
    }
}

fn is_bracketed(text: &str) -> bool {
    let name = text.trim_start_matches(|character: char| character.is_ascii_alphabetic());
    name.starts_with('[')
}

/// Returns whether a terminal interprets a character, or shows nothing in its place.
fn is_interpreted(character: char, before: char) -> bool {
    match character {
        // Joiners are part of many scripts and of emoji; after a Latin letter they only hide something.
        '\u{200c}' | '\u{200d}' => before.is_ascii(),
        '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => true,
        _ => character.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpreted_characters_are_escaped() {
        for (text, shown) in [
            ("a\x1b[1Ab", "a\\x1b[1Ab"),
            ("a\nb\rc\td", "a\\nb\\rc\\td"),
            (
                "\u{7f}\u{9b}\u{202e}x\u{2028}",
                "\\x7f\\u{9b}\\u{202e}x\\u{2028}",
            ),
            (
                "us\u{200b}ers us\u{200d}ers",
                "us\\u{200b}ers us\\u{200d}ers",
            ),
            ("  ::stop-commands::x", "  \\x3a:stop-commands::x"),
            (
                "x ##[add-mask]y ##vso[z]",
                "x #\\x23[add-mask]y #\\x23vso[z]",
            ),
            (
                "größe 👨\u{200d}👩 a::b #1 ## two",
                "größe 👨\u{200d}👩 a::b #1 ## two",
            ),
        ] {
            assert_eq!(line(text), shown);
        }
    }

    #[test]
    fn a_line_within_a_text_cannot_imitate_our_output() {
        assert_eq!(block("a\nok\n  b\r\n::c\n"), "a\n  ok\n  b\n  \\x3a:c\n");
        assert_eq!(block("a\n12 | b\n   | ^"), "a\n12 | b\n   | ^");
        assert_eq!(document("a\n::b\r\n\tc\x07"), "a\n\\x3a:b\r\n\tc\\x07");
    }

    #[test]
    fn json_reads_back_as_it_was() {
        let value = serde_json::json!({"a\u{9b}": "x\u{202e}\x1b\u{7f} ##[y] \u{e0041} größe"});
        let text = value.to_string();
        let shown = json(&text);
        assert!(is_harmless(&shown), "{shown}");
        let back: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(back, value);
    }
}
