//! The format of one `policies/*.yaml`.

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::manifest::document::Texts;
use crate::manifest::entries::Entries;
use crate::yaml::Located;

/// One file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct PolicyDocument {
    /// How tenants are distinguished and how a request says who it is.
    pub tenancy: Option<Tenancy>,
    /// The roles of a request, each with what it is for.
    pub roles: Entries<Option<Located<String>>>,
    /// Whether policies hold for the owners of tables too; they do where it is not set.
    pub force: Option<bool>,
    /// Sets of rows by name: conditions that the rest speaks of.
    pub rows: Entries<Located<String>>,
    /// What several tables have in common.
    pub templates: Entries<Template>,
    /// Tables, each with its template or with what is its own.
    pub tables: Entries<Table>,
    /// Tables that are everybody's, with the reason.
    pub shared: Entries<Table>,
    /// Tables or patterns that are left alone, with the reason.
    pub except: Entries<Located<String>>,
    /// What roles may do with views and materialized views.
    pub views: Entries<Allow>,
    /// What roles may call: `app.tenant_id()`, or `app.*`.
    pub functions: Entries<Allow>,
    /// What roles may do with sequences.
    pub sequences: Entries<Allow>,
    /// What roles may do in schemas.
    pub schemas: Entries<Allow>,
    /// What roles are granted on what a role makes tomorrow: `postgres: { tables in public: { anon: select } }`.
    pub defaults: Entries<Entries<Allow>>,
}

/// How tenants are distinguished and how a request says who it is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Tenancy {
    /// The column that names the tenant of a row.
    pub column: Option<Located<String>>,
    /// The type of the column, for claims and settings; `uuid` where it is not set.
    pub r#type: Option<Located<String>>,
    /// The tenant of the request as an expression: `app.tenant_id()`.
    pub tenant: Option<Located<String>>,
    /// The claim of the token that names the tenant: `tenant_id`, `app_metadata.org_id`.
    pub claim: Option<Located<String>>,
    /// Where claims are read: `request.jwt.claims` where it is not set, or `auth.jwt()`.
    pub claims: Option<Located<String>>,
    /// The setting that names the tenant: `app.tenant_id`.
    pub setting: Option<Located<String>>,
    /// The user of the request as an expression: `auth.uid()`; alone, every user is a tenant.
    pub user: Option<Located<String>>,
    /// The table that says which user belongs to which tenants.
    pub membership: Option<Membership>,
    /// The table in which tenants stand above each other.
    pub hierarchy: Option<Hierarchy>,
    /// What a proof wants to know beside: see [`crate::tenancy`], which reads the same block.
    pub model: Option<serde_json::Value>,
    /// Tables that hold rows of tenants, for a proof.
    pub tables: Option<serde_json::Value>,
    /// Tables that are everybody's, for a proof.
    pub shared: Option<serde_json::Value>,
    /// How a request says who it is, for a proof.
    pub identity: Option<serde_json::Value>,
    /// The roles of a request, for a proof.
    pub roles: Option<serde_json::Value>,
    /// Two tenants to try with, for a proof.
    pub tenants: Option<serde_json::Value>,
    /// What an attacker can do, for a proof.
    pub threat: Option<serde_json::Value>,
}

/// The table that says which user belongs to which tenants.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Membership {
    pub table: Located<String>,
    /// Its column that names the tenant.
    pub tenant: Located<String>,
    /// Its column that names the user.
    pub user: Located<String>,
    /// Which of its rows count.
    pub r#where: Option<Located<String>>,
}

/// The table in which tenants stand above each other.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Hierarchy {
    pub table: Located<String>,
    pub key: Located<String>,
    /// Its column that names the tenant above.
    pub parent: Located<String>,
}

