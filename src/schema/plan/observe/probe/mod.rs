//! Reads after each statement which locks the transaction holds and what changed since the previous statement.

mod effects;

use std::collections::{BTreeMap, HashMap};

use anyhow::Result;
use tokio_postgres::Row;

use crate::pg::session::Session;
use crate::plan::observe::access_scope::NoticedChanges;
use crate::plan::observe::inventory::Inventory;
use crate::plan::observe::lock::LockMode;
use crate::plan::observe::transaction_state::{
    Counters, LockedRelation, PG_CLASS, StateFilter, StateReader, TransactionState, parse,
};
use crate::plan::observe::{
    AccessChange, RelationKind, RelationLock, SECURED, StatementObservation, UNSECURED, cascade,
    event_log, lock, statement_target,
};
use crate::sql::class::{Class, Object};

/// State that is kept between queries.
pub(super) struct Probe {
    pub(super) inventory: Inventory,
    /// The strongest lock on each relation in this transaction.
    held: HashMap<u32, LockMode>,
    counters: HashMap<u32, Counters>,
    /// How often the transaction has changed `pg_class`.
    changed: i64,
    /// Whether statements have run since outside a transaction.
    stale: bool,
    /// How often something was logged.
    pub(super) logged: i64,
    /// The newest relation that was there before the plan: what the plan makes has a higher number.
    pub(super) last_before: u32,
    /// A relation that is not older than what the next looks need to go through.
    pub(super) newest: u32,
    /// What has a higher number and is looked at all the same: the indexes of tables that were there before.
    kept: Vec<u32>,
    pub(super) asker: StateReader,
}

/// What a query found in addition to the observation.
pub(super) struct ProbeSigns {
    /// The tables that were there before the plan and may ask something else of their rows than before the statement.
    pub(super) shaped: Vec<u32>,
    /// Whose rights may have changed.
    pub(super) rights: NoticedChanges,
}

/// A count that never occurs, so that everything is read.
const NEVER: i64 = -1;

/// Whether a statement may build an index on a table that was there before.
fn builds_indexes(class: Class) -> bool {
    !matches!(
        class,
        Class::Create(Object::Table | Object::View | Object::Sequence | Object::Trigger)
            | Class::Comment
            | Class::Insert
            | Class::Update
            | Class::Set { .. }
            | Class::Lock
    )
}

impl Probe {
    /// Takes stock before the plan.
    pub(super) async fn new(session: &Session, asker: StateReader) -> Result<Probe> {
        let inventory = Inventory::read(session).await?;
        let last = inventory.entries.keys().copied().max().unwrap_or_default();
        Ok(Probe {
            inventory,
            held: HashMap::new(),
            counters: HashMap::new(),
            changed: NEVER,
            stale: false,
            logged: 0,
            last_before: last,
            newest: last.max(asker.log),
            kept: Vec::new(),
            asker,
        })
    }

    /// Reads the locks of the transaction; to be sent directly after a statement.
    ///
    /// What is known may be older than the statement before: then more is told than has changed. Of a transaction whose
    /// beginning was not answered yet, nothing is known.
    pub(super) async fn ask(
        &self,
        session: &Session,
        class: Class,
        begun: bool,
    ) -> Result<Vec<Row>> {
        let known = StateFilter {
            last_before: self.last_before,
            newest: match builds_indexes(class) {
                true => self.newest,
                false => u32::MAX,
            },
            kept: &self.kept,
            // Who goes back changes what was looked at before, and nothing counts it.
            changed: match class {
                Class::Savepoint => NEVER,
                _ if !begun => NEVER,
                _ => self.changed,
            },
        };
        self.asker.look(session, known).await
    }

    /// Reads the counters of a transaction that begins; to be sent directly after its `BEGIN`.
    pub(super) async fn ask_counters(&self, session: &Session) -> Result<HashMap<u32, Counters>> {
        let mut touched: Vec<u32> = self.counters.keys().copied().collect();
        touched.extend([PG_CLASS, self.asker.log]);
        self.asker.counters(session, &touched).await
    }

