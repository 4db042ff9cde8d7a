//! Patterns for names.

/// Returns whether a name matches one of the alternatives of a pattern.
pub(super) fn fits(pattern: &str, name: &str, table: &str) -> bool {
    pattern.split(" | ").map(str::trim).any(|pattern| {
        if pattern == "snake_case" {
            return is_snake_case(name);
        }
        matches_pattern(&pattern.replace("{table}", table), name)
    })
}

fn is_snake_case(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && !name.contains("__")
        && !name.ends_with('_')
}

/// Matches `*` against anything.
fn matches_pattern(pattern: &str, name: &str) -> bool {
    let Some((front, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut left) = name.strip_prefix(front) else {
        return false;
    };
    let pieces: Vec<&str> = rest.split('*').collect();
    for (index, piece) in pieces.iter().enumerate() {
        if index + 1 == pieces.len() {
            return left.ends_with(piece);
        }
        let Some(at) = left.find(piece) else {
            return false;
        };
        left = &left[at + piece.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let check = |pattern: &str, name: &str, expected: bool| {
            assert_eq!(fits(pattern, name, "orders"), expected, "{pattern} {name}");
        };
        check("snake_case", "order_lines2", true);
        check("snake_case", "OrderLines", false);
        check("snake_case", "a__b", false);
        check("{table}_*_idx | {table}_*_key", "orders_email_key", true);
        check("{table}_*_idx | {table}_*_key", "order_email_key", false);
        check("*_logs", "audit_logs", true);
        check("a*b*c", "a-b-b-c", true);
        check("a*b*c", "a-c-b", false);
        check("exact", "exactly", false);
    }
}
