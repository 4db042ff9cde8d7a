//! Shared text without copies: a migration may have hundreds of megabytes.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Text that is shared, not copied.
///
/// Keeps the buffer of the `String` it is made from, which an `Arc<str>` would copy.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SharedText(Arc<String>);

/// Returns the part of a text between two byte offsets.
///
/// Offsets that are out of order, beyond the end or inside a character return a shorter part and never panic: offsets
/// computed from one text and used on another cost a wrong quotation, not the run.
pub fn part(text: &str, from: usize, until: usize) -> &str {
    let from = text.floor_char_boundary(from);
    let until = text.floor_char_boundary(until);
    text.get(from..until).unwrap_or_default()
}

impl From<String> for SharedText {
    fn from(text: String) -> Self {
        SharedText(Arc::new(text))
    }
}

impl From<&str> for SharedText {
    fn from(text: &str) -> Self {
        SharedText::from(text.to_owned())
    }
}

impl Deref for SharedText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SharedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_two_offsets_return_a_part() {
        let text = "a☃b";
        assert_eq!(part(text, 1, 4), "☃");
        assert_eq!(part(text, 2, 4), "☃");
        assert_eq!(part(text, 1, 3), "");
        assert_eq!(part(text, 4, 1), "");
        assert_eq!(part(text, 4, 99), "b");
        assert_eq!(part(text, 99, 200), "");
        assert_eq!(part("", 0, 1), "");
    }

    #[test]
    fn the_buffer_is_kept() {
        let text = String::from("SELECT 1");
        let buffer = text.as_ptr();
        let text = SharedText::from(text);
        assert_eq!(text.clone().as_ptr(), buffer);
    }
}
