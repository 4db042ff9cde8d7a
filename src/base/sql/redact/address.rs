//! Finds the passwords in connection URLs and the values of `password=…` in any text.

use std::ops::Range;

use super::{HIDDEN, is_secret, last_word};

/// Finds the passwords in connection URLs.
pub(super) fn address_spans(text: &str, found: &mut Vec<Range<usize>>) {
    let mut covered = 0;
    for (at, _) in text.match_indices("://") {
        if at < covered {
            continue;
        }
        let from = at + 3;
        let rest = &text[from..];
        let run = rest
            .find(char::is_whitespace)
            .unwrap_or(rest.len())
            .max(quoted_end(text, at).map_or(0, |end| end.saturating_sub(from)));
        covered = from + run;
        let colon = rest[..run].find(':');
        let host = rest[..run].rfind('@').or_else(|| {
            colon?;
            rest[..near_end(rest).max(run)].rfind('@')
        });
        match (colon, host) {
            (Some(colon), Some(host)) if colon < host => {
                found.push(from + colon + 1..from + host);
                covered = covered.max(from + host);
            }
            (Some(colon), None) => {
                let port = &rest[colon + 1..run];
                let end = port.find(['/', '?', '\'', '"', '`', ',', ')']);
                let port = &port[..end.unwrap_or(port.len())];
                let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
                if !rest.starts_with('[') && !is_port {
                    found.push(from + colon + 1..from + colon + 1 + port.len());
                }
            }
            _ => {}
        }
    }
    bare_addresses(text, found);
    let keys = key_values(text).into_iter();
    found.extend(keys.filter(|value| is_connection_key(text, value.start)));
}

/// The search window around an `@` or a `(`, which keeps the run time linear in the length of the text.
const NEAR: usize = 256;

/// Finds the end of a URL in quotes or of one that is the whole text: its password may contain spaces.
fn quoted_end(text: &str, scheme_end: usize) -> Option<usize> {
    let is_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || b"+.-".contains(byte);
    let before = text.as_bytes()[..scheme_end].iter().rev();
    let start = scheme_end - before.take(NEAR).take_while(|byte| is_scheme(byte)).count();
    let rest = &text[scheme_end..];
    let near = scheme_end + near_end(rest);
    match text[..start].chars().next_back() {
        None => Some(near),
        Some(quote @ ('`' | '\'' | '"')) => {
            let end = text[scheme_end..near].find(quote)?;
            Some(scheme_end + end)
        }
        Some(_) => None,
    }
}

fn near_end(text: &str) -> usize {
    let near = text.char_indices().take(NEAR);
    let line = near.clone().find(|(_, character)| *character == '\n');
    let end = line.or_else(|| text.char_indices().nth(NEAR));
    end.map_or(text.len(), |(at, _)| at)
}

/// Finds `user:password@host` without a scheme.
fn bare_addresses(text: &str, found: &mut Vec<Range<usize>>) {
    for (at, _) in text.match_indices('@') {
        let mut start = at;
        for (before, character) in text[..at].char_indices().rev().take(NEAR) {
            if character.is_whitespace() || "'\"`(".contains(character) {
                break;
            }
            start = before;
        }
        let user = &text[start..at];
        let host = &text[at + 1..];
        let is_name = |character: char| character.is_alphanumeric() || "-.".contains(character);
        let is_host = host.starts_with(is_name) && !host.starts_with("sha256");
        let Some(colon) = user.find(':').filter(|_| is_host && !user.contains("://")) else {
            continue;
        };
        if colon > 0 && colon + 1 < user.len() && user.as_bytes()[colon + 1] != b':' {
            found.push(start + colon + 1..at);
        }
    }
}

/// Returns whether a value belongs to a key of a connection string, not of a statement.
fn is_connection_key(text: &str, value: usize) -> bool {
    let key = text[..value].trim_end().trim_end_matches(['=', ' ']);
    last_word(key).is_some_and(|key| {
        [
            "password",
            "sslpassword",
            "passwd",
            "pwd",
            "passphrase",
            "pass",
            "pgpassword",
        ]
        .contains(&key.to_ascii_lowercase().as_str())
    }) && text[..value].trim_end().ends_with('=')
}

/// Finds the values of `password=…`, `"password": "…"` and `Key (password)=(…)`.
pub(super) fn key_values(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let bytes = text.as_bytes();
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
    let mut covered = 0;
    for at in memchr::memchr2_iter(b'=', b':', bytes) {
        if at < covered {
            continue;
        }
        let mut end = at;
        while end > 0
            && (bytes[end - 1] == b' ' || bytes[end - 1] == b'"' || bytes[end - 1] == b'\'')
        {
            end -= 1;
        }
        let key = if end > 0 && bytes[end - 1] == b')' {
            let open = bytes[..end]
                .iter()
                .rev()
                .take(NEAR)
                .position(|byte| *byte == b'(');
            open.map_or(end, |back| end - back - 1)..end
        } else {
            let mut start = end;
            while start > 0 && is_word(bytes[start - 1]) {
                start -= 1;
            }
            start..end
        };
        let secret = text.get(key).is_some_and(is_secret);
        let doubled = matches!(bytes.get(at + 1), Some(b':' | b'=' | b'>' | b'/'));
        if !secret || doubled || text[..end].ends_with(':') {
            continue;
        }
        if let Some(value) = value_at(text, at + 1) {
            covered = value.end;
            found.push(value);
        }
    }
    found
}

/// Finds the value that begins here: quoted, or up to the next white space or punctuation.
fn value_at(text: &str, from: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let mut start = from;
    while bytes.get(start) == Some(&b' ') {
        start += 1;
    }
    let end = match bytes.get(start)? {
        quote @ (b'\'' | b'"') => {
            let mut at = start + 1;
            loop {
                match bytes.get(at) {
                    None => break at.min(bytes.len()),
                    Some(b'\\') => at += 2,
                    Some(byte) if byte == quote && bytes.get(at + 1) == Some(quote) => at += 2,
                    Some(byte) if byte == quote => break at + 1,
                    Some(_) => at += 1,
                }
            }
        }
        b'(' => text[start..]
            .find(") ")
            .map_or(text.len(), |length| start + length + 1),
        b'$' | b'%' | b'\n' => return None,
        _ => {
            let stops = |byte: &u8| byte.is_ascii_whitespace() || b"&'\"`;".contains(byte);
            start
                + bytes[start..]
                    .iter()
                    .position(stops)
                    .unwrap_or(bytes.len() - start)
        }
    };
    let value = text.get(start..end)?;
    let nothing = value.is_empty() || value == HIDDEN || value.starts_with('…');
    (!nothing).then_some(start..end)
}
