//! Owns the question how a statement ended that no transaction held: the catalog is asked, never guessed.
//!
//! A failed `CREATE INDEX CONCURRENTLY` leaves an invalid index, which `IF NOT EXISTS` would take for the real one;
//! it is dropped before the index is built again.

use anyhow::Result;
use tokio_postgres::types::Type;

use crate::event::{Event, Watch};
use crate::pg::session::Session;
use crate::sql::name::{Ident, ObjectName};
use crate::sql::safe::Sql;
use crate::sql::token::{self, Kind};

/// What the catalog says of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// It took effect.
    Done,
    /// It has to run, or may simply run again.
    ToDo,
    /// Nobody can tell.
    Unclear,
}

/// A name as it is written, with its schema where it says one.
pub(super) type Name = (Option<String>, String);

/// What a statement that runs alone is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum About {
    CreateIndex {
        index: Option<Name>,
        table: Name,
        /// Whether it may have been there before.
        or_keep: bool,
    },
    DropIndex {
        indexes: Vec<Name>,
    },
    /// Running it twice does what running it once does.
    Repeatable,
    Other,
}

/// Looks how a statement stands; `uncertain` when an earlier run was cut off in it.
pub(crate) async fn look(
    session: &Session,
    text: &str,
    uncertain: bool,
    watch: Watch<'_>,
) -> Result<Known> {
    match about(text) {
        About::CreateIndex { index, table, .. } => {
            let (mut valid, mut dropped) = (false, false);
            for (found, is_valid) in indexes(session, index.as_ref(), &table).await? {
                if is_valid {
                    valid = index.is_some();
                    continue;
                }
                watch(Event::Warned(&format!(
                    "dropping {found}, an invalid index that an earlier run left behind"
                )));
                dropped = true;
                drop_index(session, &found).await?;
            }
            // Without a crash behind us, an index that is there already is the server's to complain about.
            Ok(match index {
                Some(_) if valid && uncertain => Known::Done,
                None if uncertain && !dropped => Known::Unclear,
                _ => Known::ToDo,
            })
        }
        About::DropIndex { indexes } if uncertain => {
            for (schema, name) in &indexes {
                if regclass(session, schema.as_deref(), name).await? {
                    return Ok(Known::ToDo);
                }
            }
            Ok(Known::Done)
        }
        About::DropIndex { .. } | About::Repeatable => Ok(Known::ToDo),
        About::Other if uncertain => Ok(Known::Unclear),
        About::Other => Ok(Known::ToDo),
    }
}

/// Drops an index without holding anybody up.
pub(super) async fn drop_index(session: &Session, index: &ObjectName) -> Result<()> {
    let drop = Sql::fill("DROP INDEX CONCURRENTLY IF EXISTS {}", &[index]);
    session.run(&drop).await
}

/// Gives the indexes of the name, or all invalid ones of the table when the statement leaves the name to the server.
pub(super) async fn indexes(
    session: &Session,
    index: Option<&Name>,
    (schema, table): &Name,
) -> Result<Vec<(ObjectName, bool)>> {
    let table = shown(schema.as_deref(), table);
    let name = index.map(|(_, name)| name.as_str());
    let params = [
        (
            &table as &(dyn tokio_postgres::types::ToSql + Sync),
            Type::TEXT,
        ),
        (&name, Type::TEXT),
    ];
    let rows = session
        .query(include_str!("queries/indexes.sql"), &params)
        .await?;
    Ok(rows
        .iter()
        .map(|row| {
            (
                ObjectName::new(row.get::<_, String>(0), row.get::<_, String>(1)),
                row.get(2),
            )
        })
        .collect())
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

pub(super) fn about(text: &str) -> About {
    let mut words = Words::new(text);
    match words.keyword().as_deref() {
        Some("create") => {
            words.skip("unique");
            if !words.skip("index") {
                return About::Other;
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
                Some(table) => About::CreateIndex {
                    index,
                    table,
                    or_keep,
                },
                None => About::Other,
            }
        }
        Some("drop") if words.skip("index") => {
            words.skip("concurrently");
            if words.skip("if") {
                words.skip("exists");
            }
            About::DropIndex {
                indexes: words.names(),
            }
        }
        Some("alter") if words.skip("system") => About::Repeatable,
        Some(
            "vacuum" | "analyze" | "reindex" | "cluster" | "refresh" | "begin" | "commit"
            | "rollback" | "end" | "start",
        ) => About::Repeatable,
        _ => About::Other,
    }
}

/// The words of a statement, without white space and comments.
struct Words<'a> {
    text: &'a str,
    tokens: Vec<token::Token>,
    at: usize,
}

impl<'a> Words<'a> {
    fn new(text: &'a str) -> Self {
        Words {
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

    fn part(&mut self) -> Option<String> {
        let token = self.tokens.get(self.at)?;
        let text = token.text(self.text);
        let part = match token.kind {
            Kind::Word => text.to_lowercase(),
            Kind::QuotedName => text
                .trim_start_matches('"')
                .trim_end_matches('"')
                .replace("\"\"", "\""),
            _ => return None,
        };
        self.at += 1;
        Some(part)
    }

    fn name(&mut self) -> Option<Name> {
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

    fn names(&mut self) -> Vec<Name> {
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
    fn statements_tell_what_they_are_about() {
        let name = |name: &str| (None, name.to_owned());
        let check = |text: &str, expected: About| assert_eq!(about(text), expected, "{text}");
        check(
            "CREATE UNIQUE INDEX /* x */ CONCURRENTLY IF NOT EXISTS \"I\"\"x\" ON ONLY app.T (a)",
            About::CreateIndex {
                index: Some(name("I\"x")),
                table: (Some("app".to_owned()), "t".to_owned()),
                or_keep: true,
            },
        );
        check(
            "CREATE INDEX CONCURRENTLY ON t (a)",
            About::CreateIndex {
                index: None,
                table: name("t"),
                or_keep: false,
            },
        );
        check(
            "DROP INDEX CONCURRENTLY IF EXISTS a, b",
            About::DropIndex {
                indexes: vec![name("a"), name("b")],
            },
        );
        check("VACUUM t", About::Repeatable);
        check("CALL p()", About::Other);
    }
}
