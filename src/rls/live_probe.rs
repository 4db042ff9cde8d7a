//! Probes a real database by reading: as two existing tenants, in one read-only transaction with short timeouts that is
//! always rolled back.
//!
//! B itself reads its rows, so that no role needs to bypass the policies; then A asks for exactly those rows.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use serde_json::json;
use tokio_postgres::SimpleQueryMessage;

use crate::error::fail;
use crate::expression_text;
use crate::identities::Identities;
use crate::pg::server_error::ServerError;
use crate::pg::session::Session;
use crate::probe::reads;
use crate::probed_schema::{ProbedSchema, Relation};
use crate::prove::{self, Proof};
use crate::runner::Identity;
use crate::seed::tenancy_map::{Side, TenancyMap, TenantLink};
use crate::sql::name::{Ident, Literal};
use crate::sql::safe::Sql;
use crate::tenancy::Tenancy;
use crate::verdict::{self, ProbeOutcome, Verdict, Weight};

/// Rows of B that are asked for by A.
const ROWS: usize = 20;

/// Reads as each role of each tenant what is not its own; nothing is written.
pub async fn look(session: &Session, tenancy: &Tenancy) -> Result<Proof> {
    if tenancy.tenants[0].is_empty() {
        return Err(
            fail("The tenancy does not name two tenants. Nothing was tried.")
                .hint("name the keys of two existing tenants: `tenants: {a: …, b: …}`")
                .into(),
        );
    }
    let mut facts = ProbedSchema::read(session).await?;
    let roles = prove::reachable(&facts, tenancy);
    facts.read_privileges(session, &roles).await?;
    let tenancy_map = TenancyMap::survey(&facts, tenancy);
    let mut identities = Identities::new(&tenancy_map);
    may_become(session, &identities.roles()).await?;
    session
        .run(&Sql::new(
            "BEGIN READ ONLY; SET LOCAL statement_timeout = '5s'; SET LOCAL lock_timeout = '2s'; \
             SET LOCAL idle_in_transaction_session_timeout = '60s'",
        ))
        .await?;
    let found = within(session, &mut identities).await;
    let ended = session.run(&Sql::new("ROLLBACK")).await;
    let mut verdicts = found?;
    ended?;
    for role in &tenancy.roles {
        if !facts.roles.contains_key(role) {
            let why = "the role does not exist. Declare the role that requests use.".to_owned();
            let object = (role.clone(), "connect");
            verdicts.push(Verdict::plain(
                ProbeOutcome::Inconclusive,
                object,
                (role, "a"),
                why,
            ));
        }
    }
    if verdicts.is_empty() {
        return Err(fail(format!(
            "{} cannot read any tenant table or view. Nothing was tried.",
            roles.join(" and ")
        ))
        .hint("declare the roles that requests use and the tenant column, or prove on a copy, without --live")
        .into());
    }
    verdict::settle(&mut verdicts);
    Ok(Proof {
        verdicts,
        ..Proof::default()
    })
}

/// Refuses where a role of requests cannot be entered.
async fn may_become(session: &Session, roles: &[String]) -> Result<()> {
    for role in roles {
        let row = session
            .query_one(
                "SELECT session_user::text, pg_catalog.pg_has_role(session_user, $1::text::name, 'MEMBER')",
                &[(role, tokio_postgres::types::Type::TEXT)],
            )
            .await?;
        let (user, may): (String, bool) = (row.get(0), row.get(1));
        if !may {
            return Err(fail(format!(
                "`{user}` cannot SET ROLE to `{role}`. Nothing was tried."
            ))
            .hint(format!(
                "GRANT {} TO {}, or connect as a role that is a member of it; without --live the proof runs on a scratch copy",
                Ident::new(role.as_str()),
                Ident::new(user)
            ))
            .into());
        }
    }
    Ok(())
}

/// The members of A and B who use one role, and requests without a tenant.
struct Pair {
    a: Identity,
    b: Identity,
    nobodies: Vec<Identity>,
}

