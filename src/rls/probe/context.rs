//! What every probe works with: the database with test rows, the identities, and the verdicts so far.

use std::collections::{BTreeMap, BTreeSet};

use crate::identities::Identities;
use crate::probed_schema::{ProbedSchema, Relation};
use crate::runner::{Identity, ProbeSession};
use crate::schema_copy::SourceInfo;
use crate::seed::insert;
use crate::seed::plan::{SeedPlan, SeedRow};
use crate::seed::tenancy_map::{Side, TenancyMap};
use crate::sql::name::{Ident, Literal};
use crate::sql::safe::Sql;
use crate::verdict::{ProbeOutcome, ProvenBy, Verdict, Weight};

/// The filled copy and what is known of it.
pub(crate) struct ProbeContext<'a> {
    pub(crate) session: &'a ProbeSession<'a>,
    pub(crate) facts: &'a ProbedSchema,
    pub(crate) tenancy_map: &'a TenancyMap<'a>,
    pub(crate) identities: &'a Identities<'a>,
    pub(crate) plan: SeedPlan,
    /// Roles of requests.
    pub(crate) roles: Vec<String>,
    /// Requests by role; the first of each is the usual member of A, or a request without a tenant.
    pub(crate) readers: BTreeMap<String, Vec<Identity>>,
    /// Tables without rows, and why.
    pub(crate) unfilled: BTreeMap<i64, String>,
    /// Roles and relations where A sees its own rows.
    pub(crate) sees: BTreeSet<(String, i64)>,
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) source_info: &'a SourceInfo,
}

/// A leak about to be reported.
pub(crate) struct Leak<'a> {
    pub(crate) object: String,
    pub(crate) command: &'a str,
    pub(crate) identity: &'a Identity,
    pub(crate) class: &'a str,
    pub(crate) weight: Weight,
    pub(crate) why: String,
    pub(crate) rows: Option<i64>,
    pub(crate) exposes: Option<String>,
    pub(crate) script: Option<String>,
    pub(crate) proven_by: ProvenBy,
}

impl<'a> ProbeContext<'a> {
    /// Returns the member of A for each role that has one.
    pub(crate) fn members(&self) -> Vec<Identity> {
        self.readers
            .values()
            .filter_map(|all| all.iter().find(|identity| identity.title == "a"))
            .cloned()
            .collect()
    }

    /// Returns every request of every role.
    pub(crate) fn everyone(&self) -> Vec<Identity> {
        self.readers.values().flatten().cloned().collect()
    }

