//! Splits a connection URL or a `keyword=value` string into pairs.
//!
//! A password may contain any character and people paste them unencoded, so any part of a malformed URL may be part of
//! one: no message here repeats what could not be parsed.

use anyhow::Result;

use crate::error::{Failure, fail};

type Pair = (String, String);

const EXAMPLE: &str = "use the form postgres://user:password@host:5432/database";
const ENCODE: &str = "percent-encode these characters in the password: / as %2F, @ as %40, : as %3A, ? as %3F, # as %23, % as %25";

/// Splits into keywords and values.
pub(super) fn pairs(text: &str) -> Result<Vec<Pair>> {
    let text = text.trim();
    for scheme in ["postgres://", "postgresql://"] {
        if let Some(rest) = text.strip_prefix(scheme) {
            return Ok(url(rest)?);
        }
    }
    if let Some(scheme) = foreign_scheme(text) {
        return Err(fail(format!(
            "the connection URL begins with `{scheme}`, which is not PostgreSQL"
        ))
        .hint(EXAMPLE)
        .into());
    }
    if !text.is_empty() && !text.contains('=') {
        return Err(fail(
            "the database is given neither as a connection URL nor as keyword=value pairs",
        )
        .hint(EXAMPLE)
        .into());
    }
    Ok(keywords(text)?)
}

fn foreign_scheme(text: &str) -> Option<&str> {
    let end = text.find("://")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | ':');
    // Longer than any real scheme: more likely a password.
    (end <= 16 && text[..end].chars().all(plain)).then(|| &text[..end + 3])
}

fn url(rest: &str) -> Result<Vec<Pair>, Failure> {
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
    if path.contains('@') {
        return Err(fail(
            "the password in the connection URL contains an unencoded special character",
        )
        .hint(ENCODE));
    }
    let mut pairs = Vec::new();
    let hosts = match authority.rsplit_once('@') {
        Some((login, hosts)) => {
            let (user, password) = match login.split_once(':') {
                Some((user, password)) => (user, Some(password)),
                None => (login, None),
            };
            if !user.is_empty() {
                pairs.push(("user".to_owned(), decode(user)?));
            }
            if let Some(password) = password.filter(|password| !password.is_empty()) {
                pairs.push(("password".to_owned(), decode(password)?));
            }
            hosts
        }
        None => authority,
    };
    pairs.extend(host_list(hosts)?);
    let database = decode(path.strip_prefix('/').unwrap_or(path))?;
    if !database.is_empty() {
        pairs.push(("dbname".to_owned(), database));
    }
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let Some((key, value)) = part.split_once('=') else {
            return Err(
                fail("a parameter after the `?` of the connection URL has no value").hint(ENCODE),
            );
        };
        if key.contains('@') || value.contains('@') && !authority.contains('@') {
            return Err(fail(
                "the password in the connection URL contains an unencoded special character",
            )
            .hint(ENCODE));
        }
        replace(&mut pairs, decode(key)?, decode(value)?);
    }
    Ok(pairs)
}

fn replace(pairs: &mut Vec<Pair>, key: String, value: String) {
    // As in libpq, a parameter overrides the same part of the URL.
    pairs.retain(|(known, _)| *known != key);
    pairs.push((key, value));
}

fn host_list(hosts: &str) -> Result<Vec<Pair>, Failure> {
    if hosts.is_empty() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    let mut ports = Vec::new();
    for host in hosts.split(',') {
        let (name, port) = match host.strip_prefix('[') {
            Some(literal) => {
                let Some((name, after)) = literal.split_once(']') else {
                    return Err(fail(
                        "an IPv6 address in the connection URL has no closing bracket",
                    )
                    .hint("use the form postgres://user@[2001:db8::1]:5432/database"));
                };
                (name, after.strip_prefix(':').unwrap_or(after))
            }
            None => host.split_once(':').unwrap_or((host, "")),
        };
        names.push(decode(name)?);
        ports.push(port.to_owned());
    }
    let mut pairs = vec![("host".to_owned(), names.join(","))];
    if ports.iter().any(|port| !port.is_empty()) {
        pairs.push(("port".to_owned(), ports.join(",")));
    }
    Ok(pairs)
}

fn decode(text: &str) -> Result<String, Failure> {
    let broken = || {
        fail("a percent sign in the connection URL is not followed by two hexadecimal digits")
            .hint(ENCODE)
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first != b'%' {
            bytes.push(first);
            rest = after;
            continue;
        }
        let digits = after.get(..2).ok_or_else(broken)?;
        let digit = |byte: u8| char::from(byte).to_digit(16).ok_or_else(broken);
        let value = digit(digits[0])? * 16 + digit(digits[1])?;
        // Two hexadecimal digits always fit.
        bytes.push(u8::try_from(value).unwrap_or_default());
        rest = &after[2..];
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| fail("the percent-decoded connection URL is not UTF-8"))?;
    if text.contains('\0') {
        return Err(fail("the connection URL contains a zero byte"));
    }
    Ok(text)
}

fn keywords(text: &str) -> Result<Vec<Pair>, Failure> {
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| c == '=' || c.is_whitespace())
            .unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        let Some(after) = after.trim_start().strip_prefix('=') else {
            return Err(
                fail("a keyword in the connection string is not followed by `=`")
                    .hint("put values that contain spaces in single quotes: password='two words'"),
            );
        };
        let (value, after) = value(after.trim_start())?;
        replace(&mut pairs, key.to_owned(), value);
        rest = after.trim_start();
    }
    Ok(pairs)
}

/// Reads one value, quoted or not, in which a backslash escapes the next character.
fn value(text: &str) -> Result<(String, &str), Failure> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut characters = text.char_indices().skip(usize::from(quoted));
    while let Some((position, character)) = characters.next() {
        match character {
            '\\' => {
                if let Some((_, next)) = characters.next() {
                    value.push(next);
                }
            }
            '\'' if quoted => return Ok((value, &text[position + 1..])),
            c if c.is_whitespace() && !quoted => return Ok((value, &text[position..])),
            c => value.push(c),
        }
    }
    if quoted {
        return Err(
            fail("a quoted value in the connection string has no closing quote")
                .hint("write a quote or a backslash inside a quoted value as \\' and \\\\"),
        );
    }
    Ok((value, ""))
}
