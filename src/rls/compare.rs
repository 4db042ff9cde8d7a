//! Compares the declared policies with a database: what differs, whose access is extra or missing, and the SQL that fixes the difference.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use anyhow::Result;

use crate::access::AccessAnalysis;
use crate::catalog::{Catalog, Key, Kind};
use crate::declared::Declared;
use crate::declared::expand::{self, ExpandedPolicies};
use crate::difference;
use crate::explain::explain;
use crate::finding::Finding;
use crate::fix_sql;
use crate::normalize::{self, Condition};
use crate::pg::session::Session;
use crate::rights::{Grant, PUBLIC, Rights, Roles, TableSecurity};
use crate::sql::safe::Sql;
use crate::yaml::nearest;

/// What a comparison came to.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// What differs, in order of objects.
    pub findings: Vec<Finding>,
    /// The statements that apply the declared policies, in an order that never opens access in between.
    pub up: Vec<Sql>,
    /// The statements that make it again what it was.
    pub down: Vec<Sql>,
    /// How many tables are covered.
    pub tables: usize,
    /// How many policies they are declared to have.
    pub policies: usize,
}

/// The code of a finding about the declarations themselves, which no statement fixes.
pub const DECLARED: &str = "rls-declared";

/// Compares; the catalog was read from the session's database with its roles.
///
/// `column` is what the project calls the tenant's column outside of the policy set.
pub async fn compare(
    session: &Session,
    catalog: &Catalog,
    declared: &Declared,
    column: Option<&str>,
) -> Result<Comparison> {
    let roles = Roles::of(catalog);
    let mut found = Rights::of(catalog, &roles);
    let mut wanted = expand::expand(declared, catalog, column);
    look_for_roles(&mut wanted, &roles);
    let unsettled = settle_all(session, catalog, &mut wanted).await?;
    align(catalog, &roles, &mut wanted, &mut found, &unsettled);
    let judge = AccessAnalysis {
        catalog,
        roles: &roles,
        read: RefCell::new(HashMap::new()),
    };
    let differences = difference::between(&wanted.rights, &found, &judge);
    let back = difference::between(&found, &wanted.rights, &judge);
    let mut findings = std::mem::take(&mut wanted.findings);
    findings.extend(explain(&differences, &wanted, &found, &judge));
    let covered = wanted.rights.tables.iter();
    Ok(Comparison {
        findings,
        up: fix_sql::statements(&differences, &wanted.rights, &found),
        down: fix_sql::statements(&back, &found, &wanted.rights),
        tables: wanted
            .places
            .keys()
            .filter(|key| key.kind == Kind::Table)
            .count(),
        policies: covered.map(|(_, rows)| rows.policies.len()).sum(),
    })
}

fn look_for_roles(wanted: &mut ExpandedPolicies, roles: &Roles) {
    for (role, place) in &wanted.roles {
        if roles.knows(role) {
            continue;
        }
        let mut finding =
            Finding::error(DECLARED, role, "the role does not exist").place(place.clone());
        let near = nearest(role, roles.names());
        finding.help = Some(near.map_or_else(
            || format!("create the role in a migration: CREATE ROLE {role} NOLOGIN"),
            |near| format!("did you mean `{near}`?"),
        ));
        wanted.findings.push(finding);
    }
}

/// Has PostgreSQL print every condition; gives the tables of which one was refused.
async fn settle_all(
    session: &Session,
    catalog: &Catalog,
    wanted: &mut ExpandedPolicies,
) -> Result<BTreeSet<Key>> {
    let mut conditions = BTreeSet::new();
    for (table, rows) in &wanted.rights.tables {
        for policy in &rows.policies {
            for text in [&policy.using, &policy.check].into_iter().flatten() {
                conditions.insert(condition(table, text));
            }
        }
    }
    for (table, own) in &wanted.own {
        conditions.insert(condition(table, own));
    }
    let settled = normalize::settle(session, catalog, &conditions).await?;
    let mut refused = BTreeSet::new();
    let mut findings = Vec::new();
    for (table, rows) in &mut wanted.rights.tables {
        for policy in &mut rows.policies {
            let mut told = false;
            let place = policy.place.clone();
            for text in [&mut policy.using, &mut policy.check].into_iter().flatten() {
                match settled.get(&condition(table, text)) {
                    Some(Ok(printed)) => *text = printed.clone(),
                    Some(Err(error)) if !told => {
                        told = true;
                        let subject = format!("{} on {}", policy.name, table.qualified());
                        let mut finding = Finding::error(DECLARED, subject, &error.message);
                        finding.place.clone_from(&place);
                        finding.help.clone_from(&error.hint);
                        finding.detail = Some(text.clone());
                        findings.push(finding);
                        refused.insert(table.clone());
                    }
                    _ => {}
                }
            }
        }
    }
    wanted.own = std::mem::take(&mut wanted.own)
        .into_iter()
        .filter_map(|(table, own)| {
            let printed = settled
                .get(&condition(&table, &own))?
                .as_ref()
                .ok()?
                .clone();
            Some((table, printed))
        })
        .collect();
    findings.dedup_by(|a, b| (&a.place, &a.message) == (&b.place, &b.message));
    wanted.findings.extend(findings);
    Ok(refused)
}

fn condition(table: &Key, text: &str) -> Condition {
    Condition {
        table: table.clone(),
        text: text.to_owned(),
    }
}

/// Leaves out on both sides what nothing is declared about.
fn align(
    catalog: &Catalog,
    roles: &Roles,
    wanted: &mut ExpandedPolicies,
    found: &mut Rights,
    unsettled: &BTreeSet<Key>,
) {
    found
        .tables
        .retain(|key, _| catalog.objects.contains_key(key) && !wanted.excepted.contains(key));
    for (key, have) in &found.tables {
        let want = wanted
            .rights
            .tables
            .entry(key.clone())
            .or_insert_with(|| TableSecurity {
                enabled: have.enabled,
                forced: have.forced,
                policies: Vec::new(),
            });
        if unsettled.contains(key) {
            want.policies.clone_from(&have.policies);
        }
    }
    let is_supabase = roles.names().any(|role| role == "supabase_admin");
    let exact = &wanted.exact;
    let is_left_alone = |grant: &Grant| {
        let object = difference::object_of(grant);
        let platform = is_supabase
            && (matches!(&*grant.grantee, "postgres" | "dashboard_user")
                || grant.grantee.starts_with("supabase_"));
        platform || wanted.excepted.contains(&object) || !exact.contains(&object) && is_usual(grant)
    };
    found.grants.retain(|grant| !is_left_alone(grant));
}

/// Whether PostgreSQL grants this by itself, or grants nothing by it alone.
pub(crate) fn is_usual(grant: &Grant) -> bool {
    let public = grant.grantee == PUBLIC;
    match grant.on.kind {
        Kind::Function | Kind::Procedure | Kind::Aggregate => public && grant.privilege == 'X',
        Kind::Schema => &*grant.on.name == "public" && grant.privilege == 'U',
        Kind::DefaultPrivileges => match &*grant.on.part {
            "FUNCTIONS" => public,
            "TYPES" => true,
            _ => false,
        },
        _ => false,
    }
}
