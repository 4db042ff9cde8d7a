//! Owns the parts of a step's text: its statements, and the units that are run and recorded one by one.

use std::ops::Range;

use crate::sql::class::Class;
use crate::sql::{split, token};

/// The statements of a text and what matters of them for running it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// Where each statement stands.
    pub statements: Vec<Range<usize>>,
    /// The data of each `COPY … FROM STDIN`, by the statement's place.
    pub copies: Vec<(usize, Range<usize>)>,
    /// The statements that change settings, which a continued run repeats.
    pub settings: Vec<usize>,
    /// The statements that begin or end a transaction.
    pub control: Vec<(usize, Control)>,
    /// The statements that no transaction can hold, with PostgreSQL's reason.
    pub alone: Vec<(usize, &'static str)>,
    /// The calls of procedures, which may commit in between.
    pub calls: Vec<usize>,
    /// The commands of psql.
    pub meta_commands: Vec<usize>,
}

impl Outline {
    /// Says whether the text chooses its own timeouts.
    pub(crate) fn sets_timeouts(&self, text: &str) -> bool {
        let mut settings = self.settings.iter();
        settings.any(|index| text[self.statements[*index].clone()].contains("_timeout"))
    }
}

/// What a statement does to a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Begins one.
    Begin,
    /// Ends one and keeps what it did.
    Commit,
    /// Ends one and undoes what it did.
    Rollback,
}

/// How a unit runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// In a transaction of ours, together with its record.
    Atomic,
    /// In the transaction that the file itself writes, together with its record.
    OwnTransaction,
    /// Outside any transaction; its intent is recorded before.
    Alone,
}

/// What is run and recorded as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// How it runs.
    pub kind: Kind,
    /// Its statements.
    pub statements: Range<usize>,
}

/// Reads a text once.
pub fn outline(text: &str) -> Outline {
    let mut outline = Outline::default();
    for statement in split::statements(text) {
        let index = outline.statements.len();
        if let Some(data) = statement.data {
            let begin = statement.end + statement.tail.len();
            let data = data
                .strip_suffix("\\.\n")
                .or_else(|| data.strip_suffix("\\.\r\n"))
                .or_else(|| data.strip_suffix("\\."))
                .unwrap_or(data);
            outline.copies.push((index, begin..begin + data.len()));
        }
        match statement.class {
            Class::MetaCommand => outline.meta_commands.push(index),
            Class::Set { local: false } | Class::Reset => outline.settings.push(index),
            Class::Begin => outline.control.push((index, Control::Begin)),
            Class::Commit => outline.control.push((index, Control::Commit)),
            Class::Rollback => outline.control.push((index, Control::Rollback)),
            _ => {}
        }
        if let Some(reason) = statement.cannot_run_in_transaction() {
            outline.alone.push((index, reason));
        } else if statement.class == Class::Do && commits_inside(statement.text) {
            outline
                .alone
                .push((index, "the DO block commits in between"));
        }
        if statement.class == Class::Call {
            outline.calls.push(index);
        }
        outline.statements.push(statement.start..statement.end);
    }
    outline
}

/// Says whether the body of a DO block ends transactions.
fn commits_inside(text: &str) -> bool {
    let bodies = token::code(text)
        .filter(|token| matches!(token.kind, token::Kind::DollarText | token::Kind::Text));
    bodies.into_iter().any(|body| {
        // The delimiters stand around the body and are no words of it.
        let body = body.text(text);
        let body = body.trim_matches('\'');
        let body = match body.find('$').filter(|_| body.starts_with('$')) {
            Some(0) => body[1..].find('$').map_or(body, |end| &body[end + 2..]),
            _ => body,
        };
        let words: Vec<_> = token::code(body).collect();
        let ends = |pair: &[token::Token]| {
            let (word, next) = (pair[0], pair[1]);
            let is_end = word.is_word(body, "commit") || word.is_word(body, "rollback");
            is_end && (next.kind == token::Kind::Semicolon || next.is_word(body, "and"))
        };
        words.windows(2).any(ends)
    })
}

/// Cuts a text that runs outside a transaction into units.
pub fn units(outline: &Outline) -> Vec<Piece> {
    let mut units = Vec::new();
    let control = |index: usize| {
        outline
            .control
            .iter()
            .find(|(at, _)| *at == index)
            .map(|(_, control)| *control)
    };
    let mut index = 0;
    while index < outline.statements.len() {
        let end = match control(index) {
            Some(Control::Begin) => {
                (index + 1..outline.statements.len()).find(|at| control(*at).is_some())
            }
            _ => None,
        };
        let (kind, until) = match end {
            Some(end) if control(end) == Some(Control::Commit) => (Kind::OwnTransaction, end + 1),
            _ if control(index).is_some()
                || outline.alone.iter().any(|(at, _)| *at == index)
                || outline.calls.contains(&index) =>
            {
                (Kind::Alone, index + 1)
            }
            _ => (Kind::Atomic, index + 1),
        };
        units.push(Piece {
            kind,
            statements: index..until,
        });
        index = until;
    }
    units
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(Kind, &str)]) {
        let outline = outline(text);
        let found: Vec<(Kind, &str)> = units(&outline)
            .iter()
            .map(|piece| {
                let first = outline.statements[piece.statements.start].start;
                let last = outline.statements[piece.statements.end - 1].end;
                (piece.kind, &text[first..last])
            })
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn units_follow_transactions() {
        check(
            "SET x = 1; CREATE INDEX CONCURRENTLY i ON t (a); BEGIN; SELECT 1; SELECT 2; COMMIT; VACUUM; SELECT 3",
            &[
                (Kind::Atomic, "SET x = 1"),
                (Kind::Alone, "CREATE INDEX CONCURRENTLY i ON t (a)"),
                (Kind::OwnTransaction, "BEGIN; SELECT 1; SELECT 2; COMMIT"),
                (Kind::Alone, "VACUUM"),
                (Kind::Atomic, "SELECT 3"),
            ],
        );
    }

    #[test]
    fn a_block_that_commits_runs_alone() {
        let reasons = |text: &str| outline(text).alone.len();
        assert_eq!(
            reasons("DO $x$ BEGIN UPDATE t SET a = 1; COMMIT; END $x$"),
            1
        );
        assert_eq!(reasons("DO 'BEGIN rollback; END'"), 1);
        assert_eq!(
            reasons("DO $$ BEGIN PERFORM 'COMMIT;'; /* COMMIT; */ END $$"),
            0
        );
        check(
            "CALL p(); SELECT 1",
            &[(Kind::Alone, "CALL p()"), (Kind::Atomic, "SELECT 1")],
        );
    }

    #[test]
    fn what_is_not_closed_runs_as_it_is() {
        check(
            "BEGIN; SELECT 1",
            &[(Kind::Alone, "BEGIN"), (Kind::Atomic, "SELECT 1")],
        );
        check(
            "BEGIN; SELECT 1; ROLLBACK",
            &[
                (Kind::Alone, "BEGIN"),
                (Kind::Atomic, "SELECT 1"),
                (Kind::Alone, "ROLLBACK"),
            ],
        );
    }

    #[test]
    fn copied_data_has_no_end_mark() {
        let text = "COPY t FROM stdin;\n1\n2\n\\.\nSELECT 1;";
        let outline = outline(text);
        assert_eq!(outline.copies.len(), 1);
        assert_eq!(&text[outline.copies[0].1.clone()], "1\n2\n");
        assert_eq!(outline.statements.len(), 2);
    }
}
