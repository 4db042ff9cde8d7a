//! The statements of the write probes: rows for the other tenant, changes without a condition, rows that change tenant.

use std::collections::BTreeMap;

use crate::probe::context::ProbeContext;
use crate::probe::writes::Attempt;
use crate::probed_schema::{Column, Relation, RolePrivileges};
use crate::runner::Identity;
use crate::seed::insert;
use crate::seed::plan::{RowRequest, SeedStage};
use crate::seed::row_variants::RowVariant;
use crate::seed::tenancy_map::{Side, TenantLink};
use crate::seed::values::Value;
use crate::sql::name::Ident;
use crate::sql::safe::Sql;

/// Writes every attempt of one request on one table or view.
pub(super) fn compose(
    context: &mut ProbeContext<'_>,
    attempts: &mut Vec<Attempt>,
    identity: &Identity,
    (target, base, rights): (&Relation, &Relation, &RolePrivileges),
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
        let control = insertion(context, (target, base), rights, (Side::A, false));
        for own in [false, true] {
            let sql = insertion(context, (target, base), rights, (Side::B, own));
            add("insert", sql, control.clone(), Vec::new());
        }
        let sql = below_shared(context, (target, base), rights);
        add("insert", sql, control, Vec::new());
    }
    let change = harmless(context, base, target, rights);
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
        let sql = handover(context, (target, base), rights, (Side::A, with_keys));
        add("update", sql.clone(), sql, loosen(context, base, true));
        let sql = handover(context, (target, base), rights, (Side::B, with_keys));
        let control = handover(context, (target, base), rights, (Side::A, false));
        add("move", sql, control, loosen(context, base, true));
    }
    if rights.may("DELETE") {
        let sql = Sql::fill("DELETE FROM {}", &[&target.object()]);
        add(
            "delete",
            Some(sql.clone()),
            Some(sql),
            loosen(context, base, false),
        );
    }
}

/// Foreign keys that would refuse a delete, or a change of the key, say nothing about isolation: a row without children
/// would not meet them.
pub(super) fn loosen(context: &ProbeContext<'_>, base: &Relation, moves: bool) -> Vec<Sql> {
    context
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
            let child = context.facts.relations.get(&key.table)?;
            Some(Sql::fill(
                "ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}",
                &[&child.object(), &Ident::new(key.name.as_str())],
            ))
        })
        .collect()
}

fn insertion(
    context: &mut ProbeContext<'_>,
    (target, base): (&Relation, &Relation),
    rights: &RolePrivileges,
    (side, own): (Side, bool),
) -> Option<Sql> {
    let values = new_row(context, (target, base), rights, (side, own))?;
    Some(insert::insert(target, &values))
}

/// Makes a row of a side, with what the role may write of it.
pub(super) fn new_row(
    context: &mut ProbeContext<'_>,
    (target, base): (&Relation, &Relation),
    rights: &RolePrivileges,
    (side, own): (Side, bool),
) -> Option<BTreeMap<String, Value>> {
    let whole = whole(context, base);
    let mut values = context.plan.fresh(
        context.tenancy_map,
        whole,
        side,
        &RowRequest {
            turn: usize::from(base.oid != whole.oid),
            ..RowRequest::default()
        },
    );
    if own {
        as_own(context, whole, &mut values);
    }
    if base.oid != whole.oid {
        into_partition(context, base, side, &mut values);
    }
    values.retain(|name, _| rights.insertable.contains(name) && target.column(name).is_some());
    (!values.is_empty()).then_some(values)
}

