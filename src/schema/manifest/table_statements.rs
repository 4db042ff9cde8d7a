//! The statements of a table in the manifest: the table and its parts.

use anyhow::Result;

use crate::error::fail;
use crate::finding::Location;
use crate::manifest::document::Table;
use crate::manifest::entries::SqlEntry;
use crate::manifest::located_statement::{LocatedStatement, location};
use crate::manifest::object_name::object_name;
use crate::manifest::sql_fragment;
use crate::manifest::statements::{
    Statements, add_sql, comment, grants, owner, spliced, written, wrong,
};
use crate::sql::name::{Ident, ObjectName};
use crate::sql::safe::Sql;
use crate::yaml::{Located, nearest};

/// Adds the statements of a table.
pub(crate) fn add(
    file: &str,
    name: &Located<String>,
    table: &Table,
    to: &mut Statements,
) -> Result<()> {
    let object = object_name(file, name)?;
    add_table(file, name, &object, table, to)?;
    for (constraint, line) in table
        .constraints
        .iter()
        .filter(|(_, line)| comes_later(line))
    {
        let mut statement = LocatedStatement::begin(
            location(file, constraint),
            format!("constraint {}", constraint.value),
        );
        statement
            .push("ALTER TABLE ")
            .piece(&object)
            .push(" ADD CONSTRAINT ");
        statement.piece(&Ident::new(&*constraint.value));
        written(file, &mut statement, line.sql.as_ref())?;
        to.references.push(statement);
    }
    for (index, line) in table.indexes.iter() {
        add_index(file, &object, index, line, to)?;
    }
    for (trigger, line) in table.triggers.iter() {
        add_trigger(file, &object, trigger, line, to)?;
    }
    for (policy, line) in table.policies.iter() {
        let mut statement =
            LocatedStatement::begin(location(file, policy), format!("policy {}", policy.value));
        statement
            .push("CREATE POLICY ")
            .piece(&Ident::new(&*policy.value))
            .push(" ON ")
            .piece(&object);
        written(file, &mut statement, line.sql.as_ref())?;
        to.parts.push(statement);
    }
    add_row_security(file, &object, table, to)?;
    if let Some(identity) = &table.replica_identity {
        let mut statement = LocatedStatement::begin(location(file, identity), "replica identity");
        statement
            .push("ALTER TABLE ")
            .piece(&object)
            .push(" REPLICA IDENTITY ");
        spliced(file, &mut statement, identity)?;
        to.late.push(statement);
    }
    add_words(file, &object, table, to);
    for text in &table.sql.0 {
        add_sql(file, text, to);
    }
    Ok(())
}

fn add_table(
    file: &str,
    name: &Located<String>,
    object: &ObjectName,
    table: &Table,
    to: &mut Statements,
) -> Result<()> {
    let mut statement = LocatedStatement::begin(location(file, name), format!("table {object}"));
    statement.push(if table.unlogged {
        "CREATE UNLOGGED TABLE "
    } else {
        "CREATE TABLE "
    });
    statement.piece(object);
    if let Some(parent) = &table.partition_of {
        statement.push(" PARTITION OF ");
        spliced(file, &mut statement, parent)?;
        if let Some((column, _)) = table.columns.iter().next() {
            let message = format!(
                "{}: a partition cannot declare columns; it has those of its parent",
                location(file, column)
            );
            return Err(fail(message)
                .hint("remove `columns` or `partition-of`")
                .into());
        }
    } else {
        statement.push(" (");
        let mut first = true;
        for (column, line) in table.columns.iter() {
            separate(&mut statement, &mut first);
            to.references
                .extend(add_column(file, object, column, line, &mut statement)?);
        }
        for (constraint, line) in table
            .constraints
            .iter()
            .filter(|(_, line)| !comes_later(line))
        {
            separate(&mut statement, &mut first);
            statement
                .push("CONSTRAINT ")
                .piece(&Ident::new(&*constraint.value));
            if let Some(text) = &line.sql {
                sql_fragment::check_item(&text.value)
                    .map_err(|problem| wrong(file, text, &problem))?;
            }
            written(file, &mut statement, line.sql.as_ref())?;
        }
        statement.push("\n)");
    }
    let clauses = [
        (" INHERITS (", &table.inherits, ")"),
        (" PARTITION BY ", &table.partition_by, ""),
        (" USING ", &table.using, ""),
        (" WITH (", &table.with, ")"),
    ];
    for (before, text, after) in clauses {
        let Some(text) = text else { continue };
        statement.push(before);
        spliced(file, &mut statement, text)?;
        statement.push(after);
    }
    to.tables.push(statement);
    Ok(())
}

