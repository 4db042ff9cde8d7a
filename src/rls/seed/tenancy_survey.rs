//! Finds out how each table relates to tenancy, from columns, keys, policies and the functions they call.

use std::collections::{BTreeMap, BTreeSet};

use crate::expression_text;
use crate::probed_schema::{Column, ProbedSchema, Relation};
use crate::seed::tenancy_map::{MembershipTable, TenancyMap, TenantLink};

impl TenancyMap<'_> {
    pub(super) fn find_root(&self) -> Option<i64> {
        let by_key = self.facts.constraints.iter().find_map(|key| {
            let single =
                key.kind == "f" && key.columns.len() == 1 && key.columns[0] == self.tenancy.column;
            key.target.filter(|target| single && *target != key.table)
        });
        by_key.or_else(|| {
            let stem = self
                .tenancy
                .column
                .trim_end_matches("_id")
                .trim_end_matches("_slug");
            self.facts
                .relations
                .values()
                .filter(|table| table.is_table() && table.column(&self.tenancy.column).is_none())
                .find(|table| {
                    (table.name == stem
                        || table.name == format!("{stem}s")
                        || table.name == "tenants")
                        && self.facts.primary_key(table.oid).len() == 1
                })
                .map(|table| table.oid)
        })
    }

    pub(super) fn belong(&mut self) {
        for table in self.facts.relations.values() {
            if !table.is_table() && table.kind != "f" {
                continue;
            }
            let belongs = if self.is_shared(table) {
                TenantLink::Nothing
            } else {
                self.by_column(table)
            };
            self.belongs.insert(table.oid, belongs);
        }
        // A child without a column of its own belongs where its parent does; declared children come by it at any depth.
        for _ in 0..4 {
            for table in self.facts.relations.values() {
                if self.belongs.get(&table.oid) != Some(&TenantLink::Nothing)
                    || self.is_shared(table)
                    || Some(table.oid) == self.root
                {
                    continue;
                }
                let parent = self.facts.foreign_keys(table.oid).find(|key| {
                    let target = key.target.unwrap_or_default();
                    target != table.oid && self.is_tenant_table(target) && Some(target) != self.root
                });
                if let Some(key) = parent {
                    self.belongs.insert(table.oid, TenantLink::Via(key.clone()));
                }
            }
        }
    }

    /// A table without a tenant may get it from a joining table that its policies query.
    pub(super) fn belong_by_joining(&mut self) {
        for table in self.facts.relations.values() {
            if !table.is_table()
                || self.belongs.get(&table.oid) != Some(&TenantLink::Nothing)
                || self.is_shared(table)
                || Some(table.oid) == self.root
            {
                continue;
            }
            let asked = |joining: i64| {
                self.facts
                    .policies_of(table.oid)
                    .any(|policy| policy.reads.contains(&joining))
            };
            let joining = self.facts.constraints.iter().find(|key| {
                key.kind == "f"
                    && key.target == Some(table.oid)
                    && key.table != table.oid
                    && self.is_tenant_table(key.table)
                    && asked(key.table)
                    && !self
                        .members
                        .iter()
                        .any(|members| members.table == key.table)
            });
            if let Some(key) = joining {
                self.belongs
                    .insert(table.oid, TenantLink::Through(key.clone()));
            }
        }
    }

    fn by_column(&self, table: &Relation) -> TenantLink {
        if Some(table.oid) == self.root {
            // The table of tenants is a directory unless it was declared.
            let keys = self.facts.primary_key(table.oid);
            return match keys.as_slice() {
                [key] if self.is_declared(table) || table.protected => {
                    TenantLink::Column(key.clone())
                }
                _ => TenantLink::Nothing,
            };
        }
        if table.column(&self.tenancy.column).is_some() {
            return TenantLink::Column(self.tenancy.column.clone());
        }
        let to_root = self
            .facts
            .foreign_keys(table.oid)
            .find(|key| key.target.is_some() && key.target == self.root && key.columns.len() == 1);
        to_root.map_or(TenantLink::Nothing, |key| {
            TenantLink::Column(key.columns[0].clone())
        })
    }

    pub(super) fn find_members(&mut self) {
        let declared = self
            .tenancy
            .membership
            .as_deref()
            .and_then(|title| self.facts.find(title));
        let mut candidates: Vec<i64> = declared.map(|table| table.oid).into_iter().collect();
        for policy in &self.facts.policies {
            candidates.extend(&policy.reads);
        }
        for (function, body) in self
            .facts
            .functions
            .values()
            .map(|function| (function, function.body()))
        {
            if !function.definer
                && !self
                    .facts
                    .policies
                    .iter()
                    .any(|policy| policy.calls.contains(&function.oid))
            {
                continue;
            }
            candidates.extend(
                self.facts
                    .relations
                    .values()
                    .filter(|table| {
                        table.is_table() && expression_text::mentions(body, &table.name)
                    })
                    .map(|table| table.oid),
            );
        }
        let mut seen = BTreeSet::new();
        for oid in candidates {
            let Some(table) = self.facts.relations.get(&oid).filter(|_| seen.insert(oid)) else {
                continue;
            };
            let is_declared = declared.is_some_and(|found| found.oid == oid);
            if let Some(members) = self.as_members(table, is_declared) {
                self.members.push(members);
            }
        }
    }

    fn as_members(&self, table: &Relation, declared: bool) -> Option<MembershipTable> {
        if self.tenancy.is_by_user() {
            return None;
        }
        let tenant = self.tenant_column(table.oid).map(str::to_owned)?;
        let keys = self.facts.primary_key(table.oid);
        let fits = |column: &&Column| {
            column.name != tenant
                && matches!(
                    column.base.as_str(),
                    "uuid" | "text" | "varchar" | "int4" | "int8" | "name" | "citext"
                )
        };
        let user = table
            .columns
            .iter()
            .filter(fits)
            .find(|column| {
                expression_text::suggests_user(&column.name)
                    && column.name != "created_by"
                    && column.name != "invited_by"
            })
            .or_else(|| {
                // A profile's own key is the user.
                let own = table
                    .columns
                    .iter()
                    .filter(fits)
                    .find(|column| keys == [column.name.clone()] && column.base == "uuid");
                own.filter(|_| {
                    declared || expression_text::suggests_user(table.name.trim_end_matches('s'))
                })
            })?;
        Some(MembershipTable {
            table: table.oid,
            user: user.name.clone(),
            tenant,
        })
    }

    pub(super) fn find_user_type(&self) -> String {
        let base = |table: i64, name: &str| {
            self.facts
                .relations
                .get(&table)?
                .column(name)
                .map(|column| column.base.clone())
        };
        if let Some(found) = self
            .members
            .first()
            .and_then(|members| base(members.table, &members.user))
        {
            return found;
        }
        if self.tenancy.is_by_user() {
            let typed = self
                .facts
                .relations
                .values()
                .find_map(|table| table.column(&self.tenancy.column));
            return typed.map_or_else(|| "uuid".to_owned(), |column| column.base.clone());
        }
        let users = self.facts.relations.values().find(|table| {
            table.is_table() && matches!(table.name.as_str(), "users" | "profiles" | "accounts")
        });
        let own = users.and_then(|table| {
            let keys = self.facts.primary_key(table.oid);
            base(table.oid, keys.first()?)
        });
        own.unwrap_or_else(|| {
            if self.tenancy.speaks_claims() {
                "uuid"
            } else {
                "text"
            }
            .to_owned()
        })
    }

    /// Declared tables that know no tenant may still know a user.
    pub(super) fn belong_by_user(&mut self) {
        for table in self.facts.relations.values() {
            if !self.is_declared(table)
                || self.belongs.get(&table.oid) != Some(&TenantLink::Nothing)
            {
                continue;
            }
            let keys = self.facts.primary_key(table.oid);
            let column = table
                .columns
                .iter()
                .find(|column| {
                    column.base == self.user_type && expression_text::suggests_user(&column.name)
                })
                .or_else(|| {
                    table.columns.iter().find(|column| {
                        keys == [column.name.clone()] && column.base == self.user_type
                    })
                });
            if let Some(column) = column {
                self.belongs
                    .insert(table.oid, TenantLink::User(column.name.clone()));
            }
        }
    }

    /// Makes keys that a sloppy comparison confuses with A's or B's.
    pub(super) fn find_likes(&self) -> Vec<String> {
        let base = self
            .facts
            .relations
            .values()
            .find_map(|table| table.column(self.tenancy.column.as_str()));
        let textual = base.is_some_and(|column| {
            matches!(
                column.base.as_str(),
                "text" | "varchar" | "bpchar" | "citext" | "name"
            )
        });
        let [a, b] = &self.tenancy.tenants;
        // Where tenants are roles, one that is none means nothing to the server.
        let are_roles = self.facts.roles.contains_key(a) && self.facts.roles.contains_key(b);
        if !textual || are_roles || self.tenancy.is_by_user() {
            return Vec::new();
        }
        let swapped: String = a
            .chars()
            .map(|c| {
                if c.is_lowercase() {
                    c.to_ascii_uppercase()
                } else {
                    c.to_ascii_lowercase()
                }
            })
            .collect();
        let likes = [
            format!("{a}-labs"),
            format!("my{a}"),
            format!("{a}x"),
            swapped,
            a.replacen(['-', '.'], "_", 1),
        ];
        let mut seen = BTreeSet::from([a.clone(), b.clone()]);
        let longest = base
            .and_then(|column| column.length)
            .and_then(|length| usize::try_from(length).ok())
            .filter(|length| *length > 0);
        likes
            .into_iter()
            .filter(|like| longest.is_none_or(|longest| like.chars().count() <= longest))
            .filter(|like| seen.insert(like.clone()))
            .collect()
    }
}

