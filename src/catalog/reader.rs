//! Turns rows into objects: reserved columns say what an object is called, every other column is a fact of that name.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::{Context as _, Result};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::catalog::acl::Acl;
use crate::catalog::{Catalog, Key, Kind, Object, Text, Value};

/// Where the server keeps an object: the oid of its catalog, its own oid, the number of the column.
type Address = (u32, u32, i32);

const PG_CLASS: u32 = 1259;
/// Texts longer than this are hardly ever the same twice.
const SHARED: usize = 120;

/// Collects what the queries say, then joins it into a catalog.
#[derive(Default)]
pub(super) struct Reader {
    texts: HashSet<Text>,
    found: Vec<Found>,
    addresses: HashMap<Address, usize>,
    /// The columns of every relation in their order.
    columns: HashMap<u32, Vec<Text>>,
    version: i32,
}

struct Found {
    key: Key,
    object: Object,
    oid: u32,
    acl: Option<Vec<String>>,
    relation: Option<u32>,
    keys: Option<Vec<i16>>,
}

impl Reader {
    pub(super) fn new(version: i32) -> Self {
        Reader {
            version,
            ..Reader::default()
        }
    }

    /// Takes the rows of one query.
    pub(super) fn take(&mut self, rows: Vec<Row>) -> Result<()> {
        let Some(first) = rows.first() else {
            return Ok(());
        };
        let names: Vec<(Text, Type)> = first
            .columns()
            .iter()
            .map(|column| (Text::from(column.name()), column.type_().clone()))
            .collect();
        for row in rows {
            self.take_row(&row, &names)?;
        }
        Ok(())
    }

    fn take_row(&mut self, row: &Row, names: &[(Text, Type)]) -> Result<()> {
        let mut found = Found::default();
        let mut class = 0;
        let mut sub = 0;
        let mut aliases: Option<Vec<u32>> = None;
        for (index, (name, of_type)) in names.iter().enumerate() {
            match &**name {
                "kind" => {
                    let word: &str = row.try_get(index)?;
                    found.key.kind = Kind::from_word(word).with_context(|| {
                        format!("a query speaks of a {word}, which is no kind of object")
                    })?;
                }
                "class" => class = row.try_get(index)?,
                "oid" => found.oid = row.try_get(index)?,
                "sub" => sub = row.try_get(index)?,
                "aliases" => aliases = row.try_get(index)?,
                "relation" => found.relation = row.try_get(index)?,
                "keys" => found.keys = row.try_get(index)?,
                "acl" => found.acl = row.try_get(index)?,
                "schema" => found.key.schema = self.shared(row.try_get(index)?),
                "name" => found.key.name = self.shared(row.try_get(index)?),
                "part" => found.key.part = self.shared(row.try_get(index)?),
                "unfilled" => {
                    let unfilled: Option<&str> = row.try_get(index)?;
                    found.object.unfilled = unfilled.is_some();
                }
                "owner" => {
                    let owner: Option<&str> = row.try_get(index)?;
                    found.object.owner = owner.map(|owner| self.share(owner));
                }
                _ => {
                    if let Some(value) = self.value(row, index, of_type)? {
                        found.object.facts.push((name.clone(), value));
                    }
                }
            }
        }
        found.object.facts.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        // A hundred thousand of them are kept at once.
        found.object.facts.shrink_to_fit();
        self.keep(found, (class, sub), aliases.unwrap_or_default());
        Ok(())
    }

    fn value(&mut self, row: &Row, index: usize, of_type: &Type) -> Result<Option<Value>> {
        if *of_type == Type::TEXT_ARRAY {
            let items: Option<Vec<&str>> = row.try_get(index)?;
            let items = items.unwrap_or_default();
            if items.is_empty() {
                return Ok(None);
            }
            let items = items.into_iter().map(|item| self.share(item)).collect();
            return Ok(Some(Value::List(items)));
        }
        let text: Option<&str> = row.try_get(index)?;
        Ok(text.map(|text| Value::Text(self.share(text))))
    }

