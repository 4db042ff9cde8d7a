//! Columns, constraints and indexes of a table, read before and after a statement.

use std::collections::BTreeMap;

use anyhow::Result;
use futures_util::future::{join, join3, join4};
use tokio_postgres::types::Type;
use tokio_postgres::{Row, Statement};

use crate::pg::session::Session;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ColumnShape {
    pub(super) name: String,
    pub(super) not_null: bool,
    pub(super) r#type: String,
    pub(super) category: String,
    pub(super) filled: bool,
}

/// A constraint that holds for every row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConstraintShape {
    pub(super) oid: u32,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) expression: Option<String>,
    pub(super) columns: Vec<i16>,
    pub(super) names: Vec<String>,
    pub(super) referenced: u32,
    pub(super) referenced_name: Option<String>,
    pub(super) referenced_names: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UniqueIndex {
    pub(super) oid: u32,
    pub(super) signature: String,
    pub(super) keys: Vec<String>,
    pub(super) predicate: Option<String>,
    pub(super) nulls_collide: bool,
}

/// What the rows of one table must be like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::plan::observe) struct TableShape {
    pub(super) columns: BTreeMap<i16, ColumnShape>,
    pub(super) constraints: Vec<ConstraintShape>,
    pub(super) uniques: Vec<UniqueIndex>,
    pub(super) bounds: Option<PartitionBounds>,
}

/// What the bounds of a partition ask of its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PartitionBounds {
    pub(super) signature: String,
    pub(super) expression: Option<String>,
}

/// What the rows of tables must be like.
pub(in crate::plan::observe) type TableShapes = BTreeMap<u32, TableShape>;

/// Beside the columns, what of a table a statement may change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::plan::observe) struct ShapeParts {
    pub(super) constraints: bool,
    pub(super) uniques: bool,
    pub(super) bounds: bool,
}

/// Puts settings of the file aside: its `search_path` must not decide how expressions are printed.
const PUT_ASIDE: &str = "SELECT
    pg_catalog.set_config('af_db.search_path', pg_catalog.current_setting('search_path'), true),
    pg_catalog.set_config('af_db.plan_cache_mode', pg_catalog.current_setting('plan_cache_mode'), true),
    pg_catalog.set_config('search_path', '', true),
    pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', true)";

/// Puts them back, for the rest of the transaction.
const PUT_BACK: &str = "SELECT
    pg_catalog.set_config('search_path', pg_catalog.current_setting('af_db.search_path'), true),
    pg_catalog.set_config('plan_cache_mode', pg_catalog.current_setting('af_db.plan_cache_mode'), true)";

/// The queries for what rows can be at odds with, which one session has prepared: planning them takes ten times as long
/// as running them.
pub(in crate::plan::observe) struct ShapeReader {
    columns: Statement,
    constraints: Statement,
    uniques: Statement,
    partitions: Statement,
    put_aside: Statement,
    put_back: Statement,
}

impl ShapeReader {
    /// Prepares the queries on a session.
    pub(in crate::plan::observe) async fn prepare(session: &Session) -> Result<ShapeReader> {
        let types = [Type::OID_ARRAY, Type::BOOL];
        let settings = join(
            session.prepare(PUT_ASIDE, &[]),
            session.prepare(PUT_BACK, &[]),
        );
        let parts = join4(
            session.prepare(include_str!("../queries/columns.sql"), &types[..1]),
            session.prepare(include_str!("../queries/constraints.sql"), &types),
            session.prepare(include_str!("../queries/unique_indexes.sql"), &types),
            session.prepare(include_str!("../queries/partitions.sql"), &types),
        );
        let (settings, parts) = join(settings, parts).await;
        let (columns, constraints, uniques, partitions) = parts;
        Ok(ShapeReader {
            columns: columns?,
            constraints: constraints?,
            uniques: uniques?,
            partitions: partitions?,
            put_aside: settings.0?,
            put_back: settings.1?,
        })
    }

    /// Reads within the transaction of the file.
    pub(super) async fn within(
        &self,
        session: &Session,
        ids: &Vec<u32>,
        parts: ShapeParts,
    ) -> Result<BTreeMap<u32, TableShape>> {
        let (aside, shapes, back) = join3(
            session.query_prepared(&self.put_aside, &[]),
            self.read(session, ids, parts, true),
            session.query_prepared(&self.put_back, &[]),
        )
        .await;
        let shapes = shapes?;
        aside.and(back)?;
        Ok(shapes)
    }

    /// Reads what the rows of tables must be like.
    pub(in crate::plan::observe) async fn read(
        &self,
        session: &Session,
        ids: &Vec<u32>,
        parts: ShapeParts,
        in_words: bool,
    ) -> Result<TableShapes> {
        let params = [(ids as _, Type::OID_ARRAY), (&in_words as _, Type::BOOL)];
        let ask = |wanted: bool, kept, count: usize| {
            let params = &params[..count];
            async move {
                match wanted {
                    true => session.query_prepared(kept, params).await,
                    false => Ok(Vec::new()),
                }
            }
        };
        let (columns, constraints, uniques, partitions) = join4(
            ask(true, &self.columns, 1),
            ask(parts.constraints, &self.constraints, 2),
            ask(parts.uniques, &self.uniques, 2),
            ask(parts.bounds, &self.partitions, 2),
        )
        .await;
        shapes(columns?, constraints?, uniques?, partitions?)
    }
}

fn shapes(
    columns: Vec<Row>,
    constraints: Vec<Row>,
    uniques: Vec<Row>,
    partitions: Vec<Row>,
) -> Result<BTreeMap<u32, TableShape>> {
    let mut shapes: BTreeMap<u32, TableShape> = BTreeMap::new();
    for row in columns {
        let column = ColumnShape {
            name: row.try_get("name")?,
            not_null: row.try_get("not_null")?,
            r#type: row.try_get("type")?,
            category: row.try_get("category")?,
            filled: row.try_get("filled")?,
        };
        let shape = shapes.entry(row.try_get("relation")?).or_default();
        shape.columns.insert(row.try_get("number")?, column);
    }
    for row in constraints {
        let list = |name: &str| -> Result<Vec<String>> {
            Ok(row
                .try_get::<_, Option<Vec<String>>>(name)?
                .unwrap_or_default())
        };
        let constraint = ConstraintShape {
            oid: row.try_get("oid")?,
            name: row.try_get("name")?,
            kind: row.try_get("kind")?,
            expression: row.try_get("expression")?,
            columns: row
                .try_get::<_, Option<Vec<i16>>>("columns")?
                .unwrap_or_default(),
            names: list("names")?,
            referenced: row.try_get("referenced")?,
            referenced_name: row.try_get("referenced_name")?,
            referenced_names: list("referenced_names")?,
        };
        let shape = shapes.entry(row.try_get("relation")?).or_default();
        shape.constraints.push(constraint);
    }
    for row in uniques {
        let unique = UniqueIndex {
            oid: row.try_get("oid")?,
            signature: row.try_get("signature")?,
            keys: row
                .try_get::<_, Option<Vec<String>>>("keys")?
                .unwrap_or_default(),
            predicate: row.try_get("predicate")?,
            nulls_collide: row.try_get::<_, Option<bool>>("nulls_collide")? == Some(true),
        };
        let shape = shapes.entry(row.try_get("relation")?).or_default();
        shape.uniques.push(unique);
    }
    for row in partitions {
        let shape = shapes.entry(row.try_get("relation")?).or_default();
        shape.bounds = Some(PartitionBounds {
            signature: row.try_get("signature")?,
            expression: row.try_get("expression")?,
        });
    }
    Ok(shapes)
}
