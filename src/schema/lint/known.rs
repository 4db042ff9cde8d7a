//! Owns what the migrations read so far have made: tables, columns, indexes, policies.
//!
//! A memory of texts, not a catalog: what is not in it may well exist.

use std::collections::{BTreeMap, BTreeSet};

use crate::lint::alter::{self, Action, Constraint, Does, Kind};
use crate::lint::column::Column;
use crate::lint::scene::Line;
use crate::lint::types;
use crate::sql::class::{Class, Object};
use crate::sql::phrase::{Name, Phrase};

/// A statement of the set: the number of its file, and of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// Which file.
    pub script: usize,
    /// Which statement of it.
    pub statement: usize,
}

/// What the files read so far have made.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The version the migrations are written for.
    pub major: u32,
    /// The tables.
    pub tables: BTreeMap<Name, Table>,
    /// Which file made each other thing: views, types, indexes, functions.
    pub things: BTreeMap<Name, usize>,
    /// The table of each index.
    pub indexes: BTreeMap<String, Name>,
    /// Whether any file speaks of row-level security.
    pub rows_secured: bool,
}

/// A table as far as the texts tell.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// The statement that made it.
    pub born: At,
    /// The spelling of each column's type.
    pub columns: BTreeMap<String, String>,
    /// The columns that refuse null.
    pub not_null: BTreeSet<String>,
    /// The columns a check proves not to be null, and the constraint that does.
    pub proven: BTreeMap<String, Proof>,
    /// Whether it is partitioned.
    pub partitioned: bool,
    /// Whether it is temporary or a partition, and so not reached by itself.
    pub inner: bool,
    /// Whether it has a primary key.
    pub primary: bool,
    /// Whether row-level security is on, and where it was switched on.
    pub secured: Option<At>,
    /// Its policies.
    pub policies: BTreeSet<String>,
    /// Which columns the checks of each name prove.
    pub proven_by: BTreeMap<String, BTreeSet<String>>,
    /// The columns of each index and unique constraint.
    pub indexed: ColumnLists,
    /// The columns of each foreign key, and where it was declared.
    pub foreign: ColumnLists,
}

/// Lists of columns, each also found by any column in it: a file may have as many as it has lines.
#[derive(Clone, Debug, Default)]
pub struct ColumnLists {
    /// The lists by their numbers, in the order in which they were made.
    lists: BTreeMap<usize, (Vec<String>, At)>,
    of_column: BTreeMap<String, BTreeSet<usize>>,
    made: usize,
}

impl ColumnLists {
    fn push(&mut self, columns: Vec<String>, at: At) {
        for column in &columns {
            let lists = self.of_column.entry(column.clone()).or_default();
            lists.insert(self.made);
        }
        self.lists.insert(self.made, (columns, at));
        self.made += 1;
    }

    /// Removes every list with this column.
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
                .flat_map(|list| &mut list.0);
            for column in columns.filter(|column| *column == from) {
                to.clone_into(column);
            }
        }
        self.of_column
            .entry(to.to_owned())
            .or_default()
            .extend(numbers);
    }

    /// Gives the lists in the order in which they were made.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&[String], At)> {
        self.lists.values().map(|(columns, at)| (&**columns, *at))
    }
}

/// A check that proves a column not to be null.
#[derive(Clone, Debug)]
pub struct Proof {
    /// The constraint's name.
    pub constraint: Option<String>,
    /// Whether every row was looked at.
    pub valid: bool,
}

/// The parts of a `CREATE TABLE`.
pub struct NewTable<'a> {
    /// Its name.
    pub name: Name,
    /// Its columns.
    pub columns: Vec<Column<'a>>,
    /// Its table constraints.
    pub constraints: Vec<Constraint<'a>>,
    /// The table it is a partition of.
    pub partition_of: Option<Name>,
    /// Whether it is temporary.
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
        } else if let Some(constraint) = Constraint::read(element) {
            new.constraints.push(constraint);
        } else if let Some(column) = Column::read(element) {
            new.columns.push(column);
        }
    }
    Some(new)
}

