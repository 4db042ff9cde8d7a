//! Generates migrations from a manifest: the difference to the current migrations, as tested files.
//!
//! Each file is executed up and down on a shadow database before it is written; its down migration is the difference
//! between the schemas after and before it.

use anyhow::{Context as _, Result};

use crate::catalog::{Catalog, Key, Kind, Scope, Value, read};
use crate::diff;
use crate::diff::ddl::{self, Options, Statement};
use crate::error::{Failure, fail};
use crate::manifest::Manifest;
use crate::manifest::compare::DeclaredAspects;
use crate::manifest::entries::{Entries, SqlEntry};
use crate::manifest::object_name::object_name;
use crate::manifest::rename_detection::{self, AskRename};
use crate::pg::session::Session;
use crate::sql::name::{Ident, ObjectName};
use crate::sql::safe::{Sql, SqlPart};

/// One migration: the texts of its two files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratedMigration {
    pub up: String,
    pub down: String,
    /// Data that the up migration destroys.
    pub destroys: Vec<String>,
}

/// Statements of one file.
struct StatementGroup {
    /// Whether each statement runs outside a transaction.
    alone: bool,
    statements: Vec<Statement>,
    /// Down statements that the difference cannot find: for it, a renamed object is another one.
    back: Option<Vec<Statement>>,
}

/// Generates the migrations from the schema in the session's database to the manifest.
///
/// The database has the schema of the existing migrations; afterwards it has that of the new ones.
/// `ask` confirms possible renames.
pub async fn generate(
    session: &Session,
    manifest: &Manifest,
    declared: &Catalog,
    scope: &Scope,
    ask: AskRename<'_>,
) -> Result<Vec<GeneratedMigration>> {
    if manifest.is_partial() {
        return Err(
            fail("a manifest with `only:` does not declare the complete schema")
                .hint("declare the complete tables, or write the migration by hand")
                .into(),
        );
    }
    let first = read::read(session, scope).await?;
    let renamer = Renamer {
        session,
        scope,
        speech: DeclaredAspects::of(manifest),
        declared,
    };
    let (renames, current) = renamer.rename(manifest, &first, ask).await?;
    let target = overlay(&renamer.speech, declared, &current);
    let mut before = vec![first];
    let mut groups = Vec::new();
    if !renames.statements.is_empty() {
        groups.push(renames);
        before.push(current.clone());
    }
    let options = Options {
        column_order: false,
        online: true,
    };
    for group in grouped(ddl::statements(&current, &target, &options)) {
        run(session, &group).await?;
        before.push(read::read(session, scope).await?);
        groups.push(group);
    }
    let left = before
        .last()
        .and_then(|last| changes(last, &target).into_iter().next());
    if let Some(change) = left {
        return Err(not_made(&change.key).into());
    }
    let mut parts = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        parts.push(part(group, &before[index], &before[index + 1]));
    }
    check_down_migration(session, &parts, &before, scope).await?;
    Ok(parts)
}

/// Applies renames in the shadow database, so that objects are compared under their new names.
struct Renamer<'a> {
    session: &'a Session,
    scope: &'a Scope,
    speech: DeclaredAspects,
    declared: &'a Catalog,
}

impl Renamer<'_> {
    /// Applies the renames of the manifest, then those that the user confirms; returns them and the resulting schema.
    async fn rename(
        &self,
        manifest: &Manifest,
        first: &Catalog,
        ask: AskRename<'_>,
    ) -> Result<(StatementGroup, Catalog)> {
        let (statements, back) = renames(manifest, first)?;
        let mut all = StatementGroup {
            alone: false,
            statements: Vec::new(),
            back: Some(Vec::new()),
        };
        let mut current = first.clone();
        self.apply(&mut all, statements, back, &mut current).await?;
        let target = |current: &Catalog| overlay(&self.speech, self.declared, current);
        let asked =
            rename_detection::ask_and_rename(self.session, self.scope, current, &target, ask)
                .await?;
        all.statements.extend(asked.there);
        all.back.get_or_insert_default().extend(asked.back);
        if let Some(back) = &mut all.back {
            back.reverse();
        }
        Ok((all, asked.catalog))
    }

    /// Applies renames and reads the resulting schema.
    async fn apply(
        &self,
        all: &mut StatementGroup,
        statements: Vec<Statement>,
        back: Vec<Statement>,
        current: &mut Catalog,
    ) -> Result<()> {
        if statements.is_empty() {
            return Ok(());
        }
        let group = StatementGroup {
            alone: false,
            statements,
            back: None,
        };
        run(self.session, &group).await?;
        *current = read::read(self.session, self.scope).await?;
        all.statements.extend(group.statements);
        all.back.get_or_insert_default().extend(back);
        Ok(())
    }
}

fn not_made(key: &Key) -> Failure {
    fail(format!(
        "{key} would not match the manifest after the migration; nothing was written"
    ))
    .hint("write this migration by hand: af-db new NAME")
}

