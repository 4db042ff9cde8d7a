//! Redacts secrets in SQL text before it leaves the program: in plans, reports, logs, the journal and error messages.
//!
//! A literal is a secret when the name it is assigned to looks like one, whatever its value. Where a statement
//! mentions a secret and its end is not certain, everything after the mention is redacted.

mod address;

use std::borrow::Cow;
use std::ops::Range;

use crate::sql::token::{self, Token, TokenKind};
use address::{address_spans, key_values};

/// The replacement of a secret.
const HIDDEN: &str = "'…'";

/// A name that contains one of these words is that of a secret.
const SECRET: &[&str] = &[
    "passw",
    "passphrase",
    "passcode",
    "pwd",
    "secret",
    "token",
    "credential",
    "apikey",
    "api_key",
    "accesskey",
    "access_key",
    "privatekey",
    "private_key",
    "signing_key",
    "encryption_key",
    "service_key",
    "account_key",
];

/// Exceptions: names that contain such a word and are no secrets.
const HARMLESS: &[&str] = &["password_encryption", "password_required", "passwordcheck"];

/// Words that end an assignment.
const ENDS: &[&str] = &[
    "where",
    "from",
    "and",
    "or",
    "returning",
    "then",
    "into",
    "on",
    "loop",
    "set",
];

/// The nesting limit of texts within texts.
const DEPTH: usize = 4;

/// Returns the text of statements with `'…'` in place of every secret.
pub fn statement(sql: &str) -> Cow<'_, str> {
    replaced(sql, &secrets(sql), HIDDEN)
}

/// Returns the start of a statement, redacted; what was cut off may have been the reason to redact something.
pub fn beginning(sql: &str) -> String {
    let shown = statement(sql);
    let open = token::tokens(&shown).find(|token| !token.closed);
    match open {
        Some(token) => format!("{}…", &shown[..token.start]),
        None => shown.into_owned(),
    }
}

/// Redacts a message of the server: messages quote statements, values and lines of code.
pub fn prose(text: &str) -> Cow<'_, str> {
    if !mentions(text) {
        return addresses(text);
    }
    // The server quotes statements in double quotes, which would hide their literals from the lexer.
    let plain = text.replace('"', " ");
    let mut found = find(&plain, Flavour::Prose, 0).spans;
    found.extend(key_values(text));
    match replaced(text, &merged(found), "…") {
        Cow::Borrowed(text) => addresses(text),
        Cow::Owned(text) => Cow::Owned(addresses(&text).into_owned()),
    }
}

/// Redacts a message of the server about a statement, including the secrets of that statement.
pub fn prose_about(text: &str, sql: &str) -> String {
    let mut text = prose(text).into_owned();
    for value in values(sql) {
        text = text.replace(&value, "…");
    }
    text
}

/// Finds the secrets of statements, in order and without overlaps.
pub fn secrets(sql: &str) -> Vec<Range<usize>> {
    if !may_hold_secret(sql) {
        return Vec::new();
    }
    merged(find(sql, Flavour::Sql, 0).spans)
}

/// Redacts the passwords in connection URLs and strings: `scheme://user:…@host`, `password=…`.
pub fn addresses(text: &str) -> Cow<'_, str> {
    let mut found = Vec::new();
    address_spans(text, &mut found);
    // Examples and placeholders of variables are no secrets.
    found.retain(|span| {
        let password = &text[span.clone()];
        !password.eq_ignore_ascii_case("password") && !password.starts_with("${")
    });
    replaced(text, &merged(found), "…")
}

/// Lists the secrets of a statement, as written and as read, the longest first.
fn values(sql: &str) -> Vec<String> {
    let mut values = Vec::new();
    for span in secrets(sql) {
        let text = &sql[span];
        for token in token::code(text) {
            let whole = token.text(text);
            let inner = token::content(whole, token);
            values.extend([whole, inner.trim_matches(['\'', '"'])].map(str::to_owned));
            values.push(inner.replace("''", "'"));
        }
        values.push(text.trim().to_owned());
    }
    // Shorter ones would redact parts of ordinary words.
    values.retain(|value| value.chars().count() >= 4 && *value != HIDDEN);
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    values.dedup();
    values
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flavour {
    Sql,
    /// A message of a server, in which an apostrophe need not open a literal.
    Prose,
}

#[derive(Default)]
struct Found {
    spans: Vec<Range<usize>>,
    /// The text builds a statement with a secret from parts, which may be anywhere in it.
    builds: bool,
}

struct Reader<'a> {
    sql: &'a str,
    flavour: Flavour,
    depth: usize,
    /// The tokens of one statement, without white space and comments.
    tokens: Vec<Token>,
    /// Which of them are redacted.
    hidden: Vec<bool>,
    /// Up to where every literal has been redacted, so that nothing is read twice.
    covered: usize,
    found: Found,
}

