//! Rewrites SQL to an equivalent text without characters that a terminal or a CI runner would interpret.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::sql::token::{self, TokenKind};
use crate::visible;

/// Writes names and literals that contain control characters with escapes.
///
/// Comments and everything outside of quotes stay unchanged.
pub fn statement(sql: &str) -> Cow<'_, str> {
    if visible::is_harmless(sql) && !sql.contains("\"") {
        return Cow::Borrowed(sql);
    }
    let mut printed = String::with_capacity(sql.len());
    for token in token::tokens(sql) {
        let text = token.text(sql);
        // Numeric escapes, which may be bytes, stay unchanged.
        let spelled = text.contains('\\')
            && text.contains(['x', 'u', 'U', '0', '1', '2', '3', '4', '5', '6', '7']);
        let numbered = match text.as_bytes()[0] {
            b'e' | b'E' => spelled,
            first => matches!(first, b'u' | b'U' | b'b' | b'B' | b'x' | b'X'),
        };
        let plain = token.closed && (!numbered || token.kind == TokenKind::DollarText);
        match token.kind {
            TokenKind::QuotedName if plain && visible::line(text) != text => {
                escaped(&mut printed, '"', &token::meaning(text, token));
            }
            TokenKind::Text | TokenKind::DollarText if plain && !visible::is_harmless(text) => {
                escaped(&mut printed, '\'', &token::meaning(text, token));
            }
            _ => printed.push_str(text),
        }
    }
    Cow::Owned(printed)
}

/// Writes `U&'…'` or `U&"…"`.
fn escaped(printed: &mut String, quote: char, meaning: &str) {
    printed.push_str("U&");
    printed.push(quote);
    let mut before = ' ';
    for character in meaning.chars() {
        let mut two = [0; 8];
        let alone = visible::line(character.encode_utf8(&mut two)) == character.to_string();
        // A line break in a literal stays, and so do the two characters that may begin a CI runner's command.
        let line_break = quote == '\'' && (character == '\n' || character == '\t');
        let command = before == character && matches!(character, ':' | '#');
        match character {
            '\\' => printed.push_str("\\\\"),
            _ if character == quote => printed.extend([quote, quote]),
            _ if (alone || line_break) && !command => printed.push(character),
            _ if u32::from(character) <= 0xffff => {
                let _ = write!(printed, "\\{:04x}", u32::from(character));
            }
            _ => {
                let _ = write!(printed, "\\+{:06x}", u32::from(character));
            }
        }
        before = character;
    }
    printed.push(quote);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_literals_mean_the_same() {
        for (sql, printed) in [
            ("SELECT \"a\nb\"", "SELECT U&\"a\\000ab\""),
            ("SELECT \"a\x1b\"\"b\\\"", "SELECT U&\"a\\001b\"\"b\\\\\""),
            (
                "SELECT 'a\nb', 'it''s\x07'",
                "SELECT 'a\nb', U&'it''s\\0007'",
            ),
            ("SELECT E'a\\tb\x07'", "SELECT U&'a\tb\\0007'"),
            (
                "DO $$a\n::stop-commands::b$$",
                "DO U&'a\n:\\003astop-commands:\\003ab'",
            ),
            ("DO $$a\n ##[x]$$", "DO U&'a\n #\\0023[x]'"),
            ("DO $$a\r\nb$$", "DO $$a\r\nb$$"),
            ("SELECT '\u{e0041}'", "SELECT U&'\\+0e0041'"),
            ("SELECT a::text \"b\"", "SELECT a::text \"b\""),
        ] {
            assert_eq!(statement(sql), printed, "{sql}");
        }
    }
}
