//! What a manifest means to PostgreSQL: each entry becomes a statement that knows its line.
//!
//! The order is a first guess; `settle` tries again what came too early, so that nobody has to sort their files.

use anyhow::Result;

use crate::error::fail;
use crate::finding::Location;
use crate::manifest::document::{Document, Schema, View};
use crate::manifest::entries::{Entries, Line};
use crate::manifest::line;
use crate::manifest::statement::{Statement, place};
use crate::manifest::table;
use crate::sql::name::{Ident, Literal, ObjectName};
use crate::sql::safe::{Sql, SqlPart};
use crate::yaml::Located;

/// Statements by the moment they are tried first.
#[derive(Debug, Default)]
pub(crate) struct Statements {
    /// Roles, schemas, extensions, types, sequences.
    pub early: Vec<Statement>,
    /// Tables with their columns.
    pub tables: Vec<Statement>,
    /// Functions, views and what else is plain SQL.
    pub middle: Vec<Statement>,
    /// What stands on tables: indexes, triggers, policies.
    pub parts: Vec<Statement>,
    /// Foreign keys: they need both tables and the key of one.
    pub references: Vec<Statement>,
    /// Grants, owners, comments.
    pub late: Vec<Statement>,
    /// Default privileges: they would be granted on whatever is made after them.
    pub last: Vec<Statement>,
}

impl Statements {
    /// Returns them in the order to try: everything, then what must find everything made.
    pub(crate) fn in_order(self) -> [Vec<Statement>; 2] {
        let groups = [
            self.early,
            self.tables,
            self.middle,
            self.parts,
            self.references,
            self.late,
        ];
        [groups.into_iter().flatten().collect(), self.last]
    }
}

/// Turns one file into statements.
pub(crate) fn add(file: &str, document: &Document, to: &mut Statements) -> Result<()> {
    for role in &document.roles {
        let mut statement = Statement::begin(place(file, role), format!("role {}", role.value));
        statement
            .push("CREATE ROLE ")
            .piece(&Ident::new(&*role.value))
            .push(" NOLOGIN");
        statement.tolerates = Some("42710");
        to.early.push(statement);
    }
    for (name, schema) in document.schemas.iter() {
        add_schema(file, name, schema.as_ref(), to);
    }
    for (name, line) in document.extensions.iter() {
        let mut statement =
            Statement::begin(place(file, name), format!("extension {}", name.value));
        statement
            .push("CREATE EXTENSION ")
            .piece(&Ident::new(&*name.value));
        written(file, &mut statement, line.sql.as_ref())?;
        statement.tolerates = Some("42710");
        to.early.push(statement);
        comment(
            file,
            line.comment.as_ref(),
            "EXTENSION",
            &Ident::new(&*name.value),
            to,
        );
    }
    add_types(file, document, to)?;
    for (name, table) in document.tables.iter().chain(document.only.tables.iter()) {
        table::add(file, name, table, to)?;
    }
    for (name, view) in document.views.iter() {
        add_view(file, name, view, to)?;
    }
    for text in &document.sql.0 {
        add_sql(file, text, to);
    }
    Ok(())
}

fn add_schema(file: &str, name: &Located<String>, schema: Option<&Schema>, to: &mut Statements) {
    let ident = Ident::new(&*name.value);
    let mut statement = Statement::begin(place(file, name), format!("schema {}", name.value));
    statement.push("CREATE SCHEMA ").piece(&ident);
    statement.tolerates = Some("42P06");
    to.early.push(statement);
    let Some(schema) = schema else { return };
    owner(file, schema.owner.as_ref(), "SCHEMA", &ident, to);
    comment(file, schema.comment.as_ref(), "SCHEMA", &ident, to);
    grants(file, &schema.grants, "SCHEMA", &ident, to);
}

fn add_types(file: &str, document: &Document, to: &mut Statements) -> Result<()> {
    for (name, labels) in document.enums.iter() {
        let object = object_name(file, name)?;
        let mut statement = Statement::begin(place(file, name), format!("type {object}"));
        statement
            .push("CREATE TYPE ")
            .piece(&object)
            .push(" AS ENUM (");
        for (index, label) in labels.0.iter().enumerate() {
            if index > 0 {
                statement.push(", ");
            }
            statement.piece(&Literal::new(&*label.value));
        }
        statement.push(")");
        to.early.push(statement);
    }
    for (keyword, entries) in [
        ("DOMAIN", &document.domains),
        ("SEQUENCE", &document.sequences),
    ] {
        for (name, line) in entries.iter() {
            let object = object_name(file, name)?;
            let makes = format!("{} {object}", keyword.to_lowercase());
            let mut statement = Statement::begin(place(file, name), makes);
            statement
                .push("CREATE ")
                .push(keyword)
                .push(" ")
                .piece(&object);
            if keyword == "DOMAIN" {
                statement.push(" AS");
            }
            written(file, &mut statement, line.sql.as_ref())?;
            to.early.push(statement);
            comment(file, line.comment.as_ref(), keyword, &object, to);
        }
    }
    Ok(())
}

