//! Writes comments, owners, privileges and security labels of objects of all kinds.

use std::collections::BTreeMap;

use super::names::{for_grant, raw, with_kind};
use crate::catalog::acl::{Acl, Grant, Grantee, privilege_word};
use crate::catalog::{Key, Kind, Object, Text};
use crate::diff::plan::Plan;
use crate::sql::name::{Ident, Literal};
use crate::sql::safe::Sql;

/// Returns the statements that follow the creation of an object.
pub(super) fn new(plan: &Plan<'_>, key: &Key, after: &Object) -> Vec<Sql> {
    let mut sql = Vec::new();
    let reader = plan.from.reader.as_str();
    if let Some(owner) = &after.owner
        && &**owner != reader
    {
        sql.extend(owned(plan, key, owner));
    }
    if after.comment.is_some() || key.kind == Kind::Schema && &*key.name == "public" {
        sql.extend(comment(plan, key, after.comment.as_deref()));
    }
    let wanted = after
        .acl
        .clone()
        .unwrap_or_else(|| standard(plan, key, after));
    let (cleared, start) = at_birth(plan, key, after);
    sql.extend(cleared);
    sql.extend(privileges(plan, key, after, &start, &wanted));
    sql.extend(labels(plan, key, &[], &after.labels));
    sql
}

/// Returns the statements that update an object that stays.
pub(super) fn changed(plan: &Plan<'_>, key: &Key, before: &Object, after: &Object) -> Vec<Sql> {
    let mut sql = Vec::new();
    if let Some(owner) = &after.owner
        && before.owner.is_some()
        && before.owner != after.owner
    {
        sql.extend(owned(plan, key, owner));
    }
    if before.comment != after.comment {
        sql.extend(comment(plan, key, after.comment.as_deref()));
    }
    if before.acl != after.acl {
        let standard = Acl::standard(key.kind, plan.to.version);
        let old = before.acl.as_ref().unwrap_or(&standard);
        let new = after.acl.as_ref().unwrap_or(&standard);
        sql.extend(privileges(plan, key, after, old, new));
    }
    sql.extend(labels(plan, key, &before.labels, &after.labels));
    sql
}

fn owned(plan: &Plan<'_>, key: &Key, owner: &Text) -> Option<Sql> {
    match key.kind {
        // These have the owner of another object.
        Kind::SystemGrant => given_away(plan, key, owner),
        Kind::Identity | Kind::DefaultPrivileges | Kind::Parameter | Kind::Extension => None,
        _ => Some(Sql::fill(
            "ALTER {} OWNER TO {}",
            &[
                &with_kind(plan.catalog_naming(key), key),
                &Ident::new(&**owner),
            ],
        )),
    }
}

/// Returns the statement that changes the owner of a system object, unless it is the original one.
pub(super) fn given_away(plan: &Plan<'_>, key: &Key, owner: &str) -> Option<Sql> {
    let first = |object: &Object| object.text("first_owner").is_some();
    let was_given = |object: Option<&Object>| object.is_some_and(first);
    if !was_given(plan.from.get(key)) && !was_given(plan.to.get(key)) {
        return None;
    }
    let object = for_grant(plan.catalog_naming(key), key)?;
    Some(Sql::fill(
        "ALTER {} OWNER TO {}",
        &[&object, &Ident::new(owner)],
    ))
}

fn comment(plan: &Plan<'_>, key: &Key, text: Option<&str>) -> Option<Sql> {
    if matches!(
        key.kind,
        Kind::Default | Kind::RowSecurity | Kind::Partition | Kind::SequenceOwner
    ) {
        return None;
    }
    let text = text.map_or_else(
        || Sql::new("NULL"),
        |text| raw(&Literal::new(text).to_string()),
    );
    Some(Sql::fill(
        "COMMENT ON {} IS {}",
        &[&with_kind(plan.catalog_naming(key), key), &text],
    ))
}