    /// Begins a transaction: no locks are held, and counters continue from where they are.
    ///
    /// What the server was told in the meantime begins from nothing.
    pub(super) fn begin(&mut self, counters: HashMap<u32, Counters>) {
        self.held.clear();
        let of = |relation| counters.get(&relation).copied().unwrap_or_default();
        self.changed = match std::mem::take(&mut self.stale) {
            true => NEVER,
            false => of(PG_CLASS).updated + of(PG_CLASS).deleted,
        };
        self.logged = of(self.asker.log).inserted;
        self.counters = counters;
    }

    /// Works out what one statement has done, from what was seen after it.
    pub(super) async fn look(
        &mut self,
        session: &Session,
        look: TransactionState,
        log: event_log::StatementLog,
        class: Class,
        text: &str,
        observation: &mut StatementObservation,
    ) -> Result<ProbeSigns> {
        let again = look.changed == self.changed && class != Class::Savepoint;
        self.changed = look.changed;
        let mut seen = look.seen;
        // What was not looked up is as it was.
        for seen in seen.iter_mut().filter(|_| again) {
            if seen.now.is_none()
                && let Some(entry) = self.inventory.get(seen.relation)
            {
                seen.now = entry.now();
            }
        }
        self.logged = look.logged;
        let mut work = self.work(&seen, &log, class);
        self.written(&seen, class, text, &mut work);
        cascade::follow(session, &self.inventory, &mut work.rows).await?;
        observation.rewrites = work.rewrites;
        observation.scans = work.scans;
        observation.builds = work.builds;
        observation.rows = work.rows;
        observation.locks = self.locks(&seen);
        observation.security = self.openings(&seen);
        observation.dropped = log.dropped;
        let shaped = self.shaped(&seen, class, text);
        self.remember(seen);
        Ok(ProbeSigns {
            shaped,
            rights: log.rights,
        })
    }

    /// Takes the locks that our own questions took for held, so that no statement is blamed for them.
    pub(super) fn pass_over(&mut self, answer: &[Row]) -> Result<()> {
        for seen in parse(answer)?.seen {
            self.held.entry(seen.relation).or_insert(seen.mode);
        }
        Ok(())
    }

    /// Works out what a statement has done that ran outside of any transaction, from the files it has left behind.
    pub(super) async fn look_aside(
        &mut self,
        session: &Session,
        sampled: &BTreeMap<u32, LockMode>,
        class: Class,
        observation: &mut StatementObservation,
    ) -> Result<()> {
        let now = Inventory::read(session).await?;
        let lines = event_log::lines(&self.asker.logged(session).await?)?;
        let log = event_log::read(session, session, lines, &self.inventory).await?;
        let names: HashMap<&str, u32> = self
            .inventory
            .entries
            .iter()
            .map(|(id, entry)| (entry.name.as_str(), *id))
            .collect();
        for (id, entry) in &now.entries {
            // REINDEX CONCURRENTLY puts another index in the place of the old one.
            let before = self.inventory.get(*id).or_else(|| {
                let id = names.get(entry.name.as_str())?;
                self.inventory.get(*id)
            });
            observation.left_behind(before, entry, &self.inventory, class);
        }
        let mut seen: Vec<RelationLock> = std::mem::take(&mut observation.locks);
        for (relation, mode) in sampled {
            if let Some(entry) = self.inventory.get(*relation)
                && entry.table.is_none()
            {
                seen.push(entry.lock(*mode));
            }
        }
        observation.locks = lock::strongest(&seen);
        observation.dropped = log.dropped;
        if matches!(class, Class::Reindex { .. }) {
            observation.dropped.clear();
        }
        observation.sort();
        self.inventory.follow(now);
        self.stale = true;
        // Another index may stand in the place of an old one.
        let entries = self.inventory.entries.keys().copied();
        let later = entries.filter(|id| *id > self.last_before && !self.kept.contains(id));
        let later: Vec<u32> = later.collect();
        self.kept.extend(later);
        Ok(())
    }