fn find(sql: &str, flavour: Flavour, depth: usize) -> Found {
    let mut reader = Reader {
        sql,
        flavour,
        depth,
        tokens: Vec::new(),
        hidden: Vec::new(),
        covered: 0,
        found: Found::default(),
    };
    for token in token::tokens(sql) {
        match token.kind {
            TokenKind::Semicolon => reader.end(token.start),
            TokenKind::LineComment | TokenKind::BlockComment => {
                let mut within = Vec::new();
                address_spans(token.text(sql), &mut within);
                within.extend(key_values(token.text(sql)));
                reader.found.spans.extend(shifted(within, token.start));
            }
            TokenKind::Space => {}
            _ => reader.tokens.push(token),
        }
    }
    reader.end(sql.len());
    reader.found
}

impl Reader<'_> {
    fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.text(self.sql))
    }

    fn kind(&self, at: usize) -> Option<TokenKind> {
        self.tokens.get(at).map(|token| token.kind)
    }

    fn is(&self, at: usize, word: &str) -> bool {
        self.tokens
            .get(at)
            .is_some_and(|token| token.is_word(self.sql, word))
    }

    fn is_text(&self, at: usize) -> bool {
        matches!(self.kind(at), Some(TokenKind::Text | TokenKind::DollarText))
    }

    /// Returns whether a token is a name that a secret is assigned to.
    fn names_secret(&self, at: usize) -> bool {
        match self.kind(at) {
            Some(TokenKind::Word) => is_secret(self.text(at)),
            Some(TokenKind::QuotedName) => {
                is_secret(&token::meaning(self.text(at), self.tokens[at]))
            }
            _ => false,
        }
    }

    fn hide(&mut self, at: usize) {
        if let Some(hidden) = self.hidden.get_mut(at) {
            *hidden = true;
        }
    }

    fn hide_texts(&mut self, range: Range<usize>) {
        for at in range {
            if self.is_text(at) {
                self.hide(at);
            }
        }
    }

    /// Redacts a literal with its continuation lines, and returns the index after it.
    fn hide_literal(&mut self, mut at: usize) -> usize {
        while self.is_text(at) {
            self.hide(at);
            at += 1;
        }
        at
    }

    /// Analyses the statement that ends here.
    fn end(&mut self, until: usize) {
        self.hidden = vec![false; self.tokens.len()];
        self.covered = 0;
        let earlier = self.found.spans.len();
        let roles = self.role_statement();
        let mut ambiguous = None;
        let mut building = false;
        let mut depth = 0_usize;
        for at in 0..self.tokens.len() {
            match self.kind(at) {
                Some(TokenKind::Text | TokenKind::DollarText) => {
                    building |= self.literal(at, depth > 0);
                    continue;
                }
                Some(TokenKind::Open) => depth += 1,
                Some(TokenKind::Close) => depth = depth.saturating_sub(1),
                _ => {}
            }
            if roles.is_some_and(|head| at > head) && self.is_bare_password(at) {
                ambiguous = ambiguous.or(Some(self.tokens[at + 1].start));
            }
            if self.names_secret(at) {
                self.given(at);
            }
            let calls =
                self.kind(at + 1) == Some(TokenKind::Open) && hides_arguments(self.text(at));
            if calls && at >= self.covered {
                let close = self.closing(at + 1);
                self.hide_texts(at + 2..close);
                self.covered = close;
            }
        }
        self.role_literals(roles);
        self.rows();
        if self.flavour == Flavour::Sql {
            ambiguous = self.torn(earlier).into_iter().chain(ambiguous).min();
        }
        if building {
            self.found.builds = true;
            let first = (0..self.tokens.len()).find(|at| self.is_text(*at));
            let first = first.map(|at| self.tokens[at].start);
            ambiguous = first.into_iter().chain(ambiguous).min();
        }
        self.found.spans.extend(ambiguous.map(|from| from..until));
        let hidden = self.tokens.iter().zip(&self.hidden);
        let hidden = hidden.filter(|(_, hidden)| **hidden);
        self.found
            .spans
            .extend(hidden.map(|(token, _)| token.start..token.end));
        self.tokens.clear();
    }

    /// Recognises a password without quotes.
    fn is_bare_password(&self, at: usize) -> bool {
        let fits = self.is_text(at + 1)
            || self.is(at + 1, "null")
            || self.kind(at + 1) == Some(TokenKind::Parameter);
        let given = self.flavour == Flavour::Sql && at + 1 < self.tokens.len();
        self.is(at, "password") && given && !fits
    }

    /// Finds `CREATE ROLE` and similar statements, in which every literal but a date may be a password.
    fn role_statement(&self) -> Option<usize> {
        (1..self.tokens.len()).find(|at| {
            let verb = self.is(at - 1, "create") || self.is(at - 1, "alter");
            let noun = ["role", "user", "group"]
                .iter()
                .any(|noun| self.is(*at, noun));
            verb && noun && !self.is(at + 1, "mapping")
        })
    }

    fn role_literals(&mut self, head: Option<usize>) {
        let Some(head) = head else { return };
        let set = (head..self.tokens.len()).find(|at| self.is(*at, "set"));
        let end = set.unwrap_or(self.tokens.len());
        for at in head..end {
            if self.is_text(at) && !self.is(at - 1, "until") {
                self.hide(at);
            }
        }
    }

    /// Redacts what is assigned to a secret name: directly, by an operator, by `TO` or as a default.
    fn given(&mut self, name: usize) {
        let mut at = name + 1;
        if name < self.covered {
            return;
        }
        if self.is_text(at) {
            self.hide_literal(at);
            return;
        }
        // `"app.secret"` and `app.secret.x` are one name; a type and a parenthesis may precede the value.
        let limit = at + 12;
        while at < limit {
            match self.kind(at) {
                Some(TokenKind::Operator) => break,
                Some(TokenKind::Word)
                    if self.is(at, "to") || self.is(at, "default") || self.is(at, "in") =>
                {
                    break;
                }
                Some(TokenKind::Word) if self.is(at, "is") => return,
                Some(
                    TokenKind::Word
                    | TokenKind::Other
                    | TokenKind::Close
                    | TokenKind::Number
                    | TokenKind::QuotedName,
                ) if self.text(at) != "," => {
                    at += 1;
                }
                Some(TokenKind::Open) if self.kind(at + 1) == Some(TokenKind::Number) => at += 2,
                _ => return,
            }
        }
        if at >= limit {
            return;
        }
        if self.is(at, "to") && self.assigns_setting(name) {
            for at in at + 1..self.tokens.len() {
                self.hide(at);
            }
            return;
        }
        let setting = self.text(at) == "=" && self.assigns_setting(name);
        self.hide_value(at + 1, setting);
    }

    /// Returns whether the name is a setting in `SET`, whose value need not be quoted.
    fn assigns_setting(&self, name: usize) -> bool {
        let mut at = name;
        while at > 0 && (self.text(at - 1) == "." || self.text(at) == ".") {
            at -= 1;
        }
        let before = at.checked_sub(1);
        let set = |at: usize| self.is(at, "set");
        let scope = |at: usize| self.is(at, "local") || self.is(at, "session");
        before.is_some_and(|at| set(at) || scope(at) && at > 0 && set(at - 1))
            && !self.is(0, "update")
    }

    fn hide_value(&mut self, from: usize, words_too: bool) {
        let end = self.value_end(from);
        for at in from..end {
            if words_too || self.is_text(at) {
                self.hide(at);
            }
        }
        self.covered = self.covered.max(end);
    }

    /// Finds the end of the expression that begins here.
    fn value_end(&self, from: usize) -> usize {
        let mut depth = 0_usize;
        for at in from..self.tokens.len() {
            match self.kind(at) {
                Some(TokenKind::Open) => depth += 1,
                Some(TokenKind::Close) if depth == 0 => return at,
                Some(TokenKind::Close) => depth -= 1,
                Some(TokenKind::Other) if depth == 0 && self.text(at) == "," => return at,
                Some(TokenKind::Word)
                    if depth == 0 && ENDS.iter().any(|word| self.is(at, word)) =>
                {
                    return at;
                }
                _ => {}
            }
        }
        self.tokens.len()
    }

    fn closing(&self, open: usize) -> usize {
        let mut depth = 0_usize;
        for at in open..self.tokens.len() {
            match self.kind(at) {
                Some(TokenKind::Open) => depth += 1,
                Some(TokenKind::Close) if depth <= 1 => return at,
                Some(TokenKind::Close) => depth -= 1,
                _ => {}
            }
        }
        self.tokens.len()
    }

    /// Redacts secrets inside a literal; returns whether the literal is part of a statement with a secret.
    fn literal(&mut self, at: usize, is_argument: bool) -> bool {
        let token = self.tokens[at];
        let whole = token.text(self.sql);
        let inner = token::content(whole, token);
        let offset = token.start + (inner.as_ptr() as usize - whole.as_ptr() as usize);
        if is_name(inner) && is_secret(inner) {
            // `set_config('app.secret', 'x', false)`, `jsonb_build_object('password', 'x')`, `row ->> 'token' = 'x'`.
            let named = is_argument && self.text(at + 1) == ","
                || self.kind(at + 1) == Some(TokenKind::Operator);
            if named && at >= self.covered {
                self.hide_value(at + 2, false);
            }
            return false;
        }
        if !may_hold_secret(inner) {
            return false;
        }
        if self.depth >= DEPTH {
            self.hide(at);
            return false;
        }
        if token.kind == TokenKind::DollarText {
            let within = find(inner, Flavour::Sql, self.depth + 1);
            if within.builds {
                self.found.spans.push(offset..offset + inner.len());
            } else {
                self.found.spans.extend(shifted(within.spans, offset));
            }
            return false;
        }
        let meant = token::meaning(whole, token);
        let mut within = key_values(&meant);
        address_spans(&meant, &mut within);
        let nested = find(&meant, Flavour::Sql, self.depth + 1);
        let body = !within.is_empty() || !nested.spans.is_empty();
        if body && meant == inner && nested.spans.is_empty() {
            self.found.spans.extend(shifted(within, offset));
        } else if body {
            self.hide(at);
        }
        let joined = self.text(at + 1) == "||" || self.text(at + 1) == ",";
        let trailing = meant.trim_end().trim_end_matches(['\'', '=', ' ']);
        let ends = joined && last_word(trailing).is_some_and(is_secret) && trailing.contains(' ');
        ends || nested.builds || builds(&meant)
    }

    /// Redacts the values of an INSERT into secret columns or into a table of secrets.
    fn rows(&mut self) {
        let into =
            (1..self.tokens.len()).find(|at| self.is(at - 1, "insert") && self.is(*at, "into"));
        let copy = (0..self.tokens.len()).find(|at| self.is(*at, "copy"));
        let Some(verb) = into.or(copy) else { return };
        let mut at = verb + 1;
        let mut secret_table = false;
        while matches!(self.kind(at), Some(TokenKind::Word | TokenKind::QuotedName))
            || self.text(at) == "."
        {
            let stops = self.is(at, "values")
                || self.is(at, "select")
                || self.is(at, "from")
                || self.is(at, "to");
            if stops {
                break;
            }
            secret_table |= self.names_secret(at);
            at += 1;
        }
        if secret_table {
            self.hide_texts(at..self.tokens.len());
            return;
        }
        if self.kind(at) != Some(TokenKind::Open) || self.is(at + 1, "select") {
            if into.is_some() {
                self.hide_random(at);
            }
            return;
        }
        let close = self.closing(at);
        let names = (at + 1..close).filter(|at| self.text(*at) != ",");
        let secret: Vec<bool> = names.map(|at| self.names_secret(at)).collect();
        if !secret.contains(&true) {
            return;
        }
        let values = (close..self.tokens.len()).find(|at| self.is(*at, "values"));
        let Some(values) = values else {
            self.hide_texts(close..self.tokens.len());
            return;
        };
        let (mut depth, mut column) = (0_usize, 0);
        for at in values + 1..self.tokens.len() {
            match self.kind(at) {
                Some(TokenKind::Open) => {
                    depth += 1;
                    if depth == 1 {
                        column = 0;
                    }
                }
                Some(TokenKind::Close) => depth = depth.saturating_sub(1),
                Some(TokenKind::Other) if depth == 1 && self.text(at) == "," => column += 1,
                Some(TokenKind::Text | TokenKind::DollarText)
                    if depth > 0 && secret.get(column).copied().unwrap_or(true) =>
                {
                    self.hide(at);
                }
                Some(TokenKind::Word) if depth == 0 => return,
                _ => {}
            }
        }
    }

    /// Redacts values that look random, where no column names them.
    fn hide_random(&mut self, from: usize) {
        for at in from..self.tokens.len() {
            let token = self.tokens[at];
            if self.is_text(at) && is_random(token::content(token.text(self.sql), token)) {
                self.hide(at);
            }
        }
    }

    /// Finds where a statement with a secret becomes unreadable: an unclosed quote, or a word that touches one.
    ///
    /// `earlier` is the number of spans of the statements before it.
    fn torn(&self, earlier: usize) -> Option<usize> {
        let count = self.tokens.len();
        let hidden = (0..count).find(|at| self.hidden[*at]);
        let hidden = hidden.map(|at| self.tokens[at].start);
        let within = self.found.spans[earlier..].iter().map(|span| span.start);
        let first = hidden.into_iter().chain(within).min();
        if self.tokens.iter().any(|token| !token.closed) {
            let named = (0..count).find(|at| self.names_secret(*at));
            let behind = named.and_then(|at| self.tokens.get(at + 1));
            return first
                .into_iter()
                .chain(behind.map(|token| token.start))
                .min();
        }
        let touches = |at: &usize| {
            let (left, right) = (self.tokens[*at], self.tokens[*at + 1]);
            let word = matches!(
                right.kind,
                TokenKind::Word | TokenKind::Number | TokenKind::Text | TokenKind::QuotedName
            );
            self.hidden[*at] && left.kind == TokenKind::Text && word && left.end == right.start
        };
        (0..count.saturating_sub(1)).find(touches).and(first)
    }
}

