//! The statements of a manifest file: roles, schemas, extensions, types, tables and views.

use anyhow::Result;

use crate::error::fail;
use crate::manifest::document::{Document, Schema, View};
use crate::manifest::located_statement::{LocatedStatement, location};
use crate::manifest::object_name::object_name;
use crate::manifest::statements::{Statements, add_sql, comment, grants, owner, spliced, written};
use crate::manifest::table_statements;
use crate::sql::name::{Ident, Literal};
use crate::yaml::Located;

/// Adds the statements of one file.
pub(crate) fn add(file: &str, document: &Document, to: &mut Statements) -> Result<()> {
    for role in &document.roles {
        let mut statement =
            LocatedStatement::begin(location(file, role), format!("role {}", role.value));
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
            LocatedStatement::begin(location(file, name), format!("extension {}", name.value));
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
        table_statements::add(file, name, table, to)?;
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
    let mut statement =
        LocatedStatement::begin(location(file, name), format!("schema {}", name.value));
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
        let mut statement = LocatedStatement::begin(location(file, name), format!("type {object}"));
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
            let mut statement = LocatedStatement::begin(location(file, name), makes);
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
    let mut statement = LocatedStatement::begin(location(file, name), format!("view {object}"));
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
        let hint = "add the query: `is: select …`";
        return Err(fail(format!(
            "{}: view {object} has no query",
            location(file, name)
        ))
        .hint(hint)
        .into());
    };
    statement.written(
        query.value.trim_end().trim_end_matches(';'),
        location(file, query),
    );
    to.middle.push(statement);
    for (index, line) in view.indexes.iter() {
        table_statements::add_index(file, &object, index, line, to)?;
    }
    owner(file, view.owner.as_ref(), keyword, &object, to);
    comment(file, view.comment.as_ref(), keyword, &object, to);
    grants(file, &view.grants, "TABLE", &object, to);
    Ok(())
}
