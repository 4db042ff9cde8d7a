//! Splits a step's text into statements, and into units that are run and recorded one by one.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::plan::session_effects;
use crate::sql::class::Class;
use crate::sql::split::{self, Unclosed};
use crate::sql::token;

/// The statements of a text and what matters of them for running it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// The byte range of each statement.
    pub statements: Vec<Range<usize>>,
    /// The data of each `COPY … FROM STDIN`, by the statement's place.
    pub copies: Vec<(usize, Range<usize>)>,
    /// The statements that change settings, which a continued run repeats.
    pub settings: Vec<usize>,
    /// The settings of the file's own that it sets, such as `app.tenant`.
    pub custom: BTreeSet<String>,
    /// The statements behind which transactions begin read only (true) or writable (false).
    pub read_only: Vec<(usize, bool)>,
    /// The statements that give the migration lock away.
    pub releases_lock: Vec<usize>,
    /// The statements that begin or end a transaction.
    pub control: Vec<(usize, TransactionControl)>,
    /// The statements that cannot run in a transaction, with PostgreSQL's reason.
    pub alone: Vec<(usize, &'static str)>,
    /// The calls of procedures, which may commit in between.
    pub calls: Vec<usize>,
    /// The commands of psql.
    pub meta_commands: Vec<usize>,
    /// What the text opens and never closes.
    pub unclosed: Option<Unclosed>,
}

impl Outline {
    /// Whether the text chooses its own timeouts.
    pub(crate) fn sets_timeouts(&self, text: &str) -> bool {
        let mut settings = self.settings.iter();
        settings.any(|index| text[self.statements[*index].clone()].contains("_timeout"))
    }
}

/// What a statement does to a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionControl {
    Begin,
    /// Ends one and keeps what it did.
    Commit,
    /// Ends one and undoes what it did.
    Rollback,
    /// Ends one and begins the next at once: `AND CHAIN`.
    Chain,
    /// `SAVEPOINT`, `RELEASE`, `ROLLBACK TO`: only within one.
    Savepoint,
    /// `PREPARE TRANSACTION`: leaves a transaction that holds its locks until it is ended.
    Prepare,
}

/// How a unit runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitKind {
    /// In a transaction of ours, together with its record.
    Atomic,
    /// In the transaction that the file itself writes, together with its record.
    OwnTransaction,
    /// In a transaction of the file that keeps nothing: it is rolled back or read only, and recorded after it has ended.
    KeepsNothing,
    /// Outside any transaction; its intent is recorded before.
    Alone,
}

/// What is run and recorded as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionUnit {
    /// How it runs.
    pub kind: UnitKind,
    pub statements: Range<usize>,
}

/// Reads a text once.
pub fn outline(text: &str) -> Outline {
    let mut outline = Outline::default();
    for statement in split::statements(text) {
        let index = outline.statements.len();
        outline.unclosed = outline.unclosed.or(statement.unclosed);
        if let Some(data) = statement.data {
            let begin = statement.end + statement.tail.len();
            let data = data
                .strip_suffix("\\.\n")
                .or_else(|| data.strip_suffix("\\.\r\n"))
                .or_else(|| data.strip_suffix("\\."))
                .unwrap_or(data);
            outline.copies.push((index, begin..begin + data.len()));
        }
        let control = control(statement.class, statement.text);
        outline
            .control
            .extend(control.map(|control| (index, control)));
        if statement.class == Class::MetaCommand {
            outline.meta_commands.push(index);
        }
        if session_effects::is_repeatable(statement.class, statement.text) {
            outline.settings.push(index);
        }
        if session_effects::releases_lock(statement.class, statement.text) {
            outline.releases_lock.push(index);
        }
        let read_only = session_effects::read_only(statement.class, statement.text);
        outline.read_only.extend(read_only.map(|it| (index, it)));
        if !matches!(statement.class, Class::Create(_)) {
            session_effects::custom_settings(statement.text, &mut outline.custom);
        }
        if let Some(reason) = statement.cannot_run_in_transaction() {
            outline.alone.push((index, reason));
        } else if statement.class == Class::Do && commits_inside(statement.text) {
            outline.alone.push((index, COMMITS));
        } else if statement.class == Class::TwoPhase && control.is_none() {
            outline.alone.push((
                index,
                "the statement ends a prepared transaction of another session",
            ));
        }
        let calls = || body_has(statement.text, |body, pair| pair[0].is_word(body, "call"));
        if statement.class == Class::Call || statement.class == Class::Do && calls() {
            outline.calls.push(index);
        }
        outline.statements.push(statement.start..statement.end);
    }
    outline
}

