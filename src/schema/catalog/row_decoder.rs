//! Decodes query rows into objects: reserved columns name the object, every other column is a fact.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context as _, Result};
use tokio_postgres::types::Type;
use tokio_postgres::{Column, Row};

use crate::catalog::acl::Acl;
use crate::catalog::assemble::{self, Edge};
use crate::catalog::{Interner, Key, Kind, Object, Text, Value};
use crate::pg::session::Rows;

/// An object in the system catalogs: the OID of the catalog, the OID of the object, the column number.
type Address = (u32, u32, i32);

const PG_CLASS: u32 = 1259;

/// Collects the rows of the queries, then builds the catalog.
///
/// A database may have hundreds of thousands of objects, so equal texts are shared, and data that is only needed for
/// building the catalog is kept apart.
pub(super) struct RowDecoder<'s> {
    shared: &'s Interner,
    objects: Vec<(Key, Object)>,
    /// OIDs by object index.
    server_ids: Vec<ServerIds>,
    acls: HashMap<u32, Vec<Text>>,
    /// The column numbers of constraints and indexes.
    keys: HashMap<u32, Vec<i16>>,
    addresses: HashMap<Address, u32>,
    /// The columns of every relation in their order.
    columns: HashMap<u32, Vec<Text>>,
    /// Dependencies.
    edges: Vec<Edge>,
    version: i32,
}

#[derive(Clone, Copy, Default)]
struct ServerIds {
    oid: u32,
    relation: Option<u32>,
}

/// The meaning of a result column.
enum ResultColumn {
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

impl ResultColumn {
    fn of(column: &Column) -> ResultColumn {
        match column.name() {
            "kind" => ResultColumn::Kind,
            "class" => ResultColumn::Class,
            "oid" => ResultColumn::Oid,
            "sub" => ResultColumn::Sub,
            "aliases" => ResultColumn::Aliases,
            "relation" => ResultColumn::Relation,
            "keys" => ResultColumn::Keys,
            "acl" => ResultColumn::Acl,
            "schema" => ResultColumn::Schema,
            "name" => ResultColumn::Name,
            "part" => ResultColumn::Part,
            "unfilled" => ResultColumn::Unfilled,
            "owner" => ResultColumn::Owner,
            fact if *column.type_() == Type::TEXT_ARRAY => ResultColumn::List(fact.into()),
            fact => ResultColumn::Text(fact.into()),
        }
    }

    fn fact(&self) -> Option<&Text> {
        match self {
            ResultColumn::Text(name) | ResultColumn::List(name) => Some(name),
            _ => None,
        }
    }

    /// Returns the columns of a result with their positions, facts sorted by name.
    fn all(columns: &[Column]) -> Vec<(usize, ResultColumn)> {
        let slots = columns.iter().map(ResultColumn::of).enumerate();
        let mut slots: Vec<(usize, ResultColumn)> = slots.collect();
        slots.sort_by(|one, other| one.1.fact().cmp(&other.1.fact()));
        slots
    }
}

/// What is known of an object while its row is read.
struct Found {
    key: Key,
    object: Object,
    server_ids: ServerIds,
    class: u32,
    sub: i32,
    aliases: Vec<u32>,
    acl: Option<Vec<Text>>,
    keys: Option<Vec<i16>>,
    facts: Vec<(Text, Value)>,
}

impl<'s> RowDecoder<'s> {
    pub(super) fn new(version: i32, shared: &'s Interner) -> Self {
        RowDecoder {
            shared,
            objects: Vec::new(),
            server_ids: Vec::new(),
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
            let slots = slots.get_or_insert_with(|| ResultColumn::all(row.columns()));
            self.take_row(&row, slots)?;
        }
        Ok(())
    }

