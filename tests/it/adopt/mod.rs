//! Taking over what other tools migrate: each tool's own files and rows, as the tool leaves them.

mod broken;
mod ways;

use std::path::{Path, PathBuf};

use crate::support::project::Project;
use crate::support::server::{self, Database};

/// A tool's sample under `tests/adopt/`: its files, what its applied files did, its history rows.
pub(super) struct Sample {
    pub(super) project: Project,
    pub(super) database: Database,
}

/// How a sample is run by its tool: the folder, the files applied (with their ways up), the history.
pub(super) struct Case {
    pub(super) tool: &'static str,
    /// The folder of the migrations.
    pub(super) dir: &'static str,
    /// What the tool has run, in order.
    pub(super) applied: &'static [&'static str],
    /// The tool's own history table.
    pub(super) table: &'static str,
    /// A statement that is true once the next migration is applied.
    pub(super) next: &'static str,
}

/// One case a tool.
pub(super) const CASES: &[Case] = &[Case {
    tool: "golang-migrate",
    dir: "migrations",
    applied: &["000001_accounts.up.sql", "000002_account-names.up.sql"],
    table: "schema_migrations",
    next: "SELECT to_regclass('accounts_name_idx') IS NOT NULL",
}];

pub(super) fn folder(tool: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/adopt")
        .join(tool)
}

pub(super) fn case(tool: &str) -> &'static Case {
    CASES
        .iter()
        .find(|case| case.tool == tool)
        .expect("a case of this tool")
}

/// Puts a tool's sample into a project, and its database where the tool left it.
pub(super) async fn sample(case: &Case) -> Sample {
    let database = server::database().await;
    let project = Project::of(&database.target);
    let root = folder(case.tool);
    copy(&project, &root, &root);
    for file in case.applied {
        let path = root.join(case.dir).join(file);
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        database.run(&up(&text)).await;
    }
    let history = std::fs::read_to_string(root.join("history.sql")).expect("its history");
    database.run(&history).await;
    Sample { project, database }
}

/// Leaves the way down out of a file that holds both.
fn up(text: &str) -> String {
    let marks = ["-- +goose Down", "-- migrate:down", "-- Down Migration"];
    let end = marks.iter().filter_map(|mark| text.find(mark)).min();
    text[..end.unwrap_or(text.len())].to_owned()
}

fn copy(project: &Project, root: &Path, folder: &Path) {
    for entry in std::fs::read_dir(folder).expect("the sample") {
        let path = entry.expect("the sample").path();
        if path.is_dir() {
            copy(project, root, &path);
        } else if !path.ends_with("history.sql") {
            let name = path
                .strip_prefix(root)
                .expect("it lies in it")
                .display()
                .to_string();
            project.write(&name, std::fs::read(&path).expect("a file"));
        }
    }
}
