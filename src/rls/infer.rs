//! Writes declarations that match a database: tenancy, equal tables folded into templates, the rest as plain SQL.
//! rest as plain SQL and named.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

use crate::access::AccessAnalysis;
use crate::catalog::{Catalog, Key, Kind};
use crate::compare;
use crate::declared::name_lookup;
use crate::difference;
use crate::finding::Finding;
use crate::fix_sql;
use crate::formula::Formula;
use crate::rights::{Command, Grant, Policy, Rights, Roles, TableSecurity};

/// The declarations of a database.
#[derive(Clone, Debug, Default)]
pub struct Inferred {
    /// The text of `policies/*.yaml`.
    pub yaml: String,
    /// The text of the `.sql` beside it; empty where everything was folded.
    pub sql: String,
    /// What could not be folded, and why.
    pub findings: Vec<Finding>,
}

/// What a table allows, as lines by role; equal tables have equal lines.
type Lines = BTreeMap<String, Vec<String>>;

/// Writes the declarations of a catalog that was read with its roles.
pub fn infer(catalog: &Catalog) -> Inferred {
    let roles = Roles::of(catalog);
    let mut rights = Rights::of(catalog, &roles);
    rights
        .tables
        .retain(|key, _| catalog.objects.contains_key(key));
    rights.grants.retain(|grant| !compare::is_usual(grant));
    let tenancy = tenancy(&rights);
    let mut writer = DeclarationWriter {
        rows: BTreeMap::new(),
        own: tenancy.as_ref().map(|(_, _, own)| own.clone()),
    };
    let mut folded: BTreeMap<(Lines, bool), Vec<&Key>> = BTreeMap::new();
    let mut inferred = Inferred::default();
    let mut plain = Rights::default();
    let mut by_table: BTreeMap<Key, BTreeSet<Grant>> = BTreeMap::new();
    for grant in &rights.grants {
        let of_table = by_table.entry(difference::object_of(grant)).or_default();
        of_table.insert(grant.clone());
    }
    for (table, rows) in &rights.tables {
        let grants = by_table.remove(table).unwrap_or_default();
        if rows.policies.is_empty() && grants.is_empty() && !rows.enabled {
            continue;
        }
        match writer.fold(rows, &grants) {
            Ok(lines) => folded.entry((lines, rows.forced)).or_default().push(table),
            Err(why) => {
                let message = format!("is written as plain SQL: {why}");
                inferred
                    .findings
                    .push(Finding::note("rls-not-folded", table.qualified(), message));
                plain.tables.insert(table.clone(), rows.clone());
                plain.grants.extend(grants);
            }
        }
    }
    inferred.yaml = write(&writer, tenancy.as_ref(), folded);
    write_others(&rights, &mut inferred.yaml);
    inferred.sql = script(catalog, &roles, &plain);
    inferred
}

/// Finds the column and the expression that policies compare most often.
fn tenancy(rights: &Rights) -> Option<(String, String, Formula)> {
    let mut counted: BTreeMap<(String, String), usize> = BTreeMap::new();
    for rows in rights.tables.values() {
        for policy in &rows.policies {
            for text in [&policy.using, &policy.check].into_iter().flatten() {
                let Formula::Atom(atom) = Formula::read(text) else {
                    continue;
                };
                let Some((column, who)) = atom.split_once(" = ") else {
                    continue;
                };
                let is_column = column.chars().all(|c| c.is_alphanumeric() || c == '_');
                if is_column && who.starts_with("(SELECT ") && who.ends_with(')') {
                    *counted
                        .entry((column.to_owned(), who.to_owned()))
                        .or_default() += 1;
                }
            }
        }
    }
    let ((column, who), _) = counted.into_iter().max_by_key(|(_, count)| *count)?;
    let inner = who.strip_prefix("(SELECT ")?.strip_suffix(')')?;
    let tenant = inner
        .rsplit_once(" AS ")
        .map_or(inner, |(expression, _)| expression)
        .to_owned();
    let own = Formula::Atom(format!("{column} = {who}"));
    Some((column, tenant, own))
}

