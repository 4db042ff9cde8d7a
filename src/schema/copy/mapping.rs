//! Maps SQLite tables and columns to PostgreSQL, and reports every difference before anything is copied.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::copy::sqlite;
use crate::copy::target::{self, Table};
use crate::copy::value::BinaryFormat;
use crate::finding::Finding;
use crate::pg::session::Session;

/// A column and its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnCopy {
    pub from: String,
    /// The declared type in SQLite.
    pub declared: String,
    pub to: String,
    pub shown: String,
    /// The sequence to be set to its largest value.
    pub sequence: Option<String>,
    pub(super) form: BinaryFormat,
}

/// A table and its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableCopy {
    pub from: String,
    pub to: String,
    pub pairs: Vec<ColumnCopy>,
    pub rows: i64,
}

/// The tables to copy, in an order that foreign keys allow, and the differences.
#[derive(Clone, Debug, Default)]
pub struct Mapping {
    pub moves: Vec<TableCopy>,
    /// Every difference; an error prevents the copy.
    pub findings: Vec<Finding>,
}

/// Tables of migration tools, which are not copied.
pub(super) const NOT_DATA: &[&str] = &[
    "_prisma_migrations",
    "alembic_version",
    "django_migrations",
    "schema_migrations",
    "ar_internal_metadata",
    "knex_migrations",
    "knex_migrations_lock",
    "_sqlx_migrations",
    "__diesel_schema_migrations",
    "__drizzle_migrations",
];

/// Compares a SQLite database with a PostgreSQL schema; an empty `only` means all tables.
pub async fn map(
    tables: &[sqlite::Table],
    session: &Session,
    schema: &str,
    only: &[String],
) -> Result<Mapping> {
    let there = target::tables(session, schema).await?;
    Ok(decide(tables, &there, only))
}

fn decide(tables: &[sqlite::Table], there: &BTreeMap<String, Table>, only: &[String]) -> Mapping {
    let mut mapping = Mapping::default();
    for name in only {
        if !tables.iter().any(|table| table.name == *name) {
            let message = "table not found in the SQLite database";
            mapping
                .findings
                .push(Finding::error("copy-table", name, message));
        }
    }
    for table in tables {
        let named = only.contains(&table.name);
        if !only.is_empty() && !named || only.is_empty() && NOT_DATA.contains(&&*table.name) {
            continue;
        }
        let Some((to, target)) = find(there, &table.name) else {
            let message = "table not found in PostgreSQL";
            mapping.findings.push(
                Finding::error("copy-table", &table.name, message)
                    .help("run the migrations (af-db up), or select tables with --table"),
            );
            continue;
        };
        let pairs = pairs(table, to, target, &mut mapping.findings);
        mapping.moves.push(TableCopy {
            from: table.name.clone(),
            to: to.to_owned(),
            pairs,
            rows: table.rows,
        });
    }
    order(&mut mapping, there);
    mapping
}

/// Finds a name, exactly or else ignoring case.
fn find<'t>(there: &'t BTreeMap<String, Table>, name: &str) -> Option<(&'t str, &'t Table)> {
    there
        .get_key_value(name)
        .or_else(|| {
            there
                .iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(name))
        })
        .map(|(known, table)| (known.as_str(), table))
}

fn pairs(
    table: &sqlite::Table,
    to: &str,
    target: &Table,
    findings: &mut Vec<Finding>,
) -> Vec<ColumnCopy> {
    let mut pairs = Vec::new();
    for column in &table.columns {
        let subject = format!("{}.{}", table.name, column.name);
        let exact = target
            .columns
            .iter()
            .find(|there| there.name == column.name);
        let there = exact.or_else(|| {
            let mut columns = target.columns.iter();
            columns.find(|there| there.name.eq_ignore_ascii_case(&column.name))
        });
        let Some(there) = there else {
            let message =
                format!("column not found in PostgreSQL table {to}; its values would be lost");
            findings.push(
                Finding::error("copy-column", subject, message)
                    .help("add the column with a migration, or drop it in SQLite"),
            );
            continue;
        };
        if there.generated {
            continue;
        }
        let Some(form) = BinaryFormat::of(there) else {
            let message = format!("values of type {} cannot be copied", there.shown);
            findings.push(
                Finding::error("copy-type", subject, message)
                    .help("copy the values as text, and change the type in a later migration"),
            );
            continue;
        };
        if let Some(words) = form.differs(&column.declared) {
            let message = format!(
                "{} becomes {}: {words}",
                said(&column.declared),
                there.shown
            );
            findings.push(Finding::note("copy-type", subject.clone(), message));
        }
        if there.not_null && !column.not_null && column.key == 0 {
            let message = "nullable in SQLite, NOT NULL in PostgreSQL";
            findings.push(Finding::note("copy-null", subject, message));
        }
        pairs.push(ColumnCopy {
            from: column.name.clone(),
            declared: column.declared.clone(),
            to: there.name.clone(),
            shown: there.shown.clone(),
            sequence: there.sequence.clone(),
            form,
        });
    }
    for there in &target.columns {
        let filled = there.has_default || !there.not_null || there.generated;
        if !filled && !pairs.iter().any(|pair| pair.to == there.name) {
            let message = "NOT NULL without a default, and not found in SQLite";
            findings.push(Finding::error(
                "copy-column",
                format!("{to}.{}", there.name),
                message,
            ));
        }
    }
    pairs
}