    /// Finds the tables whose shape the statement may have changed: what it locked more strongly than before, and
    /// what it names; all that is held, where it does not say what it is about, or where others inherit from that.
    fn shaped(&self, seen: &[LockedRelation], class: Class, text: &str) -> Vec<u32> {
        let named = statement_target::shaped(class, text);
        let is_named = |seen: &LockedRelation| {
            let now = seen.now.as_ref();
            now.is_some_and(|now| named.as_ref() == Some(&now.name))
        };
        let fans_out = seen.iter().filter(|seen| is_named(seen)).any(|seen| {
            let now = seen.now.as_ref();
            now.is_some_and(|now| now.has_children || now.kind == Some(RelationKind::Partitioned))
        });
        let table = |kind| matches!(kind, RelationKind::Table | RelationKind::Partitioned);
        let mut shaped: Vec<u32> = seen
            .iter()
            .filter(|seen| seen.mode >= LockMode::ShareUpdateExclusive && seen.now.is_some())
            .filter(|seen| {
                let entry = self.inventory.get(seen.relation);
                entry.is_some_and(|entry| table(entry.kind))
            })
            .filter(|seen| {
                let held = self.held.get(&seen.relation);
                let fresh = held.is_none_or(|held| *held < seen.mode);
                named.is_none() || fans_out || fresh || is_named(seen)
            })
            .map(|seen| seen.relation)
            .collect();
        shaped.sort_unstable();
        shaped
    }

    fn locks(&self, seen: &[LockedRelation]) -> Vec<RelationLock> {
        let on_table: HashMap<u32, LockMode> =
            seen.iter().map(|seen| (seen.relation, seen.mode)).collect();
        let mut locks = Vec::new();
        for seen in seen {
            let Some(entry) = self.inventory.get(seen.relation) else {
                continue;
            };
            if self
                .held
                .get(&seen.relation)
                .is_some_and(|held| *held >= seen.mode)
            {
                continue;
            }
            // An index is locked after its table, so the table's lock is sufficient.
            let covered = entry.table.and_then(|table| on_table.get(&table));
            if covered.is_some_and(|covered| *covered >= seen.mode) {
                continue;
            }
            locks.push(entry.lock(seen.mode));
        }
        locks.sort();
        locks
    }

    /// Finds relations whose rows are guarded in another way than before, or belong to another process.
    fn openings(&self, seen: &[LockedRelation]) -> Vec<AccessChange> {
        let mut changes = BTreeMap::new();
        let mut tell = |name: &String, change: &str, opens: bool| {
            changes.insert((name.clone(), change.to_owned()), opens);
        };
        for seen in seen {
            let (Some(entry), Some(now)) = (self.inventory.get(seen.relation), &seen.now) else {
                continue;
            };
            match (entry.row_security, now.row_security) {
                (true, false) => tell(&entry.name, UNSECURED, true),
                (false, true) => tell(&entry.name, SECURED, false),
                _ => {}
            }
            match (entry.forced, now.forced) {
                (true, false) => tell(
                    &entry.name,
                    "row-level security is no longer forced for the owner",
                    true,
                ),
                (false, true) => tell(
                    &entry.name,
                    "row-level security is forced for the owner",
                    false,
                ),
                _ => {}
            }
            if entry.owner != now.owner && entry.kind != RelationKind::Index {
                tell(&entry.name, "the owner changed", true);
            }
        }
        let security = changes
            .into_iter()
            .map(|((object, change), opens)| AccessChange {
                object,
                change,
                opens,
            });
        security.collect()
    }

    fn remember(&mut self, seen: Vec<LockedRelation>) {
        for seen in seen {
            self.held.insert(seen.relation, seen.mode);
            self.counters.insert(seen.relation, seen.counters);
            let entry = self.inventory.entries.get_mut(&seen.relation);
            let Some(now) = seen.now else {
                if let Some(entry) = entry {
                    entry.is_gone = true;
                }
                continue;
            };
            if let Some(entry) = entry {
                entry.follow(&now);
            }
            self.inventory.files.insert(now.file);
            let of_old = now
                .table
                .is_some_and(|table| self.inventory.get(table).is_some());
            if of_old && seen.relation > self.last_before && !self.kept.contains(&seen.relation) {
                self.kept.push(seen.relation);
            }
        }
    }
}
