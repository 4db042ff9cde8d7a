//! The SQL that turns existing rights into the declared ones, in an order that never opens access in between.
//!
//! What is too much goes first, then guards, then the policies that are missing, then those that must go; row-level
//! security is enabled after its policies, and grants come last.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::acl::privilege_word;
use crate::catalog::{Key, Kind};
use crate::difference::Difference;
use crate::rights::{Grant, PUBLIC, Policy, Rights};
use crate::sql::name::{Ident, ObjectName};
use crate::sql::safe::Sql;

/// When a statement runs; the order is the order of running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum FixPhase {
    Revoke,
    // A policy that gives its name to another keeps holding until that one is there.
    Aside,
    Guard,
    Create,
    Drop,
    Enable,
    Force,
    Loosen,
    Grant,
}

/// Returns the statements that settle all differences, in order.
pub(crate) fn statements(differences: &[Difference], wanted: &Rights, found: &Rights) -> Vec<Sql> {
    let mut all: Vec<(FixPhase, Sql)> = Vec::new();
    for difference in differences {
        mend(difference, wanted, found, &mut all);
    }
    all.sort_by_key(|(phase, _)| *phase);
    let mut seen = BTreeSet::new();
    all.into_iter()
        .map(|(_, sql)| sql)
        .filter(|sql| seen.insert(sql.clone()))
        .collect()
}

/// Writes statements as a script.
pub fn script(statements: &[Sql]) -> String {
    let mut script = String::new();
    for sql in statements {
        script.push_str(sql.as_str());
        script.push_str(";\n");
    }
    script
}

fn mend(difference: &Difference, wanted: &Rights, found: &Rights, into: &mut Vec<(FixPhase, Sql)>) {
    match difference {
        Difference::Enabled { table, wanted } => {
            let name = name_of(table);
            into.push(if *wanted {
                let sql = Sql::fill("ALTER TABLE {} ENABLE ROW LEVEL SECURITY", &[&name]);
                (FixPhase::Enable, sql)
            } else {
                let sql = Sql::fill("ALTER TABLE {} DISABLE ROW LEVEL SECURITY", &[&name]);
                (FixPhase::Loosen, sql)
            });
        }
        Difference::Forced { table, wanted } => {
            let name = name_of(table);
            into.push(if *wanted {
                let sql = Sql::fill("ALTER TABLE {} FORCE ROW LEVEL SECURITY", &[&name]);
                (FixPhase::Force, sql)
            } else {
                let sql = Sql::fill("ALTER TABLE {} NO FORCE ROW LEVEL SECURITY", &[&name]);
                (FixPhase::Loosen, sql)
            });
        }
        Difference::Policy {
            table,
            wanted,
            found: had,
            ..
        } => policy(table, wanted.as_deref(), had.as_deref(), found, into),
        Difference::Grants {
            object,
            grantee,
            missing,
            extra,
        } => {
            let again: Vec<&Grant> = wanted
                .grants
                .iter()
                .filter(|grant| grant.grantee == *grantee && is_column_of(grant, object))
                .filter(|grant| extra.iter().any(|gone| gone.privilege == grant.privilege))
                .collect();
            for (on, privileges) in by_object(extra.iter()) {
                into.push((FixPhase::Revoke, change(&on, grantee, &privileges, false)));
            }
            // What is taken from a table is taken from its columns too.
            for (on, privileges) in by_object(missing.iter().chain(again)) {
                into.push((FixPhase::Grant, change(&on, grantee, &privileges, true)));
            }
        }
    }
}

fn is_column_of(grant: &Grant, object: &Key) -> bool {
    grant.on.kind == Kind::Column
        && grant.on.schema == object.schema
        && grant.on.name == object.name
}

fn policy(
    table: &Key,
    wanted: Option<&Policy>,
    had: Option<&Policy>,
    found: &Rights,
    into: &mut Vec<(FixPhase, Sql)>,
) {
    let on = name_of(table);
    match (wanted, had) {
        (Some(want), Some(had)) if want.name == had.name && can_be_altered(want, had) => {
            let mut sql = Sql::fill(
                "ALTER POLICY {} ON {} TO {}",
                &[&Ident::new(&*want.name), &on, &roles(want)],
            );
            conditions(&mut sql, want);
            into.push((FixPhase::Create, sql));
        }
        (Some(want), had) => {
            let taken = |name: &str| {
                let rows = found.tables.get(table);
                rows.is_some_and(|rows| rows.policies.iter().any(|policy| policy.name == name))
            };
            let mut name = want.name.clone();
            if let Some(had) = had {
                let mut leaving = had.name.clone();
                if had.name == want.name {
                    leaving = free_name(&had.name, "_before", &taken);
                    let sql = Sql::fill(
                        "ALTER POLICY {} ON {} RENAME TO {}",
                        &[&Ident::new(&*had.name), &on, &Ident::new(leaving.as_str())],
                    );
                    into.push((FixPhase::Aside, sql));
                }
                let sql = Sql::fill("DROP POLICY {} ON {}", &[&Ident::new(leaving), &on]);
                into.push((FixPhase::Drop, sql));
            }
            if taken(&name) && had.is_none_or(|had| had.name != name) {
                name = free_name(&name, "_2", &taken);
            }
            into.push(create(&name, &on, want));
        }
        (None, Some(had)) => {
            let sql = Sql::fill("DROP POLICY {} ON {}", &[&Ident::new(&*had.name), &on]);
            // A guard that goes lets more through: only once everything else stands.
            let phase = if had.restrictive {
                FixPhase::Loosen
            } else {
                FixPhase::Drop
            };
            into.push((phase, sql));
        }
        (None, None) => {}
    }
}

