//! Writes storage parameters and options of foreign objects.

use super::names::raw;
use crate::catalog::{Object, Text};
use crate::sql::name::{Ident, Literal};
use crate::sql::safe::Sql;

/// Returns storage parameters by name, those of the TOAST table with its prefix.
pub(super) fn settings(object: &Object) -> Vec<(String, Sql)> {
    let own = object.list("options").iter().map(|item| ("", item));
    let toast = object
        .list("toast_options")
        .iter()
        .map(|item| ("toast.", item));
    own.chain(toast)
        .map(|(prefix, item)| {
            let (option, value) = item.split_once('=').unwrap_or((item, "true"));
            let option = format!("{prefix}{}", Ident::new(option));
            let sql = Sql::fill("{}={}", &[&raw(&option), &Literal::new(value)]);
            (option, sql)
        })
        .collect()
}

/// Returns what to set and what to reset.
pub(super) fn option_changes(old: &[Text], new: &[Text]) -> (Sql, Sql) {
    let option_name = |item: &Text| item.split('=').next().unwrap_or_default().to_owned();
    let set = new.iter().filter(|item| !old.contains(item)).map(|item| {
        let (option, value) = item.split_once('=').unwrap_or((item, "true"));
        Sql::fill("{}={}", &[&Ident::new(option), &Literal::new(value)])
    });
    let reset = old
        .iter()
        .filter(|item| {
            !new.iter()
                .any(|other| option_name(other) == option_name(item))
        })
        .map(|item| raw(&Ident::new(option_name(item)).to_string()));
    (Sql::join(set, ", "), Sql::join(reset, ", "))
}

/// Returns the options of a foreign object as ` OPTIONS (…)`, or nothing.
pub(super) fn options(items: &[Text]) -> Sql {
    if items.is_empty() {
        return Sql::default();
    }
    let items = items.iter().map(foreign_option);
    Sql::fill(" OPTIONS ({})", &[&Sql::join(items, ", ")])
}

pub(super) fn foreign_option(item: &Text) -> Sql {
    let (option, value) = item.split_once('=').unwrap_or((item, ""));
    Sql::fill("{} {}", &[&Ident::new(option), &Literal::new(value)])
}

/// Returns the content of `OPTIONS (…)` that changes one set of options to another.
pub(super) fn foreign_option_changes(old: &[Text], new: &[Text]) -> Sql {
    let option_name = |item: &Text| item.split('=').next().unwrap_or_default().to_owned();
    let has = |items: &[Text], name: &str| items.iter().any(|item| option_name(item) == name);
    let mut words = Vec::new();
    for item in old.iter().filter(|item| !has(new, &option_name(item))) {
        words.push(Sql::fill("DROP {}", &[&Ident::new(option_name(item))]));
    }
    for item in new.iter().filter(|item| !old.contains(item)) {
        let verb = Sql::new(if has(old, &option_name(item)) {
            "SET "
        } else {
            "ADD "
        });
        words.push(Sql::fill("{}{}", &[&verb, &foreign_option(item)]));
    }
    Sql::join(words, ", ")
}

pub(super) fn listed(names: &[Text]) -> Sql {
    Sql::join(names.iter().map(|name| raw(name)), ", ")
}
