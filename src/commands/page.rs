//! The text of a report for people: plain lines; colour never carries meaning alone.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr;

use crate::sql::redact;
use crate::visible;

/// The meaning of a piece of text, which determines its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Plain,
    /// All is well.
    Good,
    /// Look here.
    Warn,
    /// This is wrong.
    Bad,
    /// Beside the point.
    Dim,
    /// A heading.
    Strong,
}

/// Text being written for a person.
#[derive(Debug)]
pub struct Page {
    text: String,
    colour: bool,
    /// Whether to show all notes.
    pub verbose: bool,
}

impl Page {
    /// Begins an empty page.
    pub fn new(colour: bool) -> Self {
        Page {
            text: String::new(),
            colour,
            verbose: false,
        }
    }

    /// Writes a line; line breaks in the text are replaced.
    pub fn line(&mut self, text: impl AsRef<str>) {
        self.toned(Tone::Plain, text);
    }

    /// Writes a line in a tone.
    pub fn toned(&mut self, tone: Tone, text: impl AsRef<str>) {
        let text = redact::addresses(text.as_ref());
        let line = visible::line(&text);
        self.text.push_str(&painted(tone, &line, self.colour));
        self.text.push('\n');
    }

    /// Writes a word in a tone followed by text; further lines of the text are indented.
    pub fn headed(&mut self, tone: Tone, head: &str, text: impl AsRef<str>) {
        let head = painted(tone, &visible::line(head), self.colour);
        let text = visible::block(text.as_ref());
        let _ = writeln!(self.text, "{head}{text}");
    }

    /// Writes a document whose lines stay as they are, such as SQL.
    pub fn document(&mut self, text: impl AsRef<str>) {
        self.text.push_str(&visible::document(text.as_ref()));
        self.text.push('\n');
    }

    /// Adds an empty line, except at the start and after another one.
    pub fn gap(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    /// Writes rows in columns as wide as their widest cell; the last column is left ragged.
    pub fn table(&mut self, rows: &[Vec<(Tone, String)>]) {
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut widths = vec![0; columns];
        for row in rows {
            for (width, (_, text)) in widths.iter_mut().zip(row) {
                *width = (*width).max(visible::line(text).width());
            }
        }
        for row in rows {
            let mut line = String::new();
            for (column, (tone, text)) in row.iter().enumerate() {
                let text = visible::line(text);
                line.push_str(&painted(*tone, &text, self.colour));
                if column + 1 < row.len() {
                    let padding = widths[column].saturating_sub(text.width()) + 2;
                    let _ = write!(line, "{:padding$}", "");
                }
            }
            self.text.push_str(line.trim_end());
            self.text.push('\n');
        }
    }

    /// The finished text.
    pub fn finish(self) -> String {
        self.text
    }
}

/// Text in a tone; control characters must be removed before.
pub(crate) fn painted(tone: Tone, text: &str, colour: bool) -> String {
    let code = match tone {
        Tone::Plain => return text.to_owned(),
        Tone::Good => "32",
        Tone::Warn => "33",
        Tone::Bad => "31",
        Tone::Dim => "2",
        Tone::Strong => "1",
    };
    if colour {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

/// Counts things with the right plural: `1 migration`, `2 migrations`.
pub fn count(number: usize, singular: &str, plural: &str) -> String {
    format!("{number} {}", if number == 1 { singular } else { plural })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut page = Page::new(false);
        let cell = |text: &str| (Tone::Plain, text.to_owned());
        page.table(&[
            vec![cell("1"), cell("größe"), cell("x")],
            vec![cell("22"), cell("a"), cell("")],
        ]);
        assert_eq!(page.finish(), "1   größe  x\n22  a\n");
    }

    #[test]
    fn colour_is_off_unless_asked() {
        let mut page = Page::new(false);
        page.toned(Tone::Bad, "x");
        page.gap();
        page.gap();
        assert_eq!(page.finish(), "x\n\n");
        assert_eq!(painted(Tone::Bad, "x", true), "\x1b[31mx\x1b[0m");
    }

    #[test]
    fn a_name_can_neither_paint_nor_begin_a_line() {
        let mut page = Page::new(true);
        page.toned(Tone::Good, "a\x1b[0m\nok");
        page.headed(Tone::Bad, "error:", " a\n::debug::x\x07");
        page.table(&[vec![
            (Tone::Plain, "a\tb".to_owned()),
            (Tone::Plain, "\u{9b}".to_owned()),
        ]]);
        assert_eq!(
            page.finish(),
            "\x1b[32ma\\x1b[0m\\nok\x1b[0m\n\x1b[31merror:\x1b[0m a\n  \\x3a:debug::x\\x07\na\\tb  \\u{9b}\n"
        );
    }
}