/// Returns the declared schema with the current policies, grants and owners where the manifest declares none.
fn overlay(speech: &DeclaredAspects, declared: &Catalog, current: &Catalog) -> Catalog {
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

/// Returns the statements for the renames in the manifest that are not applied yet, and those that
/// revert them.
fn renames(manifest: &Manifest, current: &Catalog) -> Result<(Vec<Statement>, Vec<Statement>)> {
    let (mut there, mut back) = (Vec::new(), Vec::new());
    for file in &manifest.files {
        for (name, table) in file.document.tables.iter() {
            let object = object_name(&file.name, name)?;
            let mut old = object.clone();
            let mut rename = |template: &'static str,
                              on: [&dyn SqlPart; 2],
                              (from, to): (&Ident, &Ident)| {
                let about = Key::named(Kind::Table, object.schema.as_str(), object.name.as_str());
                let pieces = |of: &'static str, on: &dyn SqlPart, from: &Ident, to: &Ident| match of
                    .matches("{}")
                    .count()
                {
                    2 => Sql::fill(of, &[on, to]),
                    _ => Sql::fill(of, &[on, from, to]),
                };
                there.push(statement(pieces(template, on[0], from, to), about.clone()));
                back.push(statement(pieces(template, on[1], to, from), about));
            };
            if let Some(before) = &table.renamed_from {
                let before = object_name(&file.name, before)?;
                if has_table(current, &before) && !has_table(current, &object) {
                    rename(
                        "ALTER TABLE {} RENAME TO {}",
                        [&before, &object],
                        (&before.name, &object.name),
                    );
                    old = before;
                }
            }
            for (template, kind, entries) in [
                (
                    "ALTER TABLE {} RENAME COLUMN {} TO {}",
                    Kind::Column,
                    &table.columns,
                ),
                (
                    "ALTER TABLE {} RENAME CONSTRAINT {} TO {}",
                    Kind::Constraint,
                    &table.constraints,
                ),
            ] {
                for (from, to) in renamed(entries, |name| has_part(current, kind, &old, name)) {
                    rename(template, [&object, &object], (&from, &to));
                }
            }
            let has_index = |name: &str| {
                current
                    .get(&Key::named(Kind::Index, object.schema.as_str(), name))
                    .is_some()
            };
            for (from, to) in renamed(&table.indexes, has_index) {
                let index = |name: &Ident| ObjectName {
                    schema: object.schema.clone(),
                    name: name.clone(),
                };
                rename(
                    "ALTER INDEX {} RENAME TO {}",
                    [&index(&from), &index(&to)],
                    (&from, &to),
                );
            }
        }
    }
    Ok((there, back))
}

/// Returns the old and the new names of the entries whose old name still exists.
fn renamed(entries: &Entries<SqlEntry>, is_there: impl Fn(&str) -> bool) -> Vec<(Ident, Ident)> {
    let named = entries
        .iter()
        .filter_map(|(name, line)| Some((line.renamed_from.as_ref()?, name)));
    let still = named.filter(|(from, to)| is_there(&from.value) && !is_there(&to.value));
    still
        .map(|(from, to)| (Ident::new(&*from.value), Ident::new(&*to.value)))
        .collect()
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

/// Groups statements by whether they may run in one transaction.
fn grouped(statements: Vec<Statement>) -> Vec<StatementGroup> {
    let mut groups: Vec<StatementGroup> = Vec::new();
    for statement in statements {
        match groups.last_mut() {
            Some(group) if group.alone == statement.alone => group.statements.push(statement),
            _ => groups.push(StatementGroup {
                alone: statement.alone,
                statements: vec![statement],
                back: None,
            }),
        }
    }
    groups
}

async fn run(session: &Session, group: &StatementGroup) -> Result<()> {
    for statement in &group.statements {
        let doing = || format!("testing the migration: {}", statement.sql);
        session.run(&statement.sql).await.with_context(doing)?;
    }
    session.run(&Sql::new("RESET check_function_bodies")).await
}

fn part(group: &StatementGroup, before: &Catalog, after: &Catalog) -> GeneratedMigration {
    let options = |online| Options {
        column_order: false,
        online,
    };
    // A file runs in one transaction or in none; a mixed down migration runs in one.
    let back = group.back.clone().unwrap_or_else(|| {
        let online = ddl::statements(after, before, &options(true));
        match online.iter().all(|statement| statement.alone) {
            true => online,
            false => ddl::statements(after, before, &options(false)),
        }
    });
    let alone = back.iter().any(|statement| statement.alone);
    GeneratedMigration {
        up: text(group.alone, &group.statements),
        down: text(alone, &back),
        destroys: group
            .statements
            .iter()
            .filter_map(|statement| statement.destroys.clone())
            .collect(),
    }
}

/// Writes the text of a file, with a comment at each destructive statement.
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

/// Compares without the order of columns: a dropped column comes back as the last one.
fn changes(from: &Catalog, to: &Catalog) -> Vec<diff::Change> {
    let sorted = |catalog: &Catalog| {
        let mut catalog = catalog.clone();
        for object in catalog.objects.values_mut() {
            let mut columns = object.list("columns").to_vec();
            columns.sort();
            object.set(
                "columns",
                (!columns.is_empty()).then_some(Value::List(columns)),
            );
        }
        catalog
    };
    diff::between(&sorted(from), &sorted(to))
}

/// Runs all down migrations and the up migrations again; every step must restore the previous schema.
async fn check_down_migration(
    session: &Session,
    parts: &[GeneratedMigration],
    before: &[Catalog],
    scope: &Scope,
) -> Result<()> {
    for (index, part) in parts.iter().enumerate().rev() {
        run_text(session, &part.down).await?;
        let now = read::read(session, scope).await?;
        if let Some(change) = changes(&now, &before[index]).first() {
            let message = format!(
                "the down migration would not restore {}; nothing was written",
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
        .and_then(|last| changes(&now, last).into_iter().next())
    {
        Some(change) => Err(not_made(&change.key).into()),
        None => Ok(()),
    }
}

async fn run_text(session: &Session, text: &str) -> Result<()> {
    session.confinement().check("the migration", text)?;
    for statement in crate::sql::split::split(text) {
        let doing = || format!("testing the migration up and down: {}", statement.text);
        session
            .run(&Sql::written_by_user(statement.text))
            .await
            .with_context(doing)?;
    }
    session.run(&Sql::new("RESET check_function_bodies")).await
}