const COMMITS: &str = "the DO block commits in between";

/// Returns what a statement does to a transaction of the session.
fn control(class: Class, text: &str) -> Option<TransactionControl> {
    let has = |word: &str| token::code(text).any(|token| token.is_word(text, word));
    let chains = || has("chain") && !has("no");
    match class {
        Class::Begin => Some(TransactionControl::Begin),
        Class::Commit | Class::Rollback if chains() => Some(TransactionControl::Chain),
        Class::Commit => Some(TransactionControl::Commit),
        Class::Rollback => Some(TransactionControl::Rollback),
        Class::Savepoint => Some(TransactionControl::Savepoint),
        // COMMIT PREPARED and ROLLBACK PREPARED end a transaction that belongs to no session.
        Class::TwoPhase => token::code(text)
            .next()
            .is_some_and(|first| first.is_word(text, "prepare"))
            .then_some(TransactionControl::Prepare),
        _ => None,
    }
}

/// Whether the body of a DO block ends transactions; languages other than PL/pgSQL write `plpy.commit()`.
fn commits_inside(text: &str) -> bool {
    body_has(text, |body, [word, next]| {
        let is_end = word.is_word(body, "commit") || word.is_word(body, "rollback");
        let is_ended = matches!(
            next.kind,
            token::TokenKind::Semicolon | token::TokenKind::Open
        );
        is_end && (is_ended || next.is_word(body, "and"))
    })
}

/// Whether two words that fit follow one another in the body of a DO block.
fn body_has(text: &str, fits: impl Fn(&str, [token::Token; 2]) -> bool) -> bool {
    let bodies = token::code(text).filter(|token| {
        matches!(
            token.kind,
            token::TokenKind::DollarText | token::TokenKind::Text
        )
    });
    bodies.into_iter().any(|body| {
        // The delimiters stand around the body and are no words of it.
        let body = token::inside_dollars(body.text(text).trim_matches('\''));
        let words: Vec<_> = token::code(body).collect();
        words.windows(2).any(|pair| fits(body, [pair[0], pair[1]]))
    })
}

/// Cuts a text that runs outside a transaction into units.
///
/// A text whose transactions do not pair up is refused before it runs ([`unpaired`]); of such a text each statement is a unit.
pub fn units(outline: &Outline, text: &str) -> Vec<ExecutionUnit> {
    let mut units = Vec::new();
    let mut control = outline.control.iter().peekable();
    let mut index = 0;
    let mut changes = outline.read_only.iter().peekable();
    let mut is_read_only = false;
    while index < outline.statements.len() {
        let here = control.next_if(|(at, _)| *at == index).map(|(_, it)| *it);
        let block = (here == Some(TransactionControl::Begin))
            .then(|| outline.block(index))
            .flatten();
        let (kind, until) = match block {
            Some((end, TransactionControl::Commit))
                if !outline.is_read_only(text, index..end, is_read_only) =>
            {
                (UnitKind::OwnTransaction, end + 1)
            }
            Some((end, _)) => (UnitKind::KeepsNothing, end + 1),
            None if here.is_some()
                || outline.is_alone(index)
                || outline.calls.binary_search(&index).is_ok() =>
            {
                (UnitKind::Alone, index + 1)
            }
            None if is_read_only => (UnitKind::KeepsNothing, index + 1),
            None => (UnitKind::Atomic, index + 1),
        };
        while let Some((_, change)) = changes.next_if(|(at, _)| *at < until) {
            let is_kept = !matches!(block, Some((_, TransactionControl::Rollback)));
            is_read_only = if is_kept { *change } else { is_read_only };
        }
        while control.next_if(|(at, _)| *at < until).is_some() {}
        units.push(ExecutionUnit {
            kind,
            statements: index..until,
        });
        index = until;
    }
    units
}

impl Outline {
    fn is_alone(&self, index: usize) -> bool {
        self.alone
            .binary_search_by_key(&index, |(at, _)| *at)
            .is_ok()
    }

