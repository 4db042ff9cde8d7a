//! Checks that need the target's data: nulls under NOT NULL, duplicates under UNIQUE, rows that violate a foreign
//! key, a CHECK, partition bounds or a new type.
//!
//! They are derived by comparing the tables on the shadow database before and after a statement, independent of how the
//! statement is written, and run on the target by [`ask`], read-only and with a timeout.

mod ask;
mod derive;
mod table_shape;
mod tracker;

pub use self::ask::{RowCheckOutcome, RowCheckResult, ask};
pub(super) use self::table_shape::{ShapeParts, ShapeReader};
pub(super) use self::tracker::RowCheckTracker;

use serde::{Deserialize, Serialize};

use crate::sql::class::{Class, Object};
use crate::sql::phrase;

/// A question to the rows of the target, which decides whether a statement can succeed there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RowCheck {
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

/// Returns what a statement may change about what rows must be like; nothing where it asks nothing of them. Quick, because
/// it is asked of every statement.
pub(super) fn may_ask(class: Class, text: &str) -> Option<ShapeParts> {
    const ALL: ShapeParts = ShapeParts {
        constraints: true,
        uniques: true,
        bounds: true,
    };
    let says = |word: &str| text.to_ascii_lowercase().contains(word);
    match class {
        Class::Do | Class::Call | Class::Select | Class::Alter(Object::Domain) => Some(ALL),
        Class::CreateIndex { .. } => says("unique").then_some(ALL),
        // The rows of a default partition must fit next to a new one; nothing else asks of what was there before.
        Class::Create(Object::Table) => says("partition").then_some(ALL),
        Class::Alter(Object::Table) => {
            let tokens = phrase::read(text);
            let words = phrase::Phrase::new(text, &tokens);
            let any = |asking: &[&str]| asking.iter().any(|word| words.contains(&[word]));
            // Another type has all that hangs on the column recreated; a partition adopts what its parent has.
            if any(&["type", "attach", "partition"]) {
                return Some(ALL);
            }
            let parts = ShapeParts {
                constraints: any(&[
                    "check",
                    "foreign",
                    "references",
                    "exclude",
                    "validate",
                    "constraint",
                ]),
                uniques: any(&["unique", "primary", "constraint"]),
                bounds: false,
            };
            let asks = parts.constraints || parts.uniques || any(&["null"]);
            asks.then_some(parts)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::sql::classify;

    fn check(text: &str, expected: &str) {
        let parts = super::may_ask(classify::class(text), text);
        let told = parts.map_or("nothing".to_owned(), |parts| {
            let mut told = "columns".to_owned();
            for (part, name) in [
                (parts.constraints, " constraints"),
                (parts.uniques, " uniques"),
                (parts.bounds, " bounds"),
            ] {
                told.push_str(if part { name } else { "" });
            }
            told
        });
        assert_eq!(told, expected, "{text}");
    }

    #[test]
    fn only_changeable_parts_are_read() {
        check("ALTER TABLE t ADD COLUMN a int", "nothing");
        check("ALTER TABLE t ALTER a SET NOT NULL", "columns");
        check(
            "ALTER TABLE t ADD COLUMN a int PRIMARY KEY",
            "columns uniques",
        );
        check(
            "ALTER TABLE t ADD a int REFERENCES u",
            "columns constraints",
        );
        check(
            "ALTER TABLE t ADD CONSTRAINT u UNIQUE (a)",
            "columns constraints uniques",
        );
        check(
            "ALTER TABLE t ALTER a TYPE int",
            "columns constraints uniques bounds",
        );
        check(
            "ALTER TABLE p ATTACH PARTITION t DEFAULT",
            "columns constraints uniques bounds",
        );
        check("CREATE INDEX i ON t (a)", "nothing");
        check(
            "CREATE UNIQUE INDEX i ON t (a)",
            "columns constraints uniques bounds",
        );
        check("DO $$ BEGIN END $$", "columns constraints uniques bounds");
    }
}
