//! The dependencies among the steps, and the steps in order.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::catalog::{Catalog, Key, Kind, Text};
use crate::diff::plan::{Phase, Plan, Step, column_needs};
use crate::diff::topological_sort::topological_sort;

/// Returns all steps in order, and for each the earlier steps that it depends on.
pub(super) fn ordered_steps(plan: &Plan<'_>) -> (Vec<Step>, Vec<Vec<usize>>) {
    let mut steps: Vec<Step> = Vec::new();
    for key in &plan.dropped {
        steps.push((Phase::Drop, key.clone()));
        if plan.is_renamed_away(key) {
            steps.push((Phase::Discard, key.clone()));
        }
    }
    for key in plan.made.union(&plan.altered) {
        steps.push((Phase::Make, key.clone()));
        if plan.is_rebuilt(key) {
            steps.push((Phase::Fill, key.clone()));
        }
    }
    let graph = Graph::new(plan, &steps);
    let ranks: Vec<_> = steps.iter().map(|step| rank(plan, step)).collect();
    let order = topological_sort(&ranks, &graph.edges, &graph.soft);
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

fn rank(plan: &Plan<'_>, (phase, key): &Step) -> (Phase, Kind, Text, Text, usize, Text) {
    let position = if key.kind == Kind::Column {
        let parent = plan.to.parent(key);
        let columns = parent.as_ref().and_then(|parent| plan.to.get(parent));
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

struct Graph {
    edges: BTreeSet<(usize, usize)>,
    /// Edges that may be dropped to break a cycle.
    soft: BTreeSet<(usize, usize)>,
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
            child_indexes: child_indexes(plan),
            edges: BTreeSet::new(),
            soft: BTreeSet::new(),
        };
        for (phase, key) in steps {
            match phase {
                Phase::Drop => builder.before_dropping(key),
                Phase::Make => builder.before_making(key),
                Phase::Fill => builder.before_filling(key),
                Phase::Discard => builder.before_discarding(key),
            }
        }
        builder.roles(steps);
        builder.names();
        Graph {
            edges: builder.edges,
            soft: builder.soft,
        }
    }
}

struct Builder<'p, 'a> {
    plan: &'p Plan<'a>,
    index: &'p HashMap<&'p Step, usize>,
    /// The partitions' indexes in `to` by their parent index.
    child_indexes: HashMap<Key, Vec<Key>>,
    edges: BTreeSet<(usize, usize)>,
    soft: BTreeSet<(usize, usize)>,
}

impl Builder<'_, '_> {
    /// Orders one step before another, if both exist.
    fn edge(&mut self, first: Step, second: Step) {
        if let Some(edge) = self.between(first, second) {
            self.edges.insert(edge);
            self.soft.remove(&edge);
        }
    }

    /// Orders one step before another unless that closes a cycle.
    fn soft_edge(&mut self, first: Step, second: Step) {
        if let Some(edge) = self.between(first, second)
            && self.edges.insert(edge)
        {
            self.soft.insert(edge);
        }
    }

    fn between(&self, first: Step, second: Step) -> Option<(usize, usize)> {
        let (first, second) = (self.implying_step(first), self.implying_step(second));
        let (first, second) = (*self.index.get(&first)?, *self.index.get(&second)?);
        (first != second).then_some((first, second))
    }

    fn implying_step(&self, mut step: Step) -> Step {
        for _ in 0..8 {
            match self.plan.implied_by(&step) {
                Some(carrier) if carrier != step => step = carrier,
                _ => break,
            }
        }
        step
    }

    fn before_dropping(&mut self, key: &Key) {
        let plan = self.plan;
        for needed in plan.dependencies(plan.from, key) {
            self.edge((Phase::Drop, key.clone()), (Phase::Drop, needed.clone()));
            if key.kind == Kind::SequenceOwner && needed.kind == Kind::Column {
                // The owner of a sequence does not block changes of the column.
                self.edge((Phase::Drop, key.clone()), (Phase::Drop, needed));
                continue;
            }
            for parent_part in plan.ancestor_columns(&needed) {
                // A change of a parent's column also changes those of its children.
                if plan.follows_parent(&needed) {
                    self.edge(
                        (Phase::Drop, key.clone()),
                        (Phase::Drop, parent_part.clone()),
                    );
                    self.edge((Phase::Drop, key.clone()), (Phase::Make, parent_part));
                }
            }
            if plan.altered.contains(&needed) {
                let (drop, make) = ((Phase::Drop, key.clone()), (Phase::Make, needed));
                // Changes of a table or sequence itself rarely affect its dependents.
                if make.1.kind.is_relation() || make.1.kind == Kind::Sequence {
                    self.soft_edge(drop, make);
                } else {
                    self.edge(drop, make);
                }
            }
        }
        if plan.parent_index(plan.from, key).is_some()
            && let Some(table) = plan.from.parent(key)
        {
            let partition = Key::named(Kind::Partition, &table.schema, &table.name);
            self.edge((Phase::Drop, partition), (Phase::Drop, key.clone()));
        }
        if plan.is_replaced(key) {
            self.edge((Phase::Drop, key.clone()), (Phase::Make, key.clone()));
        }
        if let Some(table) = plan.from.parent(key)
            && plan.is_also_local(plan.from, key)
            && !plan.dropped.contains(&table)
        {
            for parent in plan.parents_of(&table) {
                let parent_part = Key::part(key.kind, &parent.schema, &parent.name, &key.part);
                self.edge((Phase::Drop, parent_part), (Phase::Drop, key.clone()));
            }
        }
        if key.kind == Kind::Partition {
            // A detached partition keeps the foreign keys that the parent has at that moment.
            for reference in plan.inherited_foreign_keys(key) {
                self.edge((Phase::Drop, reference), (Phase::Drop, key.clone()));
            }
            // And its rows may be referenced through the parent.
            for reference in plan.dropped_foreign_keys_to(key) {
                self.soft_edge((Phase::Drop, reference), (Phase::Drop, key.clone()));
            }
        }
    }

    fn before_making(&mut self, key: &Key) {
        let plan = self.plan;
        let mut needed = plan.dependencies(plan.to, key);
        if key.kind.is_relation() && plan.made.contains(key) {
            needed.extend(column_needs(plan.to, key));
        }
        // A base type is completed after its functions; they depend on the shell, which the first of them creates.
        let served = plan.base_types_of_function(plan.to, key);
        needed.retain(|needed| !served.contains(needed));
        for first in served.iter().filter_map(|of| plan.first_type_function(of)) {
            self.edge((Phase::Make, first.clone()), (Phase::Make, key.clone()));
        }
        let inline = plan.inline_in(key).is_some();
        for needed in needed {
            // Column properties in CREATE TABLE do not wait for the column.
            if inline && needed.kind == Kind::Column && needed.part == key.part {
                continue;
            }
            self.edge((Phase::Make, needed.clone()), (Phase::Make, key.clone()));
            // Partitions are created before the rows are moved, constraints and views after.
            let takes_rows = matches!(key.kind, Kind::Table | Kind::Column | Kind::Partition);
            if plan.is_rebuilt(&needed) && !takes_rows {
                self.edge((Phase::Fill, needed), (Phase::Make, key.clone()));
            }
        }
        if plan.altered.contains(key) {
            for needed in plan.dependencies(plan.from, key) {
                if !plan.made.contains(&needed) {
                    self.edge((Phase::Make, key.clone()), (Phase::Drop, needed));
                }
            }
        }
        if key.kind == Kind::Constraint {
            let whole = Key::named(Kind::Table, &key.schema, &key.name);
            for parent in plan.parents_of(&whole) {
                let parent_part = Key::part(key.kind, &parent.schema, &parent.name, &key.part);
                self.edge((Phase::Make, parent_part), (Phase::Make, key.clone()));
            }
        }
        match key.kind {
            Kind::Partition => self.before_attaching(key),
            Kind::Constraint
                if plan.to.get(key).and_then(|object| object.text("type"))
                    == Some("foreign key") =>
            {
                self.before_referring(key);
            }
            Kind::Column => self.beside_columns(key),
            Kind::Table if plan.made.contains(key) => self.after_inherited(key),
            _ => {}
        }
    }

    /// A new table inherits the columns that its parents have by then, so theirs are added first.
    fn after_inherited(&mut self, key: &Key) {
        let plan = self.plan;
        let needed = plan.dependencies(plan.to, key);
        let parents = needed.iter().filter(|needed| needed.kind == Kind::Table);
        for parent in parents.filter(|parent| *parent != key) {
            for (column, _) in plan.to.columns(parent) {
                self.edge((Phase::Make, column.clone()), (Phase::Make, key.clone()));
            }
        }
    }

    /// A partition gets the checks and indexes of its parent before it is attached, else ATTACH fails or creates others.
    ///
    /// A new index of the parent is created afterwards, and so is one that might match another.
    fn before_attaching(&mut self, key: &Key) {
        let plan = self.plan;
        let checks = plan
            .to
            .parts(Kind::Constraint, &key.schema, &key.name)
            .filter(|(_, object)| object.text("type") == Some("check"));
        for (check, _) in checks {
            self.edge((Phase::Make, check.clone()), (Phase::Make, key.clone()));
        }
        // A constraint that still exists would be merged with the parent's and could not be dropped any more.
        let gone = plan.from.parts(Kind::Constraint, &key.schema, &key.name);
        for (constraint, _) in gone {
            self.edge(
                (Phase::Drop, constraint.clone()),
                (Phase::Make, key.clone()),
            );
        }
        for index in plan.indexes_of(plan.to, key) {
            if plan.attaches_with_partition(&index) {
                self.edge((Phase::Make, index), (Phase::Make, key.clone()));
                continue;
            }
            if let Some(whole) = plan.parent_index(plan.to, &index) {
                self.edge((Phase::Make, key.clone()), (Phase::Make, whole));
            }
            self.edge((Phase::Drop, index.clone()), (Phase::Make, key.clone()));
            self.edge((Phase::Make, key.clone()), (Phase::Make, index));
        }
    }

    /// A foreign key waits until the index that it references is valid, with those of all partitions attached.
    fn before_referring(&mut self, key: &Key) {
        let plan = self.plan;
        let mut waiting: Vec<Key> = plan.dependencies(plan.to, key);
        while let Some(whole) = waiting.pop() {
            for index in self.child_indexes.get(&whole).cloned().unwrap_or_default() {
                self.edge((Phase::Make, index.clone()), (Phase::Make, key.clone()));
                if let Some(table) = plan.to.parent(&index) {
                    let partition = Key::named(Kind::Partition, &table.schema, &table.name);
                    self.edge((Phase::Make, partition), (Phase::Make, key.clone()));
                }
                waiting.push(index);
            }
        }
    }

    /// Columns are added in their order, and those of a parent before the inherited ones.
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
            let parent_part = Key::part(Kind::Column, &parent.schema, &parent.name, &key.part);
            if plan.is_also_local(plan.to, key) && !plan.made.contains(&whole) {
                self.edge((Phase::Make, key.clone()), (Phase::Make, parent_part));
            } else {
                self.edge((Phase::Make, parent_part), (Phase::Make, key.clone()));
            }
        }
    }

    /// Rows are moved after the partitions are created, and before keys and triggers are.
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
            for phase in [Phase::Make, Phase::Discard] {
                self.edge((phase, (*dependent).clone()), (Phase::Discard, key.clone()));
            }
            if let Some(table) = plan.from.parent(dependent) {
                self.edge((Phase::Fill, table), (Phase::Discard, key.clone()));
            }
        }
    }

    /// A role is dropped after everything else, and created after the roles that it is a member of.
    fn roles(&mut self, steps: &[Step]) {
        let is_role = |step: &Step| step.1.kind == Kind::Role;
        let come = |step: &&Step| is_role(step) && step.0 == Phase::Make;
        for role in steps.iter().filter(|step| is_role(step)) {
            let Some(object) = self.plan.to.get(&role.1) else {
                continue;
            };
            for item in object.list("member_of") {
                let group = item
                    .trim_end_matches(" WITH ADMIN OPTION")
                    .trim_matches('"');
                for other in steps.iter().filter(come) {
                    if &*other.1.name == group {
                        self.edge(other.clone(), role.clone());
                    }
                }
            }
        }
        let gone = steps
            .iter()
            .filter(|step| is_role(step) && step.0 == Phase::Drop);
        for role in gone {
            for other in steps.iter().filter(|other| !is_role(other)) {
                self.edge(other.clone(), role.clone());
            }
        }
    }

    /// An object waits until another one with its name is dropped.
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
                    let (_, whole) = self.implying_step((Phase::Drop, other.clone()));
                    if matches!(key.kind, Kind::Index | Kind::Constraint) && plan.is_rebuilt(&whole)
                    {
                        // Indexes of a rebuilt table keep their names until the rows are moved.
                        self.edge((Phase::Fill, whole), (Phase::Make, key.clone()));
                    }
                }
            }
        }
    }
}

fn child_indexes(plan: &Plan<'_>) -> HashMap<Key, Vec<Key>> {
    let mut child_indexes: HashMap<Key, Vec<Key>> = HashMap::new();
    for key in plan.made.union(&plan.altered) {
        if let Some(whole) = plan.parent_index(plan.to, key) {
            child_indexes.entry(whole).or_default().push(key.clone());
        }
    }
    child_indexes
}

/// Returns the names that an object occupies, by namespace: relations, types, routines.
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
