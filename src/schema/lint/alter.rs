//! Parses `ALTER TABLE` into its actions.

use crate::lint::column::Column;
use crate::sql::phrase::{Phrase, QualifiedName};

/// An `ALTER TABLE` taken apart.
pub struct AlterTable<'a> {
    pub table: QualifiedName,
    /// Its parts, in order.
    pub actions: Vec<AlterAction<'a>>,
}

/// One part of an `ALTER TABLE`.
pub struct AlterAction<'a> {
    pub table: QualifiedName,
    /// The part as written.
    pub phrase: Phrase<'a>,
    /// What it does.
    pub kind: AlterKind<'a>,
}

/// What a part of an `ALTER TABLE` does.
pub enum AlterKind<'a> {
    /// `ADD COLUMN`
    AddColumn(Column<'a>),
    /// `DROP COLUMN`
    DropColumn(String),
    /// `ALTER COLUMN … TYPE`, with the column.
    SetType(String, Phrase<'a>),
    /// `ALTER COLUMN`, with what follows the column.
    AlterColumn(String, Phrase<'a>),
    /// `ADD [CONSTRAINT name]`, with what follows.
    AddConstraint(TableConstraint<'a>),
    /// `VALIDATE CONSTRAINT`
    Validate(String),
    /// `DROP CONSTRAINT`
    DropConstraint(String),
    /// `RENAME COLUMN a TO b`
    RenameColumn(String, String),
    /// `RENAME TO`
    RenameTable(String),
    /// `ATTACH PARTITION`
    Attach(QualifiedName),
    /// `DETACH PARTITION`
    Detach(QualifiedName),
    /// Anything else; the words are in the phrase.
    Other,
}

/// A table constraint as it is written.
#[derive(Clone)]
pub struct TableConstraint<'a> {
    /// Its name, where one is given.
    pub name: Option<String>,
    /// From its kind on.
    pub phrase: Phrase<'a>,
    /// What it is.
    pub kind: ConstraintKind,
    /// The columns it stands on, where they can be named.
    pub columns: Vec<String>,
    /// Whether it is `NOT VALID`.
    pub not_valid: bool,
    /// The index it adopts, where one is given.
    pub using_index: Option<String>,
}

/// What a constraint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConstraintKind {
    /// `CHECK`
    Check,
    /// `UNIQUE`
    Unique,
    /// `PRIMARY KEY`
    Primary,
    /// `FOREIGN KEY`
    Foreign,
    /// `EXCLUDE`
    Exclude,
    /// `NOT NULL`, from version 18 on.
    NotNull,
}

impl<'a> TableConstraint<'a> {
    /// Reads a constraint that may begin with `CONSTRAINT name`.
    pub fn read(phrase: Phrase<'a>) -> Option<TableConstraint<'a>> {
        let (name, phrase) = if phrase.is(0, "constraint") {
            (phrase.ident(1), phrase.from(2))
        } else {
            (None, phrase)
        };
        let (kind, words) = if phrase.is(0, "check") {
            (ConstraintKind::Check, 1)
        } else if phrase.is(0, "unique") {
            (ConstraintKind::Unique, 1)
        } else if phrase.begins(&["primary", "key"]) {
            (ConstraintKind::Primary, 2)
        } else if phrase.begins(&["foreign", "key"]) {
            (ConstraintKind::Foreign, 2)
        } else if phrase.is(0, "exclude") {
            (ConstraintKind::Exclude, 1)
        } else if phrase.begins(&["not", "null"]) {
            (ConstraintKind::NotNull, 2)
        } else {
            return None;
        };
        let list = phrase.skip(words, &["nulls", "not", "distinct"]);
        let list = phrase.skip(list, &["nulls", "distinct"]);
        Some(TableConstraint {
            name,
            phrase,
            kind,
            columns: match kind {
                ConstraintKind::Check | ConstraintKind::Exclude => Vec::new(),
                ConstraintKind::NotNull => phrase.ident(words).into_iter().collect(),
                _ => phrase.columns(list),
            },
            not_valid: phrase.has(&["not", "valid"]),
            using_index: phrase
                .find(&["using", "index"])
                .filter(|_| phrase.is(words, "using"))
                .and_then(|at| phrase.ident(at + 2)),
        })
    }

    /// Returns the table a foreign key refers to.
    pub fn references(&self) -> Option<QualifiedName> {
        let at = self.phrase.find(&["references"])?;
        self.phrase.name(at + 1).map(|(name, _)| name)
    }

    /// Returns the columns a check proves not to be null: `CHECK (a IS NOT NULL AND …)`.
    pub fn proves_not_null(&self) -> Vec<String> {
        let Some((inside, _)) = self.phrase.inside(1) else {
            return Vec::new();
        };
        if self.kind != ConstraintKind::Check || inside.has(&["or"]) {
            return Vec::new();
        }
        let inside = match inside.inside(0) {
            Some((inner, end)) if end == inside.len() => inner,
            _ => inside,
        };
        (0..inside.len())
            .filter(|at| inside.are(at + 1, &["is", "not", "null"]))
            .filter_map(|at| inside.ident(at))
            .collect()
    }

    /// Whether all it asks is that columns are not null: the way to SET NOT NULL, which refuses no more.
    pub fn proves_not_null_only(&self) -> bool {
        let Some((inside, _)) = self.phrase.inside(1) else {
            return false;
        };
        let asked = self.proves_not_null().len();
        let parts = (0..inside.len()).filter(|at| inside.is(*at, "and")).count() + 1;
        asked == parts
    }

    /// Returns its name, or what PostgreSQL would call it.
    pub fn name_or_kind(&self) -> String {
        let kind = match self.kind {
            ConstraintKind::Check => "check",
            ConstraintKind::Unique => "unique constraint",
            ConstraintKind::Primary => "primary key",
            ConstraintKind::Foreign => "foreign key",
            ConstraintKind::Exclude => "exclusion constraint",
            ConstraintKind::NotNull => "not-null constraint",
        };
        match &self.name {
            Some(name) => format!("{kind} `{name}`"),
            None => kind.to_owned(),
        }
    }
}

/// Takes an `ALTER TABLE` apart.
pub fn read(phrase: Phrase<'_>) -> Option<AlterTable<'_>> {
    if !phrase.begins(&["alter", "table"]) && !phrase.begins(&["alter", "foreign", "table"]) {
        return None;
    }
    let at = if phrase.is(1, "foreign") { 3 } else { 2 };
    let at = phrase.skip(at, &["if", "exists"]);
    let at = phrase.skip(at, &["only"]);
    let (table, after) = phrase.name(at)?;
    let after = if phrase.at(after) == "*" {
        after + 1
    } else {
        after
    };
    let actions = phrase
        .from(after)
        .list()
        .into_iter()
        .map(|phrase| AlterAction {
            kind: kind(phrase),
            table: table.clone(),
            phrase,
        })
        .collect();
    Some(AlterTable { table, actions })
}

fn kind(phrase: Phrase<'_>) -> AlterKind<'_> {
    let found = match phrase.at(0).to_ascii_lowercase().as_str() {
        "add" => add(phrase),
        "drop" => drop(phrase),
        "alter" => alter_column(phrase),
        "rename" => rename(phrase),
        "validate" => phrase.ident(2).map(AlterKind::Validate),
        "attach" => phrase.name(2).map(|(name, _)| AlterKind::Attach(name)),
        "detach" => phrase.name(2).map(|(name, _)| AlterKind::Detach(name)),
        _ => None,
    };
    found.unwrap_or(AlterKind::Other)
}

fn add(phrase: Phrase<'_>) -> Option<AlterKind<'_>> {
    if !phrase.is(1, "column")
        && let Some(constraint) = TableConstraint::read(phrase.from(1))
    {
        return Some(AlterKind::AddConstraint(constraint));
    }
    let at = phrase.skip(1, &["column"]);
    let at = phrase.skip(at, &["if", "not", "exists"]);
    Column::read(phrase.from(at)).map(AlterKind::AddColumn)
}

fn drop(phrase: Phrase<'_>) -> Option<AlterKind<'_>> {
    if phrase.is(1, "constraint") {
        let at = phrase.skip(2, &["if", "exists"]);
        return phrase.ident(at).map(AlterKind::DropConstraint);
    }
    let at = phrase.skip(1, &["column"]);
    let at = phrase.skip(at, &["if", "exists"]);
    phrase.ident(at).map(AlterKind::DropColumn)
}

fn alter_column(phrase: Phrase<'_>) -> Option<AlterKind<'_>> {
    if phrase.is(1, "constraint") {
        return None;
    }
    let at = phrase.skip(1, &["column"]);
    let column = phrase.ident(at)?;
    let rest = phrase.from(at + 1);
    let data_type = if rest.is(0, "type") {
        Some(rest.from(1))
    } else if rest.begins(&["set", "data", "type"]) {
        Some(rest.from(3))
    } else {
        None
    };
    Some(match data_type {
        Some(data_type) => AlterKind::SetType(column, data_type),
        None => AlterKind::AlterColumn(column, rest),
    })
}

fn rename(phrase: Phrase<'_>) -> Option<AlterKind<'_>> {
    if phrase.is(1, "to") {
        return phrase.ident(2).map(AlterKind::RenameTable);
    }
    if phrase.is(1, "constraint") {
        return None;
    }
    let at = phrase.skip(1, &["column"]);
    Some(AlterKind::RenameColumn(
        phrase.ident(at)?,
        phrase.ident(at + 2)?,
    ))
}
