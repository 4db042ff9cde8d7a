//! Probes unqualified names in functions: a temporary table of the caller takes precedence over the real one.

use anyhow::Result;

use crate::expression_text;
use crate::probe::call_arguments;
use crate::probe::context::ProbeContext;
use crate::probe::privilege_escalation::{count, number, target_tables};
use crate::probe::side_channels::{leak, marked};
use crate::probed_schema::{Function, Relation};
use crate::runner::{self, Identity, RunAs, Step};
use crate::seed::insert;
use crate::seed::tenancy_map::Side;
use crate::sql::name::Ident;
use crate::sql::safe::Sql;
use crate::verdict::Weight;

/// A temporary table of a name that a helper does not qualify stands before the real one.
pub(super) async fn all(context: &mut ProbeContext<'_>, identity: &Identity) -> Result<()> {
    let callable = context
        .facts
        .callable
        .get(&identity.role)
        .cloned()
        .unwrap_or_default();
    let helping = |function: &&Function| {
        context
            .facts
            .policies
            .iter()
            .any(|policy| policy.calls.contains(&function.oid))
    };
    let functions: Vec<Function> = context
        .facts
        .functions
        .values()
        .filter(|function| {
            helping(function) || function.definer && callable.contains(&function.oid)
        })
        .cloned()
        .collect();
    for function in functions {
        let bare: Vec<&Relation> = context
            .facts
            .relations
            .values()
            .filter(|table| {
                table.is_table() && expression_text::mentions_bare(function.body(), &table.name)
            })
            .collect();
        if bare.is_empty() || pinned(&function) {
            continue;
        }
        let setup: Vec<Sql> = bare
            .iter()
            .flat_map(|table| stand_in(context, table))
            .collect();
        let calls = if function.definer && callable.contains(&function.oid) {
            call_arguments::some(context, &function)
        } else {
            Vec::new()
        };
        if let Some(exposes) = fooled(context, identity, (&setup, &calls)).await? {
            let names: Vec<&str> = bare.iter().map(|table| table.name.as_str()).collect();
            let exposes = exposes.or_else(|| {
                context
                    .tenant_tables()
                    .into_iter()
                    .find(|table| expression_text::mentions(function.body(), &table.name))
            });
            report(
                context,
                identity,
                (&function, exposes, &names.join(", ")),
                setup,
            );
        }
    }
    Ok(())
}

/// Whether the stand-in tables open a table, and which, or make a call reveal B's rows.
async fn fooled<'a>(
    context: &ProbeContext<'a>,
    identity: &Identity,
    (setup, calls): (&[Sql], &[Sql]),
) -> Result<Option<Option<&'a Relation>>> {
    let tables = target_tables(context);
    let look = || {
        let counts = tables
            .iter()
            .map(|table| runner::read(RunAs::Request(identity), count(context, table)));
        counts.chain(
            calls
                .iter()
                .map(|sql| runner::read(RunAs::Request(identity), sql.clone())),
        )
    };
    let steps: Vec<Step<'_>> = look()
        .chain(
            setup
                .iter()
                .map(|sql| runner::change(RunAs::Request(identity), sql.clone())),
        )
        .chain(look())
        .collect();
    let (half, second) = (
        tables.len() + calls.len(),
        tables.len() + calls.len() + setup.len(),
    );
    let came = runner::run(context.session, &[steps]).await?.remove(0);
    let opened = (0..tables.len())
        .find(|at| number(came.get(*at)) == 0 && number(came.get(second + at)) > 0);
    let told =
        (tables.len()..half).any(|at| !marked(came.get(at)) && marked(came.get(second + at)));
    Ok(match opened {
        Some(at) => Some(Some(tables[at])),
        None if told => Some(None),
        None => None,
    })
}

fn report(
    context: &mut ProbeContext<'_>,
    identity: &Identity,
    (function, exposes, names): (&Function, Option<&Relation>, &str),
    mut statements: Vec<Sql>,
) {
    statements.extend(exposes.map(|table| Sql::fill("SELECT * FROM {}", &[&table.object()])));
    let tables: Vec<i64> = exposes.map(|table| table.oid).into_iter().collect();
    let script = context.script(&tables, identity, &statements);
    let why = format!(
        "{} resolves {names} through the caller's search_path, where a temporary table of the same name takes precedence",
        function.title()
    );
    context.leak(leak(
        identity,
        (function.title(), "shadow", exposes.map(Relation::title)),
        ("D03", Weight::Critical, why),
        script,
    ));
}

/// Whether a function's own path keeps temporary tables behind, or out.
fn pinned(function: &Function) -> bool {
    let path = function
        .settings
        .iter()
        .find_map(|setting| setting.strip_prefix("search_path="));
    path.is_some_and(|path| {
        let last = path
            .rsplit(',')
            .next()
            .unwrap_or("")
            .trim()
            .trim_matches('"')
            .to_owned();
        last == "pg_temp"
    })
}

/// Writes a temporary table like a real one, with a row that makes A's user a member of B.
fn stand_in(context: &mut ProbeContext<'_>, table: &Relation) -> Vec<Sql> {
    let columns = Sql::join(
        table.columns.iter().map(|column| {
            Sql::fill(
                "{} {}",
                &[
                    &Ident::new(column.name.as_str()),
                    &Sql::printed_by_server(column.type_name.clone()),
                ],
            )
        }),
        ", ",
    );
    let name = Ident::new(table.name.as_str());
    let mut values = context
        .row(table.oid, Side::A)
        .map(|row| row.values.clone())
        .unwrap_or_default();
    if let Some(tenant) = context.tenancy_map.tenant_column(table.oid) {
        values.insert(tenant.to_owned(), context.tenancy_map.key(Side::B, 0));
    }
    for members in context
        .tenancy_map
        .members
        .iter()
        .filter(|members| members.table == table.oid)
    {
        values.insert(
            members.user.clone(),
            Some(context.tenancy_map.user(Side::A, 0)),
        );
    }
    let given: Vec<_> = table
        .columns
        .iter()
        .filter_map(|column| Some((column, values.get(&column.name)?)))
        .collect();
    let names = Sql::join(
        given
            .iter()
            .map(|(column, _)| Ident::new(column.name.as_str())),
        ", ",
    );
    let items = Sql::join(
        given
            .iter()
            .map(|(column, value)| insert::literal(value, &column.type_name)),
        ", ",
    );
    let mut found = vec![
        Sql::fill(
            "CREATE TEMPORARY TABLE {} ({}) ON COMMIT DROP",
            &[&name, &columns],
        ),
        Sql::fill("GRANT ALL ON TABLE pg_temp.{} TO PUBLIC", &[&name]),
    ];
    if !given.is_empty() {
        found.push(Sql::fill(
            "INSERT INTO pg_temp.{} ({}) VALUES ({})",
            &[&name, &names, &items],
        ));
    }
    found
}
