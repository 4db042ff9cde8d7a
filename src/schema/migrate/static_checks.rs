//! Finds statements that cannot run in the mode their file declares, before anything runs.

use crate::finding::{Finding, Location};
use crate::migrate::checksum;
use crate::migrate::files::{Direction, Migration};
use crate::migrate::journal::Unfinished;
use crate::plan::unit::{self, TransactionControl, Unpaired};
use crate::sql::position::Positions;

/// Reports statements that cannot run in the mode that the file declares.
pub fn check(migration: &Migration, direction: Direction) -> Vec<Finding> {
    let Some((script, directives)) = migration.script(direction) else {
        return Vec::new();
    };
    let outline = unit::outline(&script.text);
    let mut findings = Vec::new();
    let positions = Positions::new(&script.text);
    let place_of_byte = |offset: usize| {
        let at = positions.of_byte(offset);
        Location::at(&script.shown, at.line, at.column)
    };
    let place = |index: usize| place_of_byte(outline.statements[index].start);
    if let Some(unclosed) = outline.unclosed {
        let finding = Finding::error("migration-unclosed", &script.shown, unclosed.message());
        findings.push(
            finding
                .place(place_of_byte(unclosed.offset))
                .help(unclosed.help()),
        );
    }
    for index in &outline.meta_commands {
        let text = &script.text[outline.statements[*index].clone()];
        let (message, help) = meta_command(text);
        findings.push(
            Finding::error("migration-meta-command", &script.shown, message)
                .place(place(*index))
                .help(help),
        );
    }
    for index in &outline.releases_lock {
        let finding = Finding::error("migration-session", &script.shown, RELEASES_LOCK);
        findings.push(finding.place(place(*index)).help(
            "Remove it; to release another advisory lock, use its key: SELECT pg_advisory_unlock(KEY)",
        ));
    }
    if directives.no_transaction {
        for (index, unpaired) in unit::unpaired(&outline) {
            let (message, help) = unpaired_words(unpaired);
            let finding = Finding::error("migration-transaction", &script.shown, message);
            findings.push(finding.place(place(index)).help(help));
        }
        return findings;
    }
    for (index, reason) in &outline.alone {
        let message = format!("cannot run inside a transaction block: {reason}");
        let finding =
            Finding::error("migration-transaction", &script.shown, message).place(place(*index));
        findings.push(finding.help(
            "Begin the file with `-- af-db: no-transaction`, preferably with this statement only",
        ));
    }
    for (index, control) in &outline.control {
        let (message, help) = match control {
            TransactionControl::Savepoint => continue,
            TransactionControl::Prepare => {
                let (message, help) = unpaired_words(Unpaired::Prepared);
                (message.to_owned(), help)
            }
            TransactionControl::Begin => (inside("begins"), OWN_TRANSACTION),
            TransactionControl::Commit
            | TransactionControl::Rollback
            | TransactionControl::Chain => (inside("ends"), OWN_TRANSACTION),
        };
        let finding =
            Finding::error("migration-transaction", &script.shown, message).place(place(*index));
        findings.push(finding.help(help));
    }
    findings
}

const OWN_TRANSACTION: &str =
    "Remove it; or begin the file with `-- af-db: no-transaction` to run it unchanged";

fn inside(word: &str) -> String {
    format!("The file {word} a transaction, but af-db already runs the file in one")
}

/// Returns why a file outside a transaction cannot run as its transactions stand, and what to do.
fn unpaired_words(unpaired: Unpaired) -> (&'static str, &'static str) {
    match unpaired {
        Unpaired::Unclosed => (
            "The transaction is never ended",
            "Add COMMIT where the transaction should end",
        ),
        Unpaired::Nested => (
            "Begins a transaction inside another transaction",
            "End the first transaction before, or use SAVEPOINT",
        ),
        Unpaired::Outside => (
            "No transaction is open at this statement",
            "Add BEGIN before the statement, or remove the statement",
        ),
        Unpaired::Chained => (
            "AND CHAIN begins a transaction that cannot be recorded separately",
            "Write COMMIT or ROLLBACK, and BEGIN for the next transaction",
        ),
        Unpaired::Prepared => (
            "PREPARE TRANSACTION leaves a transaction that holds its locks until it is ended",
            "Use COMMIT; two-phase commit is not supported in migrations",
        ),
        Unpaired::Held => (
            "cannot run inside a transaction block",
            "Move the statement before BEGIN or after COMMIT",
        ),
    }
}

