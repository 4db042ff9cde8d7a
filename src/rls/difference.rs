//! Finds where two sets of rights differ, object by object, and pairs the policies that correspond to each other.

use std::collections::{BTreeMap, BTreeSet};

use crate::access::{AccessAnalysis, RowAction};
use crate::catalog::{Key, Kind};
use crate::formula::Formula;
use crate::rights::{Grant, Policy, Rights, TableSecurity};

/// Row-level security of a table, a policy, or the grants of a grantee on an object that differ.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Difference {
    /// Row-level security is on in one of them.
    Enabled { table: Key, wanted: bool },
    /// It holds for the owner in one of them.
    Forced { table: Key, wanted: bool },
    /// A policy is missing, too many or another.
    Policy {
        table: Key,
        wanted: Option<Box<Policy>>,
        found: Option<Box<Policy>>,
        /// Whether both select the same rows and one asks for each row.
        only_slower: bool,
    },
    /// A grantee has other privileges on an object and its columns.
    Grants {
        object: Key,
        grantee: String,
        missing: Vec<Grant>,
        extra: Vec<Grant>,
    },
}

impl Difference {
    pub(crate) fn object(&self) -> &Key {
        match self {
            Difference::Enabled { table, .. }
            | Difference::Forced { table, .. }
            | Difference::Policy { table, .. } => table,
            Difference::Grants { object, .. } => object,
        }
    }
}

/// Finds the differences, in order of objects.
pub(crate) fn between(
    wanted: &Rights,
    found: &Rights,
    judge: &AccessAnalysis<'_>,
) -> Vec<Difference> {
    let mut differences = Vec::new();
    let nothing = TableSecurity::default();
    let tables: BTreeSet<&Key> = wanted.tables.keys().chain(found.tables.keys()).collect();
    for table in tables {
        let want = wanted.tables.get(table).unwrap_or(&nothing);
        let have = found.tables.get(table).unwrap_or(&nothing);
        rows(table, want, have, judge, &mut differences);
    }
    grants(wanted, found, &mut differences);
    // Stable: what is about rows stays before what is about grants.
    differences.sort_by(|left, right| left.object().cmp(right.object()));
    differences
}

fn rows(
    table: &Key,
    want: &TableSecurity,
    have: &TableSecurity,
    judge: &AccessAnalysis<'_>,
    into: &mut Vec<Difference>,
) {
    if want.enabled != have.enabled {
        into.push(Difference::Enabled {
            table: table.clone(),
            wanted: want.enabled,
        });
    }
    if want.forced != have.forced {
        into.push(Difference::Forced {
            table: table.clone(),
            wanted: want.forced,
        });
    }
    if want.policies == have.policies || say_the_same(&want.policies, &have.policies) {
        return;
    }
    policies(table, &want.policies, &have.policies, judge, into);
}

/// What a policy says to one role about one way.
type Clause<'p> = (bool, &'p str, RowAction, Formula);

fn clauses<'p>(policies: &'p [Policy]) -> Vec<Clause<'p>> {
    let mut clauses = Vec::new();
    for policy in policies {
        for way in RowAction::ALL {
            let Some(text) = way.condition(policy) else {
                continue;
            };
            let formula = Formula::read(text);
            let says_nothing = if policy.restrictive {
                Formula::True
            } else {
                Formula::False
            };
            if formula == says_nothing {
                continue;
            }
            for role in &policy.roles {
                clauses.push((policy.restrictive, role.as_str(), way, formula.clone()));
            }
        }
    }
    clauses
}

/// Whether two sets of policies say the same to every role, however it is divided among policies.
fn say_the_same(want: &[Policy], have: &[Policy]) -> bool {
    type Joined<'p> = BTreeMap<(bool, &'p str, RowAction), Vec<Formula>>;
    let join = |policies| {
        let mut joined: Joined<'_> = BTreeMap::new();
        for (restrictive, role, way, formula) in clauses(policies) {
            joined
                .entry((restrictive, role, way))
                .or_default()
                .push(formula);
        }
        let whole = joined
            .into_iter()
            .map(|((restrictive, role, way), formulas)| {
                let formula = if restrictive {
                    Formula::all(formulas)
                } else {
                    Formula::any(formulas)
                };
                ((restrictive, role, way), formula)
            });
        whole.collect::<BTreeMap<_, _>>()
    };
    let (want, have) = (join(want), join(have));
    want.len() == have.len()
        && want
            .iter()
            .all(|(key, formula)| have.get(key).is_some_and(|other| formula.is_same_as(other)))
}

