//! Owns the statements of writing attempts: rows for the other tenant, changes without a condition, rows handed over.

use std::collections::BTreeMap;

use crate::facts::{Column, Relation, Rights};
use crate::fill::ground::{Belongs, Side};
use crate::fill::insert;
use crate::fill::plan::{Stage, Wish};
use crate::fill::value::Value;
use crate::fill::vary::Variant;
use crate::probe::stand::Stand;
use crate::probe::write::Attempt;
use crate::runner::Identity;
use crate::sql::name::Ident;
use crate::sql::safe::Sql;

/// Writes every attempt of one request on one table or view.
pub(super) fn compose(
    stand: &mut Stand<'_>,
    attempts: &mut Vec<Attempt>,
    identity: &Identity,
    (target, base, rights): (&Relation, &Relation, &Rights),
) {
    let mut add = |command, sql: Option<Sql>, control: Option<Sql>, before: Vec<Sql>| {
        if let Some(sql) = sql {
            attempts.push(Attempt {
                command,
                like: command,
                target: target.oid,
                base: base.oid,
                identity: identity.clone(),
                sql,
                control,
                before,
            });
        }
    };
    if !rights.insertable.is_empty() {
        let control = insertion(stand, (target, base), rights, (Side::A, false));
        for own in [false, true] {
            let sql = insertion(stand, (target, base), rights, (Side::B, own));
            add("insert", sql, control.clone(), Vec::new());
        }
        let sql = below_shared(stand, (target, base), rights);
        add("insert", sql, control, Vec::new());
    }
    let change = harmless(stand, base, target, rights);
    if let Some((column, value)) = change {
        let sql = Sql::fill(
            "UPDATE {} SET {} = {}",
            &[
                &target.object(),
                &Ident::new(column.name.as_str()),
                &insert::literal(&value, &column.type_name),
            ],
        );
        add("update", Some(sql.clone()), Some(sql), Vec::new());
    }
    for with_keys in [false, true] {
        let sql = handover(stand, (target, base), rights, (Side::A, with_keys));
        add("update", sql.clone(), sql, loosen(stand, base, true));
        let sql = handover(stand, (target, base), rights, (Side::B, with_keys));
        let control = handover(stand, (target, base), rights, (Side::A, false));
        add("move", sql, control, loosen(stand, base, true));
    }
    if rights.may("DELETE") {
        let sql = Sql::fill("DELETE FROM {}", &[&target.object()]);
        add(
            "delete",
            Some(sql.clone()),
            Some(sql),
            loosen(stand, base, false),
        );
    }
}

/// Foreign keys that would refuse a delete, or a change of the key, say nothing about isolation: a row without children
/// would not meet them.
pub(super) fn loosen(stand: &Stand<'_>, base: &Relation, moves: bool) -> Vec<Sql> {
    stand
        .facts
        .constraints
        .iter()
        .filter(|key| {
            key.kind == "f"
                && key.target == Some(base.oid)
                && !key.inherited
                && (moves || matches!(key.on_delete.as_deref(), Some("a" | "r")))
        })
        .filter_map(|key| {
            let child = stand.facts.relations.get(&key.table)?;
            Some(Sql::fill(
                "ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}",
                &[&child.object(), &Ident::new(key.name.as_str())],
            ))
        })
        .collect()
}

fn insertion(
    stand: &mut Stand<'_>,
    (target, base): (&Relation, &Relation),
    rights: &Rights,
    (side, own): (Side, bool),
) -> Option<Sql> {
    let values = new_row(stand, (target, base), rights, (side, own))?;
    Some(insert::insert(target, &values))
}