/// What several tables have in common.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Template {
    /// Where it holds: `tenant tables`, tables, or patterns such as `log_*`; nowhere by itself where it is not set.
    pub to: Texts,
    /// Variables with what they stand for where a table does not say.
    pub with: Entries<Located<String>>,
    /// What each role may do.
    pub allow: Allow,
    /// Policies that `allow` cannot say: `for insert to public with check (…)`.
    pub policies: Entries<Located<String>>,
    /// Conditions that hold beside all others.
    pub guards: Entries<Located<String>>,
    /// Whether policies hold for the owner too.
    pub force: Option<bool>,
}

/// A table: the name of its template, or what is its own.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// The template it follows.
    pub like: Option<Located<String>>,
    /// The column that names the tenant here.
    pub column: Option<Located<String>>,
    /// What the template's variables stand for.
    pub with: Entries<Located<String>>,
    /// What each role may do; a role said here is not taken from the template.
    pub allow: Allow,
    /// Further policies.
    pub policies: Entries<Located<String>>,
    /// Further guards.
    pub guards: Entries<Located<String>>,
    /// Whether policies hold for the owner too.
    pub force: Option<bool>,
    /// Whether row-level security is on; it is where it is not set.
    pub security: Option<bool>,
    /// Why this table differs.
    pub reason: Option<Located<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Spelled {
    like: Option<Located<String>>,
    column: Option<Located<String>>,
    with: Entries<Located<String>>,
    allow: Allow,
    policies: Entries<Located<String>>,
    guards: Entries<Located<String>>,
    force: Option<bool>,
    row_level_security: Option<bool>,
    reason: Option<Located<String>>,
}

impl<'de> Deserialize<'de> for Table {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let placed = Located::<Either>::deserialize(deserializer)?;
        Ok(match placed.value {
            Either::Name(value) => Table {
                like: Some(Located {
                    value,
                    line: placed.line,
                    column: placed.column,
                }),
                ..Table::default()
            },
            Either::Spelled(spelled) => Table {
                like: spelled.like,
                column: spelled.column,
                with: spelled.with,
                allow: spelled.allow,
                policies: spelled.policies,
                guards: spelled.guards,
                force: spelled.force,
                security: spelled.row_level_security,
                reason: spelled.reason,
            },
        })
    }
}

enum Either {
    Name(String),
    Spelled(Box<Spelled>),
}

impl<'de> Deserialize<'de> for Either {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Known;
        impl<'de> Visitor<'de> for Known {
            type Value = Either;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a template name, or a table declaration")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Either, E> {
                Ok(Either::Name(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Either, A::Error> {
                let map = serde::de::value::MapAccessDeserializer::new(map);
                Spelled::deserialize(map).map(|spelled| Either::Spelled(Box::new(spelled)))
            }
        }
        deserializer.deserialize_any(Known)
    }
}

/// What each role may do, by role: `select, update (name) on own rows`, or several such lines.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Allow(pub Entries<Lines>);

/// One line or several, each with its place.
#[derive(Clone, Debug, Default)]
pub struct Lines(pub Vec<Located<String>>);

impl<'de> Deserialize<'de> for Lines {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Inner(Vec<Located<String>>);
        impl<'de> Deserialize<'de> for Inner {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Known;
                impl<'de> Visitor<'de> for Known {
                    type Value = Inner;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("privileges such as `select on own rows`, or a list of them")
                    }

                    fn visit_str<E: Error>(self, text: &str) -> Result<Inner, E> {
                        Ok(Inner(vec![Located {
                            value: text.to_owned(),
                            line: 0,
                            column: 0,
                        }]))
                    }

                    fn visit_unit<E: Error>(self) -> Result<Inner, E> {
                        Ok(Inner(Vec::new()))
                    }

                    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Inner, A::Error> {
                        let mut lines = Vec::new();
                        while let Some(line) = seq.next_element()? {
                            lines.push(line);
                        }
                        Ok(Inner(lines))
                    }
                }
                deserializer.deserialize_any(Known)
            }
        }
        let placed = Located::<Inner>::deserialize(deserializer)?;
        let mut lines = placed.value.0;
        for line in lines.iter_mut().filter(|line| line.line == 0) {
            (line.line, line.column) = (placed.line, placed.column);
        }
        Ok(Lines(lines))
    }
}
