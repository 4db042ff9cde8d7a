//! Generates one value for a column: of its type, within its length, marked so that the value is recognized anywhere.

use crate::expression_text;
use crate::probed_schema::Column;
use crate::seed::tenancy_map::Side;

/// A value as text, to be cast to the column's type; `None` is null.
pub(crate) type Value = Option<String>;

/// What a value is made for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ValueContext<'a> {
    pub(crate) side: Side,
    /// Unique among all rows.
    pub(crate) number: usize,
    /// The lower bound of a partition, where the column is its key.
    pub(crate) bound: Option<&'a str>,
    /// Literals that checks of the column's table mention.
    pub(crate) allowed: &'a [String],
}

impl ValueContext<'_> {
    /// Returns the word that marks everything a side wrote.
    pub(crate) fn mark(&self) -> String {
        format!("{}{}", mark(self.side), self.number)
    }
}

/// Returns the beginning of every mark of a side.
pub(crate) fn mark(side: Side) -> &'static str {
    match side {
        Side::A => "zqa",
        Side::B => "zqb",
        Side::Like => "zqc",
        Side::Nobody => "zqn",
    }
}

/// Makes a value for a column that is no key of anything.
pub(crate) fn plain(column: &Column, occasion: &ValueContext<'_>) -> Value {
    if let Some(bound) = occasion.bound {
        return Some(bound.to_owned());
    }
    if !column.required
        && (is_moment(column) && column.name != "created_at" && column.name != "updated_at"
            || expression_text::suggests_end(&column.name))
    {
        return None;
    }
    if column.category == "A" {
        return Some(array(column, occasion));
    }
    if let Some(label) = column
        .labels
        .as_ref()
        .and_then(|labels| calm(labels, column))
    {
        return Some(label);
    }
    match column.kind.as_str() {
        "r" => return Some(range(column, occasion.number)),
        "m" => return Some("{}".to_owned()),
        "c" => {
            return if column.required {
                Some(String::new())
            } else {
                None
            };
        }
        _ => {}
    }
    by_type(column, occasion)
}

fn by_type(column: &Column, occasion: &ValueContext<'_>) -> Value {
    let number = occasion.number;
    let text = match column.base.as_str() {
        "bool" => truth(column).to_owned(),
        "int2" | "int4" | "int8" | "float4" | "float8" => {
            small_number(column, occasion).unwrap_or_else(|| format!("{}", 1000 + number))
        }
        "numeric" => numeric(column, number),
        "money" => format!("{number}"),
        "uuid" => format!(
            "{}0af0db1-0000-4000-8000-{number:012}",
            side_letter(occasion.side)
        ),
        "date" => "2026-01-15".to_owned(),
        "timestamp" | "timestamptz" => "2026-01-15 12:00:00".to_owned(),
        "time" | "timetz" => "12:00:00".to_owned(),
        "interval" => "1 day".to_owned(),
        "json" | "jsonb" => format!("{{\"note\": \"{}\"}}", occasion.mark()),
        "bytea" => format!("\\x{:08x}", number),
        "inet" | "cidr" => format!(
            "10.{}.{}.{}",
            number / 62_500 % 250,
            number / 250 % 250,
            number % 250
        ),
        "macaddr" => format!(
            "08:00:2b:01:{:02x}:{:02x}",
            number / 250 % 250,
            number % 250
        ),
        "bit" | "varbit" => bits(column),
        "xml" => format!("<a>{}</a>", occasion.mark()),
        "tsvector" | "tsquery" => occasion.mark(),
        "ltree" => occasion.mark(),
        "hstore" => format!("note=>{}", occasion.mark()),
        "point" => "(1,1)".to_owned(),
        "lseg" | "box" | "path" | "line" => "((0,0),(1,1))".to_owned(),
        "polygon" => "((0,0),(1,1),(1,0))".to_owned(),
        "circle" => "<(0,0),1>".to_owned(),
        "geometry" | "geography" => "POINT(1 1)".to_owned(),
        "vector" | "halfvec" => vector(column),
        "oid" | "lo" | "pg_lsn" | "regclass" | "xid" | "tid" => return None,
        _ => string(column, occasion),
    };
    Some(text)
}