/// Makes a row of a side, with what the role may write of it.
pub(super) fn new_row(
    stand: &mut Stand<'_>,
    (target, base): (&Relation, &Relation),
    rights: &Rights,
    (side, own): (Side, bool),
) -> Option<BTreeMap<String, Value>> {
    let whole = whole(stand, base);
    let mut values = stand.plan.fresh(
        stand.ground,
        whole,
        side,
        &Wish {
            turn: usize::from(base.oid != whole.oid),
            ..Wish::default()
        },
    );
    if own {
        as_own(stand, whole, &mut values);
    }
    if base.oid != whole.oid {
        into_partition(stand, base, side, &mut values);
    }
    values.retain(|name, _| rights.insertable.contains(name) && target.column(name).is_some());
    (!values.is_empty()).then_some(values)
}

/// A child for a parent that B lets everybody see: to see is not to write.
fn below_shared(
    stand: &mut Stand<'_>,
    (target, base): (&Relation, &Relation),
    rights: &Rights,
) -> Option<Sql> {
    let Some(Belongs::Via(key)) = stand.ground.belongs.get(&base.oid) else {
        return None;
    };
    let parent =
        stand.plan.rows.iter().find(|row| {
            Some(row.table) == key.target && row.stage == Stage::Shared && row.stored
        })?;
    let picks = key
        .columns
        .iter()
        .cloned()
        .zip(
            key.target_columns
                .iter()
                .map(|name| parent.values.get(name).cloned().flatten()),
        )
        .collect();
    let wish = Wish {
        variant: Variant {
            picks,
            shared: true,
        },
        ..Wish::default()
    };
    let mut values = stand.plan.fresh(stand.ground, base, Side::B, &wish);
    values.retain(|name, _| rights.insertable.contains(name) && target.column(name).is_some());
    (!values.is_empty()).then(|| insert::insert(target, &values))
}

/// Whatever policies ask of a row beside its tenant is as in a row of A: the author, the status, the payer.
fn as_own(stand: &Stand<'_>, table: &Relation, values: &mut BTreeMap<String, Value>) {
    let tenant = stand.ground.tenant_column(table.oid);
    let keys = stand.facts.primary_key(table.oid);
    let Some(own) = stand.row(table.oid, Side::A) else {
        return;
    };
    for column in &table.columns {
        let name = column.name.as_str();
        let asked = stand
            .facts
            .policies_of(table.oid)
            .any(|policy| policy.columns.iter().any(|column| column == name));
        let user = crate::words::suggests_user(name) && column.base == stand.ground.user_type;
        if (asked || user) && Some(name) != tenant && (!keys.contains(&column.name) || user) {
            values.insert(column.name.clone(), own.values.get(name).cloned().flatten());
        }
    }
}

/// Gives the table that a partition is part of.
fn whole<'a>(stand: &Stand<'a>, table: &Relation) -> &'a Relation {
    let mut found = &stand.facts.relations[&table.oid];
    while let Some(parent) = found
        .parents
        .first()
        .and_then(|oid| stand.facts.relations.get(oid))
        .filter(|_| found.is_partition)
    {
        found = parent;
    }
    found
}

/// A row meant for one partition takes its key from that partition's bounds.
fn into_partition(
    stand: &Stand<'_>,
    leaf: &Relation,
    side: Side,
    values: &mut BTreeMap<String, Value>,
) {
    let parent = leaf
        .parents
        .first()
        .and_then(|oid| stand.facts.relations.get(oid));
    let (Some(bound), Some(key)) = (
        leaf.bound.as_deref(),
        parent.and_then(|parent| parent.key.as_deref()),
    ) else {
        return;
    };
    let items = |text: &str| -> Vec<String> {
        let rest = text.split_once('(').map_or("", |(_, rest)| rest);
        rest.split(')')
            .next()
            .unwrap_or("")
            .split(',')
            .map(|item| item.trim().trim_matches(['\'', '"']).to_owned())
            .collect()
    };
    for (column, value) in items(key).into_iter().zip(items(bound)) {
        let tenant = stand.ground.tenant_column(leaf.oid) == Some(column.as_str());
        let unfit = value.contains("VALUE")
            || value.contains("modulus")
            || value.is_empty()
            || tenant && side == Side::B;
        if !unfit {
            values.insert(column, Some(value));
        }
    }
}

