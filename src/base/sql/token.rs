//! The lexer: splits any text into tokens by PostgreSQL's rules, without gaps.
//!
//! It never fails and never panics; whether something is left unclosed is recorded in the token. It knows no grammar.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
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
    /// `\`, a command of psql.
    Backslash,
    /// Any other single character: `,` `.` `:` `[` `]` and what PostgreSQL would reject.
    Other,
}

/// How a plain `'…'` is read, by the server's `standard_conforming_strings`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quoting {
    /// `on`: a backslash is an ordinary character.
    #[default]
    Standard,
    /// `off`: a backslash escapes the next character, as in `E'…'`.
    Backslash,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    pub kind: TokenKind,
    /// Byte offset.
    pub start: usize,
    /// Byte offset.
    pub end: usize,
    /// Whether its closing quote or tag is present; true for tokens that need none.
    pub closed: bool,
}

impl Token {
    pub fn text(self, source: &str) -> &str {
        &source[self.start..self.end]
    }

    /// Returns whether it is neither white space nor a comment.
    ///
    /// An unclosed comment is code: the server rejects it, so it must be sent.
    pub fn is_code(self) -> bool {
        match self.kind {
            TokenKind::Space | TokenKind::LineComment => false,
            TokenKind::BlockComment => !self.closed,
            _ => true,
        }
    }

    /// Compares with a keyword, ignoring case.
    pub fn is_word(self, source: &str, word: &str) -> bool {
        self.kind == TokenKind::Word && self.text(source).eq_ignore_ascii_case(word)
    }
}

/// An iterator over the tokens of a text, without gaps.
#[derive(Clone, Debug)]
pub struct Tokens<'a> {
    bytes: &'a [u8],
    at: usize,
    quoting: Quoting,
}

pub fn tokens(text: &str) -> Tokens<'_> {
    tokens_in(text, Quoting::Standard)
}

/// Like [`tokens`], with the given reading of plain literals.
pub fn tokens_in(text: &str, quoting: Quoting) -> Tokens<'_> {
    Tokens {
        bytes: text.as_bytes(),
        at: 0,
        quoting,
    }
}

/// Returns the tokens of a text without white space and comments.
pub fn code(text: &str) -> impl Iterator<Item = Token> + Clone + '_ {
    code_in(text, Quoting::Standard)
}

/// Like [`code`], with the given reading of plain literals.
pub fn code_in(text: &str, quoting: Quoting) -> impl Iterator<Item = Token> + Clone + '_ {
    tokens_in(text, quoting).filter(|token| token.is_code())
}

