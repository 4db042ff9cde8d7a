//! Plans the test rows: for each table and tenant the usual rows, their variants, the members of every rank, and the
//! stage in which the proof needs them.

use std::collections::BTreeMap;

use crate::expression_text;
use crate::probed_schema::{Constraint, Relation};
use crate::seed::row_values;
use crate::seed::row_variants::{self, RowVariant};
use crate::seed::tenancy_map::{Side, TenancyMap, TenantLink, is_platform};
use crate::seed::values::Value;

/// When a row is put in. What A and strangers see is read before and after [`SeedStage::Private`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SeedStage {
    /// Rows without a tenant: directories, users, lookups.
    Common,
    /// What is A's.
    Own,
    /// What is B's and declares itself to be everybody's.
    Shared,
    /// What is B's alone.
    Private,
}

/// A row to be put in, and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct SeedRow {
    pub(crate) table: i64,
    pub(crate) side: Side,
    pub(crate) stage: SeedStage,
    pub(crate) values: BTreeMap<String, Value>,
    /// Whether a table without it counts as unfilled.
    pub(crate) usual: bool,
    /// Whether it is in.
    pub(crate) stored: bool,
}

/// A user who is a member in a particular way.
#[derive(Clone, Debug)]
pub(crate) struct MemberKind {
    /// What is particular, such as `role admin`.
    pub(crate) title: String,
    pub(crate) user: String,
}

/// All rows in the order of their tables, and the users they make.
#[derive(Default)]
pub(crate) struct SeedPlan {
    pub(crate) rows: Vec<SeedRow>,
    pub(crate) kinds: Vec<MemberKind>,
    pub(super) number: usize,
}

/// What is particular about one row.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowRequest {
    pub(crate) variant: RowVariant,
    /// Which of several possible parents, partitions and users.
    pub(crate) turn: usize,
    /// Only what cannot be left out.
    pub(crate) lean: bool,
}

/// Plans every row.
pub(crate) fn plan(tenancy_map: &TenancyMap<'_>) -> SeedPlan {
    let mut plan = SeedPlan::default();
    for table in tenancy_map.order() {
        match tenancy_map.belongs.get(&table.oid) {
            None | Some(TenantLink::Nothing) => plan.common(tenancy_map, table),
            Some(belongs) => {
                let nullable = matches!(belongs, TenantLink::Column(name) if table.column(name).is_some_and(|column| !column.required));
                if nullable && Some(table.oid) != tenancy_map.root {
                    plan.push(
                        tenancy_map,
                        table,
                        (Side::Nobody, SeedStage::Common),
                        &RowRequest::default(),
                    );
                }
                plan.of_tenants(tenancy_map, table);
                plan.members(tenancy_map, table);
            }
        }
    }
    plan
}

impl SeedPlan {
    fn common(&mut self, tenancy_map: &TenancyMap<'_>, table: &Relation) {
        if Some(table.oid) == tenancy_map.root {
            for (side, number) in [(Side::A, 0), (Side::B, 0)]
                .into_iter()
                .chain((0..tenancy_map.likes.len()).map(|number| (Side::Like, number)))
            {
                let request = RowRequest {
                    turn: number,
                    ..RowRequest::default()
                };
                self.push(tenancy_map, table, (side, SeedStage::Common), &request);
            }
            return;
        }
        let users = is_users(tenancy_map, table);
        let lean = is_platform(&table.schema);
        if let Some(key) = users {
            for (side, number) in (0..12).flat_map(|number| [(Side::A, number), (Side::B, number)])
            {
                let picks = BTreeMap::from([(key.clone(), Some(tenancy_map.user(side, number)))]);
                let request = RowRequest {
                    variant: RowVariant {
                        picks,
                        shared: false,
                    },
                    turn: number,
                    lean,
                };
                self.push(tenancy_map, table, (side, SeedStage::Common), &request);
            }
            return;
        }
        let decides = tenancy_map
            .facts
            .policies
            .iter()
            .any(|policy| policy.reads.contains(&table.oid));
        let of_user = table
            .columns
            .iter()
            .any(|column| expression_text::suggests_user(&column.name));
        // A list of users that policies consult without asking for the tenant is a list of operators.
        let sides: &[Side] = if decides && of_user {
            &[Side::Nobody]
        } else {
            &[Side::A, Side::B]
        };
        for side in sides {
            self.push(
                tenancy_map,
                table,
                (*side, SeedStage::Common),
                &RowRequest {
                    lean,
                    ..RowRequest::default()
                },
            );
        }
        for variant in row_variants::variants(tenancy_map, table, sides[0]) {
            self.push(
                tenancy_map,
                table,
                (sides[0], SeedStage::Common),
                &RowRequest {
                    variant,
                    turn: 1,
                    lean,
                },
            );
            self.rows
                .last_mut()
                .into_iter()
                .for_each(|row| row.usual = false);
        }
    }