/// A span of its own, so that exclusion constraints have something to exclude.
fn range(column: &Column, number: usize) -> String {
    let day = |after: usize| {
        let first = chrono::NaiveDate::from_ymd_opt(2026, 1, 15).unwrap_or_default();
        first + chrono::Days::new(u64::try_from(after).unwrap_or(0))
    };
    match column.base.as_str() {
        "daterange" | "tsrange" | "tstzrange" => format!("[{},{})", day(number), day(number + 1)),
        "int4range" | "int8range" | "numrange" => format!("[{number},{})", number + 1),
        _ => "empty".to_owned(),
    }
}

fn side_letter(side: Side) -> &'static str {
    match side {
        Side::A => "a",
        Side::B => "b",
        Side::Like => "c",
        Side::Nobody => "d",
    }
}

fn is_moment(column: &Column) -> bool {
    matches!(column.base.as_str(), "timestamp" | "timestamptz" | "date")
}

/// Picks a value that lets a row count and keeps it to its tenant.
fn calm(values: &[String], column: &Column) -> Option<String> {
    let spoken = column
        .default
        .as_deref()
        .map(expression_text::read)
        .unwrap_or_default();
    let quiet = |value: &&String| {
        !expression_text::is_ended_value(value)
            && !expression_text::is_shared_value(value)
            && !expression_text::suggests_staff(value)
    };
    values
        .iter()
        .find(|value| spoken.values.contains(*value) && !expression_text::is_shared_value(value))
        .or_else(|| {
            values.iter().find(|value| {
                matches!(value.as_str(), "active" | "accepted" | "member" | "private")
            })
        })
        .or_else(|| values.iter().find(quiet))
        .or_else(|| values.first())
        .cloned()
}

fn truth(column: &Column) -> &'static str {
    let name = column.name.to_lowercase();
    let lives = [
        "active",
        "enabled",
        "valid",
        "confirmed",
        "verified",
        "accepted",
        "approved",
    ];
    let default = column.default.as_deref();
    let on = match default {
        Some("true") => true,
        Some(_) => false,
        None => lives.iter().any(|word| name.contains(word)),
    };
    if on && !expression_text::suggests_sharing(&name) {
        "true"
    } else {
        "false"
    }
}

/// A number that checks name, if they name any.
fn small_number(column: &Column, occasion: &ValueContext<'_>) -> Option<String> {
    let numbers: Vec<i64> = occasion
        .allowed
        .iter()
        .filter(|text| expression_text::mentions(text, &column.name))
        .flat_map(|text| expression_text::numbers(text))
        .filter(|number| *number > 0)
        .collect();
    // `BETWEEN 1 AND 5` names both ends; a lone bound such as `> 0` is met by the usual numbers.
    let top = numbers.iter().max()?;
    if *top > 1 && *top < 1000 {
        return Some(numbers.iter().min()?.to_string());
    }
    None
}

fn numeric(column: &Column, number: usize) -> String {
    let digits = expression_text::numbers(&column.base_type.replace(['(', ')', ','], " "));
    let whole = match digits.iter().max() {
        Some(precision) if digits.len() > 1 => precision - digits.iter().min().unwrap_or(&0),
        Some(precision) => *precision,
        None => 9,
    };
    let room = 10_usize.pow(u32::try_from(whole.clamp(0, 6)).unwrap_or(0));
    format!("{}", number % room.max(1))
}

fn bits(column: &Column) -> String {
    let length = expression_text::numbers(&column.base_type.replace(['(', ')'], " "))
        .into_iter()
        .max()
        .unwrap_or(1);
    "0".repeat(usize::try_from(length).unwrap_or(1))
}

fn vector(column: &Column) -> String {
    let length = expression_text::numbers(&column.base_type.replace(['(', ')'], " "))
        .into_iter()
        .max()
        .unwrap_or(3);
    format!(
        "[{}]",
        vec!["0"; usize::try_from(length).unwrap_or(3)].join(",")
    )
}

