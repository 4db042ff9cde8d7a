//! Finds out from the catalog whether a non-transactional statement of an interrupted run took effect.
//!
//! A failed `CREATE INDEX CONCURRENTLY` leaves an invalid index, which `IF NOT EXISTS` would accept;
//! it is dropped before the index is built again.

use anyhow::Result;
use tokio_postgres::types::Type;

use crate::error::fail;
use crate::event::{Event, Watch};
use crate::pg::session::Session;
use crate::sql::class::Class;
use crate::sql::classify;
use crate::sql::name::{Ident, Literal, ObjectName};
use crate::sql::safe::Sql;
use crate::sql::token::{self, TokenKind};

/// What the catalog shows about a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StatementOutcome {
    /// It took effect.
    Done,
    /// It has to run, or may simply run again.
    ToDo,
    /// Unknown.
    Unclear,
}

/// A name as it is written, with its schema where it says one.
pub(super) type QualifiedName = (Option<String>, String);

/// What a statement that runs alone is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ReconcileKind {
    CreateIndex {
        index: Option<QualifiedName>,
        table: QualifiedName,
        /// Whether it may have been there before.
        or_keep: bool,
    },
    DropIndex {
        indexes: Vec<QualifiedName>,
    },
    /// `REINDEX CONCURRENTLY`: what kind of object, and which.
    Reindex {
        kind: String,
        name: Option<QualifiedName>,
    },
    /// Running it twice does what running it once does.
    Repeatable,
    Other,
}

/// What earlier runs recorded of a statement.
#[derive(Clone, Debug, Default)]
pub(crate) struct EarlierRun {
    /// The note made when it was started, which has the indexes of that time; absent where no run began it.
    pub(crate) begun: Option<Option<String>>,
    /// Whether an earlier run was interrupted in it.
    pub(crate) uncertain: bool,
}

/// The result of reconciling a statement with the catalog.
pub(crate) struct Reconciled {
    pub(crate) outcome: StatementOutcome,
    /// The expression to be noted when it begins: the indexes that are there now and therefore not its own.
    pub(crate) existing_indexes: Sql,
}

/// An index that stands where a statement may leave one.
pub(super) struct FoundIndex {
    pub(super) name: ObjectName,
    pub(super) is_valid: bool,
    oid: u32,
    /// The process of another session that builds an index of the same table.
    builder: Option<i32>,
}

/// Whether a statement may leave an invalid index behind, so that what is there before it must be known.
pub(crate) fn may_leave_indexes(text: &str) -> bool {
    matches!(
        reconcile_kind(text),
        ReconcileKind::CreateIndex { .. } | ReconcileKind::Reindex { .. }
    )
}

impl EarlierRun {
    /// Returns the indexes that were there when the statement was started, where that was noted.
    fn existing(&self) -> Option<Vec<u32>> {
        let note: serde_json::Value =
            serde_json::from_str(self.begun.as_ref()?.as_deref()?).ok()?;
        let oids = note.get("indexes")?.as_array()?;
        let oid = |value: &serde_json::Value| u32::try_from(value.as_u64()?).ok();
        oids.iter().map(oid).collect()
    }

    /// Whether an index is provably one that an earlier run of the statement made.
    ///
    /// A statement that names its index is enough where nothing else was noted, as by versions before this one.
    pub(super) fn made(&self, found: &FoundIndex, is_named: bool) -> bool {
        let is_new = match self.existing() {
            Some(existing) => !existing.contains(&found.oid),
            None => is_named,
        };
        self.begun.is_some() && found.builder.is_none() && is_new
    }
}

