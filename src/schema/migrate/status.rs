//! Compares a folder of migrations with a history: what is applied, what is pending, and all errors.
//!
//! Refinery would stop at the first error; here all are reported in one pass.

use std::collections::BTreeMap;

use crate::finding::{Finding, Location};
use crate::migrate::checksum::{self, Width};
use crate::migrate::count_statements;
use crate::migrate::files::{Direction, Migration, MigrationFolder};
use crate::migrate::history::{History, HistoryRow, HistoryTable};
use crate::migrate::journal::Unfinished;

/// The code of what is said where a history is gone that was there.
pub const GONE: &str = "history-missing";

/// How one migration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MigrationState {
    /// In the history, and the file is what was applied.
    Applied,
    /// Not in the history, and next in order.
    Pending,
    /// In the history, and the file is another.
    #[serde(rename = "edited")]
    Modified,
    /// In the history, and only the line endings of the file differ.
    LineEndings,
    /// In the history, and the file is gone.
    #[serde(rename = "missing")]
    MissingFile,
    /// In the history, newer than every file.
    #[serde(rename = "unknown")]
    NotInCheckout,
    /// Not in the history, and older than what is applied.
    OutOfOrder,
    /// Begun, not finished.
    #[serde(rename = "half-run")]
    PartiallyApplied,
    /// In the history, and its down migration was started and not finished.
    #[serde(rename = "half-reverted")]
    PartiallyReverted,
}

/// One migration and how it stands.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct MigrationStatus {
    pub version: i64,
    pub name: String,
    /// The state.
    pub state: MigrationState,
    /// When it was applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied_on: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// How a folder stands to a history.
#[derive(Clone, Debug, Default)]
pub struct FolderStatus {
    /// Every migration known to either, by version.
    pub lines: Vec<MigrationStatus>,
    /// What `up` would apply, in order.
    pub pending: Vec<i64>,
    /// What is older than the newest applied one and was not applied.
    pub out_of_order: Vec<i64>,
    /// Everything that is wrong.
    pub findings: Vec<Finding>,
}

/// Compares a folder with a history; `fresh` is the width a new history would have.
pub fn compare(
    folder: &MigrationFolder,
    history: &History,
    unfinished: &[Unfinished],
    fresh: Width,
) -> FolderStatus {
    let mut standing = FolderStatus {
        findings: folder.findings.clone(),
        ..FolderStatus::default()
    };
    let files: BTreeMap<i64, &Migration> = folder
        .migrations
        .iter()
        .map(|file| (file.version, file))
        .collect();
    let newest_file = files.keys().next_back().copied();
    let width = history.width(fresh);
    judge_table(history, &mut standing.findings);
    for row in &history.rows {
        let line = match files.get(&row.version) {
            Some(file) => {
                let mut line = judge_applied(file, row, width, &mut standing.findings);
                if let Some(half) = half_of(unfinished, file, Direction::Down) {
                    standing.findings.push(half_reverted(file, half));
                    line.state = MigrationState::PartiallyReverted;
                }
                line
            }
            None => judge_unexplained(row, newest_file, &mut standing.findings),
        };
        judge_row(row, &mut standing.findings);
        standing.lines.push(line);
    }
    let newest_row = history.rows.last().map(|row| row.version);
    for file in folder
        .migrations
        .iter()
        .filter(|file| history.row(file.version).is_none())
    {
        let half = half_of(unfinished, file, Direction::Up);
        let late = file.prefix == 'V' && newest_row.is_some_and(|newest| newest > file.version);
        let state = match half {
            Some(half) => {
                standing.findings.push(half_run(file, half));
                MigrationState::PartiallyApplied
            }
            None if late => MigrationState::OutOfOrder,
            None => MigrationState::Pending,
        };
        if late && half.is_none() {
            standing.out_of_order.push(file.version);
            standing
                .findings
                .push(out_of_order(file, newest_row.unwrap_or_default()));
        } else {
            standing.pending.push(file.version);
        }
        judge_width(file, width, &mut standing.findings);
        let shown = Some(file.up.shown.clone());
        let name = file.name.clone();
        standing.lines.push(MigrationStatus {
            version: file.version,
            name,
            state,
            applied_on: None,
            file: shown,
        });
    }
    standing.lines.sort_by_key(|line| line.version);
    standing
}

fn half_of<'u>(
    unfinished: &'u [Unfinished],
    file: &Migration,
    direction: Direction,
) -> Option<&'u Unfinished> {
    unfinished
        .iter()
        .find(|half| half.version == file.version && half.direction == direction)
}

fn judge_table(history: &History, findings: &mut Vec<Finding>) {
    let name = history.name.to_string();
    match history.table {
        HistoryTable::Foreign => findings.push(
            Finding::error("history-foreign", &name, "A table with this name exists, but it is not a refinery history table")
                .help("Set migrations.history-table in af-db.yaml to another name"),
        ),
        HistoryTable::Missing if history.has_journal => findings.push(
            Finding::error(GONE, &name, "The history table is missing, although af-db has been used on this database")
                .help("Restore the table from a backup, or record the applied migrations with af-db repair --mark-applied"),
        ),
        HistoryTable::Missing | HistoryTable::Present(_) => {}
    }
}

