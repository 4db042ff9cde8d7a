//! Advice on isolation and its cost from the catalog alone, one file per rule.
//!
//! Each finding names a cause and the statement that fixes it; [`crate::prove`] shows whether rows are really accessible.

mod always_true;
mod auth_users;
mod default_privileges;
mod definer_function;
mod definer_view;
mod forgeable_claim;
mod fragile_types;
mod frozen_time;
mod keys;
mod leakproof;
mod materialized_view;
mod multiple_permissive;
mod nullable_tenant;
mod owner;
mod per_row;
mod platform;
mod search_path;
mod security_off;
mod sensitive;
mod truncate;
mod unindexed;

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Catalog, Key, Kind};
use crate::difference::object_of;
use crate::finding::Finding;
use crate::rights::{Grant, PUBLIC, Rights, Roles};
use crate::sql::name::Ident;

pub use self::platform::{Extension, PlatformObjects};

/// What rules look at.
pub(crate) struct AdviceContext<'a> {
    catalog: &'a Catalog,
    platform: &'a PlatformObjects,
    roles: &'a Roles,
    rights: Rights,
    grants: BTreeMap<Key, BTreeSet<Grant>>,
    /// The roles a request may have.
    requests: Vec<String>,
    /// The column that names the tenant.
    column: Option<&'a str>,
}

/// What everybody is called in messages.
const EVERYBODY: &str = "everybody";

type Rule = fn(&AdviceContext<'_>) -> Vec<Finding>;

const RULES: &[Rule] = &[
    security_off::check,
    owner::check,
    always_true::check,
    forgeable_claim::check,
    frozen_time::check,
    nullable_tenant::check,
    definer_view::check,
    auth_users::check,
    materialized_view::check,
    definer_function::check,
    search_path::check,
    leakproof::check,
    truncate::check,
    sensitive::check,
    default_privileges::check,
    unindexed::check,
    per_row::check,
    multiple_permissive::check,
    keys::check,
    fragile_types::check,
    platform::check,
];

/// Returns advice about a catalog that was read with its roles, and about what lies beside it.
///
/// `requests` are the roles a request may have; `column` names the tenant.
pub fn advise(
    catalog: &Catalog,
    platform: &PlatformObjects,
    requests: &[String],
    column: Option<&str>,
) -> Vec<Finding> {
    let roles = Roles::of(catalog);
    let rights = Rights::of(catalog, &roles);
    let mut grants: BTreeMap<Key, BTreeSet<Grant>> = BTreeMap::new();
    for grant in &rights.grants {
        let of_object = grants.entry(object_of(grant)).or_default();
        of_object.insert(grant.clone());
    }
    let requests = self::requests(requests)
        .into_iter()
        .filter(|role| !roles.is_exempt(role))
        .collect();
    let context = AdviceContext {
        catalog,
        platform,
        roles: &roles,
        rights,
        grants,
        requests,
        column,
    };
    let mut findings: Vec<Finding> = RULES.iter().flat_map(|rule| rule(&context)).collect();
    findings.sort_by(|left, right| (&left.subject, &left.code).cmp(&(&right.subject, &right.code)));
    findings
}

/// Returns the roles a request may have: those that are named, else those of the platform.
fn requests(named: &[String]) -> Vec<String> {
    let usual = ["anon", "authenticated"].map(str::to_owned);
    let named = if named.is_empty() { &usual[..] } else { named };
    named
        .iter()
        .filter(|role| *role != "service_role")
        .cloned()
        .collect()
}

impl AdviceContext<'_> {
    /// Returns the request roles, and everybody, that hold any of the privileges on an object or a column of it.
    fn holders(&self, key: &Key, privileges: &str) -> Vec<String> {
        let object = if key.kind.is_relation() && !self.grants.contains_key(key) {
            Key::named(Kind::Table, &key.schema, &key.name)
        } else {
            key.clone()
        };
        let Some(grants) = self.grants.get(&object) else {
            return Vec::new();
        };
        let holds = |role: &str| {
            let reached = self.roles.reach(role);
            grants.iter().any(|grant| {
                privileges.contains(grant.privilege) && reached.contains(grant.grantee.as_str())
            })
        };
        if holds(PUBLIC) {
            return vec![EVERYBODY.to_owned()];
        }
        let holding = self.requests.iter().filter(|role| holds(role));
        holding.cloned().collect()
    }

    /// Writes holders for a `REVOKE … FROM`.
    fn revoked(&self, holders: &[String]) -> String {
        let names = holders.iter().map(|holder| match holder.as_str() {
            EVERYBODY => "PUBLIC".to_owned(),
            role => Ident::new(role).to_string(),
        });
        names.collect::<Vec<_>>().join(", ")
    }

    /// Whether a table has the column that names the tenant.
    fn is_tenant(&self, table: &Key) -> bool {
        self.column.is_some_and(|column| {
            let part = Key::part(Kind::Column, &table.schema, &table.name, column);
            self.catalog.objects.contains_key(&part)
        })
    }

    /// Walks every policy with its table, as it is printed.
    fn conditions(&self) -> impl Iterator<Item = (&Key, &crate::rights::Policy, &str)> {
        let tables = self.rights.tables.iter();
        tables.flat_map(|(table, rows)| {
            rows.policies.iter().flat_map(move |policy| {
                let texts = [policy.using.as_deref(), policy.check.as_deref()];
                let mut said = texts.into_iter().flatten().collect::<Vec<_>>();
                said.dedup();
                said.into_iter().map(move |text| (table, policy, text))
            })
        })
    }

    /// Whether any of what an object needs, near or far, passes the test.
    fn needs(&self, key: &Key, test: &dyn Fn(&Key) -> bool) -> bool {
        let mut seen: BTreeSet<&Key> = BTreeSet::new();
        let mut left: Vec<&Key> = self
            .catalog
            .get(key)
            .map(|object| object.needs.iter().collect())
            .unwrap_or_default();
        while let Some(next) = left.pop() {
            if !seen.insert(next) {
                continue;
            }
            let table = crate::rights::table_of(next);
            if test(next) || next.kind == Kind::Column && test(&table) {
                return true;
            }
            left.extend(
                self.catalog
                    .get(next)
                    .iter()
                    .flat_map(|object| &object.needs),
            );
        }
        false
    }
}

/// Joins names as a person lists them.
fn list(names: &[String]) -> String {
    names.join(" and ")
}
