//! The rules of the house: what every table of a project promises, whoever writes it.
//!
//! Judges any catalog: the manifest's, the shadow's, a live one.

mod check;
mod pattern;

use serde::Deserialize;

use crate::manifest::entries::Entries;
use crate::yaml::Located;

pub use self::check::check;

/// What is promised; what is not said is not checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Rules {
    /// Every table has a primary key.
    pub primary_key: bool,
    /// Every foreign key has an index that begins with its columns.
    pub foreign_key_index: bool,
    /// Every table has a comment.
    pub comment: bool,
    /// What makes a table a tenant's.
    pub tenant: Option<Tenant>,
    /// Tables that say when a row was made, and can be searched by it.
    pub logs: Option<Logs>,
    /// How things are called.
    pub naming: Option<Naming>,
    /// Tables that a rule does not hold for, each with its reason: `plans: { tenant: the price list is shared }`.
    pub except: Entries<Entries<Located<String>>>,
}

/// Every table belongs to a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Tenant {
    /// The column that says which.
    pub column: Option<Located<String>>,
    /// `enabled` or `forced`.
    pub row_level_security: Option<Located<String>>,
    /// Whether some index must begin with the column.
    pub index: bool,
}

/// Tables of events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Logs {
    /// Which tables; `*` stands for anything.
    pub tables: Vec<Located<String>>,
    /// The column that says when.
    pub column: Option<Located<String>>,
}

/// Patterns for names: `snake_case`, or a text where `*` stands for anything and `{table}` for the table's name.
///
/// Several alternatives are separated by ` | `.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Naming {
    /// Tables and views.
    pub tables: Option<Located<String>>,
    pub columns: Option<Located<String>>,
    pub constraints: Option<Located<String>>,
    pub indexes: Option<Located<String>>,
    pub triggers: Option<Located<String>>,
    pub policies: Option<Located<String>>,
}
