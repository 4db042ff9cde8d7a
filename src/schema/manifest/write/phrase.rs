//! Turns server definitions of indexes, triggers and constraints into the short form of the manifest.

use crate::sql::token::{self, Token, TokenKind};

/// Extracts `(a, b) WHERE …` from `CREATE UNIQUE INDEX name ON ONLY schema.table USING btree (a, b) WHERE …`.
pub(super) fn index(definition: &str) -> Option<String> {
    let tokens: Vec<Token> = token::code(definition).collect();
    let on = at_word(&tokens, definition, "on", 0)?;
    let unique = tokens.get(1)?.is_word(definition, "unique");
    let mut next = on + 1;
    if tokens.get(next)?.is_word(definition, "only") {
        next += 1;
    }
    let rest = &definition[tokens.get(after_name(&tokens, definition, next))?.start..];
    let rest = lower(rest.strip_prefix("USING btree ").unwrap_or(rest));
    Some(if unique {
        format!("unique {rest}")
    } else {
        rest
    })
}

/// Extracts `before update for each row …` from `CREATE TRIGGER name BEFORE UPDATE ON schema.table FOR EACH ROW …`.
pub(super) fn trigger(definition: &str) -> Option<String> {
    let tokens: Vec<Token> = token::code(definition).collect();
    let constraint = tokens.get(1)?.is_word(definition, "constraint");
    let first = if constraint { 4 } else { 3 };
    let on = at_word(&tokens, definition, "on", first)?;
    let events = definition
        .get(tokens.get(first)?.start..tokens.get(on)?.start)?
        .trim_end();
    let rest = &definition[tokens.get(after_name(&tokens, definition, on + 1))?.start..];
    let events = lower(events);
    let line = format!("{events} {}", lower(rest));
    Some(if constraint {
        format!("constraint {line}")
    } else {
        line
    })
}

/// Returns a constraint in lower case up to its first expression or name.
pub(super) fn constraint(definition: &str) -> String {
    let bare = definition.strip_prefix("CHECK (").and_then(|rest| {
        let inner = rest.strip_suffix(')')?;
        is_bracketed(inner).then_some(inner)
    });
    match bare {
        Some(inner) => format!("check {}", lower(inner)),
        None => lower(definition),
    }
}

/// Extracts `references tenants on delete cascade` from `FOREIGN KEY (column) REFERENCES …`.
///
/// `is_key` returns whether a column list is the primary key of a table, both as the server
/// prints them.
pub(super) fn reference(definition: &str, is_key: impl Fn(&str, &str) -> bool) -> Option<String> {
    let tokens: Vec<Token> = token::code(definition).collect();
    let references = at_word(&tokens, definition, "references", 0)?;
    let end = after_name(&tokens, definition, references + 1);
    let table = definition
        .get(tokens.get(references + 1)?.start..tokens.get(end)?.start)?
        .trim();
    let close = tokens[end..]
        .iter()
        .position(|token| token.kind == TokenKind::Close)?
        + end;
    let columns = definition.get(tokens[end].start..tokens[close].end)?;
    let tail = definition[tokens[close].end..].trim();
    let mut line = format!(
        "references {}",
        table.strip_prefix("public.").unwrap_or(table)
    );
    if !is_key(table, columns) {
        line.push_str(&format!(" {columns}"));
    }
    if !tail.is_empty() {
        line.push_str(&format!(" {}", lower(tail)));
    }
    Some(line)
}

/// Returns whether one pair of parentheses encloses the whole text.
pub(super) fn is_bracketed(text: &str) -> bool {
    let mut depth = 0;
    let mut tokens = token::code(text).peekable();
    while let Some(token) = tokens.next() {
        match token.kind {
            TokenKind::Open => depth += 1,
            TokenKind::Close => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return text.starts_with('(') && tokens.peek().is_none();
        }
    }
    false
}

/// Returns whether a text is one string literal.
pub(super) fn is_literal(text: &str) -> bool {
    let mut tokens = token::tokens(text);
    tokens
        .next()
        .is_some_and(|token| token.kind == TokenKind::Text)
        && tokens.next().is_none()
}

fn at_word(tokens: &[Token], text: &str, word: &str, from: usize) -> Option<usize> {
    let found = tokens
        .get(from..)?
        .iter()
        .position(|token| token.is_word(text, word))?;
    Some(found + from)
}

/// Skips a name with its schema.
fn after_name(tokens: &[Token], text: &str, from: usize) -> usize {
    let mut at = from + 1;
    while tokens.get(at).is_some_and(|token| token.text(text) == ".") {
        at += 2;
    }
    at
}

/// Returns every keyword in lower case: the server prints keywords in capitals, and quotes names that have any.
pub(super) fn lower(text: &str) -> String {
    token::tokens(text)
        .map(|token| match token.kind {
            TokenKind::Word => token.text(text).to_lowercase(),
            _ => token.text(text).to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes() {
        let check =
            |definition: &str, line: &str| assert_eq!(index(definition).as_deref(), Some(line));
        check(
            "CREATE INDEX a ON public.t USING btree (x, y DESC)",
            "(x, y desc)",
        );
        check(
            "CREATE UNIQUE INDEX \"a ON b\" ON ONLY app.\"T.x\" USING gin (x) WHERE (y > 0)",
            "unique using gin (x) where (y > 0)",
        );
        check(
            "CREATE INDEX a ON t USING btree (lower(x)) INCLUDE (y)",
            "(lower(x)) include (y)",
        );
    }

    #[test]
    fn triggers() {
        let check =
            |definition: &str, line: &str| assert_eq!(trigger(definition).as_deref(), Some(line));
        check(
            "CREATE TRIGGER touch BEFORE UPDATE ON public.t FOR EACH ROW EXECUTE FUNCTION app.touch()",
            "before update for each row execute function app.touch()",
        );
        check(
            "CREATE CONSTRAINT TRIGGER \"on\" AFTER INSERT OR UPDATE OF a, \"on\" ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ((new.\"A\" > 0)) EXECUTE FUNCTION f('X ON y')",
            "constraint after insert or update of a, \"on\" deferrable initially deferred for each row when ((new.\"A\" > 0)) execute function f('X ON y')",
        );
    }

    #[test]
    fn constraints() {
        let check = |definition: &str, line: &str| assert_eq!(constraint(definition), line);
        check("CHECK ((a > 0))", "check (a > 0)");
        check(
            "CHECK (((a > 0) AND (b > 0)))",
            "check ((a > 0) and (b > 0))",
        );
        check("CHECK ((a > 0)) NOT VALID", "check ((a > 0)) not valid");
        check(
            "UNIQUE NULLS NOT DISTINCT (a, \"B\")",
            "unique nulls not distinct (a, \"B\")",
        );
        check(
            "EXCLUDE USING gist (r WITH &&)",
            "exclude using gist (r with &&)",
        );
        let key = |table: &str, columns: &str| table == "public.tenants" && columns == "(id)";
        let check = |definition: &str, line: &str| {
            assert_eq!(reference(definition, key).as_deref(), Some(line))
        };
        check(
            "FOREIGN KEY (a) REFERENCES public.tenants(id) ON DELETE CASCADE",
            "references tenants on delete cascade",
        );
        check(
            "FOREIGN KEY (a) REFERENCES app.\"T\"(id, b) DEFERRABLE",
            "references app.\"T\" (id, b) deferrable",
        );
    }
}