const RELEASES_LOCK: &str =
    "Releases the migration lock, so another run could start at the same time";

/// Refuses to continue a partially applied file that is no longer what was started.
pub fn check_resumed(
    migration: &Migration,
    direction: Direction,
    unfinished: &[Unfinished],
) -> Option<Finding> {
    let half = unfinished.iter().find(|half| {
        half.version == migration.version && half.direction == direction && half.statement > 0
    })?;
    let (script, _) = migration.script(direction)?;
    if half.sha256.as_deref() == Some(checksum::sha256(&script.text).as_str()) {
        return None;
    }
    let message = format!(
        "The file was modified after {} of its statements had run",
        half.statement
    );
    let command = match direction {
        Direction::Up => "af-db up",
        Direction::Down => "af-db down",
    };
    let finding = Finding::error("migration-changed-half-run", &script.shown, message);
    let help = format!(
        "Restore the file and run {command}; or undo its statements by hand, then: af-db repair --resume {} --as undone",
        migration.version
    );
    Some(finding.place(Location::file(&script.shown)).help(help))
}

fn meta_command(text: &str) -> (String, String) {
    let word = text.split_whitespace().next().unwrap_or("\\");
    let help = match word {
        "\\i" | "\\ir" | "\\include" | "\\include_relative" => {
            "Insert the text of that file, or make it a separate migration"
        }
        "\\c" | "\\connect" => {
            "A migration runs in one database; use a separate folder and environment for each database"
        }
        "\\copy" => {
            "Write COPY … FROM STDIN followed by the rows and a line `\\.`, as pg_dump does"
        }
        "\\set" | "\\gset" | "\\if" | "\\else" | "\\elif" | "\\endif" => {
            "Write the value itself, or use a DO block"
        }
        "\\restrict" | "\\unrestrict" => "Remove it; it only protects psql",
        _ => "Remove it, or write it as SQL",
    };
    (
        format!("`{word}` is a psql command and not supported in migrations"),
        help.to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate::files::MigrationFile;

    fn findings_of(text: &str) -> String {
        let mut findings = Vec::new();
        let up = MigrationFile {
            shown: "V1__x.sql".to_owned(),
            path: std::path::PathBuf::new(),
            text: text.into(),
        };
        let directives = crate::migrate::directive::read("V1__x.sql", text, &mut findings);
        let migration = Migration {
            version: 1,
            name: "x".to_owned(),
            prefix: 'V',
            up,
            down: None,
            directives,
            down_directives: Default::default(),
        };
        let said = check(&migration, Direction::Up).into_iter().map(|finding| {
            let place = finding
                .place
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
            format!(
                "{place} {}: {}\n  {}",
                finding.code,
                finding.message,
                finding.help.unwrap_or_default()
            )
        });
        said.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn statements_that_cannot_run_are_reported() {
        insta::assert_snapshot!(findings_of("SELECT 1;\nCREATE INDEX CONCURRENTLY i ON t (a);\nVACUUM;"), @"
        V1__x.sql:2:1 migration-transaction: cannot run inside a transaction block: CREATE INDEX CONCURRENTLY commits several times
          Begin the file with `-- af-db: no-transaction`, preferably with this statement only
        V1__x.sql:3:1 migration-transaction: cannot run inside a transaction block: VACUUM manages its own transactions
          Begin the file with `-- af-db: no-transaction`, preferably with this statement only
        ");
        insta::assert_snapshot!(findings_of("BEGIN;\nSELECT 1;\nCOMMIT;"), @"
        V1__x.sql:1:1 migration-transaction: The file begins a transaction, but af-db already runs the file in one
          Remove it; or begin the file with `-- af-db: no-transaction` to run it unchanged
        V1__x.sql:3:1 migration-transaction: The file ends a transaction, but af-db already runs the file in one
          Remove it; or begin the file with `-- af-db: no-transaction` to run it unchanged
        ");
        insta::assert_snapshot!(findings_of("\\i other.sql\n\\copy t from 'x'\n\\restrict abc\n"), @r"
        V1__x.sql:1:1 migration-meta-command: `\i` is a psql command and not supported in migrations
          Insert the text of that file, or make it a separate migration
        V1__x.sql:2:1 migration-meta-command: `\copy` is a psql command and not supported in migrations
          Write COPY … FROM STDIN followed by the rows and a line `\.`, as pg_dump does
        V1__x.sql:3:1 migration-meta-command: `\restrict` is a psql command and not supported in migrations
          Remove it; it only protects psql
        ");
    }

    #[test]
    fn transactions_outside_a_transaction_pair_up() {
        let alone = |text: &str| findings_of(&format!("-- af-db: no-transaction\n{text}"));
        insta::assert_snapshot!(alone("BEGIN;\nDROP TABLE t;\n"), @"
        V1__x.sql:2:1 migration-transaction: The transaction is never ended
          Add COMMIT where the transaction should end
        ");
        insta::assert_snapshot!(alone("BEGIN;\nSTART TRANSACTION;\nVACUUM;\nCOMMIT;\nEND;\n"), @"
        V1__x.sql:3:1 migration-transaction: Begins a transaction inside another transaction
          End the first transaction before, or use SAVEPOINT
        V1__x.sql:4:1 migration-transaction: cannot run inside a transaction block
          Move the statement before BEGIN or after COMMIT
        V1__x.sql:6:1 migration-transaction: No transaction is open at this statement
          Add BEGIN before the statement, or remove the statement
        ");
        insta::assert_snapshot!(alone("BEGIN;\nCOMMIT AND CHAIN;\nPREPARE TRANSACTION 'x';\n"), @"
        V1__x.sql:3:1 migration-transaction: AND CHAIN begins a transaction that cannot be recorded separately
          Write COMMIT or ROLLBACK, and BEGIN for the next transaction
        V1__x.sql:4:1 migration-transaction: PREPARE TRANSACTION leaves a transaction that holds its locks until it is ended
          Use COMMIT; two-phase commit is not supported in migrations
        ");
        assert_eq!(
            alone("BEGIN;\nDROP TABLE t;\nROLLBACK;\nCOMMIT PREPARED 'x';\n"),
            ""
        );
    }

    #[test]
    fn statements_that_take_over_the_session_are_reported() {
        insta::assert_snapshot!(findings_of("SELECT pg_advisory_unlock_all();\nSELECT 1;\nprepare /* */ transaction 'x';\n"), @"
        V1__x.sql:1:1 migration-session: Releases the migration lock, so another run could start at the same time
          Remove it; to release another advisory lock, use its key: SELECT pg_advisory_unlock(KEY)
        V1__x.sql:3:1 migration-transaction: PREPARE TRANSACTION leaves a transaction that holds its locks until it is ended
          Use COMMIT; two-phase commit is not supported in migrations
        ");
        assert_eq!(
            findings_of(
                "SAVEPOINT a;\nSELECT pg_advisory_unlock(42);\nROLLBACK TO a;\nSET default_transaction_read_only = on;"
            ),
            ""
        );
    }

    #[test]
    fn declared_modes_have_no_findings() {
        assert_eq!(
            findings_of("-- af-db: no-transaction\nCREATE INDEX CONCURRENTLY i ON t (a);"),
            ""
        );
        assert_eq!(
            findings_of("CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; END"),
            ""
        );
        assert_eq!(findings_of("COPY t FROM stdin;\n\\i\n\\.\n"), "");
    }
}