/// Names sets of rows as it meets them.
struct DeclarationWriter {
    rows: BTreeMap<String, String>,
    own: Option<Formula>,
}

impl DeclarationWriter {
    /// Returns the lines that say what a table's policies and grants say together, or why none do.
    fn fold(&mut self, rows: &TableSecurity, grants: &BTreeSet<Grant>) -> Result<Lines, String> {
        if !rows.enabled {
            return Err("row-level security is disabled".to_owned());
        }
        let mut lines = Lines::new();
        let mut left: BTreeSet<&Grant> = grants.iter().collect();
        for policy in &rows.policies {
            if policy.restrictive || policy.roles.contains(crate::rights::PUBLIC) {
                return Err(format!(
                    "policy `{}` is restrictive or applies to PUBLIC",
                    policy.name
                ));
            }
            let rows = self.name(policy)?;
            for role in &policy.roles {
                let mut deeds = Vec::new();
                for command in policy.command.each() {
                    let letter = command.privilege();
                    let taken: Vec<&Grant> = left
                        .iter()
                        .filter(|grant| grant.grantee == *role && grant.privilege == letter)
                        .copied()
                        .collect();
                    if taken.is_empty() {
                        return Err(format!(
                            "policy `{}` is for {role}, which has no {} privilege",
                            policy.name,
                            command.word()
                        ));
                    }
                    deeds.push(deed(command, &taken)?);
                    left.retain(|grant| !taken.contains(grant));
                }
                let what = if policy.command == Command::All {
                    "all".to_owned()
                } else {
                    deeds.join(", ")
                };
                if policy.command == Command::All && deeds.iter().any(|deed| deed.contains('(')) {
                    return Err(format!(
                        "policy `{}` is for all commands, but {role} has some of them on columns only",
                        policy.name
                    ));
                }
                lines
                    .entry(role.clone())
                    .or_default()
                    .push(format!("{what} on {rows} rows"));
            }
        }
        if let Some(grant) = left.first() {
            return Err(format!(
                "{} has a privilege without a policy of its own",
                grant.grantee
            ));
        }
        Ok(lines)
    }

    fn name(&mut self, policy: &Policy) -> Result<String, String> {
        let text = match (&policy.using, &policy.check) {
            (Some(using), Some(check)) if using != check => {
                return Err(format!(
                    "USING and WITH CHECK of policy `{}` differ",
                    policy.name
                ));
            }
            (Some(text), _) | (None, Some(text)) => text,
            (None, None) => return Err(format!("policy `{}` has no condition", policy.name)),
        };
        let formula = Formula::read(text);
        if formula == Formula::True {
            return Ok("all".to_owned());
        }
        if self.own.as_ref() == Some(&formula) {
            return Ok("own".to_owned());
        }
        if let Some((name, _)) = self.rows.iter().find(|(_, known)| *known == text) {
            return Ok(name.clone());
        }
        let name = format!("set-{}", self.rows.len() + 1);
        self.rows.insert(name.clone(), text.clone());
        Ok(name)
    }
}

fn deed(command: Command, grants: &[&Grant]) -> Result<String, String> {
    if grants.iter().any(|grant| grant.grantable) {
        return Err("a privilege is granted WITH GRANT OPTION".to_owned());
    }
    let word = command.word().to_lowercase();
    if grants.iter().any(|grant| grant.on.kind != Kind::Column) {
        return Ok(word);
    }
    let columns: Vec<&str> = grants.iter().map(|grant| &*grant.on.part).collect();
    Ok(format!("{word} ({})", columns.join(", ")))
}

