//! What may stand in one `schemas/*.yaml`, as it is written.
//!
//! The keys are the whole of the language; what they mean to PostgreSQL is decided in `statements`.

use serde::Deserialize;

use crate::manifest::entries::{Entries, SqlEntry};
use crate::manifest::rules::Rules;
use crate::yaml::Located;

/// One file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Document {
    /// Roles that other objects name; created on the server of the shadow database if missing.
    pub roles: Vec<Located<String>>,
    /// Schemas beside `public`.
    pub schemas: Entries<Option<Schema>>,
    /// Extensions, each with nothing or such as `with schema extensions`.
    pub extensions: Entries<SqlEntry>,
    /// Enumerated types with their labels in order.
    pub enums: Entries<Labels>,
    /// Domains: `text check (value ~ '@')`.
    pub domains: Entries<SqlEntry>,
    /// Sequences that no column owns: `as bigint increment by 10`.
    pub sequences: Entries<SqlEntry>,
    pub tables: Entries<Table>,
    /// Views: the query, or `{ is: …, with: security_invoker = true }`.
    pub views: Entries<View>,
    /// Plain SQL.
    pub sql: Texts,
    /// Objects that must exist in a database whose other objects are ignored.
    pub only: Only,
    /// Schema rules.
    pub rules: Option<Rules>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Schema {
    pub comment: Option<Located<String>>,
    pub owner: Option<Located<String>>,
    /// Privileges by role.
    pub grants: Entries<SqlEntry>,
}

/// The labels of an enumerated type.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Labels(pub Vec<Located<String>>);

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Table {
    pub comment: Option<Located<String>>,
    /// The previous name.
    pub renamed_from: Option<Located<String>>,
    pub owner: Option<Located<String>>,
    /// Columns in their order, each a line of SQL.
    pub columns: Entries<SqlEntry>,
    /// Table constraints.
    pub constraints: Entries<SqlEntry>,
    /// Indexes: `(tenant_id, email)`, `unique (lower(email)) where active`, `using gin (tags)`.
    pub indexes: Entries<SqlEntry>,
    /// Triggers: `before update for each row execute function touch()`.
    pub triggers: Entries<SqlEntry>,
    /// `enabled`, `forced` or `disabled`.
    pub row_level_security: Option<Located<String>>,
    /// Policies: `for select to authenticated using (…)`.
    pub policies: Entries<SqlEntry>,
    /// Privileges by role: `select, insert, update (name)`.
    pub grants: Entries<SqlEntry>,
    /// Whether it is unlogged.
    pub unlogged: bool,
    /// `range (created_at)`.
    pub partition_by: Option<Located<String>>,
    /// `executions for values from ('2026-01-01') to ('2026-02-01')`, or `executions default`.
    pub partition_of: Option<Located<String>>,
    /// Parents of old-style inheritance, separated by commas.
    pub inherits: Option<Located<String>>,
    /// Storage parameters: `fillfactor = 70`.
    pub with: Option<Located<String>>,
    /// The access method.
    pub using: Option<Located<String>>,
    /// `nothing`, `full` or `using index …`.
    pub replica_identity: Option<Located<String>>,
    /// What the keys above cannot say of it.
    pub sql: Texts,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct View {
    /// The query.
    pub is: Option<Located<String>>,
    pub comment: Option<Located<String>>,
    pub owner: Option<Located<String>>,
    /// Options: `security_invoker = true`.
    pub with: Option<Located<String>>,
    /// Whether its rows are kept.
    pub materialized: bool,
    /// Indexes of a materialized view.
    pub indexes: Entries<SqlEntry>,
    /// What each role may do.
    pub grants: Entries<SqlEntry>,
}

/// What must exist, whatever else there is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Only {
    /// Tables with the columns, constraints, indexes and row-level security they must have.
    pub tables: Entries<Table>,
}

/// One text or several.
#[derive(Clone, Debug, Default)]
pub struct Texts(pub Vec<Located<String>>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(transparent)]
        struct Many(Vec<Located<String>>);

        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Texts;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("SQL, or a list of SQL texts")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Texts, E> {
                let placed = Located {
                    value: text.to_owned(),
                    line: 0,
                    column: 0,
                };
                Ok(Texts(vec![placed]))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, seq: A) -> Result<Texts, A::Error> {
                let many = Many::deserialize(serde::de::value::SeqAccessDeserializer::new(seq))?;
                Ok(Texts(many.0))
            }
        }

        struct Inner(Texts);
        impl<'de> Deserialize<'de> for Inner {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Visitor).map(Inner)
            }
        }

        let placed = Located::<Inner>::deserialize(deserializer)?;
        let mut texts = placed.value.0;
        for text in texts.0.iter_mut().filter(|text| text.line == 0) {
            (text.line, text.column) = (placed.line, placed.column);
        }
        Ok(texts)
    }
}
