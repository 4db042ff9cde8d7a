//! The declared tenancy: which column or table identifies a tenant, how a request identifies itself, and two
//! tenants to probe with.

use anyhow::Result;
use serde_json::Value;

use crate::error::fail;
use crate::expression_text as words_of;
use crate::probed_schema::ProbedSchema;
use crate::yaml;

/// How tenants are distinguished and how a request says who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tenancy {
    /// The model in the user's words, such as `jwt_claims` or `membership_table`.
    pub model: String,
    /// The column that names the tenant of a row.
    pub column: String,
    /// Tables declared to hold rows of tenants, as `schema.name`.
    pub tables: Vec<String>,
    /// Tables declared to be everybody's.
    pub shared: Vec<String>,
    /// The roles a request may have; the first is the usual one.
    pub roles: Vec<String>,
    /// The setting that carries the tenant or the claims.
    pub setting: Option<String>,
    /// The path of the tenant within the claims, or of the user who is looked up.
    pub claim: Vec<String>,
    /// The table that says which user belongs to which tenant.
    pub membership: Option<String>,
    /// The keys of the two tenants; empty where they are to be made up.
    pub tenants: [String; 2],
    /// What an attacker can do, in the user's words.
    pub threat: String,
    /// Keys that mean nothing to us.
    pub unknown: Vec<String>,
}

const KNOWN: [&str; 16] = [
    "model",
    "column",
    "tables",
    "shared",
    "identity",
    "tenants",
    "threat",
    "membership",
    "roles",
    "type",
    "tenant",
    "claim",
    "claims",
    "setting",
    "user",
    "hierarchy",
];

impl Tenancy {
    /// Reads the `tenancy:` block of a document; `name` is how messages call the file.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let document: Value = yaml::read(name, text)?;
        let block = document.get("tenancy").unwrap_or(&document);
        let mut tenancy = Self::of(name, block)?;
        if tenancy.roles.is_empty() {
            tenancy.roles = declared_roles(&document);
        }
        Ok(tenancy)
    }

    fn of(name: &str, block: &Value) -> Result<Self> {
        let Some(keys) = block.as_object() else {
            return Err(fail(format!("{name}: `tenancy` must be a mapping"))
                .hint("set model, column, tables, identity and tenants")
                .into());
        };
        let nothing = Value::Null;
        let identity = keys.get("identity").unwrap_or(&nothing);
        let from = word(identity, &["tenant_from", "tenant-from", "claim"]);
        // A policy set says the same in the words of its conditions.
        let (setting, said) = declared_identity(block);
        let (claim, looked_up) = read_from(&from.or(said).unwrap_or_default());
        let tenancy = Tenancy {
            model: word(block, &["model"]).unwrap_or_default(),
            column: word(block, &["column"]).unwrap_or_default(),
            tables: words(block, "tables"),
            shared: words(block, "shared"),
            roles: roles(identity, block),
            setting: word(identity, &["guc", "setting"]).or(setting),
            claim,
            membership: block
                .get("membership")
                .and_then(|membership| word(membership, &["table"]))
                .or_else(|| word(block, &["membership"]))
                .or_else(|| word(identity, &["membership"]))
                .or(looked_up),
            tenants: tenants(name, block)?,
            threat: word(block, &["threat"]).unwrap_or_default(),
            unknown: keys
                .keys()
                .filter(|key| !KNOWN.contains(&key.as_str()))
                .cloned()
                .collect(),
        };
        if tenancy.column.is_empty() && tenancy.tables.is_empty() {
            return Err(fail(format!(
                "{name}: neither `column` nor `tables` identifies the rows of a tenant"
            ))
            .hint("set the tenant column, such as `column: tenant_id`")
            .into());
        }
        Ok(tenancy)
    }

    /// Makes up two tenants where none are named, as the column's type asks.
    pub fn with_tenants(mut self, facts: &ProbedSchema) -> Self {
        if !self.tenants[0].is_empty() {
            return self;
        }
        let declared = self.tables.iter().filter_map(|title| facts.find(title));
        let base = declared
            .chain(
                facts
                    .relations
                    .values()
                    .filter(|relation| relation.is_table()),
            )
            .find_map(|table| table.column(&self.column))
            .map_or("uuid", |column| column.base.as_str());
        self.tenants = match base {
            "uuid" => [
                "aaaaaaaa-0000-4000-8000-000000000001",
                "bbbbbbbb-0000-4000-8000-000000000002",
            ],
            "int2" | "int4" | "int8" | "numeric" => ["9101", "9202"],
            _ => ["afdb-one", "afdb-two"],
        }
        .map(str::to_owned);
        self
    }

    /// Whether the setting carries JSON claims rather than the bare tenant.
    pub fn speaks_claims(&self) -> bool {
        !self.claim.is_empty()
            || self
                .setting
                .as_deref()
                .is_some_and(|setting| setting.contains("claim") || setting.contains("jwt"))
    }

    /// Whether the tenant of a request is the user itself.
    pub fn is_by_user(&self) -> bool {
        self.membership.is_none() && (self.model == "user" || self.claim == ["sub"])
    }

    /// Whether the user is looked up in a table to find the tenant.
    pub fn is_by_membership(&self) -> bool {
        self.membership.is_some() || self.model.contains("member")
    }

    /// Whether the attacker is declared unable to send SQL of their own.
    pub fn forbids_raw_sql(&self) -> bool {
        let threat = self.threat.to_lowercase();
        threat.contains("cannot run arbitrary sql")
            || threat == "api"
            || threat.contains("api only")
    }

    /// Whether the attacker is declared able to send SQL of their own.
    pub fn allows_raw_sql(&self) -> bool {
        let threat = self.threat.to_lowercase();
        !self.forbids_raw_sql()
            && (threat.contains("raw sql")
                || threat.contains("arbitrary sql")
                || threat.contains("direct connection"))
    }
}

