//! Renders Alembic revisions as SQL: the output of Alembic's offline mode, split by revision.
//!
//! The project is a program, so the user's own Alembic runs in the user's environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::adopt::Tool;
use crate::adopt::tool_folder::{FolderReader, ToolFile, ToolFolder, under};
use crate::disk;
use crate::error::fail;
use crate::migrate::files::MigrationFile;
use crate::pg::program::{Program, ProgramOutput};
use crate::sql::split;

#[derive(Clone, Debug, Default)]
pub struct RenderedRevisions {
    /// The migrations, in Alembic's order.
    pub listed: ToolFolder,
    /// The parents of each revision.
    pub needs: BTreeMap<String, Vec<String>>,
}

impl RenderedRevisions {
    /// Returns the heads and their ancestors, in order; unknown heads are kept.
    pub fn below(&self, heads: &[String]) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let mut open: Vec<String> = heads.to_vec();
        while let Some(revision) = open.pop() {
            if !found.contains(&revision) {
                open.extend(self.needs.get(&revision).cloned().unwrap_or_default());
                found.push(revision);
            }
        }
        found
    }
}

struct RevisionSql<'a> {
    from: Vec<&'a str>,
    to: Vec<&'a str>,
    text: &'a str,
}

/// Renders all revisions, up and down.
pub async fn render(project: &Path, shown: &str) -> Result<RenderedRevisions> {
    let program = program(project);
    let up = run(&program, project, &["upgrade", "heads", "--sql"]).await?;
    if !up.status.success() {
        return Err(fail(format!(
            "Alembic cannot render its revisions as SQL: {}",
            last_line(&up.stderr)
        ))
        .hint("fix that revision for offline mode; find it with: alembic upgrade heads --sql")
        .into());
    }
    let mut down = run(&program, project, &["downgrade", "heads:base", "--sql"]).await?;
    let up = up.text();
    let mut gathering = FolderReader::new(Tool::Alembic, shown);
    let mut needs = BTreeMap::new();
    let names = names(project);
    let ups = parts(&up, "-- Running upgrade");
    if down.stdout.is_empty() {
        // A single head is named explicitly, since older versions do not support `heads`.
        if let Some(head) = ups.last().and_then(|part| part.to.first()) {
            let range = format!("{head}:base");
            down = run(&program, project, &["downgrade", &range, "--sql"]).await?;
        }
    }
    let said = down.text();
    let mut downs = parts(&said, "-- Running downgrade");
    if !down.status.success() {
        // The revision in which it stopped has no down migration, nor have those before it.
        downs.pop();
    }
    for (version, part) in (1..).zip(&ups) {
        let Some(revision) = part.to.first() else {
            continue;
        };
        let name = names.get(*revision).map_or(*revision, String::as_str);
        let (text, outside) = body(part.text);
        let script = |text: String| MigrationFile {
            shown: under(shown, &format!("revision {revision}")),
            path: PathBuf::new(),
            text: text.into(),
        };
        let mut draft = ToolFile::new(*revision, version, name, script(text));
        draft.outside.0 = outside;
        if let Some(part) = downs.iter().find(|down| down.from.contains(revision)) {
            let (text, outside) = body(part.text);
            draft.outside.1 = outside;
            draft.down = Some(script(text));
        }
        needs.insert(
            (*revision).to_owned(),
            part.from.iter().map(|below| (*below).to_owned()).collect(),
        );
        gathering.push(draft);
    }
    Ok(RenderedRevisions {
        listed: gathering.finish(),
        needs,
    })
}

/// Finds Alembic in the project's own environment, else on the search path.
fn program(project: &Path) -> PathBuf {
    [".venv/bin/alembic", "venv/bin/alembic"]
        .iter()
        .map(|place| project.join(place))
        .find(|path| path.is_file())
        .unwrap_or_else(|| PathBuf::from("alembic"))
}

async fn run(program: &Path, project: &Path, arguments: &[&str]) -> Result<ProgramOutput> {
    let tool = Program::new(program).args(arguments).directory(project);
    tool.run().await.map_err(|_| {
        fail("Alembic is not installed; it is needed to render revisions as SQL")
            .hint("activate the project's environment, or make one: python -m venv .venv && .venv/bin/pip install -r requirements.txt")
            .into()
    })
}

fn last_line(text: &str) -> &str {
    text.trim().lines().last().unwrap_or("no error message")
}

