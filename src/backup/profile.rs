//! Chooses which entries of an archive are restored: all of them, a Supabase project without its platform, or the user's own
//! schemas alone.
//!
//! Entries of the table of contents are restored whole or not at all; no statement is reassembled. Platform objects are
//! identified by schema and owner, and existing ones by the target platform.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::is_platform;
use crate::error::{Failure, fail};
use crate::toc::{Entry, Toc};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Everything, the platform's schemas as any others.
    #[default]
    Plain,
    /// The user's own schemas, what the user added to the platform's, and the platform's rows.
    SupabaseProject,
    /// The user's own schemas.
    AppSchemas,
}

impl Profile {
    pub const NAMES: [&'static str; 3] = ["plain", "supabase-project", "app-schemas"];

    pub fn parse(name: &str) -> Result<Self, Failure> {
        match name {
            "plain" => Ok(Profile::Plain),
            "supabase-project" => Ok(Profile::SupabaseProject),
            "app-schemas" => Ok(Profile::AppSchemas),
            other => Err(fail(format!("unknown profile `{other}`"))
                .hint("the profiles are plain, supabase-project and app-schemas")),
        }
    }
}

/// What the entries of an archive find at the target.
#[derive(Clone, Copy)]
pub struct ProfileContext<'a> {
    /// The existing platform; absent for a new database.
    pub platform: Option<&'a Toc>,
    /// The extensions the server has.
    pub extensions: &'a BTreeSet<String>,
}

/// What was chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The numbers of the entries that are loaded.
    pub chosen: BTreeSet<i64>,
    /// What is not restored although a user may expect it, and why.
    pub left_out: Vec<LeftOut>,
}

/// Something that stays in the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The number of its entry.
    pub id: i64,
    /// What it is, such as `policy own_rows of public.notes`.
    pub what: String,
    /// Why it is not loaded.
    pub why: String,
    /// Whether rows would be lost with it.
    pub loses_rows: bool,
}

/// Schemas of the platform whose rows are the project's.
const WITH_ROWS: [&str; 7] = [
    "auth",
    "cron",
    "net",
    "pgmq",
    "storage",
    "supabase_functions",
    "supabase_migrations",
];

/// Tables in which the platform records its own versions.
const VERSION_TABLES: [(&str, &str); 3] = [
    ("auth", "schema_migrations"),
    ("storage", "migrations"),
    ("supabase_functions", "migrations"),
];