fn add_view(file: &str, name: &Located<String>, view: &View, to: &mut Statements) -> Result<()> {
    let object = object_name(file, name)?;
    let keyword = if view.materialized {
        "MATERIALIZED VIEW"
    } else {
        "VIEW"
    };
    let mut statement = Statement::begin(place(file, name), format!("view {object}"));
    statement
        .push("CREATE ")
        .push(keyword)
        .push(" ")
        .piece(&object);
    if let Some(options) = &view.with {
        statement.push(" WITH (");
        spliced(file, &mut statement, options)?;
        statement.push(")");
    }
    statement.push(" AS ");
    let Some(query) = &view.is else {
        let hint = "give the query as `is: select …`";
        return Err(
            fail(format!("{}: view {object} has no query", place(file, name)))
                .hint(hint)
                .into(),
        );
    };
    statement.written(
        query.value.trim_end().trim_end_matches(';'),
        place(file, query),
    );
    to.middle.push(statement);
    for (index, line) in view.indexes.iter() {
        table::add_index(file, &object, index, line, to)?;
    }
    owner(file, view.owner.as_ref(), keyword, &object, to);
    comment(file, view.comment.as_ref(), keyword, &object, to);
    grants(file, &view.grants, "TABLE", &object, to);
    Ok(())
}

/// Adds each statement of a text.
pub(crate) fn add_sql(file: &str, text: &Located<String>, to: &mut Statements) {
    let at = place(file, text);
    let (first, margin) = (at.line.unwrap_or(1), at.column.unwrap_or(1));
    for piece in crate::sql::split::split(&text.value) {
        let position = piece.position;
        let place = Location::at(
            file,
            first + position.line - 1,
            margin + position.column - 1,
        );
        let mut statement = Statement::begin(place.clone(), piece.verb());
        statement.block(piece.text, place, margin);
        let is_last = statement.makes.starts_with("ALTER DEFAULT");
        let group = if is_last {
            &mut to.last
        } else {
            &mut to.middle
        };
        group.push(statement);
    }
}

/// Reads the name of an object: `orders`, `app.orders`, `app."weird.name"`; without a schema it is in `public`.
pub(crate) fn object_name(file: &str, name: &Located<String>) -> Result<ObjectName> {
    let parts = name_parts(&name.value).filter(|parts| parts.iter().all(|part| !part.is_empty()));
    match parts.as_deref() {
        Some([only]) => Ok(ObjectName::new("public", only.clone())),
        Some([schema, name]) => Ok(ObjectName::new(schema.clone(), name.clone())),
        _ => {
            let message = format!(
                "{}: `{}` is not the name of an object",
                place(file, name),
                name.value
            );
            Err(fail(message)
                .hint("write `name`, `schema.name`, or `schema.\"na.me\"`")
                .into())
        }
    }
}

/// Takes a name apart at its dots; quotes keep a dot, doubled quotes stand for one.
fn name_parts(text: &str) -> Option<Vec<String>> {
    let mut parts = vec![String::new()];
    let mut rest = text.chars().peekable();
    let mut at_start = true;
    while let Some(character) = rest.next() {
        let part = parts.last_mut()?;
        match character {
            '"' if at_start => {
                loop {
                    match rest.next()? {
                        '"' if rest.peek() == Some(&'"') => {
                            rest.next();
                            part.push('"');
                        }
                        '"' => break,
                        other => part.push(other),
                    }
                }
                if rest.peek().is_some_and(|next| *next != '.') {
                    return None;
                }
                at_start = false;
            }
            '.' => {
                parts.push(String::new());
                at_start = true;
            }
            other => {
                part.push(other);
                at_start = false;
            }
        }
    }
    Some(parts)
}

/// Spells a name so that [`object_name`] reads it back.
pub(crate) fn spell(name: &ObjectName) -> String {
    let part = |ident: &Ident| {
        let text = ident.as_str();
        let plain = !text.is_empty() && !text.contains(['.', '"']);
        if plain {
            text.to_owned()
        } else {
            format!("\"{}\"", text.replace('"', "\"\""))
        }
    };
    if name.schema.as_str() == "public" {
        return part(&name.name);
    }
    format!("{}.{}", part(&name.schema), part(&name.name))
}

