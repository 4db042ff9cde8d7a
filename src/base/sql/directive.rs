//! Reads directives: comments of the form `-- af-db: keyword argument name="value"`.
//!
//! Only line comments count, never a string that looks like one. The meaning of the keywords is defined by the callers.

use std::ops::Range;

use crate::sql::position::{Position, Positions};
use crate::sql::split::{self, Statement};
use crate::sql::token::{self, Quoting, TokenKind};

/// The prefix of a directive's comment.
const MARK: &str = "af-db:";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// The first word, such as `no-transaction` or `allow`.
    pub keyword: String,
    /// Arguments without a name, such as the rule of `allow`.
    pub words: Vec<String>,
    /// Arguments with a name, such as `reason="…"`, in order.
    pub named: Vec<(String, String)>,
    /// Byte offset of the start of the comment.
    pub start: usize,
    /// Byte offset of the end of the comment.
    pub end: usize,
    pub position: Position,
}

impl Directive {
    pub fn value(&self, name: &str) -> Option<&str> {
        self.named
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Returns every directive of a text, in order.
///
/// ```
/// let text = "-- af-db: allow R07 reason=\"three rows\"\nALTER TABLE t ALTER a TYPE bigint;";
/// let directives = af_db_base::sql::directive::directives(text);
/// assert_eq!(directives[0].keyword, "allow");
/// assert_eq!(directives[0].words, ["R07"]);
/// assert_eq!(directives[0].value("reason"), Some("three rows"));
/// ```
pub fn directives(text: &str) -> Vec<Directive> {
    if text.contains(MARK) {
        of_statements(text, &split::split(text))
    } else {
        Vec::new()
    }
}

/// Returns every directive of a text that is already split, in order; `COPY` data contains none.
pub fn of_statements(text: &str, statements: &[Statement<'_>]) -> Vec<Directive> {
    if !text.contains(MARK) {
        return Vec::new();
    }
    let positions = Positions::new(text);
    let mut found = Vec::new();
    let mut read = |part: &str, at: usize, quoting: Quoting| {
        for token in token::tokens_in(part, quoting).filter(|it| it.kind == TokenKind::LineComment)
        {
            let span = at + token.start..at + token.end;
            found.extend(directive(token.text(part), span, &positions));
        }
    };
    for statement in statements {
        read(statement.lead, statement.from(), Quoting::Standard);
        read(statement.text, statement.start, statement.quoting);
        read(statement.tail, statement.end, Quoting::Standard);
    }
    let rest = split::rest(text, statements);
    read(rest, text.len() - rest.len(), Quoting::Standard);
    found
}

fn directive(comment: &str, span: Range<usize>, positions: &Positions<'_>) -> Option<Directive> {
    let rest = comment.trim_start_matches('-').trim_start();
    let mut words = Vec::new();
    let mut named = Vec::new();
    for (name, value) in arguments(rest.strip_prefix(MARK)?) {
        match name {
            Some(name) => named.push((name, value)),
            None => words.push(value),
        }
    }
    let keyword = if words.is_empty() {
        String::new()
    } else {
        words.remove(0)
    };
    Some(Directive {
        keyword,
        words,
        named,
        start: span.start,
        end: span.end,
        position: positions.of_byte(span.start),
    })
}

/// Splits `word name=value name="a value"`; an unclosed quote extends to the end.
fn arguments(mut rest: &str) -> Vec<(Option<String>, String)> {
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return found;
        }
        let word_end = rest
            .find(|character: char| character.is_whitespace() || character == '=')
            .unwrap_or(rest.len());
        let (word, after) = rest.split_at(word_end);
        let Some(value) = after.strip_prefix('=') else {
            found.push((None, word.to_owned()));
            rest = after;
            continue;
        };
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => value.split_at(value.find(char::is_whitespace).unwrap_or(value.len())),
        };
        found.push((Some(word.to_owned()), value.to_owned()));
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_read() {
        let found = directives(
            "-- af-db: no-transaction\n--af-db: timeout 5min\nSELECT 1; -- af-db: allow R07 D02 reason=\"a = b\" until=2027-01-31\n",
        );
        assert_eq!(found[0].keyword, "no-transaction");
        assert_eq!(found[1].words, ["5min"]);
        assert_eq!(found[2].words, ["R07", "D02"]);
        assert_eq!(found[2].value("reason"), Some("a = b"));
        assert_eq!(found[2].value("until"), Some("2027-01-31"));
        assert_eq!(
            found[2].position,
            Position {
                line: 3,
                column: 11
            }
        );
    }

    #[test]
    fn strings_and_other_comments_are_no_directives() {
        let check = |text: &str| assert_eq!(directives(text), [], "{text}");
        check("SELECT '-- af-db: no-transaction'");
        check("SELECT $$\n-- af-db: no-transaction\n$$");
        check("/* -- af-db: no-transaction */");
        check("-- see af-db: no-transaction");
        check("COPY t FROM stdin;\n-- af-db: no-transaction\n\\.\n");
    }

    #[test]
    fn a_quote_in_copy_data_hides_no_directive() {
        let found = directives("COPY t FROM stdin;\nit's\n\\.\n-- af-db: allow R07\nSELECT 1");
        assert_eq!(found[0].words, ["R07"]);
        assert_eq!(found[0].position.line, 4);
    }

    #[test]
    fn malformed_arguments_are_read_leniently() {
        let found = directives("-- af-db: allow reason=\"never closed");
        assert_eq!(found[0].value("reason"), Some("never closed"));
        assert_eq!(directives("-- af-db:")[0].keyword, "");
        assert_eq!(directives("-- af-db: a = b")[0].value(""), Some(""));
    }
}
