//! Checks fragments of SQL before they are inserted into a statement: that they are complete, and
//! which part of a column is its foreign key.
//!
//! Does not validate SQL: PostgreSQL does, when the manifest is normalized.

use crate::sql::token::{self, TokenKind};

/// A token, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Token {
    start: usize,
    end: usize,
    /// Lower case for words that are not quoted, the character for symbols, empty for everything quoted.
    word: String,
    depth: u32,
}

/// A column split into its definition and its foreign key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ColumnParts {
    /// The definition without the foreign key.
    pub column: String,
    /// The foreign key, if there is one.
    pub reference: Option<InlineForeignKey>,
}

/// A foreign key beside a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InlineForeignKey {
    /// The name, quoted if it was.
    pub name: Option<String>,
    /// The clause, beginning with `references`.
    pub clause: String,
    /// Byte offset of the clause in the line.
    pub start: usize,
}

/// Checks that a fragment is complete: quotes and brackets are closed, and no semicolon ends the statement.
///
/// The error is the problem as text.
pub(crate) fn check(text: &str) -> Result<(), String> {
    tokens(text).map(drop)
}

/// Checks that a fragment is one item of a list.
pub(crate) fn check_item(text: &str) -> Result<(), String> {
    let comma = tokens(text)?
        .into_iter()
        .any(|token| token.depth == 0 && token.word == ",");
    if comma {
        return Err("a comma is not allowed here; it would start another item".to_owned());
    }
    Ok(())
}

/// Splits the foreign key from a column.
pub(crate) fn split_reference(text: &str) -> Result<ColumnParts, String> {
    let tokens = tokens(text)?;
    let at = tokens
        .iter()
        .position(|token| token.depth == 0 && token.word == "references");
    let Some(at) = at else {
        return Ok(ColumnParts {
            column: text.to_owned(),
            reference: None,
        });
    };
    let end = reference_end(&tokens, at);
    let named = at >= 2 && tokens[at - 2].word == "constraint";
    let first = if named { at - 2 } else { at };
    let clause_end = tokens[end - 1].end;
    let column = format!("{}{}", &text[..tokens[first].start], &text[clause_end..]);
    Ok(ColumnParts {
        column: column.trim_end().to_owned(),
        reference: Some(InlineForeignKey {
            name: named.then(|| text[tokens[at - 1].start..tokens[at - 1].end].to_owned()),
            clause: text[tokens[at].start..clause_end].to_owned(),
            start: tokens[at].start,
        }),
    })
}

/// Finds the end of a trigger's events, where the table is named: before `from`, `deferrable`, `referencing`, `for`,
/// `when` or `execute`.
pub(crate) fn event_end(text: &str) -> Result<usize, String> {
    const AFTER: [&str; 8] = [
        "from",
        "not",
        "deferrable",
        "initially",
        "referencing",
        "for",
        "when",
        "execute",
    ];
    let tokens = tokens(text)?;
    // Column names may be any of these words where they are quoted; unquoted, most of them are reserved.
    let end = tokens
        .iter()
        .find(|token| token.depth == 0 && AFTER.contains(&token.word.as_str()));
    end.map(|token| token.start)
        .ok_or_else(|| "the trigger has no `execute` clause".to_owned())
}

/// Finds the token after the last one that belongs to `references …`.
fn reference_end(tokens: &[Token], at: usize) -> usize {
    let word = |index: usize| tokens.get(index).map_or("", |token| token.word.as_str());
    // The name, with its schema.
    let mut index = (at + 2).min(tokens.len());
    while word(index) == "." {
        index = (index + 2).min(tokens.len());
    }
    index = skip_brackets(tokens, index);
    loop {
        let taken = match (word(index), word(index + 1)) {
            ("match" | "initially", _) | ("not", "deferrable" | "valid" | "enforced") => 2,
            ("deferrable" | "enforced", _) => 1,
            ("on", "delete" | "update") => match word(index + 2) {
                "no" | "set" => 4,
                _ => 3,
            },
            _ => return index,
        };
        index = skip_brackets(tokens, (index + taken).min(tokens.len()));
    }
}

