//! Probes functions: every function that a request can execute, with arguments from the schema and the other tenant's keys.
//!
//! A call leaks when its answer changes with B's rows alone, when B's rows are different afterwards, or when the caller
//! sees more after it than before.

use anyhow::Result;

use crate::expression_text;
use crate::probe::call_arguments;
use crate::probe::context::{Leak, ProbeContext};
use crate::probed_schema::{Function, Relation};
use crate::runner::{self, Answer, Identity, RunAs, Step};
use crate::seed::tenancy_map::{Side, is_platform};
use crate::seed::values::mark;
use crate::sql::safe::Sql;
use crate::verdict::{ProbeOutcome, ProvenBy, Weight};

/// One call by one request.
#[derive(Clone)]
pub(crate) struct Call {
    function: i64,
    identity: Identity,
    sql: Sql,
    /// Tables whose rows it may change.
    watched: Vec<i64>,
    /// Whether the arguments contain an unguessable key.
    drawn: bool,
}

/// What came of each call, in the order of the calls.
pub(crate) type CallAnswers = Vec<Vec<Answer>>;

/// Never read more tables than this after a call.
const LOOKED_AT: usize = 8;

/// Plans the calls; their arguments name rows of B that need not be there yet.
pub(crate) fn plan(context: &ProbeContext<'_>) -> Vec<Call> {
    let mut calls = Vec::new();
    let callers = context
        .readers
        .values()
        .filter_map(|all| all.first())
        .cloned()
        .collect::<Vec<_>>();
    for identity in callers {
        let callable = context
            .facts
            .callable
            .get(&identity.role)
            .cloned()
            .unwrap_or_default();
        for function in callable
            .iter()
            .filter_map(|oid| context.facts.functions.get(oid))
        {
            if is_platform(&function.schema)
                || matches!(function.result_kind.as_str(), "trigger" | "event_trigger")
                || reaches_out(context, function)
            {
                continue;
            }
            let watched = watched(context, function);
            for (sql, drawn) in call_arguments::statements(context, function) {
                calls.push(Call {
                    function: function.oid,
                    identity: identity.clone(),
                    sql,
                    watched: watched.clone(),
                    drawn,
                });
            }
        }
    }
    calls
}

/// Returns which functions that touch rows of tenants are not called, because they reach beyond the database.
pub(crate) fn untried(context: &mut ProbeContext<'_>) {
    let callers: Vec<Identity> = context
        .readers
        .values()
        .filter_map(|all| all.first())
        .cloned()
        .collect();
    for identity in callers {
        let callable = context
            .facts
            .callable
            .get(&identity.role)
            .cloned()
            .unwrap_or_default();
        let facts = context.facts;
        for function in callable.iter().filter_map(|oid| facts.functions.get(oid)) {
            let body = function.body();
            let touches = context
                .tenant_tables()
                .iter()
                .any(|table| expression_text::mentions(body, &table.name));
            if touches && !is_platform(&function.schema) && reaches_out(context, function) {
                let why = "the function was not called because its body reaches outside the database (dblink, http, files, COPY). \
                           read it, or revoke EXECUTE where tenants do not need it";
                context.note(
                    ProbeOutcome::Inconclusive,
                    (function.title(), "execute"),
                    &identity,
                    why.to_owned(),
                );
            }
        }
    }
}

/// A function that speaks to other servers is not called: even a copy would reach them.
pub(crate) fn reaches_out(_: &ProbeContext<'_>, function: &Function) -> bool {
    let body = function.body().to_lowercase();
    [
        "dblink",
        "http_",
        "net.http",
        "pg_net",
        "pg_read_file",
        "copy ",
        "lo_import",
        "lo_export",
        "plpython",
        "pg_terminate",
    ]
    .iter()
    .any(|word| body.contains(word))
        || matches!(
            function.language.as_str(),
            "c" | "internal" | "plpython3u" | "plperlu" | "plsh"
        )
}

/// Returns the tenant tables that a function could change, through triggers and other functions as well.
fn watched(context: &ProbeContext<'_>, function: &Function) -> Vec<i64> {
    if function.volatility != "v" && function.kind == "f" {
        return Vec::new();
    }
    let mut bodies = function.body().to_lowercase();
    for other in context.facts.functions.values() {
        if other.oid != function.oid
            && expression_text::mentions(&bodies, &other.name.to_lowercase())
        {
            bodies.push_str(&other.body().to_lowercase());
        }
    }
    let any = bodies.contains("execute");
    context
        .tenant_tables()
        .into_iter()
        .filter(|table| {
            !table.is_partition
                && (any
                    || expression_text::mentions(&bodies, &table.name.to_lowercase())
                    || bodies.contains("returning") && context.facts.relations.len() < 30)
        })
        .map(|table| table.oid)
        .take(40)
        .collect()
}

