//! Probes privileges and attributes to which policies do not apply: TRUNCATE, triggers, replication,
//! sequences, foreign tables, and default privileges.

use anyhow::Result;

use crate::expression_text;
use crate::probe::context::{Leak, ProbeContext};
use crate::probed_schema::{CatalogRole, Relation};
use crate::runner::{self, Answer, Identity, RunAs};
use crate::seed::tenancy_map::is_platform;
use crate::sql::name::{Ident, Literal, ObjectName};
use crate::sql::safe::Sql;
use crate::verdict::{ProvenBy, Weight};

/// Looks at the rights of every role of a request.
pub(crate) async fn all(context: &mut ProbeContext<'_>) -> Result<()> {
    let callers: Vec<Identity> = context
        .readers
        .values()
        .filter_map(|all| all.first())
        .cloned()
        .collect();
    for identity in &callers {
        let Some(role) = context.facts.roles.get(&identity.role).cloned() else {
            continue;
        };
        if role.superuser {
            continue;
        }
        tables(context, identity).await?;
        volumes(context, identity).await?;
        attributes(context, identity, &role);
    }
    future(context, &callers).await?;
    payloads(context, &callers);
    estimates(context, &callers);
    Ok(())
}

async fn tables(context: &mut ProbeContext<'_>, identity: &Identity) -> Result<()> {
    for table in context.tenant_tables() {
        let rights = context.facts.rights(&identity.role, table.oid);
        // The privileges of an owner come with ownership, which has a probe of its own.
        let owns = context
            .facts
            .roles
            .get(&identity.role)
            .is_some_and(|role| table.owner == role.name || role.has.contains(&table.owner));
        if owns {
            continue;
        }
        if rights.may("TRUNCATE") {
            empty(context, identity, table).await?;
        }
        if rights.may("TRIGGER") && context.tenancy_map.tenancy.threat != "api" {
            let why = format!(
                "{} can create triggers on {}: trigger code runs with the privileges of the role that writes the next row",
                identity.role,
                table.title()
            );
            certain(
                context,
                identity,
                (table.title(), "trigger"),
                ("A12", Weight::High, why),
            );
        }
    }
    for table in context.facts.relations.values().filter(|relation| {
        relation.kind == "f" && context.tenancy_map.is_tenant_table(relation.oid)
    }) {
        if !context
            .facts
            .rights(&identity.role, table.oid)
            .readable
            .is_empty()
        {
            let why = format!(
                "{} is a foreign table, which cannot have policies, and {} can read it",
                table.title(),
                identity.role
            );
            certain(
                context,
                identity,
                (table.title(), "select"),
                ("E14", Weight::Critical, why),
            );
        }
    }
    Ok(())
}

async fn empty(
    context: &mut ProbeContext<'_>,
    identity: &Identity,
    table: &Relation,
) -> Result<()> {
    let sql = Sql::fill("TRUNCATE {}", &[&table.object()]);
    let steps = vec![
        runner::read(RunAs::Owner, context.watch(&[table])),
        runner::need(RunAs::Request(identity), sql.clone()),
        runner::read(RunAs::Owner, context.watch(&[table])),
    ];
    let came = runner::run(context.session, &[steps]).await?.remove(0);
    let proven_by = if came.len() == 3 && came[0].given != came[2].given {
        ProvenBy::Probe
    } else {
        ProvenBy::Catalog
    };
    let script = context.script(&[table.oid], identity, &[sql]);
    context.leak(Leak {
        object: table.title(),
        command: "truncate",
        identity,
        class: "A11",
        weight: Weight::High,
        why: format!(
            "{} can TRUNCATE {}: TRUNCATE ignores policies and removes the rows of every tenant",
            identity.role,
            table.title()
        ),
        rows: None,
        exposes: None,
        script: Some(script),
        proven_by,
    });
    Ok(())
}

fn certain(
    context: &mut ProbeContext<'_>,
    identity: &Identity,
    (object, command): (String, &str),
    (class, weight, why): (&str, Weight, String),
) {
    context.leak(Leak {
        object,
        command,
        identity,
        class,
        weight,
        why,
        rows: None,
        exposes: None,
        script: None,
        proven_by: ProvenBy::Catalog,
    });
}