fn write(
    writer: &DeclarationWriter,
    tenancy: Option<&(String, String, Formula)>,
    folded: BTreeMap<(Lines, bool), Vec<&Key>>,
) -> String {
    let mut yaml = String::from("# Written from a database; `af-db diff-rls` compares the two.\n");
    if let Some((column, tenant, _)) = tenancy {
        let _ = write!(
            yaml,
            "\ntenancy:\n  column: {}\n  tenant: {}\n",
            quoted(column),
            quoted(tenant)
        );
    }
    if !writer.rows.is_empty() {
        yaml.push_str("\nrows:\n");
        for (name, text) in &writer.rows {
            let _ = writeln!(yaml, "  {name}: {}", quoted(text));
        }
    }
    let mut templates = String::new();
    let mut tables = String::new();
    for (number, ((lines, forced), keys)) in folded.into_iter().enumerate() {
        let listed: Vec<String> = keys.iter().map(|key| name_lookup::short(key)).collect();
        let indent = if keys.len() > 1 {
            let _ = writeln!(templates, "  kind-{}:", number + 1);
            for name in &listed {
                let _ = writeln!(tables, "  {}: kind-{}", quoted(name), number + 1);
            }
            &mut templates
        } else {
            let _ = writeln!(tables, "  {}:", quoted(&listed[0]));
            &mut tables
        };
        if !forced {
            indent.push_str("    force: false\n");
        }
        indent.push_str(if lines.is_empty() {
            "    allow: {}\n"
        } else {
            "    allow:\n"
        });
        for (role, lines) in lines {
            let lines: Vec<String> = lines.iter().map(|line| quoted(line)).collect();
            let _ = writeln!(indent, "      {}: [{}]", quoted(&role), lines.join(", "));
        }
    }
    for (head, body) in [("templates", templates), ("tables", tables)] {
        if !body.is_empty() {
            let _ = write!(yaml, "\n{head}:\n{body}");
        }
    }
    yaml
}

/// Writes what roles are granted on objects other than tables.
fn write_others(rights: &Rights, yaml: &mut String) {
    let sections: [(&str, &[Kind]); 4] = [
        (
            "views",
            &[Kind::View, Kind::MaterializedView, Kind::ForeignTable],
        ),
        (
            "functions",
            &[Kind::Function, Kind::Procedure, Kind::Aggregate],
        ),
        ("sequences", &[Kind::Sequence]),
        ("schemas", &[Kind::Schema]),
    ];
    for (section, kinds) in sections {
        let mut objects: BTreeMap<String, BTreeMap<&str, Vec<String>>> = BTreeMap::new();
        for grant in rights
            .grants
            .iter()
            .filter(|grant| kinds.contains(&grant.on.kind))
        {
            let word = crate::catalog::acl::privilege_word(grant.privilege).to_lowercase();
            let of_role = objects.entry(name_lookup::short(&grant.on)).or_default();
            of_role.entry(&grant.grantee).or_default().push(word);
        }
        if !objects.is_empty() {
            let _ = write!(yaml, "\n{section}:\n");
        }
        for (name, roles) in objects {
            let roles: Vec<String> = roles
                .into_iter()
                .map(|(role, words)| format!("{}: {}", quoted(role), quoted(&words.join(", "))))
                .collect();
            let _ = writeln!(yaml, "  {}: {{ {} }}", quoted(&name), roles.join(", "));
        }
    }
}

/// Writes rights as statements that make them where there are none.
fn script(catalog: &Catalog, roles: &Roles, rights: &Rights) -> String {
    let judge = AccessAnalysis {
        catalog,
        roles,
        read: RefCell::new(HashMap::new()),
    };
    let nothing = Rights::default();
    let differences = difference::between(rights, &nothing, &judge);
    fix_sql::script(&fix_sql::statements(&differences, rights, &nothing))
}

/// Writes a text so that YAML reads it as it is.
fn quoted(text: &str) -> String {
    let plain = !text.is_empty()
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ' | '(' | ')'))
        && !matches!(
            text,
            "true" | "false" | "null" | "yes" | "no" | "on" | "off"
        );
    if plain {
        return text.to_owned();
    }
    serde_json::Value::from(text).to_string()
}
