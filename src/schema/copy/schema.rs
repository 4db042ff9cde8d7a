//! Maps the schema of a SQLite database to PostgreSQL: types, keys, and a list of what has no equivalent.

use anyhow::Result;

use crate::copy::sqlite::{Database, Reference, Table};
use crate::finding::Finding;
use crate::sql::name::Ident;
use crate::sql::safe::Sql;

/// A schema, as statements in order.
pub struct MappedSchema {
    pub statements: Vec<Sql>,
    /// What has no equivalent in PostgreSQL, and what is used instead.
    pub findings: Vec<Finding>,
}

/// Maps the schema of a SQLite database.
pub fn map(database: &Database) -> Result<MappedSchema> {
    let mut mapped = MappedSchema {
        statements: Vec::new(),
        findings: Vec::new(),
    };
    let tables: Vec<Table> = database
        .tables()?
        .into_iter()
        .filter(|table| !super::mapping::NOT_DATA.contains(&&*table.name))
        .collect();
    for table in &tables {
        mapped.statements.push(create(table, &mut mapped.findings));
    }
    for table in &tables {
        for columns in database.unique(&table.name)? {
            mapped.statements.push(Sql::fill(
                "ALTER TABLE {} ADD UNIQUE ({})",
                &[&Ident::new(&table.name), &list(&columns)],
            ));
        }
    }
    for table in &tables {
        for reference in database.references(&table.name)? {
            mapped.statements.push(refer(table, &reference, &tables));
        }
    }
    Ok(mapped)
}

fn create(table: &Table, findings: &mut Vec<Finding>) -> Sql {
    let mut parts = Vec::new();
    let mut key: Vec<(i64, String)> = Vec::new();
    for column in &table.columns {
        let subject = format!("{}.{}", table.name, column.name);
        let kind = kind(&column.declared, subject, findings);
        let mut part = Sql::fill("{} {}", &[&Ident::new(&column.name), &kind]);
        if column.not_null || column.key > 0 {
            part.push(" NOT NULL");
        }
        if column.key > 0 {
            key.push((column.key, column.name.clone()));
        }
        parts.push(part);
    }
    key.sort();
    if !key.is_empty() {
        let columns: Vec<String> = key.into_iter().map(|(_, name)| name).collect();
        parts.push(Sql::fill("PRIMARY KEY ({})", &[&list(&columns)]));
    }
    let columns = Sql::join(&parts, ", ");
    Sql::fill(
        "CREATE TABLE {} ({})",
        &[&Ident::new(&table.name), &columns],
    )
}

fn refer(table: &Table, reference: &Reference, tables: &[Table]) -> Sql {
    let to: Vec<String> = if reference.to.is_empty() {
        let other = tables
            .iter()
            .find(|other| other.name.eq_ignore_ascii_case(&reference.table));
        let mut key: Vec<_> = other
            .into_iter()
            .flat_map(|other| &other.columns)
            .filter(|column| column.key > 0)
            .collect();
        key.sort_by_key(|column| column.key);
        key.into_iter().map(|column| column.name.clone()).collect()
    } else {
        reference.to.clone()
    };
    let mut sql = Sql::fill(
        "ALTER TABLE {} ADD FOREIGN KEY ({}) REFERENCES {} ({})",
        &[
            &Ident::new(&table.name),
            &list(&reference.from),
            &Ident::new(&reference.table),
            &list(&to),
        ],
    );
    match reference.on_delete.as_str() {
        "CASCADE" => sql.push(" ON DELETE CASCADE"),
        "SET NULL" => sql.push(" ON DELETE SET NULL"),
        "SET DEFAULT" => sql.push(" ON DELETE SET DEFAULT"),
        "RESTRICT" => sql.push(" ON DELETE RESTRICT"),
        _ => &mut sql,
    };
    sql
}

fn list(names: &[String]) -> Sql {
    Sql::join(names.iter().map(Ident::new), ", ")
}

/// Returns the PostgreSQL type of a declared type: by its name in PostgreSQL, otherwise by SQLite's affinity.
fn kind(declared: &str, subject: String, findings: &mut Vec<Finding>) -> Sql {
    let upper = declared.trim().to_uppercase();
    let (name, size) = match upper.split_once('(') {
        Some((name, rest)) => (name.trim(), numbers(rest)),
        None => (upper.as_str(), Vec::new()),
    };
    let said = |words: &[&str]| words.iter().any(|word| name.contains(word));
    let plain = match name {
        "BOOLEAN" | "BOOL" => Some("boolean"),
        "SMALLINT" | "INT2" => Some("smallint"),
        "DATE" => Some("date"),
        "TIME" => Some("time"),
        "TIMESTAMPTZ" => Some("timestamptz"),
        "UUID" | "GUID" => Some("uuid"),
        "JSON" | "JSONB" => Some("jsonb"),
        _ if said(&["DATETIME", "TIMESTAMP"]) => Some("timestamp"),
        _ => None,
    };
    match plain {
        Some(plain) => Sql::new(plain),
        None if said(&["INT"]) => Sql::new("bigint"),
        None if said(&["CHAR"]) => match size.as_slice() {
            [length] => Sql::fill("varchar({})", &[length]),
            _ => Sql::new("text"),
        },
        None if said(&["CLOB", "TEXT"]) => Sql::new("text"),
        None if said(&["BLOB"]) => Sql::new("bytea"),
        None if said(&["REAL", "FLOA", "DOUB"]) => Sql::new("double precision"),
        None if said(&["NUM", "DEC"]) => match size.as_slice() {
            [precision, scale] => Sql::fill("numeric({}, {})", &[precision, scale]),
            [precision] => Sql::fill("numeric({})", &[precision]),
            _ => Sql::new("numeric"),
        },
        None => {
            let taken = if name.is_empty() { "text" } else { "numeric" };
            let words = if name.is_empty() {
                "the column has no type in SQLite; text is used".to_owned()
            } else {
                format!("unknown type `{declared}`, stored as a number by SQLite; numeric is used")
            };
            findings.push(Finding::warn("sqlite-type", subject, words));
            Sql::new(taken)
        }
    }
}

fn numbers(text: &str) -> Vec<i64> {
    text.trim_end_matches(')')
        .split(',')
        .filter_map(|number| number.trim().parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_mapped_by_name_then_by_affinity() {
        let check = |declared: &str, expected: &str| {
            let mut findings = Vec::new();
            assert_eq!(
                kind(declared, "t.c".to_owned(), &mut findings).as_str(),
                expected
            );
            assert_eq!(
                findings.is_empty(),
                !matches!(declared, "" | "GEOMETRY"),
                "{declared}"
            );
        };
        check("INTEGER", "bigint");
        check("tinyint(1)", "bigint");
        check("VARCHAR(40)", "varchar(40)");
        check("TEXT", "text");
        check("datetime", "timestamp");
        check("DECIMAL(10, 2)", "numeric(10, 2)");
        check("BLOB", "bytea");
        check("uuid", "uuid");
        check("", "text");
        check("GEOMETRY", "numeric");
    }
}
