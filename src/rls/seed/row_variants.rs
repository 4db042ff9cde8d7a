//! Variants of a row: which columns decide about its visibility and which values could change the decision.

use std::collections::BTreeMap;

use crate::expression_text;
use crate::probed_schema::{Column, Relation};
use crate::seed::tenancy_map::{Side, TenancyMap};
use crate::seed::values::Value;

/// A change to a usual row.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowVariant {
    pub(crate) picks: BTreeMap<String, Value>,
    /// Whether the row says that it is meant for everybody.
    pub(crate) shared: bool,
}

/// Never more variants of a row than this.
const MOST: usize = 28;

/// Returns the variants of a table's rows for one side.
pub(crate) fn variants(
    tenancy_map: &TenancyMap<'_>,
    table: &Relation,
    side: Side,
) -> Vec<RowVariant> {
    let texts = tenancy_map
        .texts
        .get(&table.oid)
        .cloned()
        .unwrap_or_default();
    let mut single: Vec<(String, Value)> = Vec::new();
    for column in &table.columns {
        let about: Vec<&String> = texts
            .iter()
            .filter(|text| expression_text::mentions(text, &column.name))
            .collect();
        if about.is_empty() || column.generated {
            continue;
        }
        if is_key(tenancy_map, table, column) {
            // A row may point nowhere.
            let loose = !column.required
                && tenancy_map.tenant_column(table.oid) != Some(&column.name)
                && tenancy_map
                    .facts
                    .foreign_keys(table.oid)
                    .any(|key| key.columns.contains(&column.name));
            single.extend(loose.then(|| (column.name.clone(), None)));
            continue;
        }
        let own = alternatives(tenancy_map, table, column, &about, side);
        single.extend(own.into_iter().map(|value| (column.name.clone(), value)));
    }
    single.truncate(MOST);
    let mut all: Vec<RowVariant> = single
        .iter()
        .map(|(name, value)| variant([(name.clone(), value.clone())]))
        .collect();
    // A key can be held once: by the row that is to be hidden.
    let keys = tenancy_map.facts.primary_key(table.oid);
    let solved = tenancy_map.solved.get(&table.oid).into_iter().flatten();
    let solved =
        solved.filter(|picks| side == Side::B || !keys.iter().any(|key| picks.contains_key(key)));
    all.extend(solved.take(MOST).map(|picks| variant(picks.clone())));
    // A few combinations, drawn the same way every time.
    let mut seed = 0x9e37_79b9_u64.wrapping_add(u64::try_from(table.name.len()).unwrap_or(0));
    for _ in 0..if single.len() > 1 { 6 } else { 0 } {
        let picks: Vec<(String, Value)> = single
            .iter()
            .filter(|_| {
                seed = seed
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                seed >> 62 == 0
            })
            .cloned()
            .collect();
        if picks.len() > 1 {
            all.push(variant(picks));
        }
    }
    all
}

fn variant(picks: impl IntoIterator<Item = (String, Value)>) -> RowVariant {
    let picks: BTreeMap<String, Value> = picks.into_iter().collect();
    let shared = picks
        .iter()
        .any(|(name, value)| is_sharing(name, value.as_deref()));
    RowVariant { picks, shared }
}

/// Whether a column with this value declares its row to be everybody's.
pub(crate) fn is_sharing(name: &str, value: Option<&str>) -> bool {
    let Some(value) = value else { return false };
    if !expression_text::suggests_sharing(name) {
        return expression_text::is_shared_value(value) && !matches!(value, "true" | "t" | "all");
    }
    expression_text::is_shared_value(value) || name.ends_with("_at") || name.contains("with")
}

pub(super) fn is_key(tenancy_map: &TenancyMap<'_>, table: &Relation, column: &Column) -> bool {
    tenancy_map.tenant_column(table.oid) == Some(&column.name)
        || tenancy_map
            .facts
            .primary_key(table.oid)
            .contains(&column.name)
        || tenancy_map
            .facts
            .foreign_keys(table.oid)
            .any(|key| key.columns.contains(&column.name))
        || tenancy_map
            .members
            .iter()
            .any(|members| members.table == table.oid && members.user == column.name)
}

