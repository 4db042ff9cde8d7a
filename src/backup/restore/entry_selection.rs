//! Applies a profile to an archive: the entries that `pg_restore` loads, their expected contents, and what is omitted.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::error::refuse;
use crate::finding::Finding;
use crate::mapping::role_lists;
use crate::pg::session::Session;
use crate::profile::{self, Profile, ProfileContext, Selection};
use crate::properties::DatabaseProperties;
use crate::restore::Options;
use crate::toc::Toc;
use crate::unpack::ArchiveContents;
use crate::unpack::temp_file::TempFile;

pub(super) struct EntrySelection {
    /// The expected contents of the selection.
    pub(super) contents: ArchiveContents,
    pub(super) findings: Vec<Finding>,
    list: Option<TempFile>,
}

impl EntrySelection {
    /// Returns the list file for `pg_restore`; `None` to load all entries.
    pub(super) fn list(&self) -> Option<&Path> {
        self.list.as_ref().map(TempFile::path)
    }
}

pub(super) async fn extensions(session: &Session) -> Result<BTreeSet<String>> {
    let rows = session
        .query(
            "SELECT e.name::pg_catalog.text FROM pg_catalog.pg_available_extensions AS e",
            &[],
        )
        .await
        .context("listing the available extensions")?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Chooses what is restored where; refuses what would lose rows.
pub(super) fn choose(
    options: &Options,
    contents: &ArchiveContents,
    context: ProfileContext<'_>,
) -> Result<EntrySelection> {
    let toc = &contents.summary.toc;
    let mut selection = profile::select(options.profile, toc, context);
    // A table without rows loses none.
    selection.left_out.retain(|one| {
        let sum = contents.summary.tables.get(&one.id);
        sum.is_none_or(|sum| sum.rows > 0)
    });
    if options.profile == Profile::Plain {
        let Some(lacking) = selection.left_out.first() else {
            return Ok(EntrySelection {
                contents: contents.clone(),
                findings: Vec::new(),
                list: None,
            });
        };
        return Err(refuse(format!(
            "the server lacks {}; nothing was restored",
            lacking.what
        ))
        .hint("install it on the server; for a Supabase project, --profile app-schemas restores only your own schemas")
        .into());
    }
    if let Some(lost) = selection.left_out.iter().find(|one| one.loses_rows) {
        return Err(refuse(format!(
            "{} cannot be restored here: {}; nothing was restored",
            lost.what, lost.why
        ))
        .hint("restore everything into a new database with --profile plain, or upgrade the target platform")
        .into());
    }
    let findings = selection
        .left_out
        .iter()
        .map(|one| Finding::warn("left-out", &one.what, format!("not restored: {}", one.why)));
    Ok(EntrySelection {
        findings: findings.collect(),
        contents: narrowed(contents, &selection),
        list: Some(listed(options, toc, &selection)?),
    })
}

/// Writes the numbers of the chosen entries as `pg_restore --use-list` reads them, in the order of the archive.
fn listed(options: &Options, toc: &Toc, selection: &Selection) -> Result<TempFile> {
    let mut scratch = TempFile::make(&options.scratch)?;
    let mut text = String::new();
    for entry in &toc.entries {
        if selection.chosen.contains(&entry.id) {
            text.push_str(&format!("{};\n", entry.id));
        }
    }
    scratch
        .file
        .write_all(text.as_bytes())
        .context("writing the list of entries to restore")?;
    Ok(scratch)
}

/// Returns the expected contents of the selected entries.
fn narrowed(contents: &ArchiveContents, selection: &Selection) -> ArchiveContents {
    let mut narrowed = contents.clone();
    let toc = &mut narrowed.summary.toc;
    toc.entries
        .retain(|entry| selection.chosen.contains(&entry.id));
    let named = |kind: &str| -> BTreeSet<(&str, &str)> {
        let of_kind = toc.entries.iter().filter(|entry| entry.kind == kind);
        of_kind
            .map(|entry| (entry.schema.as_str(), entry.tag.as_str()))
            .collect()
    };
    let (tables, sequences) = (named("TABLE DATA"), named("SEQUENCE SET"));
    let proof = &mut narrowed.proof;
    proof
        .tables
        .retain(|one| tables.contains(&(one.schema.as_str(), one.name.as_str())));
    proof
        .sequences
        .retain(|one| sequences.contains(&(one.schema.as_str(), one.name.as_str())));
    let extensions: BTreeSet<&str> = toc
        .entries
        .iter()
        .filter(|entry| entry.kind == "EXTENSION")
        .map(|entry| entry.tag.as_str())
        .collect();
    let database = &mut proof.database;
    database.extensions.retain(|one| {
        // This one is in every database and in no dump.
        extensions.contains(one.name.as_str()) || one.name == "plpgsql"
    });
    keep_roles(database, &named_roles(&narrowed.summary.toc));
    narrowed
}

fn named_roles(toc: &Toc) -> BTreeSet<String> {
    let mut named: BTreeSet<String> = BTreeSet::new();
    for entry in &toc.entries {
        named.insert(entry.owner.clone());
        let lists = role_lists(&entry.kind, &entry.definition);
        named.extend(lists.into_iter().flatten().map(|(_, name)| name));
    }
    named
}

/// Leaves out roles that nothing chosen names: a database without a platform needs none of the platform's.
fn keep_roles(database: &mut DatabaseProperties, named: &BTreeSet<String>) {
    let owner = database.owner.clone();
    let is_kept = |name: &str| name.is_empty() || name == owner || named.contains(name);
    let of_database = |name: &str| is_kept(name) || !profile::is_platforms(name);
    database.roles.retain(|role| is_kept(&role.name));
    database
        .memberships
        .retain(|one| is_kept(&one.role) && is_kept(&one.member));
    database.grants.retain(|grant| of_database(&grant.grantee));
    database
        .settings
        .retain(|setting| of_database(&setting.role));
}