/// Returns whether a name looks like that of a secret.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let short = name.rsplit('.').next().unwrap_or(&name);
    !HARMLESS.contains(&short) && SECRET.iter().any(|word| name.contains(word))
}

/// Returns whether the arguments of a function are secrets: `vault.create_secret`, `crypt`, `pgp_sym_encrypt`.
fn hides_arguments(function: &str) -> bool {
    let name = function.to_ascii_lowercase();
    ["secret", "crypt", "passw"]
        .iter()
        .any(|word| name.contains(word))
        || ["hmac", "sign"].contains(&name.as_str())
}

/// A quick check; most statements contain no secret and need not be read.
fn mentions(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    // `U&"pa\0073sword"` is another spelling of a name.
    let more = ["crypt", "hmac", "sign(", "u&\""];
    let mut words = SECRET.iter().chain(&more);
    words.any(|word| memchr::memmem::find(lower.as_bytes(), word.as_bytes()).is_some())
}

fn may_hold_secret(text: &str) -> bool {
    let inserts = || {
        let mut words = text.split(|c: char| !c.is_ascii_alphabetic());
        words.any(|word| word.eq_ignore_ascii_case("insert"))
    };
    mentions(text) || text.contains("://") || mentions_role(text) || inserts()
}

/// Returns whether a value looks like a key or a token: one long word of letters and digits.
fn is_random(value: &str) -> bool {
    let value = value.trim_matches('\'');
    let any = |is: fn(&u8) -> bool| value.as_bytes().iter().any(is);
    let is_identifier =
        value.len() == 36 && value.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit());
    let is_word = value
        .bytes()
        .all(|b| b.is_ascii_graphic() && !b"{}<>@,:".contains(&b));
    let is_mixed = any(u8::is_ascii_uppercase) && any(u8::is_ascii_lowercase);
    let is_long = value.len() >= 20 && any(u8::is_ascii_alphabetic);
    is_word
        && !is_identifier
        && any(u8::is_ascii_digit)
        && value.len() >= 8
        && (is_mixed || is_long)
}

