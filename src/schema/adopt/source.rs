//! Other tools' declarations of a schema, as SQL or migrations: a Prisma schema, an Alembic project, a folder.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::adopt::{Tool, detect, list, render};
use crate::error::fail;
use crate::migrate::files::{self, Migration};
use crate::pg::program::Program;

/// Reads the migrations of any folder: in the layout of af-db, otherwise in that of the tool that matches.
pub async fn migrations(folder: &Path, shown: &str) -> Result<Vec<Migration>> {
    let tools = detect::tools(folder);
    let Some(tool) = tools.first().copied() else {
        return files::list(folder, shown)?.whole();
    };
    let listed = match tool {
        Tool::Refinery => return files::list(folder, shown)?.whole(),
        Tool::Alembic => render::render(folder, shown).await?.listed,
        _ => list(tool, folder, shown)?,
    };
    if listed.entries.is_empty()
        && let Some(finding) = listed.findings.first()
    {
        return Err(fail(format!("{}: {}", finding.subject, finding.message)).into());
    }
    listed.folder().whole()
}

/// Returns whether a file is a Prisma schema.
pub fn is_prisma(file: &Path) -> bool {
    file.extension()
        .is_some_and(|extension| extension == "prisma")
}

/// Renders a Prisma schema as SQL with Prisma itself.
pub async fn prisma(file: &Path, shown: &str) -> Result<String> {
    let folder = std::path::absolute(file)?;
    let places = folder
        .ancestors()
        .map(|above| above.join("node_modules/.bin/prisma"));
    let program = places
        .into_iter()
        .find(|path| path.is_file())
        .unwrap_or_else(|| PathBuf::from("prisma"));
    let mut said = String::new();
    // The flag was renamed in Prisma 7.
    for flag in ["--to-schema-datamodel", "--to-schema"] {
        let arguments = ["migrate", "diff", "--from-empty", flag];
        let tool = Program::new(&program)
            .args(arguments)
            .arg(&folder)
            .arg("--script");
        let done = tool.run().await.map_err(|_| missing(shown))?;
        if done.status.success() {
            return Ok(done.text());
        }
        said = done.stderr;
    }
    let last = said.trim().lines().last().unwrap_or("no error message");
    Err(fail(format!("Prisma cannot render {shown} as SQL: {last}"))
        .hint(
            "check the output of: prisma migrate diff --from-empty --to-schema-datamodel FILE --script",
        )
        .into())
}

fn missing(shown: &str) -> crate::error::Failure {
    fail(format!(
        "Prisma is not installed; it is needed to render {shown} as SQL"
    ))
    .hint("install Prisma (npm install), or generate the SQL: prisma migrate diff --from-empty --to-schema-datamodel FILE --script > schema.sql")
}