impl Tokens<'_> {
    /// Returns the byte offset of the next token.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// Continues at another offset, which must be a character boundary.
    pub fn jump(&mut self, offset: usize) {
        self.at = offset;
    }

    /// Sets how plain literals are read from here on.
    pub fn set_quoting(&mut self, quoting: Quoting) {
        self.quoting = quoting;
    }

    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    fn skip_while(&self, from: usize, fits: impl Fn(u8) -> bool) -> usize {
        let rest = self.bytes.get(from..).unwrap_or_default();
        rest.iter()
            .position(|byte| !fits(*byte))
            .map_or(self.bytes.len(), |length| from + length)
    }

    /// Returns kind, end and closedness of the token at `self.at`.
    fn measure(&self) -> (TokenKind, usize, bool) {
        let at = self.at;
        let next = self.byte(at + 1);
        match self.bytes[at] {
            byte if is_space(byte) => (TokenKind::Space, self.skip_while(at, is_space), true),
            0xEF if at == 0 && self.bytes.starts_with("\u{feff}".as_bytes()) => {
                (TokenKind::Space, 3, true)
            }
            b'-' if next == b'-' => (TokenKind::LineComment, self.line_end(at), true),
            b'/' if next == b'*' => self.block_comment(),
            b'\'' => self.plain(at + 1),
            b'"' => self.quoted(TokenKind::QuotedName, at + 1),
            b'e' | b'E' if next == b'\'' => self.escaped(at + 2),
            b'n' | b'N' if next == b'\'' => self.plain(at + 2),
            b'b' | b'B' | b'x' | b'X' if next == b'\'' => self.quoted(TokenKind::Text, at + 2),
            b'u' | b'U' if next == b'&' && self.byte(at + 2) == b'\'' => {
                self.quoted(TokenKind::Text, at + 3)
            }
            b'u' | b'U' if next == b'&' && self.byte(at + 2) == b'"' => {
                self.quoted(TokenKind::QuotedName, at + 3)
            }
            byte if starts_name(byte) => {
                (TokenKind::Word, self.skip_while(at, continues_name), true)
            }
            b'$' => self.dollar(),
            b'0'..=b'9' => (TokenKind::Number, self.number_end(), true),
            b'.' if next.is_ascii_digit() => (TokenKind::Number, self.number_end(), true),
            byte if is_operator(byte) => (TokenKind::Operator, self.operator_end(), true),
            b';' => (TokenKind::Semicolon, at + 1, true),
            b'(' => (TokenKind::Open, at + 1, true),
            b')' => (TokenKind::Close, at + 1, true),
            b'\\' => (TokenKind::Backslash, at + 1, true),
            _ => (TokenKind::Other, at + 1, true),
        }
    }

    fn line_end(&self, from: usize) -> usize {
        self.skip_while(from, |byte| byte != b'\n' && byte != b'\r')
    }

    fn block_comment(&self) -> (TokenKind, usize, bool) {
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
                        return (TokenKind::BlockComment, at, true);
                    }
                }
                _ => at += 1,
            }
        }
        (TokenKind::BlockComment, self.bytes.len(), false)
    }

    /// Finds the end of a literal without a prefix, or with one that does not change how it is read.
    fn plain(&self, at: usize) -> (TokenKind, usize, bool) {
        match self.quoting {
            Quoting::Standard => self.quoted(TokenKind::Text, at),
            Quoting::Backslash => self.escaped(at),
        }
    }

    /// Finds the end of a literal or name in which only the doubled quote is special.
    fn quoted(&self, kind: TokenKind, mut at: usize) -> (TokenKind, usize, bool) {
        let quote = if kind == TokenKind::Text { b'\'' } else { b'"' };
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

    /// Finds the end of an `E'…'` literal, including continuation parts on following lines, which PostgreSQL reads by the
    /// same rules.
    fn escaped(&self, mut at: usize) -> (TokenKind, usize, bool) {
        while at < self.bytes.len() {
            match (self.bytes[at], self.byte(at + 1)) {
                (b'\\', _) | (b'\'', b'\'') => at += 2,
                (b'\'', _) => match self.continued(at + 1) {
                    Some(next) => at = next,
                    None => return (TokenKind::Text, at + 1, true),
                },
                _ => at += 1,
            }
        }
        (TokenKind::Text, self.bytes.len(), false)
    }

    /// Finds the inside of the quote that continues a literal: only white space with a line break, and line
    /// comments, may be between.
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

    fn dollar(&self) -> (TokenKind, usize, bool) {
        let at = self.at;
        if self.byte(at + 1).is_ascii_digit() {
            return (
                TokenKind::Parameter,
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
            return (TokenKind::Other, at + 1, true);
        }
        let tag = &self.bytes[at..=tag_end];
        match find(&self.bytes[tag_end + 1..], tag) {
            Some(length) => (
                TokenKind::DollarText,
                tag_end + 1 + length + tag.len(),
                true,
            ),
            None => (TokenKind::DollarText, self.bytes.len(), false),
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

    /// Finds the end of an operator, which stops at a comment.
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
        // A backslash as the last byte may skip past the end.
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

/// Returns the content of a `$tag$…$tag$`; an unclosed one extends to the end of its text.
pub fn inside_dollars(literal: &str) -> &str {
    let Some((tag, inside)) = literal
        .strip_prefix('$')
        .and_then(|rest| rest.split_once('$'))
    else {
        return literal;
    };
    inside
        .strip_suffix('$')
        .and_then(|inside| inside.strip_suffix(tag)?.strip_suffix('$'))
        .unwrap_or(inside)
}

/// Returns the content of a literal as written.
pub fn content(whole: &str, token: Token) -> &str {
    match token.kind {
        TokenKind::DollarText => inside_dollars(whole),
        TokenKind::Text => {
            let start = whole.find('\'').map_or(0, |at| at + 1);
            let end = if token.closed {
                whole.len() - 1
            } else {
                whole.len()
            };
            whole.get(start..end).unwrap_or_default()
        }
        _ => whole,
    }
}

/// Returns the value of a quoted text, with doubled quotes and escapes resolved. `whole` is the text of the token.
pub fn meaning(whole: &str, token: Token) -> String {
    if token.kind == TokenKind::DollarText {
        return content(whole, token).to_owned();
    }
    let quote = if whole.trim_end().ends_with('"') {
        '"'
    } else {
        '\''
    };
    let prefix = whole.find(quote).unwrap_or(0);
    let escapes = matches!(whole.as_bytes().first(), Some(b'e' | b'E'));
    let unicode = matches!(whole.as_bytes().first(), Some(b'u' | b'U'));
    let inner = whole.get(prefix + 1..).unwrap_or_default();
    let inner = inner.strip_suffix(quote).unwrap_or(inner);
    let mut meant = String::with_capacity(inner.len());
    let mut rest = inner.chars().peekable();
    while let Some(character) = rest.next() {
        if character == quote && rest.peek() == Some(&quote) {
            rest.next();
            meant.push(quote);
        } else if character == '\\' && (escapes || unicode) {
            let (digits, radix) = match rest.peek() {
                Some('x') if escapes => (2, 16),
                Some('u') if escapes => (4, 16),
                Some('U') if escapes => (8, 16),
                Some('0'..='7') if escapes => (3, 8),
                Some('+') if unicode => (6, 16),
                _ if unicode => (4, 16),
                _ => (0, 0),
            };
            if matches!(rest.peek(), Some('x' | 'u' | 'U' | '+')) && digits > 0 {
                rest.next();
            }
            let mut number = String::new();
            while number.len() < digits && rest.peek().is_some_and(|digit| digit.is_digit(radix)) {
                number.extend(rest.next());
            }
            let control = match rest.peek() {
                Some('n') => Some('\n'),
                Some('t') => Some('\t'),
                Some('r') => Some('\r'),
                Some('b') => Some('\u{8}'),
                Some('f') => Some('\u{c}'),
                _ => None,
            };
            if let Some(control) = control.filter(|_| escapes) {
                rest.next();
                meant.push(control);
                continue;
            }
            let code = (digits > 0)
                .then(|| u32::from_str_radix(&number, radix).ok())
                .flatten();
            match code.and_then(char::from_u32) {
                Some(character) => meant.push(character),
                None => meant.extend(rest.next()),
            }
        } else {
            meant.push(character);
        }
    }
    meant
}

/// Searches for the first byte of `needle` and then compares.
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
    fn a_backslash_escapes_with_standard_conforming_strings_off() {
        let check = |text: &str, expected: &[&str]| {
            let found = code_in(text, Quoting::Backslash);
            let found: Vec<&str> = found.map(|token| token.text(text)).collect();
            assert_eq!(found, expected, "{text}");
        };
        check(r"'a\\'d' c", &[r"'a\\'", "d", "' c"]);
        check(r"'a\'b' c", &[r"'a\'b'", "c"]);
        check(r"N'a\'b' c", &[r"N'a\'b'", "c"]);
        check(r"B'\' x'\' U&'\' c", &[r"B'\'", r"x'\'", r"U&'\'", "c"]);
        check("'a'\n'b\\'' c", &["'a'\n'b\\''", "c"]);
        check(r#""a\" $$\$$ c"#, &[r#""a\""#, r"$$\$$", "c"]);
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
    fn the_content_of_a_dollar_quote() {
        let check = |text: &str, expected: &str| assert_eq!(inside_dollars(text), expected);
        check("$$a$$", "a");
        check("$x$ $$ ☃$x$", " $$ ☃");
        check("$$$$", "");
        check("$$ SELECT ☃", " SELECT ☃");
        check("$x$ a $x", " a $x");
        check("$$", "");
        check("$", "$");
        check("", "");
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
    fn unclosed_tokens_are_recognised() {
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
