//! Decides what happens to each object: made, dropped, altered, or dropped and made again, and in which order.
//!
//! Everything that stands on something replaced is replaced with it, so that nothing is lost and no statement needs
//! CASCADE. How an object is spelt is the business of [`ddl`](crate::diff::ddl).

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::catalog::{Catalog, Key, Kind, Text};
use crate::diff::ddl::{self, Options};
use crate::diff::graph::Graph;
use crate::diff::{between, order};

/// What a step does to its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Phase {
    /// Takes it away, or sets it aside when it is to be replaced and something still lives in it.
    Drop,
    /// Makes or alters it.
    Make,
    /// Moves the rows of a table set aside into the new one.
    Fill,
    /// Takes away what was set aside.
    Discard,
}

/// One node of the graph.
pub(super) type Step = (Phase, Key);

/// What happens to every object that does not stay as it is.
pub(super) struct Plan<'a> {
    pub(super) from: &'a Catalog,
    pub(super) to: &'a Catalog,
    pub(super) options: &'a Options,
    /// Dropped; also made again when in `made` as well.
    pub(super) dropped: BTreeSet<Key>,
    /// Made; new or made again.
    pub(super) made: BTreeSet<Key>,
    /// Altered in place.
    pub(super) altered: BTreeSet<Key>,
    /// Columns whose type changes, by themselves or because their type is made again.
    pub(super) retyped: BTreeSet<Key>,
    /// What needs an object, in `from`.
    pub(super) dependents: HashMap<&'a Key, Vec<&'a Key>>,
    /// Indexes and statistics by their table.
    pub(super) on_from: HashMap<&'a Key, Vec<&'a Key>>,
    pub(super) on_to: HashMap<&'a Key, Vec<&'a Key>>,
    queue: VecDeque<Key>,
}

const PARTS: &[Kind] = &[
    Kind::Column,
    Kind::Default,
    Kind::Identity,
    Kind::NotNull,
    Kind::Partition,
    Kind::Constraint,
    Kind::Rule,
    Kind::Trigger,
    Kind::Policy,
    Kind::RowSecurity,
    Kind::DomainConstraint,
];

impl<'a> Plan<'a> {
    /// Decides everything but the order.
    pub(super) fn decide(from: &'a Catalog, to: &'a Catalog, options: &'a Options) -> Self {
        let mut plan = Plan {
            from,
            to,
            options,
            dropped: BTreeSet::new(),
            made: BTreeSet::new(),
            altered: BTreeSet::new(),
            retyped: BTreeSet::new(),
            dependents: HashMap::new(),
            on_from: standing_on(from),
            on_to: standing_on(to),
            queue: VecDeque::new(),
        };
        let changes = between(from, to);
        if changes.is_empty() {
            return plan;
        }
        for (key, object) in &from.objects {
            for needed in &object.needs {
                plan.dependents.entry(needed).or_default().push(key);
            }
        }
        for change in changes {
            match (change.before, change.after) {
                (None, _) => plan.made.insert(change.key),
                (_, None) => plan.dropped.insert(change.key),
                _ => plan.altered.insert(change.key),
            };
        }
        plan.settle();
        plan
    }

    fn settle(&mut self) {
        for key in self.dropped.clone() {
            self.with_parts(&key, Side::From);
            self.queue.push_back(key);
        }
        for key in self.made.clone() {
            self.with_parts(&key, Side::To);
        }
        // Columns first: whether their table keeps its order depends on which of them are made again.
        let (columns, others): (Vec<Key>, Vec<Key>) = self
            .altered
            .iter()
            .cloned()
            .partition(|key| key.kind == Kind::Column);
        for key in columns.into_iter().chain(others) {
            if self.altered.contains(&key) && !ddl::can_alter(self, &key) {
                self.replace(&key);
            }
        }
        for key in self.altered.clone() {
            if key.kind == Kind::Column && ddl::changes_type(self, &key) {
                self.retype(&key);
            }
        }
        loop {
            while let Some(key) = self.queue.pop_front() {
                self.spread(&key);
            }
            if !(self.release() | self.reorder() | self.rekey()) {
                return;
            }
        }
    }

