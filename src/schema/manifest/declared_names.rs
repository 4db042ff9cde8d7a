//! The names that a manifest declares: their locations, and those that PostgreSQL would truncate.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::finding::{Finding, Location};
use crate::manifest::located_statement::location;
use crate::manifest::{File, Manifest, object_name};
use crate::sql::name::Ident;
use crate::yaml::Located;

/// NAMEDATALEN - 1.
const LONGEST: usize = 63;

/// Returns the locations of declared objects by quoted name: `public.orders`, `public.orders.id`.
pub(super) fn locations(manifest: &Manifest) -> Result<BTreeMap<String, Location>> {
    let mut locations = BTreeMap::new();
    for file in &manifest.files {
        for (name, parts) in tables(file) {
            let object = object_name::object_name(&file.name, name)?;
            locations.insert(object.to_string(), location(&file.name, name));
            for part in parts {
                let ident = Ident::new(&*part.value);
                locations
                    .entry(format!("{object}.{ident}"))
                    .or_insert_with(|| location(&file.name, part));
            }
        }
        for name in others(file) {
            let object = object_name::object_name(&file.name, name)?;
            locations.insert(object.to_string(), location(&file.name, name));
        }
        for name in global(file) {
            locations.insert(
                Ident::new(&*name.value).to_string(),
                location(&file.name, name),
            );
        }
    }
    Ok(locations)
}

/// Finds names that PostgreSQL would truncate, so that objects would be created under other names.
pub(super) fn truncated_names(manifest: &Manifest) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &manifest.files {
        let of_tables = tables(file).flat_map(|(name, parts)| [name].into_iter().chain(parts));
        let names = of_tables.chain(others(file)).chain(global(file));
        // A table's name may hold its schema's; nothing shorter than one of them can be too long.
        for name in names.filter(|name| name.value.len() > LONGEST) {
            let longest = name
                .value
                .split('.')
                .map(|part| part.trim_matches('"').len());
            let Some(bytes) = longest.max().filter(|bytes| *bytes > LONGEST) else {
                continue;
            };
            let message = format!(
                "the name has {bytes} bytes; PostgreSQL truncates names to {LONGEST} bytes"
            );
            let finding = Finding::error("manifest-name", &name.value, message);
            findings.push(
                finding
                    .place(location(&file.name, name))
                    .help("shorten the name"),
            );
        }
    }
    findings
}

/// Returns the tables of a file, each with the names of its parts.
fn tables(
    file: &File,
) -> impl Iterator<Item = (&Located<String>, impl Iterator<Item = &Located<String>>)> {
    let document = &file.document;
    let tables = document.tables.iter().chain(document.only.tables.iter());
    tables.map(|(name, table)| {
        let parts = [
            &table.columns,
            &table.constraints,
            &table.indexes,
            &table.triggers,
            &table.policies,
        ];
        let parts = parts.into_iter().flat_map(|entries| entries.iter());
        (name, parts.map(|(part, _)| part))
    })
}

fn others(file: &File) -> impl Iterator<Item = &Located<String>> {
    let document = &file.document;
    let enums = document.enums.iter().map(|(name, _)| name);
    enums
        .chain(document.domains.iter().map(|(name, _)| name))
        .chain(document.sequences.iter().map(|(name, _)| name))
        .chain(document.views.iter().map(|(name, _)| name))
}

fn global(file: &File) -> impl Iterator<Item = &Located<String>> {
    let schemas = file.document.schemas.iter().map(|(name, _)| name);
    schemas.chain(file.document.extensions.iter().map(|(name, _)| name))
}
