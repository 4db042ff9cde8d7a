//! Prepares a shadow database like one of Supabase, and detects whether a project expects that.
//!
//! Sufficient for replaying migrations and probing policies, not for running an application.

use anyhow::{Context as _, Result};

use crate::pg::server_error::ServerError;
use crate::pg::session::Session;
use crate::sql::safe::Sql;

/// Roles that Supabase provides and migrations grant to.
pub const ROLES: [&str; 3] = ["anon", "authenticated", "service_role"];

/// Schemas of the platform that migrations refer to.
const SCHEMAS: [&str; 9] = [
    "auth",
    "storage",
    "realtime",
    "vault",
    "extensions",
    "graphql",
    "graphql_public",
    "supabase_functions",
    "supabase_migrations",
];

/// Creates the roles, platform schemas and default privileges of Supabase; existing objects are kept.
///
/// Also sets the search path of this session, and of every later one of the same role on this database, as Supabase does.
pub async fn prepare(session: &Session) -> Result<()> {
    let prelude = Sql::new(include_str!("queries/supabase_prelude.sql"));
    let mut tries = 0;
    while let Err(error) = session.run(&prelude).await {
        tries += 1;
        // Roles belong to the whole server: another database being prepared at the same time may have changed one.
        let concurrent = error
            .downcast_ref::<ServerError>()
            .is_some_and(|error| error.is("XX000") && error.message.contains("concurrently"));
        if !concurrent || tries == 5 {
            return Err(error.context("preparing the shadow database like Supabase"));
        }
    }
    // Discards the prelude's notices.
    session.take_notices();
    Ok(())
}

/// Detects in the text of a project's migrations whether they expect Supabase: they refer to its schemas or grant to its
/// roles, and do not create these themselves.
pub fn is_expected<'a>(migrations: impl IntoIterator<Item = &'a str>) -> bool {
    let mut referred = Vec::new();
    let mut made = Vec::new();
    for text in migrations {
        let (words, strings) = words(text);
        note_schemas(&words, &mut referred, &mut made);
        note_roles(&words, &mut referred, &mut made);
        note_executed(&strings, &mut made);
    }
    referred.iter().any(|name| !made.contains(name))
}

fn note_schemas(words: &[String], referred: &mut Vec<&'static str>, made: &mut Vec<&'static str>) {
    for (index, word) in words.iter().enumerate() {
        let Some(schema) = SCHEMAS.iter().find(|schema| *schema == word) else {
            continue;
        };
        // A name after a dot is a column or table of the same name.
        let qualified = index > 0 && words[index - 1] == ".";
        if words.get(index + 1).is_some_and(|next| next == ".") && !qualified {
            referred.push(schema);
        }
        // Supabase does not allow creating tables in its schemas: such a project has them from elsewhere.
        if follows(words, index, "schema") || follows(words, index, "table") {
            made.push(schema);
        }
    }
}

fn note_roles(words: &[String], referred: &mut Vec<&'static str>, made: &mut Vec<&'static str>) {
    let mut naming = false;
    for (index, word) in words.iter().enumerate() {
        match word.as_str() {
            "to" | "from" => naming = true,
            "," => {}
            word => {
                let role = ROLES.iter().find(|role| **role == word);
                match role {
                    Some(role) if naming => referred.push(role),
                    _ => naming = false,
                }
                if let Some(role) = role
                    && (follows(words, index, "role") || follows(words, index, "user"))
                {
                    made.push(role);
                }
            }
        }
    }
}

/// Finds roles created by `EXECUTE format('CREATE ROLE %I', …)`: the names are strings in the same file.
fn note_executed(strings: &[String], made: &mut Vec<&'static str>) {
    let makes = |text: &String| text.contains("create role") || text.contains("create user");
    if !strings.iter().any(makes) {
        return;
    }
    for role in ROLES {
        if strings
            .iter()
            .any(|text| text.split_whitespace().any(|word| word == role))
        {
            made.push(role);
        }
    }
}

/// Returns whether the word at `index` is the name in a `CREATE <kind> [IF NOT EXISTS]`.
fn follows(words: &[String], index: usize, kind: &str) -> bool {
    let mut before = words[..index].iter().rev().map(String::as_str).peekable();
    for skipped in ["exists", "not", "if"] {
        before.next_if_eq(&skipped);
    }
    before.next() == Some(kind) && before.next() == Some("create")
}