/// What becomes of an entry.
enum Fate {
    Selected,
    /// Exists at the target or is not needed; dependents can be restored.
    Present,
    /// Not available; dependents cannot be restored either.
    Missing,
    /// Missing, and reported.
    Reported(&'static str),
    /// Rows without a target table.
    NoTarget(&'static str),
}

pub fn select(profile: Profile, archive: &Toc, context: ProfileContext<'_>) -> Selection {
    let there: BTreeSet<_> = context
        .platform
        .into_iter()
        .flat_map(|toc| toc.entries.iter().map(key))
        .collect();
    let mut selection = Selection::default();
    let mut missing: BTreeMap<i64, String> = BTreeMap::new();
    for entry in &archive.entries {
        match fate(profile, entry, context, &there) {
            Fate::Selected => {
                selection.chosen.insert(entry.id);
            }
            Fate::Present => {}
            Fate::Missing => {
                missing.insert(entry.id, shown(entry));
            }
            Fate::Reported(why) => {
                missing.insert(entry.id, shown(entry));
                selection
                    .left_out
                    .push(left_out(entry, why.to_owned(), false));
            }
            Fate::NoTarget(why) => {
                missing.insert(entry.id, shown(entry));
                selection
                    .left_out
                    .push(left_out(entry, why.to_owned(), true));
            }
        }
    }
    drop_needy(archive, &mut selection, missing);
    selection
}

/// Removes entries whose dependencies are missing, repeatedly until none is left.
fn drop_needy(archive: &Toc, selection: &mut Selection, mut missing: BTreeMap<i64, String>) {
    loop {
        let before = missing.len();
        for entry in &archive.entries {
            let needed = entry.needs.iter().find_map(|id| missing.get(id)).cloned();
            let Some(needed) = needed else { continue };
            if !selection.chosen.remove(&entry.id) {
                continue;
            }
            missing.insert(entry.id, shown(entry));
            // Comments and privileges of an omitted object are omitted silently.
            if !matches!(entry.kind.as_str(), "ACL" | "COMMENT" | "SECURITY LABEL") {
                let loses_rows = entry.has_data || entry.kind == "TABLE";
                let why = format!("requires {needed}");
                selection.left_out.push(left_out(entry, why, loses_rows));
            }
        }
        if missing.len() == before {
            return;
        }
    }
}

fn left_out(entry: &Entry, why: String, loses_rows: bool) -> LeftOut {
    LeftOut {
        id: entry.id,
        what: shown(entry),
        why,
        loses_rows,
    }
}

fn fate(
    profile: Profile,
    entry: &Entry,
    context: ProfileContext<'_>,
    there: &BTreeSet<(&str, &str, &str)>,
) -> Fate {
    let kind = entry.kind.as_str();
    let is_there = there.contains(&key(entry));
    if kind == "EXTENSION" && !is_there && !context.extensions.contains(&entry.tag) {
        return Fate::Reported("the extension is not available on the server");
    }
    if profile == Profile::Plain {
        return Fate::Selected;
    }
    if context.platform.is_some() && about_extension(entry) {
        return if is_there {
            Fate::Present
        } else {
            Fate::Selected
        };
    }
    let home = home(entry);
    let of_platform = is_platforms(&entry.owner);
    if home == "extensions" || home.is_empty() || !is_platform(home) {
        return own(entry, of_platform, home, is_there, context);
    }
    let is_whole = profile == Profile::SupabaseProject;
    match kind {
        "TRIGGER" | "POLICY" if is_there => Fate::Present,
        "TRIGGER" | "POLICY" if is_whole => Fate::Selected,
        // The platform's own triggers run the platform's own functions.
        "TRIGGER" | "POLICY" if runs_own(entry) => Fate::Reported(
            "belongs to a platform table; use --profile supabase-project to include it",
        ),
        "TRIGGER" | "POLICY" => Fate::Missing,
        "TABLE DATA" | "SEQUENCE SET" if is_whole => rows(entry, home, there, of_platform),
        _ if is_there => Fate::Present,
        _ if is_whole && !of_platform && kind != "SCHEMA" && !kind.contains("ACL") => {
            Fate::Selected
        }
        _ => Fate::Missing,
    }
}

/// What lies in the user's schemas or in none.
fn own(
    entry: &Entry,
    of_platform: bool,
    home: &str,
    is_there: bool,
    context: ProfileContext<'_>,
) -> Fate {
    let kind = entry.kind.as_str();
    // Only the platform's own roles may give what is theirs by default, or watch the whole database.
    let is_global = home.is_empty() || home == "extensions" || kind == "DEFAULT ACL";
    if of_platform && is_global {
        return Fate::Missing;
    }
    if context.platform.is_none() {
        return Fate::Selected;
    }
    match kind {
        "SCHEMA" if entry.tag == "public" => Fate::Present,
        // Scripts load them in transactions of their own.
        "BLOB" | "BLOBS" | "BLOB METADATA" => {
            Fate::NoTarget("large objects cannot be loaded in the single transaction")
        }
        // Granting once more takes nothing away.
        "ACL" | "DEFAULT ACL" => Fate::Selected,
        _ if is_there => Fate::Present,
        _ => Fate::Selected,
    }
}

/// Rows in a schema of the platform.
fn rows(
    entry: &Entry,
    home: &str,
    there: &BTreeSet<(&str, &str, &str)>,
    of_platform: bool,
) -> Fate {
    if !WITH_ROWS.contains(&home) || VERSION_TABLES.contains(&(home, entry.tag.as_str())) {
        return if home == "vault" {
            Fate::Reported("secrets are encrypted with a key that no dump contains")
        } else {
            Fate::Missing
        };
    }
    let relation = match entry.kind.as_str() {
        "SEQUENCE SET" => "SEQUENCE",
        _ => "TABLE",
    };
    if of_platform && !there.contains(&(relation, home, entry.tag.as_str())) {
        return Fate::NoTarget("the target platform does not have the table");
    }
    Fate::Selected
}

/// Returns whether the text of a policy or trigger indicates that the user added it.
fn runs_own(entry: &Entry) -> bool {
    let called = entry
        .definition
        .rsplit_once("EXECUTE FUNCTION ")
        .and_then(|(_, called)| called.split_once('.'));
    match called {
        Some((schema, _)) => !is_platform(schema.trim_matches('"')),
        None => entry.kind == "POLICY",
    }
}

fn about_extension(entry: &Entry) -> bool {
    entry.kind == "EXTENSION" || (entry.kind == "COMMENT" && entry.tag.starts_with("EXTENSION "))
}

/// Returns the schema of an entry or its subject; empty if none.
fn home(entry: &Entry) -> &str {
    if !entry.schema.is_empty() {
        return &entry.schema;
    }
    match entry.kind.as_str() {
        "SCHEMA" => &entry.tag,
        "ACL" | "COMMENT" | "SECURITY LABEL" => {
            entry.tag.strip_prefix("SCHEMA ").unwrap_or_default()
        }
        _ => "",
    }
}

pub fn is_platforms(role: &str) -> bool {
    role.starts_with("supabase_") || matches!(role, "dashboard_user" | "pgbouncer")
}

/// Returns whether an entry is a user object in a user schema; a new project has none.
pub fn is_users(entry: &Entry) -> bool {
    let said_of = [
        "ACL",
        "COMMENT",
        "DEFAULT ACL",
        "PUBLICATION TABLE",
        "SCHEMA",
        "SECURITY LABEL",
    ];
    let home = home(entry);
    !home.is_empty()
        && home != "extensions"
        && !is_platform(home)
        && !said_of.contains(&entry.kind.as_str())
}

/// What names the same object in two archives.
pub fn key(entry: &Entry) -> (&str, &str, &str) {
    (&entry.kind, &entry.schema, &entry.tag)
}

fn shown(entry: &Entry) -> String {
    let kind = match entry.kind.as_str() {
        "TABLE DATA" => "the rows of",
        "SEQUENCE SET" => "the position of",
        kind => &kind.to_lowercase(),
    };
    // A policy or trigger is labelled `table name`.
    match (entry.kind.as_str(), entry.tag.split_once(' ')) {
        ("POLICY" | "TRIGGER" | "FK CONSTRAINT" | "CONSTRAINT" | "RULE", Some((table, name))) => {
            format!("{kind} {name} of {}.{table}", entry.schema)
        }
        _ => format!("{kind} {}", entry.name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads entries, one a line: `id|kind|schema|tag|owner|what it needs`.
    fn toc(entries: &str) -> Toc {
        let entry = |line: &str| {
            let parts: Vec<&str> = line.trim().split('|').collect();
            let [id, kind, schema, tag, owner, needs] = parts[..] else {
                panic!("six parts: {line}")
            };
            let number = |text: &str| text.trim().parse().expect("a number");
            Entry {
                id: number(id),
                kind: kind.to_owned(),
                schema: schema.to_owned(),
                tag: tag.to_owned(),
                owner: owner.to_owned(),
                needs: needs
                    .split(',')
                    .filter(|id| !id.is_empty())
                    .map(number)
                    .collect(),
                ..Entry::default()
            }
        };
        Toc {
            entries: entries.trim().lines().map(entry).collect(),
            ..Toc::default()
        }
    }

    const PROJECT: &str = "
        1|SCHEMA||auth|supabase_admin|
        2|EXTENSION||pgcrypto||
        3|EXTENSION||pg_graphql||
        10|FUNCTION|auth|uid()|supabase_auth_admin|1
        11|TABLE|auth|users|supabase_auth_admin|1
        12|TABLE DATA|auth|users|supabase_auth_admin|11
        13|TABLE DATA|auth|schema_migrations|supabase_auth_admin|
        14|TABLE DATA|vault|secrets|supabase_admin|
        15|TABLE DATA|auth|newer|supabase_auth_admin|
        20|TABLE|public|notes|postgres|
        21|TABLE DATA|public|notes|postgres|20
        22|FK CONSTRAINT|public|notes notes_owner|postgres|20, 11
        23|POLICY|public|notes own|postgres|20, 10
        24|COMMENT|public|POLICY own ON notes|postgres|23
        25|POLICY|public|notes open|postgres|20
        30|TRIGGER|auth|users on_user|supabase_auth_admin|11
        31|TRIGGER|auth|users platforms|supabase_auth_admin|11
        32|TABLE|supabase_migrations|schema_migrations|postgres|
        33|TABLE DATA|supabase_migrations|schema_migrations|postgres|32
        40|EVENT TRIGGER||pgrst_watch|supabase_admin|
        41|EVENT TRIGGER||mine|postgres|
        42|DEFAULT ACL|public|DEFAULT PRIVILEGES FOR TABLES|supabase_admin|
        43|PUBLICATION||supabase_realtime|postgres|
    ";

    fn project() -> Toc {
        toc(PROJECT)
    }

    fn chosen(profile: Profile, platform: Option<&Toc>) -> (Vec<i64>, Vec<String>) {
        let extensions = BTreeSet::from(["pgcrypto".to_owned()]);
        let context = ProfileContext {
            platform,
            extensions: &extensions,
        };
        let selection = select(profile, &project(), context);
        let left_out = selection
            .left_out
            .iter()
            .map(|one| format!("{}: {}", one.what, one.why));
        (selection.chosen.into_iter().collect(), left_out.collect())
    }

    #[test]
    fn plain_selects_everything_the_server_supports() {
        let (chosen, left_out) = chosen(Profile::Plain, None);
        assert_eq!(chosen.len(), project().entries.len() - 1);
        assert_eq!(
            left_out,
            ["extension pg_graphql: the extension is not available on the server"]
        );
    }

    #[test]
    fn app_schemas_restore_without_the_platform() {
        let (chosen, left_out) = chosen(Profile::AppSchemas, None);
        assert_eq!(chosen, [2, 20, 21, 25, 41, 43]);
        assert_eq!(
            left_out,
            [
                "extension pg_graphql: the extension is not available on the server",
                "fk constraint notes_owner of public.notes: requires table auth.users",
                "policy own of public.notes: requires function auth.uid()",
            ]
        );
    }

    #[test]
    fn a_project_selects_what_the_platform_lacks() {
        let platform = toc("
            1|SCHEMA||auth|supabase_admin|
            2|EXTENSION||pg_graphql||
            3|FUNCTION|auth|uid()|supabase_auth_admin|
            4|TABLE|auth|users|supabase_auth_admin|
            5|TRIGGER|auth|users platforms|supabase_auth_admin|
            6|PUBLICATION||supabase_realtime|postgres|
        ");
        let (chosen, left_out) = chosen(Profile::SupabaseProject, Some(&platform));
        assert_eq!(chosen, [2, 12, 20, 21, 22, 23, 24, 25, 30, 32, 33, 41]);
        assert_eq!(
            left_out,
            [
                "the rows of vault.secrets: secrets are encrypted with a key that no dump contains",
                "the rows of auth.newer: the target platform does not have the table",
            ]
        );
    }

    #[test]
    fn user_objects_are_distinguished_from_the_platforms() {
        let all = project();
        let of = |id: i64| is_users(all.entries.iter().find(|one| one.id == id).unwrap());
        assert!(of(20) && of(23) && of(21));
        assert!(!of(1) && !of(2) && !of(11) && !of(42) && !of(43));
    }

    #[test]
    fn profiles_are_parsed_by_name() {
        for name in Profile::NAMES {
            assert!(Profile::parse(name).is_ok());
        }
        assert!(Profile::parse("supabase").is_err());
    }
}