fn separate(statement: &mut LocatedStatement, first: &mut bool) {
    statement.push(if *first { "\n    " } else { ",\n    " });
    *first = false;
}

/// Adds a column and returns its foreign key, which is created after all tables.
fn add_column(
    file: &str,
    object: &ObjectName,
    column: &Located<String>,
    line: &SqlEntry,
    statement: &mut LocatedStatement,
) -> Result<Option<LocatedStatement>> {
    let ident = Ident::new(&*column.value);
    statement.piece(&ident);
    let Some(text) = &line.sql else {
        let message = format!(
            "{}: column `{}` has no type",
            location(file, column),
            column.value
        );
        return Err(fail(message).hint("write `name: text not null`").into());
    };
    sql_fragment::check_item(&text.value).map_err(|problem| wrong(file, text, &problem))?;
    let split = sql_fragment::split_reference(&text.value)
        .map_err(|problem| wrong(file, text, &problem))?;
    statement
        .push(" ")
        .written(&split.column, location(file, text));
    let Some(reference) = split.reference else {
        return Ok(None);
    };
    let at = within(file, text, reference.start);
    let makes = format!("foreign key of {object}.{ident}");
    let mut statement = LocatedStatement::begin(at.clone(), makes);
    statement.push("ALTER TABLE ").piece(object).push(" ADD ");
    if let Some(name) = reference.name {
        statement
            .push("CONSTRAINT ")
            .piece(&Sql::written_by_user(name))
            .push(" ");
    }
    statement.push("FOREIGN KEY (").piece(&ident).push(") ");
    statement.written(&reference.clause, at);
    Ok(Some(statement))
}

/// Returns the location of a byte in a one-line text.
fn within(file: &str, text: &Located<String>, byte: usize) -> Location {
    let mut at = location(file, text);
    let before = u32::try_from(text.value[..byte].chars().count()).unwrap_or(0);
    at.column = at.column.map(|column| column + before);
    at
}

/// Returns whether a constraint cannot be part of CREATE TABLE: a foreign key needs the other table, and NOT VALID has
/// no effect there.
fn comes_later(line: &SqlEntry) -> bool {
    let text = line.sql.as_ref().map_or("", |text| text.value.trim());
    let begins = |word: &str| {
        text.get(..word.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(word))
    };
    begins("foreign") || text.to_ascii_lowercase().ends_with("not valid")
}

/// Adds an index: `(a, b)`, `unique (a)`, `using gin (a)`, `unique using btree (a)`, `on only (a)`.
pub(crate) fn add_index(
    file: &str,
    object: &ObjectName,
    name: &Located<String>,
    line: &SqlEntry,
    to: &mut Statements,
) -> Result<()> {
    let Some(text) = &line.sql else {
        let message = format!(
            "{}: index `{}` has no columns",
            location(file, name),
            name.value
        );
        return Err(fail(message)
            .hint("write `name: (tenant_id, created_at)`")
            .into());
    };
    sql_fragment::check(&text.value).map_err(|problem| wrong(file, text, &problem))?;
    let mut rest = Words(&text.value);
    let unique = rest.take("unique");
    let only = rest.take("only");
    let mut statement =
        LocatedStatement::begin(location(file, name), format!("index {}", name.value));
    statement.push(if unique {
        "CREATE UNIQUE INDEX "
    } else {
        "CREATE INDEX "
    });
    statement
        .piece(&Ident::new(&*name.value))
        .push(if only { " ON ONLY " } else { " ON " });
    let at = within(file, text, text.value.len() - rest.0.len());
    statement.piece(object).push(" ").written(rest.0, at);
    to.parts.push(statement);
    let index = ObjectName {
        schema: object.schema.clone(),
        name: Ident::new(&*name.value),
    };
    comment(file, line.comment.as_ref(), "INDEX", &index, to);
    Ok(())
}

