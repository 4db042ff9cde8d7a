//! What the steps of a run need to be allowed, read off their text, and what of it the role lacks.

use std::collections::BTreeSet;

use anyhow::Result;
use tokio_postgres::types::Type;

use crate::pg::session::Session;
use crate::plan::preflight::checks::PreflightCheck;
use crate::plan::preflight::{PreflightResult, PreflightState, result, unknown};
use crate::sql::class::{Class, Object};
use crate::sql::classify;
use crate::sql::name::{Ident, ObjectName};
use crate::sql::phrase::{self, Phrase};
use crate::sql::split;

/// What steps need to be allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequiredPrivileges {
    /// The schemas in which something is created; an empty name is the first of the search path.
    pub schemas: BTreeSet<String>,
    /// Whether schemas or extensions are created.
    pub database: bool,
    /// Whether roles are created.
    pub roles: bool,
    /// The tables whose rows are written, as they are named.
    pub written: BTreeSet<String>,
}

const CHECK: PreflightCheck = PreflightCheck {
    name: "rights",
    sql: include_str!("queries/rights.sql"),
    fine: "the role has all privileges that the pending steps need",
    help: "grant the missing privileges, or run as another role",
    of_others: false,
};

impl RequiredPrivileges {
    /// Reads what the files of a run need, in the order in which they run; a schema they make themselves is theirs.
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut needs = RequiredPrivileges::default();
        let mut made = BTreeSet::new();
        for text in texts {
            for statement in split::statements(text) {
                needs.add(statement.text, &mut made);
            }
        }
        needs
    }

    fn add(&mut self, text: &str, made: &mut BTreeSet<String>) {
        let tokens = phrase::read(text);
        let words = Phrase::new(text, &tokens);
        match classify::class(text) {
            Class::Create(Object::Schema) => {
                self.database = true;
                let at = words.skip(2, &["if", "not", "exists"]);
                made.extend(words.name(at).map(|(name, _)| name.name));
            }
            Class::Create(Object::Extension) => self.database = true,
            Class::Create(Object::Role) => self.roles = true,
            Class::CreateTableAs
            | Class::Create(
                Object::Aggregate
                | Object::Collation
                | Object::Conversion
                | Object::Domain
                | Object::ForeignTable
                | Object::Function
                | Object::MaterializedView
                | Object::Procedure
                | Object::Sequence
                | Object::Table
                | Object::Type
                | Object::View,
            ) => {
                let temporary = (1..4).any(|at| words.is(at, "temp") || words.is(at, "temporary"));
                if !temporary && let Some(schema) = schema(words).filter(|it| !made.contains(it)) {
                    self.schemas.insert(schema);
                }
            }
            Class::Insert | Class::Update | Class::Delete | Class::Merge => {
                let at = ["into", "update", "from"]
                    .into_iter()
                    .filter_map(|word| words.find(&[word]))
                    .min();
                let at = at.map(|at| words.skip(at + 1, &["only"]));
                if let Some((name, _)) = at.and_then(|at| words.name(at)) {
                    let name = if name.schema.is_empty() {
                        Ident::new(&*name.name).to_string()
                    } else {
                        ObjectName::new(&*name.schema, &*name.name).to_string()
                    };
                    self.written.insert(name);
                }
            }
            _ => {}
        }
    }
}

/// Returns the schema of what a `CREATE` makes; an empty name where none is written.
fn schema(words: Phrase<'_>) -> Option<String> {
    const KINDS: [&str; 12] = [
        "aggregate",
        "collation",
        "conversion",
        "domain",
        "function",
        "procedure",
        "sequence",
        "table",
        "type",
        "view",
        "schema",
        "foreign",
    ];
    let kind = (1..6).find(|at| KINDS.iter().any(|kind| words.is(*at, kind)))?;
    let kind = words.skip(kind, &["foreign"]);
    let at = words.skip(kind + 1, &["if", "not", "exists"]);
    let parts = words.at(at + 1) == ".";
    if parts {
        return words.ident(at);
    }
    Some(String::new())
}

/// Checks which required privileges the role lacks.
pub async fn check(session: &Session, needs: &RequiredPrivileges) -> Result<PreflightResult> {
    let schemas: Vec<&str> = needs.schemas.iter().map(String::as_str).collect();
    let written: Vec<&str> = needs.written.iter().map(String::as_str).collect();
    let rows = session
        .query(
            CHECK.sql,
            &[
                (&schemas, Type::TEXT_ARRAY),
                (&needs.database, Type::BOOL),
                (&needs.roles, Type::BOOL),
                (&written, Type::TEXT_ARRAY),
            ],
        )
        .await;
    match rows {
        Ok(rows) => Ok(result(&CHECK, &rows, true)),
        Err(error) if session.is_closed() => Err(error),
        Err(error) => {
            let check = unknown(&CHECK, &error);
            debug_assert_eq!(check.state, PreflightState::CannotSee);
            Ok(check)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_privileges_are_derived_from_the_text() {
        let needs = RequiredPrivileges::of([
            "CREATE TABLE t (a int); CREATE UNLOGGED TABLE IF NOT EXISTS app.t (a int); CREATE TEMP TABLE x (a int);",
            "CREATE SCHEMA IF NOT EXISTS own; CREATE OR REPLACE FUNCTION own.f() RETURNS int LANGUAGE sql AS 'SELECT 1';",
            "CREATE MATERIALIZED VIEW \"Odd\".v AS SELECT 1; CREATE TYPE public.e AS ENUM (); CREATE ROLE r;",
            "INSERT INTO app.t SELECT 1; UPDATE ONLY t SET a = 1; DELETE FROM \"T\";",
        ]);
        let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let expected = RequiredPrivileges {
            schemas: all(&["", "app", "Odd", "public"]),
            database: true,
            roles: true,
            written: all(&["app.t", "t", "\"T\""]),
        };
        assert_eq!(needs, expected);
    }
}
