//! Writes the columns of a table, with their inline constraints.

use crate::catalog::{Key, Kind, Object};
use crate::manifest::write::yaml::Page;
use crate::manifest::write::{Writer, phrase};
use crate::sql::name::Ident;

/// Writes the columns of a table in their order.
pub(super) fn write(writer: &mut Writer<'_>, table: &Key, page: &mut Page) {
    let columns = writer.catalog.columns(table);
    if !columns.is_empty() {
        page.open(2, "columns");
    }
    for (key, object) in columns {
        let line = line(writer, table, key, object);
        page.line(3, &key.part, &line, object.comment.as_deref());
        writer.say(
            key,
            object,
            &["storage", "compression", "statistics", "options"],
        );
    }
}

fn line(writer: &mut Writer<'_>, table: &Key, key: &Key, object: &Object) -> String {
    let mut line = short_type(object.text("type").unwrap_or_default());
    if let Some(collation) = object.text("collation") {
        line.push_str(&format!(" collate {collation}"));
    }
    if let (Some(kind), Some(expression)) = (object.text("generated"), object.text("expression")) {
        let (open, close) = if phrase::is_bracketed(expression) {
            ("", "")
        } else {
            ("(", ")")
        };
        line.push_str(&format!(
            " generated always as {open}{}{close} {}",
            phrase::lower(expression),
            kind.to_lowercase()
        ));
    }
    let key_clause = key_clause(writer, table, key);
    // A primary key implies NOT NULL.
    if object.has("not_null") && key_clause != Some("primary key") {
        line.push_str(&not_null(writer, key));
    }
    if let Some(clause) = key_clause {
        line.push_str(&format!(" {clause}"));
    }
    let catalog = writer.catalog;
    let part = |kind| {
        let part = Key::part(kind, &key.schema, &key.name, &key.part);
        catalog.objects.get_key_value(&part)
    };
    if let Some((key, identity)) = part(Kind::Identity) {
        line.push_str(&identity_clause(
            key,
            identity,
            object.text("type").unwrap_or_default(),
        ));
        writer.say_bare(key, identity, &[]);
    }
    if let Some((key, default)) = part(Kind::Default) {
        let expression = default.text("expression").unwrap_or_default();
        let of_type = object.text("type").unwrap_or_default();
        line.push_str(&format!(" default {}", default_value(expression, of_type)));
        writer.say_bare(key, default, &[]);
    }
    if let Some(reference) = reference(writer, table, key) {
        line.push_str(&format!(" {reference}"));
    }
    line
}

/// Returns a default without the cast to the column's type.
fn default_value(expression: &str, of_type: &str) -> String {
    let literal = expression
        .strip_suffix(of_type)
        .and_then(|rest| rest.strip_suffix("::"));
    match literal {
        Some(literal) if phrase::is_literal(literal) => literal.to_owned(),
        _ => phrase::lower(expression),
    }
}

/// Returns the common name of a type, where the server prints that of the SQL standard.
fn short_type(printed: &str) -> String {
    const NAMES: [(&str, &str, &str); 6] = [
        ("timestamp", " with time zone", "timestamptz"),
        ("time", " with time zone", "timetz"),
        ("timestamp", " without time zone", "timestamp"),
        ("time", " without time zone", "time"),
        ("character varying", "", "varchar"),
        ("bit varying", "", "varbit"),
    ];
    let (element, array) = printed.split_at(printed.find('[').unwrap_or(printed.len()));
    for (front, back, short) in NAMES {
        let middle = element
            .strip_prefix(front)
            .and_then(|rest| rest.strip_suffix(back));
        let Some(middle) = middle else { continue };
        if middle.is_empty() || middle.starts_with('(') && middle.ends_with(')') {
            return format!("{short}{middle}{array}");
        }
    }
    printed.to_owned()
}

/// Returns ` not null`, with the name of the constraint if it is not the default one.
fn not_null(writer: &mut Writer<'_>, key: &Key) -> String {
    let part = Key::part(Kind::NotNull, &key.schema, &key.name, &key.part);
    match writer.catalog.get(&part) {
        Some(object) if !object.has("not_valid") && object.comment.is_none() => {
            writer.say(&part, object, &[]);
            let name = Ident::new(object.text("constraint").unwrap_or_default());
            let inherit = if object.has("no_inherit") {
                " no inherit"
            } else {
                ""
            };
            format!(" constraint {name} not null{inherit}")
        }
        Some(_) => String::new(),
        None => " not null".to_owned(),
    }
}