/// Finds the table and the columns of a `CREATE INDEX`.
pub fn new_index(phrase: Phrase<'_>) -> Option<(Option<String>, Name, Vec<String>)> {
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

impl Known {
    /// Gives the file that made a relation or other thing, where it is known.
    pub fn born(&self, name: &Name) -> Option<usize> {
        self.tables
            .get(name)
            .map(|table| table.born.script)
            .or_else(|| self.things.get(name).copied())
    }

    /// Gives the spelling of a column's type, where it is known.
    pub fn column_type(&self, table: &Name, column: &str) -> Option<&str> {
        self.tables
            .get(table)?
            .columns
            .get(column)
            .map(String::as_str)
    }

    /// Remembers what a statement makes.
    pub fn learn(&mut self, line: &Line<'_>, at: At) {
        let phrase = line.phrase();
        match line.class() {
            Class::Create(Object::Table | Object::ForeignTable) | Class::CreateTableAs => {
                self.learn_table(phrase, at);
            }
            Class::Alter(Object::Table | Object::ForeignTable) => {
                for action in alter::read(phrase)
                    .into_iter()
                    .flat_map(|alter| alter.actions)
                {
                    self.learn_action(&action, at);
                }
            }
            Class::Drop(Object::Table) => {
                for (name, _) in dropped(phrase, 2) {
                    self.tables.remove(&name);
                }
            }
            Class::CreateIndex { .. } => self.learn_index(phrase, at.script),
            Class::Create(Object::Policy) | Class::Drop(Object::Policy) => {
                self.learn_policy(phrase)
            }
            Class::Create(_) => {
                if let Some(name) = created(phrase) {
                    self.things.insert(name, at.script);
                }
            }
            _ => {}
        }
    }

    fn learn_table(&mut self, phrase: Phrase<'_>, born: At) {
        let Some(new) = new_table(phrase) else { return };
        if self.tables.contains_key(&new.name) && phrase.contains(&["if", "not", "exists"]) {
            return;
        }
        let mut table = Table {
            born,
            inner: new.temporary || new.partition_of.is_some(),
            partitioned: phrase.has(&["partition", "by"]),
            // What is borrowed is not known; it must not be called missing.
            primary: new.borrows || new.partition_of.is_some(),
            ..Table::default()
        };
        for column in &new.columns {
            table.learn_column(column, born);
        }
        for constraint in &new.constraints {
            table.learn_constraint(constraint, born);
        }
        self.tables.insert(new.name, table);
    }

    fn learn_index(&mut self, phrase: Phrase<'_>, born: usize) {
        let Some((name, table, columns)) = new_index(phrase) else {
            return;
        };
        if let Some(name) = name {
            self.things.insert(Name::new(&table.schema, &name), born);
            self.indexes.insert(name, table.clone());
        }
        // A partial index does not serve every lookup.
        if let Some(table) = self.tables.get_mut(&table)
            && !phrase.has(&["where"])
        {
            table.indexed.push(columns, At::default());
        }
    }

    fn learn_policy(&mut self, phrase: Phrase<'_>) {
        self.rows_secured = true;
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

    fn learn_action(&mut self, action: &Action<'_>, at: At) {
        if action.phrase.has(&["row", "level", "security"]) {
            self.rows_secured = true;
        }
        if let Does::RenameTable(to) = &action.does {
            let to = Name::new(&action.table.schema, to);
            if let Some(table) = self.tables.remove(&action.table) {
                self.tables.insert(to, table);
            }
            return;
        }
        let Some(table) = self.tables.get_mut(&action.table) else {
            return;
        };
        if let Does::AddConstraint(Constraint {
            name: Some(name),
            kind: Kind::Unique | Kind::Primary,
            ..
        }) = &action.does
        {
            self.things
                .insert(Name::new(&action.table.schema, name), at.script);
        }
        table.learn_action(action, at);
    }
}

impl Table {
    fn learn_column(&mut self, column: &Column<'_>, at: At) {
        let name = column.name();
        self.columns.insert(name.clone(), column.type_text());
        if column.not_null() {
            self.not_null.insert(name.clone());
        }
        if column.is_primary() || column.is_unique() {
            self.indexed.push(vec![name.clone()], at);
        }
        self.primary = self.primary || column.is_primary();
        if column.references().is_some() {
            self.foreign.push(vec![name], at);
        }
    }

    fn learn_constraint(&mut self, constraint: &Constraint<'_>, at: At) {
        match constraint.kind {
            Kind::Primary => {
                self.primary = true;
                self.not_null.extend(constraint.columns.iter().cloned());
                self.indexed.push(constraint.columns.clone(), at);
            }
            Kind::Unique => self.indexed.push(constraint.columns.clone(), at),
            Kind::Foreign => self.foreign.push(constraint.columns.clone(), at),
            Kind::Check => {
                for column in constraint.proves_not_null() {
                    let proof = Proof {
                        constraint: constraint.name.clone(),
                        valid: !constraint.not_valid,
                    };
                    if let Some(name) = &constraint.name {
                        let columns = self.proven_by.entry(name.clone()).or_default();
                        columns.insert(column.clone());
                    }
                    self.proven.insert(column, proof);
                }
            }
            Kind::NotNull if !constraint.not_valid => {
                self.not_null.extend(constraint.columns.iter().cloned());
            }
            Kind::NotNull | Kind::Exclude => {}
        }
    }

    fn learn_action(&mut self, action: &Action<'_>, at: At) {
        match &action.does {
            Does::AddColumn(column) => self.learn_column(column, at),
            Does::DropColumn(column) => {
                self.columns.remove(column);
                self.not_null.remove(column);
                self.indexed.drop_column(column);
                self.foreign.drop_column(column);
            }
            Does::SetType(column, data_type) => {
                let spelling = types::spell(data_type.until(0, &["using", "collate"]));
                self.columns.insert(column.clone(), spelling);
            }
            Does::AlterColumn(column, rest) if rest.begins(&["set", "not", "null"]) => {
                self.not_null.insert(column.clone());
            }
            Does::AlterColumn(column, rest) if rest.begins(&["drop", "not", "null"]) => {
                self.not_null.remove(column);
            }
            Does::AddConstraint(constraint) => self.learn_constraint(constraint, at),
            Does::Validate(name) => {
                for column in self.proven_by.get(name).into_iter().flatten() {
                    if let Some(proof) = self.proven.get_mut(column) {
                        proof.valid |= proof.constraint.as_deref() == Some(name);
                    }
                }
            }
            Does::DropConstraint(name) => {
                for column in self.proven_by.remove(name).unwrap_or_default() {
                    let proof = self.proven.get(&column);
                    if proof.is_some_and(|proof| proof.constraint.as_deref() == Some(name)) {
                        self.proven.remove(&column);
                    }
                }
            }
            Does::RenameColumn(from, to) => self.rename_column(from, to),
            Does::Attach(_) | Does::Detach(_) | Does::RenameTable(_) | Does::AlterColumn(..) => {}
            Does::Other => self.learn_security(action.phrase, at),
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

    fn learn_security(&mut self, phrase: Phrase<'_>, at: At) {
        if phrase.begins(&["enable", "row", "level", "security"]) {
            self.secured = Some(at);
        } else if phrase.begins(&["disable", "row", "level", "security"]) {
            self.secured = None;
        }
    }
}

/// Gives the name after `CREATE … <object>` where it is one.
pub fn created(phrase: Phrase<'_>) -> Option<Name> {
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

/// Gives the names of a `DROP` whose object ends before a place, and where in the statement they stand.
pub fn dropped(phrase: Phrase<'_>, after_object: usize) -> Vec<(Name, usize)> {
    let at = phrase.skip(after_object, &["concurrently"]);
    let at = phrase.skip(at, &["if", "exists"]);
    phrase
        .from(at)
        .list()
        .into_iter()
        .filter_map(|part| part.name(0).map(|(name, _)| (name, part.start())))
        .collect()
}