/// Reconciles a statement with the catalog, and drops the invalid index that an earlier run of it has left.
pub(crate) async fn reconcile(
    session: &Session,
    text: &str,
    earlier: &EarlierRun,
    watch: Watch<'_>,
) -> Result<Reconciled> {
    let uncertain = earlier.uncertain;
    let mut existing = Sql::new("NULL");
    let outcome = match reconcile_kind(text) {
        ReconcileKind::CreateIndex { index, table, .. } => {
            let found = indexes(session, &table).await?;
            existing = noted(&found);
            created(session, index.as_ref(), &found, earlier, watch).await?
        }
        ReconcileKind::Reindex { kind, name } => {
            let found = reindexed(session, &kind, name.as_ref()).await?;
            existing = noted(&found);
            for left in found.iter().filter(|found| earlier.made(found, false)) {
                drop_leftover(session, left, watch).await?;
            }
            StatementOutcome::ToDo
        }
        ReconcileKind::DropIndex { indexes } if uncertain => {
            let mut outcome = StatementOutcome::Done;
            for (schema, name) in &indexes {
                if regclass(session, schema.as_deref(), name).await? {
                    outcome = StatementOutcome::ToDo;
                }
            }
            outcome
        }
        ReconcileKind::DropIndex { .. } | ReconcileKind::Repeatable => StatementOutcome::ToDo,
        ReconcileKind::Other if uncertain => StatementOutcome::Unclear,
        ReconcileKind::Other => StatementOutcome::ToDo,
    };
    Ok(Reconciled {
        outcome,
        existing_indexes: existing,
    })
}

/// Finds out the outcome of a `CREATE INDEX CONCURRENTLY`.
async fn created(
    session: &Session,
    index: Option<&QualifiedName>,
    found: &[FoundIndex],
    earlier: &EarlierRun,
    watch: Watch<'_>,
) -> Result<StatementOutcome> {
    let Some((_, name)) = index else {
        let made = |found: &&FoundIndex| !found.is_valid && earlier.made(found, false);
        let left: Vec<&FoundIndex> = found.iter().filter(made).collect();
        return match (left.as_slice(), earlier.uncertain) {
            ([left], _) => {
                drop_leftover(session, left, watch).await?;
                Ok(StatementOutcome::ToDo)
            }
            // Of several indexes it is unknown which is ours; of none, whether it was completed.
            ([], false) => Ok(StatementOutcome::ToDo),
            _ => Ok(StatementOutcome::Unclear),
        };
    };
    let Some(found) = found.iter().find(|found| found.name.name.as_str() == name) else {
        return Ok(StatementOutcome::ToDo);
    };
    if found.is_valid {
        // Without a crash behind us, an index that is there already is the server's to complain about.
        let existing = earlier.existing();
        let is_new = existing.is_none_or(|existing| !existing.contains(&found.oid));
        return Ok(match earlier.uncertain && is_new {
            true => StatementOutcome::Done,
            false => StatementOutcome::ToDo,
        });
    }
    if earlier.made(found, true) {
        drop_leftover(session, found, watch).await?;
        return Ok(StatementOutcome::ToDo);
    }
    let shown = &found.name;
    let failure = match found.builder {
        Some(pid) => fail(format!("another session is building index {shown} (process {pid})"))
            .hint("wait until that session has finished, then run the command again"),
        None => fail(format!(
            "index {shown} is invalid and was not created by af-db"
        ))
        .hint(format!(
            "drop or rebuild the index, then run the command again: DROP INDEX CONCURRENTLY {shown}, or REINDEX INDEX CONCURRENTLY {shown}"
        )),
    };
    Err(failure.into())
}

/// Returns the expression that notes which indexes are there.
fn noted(found: &[FoundIndex]) -> Sql {
    let oids: Vec<u32> = found.iter().map(|found| found.oid).collect();
    let note = serde_json::json!({ "indexes": oids });
    Sql::fill("{}", &[&Literal::new(note.to_string())])
}

async fn drop_leftover(session: &Session, left: &FoundIndex, watch: Watch<'_>) -> Result<()> {
    watch(Event::Warning(&format!(
        "dropping {}, an invalid index that an earlier run left behind",
        left.name
    )));
    drop_index(session, &left.name).await
}

