//! The Mermaid drawing, which GitHub and GitLab show by themselves.

use std::fmt::Write as _;

use crate::catalog::diagram::{Column, Diagram};

/// Draws an entity-relationship diagram.
pub fn mermaid(diagram: &Diagram) -> String {
    let mut text = String::from("erDiagram\n");
    for (index, table) in diagram.tables.iter().enumerate() {
        let _ = writeln!(
            text,
            "    {}[\"{}\"] {{",
            identifier(index, &table.name),
            label(&table.name)
        );
        for column in &table.columns {
            let comment = if column.is_tenant { " \"tenant\"" } else { "" };
            let _ = writeln!(
                text,
                "        {} {}{}{comment}",
                word(&column.of_type),
                word(&column.name),
                keys(column)
            );
        }
        text.push_str("    }\n");
    }
    for reference in diagram
        .references
        .iter()
        .filter(|reference| !reference.is_tenancy)
    {
        let (from, to) = (
            &diagram.tables[reference.from],
            &diagram.tables[reference.to],
        );
        let one = if reference.is_optional { "|o" } else { "||" };
        let _ = writeln!(
            text,
            "    {} {one}--o{{ {} : \"{}\"",
            identifier(reference.to, &to.name),
            identifier(reference.from, &from.name),
            label(&reference.columns.join(", ")),
        );
    }
    text
}

fn keys(column: &Column) -> String {
    let marks = [
        (column.is_key, "PK"),
        (column.refers, "FK"),
        (column.is_unique, "UK"),
    ];
    let marks: Vec<&str> = marks
        .into_iter()
        .filter(|(is, _)| *is)
        .map(|(_, mark)| mark)
        .collect();
    if marks.is_empty() {
        String::new()
    } else {
        format!(" {}", marks.join(", "))
    }
}

/// Returns an identifier that Mermaid accepts: the table's own name where possible.
fn identifier(index: usize, name: &str) -> String {
    let plain = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain {
        name.to_owned()
    } else {
        format!("table-{index}")
    }
}

/// Returns an attribute word; Mermaid accepts letters, digits, hyphens, brackets and underscores.
fn word(text: &str) -> String {
    let word: String = text
        .chars()
        .map(|character| {
            let fits = character.is_ascii_alphanumeric()
                || matches!(character, '_' | '-' | '(' | ')' | '[' | ']');
            if fits { character } else { '_' }
        })
        .collect();
    if word.starts_with(|first: char| first.is_ascii_alphabetic()) {
        word
    } else {
        format!("x{word}")
    }
}

fn label(text: &str) -> String {
    text.chars()
        .map(|character| {
            if character == '"' || character.is_control() {
                '\''
            } else {
                character
            }
        })
        .collect()
}
