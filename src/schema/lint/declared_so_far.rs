//! Tables, columns, indexes and policies that the migrations read so far have created.
//!
//! This is not a catalog: objects that are not in it may exist.

use std::collections::{BTreeMap, BTreeSet};

use crate::lint::alter::{self, AlterAction, AlterKind, ConstraintKind, TableConstraint};
use crate::lint::column::Column;
use crate::lint::parsed_statement::ParsedStatement;
use crate::lint::types;
use crate::sql::class::{Class, Object};
use crate::sql::phrase::{Phrase, QualifiedName};

/// A statement of the set: the number of its file, and of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct StatementId {
    pub file: usize,
    pub statement: usize,
}

/// What the files read so far have made.
#[derive(Clone, Debug, Default)]
pub struct DeclaredSoFar {
    /// The version the migrations are written for.
    pub major: u32,
    pub tables: BTreeMap<QualifiedName, DeclaredTable>,
    /// Which file made each other thing: views, types, indexes, functions.
    pub other_objects: BTreeMap<QualifiedName, usize>,
    /// The table of each index.
    pub indexes: BTreeMap<String, QualifiedName>,
    /// Whether any file speaks of row-level security.
    pub uses_rls: bool,
}

/// A table as far as the migrations define it.
#[derive(Clone, Debug, Default)]
pub struct DeclaredTable {
    /// The statement that made it.
    pub created_by: StatementId,
    /// The spelling of each column's type.
    pub columns: BTreeMap<String, String>,
    /// The columns that refuse null.
    pub not_null: BTreeSet<String>,
    /// The columns a check proves not to be null, and the constraint that does.
    pub not_null_checks: BTreeMap<String, NotNullCheck>,
    pub partitioned: bool,
    /// Whether it is temporary or a partition, and so not reached by itself.
    pub temporary_or_partition: bool,
    /// Whether it has a primary key.
    pub primary: bool,
    /// Whether row-level security is on, and where it was switched on.
    pub rls_enabled: Option<StatementId>,
    pub policies: BTreeSet<String>,
    /// Which columns the checks of each name prove.
    pub columns_of_not_null_check: BTreeMap<String, BTreeSet<String>>,
    /// The columns of each index and unique constraint.
    pub indexed: ColumnLists,
    /// The columns of each foreign key, and where it was declared.
    pub foreign: ColumnLists,
}

/// Lists of columns, indexed by each column in them, because a file may have as many lists as it has lines.
#[derive(Clone, Debug, Default)]
pub struct ColumnLists {
    /// By number, in order of creation.
    lists: BTreeMap<usize, ColumnList>,
    of_column: BTreeMap<String, BTreeSet<usize>>,
    created: usize,
}

/// The columns of an index or a foreign key.
#[derive(Clone, Debug, Default)]
pub struct ColumnList {
    pub columns: Vec<String>,
    /// The statement that declares it.
    pub at: StatementId,
    /// The table that a foreign key references.
    pub references: Option<QualifiedName>,
}

impl ColumnLists {
    fn push_index(&mut self, columns: Vec<String>, at: StatementId) {
        self.push(ColumnList {
            columns,
            at,
            references: None,
        });
    }

    fn push(&mut self, list: ColumnList) {
        for column in &list.columns {
            let lists = self.of_column.entry(column.clone()).or_default();
            lists.insert(self.created);
        }
        self.lists.insert(self.created, list);
        self.created += 1;
    }

    /// Removes all lists with this column.
    fn drop_column(&mut self, column: &str) {
        for number in self.of_column.remove(column).unwrap_or_default() {
            self.lists.remove(&number);
        }
    }

    fn rename_column(&mut self, from: &str, to: &str) {
        let numbers = self.of_column.remove(from).unwrap_or_default();
        for number in &numbers {
            let columns = self
                .lists
                .get_mut(number)
                .into_iter()
                .flat_map(|list| &mut list.columns);
            for column in columns.filter(|column| *column == from) {
                to.clone_into(column);
            }
        }
        self.of_column
            .entry(to.to_owned())
            .or_default()
            .extend(numbers);
    }

    /// Returns the lists in order of creation.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &ColumnList> {
        self.lists.values()
    }
}