/// Splits SQL into words and single characters without comments, and the content of plain strings; all in lower case.
///
/// Dollar-quoted bodies are read as well: references in functions and `DO` blocks count.
fn words(text: &str) -> (Vec<String>, Vec<String>) {
    let (mut words, mut strings) = (Vec::new(), Vec::new());
    let mut rest = text.trim_start_matches('\u{feff}');
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '\'' => {
                let end = rest[1..].find('\'').unwrap_or(rest.len() - 1);
                strings.push(rest[1..=end].to_lowercase());
                (end + 2).min(rest.len())
            }
            '"' => {
                let end = rest[1..].find('"').unwrap_or(rest.len() - 1);
                words.push(rest[1..=end].to_owned());
                (end + 2).min(rest.len())
            }
            letter if letter.is_alphanumeric() || letter == '_' => {
                let end = rest
                    .find(|it: char| !it.is_alphanumeric() && it != '_')
                    .unwrap_or(rest.len());
                words.push(rest[..end].to_lowercase());
                end
            }
            sign => {
                if !sign.is_whitespace() {
                    words.push(sign.to_string());
                }
                sign.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    (words, strings)
}

/// Returns the extensions that the text creates, each once, in order of appearance.
pub fn extensions(text: &str) -> Vec<String> {
    let (words, _) = words(text);
    let mut found: Vec<String> = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let keyword = matches!(word.as_str(), "if" | "not" | "exists");
        if !keyword && follows(&words, index, "extension") && !found.contains(word) {
            found.push(word.clone());
        }
    }
    found
}

/// Returns those extensions that are not available on this server.
pub async fn unavailable(session: &Session, wanted: &[String]) -> Result<Vec<String>> {
    let rows = session
        .query(
            "SELECT name::text FROM pg_catalog.pg_available_extensions",
            &[],
        )
        .await
        .context("listing the available extensions")?;
    let available: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    Ok(wanted
        .iter()
        .filter(|name| !available.contains(name))
        .cloned()
        .collect())
}

/// Reports extensions that the server lacks; the migrations are not at fault.
pub fn missing_extensions(extensions: &[String], server: &str) -> crate::error::Failure {
    let names: Vec<String> = extensions.iter().map(|name| format!("`{name}`")).collect();
    let (noun, verb, them) = match names.len() {
        1 => ("extension", "is", "it"),
        _ => ("extensions", "are", "them"),
    };
    crate::error::fail(format!(
        "the {noun} {} {verb} not available on the shadow database's server ({server}), so the migrations cannot be replayed on it",
        names.join(", ")
    ))
    .hint(format!("install {them} there, or set AF_DB_SHADOW_URL to a server that has {them}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_supabase_project_is_recognised_by_its_migrations() {
        let check = |expected: bool, text: &str| {
            assert_eq!(is_expected([text]), expected, "{text}");
        };
        check(true, "create policy p on t using (auth.uid() = user_id)");
        check(true, "create table t (id uuid references auth.users)");
        check(
            true,
            "create policy p on t to anon, authenticated using (true)",
        );
        check(true, "GRANT SELECT ON t TO \"authenticated\"");
        check(true, "revoke all on t from anon");
        check(true, "insert into storage.buckets (id) values ('a')");
        check(
            true,
            "create function f() returns uuid as $$ select auth.uid() $$ language sql",
        );
        check(false, "create table t (authenticated boolean, anon text)");
        check(false, "select t.auth.uid");
        check(false, "-- grant to anon\nselect 'auth.uid()' /* to anon */");
        check(
            false,
            "create schema auth; create table auth.users (id int)",
        );
        check(false, "create schema if not exists auth; select auth.uid()");
        check(false, "create role anon; grant select on t to anon");
        check(
            false,
            "DO $$ BEGIN CREATE ROLE authenticated NOLOGIN; END $$; GRANT SELECT ON t TO authenticated",
        );
        check(
            true,
            "create role anon; grant select on t to anon, authenticated",
        );
        check(
            false,
            "create table if not exists auth.users (id int); grant select on auth.users to me",
        );
        check(
            false,
            "do $$ begin execute format('CREATE ROLE %I', 'anon'); end $$; grant select on t to anon",
        );
        check(false, "");
        check(false, "select 'open");
        check(false, "select \"open");
    }

    #[test]
    fn created_extensions_are_listed() {
        let text = "create extension vector; CREATE EXTENSION IF NOT EXISTS \"uuid-ossp\" WITH SCHEMA extensions;\n\
                    create extension vector; -- create extension none\n drop extension other;";
        assert_eq!(extensions(text), ["vector", "uuid-ossp"]);
    }

    #[test]
    fn a_missing_extension_is_reported_as_such() {
        let one = missing_extensions(&["vector".to_owned()], "PostgreSQL 15.18");
        insta::assert_snapshot!(format!("{one}\nhint: {}", one.hint.as_deref().unwrap()), @r"
        the extension `vector` is not available on the shadow database's server (PostgreSQL 15.18), so the migrations cannot be replayed on it
        hint: install it there, or set AF_DB_SHADOW_URL to a server that has it
        ");
        let two = missing_extensions(
            &["pg_cron".to_owned(), "vector".to_owned()],
            "PostgreSQL 15.18",
        );
        insta::assert_snapshot!(two, @"the extensions `pg_cron`, `vector` are not available on the shadow database's server (PostgreSQL 15.18), so the migrations cannot be replayed on it");
    }
}
