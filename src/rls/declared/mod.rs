//! Owns the declared policy set: `policies/*.yaml` and the `.sql` files beside them.
//!
//! It is read here and expanded over a catalog, table by table; what an expression means is PostgreSQL's, see
//! [`crate::rls::settle`].

pub mod document;

mod allow;
pub mod expand;
mod line;
pub(crate) mod names;
mod own;
mod script;
mod text;

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::error::fail;
use crate::finding::Place;
use crate::yaml::{self, Placed};

use document::{Document, Tenancy};

/// A policy set, as it is written.
#[derive(Clone, Debug, Default)]
pub struct Declared {
    /// The YAML files in the order of their names.
    pub files: Vec<File>,
    /// The `.sql` files in the order of their names.
    pub scripts: Vec<Script>,
}

/// A YAML file.
#[derive(Clone, Debug)]
pub struct File {
    /// How messages call it.
    pub name: String,
    /// What it says.
    pub document: Document,
}

/// A `.sql` file.
#[derive(Clone, Debug)]
pub struct Script {
    /// How messages call it.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl Declared {
    /// Says whether nothing is declared.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.scripts.is_empty()
    }

    /// Gives the roles of a request.
    pub fn roles(&self) -> Vec<String> {
        let documents = self.files.iter().map(|file| &file.document);
        let roles = documents.flat_map(|document| document.roles.iter());
        roles.map(|(role, _)| role.value.clone()).collect()
    }

    /// Gives what is said about tenancy, with the file that says it.
    pub fn tenancy(&self) -> Option<(&str, &Tenancy)> {
        self.files
            .iter()
            .find_map(|file| Some((file.name.as_str(), file.document.tenancy.as_ref()?)))
    }
}

/// Reads every `.yaml`, `.yml` and `.sql` file of a folder; a missing folder declares nothing.
///
/// `fixtures.sql` is data for the prover and is left to it. `shown` is how messages call the folder.
pub fn read(folder: &Path, shown: &str) -> Result<Declared> {
    let mut declared = Declared::default();
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(declared),
        Err(error) => return Err(error).context(format!("reading {shown}")),
    };
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.with_context(|| format!("reading {shown}"))?.path());
    }
    paths.sort();
    for path in paths {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if name.starts_with('.') || name == "fixtures.sql" {
            continue;
        }
        let shown = format!("{shown}/{name}");
        let extension = path.extension().and_then(|extension| extension.to_str());
        match extension {
            Some("yaml" | "yml") => declared
                .files
                .push(read_file(&shown, &text(&path, &shown)?)?),
            Some("sql") => declared.scripts.push(Script {
                text: text(&path, &shown)?,
                name: shown,
            }),
            _ => {}
        }
    }
    check(&declared)?;
    Ok(declared)
}

/// Reads one YAML file; `name` is how messages call it.
pub fn read_file(name: &str, text: &str) -> Result<File> {
    Ok(File {
        name: name.to_owned(),
        document: yaml::read(name, text)?,
    })
}

fn text(path: &Path, shown: &str) -> Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {shown}"))?;
    Ok(String::from_utf8(bytes)
        .map_err(|_| fail(format!("{shown} is not UTF-8 text")).hint("save it as UTF-8"))?)
}

/// Refuses a tenancy that is said twice.
fn check(declared: &Declared) -> Result<()> {
    let mut saying = declared
        .files
        .iter()
        .filter(|file| file.document.tenancy.is_some());
    if let (Some(first), Some(second)) = (saying.next(), saying.next()) {
        let message = format!(
            "{} says `tenancy`, which {} says too",
            second.name, first.name
        );
        return Err(fail(message).hint("keep one of the two").into());
    }
    Ok(())
}

/// Gives the place of a value in a file.
pub(crate) fn place<T>(file: &str, value: &Placed<T>) -> Place {
    Place::at(file, value.line, value.column)
}
