//! Turns rows into objects: reserved columns say what an object is called, every other column is a fact of that name.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context as _, Result};
use tokio_postgres::types::Type;
use tokio_postgres::{Column, Row};

use crate::catalog::acl::Acl;
use crate::catalog::join::{self, Edge};
use crate::catalog::{Key, Kind, Object, Shared, Text, Value};
use crate::pg::session::Rows;

/// Where the server keeps an object: the oid of its catalog, its own oid, the number of the column.
type Address = (u32, u32, i32);

const PG_CLASS: u32 = 1259;

/// Collects what the queries say, then joins it into a catalog.
///
/// A database may have hundreds of thousands of objects, so what is said twice is kept once, and what only serves the
/// joining is kept apart.
pub(super) struct Reader<'s> {
    shared: &'s Shared,
    objects: Vec<(Key, Object)>,
    /// What else is known of each object.
    besides: Vec<Besides>,
    acls: HashMap<u32, Vec<Text>>,
    /// The numbers of the columns that constraints and indexes stand on.
    keys: HashMap<u32, Vec<i16>>,
    addresses: HashMap<Address, u32>,
    /// The columns of every relation in their order.
    columns: HashMap<u32, Vec<Text>>,
    /// What needs what.
    edges: Vec<Edge>,
    version: i32,
}

#[derive(Clone, Copy, Default)]
struct Besides {
    oid: u32,
    relation: Option<u32>,
}

/// What a column of an answer says.
enum Slot {
    Kind,
    Class,
    Oid,
    Sub,
    Aliases,
    Relation,
    Keys,
    Acl,
    Schema,
    Name,
    Part,
    Unfilled,
    Owner,
    Text(Text),
    List(Text),
}

impl Slot {
    fn of(column: &Column) -> Slot {
        match column.name() {
            "kind" => Slot::Kind,
            "class" => Slot::Class,
            "oid" => Slot::Oid,
            "sub" => Slot::Sub,
            "aliases" => Slot::Aliases,
            "relation" => Slot::Relation,
            "keys" => Slot::Keys,
            "acl" => Slot::Acl,
            "schema" => Slot::Schema,
            "name" => Slot::Name,
            "part" => Slot::Part,
            "unfilled" => Slot::Unfilled,
            "owner" => Slot::Owner,
            fact if *column.type_() == Type::TEXT_ARRAY => Slot::List(fact.into()),
            fact => Slot::Text(fact.into()),
        }
    }

    fn fact(&self) -> Option<&Text> {
        match self {
            Slot::Text(name) | Slot::List(name) => Some(name),
            _ => None,
        }
    }

    /// Returns the slots of an answer with their numbers, facts in the order of their names.
    fn all(columns: &[Column]) -> Vec<(usize, Slot)> {
        let slots = columns.iter().map(Slot::of).enumerate();
        let mut slots: Vec<(usize, Slot)> = slots.collect();
        slots.sort_by(|one, other| one.1.fact().cmp(&other.1.fact()));
        slots
    }
}

/// What is known of an object while its row is read.
struct Found {
    key: Key,
    object: Object,
    besides: Besides,
    class: u32,
    sub: i32,
    aliases: Vec<u32>,
    acl: Option<Vec<Text>>,
    keys: Option<Vec<i16>>,
    facts: Vec<(Text, Value)>,
}

impl<'s> Reader<'s> {
    pub(super) fn new(version: i32, shared: &'s Shared) -> Self {
        Reader {
            shared,
            objects: Vec::new(),
            besides: Vec::new(),
            acls: HashMap::new(),
            keys: HashMap::new(),
            addresses: HashMap::new(),
            columns: HashMap::new(),
            edges: Vec::new(),
            version,
        }
    }

    /// Takes the rows of one query.
    pub(super) async fn take(&mut self, mut rows: Rows<'_>) -> Result<()> {
        let mut slots = None;
        while let Some(row) = rows.next().await? {
            let slots = slots.get_or_insert_with(|| Slot::all(row.columns()));
            self.take_row(&row, slots)?;
        }
        Ok(())
    }

    fn take_row(&mut self, row: &Row, slots: &[(usize, Slot)]) -> Result<()> {
        let mut found = Found {
            key: Key::first(Kind::Table),
            object: Object::default(),
            besides: Besides::default(),
            class: 0,
            sub: 0,
            aliases: Vec::new(),
            acl: None,
            keys: None,
            facts: Vec::new(),
        };
        for (index, slot) in slots {
            self.take_value(row, *index, slot, &mut found)?;
        }
        self.keep(found)
    }

