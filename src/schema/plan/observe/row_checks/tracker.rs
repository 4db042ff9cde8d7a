//! Which row checks the statements of a transaction raise, each once.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use futures_util::future::join;

use crate::pg::session::Session;
use crate::plan::observe::row_checks::table_shape::{
    ConstraintShape, ShapeParts, ShapeReader, TableShape, TableShapes,
};
use crate::plan::observe::row_checks::{RowCheck, derive};

/// The questions asked so far, so that a later statement of the same transaction does not ask them again.
#[derive(Default)]
pub(in crate::plan::observe) struct RowCheckTracker {
    asked: BTreeSet<RowCheck>,
    /// How tables were before the transaction, as far as that was read.
    before: BTreeMap<(u32, ShapeParts), TableShape>,
}

impl RowCheckTracker {
    /// Begins a transaction: what was before it is another thing now.
    pub(in crate::plan::observe) fn begin(&mut self) {
        self.before.clear();
    }

    /// Returns the questions that a statement which has just run raises about tables that were there before the plan.
    ///
    /// Beside them it gives the tables that new foreign keys point at. The first session is in the statement's transaction, the second sees what was before it.
    pub(in crate::plan::observe) async fn questions(
        &mut self,
        (session, onlooker): (&Session, &Session),
        readers: (&ShapeReader, &ShapeReader),
        tables: &BTreeMap<u32, String>,
        (parts, text): (ShapeParts, &str),
    ) -> Result<(Vec<RowCheck>, Vec<u32>)> {
        if tables.is_empty() {
            return Ok(Default::default());
        }
        let ids: Vec<u32> = tables.keys().copied().collect();
        let unknown = ids.iter().copied();
        let unknown: Vec<u32> = unknown
            .filter(|id| !self.before.contains_key(&(*id, parts)))
            .collect();
        let before = async {
            match unknown.is_empty() {
                true => Ok(BTreeMap::new()),
                false => readers.1.read(onlooker, &unknown, parts, false).await,
            }
        };
        let (after, before) = join(readers.0.within(session, &ids, parts), before).await;
        let after = after?;
        let before = before?.into_iter();
        self.before
            .extend(before.map(|(id, shape)| ((id, parts), shape)));
        let names = after
            .values()
            .flat_map(|shape| &shape.constraints)
            .filter_map(|it| Some((it.referenced, it.referenced_name.clone()?)))
            .collect();
        let mut questions = Vec::new();
        let mut partners = Vec::new();
        for (id, table) in tables {
            let (Some(before), Some(after)) = (self.before.get(&(*id, parts)), after.get(id))
            else {
                continue;
            };
            let is_new =
                |it: &&ConstraintShape| before.constraints.iter().all(|old| old.oid != it.oid);
            let keys = after.constraints.iter().filter(|it| it.kind == "f");
            partners.extend(keys.filter(is_new).map(|it| it.referenced));
            questions.extend(derive::row_checks(table, before, after, &names, text));
        }
        questions.retain(|question| self.asked.insert(question.clone()));
        Ok((questions, partners))
    }

    /// Returns the questions that a statement raises which runs outside a transaction, from the tables before and after it.
    pub(in crate::plan::observe) fn raised(
        &mut self,
        tables: &BTreeMap<u32, String>,
        before: &TableShapes,
        after: &TableShapes,
        text: &str,
    ) -> Vec<RowCheck> {
        let mut questions = Vec::new();
        for (id, table) in tables {
            if let (Some(before), Some(after)) = (before.get(id), after.get(id)) {
                questions.extend(derive::row_checks(
                    table,
                    before,
                    after,
                    &BTreeMap::new(),
                    text,
                ));
            }
        }
        questions.retain(|question| self.asked.insert(question.clone()));
        questions
    }
}
