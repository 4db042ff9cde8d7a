//! Owns the questions that only rows can answer: nulls under NOT NULL, duplicates under UNIQUE, orphans under a foreign
//! key, rows a CHECK or a partition refuses, values that do not fit a type.
//!
//! They are found by comparing the tables on the shadow before and after a statement, so it does not matter how the
//! statement says it; they are asked of the target by [`ask`], read-only and bounded.

mod answer;
mod shape;
mod tell;

pub use self::answer::{Answer, Outcome, ask};
pub(super) use self::shape::{Reader, Shapes};

use serde::{Deserialize, Serialize};

use crate::sql::class::{Class, Object};
use crate::sql::phrase;

/// A question to the rows of the target, which decides whether a statement can succeed there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Question {
    /// The table.
    pub relation: String,
    /// What the statement would fail on, in words such as `rows where note is null`.
    pub about: String,
    /// The SQLSTATE it would fail with.
    pub sqlstate: String,
    /// The query whose answer says whether there are such rows; absent where asking is not possible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Why it cannot be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_asked: Option<String>,
}

/// Says whether a statement may ask anything of rows; quick, because it is asked of every statement.
pub(super) fn may_ask(class: Class, text: &str) -> bool {
    match class {
        Class::Do | Class::Call | Class::Select => true,
        Class::CreateIndex { .. } => text.to_ascii_lowercase().contains("unique"),
        // The rows of a default partition must fit beside a new one; nothing else asks of what was there before.
        Class::Create(Object::Table) => text.to_ascii_lowercase().contains("partition"),
        Class::Alter(Object::Table | Object::Domain) => {
            let tokens = phrase::read(text);
            let words = phrase::Phrase::new(text, &tokens);
            const ASKING: &[&str] = &[
                "null",
                "unique",
                "primary",
                "check",
                "foreign",
                "references",
                "type",
                "validate",
                "attach",
                "partition",
                "constraint",
                "exclude",
            ];
            ASKING.iter().any(|word| words.contains(&[word]))
        }
        _ => false,
    }
}
