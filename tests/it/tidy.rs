//! Guards of the house: the line of modules, the sizes of files, what only one file may name.
//!
//! Each guard is a function of text, so that it is shown to refuse what it should.

use std::path::{Path, PathBuf};

/// The line: a module may use what stands to its left.
const LINE: &[&str] = &[
    "finding", "error", "event", "visible", "disk", "yaml", "http", "sql", "pg", "plan", "catalog",
    "diff", "migrate", "lint", "shadow", "adopt", "copy", "manifest", "rls", "backup", "drill",
    "fleet", "config", "commands", "cli",
];

/// The longest a file may be, its tests not counted.
const LONGEST: usize = 800;

/// What only one file, or the files of one folder, may name.
const OWNERS: &[(&str, &str)] = &[
    ("refinery_core", "src/schema/migrate/refinery.rs"),
    ("serde_saphyr", "src/base/yaml.rs"),
    ("tokio_postgres::Client", "src/base/pg/"),
    ("indicatif", "src/commands/terminal.rs"),
    ("std::io::stdout().lock", "src/commands/output.rs"),
    ("clap::", "src/cl"),
];

pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn sources(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    found.sort_by(|left, right| left.path.cmp(&right.path));
    assert!(!found.is_empty(), "there are sources in {folder}");
    found
}

fn walk(folder: &Path, found: &mut Vec<Source>) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source is text");
            let path = path
                .strip_prefix(root())
                .expect("it lies in the repository");
            found.push(Source {
                path: path.to_string_lossy().replace('\\', "/"),
                text,
            });
        }
    }
}

/// Gives the source without its unit tests.
pub(crate) fn without_tests(text: &str) -> &str {
    let starts = [
        "\n#[cfg(test)]\nmod tests",
        "\n#[cfg(test)]\npub(crate) mod tests",
    ];
    let at = starts.iter().filter_map(|start| text.find(start)).min();
    at.map_or(text, |at| &text[..at])
}

fn module(path: &str) -> &str {
    let path = path.strip_prefix("src/").unwrap_or(path);
    // Crates that hold several modules of the line.
    let path = ["base/", "schema/"]
        .iter()
        .find_map(|crate_folder| path.strip_prefix(crate_folder))
        .unwrap_or(path);
    path.split(['/', '.']).next().unwrap_or(path)
}

/// Finds imports that point right, and modules that stand on no line.
fn against_the_line(source: &Source) -> Vec<String> {
    let own = module(&source.path);
    if own == "lib" || own == "main" {
        return Vec::new();
    }
    let place = |name: &str| LINE.iter().position(|module| *module == name);
    let Some(mine) = place(own) else {
        return vec![format!(
            "{}: `{own}` stands nowhere on the line",
            source.path
        )];
    };
    let mut wrong = Vec::new();
    for (number, line) in without_tests(&source.text).lines().enumerate() {
        if line.trim_start().starts_with("//") {
            continue;
        }
        for used in line.split("crate::").skip(1) {
            let used: String = used
                .chars()
                .take_while(|character| character.is_alphanumeric() || *character == '_')
                .collect();
            if place(&used).is_some_and(|theirs| theirs > mine) {
                wrong.push(format!(
                    "{}:{}: `{own}` may not use `{used}`",
                    source.path,
                    number + 1
                ));
            }
        }
    }
    wrong
}

/// Finds commands that import each other; what they share lies beside them.
fn between_commands(source: &Source, commands: &[String]) -> Vec<String> {
    let Some(rest) = source.path.strip_prefix("src/commands/") else {
        return Vec::new();
    };
    let own = rest.split(['/', '.']).next().unwrap_or(rest);
    if !commands.iter().any(|command| command == own) {
        return Vec::new();
    }
    let text = without_tests(&source.text);
    let others = commands.iter().filter(|command| *command != own);
    others
        .filter(|command| text.contains(&format!("crate::commands::{command}::")))
        .map(|command| {
            format!(
                "{}: the command `{own}` may not use the command `{command}`",
                source.path
            )
        })
        .collect()
}

fn too_long(source: &Source) -> Option<String> {
    let lines = without_tests(&source.text).lines().count();
    (lines > LONGEST).then(|| format!("{}: {lines} lines are more than {LONGEST}", source.path))
}

fn named_elsewhere(source: &Source) -> Vec<String> {
    let text = without_tests(&source.text);
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let code: Vec<&str> = code.collect();
    OWNERS
        .iter()
        .filter(|(_, owner)| !source.path.starts_with(owner))
        // The command line and the commands both speak clap.
        .filter(|(name, _)| !(*name == "clap::" && source.path.starts_with("src/commands/")))
        .filter(|(name, _)| code.iter().any(|line| line.contains(name)))
        .map(|(name, owner)| format!("{}: only {owner} may name `{name}`", source.path))
        .collect()
}

fn no_module_header(source: &Source) -> Option<String> {
    (!source.text.starts_with("//!")).then(|| {
        format!(
            "{}: the file does not say what it owns (`//!`)",
            source.path
        )
    })
}

/// The commands, by the file or folder of each.
fn commands() -> Vec<String> {
    let cli = std::fs::read_to_string(root().join("src/cli.rs")).expect("src/cli.rs is there");
    let named = cli
        .split("(commands::")
        .skip(1)
        .filter_map(|rest| rest.split("::Args").next());
    named.map(str::to_owned).collect()
}

