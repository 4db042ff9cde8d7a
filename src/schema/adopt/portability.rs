//! What a schema needs that another server does not have, such as when moving from Supabase to a self-hosted PostgreSQL
//! or back: roles, extensions, and platform schemas used in policies and functions.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use tokio_postgres::types::Type;

use crate::catalog::acl::Grantee;
use crate::catalog::{Catalog, Key, Kind, Object, Value};
use crate::finding::Finding;
use crate::pg::session::Session;
use crate::sql::name::Ident;
use crate::sql::token::{self, TokenKind as Token};

/// Platform schemas that policies and functions use.
const PLATFORM: [&str; 8] = [
    "auth",
    "cron",
    "extensions",
    "graphql",
    "net",
    "realtime",
    "storage",
    "vault",
];

/// What a schema needs from its server, each with the objects that need it.
#[derive(Debug, Default)]
struct ServerRequirements {
    roles: BTreeMap<String, BTreeSet<String>>,
    extensions: BTreeSet<String>,
    names: BTreeMap<String, BTreeSet<String>>,
}

/// Reports what a schema needs and a server does not have.
pub async fn missing_on_target(catalog: &Catalog, there: &Session) -> Result<Vec<Finding>> {
    let needs = needs(catalog);
    let roles: Vec<&str> = needs.roles.keys().map(String::as_str).collect();
    let extensions: Vec<&str> = needs.extensions.iter().map(String::as_str).collect();
    let schemas: Vec<&str> = PLATFORM.to_vec();
    let row = there
        .query_one(
            include_str!("queries/moving.sql"),
            &[
                (&roles, Type::TEXT_ARRAY),
                (&extensions, Type::TEXT_ARRAY),
                (&schemas, Type::TEXT_ARRAY),
            ],
        )
        .await?;
    let list = |column: &str| -> BTreeSet<String> {
        let list: Vec<String> = row.get(column);
        list.into_iter().collect()
    };
    let (no_roles, no_extensions, no_schemas) =
        (list("roles"), list("extensions"), list("schemas"));
    let mut findings = Vec::new();
    for (role, objects) in needs
        .roles
        .iter()
        .filter(|(role, _)| no_roles.contains(*role))
    {
        findings.push(
            Finding::warn(
                "moving-role",
                role,
                told("the role does not exist on the target", objects),
            )
            .help(format!(
                "CREATE ROLE {} NOLOGIN, or use another role",
                Ident::new(role)
            )),
        );
    }
    for extension in no_extensions {
        findings.push(
            Finding::warn(
                "moving-extension",
                extension,
                "the extension is not available on the target",
            )
            .help(
                "install the extension's package on the target, or remove the objects that use it",
            ),
        );
    }
    for (name, objects) in &needs.names {
        let schema = name.split('.').next().unwrap_or_default();
        let own = Key::named(Kind::Schema, "", schema);
        if no_schemas.contains(schema) && catalog.get(&own).is_none() {
            let message = told(
                "the platform's schema does not exist on the target",
                objects,
            );
            findings.push(Finding::warn("moving-platform", name, message).help(translation(name)));
        }
    }
    Ok(findings)
}

fn told(what: &str, objects: &BTreeSet<String>) -> String {
    const SHOWN: usize = 3;
    let named: Vec<&str> = objects.iter().take(SHOWN).map(String::as_str).collect();
    let more = match objects.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{what}; used by {}{more}", named.join(", "))
}

/// Returns how to replace a function or table of the platform.
fn translation(name: &str) -> &'static str {
    match name {
        "auth.uid" => {
            "create it on the target: CREATE FUNCTION auth.uid() RETURNS uuid … (current_setting('request.jwt.claims', true)::jsonb ->> 'sub')::uuid"
        }
        "auth.role" => "use instead: current_setting('request.jwt.claims', true)::jsonb ->> 'role'",
        "auth.email" => {
            "use instead: current_setting('request.jwt.claims', true)::jsonb ->> 'email'"
        }
        "auth.jwt" => "use instead: current_setting('request.jwt.claims', true)::jsonb",
        "auth.users" => "keep users in a table of the project and reference that table",
        name if name.starts_with("extensions.") => {
            "CREATE SCHEMA extensions on the target, and create the extension in it"
        }
        name if name.starts_with("storage.") => {
            "storage belongs to the platform; remove the references, or run its storage service on the target"
        }
        _ => "create the object on the target, or remove the references to it",
    }
}

fn needs(catalog: &Catalog) -> ServerRequirements {
    let mut needs = ServerRequirements::default();
    for (key, object) in &catalog.objects {
        if key.kind == Kind::Extension {
            needs.extensions.insert(key.name.to_string());
            continue;
        }
        for role in roles(key, object) {
            let objects = needs.roles.entry(role).or_default();
            objects.insert(key.to_string());
        }
        for (_, value) in &*object.facts {
            let texts: Vec<&str> = match value {
                Value::Text(text) => vec![text],
                Value::List(items) => items.iter().map(|item| &**item).collect(),
            };
            for name in texts.into_iter().flat_map(platform_names) {
                let objects = needs.names.entry(name).or_default();
                objects.insert(key.to_string());
            }
        }
    }
    needs
}

fn roles(key: &Key, object: &Object) -> Vec<String> {
    let grants = object.acl.iter().flat_map(|acl| &acl.0);
    let granted = grants.filter_map(|grant| match &grant.grantee {
        Grantee::Role(role) => Some(role.to_string()),
        _ => None,
    });
    let mut roles: Vec<String> = granted.collect();
    if key.kind == Kind::Policy {
        let named = object
            .list("roles")
            .iter()
            .filter(|role| &***role != "public");
        roles.extend(named.map(|role| role.trim_matches('"').replace("\"\"", "\"")));
    }
    roles
}

/// Finds names in platform schemas in a definition.
fn platform_names(text: &str) -> Vec<String> {
    if !PLATFORM.iter().any(|schema| text.contains(schema)) {
        return Vec::new();
    }
    let tokens: Vec<token::Token> = token::code(text).collect();
    let mut names = Vec::new();
    for (at, first) in tokens.iter().enumerate() {
        match first.kind {
            Token::Word => {}
            // The body of a function is a string.
            Token::DollarText | Token::Text => {
                let inner = first.text(text).trim_matches(['\'', '$']);
                if inner.len() < first.text(text).len() {
                    names.extend(platform_names(inner));
                }
                continue;
            }
            _ => continue,
        }
        let behind_dot = at > 0 && tokens[at - 1].text(text) == ".";
        let schema = first.text(text);
        let [dot, second] = [at + 1, at + 2].map(|at| tokens.get(at).map(|token| token.text(text)));
        if let (Some("."), Some(second), false) = (dot, second, behind_dot)
            && PLATFORM.contains(&schema)
        {
            names.push(format!("{schema}.{second}"));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_platform_are_found() {
        let check = |text: &str, expected: &[&str]| assert_eq!(platform_names(text), expected);
        check("(auth.uid() = user_id)", &["auth.uid"]);
        check("SELECT a.auth.uid, author.id", &[]);
        check("$$ SELECT id FROM auth.users $$", &["auth.users"]);
        check("'auth'::text", &[]);
    }
}
