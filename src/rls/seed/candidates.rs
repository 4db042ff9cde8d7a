//! Values to try in a column: those a condition names, their neighbours, and the extremes of the type.

use crate::expression_text;
use crate::probed_schema::{Column, Relation};
use crate::seed::tenancy_map::{Side, TenancyMap};
use crate::seed::values::Value;

/// Never more candidates of one column than this.
const MOST: usize = 24;

/// Returns the texts that name values: the atoms, and the bodies of functions they call.
pub(super) fn texts(tenancy_map: &TenancyMap<'_>, table: &Relation, atoms: &[&str]) -> Vec<String> {
    let mut texts: Vec<String> = atoms.iter().map(|atom| (*atom).to_owned()).collect();
    let called = tenancy_map
        .facts
        .policies_of(table.oid)
        .flat_map(|policy| &policy.calls)
        .filter_map(|call| tenancy_map.facts.functions.get(call))
        .filter(|function| {
            atoms
                .iter()
                .any(|atom| expression_text::mentions(atom, &function.name))
        });
    texts.extend(called.map(|function| function.body().to_owned()));
    texts
}

/// Returns the candidates of a column.
pub(super) fn pool(tenancy_map: &TenancyMap<'_>, column: &Column, texts: &[String]) -> Vec<Value> {
    let mut found: Vec<String> = Vec::new();
    let literals: Vec<String> = texts
        .iter()
        .flat_map(|text| expression_text::read(text).values)
        .collect();
    if column.category == "A" {
        arrays(column, &literals, texts, &mut found);
    } else if let Some(labels) = &column.labels {
        found.extend(labels.iter().cloned());
    } else if let Some(fields) = &column.fields {
        rows(fields, &literals, texts, &mut found);
    } else if column.kind == "r" {
        ranges(column, &mut found);
    } else {
        by_type(tenancy_map, column, (&literals, texts), &mut found);
    }
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|value| seen.insert(value.clone()));
    found.truncate(MOST);
    let mut pool: Vec<Value> = found.into_iter().map(Some).collect();
    if !pool.is_empty() && !column.required {
        pool.push(None);
    }
    pool
}

fn by_type(
    tenancy_map: &TenancyMap<'_>,
    column: &Column,
    (literals, texts): (&[String], &[String]),
    found: &mut Vec<String>,
) {
    match column.base.as_str() {
        "bool" => found.extend(["true", "false"].map(str::to_owned)),
        "text" | "varchar" | "bpchar" | "citext" | "name" => {
            strings(column, literals, texts, found);
        }
        "int2" | "int4" | "int8" | "numeric" | "float4" | "float8" => {
            let named = texts.iter().flat_map(|text| expression_text::numbers(text));
            found.extend(
                named.flat_map(|number| {
                    [number - 1, number, number + 1].map(|near| near.to_string())
                }),
            );
            found.extend(["0", "1", "-1", "30000"].map(str::to_owned));
            let top = if column.base == "int2" {
                32_767
            } else {
                i64::MAX
            };
            found.retain(|text| text.parse::<i64>().is_ok_and(|number| number <= top));
        }
        "date" | "timestamp" | "timestamptz" => {
            let is_moment = |text: &&String| {
                text.get(..10)
                    .is_some_and(|day| chrono::NaiveDate::parse_from_str(day, "%Y-%m-%d").is_ok())
            };
            found.extend(literals.iter().filter(is_moment).cloned());
            found.extend(["2001-01-01", "2101-01-01", "yesterday", "tomorrow"].map(str::to_owned));
            // One of each weekday, and the ends of a month and of a year.
            found.extend((12..19).map(|day| format!("2026-01-{day}")));
            found.extend(["2026-01-01", "2026-01-31", "2025-12-31"].map(str::to_owned));
        }
        "uuid" => {
            let keys = [Side::A, Side::B].into_iter();
            found.extend(keys.clone().map(|side| tenancy_map.user(side, 0)));
            found.extend(keys.filter_map(|side| tenancy_map.key(side, 0)));
            found.extend(literals.iter().cloned());
            found.retain(|text| text.len() == 36);
        }
        "json" | "jsonb" => documents(literals, texts, found),
        "interval" => found.extend(["1 second", "1 day", "40 days", "10 years"].map(str::to_owned)),
        "time" | "timetz" => {
            found.extend(["00:00", "06:00", "12:00", "18:00", "23:59"].map(str::to_owned))
        }
        "inet" | "cidr" => {
            found.extend(["10.0.0.1", "127.0.0.1", "192.168.1.1", "8.8.8.8"].map(str::to_owned))
        }
        _ => {}
    }
}

