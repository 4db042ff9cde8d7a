//! The names a manifest declares: where each stands, and which PostgreSQL would cut.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::finding::{Finding, Location};
use crate::manifest::statement::place;
use crate::manifest::{File, Manifest, statements};
use crate::sql::name::Ident;
use crate::yaml::Located;

/// How many bytes of a name PostgreSQL keeps.
const LONGEST: usize = 63;

/// Says where things stand, by their quoted names: `public.orders`, `public.orders.id`.
pub(super) fn places(manifest: &Manifest) -> Result<BTreeMap<String, Location>> {
    let mut places = BTreeMap::new();
    for file in &manifest.files {
        for (name, parts) in tables(file) {
            let object = statements::object_name(&file.name, name)?;
            places.insert(object.to_string(), place(&file.name, name));
            for part in parts {
                let ident = Ident::new(&*part.value);
                places
                    .entry(format!("{object}.{ident}"))
                    .or_insert_with(|| place(&file.name, part));
            }
        }
        for name in others(file) {
            let object = statements::object_name(&file.name, name)?;
            places.insert(object.to_string(), place(&file.name, name));
        }
        for name in global(file) {
            places.insert(
                Ident::new(&*name.value).to_string(),
                place(&file.name, name),
            );
        }
    }
    Ok(places)
}

/// Finds names that PostgreSQL would cut, so that what is made is called otherwise than what is declared.
pub(super) fn too_long(manifest: &Manifest) -> Vec<Finding> {
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
            let message =
                format!("the name has {bytes} bytes, of which PostgreSQL keeps {LONGEST}");
            let finding = Finding::error("manifest-name", &name.value, message);
            findings.push(finding.place(place(&file.name, name)).help("shorten it"));
        }
    }
    findings
}

/// Walks the tables of a file, each with the names of its parts.
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