async fn within(session: &Session, identities: &mut Identities<'_>) -> Result<Vec<Verdict>> {
    let tenancy_map = identities.tenancy_map;
    let users = [
        user(session, tenancy_map, Side::A).await?,
        user(session, tenancy_map, Side::B).await?,
    ];
    calibrate(session, identities, &users[0]).await?;
    let mut verdicts = Vec::new();
    for role in identities.roles() {
        let is_nobody = role == "anon" && tenancy_map.tenancy.speaks_claims();
        let pair = Pair {
            a: identities.of("a", &role, (Side::A, &users[0]), &json!({})),
            b: identities.of("b", &role, (Side::B, &users[1]), &json!({})),
            nobodies: vec![identities.empty(&role)],
        };
        for relation in tenancy_map.facts.relations.values() {
            let readable = &tenancy_map.facts.rights(&role, relation.oid).readable;
            let of_tenants = tenancy_map.is_tenant_table(relation.oid)
                || reads::exposed(tenancy_map, relation).is_some();
            if readable.is_empty() || !of_tenants || !(relation.is_table() || relation.is_view()) {
                continue;
            }
            if is_nobody {
                let owner = identities.roles().into_iter().find(|other| *other != role);
                let b =
                    owner.map(|other| identities.of("b", &other, (Side::B, &users[1]), &json!({})));
                let Some(b) = b else { continue };
                let pair = Pair {
                    b,
                    a: pair.nobodies[0].clone(),
                    nobodies: Vec::new(),
                };
                verdicts.extend(judge(session, tenancy_map, relation, &pair).await?);
                continue;
            }
            verdicts.extend(judge(session, tenancy_map, relation, &pair).await?);
        }
    }
    Ok(verdicts)
}

/// Returns a user of a tenant: the tenant itself, or the first that the table of members names.
async fn user(session: &Session, tenancy_map: &TenancyMap<'_>, side: Side) -> Result<String> {
    let tenancy = tenancy_map.tenancy;
    let declared = tenancy
        .membership
        .as_deref()
        .and_then(|title| tenancy_map.facts.find(title));
    let members = tenancy_map
        .members
        .iter()
        .find(|members| declared.is_none_or(|table| table.oid == members.table));
    let (Some(members), true) = (members, tenancy.is_by_membership()) else {
        return Ok(tenancy_map.user(side, 0));
    };
    let table = &tenancy_map.facts.relations[&members.table];
    let key = tenancy_map.key(side, 0).unwrap_or_default();
    let sql = Sql::fill(
        "SELECT t.{}::text FROM {} AS t WHERE t.{}::text = {} ORDER BY 1 LIMIT 1",
        &[
            &Ident::new(members.user.as_str()),
            &table.object(),
            &Ident::new(members.tenant.as_str()),
            &Literal::new(key.as_str()),
        ],
    );
    let found = first(&session.simple_query(&sql).await?);
    Ok(found.ok_or_else(|| {
        fail(format!(
            "No member of tenant `{key}` is visible in {}. Nothing was tried.",
            table.title()
        ))
        .hint("name two tenants with members, and connect as a role that can read all of them")
    })?)
}

/// Finds the way of writing a tenant into a request by which A sees something of its own.
async fn calibrate(session: &Session, identities: &mut Identities<'_>, user: &str) -> Result<()> {
    for manner in 0..identities.ways() {
        identities.manner = manner;
        for role in identities.roles() {
            let a = identities.of("a", &role, (Side::A, user), &json!({}));
            for table in identities.tenancy_map.facts.relations.values() {
                let known = table.is_table() && identities.tenancy_map.is_tenant_table(table.oid);
                let readable = !identities
                    .tenancy_map
                    .facts
                    .rights(&role, table.oid)
                    .readable
                    .is_empty();
                if known && readable && owns(session, identities.tenancy_map, table, &a).await? {
                    return Ok(());
                }
            }
        }
    }
    identities.manner = 0;
    Ok(())
}

