//! The values of one row: the tenant's key, the keys of its parents, the bounds of its partition, and generated values.

use std::collections::BTreeMap;

use crate::expression_text;
use crate::probed_schema::{Column, Relation};
use crate::seed::plan::{RowRequest, SeedPlan, SeedRow, SeedStage, pairs};
use crate::seed::tenancy_map::{Side, TenancyMap, TenantLink};
use crate::seed::values::{self, Value, ValueContext};

impl SeedPlan {
    /// Makes a row that is not part of the plan, for an attempt.
    pub(crate) fn fresh(
        &mut self,
        tenancy_map: &TenancyMap<'_>,
        table: &Relation,
        side: Side,
        request: &RowRequest,
    ) -> BTreeMap<String, Value> {
        let mut request = request.clone();
        if let Some(members) = tenancy_map
            .members
            .iter()
            .find(|members| members.table == table.oid)
        {
            request
                .variant
                .picks
                .entry(members.user.clone())
                .or_insert_with(|| Some(tenancy_map.user(side, 11)));
        }
        self.values(tenancy_map, table, side, &request)
    }

    pub(super) fn values(
        &mut self,
        tenancy_map: &TenancyMap<'_>,
        table: &Relation,
        side: Side,
        request: &RowRequest,
    ) -> BTreeMap<String, Value> {
        self.number += 1;
        let mut values = told(tenancy_map, table, side, request);
        self.point(tenancy_map, table, side, (request.turn, &mut values));
        let allowed: Vec<String> = tenancy_map
            .facts
            .constraints
            .iter()
            .filter(|constraint| constraint.table == table.oid && constraint.kind == "c")
            .map(|constraint| constraint.definition.clone())
            .collect();
        let bounds = bounds(tenancy_map, table, (request.turn, self.number));
        for column in &table.columns {
            if column.generated || values.contains_key(&column.name) {
                continue;
            }
            if request.lean
                && (!column.required || column.default.is_some())
                && !column.name.contains("mail")
            {
                continue;
            }
            let occasion = ValueContext {
                side,
                number: self.number,
                bound: bounds.get(&column.name).map(String::as_str),
                allowed: &allowed,
            };
            let value =
                if occasion.bound.is_none() && self.is_user_column(tenancy_map, table, column) {
                    Some(tenancy_map.user(side, usize::from(side == Side::Nobody)))
                } else {
                    values::plain(column, &occasion)
                };
            // A column that numbers itself is left to do so only where nothing of ours fits.
            if value.is_some() || !column.required {
                values.insert(column.name.clone(), value);
            }
        }
        values
    }

    fn is_user_column(
        &self,
        tenancy_map: &TenancyMap<'_>,
        table: &Relation,
        column: &Column,
    ) -> bool {
        column.base == tenancy_map.user_type
            && expression_text::suggests_user(&column.name)
            && !(column.name == "id"
                || tenancy_map.facts.primary_key(table.oid) == [column.name.clone()]
                    && tenancy_map.user_type == "text")
    }

    /// Points foreign keys at rows of the same side.
    fn point(
        &self,
        tenancy_map: &TenancyMap<'_>,
        table: &Relation,
        side: Side,
        (turn, values): (usize, &mut BTreeMap<String, Value>),
    ) {
        for key in tenancy_map
            .facts
            .foreign_keys(table.oid)
            .filter(|key| !key.inherited)
        {
            if key.columns.iter().all(|name| values.contains_key(name)) {
                continue;
            }
            if key.target == Some(table.oid) {
                let optional = key
                    .columns
                    .iter()
                    .all(|name| table.column(name).is_none_or(|column| !column.required));
                if optional {
                    for name in &key.columns {
                        values.entry(name.clone()).or_insert(None);
                    }
                    continue;
                }
            }
            let fits = |row: &&SeedRow| {
                Some(row.table) == key.target
                    && (row.side == side || !tenancy_map.is_tenant_table(row.table))
                    && row.stage != SeedStage::Shared
                    && pairs(key).all(|(own, theirs)| {
                        values
                            .get(own)
                            .is_none_or(|value| row.values.get(theirs) == Some(value))
                    })
            };
            let mut fitting: Vec<&SeedRow> = self.rows.iter().filter(fits).collect();
            fitting.sort_by_key(|row| (row.side != side, !row.usual));
            let usual = fitting
                .iter()
                .filter(|row| row.side == side && row.usual)
                .count()
                .clamp(1, 2);
            let Some(parent) = fitting.get(if fitting.len() > 1 { turn % usual } else { 0 }) else {
                continue;
            };
            for (own, theirs) in pairs(key) {
                if let Some(value) = parent.values.get(theirs) {
                    values
                        .entry(own.to_owned())
                        .or_insert_with(|| value.clone());
                }
            }
        }
    }
}