/// Drops an index without blocking other sessions.
pub(super) async fn drop_index(session: &Session, index: &ObjectName) -> Result<()> {
    let drop = Sql::fill("DROP INDEX CONCURRENTLY IF EXISTS {}", &[index]);
    session.run(&drop).await
}

/// Returns the indexes of a table.
pub(super) async fn indexes(
    session: &Session,
    (schema, table): &QualifiedName,
) -> Result<Vec<FoundIndex>> {
    let table = shown(schema.as_deref(), table);
    let rows = session
        .query(include_str!("queries/indexes.sql"), &[(&table, Type::TEXT)])
        .await?;
    Ok(rows.iter().map(found).collect())
}

/// Returns the indexes that a `REINDEX CONCURRENTLY` may have left.
pub(super) async fn reindexed(
    session: &Session,
    kind: &str,
    name: Option<&QualifiedName>,
) -> Result<Vec<FoundIndex>> {
    let name = name.map(|(schema, name)| match kind {
        "index" | "table" => shown(schema.as_deref(), name),
        _ => name.clone(),
    });
    let params = [
        (
            &kind as &(dyn tokio_postgres::types::ToSql + Sync),
            Type::TEXT,
        ),
        (&name, Type::TEXT),
    ];
    let rows = session
        .query(include_str!("queries/reindexed.sql"), &params)
        .await?;
    Ok(rows.iter().map(found).collect())
}

fn found(row: &tokio_postgres::Row) -> FoundIndex {
    FoundIndex {
        name: ObjectName::new(row.get::<_, String>(0), row.get::<_, String>(1)),
        is_valid: row.get(2),
        oid: row.get(3),
        builder: row.get(4),
    }
}

pub(super) async fn regclass(session: &Session, schema: Option<&str>, name: &str) -> Result<bool> {
    let name = shown(schema, name);
    let row = session
        .query_one(
            "SELECT pg_catalog.to_regclass($1) IS NOT NULL",
            &[(&name, Type::TEXT)],
        )
        .await?;
    Ok(row.get(0))
}

fn shown(schema: Option<&str>, name: &str) -> String {
    match schema {
        Some(schema) => ObjectName::new(schema, name).to_string(),
        None => Ident::new(name).to_string(),
    }
}

pub(super) fn reconcile_kind(text: &str) -> ReconcileKind {
    let mut words = StatementWords::new(text);
    match words.keyword().as_deref() {
        Some("create") => {
            words.skip("unique");
            if !words.skip("index") {
                return ReconcileKind::Other;
            }
            words.skip("concurrently");
            let or_keep = words.skip("if");
            if or_keep {
                words.skip("not");
                words.skip("exists");
            }
            let index = if words.skip("on") {
                None
            } else {
                let index = words.name();
                words.skip("on");
                index
            };
            words.skip("only");
            match words.name() {
                Some(table) => ReconcileKind::CreateIndex {
                    index,
                    table,
                    or_keep,
                },
                None => ReconcileKind::Other,
            }
        }
        Some("drop") if words.skip("index") => {
            words.skip("concurrently");
            if words.skip("if") {
                words.skip("exists");
            }
            ReconcileKind::DropIndex {
                indexes: words.names(),
            }
        }
        Some("alter") if words.skip("system") => ReconcileKind::Repeatable,
        Some("reindex") if classify::class(text) == (Class::Reindex { concurrently: true }) => {
            words.parenthesis();
            let kind = words.keyword().unwrap_or_default();
            words.skip("concurrently");
            ReconcileKind::Reindex {
                kind,
                name: words.name(),
            }
        }
        Some(
            "vacuum" | "analyze" | "reindex" | "cluster" | "refresh" | "begin" | "commit"
            | "rollback" | "end" | "start",
        ) => ReconcileKind::Repeatable,
        _ => ReconcileKind::Other,
    }
}

