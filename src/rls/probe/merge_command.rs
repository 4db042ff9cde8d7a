//! Probes `MERGE` (PostgreSQL 15 and later), for which policies have rules of their own.
//!
//! Tried where the plain command is known to hold: what that lets through needs no second finding, and what it could not
//! show this cannot either.

use crate::probe::context::ProbeContext;
use crate::probe::write_statements::{given_to, harmless, loosen, new_row};
use crate::probe::writes::Attempt;
use crate::probed_schema::{Relation, RolePrivileges};
use crate::runner::Identity;
use crate::seed::insert;
use crate::seed::tenancy_map::Side;
use crate::sql::name::Ident;
use crate::sql::safe::Sql;
use crate::verdict::ProbeOutcome;

/// Writes the attempts of one request on one table, or on a view where the server merges into views.
pub(super) fn compose(
    context: &mut ProbeContext<'_>,
    attempts: &mut Vec<Attempt>,
    identity: &Identity,
    (target, base, rights): (&Relation, &Relation, &RolePrivileges),
) {
    let version = context.facts.version;
    if version < 150_000 || !target.is_table() && version < 170_000 {
        return;
    }
    let own = context.tenancy_map.is_of(base.oid, "t", 0, 0);
    let ways = [
        ("insert", insertion(context, (target, base), rights)),
        (
            "update",
            harmless(context, base, target, rights).map(|(column, value)| {
                let value = insert::literal(&value, &column.type_name);
                let set = Sql::fill("{} = {}", &[&Ident::new(column.name.as_str()), &value]);
                change(target, &set, &own)
            }),
        ),
        (
            "update",
            given_to(context, (target, base), rights, (Side::A, false))
                .map(|set| change(target, &set, &own)),
        ),
        (
            "move",
            given_to(context, (target, base), rights, (Side::B, false))
                .map(|set| change(target, &set, &own)),
        ),
        (
            "delete",
            rights
                .may("DELETE")
                .then(|| merged(target, &Sql::new("MATCHED THEN DELETE"), &own)),
        ),
    ];
    for (like, way) in ways {
        let held = context.verdicts.iter().any(|one| {
            one.verdict == ProbeOutcome::Passed
                && one.object == target.title()
                && one.command == like
                && one.role == identity.role
        });
        let leaks = context.verdicts.iter().any(|one| {
            one.verdict == ProbeOutcome::Leak
                && one.object == target.title()
                && one.command == like
                && one.role == identity.role
        });
        let Some((sql, control)) = way.filter(|_| held && !leaks) else {
            continue;
        };
        // To give an own row away is shown to be possible by giving it to itself.
        let control = if like == "move" {
            given_to(context, (target, base), rights, (Side::A, false))
                .map(|set| change(target, &set, &own).1)
        } else {
            Some(control)
        };
        let before = match like {
            "insert" => Vec::new(),
            other => loosen(context, base, other != "delete"),
        };
        attempts.push(Attempt {
            command: "merge",
            like,
            target: target.oid,
            base: base.oid,
            identity: identity.clone(),
            sql,
            control,
            before,
        });
    }
}

/// Writes the insertion of a row of B and, to show that rows are accepted, that of a row of A.
fn insertion(
    context: &mut ProbeContext<'_>,
    (target, base): (&Relation, &Relation),
    rights: &RolePrivileges,
) -> Option<(Sql, Sql)> {
    let mut of = |side| {
        let values = new_row(context, (target, base), rights, (side, false))?;
        let names = Sql::join(values.keys().map(|name| Ident::new(name.as_str())), ", ");
        let given = values.iter().filter_map(|(name, value)| {
            let column = target.column(name)?;
            Some(insert::literal(value, &column.type_name))
        });
        let given = Sql::join(given, ", ");
        let action = Sql::fill(
            "NOT MATCHED THEN INSERT ({}) OVERRIDING SYSTEM VALUE VALUES ({})",
            &[&names, &given],
        );
        Some(merge(target, &Sql::new("false"), &action))
    };
    Some((of(Side::B)?, of(Side::A)?))
}

fn change(target: &Relation, set: &Sql, own: &Sql) -> (Sql, Sql) {
    let action = Sql::fill("MATCHED THEN UPDATE SET {}", &[set]);
    merged(target, &action, own)
}

/// Writes a statement that meets every row, and the same for own rows.
fn merged(target: &Relation, action: &Sql, own: &Sql) -> (Sql, Sql) {
    (
        merge(target, &Sql::new("true"), action),
        merge(target, own, action),
    )
}

fn merge(target: &Relation, condition: &Sql, action: &Sql) -> Sql {
    Sql::fill(
        "MERGE INTO {} AS t USING (SELECT 1) AS s (one) ON {} WHEN {}",
        &[&target.object(), condition, action],
    )
}
