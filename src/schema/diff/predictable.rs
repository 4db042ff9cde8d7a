//! Whether the effect of a difference's statements is predictable, or has to be tested on a shadow database.

use std::collections::BTreeSet;

use crate::catalog::{Key, Kind, Object};
use crate::diff::Change;
use crate::diff::ddl::Statement;

/// Returns whether each statement changes one differing object, and nothing else is created, dropped or changed.
///
/// Objects that are replaced because of others, partitions, inherited objects and changes without a statement
/// are not predictable.
pub fn is_predictable(changes: &[Change], statements: &[Statement]) -> bool {
    let changed: BTreeSet<&Key> = changes.iter().map(|change| &change.key).collect();
    let changed_by_statements: BTreeSet<&Key> = statements
        .iter()
        .map(|statement| &statement.about)
        .collect();
    changed_by_statements
        .iter()
        .all(|about| changed.contains(*about))
        && changes.iter().all(|change| {
            let sides = [&change.before, &change.after];
            let of_its_own = sides.into_iter().flatten().all(stands_alone);
            let in_place = change.before.is_none()
                || change.after.is_none()
                || changed_by_statements.contains(&change.key)
                    && !is_replaced(&change.key, statements);
            change.key.kind != Kind::Partition && of_its_own && in_place
        })
}

fn stands_alone(object: &Object) -> bool {
    ![
        "parent",
        "inherited",
        "inherits",
        "partition",
        "partition_by",
    ]
    .iter()
    .any(|fact| object.has(fact))
}

fn is_replaced(key: &Key, statements: &[Statement]) -> bool {
    let about = statements
        .iter()
        .filter(|statement| statement.about == *key);
    about.into_iter().any(|statement| {
        let sql = statement.sql.as_str();
        sql.starts_with("DROP ") || sql.contains(" DROP CONSTRAINT ") || sql.contains(" RENAME TO ")
    })
}
