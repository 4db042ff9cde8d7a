//! Names and values that somebody chose to command a terminal or a CI runner.

use crate::support::project::{CommandOutput, Project};
use crate::support::server;

/// Moves the cursor, paints, hides, turns the text around and speaks to GitHub; only what a name and a file can hold.
const EVIL: &str = "x\x1b[1A\r\n::stop-commands::t\n##[group]m\u{9b}J\u{202e}\u{200b}\x7f\nforged";

fn name(of: &str) -> String {
    format!("\"{of}{EVIL}\"")
}

/// Says whether a command writes Markdown, which holds texts of several lines between fences.
fn is_markdown(what: &str) -> bool {
    what.ends_with("markdown")
}

/// Returns a text as YAML has it, in which what is obeyed must be escaped.
fn yaml(text: &str) -> String {
    af_db::visible::json(&serde_json::json!(text).to_string()).into_owned()
}

/// Returns a migration whose objects are all named so.
fn migration() -> String {
    let [
        schema,
        table,
        column,
        index,
        check,
        policy,
        function,
        trigger,
        view,
        kind,
        sequence,
        key,
    ] = ["s", "t", "c", "i", "k", "p", "f", "g", "v", "e", "q", "fk"].map(name);
    format!(
        "CREATE SCHEMA {schema};
CREATE TYPE {schema}.{kind} AS ENUM ('a{EVIL}');
CREATE SEQUENCE {schema}.{sequence};
CREATE TABLE {schema}.{table} (id bigint PRIMARY KEY, {column} text DEFAULT 'd{EVIL}', up bigint CONSTRAINT {key} REFERENCES {schema}.{table}, CONSTRAINT {check} CHECK ({column} <> 'z{EVIL}'));
CREATE INDEX {index} ON {schema}.{table} ({column});
CREATE VIEW {schema}.{view} AS SELECT {column} FROM {schema}.{table};
CREATE FUNCTION {schema}.{function}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN /* {EVIL} */ RETURN NEW; END $$;
CREATE TRIGGER {trigger} BEFORE INSERT ON {schema}.{table} FOR EACH ROW EXECUTE FUNCTION {schema}.{function}();
ALTER TABLE {schema}.{table} ENABLE ROW LEVEL SECURITY;
CREATE POLICY {policy} ON {schema}.{table} USING ({column} = 'y{EVIL}');
COMMENT ON TABLE {schema}.{table} IS 'm{EVIL}';
DO $$ BEGIN RAISE NOTICE 'n{EVIL}'; RAISE WARNING 'w{EVIL}'; END $$;
"
    )
}

/// Insists that a stream holds nothing that is obeyed but what its format is for.
fn harmless(what: &str, stream: &str, is_github: bool) {
    let obeyed = |character: char| {
        let hidden = matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        hidden || character.is_control() && !matches!(character, '\n' | '\t')
    };
    if let Some(found) = stream.chars().find(|character| obeyed(*character)) {
        panic!("{what}: {found:?} in\n{}", stream.escape_debug());
    }
    for line in stream.lines() {
        let command = line.trim_start().starts_with("::");
        let ours = ["::error ", "::warning ", "::notice "];
        let allowed = is_github && ours.iter().any(|head| line.starts_with(head));
        assert!(!command || allowed, "{what}: {line}");
        assert!(!line.contains("##[") || allowed, "{what}: {line}");
        assert!(
            !line.starts_with("forged") || is_markdown(what),
            "{what}: {line}"
        );
    }
}

fn check(arguments: &[&str], ran: &CommandOutput) {
    let what = arguments.join(" ");
    harmless(&what, &ran.stdout, arguments.contains(&"github"));
    harmless(&what, &ran.stderr, false);
    assert!((0..=4).contains(&ran.status), "{what}: {}", ran.seen());
}