async fn owns(
    session: &Session,
    tenancy_map: &TenancyMap<'_>,
    relation: &Relation,
    identity: &Identity,
) -> Result<bool> {
    let own = if relation.is_table() {
        tenancy_map.is_of(relation.oid, "t", 0, 0)
    } else {
        Sql::new("true")
    };
    let sql = Sql::fill(
        "SELECT pg_catalog.count(*)::text FROM (SELECT FROM {} AS t WHERE {} LIMIT 1) AS x",
        &[&relation.object(), &own],
    );
    Ok(ask(session, identity, &sql)
        .await?
        .is_ok_and(|count| count != "0"))
}

/// Asks B for rows of its own, then everybody else for the same.
async fn judge(
    session: &Session,
    tenancy_map: &TenancyMap<'_>,
    relation: &Relation,
    pair: &Pair,
) -> Result<Vec<Verdict>> {
    let theirs = match ask(session, &pair.b, &rows(tenancy_map, relation, pair)).await? {
        Ok(text) => serde_json::from_str::<Vec<String>>(&text).unwrap_or_default(),
        Err(refusal) => return Ok(vec![open(relation, &pair.a, &refusal.message)]),
    };
    if theirs.is_empty() {
        let why = format!(
            "tenant b has no rows in {} that are not shared. Choose a tenant with data (tenancy.tenants).",
            relation.title()
        );
        return Ok(vec![open(relation, &pair.a, &why)]);
    }
    let wanted = Sql::join(theirs.iter().map(|row| Literal::new(row.as_str())), ", ");
    let sql = Sql::fill(
        "SELECT pg_catalog.count(*)::text FROM {} AS t WHERE ROW({})::text IN ({})",
        &[
            &relation.object(),
            &names(tenancy_map, relation, pair),
            &wanted,
        ],
    );
    let mut found = Vec::new();
    for identity in std::iter::once(&pair.a).chain(&pair.nobodies) {
        let verdict = match ask(session, identity, &sql).await? {
            Ok(count) if count != "0" => leak(relation, identity, (&count, theirs.len()), &sql),
            Ok(_)
                if identity.title != "a"
                    || owns(session, tenancy_map, relation, identity).await? =>
            {
                let why = format!("none of the {} rows of tenant b was read", theirs.len());
                told(ProbeOutcome::Passed, relation, identity, why)
            }
            Ok(_) => open(
                relation,
                identity,
                "tenant a sees no row of its own either. Choose a tenant with data (tenancy.tenants).",
            ),
            Err(refusal) if refusal.is("42501") && identity.title != "a" => {
                told(ProbeOutcome::Passed, relation, identity, refusal.message)
            }
            Err(refusal) => open(relation, identity, &refusal.message),
        };
        found.push(verdict);
    }
    Ok(found)
}

/// Returns the columns that identify a row: its key if both can read it, else all columns that both can read.
fn names(tenancy_map: &TenancyMap<'_>, relation: &Relation, pair: &Pair) -> Sql {
    let both: Vec<String> = {
        let of = |identity: &Identity| {
            tenancy_map
                .facts
                .rights(&identity.role, relation.oid)
                .readable
        };
        let other: BTreeSet<String> = of(&pair.b).into_iter().collect();
        of(&pair.a)
            .into_iter()
            .filter(|name| other.contains(name))
            .collect()
    };
    let key = tenancy_map.facts.primary_key(relation.oid);
    let told: Vec<String> = if !key.is_empty() && key.iter().all(|name| both.contains(name)) {
        key
    } else {
        both
    };
    Sql::join(
        told.iter()
            .map(|name| Sql::fill("t.{}", &[&Ident::new(name.as_str())])),
        ", ",
    )
}