    fn take_value(
        &mut self,
        row: &Row,
        index: usize,
        slot: &Slot,
        found: &mut Found,
    ) -> Result<()> {
        match slot {
            Slot::Kind => {
                let word: &str = row.try_get(index)?;
                found.key.kind = Kind::from_word(word).with_context(|| {
                    format!("a query speaks of a {word}, which is no kind of object")
                })?;
            }
            Slot::Class => found.class = row.try_get(index)?,
            Slot::Oid => found.besides.oid = row.try_get(index)?,
            Slot::Sub => found.sub = row.try_get(index)?,
            Slot::Aliases => {
                let aliases: Option<Vec<u32>> = row.try_get(index)?;
                found.aliases = aliases.unwrap_or_default();
            }
            Slot::Relation => found.besides.relation = row.try_get(index)?,
            Slot::Keys => found.keys = row.try_get(index)?,
            Slot::Acl => found.acl = self.list(row, index)?,
            Slot::Schema => found.key.schema = self.text(row, index)?.unwrap_or_default(),
            Slot::Name => found.key.name = self.text(row, index)?.unwrap_or_default(),
            Slot::Part => found.key.part = self.text(row, index)?.unwrap_or_default(),
            Slot::Unfilled => {
                let unfilled: Option<&str> = row.try_get(index)?;
                found.object.unfilled = unfilled.is_some();
            }
            Slot::Owner => found.object.owner = self.text(row, index)?,
            Slot::Text(name) => {
                if let Some(text) = self.text(row, index)? {
                    found.facts.push((name.clone(), Value::Text(text)));
                }
            }
            Slot::List(name) => {
                if let Some(items) = self.list(row, index)?.filter(|items| !items.is_empty()) {
                    found.facts.push((name.clone(), Value::List(items)));
                }
            }
        }
        Ok(())
    }

    fn text(&self, row: &Row, index: usize) -> Result<Option<Text>> {
        let text: Option<&str> = row.try_get(index)?;
        Ok(text.map(|text| self.shared.text(text)))
    }

    fn list(&self, row: &Row, index: usize) -> Result<Option<Vec<Text>>> {
        let items: Option<Vec<&str>> = row.try_get(index)?;
        let share = |item| self.shared.text(item);
        Ok(items.map(|items| items.into_iter().map(share).collect()))
    }

    fn keep(&mut self, found: Found) -> Result<()> {
        let (key, mut object, mut besides) = (found.key, found.object, found.besides);
        let index = u32::try_from(self.objects.len())?;
        if found.class != 0 {
            let address = (found.class, besides.oid, found.sub);
            self.addresses.insert(address, index);
        }
        for pair in found.aliases.chunks_exact(2).filter(|pair| pair[1] != 0) {
            self.addresses.insert((pair[0], pair[1], 0), index);
            if key.kind == Kind::Type && pair[0] == PG_CLASS {
                // A composite type keeps its columns under a relation of its own.
                besides.relation = Some(pair[1]);
            }
        }
        if key.kind == Kind::Column {
            let columns = self.columns.entry(besides.oid).or_default();
            columns.push(key.part.clone());
        }
        object.facts = if has_columns(key.kind) || found.keys.is_some() {
            // They are not all said yet.
            found.facts.into()
        } else {
            self.shared.new_facts(found.facts)
        };
        self.acls.extend(found.acl.map(|acl| (index, acl)));
        self.keys.extend(found.keys.map(|keys| (index, keys)));
        self.objects.push((key, object));
        self.besides.push(besides);
        Ok(())
    }

    /// Takes comments: class, oid, sub, text.
    pub(super) async fn take_comments(&mut self, mut rows: Rows<'_>) -> Result<()> {
        while let Some(row) = rows.next().await? {
            let address = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            if let Some(index) = self.addresses.get(&address) {
                let comment: &str = row.try_get(3)?;
                self.objects[*index as usize].1.comment = Some(comment.into());
            }
        }
        Ok(())
    }

    /// Takes security labels: class, oid, sub, provider, label.
    pub(super) async fn take_labels(&mut self, mut rows: Rows<'_>) -> Result<()> {
        while let Some(row) = rows.next().await? {
            let address = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            if let Some(index) = self.addresses.get(&address) {
                let provider: &str = row.try_get(3)?;
                let label: &str = row.try_get(4)?;
                let labels = &mut self.objects[*index as usize].1.labels;
                labels.push((provider.into(), label.into()));
                labels.sort();
            }
        }
        Ok(())
    }