fn labels(plan: &Plan<'_>, key: &Key, old: &[(Text, Text)], new: &[(Text, Text)]) -> Vec<Sql> {
    let gone = old
        .iter()
        .filter(|(provider, _)| !new.iter().any(|(other, _)| other == provider))
        .map(|(provider, _)| (provider, Sql::new("NULL")));
    let set = new
        .iter()
        .filter(|label| !old.contains(label))
        .map(|(provider, label)| (provider, raw(&Literal::new(&**label).to_string())));
    gone.chain(set)
        .map(|(provider, label)| {
            Sql::fill(
                "SECURITY LABEL FOR {} ON {} IS {}",
                &[
                    &Ident::new(&**provider),
                    &with_kind(plan.catalog_naming(key), key),
                    &label,
                ],
            )
        })
        .collect()
}

/// Returns the default privileges of an object.
fn standard(plan: &Plan<'_>, key: &Key, object: &Object) -> Acl {
    match key.kind {
        Kind::DefaultPrivileges => default_acl(plan, key),
        Kind::SystemGrant => {
            let items = object.list("standard").iter().map(|item| &**item);
            // The grants of the original owner become the new owner's.
            let owner = object.text("first_owner").or(object.owner.as_deref());
            Acl::parse(items, owner.unwrap_or_default())
        }
        _ => Acl::standard(key.kind, plan.to.version),
    }
}

/// Returns the base of a set of default privileges: none in a schema, the built-in ones elsewhere.
pub(super) fn default_acl(plan: &Plan<'_>, key: &Key) -> Acl {
    if key.kind != Kind::DefaultPrivileges || !key.schema.is_empty() {
        return Acl::default();
    }
    let kind = match &*key.part {
        "TABLES" => Kind::Table,
        "SEQUENCES" => Kind::Sequence,
        "FUNCTIONS" => Kind::Function,
        "TYPES" => Kind::Type,
        _ => Kind::Schema,
    };
    Acl::standard(kind, plan.to.version)
}

/// Returns the privileges of a newly created object, and the statements that ensure them.
///
/// Default privileges depend on the creating role, so they are revoked first.
fn at_birth(plan: &Plan<'_>, key: &Key, after: &Object) -> (Vec<Sql>, Acl) {
    let standard = standard(plan, key, after);
    let part = match key.kind {
        Kind::Table | Kind::ForeignTable | Kind::View | Kind::MaterializedView => "TABLES",
        Kind::Sequence | Kind::Identity => "SEQUENCES",
        Kind::Function | Kind::Procedure | Kind::Aggregate => "FUNCTIONS",
        Kind::Type => "TYPES",
        Kind::Schema => "SCHEMAS",
        _ => return (Vec::new(), standard),
    };
    let mut grantees: Vec<Grantee> = plan
        .from
        .of_kind(Kind::DefaultPrivileges)
        .filter(|(entry, _)| {
            &*entry.part == part && (entry.schema.is_empty() || entry.schema == key.schema)
        })
        .flat_map(|(entry, object)| {
            let owner = entry.name.clone();
            let grants = object.acl.as_ref().map(|acl| acl.0.as_slice());
            grants
                .unwrap_or_default()
                .iter()
                .map(move |grant| match &grant.grantee {
                    Grantee::Owner => Grantee::Role(owner.clone()),
                    other => other.clone(),
                })
        })
        .collect();
    if grantees.is_empty() {
        return (Vec::new(), standard);
    }
    grantees.extend(standard.0.iter().map(|grant| grant.grantee.clone()));
    grantees.retain(|grantee| {
        *grantee != Grantee::Owner
            && !matches!((grantee, &after.owner), (Grantee::Role(role), Some(owner)) if role == owner)
    });
    grantees.sort();
    grantees.dedup();
    let Some(on) = for_grant(plan.catalog_naming(key), key) else {
        return (Vec::new(), standard);
    };
    let cleared = grantees
        .iter()
        .map(|grantee| {
            Sql::fill(
                "REVOKE ALL ON {} FROM {}",
                &[&on, &role(grantee, after.owner.as_ref())],
            )
        })
        .collect();
    let left = standard
        .0
        .into_iter()
        .filter(|grant| grant.grantee == Grantee::Owner)
        .collect();
    (cleared, Acl(left))
}