    fn keep(&mut self, mut found: Found, (class, sub): (u32, i32), aliases: Vec<u32>) {
        let index = self.found.len();
        if class != 0 {
            self.addresses.insert((class, found.oid, sub), index);
        }
        for pair in aliases.chunks_exact(2).filter(|pair| pair[1] != 0) {
            self.addresses.insert((pair[0], pair[1], 0), index);
            if found.key.kind == Kind::Type && pair[0] == PG_CLASS {
                // A composite type keeps its columns under a relation of its own.
                found.relation = Some(pair[1]);
            }
        }
        if found.key.kind == Kind::Column {
            let columns = self.columns.entry(found.oid).or_default();
            columns.push(found.key.part.clone());
        }
        self.found.push(found);
    }

    fn shared(&mut self, text: Option<&str>) -> Text {
        self.share(text.unwrap_or_default())
    }

    fn share(&mut self, text: &str) -> Text {
        if text.len() > SHARED {
            return text.into();
        }
        if let Some(known) = self.texts.get(text) {
            return known.clone();
        }
        let new: Text = text.into();
        self.texts.insert(new.clone());
        new
    }

    /// Takes comments: class, oid, sub, text.
    pub(super) fn take_comments(&mut self, rows: &[Row]) -> Result<()> {
        for row in rows {
            let address = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            if let Some(index) = self.addresses.get(&address) {
                let comment: &str = row.try_get(3)?;
                self.found[*index].object.comment = Some(comment.into());
            }
        }
        Ok(())
    }

    /// Takes security labels: class, oid, sub, provider, label.
    pub(super) fn take_labels(&mut self, rows: &[Row]) -> Result<()> {
        for row in rows {
            let address = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            if let Some(index) = self.addresses.get(&address) {
                let provider: &str = row.try_get(3)?;
                let label: &str = row.try_get(4)?;
                let labels = &mut self.found[*index].object.labels;
                labels.push((provider.into(), label.into()));
                labels.sort();
            }
        }
        Ok(())
    }

    /// Takes the one row of parallel arrays that says what depends on what.
    pub(super) fn take_dependencies(&mut self, row: &Row) -> Result<()> {
        let class: Option<Vec<u32>> = row.try_get(0)?;
        let Some(class) = class else { return Ok(()) };
        let oid: Vec<u32> = row.try_get(1)?;
        let sub: Vec<i32> = row.try_get(2)?;
        let refclass: Vec<u32> = row.try_get(3)?;
        let refoid: Vec<u32> = row.try_get(4)?;
        let refsub: Vec<i32> = row.try_get(5)?;
        let member: Vec<bool> = row.try_get(6)?;
        for index in (0..class.len()).filter(|index| member[*index]) {
            // What an extension brought stands for the extension.
            if let Some(extension) = self.addresses.get(&(refclass[index], refoid[index], 0)) {
                self.addresses
                    .insert((class[index], oid[index], 0), *extension);
            }
        }
        for index in (0..class.len()).filter(|index| !member[*index]) {
            let from = self.find((class[index], oid[index], sub[index]));
            let to = self.find((refclass[index], refoid[index], refsub[index]));
            if let (Some(from), Some(to)) = (from, to)
                && from != to
            {
                let needed = self.found[to].key.clone();
                self.found[from].object.needs.push(needed);
            }
        }
        Ok(())
    }

    fn find(&self, (class, oid, sub): Address) -> Option<usize> {
        self.addresses
            .get(&(class, oid, sub))
            .or_else(|| self.addresses.get(&(class, oid, 0)))
            .copied()
    }

    /// Joins everything into the objects of a catalog.
    pub(super) fn finish(mut self) -> BTreeMap<Key, Object> {
        for index in 0..self.found.len() {
            self.finish_one(index);
        }
        let mut owners: BTreeMap<(Text, Text), Vec<Key>> = BTreeMap::new();
        for found in &mut self.found {
            if found.key.kind == Kind::Sequence {
                // The column stands on the sequence; only its being owned stands on the column.
                let (columns, needs) = std::mem::take(&mut found.object.needs)
                    .into_iter()
                    .partition(|needed| needed.kind == Kind::Column);
                found.object.needs = needs;
                owners.insert((found.key.schema.clone(), found.key.name.clone()), columns);
            }
        }
        // A hundred thousand objects are not held twice: what is moved out of the one list is given back as the other grows.
        let mut left = std::mem::take(&mut self.found);
        drop(self);
        let mut catalog = Catalog::default();
        while let Some(found) = left.pop() {
            let mut object = found.object;
            if found.key.kind == Kind::SequenceOwner {
                let name = (found.key.schema.clone(), found.key.name.clone());
                let sequence = Key::named(Kind::Sequence, &name.0, &name.1);
                object
                    .needs
                    .extend(owners.remove(&name).unwrap_or_default());
                object.needs.push(sequence);
            }
            object.needs.retain(|needed| *needed != found.key);
            object.needs.sort_unstable();
            object.needs.dedup();
            object.needs.shrink_to_fit();
            catalog.objects.entry(found.key).or_insert(object);
            if left.len() * 8 < left.capacity() * 7 {
                left.shrink_to_fit();
            }
        }
        for orphan in orphans(&catalog) {
            catalog.objects.remove(&orphan);
        }
        catalog.objects
    }