/// Writes the question for some rows of B that are not meant for everybody.
fn rows(tenancy_map: &TenancyMap<'_>, relation: &Relation, pair: &Pair) -> Sql {
    let tenant = tenancy_map.tenancy.column.as_str();
    let mut conditions = Vec::new();
    if relation.is_table()
        && !matches!(
            tenancy_map.belongs.get(&relation.oid),
            None | Some(TenantLink::Nothing)
        )
    {
        conditions.push(tenancy_map.is_of(relation.oid, "t", 1, 0));
    } else if relation.column(tenant).is_some() {
        conditions.push(Sql::fill(
            "t.{}::text = {}",
            &[
                &Ident::new(tenant),
                &Literal::new(tenancy_map.tenancy.tenants[1].as_str()),
            ],
        ));
    }
    let readable = tenancy_map
        .facts
        .rights(&pair.b.role, relation.oid)
        .readable;
    let sharing = relation.columns.iter().filter(|column| {
        expression_text::suggests_sharing(&column.name) && readable.contains(&column.name)
    });
    conditions.extend(sharing.filter_map(|column| {
        let name = Ident::new(column.name.as_str());
        match column.base.as_str() {
            "bool" => Some(Sql::fill("t.{} IS NOT TRUE", &[&name])),
            "date" | "timestamp" | "timestamptz" => Some(Sql::fill("t.{} IS NULL", &[&name])),
            "text" | "varchar" => Some(Sql::fill(
                "coalesce(t.{}, '') NOT IN ('public', 'published', 'shared', 'everyone', 'global', 'listed', 'world')",
                &[&name],
            )),
            _ => None,
        }
    }));
    conditions.push(Sql::new("true"));
    Sql::fill(
        "SELECT coalesce(pg_catalog.json_agg(x.r)::text, '[]') FROM (SELECT ROW({})::text AS r FROM {} AS t WHERE {} LIMIT {}) AS x",
        &[
            &names(tenancy_map, relation, pair),
            &relation.object(),
            &Sql::join(conditions, " AND "),
            &Sql::printed_by_server(ROWS.to_string()),
        ],
    )
}

/// Asks as a request and leaves no trace of it, not even in the transaction.
async fn ask(
    session: &Session,
    identity: &Identity,
    sql: &Sql,
) -> Result<Result<String, ServerError>> {
    let mut all = Sql::new("SAVEPOINT af_db_probe");
    for one in identity.becoming_as_member() {
        all.push("; ").piece(&one);
    }
    session.run(&all).await.context("becoming the request")?;
    let answer = session.simple_query(sql).await;
    session
        .run(&Sql::new("ROLLBACK TO af_db_probe; RELEASE af_db_probe"))
        .await?;
    match answer {
        Ok(messages) => Ok(Ok(first(&messages).unwrap_or_default())),
        Err(error) => match error
            .downcast_ref::<ServerError>()
            .filter(|server| !server.closed)
        {
            Some(server) => Ok(Err(server.clone())),
            None => Err(error),
        },
    }
}

fn first(messages: &[SimpleQueryMessage]) -> Option<String> {
    messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    })
}

fn told(word: ProbeOutcome, relation: &Relation, identity: &Identity, why: String) -> Verdict {
    let who = (identity.role.as_str(), identity.title.as_str());
    Verdict::plain(word, (relation.title(), "select"), who, why)
}

fn open(relation: &Relation, identity: &Identity, why: &str) -> Verdict {
    told(
        ProbeOutcome::Inconclusive,
        relation,
        identity,
        why.to_owned(),
    )
}

fn leak(
    relation: &Relation,
    identity: &Identity,
    (count, asked): (&str, usize),
    sql: &Sql,
) -> Verdict {
    let class = match (relation.kind.as_str(), relation.protected) {
        ("m", _) => "C04",
        ("v", _) => "C01",
        (_, false) => "A01",
        _ => "B01",
    };
    let mut script = vec!["BEGIN READ ONLY;".to_owned()];
    let request = identity.becoming_as_member();
    script.extend(request.iter().map(|sql| format!("{sql};")));
    script.push(format!("{sql};"));
    script.push("ROLLBACK;".to_owned());
    let why = format!(
        "{count} of {asked} rows of tenant b were read by {}",
        identity.title
    );
    Verdict {
        class: Some(class.to_owned()),
        severity: Some(Weight::Critical),
        rows: count.parse().ok(),
        reproduce: Some(script.join("\n")),
        ..told(ProbeOutcome::Leak, relation, identity, why)
    }
}
