//! Owns which table a statement says it is about; what it does there is not read from its text.

use crate::sql::class::{Class, Object};
use crate::sql::phrase;

/// Gives the bare name of the table whose shape a statement is about; nothing where it does not say.
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

/// Gives the bare name of the table whose rows a statement writes.
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