/// Returns what is settled before anything is made up: what is particular, the tenant, what is agreed on, the users.
fn told(
    tenancy_map: &TenancyMap<'_>,
    table: &Relation,
    side: Side,
    request: &RowRequest,
) -> BTreeMap<String, Value> {
    let mut values = request.variant.picks.clone();
    match tenancy_map.belongs.get(&table.oid) {
        Some(TenantLink::Column(name)) => {
            let key = tenancy_map.key(side, request.turn);
            computed(table, name, key.as_deref(), &mut values);
            values.insert(name.clone(), key);
        }
        Some(TenantLink::User(name)) => {
            values
                .entry(name.clone())
                .or_insert_with(|| Some(tenancy_map.user(side, 0)));
        }
        _ if Some(table.oid) == tenancy_map.root => {
            for key in tenancy_map.facts.primary_key(table.oid) {
                values.insert(key, tenancy_map.key(side, request.turn));
            }
        }
        _ => {}
    }
    for ((of, name), value) in &tenancy_map.agreed.columns {
        if *of == table.oid {
            values
                .entry(name.clone())
                .or_insert_with(|| Some(value.clone()));
        }
    }
    if let Some(members) = tenancy_map
        .members
        .iter()
        .find(|members| members.table == table.oid)
    {
        let number = if request.turn == 0 { 0 } else { 10 };
        values
            .entry(members.user.clone())
            .or_insert_with(|| Some(tenancy_map.user(side, number)));
        // A membership that lasts.
        for column in table.columns.iter().filter(|column| is_period(column)) {
            values
                .entry(column.name.clone())
                .or_insert_with(|| Some("[2001-01-01,)".to_owned()));
        }
    }
    if let Some(key) = person(tenancy_map, table) {
        let number = if request.turn == 0 { 0 } else { 10 };
        values
            .entry(key)
            .or_insert_with(|| Some(tenancy_map.user(side, number)));
    }
    values
}

/// Puts the tenant into the document that a computed column reads it from.
fn computed(
    table: &Relation,
    tenant: &str,
    key: Option<&str>,
    values: &mut BTreeMap<String, Value>,
) {
    let Some(column) = table.column(tenant).filter(|column| column.generated) else {
        return;
    };
    let (Some(expression), Some(key)) = (&column.default, key) else {
        return;
    };
    let sources = table.columns.iter().filter(|source| {
        matches!(source.base.as_str(), "json" | "jsonb")
            && expression_text::mentions(expression, &source.name)
    });
    for source in sources {
        let given = values.get(&source.name).cloned().flatten();
        let mut document: serde_json::Map<String, serde_json::Value> = given
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default();
        for name in expression_text::read(expression).keys {
            document.insert(name, key.into());
        }
        let text = serde_json::Value::from(document).to_string();
        values.insert(source.name.clone(), Some(text));
    }
}

/// Whether a column holds a period of time.
pub(super) fn is_period(column: &Column) -> bool {
    matches!(column.base.as_str(), "tstzrange" | "tsrange" | "daterange")
}

/// Returns the key of a table of users that belong to a tenant.
fn person(tenancy_map: &TenancyMap<'_>, table: &Relation) -> Option<String> {
    let keys = tenancy_map.facts.primary_key(table.oid);
    let [key] = keys.as_slice() else { return None };
    let named = matches!(
        table.name.as_str(),
        "users" | "user" | "profiles" | "profile" | "people" | "app_users" | "employees"
    );
    let fits = table.column(key)?.base == tenancy_map.user_type
        && tenancy_map.tenant_column(table.oid) != Some(key);
    (named && fits).then(|| key.clone())
}

/// Returns the partitions that rows of a table end up in.
pub(super) fn leaves<'a>(tenancy_map: &TenancyMap<'a>, table: &Relation) -> Vec<&'a Relation> {
    tenancy_map
        .facts
        .relations
        .values()
        .filter(|relation| relation.is_partition && relation.parents.contains(&table.oid))
        .collect()
}

