//! Which table a statement names, and whether it deletes rows.

use crate::sql::class::{Class, Object};
use crate::sql::phrase;

/// Returns the bare name of the table whose shape a statement is about; nothing where it does not say.
pub(super) fn shaped(class: Class, text: &str) -> Option<String> {
    let tokens = phrase::read(text);
    let words = phrase::Phrase::new(text, &tokens);
    let at = match class {
        Class::Alter(Object::Table) => words.skip(words.skip(2, &["if", "exists"]), &["only"]),
        Class::CreateIndex { .. } => words.skip(words.find(&["on"])? + 1, &["only"]),
        _ => return None,
    };
    words.name(at).map(|(name, _)| name.name)
}

/// Whether a statement deletes rows, or its text has a part that does.
pub(super) fn deletes(class: Class, text: &str) -> bool {
    match class {
        Class::Delete => true,
        Class::Do => text.to_ascii_lowercase().contains("delete from"),
        Class::Merge | Class::Select | Class::Insert | Class::Update | Class::CreateTableAs => {
            let tokens = phrase::read(text);
            let words = phrase::Phrase::new(text, &tokens);
            words.contains(&["then", "delete"]) || words.contains(&["delete", "from"])
        }
        _ => false,
    }
}

/// Whether nothing limits which rows a statement deletes.
pub(super) fn deletes_all(class: Class, text: &str) -> bool {
    let tokens = phrase::read(text);
    let words = phrase::Phrase::new(text, &tokens);
    let unlimited = match words.find(&["where"]) {
        Some(at) => words.is(at + 1, "true") && words.len() <= at + 3,
        None => !words.has(&["using"]),
    };
    class == Class::Delete && unlimited
}

/// Returns the bare name of the table whose rows a statement writes.
pub(super) fn written(class: Class, text: &str) -> Option<String> {
    let tokens = phrase::read(text);
    let words = phrase::Phrase::new(text, &tokens);
    let at = match class {
        Class::Insert => words.find(&["insert", "into"])? + 2,
        Class::Merge => words.find(&["merge", "into"])? + 2,
        Class::Delete => words.skip(words.find(&["delete", "from"])? + 2, &["only"]),
        Class::Update => words.skip(words.find(&["update"])? + 1, &["only"]),
        Class::Copy { from_stdin: true } => 1,
        _ => return None,
    };
    words.name(at).map(|(name, _)| name.name)
}

#[cfg(test)]
mod tests {
    use crate::sql::classify;

    fn check(text: &str, deletes: bool) {
        assert_eq!(
            super::deletes(classify::class(text), text),
            deletes,
            "{text}"
        );
    }

    #[test]
    fn deletes_are_detected() {
        check("DELETE FROM t", true);
        check(
            "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE",
            true,
        );
        check(
            "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN UPDATE SET b = 1",
            false,
        );
        check(
            "WITH gone AS (DELETE FROM t RETURNING *) SELECT FROM gone",
            true,
        );
        check(
            "WITH gone AS (DELETE FROM t RETURNING *) INSERT INTO u SELECT * FROM gone",
            true,
        );
        check("INSERT INTO t VALUES ('delete from t')", false);
        check("UPDATE t SET deleted = true", false);
        check("DO $$ BEGIN DELETE FROM t; END $$", true);
    }
}