/// A readable sequence reveals how many rows all tenants have created.
async fn volumes(context: &mut ProbeContext<'_>, identity: &Identity) -> Result<()> {
    let sequences: Vec<&Relation> = context
        .facts
        .relations
        .values()
        .filter(|relation| relation.kind == "S")
        .collect();
    for sequence in sequences {
        let feeds = |table: &&Relation| {
            sequence.owned_by == Some(table.oid)
                || table.columns.iter().any(|column| {
                    column.default.as_deref().is_some_and(|default| {
                        default.starts_with("nextval")
                            && expression_text::mentions(default, &sequence.name)
                    })
                })
        };
        let Some(table) = context.tenant_tables().into_iter().find(feeds) else {
            continue;
        };
        if !context
            .facts
            .rights(&identity.role, sequence.oid)
            .may("SELECT")
        {
            continue;
        }
        let sql = Sql::fill("SELECT last_value::text FROM {}", &[&sequence.object()]);
        let came = runner::run(
            context.session,
            &[vec![runner::read(RunAs::Request(identity), sql.clone())]],
        )
        .await?
        .remove(0);
        if came.first().is_some_and(Answer::ran) {
            let script = context.script(&[], identity, &[sql]);
            context.leak(Leak {
                object: sequence.title(),
                command: "volume",
                identity,
                class: "E10",
                weight: Weight::Low,
                why: format!(
                    "{} can read the sequence of {}: its last value counts the rows of all tenants",
                    identity.role,
                    table.title()
                ),
                rows: None,
                exposes: Some(table.title()),
                script: Some(script),
                proven_by: ProvenBy::Probe,
            });
        }
    }
    Ok(())
}

/// Attributes and groups of the server that reach beyond every policy.
fn attributes(context: &mut ProbeContext<'_>, identity: &Identity, role: &CatalogRole) {
    let reach: Vec<&CatalogRole> = std::iter::once(role)
        .chain(
            role.becomes
                .iter()
                .filter_map(|name| context.facts.roles.get(name)),
        )
        .collect();
    if let Some(one) = reach.iter().find(|one| one.replication) {
        let who = one.name.clone();
        for table in declared(context) {
            let why = format!(
                "{who} has REPLICATION: the WAL contains the rows of every tenant, and policies do not apply to it"
            );
            certain(
                context,
                identity,
                (table, "replicate"),
                ("E12", Weight::High, why),
            );
        }
    }
    if context.source_info.version < 160_000 && role.createrole {
        for table in declared(context) {
            let why = format!(
                "{} has CREATEROLE and can grant itself any role that is not a superuser, including the owner of {table}",
                role.name
            );
            certain(
                context,
                identity,
                (table, "grant_role"),
                ("A08", Weight::High, why),
            );
        }
    }
    for group in [
        "pg_read_server_files",
        "pg_write_server_files",
        "pg_execute_server_program",
    ] {
        if role.becomes.iter().any(|name| name == group) {
            for table in declared(context) {
                let why = format!(
                    "{} is a member of {group} and can access files of the server, where policies do not apply",
                    role.name
                );
                certain(
                    context,
                    identity,
                    (table, "select"),
                    ("A13", Weight::High, why),
                );
            }
        }
    }
}

fn declared(context: &ProbeContext<'_>) -> Vec<String> {
    context
        .tenant_tables()
        .into_iter()
        .filter(|table| !table.is_partition && context.tenancy_map.is_declared(table))
        .map(Relation::title)
        .collect()
}

/// Makes a table as everybody who may, and looks who was granted what.
async fn future(context: &mut ProbeContext<'_>, callers: &[Identity]) -> Result<()> {
    let rows = context
        .session
        .query(include_str!("../queries/defaults.sql"), &[])
        .await?;
    for row in rows {
        let (maker, schema, what, grantee): (String, String, String, String) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        // Default privileges between the platform's own roles cannot be changed by the user.
        let of_platform =
            maker.starts_with("supabase_") && context.facts.roles.contains_key("supabase_admin");
        if is_platform(&schema) || of_platform {
            continue;
        }
        let gains = |identity: &&Identity| {
            grantee == "public"
                || grantee == identity.role
                || context
                    .facts
                    .roles
                    .get(&identity.role)
                    .is_some_and(|role| role.has.contains(&grantee))
        };
        let Some(identity) = callers.iter().find(gains).cloned() else {
            continue;
        };
        let table = ObjectName::new(schema.clone(), "af_db_tomorrow");
        let make = Sql::fill(
            "CREATE TABLE {} ({} text)",
            &[
                &table,
                &Ident::new(context.tenancy_map.tenancy.column.as_str()),
            ],
        );
        let open = Sql::fill(
            "SELECT (NOT c.relrowsecurity AND pg_catalog.has_table_privilege({}, c.oid, {}))::text FROM pg_catalog.pg_class c WHERE c.oid = {}::pg_catalog.regclass",
            &[
                &Literal::new(identity.role.as_str()),
                &Literal::new(what.as_str()),
                &Literal::new(table.to_string()),
            ],
        );
        let steps = vec![
            runner::need(
                RunAs::Owner,
                Sql::fill(
                    "GRANT CREATE ON SCHEMA {} TO {}",
                    &[&table.schema, &Ident::new(maker.as_str())],
                ),
            ),
            runner::need(
                RunAs::Owner,
                Sql::fill("SET LOCAL ROLE {}", &[&Ident::new(maker.as_str())]),
            ),
            runner::need(RunAs::Kept, make),
            runner::read(RunAs::Owner, open),
        ];
        let came = runner::run(context.session, &[steps]).await?.remove(0);
        if came.get(3).and_then(|answer| answer.given.as_deref()) == Some("true") {
            let why = format!(
                "default privileges of {maker} in {schema} grant {what} to {grantee}: new tables are open to every tenant until row-level security is enabled"
            );
            context.leak(Leak {
                object: schema,
                command: "future_table",
                identity: &identity,
                class: "F01",
                weight: Weight::High,
                why,
                rows: None,
                exposes: None,
                script: None,
                proven_by: ProvenBy::Probe,
            });
        }
    }
    Ok(())
}

