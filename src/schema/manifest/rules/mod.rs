//! Schema rules: what every table of a project must have.
//!
//! They apply to any catalog: of a manifest, of a shadow database, of a live database.

mod check;
mod pattern;

use serde::Deserialize;

use crate::manifest::entries::Entries;
use crate::yaml::Located;

pub use self::check::check;

/// The rules; those that are not set are not checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Rules {
    /// Every table has a primary key.
    pub primary_key: bool,
    /// Every foreign key has an index that begins with its columns.
    pub foreign_key_index: bool,
    /// Every table has a comment.
    pub comment: bool,
    /// Requirements for tables with tenant data.
    pub tenant: Option<Tenant>,
    /// Requirements for log tables.
    pub logs: Option<Logs>,
    /// Naming rules.
    pub naming: Option<Naming>,
    /// Exceptions, each with a reason: `plans: { tenant: the price list is shared }`.
    pub except: Entries<Entries<Located<String>>>,
}

/// Every table belongs to a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Tenant {
    /// The tenant column.
    pub column: Option<Located<String>>,
    /// `enabled` or `forced`.
    pub row_level_security: Option<Located<String>>,
    /// Whether some index must begin with the column.
    pub index: bool,
}

/// Log tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Logs {
    /// Table names; `*` matches anything.
    pub tables: Vec<Located<String>>,
    /// The timestamp column.
    pub column: Option<Located<String>>,
}

/// Patterns for names: `snake_case`, or a text where `*` matches anything and `{table}` is the table's name.
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
