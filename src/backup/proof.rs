//! The expected contents of a restored database: rows, sequences, large objects, schema entries and properties.
//!
//! Rows are compared by sums of hashes of their `COPY` text, which are the same across major versions; the schema by the
//! entries that `pg_dump` makes of it, which name every object there is.

use serde::{Deserialize, Serialize};

use crate::dump_inspector::{DumpSummary, RowSum};
use crate::properties::{DatabaseProperties, Rendering};
use crate::toc::Toc;

/// The expected contents of a restored database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Proof {
    pub encoding: String,
    /// How the source printed its values.
    pub rendering: Rendering,
    pub tables: Vec<TableProof>,
    pub sequences: Vec<SequenceProof>,
    pub large_objects: SumProof,
    /// The SHA-256 of the dump's table of contents, which holds the text of the schema; absent in archives of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contents: Option<String>,
    pub database: DatabaseProperties,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TableProof {
    pub schema: String,
    pub name: String,
    /// The columns that were copied, as `pg_dump` spelt them.
    pub columns: String,
    #[serde(flatten)]
    pub sum: SumProof,
}

/// A set of rows in a form that JSON can hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SumProof {
    pub rows: u64,
    pub bytes: u64,
    /// The sum of their hashes, in hexadecimal.
    pub hash: String,
}

impl From<RowSum> for SumProof {
    fn from(sum: RowSum) -> Self {
        SumProof {
            rows: sum.rows,
            bytes: sum.bytes,
            hash: format!("{:032x}", sum.hash),
        }
    }
}

/// A sequence's position.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SequenceProof {
    pub schema: String,
    pub name: String,
    pub last: i64,
    /// Whether that value was returned by `nextval`.
    pub called: bool,
}

impl Proof {
    pub fn of(summary: &DumpSummary, rendering: Rendering, database: DatabaseProperties) -> Self {
        let mut tables = tables(summary);
        tables.sort();
        Proof {
            encoding: encoding(&summary.toc).unwrap_or_else(|| database.encoding.clone()),
            rendering,
            tables,
            sequences: sequences(&summary.toc),
            large_objects: summary.large_objects.into(),
            contents: Some(summary.contents.clone()),
            database,
        }
    }

    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.sum.rows).sum()
    }
}

pub fn tables(summary: &DumpSummary) -> Vec<TableProof> {
    let with_rows = summary
        .toc
        .entries
        .iter()
        .filter(|entry| entry.kind == "TABLE DATA");
    with_rows
        .filter_map(|entry| {
            let sum = summary.tables.get(&entry.id)?;
            Some(TableProof {
                schema: entry.schema.clone(),
                name: entry.tag.clone(),
                columns: entry.copy_columns().to_owned(),
                sum: (*sum).into(),
            })
        })
        .collect()
}

pub fn sequences(toc: &Toc) -> Vec<SequenceProof> {
    let set = toc
        .entries
        .iter()
        .filter(|entry| entry.kind == "SEQUENCE SET");
    let mut found: Vec<SequenceProof> = set
        .filter_map(|entry| {
            let (last, called) = setval(&entry.definition)?;
            Some(SequenceProof {
                schema: entry.schema.clone(),
                name: entry.tag.clone(),
                last,
                called,
            })
        })
        .collect();
    found.sort();
    found
}

/// Reads `SELECT pg_catalog.setval('…', 42, true);` from its end, where no name can be in the way.
fn setval(definition: &str) -> Option<(i64, bool)> {
    let inside = definition.trim_end().strip_suffix(");")?;
    let (rest, called) = inside.rsplit_once(", ")?;
    let (_, last) = rest.rsplit_once(", ")?;
    Some((last.parse().ok()?, called == "true"))
}

/// Reads `SET client_encoding = 'UTF8';`.
fn encoding(toc: &Toc) -> Option<String> {
    let entry = toc.entries.iter().find(|entry| entry.kind == "ENCODING")?;
    let (_, rest) = entry.definition.split_once('\'')?;
    let (name, _) = rest.split_once('\'')?;
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_with_odd_names_are_parsed() {
        let check = |text: &str, expected| assert_eq!(setval(text), expected, "{text}");
        check(
            "SELECT pg_catalog.setval('public.s', 42, true);\n",
            Some((42, true)),
        );
        check(
            "SELECT pg_catalog.setval('public.\"a, 1, b\"', -7, false);\n",
            Some((-7, false)),
        );
        check("SELECT 1;", None);
    }
}
