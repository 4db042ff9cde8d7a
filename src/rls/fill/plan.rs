//! Owns which rows are made: for each table and side the usual ones, their variants, the members of every rank, and the
//! order in which the worlds of the proof need them.

use std::collections::BTreeMap;

use crate::facts::{Constraint, Relation};
use crate::fill::ground::{Belongs, Ground, Side, is_platform};
use crate::fill::row;
use crate::fill::value::Value;
use crate::fill::vary::{self, Variant};
use crate::words;

/// When a row is put in. What A and strangers see is read before and after [`Stage::Private`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// What belongs to nobody: directories, users, lookups.
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
pub(crate) struct Row {
    pub(crate) table: i64,
    pub(crate) side: Side,
    pub(crate) stage: Stage,
    pub(crate) values: BTreeMap<String, Value>,
    /// Whether a table without it counts as unfilled.
    pub(crate) usual: bool,
    /// Whether it is in.
    pub(crate) stored: bool,
}

/// A user who is a member in a particular way.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    /// What is particular, such as `role admin`.
    pub(crate) title: String,
    pub(crate) user: String,
}

/// All rows in the order of their tables, and the users they make.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) rows: Vec<Row>,
    pub(crate) kinds: Vec<Kind>,
    pub(super) number: usize,
}

/// What is particular about one row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    pub(crate) variant: Variant,
    /// Which of several possible parents, partitions and users.
    pub(crate) turn: usize,
    /// Only what cannot be left out.
    pub(crate) lean: bool,
}

/// Plans every row.
pub(crate) fn plan(ground: &Ground<'_>) -> Plan {
    let mut plan = Plan::default();
    for table in ground.order() {
        match ground.belongs.get(&table.oid) {
            None | Some(Belongs::Nothing) => plan.common(ground, table),
            Some(belongs) => {
                let nullable = matches!(belongs, Belongs::Column(name) if table.column(name).is_some_and(|column| !column.required));
                if nullable && Some(table.oid) != ground.root {
                    plan.push(
                        ground,
                        table,
                        (Side::Nobody, Stage::Common),
                        &Wish::default(),
                    );
                }
                plan.of_tenants(ground, table);
                plan.members(ground, table);
            }
        }
    }
    plan
}

