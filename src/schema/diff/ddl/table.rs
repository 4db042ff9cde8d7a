//! Writes tables with their columns, keys, indexes and sequences, and partitions.

use super::column::{
    add_column, alter_column, alter_identity, column_line, identity, must_restart, not_null,
    sequence, set_default,
};
use super::index::{
    add_constraint, alter_constraint, alter_index, index_facts, index_marks, statistics_target,
};
use super::names::{name, raw, text};
use super::options::{foreign_option_changes, listed, options, settings};
use crate::catalog::{Key, Kind, Object};
use crate::diff::plan::Plan;
use crate::sql::name::Ident;
use crate::sql::safe::{Sql, SqlPart};

pub(super) fn make(plan: &Plan<'_>, key: &Key, after: &Object) -> Vec<Sql> {
    let part = Ident::new(&*key.part);
    match key.kind {
        Kind::Table | Kind::ForeignTable => create(plan, key, after),
        Kind::Column => add_column(plan, key, after),
        Kind::Default => vec![set_default(plan, key, after)],
        Kind::Identity => vec![Sql::fill(
            "ALTER TABLE {} ALTER COLUMN {} ADD {}",
            &[&name(key), &part, &identity(after)],
        )],
        Kind::NotNull => not_null(key, after),
        Kind::Partition => vec![Sql::fill(
            "ALTER TABLE ONLY {} ATTACH PARTITION {} {}",
            &[&text(after, "parent"), &name(key), &text(after, "bound")],
        )],
        Kind::Constraint => add_constraint(plan, key, after),
        Kind::Index => {
            let mut sql = vec![text(after, "definition")];
            sql.extend(index_facts(plan, key, after, &["tablespace", "statistics"]));
            sql.extend(index_marks(key, None, after));
            sql
        }
        Kind::Statistics => {
            let mut sql = vec![text(after, "definition")];
            if after.has("target") {
                sql.push(statistics_target(key, after));
            }
            sql
        }
        Kind::Sequence => {
            let unlogged = Sql::new(if after.has("unlogged") {
                "UNLOGGED "
            } else {
                ""
            });
            vec![Sql::fill(
                "CREATE {}SEQUENCE {} AS {}{}",
                &[
                    &unlogged,
                    &name(key),
                    &text(after, "type"),
                    &sequence(after),
                ],
            )]
        }
        Kind::SequenceOwner => vec![Sql::fill(
            "ALTER SEQUENCE {} OWNED BY {}",
            &[&name(key), &text(after, "column")],
        )],
        _ => Vec::new(),
    }
}

pub(super) fn drop(plan: &Plan<'_>, key: &Key) -> Vec<Sql> {
    let part = Ident::new(&*key.part);
    match key.kind {
        Kind::Column => {
            let parent = plan.from.parent(key);
            if plan.follows_parent(key) {
                return Vec::new();
            }
            match parent.map(|parent| parent.kind) {
                Some(Kind::View | Kind::MaterializedView) | None => Vec::new(),
                Some(Kind::Type) => vec![Sql::fill(
                    "ALTER TYPE {} DROP ATTRIBUTE {}",
                    &[&name(key), &part],
                )],
                Some(_) => vec![Sql::fill(
                    "ALTER TABLE {} DROP COLUMN {}",
                    &[&name(key), &part],
                )],
            }
        }
        Kind::Default => {
            let column = Key {
                kind: Kind::Column,
                ..key.clone()
            };
            // The expression is dropped with the generated column.
            if plan.to.get(&column).is_none() {
                return Vec::new();
            }
            vec![Sql::fill(
                "ALTER TABLE ONLY {} ALTER COLUMN {} DROP DEFAULT",
                &[&name(key), &part],
            )]
        }
        Kind::Identity => vec![Sql::fill(
            "ALTER TABLE {} ALTER COLUMN {} DROP IDENTITY",
            &[&name(key), &part],
        )],
        Kind::NotNull => vec![Sql::fill(
            "ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL",
            &[&name(key), &part],
        )],
        Kind::Partition => {
            let parent = plan
                .from
                .get(key)
                .map(|object| text(object, "parent"))
                .unwrap_or_default();
            let mut sql = vec![Sql::fill(
                "ALTER TABLE {} DETACH PARTITION {}",
                &[&parent, &name(key)],
            )];
            // The parent's foreign keys have become its own; those that it should have are created separately.
            let kept = plan.inherited_foreign_keys(key);
            let kept = kept.iter().filter(|key| !plan.dropped.contains(*key));
            sql.extend(kept.map(|reference| {
                Sql::fill(
                    "ALTER TABLE {} DROP CONSTRAINT {}",
                    &[&name(key), &Ident::new(&*reference.part)],
                )
            }));
            sql
        }
        Kind::Constraint if plan.follows_parent(key) => Vec::new(),
        Kind::Constraint => vec![Sql::fill(
            "ALTER TABLE {} DROP CONSTRAINT {}",
            &[&name(key), &part],
        )],
        Kind::Index if plan.backs_partition_key(key) => {
            // The keys of partitions can be dropped neither before it nor after; other dependents were dropped before.
            vec![Sql::fill("DROP INDEX {} CASCADE", &[&name(key)])]
        }
        Kind::Index => vec![Sql::fill("DROP INDEX {}", &[&name(key)])],
        Kind::SequenceOwner => vec![Sql::fill("ALTER SEQUENCE {} OWNED BY NONE", &[&name(key)])],
        _ => Vec::new(),
    }
}