fn said(declared: &str) -> &str {
    if declared.is_empty() {
        "a column of no type"
    } else {
        declared
    }
}

/// Sorts tables after those that they reference; a cycle is an error unless its foreign keys are deferrable.
fn order(mapping: &mut Mapping, there: &BTreeMap<String, Table>) {
    let mut waiting = std::mem::take(&mut mapping.moves);
    while !waiting.is_empty() {
        let names: Vec<String> = waiting.iter().map(|table| table.to.clone()).collect();
        let is_ready = |table: &TableCopy, strict: bool| {
            there[&table.to]
                .needs
                .iter()
                .all(|(need, can_wait)| !names.contains(need) || (!strict && *can_wait))
        };
        let next = waiting
            .iter()
            .position(|table| is_ready(table, true))
            .or_else(|| waiting.iter().position(|table| is_ready(table, false)));
        let Some(next) = next else {
            let message = format!("the tables {} reference each other", names.join(", "));
            mapping.findings.push(
                Finding::error("copy-circle", names.join(", "), message)
                    .help("make one of the foreign keys DEFERRABLE"),
            );
            mapping.moves.append(&mut waiting);
            return;
        };
        mapping.moves.push(waiting.remove(next));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(name: &str, columns: &[(&str, &str)], needs: &[(&str, bool)]) -> (String, Table) {
        let columns = columns.iter().map(|(name, base)| target::Column {
            name: (*name).to_owned(),
            shown: (*base).to_owned(),
            base: (*base).to_owned(),
            is_enum: false,
            not_null: false,
            has_default: false,
            generated: false,
            sequence: None,
        });
        let needs = needs.iter().map(|(name, wait)| ((*name).to_owned(), *wait));
        let table = Table {
            columns: columns.collect(),
            needs: needs.collect(),
        };
        (name.to_owned(), table)
    }

    fn here(name: &str, columns: &[(&str, &str)]) -> sqlite::Table {
        let columns = columns.iter().map(|(name, declared)| sqlite::Column {
            name: (*name).to_owned(),
            declared: (*declared).to_owned(),
            not_null: false,
            key: 0,
        });
        sqlite::Table {
            name: name.to_owned(),
            columns: columns.collect(),
            rows: 0,
        }
    }

    #[test]
    fn every_difference_is_named() {
        let tables = [
            here(
                "Users",
                &[
                    ("ID", "INTEGER"),
                    ("born", "TEXT"),
                    ("gone", "TEXT"),
                    ("place", "TEXT"),
                ],
            ),
            here("lost", &[]),
        ];
        let columns = [("id", "int8"), ("born", "date"), ("place", "point")];
        let mapping = decide(&tables, &[there("users", &columns, &[])].into(), &[]);
        let said: Vec<String> = mapping
            .findings
            .iter()
            .map(|finding| format!("{} {}: {}", finding.code, finding.subject, finding.message))
            .collect();
        insta::assert_snapshot!(said.join("\n"), @"
        copy-type Users.born: TEXT becomes date: each value must be a date
        copy-column Users.gone: column not found in PostgreSQL table users; its values would be lost
        copy-type Users.place: values of type point cannot be copied
        copy-table lost: table not found in PostgreSQL
        ");
    }

    #[test]
    fn tables_follow_what_they_need() {
        let tables = [here("a", &[]), here("b", &[]), here("c", &[])];
        let all = [
            there("a", &[], &[("b", false)]),
            there("b", &[], &[("c", false)]),
            there("c", &[], &[("a", true)]),
        ];
        let mapping = decide(&tables, &all.into(), &[]);
        let order: Vec<&str> = mapping.moves.iter().map(|table| &*table.to).collect();
        assert_eq!(order, ["c", "b", "a"]);
        let circle = [
            there("a", &[], &[("b", false)]),
            there("b", &[], &[("a", false)]),
        ];
        let mapping = decide(&tables[..2], &circle.into(), &[]);
        assert_eq!(mapping.findings[0].code, "copy-circle");
    }
}
