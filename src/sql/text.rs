//! Owns a text that several hold and nobody copies: a migration may be hundreds of megabytes.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A text that is shared, not copied.
///
/// Made of a `String` it keeps that very buffer, which an `Arc<str>` would not.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Text(Arc<String>);

impl From<String> for Text {
    fn from(text: String) -> Self {
        Text(Arc::new(text))
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Text::from(text.to_owned())
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_is_kept() {
        let text = String::from("SELECT 1");
        let buffer = text.as_ptr();
        let text = Text::from(text);
        assert_eq!(text.clone().as_ptr(), buffer);
    }
}