    fn of_tenants(&mut self, tenancy_map: &TenancyMap<'_>, table: &Relation) {
        for (side, stage) in [(Side::A, SeedStage::Own), (Side::B, SeedStage::Private)] {
            let leaves = row_values::landings(tenancy_map, table).clamp(2, 12);
            let turns = if Some(table.oid) == tenancy_map.root {
                1
            } else {
                leaves
            };
            for turn in 0..turns {
                self.push(
                    tenancy_map,
                    table,
                    (side, stage),
                    &RowRequest {
                        turn,
                        ..RowRequest::default()
                    },
                );
            }
            if Some(table.oid) == tenancy_map.root {
                continue;
            }
            // Partitions with policies of their own meet every variant.
            let spread = if row_values::leaves_decide(tenancy_map, table) {
                leaves.min(4)
            } else {
                1
            };
            let variants = row_variants::variants(tenancy_map, table, side).into_iter();
            let spread = variants.enumerate().flat_map(|(turn, variant)| {
                (0..spread).map(move |more| (turn + more, variant.clone()))
            });
            for (turn, variant) in spread {
                let stage = if variant.shared && side == Side::B {
                    SeedStage::Shared
                } else {
                    stage
                };
                self.push(
                    tenancy_map,
                    table,
                    (side, stage),
                    &RowRequest {
                        variant,
                        turn,
                        lean: false,
                    },
                );
                self.rows
                    .last_mut()
                    .into_iter()
                    .for_each(|row| row.usual = false);
            }
            self.below_shared(tenancy_map, table, side);
        }
        if matches!(
            tenancy_map.belongs.get(&table.oid),
            Some(TenantLink::Column(_))
        ) {
            for turn in 0..tenancy_map.likes.len() {
                self.push(
                    tenancy_map,
                    table,
                    (Side::Like, SeedStage::Private),
                    &RowRequest {
                        turn,
                        ..RowRequest::default()
                    },
                );
                self.rows
                    .last_mut()
                    .into_iter()
                    .for_each(|row| row.usual = false);
            }
        }
    }

    /// A shared parent has children as well.
    fn below_shared(&mut self, tenancy_map: &TenancyMap<'_>, table: &Relation, side: Side) {
        if side != Side::B {
            return;
        }
        for key in tenancy_map
            .facts
            .foreign_keys(table.oid)
            .filter(|key| !key.inherited)
        {
            let parents: Vec<usize> = (0..self.rows.len())
                .filter(|at| {
                    Some(self.rows[*at].table) == key.target
                        && self.rows[*at].stage == SeedStage::Shared
                })
                .take(2)
                .collect();
            for at in parents {
                let picks = pairs(key)
                    .filter_map(|(own, theirs)| {
                        Some((own.to_owned(), self.rows[at].values.get(theirs)?.clone()))
                    })
                    .collect();
                let variant = RowVariant {
                    picks,
                    shared: true,
                };
                self.push(
                    tenancy_map,
                    table,
                    (side, SeedStage::Shared),
                    &RowRequest {
                        variant,
                        turn: 0,
                        lean: false,
                    },
                );
                self.rows
                    .last_mut()
                    .into_iter()
                    .for_each(|row| row.usual = false);
            }
        }
    }