    /// Returns the relations that hold or show rows.
    pub(crate) fn visible(&self) -> Vec<&'a Relation> {
        self.facts
            .relations
            .values()
            .filter(|relation| relation.is_table() || relation.is_view())
            .collect()
    }

    /// Returns the tables whose rows belong to tenants, partitions included.
    pub(crate) fn tenant_tables(&self) -> Vec<&'a Relation> {
        self.facts
            .relations
            .values()
            .filter(|relation| {
                relation.is_table() && self.tenancy_map.is_tenant_table(relation.oid)
            })
            .collect()
    }

    /// Whether a permissive policy of a table lets a role do this with any row, or the role is held by none.
    pub(crate) fn admits(&self, table: &Relation, role: &str, command: &str) -> bool {
        let letter = match command {
            "select" => "r",
            "insert" => "a",
            "update" => "w",
            _ => "d",
        };
        let Some(found) = self.facts.roles.get(role) else {
            return true;
        };
        let is = |name: &String| name == role || found.has.contains(name);
        found.superuser
            || found.bypass
            || is(&table.owner) && !table.forced
            || self.facts.policies_of(table.oid).any(|policy| {
                policy.permissive
                    && (policy.command == "*" || policy.command == letter)
                    && policy.roles.iter().any(|name| name == "public" || is(name))
            })
    }

    /// Returns a stored row of a side; B's own rather than one it shares.
    pub(crate) fn row(&self, table: i64, side: Side) -> Option<&SeedRow> {
        let of = |row: &&SeedRow| row.table == table && row.side == side && row.stored;
        self.plan
            .rows
            .iter()
            .find(|row| of(row) && row.usual)
            .or_else(|| self.plan.rows.iter().find(of))
    }

    /// Writes the question for B's rows of some tables as one text that changes when any of them does.
    pub(crate) fn watch(&self, tables: &[&Relation]) -> Sql {
        // The row's version changes even where an update writes what stood there already.
        let parts = Sql::join(
            tables.iter().map(|table| {
                let nobody = match self.tenancy_map.tenant_column(table.oid) {
                    Some(column) => Sql::fill("t.{} IS NULL", &[&Ident::new(column)]),
                    None => Sql::new("false"),
                };
                Sql::fill(
                    "(SELECT {} || ' ' || pg_catalog.count(*) FILTER (WHERE b) || ' ' || pg_catalog.md5(coalesce(pg_catalog.string_agg(r, '|' ORDER BY r) FILTER (WHERE b), '')) || ' ' || pg_catalog.md5(coalesce(pg_catalog.string_agg(r, '|' ORDER BY r) FILTER (WHERE n), '')) FROM (SELECT t::text || t.xmin::text AS r, {} AS b, {} AS n FROM {} AS t) AS x)",
                    &[&Literal::new(table.title()), &self.tenancy_map.is_of(table.oid, "t", 1, 0), &nobody, &table.object()],
                )
            }),
            ", ",
        );
        Sql::fill("SELECT pg_catalog.concat_ws(E'\\n', {})", &[&parts])
    }

    /// Adds a leak.
    pub(crate) fn leak(&mut self, leak: Leak<'_>) {
        self.verdicts.push(Verdict {
            verdict: ProbeOutcome::Leak,
            object: leak.object,
            command: leak.command.to_owned(),
            role: leak.identity.role.clone(),
            identity: leak.identity.title.clone(),
            class: Some(leak.class.to_owned()),
            severity: Some(leak.weight),
            proven_by: leak.proven_by,
            exposes: leak.exposes,
            rows: leak.rows,
            reproduce: leak.script,
            why: leak.why,
        });
    }

    /// Adds a verdict that is no leak.
    pub(crate) fn note(
        &mut self,
        verdict: ProbeOutcome,
        object: (String, &str),
        identity: &Identity,
        why: String,
    ) {
        let who = (identity.role.as_str(), identity.title.as_str());
        self.verdicts
            .push(Verdict::plain(verdict, object, who, why));
    }

    /// Writes a script that reproduces an attempt: the rows it needs, the request, the statement, and the rollback.
    pub(crate) fn script(&self, tables: &[i64], identity: &Identity, statements: &[Sql]) -> String {
        let mut lines = vec!["BEGIN;".to_owned(), "-- rows of both tenants".to_owned()];
        let mut needed: BTreeSet<i64> = tables.iter().copied().collect();
        for _ in 0..6 {
            let more: Vec<i64> = self
                .facts
                .constraints
                .iter()
                .filter(|key| needed.contains(&key.table))
                .filter_map(|key| key.target)
                .collect();
            needed.extend(more);
        }
        for members in &self.tenancy_map.members {
            needed.insert(members.table);
        }
        let mut written = BTreeMap::new();
        for row in self
            .plan
            .rows
            .iter()
            .filter(|row| row.stored && row.usual && needed.contains(&row.table))
        {
            let count = written.entry((row.table, row.side)).or_insert(0);
            *count += 1;
            if let (true, Some(table)) = (*count <= 2, self.facts.relations.get(&row.table)) {
                lines.push(format!(
                    "{} ON CONFLICT DO NOTHING;",
                    insert::insert(table, &row.values)
                ));
            }
        }
        lines.push(format!("-- the request: {}", identity.title));
        lines.extend(identity.becoming().iter().map(|sql| format!("{sql};")));
        lines.extend(statements.iter().map(|sql| format!("{sql};")));
        lines.push("ROLLBACK;".to_owned());
        lines.join("\n")
    }
}