/// Rows of a tenant sent to everybody who listens; proving it would need a commit.
fn payloads(context: &mut ProbeContext<'_>, callers: &[Identity]) {
    let Some(identity) = callers.first() else {
        return;
    };
    let found: Vec<(String, String)> = context
        .facts
        .triggers
        .iter()
        .filter(|trigger| context.tenancy_map.is_tenant_table(trigger.table))
        .filter_map(|trigger| Some((trigger, context.facts.functions.get(&trigger.function)?)))
        .filter(|(trigger, function)| {
            carries_row(function.body(), &context.facts.primary_key(trigger.table))
        })
        .map(|(trigger, function)| {
            (
                context.facts.relations[&trigger.table].title(),
                function.title(),
            )
        })
        .collect();
    for (table, function) in found {
        let why = format!(
            "{function} sends the written row to every listening session, regardless of tenant"
        );
        certain(
            context,
            identity,
            (table, "notify"),
            ("E11", Weight::High, why),
        );
    }
}

/// Whether a body notifies with more of a row than its key.
fn carries_row(body: &str, key: &[String]) -> bool {
    let text = body.to_lowercase();
    let Some(at) = text.find("pg_notify").or_else(|| text.find("notify ")) else {
        return false;
    };
    let rest = &text[at..];
    let sent: String = rest.split(';').next().unwrap_or("").to_owned();
    let through_variable = !sent.contains("new") && !sent.contains("old");
    let scope = if through_variable {
        text.as_str()
    } else {
        sent.as_str()
    };
    let whole = [
        "to_json(new",
        "to_jsonb(new",
        "row_to_json(new",
        "new::text",
        "to_jsonb(old",
        "row_to_json(old",
        "to_json(old",
        "hstore(new",
    ]
    .iter()
    .any(|word| scope.replace(' ', "").contains(word));
    whole
        || sent
            .match_indices("new.")
            .chain(sent.match_indices("old."))
            .any(|(at, _)| {
                let name: String = sent[at + 4..]
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                !key.contains(&name) && !name.ends_with("_id") && name != "id"
            })
}

/// The planner's estimates come from every tenant's rows.
fn estimates(context: &mut ProbeContext<'_>, callers: &[Identity]) {
    let speaks = context.tenancy_map.tenancy.allows_raw_sql()
        || context
            .tenancy_map
            .tenancy
            .threat
            .to_lowercase()
            .contains("explain")
        || context
            .tenancy_map
            .tenancy
            .threat
            .to_lowercase()
            .contains("plan");
    if !speaks {
        return;
    }
    for identity in callers {
        for table in context.tenant_tables() {
            let analysed = context.source_info.analysed.contains(&table.title());
            if analysed
                && context
                    .facts
                    .rights(&identity.role, table.oid)
                    .may("SELECT")
                && context.sees.contains(&(identity.role.clone(), table.oid))
            {
                let why = format!(
                    "EXPLAIN estimates rows of {} from statistics over all tenants, so a condition on a tenant reveals how many rows that tenant has",
                    table.title()
                );
                certain(
                    context,
                    identity,
                    (table.title(), "volume"),
                    ("E25", Weight::Low, why),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_of_the_key_alone_is_harmless() {
        let key = vec!["id".to_owned()];
        assert!(carries_row(
            "BEGIN PERFORM pg_notify('c', row_to_json(NEW)::text); RETURN NEW; END",
            &key
        ));
        assert!(carries_row(
            "BEGIN PERFORM pg_notify('c', NEW.body); RETURN NEW; END",
            &key
        ));
        assert!(!carries_row(
            "BEGIN PERFORM pg_notify('c', NEW.id::text); RETURN NEW; END",
            &key
        ));
        assert!(!carries_row(
            "BEGIN PERFORM pg_notify('changed', ''); RETURN NEW; END",
            &key
        ));
    }
}
