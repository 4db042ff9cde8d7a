//! Derives row checks from how a statement changes a table.

use std::collections::BTreeMap;

use crate::plan::observe::row_checks::RowCheck;
use crate::plan::observe::row_checks::table_shape::{
    ColumnShape, ConstraintShape, TableShape, UniqueIndex,
};
use crate::sql::name::Ident;
use crate::sql::phrase::{self, Phrase};
use crate::sql::token::TokenKind;

/// Returns the questions about one table.
pub(super) fn row_checks(
    table: &str,
    before: &TableShape,
    after: &TableShape,
    names: &BTreeMap<u32, String>,
    text: &str,
) -> Vec<RowCheck> {
    let mut questions = Vec::new();
    for (number, column) in &after.columns {
        match before.columns.get(number) {
            None if column.not_null && !column.filled => questions.push(asking(
                table,
                "23502",
                format!(
                    "rows, which have no value for the new column {}",
                    column.name
                ),
                format!("SELECT EXISTS (SELECT FROM {table})"),
            )),
            Some(old) => {
                if column.not_null && !old.not_null {
                    let name = Ident::new(&*old.name);
                    questions.push(asking(
                        table,
                        "23502",
                        format!("rows where {name} is null"),
                        format!("SELECT EXISTS (SELECT FROM {table} WHERE {name} IS NULL)"),
                    ));
                }
                if column.r#type != old.r#type {
                    questions.extend(fits(table, old, column, text));
                }
            }
            None => {}
        }
    }
    let is_known = |numbers: &[i16]| numbers.iter().all(|it| before.columns.contains_key(it));
    for constraint in &after.constraints {
        let held = before
            .constraints
            .iter()
            .any(|old| old.oid == constraint.oid);
        if !held && is_known(&constraint.columns) {
            questions.extend(constrained(table, constraint, names));
        }
    }
    let known: Vec<&str> = before
        .columns
        .values()
        .map(|column| &*column.name)
        .collect();
    for unique in &after.uniques {
        let held = before
            .uniques
            .iter()
            .any(|old| old.oid == unique.oid || old.signature == unique.signature);
        let made = after
            .columns
            .values()
            .filter(|column| !known.contains(&&*column.name));
        if !held
            && !made
                .into_iter()
                .any(|column| mentions(unique, &column.name))
        {
            questions.push(duplicates(table, unique));
        }
    }
    let signature = |shape: &TableShape| shape.bounds.as_ref().map(|it| it.signature.clone());
    let bounds = after.bounds.as_ref().and_then(|it| it.expression.as_ref());
    if let Some(bounds) = bounds.filter(|_| signature(before) != signature(after)) {
        questions.push(asking(
            table,
            "23514",
            "rows outside the partition bounds".to_owned(),
            format!("SELECT EXISTS (SELECT FROM {table} WHERE NOT ({bounds}))"),
        ));
    }
    questions
}

fn asking(relation: &str, sqlstate: &str, about: String, query: String) -> RowCheck {
    RowCheck {
        relation: relation.to_owned(),
        about,
        sqlstate: sqlstate.to_owned(),
        query: Some(query),
        not_asked: None,
    }
}

/// Whether a column that the plan makes stands in an index.
fn mentions(unique: &UniqueIndex, column: &str) -> bool {
    let texts = unique.keys.iter().chain(&unique.predicate);
    texts.into_iter().any(|text| {
        let tokens = phrase::read(text);
        let words = Phrase::new(text, &tokens);
        (0..words.len()).any(|at| words.ident(at).as_deref() == Some(column))
    })
}