/// A check that proves a column not to be null.
#[derive(Clone, Debug)]
pub struct NotNullCheck {
    /// The constraint's name.
    pub constraint: Option<String>,
    /// Whether every row was looked at.
    pub valid: bool,
}

/// The parts of a `CREATE TABLE`.
pub struct NewTable<'a> {
    pub name: QualifiedName,
    pub columns: Vec<Column<'a>>,
    pub constraints: Vec<TableConstraint<'a>>,
    /// The table it is a partition of.
    pub partition_of: Option<QualifiedName>,
    pub temporary: bool,
    /// Whether it takes columns from elsewhere: `LIKE`, `INHERITS`, `OF type`, `AS`.
    pub borrows: bool,
}

/// Reads a `CREATE TABLE`.
pub fn new_table(phrase: Phrase<'_>) -> Option<NewTable<'_>> {
    let table = (1..5).find(|at| phrase.is(*at, "table"))?;
    let temporary = (1..table).any(|at| phrase.is(at, "temp") || phrase.is(at, "temporary"));
    let at = phrase.skip(table + 1, &["if", "not", "exists"]);
    let (name, after) = phrase.name(at)?;
    let mut new = NewTable {
        name,
        columns: Vec::new(),
        constraints: Vec::new(),
        partition_of: None,
        temporary,
        borrows: phrase.has(&["inherits"]) || phrase.is(after, "of") || phrase.is(after, "as"),
    };
    let mut list = after;
    if phrase.are(after, &["partition", "of"]) {
        let (parent, after) = phrase.name(after + 2)?;
        new.partition_of = Some(parent);
        list = after;
    }
    let elements = phrase.inside(list).map(|(inside, _)| inside.list());
    for element in elements.into_iter().flatten() {
        if element.is(0, "like") {
            new.borrows = true;
        } else if let Some(constraint) = TableConstraint::read(element) {
            new.constraints.push(constraint);
        } else if let Some(column) = Column::read(element) {
            new.columns.push(column);
        }
    }
    Some(new)
}

/// Finds the table and the columns of a `CREATE INDEX`.
pub fn new_index(phrase: Phrase<'_>) -> Option<(Option<String>, QualifiedName, Vec<String>)> {
    let on = phrase.find(&["on"])?;
    let name = phrase
        .ident(on.checked_sub(1)?)
        .filter(|name| !matches!(name.as_str(), "index" | "concurrently"));
    let at = phrase.skip(on + 1, &["only"]);
    let (table, after) = phrase.name(at)?;
    let list = if phrase.is(after, "using") {
        after + 2
    } else {
        after
    };
    Some((name, table, phrase.columns(list)))
}

impl DeclaredSoFar {
    /// Returns the file that made a relation or other thing, where it is known.
    pub fn file_creating(&self, name: &QualifiedName) -> Option<usize> {
        self.tables
            .get(name)
            .map(|table| table.created_by.file)
            .or_else(|| self.other_objects.get(name).copied())
    }

    /// Returns the spelling of a column's type, where it is known.
    pub fn column_type(&self, table: &QualifiedName, column: &str) -> Option<&str> {
        self.tables
            .get(table)?
            .columns
            .get(column)
            .map(String::as_str)
    }

    /// Remembers what a statement makes.
    pub fn apply(&mut self, line: &ParsedStatement<'_>, at: StatementId) {
        let phrase = line.phrase();
        match line.class() {
            Class::Create(Object::Table | Object::ForeignTable) | Class::CreateTableAs => {
                self.apply_table(phrase, at);
            }
            Class::Alter(Object::Table | Object::ForeignTable) => {
                for action in alter::read(phrase)
                    .into_iter()
                    .flat_map(|alter| alter.actions)
                {
                    self.apply_action(&action, at);
                }
            }
            Class::Drop(Object::Table) => {
                for (name, _) in dropped(phrase, 2) {
                    self.tables.remove(&name);
                }
            }
            Class::CreateIndex { .. } => self.apply_index(phrase, at.file),
            Class::Create(Object::Policy) | Class::Drop(Object::Policy) => {
                self.apply_policy(phrase)
            }
            Class::Create(_) => {
                if let Some(name) = created(phrase) {
                    self.other_objects.insert(name, at.file);
                }
            }
            _ => {}
        }
    }

    fn apply_table(&mut self, phrase: Phrase<'_>, at: StatementId) {
        let Some(new) = new_table(phrase) else { return };
        if self.tables.contains_key(&new.name) && phrase.contains(&["if", "not", "exists"]) {
            return;
        }
        let mut table = DeclaredTable {
            created_by: at,
            temporary_or_partition: new.temporary || new.partition_of.is_some(),
            partitioned: phrase.has(&["partition", "by"]),
            // What is borrowed is not known; it must not be called missing.
            primary: new.borrows || new.partition_of.is_some(),
            ..DeclaredTable::default()
        };
        for column in &new.columns {
            table.apply_column(column, at);
        }
        for constraint in &new.constraints {
            table.apply_constraint(constraint, at);
        }
        self.tables.insert(new.name, table);
    }

    fn apply_index(&mut self, phrase: Phrase<'_>, file: usize) {
        let Some((name, table, columns)) = new_index(phrase) else {
            return;
        };
        if let Some(name) = name {
            self.other_objects
                .insert(QualifiedName::new(&table.schema, &name), file);
            self.indexes.insert(name, table.clone());
        }
        // A partial index does not serve every lookup.
        if let Some(table) = self.tables.get_mut(&table)
            && !phrase.has(&["where"])
        {
            table.indexed.push_index(columns, StatementId::default());
        }
    }

    fn apply_policy(&mut self, phrase: Phrase<'_>) {
        self.uses_rls = true;
        let at = phrase.skip(2, &["if", "exists"]);
        let (Some(policy), Some((table, _))) = (
            phrase.ident(at),
            phrase.find(&["on"]).and_then(|on| phrase.name(on + 1)),
        ) else {
            return;
        };
        if let Some(table) = self.tables.get_mut(&table) {
            if phrase.is(0, "create") {
                table.policies.insert(policy);
            } else {
                table.policies.remove(&policy);
            }
        }
    }

    fn apply_action(&mut self, action: &AlterAction<'_>, at: StatementId) {
        if action.phrase.has(&["row", "level", "security"]) {
            self.uses_rls = true;
        }
        if let AlterKind::RenameTable(to) = &action.kind {
            let to = QualifiedName::new(&action.table.schema, to);
            if let Some(table) = self.tables.remove(&action.table) {
                self.tables.insert(to, table);
            }
            return;
        }
        let Some(table) = self.tables.get_mut(&action.table) else {
            return;
        };
        if let AlterKind::AddConstraint(TableConstraint {
            name: Some(name),
            kind: ConstraintKind::Unique | ConstraintKind::Primary,
            ..
        }) = &action.kind
        {
            self.other_objects
                .insert(QualifiedName::new(&action.table.schema, name), at.file);
        }
        table.apply_action(action, at);
    }
}

impl DeclaredTable {
    fn apply_column(&mut self, column: &Column<'_>, at: StatementId) {
        let name = column.name();
        self.columns.insert(name.clone(), column.type_text());
        if column.not_null() {
            self.not_null.insert(name.clone());
        }
        if column.is_primary() || column.is_unique() {
            self.indexed.push_index(vec![name.clone()], at);
        }
        self.primary = self.primary || column.is_primary();
        if let Some(references) = column.references() {
            self.foreign.push(ColumnList {
                columns: vec![name],
                at,
                references: Some(references),
            });
        }
    }

    fn apply_constraint(&mut self, constraint: &TableConstraint<'_>, at: StatementId) {
        match constraint.kind {
            ConstraintKind::Primary => {
                self.primary = true;
                self.not_null.extend(constraint.columns.iter().cloned());
                self.indexed.push_index(constraint.columns.clone(), at);
            }
            ConstraintKind::Unique => self.indexed.push_index(constraint.columns.clone(), at),
            ConstraintKind::Foreign => self.foreign.push(ColumnList {
                columns: constraint.columns.clone(),
                at,
                references: constraint.references(),
            }),
            ConstraintKind::Check => {
                for column in constraint.proves_not_null() {
                    let proof = NotNullCheck {
                        constraint: constraint.name.clone(),
                        valid: !constraint.not_valid,
                    };
                    if let Some(name) = &constraint.name {
                        let columns = self
                            .columns_of_not_null_check
                            .entry(name.clone())
                            .or_default();
                        columns.insert(column.clone());
                    }
                    self.not_null_checks.insert(column, proof);
                }
            }
            ConstraintKind::NotNull if !constraint.not_valid => {
                self.not_null.extend(constraint.columns.iter().cloned());
            }
            ConstraintKind::NotNull | ConstraintKind::Exclude => {}
        }
    }

    fn apply_action(&mut self, action: &AlterAction<'_>, at: StatementId) {
        match &action.kind {
            AlterKind::AddColumn(column) => self.apply_column(column, at),
            AlterKind::DropColumn(column) => {
                self.columns.remove(column);
                self.not_null.remove(column);
                self.indexed.drop_column(column);
                self.foreign.drop_column(column);
            }
            AlterKind::SetType(column, data_type) => {
                let spelling = types::spell(data_type.until(0, &["using", "collate"]));
                self.columns.insert(column.clone(), spelling);
            }
            AlterKind::AlterColumn(column, rest) if rest.begins(&["set", "not", "null"]) => {
                self.not_null.insert(column.clone());
            }
            AlterKind::AlterColumn(column, rest) if rest.begins(&["drop", "not", "null"]) => {
                self.not_null.remove(column);
            }
            AlterKind::AddConstraint(constraint) => self.apply_constraint(constraint, at),
            AlterKind::Validate(name) => {
                for column in self
                    .columns_of_not_null_check
                    .get(name)
                    .into_iter()
                    .flatten()
                {
                    if let Some(proof) = self.not_null_checks.get_mut(column) {
                        proof.valid |= proof.constraint.as_deref() == Some(name);
                    }
                }
            }
            AlterKind::DropConstraint(name) => {
                for column in self
                    .columns_of_not_null_check
                    .remove(name)
                    .unwrap_or_default()
                {
                    let proof = self.not_null_checks.get(&column);
                    if proof.is_some_and(|proof| proof.constraint.as_deref() == Some(name)) {
                        self.not_null_checks.remove(&column);
                    }
                }
            }
            AlterKind::RenameColumn(from, to) => self.rename_column(from, to),
            AlterKind::Attach(_)
            | AlterKind::Detach(_)
            | AlterKind::RenameTable(_)
            | AlterKind::AlterColumn(..) => {}
            AlterKind::Other => self.apply_security(action.phrase, at),
        }
    }

    fn rename_column(&mut self, from: &str, to: &str) {
        if let Some(spelling) = self.columns.remove(from) {
            self.columns.insert(to.to_owned(), spelling);
        }
        if self.not_null.remove(from) {
            self.not_null.insert(to.to_owned());
        }
        self.indexed.rename_column(from, to);
        self.foreign.rename_column(from, to);
    }

    fn apply_security(&mut self, phrase: Phrase<'_>, at: StatementId) {
        if phrase.begins(&["enable", "row", "level", "security"]) {
            self.rls_enabled = Some(at);
        } else if phrase.begins(&["disable", "row", "level", "security"]) {
            self.rls_enabled = None;
        }
    }
}

/// Returns the name after `CREATE … <object>` where it is one.
pub fn created(phrase: Phrase<'_>) -> Option<QualifiedName> {
    const WORDS: &[&str] = &[
        "or",
        "replace",
        "temp",
        "temporary",
        "recursive",
        "materialized",
        "unlogged",
        "foreign",
        "event",
        "constraint",
        "table",
        "view",
        "type",
        "domain",
        "function",
        "procedure",
        "sequence",
        "trigger",
        "rule",
        "schema",
        "aggregate",
        "extension",
        "if",
        "not",
        "exists",
    ];
    let mut at = 1;
    while WORDS.iter().any(|word| phrase.is(at, word)) {
        at += 1;
    }
    phrase.name(at).map(|(name, _)| name)
}

/// Returns the names of a `DROP` whose object ends before a place, and where in the statement they stand.
pub fn dropped(phrase: Phrase<'_>, after_object: usize) -> Vec<(QualifiedName, usize)> {
    let at = phrase.skip(after_object, &["concurrently"]);
    let at = phrase.skip(at, &["if", "exists"]);
    phrase
        .from(at)
        .list()
        .into_iter()
        .filter_map(|part| part.name(0).map(|(name, _)| (name, part.start())))
        .collect()
}
