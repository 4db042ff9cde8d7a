//! `--format`: the findings of a command in the format of the program that collects them.

use crate::support::dev_project::DevProject;

/// A project in which only the files are wrong.
fn wrong() -> DevProject {
    DevProject::new()
        .file("migrations/V1__one.sql", "CREATE TABLE one (id int);\n")
        .file("migrations/V1__two.sql", "CREATE TABLE two (id int);\n")
}

fn told(arguments: &[&str]) -> String {
    let told = wrong().run(arguments);
    let (_, answer) = told.split_once('\n').expect("the command stands first");
    answer.to_owned()
}

/// Returns the standard output.
fn answer(told: &str) -> String {
    told.lines()
        .filter(|line| !line.starts_with("! ") && !line.starts_with("exit "))
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn findings_are_annotations() {
    let told = told(&["validate", "--offline", "--format", "github"]);
    assert!(told.starts_with("::error file=migrations/V1__"), "{told}");
    assert!(told.ends_with("exit 1\n"), "{told}");
}

#[test]
fn documents_are_complete() {
    for format in ["sarif", "gitlab"] {
        let told = told(&["--format", format, "validate", "--offline"]);
        let document = serde_json::from_str::<serde_json::Value>(&answer(&told));
        assert!(document.is_ok(), "{told}");
        assert!(told.ends_with("exit 1\n"), "{told}");
    }
    let told = told(&["validate", "--offline", "--format", "junit"]);
    assert!(answer(&told).ends_with("</testsuites>\n"), "{told}");
}

#[test]
fn a_failure_is_logged_and_annotated() {
    let project = DevProject::new().file("af-db.yaml", "nonsense: 1\n");
    let told = project.run(&["status", "--format", "github"]);
    assert!(told.contains("\n::error title=af-db::"), "{told}");
    assert!(told.contains("\n! error: "), "{told}");
    let told = project.run(&["status", "--format", "junit"]);
    assert!(!told.contains('<'), "{told}");
    assert!(told.contains("\n! error: "), "{told}");
}

#[test]
fn two_formats_are_refused_in_any_position() {
    for arguments in [
        ["status", "--json", "--format", "sarif"],
        ["--json", "status", "--format", "sarif"],
        ["--format", "sarif", "status", "--json"],
    ] {
        let told = told(&arguments);
        assert!(
            told.contains("'--json' cannot be used with '--format"),
            "{told}"
        );
        assert!(told.ends_with("exit 2\n"), "{told}");
    }
}
