//! Numbers that a seed decides, and the changes they make to a file.

/// What a reader of text is most likely to trip over.
const TOKENS: &[&str] = &[
    "/*",
    "*/",
    "/**/",
    "--",
    "$$",
    "$a$",
    "$1",
    "'",
    "''",
    "E'\\'",
    "U&'",
    "\"",
    "\"\"",
    "\\",
    "\\.",
    "\\;",
    ";",
    ";;",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ".",
    ":",
    "::",
    "||",
    "=",
    "☃",
    "é",
    "\u{feff}",
    "\u{0}",
    "\u{1b}[2J",
    "\r",
    "\r\n",
    "\n",
    "\t",
    "\u{b}",
    "0",
    "1e",
    "1e99",
    "-1",
    "99999999999999999999",
    "18446744073709551615",
    "-9223372036854775808",
    "null",
    "true",
    "- ",
    "? ",
    "& ",
    "*a ",
    "&a ",
    "<<: ",
    "!!int ",
    "| \n",
    "> \n",
    "%YAML 1.2\n",
    "---\n",
    "...\n",
    "BEGIN ATOMIC ",
    "CASE ",
    "END ",
    "COPY t FROM stdin;\n",
    "SET standard_conforming_strings = off;\n",
    "-- af-db: allow D01 reason=\"x\" until=2027-01-31\n",
    "-- af-db: no-transaction\n",
    "CREATE FUNCTION f() ",
    "EXECUTE ",
    "ALTER TABLE t ",
    "ADD COLUMN ",
    "ALTER COLUMN ",
    "TYPE ",
    "CREATE POLICY p ON t ",
    "USING (",
    "ON ",
    "AS ",
    "GRANT ",
    "DROP TABLE ",
    "references ",
    "constraint ",
    "unique ",
    "using ",
];

/// A row of numbers that one seed decides.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `end`, or 0 where that is 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).expect("a size fits");
        usize::try_from(self.next() % end).expect("it is smaller than a size")
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// Returns a piece of a file, short enough to be read thousands of times.
    pub(crate) fn piece<'a>(&mut self, bytes: &'a [u8], longest: usize) -> &'a [u8] {
        let length = longest.min(bytes.len());
        let start = self.below(bytes.len() - length + 1);
        &bytes[start..start + length]
    }

    /// Changes a file in one place or more.
    pub(crate) fn change(&mut self, bytes: &mut Vec<u8>, other: &[u8], most: usize) {
        for _ in 0..=self.below(most) {
            self.change_once(bytes, other);
        }
    }

    fn change_once(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(bytes.len() + 1);
        let end = (at + self.below(24)).min(bytes.len());
        match self.below(9) {
            0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            1 => bytes.truncate(at),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let part = bytes[at..end].to_vec();
                insert(bytes, at, &part);
            }
            4 => {
                let part = self.piece(other, 64).to_vec();
                insert(bytes, at, &part);
            }
            5 => {
                // Deep nesting, and names longer than any server takes.
                let word = *self.pick(&[
                    "(", "[", "{", "- ", "a", "a.", "CASE ", "/*", "☃", "not ", "a: ",
                ]);
                let part = word.repeat(1 << self.below(10));
                insert(bytes, at, part.as_bytes());
            }
            _ => {
                let token = *self.pick(TOKENS);
                insert(bytes, at, token.as_bytes());
            }
        }
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, part: &[u8]) {
    drop(bytes.splice(at..at, part.iter().copied()));
}