/// The words of a statement, without white space and comments.
struct StatementWords<'a> {
    text: &'a str,
    tokens: Vec<token::Token>,
    at: usize,
}

impl<'a> StatementWords<'a> {
    fn new(text: &'a str) -> Self {
        StatementWords {
            text,
            tokens: token::code(text).collect(),
            at: 0,
        }
    }

    fn keyword(&mut self) -> Option<String> {
        let token = self.tokens.get(self.at)?;
        self.at += 1;
        Some(token.text(self.text).to_lowercase())
    }

    fn skip(&mut self, word: &str) -> bool {
        let found = self
            .tokens
            .get(self.at)
            .is_some_and(|token| token.is_word(self.text, word));
        self.at += usize::from(found);
        found
    }

    /// Skips `(…)`.
    fn parenthesis(&mut self) {
        let opens = |token: &token::Token| token.kind == TokenKind::Open;
        if self.tokens.get(self.at).is_some_and(opens) {
            let rest = &self.tokens[self.at..];
            let close = rest.iter().position(|token| token.kind == TokenKind::Close);
            self.at += close.map_or(rest.len(), |close| close + 1);
        }
    }

    fn part(&mut self) -> Option<String> {
        let token = self.tokens.get(self.at)?;
        let text = token.text(self.text);
        let part = match token.kind {
            TokenKind::Word => text.to_lowercase(),
            TokenKind::QuotedName => text
                .trim_start_matches('"')
                .trim_end_matches('"')
                .replace("\"\"", "\""),
            _ => return None,
        };
        self.at += 1;
        Some(part)
    }

    fn name(&mut self) -> Option<QualifiedName> {
        let first = self.part()?;
        let dot = self
            .tokens
            .get(self.at)
            .is_some_and(|token| token.text(self.text) == ".");
        if !dot {
            return Some((None, first));
        }
        self.at += 1;
        Some((Some(first), self.part()?))
    }

    fn names(&mut self) -> Vec<QualifiedName> {
        let mut names = Vec::new();
        while let Some(name) = self.name() {
            names.push(name);
            let comma = self
                .tokens
                .get(self.at)
                .is_some_and(|token| token.text(self.text) == ",");
            if !comma {
                break;
            }
            self.at += 1;
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_classified_for_reconciliation() {
        let name = |name: &str| (None, name.to_owned());
        let check = |text: &str, expected: ReconcileKind| {
            assert_eq!(reconcile_kind(text), expected, "{text}")
        };
        check(
            "CREATE UNIQUE INDEX /* x */ CONCURRENTLY IF NOT EXISTS \"I\"\"x\" ON ONLY app.T (a)",
            ReconcileKind::CreateIndex {
                index: Some(name("I\"x")),
                table: (Some("app".to_owned()), "t".to_owned()),
                or_keep: true,
            },
        );
        check(
            "CREATE INDEX CONCURRENTLY ON t (a)",
            ReconcileKind::CreateIndex {
                index: None,
                table: name("t"),
                or_keep: false,
            },
        );
        check(
            "DROP INDEX CONCURRENTLY IF EXISTS a, b",
            ReconcileKind::DropIndex {
                indexes: vec![name("a"), name("b")],
            },
        );
        let reindex = |kind: &str, name: Option<QualifiedName>| ReconcileKind::Reindex {
            kind: kind.to_owned(),
            name,
        };
        check(
            "REINDEX TABLE CONCURRENTLY app.t",
            reindex("table", Some((Some("app".to_owned()), "t".to_owned()))),
        );
        check(
            "REINDEX (VERBOSE, CONCURRENTLY) INDEX i",
            reindex("index", Some(name("i"))),
        );
        check("REINDEX TABLE t", ReconcileKind::Repeatable);
        check("VACUUM t", ReconcileKind::Repeatable);
        check("CALL p()", ReconcileKind::Other);
    }
}
