//! The SVG drawing, laid out without another program.
//!
//! Tables are placed in columns by their distance along foreign keys, each near the tables that it references.

use std::fmt::Write as _;

use crate::catalog::diagram::dot::escape;
use crate::catalog::diagram::{Diagram, Table};

const ROW: usize = 18;
const HEADER: usize = 26;
const GAP: usize = 28;
const BETWEEN: usize = 90;
const MARGIN: usize = 20;
/// How wide a character of the type used is drawn, in tenths of a pixel.
const TENTHS: usize = 66;

/// Position and size of a table.
#[derive(Clone, Copy, Debug, Default)]
struct TableBox {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

/// Draws the tables with their columns and a curve for each reference.
pub fn svg(diagram: &Diagram) -> String {
    let spots = lay_out(diagram);
    let right = spots
        .iter()
        .map(|spot| spot.x + spot.width)
        .max()
        .unwrap_or(0);
    let bottom = spots
        .iter()
        .map(|spot| spot.y + spot.height)
        .max()
        .unwrap_or(0);
    let (width, height) = (right + MARGIN, bottom + MARGIN + ROW);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"ui-monospace, Menlo, Consolas, monospace\" font-size=\"11\">\n\
         <style>.t{{fill:#fff;stroke:#cbd5e1}}.h{{fill:#e2e8f0}}.o{{fill:#bfdbfe}}.n{{font-weight:600}}.y{{fill:#64748b}}\
         .r{{fill:none;stroke:#64748b}}.m{{stroke-dasharray:4 3}}.w{{fill:#b91c1c}}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#f8fafc\"/>\n"
    );
    for reference in diagram
        .references
        .iter()
        .filter(|reference| !reference.is_tenancy)
    {
        let from = &diagram.tables[reference.from];
        let row = from
            .columns
            .iter()
            .position(|column| reference.columns.first() == Some(&column.name));
        let style = if reference.is_optional { "r m" } else { "r" };
        let curve = curve(
            spots[reference.from],
            row.unwrap_or(0),
            spots[reference.to],
            reference.from == reference.to,
        );
        let _ = writeln!(text, "<path class=\"{style}\" d=\"{curve}\"/>");
    }
    for (table, spot) in diagram.tables.iter().zip(&spots) {
        draw_table(&mut text, table, *spot);
    }
    let _ = writeln!(
        text,
        "<text class=\"y\" x=\"{MARGIN}\" y=\"{}\">blue: rows belong to a tenant · red dot: no row-level security · dashed: may be empty</text>\n</svg>",
        height - 10
    );
    text
}

fn draw_table(text: &mut String, table: &Table, spot: TableBox) {
    let TableBox {
        x,
        y,
        width,
        height,
    } = spot;
    let head = if table.is_tenants { "h o" } else { "h" };
    let _ = writeln!(
        text,
        "<g><rect class=\"t\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"4\"/>\
         <rect class=\"{head}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{HEADER}\" rx=\"4\"/>\
         <text class=\"n\" x=\"{}\" y=\"{}\">{}</text>",
        x + 8,
        y + 17,
        escape(&table.name)
    );
    if !table.is_secured {
        let _ = writeln!(
            text,
            "<circle class=\"w\" cx=\"{}\" cy=\"{}\" r=\"3\"/>",
            x + width - 10,
            y + 13
        );
    }
    for (row, column) in table.columns.iter().enumerate() {
        let line = y + HEADER + row * ROW + 13;
        let mark = if column.is_key {
            "◆ "
        } else if column.refers {
            "→ "
        } else {
            "  "
        };
        let _ = writeln!(
            text,
            "<text xml:space=\"preserve\" x=\"{}\" y=\"{line}\">{mark}{} <tspan class=\"y\">{}</tspan></text>",
            x + 8,
            escape(&column.name),
            escape(&column.of_type)
        );
    }
    text.push_str("</g>\n");
}

/// Returns the path from a column to the header of the referenced table.
fn curve(from: TableBox, row: usize, to: TableBox, is_self: bool) -> String {
    let (y1, y2) = (from.y + HEADER + row * ROW + 9, to.y + HEADER / 2);
    if is_self {
        let x = from.x + from.width;
        return format!("M{x} {y1} C{} {y1} {} {y2} {x} {y2}", x + 40, x + 40);
    }
    if from.x > to.x {
        let (x1, x2) = (from.x, to.x + to.width);
        let middle = x2 + x1.saturating_sub(x2) / 2;
        return format!("M{x1} {y1} C{middle} {y1} {middle} {y2} {x2} {y2}");
    }
    let (x1, x2) = (from.x + from.width, to.x + to.width);
    let outside = x1.max(x2) + 40;
    format!("M{x1} {y1} C{outside} {y1} {outside} {y2} {x2} {y2}")
}

fn lay_out(diagram: &Diagram) -> Vec<TableBox> {
    let ranks = ranks(diagram);
    let mut spots: Vec<TableBox> = diagram.tables.iter().map(size).collect();
    let mut x = MARGIN;
    for rank in 0..=ranks.iter().copied().max().unwrap_or(0) {
        let mut members: Vec<usize> = (0..spots.len())
            .filter(|index| ranks[*index] == rank)
            .collect();
        if members.is_empty() {
            continue;
        }
        // Near the middle of the tables that each references, which are placed already.
        members
            .sort_by_key(|member| (middle_of_targets(diagram, &spots, &ranks, *member), *member));
        let mut y = MARGIN;
        let mut widest = 0;
        for member in members {
            (spots[member].x, spots[member].y) = (x, y);
            y += spots[member].height + GAP;
            widest = widest.max(spots[member].width);
        }
        x += widest + BETWEEN;
    }
    spots
}

fn size(table: &Table) -> TableBox {
    let lengths = table
        .columns
        .iter()
        .map(|column| column.name.chars().count() + column.of_type.chars().count() + 4);
    let longest = lengths
        .max()
        .unwrap_or(0)
        .max(table.name.chars().count() + 4);
    TableBox {
        width: longest * TENTHS / 10 + 20,
        height: HEADER + table.columns.len() * ROW + 4,
        ..TableBox::default()
    }
}

/// Counts the steps of the longest reference path of each table; a cycle ends the path.
fn ranks(diagram: &Diagram) -> Vec<usize> {
    let mut ranks = vec![0; diagram.tables.len()];
    for _ in 0..diagram.tables.len() {
        let mut changed = false;
        for reference in diagram
            .references
            .iter()
            .filter(|reference| reference.from != reference.to)
        {
            let wanted = ranks[reference.to] + 1;
            if ranks[reference.from] < wanted && wanted < diagram.tables.len().min(7) {
                ranks[reference.from] = wanted;
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    ranks
}

fn middle_of_targets(
    diagram: &Diagram,
    spots: &[TableBox],
    ranks: &[usize],
    member: usize,
) -> usize {
    let targets = diagram.references.iter().filter(|reference| {
        reference.from == member && !reference.is_tenancy && ranks[reference.to] < ranks[member]
    });
    let (sum, count) = targets.fold((0, 0), |(sum, count), reference| {
        (sum + spots[reference.to].y, count + 1)
    });
    usize::checked_div(sum, count).unwrap_or(usize::MAX)
}
