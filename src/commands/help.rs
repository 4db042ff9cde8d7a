//! What the help adds to the flags: commands in groups, examples for each, and tips for the words of other tools.

use clap::Command;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue};

/// The commands as the first page lists them.
const GROUPS: [(&str, &[&str]); 5] = [
    (
        "Migrations",
        &[
            "new",
            "plan",
            "preflight",
            "up",
            "down",
            "status",
            "history",
            "repair",
        ],
    ),
    (
        "Schema",
        &["validate", "diff", "manifest", "diagram", "explain"],
    ),
    ("Row-level security", &["diff-rls"]),
    ("Backups", &["backup", "restore"]),
    (
        "Project",
        &[
            "init",
            "adopt",
            "copy",
            "dev",
            "doctor",
            "completions",
            "man",
        ],
    ),
];

/// Commands to copy, each with what it does.
const EXAMPLES: [(&str, &[(&str, &str)]); 19] = [
    ("init", &[("af-db init", "create a project in this folder")]),
    (
        "up",
        &[
            ("af-db up", "apply all pending migrations"),
            (
                "af-db up --to 12 --lock-budget 5min",
                "stop after version 12",
            ),
            (
                "af-db up --plan plan.json --approve sha256:1f0c",
                "apply an approved plan",
            ),
        ],
    ),
    (
        "plan",
        &[
            (
                "af-db plan",
                "preview pending migrations, their locks and data loss",
            ),
            (
                "af-db plan --env production --out plan.json",
                "save a plan for approval",
            ),
            (
                "af-db plan --format markdown",
                "write a comment for a pull request",
            ),
        ],
    ),
    (
        "preflight",
        &[
            (
                "af-db preflight --env production",
                "check the server before a migration",
            ),
            (
                "af-db preflight --plan plan.json",
                "check only what the plan touches",
            ),
        ],
    ),
    (
        "down",
        &[
            ("af-db down", "revert the newest migration"),
            (
                "af-db down --to 3",
                "revert everything newer than version 3",
            ),
        ],
    ),
    (
        "status",
        &[
            ("af-db status", "list applied and pending migrations"),
            (
                "af-db status --check --env staging",
                "exit 1 if anything is pending or wrong",
            ),
        ],
    ),
    (
        "validate",
        &[
            (
                "af-db validate --offline",
                "check files and lint rules, without a server",
            ),
            (
                "af-db validate --shadow",
                "replay all migrations on a shadow database",
            ),
            (
                "af-db validate --live --env production",
                "check a database for drift",
            ),
        ],
    ),
    (
        "backup",
        &[
            (
                "af-db backup",
                "back up to ./backups and verify the archive",
            ),
            (
                "af-db backup --to s3://bucket/app --env production",
                "back up to an object store",
            ),
            ("af-db backup list", "list archives"),
        ],
    ),
    (
        "restore",
        &[
            (
                "af-db restore --into app_copy",
                "restore the newest archive into a new database",
            ),
            (
                "af-db restore --drill",
                "test that the newest archive can be restored",
            ),
            (
                "af-db restore app-20260401T120000Z --swap",
                "replace the database with an archive",
            ),
        ],
    ),
    (
        "diff-rls",
        &[
            ("af-db diff-rls", "compare policies/ with the database"),
            ("af-db diff-rls --apply", "apply the declared policies"),
            (
                "af-db diff-rls --prove --shadow",
                "test tenant isolation on a shadow database",
            ),
        ],
    ),
    (
        "new",
        &[
            (
                "af-db new add_invoices",
                "create the next pair of migration files",
            ),
            (
                "af-db new add_invoices --from-manifest",
                "fill them from schemas/",
            ),
        ],
    ),
    (
        "manifest",
        &[("af-db manifest write", "write schemas/ from the migrations")],
    ),
    (
        "diagram",
        &[("af-db diagram", "draw the schema as a Mermaid diagram")],
    ),
    (
        "adopt",
        &[
            ("af-db adopt", "adopt the migrations found here, in place"),
            (
                "af-db adopt --from flyway --convert",
                "convert them to af-db's layout",
            ),
        ],
    ),
    (
        "history",
        &[
            ("af-db history", "list past runs"),
            (
                "af-db history --verify",
                "check that the journal is complete and unchanged",
            ),
        ],
    ),
    (
        "repair",
        &[
            (
                "af-db repair --checksum 4",
                "accept the file of version 4 as it is now",
            ),
            (
                "af-db repair --mark-applied 5",
                "record version 5 without running it",
            ),
        ],
    ),
    (
        "doctor",
        &[("af-db doctor", "check the local environment and the server")],
    ),
    (
        "diff",
        &[
            (
                "af-db diff live manifest",
                "print the SQL from the database to schemas/",
            ),
            ("af-db diff migrations live", "show drift as SQL"),
        ],
    ),
    (
        "explain",
        &[
            ("af-db explain D01", "explain a lint rule"),
            ("af-db explain 75", "explain an exit status"),
        ],
    ),
];

