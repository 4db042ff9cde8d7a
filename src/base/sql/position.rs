//! Line and column of a byte or character in a text, and quoting of the line with a caret.

use std::fmt::Write as _;

use crate::sql::redact;
use crate::sql::text::part;

/// How many characters of a long line are quoted.
const QUOTED_WIDTH: usize = 120;

/// A line and a column, both from 1; the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: u32,
    /// In characters.
    pub column: u32,
}

impl Position {
    /// The start of a text.
    pub const START: Position = Position { line: 1, column: 1 };

    /// Returns the position after the text passed.
    #[must_use]
    pub fn after(self, passed: &str) -> Position {
        let Some(last_break) = passed.bytes().rposition(|byte| byte == b'\n') else {
            return Position {
                line: self.line,
                column: self.column + count(passed.as_bytes()),
            };
        };
        let breaks = passed.bytes().filter(|byte| *byte == b'\n').count();
        Position {
            line: self.line + clamp(breaks),
            column: 1 + count(&passed.as_bytes()[last_break + 1..]),
        }
    }
}

/// Look-up table of the positions of a text, for many look-ups in a long text.
#[derive(Clone, Debug)]
pub struct Positions<'a> {
    text: &'a str,
    /// The position at every [`STRIDE`] bytes, or at the character that spans that offset.
    marks: Vec<(usize, Position)>,
}

/// The distance of the marks in bytes, which limits the text read by one look-up.
const STRIDE: usize = 1024;

impl<'a> Positions<'a> {
    pub fn new(text: &'a str) -> Self {
        let mut marks = vec![(0, Position::START)];
        let (mut at, mut position) = (0, Position::START);
        while at + STRIDE < text.len() {
            let next = text.floor_char_boundary(at + STRIDE);
            position = position.after(part(text, at, next));
            marks.push((next, position));
            at = next;
        }
        Positions { text, marks }
    }

    /// Like [`of_byte`].
    pub fn of_byte(&self, offset: usize) -> Position {
        let offset = self.text.floor_char_boundary(offset);
        let mark = self.marks.partition_point(|(at, _)| *at <= offset);
        let (at, position) = self.marks[mark.saturating_sub(1)];
        position.after(part(self.text, at, offset))
    }
}

/// Returns the position of a byte offset; of the end for any offset beyond it.
pub fn of_byte(text: &str, offset: usize) -> Position {
    Position::START.after(part(text, 0, offset))
}

/// Returns the position of a character counted from 1, as PostgreSQL reports it in errors.
pub fn of_character(text: &str, character: usize) -> Position {
    of_byte(text, byte_of_character(text, character))
}

/// Returns the byte offset of a character counted from 1.
pub fn byte_of_character(text: &str, character: usize) -> usize {
    text.char_indices()
        .nth(character.saturating_sub(1))
        .map_or(text.len(), |(byte, _)| byte)
}

/// Quotes the line of a position with its number, and a caret under the column.
///
/// ```
/// use af_db_base::sql::position::{Position, quote};
/// let quoted = quote("SELECT 1;\nSELEC 2;", Position { line: 2, column: 1 });
/// assert_eq!(quoted, "2 | SELEC 2;\n  | ^");
/// ```
pub fn quote(text: &str, position: Position) -> String {
    let line = text
        .split('\n')
        .nth(position.line.saturating_sub(1) as usize)
        .unwrap_or_default();
    let line: Vec<char> = line.trim_end_matches('\r').chars().collect();
    let caret = (position.column.saturating_sub(1) as usize).min(line.len());
    let from = if line.len() > QUOTED_WIDTH {
        caret.saturating_sub(QUOTED_WIDTH / 2)
    } else {
        0
    };
    let until = line.len().min(from + QUOTED_WIDTH);
    let (before, after) = (
        if from > 0 { "…" } else { "" },
        if until < line.len() { "…" } else { "" },
    );
    let number = position.line.to_string();
    if holds_secret(text, position) {
        return format!("{number} | (not shown: this line contains a secret)");
    }
    let shown: String = line[from..until].iter().map(|c| visible(*c)).collect();
    // A tab stays a tab, so that the caret is under its character at any tab width.
    let indent: String = before
        .chars()
        .chain(line[from..caret].iter().copied())
        .map(|character| if character == '\t' { '\t' } else { ' ' })
        .collect();
    let mut quoted = String::new();
    let _ = write!(
        quoted,
        "{number} | {before}{shown}{after}\n{:width$} | {indent}^",
        "",
        width = number.len()
    );
    quoted
}

fn holds_secret(text: &str, position: Position) -> bool {
    let before = text
        .split_inclusive('\n')
        .take(position.line.saturating_sub(1) as usize);
    let start: usize = before.map(str::len).sum();
    let end = start + text[start..].find('\n').unwrap_or(text.len() - start);
    let mut secrets = redact::secrets(text).into_iter();
    secrets.any(|secret| secret.start < end && secret.end > start)
}

/// Replaces control characters, which a terminal would interpret.
fn visible(character: char) -> char {
    if character.is_control() && character != '\t' {
        '\u{fffd}'
    } else {
        character
    }
}

fn count(bytes: &[u8]) -> u32 {
    // Counts every byte that does not continue a character.
    clamp(bytes.iter().filter(|byte| (**byte & 0xC0) != 0x80).count())
}

fn clamp(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_of_bytes_and_characters() {
        let text = "a\nbü\r\nc";
        let check = |position: Position, line: u32, column: u32| {
            assert_eq!(position, Position { line, column });
        };
        check(of_byte(text, 0), 1, 1);
        check(of_byte(text, 2), 2, 1);
        check(of_byte(text, 4), 2, 2);
        check(of_byte(text, 7), 3, 1);
        check(of_byte(text, 99), 3, 2);
        check(of_character(text, 1), 1, 1);
        check(of_character(text, 4), 2, 2);
        check(of_character(text, 7), 3, 1);
    }

    #[test]
    fn the_look_up_table_agrees_with_a_full_read() {
        let mut text = "a\nbü☃\r\n".repeat(400);
        text.push_str(&"☃x".repeat(2000));
        let positions = Positions::new(&text);
        for offset in (0..text.len() + 5).step_by(7) {
            assert_eq!(
                positions.of_byte(offset),
                of_byte(&text, offset),
                "{offset}"
            );
        }
        assert_eq!(Positions::new("").of_byte(3), Position::START);
    }

    #[test]
    fn a_line_is_quoted_under_its_number() {
        let check = |text: &str, line: u32, column: u32, expected: &str| {
            assert_eq!(quote(text, Position { line, column }), expected);
        };
        check("a\n\tb c\r\n", 2, 4, "2 | \tb c\n  | \t  ^");
        check("", 1, 1, "1 | \n  | ^");
        check("a", 9, 9, "9 | \n  | ^");
        check("a\x1b[1m", 1, 1, "1 | a\u{fffd}[1m\n  | ^");
        let secret = "SELECT 1;\nCREATE ROLE a PASSWORD\n'x'\nBAD";
        check(secret, 3, 1, "3 | (not shown: this line contains a secret)");
        check(secret, 4, 1, "4 | BAD\n  | ^");
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let text = format!("{}X{}", "a".repeat(500), "b".repeat(500));
        let quoted = quote(
            &text,
            Position {
                line: 1,
                column: 501,
            },
        );
        let lines: Vec<&str> = quoted.lines().collect();
        let caret = lines[1].chars().position(|c| c == '^');
        assert_eq!(lines[0].chars().position(|c| c == 'X'), caret);
        assert!(lines[0].chars().count() < 140);
    }
}
