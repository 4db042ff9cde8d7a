//! The format of `.pgpass`: `host:port:database:user:password` lines, `*` for any, `\` before `:` and `\`.

use super::{Host, Secret};

/// The default socket directories, for which libpq looks up `localhost`.
const DEFAULT_SOCKETS: [&str; 3] = ["/tmp", "/var/run/postgresql", "/run/postgresql"];

/// Returns the password of the first line that matches.
pub(super) fn password(text: &str, host: &Host, database: &str, user: &str) -> Option<Secret> {
    let name = if DEFAULT_SOCKETS.contains(&host.name.as_str()) {
        "localhost"
    } else {
        &host.name
    };
    let port = host.port.to_string();
    let wanted = [name, &port, database, user];
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(fields)
        .find(|(pattern, _)| {
            pattern
                .iter()
                .zip(wanted)
                .all(|(pattern, wanted)| *pattern == "*" || unescape(pattern) == wanted)
        })
        .map(|(_, password)| Secret::new(unescape(password)))
}

fn fields(line: &str) -> Option<([&str; 4], &str)> {
    let mut fields = [""; 4];
    let mut rest = line.trim_end_matches('\r');
    for field in &mut fields {
        let end = separator(rest)?;
        *field = &rest[..end];
        rest = &rest[end + 1..];
    }
    let end = separator(rest).unwrap_or(rest.len());
    Some((fields, &rest[..end]))
}

fn separator(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let found = byte == b':' && !escaped;
        escaped = byte == b'\\' && !escaped;
        found
    })
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let next = if character == '\\' {
            characters.next()
        } else {
            None
        };
        plain.push(next.unwrap_or(character));
    }
    plain
}
