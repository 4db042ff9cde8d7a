//! The declared policies: `policies/*.yaml` and the `.sql` files beside them.
//!
//! It is read here and expanded over a catalog, table by table; what an expression means is PostgreSQL's, see
//! [`crate::normalize`].

pub mod document;

mod allow;
mod allow_line;
pub mod expand;
pub(crate) mod name_lookup;
mod own_rows;
mod policy_text;
mod script;

use std::path::Path;

use anyhow::Result;

use crate::error::fail;
use crate::finding::Location;
use crate::sql::split;
use crate::yaml::{self, Located};

use document::{PolicyDocument, Tenancy};

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
    pub document: PolicyDocument,
}

/// A `.sql` file.
#[derive(Clone, Debug)]
pub struct Script {
    /// How messages call it.
    pub name: String,
    pub text: String,
}

impl Declared {
    /// Whether nothing is declared.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.scripts.is_empty()
    }

    /// Returns the roles of a request.
    pub fn roles(&self) -> Vec<String> {
        let documents = self.files.iter().map(|file| &file.document);
        let roles = documents.flat_map(|document| document.roles.iter());
        roles.map(|(role, _)| role.value.clone()).collect()
    }

    /// Returns what is said about tenancy, with the file that says it.
    pub fn tenancy(&self) -> Option<(&str, &Tenancy)> {
        self.files
            .iter()
            .find_map(|file| Some((file.name.as_str(), file.document.tenancy.as_ref()?)))
    }
}

/// Reads every `.yaml`, `.yml` and `.sql` file below a folder; a missing folder declares nothing.
///
/// `fixtures.sql` is data for the prover and is left to it. `shown` is how messages call the folder.
pub fn read(folder: &Path, shown: &str) -> Result<Declared> {
    let texts = yaml::folder(folder, shown, &["fixtures.sql"])?;
    let mut declared = Declared::default();
    for (name, text) in &texts.yaml {
        declared.files.push(read_file(name, text)?);
    }
    for (name, text) in texts.sql {
        split::check_closed(&name, &text)?;
        declared.scripts.push(Script { name, text });
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

/// Refuses a tenancy that is said twice.
fn check(declared: &Declared) -> Result<()> {
    let mut saying = declared
        .files
        .iter()
        .filter(|file| file.document.tenancy.is_some());
    if let (Some(first), Some(second)) = (saying.next(), saying.next()) {
        let message = format!("{} and {} both declare `tenancy`", second.name, first.name);
        return Err(fail(message).hint("remove one of them").into());
    }
    Ok(())
}

/// Returns the place of a value in a file.
pub(crate) fn place<T>(file: &str, value: &Located<T>) -> Location {
    Location::at(file, value.line, value.column)
}