/// Appends a line with a blank before it, where there is one.
pub(crate) fn written(
    file: &str,
    statement: &mut Statement,
    text: Option<&Located<String>>,
) -> Result<()> {
    let Some(text) = text else { return Ok(()) };
    statement.push(" ");
    spliced(file, statement, text)
}

/// Appends a text that must be one piece.
pub(crate) fn spliced(file: &str, statement: &mut Statement, text: &Located<String>) -> Result<()> {
    line::check(&text.value).map_err(|problem| wrong(file, text, &problem))?;
    statement.written(&text.value, place(file, text));
    Ok(())
}

/// Makes the error of a line that is not one piece.
pub(crate) fn wrong(file: &str, text: &Located<String>, problem: &str) -> anyhow::Error {
    let hint = "quote it as SQL does, or move it to a .sql file";
    fail(format!("{}: {problem}", place(file, text)))
        .hint(hint)
        .into()
}

/// Adds `ALTER … OWNER TO`.
pub(crate) fn owner(
    file: &str,
    owner: Option<&Located<String>>,
    keyword: &'static str,
    name: &dyn SqlPart,
    to: &mut Statements,
) {
    let Some(owner) = owner else { return };
    let mut statement = Statement::begin(place(file, owner), format!("owner {}", owner.value));
    statement
        .push("ALTER ")
        .push(keyword)
        .push(" ")
        .piece(name)
        .push(" OWNER TO ")
        .piece(&Ident::new(&*owner.value));
    to.late.push(statement);
}

/// Adds `COMMENT ON`.
pub(crate) fn comment(
    file: &str,
    comment: Option<&Located<String>>,
    keyword: &'static str,
    name: &dyn SqlPart,
    to: &mut Statements,
) {
    let Some(comment) = comment else { return };
    let mut statement = Statement::begin(place(file, comment), "comment");
    statement
        .push("COMMENT ON ")
        .push(keyword)
        .push(" ")
        .piece(name);
    statement.push(" IS ").piece(&Literal::new(&*comment.value));
    to.late.push(statement);
}

/// Adds `GRANT … ON … TO`.
pub(crate) fn grants(
    file: &str,
    grants: &Entries<Line>,
    keyword: &'static str,
    name: &dyn SqlPart,
    to: &mut Statements,
) {
    const OPTION: &str = "with grant option";
    for (role, line) in grants.iter() {
        let Some(text) = &line.sql else { continue };
        let trimmed = text.value.trim_end();
        let cut = trimmed.len().saturating_sub(OPTION.len());
        let passes_on = trimmed
            .get(cut..)
            .is_some_and(|end| end.eq_ignore_ascii_case(OPTION));
        let privileges = if passes_on { &trimmed[..cut] } else { trimmed };
        let mut statement = Statement::begin(place(file, role), format!("grant to {}", role.value));
        statement
            .push("GRANT ")
            .written(privileges, place(file, text));
        statement
            .push(" ON ")
            .push(keyword)
            .push(" ")
            .piece(name)
            .push(" TO ")
            .piece(&grantee(&role.value));
        if passes_on {
            statement.push(" WITH GRANT OPTION");
        }
        to.late.push(statement);
    }
}

fn grantee(role: &str) -> Sql {
    if role == "public" {
        return Sql::new("PUBLIC");
    }
    Sql::join([Ident::new(role)], "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_as_they_are_spelt() {
        let check = |text: &str, schema: &str, name: &str| {
            let placed = Located {
                value: text.to_owned(),
                line: 1,
                column: 1,
            };
            let object = object_name("x.yaml", &placed).unwrap();
            assert_eq!(
                (object.schema.as_str(), object.name.as_str()),
                (schema, name),
                "{text}"
            );
            let again = Located {
                value: spell(&object),
                line: 1,
                column: 1,
            };
            assert_eq!(object_name("x.yaml", &again).unwrap(), object, "{text}");
        };
        check("orders", "public", "orders");
        check("app.orders", "app", "orders");
        check("Order Lines", "public", "Order Lines");
        check("app.\"a.b\"", "app", "a.b");
        check("\"a\"\"b\"", "public", "a\"b");
        check("a\"b", "public", "a\"b");
        check("app.🐘;\n", "app", "🐘;\n");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in ["", "a.b.c", ".a", "a.", "\"a", "\"a\"b"] {
            let placed = Located {
                value: text.to_owned(),
                line: 2,
                column: 3,
            };
            let error = object_name("x.yaml", &placed).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("x.yaml:2:3: `{text}` is not the name of an object")
            );
        }
    }
}
