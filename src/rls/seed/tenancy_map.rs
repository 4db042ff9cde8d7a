//! How each table relates to tenancy: how a row identifies its tenant, and which tables hold tenants, users and members.

use std::collections::{BTreeMap, BTreeSet};

use crate::probed_schema::{Constraint, ProbedSchema, Relation};
use crate::seed::condition_solver::SolvedRows;
use crate::seed::matched_settings::{self, MatchedSettings};
use crate::seed::tenancy_survey;
use crate::sql::name::{Ident, Literal};
use crate::sql::safe::Sql;
use crate::tenancy::Tenancy;

/// Whose rows they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    /// The tenant who tries.
    A,
    /// The tenant tried on.
    B,
    /// A tenant whose key looks like another's.
    Like,
    /// No tenant: the column is null, or the table has no tenant.
    Nobody,
}

/// How a row identifies its tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TenantLink {
    /// A column holds the tenant's key.
    Column(String),
    /// A column holds a user.
    User(String),
    /// The referenced row identifies the tenant.
    Via(Constraint),
    /// The referencing rows of a joining table identify the tenant.
    Through(Constraint),
    /// Not at all.
    Nothing,
}

impl PartialEq for Constraint {
    fn eq(&self, other: &Self) -> bool {
        self.table == other.table && self.name == other.name
    }
}

impl Eq for Constraint {}

/// A table that says which user belongs to which tenant.
#[derive(Clone, Debug)]
pub(crate) struct MembershipTable {
    pub(crate) table: i64,
    pub(crate) user: String,
    pub(crate) tenant: String,
}

/// The database as tenancy sees it.
pub(crate) struct TenancyMap<'a> {
    pub(crate) facts: &'a ProbedSchema,
    pub(crate) tenancy: &'a Tenancy,
    /// How the rows of each table identify their tenant.
    pub(crate) belongs: BTreeMap<i64, TenantLink>,
    /// The table of tenants.
    pub(crate) root: Option<i64>,
    /// Tables that say who is a member of what.
    pub(crate) members: Vec<MembershipTable>,
    /// The type of a user's key.
    pub(crate) user_type: String,
    /// Keys of tenants that look like another's.
    pub(crate) likes: Vec<String>,
    /// All expressions that decide about a table's rows, by table.
    pub(crate) texts: BTreeMap<i64, Vec<String>>,
    /// Values that make the conditions on a table's rows true, by table.
    pub(crate) solved: SolvedRows,
    /// What requests and rows agree on beside the tenant.
    pub(crate) agreed: MatchedSettings,
}

/// Schemas that a platform brings; they are filled only where something of the user's needs them.
const PLATFORM: [&str; 13] = [
    "auth",
    "storage",
    "realtime",
    "vault",
    "extensions",
    "graphql",
    "graphql_public",
    "pgsodium",
    "supabase_functions",
    "supabase_migrations",
    "cron",
    "net",
    "af_db",
];

/// Whether a schema comes with a platform.
pub(crate) fn is_platform(schema: &str) -> bool {
    PLATFORM.contains(&schema)
}

impl<'a> TenancyMap<'a> {
    /// Classifies every table.
    pub(crate) fn survey(facts: &'a ProbedSchema, tenancy: &'a Tenancy) -> Self {
        let mut tenancy_map = TenancyMap {
            facts,
            tenancy,
            belongs: BTreeMap::new(),
            root: None,
            members: Vec::new(),
            user_type: "text".to_owned(),
            likes: Vec::new(),
            texts: tenancy_survey::texts(facts),
            solved: SolvedRows::new(),
            agreed: matched_settings::agree(facts, tenancy),
        };
        tenancy_map.root = tenancy_map.find_root();
        tenancy_map.belong();
        tenancy_map.find_members();
        tenancy_map.user_type = tenancy_map.find_user_type();
        tenancy_map.belong_by_user();
        tenancy_map.belong_by_joining();
        tenancy_map.likes = tenancy_map.find_likes();
        tenancy_map
    }

