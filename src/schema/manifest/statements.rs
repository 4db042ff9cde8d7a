//! What a manifest means to PostgreSQL: each entry becomes a statement that knows its line.
//!
//! The order is a first guess; `normalize` retries what came too early, so that files need not be sorted.

use anyhow::Result;

use crate::error::fail;
use crate::finding::Location;
use crate::manifest::entries::{Entries, SqlEntry};
use crate::manifest::located_statement::{LocatedStatement, location};
use crate::manifest::sql_fragment;
use crate::sql::name::{Ident, Literal};
use crate::sql::safe::{Sql, SqlPart};
use crate::yaml::Located;

/// Statements by phase of execution.
#[derive(Debug, Default)]
pub(crate) struct Statements {
    /// Roles, schemas, extensions, types, sequences.
    pub early: Vec<LocatedStatement>,
    /// Tables with their columns.
    pub tables: Vec<LocatedStatement>,
    /// Functions, views and other plain SQL.
    pub middle: Vec<LocatedStatement>,
    /// Parts of tables: indexes, triggers, policies.
    pub parts: Vec<LocatedStatement>,
    /// Foreign keys, which need both tables and the referenced key.
    pub references: Vec<LocatedStatement>,
    /// Grants, owners, comments.
    pub late: Vec<LocatedStatement>,
    /// Default privileges, which would apply to everything created after them.
    pub last: Vec<LocatedStatement>,
}

impl Statements {
    /// Returns the statements in order: everything, then those that need all objects to exist.
    pub(crate) fn in_order(self) -> [Vec<LocatedStatement>; 2] {
        let groups = [
            self.early,
            self.tables,
            self.middle,
            self.parts,
            self.references,
            self.late,
        ];
        [groups.into_iter().flatten().collect(), self.last]
    }
}

/// Adds each statement of a text.
pub(crate) fn add_sql(file: &str, text: &Located<String>, to: &mut Statements) {
    let at = location(file, text);
    let (first, margin) = (at.line.unwrap_or(1), at.column.unwrap_or(1));
    for piece in crate::sql::split::split(&text.value) {
        let position = piece.position;
        let place = Location::at(
            file,
            first + position.line - 1,
            margin + position.column - 1,
        );
        let mut statement = LocatedStatement::begin(place.clone(), piece.verb());
        statement.block(piece.text, place, margin);
        let is_last = statement.makes.starts_with("ALTER DEFAULT");
        let group = if is_last {
            &mut to.last
        } else {
            &mut to.middle
        };
        group.push(statement);
    }
}

/// Appends a line of SQL after a space, if there is one.
pub(crate) fn written(
    file: &str,
    statement: &mut LocatedStatement,
    text: Option<&Located<String>>,
) -> Result<()> {
    let Some(text) = text else { return Ok(()) };
    statement.push(" ");
    spliced(file, statement, text)
}

/// Appends a fragment, checked with [`sql_fragment`].
pub(crate) fn spliced(
    file: &str,
    statement: &mut LocatedStatement,
    text: &Located<String>,
) -> Result<()> {
    sql_fragment::check(&text.value).map_err(|problem| wrong(file, text, &problem))?;
    statement.written(&text.value, location(file, text));
    Ok(())
}

/// Returns the error of an invalid fragment.
pub(crate) fn wrong(file: &str, text: &Located<String>, problem: &str) -> anyhow::Error {
    let hint = "quote the text as in SQL, or move the object to a .sql file";
    fail(format!("{}: {problem}", location(file, text)))
        .hint(hint)
        .into()
}

/// Adds `ALTER … OWNER TO`.
pub(crate) fn owner(
    file: &str,
    owner: Option<&Located<String>>,
    keyword: &'static str,
    name: &dyn SqlPart,
    to: &mut Statements,
) {
    let Some(owner) = owner else { return };
    let mut statement =
        LocatedStatement::begin(location(file, owner), format!("owner {}", owner.value));
    statement
        .push("ALTER ")
        .push(keyword)
        .push(" ")
        .piece(name)
        .push(" OWNER TO ")
        .piece(&Ident::new(&*owner.value));
    to.late.push(statement);
}

/// Adds `COMMENT ON`.
pub(crate) fn comment(
    file: &str,
    comment: Option<&Located<String>>,
    keyword: &'static str,
    name: &dyn SqlPart,
    to: &mut Statements,
) {
    let Some(comment) = comment else { return };
    let mut statement = LocatedStatement::begin(location(file, comment), "comment");
    statement
        .push("COMMENT ON ")
        .push(keyword)
        .push(" ")
        .piece(name);
    statement.push(" IS ").piece(&Literal::new(&*comment.value));
    to.late.push(statement);
}

/// Adds `GRANT … ON … TO`.
pub(crate) fn grants(
    file: &str,
    grants: &Entries<SqlEntry>,
    keyword: &'static str,
    name: &dyn SqlPart,
    to: &mut Statements,
) {
    const OPTION: &str = "with grant option";
    for (role, line) in grants.iter() {
        let Some(text) = &line.sql else { continue };
        let trimmed = text.value.trim_end();
        let cut = trimmed.len().saturating_sub(OPTION.len());
        let passes_on = trimmed
            .get(cut..)
            .is_some_and(|end| end.eq_ignore_ascii_case(OPTION));
        let privileges = if passes_on { &trimmed[..cut] } else { trimmed };
        let mut statement =
            LocatedStatement::begin(location(file, role), format!("grant to {}", role.value));
        statement
            .push("GRANT ")
            .written(privileges, location(file, text));
        statement
            .push(" ON ")
            .push(keyword)
            .push(" ")
            .piece(name)
            .push(" TO ")
            .piece(&grantee(&role.value));
        if passes_on {
            statement.push(" WITH GRANT OPTION");
        }
        to.late.push(statement);
    }
}

fn grantee(role: &str) -> Sql {
    if role == "public" {
        return Sql::new("PUBLIC");
    }
    Sql::join([Ident::new(role)], "")
}