fn policies(
    table: &Key,
    want: &[Policy],
    have: &[Policy],
    judge: &AccessAnalysis<'_>,
    into: &mut Vec<Difference>,
) {
    let mut have: Vec<&Policy> = have.iter().collect();
    let mut left: Vec<&Policy> = Vec::new();
    for policy in want {
        match take(&mut have, |other| is_same(policy, other)) {
            Some(_) => {}
            None => left.push(policy),
        }
    }
    let tests: [fn(&Policy, &Policy) -> bool; 3] = [
        |a, b| a.name == b.name,
        |a, b| a.command == b.command && a.roles == b.roles && a.restrictive == b.restrictive,
        |a, b| a.command == b.command && (&a.using, &a.check) == (&b.using, &b.check),
    ];
    let mut pairs: Vec<(&Policy, Option<&Policy>)> =
        left.iter().map(|policy| (*policy, None)).collect();
    for test in tests {
        for (policy, found) in pairs.iter_mut().filter(|(_, found)| found.is_none()) {
            *found = take(&mut have, |other| test(policy, other));
        }
    }
    let pairs = pairs.into_iter().map(|(want, found)| (Some(want), found));
    let rest = have.into_iter().map(|policy| (None, Some(policy)));
    for (wanted, found) in pairs.chain(rest) {
        let only_slower = wanted
            .zip(found)
            .is_some_and(|(want, found)| is_only_slower(want, found, judge));
        into.push(Difference::Policy {
            table: table.clone(),
            wanted: wanted.cloned().map(Box::new),
            found: found.cloned().map(Box::new),
            only_slower,
        });
    }
}

fn take<'p>(policies: &mut Vec<&'p Policy>, test: impl Fn(&Policy) -> bool) -> Option<&'p Policy> {
    let at = policies.iter().position(|policy| test(policy))?;
    Some(policies.remove(at))
}

/// Whether two policies are the same but for the name and the spelling.
fn is_same(one: &Policy, other: &Policy) -> bool {
    one.command == other.command
        && one.restrictive == other.restrictive
        && one.roles == other.roles
        && say_the_same(std::slice::from_ref(one), std::slice::from_ref(other))
}

fn is_only_slower(one: &Policy, other: &Policy, judge: &AccessAnalysis<'_>) -> bool {
    let frame = |policy: &Policy| (policy.command, policy.restrictive, policy.roles.clone());
    frame(one) == frame(other)
        && RowAction::ALL.iter().all(|way| {
            let bare = |policy| way.condition(policy).map(|text| judge.formula(text));
            match (bare(one), bare(other)) {
                (Some(one), Some(other)) => one.is_same_as(&other),
                (None, None) => true,
                _ => false,
            }
        })
}

fn grants(wanted: &Rights, found: &Rights, into: &mut Vec<Difference>) {
    type Both = (Vec<Grant>, Vec<Grant>);
    let mut grouped: BTreeMap<(Key, &str), Both> = BTreeMap::new();
    let missing = wanted.grants.difference(&found.grants);
    let extra = found.grants.difference(&wanted.grants);
    for grant in missing.filter(|grant| !is_covered(grant, found)) {
        let entry = grouped.entry((object_of(grant), &grant.grantee));
        entry.or_default().0.push(grant.clone());
    }
    for grant in extra.filter(|grant| !is_covered(grant, wanted)) {
        let entry = grouped.entry((object_of(grant), &grant.grantee));
        entry.or_default().1.push(grant.clone());
    }
    for ((object, grantee), (missing, extra)) in grouped {
        into.push(Difference::Grants {
            object,
            grantee: grantee.to_owned(),
            missing,
            extra,
        });
    }
}

/// Whether a grant on a column is part of one on the whole.
fn is_covered(grant: &Grant, by: &Rights) -> bool {
    let key = &grant.on;
    key.kind == Kind::Column
        && RELATIONS.iter().any(|kind| {
            by.grants.contains(&Grant {
                on: Key::named(*kind, &key.schema, &key.name),
                ..grant.clone()
            })
        })
}

const RELATIONS: [Kind; 4] = [
    Kind::Table,
    Kind::View,
    Kind::MaterializedView,
    Kind::ForeignTable,
];

/// Returns the object of a grant; grants on columns belong to their table or view.
pub(crate) fn object_of(grant: &Grant) -> Key {
    if grant.on.kind == Kind::Column {
        Key::named(Kind::Table, &grant.on.schema, &grant.on.name)
    } else {
        grant.on.clone()
    }
}
