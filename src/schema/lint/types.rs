//! Whether a change of type rewrites a table, decided from both type names.

use crate::sql::phrase::Phrase;

/// What a change of a column's type costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeChange {
    /// Only the catalog changes.
    Free,
    /// Only if the session's time zone is UTC the table stays as it is; its indexes are rebuilt anyway.
    TimeZone,
    /// The table and all its indexes are rewritten.
    Rewrite,
    /// As `Rewrite`, and values may be cut or refused.
    Lossy,
}

/// Returns a type in lower case with single blanks and PostgreSQL's own names.
pub fn spell(phrase: Phrase<'_>) -> String {
    let mut text = String::new();
    for index in 0..phrase.len() {
        let part = phrase.at(index);
        let tight = matches!(part, "(" | ")" | "," | "[" | "]" | ".")
            || text.ends_with(['(', '[', '.', ','])
            || text.is_empty();
        if !tight {
            text.push(' ');
        }
        if part.starts_with('"') {
            text.push_str(part);
        } else {
            text.push_str(&part.to_ascii_lowercase());
        }
    }
    let text = text.strip_prefix("pg_catalog.").unwrap_or(&text).to_owned();
    let (base, arguments) = cut(&text);
    let base = match base.as_str() {
        "character varying" => "varchar",
        "character" => "char",
        "int" | "int4" => "integer",
        "int8" => "bigint",
        "int2" => "smallint",
        "bool" => "boolean",
        "decimal" | "dec" => "numeric",
        "float8" | "double precision" | "float" => "double precision",
        "float4" => "real",
        "timestamp with time zone" => "timestamptz",
        "timestamp without time zone" => "timestamp",
        "time with time zone" => "timetz",
        "time without time zone" => "time",
        other => other,
    };
    match arguments {
        Some(arguments) => format!("{base}({arguments})"),
        None => base.to_owned(),
    }
}

/// Classifies a change from one type to another, both normalized by [`spell`].
pub fn change(old: &str, new: &str) -> TypeChange {
    if old == new {
        return TypeChange::Free;
    }
    let (old_base, old_arguments) = cut(old);
    let (new_base, new_arguments) = cut(new);
    let numbers = |arguments: &Option<String>| -> Vec<i64> {
        arguments
            .iter()
            .flat_map(|list| list.split(','))
            .filter_map(|number| number.trim().parse().ok())
            .collect()
    };
    let (from, to) = (numbers(&old_arguments), numbers(&new_arguments));
    match (old_base.as_str(), new_base.as_str()) {
        ("varchar" | "text", "varchar" | "text") => match (from.first(), to.first()) {
            (_, None) => TypeChange::Free,
            (Some(from), Some(to)) if to >= from => TypeChange::Free,
            _ => TypeChange::Lossy,
        },
        ("varchar" | "text" | "char", "citext") | ("citext", "text" | "varchar")
            if to.is_empty() =>
        {
            TypeChange::Free
        }
        ("numeric", "numeric") => numeric(&from, &to),
        ("timestamp", "timestamptz") if from == to => TypeChange::TimeZone,
        ("timestamptz", "timestamp") if from == to => TypeChange::TimeZone,
        ("timestamp" | "timestamptz" | "time" | "timetz" | "interval", same)
            if same == old_base =>
        {
            match (from.first(), to.first()) {
                (_, None) => TypeChange::Free,
                (Some(from), Some(to)) if to >= from => TypeChange::Free,
                _ => TypeChange::Lossy,
            }
        }
        ("varbit", "varbit") if to.is_empty() || from.first() <= to.first() && !from.is_empty() => {
            TypeChange::Free
        }
        ("cidr", "inet") => TypeChange::Free,
        (old, new) if width(old) > width(new) => TypeChange::Lossy,
        _ => TypeChange::Rewrite,
    }
}

fn numeric(from: &[i64], to: &[i64]) -> TypeChange {
    let scale = |numbers: &[i64]| numbers.get(1).copied().unwrap_or(0);
    match (from.first(), to.first()) {
        (_, None) => TypeChange::Free,
        (None, Some(_)) => TypeChange::Lossy,
        (Some(before), Some(after)) if scale(from) == scale(to) && after >= before => {
            TypeChange::Free
        }
        (Some(before), Some(after))
            if scale(to) > scale(from) && after - scale(to) >= before - scale(from) =>
        {
            TypeChange::Rewrite
        }
        _ => TypeChange::Lossy,
    }
}

/// Ranks types that hold more than others; only a step down says something.
fn width(base: &str) -> u8 {
    match base {
        "smallint" => 1,
        "integer" => 2,
        "bigint" => 3,
        "date" => 4,
        "numeric" | "timestamp" | "timestamptz" => 5,
        "text" | "varchar" | "jsonb" | "json" => 6,
        _ => 0,
    }
}

fn cut(spelling: &str) -> (String, Option<String>) {
    match spelling.split_once('(') {
        // `timestamp(3) with time zone`
        Some((base, rest)) => match rest.split_once(')') {
            Some((arguments, after)) => (format!("{base}{after}"), Some(arguments.to_owned())),
            None => (base.to_owned(), Some(rest.to_owned())),
        },
        None => (spelling.to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::phrase::read;

    #[test]
    fn type_names_are_normalized() {
        let check = |text: &str, expected: &str| {
            let tokens = read(text);
            assert_eq!(spell(Phrase::new(text, &tokens)), expected);
        };
        check("CHARACTER VARYING ( 20 )", "varchar(20)");
        check("pg_catalog.int4", "integer");
        check("timestamp(3) with time zone", "timestamptz(3)");
        check("numeric(10, 2)", "numeric(10,2)");
        check("text[]", "text[]");
    }

    #[test]
    fn type_changes_are_classified() {
        let check = |old: &str, new: &str, expected: TypeChange| {
            assert_eq!(change(old, new), expected, "{old} to {new}");
        };
        check("varchar(20)", "varchar(40)", TypeChange::Free);
        check("varchar(20)", "text", TypeChange::Free);
        check("text", "varchar(20)", TypeChange::Lossy);
        check("varchar(40)", "varchar(20)", TypeChange::Lossy);
        check("numeric(10,2)", "numeric(14,2)", TypeChange::Free);
        check("numeric(10,2)", "numeric", TypeChange::Free);
        check("numeric(10,2)", "numeric(14,4)", TypeChange::Rewrite);
        check("integer", "bigint", TypeChange::Rewrite);
        check("bigint", "integer", TypeChange::Lossy);
        check("timestamp", "timestamptz", TypeChange::TimeZone);
        check("timestamp", "timestamp(3)", TypeChange::Lossy);
        check("char(10)", "text", TypeChange::Rewrite);
        check("jsonb", "json", TypeChange::Rewrite);
        check("timestamptz", "date", TypeChange::Lossy);
    }
}