fn strings(column: &Column, literals: &[String], texts: &[String], found: &mut Vec<String>) {
    let patterns = texts.iter().any(|text| text.contains(" ~"));
    for literal in literals.iter().filter(|literal| literal.len() < 60) {
        if patterns {
            found.extend(sample(literal));
        }
        found.push(literal.replace('%', "x").replace('_', "a"));
        found.push(literal.clone());
        found.push(literal.trim_matches('%').to_owned());
        found.push(literal.to_uppercase());
    }
    found.extend(["other", "", "x"].map(str::to_owned));
    // As long as a number asks for, and one more.
    let lengths = texts.iter().flat_map(|text| expression_text::numbers(text));
    for length in lengths.filter(|length| (1..400).contains(length)) {
        let length = usize::try_from(length).unwrap_or(1);
        found.extend([length - 1, length, length + 1].map(|length| "x".repeat(length)));
    }
    let longest = column
        .length
        .and_then(|length| usize::try_from(length).ok());
    if let Some(longest) = longest.filter(|longest| *longest > 0) {
        found.retain(|text| text.chars().count() <= longest);
    }
}

/// Makes a text that a simple pattern matches.
fn sample(pattern: &str) -> Option<String> {
    let mut made = String::new();
    let mut last: String = String::new();
    let mut chars = pattern
        .trim_start_matches('^')
        .trim_end_matches('$')
        .chars()
        .peekable();
    while let Some(sign) = chars.next() {
        let unit = match sign {
            '[' => {
                let mut class: Vec<char> = chars.by_ref().take_while(|sign| *sign != ']').collect();
                if class.first() == Some(&'^') {
                    class = vec!['~'];
                }
                class.first()?.to_string()
            }
            '(' => {
                let inner: String = chars.by_ref().take_while(|sign| *sign != ')').collect();
                let first = inner.trim_start_matches("?:").split('|').next()?.to_owned();
                sample(&first)?
            }
            '\\' => match chars.next()? {
                'd' => "7".to_owned(),
                'w' => "a".to_owned(),
                's' => " ".to_owned(),
                other => other.to_string(),
            },
            '.' => "a".to_owned(),
            '*' | '?' => continue,
            '+' => continue,
            '{' => {
                let counts: String = chars.by_ref().take_while(|sign| *sign != '}').collect();
                let least: usize = counts.split(',').next()?.trim().parse().ok()?;
                for _ in 1..least.min(200) {
                    made.push_str(&last);
                }
                continue;
            }
            '|' => break,
            other => other.to_string(),
        };
        made.push_str(&unit);
        last = unit;
    }
    Some(made)
}

fn arrays(column: &Column, literals: &[String], texts: &[String], found: &mut Vec<String>) {
    let quoted = |item: &String| format!("\"{}\"", item.replace('\\', "\\\\").replace('"', "\\\""));
    let element = column.base.trim_start_matches('_');
    let items: Vec<String> = match element {
        "int2" | "int4" | "int8" | "numeric" => texts
            .iter()
            .flat_map(|text| expression_text::numbers(text))
            .map(|number| number.to_string())
            .collect(),
        "uuid" => literals
            .iter()
            .filter(|text| text.len() == 36)
            .cloned()
            .collect(),
        "text" | "varchar" | "bpchar" | "citext" => literals
            .iter()
            .filter(|text| !text.starts_with('{'))
            .map(quoted)
            .collect(),
        _ => Vec::new(),
    };
    found.push("{}".to_owned());
    found.extend(items.iter().map(|item| format!("{{{item}}}")));
    found.extend((items.len() > 1).then(|| format!("{{{}}}", items.join(","))));
    // Operands are printed as arrays: `'{ops,dev}'::text[]`.
    found.extend(
        literals
            .iter()
            .filter(|text| text.starts_with('{') && text.ends_with('}'))
            .cloned(),
    );
}

