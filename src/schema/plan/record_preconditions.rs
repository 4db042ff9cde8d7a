//! Makes a record fail where what it rests on is gone: the migration lock, an idle session, the transaction we began.
//!
//! The condition is checked in the same message as the record, so that nothing can happen in between. SQL has no
//! way to raise an error except a function, so an invalid text is cast to boolean.

use crate::error::fail;
use crate::pg::lock;
use crate::plan::step_failure::{StepFailure, failure_from};
use crate::sql::name::Literal;
use crate::sql::safe::Sql;

const OPEN: &str = "af-db: a transaction is open";
const RELEASED: &str = "af-db: the migration lock is gone";
const ENDED: &str = "af-db: the transaction has ended";

/// Fails unless the session is outside a transaction; must stand in the first transaction of a message of several statements.
///
/// Every statement of a message has the time at which the message came. A transaction that was open before began earlier.
pub(super) fn is_idle(is_locked: bool) -> Sql {
    let idle = Sql::new(
        "pg_catalog.transaction_timestamp() OPERATOR(pg_catalog.=) pg_catalog.statement_timestamp()",
    );
    check([Some((idle, OPEN)), held(is_locked)])
}

/// Fails unless the transaction that we began is still open, as far as `is_open` detects it.
pub(super) fn is_ours(is_locked: bool, is_open: Option<Sql>) -> Sql {
    check([is_open.map(|sql| (sql, ENDED)), held(is_locked)])
}

/// Takes the migration lock a second time, until the transaction ends: then no file can let another run in before that.
///
/// It takes a snapshot, behind which a file cannot choose the isolation of its transaction any more.
pub(super) fn hold(is_locked: bool) -> Sql {
    let taken = Sql::fill("pg_catalog.pg_try_advisory_xact_lock({})", &[&lock::KEY]);
    check([is_locked.then_some((taken, RELEASED)), None])
}

/// Fails unless the session itself still has the lock that [`hold`] has also acquired for the transaction.
pub(super) fn is_kept(is_locked: bool) -> Sql {
    // Only unlocking distinguishes the two; no other session can get the lock in between, because the transaction holds it.
    let kept = Sql::fill(
        "pg_catalog.pg_advisory_unlock({}) AND pg_catalog.pg_try_advisory_lock({})",
        &[&lock::KEY, &lock::KEY],
    );
    check([is_locked.then_some((kept, RELEASED)), None])
}

fn held(is_locked: bool) -> Option<(Sql, &'static str)> {
    is_locked.then(|| (lock::is_held(), RELEASED))
}

fn check(conditions: [Option<(Sql, &'static str)>; 2]) -> Sql {
    let mut sql = Sql::default();
    for (condition, otherwise) in conditions.into_iter().flatten() {
        let case = Sql::fill(
            " WHEN NOT ({}) THEN {}",
            &[&condition, &Literal::new(otherwise)],
        );
        sql.piece(&case);
    }
    if sql.is_empty() {
        return sql;
    }
    Sql::fill(
        "SELECT CAST(CASE{} ELSE 'true' END AS pg_catalog.bool)",
        &[&sql],
    )
}

/// Replaces the error of a failed condition by a readable one; returns whether it was one.
pub(super) fn explain(failure: &mut StepFailure) -> bool {
    let said = |words: &str| failure.error.is("22P02") && failure.error.message.contains(words);
    let (words, hint) = if said(OPEN) {
        (
            "a transaction was open after the statement; it was rolled back",
            "end each transaction of the file with COMMIT or ROLLBACK",
        )
    } else if said(RELEASED) {
        (
            "the migration lock was released while the file ran, so another run could have started",
            "remove the call of pg_advisory_unlock_all or pg_advisory_unlock, which may be in a function",
        )
    } else if said(ENDED) {
        (
            "the transaction that af-db began was ended by the file",
            "begin the file with `-- af-db: no-transaction` if it ends transactions itself",
        )
    } else {
        return false;
    };
    *failure = failure_from(&fail(words).hint(hint).into());
    failure.is_unconfirmed = true;
    true
}