    fn finish_one(&mut self, index: usize) {
        let found = &self.found[index];
        let kind = found.key.kind;
        let table = found
            .relation
            .and_then(|oid| self.addresses.get(&(PG_CLASS, oid, 0)))
            .map(|table| self.found[*table].key.clone());
        let columns = found.relation.and_then(|oid| self.columns.get(&oid));
        let keys: Option<Vec<Text>> = found.keys.as_ref().zip(columns).map(|(keys, columns)| {
            keys.iter()
                .filter_map(|number| {
                    let relation = found.relation.unwrap_or_default();
                    let column = self
                        .addresses
                        .get(&(PG_CLASS, relation, i32::from(*number)))?;
                    Some(self.found[*column].key.part.clone())
                })
                .collect::<Vec<Text>>()
                .into_iter()
                .filter(|name| columns.contains(name))
                .collect()
        });
        let own = (kind.is_relation() || kind == Kind::Type)
            .then(|| self.own_columns(index))
            .flatten();
        let acl = self.acl(index);
        let found = &mut self.found[index];
        found.object.acl = acl;
        if let Some(keys) = keys.filter(|keys| !keys.is_empty()) {
            found.object.set("columns", Some(Value::List(keys)));
        }
        if let Some(own) = own {
            found.object.set("columns", Some(Value::List(own)));
        }
        if matches!(kind, Kind::Index | Kind::Statistics) {
            found.object.on = table;
        } else if let Some(table) = table {
            found.object.needs.push(table);
        }
    }

    fn own_columns(&self, index: usize) -> Option<Vec<Text>> {
        let found = &self.found[index];
        if found.key.kind != Kind::Type {
            return self.columns.get(&found.oid).cloned();
        }
        self.columns.get(&found.relation?).cloned()
    }

    fn acl(&self, index: usize) -> Option<Acl> {
        let found = &self.found[index];
        let items = found.acl.as_ref()?;
        let owner = match (&found.object.owner, found.key.kind) {
            (Some(owner), _) => owner.clone(),
            (None, Kind::Column) => {
                let table = self.addresses.get(&(PG_CLASS, found.oid, 0))?;
                self.found[*table].object.owner.clone()?
            }
            (None, _) => "".into(),
        };
        let acl = Acl::parse(items.iter().map(String::as_str), &owner);
        if found.key.kind == Kind::DefaultPrivileges || found.object.has("standard") {
            return Some(acl);
        }
        (acl != Acl::standard(found.key.kind, self.version)).then_some(acl)
    }
}

/// Finds the parts whose relation was not read: those of extensions and of what is ours.
///
/// Policies and triggers stay, since users put theirs on the platform's tables; so does whether the policies count.
fn orphans(catalog: &Catalog) -> Vec<Key> {
    let belongs = |key: &Key, object: &Object| match key.kind {
        Kind::Policy | Kind::Trigger | Kind::RowSecurity => true,
        Kind::Index | Kind::Statistics => object
            .on
            .as_ref()
            .is_some_and(|table| catalog.objects.contains_key(table)),
        Kind::SequenceOwner => {
            catalog
                .objects
                .contains_key(&Key::named(Kind::Sequence, &key.schema, &key.name))
        }
        kind if kind.is_part() => catalog.parent(key).is_some(),
        _ => true,
    };
    let lost = |(key, object): &(&Key, &Object)| !belongs(key, object);
    let lost = catalog.objects.iter().filter(lost);
    lost.map(|(key, _)| key.clone()).collect()
}

impl Default for Found {
    fn default() -> Self {
        Found {
            key: Key::first(Kind::Table),
            object: Object::default(),
            oid: 0,
            acl: None,
            relation: None,
            keys: None,
        }
    }
}