fn array(column: &Column, occasion: &ValueContext<'_>) -> String {
    let element = column.base.trim_start_matches('_');
    match element {
        "uuid" => format!(
            "{{{}0af0db2-0000-4000-8000-{:012}}}",
            side_letter(occasion.side),
            occasion.number
        ),
        "text" | "varchar" => format!("{{{}}}", occasion.mark()),
        "int2" | "int4" | "int8" => format!("{{{}}}", 1000 + occasion.number),
        _ => "{}".to_owned(),
    }
}

fn string(column: &Column, occasion: &ValueContext<'_>) -> String {
    let name = column.name.to_lowercase();
    let choices = choices(column, occasion.allowed);
    if let Some(value) = calm(&choices, column) {
        return value;
    }
    let mark = occasion.mark();
    let text = if name.contains("mail") {
        format!("{mark}@example.com")
    } else if name.contains("url") || name.contains("uri") || name.contains("website") {
        format!("https://example.com/{mark}")
    } else if name.contains("currency") {
        "USD".to_owned()
    } else if name.contains("hash")
        || name.contains("sha")
        || name.contains("digest")
        || name.contains("checksum")
    {
        format!("{:064x}", occasion.number)
    } else {
        format!("{mark}-row")
    };
    match column
        .length
        .and_then(|length| usize::try_from(length).ok())
    {
        Some(length) if length > 0 => {
            let letters = text.chars().count();
            text.chars().skip(letters.saturating_sub(length)).collect()
        }
        _ => text,
    }
}

/// Returns the values a check allows: literals in a comparison with the column, not patterns.
fn choices(column: &Column, allowed: &[String]) -> Vec<String> {
    let own = column.checks.iter().flatten().map(|check| (check, true));
    let theirs = allowed
        .iter()
        .map(|check| (check, expression_text::mentions(check, &column.name)));
    own.chain(theirs)
        .filter(|(check, concerns)| {
            *concerns
                && !check.contains('~')
                && (check.contains("ANY (")
                    || check.contains("= '")
                    || check.contains(")::text = "))
        })
        .flat_map(|(check, _)| in_order(check))
        .collect()
}

fn in_order(check: &str) -> Vec<String> {
    let found = expression_text::read(check).values;
    let mut found: Vec<String> = found.into_iter().collect();
    found.sort_by_key(|value| check.find(&format!("'{value}'")).unwrap_or(usize::MAX));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, base: &str) -> Column {
        serde_json::from_value(serde_json::json!({
            "name": name, "type": base, "base": base, "base-type": base, "kind": "b", "category": "S", "length": null,
            "required": true, "default": null, "generated": false, "labels": null, "checks": null
        }))
        .unwrap()
    }

    fn occasion(allowed: &[String]) -> ValueContext<'_> {
        ValueContext {
            side: Side::B,
            number: 7,
            bound: None,
            allowed,
        }
    }

    #[test]
    fn values_fit_their_checks() {
        let allowed = vec![
            "CHECK ((status = ANY (ARRAY['closed'::text, 'active'::text])))".to_owned(),
            "CHECK (((rating >= 1) AND (rating <= 5)))".to_owned(),
            "CHECK ((slug ~ '^[a-z]+$'::text))".to_owned(),
        ];
        let check = |name: &str, base: &str, expected: &str| {
            assert_eq!(
                plain(&column(name, base), &occasion(&allowed)).as_deref(),
                Some(expected),
                "{name}"
            );
        };
        check("status", "text", "active");
        check("rating", "int4", "1");
        check("slug", "text", "zqb7-row");
        check("email", "text", "zqb7@example.com");
    }

    #[test]
    fn long_text_keeps_its_end() {
        let mut short = column("code", "varchar");
        short.length = Some(5);
        assert_eq!(plain(&short, &occasion(&[])).as_deref(), Some("7-row"));
    }
}
