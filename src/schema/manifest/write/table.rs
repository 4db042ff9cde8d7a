//! Writes one table.

use crate::catalog::acl::{Acl, Grantee, privilege_word};
use crate::catalog::{Key, Kind, Object};
use crate::manifest::object_name::spell;
use crate::manifest::write::yaml::Page;
use crate::manifest::write::{Writer, column, phrase};
use crate::sql::name::{Ident, Literal, ObjectName};

/// Writes a table with its parts.
pub(super) fn write(writer: &mut Writer<'_>, key: &Key, object: &Object, page: &mut Page) {
    page.open(1, &spell(&ObjectName::new(&*key.schema, &*key.name)));
    if let Some(comment) = &object.comment {
        page.entry(2, "comment", comment);
    }
    writer.say(key, object, &["tablespace", "toast_options"]);
    column::write(writer, key, page);
    write_parts(writer, key, Kind::Constraint, page);
    write_indexes(writer, key, page);
    write_parts(writer, key, Kind::Trigger, page);
    write_row_security(writer, key, page);
    write_parts(writer, key, Kind::Policy, page);
    write_grants(writer, key, object, page);
    if object.has("unlogged") {
        page.flag(2, "unlogged");
    }
    let options: Vec<String> = object
        .list("options")
        .iter()
        .map(|option| storage_option(option))
        .collect();
    let facts = [
        (
            "partition-by",
            object.text("partition_by").map(phrase::lower),
        ),
        (
            "using",
            object
                .text("access_method")
                .map(|method| Ident::new(method).to_string()),
        ),
        (
            "with",
            Some(options.join(", ")).filter(|options| !options.is_empty()),
        ),
        (
            "replica-identity",
            object.text("replica_identity").map(str::to_lowercase),
        ),
    ];
    for (name, value) in facts {
        if let Some(value) = value {
            page.entry(2, name, &value);
        }
    }
}

/// Writes `name=value` so that any value reads back.
fn storage_option(option: &str) -> String {
    match option.split_once('=') {
        Some((name, value)) if is_bare(value) => format!("{name} = {value}"),
        Some((name, value)) => {
            let literal = Literal::new(value).to_string();
            format!("{name} = {}", literal.trim_start())
        }
        None => option.to_owned(),
    }
}

fn is_bare(value: &str) -> bool {
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit()) && !value.is_empty();
    is_number || value == "true" || value == "false"
}

/// Writes the named parts of a table other than its indexes.
fn write_parts(writer: &mut Writer<'_>, table: &Key, kind: Kind, page: &mut Page) {
    let catalog = writer.catalog;
    let mut open = false;
    for (key, object) in catalog.parts(kind, &table.schema, &table.name) {
        if writer.said.contains_key(key) {
            continue;
        }
        let definition = object.text("definition").unwrap_or_default();
        let line = match kind {
            Kind::Constraint => Some(phrase::constraint(definition)),
            Kind::Trigger if object.has("inherited") => None,
            Kind::Trigger => phrase::trigger(definition),
            _ => Some(policy(object)),
        };
        let Some(line) = line else { continue };
        if !open {
            open = true;
            page.open(
                2,
                match kind {
                    Kind::Constraint => "constraints",
                    Kind::Trigger => "triggers",
                    _ => "policies",
                },
            );
        }
        page.line(3, &key.part, &line, object.comment.as_deref());
        writer.say(
            key,
            object,
            &[
                "enabled",
                "tablespace",
                "storage",
                "clustered",
                "replica_identity",
            ],
        );
    }
}

fn policy(object: &Object) -> String {
    let mut line = String::new();
    if object.has("restrictive") {
        line.push_str("as restrictive ");
    }
    let command = object.text("command").unwrap_or("ALL").to_lowercase();
    let roles: Vec<&str> = object.list("roles").iter().map(|role| &**role).collect();
    line.push_str(&format!("for {command} to {}", roles.join(", ")));
    for (word, fact) in [("using", "using"), ("with check", "with_check")] {
        if let Some(expression) = object.text(fact) {
            let bracketed = phrase::is_bracketed(expression);
            let (open, close) = if bracketed { ("", "") } else { ("(", ")") };
            line.push_str(&format!(
                " {word} {open}{}{close}",
                phrase::lower(expression)
            ));
        }
    }
    line
}