/// Returns the setting and the claim that the keys of a policy set speak of: `setting`, `claim`, or `user`.
fn declared_identity(block: &Value) -> (Option<String>, Option<String>) {
    let claims = || Some("request.jwt.claims".to_owned());
    if !block.get("identity").unwrap_or(&Value::Null).is_null() {
        return (None, None);
    }
    if let Some(setting) = word(block, &["setting"]) {
        return (Some(setting), None);
    }
    if let Some(claim) = word(block, &["claim"]) {
        let source = word(block, &["claims"]).filter(|source| !source.ends_with(')'));
        return (source.or_else(claims), Some(claim));
    }
    let Some(user) = word(block, &["user"]) else {
        return (None, None);
    };
    let settings = words_of::read(&user).settings;
    match settings.into_iter().find(|name| !name.contains("jwt")) {
        Some(setting) => (Some(setting), None),
        None => (claims(), Some("sub".to_owned())),
    }
}

/// Returns the declared roles of tenant requests: those that are not declared to have all rows of any table.
fn declared_roles(document: &Value) -> Vec<String> {
    let is_everywhere = |role: &String| {
        ["templates", "tables"].iter().any(|section| {
            let tables = document.get(section).and_then(Value::as_object);
            tables.into_iter().flatten().any(|(_, table)| {
                let lines = table.get("allow").and_then(|allow| allow.get(role));
                lines.is_some_and(|lines| lines.to_string().contains("on all rows"))
            })
        })
    };
    let roles = document.get("roles").and_then(Value::as_object);
    let mut roles: Vec<String> = roles
        .into_iter()
        .flat_map(|roles| roles.keys().cloned())
        .filter(|role| !is_everywhere(role))
        .collect();
    // Who is signed in speaks for a tenant; who is not comes after.
    roles.sort_by_key(|role| role == "anon");
    roles
}

/// Reads `app_metadata.org_id (trusted)` and `sub -> public.members` alike.
fn read_from(text: &str) -> (Vec<String>, Option<String>) {
    let (path, table) = match text.split_once("->") {
        Some((path, table)) => (path, Some(table)),
        None => (text, None),
    };
    let first = path
        .split([' ', '(', ','])
        .find(|word| !word.is_empty())
        .unwrap_or_default();
    let claim = first
        .split(['.', '/'])
        .map(|part| {
            part.trim_matches(|c: char| !c.is_alphanumeric() && c != '_' && c != '-' && c != ':')
        })
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect();
    let table = table.and_then(|table| {
        table
            .split([' ', '(', ','])
            .find(|word| !word.is_empty())
            .map(str::to_owned)
    });
    (claim, table)
}