/// Words that other tools use, and what does the same here.
const TIPS: [(&str, &str); 15] = [
    ("migrate", "af-db up"),
    ("apply", "af-db up"),
    ("upgrade", "af-db up"),
    ("deploy", "af-db up"),
    ("rollback", "af-db down"),
    ("downgrade", "af-db down"),
    ("revert", "af-db down"),
    ("undo", "af-db down"),
    ("current", "af-db status"),
    ("info", "af-db status"),
    ("generate", "af-db new NAME"),
    ("create", "af-db new NAME"),
    ("revision", "af-db new NAME"),
    ("lint", "af-db validate --offline"),
    ("--dry-run", "af-db plan"),
];

/// Adds groups and examples to the commands.
pub fn complete(mut root: Command) -> Command {
    let template = format!(
        "{{about-with-newline}}\nUsage: {{usage}}\n\n{}Global options:\n{{options}}{{after-help}}",
        groups(&root)
    );
    root = root.help_template(template);
    for (name, examples) in EXAMPLES {
        if root.find_subcommand(name).is_some() {
            root = root.mut_subcommand(name, |command| command.after_long_help(listed(examples)));
        }
    }
    root
}

fn groups(root: &Command) -> String {
    let mut text = String::new();
    for (heading, names) in GROUPS {
        text.push_str(&format!("{heading}:\n"));
        for command in names.iter().filter_map(|name| root.find_subcommand(name)) {
            let about = command.get_about().map(StyledStr::to_string);
            let about = about.unwrap_or_default();
            text.push_str(&format!("  {:<12} {about}\n", command.get_name()));
        }
        text.push('\n');
    }
    text
}

fn listed(examples: &[(&str, &str)]) -> String {
    let width = examples.iter().map(|(run, _)| run.len()).max().unwrap_or(0);
    let mut text = "Examples:".to_owned();
    for (run, does) in examples {
        text.push_str(&format!("\n  {run:<width$}  # {does}"));
    }
    text
}

/// Adds a tip to an error about a word that another tool uses.
pub fn with_tip(mut error: clap::Error) -> clap::Error {
    let given = [ContextKind::InvalidSubcommand, ContextKind::InvalidArg]
        .into_iter()
        .find_map(|kind| match error.get(kind) {
            Some(ContextValue::String(text)) => Some(text.clone()),
            _ => None,
        });
    let tip = given.and_then(|given| TIPS.iter().find(|(word, _)| *word == given));
    if let Some((_, instead)) = tip {
        for similar in [
            ContextKind::SuggestedSubcommand,
            ContextKind::SuggestedArg,
            ContextKind::SuggestedValue,
        ] {
            error.remove(similar);
        }
        let tip = StyledStr::from(format!("use `{instead}`"));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
    error
}

/// Checks that the groups name every command once and that the examples can be parsed.
#[cfg(test)]
pub(crate) fn check(root: &Command) {
    let mut grouped: Vec<&str> = GROUPS
        .iter()
        .flat_map(|(_, names)| *names)
        .copied()
        .collect();
    grouped.sort_unstable();
    let mut commands: Vec<&str> = root.get_subcommands().map(Command::get_name).collect();
    commands.retain(|name| *name != "help");
    commands.sort_unstable();
    assert_eq!(grouped, commands);
    for (name, examples) in EXAMPLES {
        for (run, _) in examples {
            let words = run.split_whitespace();
            let parsed = root.clone().try_get_matches_from(words);
            let parsed = parsed.unwrap_or_else(|error| panic!("{run}: {error}"));
            assert_eq!(parsed.subcommand_name(), Some(name), "{run}");
        }
    }
    for name in commands {
        let has_examples = EXAMPLES.iter().any(|(with, _)| *with == name);
        let generated = ["completions", "man", "dev", "copy"].contains(&name);
        assert!(has_examples || generated, "{name} has no example");
    }
}
