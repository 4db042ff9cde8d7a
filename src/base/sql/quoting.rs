//! Tracks `standard_conforming_strings` through the statements of a text, so that each is read as the server reads it.
//!
//! Only explicit statements are recognised: `SET`, `RESET` and `set_config`, not the effects of a function.

use crate::sql::class::Class;
use crate::sql::token::{self, Quoting, Token, TokenKind};

/// The value of the setting after the statements read so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct QuotingState {
    /// After the end of the transaction.
    lasting: Quoting,
    /// Until the end of the transaction.
    local: Option<Quoting>,
    /// Before a transaction that the text itself begins.
    before: Option<Quoting>,
}

const NAME: &str = "standard_conforming_strings";

impl QuotingState {
    /// Returns how the next statement is read.
    pub(super) fn quoting(self) -> Quoting {
        self.local.unwrap_or(self.lasting)
    }

    pub(super) fn ran(&mut self, class: Class, text: &str) {
        match class {
            Class::Begin => {
                self.before.get_or_insert(self.lasting);
            }
            Class::Commit | Class::Rollback => {
                let before = self.before.take();
                self.local = None;
                if class == Class::Rollback {
                    self.lasting = before.unwrap_or(self.lasting);
                }
            }
            Class::Set { .. } | Class::Reset => self.set(text),
            Class::Select if mentions(text) => self.call(text),
            _ => {}
        }
    }

    fn change(&mut self, to: Quoting, local: bool) {
        if local {
            self.local = Some(to);
        } else {
            self.lasting = to;
            self.local = None;
        }
    }

    /// `SET [SESSION | LOCAL] name {= | TO} value`, `RESET name`, `RESET ALL`, `DISCARD ALL`.
    fn set(&mut self, text: &str) {
        let mut words = token::code_in(text, self.quoting()).take(6);
        let Some(first) = words.next() else { return };
        let Some(mut name) = words.next() else { return };
        if !first.is_word(text, "set") {
            if name.is_word(text, "all") || is_setting(name, text) {
                self.change(Quoting::Standard, false);
            }
            return;
        }
        let local = name.is_word(text, "local");
        if local || name.is_word(text, "session") {
            let Some(next) = words.next() else { return };
            name = next;
        }
        if !is_setting(name, text) {
            return;
        }
        let value = words.nth(1).and_then(|value| value_of(value, text));
        if let Some(to) = value {
            self.change(to, local);
        }
    }

    /// `set_config('standard_conforming_strings', 'off', false)`, wherever it is called.
    fn call(&mut self, text: &str) {
        let tokens: Vec<Token> = token::code_in(text, self.quoting()).collect();
        for call in tokens.windows(7) {
            let is_call = call[0].is_word(text, "set_config")
                && call[1].kind == TokenKind::Open
                && inner(call[2], text).eq_ignore_ascii_case(NAME);
            if let (true, Some(to)) = (is_call, value_of(call[4], text)) {
                let local = truth(inner(call[6], text)) != Some(false);
                self.change(to, local);
            }
        }
    }
}

fn mentions(text: &str) -> bool {
    let (text, name) = (text.as_bytes(), NAME.as_bytes());
    memchr::memchr2_iter(b's', b'S', text).any(|at| {
        text.get(at..at + name.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(name))
    })
}

fn is_setting(name: Token, text: &str) -> bool {
    matches!(name.kind, TokenKind::Word | TokenKind::QuotedName)
        && inner(name, text).eq_ignore_ascii_case(NAME)
}

/// Returns a token's text without its quotes.
fn inner(token: Token, text: &str) -> &str {
    let written = token.text(text);
    match token.kind {
        TokenKind::Text | TokenKind::QuotedName => {
            let opened = written.trim_start_matches(['e', 'E', 'n', 'N', 'u', 'U', '&']);
            opened.trim_matches(['\'', '"'])
        }
        TokenKind::DollarText => written.trim_matches('$'),
        _ => written,
    }
}

fn value_of(value: Token, text: &str) -> Option<Quoting> {
    if value.is_word(text, "default") {
        return Some(Quoting::Standard);
    }
    truth(inner(value, text)).map(|on| {
        if on {
            Quoting::Standard
        } else {
            Quoting::Backslash
        }
    })
}

/// Parses a boolean as PostgreSQL does: any unambiguous prefix.
fn truth(word: &str) -> Option<bool> {
    let word = word.to_ascii_lowercase();
    let is = |full: &str, least: usize| word.len() >= least && full.starts_with(&word);
    if word == "1" || is("true", 1) || is("yes", 1) || is("on", 2) {
        Some(true)
    } else if word == "0" || is("false", 1) || is("no", 1) || is("off", 2) {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::sql::split::split;

    #[test]
    fn the_setting_applies_to_the_next_literal() {
        // Read with backslashes, `\'; ` belongs to the literal and there is one statement more with it.
        let check = |before: &str, backslash: bool| {
            let text = format!("{before};\nSELECT 'a\\';b';\n");
            let found = split(&text);
            let is_last = found
                .last()
                .is_some_and(|last| last.text == "SELECT 'a\\';b'");
            assert_eq!(is_last, backslash, "{before}: {found:#?}");
        };
        for off in [
            "SET standard_conforming_strings = off",
            "set Standard_Conforming_Strings to OFF",
            "SET SESSION standard_conforming_strings = 'off'",
            "SET LOCAL standard_conforming_strings = 0",
            "SET \"standard_conforming_strings\" = f",
            "SET /* x */ standard_conforming_strings TO no",
            "SELECT set_config('standard_conforming_strings', 'off', false)",
            "SELECT pg_catalog.set_config('STANDARD_conforming_strings', 'false', true)",
            "BEGIN; SET standard_conforming_strings = off; COMMIT",
            "SET standard_conforming_strings = off; BEGIN; SET standard_conforming_strings = on; ROLLBACK",
            "SET standard_conforming_strings = off; RESET search_path",
        ] {
            check(off, true);
        }
        for on in [
            "SELECT 1",
            "SET standard_conforming_strings = on",
            "SET standard_conforming_strings = off; SET standard_conforming_strings = true",
            "SET standard_conforming_strings = off; RESET standard_conforming_strings",
            "SET standard_conforming_strings = off; RESET ALL",
            "SET standard_conforming_strings = off; SET standard_conforming_strings TO DEFAULT",
            "SET standard_conforming_strings = off; DISCARD ALL",
            "BEGIN; SET LOCAL standard_conforming_strings = off; COMMIT",
            "BEGIN; SET standard_conforming_strings = off; ROLLBACK",
            "SET escape_string_warning = off",
            "SELECT 'SET standard_conforming_strings = off'",
            "-- SET standard_conforming_strings = off;\nSELECT 1",
            "SET standard_conforming_strings = maybe",
        ] {
            check(on, false);
        }
    }
}
