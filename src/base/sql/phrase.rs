//! [`Phrase`]: a slice of a statement's tokens with look-ups of words, names, lists and parentheses.
//!
//! It knows no grammar and rejects nothing.

use std::fmt;

use crate::sql::token::{self, Token, TokenKind};

/// A slice of the tokens of a text, without white space and comments.
#[derive(Clone, Copy)]
pub struct Phrase<'a> {
    source: &'a str,
    tokens: &'a [Token],
}

/// A name as PostgreSQL reads it: folded to lower case unless quoted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QualifiedName {
    /// Empty for `public` and where none is written.
    pub schema: String,
    pub name: String,
}

impl QualifiedName {
    pub fn new(schema: &str, name: &str) -> Self {
        let schema = if schema == "public" { "" } else { schema };
        QualifiedName {
            schema: schema.to_owned(),
            name: name.to_owned(),
        }
    }
}

impl fmt::Display for QualifiedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.schema.is_empty() {
            write!(f, "{}.", crate::sql::name::Ident::new(self.schema.as_str()))?;
        }
        write!(f, "{}", crate::sql::name::Ident::new(self.name.as_str()))
    }
}

/// Returns the tokens of a text without white space and comments.
pub fn read(text: &str) -> Vec<Token> {
    token::code(text).collect()
}

impl<'a> Phrase<'a> {
    pub fn new(source: &'a str, tokens: &'a [Token]) -> Self {
        Phrase { source, tokens }
    }

    /// Counts its tokens.
    pub fn len(self) -> usize {
        self.tokens.len()
    }

    pub fn is_empty(self) -> bool {
        self.tokens.is_empty()
    }