    /// Takes rows of parallel arrays that say what depends on what, first those of the members of extensions.
    pub(super) async fn take_dependencies(&mut self, mut rows: Rows<'_>) -> Result<()> {
        while let Some(row) = rows.next().await? {
            let member: bool = row.try_get(0)?;
            let class: Vec<u32> = row.try_get(1)?;
            let oid: Vec<u32> = row.try_get(2)?;
            let sub: Vec<i32> = row.try_get(3)?;
            let refclass: Vec<u32> = row.try_get(4)?;
            let refoid: Vec<u32> = row.try_get(5)?;
            let refsub: Vec<i32> = row.try_get(6)?;
            for index in 0..class.len() {
                let dependent = (class[index], oid[index], sub[index]);
                let needed = (refclass[index], refoid[index], refsub[index]);
                if member {
                    self.stand_for(dependent, needed);
                } else if let (Some(dependent), Some(needed)) =
                    (self.find(dependent), self.find(needed))
                {
                    self.edges.push((dependent, needed));
                }
            }
        }
        Ok(())
    }

    /// Has an extension stand for what it brought.
    fn stand_for(&mut self, member: Address, extension: Address) {
        if let Some(extension) = self.addresses.get(&(extension.0, extension.1, 0)) {
            self.addresses.insert((member.0, member.1, 0), *extension);
        }
    }

    fn find(&self, (class, oid, sub): Address) -> Option<u32> {
        self.addresses
            .get(&(class, oid, sub))
            .or_else(|| self.addresses.get(&(class, oid, 0)))
            .copied()
    }

    /// Joins everything into the objects of a catalog.
    pub(super) fn finish(mut self) -> BTreeMap<Key, Object> {
        for (index, number) in (0..self.objects.len()).zip(0..) {
            self.finish_one(index, number);
        }
        let (objects, edges) = (self.objects, self.edges);
        // What only served the joining need not be there while the catalog grows.
        drop((self.besides, self.acls, self.keys));
        drop((self.addresses, self.columns));
        join::objects(objects, edges)
    }

    fn finish_one(&mut self, index: usize, number: u32) {
        let (kind, besides) = (self.objects[index].0.kind, self.besides[index]);
        let table = besides
            .relation
            .and_then(|oid| self.addresses.get(&(PG_CLASS, oid, 0)))
            .copied();
        let columns = if has_columns(kind) {
            self.own_columns(kind, besides)
        } else {
            self.key_columns(number, besides)
        };
        let acl = self.acl(index, number);
        if matches!(kind, Kind::Index | Kind::Statistics) {
            let on = table.map(|table| &self.objects[table as usize].0);
            // An extension stands for its tables.
            let on = on.filter(|on| on.kind.is_relation()).cloned();
            self.objects[index].1.on = on.map(Box::new);
        } else if let Some(table) = table {
            self.edges.push((number, table));
        }
        let object = &mut self.objects[index].1;
        object.acl = acl;
        if let Some(columns) = columns.filter(|columns| !columns.is_empty()) {
            object.set("columns", Some(Value::List(columns)));
            object.facts = self.shared.facts(object.facts.clone());
        }
    }

    fn own_columns(&self, kind: Kind, besides: Besides) -> Option<Vec<Text>> {
        let relation = if kind == Kind::Type {
            besides.relation?
        } else {
            besides.oid
        };
        self.columns.get(&relation).cloned()
    }

    /// Returns the names of the columns that a constraint or index stands on.
    fn key_columns(&self, number: u32, besides: Besides) -> Option<Vec<Text>> {
        let (keys, relation) = (self.keys.get(&number)?, besides.relation?);
        let columns = self.columns.get(&relation)?;
        let name = |number: &i16| {
            let address = (PG_CLASS, relation, i32::from(*number));
            let column = self.addresses.get(&address)?;
            Some(self.objects[*column as usize].0.part.clone())
        };
        let names = keys.iter().filter_map(name);
        Some(names.filter(|name| columns.contains(name)).collect())
    }

    fn acl(&self, index: usize, number: u32) -> Option<Acl> {
        let (key, object) = &self.objects[index];
        let items = self.acls.get(&number)?;
        let owner = match (&object.owner, key.kind) {
            (Some(owner), _) => owner.clone(),
            (None, Kind::Column) => {
                let table = (PG_CLASS, self.besides[index].oid, 0);
                let table = self.addresses.get(&table)?;
                self.objects[*table as usize].1.owner.clone()?
            }
            (None, _) => Text::default(),
        };
        let acl = Acl::parse(items.iter().map(|item| &**item), &owner);
        if key.kind == Kind::DefaultPrivileges || object.has("standard") {
            return Some(acl);
        }
        (acl != Acl::standard(key.kind, self.version)).then_some(acl)
    }
}

fn has_columns(kind: Kind) -> bool {
    kind.is_relation() || kind == Kind::Type
}