pub(super) fn alter(plan: &Plan<'_>, key: &Key, changed: &[&str]) -> Option<Vec<Sql>> {
    let (before, after) = (plan.from.get(key)?, plan.to.get(key)?);
    match key.kind {
        Kind::Table | Kind::ForeignTable => alter_table(key, before, after, changed),
        Kind::Column => alter_column(plan, key, changed),
        Kind::Default => Some(vec![set_default(plan, key, after)]),
        Kind::Identity => Some(alter_identity(key, before, after, changed)),
        Kind::NotNull => None,
        Kind::Partition => None,
        Kind::Constraint => alter_constraint(plan, key, changed),
        Kind::Index => alter_index(plan, key, changed),
        Kind::Statistics => (changed == ["target"]).then(|| vec![statistics_target(key, after)]),
        Kind::Sequence => {
            if changed.contains(&"unlogged") {
                return None;
            }
            let restart = Sql::new(if must_restart(before, after) {
                " RESTART"
            } else {
                ""
            });
            let pieces: [&dyn SqlPart; 4] =
                [&name(key), &text(after, "type"), &sequence(after), &restart];
            Some(vec![Sql::fill("ALTER SEQUENCE {} AS {}{}{}", &pieces)])
        }
        Kind::SequenceOwner => Some(make(plan, key, after)),
        _ => None,
    }
}

fn create(plan: &Plan<'_>, key: &Key, after: &Object) -> Vec<Sql> {
    let foreign = key.kind == Kind::ForeignTable;
    let mut sql = Sql::new(if foreign {
        "CREATE FOREIGN TABLE "
    } else if after.has("unlogged") {
        "CREATE UNLOGGED TABLE "
    } else {
        "CREATE TABLE "
    });
    sql.piece(&name(key));
    let spelt = |column: &Object| !column.has("inherited") || after.has("partition");
    let columns: Vec<Sql> = plan
        .to
        .columns(key)
        .into_iter()
        .filter(|(_, column)| spelt(column) || column.text("inherited") == Some("also"))
        .map(|(column, object)| {
            let typed = after.has("of_type");
            column_line(plan, key, column, object, typed)
        })
        .collect();
    if let Some(of_type) = after.text("of_type") {
        sql.push(" OF ").piece(&raw(of_type));
        let said: Vec<Sql> = columns
            .into_iter()
            .filter(|line| !line.is_empty())
            .collect();
        if !said.is_empty() {
            sql.push(" (").piece(&Sql::join(said, ", ")).push(")");
        }
    } else if columns.is_empty() {
        sql.push(" ()");
    } else {
        sql.push(" (\n    ")
            .piece(&Sql::join(columns, ",\n    "))
            .push("\n)");
    }
    let inherits = after.list("inherits");
    if !inherits.is_empty() {
        sql.push(" INHERITS (").piece(&listed(inherits)).push(")");
    }
    if let Some(partition_by) = after.text("partition_by") {
        sql.push(" PARTITION BY ").piece(&raw(partition_by));
    }
    if let Some(method) = after.text("access_method") {
        sql.push(" USING ").piece(&Ident::new(method));
    }
    if foreign {
        sql.push(" SERVER ")
            .piece(&Ident::new(after.text("server").unwrap_or_default()))
            .piece(&options(after.list("server_options")));
    }
    let settings: Vec<Sql> = settings(after).into_iter().map(|(_, sql)| sql).collect();
    if !settings.is_empty() {
        sql.push(" WITH (")
            .piece(&Sql::join(settings, ", "))
            .push(")");
    }
    if let Some(space) = after.text("tablespace") {
        sql.push(" TABLESPACE ").piece(&Ident::new(space));
    }
    let mut all = vec![sql];
    all.extend(replica(key, after));
    all
}