#[test]
fn the_check_finds_what_is_obeyed() {
    for text in [
        "a\x1bb",
        "a\rb",
        "\u{9b}",
        "\u{202e}",
        " ::debug::x",
        "x ##[y]",
        "forged",
    ] {
        let found = std::panic::catch_unwind(|| harmless("a check", text, false));
        assert!(found.is_err(), "{text:?} passes");
    }
    harmless("a check", "a ok\n\tb ::x", false);
    harmless("a check", "::error title=x::y", true);
}

#[tokio::test]
async fn no_command_writes_what_a_terminal_or_a_runner_obeys() {
    let server = server::own(None).await;
    let database = server.database().await;
    let project = Project::of(&database.target);
    project.write("migrations/V1__evil.sql", migration());
    project.write(
        "migrations/V1__evil.down.sql",
        format!("DROP SCHEMA {} CASCADE;\n", name("s")),
    );
    project.write(
        "af-db.yaml",
        format!("schemas: [public, {}]\n", yaml(&format!("s{EVIL}"))),
    );
    let commands: &[&[&str]] = &[
        &["plan"],
        &["preflight"],
        &["up", "-v"],
        &["status"],
        &["validate", "-v"],
        &["history"],
        &["diagram"],
        &["diff", "migrations", "live"],
        &["diff-rls"],
        &["manifest", "write"],
        &["diff", "manifest", "live"],
        &["validate"],
        &["doctor"],
        &["backup"],
        &["backup", "list"],
        &["restore", "--drill"],
        &["down", "-v", "--yes"],
        &["diff", "migrations", "live"],
    ];
    for arguments in commands {
        let ran = project.run(arguments).await;
        check(arguments, &ran);
        // No policies are declared, which is said.
        let works = ran.status < 2 || arguments[0] == "diff-rls";
        assert!(works, "{arguments:?}: {}", ran.seen());
        let looks = !matches!(
            arguments[0],
            "up" | "down" | "backup" | "restore" | "manifest"
        );
        for format in ["github", "markdown", "json"] {
            if looks {
                let arguments = [*arguments, &["--format", format]].concat();
                check(&arguments, &project.run(&arguments).await);
            }
        }
    }
    let broken = format!("SELECT * FROM {}; -- {EVIL}\n", name("nowhere"));
    project.write("migrations/V2__broken.sql", broken);
    for arguments in [
        &["up"][..],
        &["up", "--log-format", "json"],
        &["up", "--format", "github"],
        &["up", "--json"],
        &["plan"],
        &["validate"],
        &["history"],
    ] {
        check(arguments, &project.run(arguments).await);
    }
}

#[tokio::test]
async fn no_file_or_argument_writes_what_a_terminal_or_a_runner_obeys() {
    let project = Project::without_database();
    let typed = EVIL.replace('\0', "");
    for arguments in [
        &["up", "--env", &typed][..],
        &["up", "--config", &typed],
        &["up", "--database-url", &typed],
        &["up", "--plan", &typed],
        &["new", &typed],
        &[&typed],
        &["up", &typed],
        &["up", "--format", &typed],
        &["restore", &typed],
        &["diff", &typed, "live"],
    ] {
        check(arguments, &project.run(arguments).await);
    }
    for text in [
        format!("{}: 1\n", yaml(EVIL)),
        format!("environments:\n  {}:\n    x: 1\n", yaml(EVIL)),
        format!("schemas: {}\n", yaml(EVIL)),
        format!("# {EVIL}\nmigrations: [\n"),
    ] {
        project.write("af-db.yaml", &text);
        for arguments in [
            &["status"][..],
            &["status", "--json"],
            &["status", "--format", "github"],
        ] {
            check(arguments, &project.run(arguments).await);
        }
    }
    std::fs::remove_file(project.folder.path().join("af-db.yaml")).expect("a file");
    let label = EVIL.replace(['/', '\0'], "_");
    project.write(&format!("migrations/V1__{label}.sql"), "SELECT 1;\n");
    project.write(&format!("migrations/{label}.sql"), "SELECT 1;\n");
    check(&["validate"], &project.run(&["validate"]).await);
}