/// A child for a parent that B lets everybody see: to see is not to write.
fn below_shared(
    context: &mut ProbeContext<'_>,
    (target, base): (&Relation, &Relation),
    rights: &RolePrivileges,
) -> Option<Sql> {
    let Some(TenantLink::Via(key)) = context.tenancy_map.belongs.get(&base.oid) else {
        return None;
    };
    let parent = context.plan.rows.iter().find(|row| {
        Some(row.table) == key.target && row.stage == SeedStage::Shared && row.stored
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
    let request = RowRequest {
        variant: RowVariant {
            picks,
            shared: true,
        },
        ..RowRequest::default()
    };
    let mut values = context
        .plan
        .fresh(context.tenancy_map, base, Side::B, &request);
    values.retain(|name, _| rights.insertable.contains(name) && target.column(name).is_some());
    (!values.is_empty()).then(|| insert::insert(target, &values))
}

/// Whatever policies ask of a row beside its tenant is as in a row of A: the author, the status, the payer.
fn as_own(context: &ProbeContext<'_>, table: &Relation, values: &mut BTreeMap<String, Value>) {
    let tenant = context.tenancy_map.tenant_column(table.oid);
    let keys = context.facts.primary_key(table.oid);
    let Some(own) = context.row(table.oid, Side::A) else {
        return;
    };
    for column in &table.columns {
        let name = column.name.as_str();
        let asked = context
            .facts
            .policies_of(table.oid)
            .any(|policy| policy.columns.iter().any(|column| column == name));
        let user = crate::expression_text::suggests_user(name)
            && column.base == context.tenancy_map.user_type;
        if (asked || user) && Some(name) != tenant && (!keys.contains(&column.name) || user) {
            values.insert(column.name.clone(), own.values.get(name).cloned().flatten());
        }
    }
}

/// Returns the table that a partition is part of.
fn whole<'a>(context: &ProbeContext<'a>, table: &Relation) -> &'a Relation {
    let mut found = &context.facts.relations[&table.oid];
    while let Some(parent) = found
        .parents
        .first()
        .and_then(|oid| context.facts.relations.get(oid))
        .filter(|_| found.is_partition)
    {
        found = parent;
    }
    found
}

/// A row meant for one partition takes its key from that partition's bounds.
fn into_partition(
    context: &ProbeContext<'_>,
    leaf: &Relation,
    side: Side,
    values: &mut BTreeMap<String, Value>,
) {
    let parent = leaf
        .parents
        .first()
        .and_then(|oid| context.facts.relations.get(oid));
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
        let tenant = context.tenancy_map.tenant_column(leaf.oid) == Some(column.as_str());
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
    context: &ProbeContext<'_>,
    base: &Relation,
    target: &Relation,
    rights: &RolePrivileges,
) -> Option<(Column, Value)> {
    let row = context.row(whole(context, base).oid, Side::A)?;
    let keyed = |name: &str| {
        context.facts.constraints.iter().any(|constraint| {
            (constraint.table == base.oid || constraint.table == whole(context, base).oid)
                && constraint.kind != "c"
                && constraint.columns.iter().any(|column| column == name)
        })
    };
    let decides = |name: &str| {
        context
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
        .filter(|column| context.tenancy_map.tenant_column(base.oid) != Some(column.name.as_str()))
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
    context: &mut ProbeContext<'_>,
    (target, base): (&Relation, &Relation),
    rights: &RolePrivileges,
    (side, with_keys): (Side, bool),
) -> Option<Sql> {
    let pairs = given_to(context, (target, base), rights, (side, with_keys))?;
    Some(Sql::fill("UPDATE {} SET {}", &[&target.object(), &pairs]))
}

/// Writes what makes a row a side's: `tenant = …`, with the keys of its parents where asked.
pub(super) fn given_to(
    context: &mut ProbeContext<'_>,
    (target, base): (&Relation, &Relation),
    rights: &RolePrivileges,
    (side, with_keys): (Side, bool),
) -> Option<Sql> {
    let fresh = context.plan.fresh(
        context.tenancy_map,
        whole(context, base),
        side,
        &RowRequest {
            variant: RowVariant::default(),
            turn: 0,
            lean: false,
        },
    );
    let mut names: Vec<String> = match context.tenancy_map.belongs.get(&base.oid)? {
        TenantLink::Column(name) | TenantLink::User(name) => vec![name.clone()],
        TenantLink::Via(key) => key.columns.clone(),
        TenantLink::Through(_) | TenantLink::Nothing => return None,
    };
    let plain = names.clone();
    if with_keys {
        for key in context.facts.foreign_keys(base.oid).filter(|key| {
            key.columns.iter().any(|name| plain.contains(name)) || key.columns.len() == 1
        }) {
            let own = key
                .target
                .is_some_and(|target| context.tenancy_map.is_tenant_table(target));
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
