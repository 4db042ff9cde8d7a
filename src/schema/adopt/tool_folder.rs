//! Reads the folder of a tool and turns its files into migrations.

use std::path::Path;

use anyhow::Result;

use crate::adopt::Tool;
use crate::disk::{self, DirectoryEntry, DirectoryWalk};
use crate::error::fail;
use crate::finding::{Finding, Location, Severity};
use crate::migrate::directive::{self, Directives};
use crate::migrate::file_name;
use crate::migrate::files::{self, Migration, MigrationFile, MigrationFolder};
use crate::plan::unit::{self, TransactionControl};

/// A migration, with its identity in the tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolMigration {
    /// The key in the tool's history.
    pub key: String,
    /// The checksum that the tool records, if it records one.
    pub proof: Option<String>,
    /// A verify script of the tool, which fails if the migration has not worked.
    pub verify: Option<MigrationFile>,
    pub migration: Migration,
}

/// A folder of another tool.
#[derive(Clone, Debug, Default)]
pub struct ToolFolder {
    pub entries: Vec<ToolMigration>,
    /// Repeatable migrations in the tool's order, numbered after the others.
    pub repeatables: Vec<ToolMigration>,
    /// Errors in the files.
    pub findings: Vec<Finding>,
}

/// The code of the finding about repeatable files, which can only be adopted by converting them.
pub const REPEATABLE: &str = "adopt-repeatable";

impl ToolFolder {
    pub fn folder(self) -> MigrationFolder {
        MigrationFolder {
            migrations: self
                .entries
                .into_iter()
                .map(|entry| entry.migration)
                .collect(),
            findings: self.findings,
        }
    }
}

/// A migration as read from a tool's files.
pub(crate) struct ToolFile {
    pub(crate) key: String,
    pub(crate) version: i64,
    pub(crate) name: String,
    pub(crate) up: MigrationFile,
    pub(crate) down: Option<MigrationFile>,
    /// Whether the up and the down migration run outside a transaction.
    pub(crate) outside: (bool, bool),
    pub(crate) proof: Option<String>,
    pub(crate) verify: Option<MigrationFile>,
}

impl ToolFile {
    pub(crate) fn new(key: impl Into<String>, version: i64, name: &str, up: MigrationFile) -> Self {
        ToolFile {
            key: key.into(),
            version,
            name: name.to_owned(),
            up,
            down: None,
            outside: (false, false),
            proof: None,
            verify: None,
        }
    }
}

/// A folder being read.
pub(crate) struct FolderReader {
    tool: Tool,
    walk: DirectoryWalk,
    pub(crate) shown: String,
    pub(crate) findings: Vec<Finding>,
    drafts: Vec<ToolFile>,
    repeatables: Vec<ToolFile>,
}

impl FolderReader {
    pub(crate) fn new(tool: Tool, shown: &str) -> Self {
        FolderReader {
            tool,
            walk: DirectoryWalk::default(),
            shown: shown.to_owned(),
            findings: Vec::new(),
            drafts: Vec::new(),
            repeatables: Vec::new(),
        }
    }

    /// Lists a folder by name, without hidden files.
    pub(crate) fn items(&mut self, folder: &Path, shown: &str) -> Result<Vec<DirectoryEntry>> {
        let mut items = self.walk.list(folder, shown)?;
        items.retain(|item| !item.name.starts_with('.'));
        for item in items.iter().filter(|item| file_name::is_sql(&item.name)) {
            if let Some(control) = disk::control_in_name(&item.name) {
                let message = format!("the name of {:?} contains {control}", item.name);
                return Err(fail(message).hint("rename the file").into());
            }
        }
        Ok(items)
    }

    pub(crate) fn script(&mut self, path: &Path, shown: &str) -> Option<MigrationFile> {
        files::script(path, shown, &mut self.findings)
    }

    /// Reads a file that may be missing or empty.
    pub(crate) fn optional_script(&mut self, path: &Path, shown: &str) -> Option<MigrationFile> {
        if !path.is_file() {
            return None;
        }
        let mut findings = Vec::new();
        let script = files::script(path, shown, &mut findings);
        findings.retain(|finding| finding.severity == Severity::Error);
        self.findings.extend(findings);
        script
    }

    pub(crate) fn push(&mut self, draft: ToolFile) {
        self.drafts.push(draft);
    }

    pub(crate) fn push_repeatable(&mut self, draft: ToolFile) {
        self.repeatables.push(draft);
    }

    /// Sets the down migration of a version; returns whether the version exists.
    pub(crate) fn set_down(&mut self, version: i64, down: MigrationFile) -> bool {
        self.set_down_with_mode(version, down, false)
    }

    /// Sets the down migration of a version and whether it runs outside a transaction.
    pub(crate) fn set_down_with_mode(
        &mut self,
        version: i64,
        down: MigrationFile,
        outside: bool,
    ) -> bool {
        let found = self
            .drafts
            .iter_mut()
            .find(|draft| draft.version == version);
        let Some(draft) = found else { return false };
        draft.down = Some(down);
        draft.outside.1 = outside;
        true
    }