fn alter_table(key: &Key, before: &Object, after: &Object, changed: &[&str]) -> Option<Vec<Sql>> {
    let mut sql = Vec::new();
    let say = |template: &'static str, value: Sql| Sql::fill(template, &[&name(key), &value]);
    for fact in changed {
        match *fact {
            "unlogged" if after.has("unlogged") => {
                sql.push(say("ALTER TABLE {} SET UNLOGGED{}", Sql::default()));
            }
            "unlogged" => sql.push(say("ALTER TABLE {} SET LOGGED{}", Sql::default())),
            "options" | "toast_options" => {}
            "tablespace" => sql.push(say(
                "ALTER TABLE {} SET TABLESPACE {}",
                raw(&Ident::new(after.text("tablespace").unwrap_or("pg_default")).to_string()),
            )),
            "replica_identity" if !after.has("replica_identity") => sql.push(say(
                "ALTER TABLE ONLY {} REPLICA IDENTITY DEFAULT{}",
                Sql::default(),
            )),
            "replica_identity" => sql.extend(replica(key, after)),
            "server_options" => sql.push(say(
                "ALTER FOREIGN TABLE {} OPTIONS ({})",
                foreign_option_changes(before.list(fact), after.list(fact)),
            )),
            "inherits" => {
                let (old, new) = (before.list("inherits"), after.list("inherits"));
                if new.iter().any(|parent| !old.contains(parent)) {
                    return None;
                }
                for parent in old.iter().filter(|parent| !new.contains(parent)) {
                    sql.push(say("ALTER TABLE {} NO INHERIT {}", raw(parent)));
                }
            }
            // A table becomes or stops being a partition by ATTACH or DETACH.
            "partition" | "columns" => {}
            _ => return None,
        }
    }
    if changed
        .iter()
        .any(|fact| matches!(*fact, "options" | "toast_options"))
    {
        let (old, new) = (settings(before), settings(after));
        let reset: Vec<Sql> = old
            .iter()
            .filter(|(name, _)| !new.iter().any(|(other, _)| other == name))
            .map(|(name, _)| raw(name))
            .collect();
        let set: Vec<Sql> = new
            .iter()
            .filter(|setting| !old.contains(setting))
            .map(|(_, sql)| sql.clone())
            .collect();
        if !reset.is_empty() {
            sql.push(say("ALTER TABLE {} RESET ({})", Sql::join(reset, ", ")));
        }
        if !set.is_empty() {
            sql.push(say("ALTER TABLE {} SET ({})", Sql::join(set, ", ")));
        }
    }
    Some(sql)
}

fn replica(key: &Key, after: &Object) -> Option<Sql> {
    after.text("replica_identity").map(|identity| {
        Sql::fill(
            "ALTER TABLE ONLY {} REPLICA IDENTITY {}",
            &[&name(key), &raw(identity)],
        )
    })
}