fn write_indexes(writer: &mut Writer<'_>, table: &Key, page: &mut Page) {
    let catalog = writer.catalog;
    let mut open = false;
    let on_table = |object: &Object| object.on.as_deref() == Some(table);
    for (key, object) in catalog
        .of_kind(Kind::Index)
        .filter(|(_, object)| on_table(object))
    {
        // An invalid index cannot be declared.
        if object.has("invalid") || key.schema != table.schema {
            continue;
        }
        let Some(line) = phrase::index(object.text("definition").unwrap_or_default()) else {
            continue;
        };
        if !open {
            open = true;
            page.open(2, "indexes");
        }
        page.line(3, &key.name, &line, object.comment.as_deref());
        writer.say(
            key,
            object,
            &["clustered", "replica_identity", "tablespace", "statistics"],
        );
    }
}

fn write_row_security(writer: &mut Writer<'_>, table: &Key, page: &mut Page) {
    let key = Key::named(Kind::RowSecurity, &table.schema, &table.name);
    let Some(object) = writer.catalog.get(&key) else {
        return;
    };
    // Forced but not enabled has no effect; it is written as SQL.
    if object.has("enabled") {
        page.entry(
            2,
            "row-level-security",
            if object.has("forced") {
                "forced"
            } else {
                "enabled"
            },
        );
        writer.say(&key, object, &[]);
    }
}

/// Writes the grants on a table and its columns, if the owner has the defaults and there is no grant option.
fn write_grants(writer: &mut Writer<'_>, table: &Key, object: &Object, page: &mut Page) {
    let catalog = writer.catalog;
    let columns: Vec<(&Key, &Acl)> = catalog
        .columns(table)
        .into_iter()
        .filter_map(|(key, column)| Some((key, column.acl.as_ref()?)))
        .collect();
    let is_simple = |acl: &Acl| {
        acl.0
            .iter()
            .all(|grant| grant.grantable.is_empty() && grant.grantor.is_none())
    };
    let keeps_owner = object.acl.as_ref().is_none_or(|acl| {
        acl.0
            .iter()
            .filter(|grant| grant.grantee == Grantee::Owner)
            .any(|grant| grant.privileges.starts_with("arwdDxt"))
    });
    let only_roles = columns
        .iter()
        .all(|(_, acl)| acl.0.iter().all(|grant| grant.grantee != Grantee::Owner));
    let all_simple =
        object.acl.iter().all(is_simple) && columns.iter().all(|(_, acl)| is_simple(acl));
    if !keeps_owner || !only_roles || !all_simple {
        return;
    }
    let mut grantees: Vec<&Grantee> = object
        .acl
        .iter()
        .flat_map(|acl| &acl.0)
        .map(|grant| &grant.grantee)
        .collect();
    grantees.extend(
        columns
            .iter()
            .flat_map(|(_, acl)| &acl.0)
            .map(|grant| &grant.grantee),
    );
    grantees.retain(|grantee| **grantee != Grantee::Owner);
    grantees.sort();
    grantees.dedup();
    if !grantees.is_empty() {
        page.open(2, "grants");
    }
    for grantee in grantees {
        let name = match grantee {
            Grantee::Role(role) => role,
            _ => "public",
        };
        page.entry(3, name, &privileges(grantee, object.acl.as_ref(), &columns));
    }
    if let Some(said) = writer.said.get_mut(table) {
        said.acl.clone_from(&object.acl);
    }
    for (key, acl) in columns {
        if let Some(said) = writer.said.get_mut(key) {
            said.acl = Some(acl.clone());
        }
    }
}

/// Returns the privileges of one grantee: `select, insert, update (name, active)`.
fn privileges(grantee: &Grantee, whole: Option<&Acl>, columns: &[(&Key, &Acl)]) -> String {
    let mut words = Vec::new();
    let of_table = whole
        .into_iter()
        .flat_map(|acl| &acl.0)
        .filter(|grant| grant.grantee == *grantee);
    for grant in of_table {
        words.extend(
            grant
                .privileges
                .chars()
                .map(|letter| privilege_word(letter).to_lowercase()),
        );
    }
    for letter in ['r', 'a', 'w', 'x'] {
        let names: Vec<String> = columns
            .iter()
            .filter(|(_, acl)| acl.allows(grantee, letter))
            .map(|(key, _)| Ident::new(&*key.part).to_string())
            .collect();
        if !names.is_empty() {
            words.push(format!(
                "{} ({})",
                privilege_word(letter).to_lowercase(),
                names.join(", ")
            ));
        }
    }
    words.join(", ")
}