    /// Adds a finding about a file name that the tool would skip.
    pub(crate) fn unexpected_name(&mut self, shown: &str, expected: &str) {
        let message = format!(
            "the file name does not match {expected}; {} would skip this file",
            self.tool
        );
        self.findings.push(
            Finding::error("migration-name", shown, message)
                .place(Location::file(shown))
                .help("rename the file, or move it out of the folder"),
        );
    }

    /// Adds a finding about a migration that is a program.
    pub(crate) fn program(&mut self, shown: &str) {
        let message = "this migration is a program; af-db runs only SQL";
        self.findings.push(
            Finding::error("migration-program", shown, message)
                .place(Location::file(shown))
                .help("write the migration as SQL under the same version"),
        );
    }

    pub(crate) fn layout_error(&mut self, shown: &str, message: impl Into<String>, help: &str) {
        self.findings.push(
            Finding::error("migration-layout", shown, message)
                .place(Location::file(shown))
                .help(help),
        );
    }

    /// Sorts the migrations and determines how each runs.
    pub(crate) fn finish(mut self) -> ToolFolder {
        let mut drafts = std::mem::take(&mut self.drafts);
        drafts.sort_by(|left, right| {
            (left.version, &left.up.shown).cmp(&(right.version, &right.up.shown))
        });
        let mut entries: Vec<ToolMigration> = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let last = entries.last().map(|entry| &entry.migration);
            if let Some(first) = last.filter(|last| last.version == draft.version) {
                let message = format!(
                    "version {} is also used by {}",
                    draft.version, first.up.shown
                );
                let finding = Finding::error("migration-duplicate", &draft.up.shown, message)
                    .place(Location::file(&draft.up.shown))
                    .also(Location::file(&first.up.shown));
                self.findings.push(
                    finding.help("change the version of the file that is not applied anywhere"),
                );
                continue;
            }
            entries.push(self.finish_migration(draft));
        }
        let last = entries.last().map_or(0, |entry| entry.migration.version);
        let mut repeatables = Vec::new();
        for (behind, mut draft) in (1..).zip(std::mem::take(&mut self.repeatables)) {
            draft.version = last + behind;
            let message = "repeatable migration; af-db runs each file only once";
            self.findings.push(
                Finding::error(REPEATABLE, &draft.up.shown, message)
                    .place(Location::file(&draft.up.shown))
                    .help("run af-db adopt --convert, which turns the current text into a versioned migration"),
            );
            repeatables.push(self.finish_migration(draft));
        }
        ToolFolder {
            entries,
            repeatables,
            findings: self.findings,
        }
    }

    fn finish_migration(&mut self, draft: ToolFile) -> ToolMigration {
        let mut directives = directive::read(&draft.up.shown, &draft.up.text, &mut self.findings);
        directives.no_transaction |= draft.outside.0 || own_transaction(&draft.up.text, self.tool);
        let down = draft.down.filter(|down| has_statements(&down.text));
        let mut down_directives = Directives::default();
        if let Some(down) = &down {
            down_directives = directive::read(&down.shown, &down.text, &mut self.findings);
            down_directives.no_transaction |=
                draft.outside.1 || own_transaction(&down.text, self.tool);
        }
        let name = file_name::clean(&draft.name);
        ToolMigration {
            key: draft.key,
            proof: draft.proof,
            verify: draft.verify,
            migration: Migration {
                version: draft.version,
                name: if name.is_empty() {
                    "migration".to_owned()
                } else {
                    name
                },
                prefix: 'V',
                up: draft.up,
                down,
                directives,
                down_directives,
            },
        }
    }
}

/// Returns whether a file contains its own transaction, or must run outside one because its tool uses none.
fn own_transaction(text: &str, tool: Tool) -> bool {
    let wraps = !matches!(
        tool,
        Tool::Flyway | Tool::GolangMigrate | Tool::Prisma | Tool::Sqitch
    );
    let outline = unit::outline(text);
    let ends =
        |(_, control): &(usize, TransactionControl)| *control != TransactionControl::Savepoint;
    outline.control.iter().any(ends) || (!wraps && !outline.alone.is_empty())
}

/// Returns a path below a folder as shown in messages.
pub(crate) fn under(shown: &str, name: &str) -> String {
    if shown == "." {
        name.to_owned()
    } else {
        format!("{shown}/{name}")
    }
}

/// Returns whether a text contains a statement.
pub(crate) fn has_statements(text: &str) -> bool {
    crate::sql::split::statements(text).next().is_some()
}

/// Splits the leading number from a name, if there is a valid one.
pub(crate) fn number(text: &str) -> Option<(&str, i64, &str)> {
    let end = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits, digits.parse().ok()?, rest))
}