    /// Has an object dropped and made again, with its parts.
    pub(super) fn replace(&mut self, key: &Key) {
        self.altered.remove(key);
        self.retyped.remove(key);
        self.made.insert(key.clone());
        if self.dropped.insert(key.clone()) {
            self.queue.push_back(key.clone());
        }
        self.with_parts(key, Side::From);
        self.with_parts(key, Side::To);
    }

    fn with_parts(&mut self, key: &Key, side: Side) {
        if !(key.kind.is_relation() || key.kind == Kind::Type) {
            return;
        }
        let (catalog, on) = match side {
            Side::From => (self.from, &self.on_from),
            Side::To => (self.to, &self.on_to),
        };
        let mut parts: Vec<Key> = PARTS
            .iter()
            .flat_map(|kind| catalog.parts(*kind, &key.schema, &key.name))
            .map(|(part, _)| part.clone())
            .collect();
        parts.extend(
            on.get(key)
                .into_iter()
                .flatten()
                .map(|part| (*part).clone()),
        );
        for part in parts {
            self.altered.remove(&part);
            self.retyped.remove(&part);
            match side {
                Side::From => {
                    // An index keeps its name on another table.
                    if self.to.get(&part).is_some() {
                        self.made.insert(part.clone());
                    }
                    if self.dropped.insert(part.clone()) {
                        self.queue.push_back(part);
                    }
                }
                Side::To => {
                    self.made.insert(part);
                }
            }
        }
    }

    fn retype(&mut self, key: &Key) {
        if self.retyped.insert(key.clone()) {
            self.altered.insert(key.clone());
            self.queue.push_back(key.clone());
        }
    }

    /// Carries a drop or a change of type on to what stands on it.
    fn spread(&mut self, key: &Key) {
        let retyped = !self.dropped.contains(key);
        if retyped {
            let default = Key {
                kind: Kind::Default,
                ..key.clone()
            };
            if self.from.get(&default).is_some() {
                self.take_down(&default);
            }
        }
        for dependent in self.dependents.get(key).cloned().unwrap_or_default() {
            if self.dropped.contains(dependent) {
                continue;
            }
            if retyped {
                if suffers_from_retyping(dependent.kind)
                    || self.has_target(dependent)
                    || dependent.kind == Kind::Constraint && !self.is_key_constraint(dependent)
                {
                    self.take_down(dependent);
                }
                continue;
            }
            self.react(key, dependent);
        }
    }

    /// Says whether these are statistics whose target the server forgets when a column of theirs changes its type.
    fn has_target(&self, key: &Key) -> bool {
        key.kind == Kind::Statistics
            && self
                .from
                .get(key)
                .is_some_and(|object| object.has("target"))
    }

    fn is_key_constraint(&self, key: &Key) -> bool {
        self.from
            .get(key)
            .and_then(|object| object.text("type"))
            .is_some_and(|kind| kind != "check" && kind != "foreign key")
    }

    fn react(&mut self, key: &Key, dependent: &Key) {
        let again = self.made.contains(key);
        match (key.kind, dependent.kind) {
            (_, Kind::Extension | Kind::Schema | Kind::Database) => {}
            (Kind::Type | Kind::Extension, Kind::Column) if again => {
                let parent = self.from.parent(dependent);
                if parent.is_some_and(|parent| !self.dropped.contains(&parent)) {
                    self.retype(dependent);
                }
            }
            // Another statement takes the dependency away.
            _ if !again && self.altered.contains(dependent) && redefines(dependent.kind) => {}
            _ => self.take_down(dependent),
        }
    }

    /// Has an object dropped before what it stands on changes, and made again if it is wanted.
    pub(super) fn take_down(&mut self, key: &Key) {
        if self.to.get(key).is_some() {
            self.replace(key);
        } else if self.dropped.insert(key.clone()) {
            self.queue.push_back(key.clone());
        }
    }

    /// Says whether an object is dropped and made again.
    pub(super) fn is_replaced(&self, key: &Key) -> bool {
        self.dropped.contains(key) && self.made.contains(key)
    }

    /// Says whether a table is made again around its rows.
    pub(super) fn is_rebuilt(&self, key: &Key) -> bool {
        matches!(key.kind, Kind::Table) && self.is_replaced(key)
    }