    fn take_row(&mut self, row: &Row, slots: &[(usize, ResultColumn)]) -> Result<()> {
        let mut found = Found {
            key: Key::first(Kind::Table),
            object: Object::default(),
            server_ids: ServerIds::default(),
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
        slot: &ResultColumn,
        found: &mut Found,
    ) -> Result<()> {
        match slot {
            ResultColumn::Kind => {
                let word: &str = row.try_get(index)?;
                found.key.kind = Kind::from_word(word).with_context(|| {
                    format!("a query speaks of a {word}, which is no kind of object")
                })?;
            }
            ResultColumn::Class => found.class = row.try_get(index)?,
            ResultColumn::Oid => found.server_ids.oid = row.try_get(index)?,
            ResultColumn::Sub => found.sub = row.try_get(index)?,
            ResultColumn::Aliases => {
                let aliases: Option<Vec<u32>> = row.try_get(index)?;
                found.aliases = aliases.unwrap_or_default();
            }
            ResultColumn::Relation => found.server_ids.relation = row.try_get(index)?,
            ResultColumn::Keys => found.keys = row.try_get(index)?,
            ResultColumn::Acl => found.acl = self.list(row, index)?,
            ResultColumn::Schema => found.key.schema = self.text(row, index)?.unwrap_or_default(),
            ResultColumn::Name => found.key.name = self.text(row, index)?.unwrap_or_default(),
            ResultColumn::Part => found.key.part = self.text(row, index)?.unwrap_or_default(),
            ResultColumn::Unfilled => {
                let unfilled: Option<&str> = row.try_get(index)?;
                found.object.unfilled = unfilled.is_some();
            }
            ResultColumn::Owner => found.object.owner = self.text(row, index)?,
            ResultColumn::Text(name) => {
                if let Some(text) = self.text(row, index)? {
                    found.facts.push((name.clone(), Value::Text(text)));
                }
            }
            ResultColumn::List(name) => {
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
        let (key, mut object, mut server_ids) = (found.key, found.object, found.server_ids);
        let index = u32::try_from(self.objects.len())?;
        if found.class != 0 {
            let address = (found.class, server_ids.oid, found.sub);
            self.addresses.insert(address, index);
        }
        for pair in found.aliases.chunks_exact(2).filter(|pair| pair[1] != 0) {
            self.addresses.insert((pair[0], pair[1], 0), index);
            if key.kind == Kind::Type && pair[0] == PG_CLASS {
                // A composite type keeps its columns under a relation of its own.
                server_ids.relation = Some(pair[1]);
            }
        }
        if key.kind == Kind::Column {
            let columns = self.columns.entry(server_ids.oid).or_default();
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
        self.server_ids.push(server_ids);
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

    /// Replaces an extension's object by the extension.
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

    /// Builds the objects of the catalog.
    pub(super) fn finish(mut self) -> BTreeMap<Key, Object> {
        for (index, number) in (0..self.objects.len()).zip(0..) {
            self.finish_one(index, number);
        }
        let (objects, edges) = (self.objects, self.edges);
        // Free what is no longer needed before the catalog grows.
        drop((self.server_ids, self.acls, self.keys));
        drop((self.addresses, self.columns));
        assemble::objects(objects, edges)
    }

    fn finish_one(&mut self, index: usize, number: u32) {
        let (kind, server_ids) = (self.objects[index].0.kind, self.server_ids[index]);
        let table = server_ids
            .relation
            .and_then(|oid| self.addresses.get(&(PG_CLASS, oid, 0)))
            .copied();
        let columns = if has_columns(kind) {
            self.own_columns(kind, server_ids)
        } else {
            self.key_columns(number, server_ids)
        };
        let acl = self.acl(index, number);
        if matches!(kind, Kind::Index | Kind::Statistics) {
            let on = table.map(|table| &self.objects[table as usize].0);
            // Tables of an extension are replaced by the extension.
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

    fn own_columns(&self, kind: Kind, server_ids: ServerIds) -> Option<Vec<Text>> {
        let relation = if kind == Kind::Type {
            server_ids.relation?
        } else {
            server_ids.oid
        };
        self.columns.get(&relation).cloned()
    }

    /// Returns the columns of a constraint or index.
    fn key_columns(&self, number: u32, server_ids: ServerIds) -> Option<Vec<Text>> {
        let (keys, relation) = (self.keys.get(&number)?, server_ids.relation?);
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
                let table = (PG_CLASS, self.server_ids[index].oid, 0);
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