/// Returns the REVOKEs and GRANTs that change one set of privileges to another.
pub(super) fn privileges(
    plan: &Plan<'_>,
    key: &Key,
    object: &Object,
    old: &Acl,
    new: &Acl,
) -> Vec<Sql> {
    if old == new {
        return Vec::new();
    }
    if key.kind == Kind::DefaultPrivileges {
        let prefix = default_prefix(key);
        let on = Sql::fill("{}", &[&raw(&key.part)]);
        return grants(
            object,
            old,
            new,
            &Form {
                prefix,
                on,
                columns: None,
            },
        );
    }
    let Some(on) = for_grant(plan.catalog_naming(key), key) else {
        return Vec::new();
    };
    let columns = if key.kind == Kind::Column {
        Some(Ident::new(&*key.part).to_string())
    } else {
        key.part.strip_prefix("COLUMN ").map(str::to_owned)
    };
    let prefix = Sql::default();
    let form = Form {
        prefix,
        on,
        columns,
    };
    // A column has the owner of its table.
    let mut owned = object.clone();
    if key.kind == Kind::Column {
        let table = plan.to.parent(key).and_then(|table| plan.to.get(&table));
        owned.owner = table.and_then(|table| table.owner.clone());
    }
    let mut sql = grants(&owned, old, new, &form);
    if form.columns.is_none() {
        sql.extend(kept_on_columns(plan, key, old, new));
    }
    sql
}

/// Repeats the grants on columns: revoking a table privilege also revokes it on every column.
fn kept_on_columns(plan: &Plan<'_>, key: &Key, old: &Acl, new: &Acl) -> Vec<Sql> {
    let after = holdings(new);
    let none = (String::new(), String::new());
    let before = holdings(old);
    let lost: Vec<(&Grantee, String)> = before
        .iter()
        .map(|(at, (held, _))| {
            let (wanted, _) = after.get(at).unwrap_or(&none);
            (at.1, without(held, wanted))
        })
        .filter(|(_, gone)| !gone.is_empty())
        .collect();
    if lost.is_empty() {
        return Vec::new();
    }
    columns_of(plan, key)
        .into_iter()
        .flat_map(|(column, object)| {
            let acl = object.acl.clone().unwrap_or_default();
            let again = acl.0.iter().filter_map(|grant| {
                let (_, gone) = lost
                    .iter()
                    .find(|(grantee, _)| **grantee == grant.grantee)?;
                let cut = |letters: &str| -> String {
                    letters
                        .chars()
                        .filter(|letter| gone.contains(*letter))
                        .collect()
                };
                let kept = cut(&grant.privileges);
                (!kept.is_empty()).then(|| Grant {
                    privileges: kept,
                    grantable: cut(&grant.grantable),
                    ..grant.clone()
                })
            });
            let again = Acl(again.collect());
            privileges(plan, column, object, &Acl::default(), &again)
        })
        .collect()
}

fn columns_of<'k>(plan: &'k Plan<'_>, key: &'k Key) -> Vec<(&'k Key, &'k Object)> {
    match key.kind {
        Kind::Table | Kind::ForeignTable | Kind::View | Kind::MaterializedView => {
            plan.to.columns(key)
        }
        Kind::SystemGrant if &*key.part == "TABLE" => plan
            .to
            .parts(Kind::SystemGrant, &key.schema, &key.name)
            .filter(|(part, _)| part.part.starts_with("COLUMN "))
            .collect(),
        _ => Vec::new(),
    }
}

/// The parts of GRANT statements for one object.
struct Form {
    prefix: Sql,
    on: Sql,
    columns: Option<String>,
}

fn default_prefix(key: &Key) -> Sql {
    let role = Ident::new(&*key.name);
    if key.schema.is_empty() {
        Sql::fill("ALTER DEFAULT PRIVILEGES FOR ROLE {} ", &[&role])
    } else {
        Sql::fill(
            "ALTER DEFAULT PRIVILEGES FOR ROLE {} IN SCHEMA {} ",
            &[&role, &Ident::new(&*key.schema)],
        )
    }
}