fn constrained(
    table: &str,
    constraint: &ConstraintShape,
    names: &BTreeMap<u32, String>,
) -> Option<RowCheck> {
    let name = Ident::new(&*constraint.name);
    match constraint.kind.as_str() {
        "c" => {
            let expression = constraint.expression.as_ref()?;
            Some(asking(
                table,
                "23514",
                format!("rows that violate constraint {name}"),
                format!("SELECT EXISTS (SELECT FROM {table} WHERE NOT ({expression}))"),
            ))
        }
        "d" => {
            let expression = constraint.expression.as_ref()?;
            let column = Ident::new(constraint.names.first()?.as_str());
            let of = constraint.referenced_names.first()?;
            // An expression of a domain calls the value by the name VALUE.
            let values = format!("SELECT {column}::{of} AS value FROM {table}");
            Some(asking(
                table,
                "23514",
                format!("values of {column} that violate domain constraint {name}"),
                format!("SELECT EXISTS (SELECT FROM ({values}) AS v WHERE NOT ({expression}))"),
            ))
        }
        "f" => {
            let referenced = names.get(&constraint.referenced)?;
            let column = |of: &str, name: &String| format!("{of}.{}", Ident::new(&**name));
            let pairs = constraint.names.iter().zip(&constraint.referenced_names);
            let equal: Vec<String> = pairs
                .map(|(own, theirs)| format!("{} = {}", column("r", theirs), column("t", own)))
                .collect();
            let there: Vec<String> = constraint
                .names
                .iter()
                .map(|own| format!("{} IS NOT NULL", column("t", own)))
                .collect();
            Some(asking(
                table,
                "23503",
                format!(
                    "rows that violate foreign key {name}, without a matching row in {referenced}"
                ),
                format!(
                    "SELECT EXISTS (SELECT FROM {table} AS t WHERE {} AND NOT EXISTS (SELECT FROM {referenced} AS r WHERE {}))",
                    there.join(" AND "),
                    equal.join(" AND ")
                ),
            ))
        }
        _ => Some(RowCheck {
            relation: table.to_owned(),
            about: format!("rows that violate exclusion constraint {name}"),
            sqlstate: "23P01".to_owned(),
            query: None,
            not_asked: Some("comparing all rows with each other takes too long".to_owned()),
        }),
    }
}

fn duplicates(table: &str, unique: &UniqueIndex) -> RowCheck {
    let keys = unique.keys.join(", ");
    let mut conditions: Vec<String> = unique
        .predicate
        .iter()
        .map(|it| format!("({it})"))
        .collect();
    if !unique.nulls_collide {
        conditions.extend(unique.keys.iter().map(|key| format!("({key}) IS NOT NULL")));
    }
    let condition = if conditions.is_empty() {
        String::new()
    } else {
        format!(" WHERE {}", conditions.join(" AND "))
    };
    asking(
        table,
        "23505",
        format!("duplicate rows in ({keys})"),
        format!(
            "SELECT EXISTS (SELECT FROM {table}{condition} GROUP BY {keys} HAVING count(*) > 1)"
        ),
    )
}