/// Splits the output of Alembic at the lines that begin a revision: `-- Running upgrade a, b -> c`.
fn parts<'a>(text: &'a str, mark: &str) -> Vec<RevisionSql<'a>> {
    let mut parts: Vec<(RevisionSql<'a>, usize)> = Vec::new();
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        if let Some((from, to)) = line
            .strip_prefix(mark)
            .and_then(|rest| rest.split_once("->"))
        {
            if let Some((part, begin)) = parts.last_mut() {
                part.text = &text[*begin..offset];
            }
            let list = |names: &'a str| {
                let names = names.split(',').map(str::trim);
                names.filter(|name| !name.is_empty()).collect()
            };
            let begin = offset + line.len();
            let part = RevisionSql {
                from: list(from),
                to: list(to),
                text: &text[begin..],
            };
            parts.push((part, begin));
        }
        offset += line.len();
    }
    parts.into_iter().map(|(part, _)| part).collect()
}

/// Returns a revision's own statements, and whether it left Alembic's transaction.
fn body(text: &str) -> (String, bool) {
    let mut kept = String::new();
    let (mut ended, mut outside) = (false, false);
    for statement in split::statements(text) {
        let words = statement
            .text
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        match words.as_str() {
            "COMMIT" => ended = true,
            "BEGIN" => outside |= ended,
            _ if is_bookkeeping(&words) => {}
            _ => {
                kept.push_str(statement.text);
                kept.push_str(";\n\n");
            }
        }
    }
    (format!("{}\n", kept.trim_end()), outside)
}

/// Returns whether a statement only maintains Alembic's own table.
fn is_bookkeeping(words: &str) -> bool {
    let heads = [
        "INSERT INTO ",
        "UPDATE ",
        "DELETE FROM ",
        "CREATE TABLE ",
        "DROP TABLE ",
    ];
    heads.iter().any(|head| {
        words.strip_prefix(head).is_some_and(|rest| {
            let table = rest.split([' ', '(', ';']).next().unwrap_or_default();
            table
                .rsplit('.')
                .next()
                .unwrap_or_default()
                .trim_matches('"')
                == "alembic_version"
        })
    })
}

/// Reads the names of the revisions from the first line of each program.
fn names(project: &Path) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    let ini = disk::read_text(&project.join("alembic.ini"), "").unwrap_or_default();
    let location = ini
        .lines()
        .filter_map(|line| line.split_once('='))
        .find(|(key, _)| key.trim() == "script_location")
        .map_or("alembic", |(_, value)| value.trim());
    let location = location.replace("%(here)s/", "").replace(':', "/");
    let versions = project.join(location).join("versions");
    for entry in std::fs::read_dir(versions).into_iter().flatten().flatten() {
        let text = disk::read_text(&entry.path(), "a revision").unwrap_or_default();
        let revision = text.lines().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            let key = key.split(':').next().unwrap_or(key).trim();
            (key == "revision").then(|| value.trim().trim_matches(['"', '\'']).to_owned())
        });
        let title = text
            .lines()
            .next()
            .map(|line| line.trim_matches(['"', '\'', ' ', '.']).to_lowercase());
        if let (Some(revision), Some(title)) = (revision, title) {
            names.insert(revision, title);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alembics_own_words_are_left_out() {
        let text = "BEGIN;\n\nCREATE TABLE alembic_version (v int);\n\n-- Running upgrade  -> a\n\nCREATE TABLE t (id int);\n\n\
                    INSERT INTO alembic_version (version_num) VALUES ('a');\n\n-- Running upgrade a, x -> b\n\nCOMMIT;\n\n\
                    CREATE INDEX CONCURRENTLY i ON t (id);\n\nBEGIN;\n\nUPDATE app.alembic_version SET version_num='b';\n\nCOMMIT;\n";
        let parts = parts(text, "-- Running upgrade");
        let said: Vec<_> = parts
            .iter()
            .map(|part| (part.from.clone(), part.to.clone(), body(part.text)))
            .collect();
        assert_eq!(
            said,
            [
                (
                    vec![],
                    vec!["a"],
                    ("CREATE TABLE t (id int);\n".to_owned(), false)
                ),
                (
                    vec!["a", "x"],
                    vec!["b"],
                    ("CREATE INDEX CONCURRENTLY i ON t (id);\n".to_owned(), true)
                ),
            ]
        );
    }

    #[test]
    fn branches_are_followed_down() {
        let mut rendered = RenderedRevisions::default();
        for (name, needs) in [
            ("a", vec![]),
            ("b", vec!["a"]),
            ("x", vec!["a"]),
            ("m", vec!["b", "x"]),
        ] {
            let needs = needs.into_iter().map(str::to_owned).collect();
            rendered.needs.insert(name.to_owned(), needs);
        }
        let mut below = rendered.below(&["b".to_owned()]);
        below.sort();
        assert_eq!(below, ["a", "b"]);
        assert_eq!(rendered.below(&["m".to_owned()]).len(), 4);
    }
}
