//! Owns migrations made from a manifest: the difference to what the migrations give, as files that were tried.
//!
//! Each file is executed on a scratch database before anybody sees it, both ways; its way back is the difference
//! between what was really there before and after it.

use anyhow::{Context as _, Result};

use crate::catalog::{Catalog, Key, Kind, Scope, read};
use crate::diff;
use crate::diff::ddl::{self, Options, Statement};
use crate::error::{Failure, fail};
use crate::manifest::Manifest;
use crate::manifest::compare::Speech;
use crate::manifest::statements::object_name;
use crate::pg::session::Session;
use crate::sql::name::{Ident, ObjectName};
use crate::sql::safe::Sql;

/// One migration: the texts of its two files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The way up.
    pub up: String,
    /// The way back.
    pub down: String,
    /// What the way up destroys for good, in words.
    pub destroys: Vec<String>,
}

/// What is run together.
struct Group {
    /// Whether each statement is committed by itself.
    alone: bool,
    statements: Vec<Statement>,
}

/// Makes the migrations that lead from what the session's database holds to what a manifest declares.
///
/// The database is a shadow of the migrations so far, and is left as the new ones leave it. No difference gives none.
pub async fn generate(
    session: &Session,
    manifest: &Manifest,
    declared: &Catalog,
    scope: &Scope,
) -> Result<Vec<Part>> {
    if manifest.is_partial() {
        return Err(
            fail("a manifest that says `only:` does not say what the rest should be")
                .hint("declare the tables in full, or write the migration by hand")
                .into(),
        );
    }
    let first = read::read(session, scope).await?;
    let renames = renames(manifest, &first)?;
    let mut groups = Vec::new();
    if !renames.is_empty() {
        groups.push(Group {
            alone: false,
            statements: renames,
        });
    }
    let mut before = vec![first.clone()];
    for group in &groups {
        run(session, group).await?;
        before.push(read::read(session, scope).await?);
    }
    let current = before.last().unwrap_or(&first).clone();
    let target = overlay(&Speech::of(manifest), declared, &current);
    let options = Options {
        column_order: false,
        online: true,
    };
    for group in grouped(ddl::statements(&current, &target, &options)) {
        run(session, &group).await?;
        before.push(read::read(session, scope).await?);
        groups.push(group);
    }
    let last = before.last().unwrap_or(&first);
    let left = diff::between(last, &target);
    if let Some(change) = left.first() {
        return Err(not_made(&change.key).into());
    }
    let mut parts = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        parts.push(part(group, &before[index], &before[index + 1]));
    }
    try_back(session, &parts, &before, scope).await?;
    Ok(parts)
}

fn not_made(key: &Key) -> Failure {
    fail(format!(
        "{key} would not be as declared after the migration; nothing was written"
    ))
    .hint("write this migration by hand: af-db new NAME")
}

/// Gives what is declared with what a manifest leaves to others: policies, grants and owners as they are.
fn overlay(speech: &Speech, declared: &Catalog, current: &Catalog) -> Catalog {
    let mut target = declared.clone();
    target.version = current.version;
    for (key, object) in &current.objects {
        let belongs = match key.kind {
            Kind::Policy if !speech.policies => declared
                .get(&Key::named(Kind::Table, &key.schema, &key.name))
                .is_some(),
            Kind::DefaultPrivileges | Kind::SystemGrant => !speech.grants,
            Kind::Database | Kind::Parameter | Kind::Role => true,
            _ => false,
        };
        if let Some(same) = target.objects.get_mut(key) {
            if !speech.grants || key.kind == Kind::Database {
                same.acl.clone_from(&object.acl);
            }
            if !speech.owners {
                same.owner.clone_from(&object.owner);
            }
        } else if belongs {
            target.objects.insert(key.clone(), object.clone());
        }
    }
    target
}

