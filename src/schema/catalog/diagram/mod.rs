//! Diagrams of a schema (tables, keys, foreign keys) as Mermaid, Graphviz or SVG text.
//!
//! Draws any catalog; decides nothing about it.

mod dot;
mod mermaid;
mod svg;

use std::collections::BTreeSet;

use crate::catalog::{Catalog, Key, Kind, Object};
use crate::sql::token;

pub use self::dot::dot;
pub use self::mermaid::mermaid;
pub use self::svg::svg;

/// What is drawn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagram {
    /// Sorted by name.
    pub tables: Vec<Table>,
    /// Foreign keys; `from` and `to` are indexes into `tables`.
    pub references: Vec<Reference>,
}

/// A table as it is drawn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The name; without the schema where that is `public`.
    pub name: String,
    /// The columns in their order.
    pub columns: Vec<Column>,
    /// Whether its rows belong to tenants.
    pub is_tenants: bool,
    /// Whether row-level security is enabled.
    pub is_secured: bool,
}

/// A column as it is drawn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    /// The type, in few words.
    pub of_type: String,
    /// Whether it is part of the primary key.
    pub is_key: bool,
    /// Whether it refers to another table.
    pub refers: bool,
    /// Whether it is unique by itself.
    pub is_unique: bool,
    /// Whether it is the tenant column.
    pub is_tenant: bool,
}

/// A foreign key as it is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The referencing table.
    pub from: usize,
    /// The referenced table.
    pub to: usize,
    /// The referencing columns, without the tenant column where there are others.
    pub columns: Vec<String>,
    /// Whether it is nullable.
    pub is_optional: bool,
    /// Whether it is only the reference to the tenant.
    pub is_tenancy: bool,
}

impl Diagram {
    /// Keeps the wanted tables and the references among them.
    pub fn only(&self, wanted: impl Fn(&str) -> bool) -> Diagram {
        let kept: Vec<usize> = (0..self.tables.len())
            .filter(|index| wanted(&self.tables[*index].name))
            .collect();
        let place = |old: usize| kept.iter().position(|index| *index == old);
        let references = self.references.iter().filter_map(|reference| {
            Some(Reference {
                from: place(reference.from)?,
                to: place(reference.to)?,
                ..reference.clone()
            })
        });
        Diagram {
            tables: kept
                .iter()
                .map(|index| self.tables[*index].clone())
                .collect(),
            references: references.collect(),
        }
    }
}

/// Builds the diagram of a catalog; `tenant` is the name of the tenant column.
pub fn of(catalog: &Catalog, tenant: Option<&str>) -> Diagram {
    let keys: Vec<&Key> = catalog
        .of_kind(Kind::Table)
        .filter(|(_, object)| !object.has("partition"))
        .map(|(key, _)| key)
        .collect();
    let mut diagram = Diagram::default();
    for key in &keys {
        diagram.tables.push(table(catalog, key, tenant));
    }
    for (from, key) in keys.iter().enumerate() {
        for (_, object) in constraints(catalog, key, "foreign key") {
            let to = object
                .text("references")
                .and_then(|name| keys.iter().position(|key| key.qualified() == name));
            let Some(to) = to else { continue };
            let mut columns = names(object.text("definition").unwrap_or_default());
            let is_tenancy = columns.len() == 1 && columns.first().map(String::as_str) == tenant;
            if columns.len() > 1 {
                columns.retain(|column| Some(column.as_str()) != tenant);
            }
            let is_optional = columns.iter().any(|column| {
                let column = Key::part(Kind::Column, &key.schema, &key.name, column);
                catalog
                    .get(&column)
                    .is_some_and(|column| !column.has("not_null"))
            });
            diagram.references.push(Reference {
                from,
                to,
                columns,
                is_optional,
                is_tenancy,
            });
        }
    }
    diagram
}

fn table(catalog: &Catalog, key: &Key, tenant: Option<&str>) -> Table {
    let primary: BTreeSet<String> = columns_of(catalog, key, "primary key", |_| true);
    let unique = columns_of(catalog, key, "unique", |columns| columns.len() == 1);
    let refers = columns_of(catalog, key, "foreign key", |_| true);
    let columns: Vec<Column> = catalog
        .columns(key)
        .into_iter()
        .map(|(column, object)| Column {
            name: column.part.to_string(),
            of_type: short_type(object.text("type").unwrap_or_default()),
            is_key: primary.contains(&*column.part),
            refers: refers.contains(&*column.part),
            is_unique: unique.contains(&*column.part),
            is_tenant: Some(&*column.part) == tenant,
        })
        .collect();
    let security = Key::named(Kind::RowSecurity, &key.schema, &key.name);
    Table {
        name: if &*key.schema == "public" {
            key.name.to_string()
        } else {
            format!("{}.{}", key.schema, key.name)
        },
        is_tenants: columns.iter().any(|column| column.is_tenant),
        is_secured: catalog
            .get(&security)
            .is_some_and(|object| object.has("enabled")),
        columns,
    }
}

fn constraints<'a>(
    catalog: &'a Catalog,
    key: &'a Key,
    of_type: &'static str,
) -> impl Iterator<Item = (&'a Key, &'a Object)> {
    catalog
        .parts(Kind::Constraint, &key.schema, &key.name)
        .filter(move |(_, object)| object.text("type") == Some(of_type))
}

fn columns_of(
    catalog: &Catalog,
    key: &Key,
    of_type: &'static str,
    take: impl Fn(&[String]) -> bool,
) -> BTreeSet<String> {
    constraints(catalog, key, of_type)
        .map(|(_, object)| names(object.text("definition").unwrap_or_default()))
        .filter(|columns| take(columns))
        .flatten()
        .collect()
}

/// Returns the names in the first bracket of a key's definition.
fn names(definition: &str) -> Vec<String> {
    let mut names = Vec::new();
    for token in token::code(definition).skip_while(|token| token.kind != token::TokenKind::Open) {
        let text = token.text(definition);
        match token.kind {
            token::TokenKind::Close => break,
            token::TokenKind::QuotedName => {
                let inner = text
                    .strip_prefix('"')
                    .and_then(|text| text.strip_suffix('"'))
                    .unwrap_or(text);
                names.push(inner.replace("\"\"", "\""));
            }
            token::TokenKind::Word => names.push(text.to_owned()),
            _ => {}
        }
    }
    names
}

fn short_type(printed: &str) -> String {
    printed
        .replace("timestamp with time zone", "timestamptz")
        .replace("timestamp without time zone", "timestamp")
        .replace("character varying", "varchar")
        .replace("double precision", "float8")
}
