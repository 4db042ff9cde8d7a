//! The declared schema: `schemas/*.yaml` and the `.sql` files beside them.
//!
//! A manifest is read, turned into statements with locations, and normalized: executed in a shadow database and
//! read back as a [`Catalog`](crate::catalog::Catalog). Comparing is done in [`crate::diff`]; what a column or
//! an expression means is decided by PostgreSQL.

pub mod document;
pub mod entries;
pub mod rules;

mod document_statements;
pub mod located_statement;
mod object_name;
mod sql_fragment;
mod statements;
mod table_statements;

mod declared_names;
pub mod normalize;
pub mod write;

pub mod compare;
pub mod generate;
pub mod rename_detection;

use std::path::Path;

use anyhow::Result;

use crate::error::fail;
use crate::sql::split;
use crate::yaml::{self, Located};

use document::Document;

/// A declared schema.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    /// The YAML files in the order of their names.
    pub files: Vec<File>,
    /// The `.sql` files in the order of their names.
    pub sql: Vec<SqlFile>,
}

/// A YAML file of the manifest.
#[derive(Clone, Debug)]
pub struct File {
    /// The path shown in messages.
    pub name: String,
    pub document: Document,
}

/// A `.sql` file of the manifest.
#[derive(Clone, Debug)]
pub struct SqlFile {
    /// The path shown in messages.
    pub name: String,
    pub text: String,
}

impl Manifest {
    /// Returns whether nothing is declared.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.sql.is_empty()
    }

    /// Returns whether only some objects are declared and others are ignored.
    pub fn is_partial(&self) -> bool {
        self.files
            .iter()
            .any(|file| !file.document.only.tables.is_empty())
    }

    /// Returns whether any table declares policies; otherwise they are managed in policies/.
    pub fn declares_policies(&self) -> bool {
        self.tables().any(|(_, table)| !table.policies.is_empty())
    }

    pub fn tables(&self) -> impl Iterator<Item = (&Located<String>, &document::Table)> {
        let documents = self.files.iter().map(|file| &file.document);
        let entries = documents
            .flat_map(|document| document.tables.iter().chain(document.only.tables.iter()));
        entries.map(|(name, table)| (name, table))
    }

    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let documents = self.files.iter().map(|file| &file.document);
        let pieces = documents.clone().flat_map(|document| &document.sql.0);
        let of_tables = documents
            .flat_map(|document| document.tables.iter().chain(document.only.tables.iter()))
            .flat_map(|(_, table)| &table.sql.0);
        let files = self.sql.iter().map(|file| file.text.as_str());
        pieces
            .chain(of_tables)
            .map(|text| text.value.as_str())
            .chain(files)
    }

    /// Returns the schema rules, with the file that declares them.
    pub fn rules(&self) -> Option<(&str, &rules::Rules)> {
        self.files
            .iter()
            .find_map(|file| Some((file.name.as_str(), file.document.rules.as_ref()?)))
    }
}

/// Reads every `.yaml`, `.yml` and `.sql` file below a folder; a missing folder declares nothing.
///
/// `shown` is the folder's path in messages.
pub fn read(folder: &Path, shown: &str) -> Result<Manifest> {
    let texts = yaml::folder(folder, shown, &[])?;
    of_texts(
        texts
            .yaml
            .iter()
            .chain(&texts.sql)
            .map(|(name, text)| (name.as_str(), text.as_str())),
    )
}

/// Reads a manifest from texts by their names.
pub fn of_texts<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Manifest> {
    let mut manifest = Manifest::default();
    for (name, text) in texts {
        if std::path::Path::new(name)
            .extension()
            .is_some_and(|extension| extension == "sql")
        {
            split::check_closed(name, text)?;
            manifest.sql.push(SqlFile {
                name: name.to_owned(),
                text: text.to_owned(),
            });
        } else {
            manifest.files.push(read_file(name, text)?);
        }
    }
    check(&manifest)?;
    Ok(manifest)
}

/// Reads one YAML file.
pub fn read_file(name: &str, text: &str) -> Result<File> {
    Ok(File {
        name: name.to_owned(),
        document: yaml::read(name, text)?,
    })
}

/// Checks what can only be checked across files.
fn check(manifest: &Manifest) -> Result<()> {
    let full = manifest.files.iter().find_map(|file| {
        let (name, _) = file.document.tables.iter().next()?;
        Some(format!("{}:{}:{}", file.name, name.line, name.column))
    });
    if let (true, Some(place)) = (manifest.is_partial(), full) {
        let message = format!("{place}: a manifest with `only:` cannot declare complete tables");
        return Err(fail(message)
            .hint("move the table under `only:`, or move all tables out of it")
            .into());
    }
    let mut rules = manifest
        .files
        .iter()
        .filter(|file| file.document.rules.is_some());
    if let (Some(first), Some(second)) = (rules.next(), rules.next()) {
        let message = format!(
            "{}: schema rules are already declared in {}",
            second.name, first.name
        );
        return Err(fail(message)
            .hint("declare `rules:` in one file only")
            .into());
    }
    Ok(())
}
