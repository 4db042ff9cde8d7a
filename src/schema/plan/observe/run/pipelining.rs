//! Which statements may be sent before the answers to earlier ones have arrived.

use std::ops::Range;
use std::pin::Pin;
use std::task::Poll;

use futures_util::future::{MaybeDone, maybe_done, poll_fn};

use crate::plan::observe::run::NextStatement;
use crate::plan::observe::{row_checks, statement_target};
use crate::sql::class::{Class, Object};
use crate::sql::phrase;

/// What a statement lets follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pipelining {
    /// The next ones may follow at once: all there is to know is in the look directly after it.
    Ahead,
    /// The next one waits: something may have to be asked of the shadow database as the statement has left it.
    Last,
    /// Nothing else may be on its way: it adopts the line, takes our questions away, or does not run.
    Apart,
}

/// Whether a statement only changes definitions: no code of users' runs but that of event triggers, so it leaves settings
/// as they are and puts nothing off to the end of its transaction.
pub(super) fn only_defines(class: Class) -> bool {
    match class {
        Class::Create(object) | Class::Alter(object) | Class::Drop(object) => !matches!(
            object,
            Object::EventTrigger | Object::Extension | Object::MaterializedView
        ),
        Class::CreateIndex { .. } | Class::DropIndex { .. } | Class::AlterTypeAddValue => true,
        Class::Comment | Class::Grant | Class::Revoke | Class::AlterDefaultPrivileges => true,
        _ => false,
    }
}

/// Whether a statement makes relations, as far as its text says.
pub(super) fn makes_relations(class: Class) -> bool {
    matches!(
        class,
        Class::Create(Object::Table | Object::Sequence | Object::View)
            | Class::CreateIndex { .. }
            | Class::CreateTableAs
    )
}

/// How many statements are sent before the first answer is taken.
const MANY: usize = 16;

/// Returns what may follow a statement, from its text; where that does not say it, the next one waits.
pub(super) fn pace(class: Class, text: &str) -> Pipelining {
    let says = |words: &[&str]| {
        let tokens = phrase::read(text);
        let read = phrase::Phrase::new(text, &tokens);
        words.iter().any(|word| read.contains(&[word]))
    };
    let quiet = match class {
        Class::Reset | Class::Copy { from_stdin: true } | Class::SecurityLabel => {
            return Pipelining::Apart;
        }
        Class::Alter(Object::Database) => return Pipelining::Apart,
        // DEALLOCATE is one of them.
        Class::Other => return Pipelining::Apart,
        Class::Comment | Class::Set { .. } | Class::Lock => true,
        Class::Create(Object::Table | Object::Sequence | Object::Trigger) => true,
        Class::Create(Object::View) => !says(&["replace"]),
        Class::CreateIndex { .. } => true,
        Class::Insert | Class::Update => !statement_target::deletes(class, text),
        Class::Alter(Object::Table) => !says(&["drop", "owner"]),
        _ => false,
    };
    match quiet && row_checks::may_ask(class, text).is_none() {
        true => Pipelining::Ahead,
        false => Pipelining::Last,
    }
}

/// Returns the statements that are sent together with the first of some.
pub(super) fn together<'a>(
    rest: Range<usize>,
    next: impl Fn(usize) -> NextStatement<'a>,
) -> Vec<NextStatement<'a>> {
    let mut group = Vec::new();
    for index in rest {
        let next = next(index);
        let pace = next.pace;
        if pace == Pipelining::Apart && !group.is_empty() {
            break;
        }
        group.push(next);
        if pace != Pipelining::Ahead || group.len() == MANY {
            break;
        }
    }
    group
}