/// Finds a column whose change breaks nothing, and a value that the schema accepts.
pub(super) fn harmless(
    stand: &Stand<'_>,
    base: &Relation,
    target: &Relation,
    rights: &Rights,
) -> Option<(Column, Value)> {
    let row = stand.row(whole(stand, base).oid, Side::A)?;
    let keyed = |name: &str| {
        stand.facts.constraints.iter().any(|constraint| {
            (constraint.table == base.oid || constraint.table == whole(stand, base).oid)
                && constraint.kind != "c"
                && constraint.columns.iter().any(|column| column == name)
        })
    };
    let decides = |name: &str| {
        stand
            .facts
            .policies_of(base.oid)
            .any(|policy| policy.columns.iter().any(|column| column == name))
    };
    let mut free: Vec<&Column> = base
        .columns
        .iter()
        .filter(|column| {
            rights.updatable.contains(&column.name)
                && target.column(&column.name).is_some()
                && !column.generated
                && !keyed(&column.name)
        })
        .filter(|column| stand.ground.tenant_column(base.oid) != Some(column.name.as_str()))
        .collect();
    free.sort_by_key(|column| decides(&column.name));
    let column = free.first()?;
    let value = row.values.get(&column.name).cloned().flatten();
    let value = match (value, column.base.as_str()) {
        (Some(value), _) => Some(value),
        (None, _) if !column.required => None,
        _ => return None,
    };
    Some(((*column).clone(), value))
}

/// Writes the statement that gives every row it reaches to a side.
fn handover(
    stand: &mut Stand<'_>,
    (target, base): (&Relation, &Relation),
    rights: &Rights,
    (side, with_keys): (Side, bool),
) -> Option<Sql> {
    let pairs = given_to(stand, (target, base), rights, (side, with_keys))?;
    Some(Sql::fill("UPDATE {} SET {}", &[&target.object(), &pairs]))
}

/// Writes what makes a row a side's: `tenant = …`, with the keys of its parents where asked.
pub(super) fn given_to(
    stand: &mut Stand<'_>,
    (target, base): (&Relation, &Relation),
    rights: &Rights,
    (side, with_keys): (Side, bool),
) -> Option<Sql> {
    let fresh = stand.plan.fresh(
        stand.ground,
        whole(stand, base),
        side,
        &Wish {
            variant: Variant::default(),
            turn: 0,
            lean: false,
        },
    );
    let mut names: Vec<String> = match stand.ground.belongs.get(&base.oid)? {
        Belongs::Column(name) | Belongs::User(name) => vec![name.clone()],
        Belongs::Via(key) => key.columns.clone(),
        Belongs::Through(_) | Belongs::Nothing => return None,
    };
    let plain = names.clone();
    if with_keys {
        for key in stand.facts.foreign_keys(base.oid).filter(|key| {
            key.columns.iter().any(|name| plain.contains(name)) || key.columns.len() == 1
        }) {
            let own = key
                .target
                .is_some_and(|target| stand.ground.is_tenant_table(target));
            if own {
                let more: Vec<String> = key
                    .columns
                    .iter()
                    .filter(|name| !plain.contains(name))
                    .cloned()
                    .collect();
                names.extend(more);
            }
        }
        names.sort();
        names.dedup();
        if names.len() == plain.len() {
            return None;
        }
    }
    if !names
        .iter()
        .all(|name| rights.updatable.contains(name) && target.column(name).is_some())
    {
        return None;
    }
    let pairs = Sql::join(
        names.iter().filter_map(|name| {
            let column = base.column(name)?;
            Some(Sql::fill(
                "{} = {}",
                &[
                    &Ident::new(name.as_str()),
                    &insert::literal(fresh.get(name)?, &column.type_name),
                ],
            ))
        }),
        ", ",
    );
    Some(pairs)
}