/// Returns the default name of a constraint, unless it has to be truncated.
fn standard_name(table: &Key, column: &str, suffix: &str) -> Option<String> {
    let name = if column.is_empty() {
        format!("{}_{suffix}", table.name)
    } else {
        format!("{}_{column}_{suffix}", table.name)
    };
    (name.len() < 64).then_some(name)
}

/// Returns `primary key` or `unique` if this column alone has such a constraint with the default name.
fn key_clause(writer: &mut Writer<'_>, table: &Key, key: &Key) -> Option<&'static str> {
    let column = Ident::new(&*key.part);
    let candidates = [
        (
            "primary key",
            standard_name(table, "", "pkey"),
            format!("PRIMARY KEY ({column})"),
        ),
        (
            "unique",
            standard_name(table, &key.part, "key"),
            format!("UNIQUE ({column})"),
        ),
    ];
    for (clause, name, definition) in candidates {
        let Some(name) = name else { continue };
        if let Some(found) = plain_constraint(writer, table, &name, |printed| printed == definition)
        {
            writer.say(
                &found,
                writer.catalog.get(&found)?,
                &["tablespace", "storage", "clustered", "replica_identity"],
            );
            return Some(clause);
        }
    }
    None
}

/// Returns `references …` if this column alone has a foreign key with the default name.
fn reference(writer: &mut Writer<'_>, table: &Key, key: &Key) -> Option<String> {
    let name = standard_name(table, &key.part, "fkey")?;
    let column = Ident::new(&*key.part);
    let front = format!("FOREIGN KEY ({column}) REFERENCES ");
    let found = plain_constraint(writer, table, &name, |printed| printed.starts_with(&front))?;
    let object = writer.catalog.get(&found)?;
    let catalog = writer.catalog;
    let is_key = |referenced: &str, columns: &str| {
        let primary = format!("PRIMARY KEY {columns}");
        catalog.of_kind(Kind::Constraint).any(|(key, object)| {
            key.qualified() == referenced && object.text("definition") == Some(&primary)
        })
    };
    let line = phrase::reference(object.text("definition")?, is_key)?;
    writer.say(&found, object, &[]);
    Some(line)
}

/// Finds a constraint without a comment by name and definition.
fn plain_constraint(
    writer: &Writer<'_>,
    table: &Key,
    name: &str,
    wanted: impl Fn(&str) -> bool,
) -> Option<Key> {
    let key = Key::part(Kind::Constraint, &table.schema, &table.name, name);
    let object = writer.catalog.get(&key)?;
    let fits = object.comment.is_none() && object.text("definition").is_some_and(wanted);
    fits.then_some(key)
}

/// Returns ` generated … as identity` with the options that are not the defaults of the type.
fn identity_clause(key: &Key, identity: &Object, of_type: &str) -> String {
    let maximum = match of_type {
        "smallint" => "32767",
        "integer" => "2147483647",
        _ => "9223372036854775807",
    };
    let standard = standard_name(
        &Key::named(Kind::Table, &key.schema, &key.name),
        &key.part,
        "seq",
    );
    let sequence =
        standard.map(|name| format!("{}.{}", Ident::new(&*key.schema), Ident::new(name)));
    let facts = [
        (
            "sequence",
            "sequence name",
            sequence.as_deref().unwrap_or_default(),
        ),
        ("start", "start with", "1"),
        ("increment", "increment by", "1"),
        ("minimum", "minvalue", "1"),
        ("maximum", "maxvalue", maximum),
        ("cache", "cache", "1"),
    ];
    let mut options = Vec::new();
    for (fact, word, standard) in facts {
        if let Some(value) = identity.text(fact).filter(|value| *value != standard) {
            options.push(format!("{word} {value}"));
        }
    }
    if identity.has("cycle") {
        options.push("cycle".to_owned());
    }
    let generated = identity
        .text("generated")
        .unwrap_or("BY DEFAULT")
        .to_lowercase();
    let options = if options.is_empty() {
        String::new()
    } else {
        format!(" ({})", options.join(" "))
    };
    format!(" generated {generated} as identity{options}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_their_everyday_names() {
        let check = |printed: &str, short: &str| assert_eq!(short_type(printed), short);
        check("timestamp with time zone", "timestamptz");
        check("timestamp(3) with time zone[]", "timestamptz(3)[]");
        check("time without time zone", "time");
        check("character varying(10)", "varchar(10)");
        check("character(3)", "character(3)");
        check("timestamp_with", "timestamp_with");
        check("numeric(10,2)", "numeric(10,2)");
    }
}
