//! Owns the reading of directives: comments of the form `-- af-db: keyword argument name="value"`.
//!
//! Only what stands in a line comment counts, never a string that looks like one. What the keywords mean is
//! decided by those who use them.

use std::ops::Range;

use crate::sql::position::{Position, Positions};
use crate::sql::split::{self, Statement};
use crate::sql::token::{self, Quoting, TokenKind};

/// What a directive's comment begins with.
const MARK: &str = "af-db:";

/// One directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// The first word, such as `no-transaction` or `allow`.
    pub keyword: String,
    /// The words without a name, such as the rule of `allow`.
    pub words: Vec<String>,
    /// The words with one, such as `reason="…"`, in order.
    pub named: Vec<(String, String)>,
    /// Where its comment begins, in bytes.
    pub start: usize,
    /// Where its comment ends, in bytes.
    pub end: usize,
    /// Where its comment begins, as a person counts.
    pub position: Position,
}

impl Directive {
    /// Gives the value of a named argument.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.named
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Gives every directive of a text, in order.
///
/// ```
/// let text = "-- af-db: allow R07 reason=\"three rows\"\nALTER TABLE t ALTER a TYPE bigint;";
/// let directives = af_db::sql::directive::directives(text);
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

/// Gives every directive of a text that is split already, in order; the rows of a `COPY` hold none.
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

/// Cuts `word name=value name="a value"` apart; a quote that is not closed reaches to the end.
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
    fn what_only_looks_like_one_is_not() {
        let check = |text: &str| assert_eq!(directives(text), [], "{text}");
        check("SELECT '-- af-db: no-transaction'");
        check("SELECT $$\n-- af-db: no-transaction\n$$");
        check("/* -- af-db: no-transaction */");
        check("-- see af-db: no-transaction");
        check("COPY t FROM stdin;\n-- af-db: no-transaction\n\\.\n");
    }

    #[test]
    fn rows_with_a_quote_hide_no_directive() {
        let found = directives("COPY t FROM stdin;\nit's\n\\.\n-- af-db: allow R07\nSELECT 1");
        assert_eq!(found[0].words, ["R07"]);
        assert_eq!(found[0].position.line, 4);
    }

    #[test]
    fn broken_arguments_do_no_harm() {
        let found = directives("-- af-db: allow reason=\"never closed");
        assert_eq!(found[0].value("reason"), Some("never closed"));
        assert_eq!(directives("-- af-db:")[0].keyword, "");
        assert_eq!(directives("-- af-db: a = b")[0].value(""), Some(""));
    }
}