    /// MembershipTable of every rank, and members of B that do not count.
    fn members(&mut self, tenancy_map: &TenancyMap<'_>, table: &Relation) {
        let Some(members) = tenancy_map
            .members
            .iter()
            .find(|members| members.table == table.oid)
        else {
            return;
        };
        let mut number = 1;
        let all = row_variants::variants(tenancy_map, table, Side::A);
        let ranks = table.columns.iter().filter(|column| {
            expression_text::suggests_rank(&column.name)
                || expression_text::suggests_end(&column.name)
                || column.name.contains("stat")
                || column.base == "bool"
                || row_values::is_period(column)
        });
        for column in ranks {
            let mut values: Vec<Value> = all
                .iter()
                .filter(|variant| variant.picks.len() == 1)
                .filter_map(|variant| variant.picks.get(&column.name).cloned())
                .collect();
            if let Some(labels) = &column.labels {
                values.extend(labels.iter().cloned().map(Some));
            }
            values.extend(
                allowed_values(tenancy_map, table.oid, &column.name)
                    .into_iter()
                    .map(Some),
            );
            if expression_text::suggests_end(&column.name) && column.base.starts_with("timestamp")
                || column.base == "date"
            {
                values = vec![Some("2001-01-01".to_owned())];
            } else if row_values::is_period(column) {
                values = vec![Some("[2001-01-01,2002-01-01)".to_owned())];
            } else if column.name.contains("stat") && values.is_empty() {
                values.push(Some("revoked".to_owned()));
            }
            values.sort();
            values.dedup();
            for value in values.into_iter().flatten().take(8) {
                let ended = expression_text::is_ended_value(&value)
                    || row_values::is_period(column)
                    || expression_text::suggests_end(&column.name) && value != "false"
                    || column.base == "bool" && column.name.contains("active") && value == "false";
                if expression_text::suggests_staff(&value)
                    || expression_text::suggests_staff(&column.name)
                    || number > 11
                    || value.is_empty()
                    || value == "other"
                {
                    continue;
                }
                self.member(
                    tenancy_map,
                    table,
                    (&column.name, &value, ended, &members.user),
                    number,
                );
                number += 1;
            }
        }
    }

    fn member(
        &mut self,
        tenancy_map: &TenancyMap<'_>,
        table: &Relation,
        (column, value, ended, user): (&str, &str, bool, &str),
        number: usize,
    ) {
        let id = tenancy_map.user(Side::A, number);
        let particular = BTreeMap::from([
            (user.to_owned(), Some(id.clone())),
            (column.to_owned(), Some(value.to_owned())),
        ]);
        let usual = BTreeMap::from([(user.to_owned(), Some(id.clone()))]);
        let (own, theirs) = if ended {
            (usual, Some(particular))
        } else {
            (particular, None)
        };
        let request = |picks| RowRequest {
            variant: RowVariant {
                picks,
                shared: false,
            },
            turn: number,
            lean: false,
        };
        self.push(tenancy_map, table, (Side::A, SeedStage::Own), &request(own));
        self.rows
            .last_mut()
            .into_iter()
            .for_each(|row| row.usual = false);
        if let Some(picks) = theirs {
            self.push(
                tenancy_map,
                table,
                (Side::B, SeedStage::Shared),
                &request(picks),
            );
            self.rows
                .last_mut()
                .into_iter()
                .for_each(|row| row.usual = false);
        }
        self.kinds.push(MemberKind {
            title: if ended {
                format!("a member of b whose {column} is {value}")
            } else {
                format!("a member of a whose {column} is {value}")
            },
            user: id,
        });
    }

    fn push(
        &mut self,
        tenancy_map: &TenancyMap<'_>,
        table: &Relation,
        (side, stage): (Side, SeedStage),
        request: &RowRequest,
    ) {
        let values = self.values(tenancy_map, table, side, request);
        self.rows.push(SeedRow {
            table: table.oid,
            side,
            stage,
            values,
            usual: side != Side::Like && side != Side::Nobody,
            stored: false,
        });
    }
}

/// Returns each column of a foreign key with the one it points to.
pub(super) fn pairs(key: &Constraint) -> impl Iterator<Item = (&str, &str)> {
    key.columns
        .iter()
        .map(String::as_str)
        .zip(key.target_columns.iter().map(String::as_str))
}

/// Returns the key of a table of users that knows no tenant.
fn is_users(tenancy_map: &TenancyMap<'_>, table: &Relation) -> Option<String> {
    let keys = tenancy_map.facts.primary_key(table.oid);
    let [key] = keys.as_slice() else { return None };
    let fits = table.column(key)?.base == tenancy_map.user_type;
    let named = matches!(
        table.name.as_str(),
        "users" | "user" | "profiles" | "profile" | "accounts" | "people" | "app_users"
    );
    let pointed = tenancy_map.facts.constraints.iter().any(|constraint| {
        constraint.kind == "f"
            && constraint.target == Some(table.oid)
            && constraint.columns.len() == 1
            && expression_text::suggests_user(&constraint.columns[0])
    });
    (fits && (named || pointed)).then(|| key.clone())
}

fn allowed_values(tenancy_map: &TenancyMap<'_>, table: i64, column: &str) -> Vec<String> {
    tenancy_map
        .facts
        .constraints
        .iter()
        .filter(|constraint| {
            constraint.table == table
                && constraint.kind == "c"
                && !constraint.definition.contains('~')
        })
        .filter(|constraint| expression_text::mentions(&constraint.definition, column))
        .flat_map(|constraint| expression_text::read(&constraint.definition).values)
        .collect()
}