    /// Says whether a type is set aside while columns move over to its successor.
    pub(super) fn is_set_aside(&self, key: &Key) -> bool {
        key.kind == Kind::Type
            && self.is_replaced(key)
            && self.dependents.get(key).is_some_and(|dependents| {
                dependents.iter().any(|dependent| {
                    self.retyped.contains(*dependent) || self.is_rebuilt_part(dependent)
                })
            })
    }

    fn is_rebuilt_part(&self, key: &Key) -> bool {
        key.kind == Kind::Column
            && self
                .from
                .parent(key)
                .is_some_and(|parent| self.is_rebuilt(&parent))
    }

    /// Gives the catalog to name an object by: the database is called what it is called where the statements run.
    pub(super) fn naming(&self, key: &Key) -> &'a Catalog {
        if key.kind == Kind::Database {
            self.from
        } else {
            self.to
        }
    }

    /// Gives every step in the order in which it must be taken, and for each those before it that it waits for.
    pub(super) fn steps(&self) -> (Vec<Step>, Vec<Vec<usize>>) {
        let mut steps: Vec<Step> = Vec::new();
        for key in &self.dropped {
            steps.push((Phase::Drop, key.clone()));
            if self.is_set_aside(key) {
                steps.push((Phase::Discard, key.clone()));
            }
        }
        for key in self.made.union(&self.altered) {
            steps.push((Phase::Make, key.clone()));
            if self.is_rebuilt(key) {
                steps.push((Phase::Fill, key.clone()));
            }
        }
        let graph = Graph::new(self, &steps);
        let ranks: Vec<_> = steps.iter().map(|step| self.rank(step)).collect();
        let order = order::sorted(&ranks, &graph.edges, &graph.soft);
        let mut places = vec![0; steps.len()];
        for (place, index) in order.iter().enumerate() {
            places[*index] = place;
        }
        let mut before = vec![Vec::new(); steps.len()];
        for (first, second) in &graph.edges {
            let (first, second) = (places[*first], places[*second]);
            if first < second {
                before[second].push(first);
            }
        }
        let steps = order.iter().map(|index| steps[*index].clone()).collect();
        (steps, before)
    }

    fn rank(&self, (phase, key): &Step) -> (Phase, Kind, Text, Text, usize, Text) {
        let position = if key.kind == Kind::Column {
            let parent = self.to.parent(key);
            let columns = parent.as_ref().and_then(|parent| self.to.get(parent));
            columns
                .and_then(|table| {
                    table
                        .list("columns")
                        .iter()
                        .position(|name| *name == key.part)
                })
                .unwrap_or_default()
        } else {
            0
        };
        (
            *phase,
            key.kind,
            key.schema.clone(),
            key.name.clone(),
            position,
            key.part.clone(),
        )
    }
}

/// Which of the two catalogs.
#[derive(Clone, Copy)]
enum Side {
    From,
    To,
}

pub(super) fn column_needs(catalog: &Catalog, relation: &Key) -> Vec<Key> {
    catalog
        .parts(Kind::Column, &relation.schema, &relation.name)
        .flat_map(|(_, column)| column.needs.clone())
        .filter(|needed| {
            needed.kind != Kind::Column
                || needed.schema != relation.schema
                || needed.name != relation.name
        })
        .collect()
}

fn standing_on(catalog: &Catalog) -> HashMap<&Key, Vec<&Key>> {
    let mut map: HashMap<&Key, Vec<&Key>> = HashMap::new();
    for kind in [Kind::Index, Kind::Statistics] {
        for (key, object) in catalog.of_kind(kind) {
            if let Some(table) = &object.on {
                map.entry(table).or_default().push(key);
            }
        }
    }
    map
}

fn suffers_from_retyping(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::View
            | Kind::MaterializedView
            | Kind::Rule
            | Kind::Policy
            | Kind::Trigger
            | Kind::Function
            | Kind::Procedure
            | Kind::Publication
            | Kind::Column
    )
}

fn redefines(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Function
            | Kind::Procedure
            | Kind::View
            | Kind::Default
            | Kind::Policy
            | Kind::EventTrigger
            | Kind::SequenceOwner
            | Kind::Publication
            | Kind::Column
            | Kind::Table
    )
}
