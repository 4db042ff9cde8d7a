//! Owns the lexer: cuts any text into tokens that join back to it, by PostgreSQL's own rules.
//!
//! Total by construction: there is no text it refuses and none it panics on; what is not closed is said in
//! the token. It knows no grammar.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// White space, or a byte order mark at the start of the text.
    Space,
    /// `-- …` up to the end of its line.
    LineComment,
    /// `/* … */`, which nests.
    BlockComment,
    /// A keyword or a bare name.
    Word,
    /// `"…"` or `U&"…"`.
    QuotedName,
    /// `'…'` with any prefix.
    Text,
    /// `$tag$…$tag$`.
    DollarText,
    /// A number.
    Number,
    /// `$1`.
    Parameter,
    /// One or more operator characters.
    Operator,
    /// `;`
    Semicolon,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `\`, which only psql knows.
    Backslash,
    /// Any other single character: `,` `.` `:` `[` `]` and what PostgreSQL would refuse.
    Other,
}

/// A piece of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Where it begins, in bytes.
    pub start: usize,
    /// Where it ends, in bytes.
    pub end: usize,
    /// Whether its closing quote or mark is there; true for everything that needs none.
    pub closed: bool,
}

impl Token {
    /// Gives its text.
    pub fn text(self, source: &str) -> &str {
        &source[self.start..self.end]
    }

    /// Says whether it is neither white space nor a comment.
    pub fn is_code(self) -> bool {
        !matches!(
            self.kind,
            Kind::Space | Kind::LineComment | Kind::BlockComment
        )
    }

    /// Says whether it is this keyword, in any case.
    pub fn is_word(self, source: &str, word: &str) -> bool {
        self.kind == Kind::Word && self.text(source).eq_ignore_ascii_case(word)
    }
}

/// Cuts a text into tokens, one after the other and without a gap.
#[derive(Clone, Debug)]
pub struct Tokens<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Starts cutting at the beginning of a text.
pub fn tokens(text: &str) -> Tokens<'_> {
    Tokens {
        bytes: text.as_bytes(),
        at: 0,
    }
}

/// Gives the tokens of a text that are neither white space nor comments.
pub fn code(text: &str) -> impl Iterator<Item = Token> + Clone + '_ {
    tokens(text).filter(|token| token.is_code())
}

impl Tokens<'_> {
    /// Gives the place the next token begins at, in bytes.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// Goes on from another place, which must be the boundary of a character.
    pub fn jump(&mut self, offset: usize) {
        self.at = offset;
    }

    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    fn skip_while(&self, from: usize, fits: impl Fn(u8) -> bool) -> usize {
        self.bytes[from..]
            .iter()
            .position(|byte| !fits(*byte))
            .map_or(self.bytes.len(), |length| from + length)
    }

    /// Gives kind, end and whether it is closed of the token at `self.at`.
    fn measure(&self) -> (Kind, usize, bool) {
        let at = self.at;
        let next = self.byte(at + 1);
        match self.bytes[at] {
            byte if is_space(byte) => (Kind::Space, self.skip_while(at, is_space), true),
            0xEF if at == 0 && self.bytes.starts_with("\u{feff}".as_bytes()) => {
                (Kind::Space, 3, true)
            }
            b'-' if next == b'-' => (Kind::LineComment, self.line_end(at), true),
            b'/' if next == b'*' => self.block_comment(),
            b'\'' => self.quoted(Kind::Text, at + 1),
            b'"' => self.quoted(Kind::QuotedName, at + 1),
            b'e' | b'E' if next == b'\'' => self.escaped(at + 2),
            b'b' | b'B' | b'x' | b'X' | b'n' | b'N' if next == b'\'' => {
                self.quoted(Kind::Text, at + 2)
            }
            b'u' | b'U' if next == b'&' && self.byte(at + 2) == b'\'' => {
                self.quoted(Kind::Text, at + 3)
            }
            b'u' | b'U' if next == b'&' && self.byte(at + 2) == b'"' => {
                self.quoted(Kind::QuotedName, at + 3)
            }
            byte if starts_name(byte) => (Kind::Word, self.skip_while(at, continues_name), true),
            b'$' => self.dollar(),
            b'0'..=b'9' => (Kind::Number, self.number_end(), true),
            b'.' if next.is_ascii_digit() => (Kind::Number, self.number_end(), true),
            byte if is_operator(byte) => (Kind::Operator, self.operator_end(), true),
            b';' => (Kind::Semicolon, at + 1, true),
            b'(' => (Kind::Open, at + 1, true),
            b')' => (Kind::Close, at + 1, true),
            b'\\' => (Kind::Backslash, at + 1, true),
            _ => (Kind::Other, at + 1, true),
        }
    }

    fn line_end(&self, from: usize) -> usize {
        self.skip_while(from, |byte| byte != b'\n' && byte != b'\r')
    }

    fn block_comment(&self) -> (Kind, usize, bool) {
        let mut depth = 1_usize;
        let mut at = self.at + 2;
        while at < self.bytes.len() {
            match (self.bytes[at], self.byte(at + 1)) {
                (b'/', b'*') => {
                    depth += 1;
                    at += 2;
                }
                (b'*', b'/') => {
                    depth -= 1;
                    at += 2;
                    if depth == 0 {
                        return (Kind::BlockComment, at, true);
                    }
                }
                _ => at += 1,
            }
        }
        (Kind::BlockComment, self.bytes.len(), false)
    }

    /// Ends a literal or name in which only its doubled quote is special.
    fn quoted(&self, kind: Kind, mut at: usize) -> (Kind, usize, bool) {
        let quote = if kind == Kind::Text { b'\'' } else { b'"' };
        loop {
            at = self.skip_while(at, |byte| byte != quote);
            if at >= self.bytes.len() {
                return (kind, self.bytes.len(), false);
            }
            if self.byte(at + 1) != quote {
                return (kind, at + 1, true);
            }
            at += 2;
        }
    }

    /// Ends an `E'…'` literal, with the further parts PostgreSQL reads by the same rules when they follow
    /// on a new line.
    fn escaped(&self, mut at: usize) -> (Kind, usize, bool) {
        while at < self.bytes.len() {
            match (self.bytes[at], self.byte(at + 1)) {
                (b'\\', _) | (b'\'', b'\'') => at += 2,
                (b'\'', _) => match self.continued(at + 1) {
                    Some(next) => at = next,
                    None => return (Kind::Text, at + 1, true),
                },
                _ => at += 1,
            }
        }
        (Kind::Text, self.bytes.len(), false)
    }

    /// Finds the inside of the quote that continues a literal: only white space with a line break, and line
    /// comments, may stand between.
    fn continued(&self, mut at: usize) -> Option<usize> {
        let mut line_break = false;
        loop {
            match self.byte(at) {
                b'\n' | b'\r' => {
                    line_break = true;
                    at += 1;
                }
                b'-' if self.byte(at + 1) == b'-' => at = self.line_end(at),
                byte if is_space(byte) => at += 1,
                b'\'' if line_break => return Some(at + 1),
                _ => return None,
            }
        }
    }

    fn dollar(&self) -> (Kind, usize, bool) {
        let at = self.at;
        if self.byte(at + 1).is_ascii_digit() {
            return (
                Kind::Parameter,
                self.skip_while(at + 1, |byte| byte.is_ascii_digit()),
                true,
            );
        }
        let tag_end = if starts_name(self.byte(at + 1)) {
            self.skip_while(at + 1, |byte| byte != b'$' && continues_name(byte))
        } else {
            at + 1
        };
        if self.byte(tag_end) != b'$' {
            return (Kind::Other, at + 1, true);
        }
        let tag = &self.bytes[at..=tag_end];
        match find(&self.bytes[tag_end + 1..], tag) {
            Some(length) => (Kind::DollarText, tag_end + 1 + length + tag.len(), true),
            None => (Kind::DollarText, self.bytes.len(), false),
        }
    }

    fn number_end(&self) -> usize {
        let mut at = self.at;
        loop {
            at = self.skip_while(at, |byte| byte.is_ascii_alphanumeric() || byte == b'_');
            let exponent = matches!(self.byte(at.wrapping_sub(1)), b'e' | b'E')
                && matches!(self.byte(at), b'+' | b'-')
                && self.byte(at + 1).is_ascii_digit();
            let fraction = self.byte(at) == b'.' && self.byte(at + 1) != b'.';
            if !exponent && !fraction {
                return at;
            }
            at += 1;
        }
    }

    /// Ends an operator: it stops where a comment begins.
    fn operator_end(&self) -> usize {
        let mut at = self.at + 1;
        while is_operator(self.byte(at)) {
            if matches!(
                (self.byte(at), self.byte(at + 1)),
                (b'-', b'-') | (b'/', b'*')
            ) {
                break;
            }
            at += 1;
        }
        at
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let start = self.at;
        let (kind, end, closed) = self.measure();
        // A backslash as the last byte may step over the end.
        let end = end.min(self.bytes.len());
        self.at = end;
        Some(Token {
            kind,
            start,
            end,
            closed,
        })
    }
}

/// Finds the first place of `needle`, looking for its first byte and then comparing.
fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut at = 0;
    while let Some(step) = haystack[at..].iter().position(|byte| *byte == first) {
        at += step;
        if haystack[at..].starts_with(needle) {
            return Some(at);
        }
        at += 1;
    }
    None
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0B | 0x0C)
}

fn starts_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn continues_name(byte: u8) -> bool {
    starts_name(byte) || byte.is_ascii_digit() || byte == b'$'
}

fn is_operator(byte: u8) -> bool {
    matches!(
        byte,
        b'+' | b'-'
            | b'*'
            | b'/'
            | b'<'
            | b'>'
            | b'='
            | b'~'
            | b'!'
            | b'@'
            | b'#'
            | b'%'
            | b'^'
            | b'&'
            | b'|'
            | b'`'
            | b'?'
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: &[&str]) {
        let found: Vec<&str> = code(text).map(|token| token.text(text)).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn literals() {
        check("'it''s'", &["'it''s'"]);
        check(r"'a\' 'b'", &[r"'a\'", "'b'"]);
        check(r"E'a\'b' c", &[r"E'a\'b'", "c"]);
        check("e'a\\n'\n  'b\\''", &["e'a\\n'\n  'b\\''"]);
        check("E'a' -- c'\n'b\\'' x", &["E'a' -- c'\n'b\\''", "x"]);
        check("E'a' 'b'", &["E'a'", "'b'"]);
        check(r"U&'\0041' U&'x\'", &[r"U&'\0041'", r"U&'x\'"]);
        check("B'01' x'ff' N'n'", &["B'01'", "x'ff'", "N'n'"]);
        check("name'x'", &["name", "'x'"]);
    }

    #[test]
    fn dollar_quotes() {
        check("$$a;b$$", &["$$a;b$$"]);
        check("$a$ $b$ $$ $a$", &["$a$ $b$ $$ $a$"]);
        check("a$b$c", &["a$b$c"]);
        check("$1+$22", &["$1", "+", "$22"]);
        check("$ä$;$ä$", &["$ä$;$ä$"]);
        check("$1a$ $", &["$1", "a$", "$"]);
    }

    #[test]
    fn comments_and_operators() {
        check("a@--b\nc", &["a", "@", "c"]);
        check("a*/*b*/c", &["a", "*", "c"]);
        check("/* /* */ ; */ a", &["a"]);
        check("a -- b '\r c", &["a", "c"]);
        check("j ? 'k' ->> 'l'", &["j", "?", "'k'", "->>", "'l'"]);
    }

    #[test]
    fn names_and_numbers() {
        check(r#""a""b" U&"c;""#, &[r#""a""b""#, r#"U&"c;""#]);
        check(
            "1.5e-3 .5 1..2 0x1F",
            &["1.5e-3", ".5", "1", ".", ".2", "0x1F"],
        );
        check("grüße.x", &["grüße", ".", "x"]);
    }

    #[test]
    fn what_is_not_closed_is_said() {
        for text in ["'a", "E'a\\", "\"a", "$$a", "$x$a$$", "/* /* */", "E'a'\n'"] {
            let last = tokens(text).last();
            assert_eq!(last.map(|token| token.closed), Some(false), "{text}");
        }
    }

    proptest! {
        #[test]
        fn tokens_join_back(text in r#"(\PC|[-'"$;/*\\eEuU&(). \n\ra]|\$a\$|--|/\*|\*/){0,60}"#) {
            let mut at = 0;
            for token in tokens(&text) {
                prop_assert_eq!(token.start, at);
                prop_assert!(token.end > token.start);
                prop_assert!(text.is_char_boundary(token.end));
                at = token.end;
            }
            prop_assert_eq!(at, text.len());
        }
    }
}
