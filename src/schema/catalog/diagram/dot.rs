//! The Graphviz drawing.

use std::fmt::Write as _;

use crate::catalog::diagram::Diagram;

/// Draws a directed graph whose nodes are tables with their columns.
pub fn dot(diagram: &Diagram) -> String {
    let mut text = String::from(
        "digraph schema {\n  rankdir=LR;\n  node [shape=plain, fontname=\"Helvetica\", fontsize=11];\n  edge [color=\"#64748b\", arrowsize=0.7];\n",
    );
    for (index, table) in diagram.tables.iter().enumerate() {
        let colour = if table.is_tenants {
            "#dbeafe"
        } else {
            "#e5e7eb"
        };
        let _ = write!(
            text,
            "  t{index} [label=<<table border=\"0\" cellborder=\"1\" cellspacing=\"0\" cellpadding=\"4\"><tr><td bgcolor=\"{colour}\"><b>{}</b></td></tr>",
            escape(&table.name)
        );
        for (port, column) in table.columns.iter().enumerate() {
            let name = escape(&column.name);
            let name = if column.is_key {
                format!("<u>{name}</u>")
            } else {
                name
            };
            let _ = write!(
                text,
                "<tr><td align=\"left\" port=\"c{port}\">{name} <font color=\"#64748b\">{}</font></td></tr>",
                escape(&column.of_type)
            );
        }
        text.push_str("</table>>];\n");
    }
    for reference in diagram
        .references
        .iter()
        .filter(|reference| !reference.is_tenancy)
    {
        let from = &diagram.tables[reference.from];
        let port = from
            .columns
            .iter()
            .position(|column| reference.columns.first() == Some(&column.name));
        let port = port.map_or_else(String::new, |port| format!(":c{port}"));
        let style = if reference.is_optional {
            " [style=dashed]"
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "  t{}{port} -> t{}{style};",
            reference.from, reference.to
        );
    }
    text.push_str("}\n");
    text
}

/// Escapes for HTML-like labels, which are XML.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // XML has no spelling for most control characters.
            other if other.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}