/// Asks whether every value fits its new type; nothing where the old type is sure to.
fn fits(table: &str, old: &ColumnShape, new: &ColumnShape, text: &str) -> Option<RowCheck> {
    let name = Ident::new(&*old.name).to_string();
    let r#type = &new.r#type;
    if let Some(using) = using(text, &old.name) {
        // It fails as it would in the statement, or does not fail.
        let query = format!("SELECT count(({using})::{type}) < 0 FROM {table}");
        let about = format!("values of {name} that cannot be converted to {type}");
        return Some(asking(table, "22000", about, query));
    }
    let (misfit, sqlstate) = misfit(&name, old, r#type)?;
    let about = format!("values of {name} that do not fit {type}");
    let query = format!("SELECT EXISTS (SELECT FROM {table} WHERE {misfit})");
    Some(asking(table, sqlstate, about, query))
}

/// Returns the condition under which a value does not fit a type, and the SQLSTATE it fails with.
fn misfit(name: &str, old: &ColumnShape, new: &str) -> Option<(String, &'static str)> {
    let is_number = old.category == "N";
    let range = match new {
        "smallint" => Some("-32768 AND 32767"),
        "integer" => Some("-2147483648 AND 2147483647"),
        "bigint" => Some("-9223372036854775808 AND 9223372036854775807"),
        _ => None,
    };
    let rank = |name: &str| {
        ["smallint", "integer", "bigint"]
            .iter()
            .position(|it| *it == name)
    };
    if let (Some(range), true) = (range, is_number) {
        let widens = rank(&old.r#type).is_some_and(|old| Some(old) <= rank(new));
        let rounded = format!("round({name}::numeric) NOT BETWEEN {range}");
        return (!widens).then_some((rounded, "22003"));
    }
    let limit_now = limit(new)?;
    if new.starts_with("numeric") {
        let (precision, scale) = limit_now.split_once(',').unwrap_or((limit_now, "0"));
        let (precision, scale): (i32, i32) = (precision.parse().ok()?, scale.parse().ok()?);
        if let Some((old_precision, old_scale)) =
            limit(&old.r#type).and_then(|it| it.split_once(','))
            && let (Ok(old_precision), Ok(old_scale)) =
                (old_precision.parse::<i32>(), old_scale.parse::<i32>())
            && old_precision - old_scale < precision - scale
        {
            return None;
        }
        let condition = format!(
            "abs(round({name}::numeric, {scale})) >= pg_catalog.power(10::numeric, {})",
            precision - scale
        );
        return is_number.then_some((condition, "22003"));
    }
    let wide: i64 = limit_now.parse().ok()?;
    let was: Option<i64> = limit(&old.r#type).and_then(|limit| limit.parse().ok());
    let textual = old.category == "S";
    let narrows = textual && was.is_none_or(|was| was > wide);
    // Blanks beyond the end are interrupted without a word.
    let condition = format!("pg_catalog.char_length(pg_catalog.rtrim({name}::text)) > {wide}");
    narrows.then_some((condition, "22001"))
}

/// Returns what stands in the parentheses of a type that has a limit.
fn limit(of: &str) -> Option<&str> {
    let (base, rest) = of.split_once('(')?;
    let (limit, _) = rest.split_once(')')?;
    matches!(base, "character varying" | "character" | "numeric").then_some(limit)
}

/// Finds the expression of `ALTER COLUMN … TYPE … USING …` for a column.
fn using(text: &str, column: &str) -> Option<String> {
    let tokens = phrase::read(text);
    let words = Phrase::new(text, &tokens);
    for part in words.list() {
        let Some(at) = part.find(&["using"]) else {
            continue;
        };
        let typed = part.range(0, at);
        let named = (0..typed.len()).any(|at| {
            typed.ident(at).as_deref() == Some(column)
                && matches!(
                    typed.kind(at),
                    Some(TokenKind::Word | TokenKind::QuotedName)
                )
        });
        if named && typed.has(&["type"]) {
            return Some(part.from(at + 1).text().to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, r#type: &str, category: &str) -> ColumnShape {
        ColumnShape {
            name: name.to_owned(),
            not_null: false,
            r#type: r#type.to_owned(),
            category: category.to_owned(),
            filled: false,
        }
    }

    #[test]
    fn only_narrower_types_raise_row_checks() {
        let check = |old: (&str, &str), new: &str, expected: Option<&str>| {
            let found = misfit("c", &column("c", old.0, old.1), new);
            assert_eq!(
                found.as_ref().map(|(it, _)| it.as_str()),
                expected,
                "{old:?} {new}"
            );
        };
        check(("integer", "N"), "bigint", None);
        check(
            ("bigint", "N"),
            "integer",
            Some("round(c::numeric) NOT BETWEEN -2147483648 AND 2147483647"),
        );
        check(
            ("character varying(10)", "S"),
            "character varying(20)",
            None,
        );
        check(
            ("text", "S"),
            "character varying(20)",
            Some("pg_catalog.char_length(pg_catalog.rtrim(c::text)) > 20"),
        );
        check(("numeric(10,2)", "N"), "numeric(14,2)", None);
        check(
            ("numeric", "N"),
            "numeric(6,2)",
            Some("abs(round(c::numeric, 2)) >= pg_catalog.power(10::numeric, 4)"),
        );
        check(("text", "S"), "text", None);
    }

    #[test]
    fn using_expressions_are_found() {
        let text =
            "ALTER TABLE t ALTER COLUMN a TYPE int USING (a + 1), ALTER b TYPE text USING b::text";
        assert_eq!(using(text, "a").as_deref(), Some("(a + 1)"));
        assert_eq!(using(text, "b").as_deref(), Some("b::text"));
        assert_eq!(using("ALTER TABLE t ALTER a TYPE int", "a"), None);
    }
}
