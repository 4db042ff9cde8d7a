//! Writes settings of the database and of roles.

use super::names::{name, raw};
use crate::catalog::{Key, Object, Text};
use crate::diff::plan::Plan;
use crate::sql::name::{Ident, Literal};
use crate::sql::safe::Sql;

pub(super) fn setting(item: &str) -> (Ident, Sql) {
    let (parameter, value) = item.split_once('=').unwrap_or((item, ""));
    // These are lists of names; one quoted string would become one name.
    let listed = matches!(
        parameter,
        "search_path"
            | "temp_tablespaces"
            | "session_preload_libraries"
            | "local_preload_libraries"
            | "DateStyle"
    );
    let value = if listed && !value.is_empty() {
        raw(value)
    } else {
        raw(&Literal::new(value).to_string())
    };
    (Ident::new(parameter), value)
}

pub(super) fn setting_changes(whose: &Sql, old: &[Text], new: &[Text]) -> Vec<Sql> {
    let parameter = |item: &Text| setting(item).0;
    let mut sql = Vec::new();
    for item in old {
        if !new.iter().any(|other| parameter(other) == parameter(item)) {
            sql.push(Sql::fill("ALTER {} RESET {}", &[whose, &parameter(item)]));
        }
    }
    for item in new.iter().filter(|item| !old.contains(item)) {
        let (parameter, value) = setting(item);
        sql.push(Sql::fill(
            "ALTER {} SET {} TO {}",
            &[whose, &parameter, &value],
        ));
    }
    sql
}

pub(super) fn database(plan: &Plan<'_>, before: &Object, after: &Object) -> Vec<Sql> {
    let database = Ident::new(&plan.from.database);
    let whose = Sql::fill("DATABASE {}", &[&database]);
    let mut sql = setting_changes(&whose, before.list("settings"), after.list("settings"));
    if before.fact("connection_limit") != after.fact("connection_limit") {
        let limit = raw(after.text("connection_limit").unwrap_or("-1"));
        sql.push(Sql::fill(
            "ALTER DATABASE {} CONNECTION LIMIT {}",
            &[&database, &limit],
        ));
    }
    let (old, new) = (before.list("role_settings"), after.list("role_settings"));
    let split = |item: &Text| -> (String, Text) {
        let (role, setting) = item.split_once(' ').unwrap_or((item, ""));
        (role.to_owned(), setting.into())
    };
    let roles: std::collections::BTreeSet<String> =
        old.iter().chain(new).map(|item| split(item).0).collect();
    for role in roles {
        let of = |items: &[Text]| -> Vec<Text> {
            let own = items.iter().map(split).filter(|(other, _)| *other == role);
            own.map(|(_, setting)| setting).collect()
        };
        let whose = Sql::fill("ROLE {} IN DATABASE {}", &[&raw(&role), &database]);
        sql.extend(setting_changes(&whose, &of(old), &of(new)));
    }
    sql
}

pub(super) fn role_words(after: &Object) -> Sql {
    let mut sql = Sql::default();
    for (fact, yes, no) in [
        ("superuser", " SUPERUSER", " NOSUPERUSER"),
        ("no_inherit", " NOINHERIT", " INHERIT"),
        ("create_role", " CREATEROLE", " NOCREATEROLE"),
        ("create_database", " CREATEDB", " NOCREATEDB"),
        ("login", " LOGIN", " NOLOGIN"),
        ("replication", " REPLICATION", " NOREPLICATION"),
        ("bypass_rls", " BYPASSRLS", " NOBYPASSRLS"),
    ] {
        sql.push(if after.has(fact) { yes } else { no });
    }
    let limit = raw(after.text("connection_limit").unwrap_or("-1"));
    sql.push(" CONNECTION LIMIT ").piece(&limit);
    if let Some(until) = after.text("valid_until") {
        sql.push(" VALID UNTIL ").piece(&Literal::new(until));
    }
    sql
}

pub(super) fn role_rest(key: &Key, before: &Object, after: &Object) -> Vec<Sql> {
    let whose = Sql::fill("ROLE {}", &[&name(key)]);
    let mut sql = setting_changes(&whose, before.list("settings"), after.list("settings"));
    let (old, new) = (before.list("member_of"), after.list("member_of"));
    for item in old.iter().filter(|item| !new.contains(item)) {
        let role = item.trim_end_matches(" WITH ADMIN OPTION");
        sql.push(Sql::fill("REVOKE {} FROM {}", &[&raw(role), &name(key)]));
    }
    for item in new.iter().filter(|item| !old.contains(item)) {
        let (role, option) = match item.strip_suffix(" WITH ADMIN OPTION") {
            Some(role) => (role, " WITH ADMIN OPTION"),
            None => (&**item, ""),
        };
        sql.push(Sql::fill(
            "GRANT {} TO {}{}",
            &[&raw(role), &name(key), &Sql::new(option)],
        ));
    }
    sql
}