/// Collects what decides about the rows of each table: its policies, the functions they call, the views over it.
pub(super) fn texts(facts: &ProbedSchema) -> BTreeMap<i64, Vec<String>> {
    let mut texts: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for policy in &facts.policies {
        let own = texts.entry(policy.table).or_default();
        own.push(policy.text());
        own.extend(
            policy
                .calls
                .iter()
                .filter_map(|call| Some(facts.functions.get(call)?.body().to_owned())),
        );
        for other in &policy.reads {
            texts.entry(*other).or_default().push(policy.text());
        }
    }
    for view in facts
        .relations
        .values()
        .filter(|relation| relation.is_view())
    {
        for read in &view.reads {
            texts
                .entry(*read)
                .or_default()
                .extend(view.definition.clone());
        }
    }
    for function in facts.functions.values() {
        for table in facts
            .relations
            .values()
            .filter(|relation| relation.is_table())
        {
            if expression_text::mentions(function.body(), &table.name) {
                texts
                    .entry(table.oid)
                    .or_default()
                    .push(function.body().to_owned());
            }
        }
    }
    for table in facts
        .relations
        .values()
        .filter(|relation| relation.is_partition)
    {
        for parent in &table.parents {
            let own = texts.get(&table.oid).cloned().unwrap_or_default();
            texts.entry(*parent).or_default().extend(own);
        }
    }
    texts
}