/// Gives the statements that rename what the manifest says was called otherwise, where it still is.
fn renames(manifest: &Manifest, current: &Catalog) -> Result<Vec<Statement>> {
    let mut statements = Vec::new();
    for file in &manifest.files {
        for (name, table) in file.document.tables.iter() {
            let object = object_name(&file.name, name)?;
            let mut old = object.clone();
            if let Some(before) = &table.renamed_from {
                let before = object_name(&file.name, before)?;
                if has_table(current, &before) && !has_table(current, &object) {
                    let sql = Sql::fill("ALTER TABLE {} RENAME TO {}", &[&before, &object.name]);
                    statements.push(statement(
                        sql,
                        Key::named(Kind::Table, object.schema.as_str(), object.name.as_str()),
                    ));
                    old = before;
                }
            }
            let parts = [
                (&table.columns, Kind::Column),
                (&table.constraints, Kind::Constraint),
            ];
            for (entries, kind) in parts {
                for (part, line) in entries.iter() {
                    let Some(before) = &line.renamed_from else {
                        continue;
                    };
                    if !has_part(current, kind, &old, &before.value)
                        || has_part(current, kind, &old, &part.value)
                    {
                        continue;
                    }
                    let template = match kind {
                        Kind::Column => "ALTER TABLE {} RENAME COLUMN {} TO {}",
                        _ => "ALTER TABLE {} RENAME CONSTRAINT {} TO {}",
                    };
                    let names = (Ident::new(&*before.value), Ident::new(&*part.value));
                    let sql = Sql::fill(template, &[&object, &names.0, &names.1]);
                    statements.push(statement(
                        sql,
                        Key::part(
                            kind,
                            object.schema.as_str(),
                            object.name.as_str(),
                            &part.value,
                        ),
                    ));
                }
            }
            for (index, line) in table.indexes.iter() {
                let Some(before) = &line.renamed_from else {
                    continue;
                };
                let at = |name: &str| Key::named(Kind::Index, object.schema.as_str(), name);
                if current.get(&at(&before.value)).is_some()
                    && current.get(&at(&index.value)).is_none()
                {
                    let old = ObjectName {
                        schema: object.schema.clone(),
                        name: Ident::new(&*before.value),
                    };
                    let sql = Sql::fill(
                        "ALTER INDEX {} RENAME TO {}",
                        &[&old, &Ident::new(&*index.value)],
                    );
                    statements.push(statement(sql, at(&index.value)));
                }
            }
        }
    }
    Ok(statements)
}

fn statement(sql: Sql, about: Key) -> Statement {
    Statement {
        sql,
        about,
        alone: false,
        destroys: None,
    }
}

fn has_table(catalog: &Catalog, name: &ObjectName) -> bool {
    catalog
        .get(&Key::named(
            Kind::Table,
            name.schema.as_str(),
            name.name.as_str(),
        ))
        .is_some()
}

fn has_part(catalog: &Catalog, kind: Kind, table: &ObjectName, part: &str) -> bool {
    catalog
        .get(&Key::part(
            kind,
            table.schema.as_str(),
            table.name.as_str(),
            part,
        ))
        .is_some()
}

/// Puts together what may run in one transaction, and what must be committed statement by statement.
fn grouped(statements: Vec<Statement>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for statement in statements {
        match groups.last_mut() {
            Some(group) if group.alone == statement.alone => group.statements.push(statement),
            _ => groups.push(Group {
                alone: statement.alone,
                statements: vec![statement],
            }),
        }
    }
    groups
}

async fn run(session: &Session, group: &Group) -> Result<()> {
    for statement in &group.statements {
        let doing = || format!("trying the migration: {}", statement.sql);
        session.run(&statement.sql).await.with_context(doing)?;
    }
    session.run(&Sql::new("RESET check_function_bodies")).await
}

fn part(group: &Group, before: &Catalog, after: &Catalog) -> Part {
    let options = Options {
        column_order: false,
        online: false,
    };
    let back = ddl::statements(after, before, &options);
    let alone = back.iter().any(|statement| statement.alone);
    Part {
        up: text(group.alone, &group.statements),
        down: text(alone, &back),
        destroys: group
            .statements
            .iter()
            .filter_map(|statement| statement.destroys.clone())
            .collect(),
    }
}

/// Writes a file; what destroys is marked at its statement.
fn text(alone: bool, statements: &[Statement]) -> String {
    let mut text = String::new();
    if alone {
        text.push_str("-- af-db: no-transaction\n");
    }
    for statement in statements {
        if let Some(what) = &statement.destroys {
            text.push_str(&format!(
                "-- destroys {}\n",
                what.replace(['\n', '\r'], " ")
            ));
        }
        text.push_str(statement.sql.as_str().trim_end());
        text.push_str(";\n");
    }
    text
}

/// Goes all the way back and up again; every step must give what was there.
async fn try_back(
    session: &Session,
    parts: &[Part],
    before: &[Catalog],
    scope: &Scope,
) -> Result<()> {
    for (index, part) in parts.iter().enumerate().rev() {
        run_text(session, &part.down).await?;
        let now = read::read(session, scope).await?;
        if let Some(change) = diff::between(&now, &before[index]).first() {
            let message = format!(
                "{} would not come back on the way down; nothing was written",
                change.key
            );
            return Err(fail(message)
                .hint("write this migration by hand: af-db new NAME")
                .into());
        }
    }
    for part in parts {
        run_text(session, &part.up).await?;
    }
    let now = read::read(session, scope).await?;
    match before
        .last()
        .and_then(|last| diff::between(&now, last).into_iter().next())
    {
        Some(change) => Err(not_made(&change.key).into()),
        None => Ok(()),
    }
}

async fn run_text(session: &Session, text: &str) -> Result<()> {
    for statement in crate::sql::split::split(text) {
        let doing = || format!("trying the migration both ways: {}", statement.text);
        session
            .run(&Sql::written_by_user(statement.text))
            .await
            .with_context(doing)?;
    }
    session.run(&Sql::new("RESET check_function_bodies")).await
}