    /// Finds the statement that ends the transaction begun by a statement; none where it is not simply ended.
    fn block(&self, begin: usize) -> Option<(usize, TransactionControl)> {
        let behind = self.control.partition_point(|(at, _)| *at <= begin);
        let mut behind = self.control[behind..].iter();
        let (end, control) =
            behind.find(|(_, control)| *control != TransactionControl::Savepoint)?;
        matches!(
            control,
            TransactionControl::Commit | TransactionControl::Rollback
        )
        .then_some((*end, *control))
    }

    /// Whether a unit ends by undoing what it did, its settings as well.
    pub(super) fn is_undone(&self, unit: &ExecutionUnit) -> bool {
        let last = unit.statements.end - 1;
        let at = self.control.binary_search_by_key(&last, |(at, _)| *at);
        unit.kind == UnitKind::KeepsNothing
            && at.is_ok_and(|at| self.control[at].1 == TransactionControl::Rollback)
    }

    /// Whether one of some statements chooses how isolated its transaction is, which must come before any query.
    pub(super) fn chooses_isolation(&self, text: &str, statements: Range<usize>) -> bool {
        statements.into_iter().any(|index| {
            let text = &text[self.statements[index].clone()];
            let mut words = token::code(text).take(3);
            let is_set = words.next().is_some_and(|word| word.is_word(text, "set"));
            let starts = |word: token::Token| {
                let word = word.text(text).to_ascii_lowercase();
                word.starts_with("transaction")
            };
            is_set && words.any(starts)
        })
    }

    /// Whether a statement may commit a part of what it does before it fails.
    pub(super) fn may_commit(&self, index: usize) -> bool {
        self.calls.binary_search(&index).is_ok() || self.alone.contains(&(index, COMMITS))
    }

    /// Whether a statement begins a transaction.
    pub(super) fn begins(&self, index: usize) -> bool {
        let at = self.control.binary_search_by_key(&index, |(at, _)| *at);
        at.is_ok_and(|at| self.control[at].1 == TransactionControl::Begin)
    }

    /// Whether a transaction of the file is read only, so that nothing can be recorded in it.
    ///
    /// One that does not say what it is is what the session makes of it.
    fn is_read_only(&self, text: &str, statements: Range<usize>, by_session: bool) -> bool {
        let is_writable = statements.clone().any(|index| {
            let text = &text[self.statements[index].clone()];
            let words: Vec<_> = token::code(text).take(12).collect();
            let controls = ["begin", "start", "set"];
            controls.iter().any(|word| words[0].is_word(text, word))
                && words
                    .windows(2)
                    .any(|pair| pair[0].is_word(text, "read") && pair[1].is_word(text, "write"))
        });
        if by_session {
            return !is_writable;
        }
        statements.into_iter().any(|index| {
            let text = &text[self.statements[index].clone()];
            let words: Vec<_> = token::code(text).collect();
            let begins = ["begin", "start", "set"];
            let first = words.first();
            first.is_some_and(|first| begins.iter().any(|word| first.is_word(text, word)))
                && (words
                    .windows(2)
                    .any(|pair| pair[0].is_word(text, "read") && pair[1].is_word(text, "only"))
                    || words.windows(3).any(|three| {
                        three[0].is_word(text, "transaction_read_only")
                            && !three[2].is_word(text, "off")
                            && !three[2].is_word(text, "false")
                    }))
        })
    }
}

/// Why the transactions of a text do not pair up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpaired {
    /// The last `BEGIN` has no end.
    Unclosed,
    /// A `BEGIN` within a transaction.
    Nested,
    /// A `COMMIT`, `ROLLBACK` or `SAVEPOINT` outside a transaction.
    Outside,
    /// `AND CHAIN`.
    Chained,
    /// `PREPARE TRANSACTION`.
    Prepared,
    /// A statement that cannot run in a transaction, within one.
    Held,
}

