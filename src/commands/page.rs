//! Owns the page a report writes for people: plain lines with a little colour that never carries meaning alone.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr;

/// The part a piece of text plays; colour follows from it.
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
    /// Whether everything is told, however little it matters.
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

    /// Writes a line.
    pub fn line(&mut self, text: impl AsRef<str>) {
        self.text.push_str(text.as_ref());
        self.text.push('\n');
    }

    /// Writes a line in a tone.
    pub fn toned(&mut self, tone: Tone, text: impl AsRef<str>) {
        let painted = self.paint(tone, text.as_ref());
        self.line(painted);
    }

    /// Leaves a line empty, unless the page begins here or one is empty already.
    pub fn gap(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    /// Gives a piece of text in a tone, to be part of a line.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Good => "32",
            Tone::Warn => "33",
            Tone::Bad => "31",
            Tone::Dim => "2",
            Tone::Strong => "1",
        };
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// Writes rows in columns as wide as their widest cell; the last column is left ragged.
    pub fn table(&mut self, rows: &[Vec<(Tone, String)>]) {
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.1.width()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in rows {
            let mut line = String::new();
            for (column, (tone, text)) in row.iter().enumerate() {
                line.push_str(&self.paint(*tone, text));
                if column + 1 < row.len() {
                    let padding = widths[column].saturating_sub(text.width()) + 2;
                    let _ = write!(line, "{:padding$}", "");
                }
            }
            self.line(line.trim_end());
        }
    }

    /// Gives the finished text.
    pub fn finish(self) -> String {
        self.text
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
        assert_eq!(Page::new(true).paint(Tone::Bad, "x"), "\x1b[31mx\x1b[0m");
    }
}