fn judge_applied(
    file: &Migration,
    row: &HistoryRow,
    width: Width,
    findings: &mut Vec<Finding>,
) -> MigrationStatus {
    let stored = row.checksum.parse::<u64>().ok();
    let sum = |text: &str| Some(checksum::refinery(&file.name, file.version, text, width));
    let subject = format!("migration {}", file.version);
    let place = Location::file(&file.up.shown);
    let same_name = row.name == file.name;
    let state = if same_name && stored == sum(&file.up.text) {
        MigrationState::Applied
    } else if same_name && differs_in_line_endings(&file.up.text, stored, sum) {
        let message = "Only the line endings of the file changed after it was applied";
        let finding = Finding::warn("history-line-endings", &subject, message).place(place);
        findings.push(
            finding.help("Add `*.sql text eol=lf` to .gitattributes and check out the file again"),
        );
        MigrationState::LineEndings
    } else {
        let message = if same_name {
            "The file was modified after it was applied (checksum mismatch)".to_owned()
        } else {
            format!(
                "The migration was applied as `{}`, but the file is named `{}`",
                row.name, file.name
            )
        };
        let help = "Restore the file from version control, or write a new migration; \
                    if the change is intended: af-db repair --checksum VERSION";
        let help = help.replace("VERSION", &file.version.to_string());
        findings.push(
            Finding::error("history-edited", &subject, message)
                .place(place)
                .help(help),
        );
        MigrationState::Modified
    };
    MigrationStatus {
        version: row.version,
        name: row.name.clone(),
        state,
        applied_on: Some(row.applied_on.clone()),
        file: Some(file.up.shown.clone()),
    }
}

fn differs_in_line_endings(
    text: &str,
    stored: Option<u64>,
    sum: impl Fn(&str) -> Option<u64>,
) -> bool {
    let unix = text.replace("\r\n", "\n");
    stored == sum(&unix.replace('\n', "\r\n")) || stored == sum(&unix)
}

fn judge_unexplained(
    row: &HistoryRow,
    newest_file: Option<i64>,
    findings: &mut Vec<Finding>,
) -> MigrationStatus {
    let subject = format!("migration {}", row.version);
    let ahead = newest_file.is_none_or(|newest| row.version > newest);
    let state = if ahead {
        let message = format!(
            "`{}` is applied, but not in this checkout (newer than all files)",
            row.name
        );
        let help = "Check out the version of the project that contains this migration";
        findings.push(Finding::error("history-unknown", subject, message).help(help));
        MigrationState::NotInCheckout
    } else {
        let message = format!("`{}` is applied, but its file is missing", row.name);
        let help = format!(
            "Restore V{}__{}.sql from version control",
            row.version, row.name
        );
        findings.push(Finding::error("history-file-missing", subject, message).help(help));
        MigrationState::MissingFile
    };
    let applied_on = Some(row.applied_on.clone());
    MigrationStatus {
        version: row.version,
        name: row.name.clone(),
        state,
        applied_on,
        file: None,
    }
}

/// Names a row that makes a refinery service panic at boot.
fn judge_row(row: &HistoryRow, findings: &mut Vec<Finding>) {
    let format = &time::format_description::well_known::Rfc3339;
    let time = time::OffsetDateTime::parse(&row.applied_on, format);
    if time.is_ok() && row.checksum.parse::<u64>().is_ok() {
        return;
    }
    let subject = format!("migration {}", row.version);
    let message = "The history row has a time or checksum that refinery cannot read; services would panic at start-up";
    let help = format!("af-db repair --checksum {}", row.version);
    findings.push(Finding::error("history-row", subject, message).help(help));
}

fn judge_width(file: &Migration, width: Width, findings: &mut Vec<Finding>) {
    if width == Width::Int4 && i32::try_from(file.version).is_err() {
        let subject = format!("migration {}", file.version);
        let message = "The version column of the history is int4 and cannot store this version";
        let finding =
            Finding::error("history-width", subject, message).place(Location::file(&file.up.shown));
        findings.push(finding.help(
            "Use a version below 2147483648, or migrate the history and all services to int8",
        ));
    }
}

fn out_of_order(file: &Migration, newest: i64) -> Finding {
    let subject = format!("migration {}", file.version);
    let message = format!("The migration is not applied, but the newer migration {newest} is");
    Finding::error("history-out-of-order", subject, message)
        .place(Location::file(&file.up.shown))
        .help("Give it a higher version (af-db repair --renumber FILE), or apply it out of order: af-db up --allow-out-of-order")
}

fn half_run(file: &Migration, half: &Unfinished) -> Finding {
    let message = interrupted("Partially applied: interrupted", half);
    let finding = Finding::error(
        "history-half-run",
        format!("migration {}", file.version),
        message,
    );
    half_way(finding.place(Location::file(&file.up.shown)), half)
}