/// Returns whether a text may create or alter a role.
fn mentions_role(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    any(&["role", "user", "group"]) && any(&["create", "alter"])
}

/// Returns whether a text is a template for a secret: `… PASSWORD %L`, `… password=%s`.
fn builds(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    lower.match_indices('%').any(|(at, _)| {
        let before = lower[..at].trim_end_matches(['\'', '"', '=', ' ', '$']);
        last_word(before).is_some_and(is_secret)
    })
}

fn last_word(text: &str) -> Option<&str> {
    text.rsplit(|character: char| !character.is_alphanumeric() && character != '_')
        .next()
        .filter(|word| !word.is_empty())
}

fn is_name(text: &str) -> bool {
    let fits = |character: char| character.is_alphanumeric() || "_.-$".contains(character);
    !text.is_empty() && text.len() <= 128 && text.chars().all(fits)
}

fn shifted(spans: Vec<Range<usize>>, by: usize) -> impl Iterator<Item = Range<usize>> {
    spans
        .into_iter()
        .map(move |span| span.start + by..span.end + by)
}

fn merged(mut spans: Vec<Range<usize>>) -> Vec<Range<usize>> {
    spans.retain(|span| span.start < span.end);
    spans.sort_by_key(|span| (span.start, span.end));
    let mut merged: Vec<Range<usize>> = Vec::new();
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.start < last.end => last.end = last.end.max(span.end),
            _ => merged.push(span),
        }
    }
    merged
}

