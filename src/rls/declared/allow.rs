//! Turns `allow` lines into policies and grants.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Catalog, Key, Kind};
use crate::declared::allow_line::{self, AllowedAction, Columns};
use crate::declared::document::Lines;
use crate::declared::policy_text::{self, Problem};
use crate::rights::{Command, Grant, Policy};
use crate::yaml::Located;

/// What lines are read against.
pub(crate) struct AllowContext<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) relation: &'a Key,
    /// The sets of rows and variables by name.
    pub(crate) known: &'a BTreeMap<String, String>,
    /// The names of the sets of rows.
    pub(crate) rows: &'a BTreeSet<String>,
    /// The set of rows that a line means which names none.
    pub(crate) usual: &'a str,
}

/// What lines came to.
#[derive(Debug, Default)]
pub(crate) struct Allowed {
    pub(crate) policies: Vec<(Policy, usize)>,
    pub(crate) grants: BTreeSet<Grant>,
    /// What is wrong, by the line.
    pub(crate) faults: Vec<(usize, Problem)>,
}

/// Reads the lines of one role; each policy carries the index of its line.
pub(crate) fn read(context: &AllowContext<'_>, role: &str, lines: &Lines) -> Allowed {
    let mut allowed = Allowed::default();
    for (index, line) in lines.0.iter().enumerate() {
        if let Err(fault) = read_line(context, role, (index, line), &mut allowed) {
            allowed.faults.push((index, fault));
        }
    }
    allowed
}

fn read_line(
    context: &AllowContext<'_>,
    role: &str,
    (index, text): (usize, &Located<String>),
    allowed: &mut Allowed,
) -> Result<(), Problem> {
    let line = allow_line::read(&text.value)?;
    let named = line.rows.as_deref();
    for deed in &line.deeds {
        take_grants(context, role, deed, &mut allowed.grants)?;
        let (Some(command), Kind::Table) = (deed.command, context.relation.kind) else {
            continue;
        };
        let rows = named.unwrap_or(context.usual);
        let condition = policy_text::fill(&format!("{{{rows}}}"), context.known).map_err(|_| {
            if rows == "own" && !context.known.contains_key("own") {
                let message = format!(
                    "{} has no tenant column, so own rows are undefined",
                    context.relation.qualified()
                );
                (
                    message,
                    Some(
                        "declare the tenant column (`column: …`), or name the rows: `select on all rows`"
                            .to_owned(),
                    ),
                )
            } else {
                let known: Vec<&str> = context.rows.iter().map(String::as_str).collect();
                let listed = format!("known row sets: {}", known.join(", "));
                let near = crate::yaml::nearest(rows, known.iter().copied());
                let hint = near.map_or(listed, |near| format!("did you mean `{near}`?"));
                (format!("unknown row set `{rows}`"), Some(hint))
            }
        })?;
        allowed
            .policies
            .push((policy(role, command, rows, condition), index));
    }
    Ok(())
}

fn policy(role: &str, command: Command, rows: &str, condition: String) -> Policy {
    let reads = !matches!(command, Command::Insert);
    let writes = !matches!(command, Command::Select | Command::Delete);
    let condition = without_brackets(&condition);
    Policy {
        name: name(role, command, rows),
        command,
        restrictive: false,
        roles: BTreeSet::from([role.to_owned()]),
        using: reads.then(|| condition.to_owned()),
        check: writes.then(|| condition.to_owned()),
        place: None,
    }
}

/// Names a policy after what it says, within the 63 bytes that PostgreSQL keeps.
fn name(role: &str, command: Command, rows: &str) -> String {
    let command = command.word().to_lowercase();
    let mut name = format!("{role}_{command}_{}", rows.replace([' ', '-'], "_"));
    while name.len() > 63 {
        name.pop();
    }
    name
}

fn without_brackets(text: &str) -> &str {
    let inner = text
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'));
    match inner {
        Some(inner) if balances(inner) => inner,
        _ => text,
    }
}

/// Whether no bracket closes that was not opened.
fn balances(text: &str) -> bool {
    let mut depth = 0i32;
    text.chars().all(|character| {
        depth += match character {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        depth >= 0
    })
}

fn take_grants(
    context: &AllowContext<'_>,
    role: &str,
    deed: &AllowedAction,
    into: &mut BTreeSet<Grant>,
) -> Result<(), Problem> {
    let columns = match &deed.columns {
        Columns::All => None,
        Columns::Only(names) => Some(names.clone()),
        Columns::But(but) => {
            let all = context.catalog.columns(context.relation);
            let names = all.iter().map(|(key, _)| key.part.to_string());
            let rest = names.filter(|name| !but.contains(name)).collect();
            check_columns(context, but)?;
            Some(rest)
        }
    };
    if let Some(columns) = &columns {
        check_columns(context, columns)?;
    }
    let relation = context.relation;
    let keys: Vec<Key> = match columns {
        None => vec![relation.clone()],
        Some(names) => names
            .iter()
            .map(|name| Key::part(Kind::Column, &relation.schema, &relation.name, name))
            .collect(),
    };
    for key in keys {
        into.extend(deed.privileges.chars().map(|privilege| Grant {
            on: key.clone(),
            grantee: role.to_owned(),
            privilege,
            grantable: false,
        }));
    }
    Ok(())
}

fn check_columns(context: &AllowContext<'_>, names: &[String]) -> Result<(), Problem> {
    let columns = context.catalog.columns(context.relation);
    let known: Vec<&str> = columns.iter().map(|(key, _)| &*key.part).collect();
    for name in names {
        if !known.contains(&name.as_str()) {
            let hint = crate::yaml::nearest(name, known.iter().copied())
                .map(|near| format!("did you mean `{near}`?"));
            let relation = context.relation.qualified();
            return Err((format!("{relation} has no column `{name}`"), hint));
        }
    }
    Ok(())
}
