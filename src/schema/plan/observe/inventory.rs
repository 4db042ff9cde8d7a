//! The relations of a database with the names they had before the plan.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::Result;

use crate::pg::session::Session;
use crate::plan::observe::lock::LockMode;
use crate::plan::observe::transaction_state::RelationState;
use crate::plan::observe::{
    IndexBuild, RelationKind, RelationLock, Rewrite, RewriteKind, StatementObservation,
};
use crate::sql::class::Class;
use crate::sql::name::ObjectName;

/// A relation as it was last read.
#[derive(Clone, Debug)]
pub(super) struct RelationEntry {
    /// Its name before the plan.
    pub(super) name: String,
    pub(super) kind: RelationKind,
    pub(super) file: u32,
    pub(super) tablespace: u32,
    /// The table, of an index.
    pub(super) table: Option<u32>,
    pub(super) row_security: bool,
    pub(super) forced: bool,
    pub(super) owner: u32,
    /// Its name by now, without its schema.
    pub(super) called: String,
    /// Whether it has, or had, partitions or heirs.
    pub(super) has_children: bool,
    /// Whether it was dropped.
    pub(super) is_gone: bool,
}

impl RelationEntry {
    /// Returns its last read state, or `None` if it was dropped.
    pub(super) fn now(&self) -> Option<RelationState> {
        (!self.is_gone).then(|| RelationState {
            kind: Some(self.kind),
            name: self.called.clone(),
            file: self.file,
            tablespace: self.tablespace,
            table: self.table,
            row_security: self.row_security,
            forced: self.forced,
            owner: self.owner,
            has_children: self.has_children,
        })
    }

    /// Adopts how it is now.
    pub(super) fn follow(&mut self, now: &RelationState) {
        self.is_gone = false;
        self.file = now.file;
        self.tablespace = now.tablespace;
        self.row_security = now.row_security;
        self.forced = now.forced;
        self.owner = now.owner;
        self.has_children = now.has_children;
        self.called.clone_from(&now.name);
    }

    pub(super) fn lock(&self, mode: LockMode) -> RelationLock {
        RelationLock {
            relation: self.name.clone(),
            kind: self.kind,
            mode,
        }
    }
}

/// What was there before the plan, by its identity, and every file that was ever seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Inventory {
    pub(super) entries: HashMap<u32, RelationEntry>,
    pub(super) files: HashSet<u32>,
    /// The names of what the plan has made since.
    pub(super) made: HashSet<String>,
}

impl Inventory {
    /// Reads all relations.
    pub(super) async fn read(session: &Session) -> Result<Inventory> {
        let rows = session
            .query(include_str!("queries/inventory.sql"), &[])
            .await?;
        let mut inventory = Inventory::default();
        for row in rows {
            let Some(kind) = RelationKind::from_relkind(row.try_get("kind")?) else {
                continue;
            };
            let (schema, name): (&str, &str) = (row.try_get("schema")?, row.try_get("name")?);
            let entry = RelationEntry {
                name: ObjectName::new(schema, name).to_string(),
                kind,
                file: row.try_get("file")?,
                tablespace: row.try_get("tablespace")?,
                table: row.try_get("table_of")?,
                row_security: row.try_get("row_security")?,
                forced: row.try_get("forced")?,
                owner: row.try_get("owner")?,
                called: name.to_owned(),
                has_children: row.try_get("has_children")?,
                is_gone: false,
            };
            inventory.files.insert(entry.file);
            inventory.entries.insert(row.try_get("oid")?, entry);
        }
        Ok(inventory)
    }

    /// Adopts where files lie now; what is new stays unknown, because the plan made it.
    pub(super) fn follow(&mut self, now: Inventory) {
        let names: HashMap<String, u32> = self
            .entries
            .iter()
            .map(|(id, entry)| (entry.name.clone(), *id))
            .collect();
        self.files.extend(now.files);
        for (id, known) in &mut self.entries {
            known.is_gone = !now.entries.contains_key(id);
        }
        for (id, entry) in now.entries {
            match self.entries.get_mut(&id) {
                Some(known) => {
                    known.file = entry.file;
                    known.tablespace = entry.tablespace;
                    known.called = entry.called;
                    known.has_children = entry.has_children;
                }
                None => {
                    // Another index in the place of an old one.
                    if let Some(known) = names.get(&entry.name).copied()
                        && entry.kind == RelationKind::Index
                    {
                        self.entries.remove(&known);
                        self.entries.insert(id, entry);
                    } else {
                        self.made.insert(entry.name);
                    }
                }
            }
        }
    }

    /// Returns the names before the plan of relations that were there.
    pub(super) fn names(&self, relations: &[u32]) -> BTreeMap<u32, String> {
        relations
            .iter()
            .filter_map(|relation| Some((*relation, self.get(*relation)?.name.clone())))
            .collect()
    }

    /// Returns the tables of a bare name, in whichever schema.
    pub(super) fn called(&self, name: &str) -> BTreeMap<u32, String> {
        let bare = format!(".{}", crate::sql::name::Ident::new(name));
        let tables = self.entries.iter().filter(|(_, entry)| {
            matches!(entry.kind, RelationKind::Table | RelationKind::Partitioned)
                && entry.name.ends_with(&bare)
        });
        tables
            .map(|(id, entry)| (*id, entry.name.clone()))
            .collect()
    }

    /// Returns what was there before the plan.
    pub(super) fn get(&self, relation: u32) -> Option<&RelationEntry> {
        self.entries.get(&relation)
    }
}

impl StatementObservation {
    /// Reports what a relation's files say, before and after a non-transactional statement.
    pub(super) fn left_behind(
        &mut self,
        before: Option<&RelationEntry>,
        now: &RelationEntry,
        inventory: &Inventory,
        class: Class,
    ) {
        let has_rows = matches!(
            now.kind,
            RelationKind::Table | RelationKind::MaterializedView
        );
        let changed = before.is_some_and(|before| before.file != now.file);
        if has_rows && changed {
            let how = match class {
                Class::Vacuum | Class::Cluster => RewriteKind::Clustered,
                _ => RewriteKind::Rewritten,
            };
            self.rewrites.push(Rewrite {
                relation: now.name.clone(),
                how,
            });
        }
        let table = now.table.and_then(|table| inventory.get(table));
        let fresh = before.is_none() && !inventory.made.contains(&now.name);
        let unseen = !inventory.files.contains(&now.file);
        let Some(table) = table.filter(|_| now.file != 0 && unseen && (changed || fresh)) else {
            return;
        };
        self.builds.push(IndexBuild {
            relation: table.name.clone(),
            index: now.name.clone(),
            again: before.is_some(),
        });
        match class {
            Class::Reindex {
                concurrently: false,
            } => {
                self.locks.push(table.lock(LockMode::Share));
                self.locks.push(now.lock(LockMode::AccessExclusive));
            }
            Class::Reindex { .. } => self.locks.push(table.lock(LockMode::ShareUpdateExclusive)),
            Class::Cluster => self.locks.push(table.lock(LockMode::AccessExclusive)),
            _ => {}
        }
    }

    pub(super) fn sort(&mut self) {
        self.rewrites.sort();
        self.builds.sort();
        self.scans.sort();
    }
}