/// Makes the calls; run once without and once with B's own rows.
pub(crate) async fn make(context: &ProbeContext<'_>, calls: &[Call]) -> Result<CallAnswers> {
    let steps: Vec<Vec<Step<'_>>> = calls.iter().map(|call| steps(context, call)).collect();
    runner::run(context.session, &steps).await
}

fn steps<'a>(context: &ProbeContext<'_>, call: &'a Call) -> Vec<Step<'a>> {
    let function = &context.facts.functions[&call.function];
    let watched: Vec<&Relation> = call
        .watched
        .iter()
        .map(|oid| &context.facts.relations[oid])
        .collect();
    let mut steps = vec![runner::read(
        RunAs::Owner,
        if watched.is_empty() {
            Sql::new("SELECT ''")
        } else {
            context.watch(&watched)
        },
    )];
    steps.push(if function.kind == "p" {
        runner::change(RunAs::Request(&call.identity), call.sql.clone())
    } else {
        runner::read(RunAs::Request(&call.identity), call.sql.clone())
    });
    if steers(function) {
        steps.push(runner::read(RunAs::Kept, counts(context, &call.identity)));
    } else {
        steps.push(runner::read(RunAs::Owner, Sql::new("SELECT ''")));
    }
    steps.push(runner::read(
        RunAs::Owner,
        if watched.is_empty() {
            Sql::new("SELECT ''")
        } else {
            context.watch(&watched)
        },
    ));
    steps
}

/// Whether a function may leave the session another than it was.
fn steers(function: &Function) -> bool {
    let body = function.body().to_lowercase();
    function.volatility == "v" || body.contains("set_config") || body.contains("set ")
}

/// Counts what the caller sees now.
fn counts(context: &ProbeContext<'_>, identity: &Identity) -> Sql {
    let mut tables = context.tenant_tables();
    tables.sort_by_key(|table| !context.tenancy_map.is_declared(table));
    let parts: Vec<Sql> = tables
        .into_iter()
        .filter(|table| {
            !context
                .facts
                .rights(&identity.role, table.oid)
                .readable
                .is_empty()
        })
        .take(LOOKED_AT)
        .map(|table| Sql::fill("(SELECT pg_catalog.count(*) FROM {})", &[&table.object()]))
        .collect();
    if parts.is_empty() {
        return Sql::new("SELECT ''");
    }
    Sql::fill(
        "SELECT pg_catalog.concat_ws(' ', {})",
        &[&Sql::join(parts, ", ")],
    )
}

/// Compares the answers without and with B's own rows; `again` repeats the calls with them.
pub(crate) fn judge(
    context: &mut ProbeContext<'_>,
    calls: &[Call],
    (without, with, again): (&CallAnswers, &CallAnswers, &CallAnswers),
) {
    let mut silent: std::collections::BTreeMap<(i64, String), (bool, Identity)> =
        std::collections::BTreeMap::new();
    for (number, call) in calls.iter().enumerate() {
        let (Some(before), Some(after), Some(twice)) =
            (without.get(number), with.get(number), again.get(number))
        else {
            continue;
        };
        let answer = |answers: &[Answer], at: usize| answers.get(at).cloned().unwrap_or_default();
        let known = silent
            .entry((call.function, call.identity.role.clone()))
            .or_insert((false, call.identity.clone()));
        known.0 |= answer(after, 1).ran();
        let stable = answer(after, 1) == answer(twice, 1);
        let told = stable && differs(&answer(before, 1), &answer(after, 1), call.drawn);
        let wrote = answer(after, 0).given != answer(after, 3).given && answer(after, 3).ran();
        let opened = answer(after, 2).ran()
            && answer(before, 2).ran()
            && sees_more(&answer(before, 2), &answer(after, 2))
            && !sees_anyway(context, &call.identity);
        let marked = !stable
            && answer(after, 1).given.is_some_and(|text| {
                text.contains(mark(Side::B)) && !call.sql.as_str().contains(mark(Side::B))
            });
        if wrote {
            report(context, call, "execute", "changes rows of another tenant");
        } else if opened {
            report(
                context,
                call,
                "set_identity",
                "lets the caller choose the tenant: after the call, rows of another tenant are visible",
            );
        } else if told || marked {
            report(
                context,
                call,
                "execute",
                "returns different results when only another tenant's rows differ",
            );
        }
    }
    for ((function, _), (ran, identity)) in silent {
        let function = &context.facts.functions[&function];
        let touches = context
            .tenant_tables()
            .iter()
            .any(|table| expression_text::mentions(function.body(), &table.name));
        if touches && function.definer {
            let (word, why) = if ran {
                (
                    ProbeOutcome::Passed,
                    "results and effects do not depend on another tenant's rows",
                )
            } else {
                (
                    ProbeOutcome::Inconclusive,
                    "no call with generated arguments succeeded. Review the function, or revoke EXECUTE if tenants do not need the function.",
                )
            };
            context.note(
                word,
                (function.title(), "execute"),
                &identity,
                why.to_owned(),
            );
        }
    }
}

