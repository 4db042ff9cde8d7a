//! Fills `{name}` in a condition and parses the clauses of a policy line.

use std::collections::{BTreeMap, BTreeSet};

use crate::rights::{Command, PUBLIC, Policy, unquote};
use crate::sql::phrase::{self, Phrase};
use crate::yaml::nearest;

/// What is wrong, and how it may have been meant.
pub(crate) type Problem = (String, Option<String>);

/// Deeper than this, sets of rows that name each other go round in circles.
const DEPTH: usize = 16;

/// Fills each `{name}` outside of quotes; what it stands for is filled as well.
pub(crate) fn fill(text: &str, known: &BTreeMap<String, String>) -> Result<String, Problem> {
    fill_to(text, known, 0)
}

fn fill_to(text: &str, known: &BTreeMap<String, String>, depth: usize) -> Result<String, Problem> {
    if depth > DEPTH {
        return Err((format!("`{text}` refers to itself"), None));
    }
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    let mut quoted = false;
    while let Some(at) = rest.find(['{', '\'']) {
        filled.push_str(&rest[..at]);
        let behind = &rest[at + 1..];
        if rest.as_bytes()[at] == b'\'' {
            quoted = !quoted;
            filled.push('\'');
            rest = behind;
            continue;
        }
        let name = behind.split_once('}').map(|(name, _)| name.trim());
        match name.filter(|name| !quoted && is_name(name)) {
            Some(name) => {
                let Some(stands_for) = known.get(name) else {
                    let near = nearest(name, known.keys().map(String::as_str));
                    let hint = near.map(|near| format!("did you mean `{{{near}}}`?"));
                    return Err((format!("unknown placeholder `{{{name}}}`"), hint));
                };
                filled.push_str(&fill_to(stands_for, known, depth + 1)?);
                rest = behind.split_once('}').map_or("", |(_, rest)| rest);
            }
            None => {
                filled.push('{');
                rest = behind;
            }
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | ' '))
}

/// Reads `[as restrictive] [for select] [to role, …] [using (…)] [with check (…)]`.
pub(crate) fn policy(name: &str, text: &str) -> Result<Policy, Problem> {
    let tokens = phrase::read(text);
    clauses(name, Phrase::new(text, &tokens))
}

pub(crate) fn clauses(name: &str, phrase: Phrase<'_>) -> Result<Policy, Problem> {
    let mut policy = Policy {
        name: name.to_owned(),
        command: Command::All,
        restrictive: false,
        roles: BTreeSet::new(),
        using: None,
        check: None,
        place: None,
    };
    let mut at = 0;
    while at < phrase.len() {
        at = clause(&mut policy, phrase, at)?;
    }
    if policy.roles.is_empty() || policy.roles.contains(PUBLIC) {
        policy.roles = BTreeSet::from([PUBLIC.to_owned()]);
    }
    Ok(policy)
}

fn clause(policy: &mut Policy, phrase: Phrase<'_>, at: usize) -> Result<usize, Problem> {
    if phrase.is(at, "as") {
        policy.restrictive = phrase.is(at + 1, "restrictive");
        return Ok(at + 2);
    }
    if phrase.is(at, "for") {
        let word = phrase.at(at + 1);
        policy.command = Command::from_word(word)
            .ok_or_else(|| (format!("`{word}` is not a policy command"), None))?;
        return Ok(at + 2);
    }
    if phrase.is(at, "to") {
        let mut at = at + 1;
        loop {
            policy.roles.insert(role(phrase, at));
            if phrase.at(at + 1) != "," {
                return Ok(at + 1);
            }
            at += 2;
        }
    }
    let (checked, open) = if phrase.is(at, "using") {
        (false, at + 1)
    } else if phrase.are(at, &["with", "check"]) {
        (true, at + 2)
    } else {
        let word = phrase.at(at);
        let hint = "expected: for select to authenticated using (…) with check (…)";
        return Err((format!("unexpected `{word}`"), Some(hint.to_owned())));
    };
    let Some((inside, next)) = phrase.inside(open) else {
        return Err(("the condition must be in parentheses".to_owned(), None));
    };
    let text = Some(inside.text().to_owned());
    if checked {
        policy.check = text;
    } else {
        policy.using = text;
    }
    Ok(next)
}

fn role(phrase: Phrase<'_>, at: usize) -> String {
    phrase
        .ident(at)
        .unwrap_or_else(|| unquote(phrase.at(at)).to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_braces_are_filled() {
        let known = BTreeMap::from([
            ("own".to_owned(), "({column} = 1)".to_owned()),
            ("column".to_owned(), "\"T\"".to_owned()),
            ("loop".to_owned(), "{loop}".to_owned()),
        ]);
        let fill = |text: &str| fill(text, &known);
        assert_eq!(
            fill("{own} and a = '{own}' and b @> '{}'").unwrap(),
            "(\"T\" = 1) and a = '{own}' and b @> '{}'"
        );
        assert_eq!(
            fill("{ow}").unwrap_err(),
            (
                "unknown placeholder `{ow}`".to_owned(),
                Some("did you mean `{own}`?".to_owned())
            )
        );
        assert!(fill("{loop}").is_err());
    }

    #[test]
    fn a_line_is_a_policy() {
        let policy = policy(
            "p",
            "for insert to \"Role\", b with check (a = (select f(')')))",
        )
        .unwrap();
        assert_eq!(policy.command, Command::Insert);
        assert_eq!(
            policy.roles.iter().map(String::as_str).collect::<Vec<_>>(),
            ["Role", "b"]
        );
        assert_eq!(policy.check.as_deref(), Some("a = (select f(')'))"));
        assert!(super::policy("p", "on t").is_err());
    }
}
