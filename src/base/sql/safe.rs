//! [`Sql`]: text that may be executed, assembled only from static parts, quoted names and literals, or text of a known
//! origin.

use std::fmt;

use crate::sql::name::{Ident, Literal, ObjectName};

/// Text that may be sent to a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sql(String);

/// What may be inserted into a template: values that quote themselves, or text of a known origin.
pub trait SqlPart: Sync {
    fn write(&self, into: &mut String);
}

impl Sql {
    /// Takes a statement written in this source code.
    pub fn new(text: &'static str) -> Self {
        Sql(text.to_owned())
    }

    /// Replaces each `{}` of a template by the parts in order.
    ///
    /// # Panics
    ///
    /// When the numbers of placeholders and parts differ, which is a mistake in this source code.
    pub fn fill(template: &'static str, pieces: &[&dyn SqlPart]) -> Self {
        let mut text = String::with_capacity(template.len() + 32 * pieces.len());
        let mut parts = template.split("{}");
        text.push_str(parts.next().unwrap_or_default());
        let mut pieces = pieces.iter();
        for part in parts {
            let piece = pieces
                .next()
                .expect("a template has a part for each placeholder");
            piece.write(&mut text);
            text.push_str(part);
        }
        assert!(
            pieces.next().is_none(),
            "a template has a placeholder for each part"
        );
        Sql(text)
    }

    /// Takes text printed by PostgreSQL itself: an expression, a type, a definition.
    pub fn printed_by_server(text: impl Into<String>) -> Self {
        Sql(text.into())
    }

    /// Takes text written by the user to be executed: a migration, a policy, a query.
    pub fn written_by_user(text: impl Into<String>) -> Self {
        Sql(text.into())
    }

    pub fn join<P: SqlPart>(pieces: impl IntoIterator<Item = P>, separator: &'static str) -> Self {
        let mut text = String::new();
        for (index, piece) in pieces.into_iter().enumerate() {
            if index > 0 {
                text.push_str(separator);
            }
            piece.write(&mut text);
        }
        Sql(text)
    }

    pub fn push(&mut self, text: &'static str) -> &mut Self {
        self.0.push_str(text);
        self
    }

    pub fn piece(&mut self, piece: &dyn SqlPart) -> &mut Self {
        piece.write(&mut self.0);
        self
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Sql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl SqlPart for Sql {
    fn write(&self, into: &mut String) {
        into.push_str(&self.0);
    }
}

impl<P: SqlPart + ?Sized> SqlPart for &P {
    fn write(&self, into: &mut String) {
        (**self).write(into);
    }
}

impl SqlPart for Ident {
    fn write(&self, into: &mut String) {
        into.push_str(&self.to_string());
    }
}

impl SqlPart for ObjectName {
    fn write(&self, into: &mut String) {
        into.push_str(&self.to_string());
    }
}

impl SqlPart for Literal {
    fn write(&self, into: &mut String) {
        into.push_str(&self.to_string());
    }
}

impl SqlPart for i64 {
    fn write(&self, into: &mut String) {
        into.push_str(&self.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_in_order() {
        let sql = Sql::fill(
            "ALTER TABLE {} RENAME TO {}",
            &[&ObjectName::new("public", "Old"), &Ident::new("new")],
        );
        assert_eq!(sql.as_str(), "ALTER TABLE public.\"Old\" RENAME TO new");
    }

    #[test]
    fn pieces_join() {
        let list = Sql::join([Ident::new("a"), Ident::new("B")], ", ");
        assert_eq!(list.as_str(), "a, \"B\"");
    }
}