/// Whether a partition below has policies that its parent does not have.
pub(super) fn leaves_decide(tenancy_map: &TenancyMap<'_>, table: &Relation) -> bool {
    leaves(tenancy_map, table).into_iter().any(|leaf| {
        tenancy_map.facts.policies_of(leaf.oid).next().is_some() || leaves_decide(tenancy_map, leaf)
    })
}

/// Returns how many rows it takes to reach every partition; which of them a hash leads to is chance.
pub(super) fn landings(tenancy_map: &TenancyMap<'_>, table: &Relation) -> usize {
    let hashed = table
        .key
        .as_deref()
        .is_some_and(|key| key.starts_with("HASH"));
    let below: usize = leaves(tenancy_map, table)
        .into_iter()
        .map(|leaf| landings(tenancy_map, leaf).max(1))
        .sum();
    if hashed { below * 3 } else { below }
}

/// Returns values that lead a row into one of the partitions.
fn bounds(
    tenancy_map: &TenancyMap<'_>,
    table: &Relation,
    (turn, number): (usize, usize),
) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let Some(key) = table.key.as_deref() else {
        return found;
    };
    let leaves = leaves(tenancy_map, table);
    if leaves.is_empty() {
        return found;
    }
    let leaf = leaves[turn % leaves.len()];
    let columns = inside(key);
    if leaf.bound.as_deref() == Some("DEFAULT") {
        // Where no other partition is likely to be.
        for column in columns.iter().filter_map(|name| table.column(name)) {
            let far = match column.base.as_str() {
                "date" | "timestamp" | "timestamptz" => "2199-01-01",
                "int2" | "int4" | "int8" | "numeric" => "29998",
                "text" | "varchar" => "zq-rest",
                _ => continue,
            };
            found.insert(column.name.clone(), far.to_owned());
        }
        return found;
    }
    let bound = leaf.bound.as_deref().unwrap_or_default();
    let values = inside(bound);
    let ends = bound
        .split_once(" TO ")
        .map_or(Vec::new(), |(_, to)| inside(to));
    for (index, column) in columns.iter().enumerate() {
        let value = if key.starts_with("LIST") {
            values.first()
        } else {
            values.get(index)
        };
        if let Some(value) = value.filter(|value| {
            !value.contains("VALUE") && !value.contains("modulus") && *value != "NULL"
        }) {
            let end = ends.get(index).map_or("", String::as_str);
            let within = within(value, end, number).filter(|_| index == 0);
            found.insert(column.clone(), within.unwrap_or_else(|| value.clone()));
        }
    }
    found.extend(bounds(tenancy_map, leaf, (turn / leaves.len(), number)));
    found
}

/// Returns one of the values from a bound to before the other, so that not every row of a partition holds the same.
fn within(from: &str, to: &str, number: usize) -> Option<String> {
    let number = i64::try_from(number).ok()?;
    if let Ok(from) = from.parse::<i64>() {
        let span = to.parse::<i64>().map_or(1000, |to| to.saturating_sub(from));
        return Some((from + number % span.clamp(1, 30_000)).to_string());
    }
    let day = |text: &str| chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    let first = day(from)?;
    let span = day(to).map_or(28, |to| (to - first).num_days());
    let found = first + chrono::Duration::days(number % span.clamp(1, 1000));
    Some(found.to_string())
}

/// Returns the items of the first list in parentheses, without quotes.
fn inside(text: &str) -> Vec<String> {
    let Some((_, rest)) = text.split_once('(') else {
        return Vec::new();
    };
    let list = rest.split_once(')').map_or(rest, |(list, _)| list);
    list.split(',')
        .map(|item| item.trim().trim_matches(['\'', '"']).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_partition_differ() {
        assert_eq!(within("0", "1000", 1007).as_deref(), Some("7"));
        assert_eq!(within("1000", "MAXVALUE", 7).as_deref(), Some("1007"));
        assert_eq!(
            within("2026-01-01", "2026-02-01", 33).as_deref(),
            Some("2026-01-03")
        );
        assert_eq!(within("eu", "us", 3), None);
    }

    #[test]
    fn bounds_are_read() {
        assert_eq!(
            inside("FOR VALUES FROM ('2026-01-01', 3) TO ('2026-02-01', 4)"),
            ["2026-01-01", "3"]
        );
        assert_eq!(inside("RANGE (at)"), ["at"]);
        assert_eq!(inside("FOR VALUES IN ('eu', 'us')"), ["eu", "us"]);
    }
}
