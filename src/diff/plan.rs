//! Decides what happens to each object: made, dropped, altered, or dropped and made again, and in which order.
//!
//! Everything that stands on something replaced is replaced with it, so that nothing is lost and no statement needs
//! CASCADE. How an object is spelt is the business of [`ddl`](crate::diff::ddl).

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::catalog::{Catalog, Key, Kind, Text};
use crate::diff::ddl::{self, Options};
use crate::diff::{between, natural_order, order};

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
    dependents: HashMap<&'a Key, Vec<&'a Key>>,
    /// Indexes and statistics by their table.
    on_from: HashMap<&'a Key, Vec<&'a Key>>,
    on_to: HashMap<&'a Key, Vec<&'a Key>>,
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
            if !self.reorder() {
                return;
            }
        }
    }

    /// Rebuilds tables whose columns would end in another order; says whether there were any.
    fn reorder(&mut self) -> bool {
        if !self.options.column_order {
            return false;
        }
        let mut tables: BTreeSet<Key> = self
            .altered
            .iter()
            .filter(|key| key.kind == Kind::Table)
            .cloned()
            .collect();
        for key in self.dropped.iter().chain(&self.made) {
            if key.kind == Kind::Column {
                tables.insert(Key::named(Kind::Table, &key.schema, &key.name));
            }
        }
        let mut any = false;
        for table in tables {
            if !self.dropped.contains(&table)
                && !self.made.contains(&table)
                && self.disordered(&table)
            {
                self.replace(&table);
                any = true;
            }
        }
        any
    }

    fn disordered(&self, table: &Key) -> bool {
        let (Some(old), Some(new)) = (self.from.get(table), self.to.get(table)) else {
            return false;
        };
        let made_again = |name: &Text| {
            let column = Key::part(Kind::Column, &table.schema, &table.name, name);
            self.dropped.contains(&column)
        };
        let new = new.list("columns");
        natural_order(old.list("columns"), new, made_again) != new
    }

    /// Has an object dropped and made again, with its parts.
    fn replace(&mut self, key: &Key) {
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
                    || dependent.kind == Kind::Constraint && !self.is_key_constraint(dependent)
                {
                    self.take_down(dependent);
                }
                continue;
            }
            self.react(key, dependent);
        }
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
    fn take_down(&mut self, key: &Key) {
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

    /// Gives every step in the order in which it must be taken.
    pub(super) fn steps(&self) -> Vec<Step> {
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
        let order = order::sorted(&ranks, &graph.edges);
        order
            .into_iter()
            .map(|index| steps[index].clone())
            .collect()
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

    /// Gives the step whose statements do what this step has none of its own for.
    ///
    /// Dropping a table drops its parts; dropping a column drops its default and the sequence it owns.
    pub(super) fn stands_for(&self, step: &Step) -> Option<Step> {
        let (phase, key) = step;
        match phase {
            Phase::Drop => {
                let carrier = self.carrier(key)?;
                self.dropped
                    .contains(&carrier)
                    .then_some((Phase::Drop, carrier))
            }
            Phase::Make => {
                let parent = self.inline_in(key)?;
                Some((Phase::Make, parent))
            }
            _ => None,
        }
    }

    fn carrier(&self, key: &Key) -> Option<Key> {
        let object = self.from.get(key)?;
        match key.kind {
            Kind::Default | Kind::Identity | Kind::NotNull => {
                let column = Key {
                    kind: Kind::Column,
                    ..key.clone()
                };
                if self.dropped.contains(&column) {
                    return Some(column);
                }
            }
            Kind::Sequence => {
                let owner = Key::named(Kind::SequenceOwner, &key.schema, &key.name);
                let column =
                    self.from.get(&owner)?.needs.iter().find(|needed| {
                        needed.kind == Kind::Column && self.dropped.contains(*needed)
                    })?;
                // A sequence that is wanted is freed from its column first.
                return (!self.made.contains(key)).then(|| column.clone());
            }
            Kind::SequenceOwner => {
                let sequence = Key::named(Kind::Sequence, &key.schema, &key.name);
                return (self.dropped.contains(&sequence)).then_some(sequence);
            }
            Kind::Partition => {
                // A partition that goes together with its parent need not be detached.
                let table = self.from.parent(key)?;
                return (self.dropped.contains(&table) && !self.made.contains(&table))
                    .then_some(table);
            }
            Kind::Table => {
                let partition = Key::named(Kind::Partition, &key.schema, &key.name);
                let parent = self.from.get(&partition)?.needs.iter().find(|needed| {
                    needed.kind == Kind::Table && *needed != key && self.dropped.contains(*needed)
                })?;
                return (!self.made.contains(key)).then(|| parent.clone());
            }
            Kind::Constraint | Kind::Index => {
                if let Some(parent) = self.parent_index(self.from, key)
                    && self.dropped.contains(&parent)
                {
                    return Some(parent);
                }
                if object.text("type") == Some("foreign key") && self.leaves_reference(key) {
                    return None;
                }
            }
            _ => {}
        }
        let parent = self.from.parent(key)?;
        (!self.reaches(self.from, key, &parent)).then_some(parent)
    }

    /// Says whether a foreign key stands on another table that is dropped too, so that it must go first.
    fn leaves_reference(&self, key: &Key) -> bool {
        let parent = self.from.parent(key);
        self.from.get(key).is_some_and(|object| {
            object.needs.iter().any(|needed| {
                self.dropped.contains(needed)
                    && needed.kind != Kind::Column
                    && Some(needed) != parent.as_ref()
                    && self.from.parent(needed) != parent
            })
        })
    }

    /// Finds the index on the partitioned table that this one belongs to.
    pub(super) fn parent_index(&self, catalog: &Catalog, key: &Key) -> Option<Key> {
        let object = catalog.get(key)?;
        object.text("parent")?;
        object
            .needs
            .iter()
            .find(|needed| matches!(needed.kind, Kind::Index | Kind::Constraint))
            .cloned()
    }

    /// Says whether what a part needs stands itself on the whole, by way of functions and their like.
    fn reaches(&self, catalog: &Catalog, part: &Key, whole: &Key) -> bool {
        let Some(object) = catalog.get(part) else {
            return false;
        };
        let mut seen: BTreeSet<&Key> = BTreeSet::new();
        let mut waiting: Vec<&Key> = object
            .needs
            .iter()
            .filter(|needed| is_routine(needed.kind))
            .collect();
        while let Some(key) = waiting.pop() {
            if !seen.insert(key) {
                continue;
            }
            if key == whole || catalog.parent(key).as_ref() == Some(whole) {
                return true;
            }
            if let Some(object) = catalog.get(key) {
                waiting.extend(&object.needs);
            }
        }
        false
    }

    /// Finds the table or column whose definition holds this default or identity.
    pub(super) fn inline_in(&self, key: &Key) -> Option<Key> {
        if !matches!(key.kind, Kind::Default | Kind::Identity | Kind::NotNull) {
            return None;
        }
        let parent = self.to.parent(key)?;
        if !matches!(parent.kind, Kind::Table | Kind::ForeignTable)
            || self.reaches(self.to, key, &parent)
        {
            return None;
        }
        let column = Key {
            kind: Kind::Column,
            ..key.clone()
        };
        let object = self.to.get(&column)?;
        if key.kind == Kind::NotNull && self.to.get(key)?.has("not_valid") {
            return None;
        }
        if self.made.contains(&parent) {
            // A column that comes from a parent is not spelt out.
            let spelt = !object.has("inherited") || self.to.get(&parent)?.has("partition");
            return spelt.then_some(parent);
        }
        (self.made.contains(&column) && !self.is_echo(&column)).then_some(column)
    }

    /// Says whether the same change of the parent table's part brings this one about.
    pub(super) fn is_echo(&self, key: &Key) -> bool {
        let side = if self.made.contains(key) || self.altered.contains(key) {
            self.to
        } else {
            self.from
        };
        let inherited = side.get(key).is_some_and(|object| object.has("inherited"));
        let whole = Key::named(Kind::Table, &key.schema, &key.name);
        if !inherited || self.made.contains(&whole) || self.dropped.contains(&whole) {
            return false;
        }
        self.parents_of(&whole).iter().any(|parent| {
            let above = Key {
                kind: key.kind,
                schema: parent.schema.clone(),
                name: parent.name.clone(),
                part: key.part.clone(),
            };
            !self.made.contains(parent)
                && (self.made.contains(&above) == self.made.contains(key))
                && (self.dropped.contains(&above) == self.dropped.contains(key))
                && (self.made.contains(&above)
                    || self.dropped.contains(&above)
                    || self.altered.contains(&above))
        })
    }

    /// Gives the tables that a table inherits from or is a partition of, before the change.
    fn parents_of(&self, table: &Key) -> Vec<Key> {
        let partition = Key::named(Kind::Partition, &table.schema, &table.name);
        let holder = self.from.get(&partition).or_else(|| self.from.get(table));
        let needs = holder
            .map(|object| object.needs.as_slice())
            .unwrap_or_default();
        needs
            .iter()
            .filter(|needed| needed.kind == Kind::Table && *needed != table)
            .cloned()
            .collect()
    }

    /// Gives what an object stands on: what the server says, what it is a part of, its schema.
    fn foundations(&self, catalog: &Catalog, key: &Key) -> Vec<Key> {
        let mut found: Vec<Key> = catalog
            .get(key)
            .map(|object| object.needs.clone())
            .unwrap_or_default();
        found.extend(catalog.parent(key));
        if !key.schema.is_empty() {
            found.push(Key::named(Kind::Schema, "", &key.schema));
        }
        match key.kind {
            Kind::Default | Kind::Identity | Kind::NotNull => found.push(Key {
                kind: Kind::Column,
                ..key.clone()
            }),
            Kind::Type => found.extend(column_needs(catalog, key)),
            Kind::UserMapping => found.push(Key::named(Kind::Server, "", &key.name)),
            Kind::Server | Kind::ForeignTable => {
                let object = catalog.get(key);
                let wrapper = object.and_then(|object| object.text("wrapper"));
                let server = object.and_then(|object| object.text("server"));
                found.extend(wrapper.map(|name| Key::named(Kind::ForeignDataWrapper, "", name)));
                found.extend(server.map(|name| Key::named(Kind::Server, "", name)));
            }
            // Row-level security is enabled when its policies stand, and disabled before they go.
            Kind::RowSecurity => found.extend(
                catalog
                    .parts(Kind::Policy, &key.schema, &key.name)
                    .map(|(policy, _)| policy.clone()),
            ),
            Kind::Extension => {
                let schema = catalog.get(key).and_then(|object| object.text("in_schema"));
                found.extend(schema.map(|name| Key::named(Kind::Schema, "", name)));
            }
            _ => {}
        }
        found
    }
}

/// Which of the two catalogs.
#[derive(Clone, Copy)]
enum Side {
    From,
    To,
}

struct Graph {
    edges: BTreeSet<(usize, usize)>,
}

impl Graph {
    fn new(plan: &Plan<'_>, steps: &[Step]) -> Self {
        let index: HashMap<&Step, usize> = steps
            .iter()
            .enumerate()
            .map(|(index, step)| (step, index))
            .collect();
        let mut builder = Builder {
            plan,
            index: &index,
            edges: BTreeSet::new(),
        };
        for (phase, key) in steps {
            match phase {
                Phase::Drop => builder.before_dropping(key),
                Phase::Make => builder.before_making(key),
                Phase::Fill => builder.before_filling(key),
                Phase::Discard => builder.before_discarding(key),
            }
        }
        builder.names();
        Graph {
            edges: builder.edges,
        }
    }
}

struct Builder<'p, 'a> {
    plan: &'p Plan<'a>,
    index: &'p HashMap<&'p Step, usize>,
    edges: BTreeSet<(usize, usize)>,
}

impl Builder<'_, '_> {
    /// Has one step come before another, when both are taken.
    fn edge(&mut self, first: Step, second: Step) {
        let (first, second) = (self.carried(first), self.carried(second));
        if let (Some(first), Some(second)) = (self.index.get(&first), self.index.get(&second))
            && first != second
        {
            self.edges.insert((*first, *second));
        }
    }

    fn carried(&self, mut step: Step) -> Step {
        for _ in 0..8 {
            match self.plan.stands_for(&step) {
                Some(carrier) if carrier != step => step = carrier,
                _ => break,
            }
        }
        step
    }

    fn before_dropping(&mut self, key: &Key) {
        let plan = self.plan;
        for needed in plan.foundations(plan.from, key) {
            self.edge((Phase::Drop, key.clone()), (Phase::Drop, needed.clone()));
            if plan.altered.contains(&needed) {
                self.edge((Phase::Drop, key.clone()), (Phase::Make, needed));
            }
        }
        if plan.is_replaced(key) {
            self.edge((Phase::Drop, key.clone()), (Phase::Make, key.clone()));
        }
    }

    fn before_making(&mut self, key: &Key) {
        let plan = self.plan;
        let mut needed = plan.foundations(plan.to, key);
        if key.kind.is_relation() && plan.made.contains(key) {
            needed.extend(column_needs(plan.to, key));
        }
        for needed in needed {
            self.edge((Phase::Make, needed.clone()), (Phase::Make, key.clone()));
            if plan.is_rebuilt(&needed) && key.kind != Kind::Partition {
                self.edge((Phase::Fill, needed), (Phase::Make, key.clone()));
            }
        }
        if plan.altered.contains(key) {
            for needed in plan.foundations(plan.from, key) {
                if !plan.made.contains(&needed) {
                    self.edge((Phase::Make, key.clone()), (Phase::Drop, needed));
                }
            }
        }
        match key.kind {
            Kind::Partition => self.before_attaching(key),
            Kind::Column => self.beside_columns(key),
            _ => {}
        }
    }

    /// A partition gets its own keys and indexes first, else attaching would make others for it.
    fn before_attaching(&mut self, key: &Key) {
        let plan = self.plan;
        let Some(table) = plan.to.parent(key) else {
            return;
        };
        let constraints = plan
            .to
            .parts(Kind::Constraint, &key.schema, &key.name)
            .filter(|(_, object)| object.text("type") != Some("foreign key"))
            .map(|(part, _)| part.clone());
        let indexes = plan.on_to.get(&table).into_iter().flatten();
        let parts: Vec<Key> = constraints
            .chain(indexes.map(|index| (*index).clone()))
            .collect();
        for part in parts {
            self.edge((Phase::Make, part), (Phase::Make, key.clone()));
        }
    }

    /// Columns are added in their order, and those of a parent before those of its children.
    fn beside_columns(&mut self, key: &Key) {
        let plan = self.plan;
        let whole = Key::named(Kind::Table, &key.schema, &key.name);
        if plan.made.contains(key)
            && !plan.made.contains(&whole)
            && let Some(table) = plan.to.get(&whole)
        {
            let mut earlier = table
                .list("columns")
                .iter()
                .take_while(|name| **name != key.part);
            if let Some(before) = earlier.by_ref().fold(None, |_, name| Some(name)) {
                let before = Key::part(Kind::Column, &key.schema, &key.name, before);
                if plan.made.contains(&before) {
                    self.edge((Phase::Make, before), (Phase::Make, key.clone()));
                }
            }
        }
        for parent in plan.parents_of(&whole) {
            let above = Key::part(Kind::Column, &parent.schema, &parent.name, &key.part);
            self.edge((Phase::Make, above), (Phase::Make, key.clone()));
        }
    }

    /// Rows are moved once the table can take them: its partitions stand, its keys and triggers do not yet.
    fn before_filling(&mut self, key: &Key) {
        let plan = self.plan;
        self.edge((Phase::Make, key.clone()), (Phase::Fill, key.clone()));
        for (partition, object) in plan.to.of_kind(Kind::Partition) {
            if object.needs.contains(key) && plan.to.parent(partition).as_ref() != Some(key) {
                self.edge((Phase::Make, partition.clone()), (Phase::Fill, key.clone()));
            }
        }
    }

    fn before_discarding(&mut self, key: &Key) {
        let plan = self.plan;
        self.edge((Phase::Drop, key.clone()), (Phase::Discard, key.clone()));
        for dependent in plan.dependents.get(key).into_iter().flatten() {
            self.edge(
                (Phase::Make, (*dependent).clone()),
                (Phase::Discard, key.clone()),
            );
            if let Some(table) = plan.from.parent(dependent) {
                self.edge((Phase::Fill, table), (Phase::Discard, key.clone()));
            }
        }
    }

    /// What is to get a name waits until the one that had it is gone.
    fn names(&mut self) {
        let plan = self.plan;
        let mut taken: BTreeMap<(u8, String), Vec<Key>> = BTreeMap::new();
        for key in &plan.dropped {
            for name in names(plan.from, key) {
                taken.entry(name).or_default().push(key.clone());
            }
        }
        for key in &plan.made {
            for name in names(plan.to, key) {
                for other in taken.get(&name).into_iter().flatten() {
                    self.edge((Phase::Drop, other.clone()), (Phase::Make, key.clone()));
                }
            }
        }
    }
}

/// Gives the names an object takes: among relations, types, routines, and the columns' constraints.
fn names(catalog: &Catalog, key: &Key) -> Vec<(u8, String)> {
    let whole = format!("{}.{}", key.schema, key.name);
    match key.kind {
        Kind::Table | Kind::ForeignTable | Kind::View | Kind::MaterializedView => {
            vec![(0, whole.clone()), (1, whole)]
        }
        Kind::Index | Kind::Sequence => vec![(0, whole)],
        Kind::Type => vec![(0, whole.clone()), (1, whole)],
        Kind::Function | Kind::Procedure | Kind::Aggregate => vec![(2, whole)],
        Kind::Constraint => {
            let of = catalog.get(key).and_then(|object| object.text("type"));
            if matches!(of, Some("primary key" | "unique" | "exclusion")) {
                vec![(0, format!("{}.{}", key.schema, key.part))]
            } else {
                Vec::new()
            }
        }
        _ => Vec::new(),
    }
}

fn column_needs(catalog: &Catalog, relation: &Key) -> Vec<Key> {
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

fn is_routine(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Function | Kind::Procedure | Kind::Aggregate | Kind::Operator | Kind::View
    )
}