/// Starts all, in this order, before the answer to the first is awaited.
pub(super) async fn in_order<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<Pin<Box<MaybeDone<F>>>> = all.map(|one| Box::pin(maybe_done(one))).collect();
    poll_fn(|context| {
        for one in &mut all {
            let _ = one.as_mut().poll(context);
        }
        Poll::Ready(())
    })
    .await;
    let mut answers = Vec::with_capacity(all.len());
    for one in &mut all {
        one.as_mut().await;
        answers.extend(one.as_mut().take_output());
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::classify;

    fn check(expected: Pipelining, text: &str) {
        assert_eq!(pace(classify::class(text), text), expected, "{text}");
    }

    #[test]
    fn statements_that_may_raise_row_checks_are_last() {
        check(Pipelining::Ahead, "ALTER TABLE t ADD COLUMN a int");
        check(Pipelining::Ahead, "ALTER TABLE t RENAME TO u");
        check(Pipelining::Last, "ALTER TABLE t DROP COLUMN a");
        check(Pipelining::Last, "ALTER TABLE t ALTER a SET NOT NULL");
        check(
            Pipelining::Last,
            "ALTER TABLE t ADD CHECK (a > 0) NOT VALID",
        );
        check(Pipelining::Ahead, "CREATE INDEX i ON t (a)");
        check(Pipelining::Last, "CREATE UNIQUE INDEX i ON t (a)");
        check(Pipelining::Ahead, "CREATE VIEW v AS SELECT FROM t");
        check(
            Pipelining::Last,
            "CREATE OR REPLACE VIEW v AS SELECT FROM t",
        );
        check(Pipelining::Ahead, "INSERT INTO t VALUES (1)");
        check(
            Pipelining::Last,
            "WITH gone AS (DELETE FROM t RETURNING *) INSERT INTO u SELECT * FROM gone",
        );
        check(Pipelining::Last, "DELETE FROM t");
        check(Pipelining::Last, "DO $$ BEGIN DROP TABLE t; END $$");
        check(Pipelining::Last, "SELECT drop_it()");
        check(Pipelining::Last, "ROLLBACK TO here");
        check(Pipelining::Last, "GRANT SELECT ON t TO r");
    }

    #[test]
    fn statements_that_deallocate_queries_are_apart() {
        check(Pipelining::Apart, "DISCARD ALL");
        check(Pipelining::Apart, "DEALLOCATE ALL");
        check(Pipelining::Apart, "COPY t FROM stdin");
        check(Pipelining::Apart, "ALTER DATABASE d SET a.b = 'c'");
    }

    #[test]
    fn statements_that_may_change_settings_do_not_only_define() {
        let check = |text: &str, expected: bool| {
            assert_eq!(only_defines(classify::class(text)), expected, "{text}");
        };
        check("ALTER TABLE t ADD COLUMN a int", true);
        check(
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            true,
        );
        check("GRANT SELECT ON t TO r", true);
        check("SET search_path = app", false);
        check("SELECT set_config('search_path', 'app', false)", false);
        check("INSERT INTO t VALUES (1)", false);
        check("DO $$ BEGIN SET search_path = app; END $$", false);
        check("CREATE MATERIALIZED VIEW v AS SELECT f()", false);
        check("CREATE TABLE t AS SELECT f()", false);
        check("CREATE EXTENSION e", false);
    }

    #[tokio::test]
    async fn all_futures_start_before_the_first_ends() {
        let begun = std::cell::RefCell::new(Vec::new());
        let one = |number: usize| {
            let begun = &begun;
            async move {
                begun.borrow_mut().push(number);
                // The first is awaited first, and waits for the others to have begun.
                poll_fn(|context| {
                    context.waker().wake_by_ref();
                    match begun.borrow().len() {
                        3 => Poll::Ready(()),
                        _ => Poll::Pending,
                    }
                })
                .await;
                number
            }
        };
        let all = in_order((0..3).map(one));
        let answers = tokio::time::timeout(std::time::Duration::from_secs(10), all)
            .await
            .unwrap();
        assert_eq!(
            (answers, begun.into_inner()),
            (vec![0, 1, 2], vec![0, 1, 2])
        );
    }
}