/// Replaces each span; a quoted literal stays quoted.
fn replaced<'a>(text: &'a str, spans: &[Range<usize>], sign: &str) -> Cow<'a, str> {
    if spans.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len());
    let mut at = 0;
    for span in spans {
        kept.push_str(&text[at..span.start]);
        let hidden = &text[span.clone()];
        let quoted = hidden.ends_with('\'') || hidden.ends_with('$');
        let whole = token::code(hidden)
            .all(|token| matches!(token.kind, TokenKind::Text | TokenKind::DollarText));
        kept.push_str(if quoted && whole { sign } else { "…" });
        at = span.end;
    }
    kept.push_str(&text[at..]);
    Cow::Owned(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Statements with their redacted form.
    const SHOWN: &[(&str, &str)] = &[
        (
            "CREATE ROLE a LOGIN PASSWORD 'geheim' NOINHERIT",
            "CREATE ROLE a LOGIN PASSWORD '…' NOINHERIT",
        ),
        (
            "ALTER ROLE a PASSWORD $q$geheim$q$",
            "ALTER ROLE a PASSWORD '…'",
        ),
        (
            "ALTER USER a ENCRYPTED PASSWORD E'gehe\\'im'",
            "ALTER USER a ENCRYPTED PASSWORD '…'",
        ),
        (
            "ALTER ROLE a PASSWORD U&'geh\\0065im' VALID UNTIL '2030-01-01'",
            "ALTER ROLE a PASSWORD '…' VALID UNTIL '2030-01-01'",
        ),
        (
            "ALTER ROLE a PASSWORD /* x */ 'ge'\n'heim'",
            "ALTER ROLE a PASSWORD /* x */ '…'\n'…'",
        ),
        (
            "CREATE ROLE a PASSWROD 'geheim'",
            "CREATE ROLE a PASSWROD '…'",
        ),
        (
            "CREATE ROLE a PASSWORD geheim LOGIN",
            "CREATE ROLE a PASSWORD …",
        ),
        (
            "CREATE ROLE a PASSWORD 'it's a geheim'",
            "CREATE ROLE a PASSWORD …",
        ),
        ("CREATE ROLE a PASSWORD 'geheim", "CREATE ROLE a PASSWORD …"),
        (
            "ALTER ROLE a SET app.jwt_secret = 'geheim'",
            "ALTER ROLE a SET app.jwt_secret = '…'",
        ),
        (
            "ALTER ROLE a SET app.jwt_secret TO geheim",
            "ALTER ROLE a SET app.jwt_secret TO …",
        ),
        (
            "ALTER DATABASE d SET \"app.settings.jwt_secret\" TO 'geheim'",
            "ALTER DATABASE d SET \"app.settings.jwt_secret\" TO '…'",
        ),
        (
            "SET LOCAL app.api_key = geheim",
            "SET LOCAL app.api_key = …",
        ),
        (
            "CREATE SUBSCRIPTION s CONNECTION 'host=h password=geheim user=u' PUBLICATION p",
            "CREATE SUBSCRIPTION s CONNECTION 'host=h password=… user=u' PUBLICATION p",
        ),
        (
            "ALTER SUBSCRIPTION s CONNECTION 'postgresql://u:geheim@h/d'",
            "ALTER SUBSCRIPTION s CONNECTION 'postgresql://u:…@h/d'",
        ),
        (
            "CREATE SUBSCRIPTION s CONNECTION 'password=''gehe im'' host=h'",
            "CREATE SUBSCRIPTION s CONNECTION '…'",
        ),
        (
            "CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'u', \"password\" 'geheim')",
            "CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'u', \"password\" '…')",
        ),
        (
            "ALTER SERVER s OPTIONS (SET secret_token 'geheim', ADD host 'h')",
            "ALTER SERVER s OPTIONS (SET secret_token '…', ADD host 'h')",
        ),
        (
            "ALTER SERVER s OPTIONS (SET U&\"p\\0061ssword\" 'geheim')",
            "ALTER SERVER s OPTIONS (SET U&\"p\\0061ssword\" '…')",
        ),
        (
            "SELECT dblink_connect('c', 'host=h password=geheim')",
            "SELECT dblink_connect('c', 'host=h password=…')",
        ),
        (
            "SELECT set_config('app.secret', 'geheim', false)",
            "SELECT set_config('app.secret', '…', false)",
        ),
        (
            "SELECT vault.create_secret('geheim', 'name')",
            "SELECT vault.create_secret('…', '…')",
        ),
        (
            "SELECT pgp_sym_encrypt(a, 'geheim') FROM t",
            "SELECT pgp_sym_encrypt(a, '…') FROM t",
        ),
        (
            "UPDATE u SET password = crypt('geheim', gen_salt('bf')) WHERE name = 'a'",
            "UPDATE u SET password = crypt('…', gen_salt('…')) WHERE name = 'a'",
        ),
        (
            "INSERT INTO u (name, password) VALUES ('a', 'geheim'), ('b', md5('geheim'))",
            "INSERT INTO u (name, password) VALUES ('a', '…'), ('b', md5('…'))",
        ),
        (
            "INSERT INTO u (name, password) SELECT 'a', 'geheim'",
            "INSERT INTO u (name, password) SELECT '…', '…'",
        ),
        (
            "INSERT INTO vault.secrets VALUES ('geheim')",
            "INSERT INTO vault.secrets VALUES ('…')",
        ),
        (
            "INSERT INTO keys VALUES (1, 'x'), (2, 'Zk9abcdefgh'), (3, E'aaaabbbbccccdddd1111')",
            "INSERT INTO keys VALUES (1, 'x'), (2, '…'), (3, '…')",
        ),
        (
            "DO $$ BEGIN INSERT INTO keys SELECT 1, 'Zk9abcdefgh'; END $$",
            "DO $$ BEGIN INSERT INTO keys SELECT 1, '…'; END $$",
        ),
        (
            "INSERT INTO t VALUES ('{\"password\": \"geheim\"}')",
            "INSERT INTO t VALUES ('{\"password\": …}')",
        ),
        (
            "CREATE TABLE t (api_key text DEFAULT 'geheim', a text DEFAULT 'b')",
            "CREATE TABLE t (api_key text DEFAULT '…', a text DEFAULT 'b')",
        ),
        (
            "DO $$ BEGIN CREATE ROLE a PASSWORD 'geheim'; END $$",
            "DO $$ BEGIN CREATE ROLE a PASSWORD '…'; END $$",
        ),
        (
            "DO $$ BEGIN EXECUTE 'CREATE ROLE a PASSWORD ''geheim'''; END $$",
            "DO $$ BEGIN EXECUTE '…'; END $$",
        ),
        (
            "DO $$ DECLARE p text := 'geheim'; BEGIN EXECUTE format('CREATE ROLE a PASSWORD %L', p); END $$",
            "DO $$…$$",
        ),
        (
            "DO $$ BEGIN EXECUTE 'ALTER ROLE a PASSWORD ' || quote_literal('geheim'); END $$",
            "DO $$…$$",
        ),
        (
            "SELECT format('CREATE ROLE a PASSWORD %L', 'geheim')",
            "SELECT format(…",
        ),
        (
            "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'ALTER ROLE a PASSWORD ''geheim'''",
            "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS '…'",
        ),
        (
            "SELECT 1 -- password: geheim\n",
            "SELECT 1 -- password: …\n",
        ),
    ];

    #[test]
    fn secrets_of_statements_are_redacted() {
        for (sql, shown) in SHOWN {
            assert_eq!(statement(sql), *shown, "{sql}");
            assert!(!statement(sql).contains("heim"), "{sql}");
        }
    }

    #[test]
    fn text_without_secrets_is_unchanged() {
        for sql in [
            "SELECT 'password', 'größe'",
            "ALTER TABLE u ADD COLUMN password text NOT NULL",
            "CREATE INDEX ON tokens (token)",
            "CREATE ROLE a LOGIN VALID UNTIL '2030-01-01'",
            "ALTER ROLE a SET search_path = 'app'",
            "SET password_encryption = 'scram-sha-256'",
            "COMMENT ON COLUMN u.token IS 'of the session'",
            "CREATE ROLE a PASSWORD NULL",
            "INSERT INTO u (name, note) VALUES ('a', 'b')",
            "INSERT INTO u VALUES ('NL', 'Netherlands', '2026-01-01T00:00:00Z', 'a@B1.example.com', 'https://a.B1/c')",
            "INSERT INTO u VALUES ('3f2504e0-4f89-11d3-9a0c-0305e82c3301', 'A sentence of 9 words', 'Amsterdam')",
            "CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'u')",
            "SELECT 'https://example.com:8080/a'",
        ] {
            assert_eq!(statement(sql), sql);
        }
    }

    #[test]
    fn server_messages_are_redacted() {
        for (said, shown) in [
            (
                "password authentication failed for user \"app\"",
                "password authentication failed for user \"app\"",
            ),
            (
                "SQL statement \"CREATE ROLE x PASSWORD 'geheim' BAD\"\nPL/pgSQL function f() line 3",
                "SQL statement \"CREATE ROLE x PASSWORD … BAD\"\nPL/pgSQL function f() line 3",
            ),
            (
                "Key (password)=(geheim) already exists.",
                "Key (password)=… already exists.",
            ),
            (
                "could not connect: host=h password=geheim user=u",
                "could not connect: host=h password=… user=u",
            ),
            (
                "invalid \"postgres://a:geheim@h/d\"",
                "invalid \"postgres://a:…@h/d\"",
            ),
        ] {
            assert_eq!(prose(said), shown);
        }
        let sql = "CREATE ROLE a PASSWORD geheim";
        assert_eq!(
            prose_about("syntax error at or near \"geheim\"", sql),
            "syntax error at or near \"…\""
        );
        let sql = "INSERT INTO u (name, password) VALUES (NULL, 'geheim')";
        assert_eq!(
            prose_about("Failing row contains (null, geheim).", sql),
            "Failing row contains (null, …)."
        );
    }

    #[test]
    fn connection_urls_are_redacted() {
        for (text, shown) in [
            ("postgres://u:geheim@h:5432/d", "postgres://u:…@h:5432/d"),
            (
                "`postgres://u:ge/h@e?im@h/d` is wrong",
                "`postgres://u:…@h/d` is wrong",
            ),
            (
                "no environment `postgres://u:ge heim@h/d` here",
                "no environment `postgres://u:…@h/d` here",
            ),
            ("postgres://u:geheim", "postgres://u:…"),
            (
                "`postgres://u:geheim@x y@h/d` is no environment",
                "`postgres://u:…@h/d` is no environment",
            ),
            ("postgres://u:p@h/d and mail a@b", "postgres://u:…@b"),
            (
                "see postgres://u:p@h/d and postgres://u:p@i/d",
                "see postgres://u:…@h/d and postgres://u:…@i/d",
            ),
            (
                "postgres://h/d?user=u&password=geheim&sslmode=disable",
                "postgres://h/d?user=u&password=…&sslmode=disable",
            ),
            (
                "host=h password='ge heim' user=u",
                "host=h password=… user=u",
            ),
            ("host=h password = geheim", "host=h password = …"),
            ("u:geheim@db.example.com/d", "u:…@db.example.com/d"),
        ] {
            assert_eq!(addresses(text), shown);
        }
        for text in [
            "postgres://u@h:5432/d",
            "use the form postgres://user:password@host:5432/database",
            "postgres://u:${PGPASSWORD}@h/d",
            "https://example.com:8080/a",
            "http://[::1]:80/",
            "mail a@b.example at 12:30",
            "SELECT password FROM u",
        ] {
            assert_eq!(addresses(text), text);
        }
    }

    #[test]
    fn a_cut_off_statement_is_still_redacted() {
        assert_eq!(
            beginning("CREATE ROLE a PASSWORD 'gehe"),
            "CREATE ROLE a PASSWORD …"
        );
        assert_eq!(beginning("DO $$ DECLARE p text := 'geheim'; BEG"), "DO …");
        assert_eq!(beginning("SELECT 1"), "SELECT 1");
    }

    proptest! {
        #[test]
        fn any_text_can_be_redacted(text in r#"(\PC|[-'"$;/*\\eEuU&(). \n=:@%]|password|CREATE ROLE|://|\$\$){0,40}"#) {
            let _ = statement(&text);
            let _ = prose(&text);
            let _ = addresses(&text);
            let _ = values(&text);
        }
    }
}