pub(crate) fn none(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn modules_use_only_what_stands_to_their_left() {
    none(sources("src").iter().flat_map(against_the_line).collect());
}

#[test]
fn commands_do_not_use_each_other() {
    let commands = commands();
    assert!(commands.len() > 5, "the commands are found in src/cli.rs");
    none(
        sources("src")
            .iter()
            .flat_map(|source| between_commands(source, &commands))
            .collect(),
    );
}

#[test]
fn files_are_short() {
    none(
        sources("src")
            .iter()
            .chain(&sources("tests"))
            .filter_map(too_long)
            .collect(),
    );
}

#[test]
fn what_one_file_owns_no_other_names() {
    none(sources("src").iter().flat_map(named_elsewhere).collect());
}

#[test]
fn every_file_says_what_it_owns() {
    none(sources("src").iter().filter_map(no_module_header).collect());
}

#[test]
fn every_test_file_is_run() {
    let main = std::fs::read_to_string(root().join("tests/it/main.rs"))
        .expect("tests/it/main.rs is there");
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(root().join("tests/it")).expect("tests/it can be read") {
        let name = entry
            .expect("tests/it can be read")
            .file_name()
            .to_string_lossy()
            .into_owned();
        if name.starts_with('.') {
            // What a test run or an editor keeps beside the files.
            continue;
        }
        let name = name.strip_suffix(".rs").unwrap_or(&name).to_owned();
        if name != "main" && !main.contains(&format!("mod {name};")) {
            wrong.push(format!(
                "tests/it/{name} is not declared in tests/it/main.rs"
            ));
        }
    }
    none(wrong);
}

#[test]
fn every_lint_rule_has_its_cases() {
    let rules = root().join("src/schema/lint/rules");
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(&rules).into_iter().flatten() {
        let name = entry
            .expect("the rules can be read")
            .file_name()
            .to_string_lossy()
            .into_owned();
        if name == "mod.rs" {
            continue;
        }
        let text = std::fs::read_to_string(rules.join(&name)).expect("a source is text");
        let code = text
            .split_once("code: \"")
            .and_then(|(_, rest)| rest.split_once('"'))
            .map(|(code, _)| code.to_lowercase())
            .expect("a rule has a code");
        for case in ["bad.sql", "good.sql"] {
            let path = root().join("tests/cases/lint").join(&code).join(case);
            if !path.is_file() {
                wrong.push(format!("rule {code} has no tests/cases/lint/{code}/{case}"));
            }
        }
    }
    none(wrong);
}

#[test]
fn the_repository_names_no_registry() {
    // Written apart, so that this file does not name them either.
    let hosts = [
        ["registry", "npmjs", "org"].join("."),
        ["pypi", "org"].join("."),
        ["crates", "io"].join(".") + "/",
    ];
    let mut wrong = Vec::new();
    for source in sources("src").iter().chain(&sources("tests")) {
        for host in &hosts {
            if source.text.contains(host.as_str()) {
                wrong.push(format!("{}: names the registry {host}", source.path));
            }
        }
    }
    none(wrong);
}

/// The guards refuse what they should.
mod guards {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn an_import_that_points_right_is_found() {
        let wrong = against_the_line(&source(
            "src/base/sql/name.rs",
            "use crate::pg::session;\nuse crate::error::fail;\n",
        ));
        assert_eq!(wrong, ["src/base/sql/name.rs:1: `sql` may not use `pg`"]);
        assert_eq!(
            against_the_line(&source("src/odd.rs", "")),
            ["src/odd.rs: `odd` stands nowhere on the line"]
        );
        let tests = "fn a() {}\n\n#[cfg(test)]\nmod tests {\n    use crate::cli;\n}\n";
        assert!(against_the_line(&source("src/base/sql/name.rs", tests)).is_empty());
    }

    #[test]
    fn a_command_that_uses_another_is_found() {
        let commands = ["up".to_owned(), "down".to_owned()];
        let text = "use crate::commands::up::Args;\nuse crate::commands::page::Page;\n";
        assert_eq!(
            between_commands(&source("src/commands/down.rs", text), &commands).len(),
            1
        );
        assert!(between_commands(&source("src/commands/up.rs", text), &commands).is_empty());
    }

    #[test]
    fn a_long_file_is_found() {
        let long = "x\n".repeat(LONGEST + 1);
        assert!(too_long(&source("src/a.rs", &long)).is_some());
        let tests = format!("x\n{}{}", "\n#[cfg(test)]\nmod tests {\n", long);
        assert!(too_long(&source("src/a.rs", &tests)).is_none());
    }

    #[test]
    fn what_another_file_owns_is_found() {
        assert_eq!(
            named_elsewhere(&source(
                "src/schema/plan/mod.rs",
                "use refinery_core::Runner;\n"
            ))
            .len(),
            1
        );
        assert!(
            named_elsewhere(&source(
                "src/schema/plan/mod.rs",
                "// refinery_core does it\n"
            ))
            .is_empty()
        );
        assert!(
            named_elsewhere(&source(
                "src/schema/migrate/refinery.rs",
                "use refinery_core::Runner;\n"
            ))
            .is_empty()
        );
    }

    #[test]
    fn a_file_without_a_header_is_found() {
        assert!(no_module_header(&source("src/a.rs", "fn a() {}")).is_some());
        assert!(no_module_header(&source("src/a.rs", "//! Owns a.\n")).is_none());
    }
}