/// Whether more rows of some table were counted. Fewer say that the call did not do the same, as where a key is taken.
fn sees_more(before: &Answer, after: &Answer) -> bool {
    let counts = |answer: &Answer| -> Vec<i64> {
        let text = answer.given.as_deref().unwrap_or_default();
        text.split(' ')
            .filter_map(|count| count.parse().ok())
            .collect()
    };
    let (before, after) = (counts(before), counts(after));
    after
        .iter()
        .zip(&before)
        .any(|(after, before)| after > before)
}

/// Compares two answers; the wording of a refusal for an unguessable key does not count.
fn differs(before: &Answer, after: &Answer, drawn: bool) -> bool {
    match (before.ran(), after.ran()) {
        (true, true) => before.given != after.given,
        (false, false) => before.code != after.code && !drawn,
        _ => !matches!(
            before.code.as_deref().or(after.code.as_deref()),
            Some("57014" | "23505")
        ),
    }
}

/// A caller who sees other tenants' rows without any call is reported for that.
fn sees_anyway(context: &ProbeContext<'_>, identity: &Identity) -> bool {
    context.verdicts.iter().any(|one| {
        one.verdict == ProbeOutcome::Leak
            && one.command == "select"
            && one.role == identity.role
            && one.identity == identity.title
    })
}

fn report(context: &mut ProbeContext<'_>, call: &Call, command: &str, what: &str) {
    let function = context.facts.functions[&call.function].clone();
    let touched: Vec<&Relation> = context
        .tenant_tables()
        .into_iter()
        .filter(|table| expression_text::mentions(function.body(), &table.name))
        .collect();
    let tables: Vec<i64> = touched.iter().map(|table| table.oid).collect();
    let exposes = touched.first().map(|table| table.title());
    let script = context.script(&tables, &call.identity, std::slice::from_ref(&call.sql));
    let runs_as = if function.definer {
        format!("runs as its owner {}", function.owner)
    } else {
        "runs as the caller".to_owned()
    };
    context.leak(Leak {
        object: function.title(),
        command,
        identity: &call.identity,
        class: class(&function, command),
        weight: if command == "execute" && what.starts_with("answers") && call.drawn {
            Weight::High
        } else {
            Weight::Critical
        },
        why: format!("{} {runs_as} and {what}", function.title()),
        rows: None,
        exposes,
        script: Some(script),
        proven_by: ProvenBy::Probe,
    });
}

fn class(function: &Function, command: &str) -> &'static str {
    let body = function.body().to_lowercase();
    let sets_role = function
        .settings
        .iter()
        .any(|setting| setting.starts_with("role="))
        || body.contains("'role'")
        || body.contains("set role")
        || body.contains("set local role");
    match command {
        _ if sets_role && !function.definer => "D08",
        "set_identity" => "B13",
        _ if function
            .settings
            .iter()
            .any(|setting| !setting.starts_with("search_path")) =>
        {
            "D05"
        }
        _ if body.contains("execute") => "D04",
        _ if !function.arguments.is_empty()
            && function.arguments.iter().any(|argument| {
                argument.name.contains("tenant") || argument.name.contains("org")
            }) =>
        {
            "D02"
        }
        _ => "D01",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_for_a_drawn_key_says_nothing() {
        let refused = |code: &str| Answer {
            code: Some(code.to_owned()),
            ..Answer::default()
        };
        assert!(differs(&refused("P0002"), &refused("42501"), false));
        assert!(!differs(&refused("P0002"), &refused("42501"), true));
    }
}