    /// Returns the source text of the whole slice.
    pub fn text(self) -> &'a str {
        match (self.tokens.first(), self.tokens.last()) {
            (Some(first), Some(last)) => &self.source[first.start..last.end],
            _ => "",
        }
    }

    /// Returns the byte offset of its first token in the source.
    pub fn start(self) -> usize {
        self.tokens.first().map_or(0, |token| token.start)
    }

    pub fn tokens(self) -> &'a [Token] {
        self.tokens
    }

    /// Returns the text of a token; empty past the end.
    pub fn at(self, index: usize) -> &'a str {
        self.tokens
            .get(index)
            .map_or("", |token| token.text(self.source))
    }

    pub fn kind(self, index: usize) -> Option<TokenKind> {
        self.tokens.get(index).map(|token| token.kind)
    }

    /// Returns whether the token at `index` is this keyword.
    pub fn is(self, index: usize, word: &str) -> bool {
        self.tokens
            .get(index)
            .is_some_and(|token| token.is_word(self.source, word))
    }

    /// Returns whether these keywords follow one another from `index` on.
    pub fn are(self, index: usize, words: &[&str]) -> bool {
        words
            .iter()
            .enumerate()
            .all(|(step, word)| self.is(index + step, word))
    }

    pub fn begins(self, words: &[&str]) -> bool {
        self.are(0, words)
    }

    /// Finds these keywords outside of parentheses.
    pub fn find(self, words: &[&str]) -> Option<usize> {
        let mut depth = 0_usize;
        for index in 0..self.tokens.len() {
            match self.tokens[index].kind {
                TokenKind::Open => depth += 1,
                TokenKind::Close => depth = depth.saturating_sub(1),
                _ if depth == 0 && self.are(index, words) => return Some(index),
                _ => {}
            }
        }
        None
    }

    /// Returns whether these keywords occur outside of parentheses.
    pub fn has(self, words: &[&str]) -> bool {
        self.find(words).is_some()
    }

    /// Returns whether these keywords occur anywhere, also inside of parentheses.
    pub fn contains(self, words: &[&str]) -> bool {
        (0..self.tokens.len()).any(|index| self.are(index, words))
    }

    pub fn from(self, index: usize) -> Phrase<'a> {
        self.range(index, self.tokens.len())
    }

    pub fn range(self, from: usize, until: usize) -> Phrase<'a> {
        let until = until.min(self.tokens.len());
        Phrase {
            source: self.source,
            tokens: &self.tokens[from.min(until)..until],
        }
    }

    /// Returns the tokens from `from` up to the first of these keywords outside of parentheses.
    pub fn until(self, from: usize, words: &[&str]) -> Phrase<'a> {
        let rest = self.from(from);
        let end = words
            .iter()
            .filter_map(|word| rest.find(&[word]))
            .min()
            .unwrap_or(rest.len());
        rest.range(0, end)
    }

    /// Returns the content of the parentheses that open at `index`, and the index after them.
    pub fn inside(self, index: usize) -> Option<(Phrase<'a>, usize)> {
        if self.kind(index) != Some(TokenKind::Open) {
            return None;
        }
        let mut depth = 0_usize;
        for at in index..self.tokens.len() {
            match self.tokens[at].kind {
                TokenKind::Open => depth += 1,
                TokenKind::Close => {
                    depth -= 1;
                    if depth == 0 {
                        return Some((self.range(index + 1, at), at + 1));
                    }
                }
                _ => {}
            }
        }
        Some((self.from(index + 1), self.tokens.len()))
    }

    /// Splits at the commas outside of parentheses and brackets.
    pub fn list(self) -> Vec<Phrase<'a>> {
        let mut parts = Vec::new();
        let mut depth = 0_usize;
        let mut from = 0;
        for (index, token) in self.tokens.iter().enumerate() {
            match (token.kind, token.text(self.source)) {
                (TokenKind::Open, _) | (_, "[") => depth += 1,
                (TokenKind::Close, _) | (_, "]") => depth = depth.saturating_sub(1),
                (TokenKind::Other, ",") if depth == 0 => {
                    parts.push(self.range(from, index));
                    from = index + 1;
                }
                _ => {}
            }
        }
        parts.push(self.from(from));
        parts.retain(|part| !part.is_empty());
        parts
    }

    /// Reads one part of a name at `index`.
    pub fn ident(self, index: usize) -> Option<String> {
        let text = self.at(index);
        match self.kind(index)? {
            TokenKind::Word => Some(text.to_ascii_lowercase()),
            TokenKind::QuotedName if text.starts_with('"') => {
                let inner = text.strip_prefix('"')?.strip_suffix('"')?;
                Some(inner.replace("\"\"", "\""))
            }
            _ => None,
        }
    }

    /// Reads a name with or without a schema at `index`, and returns the index after it.
    ///
    /// Of a name in three parts the last two count.
    pub fn name(self, index: usize) -> Option<(QualifiedName, usize)> {
        let mut parts = vec![self.ident(index)?];
        let mut at = index + 1;
        while self.at(at) == "."
            && let Some(part) = self.ident(at + 1)
        {
            parts.push(part);
            at += 2;
        }
        let name = parts.pop()?;
        let schema = parts.pop().unwrap_or_default();
        Some((QualifiedName::new(&schema, &name), at))
    }

    /// Skips these keywords if they are at `index`.
    pub fn skip(self, index: usize, words: &[&str]) -> usize {
        if self.are(index, words) {
            index + words.len()
        } else {
            index
        }
    }

    /// Reads the names of a list in parentheses at `index`: the columns of a constraint or an index.
    ///
    /// An expression in the list has no name and is returned as an empty string.
    pub fn columns(self, index: usize) -> Vec<String> {
        let Some((inside, _)) = self.inside(index) else {
            return Vec::new();
        };
        inside
            .list()
            .into_iter()
            .map(|part| match part.kind(1) {
                Some(TokenKind::Open) => String::new(),
                _ if part.at(1) == "." => String::new(),
                _ => part.ident(0).unwrap_or_default(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fold_unless_quoted() {
        let check = |text: &str, expected: &str| {
            let tokens = read(text);
            let (name, _) = Phrase::new(text, &tokens).name(0).unwrap();
            assert_eq!(name.to_string(), expected);
        };
        check("Orders", "orders");
        check("public.Orders x", "orders");
        check("App.\"Order\"\"s\"", "app.\"Order\"\"s\"");
        check("db.app.t", "app.t");
    }

    #[test]
    fn lists_and_parentheses_nest() {
        let text = "a int DEFAULT f(1, 2), b text[1,2], CHECK (a > 0)";
        let tokens = read(text);
        let phrase = Phrase::new(text, &tokens);
        let parts: Vec<&str> = phrase.list().iter().map(|part| part.text()).collect();
        assert_eq!(
            parts,
            ["a int DEFAULT f(1, 2)", "b text[1,2]", "CHECK (a > 0)"]
        );
        let check = phrase.list()[2];
        assert_eq!(check.inside(1).unwrap().0.text(), "a > 0");
        assert!(phrase.find(&["check"]).is_some());
        assert!(phrase.find(&["a", ">"]).is_none());
    }
}