/// Returns an unused name within the 63 bytes that PostgreSQL keeps.
fn free_name(name: &str, suffix: &str, taken: &dyn Fn(&str) -> bool) -> String {
    let mut base = name.to_owned();
    while base.len() + suffix.len() > 60 {
        base.pop();
    }
    let mut free = format!("{base}{suffix}");
    while taken(&free) {
        free.push('_');
    }
    free
}

/// ALTER POLICY changes roles and conditions, and takes no condition away.
fn can_be_altered(want: &Policy, had: &Policy) -> bool {
    want.command == had.command
        && want.restrictive == had.restrictive
        && (want.using.is_some() || had.using.is_none())
        && (want.check.is_some() || had.check.is_none())
}

fn create(name: &str, on: &ObjectName, policy: &Policy) -> (FixPhase, Sql) {
    let mut sql = Sql::fill("CREATE POLICY {} ON {}", &[&Ident::new(name), on]);
    if policy.restrictive {
        sql.push(" AS RESTRICTIVE");
    }
    sql.push(" FOR ").push(policy.command.word());
    sql.push(" TO ").piece(&roles(policy));
    conditions(&mut sql, policy);
    let phase = if policy.restrictive {
        FixPhase::Guard
    } else {
        FixPhase::Create
    };
    (phase, sql)
}

fn conditions(sql: &mut Sql, policy: &Policy) {
    let printed = |text: &str| Sql::printed_by_server(text);
    if let Some(using) = &policy.using {
        sql.push(" USING (").piece(&printed(using)).push(")");
    }
    if let Some(check) = &policy.check {
        sql.push(" WITH CHECK (").piece(&printed(check)).push(")");
    }
}

fn roles(policy: &Policy) -> Sql {
    Sql::join(policy.roles.iter().map(|role| role_of(role)), ", ")
}

fn role_of(role: &str) -> Sql {
    if role == PUBLIC {
        Sql::new("PUBLIC")
    } else {
        Sql::fill("{}", &[&Ident::new(role)])
    }
}

/// Privileges by their letter, each with the grants of it.
type Privileges<'g> = Vec<(char, Vec<&'g Grant>)>;

/// Gathers the grants that one statement can speak of: the object, the columns, and whether they may be passed on.
fn by_object<'g>(grants: impl Iterator<Item = &'g Grant>) -> Vec<(Key, Privileges<'g>)> {
    let mut objects: BTreeMap<(Key, bool), BTreeMap<char, Vec<&Grant>>> = BTreeMap::new();
    for grant in grants {
        let mut on = grant.on.clone();
        if on.kind == Kind::Column {
            on.part = "".into();
            on.kind = Kind::Table;
        }
        let privileges = objects.entry((on, grant.grantable)).or_default();
        privileges.entry(grant.privilege).or_default().push(grant);
    }
    let gathered = objects.into_iter();
    gathered
        .map(|((on, _), privileges)| (on, privileges.into_iter().collect()))
        .collect()
}

fn change(on: &Key, grantee: &str, privileges: &Privileges<'_>, give: bool) -> Sql {
    let mut listed: Vec<Sql> = Vec::new();
    let mut grantable = false;
    for (letter, grants) in privileges {
        grantable |= grants.iter().any(|grant| grant.grantable);
        let word = Sql::new(privilege_word(*letter));
        let columns: Vec<Ident> = grants
            .iter()
            .filter(|grant| grant.on.kind == Kind::Column)
            .map(|grant| Ident::new(&*grant.on.part))
            .collect();
        if columns.len() < grants.len() {
            listed.push(word.clone());
        }
        if !columns.is_empty() {
            listed.push(Sql::fill("{} ({})", &[&word, &Sql::join(columns, ", ")]));
        }
    }
    let mut sql = if on.kind == Kind::DefaultPrivileges {
        let mut sql = Sql::fill(
            "ALTER DEFAULT PRIVILEGES FOR ROLE {}",
            &[&Ident::new(&*on.name)],
        );
        if !on.schema.is_empty() {
            sql.push(" IN SCHEMA ").piece(&Ident::new(&*on.schema));
        }
        sql.push(" ");
        sql
    } else {
        Sql::default()
    };
    sql.push(if give { "GRANT " } else { "REVOKE " });
    sql.piece(&Sql::join(listed, ", ")).push(" ON ");
    sql.piece(&object(on));
    sql.push(if give { " TO " } else { " FROM " });
    sql.piece(&role_of(grantee));
    if give && grantable {
        sql.push(" WITH GRANT OPTION");
    }
    sql
}

fn object(on: &Key) -> Sql {
    let word = match on.kind {
        Kind::DefaultPrivileges => return Sql::printed_by_server(&*on.part),
        Kind::Sequence => "SEQUENCE ",
        Kind::Function | Kind::Procedure | Kind::Aggregate => "ROUTINE ",
        Kind::Schema => "SCHEMA ",
        _ => "TABLE ",
    };
    let mut sql = Sql::new(word);
    sql.piece(&Sql::printed_by_server(on.qualified()));
    sql
}

fn name_of(table: &Key) -> ObjectName {
    ObjectName::new(&*table.schema, &*table.name)
}