fn half_reverted(file: &Migration, half: &Unfinished) -> Finding {
    let message = interrupted("Partially reverted: interrupted", half);
    let finding = Finding::error(
        "history-half-reverted",
        format!("migration {}", file.version),
        message,
    );
    let shown = file
        .down
        .as_ref()
        .map_or(&file.up.shown, |down| &down.shown);
    half_way(finding.place(Location::file(shown)), half)
}

fn interrupted(what: &str, half: &Unfinished) -> String {
    let (at, done, next) = (&half.at, half.statement, half.statement + 1);
    if half.is_uncertain() {
        format!(
            "{what} at {at} during statement {done}; the next run checks the catalog whether it took effect"
        )
    } else {
        format!(
            "{what} at {at} after {}; the next run continues with statement {next}",
            count_statements(done)
        )
    }
}

fn half_way(finding: Finding, half: &Unfinished) -> Finding {
    let finding = finding.help(match half.direction {
        Direction::Up => "Run af-db up again, or undo the completed statements: af-db up --abort",
        Direction::Down => "Run af-db down again",
    });
    match &half.error {
        Some(error) => finding.detail(format!("error: {error}")),
        None => finding,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate::files::MigrationFile;
    use crate::sql::name::ObjectName;

    fn migration(version: i64, text: &str) -> Migration {
        let up = MigrationFile {
            shown: format!("migrations/V{version}__m.sql"),
            path: std::path::PathBuf::new(),
            text: text.into(),
        };
        Migration {
            version,
            name: "m".to_owned(),
            prefix: 'V',
            up,
            down: None,
            directives: Default::default(),
            down_directives: Default::default(),
        }
    }

    fn row(version: i64, text: &str) -> HistoryRow {
        HistoryRow {
            version,
            name: "m".to_owned(),
            applied_on: "2026-01-01T00:00:00Z".to_owned(),
            checksum: checksum::refinery("m", version, text, Width::Int4).to_string(),
        }
    }

    fn history(rows: Vec<HistoryRow>) -> History {
        let name = ObjectName::new("public", "refinery_schema_history");
        History {
            name,
            table: HistoryTable::Present(Width::Int4),
            has_journal: true,
            mark: crate::migrate::history::JournalMark::Present,
            rows,
        }
    }

    fn said(
        folder: Vec<Migration>,
        history: &History,
        unfinished: &[Unfinished],
    ) -> (Vec<i64>, Vec<String>) {
        let folder = MigrationFolder {
            migrations: folder,
            findings: Vec::new(),
        };
        let standing = compare(&folder, history, unfinished, Width::Int4);
        let codes = standing
            .findings
            .iter()
            .map(|finding| format!("{} {}", finding.code, finding.subject))
            .collect();
        (standing.pending, codes)
    }

    #[test]
    fn all_errors_are_reported_in_one_pass() {
        let mut garbage = row(3, "c");
        garbage.applied_on = "yesterday".to_owned();
        let rows = vec![
            row(1, "a"),
            row(2, "b\n"),
            garbage,
            row(5, "e"),
            row(6, "f"),
            row(90, "x"),
        ];
        let files = vec![
            migration(1, "edited"),
            migration(2, "b\r\n"),
            migration(3, "c"),
            migration(4, "late"),
            migration(6, "f"),
            migration(7, "half"),
        ];
        let half = Unfinished {
            version: 7,
            state: "unit-done".to_owned(),
            direction: Direction::Up,
            statement: 2,
            sha256: None,
            at: "now".to_owned(),
            error: None,
        };
        let (pending, codes) = said(files, &history(rows), &[half]);
        assert_eq!(pending, [7]);
        insta::assert_snapshot!(codes.join("\n"), @"
        history-edited migration 1
        history-line-endings migration 2
        history-row migration 3
        history-file-missing migration 5
        history-unknown migration 90
        history-out-of-order migration 4
        history-half-run migration 7
        ");
    }

    #[test]
    fn a_clean_history_has_no_findings() {
        let files = vec![migration(1, "a"), migration(2, "b")];
        let (pending, codes) = said(files, &history(vec![row(1, "a")]), &[]);
        assert_eq!((pending, codes), (vec![2], vec![]));
    }

    #[test]
    fn a_late_u_migration_is_pending() {
        let mut late = migration(1, "a");
        late.prefix = 'U';
        let (pending, codes) = said(
            vec![late, migration(2, "b")],
            &history(vec![row(2, "b")]),
            &[],
        );
        assert_eq!((pending, codes), (vec![1], vec![]));
    }

    #[test]
    fn versions_too_wide_for_the_history_are_reported() {
        let (_, codes) = said(
            vec![migration(20_260_101_000_000, "a")],
            &history(vec![]),
            &[],
        );
        assert_eq!(codes, ["history-width migration 20260101000000"]);
    }

    #[test]
    fn foreign_history_tables_are_reported() {
        let mut foreign = history(vec![]);
        foreign.table = HistoryTable::Foreign;
        assert_eq!(
            said(vec![], &foreign, &[]).1,
            ["history-foreign public.refinery_schema_history"]
        );
    }
}