/// Names every statement of a text that runs outside a transaction which leaves the transactions of the text unpaired.
pub fn unpaired(outline: &Outline) -> Vec<(usize, Unpaired)> {
    let mut found = Vec::new();
    let mut open = None;
    let mut control = outline.control.iter().peekable();
    for index in 0..outline.statements.len() {
        let Some((_, here)) = control.next_if(|(at, _)| *at == index) else {
            if open.is_some() && outline.is_alone(index) {
                found.push((index, Unpaired::Held));
            }
            continue;
        };
        match (here, open) {
            (TransactionControl::Prepare, _) => {
                found.push((index, Unpaired::Prepared));
                open = None;
            }
            (TransactionControl::Begin, None) => open = Some(index),
            (TransactionControl::Begin, Some(_)) => found.push((index, Unpaired::Nested)),
            (_, None) => found.push((index, Unpaired::Outside)),
            (TransactionControl::Chain, Some(_)) => found.push((index, Unpaired::Chained)),
            (TransactionControl::Commit | TransactionControl::Rollback, Some(_)) => open = None,
            (TransactionControl::Savepoint, Some(_)) => {}
        }
    }
    found.extend(open.map(|begin| (begin, Unpaired::Unclosed)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(UnitKind, &str)]) {
        let outline = outline(text);
        let found: Vec<(UnitKind, &str)> = units(&outline, text)
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
                (UnitKind::Atomic, "SET x = 1"),
                (UnitKind::Alone, "CREATE INDEX CONCURRENTLY i ON t (a)"),
                (
                    UnitKind::OwnTransaction,
                    "BEGIN; SELECT 1; SELECT 2; COMMIT",
                ),
                (UnitKind::Alone, "VACUUM"),
                (UnitKind::Atomic, "SELECT 3"),
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
            reasons("DO $$ BEGIN PERFORM 'COMMIT;'; /* COMMIT; */ CALL p(); END $$"),
            0
        );
        let calls = "DO $$ BEGIN CALL p(); END $$";
        check(calls, &[(UnitKind::Alone, calls)]);
        check(
            "CALL p(); SELECT 1",
            &[
                (UnitKind::Alone, "CALL p()"),
                (UnitKind::Atomic, "SELECT 1"),
            ],
        );
    }

    #[test]
    fn a_transaction_that_keeps_nothing_is_one_unit() {
        let nothing = |text: &'static str| check(text, &[(UnitKind::KeepsNothing, text)]);
        nothing("BEGIN; SELECT 1; ROLLBACK");
        nothing("START TRANSACTION; SAVEPOINT a; SELECT 1; ROLLBACK TO a; ABORT WORK");
        nothing("BEGIN READ ONLY; SELECT 1; COMMIT");
        nothing("BEGIN; SET TRANSACTION READ ONLY; SELECT 1; END");
        nothing("BEGIN; SELECT 1; ROLLBACK AND NO CHAIN");
        check(
            "SET default_transaction_read_only = on; SELECT 1; BEGIN; SELECT 2; END; BEGIN READ WRITE; SELECT 3; END; RESET ALL; SELECT 4",
            &[
                (UnitKind::Atomic, "SET default_transaction_read_only = on"),
                (UnitKind::KeepsNothing, "SELECT 1"),
                (UnitKind::KeepsNothing, "BEGIN; SELECT 2; END"),
                (UnitKind::OwnTransaction, "BEGIN READ WRITE; SELECT 3; END"),
                (UnitKind::KeepsNothing, "RESET ALL"),
                (UnitKind::Atomic, "SELECT 4"),
            ],
        );
    }

    #[test]
    fn transactions_that_do_not_pair_up_are_named() {
        let check = |text: &str, expected: &[(usize, Unpaired)]| {
            assert_eq!(unpaired(&outline(text)), expected, "{text}");
        };
        check("BEGIN; SELECT 1", &[(0, Unpaired::Unclosed)]);
        check("BEGIN; BEGIN; COMMIT", &[(1, Unpaired::Nested)]);
        check("SELECT 1; COMMIT", &[(1, Unpaired::Outside)]);
        check("SAVEPOINT a", &[(0, Unpaired::Outside)]);
        check(
            "BEGIN; COMMIT AND CHAIN; ROLLBACK",
            &[(1, Unpaired::Chained)],
        );
        check("BEGIN; PREPARE TRANSACTION 'x'", &[(1, Unpaired::Prepared)]);
        check("BEGIN; VACUUM; COMMIT", &[(1, Unpaired::Held)]);
        check(
            "BEGIN; SAVEPOINT a; RELEASE a; COMMIT; START TRANSACTION; ABORT; COMMIT PREPARED 'x'",
            &[],
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