fn roles(identity: &Value, block: &Value) -> Vec<String> {
    let mut roles = words(identity, "roles");
    roles.extend(word(identity, &["role"]));
    roles.extend(words(block, "roles"));
    if roles.is_empty() {
        roles.extend(words(identity, "login"));
    }
    let mut seen = std::collections::BTreeSet::new();
    roles.retain(|role| seen.insert(role.clone()));
    roles
}

fn tenants(name: &str, block: &Value) -> Result<[String; 2]> {
    let missing = || {
        fail(format!("{name}: `tenants` must name two tenants"))
            .hint("name the keys of two tenants, such as `tenants: {a: \"1\", b: \"2\"}`")
    };
    let Some(given) = block.get("tenants") else {
        return Ok([String::new(), String::new()]);
    };
    let found: Vec<String> = match given {
        Value::Object(keys) => keys.values().filter_map(plain).collect(),
        Value::Array(items) => items.iter().filter_map(plain).collect(),
        _ => Vec::new(),
    };
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(a), Some(b)) if a != b => Ok([a, b]),
        _ => Err(missing().into()),
    }
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Object(keys) => keys
            .get("id")
            .or_else(|| keys.get("key"))
            .or_else(|| keys.get("tenant"))
            .and_then(plain),
        _ => None,
    }
}

fn word(block: &Value, names: &[&str]) -> Option<String> {
    names
        .iter()
        .find_map(|name| block.get(name).and_then(plain))
}

fn words(block: &Value, name: &str) -> Vec<String> {
    match block.get(name) {
        Some(Value::Array(items)) => items.iter().filter_map(plain).collect(),
        Some(Value::Object(keys)) => keys.values().filter_map(plain).collect(),
        Some(value) => plain(value).into_iter().collect(),
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_the_tenant_is_read() {
        let check = |text: &str, claim: &[&str], table: Option<&str>| {
            let (found, looked_up) = read_from(text);
            assert_eq!(found, claim, "{text}");
            assert_eq!(looked_up.as_deref(), table, "{text}");
        };
        check("sub", &["sub"], None);
        check(
            "app_metadata.org_id (the trusted one)",
            &["app_metadata", "org_id"],
            None,
        );
        check("sub -> public.members", &["sub"], Some("public.members"));
        check("", &[], None);
    }

    #[test]
    fn two_tenants_are_asked_for() {
        let text = "tenancy: {column: tenant_id, tenants: [1]}";
        let error = Tenancy::parse("tenancy.yaml", text).unwrap_err();
        assert_eq!(
            error.to_string(),
            "tenancy.yaml: `tenants` must name two tenants"
        );
    }

    #[test]
    fn numbers_are_keys_too() {
        let text = "tenancy: {column: t, identity: {role: app, guc: app.t}, tenants: {a: 1, b: 2}}";
        let tenancy = Tenancy::parse("tenancy.yaml", text).unwrap();
        assert_eq!(tenancy.tenants, ["1", "2"]);
        assert_eq!(tenancy.roles, ["app"]);
        assert!(!tenancy.speaks_claims());
    }

    #[test]
    fn a_policy_set_says_enough() {
        let check = |block: &str, setting: Option<&str>, claim: &[&str]| {
            let text = format!(
                "tenancy: {{column: t, {block}}}\nroles: {{anon: x, app: y, service: z}}\ntables: {{a: {{allow: {{app: select on own rows, service: all on all rows}}}}}}"
            );
            let tenancy = Tenancy::parse("policies/a.yaml", &text).unwrap();
            assert_eq!(tenancy.setting.as_deref(), setting, "{block}");
            assert_eq!(tenancy.claim, claim, "{block}");
            assert_eq!(tenancy.roles, ["app", "anon"], "{block}");
        };
        check("setting: app.tenant", Some("app.tenant"), &[]);
        check(
            "claim: app_metadata.org, claims: auth.jwt()",
            Some("request.jwt.claims"),
            &["app_metadata", "org"],
        );
        check("user: auth.uid()", Some("request.jwt.claims"), &["sub"]);
        check(
            "user: \"current_setting('app.user', true)::uuid\"",
            Some("app.user"),
            &[],
        );
    }
}