/// Rows of a composite type that differ in one of the fields which a condition names.
fn rows(
    fields: &[(String, String)],
    literals: &[String],
    texts: &[String],
    found: &mut Vec<String>,
) {
    for (at, (name, base)) in fields.iter().enumerate() {
        if !texts
            .iter()
            .any(|text| expression_text::mentions(text, name))
        {
            continue;
        }
        let values: Vec<String> = match base.as_str() {
            "text" | "varchar" | "bpchar" | "citext" => literals
                .iter()
                .map(String::as_str)
                .chain(["other"])
                .map(|text| text.replace('\\', "\\\\").replace('"', "\"\""))
                .collect(),
            "bool" => ["t", "f"].map(str::to_owned).to_vec(),
            "int2" | "int4" | "int8" | "numeric" | "float4" | "float8" => texts
                .iter()
                .flat_map(|text| expression_text::numbers(text))
                .flat_map(|number| [number - 1, number, number + 1])
                .map(|number| number.to_string())
                .collect(),
            _ => Vec::new(),
        };
        let (before, after) = (",".repeat(at), ",".repeat(fields.len() - at - 1));
        let written = values
            .iter()
            .map(|value| format!("({before}\"{value}\"{after})"));
        found.extend(written);
    }
}

fn ranges(column: &Column, found: &mut Vec<String>) {
    found.extend(["(,)", "empty"].map(str::to_owned));
    let more: &[&str] = match column.base.as_str() {
        "daterange" | "tsrange" | "tstzrange" => &[
            "[2001-01-01,2002-01-01)",
            "[2001-01-01,)",
            "[2101-01-01,2102-01-01)",
            "(,2001-01-01)",
        ],
        "int4range" | "int8range" | "numrange" => &["[0,10)", "[1,1000000)", "(,0)"],
        _ => &[],
    };
    found.extend(more.iter().map(|text| (*text).to_owned()));
}

/// Builds documents from the keys and the values that texts name.
fn documents(literals: &[String], texts: &[String], found: &mut Vec<String>) {
    found.extend(
        literals
            .iter()
            .filter(|text| {
                serde_json::from_str::<serde_json::Value>(text)
                    .is_ok_and(|value| !value.is_string())
            })
            .cloned(),
    );
    let mut keys: Vec<String> = Vec::new();
    for text in texts {
        let mut own: Vec<String> = expression_text::read(text).keys.into_iter().collect();
        own.sort_by_key(|key| text.find(&format!("'{key}'")));
        keys.extend(own);
    }
    let mut values: Vec<serde_json::Value> = literals
        .iter()
        .filter(|literal| !keys.contains(literal) && !literal.is_empty())
        .take(4)
        .map(|literal| literal.as_str().into())
        .collect();
    values.extend([true.into(), false.into()]);
    let numbers = texts
        .iter()
        .flat_map(|text| expression_text::numbers(text))
        .take(2);
    values.extend(
        numbers
            .flat_map(|number| [number, number + 1])
            .map(serde_json::Value::from),
    );
    for value in &values {
        let flat: serde_json::Map<_, _> = keys
            .iter()
            .map(|key| (key.clone(), value.clone()))
            .collect();
        found.extend((!keys.is_empty()).then(|| serde_json::Value::from(flat).to_string()));
        if keys.len() > 1 {
            let nested = keys.iter().rev().fold(
                value.clone(),
                |inner, key| serde_json::json!({ key: inner }),
            );
            found.push(nested.to_string());
        }
    }
    found.push("{}".to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_give_samples() {
        let check = |pattern: &str, sampled: &str| {
            assert_eq!(sample(pattern).as_deref(), Some(sampled), "{pattern}");
        };
        check("^[0-9]{4}-x", "0000-x");
        check(r"^(ab|cd)\d+$", "ab7");
        check("^tmp.*", "tmpa");
    }

    #[test]
    fn documents_hold_keys_and_values() {
        let mut found = Vec::new();
        documents(
            &["internal".to_owned()],
            &["((meta ->> 'level'::text) = 'internal'::text)".to_owned()],
            &mut found,
        );
        assert!(
            found.contains(&r#"{"level":"internal"}"#.to_owned()),
            "{found:?}"
        );
    }
}