fn skip_brackets(tokens: &[Token], index: usize) -> usize {
    if tokens.get(index).is_none_or(|token| token.word != "(") {
        return index;
    }
    let depth = tokens[index].depth;
    let close = tokens[index + 1..]
        .iter()
        .position(|token| token.depth == depth);
    close.map_or(tokens.len(), |close| index + 1 + close + 1)
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut open: Vec<&str> = Vec::new();
    for token in token::tokens(text).filter(|token| token.kind != TokenKind::Space) {
        let written = token.text(text);
        if !token.closed {
            return Err("unterminated quote".to_owned());
        }
        match (token.kind, written) {
            (TokenKind::LineComment | TokenKind::BlockComment, _) => {
                return Err("SQL comments are not allowed here; use a YAML comment (#)".to_owned());
            }
            (TokenKind::Semicolon, _) => {
                return Err("`;` is not allowed here; it would end the statement".to_owned());
            }
            (_, "\0") => return Err("a null byte is not allowed in SQL".to_owned()),
            (_, ")" | "]") => {
                let fits = open
                    .pop()
                    .is_some_and(|opened| (opened == "(") == (written == ")"));
                if !fits {
                    return Err(format!("unmatched `{written}`"));
                }
            }
            _ => {}
        }
        let word = match token.kind {
            TokenKind::QuotedName | TokenKind::Text | TokenKind::DollarText => String::new(),
            _ => written.to_lowercase(),
        };
        let depth = u32::try_from(open.len()).unwrap_or(u32::MAX);
        tokens.push(Token {
            start: token.start,
            end: token.end,
            word,
            depth,
        });
        if matches!(written, "(" | "[") && token.kind != TokenKind::QuotedName {
            open.push(written);
        }
    }
    match open.last() {
        Some(opened) => Err(format!("`{opened}` is not closed")),
        None => Ok(tokens),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_key_leaves_its_column() {
        let check = |line: &str, column: &str, name: Option<&str>, clause: &str| {
            let split = split_reference(line).unwrap();
            let reference = split.reference.unwrap();
            assert_eq!(
                (
                    split.column.as_str(),
                    reference.name.as_deref(),
                    reference.clause.as_str()
                ),
                (column, name, clause)
            );
        };
        check(
            "uuid references tenants",
            "uuid",
            None,
            "references tenants",
        );
        check(
            "uuid not null references app.tenants (id) on delete cascade default 'references (x'",
            "uuid not null  default 'references (x'",
            None,
            "references app.tenants (id) on delete cascade",
        );
        check(
            "uuid constraint \"f k\" REFERENCES \"T\".\"a.b\" match full on update set null (a, b) not deferrable not null",
            "uuid  not null",
            Some("\"f k\""),
            "REFERENCES \"T\".\"a.b\" match full on update set null (a, b) not deferrable",
        );
        check(
            "int references t on delete no action initially deferred check (a > 0)",
            "int  check (a > 0)",
            None,
            "references t on delete no action initially deferred",
        );
        let none =
            split_reference("text default $a$ references $a$ check (x in ('references'))").unwrap();
        assert_eq!(none.reference, None);
    }

    #[test]
    fn a_line_is_one_piece() {
        let refuse = |line: &str, expected: &str| {
            assert_eq!(check_item(line).unwrap_err(), expected, "{line}")
        };
        refuse(
            "text, evil int",
            "a comma is not allowed here; it would start another item",
        );
        refuse("text); drop table t; --", "unmatched `)`");
        refuse("text default 'a", "unterminated quote");
        refuse("text check (a > 0", "`(` is not closed");
        refuse("text check (a[0)", "unmatched `)`");
        refuse(
            "text; drop table t",
            "`;` is not allowed here; it would end the statement",
        );
        refuse(
            "text -- really",
            "SQL comments are not allowed here; use a YAML comment (#)",
        );
        refuse("text default $q$ never", "unterminated quote");
        for line in [
            "numeric(10, 2)",
            "text default 'it''s, (a'",
            "text default E'\\', ('",
            "\"we,ird;\" collate \"C\"",
            "text default $q$ ; , ( $q$",
            "int[] default array[1, 2]",
        ] {
            assert_eq!(check_item(line), Ok(()), "{line}");
        }
    }

    #[test]
    fn nothing_makes_it_panic() {
        for line in [
            "references",
            "constraint references",
            "references \"",
            "references a.",
            "$",
            "$1$",
            "references t (",
            "on",
            "é references ü on delete",
        ] {
            let _ = split_reference(line);
        }
    }
}
