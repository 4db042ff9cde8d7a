//! Owns one row: the tenant's key, the keys of its parents, the bounds of its partition, and values for the rest.

use std::collections::BTreeMap;

use crate::rls::facts::{Column, Relation};
use crate::rls::fill::ground::{Belongs, Ground, Side};
use crate::rls::fill::plan::{Plan, Row, Stage, Wish, pairs};
use crate::rls::fill::value::{self, Occasion, Value};
use crate::rls::words;

impl Plan {
    /// Makes a row that is not part of the plan, for an attempt.
    pub(in crate::rls) fn fresh(
        &mut self,
        ground: &Ground<'_>,
        table: &Relation,
        side: Side,
        wish: &Wish,
    ) -> BTreeMap<String, Value> {
        let mut wish = wish.clone();
        if let Some(members) = ground
            .members
            .iter()
            .find(|members| members.table == table.oid)
        {
            wish.variant
                .picks
                .entry(members.user.clone())
                .or_insert_with(|| Some(ground.user(side, 11)));
        }
        self.values(ground, table, side, &wish)
    }

    pub(super) fn values(
        &mut self,
        ground: &Ground<'_>,
        table: &Relation,
        side: Side,
        wish: &Wish,
    ) -> BTreeMap<String, Value> {
        self.number += 1;
        let mut values = wish.variant.picks.clone();
        match ground.belongs.get(&table.oid) {
            Some(Belongs::Column(name)) => {
                values.insert(name.clone(), ground.key(side, wish.turn));
            }
            Some(Belongs::User(name)) => {
                values
                    .entry(name.clone())
                    .or_insert_with(|| Some(ground.user(side, 0)));
            }
            _ if Some(table.oid) == ground.root => {
                for key in ground.facts.primary_key(table.oid) {
                    values.insert(key, ground.key(side, wish.turn));
                }
            }
            _ => {}
        }
        if let Some(members) = ground
            .members
            .iter()
            .find(|members| members.table == table.oid)
        {
            let number = if wish.turn == 0 { 0 } else { 10 };
            values
                .entry(members.user.clone())
                .or_insert_with(|| Some(ground.user(side, number)));
        }
        if let Some(key) = person(ground, table) {
            let number = if wish.turn == 0 { 0 } else { 10 };
            values
                .entry(key)
                .or_insert_with(|| Some(ground.user(side, number)));
        }
        self.point(ground, table, side, (wish.turn, &mut values));
        let allowed: Vec<String> = ground
            .facts
            .constraints
            .iter()
            .filter(|constraint| constraint.table == table.oid && constraint.kind == "c")
            .map(|constraint| constraint.definition.clone())
            .collect();
        let bounds = bounds(ground, table, wish.turn);
        for column in &table.columns {
            if column.generated || values.contains_key(&column.name) {
                continue;
            }
            if wish.lean
                && (!column.required || column.default.is_some())
                && !column.name.contains("mail")
            {
                continue;
            }
            let occasion = Occasion {
                side,
                number: self.number,
                bound: bounds.get(&column.name).map(String::as_str),
                allowed: &allowed,
            };
            let value = if occasion.bound.is_none() && self.is_user_column(ground, table, column) {
                Some(ground.user(side, usize::from(side == Side::Nobody)))
            } else {
                value::plain(column, &occasion)
            };
            // A column that numbers itself is left to do so only where nothing of ours fits.
            if value.is_some() || !column.required {
                values.insert(column.name.clone(), value);
            }
        }
        values
    }

    fn is_user_column(&self, ground: &Ground<'_>, table: &Relation, column: &Column) -> bool {
        column.base == ground.user_type
            && words::suggests_user(&column.name)
            && !(column.name == "id"
                || ground.facts.primary_key(table.oid) == [column.name.clone()]
                    && ground.user_type == "text")
    }

    /// Points foreign keys at rows of the same side.
    fn point(
        &self,
        ground: &Ground<'_>,
        table: &Relation,
        side: Side,
        (turn, values): (usize, &mut BTreeMap<String, Value>),
    ) {
        for key in ground
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
            let fits = |row: &&Row| {
                Some(row.table) == key.target
                    && (row.side == side || !ground.is_tenant_table(row.table))
                    && row.stage != Stage::Shared
                    && pairs(key).all(|(own, theirs)| {
                        values
                            .get(own)
                            .is_none_or(|value| row.values.get(theirs) == Some(value))
                    })
            };
            let mut fitting: Vec<&Row> = self.rows.iter().filter(fits).collect();
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

/// Gives the key of a table of users that belong to a tenant.
fn person(ground: &Ground<'_>, table: &Relation) -> Option<String> {
    let keys = ground.facts.primary_key(table.oid);
    let [key] = keys.as_slice() else { return None };
    let named = matches!(
        table.name.as_str(),
        "users" | "user" | "profiles" | "profile" | "people" | "app_users" | "employees"
    );
    let fits =
        table.column(key)?.base == ground.user_type && ground.tenant_column(table.oid) != Some(key);
    (named && fits).then(|| key.clone())
}

/// Gives the partitions that rows of a table end up in.
pub(super) fn leaves<'a>(ground: &Ground<'a>, table: &Relation) -> Vec<&'a Relation> {
    ground
        .facts
        .relations
        .values()
        .filter(|relation| relation.is_partition && relation.parents.contains(&table.oid))
        .collect()
}

/// Gives how many rows it takes to reach every partition; which of them a hash leads to is chance.
pub(super) fn landings(ground: &Ground<'_>, table: &Relation) -> usize {
    let hashed = table
        .key
        .as_deref()
        .is_some_and(|key| key.starts_with("HASH"));
    let below: usize = leaves(ground, table)
        .into_iter()
        .map(|leaf| landings(ground, leaf).max(1))
        .sum();
    if hashed { below * 3 } else { below }
}

/// Gives values that lead a row into one of the partitions.
fn bounds(ground: &Ground<'_>, table: &Relation, turn: usize) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let Some(key) = table.key.as_deref() else {
        return found;
    };
    let leaves = leaves(ground, table);
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
    let values = leaf.bound.as_deref().map(inside).unwrap_or_default();
    for (index, column) in columns.iter().enumerate() {
        let value = if key.starts_with("LIST") {
            values.first()
        } else {
            values.get(index)
        };
        if let Some(value) = value.filter(|value| {
            !value.contains("VALUE") && !value.contains("modulus") && *value != "NULL"
        }) {
            found.insert(column.clone(), value.clone());
        }
    }
    found.extend(bounds(ground, leaf, turn / leaves.len()));
    found
}

/// Gives the items of the first list in parentheses, without quotes.
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
    fn bounds_are_read() {
        assert_eq!(
            inside("FOR VALUES FROM ('2026-01-01', 3) TO ('2026-02-01', 4)"),
            ["2026-01-01", "3"]
        );
        assert_eq!(inside("RANGE (at)"), ["at"]);
        assert_eq!(inside("FOR VALUES IN ('eu', 'us')"), ["eu", "us"]);
    }
}
