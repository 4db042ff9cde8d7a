//! Which relations a statement rewrote, scanned, indexed or wrote.

use crate::plan::observe::lock::LockMode;
use crate::plan::observe::probe::Probe;
use crate::plan::observe::transaction_state::{Counters, LockedRelation};
use crate::plan::observe::{
    IndexBuild, RelationKind, Rewrite, RewriteKind, Scan, WrittenRows, event_log, statement_target,
};
use crate::sql::class::Class;

/// The work of one statement.
#[derive(Default)]
pub(super) struct StatementEffects {
    pub(super) rewrites: Vec<Rewrite>,
    pub(super) scans: Vec<Scan>,
    pub(super) builds: Vec<IndexBuild>,
    pub(super) rows: Vec<WrittenRows>,
}

impl Probe {
    pub(super) fn work(
        &self,
        seen: &[LockedRelation],
        log: &event_log::StatementLog,
        class: Class,
    ) -> StatementEffects {
        let mut work = StatementEffects::default();
        let mut emptied = Vec::new();
        for seen in seen {
            let (Some(entry), Some(now)) = (self.inventory.get(seen.relation), &seen.now) else {
                continue;
            };
            let has_rows = matches!(
                entry.kind,
                RelationKind::Table | RelationKind::MaterializedView
            );
            if !has_rows || now.file == entry.file {
                continue;
            }
            let lost = log.is_lost && class != Class::Truncate;
            let how = if log.rewritten.contains(&seen.relation) || lost {
                RewriteKind::Rewritten
            } else if now.tablespace != entry.tablespace {
                RewriteKind::Moved
            } else if entry.kind == RelationKind::MaterializedView {
                RewriteKind::Refreshed
            } else if matches!(class, Class::Cluster | Class::Vacuum) {
                RewriteKind::Clustered
            } else {
                emptied.push(seen.relation);
                RewriteKind::Truncated
            };
            work.rewrites.push(Rewrite {
                relation: entry.name.clone(),
                how,
            });
        }
        for seen in seen {
            self.count(seen, &emptied, &mut work);
            self.built(seen, &emptied, &mut work);
        }
        work.rewrites.sort();
        work.scans.sort();
        work.builds.sort();
        work.rows.sort();
        work
    }

    fn count(&self, seen: &LockedRelation, emptied: &[u32], work: &mut StatementEffects) {
        let Some(entry) = self.inventory.get(seen.relation) else {
            return;
        };
        let counters = seen.counters.since(self.before(seen.relation));
        let has_rows = matches!(
            entry.kind,
            RelationKind::Table | RelationKind::MaterializedView | RelationKind::ForeignTable
        );
        if has_rows && counters.scans > 0 && !emptied.contains(&seen.relation) {
            work.scans.push(Scan {
                relation: entry.name.clone(),
                times: u32::try_from(counters.scans).unwrap_or(u32::MAX),
            });
        }
        let writes = seen.mode == LockMode::RowExclusive
            && self
                .held
                .get(&seen.relation)
                .is_none_or(|held| *held < LockMode::RowExclusive);
        let wrote = counters.inserted + counters.updated + counters.deleted > 0;
        let table = matches!(
            entry.kind,
            RelationKind::Table | RelationKind::MaterializedView
        );
        if table && (writes || wrote) {
            work.rows.push(WrittenRows {
                relation: entry.name.clone(),
                inserted: counters.inserted,
                updated: counters.updated,
                deleted: counters.deleted,
                deletes: false,
                all: false,
                along: None,
            });
        }
    }

    /// Finds the table whose rows a statement says it writes, where a stronger lock from before hides it.
    pub(super) fn written(
        &self,
        seen: &[LockedRelation],
        class: Class,
        text: &str,
        work: &mut StatementEffects,
    ) {
        let deletes = statement_target::deletes(class, text);
        let all = deletes && statement_target::deletes_all(class, text);
        for rows in &mut work.rows {
            (rows.deletes, rows.all) = (deletes, all);
        }
        let Some(name) = statement_target::written(class, text) else {
            return;
        };
        // Another part of it deletes, from elsewhere.
        let deletes = deletes && !matches!(class, Class::Insert | Class::Update);
        for seen in seen {
            let named = seen.now.as_ref().is_some_and(|now| now.name == name);
            let Some(entry) = self.inventory.get(seen.relation).filter(|_| named) else {
                continue;
            };
            let table = matches!(entry.kind, RelationKind::Table | RelationKind::Partitioned);
            for rows in work.rows.iter_mut().filter(|it| it.relation == entry.name) {
                rows.deletes = deletes;
            }
            if table && work.rows.iter().all(|rows| rows.relation != entry.name) {
                work.rows.push(WrittenRows {
                    relation: entry.name.clone(),
                    inserted: 0,
                    updated: 0,
                    deleted: 0,
                    deletes,
                    all,
                    along: None,
                });
            }
        }
        work.rows.sort();
    }

    fn built(&self, seen: &LockedRelation, emptied: &[u32], work: &mut StatementEffects) {
        let Some(now) = &seen.now else { return };
        if now.kind != Some(RelationKind::Index) || now.file == 0 {
            return;
        }
        let before = self.inventory.get(seen.relation);
        let Some(table) = now
            .table
            .or_else(|| before?.table)
            .filter(|table| !emptied.contains(table))
            .and_then(|table| self.inventory.get(table))
        else {
            return;
        };
        // An index made again over the file of another one is no work.
        if before.is_some_and(|before| before.file == now.file)
            || self.inventory.files.contains(&now.file)
        {
            return;
        }
        let moved = before.is_some_and(|before| before.tablespace != now.tablespace);
        let schema = table.name.rsplit_once('.').map_or("", |(schema, _)| schema);
        let index = match before {
            Some(before) => before.name.clone(),
            None => format!("{schema}.{}", crate::sql::name::Ident::new(&*now.name)),
        };
        if moved {
            work.rewrites.push(Rewrite {
                relation: index,
                how: RewriteKind::Moved,
            });
            return;
        }
        work.builds.push(IndexBuild {
            relation: table.name.clone(),
            index,
            again: before.is_some(),
        });
    }

    fn before(&self, relation: u32) -> Counters {
        self.counters.get(&relation).copied().unwrap_or_default()
    }
}