/// Whether a column's value may not be chosen freely: keys, unless nothing points to them.
pub(super) fn is_pinned(tenancy_map: &TenancyMap<'_>, table: &Relation, column: &Column) -> bool {
    let own_key = tenancy_map
        .facts
        .primary_key(table.oid)
        .contains(&column.name);
    let pointed_to = || {
        let mut keys = tenancy_map.facts.constraints.iter();
        keys.any(|key| key.kind == "f" && key.target == Some(table.oid))
    };
    let told = tenancy_map.tenant_column(table.oid) == Some(&column.name)
        || tenancy_map
            .facts
            .foreign_keys(table.oid)
            .any(|key| key.columns.contains(&column.name));
    is_key(tenancy_map, table, column)
        && (told || !own_key || Some(table.oid) == tenancy_map.root || pointed_to())
}

fn alternatives(
    tenancy_map: &TenancyMap<'_>,
    table: &Relation,
    column: &Column,
    about: &[&String],
    side: Side,
) -> Vec<Value> {
    let mut found: Vec<Value> = Vec::new();
    let literals: Vec<String> = about
        .iter()
        .flat_map(|text| expression_text::read(text).values)
        .collect();
    if !column.required {
        found.push(None);
    }
    if column.category == "A" {
        found.push(Some("{}".to_owned()));
        return found;
    }
    if let Some(labels) = &column.labels {
        found.extend(labels.iter().take(6).cloned().map(Some));
        return found;
    }
    match column.base.as_str() {
        "bool" => found.extend(["true", "false"].map(|truth| Some(truth.to_owned()))),
        "text" | "varchar" | "bpchar" | "citext" | "name" => {
            let fitting = literals
                .into_iter()
                .filter(|literal| literal.len() < 60 && !literal.starts_with('{'));
            found.extend(
                fitting
                    .take(8)
                    .map(|literal| Some(literal.trim_matches('%').to_owned())),
            );
            found.push(Some("other".to_owned()));
            found.push(Some(String::new()));
        }
        "timestamp" | "timestamptz" | "date" => {
            found.extend(["2001-01-01", "2101-01-01"].map(|day| Some(day.to_owned())));
        }
        "int2" | "int4" | "int8" | "numeric" | "float4" | "float8" => {
            let numbers = about
                .iter()
                .flat_map(|text| expression_text::numbers(text))
                .filter(|number| number.abs() < 30_000);
            for number in numbers.take(4) {
                found.extend([number - 1, number, number + 1].map(|near| Some(near.to_string())));
            }
        }
        "json" | "jsonb" => {
            for (index, key) in about
                .iter()
                .flat_map(|text| expression_text::read(text).keys)
                .take(4)
                .enumerate()
            {
                let literal = literals.get(index).filter(|text| !text.is_empty());
                let value = literal.map_or("true", String::as_str);
                found.push(Some(serde_json::json!({ key: value }).to_string()));
            }
            found.push(Some("{}".to_owned()));
        }
        _ => {}
    }
    found.extend(crossed(tenancy_map, table, column, side).map(Some));
    found
}

/// Where no policy looks at the tenant of a row, a column of the same type may stand in for it.
fn crossed(
    tenancy_map: &TenancyMap<'_>,
    table: &Relation,
    column: &Column,
    side: Side,
) -> Option<String> {
    let own = tenancy_map.tenant_column(table.oid)?;
    let type_of_tenant = table.column(own).map(|found| found.base.as_str());
    let blind = tenancy_map
        .facts
        .policies_of(table.oid)
        .filter(|policy| policy.permissive && policy.columns.contains(&column.name))
        .any(|policy| {
            !policy.columns.iter().any(|name| name == own)
                && policy.calls.is_empty()
                && policy.reads.is_empty()
        });
    if !blind || type_of_tenant != Some(column.base.as_str()) {
        return None;
    }
    let other = if side == Side::A { Side::B } else { Side::A };
    tenancy_map.key(other, 0).filter(|_| side == Side::B)
}
