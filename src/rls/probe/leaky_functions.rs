//! Probes functions that run on rows before a view's filter, or before policies because they are LEAKPROOF.

use anyhow::Result;

use crate::probe::context::ProbeContext;
use crate::probe::reads;
use crate::probe::side_channels::leak;
use crate::probed_schema::{Function, Relation};
use crate::runner::{self, Identity, RunAs};
use crate::seed::tenancy_map::Side;
use crate::seed::values::mark;
use crate::sql::name::{Ident, Literal};
use crate::sql::safe::Sql;
use crate::verdict::Weight;

const PEEK: &str = "CREATE FUNCTION pg_temp.af_db_peek(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $peek$ BEGIN IF $1 ~ {} THEN RAISE EXCEPTION 'peeked'; END IF; RETURN true; END $peek$";

/// A cheap function in a condition sees rows before a view's own filter does.
pub(super) async fn filters(context: &mut ProbeContext<'_>, identity: &Identity) -> Result<()> {
    let views: Vec<&Relation> = context
        .facts
        .relations
        .values()
        .filter(|view| view.kind == "v")
        .collect();
    for view in views {
        let readable = context.facts.rights(&identity.role, view.oid).readable;
        let already = context
            .verdicts
            .iter()
            .any(|one| one.object == view.title() && one.class.is_some());
        if readable.is_empty() || already || reads::exposed(context.tenancy_map, view).is_none() {
            continue;
        }
        let names = Sql::join(
            readable
                .iter()
                .map(|name| Sql::fill("v.{}", &[&Ident::new(name.as_str())])),
            ", ",
        );
        let make = Sql::fill(PEEK, &[&Literal::new(telltale(context))]);
        let look = Sql::fill(
            "SELECT pg_catalog.count(*)::text FROM {} AS v WHERE pg_temp.af_db_peek(ROW({})::text)",
            &[&view.object(), &names],
        );
        let steps = vec![
            runner::need(RunAs::Request(identity), make.clone()),
            runner::read(RunAs::Request(identity), look.clone()),
        ];
        let came = runner::run(context.session, &[steps]).await?.remove(0);
        if came.get(1).and_then(|answer| answer.words.as_deref()) == Some("peeked") {
            let script = context.script(&view.reads, identity, &[make, look]);
            let why = format!(
                "{} filters by tenant but is not a security_barrier view: a cheap function in a condition is called on rows of other tenants before the filter",
                view.title()
            );
            context.leak(leak(
                identity,
                (
                    view.title(),
                    "select",
                    reads::exposed(context.tenancy_map, view),
                ),
                ("C05", Weight::High, why),
                script,
            ));
        }
    }
    Ok(())
}

/// Returns a pattern that only B's rows match.
fn telltale(context: &ProbeContext<'_>) -> String {
    let mut parts = vec![mark(Side::B).to_owned()];
    for row in context
        .plan
        .rows
        .iter()
        .filter(|row| row.side == Side::B && row.stored && row.usual)
    {
        for name in context.facts.primary_key(row.table) {
            if let Some(Some(value)) = row.values.get(&name)
                && value.len() >= 4
                && value.chars().all(|c| c.is_alphanumeric() || c == '-')
                && !context.tenancy_map.tenancy.tenants[0].contains(value.as_str())
            {
                parts.push(format!("\\m{value}\\M"));
            }
        }
    }
    parts.truncate(60);
    parts.join("|")
}

/// A LEAKPROOF function runs before policies, so it must not reveal its arguments.
pub(super) async fn trusted(context: &mut ProbeContext<'_>, identity: &Identity) -> Result<()> {
    let callable = context
        .facts
        .callable
        .get(&identity.role)
        .cloned()
        .unwrap_or_default();
    let functions: Vec<Function> = context
        .facts
        .functions
        .values()
        .filter(|function| {
            function.leakproof && callable.contains(&function.oid) && function.arguments.len() == 1
        })
        .cloned()
        .collect();
    for function in functions {
        for table in context.tenant_tables() {
            let readable = context.facts.rights(&identity.role, table.oid).readable;
            let column = table.columns.iter().find(|column| {
                readable.contains(&column.name) && fits(&column.base, &function.arguments[0].base)
            });
            let Some(column) = column else { continue };
            let test = if function.result.as_deref() == Some("boolean") {
                ""
            } else {
                " IS NOT NULL"
            };
            let look = Sql::fill(
                "SELECT pg_catalog.count(*)::text FROM {} AS t WHERE {}(t.{}::{}){}",
                &[
                    &table.object(),
                    &function.object(),
                    &Ident::new(column.name.as_str()),
                    &Sql::printed_by_server(function.arguments[0].type_name.clone()),
                    &Sql::new(test),
                ],
            );
            if tells(context, identity, (table, &column.name, &look)).await? {
                let script = context.script(&[table.oid], identity, &[look]);
                let why = format!(
                    "{} is declared LEAKPROOF, so PostgreSQL calls the function on rows of {} before the policies, and the function reveals its arguments",
                    function.title(),
                    table.title()
                );
                context.leak(leak(
                    identity,
                    (function.title(), "leakproof", Some(table.title())),
                    ("D06", Weight::High, why),
                    script,
                ));
                break;
            }
        }
    }
    Ok(())
}

/// Whether a query reveals B's rows: by a notice, by an error, or by ending differently once B's rows are gone.
async fn tells(
    context: &ProbeContext<'_>,
    identity: &Identity,
    (table, column, look): (&Relation, &str, &Sql),
) -> Result<bool> {
    // A's own rows would speak as well: only B's are left for the first look, none for the second.
    let of_b = context.tenancy_map.is_of(table.oid, "t", 1, 0);
    let steps = vec![
        runner::change(
            RunAs::Owner,
            Sql::new("SET LOCAL session_replication_role = replica"),
        ),
        runner::need(
            RunAs::Owner,
            Sql::fill(
                "DELETE FROM {} AS t WHERE ({}) IS NOT TRUE",
                &[&table.object(), &of_b],
            ),
        ),
        runner::change(
            RunAs::Owner,
            Sql::new("SET LOCAL client_min_messages = debug1"),
        ),
        runner::read(RunAs::Request(identity), look.clone()),
        runner::need(
            RunAs::Owner,
            Sql::fill("DELETE FROM {} AS t WHERE {}", &[&table.object(), &of_b]),
        ),
        runner::read(RunAs::Request(identity), look.clone()),
    ];
    context.session.take_notices();
    let came = runner::run(context.session, &[steps]).await?.remove(0);
    let theirs: Vec<String> = context
        .plan
        .rows
        .iter()
        .filter(|row| row.table == table.oid && row.side == Side::B)
        .filter_map(|row| row.values.get(column).cloned().flatten())
        .collect();
    let speaks = |text: &str| {
        text.contains(mark(Side::B))
            || theirs
                .iter()
                .any(|value| value.len() > 3 && text.contains(value.as_str()))
    };
    let noticed = context
        .session
        .take_notices()
        .iter()
        .any(|notice| speaks(&notice.message));
    let refused = came
        .get(1)
        .and_then(|answer| answer.words.as_deref())
        .is_some_and(speaks);
    let differs = came.len() == 6
        && came.get(3).map(|answer| &answer.code) != came.get(5).map(|answer| &answer.code);
    Ok(noticed || refused || differs)
}

fn fits(column: &str, argument: &str) -> bool {
    let family = |base: &str| match base {
        "text" | "varchar" | "bpchar" | "citext" | "name" => "text".to_owned(),
        "int2" | "int4" | "int8" | "numeric" => "number".to_owned(),
        other => other.to_owned(),
    };
    family(column) == family(argument)
}