/// Reads keywords at the start of a line.
struct Words<'a>(&'a str);

impl Words<'_> {
    /// Removes a word from the front if it is this one.
    fn take(&mut self, word: &str) -> bool {
        let text = self.0.trim_start();
        let Some((start, rest)) = text.split_at_checked(word.len()) else {
            return false;
        };
        let ends = !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_');
        let fits = ends && start.eq_ignore_ascii_case(word);
        if fits {
            self.0 = rest.trim_start();
        }
        fits
    }
}

/// Adds a trigger; the table name is inserted after its events.
fn add_trigger(
    file: &str,
    object: &ObjectName,
    name: &Located<String>,
    line: &SqlEntry,
    to: &mut Statements,
) -> Result<()> {
    let Some(text) = &line.sql else {
        let message = format!(
            "{}: trigger `{}` has no definition",
            location(file, name),
            name.value
        );
        return Err(fail(message)
            .hint("write `name: before update for each row execute function touch()`")
            .into());
    };
    let cut =
        sql_fragment::event_end(&text.value).map_err(|problem| wrong(file, text, &problem))?;
    let mut statement =
        LocatedStatement::begin(location(file, name), format!("trigger {}", name.value));
    let mut rest = Words(&text.value);
    let constraint = rest.take("constraint");
    statement.push(if constraint {
        "CREATE CONSTRAINT TRIGGER "
    } else {
        "CREATE TRIGGER "
    });
    let from = text.value.len() - rest.0.len();
    statement.piece(&Ident::new(&*name.value)).push(" ");
    statement.written(
        text.value[from..cut.max(from)].trim_end(),
        location(file, text),
    );
    statement.push(" ON ").piece(object).push(" ");
    statement.written(&text.value[cut..], within(file, text, cut));
    to.parts.push(statement);
    let Some(words) = &line.comment else {
        return Ok(());
    };
    let on = Sql::fill("{} ON {}", &[&Ident::new(&*name.value), object]);
    comment(file, Some(words), "TRIGGER", &on, to);
    Ok(())
}

fn add_row_security(
    file: &str,
    object: &ObjectName,
    table: &Table,
    to: &mut Statements,
) -> Result<()> {
    const WORDS: [&str; 3] = ["enabled", "forced", "disabled"];
    let Some(word) = &table.row_level_security else {
        return Ok(());
    };
    let mut statement = LocatedStatement::begin(location(file, word), "row-level security");
    statement.push("ALTER TABLE ").piece(object);
    match word.value.as_str() {
        "enabled" => statement.push(" ENABLE ROW LEVEL SECURITY"),
        "forced" => statement.push(" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"),
        "disabled" => return Ok(()),
        other => {
            let near = nearest(other, WORDS).unwrap_or("enabled");
            let message = format!(
                "{}: invalid value `{other}` for row-level security",
                location(file, word)
            );
            let hint = format!("did you mean `{near}`? Allowed: {}", WORDS.join(", "));
            return Err(fail(message).hint(hint).into());
        }
    };
    to.parts.push(statement);
    Ok(())
}

/// Adds comments, the owner and the grants.
fn add_words(file: &str, object: &ObjectName, table: &Table, to: &mut Statements) {
    owner(file, table.owner.as_ref(), "TABLE", object, to);
    comment(file, table.comment.as_ref(), "TABLE", object, to);
    for (column, line) in table.columns.iter() {
        let name = Sql::fill("{}.{}", &[object, &Ident::new(&*column.value)]);
        comment(file, line.comment.as_ref(), "COLUMN", &name, to);
    }
    for (keyword, entries) in [
        ("CONSTRAINT", &table.constraints),
        ("POLICY", &table.policies),
    ] {
        for (part, line) in entries.iter() {
            let name = Sql::fill("{} ON {}", &[&Ident::new(&*part.value), object]);
            comment(file, line.comment.as_ref(), keyword, &name, to);
        }
    }
    grants(file, &table.grants, "TABLE", object, to);
}