type Holdings<'a> = BTreeMap<(Option<&'a Text>, &'a Grantee), (String, String)>;

fn holdings(acl: &Acl) -> Holdings<'_> {
    let mut held = Holdings::new();
    for grant in &acl.0 {
        let entry = held
            .entry((grant.grantor.as_ref(), &grant.grantee))
            .or_default();
        entry.0.push_str(&grant.privileges);
        entry.1.push_str(&grant.grantable);
    }
    held
}

fn grants(object: &Object, old: &Acl, new: &Acl, form: &Form) -> Vec<Sql> {
    let (before, after) = (holdings(old), holdings(new));
    let none = (String::new(), String::new());
    let mut sql = Vec::new();
    let mut say = |grantor: Option<&Text>, statement: Sql| match grantor {
        None => sql.push(statement),
        Some(grantor) => {
            sql.push(Sql::fill(
                "SET SESSION AUTHORIZATION {}",
                &[&Ident::new(&**grantor)],
            ));
            sql.push(statement);
            sql.push(Sql::new("RESET SESSION AUTHORIZATION"));
        }
    };
    for ((grantor, grantee), (held, grantable)) in &before {
        let (wanted, keep) = after.get(&(*grantor, *grantee)).unwrap_or(&none);
        let gone = without(held, wanted);
        let to = role(grantee, object.owner.as_ref());
        if !gone.is_empty() {
            let what = listed(&gone, form);
            let pieces: [&dyn crate::sql::safe::SqlPart; 4] = [&form.prefix, &what, &form.on, &to];
            say(*grantor, Sql::fill("{}REVOKE {} ON {} FROM {}", &pieces));
        }
        let option = without(&without(grantable, keep), &gone);
        if !option.is_empty() {
            let what = listed(&option, form);
            let pieces: [&dyn crate::sql::safe::SqlPart; 4] = [&form.prefix, &what, &form.on, &to];
            say(
                *grantor,
                Sql::fill("{}REVOKE GRANT OPTION FOR {} ON {} FROM {}", &pieces),
            );
        }
    }
    for grant in ordered(new) {
        let at = (grant.grantor.as_ref(), &grant.grantee);
        let (held, held_option) = before.get(&at).unwrap_or(&none);
        let fresh = without(&grant.grantable, held_option);
        let plain = without(&without(&grant.privileges, held), &fresh);
        let to = role(&grant.grantee, object.owner.as_ref());
        for (letters, template) in [
            (plain, "{}GRANT {} ON {} TO {}"),
            (fresh, "{}GRANT {} ON {} TO {} WITH GRANT OPTION"),
        ] {
            if !letters.is_empty() {
                let what = listed(&letters, form);
                let pieces: [&dyn crate::sql::safe::SqlPart; 4] =
                    [&form.prefix, &what, &form.on, &to];
                say(at.0, Sql::fill(template, &pieces));
            }
        }
    }
    sql
}

/// Returns the grants in an order in which a role receives a privilege before it grants it.
fn ordered(acl: &Acl) -> Vec<&Grant> {
    let mut grants: Vec<&Grant> = acl.0.iter().collect();
    grants.sort_by_key(|grant| grant.grantor.is_some());
    grants
}

fn without(letters: &str, others: &str) -> String {
    letters
        .chars()
        .filter(|letter| !others.contains(*letter))
        .collect()
}

fn listed(letters: &str, form: &Form) -> Sql {
    let words: Vec<String> = letters
        .chars()
        .map(|letter| match &form.columns {
            Some(columns) => format!("{} ({columns})", privilege_word(letter)),
            None => privilege_word(letter).to_owned(),
        })
        .collect();
    raw(&words.join(", "))
}

fn role(grantee: &Grantee, owner: Option<&Text>) -> Sql {
    match grantee {
        Grantee::Public => Sql::new("PUBLIC"),
        Grantee::Owner => owner.map_or_else(
            || Sql::new("CURRENT_USER"),
            |owner| raw(&Ident::new(&**owner).to_string()),
        ),
        Grantee::Role(role) => raw(&Ident::new(&**role).to_string()),
    }
}