impl Plan {
    fn common(&mut self, ground: &Ground<'_>, table: &Relation) {
        if Some(table.oid) == ground.root {
            for (side, number) in [(Side::A, 0), (Side::B, 0)]
                .into_iter()
                .chain((0..ground.likes.len()).map(|number| (Side::Like, number)))
            {
                let wish = Wish {
                    turn: number,
                    ..Wish::default()
                };
                self.push(ground, table, (side, Stage::Common), &wish);
            }
            return;
        }
        let users = is_users(ground, table);
        let lean = is_platform(&table.schema);
        if let Some(key) = users {
            for (side, number) in (0..12).flat_map(|number| [(Side::A, number), (Side::B, number)])
            {
                let picks = BTreeMap::from([(key.clone(), Some(ground.user(side, number)))]);
                let wish = Wish {
                    variant: Variant {
                        picks,
                        shared: false,
                    },
                    turn: number,
                    lean,
                };
                self.push(ground, table, (side, Stage::Common), &wish);
            }
            return;
        }
        let decides = ground
            .facts
            .policies
            .iter()
            .any(|policy| policy.reads.contains(&table.oid));
        let of_user = table
            .columns
            .iter()
            .any(|column| words::suggests_user(&column.name));
        // A list of users that policies consult without asking for the tenant is a list of operators.
        let sides: &[Side] = if decides && of_user {
            &[Side::Nobody]
        } else {
            &[Side::A, Side::B]
        };
        for side in sides {
            self.push(
                ground,
                table,
                (*side, Stage::Common),
                &Wish {
                    lean,
                    ..Wish::default()
                },
            );
        }
        for variant in vary::variants(ground, table, sides[0]) {
            self.push(
                ground,
                table,
                (sides[0], Stage::Common),
                &Wish {
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

    fn of_tenants(&mut self, ground: &Ground<'_>, table: &Relation) {
        for (side, stage) in [(Side::A, Stage::Own), (Side::B, Stage::Private)] {
            let leaves = row::landings(ground, table).clamp(2, 12);
            let turns = if Some(table.oid) == ground.root {
                1
            } else {
                leaves
            };
            for turn in 0..turns {
                self.push(
                    ground,
                    table,
                    (side, stage),
                    &Wish {
                        turn,
                        ..Wish::default()
                    },
                );
            }
            if Some(table.oid) == ground.root {
                continue;
            }
            // Partitions with policies of their own meet every variant.
            let spread = if row::leaves_decide(ground, table) {
                leaves.min(4)
            } else {
                1
            };
            let variants = vary::variants(ground, table, side).into_iter();
            let spread = variants.enumerate().flat_map(|(turn, variant)| {
                (0..spread).map(move |more| (turn + more, variant.clone()))
            });
            for (turn, variant) in spread {
                let stage = if variant.shared && side == Side::B {
                    Stage::Shared
                } else {
                    stage
                };
                self.push(
                    ground,
                    table,
                    (side, stage),
                    &Wish {
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
            self.below_shared(ground, table, side);
        }
        if matches!(ground.belongs.get(&table.oid), Some(Belongs::Column(_))) {
            for turn in 0..ground.likes.len() {
                self.push(
                    ground,
                    table,
                    (Side::Like, Stage::Private),
                    &Wish {
                        turn,
                        ..Wish::default()
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
    fn below_shared(&mut self, ground: &Ground<'_>, table: &Relation, side: Side) {
        if side != Side::B {
            return;
        }
        for key in ground
            .facts
            .foreign_keys(table.oid)
            .filter(|key| !key.inherited)
        {
            let parents: Vec<usize> = (0..self.rows.len())
                .filter(|at| {
                    Some(self.rows[*at].table) == key.target
                        && self.rows[*at].stage == Stage::Shared
                })
                .take(2)
                .collect();
            for at in parents {
                let picks = pairs(key)
                    .filter_map(|(own, theirs)| {
                        Some((own.to_owned(), self.rows[at].values.get(theirs)?.clone()))
                    })
                    .collect();
                let variant = Variant {
                    picks,
                    shared: true,
                };
                self.push(
                    ground,
                    table,
                    (side, Stage::Shared),
                    &Wish {
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

    /// Members of every rank, and members of B that do not count.
    fn members(&mut self, ground: &Ground<'_>, table: &Relation) {
        let Some(members) = ground
            .members
            .iter()
            .find(|members| members.table == table.oid)
        else {
            return;
        };
        let mut number = 1;
        let all = vary::variants(ground, table, Side::A);
        let ranks = table.columns.iter().filter(|column| {
            words::suggests_rank(&column.name)
                || words::suggests_end(&column.name)
                || column.name.contains("stat")
                || column.base == "bool"
                || row::is_period(column)
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
                allowed_values(ground, table.oid, &column.name)
                    .into_iter()
                    .map(Some),
            );
            if words::suggests_end(&column.name) && column.base.starts_with("timestamp")
                || column.base == "date"
            {
                values = vec![Some("2001-01-01".to_owned())];
            } else if row::is_period(column) {
                values = vec![Some("[2001-01-01,2002-01-01)".to_owned())];
            } else if column.name.contains("stat") && values.is_empty() {
                values.push(Some("revoked".to_owned()));
            }
            values.sort();
            values.dedup();
            for value in values.into_iter().flatten().take(8) {
                let ended = words::is_ended_value(&value)
                    || row::is_period(column)
                    || words::suggests_end(&column.name) && value != "false"
                    || column.base == "bool" && column.name.contains("active") && value == "false";
                if words::suggests_staff(&value)
                    || words::suggests_staff(&column.name)
                    || number > 11
                    || value.is_empty()
                    || value == "other"
                {
                    continue;
                }
                self.member(
                    ground,
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
        ground: &Ground<'_>,
        table: &Relation,
        (column, value, ended, user): (&str, &str, bool, &str),
        number: usize,
    ) {
        let id = ground.user(Side::A, number);
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
        let wish = |picks| Wish {
            variant: Variant {
                picks,
                shared: false,
            },
            turn: number,
            lean: false,
        };
        self.push(ground, table, (Side::A, Stage::Own), &wish(own));
        self.rows
            .last_mut()
            .into_iter()
            .for_each(|row| row.usual = false);
        if let Some(picks) = theirs {
            self.push(ground, table, (Side::B, Stage::Shared), &wish(picks));
            self.rows
                .last_mut()
                .into_iter()
                .for_each(|row| row.usual = false);
        }
        self.kinds.push(Kind {
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
        ground: &Ground<'_>,
        table: &Relation,
        (side, stage): (Side, Stage),
        wish: &Wish,
    ) {
        let values = self.values(ground, table, side, wish);
        self.rows.push(Row {
            table: table.oid,
            side,
            stage,
            values,
            usual: side != Side::Like && side != Side::Nobody,
            stored: false,
        });
    }
}

/// Gives each column of a foreign key with the one it points to.
pub(super) fn pairs(key: &Constraint) -> impl Iterator<Item = (&str, &str)> {
    key.columns
        .iter()
        .map(String::as_str)
        .zip(key.target_columns.iter().map(String::as_str))
}

/// Gives the key of a table of users that knows no tenant.
fn is_users(ground: &Ground<'_>, table: &Relation) -> Option<String> {
    let keys = ground.facts.primary_key(table.oid);
    let [key] = keys.as_slice() else { return None };
    let fits = table.column(key)?.base == ground.user_type;
    let named = matches!(
        table.name.as_str(),
        "users" | "user" | "profiles" | "profile" | "accounts" | "people" | "app_users"
    );
    let pointed = ground.facts.constraints.iter().any(|constraint| {
        constraint.kind == "f"
            && constraint.target == Some(table.oid)
            && constraint.columns.len() == 1
            && words::suggests_user(&constraint.columns[0])
    });
    (fits && (named || pointed)).then(|| key.clone())
}

fn allowed_values(ground: &Ground<'_>, table: i64, column: &str) -> Vec<String> {
    ground
        .facts
        .constraints
        .iter()
        .filter(|constraint| {
            constraint.table == table
                && constraint.kind == "c"
                && !constraint.definition.contains('~')
        })
        .filter(|constraint| words::mentions(&constraint.definition, column))
        .flat_map(|constraint| words::read(&constraint.definition).values)
        .collect()
}