    /// Returns the tables that can be filled, parents before children.
    pub(crate) fn order(&self) -> Vec<&'a Relation> {
        let wanted = self.wanted();
        let mut left: Vec<&Relation> = self
            .facts
            .relations
            .values()
            .filter(|relation| {
                relation.is_table() && !relation.is_partition && wanted.contains(&relation.oid)
            })
            .collect();
        left.sort_by_key(|relation| relation.title());
        let mut order: Vec<&Relation> = Vec::new();
        let mut placed = BTreeSet::new();
        while !left.is_empty() {
            let ready = left
                .iter()
                .position(|table| self.waits_for(table, &placed, &left, true))
                .or_else(|| {
                    left.iter()
                        .position(|table| self.waits_for(table, &placed, &left, false))
                })
                .unwrap_or(0);
            let table = left.remove(ready);
            placed.insert(table.oid);
            order.push(table);
        }
        order
    }

    /// Whether all parents of a table stand already; without `strict`, only those it cannot do without.
    fn waits_for(
        &self,
        table: &Relation,
        placed: &BTreeSet<i64>,
        left: &[&Relation],
        strict: bool,
    ) -> bool {
        self.facts.foreign_keys(table.oid).all(|key| {
            let Some(target) = key.target else {
                return true;
            };
            let optional = key
                .columns
                .iter()
                .any(|name| table.column(name).is_some_and(|column| !column.required));
            target == table.oid
                || placed.contains(&target)
                || !left.iter().any(|other| other.oid == target)
                || (!strict && optional)
        })
    }

    /// Returns the user's own tables and what they need of others.
    fn wanted(&self) -> BTreeSet<i64> {
        let mut wanted: BTreeSet<i64> = self
            .facts
            .relations
            .values()
            .filter(|relation| relation.is_table() && !is_platform(&relation.schema))
            .map(|relation| relation.oid)
            .collect();
        for title in &self.tenancy.tables {
            wanted.extend(self.facts.find(title).map(|relation| relation.oid));
        }
        for policy in &self.facts.policies {
            if wanted.contains(&policy.table) {
                wanted.extend(policy.reads.iter().copied());
            }
        }
        loop {
            let before = wanted.len();
            for constraint in &self.facts.constraints {
                if wanted.contains(&constraint.table) {
                    wanted.extend(constraint.target);
                }
            }
            if wanted.len() == before {
                return wanted;
            }
        }
    }

    /// Whether a table holds rows of tenants.
    pub(crate) fn is_tenant_table(&self, table: i64) -> bool {
        !matches!(self.belongs.get(&table), None | Some(TenantLink::Nothing))
    }

    /// Whether a person declared the table.
    pub(crate) fn is_declared(&self, table: &Relation) -> bool {
        self.tenancy.tables.iter().any(|title| {
            self.facts
                .find(title)
                .is_some_and(|found| found.oid == table.oid)
        })
    }

    pub(super) fn is_shared(&self, table: &Relation) -> bool {
        self.tenancy.shared.iter().any(|title| {
            self.facts
                .find(title)
                .is_some_and(|found| found.oid == table.oid)
        })
    }

    /// Returns the column of a table that holds the tenant, if it has one.
    pub(crate) fn tenant_column(&self, table: i64) -> Option<&str> {
        match self.belongs.get(&table) {
            Some(TenantLink::Column(name)) => Some(name),
            _ => None,
        }
    }

    /// Returns the key of a side's tenant.
    pub(crate) fn key(&self, side: Side, number: usize) -> Option<String> {
        match side {
            Side::A => Some(self.tenancy.tenants[0].clone()),
            Side::B => Some(self.tenancy.tenants[1].clone()),
            Side::Like => self.likes.get(number % self.likes.len().max(1)).cloned(),
            Side::Nobody => None,
        }
    }

    /// Returns the key of a user: 0 is the usual one of a side.
    pub(crate) fn user(&self, side: Side, number: usize) -> String {
        if self.tenancy.is_by_user()
            && number == 0
            && let Some(key) = self.key(side, 0)
        {
            return key;
        }
        let (letter, digit) = match side {
            Side::A => ("a", 1),
            Side::B => ("b", 2),
            Side::Like => ("c", 3),
            Side::Nobody => ("d", 4),
        };
        match self.user_type.as_str() {
            "uuid" => format!("{letter}0af0db0-0000-4000-8000-{number:012}"),
            "int2" | "int4" | "int8" | "numeric" => format!("{}", 7000 + digit * 500 + number),
            _ => format!("user-{letter}{number}"),
        }
    }

    /// Returns the condition that a row, known as `alias`, is of this tenant.
    pub(crate) fn is_of(
        &self,
        table: i64,
        alias: &'static str,
        tenant: usize,
        depth: usize,
    ) -> Sql {
        let name = Ident::new(alias);
        let key = &self.tenancy.tenants[tenant];
        match self.belongs.get(&table) {
            Some(TenantLink::Column(column)) => Sql::fill(
                "({}.{}::text = {} OR pg_catalog.starts_with({}.{}::text, {}))",
                &[
                    &name,
                    &Ident::new(column.as_str()),
                    &Literal::new(key.as_str()),
                    &name,
                    &Ident::new(column.as_str()),
                    &Literal::new(format!("{key}/")),
                ],
            ),
            Some(TenantLink::User(column)) => {
                let side = if tenant == 0 { Side::A } else { Side::B };
                let users = Sql::join(
                    (0..12).map(|number| Literal::new(self.user(side, number))),
                    ", ",
                );
                Sql::fill(
                    "{}.{}::text IN ({})",
                    &[&name, &Ident::new(column.as_str()), &users],
                )
            }
            Some(belongs @ (TenantLink::Via(key) | TenantLink::Through(key))) if depth < 6 => {
                let up = matches!(belongs, TenantLink::Via(_));
                let parent = if up { key.target } else { Some(key.table) };
                let Some(parent) = parent.and_then(|parent| self.facts.relations.get(&parent))
                else {
                    return Sql::new("false");
                };
                let (near, far) = if up {
                    (&key.columns, &key.target_columns)
                } else {
                    (&key.target_columns, &key.columns)
                };
                const ALIASES: [&str; 6] = ["p1", "p2", "p3", "p4", "p5", "p6"];
                let other = ALIASES[depth];
                let pairs = Sql::join(
                    near.iter().zip(far).map(|(own, theirs)| {
                        Sql::fill(
                            "{}.{} = {}.{}",
                            &[
                                &name,
                                &Ident::new(own.as_str()),
                                &Ident::new(other),
                                &Ident::new(theirs.as_str()),
                            ],
                        )
                    }),
                    " AND ",
                );
                Sql::fill(
                    "EXISTS (SELECT FROM {} AS {} WHERE {} AND {})",
                    &[
                        &parent.object(),
                        &Ident::new(other),
                        &pairs,
                        &self.is_of(parent.oid, other, tenant, depth + 1),
                    ],
                )
            }
            _ => Sql::new("false"),
        }
    }
}
