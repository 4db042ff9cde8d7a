//! What a plan has created and renamed on the shadow database so far.

use std::collections::HashMap;

use anyhow::Result;
use tokio_postgres::types::Type;

use crate::pg::session::Session;
use crate::plan::observe::inventory::Inventory;
use crate::plan::observe::{NewRelations, RelationKind, Renamed};
use crate::sql::class::Class;
use crate::sql::name::ObjectName;

/// The relations of the shadow database and their names at the end of the last transaction.
pub(super) struct RelationNames {
    known: HashMap<u32, String>,
    /// The first transaction that was not finished when the names were read.
    since: String,
}

impl RelationNames {
    /// Takes the names from before the plan.
    pub(super) async fn read(onlooker: &Session, inventory: &Inventory) -> Result<RelationNames> {
        let entries = inventory.entries.iter();
        let row = onlooker
            .query_one(
                "SELECT (pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot()) % 4294967296)::pg_catalog.text",
                &[],
            )
            .await?;
        Ok(RelationNames {
            known: entries
                .map(|(id, entry)| (*id, entry.name.clone()))
                .collect(),
            since: row.try_get(0)?,
        })
    }

    /// Returns what is new and what is called otherwise since the last time, where anything is.
    pub(super) async fn left(
        &mut self,
        onlooker: &Session,
        unit: usize,
        class: Option<Class>,
    ) -> Result<Option<NewRelations>> {
        let rows = onlooker
            .query(
                include_str!("queries/names.sql"),
                &[(&self.since, Type::TEXT)],
            )
            .await?;
        // REINDEX puts a new index in the place of the old one.
        let replaces =
            |kind| kind == RelationKind::Index && matches!(class, Some(Class::Reindex { .. }));
        let mut left = NewRelations {
            unit,
            ..NewRelations::default()
        };
        for row in rows {
            let Some(relation) = row.try_get::<_, Option<u32>>("relation")? else {
                self.since = row.try_get("name")?;
                continue;
            };
            let Some(kind) = RelationKind::from_relkind(row.try_get("kind")?) else {
                continue;
            };
            let (schema, name): (&str, &str) = (row.try_get("schema")?, row.try_get("name")?);
            let to = ObjectName::new(schema, name).to_string();
            match self.known.insert(relation, to.clone()) {
                Some(from) if from == to => {}
                Some(from) => left.renamed.push(Renamed { from, to }),
                None if replaces(kind) => {}
                None => left.created.push(to),
            }
        }
        left.created.sort();
        left.renamed.sort();
        let is_empty = left.created.is_empty() && left.renamed.is_empty();
        Ok((!is_empty).then_some(left))
    }
}
