//! Writes tables with their columns, keys, indexes, sequences and places in a partitioned table.

use super::{name, raw, text};
use crate::catalog::{Catalog, Key, Kind, Object, Text};
use crate::diff::plan::Plan;
use crate::sql::name::{Ident, Literal, ObjectName};
use crate::sql::safe::{Piece, Sql};

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
            if plan.options.online && !after.has("partitioned") {
                let definition = after.text("definition").unwrap_or_default();
                sql = vec![raw(&definition.replacen(
                    "INDEX ",
                    "INDEX CONCURRENTLY ",
                    1,
                ))];
            }
            sql.extend(index_facts(plan, key, after, &["tablespace", "statistics"]));
            sql.extend(index_marks(key, None, after));
            sql
        }
        Kind::Statistics => {
            let mut sql = vec![text(after, "definition")];
            sql.extend(statistics_target(key, after));
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
            if plan.is_echo(key) {
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
            // A generated column takes its expression with it.
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
            vec![Sql::fill(
                "ALTER TABLE {} DETACH PARTITION {}",
                &[&parent, &name(key)],
            )]
        }
        Kind::Constraint if plan.is_echo(key) => Vec::new(),
        Kind::Constraint => vec![Sql::fill(
            "ALTER TABLE {} DROP CONSTRAINT {}",
            &[&name(key), &part],
        )],
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
        Kind::Constraint => alter_constraint(key, before, after, changed),
        Kind::Index => alter_index(plan, key, changed),
        Kind::Statistics => {
            (changed == ["target"]).then(|| statistics_target(key, after).into_iter().collect())
        }
        Kind::Sequence => {
            if changed.contains(&"unlogged") {
                return None;
            }
            let restart = Sql::new(if must_restart(before, after) {
                " RESTART"
            } else {
                ""
            });
            let pieces: [&dyn Piece; 4] =
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
            column_line(plan, key, (column, object), typed)
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

fn column_line(plan: &Plan<'_>, table: &Key, (key, column): (&Key, &Object), typed: bool) -> Sql {
    let mut sql = Sql::default();
    sql.piece(&Ident::new(&*key.part));
    if typed {
        sql.push(" WITH OPTIONS");
    } else {
        sql.push(" ").piece(&text(column, "type"));
        let options = column.list("server_options");
        if !options.is_empty() {
            sql.piece(&super::table::options(options));
        }
        if let Some(collation) = column.text("collation") {
            sql.push(" COLLATE ").piece(&raw(collation));
        }
        if let Some(compression) = column.text("compression") {
            sql.push(" COMPRESSION ").piece(&raw(compression));
        }
    }
    let bare = sql.as_str().len();
    if let Some(generated) = column.text("generated") {
        sql.push(" GENERATED ALWAYS AS (")
            .piece(&text(column, "expression"))
            .push(") ")
            .piece(&raw(generated));
    }
    let inline = |kind: Kind| {
        let part = Key {
            kind,
            ..key.clone()
        };
        let object = plan.to.get(&part)?;
        let place = plan.inline_in(&part);
        (place.as_ref() == Some(table) || place.as_ref() == Some(key)).then_some(object)
    };
    if let Some(default) = inline(Kind::Default) {
        sql.push(" DEFAULT ").piece(&text(default, "expression"));
    }
    if let Some(of) = inline(Kind::Identity) {
        sql.push(" ").piece(&identity(of));
    }
    if column.has("not_null") {
        match inline(Kind::NotNull) {
            Some(named) => {
                sql.push(" ").piece(&named_not_null(named));
            }
            None if later_not_null(plan, key) => {}
            None => {
                sql.push(" NOT NULL");
            }
        }
    }
    if typed && sql.as_str().len() == bare {
        return Sql::default();
    }
    sql
}

fn later_not_null(plan: &Plan<'_>, column: &Key) -> bool {
    let constraint = Key {
        kind: Kind::NotNull,
        ..column.clone()
    };
    plan.to.get(&constraint).is_some()
}

fn named_not_null(object: &Object) -> Sql {
    let constraint = Ident::new(object.text("constraint").unwrap_or_default());
    let inherit = Sql::new(if object.has("no_inherit") {
        " NO INHERIT"
    } else {
        ""
    });
    Sql::fill("CONSTRAINT {} NOT NULL{}", &[&constraint, &inherit])
}

fn not_null(key: &Key, after: &Object) -> Vec<Sql> {
    let constraint = Ident::new(after.text("constraint").unwrap_or_default());
    let state = Sql::new(match (after.has("no_inherit"), after.has("not_valid")) {
        (true, true) => " NO INHERIT NOT VALID",
        (true, false) => " NO INHERIT",
        (false, true) => " NOT VALID",
        (false, false) => "",
    });
    let pieces: [&dyn Piece; 4] = [&name(key), &constraint, &Ident::new(&*key.part), &state];
    vec![Sql::fill(
        "ALTER TABLE {} ADD CONSTRAINT {} NOT NULL {}{}",
        &pieces,
    )]
}

fn add_column(plan: &Plan<'_>, key: &Key, after: &Object) -> Vec<Sql> {
    let Some(parent) = plan.to.parent(key) else {
        return Vec::new();
    };
    let mut sql = Vec::new();
    let whole_is_new = plan.made.contains(&parent);
    match parent.kind {
        Kind::Table | Kind::ForeignTable if !whole_is_new => {
            let line = column_line(plan, key, (key, after), false);
            sql.push(Sql::fill(
                "ALTER TABLE {} ADD COLUMN {}",
                &[&name(key), &line],
            ));
        }
        Kind::Type if !whole_is_new => {
            let collation = after
                .text("collation")
                .map(|collation| Sql::fill(" COLLATE {}", &[&raw(collation)]))
                .unwrap_or_default();
            let pieces: [&dyn Piece; 4] = [
                &name(key),
                &Ident::new(&*key.part),
                &text(after, "type"),
                &collation,
            ];
            sql.push(Sql::fill("ALTER TYPE {} ADD ATTRIBUTE {} {}{}", &pieces));
        }
        _ => {}
    }
    let mut facts = vec!["storage", "statistics", "options"];
    if parent.kind == Kind::MaterializedView {
        facts.push("compression");
    }
    for fact in facts.into_iter().filter(|fact| after.has(fact)) {
        sql.extend(column_fact(plan, key, fact));
    }
    sql
}

fn alter_column(plan: &Plan<'_>, key: &Key, changed: &[&str]) -> Option<Vec<Sql>> {
    let (before, after) = (plan.from.get(key)?, plan.to.get(key)?);
    let parent = plan.to.parent(key)?;
    let retype =
        plan.retyped.contains(key) || changed.contains(&"type") || changed.contains(&"collation");
    let part = Ident::new(&*key.part);
    match parent.kind {
        Kind::View => return Some(Vec::new()),
        Kind::Type => {
            let collation = after
                .text("collation")
                .map(|collation| Sql::fill(" COLLATE {}", &[&raw(collation)]))
                .unwrap_or_default();
            let pieces: [&dyn Piece; 4] = [&name(key), &part, &text(after, "type"), &collation];
            let sql = Sql::fill("ALTER TYPE {} ALTER ATTRIBUTE {} TYPE {}{}", &pieces);
            return Some(if retype { vec![sql] } else { Vec::new() });
        }
        _ => {}
    }
    let generated = |object: &Object| object.text("generated").map(str::to_owned);
    let mut sql = Vec::new();
    match (generated(before), generated(after)) {
        (None, Some(_)) => return None,
        (Some(kind), None) if kind == "STORED" => sql.push(Sql::fill(
            "ALTER TABLE {} ALTER COLUMN {} DROP EXPRESSION",
            &[&name(key), &part],
        )),
        (old, new) if old != new => return None,
        (Some(kind), Some(_)) if before.fact("expression") != after.fact("expression") => {
            if plan.from.version < 170_000 || kind != "STORED" && plan.from.version < 180_000 {
                return None;
            }
            sql.push(Sql::fill(
                "ALTER TABLE {} ALTER COLUMN {} SET EXPRESSION AS ({})",
                &[&name(key), &part, &text(after, "expression")],
            ));
        }
        _ => {}
    }
    let echo = plan.is_echo(key);
    if retype && !echo {
        sql.push(change_type(key, before, after));
    }
    for fact in changed {
        if *fact == "not_null" && echo {
            continue;
        }
        sql.extend(column_fact(plan, key, fact));
    }
    if retype && !changed.contains(&"storage") && after.has("storage") {
        sql.extend(column_fact(plan, key, "storage"));
    }
    Some(sql)
}

fn change_type(key: &Key, before: &Object, after: &Object) -> Sql {
    let part = Ident::new(&*key.part);
    let new = text(after, "type");
    let collation = after
        .text("collation")
        .map(|collation| Sql::fill(" COLLATE {}", &[&raw(collation)]))
        .unwrap_or_default();
    let (old_type, new_type) = (
        before.text("type").unwrap_or_default(),
        after.text("type").unwrap_or_default(),
    );
    let mut pieces: Vec<&dyn Piece> = vec![];
    let table = name(key);
    pieces.extend([&table as &dyn Piece, &part, &new, &collation]);
    if old_type == new_type
        && !after.has("generated")
        && before.fact("collation") != after.fact("collation")
        || after.has("generated")
    {
        return Sql::fill("ALTER TABLE {} ALTER COLUMN {} TYPE {}{}", &pieces);
    }
    let value = cast(&part, old_type, new_type);
    pieces.push(&value);
    Sql::fill("ALTER TABLE {} ALTER COLUMN {} TYPE {}{} USING {}", &pieces)
}

/// Gives the value of a column as the new type; by way of text where no cast leads there directly.
fn cast(column: &Ident, old: &str, new: &str) -> Sql {
    let array = |name: &str| name.ends_with("[]");
    if family(old) != 0 && family(old) == family(new) && array(old) == array(new) {
        return Sql::fill("{}::{}", &[column, &raw(new)]);
    }
    let through = Sql::new(if array(old) && array(new) {
        "text[]"
    } else {
        "text"
    });
    Sql::fill("{}::{}::{}", &[column, &through, &raw(new)])
}

/// Sorts the built-in types into families within which every type casts to every other.
fn family(name: &str) -> u8 {
    let bare = name.split(['(', '[']).next().unwrap_or(name).trim_end();
    match bare {
        "smallint" | "integer" | "bigint" | "numeric" | "real" | "double precision" => 1,
        "text" | "character varying" | "character" | "name" => 2,
        "date" | "timestamp without time zone" | "timestamp with time zone" | "timestamp" => 3,
        "json" | "jsonb" => 4,
        "bit" | "bit varying" => 5,
        "inet" | "cidr" => 6,
        _ => 0,
    }
}

fn column_fact(plan: &Plan<'_>, key: &Key, fact: &str) -> Vec<Sql> {
    let part = Ident::new(&*key.part);
    let before = plan.from.get(key).filter(|_| plan.altered.contains(key));
    let Some(after) = plan.to.get(key) else {
        return Vec::new();
    };
    let value = after.text(fact).map(raw);
    let set = |template: &'static str, value: Sql| {
        vec![Sql::fill(template, &[&name(key), &part, &value])]
    };
    match fact {
        "not_null" if value.is_some() && later_not_null(plan, key) => Vec::new(),
        "not_null" if value.is_some() => vec![Sql::fill(
            "ALTER TABLE {} ALTER COLUMN {} SET NOT NULL",
            &[&name(key), &part],
        )],
        "not_null" => vec![Sql::fill(
            "ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL",
            &[&name(key), &part],
        )],
        "storage" => {
            let standard = usual_storage(after.text("type").unwrap_or_default());
            set(
                "ALTER TABLE ONLY {} ALTER COLUMN {} SET STORAGE {}",
                value.unwrap_or_else(|| Sql::new(standard)),
            )
        }
        "compression" => set(
            "ALTER TABLE {} ALTER COLUMN {} SET COMPRESSION {}",
            value.unwrap_or_else(|| Sql::new("default")),
        ),
        "statistics" => set(
            "ALTER TABLE ONLY {} ALTER COLUMN {} SET STATISTICS {}",
            value.unwrap_or_else(|| Sql::new("-1")),
        ),
        "options" => {
            let old = before
                .map(|object| object.list("options"))
                .unwrap_or_default();
            let (set_to, reset) = option_changes(old, after.list("options"));
            let mut sql = Vec::new();
            if !reset.is_empty() {
                sql.extend(set("ALTER TABLE ONLY {} ALTER COLUMN {} RESET ({})", reset));
            }
            if !set_to.is_empty() {
                sql.extend(set("ALTER TABLE ONLY {} ALTER COLUMN {} SET ({})", set_to));
            }
            sql
        }
        "server_options" => {
            let old = before.map(|object| object.list(fact)).unwrap_or_default();
            let change = foreign_option_changes(old, after.list(fact));
            set(
                "ALTER FOREIGN TABLE {} ALTER COLUMN {} OPTIONS ({})",
                change,
            )
        }
        _ => Vec::new(),
    }
}

fn usual_storage(type_name: &str) -> &'static str {
    match family(type_name) {
        1 if type_name.starts_with("numeric") => "MAIN",
        1 | 3 => "PLAIN",
        6 => "MAIN",
        _ => "EXTENDED",
    }
}

fn set_default(plan: &Plan<'_>, key: &Key, after: &Object) -> Sql {
    let view = plan
        .to
        .parent(key)
        .is_some_and(|parent| parent.kind == Kind::View);
    let pieces: [&dyn Piece; 3] = [
        &name(key),
        &Ident::new(&*key.part),
        &text(after, "expression"),
    ];
    if view {
        Sql::fill("ALTER VIEW {} ALTER COLUMN {} SET DEFAULT {}", &pieces)
    } else {
        Sql::fill(
            "ALTER TABLE ONLY {} ALTER COLUMN {} SET DEFAULT {}",
            &pieces,
        )
    }
}

fn sequence(object: &Object) -> Sql {
    let cycle = Sql::new(if object.has("cycle") {
        " CYCLE"
    } else {
        " NO CYCLE"
    });
    let pieces: [&dyn Piece; 6] = [
        &text(object, "increment"),
        &text(object, "minimum"),
        &text(object, "maximum"),
        &text(object, "start"),
        &text(object, "cache"),
        &cycle,
    ];
    Sql::fill(
        " INCREMENT BY {} MINVALUE {} MAXVALUE {} START WITH {} CACHE {}{}",
        &pieces,
    )
}

fn identity(object: &Object) -> Sql {
    Sql::fill(
        "GENERATED {} AS IDENTITY (SEQUENCE NAME {}{})",
        &[
            &text(object, "generated"),
            &text(object, "sequence"),
            &sequence(object),
        ],
    )
}

/// Says whether a sequence may stand outside its new bounds, so that it has to begin anew.
fn must_restart(before: &Object, after: &Object) -> bool {
    let number = |object: &Object, fact: &str| -> i128 {
        let text = object.text(fact).unwrap_or_default();
        text.parse().unwrap_or_default()
    };
    let start = number(before, "start");
    start > number(after, "maximum") || start < number(after, "minimum")
}

fn alter_identity(key: &Key, before: &Object, after: &Object, changed: &[&str]) -> Vec<Sql> {
    let mut sql = Vec::new();
    if changed.contains(&"sequence") {
        let new = after.text("sequence").unwrap_or_default();
        let bare = new.rsplit('.').next().unwrap_or_default();
        sql.push(Sql::fill(
            "ALTER SEQUENCE {} RENAME TO {}",
            &[&text(before, "sequence"), &raw(bare)],
        ));
    }
    let words: Vec<Sql> = changed
        .iter()
        .filter_map(|fact| {
            let value = text(after, fact);
            let template = match *fact {
                "generated" => "SET GENERATED {}",
                "start" => "SET START WITH {}",
                "increment" => "SET INCREMENT BY {}",
                "minimum" => "SET MINVALUE {}",
                "maximum" => "SET MAXVALUE {}",
                "cache" => "SET CACHE {}",
                "cycle" if after.has("cycle") => return Some(Sql::new("SET CYCLE")),
                "cycle" => return Some(Sql::new("SET NO CYCLE")),
                _ => return None,
            };
            Some(Sql::fill(template, &[&value]))
        })
        .collect();
    let words = if must_restart(before, after) {
        [words, vec![Sql::new("RESTART")]].concat()
    } else {
        words
    };
    if !words.is_empty() {
        sql.push(Sql::fill(
            "ALTER TABLE {} ALTER COLUMN {} {}",
            &[&name(key), &Ident::new(&*key.part), &Sql::join(words, " ")],
        ));
    }
    sql
}

fn add_constraint(plan: &Plan<'_>, key: &Key, after: &Object) -> Vec<Sql> {
    // Keys of a partitioned table are made without those of its partitions, which come by themselves.
    let keyed = matches!(
        after.text("type"),
        Some("primary key" | "unique" | "exclusion")
    );
    let only = Sql::new(if keyed { "ONLY " } else { "" });
    let space = after
        .text("tablespace")
        .map(|space| Sql::fill(" USING INDEX TABLESPACE {}", &[&Ident::new(space)]))
        .unwrap_or_default();
    let pieces: [&dyn Piece; 5] = [
        &only,
        &name(key),
        &Ident::new(&*key.part),
        &text(after, "definition"),
        &space,
    ];
    let mut sql = vec![Sql::fill(
        "ALTER TABLE {}{} ADD CONSTRAINT {} {}{}",
        &pieces,
    )];
    let partition = Key::named(Kind::Partition, &key.schema, &key.name);
    // An index on a table that is not attached yet is taken over when it is.
    if let Some(parent) = after.text("parent")
        && !plan.made.contains(&partition)
    {
        let own = ObjectName::new(&*key.schema, &*key.part);
        sql.push(Sql::fill(
            "ALTER INDEX {} ATTACH PARTITION {}",
            &[&raw(parent), &own],
        ));
    }
    sql.extend(index_marks(key, None, after));
    sql
}

fn alter_constraint(
    key: &Key,
    before: &Object,
    after: &Object,
    changed: &[&str],
) -> Option<Vec<Sql>> {
    let mut sql = Vec::new();
    let known = [
        "clustered",
        "replica_identity",
        "not_valid",
        "definition",
        "inherited",
        "parent",
    ];
    if changed.iter().any(|fact| !known.contains(fact)) {
        return None;
    }
    if changed.contains(&"definition") {
        let old = before.text("definition")?.strip_suffix(" NOT VALID")?;
        if Some(old) != after.text("definition") {
            return None;
        }
        sql.push(Sql::fill(
            "ALTER TABLE {} VALIDATE CONSTRAINT {}",
            &[&name(key), &Ident::new(&*key.part)],
        ));
    }
    if changed.contains(&"parent") {
        let own = ObjectName::new(&*key.schema, &*key.part);
        sql.push(Sql::fill(
            "ALTER INDEX {} ATTACH PARTITION {}",
            &[&raw(after.text("parent")?), &own],
        ));
    }
    sql.extend(index_marks(key, Some(before), after));
    Some(sql)
}

/// Writes what makes an index the one a table is clustered on or identified by.
fn index_marks(key: &Key, before: Option<&Object>, after: &Object) -> Vec<Sql> {
    let had = |fact: &str| before.is_some_and(|before| before.has(fact));
    let (table, index) = if key.kind == Kind::Index {
        (text(after, "table"), Ident::new(&*key.name))
    } else {
        (name(key), Ident::new(&*key.part))
    };
    let mut sql = Vec::new();
    match (had("clustered"), after.has("clustered")) {
        (false, true) => sql.push(Sql::fill("ALTER TABLE {} CLUSTER ON {}", &[&table, &index])),
        (true, false) => sql.push(Sql::fill("ALTER TABLE {} SET WITHOUT CLUSTER", &[&table])),
        _ => {}
    }
    match (had("replica_identity"), after.has("replica_identity")) {
        (false, true) => sql.push(Sql::fill(
            "ALTER TABLE ONLY {} REPLICA IDENTITY USING INDEX {}",
            &[&table, &index],
        )),
        (true, false) => sql.push(Sql::fill(
            "ALTER TABLE ONLY {} REPLICA IDENTITY DEFAULT",
            &[&table],
        )),
        _ => {}
    }
    sql
}

fn alter_index(plan: &Plan<'_>, key: &Key, changed: &[&str]) -> Option<Vec<Sql>> {
    let (before, after) = (plan.from.get(key)?, plan.to.get(key)?);
    if changed.iter().any(|fact| {
        matches!(
            *fact,
            "definition" | "table" | "columns" | "unique" | "partitioned"
        )
    }) {
        return None;
    }
    let mut sql = Vec::new();
    if before.has("invalid") && !after.has("invalid") {
        sql.push(Sql::fill("REINDEX INDEX {}", &[&name(key)]));
    }
    sql.extend(index_facts(plan, key, after, changed));
    sql.extend(index_marks(key, Some(before), after));
    Some(sql)
}

fn index_facts(plan: &Plan<'_>, key: &Key, after: &Object, facts: &[&str]) -> Vec<Sql> {
    let mut sql = Vec::new();
    for fact in facts {
        match *fact {
            "tablespace" if after.has("tablespace") => sql.push(Sql::fill(
                "ALTER INDEX {} SET TABLESPACE {}",
                &[
                    &name(key),
                    &Ident::new(after.text("tablespace").unwrap_or_default()),
                ],
            )),
            "tablespace" if plan.altered.contains(key) => sql.push(Sql::fill(
                "ALTER INDEX {} SET TABLESPACE pg_default",
                &[&name(key)],
            )),
            "statistics" => {
                for item in after.list("statistics") {
                    let (column, target) = item.split_once('=').unwrap_or_default();
                    sql.push(Sql::fill(
                        "ALTER INDEX {} ALTER COLUMN {} SET STATISTICS {}",
                        &[&name(key), &raw(column), &raw(target)],
                    ));
                }
            }
            _ => {}
        }
    }
    let attaches = !plan.altered.contains(key) || facts.contains(&"parent");
    if let Some(parent) = after.text("parent").filter(|_| attaches) {
        // An index on a table that is not attached yet is taken over when it is.
        let attached = after.on.as_ref().is_some_and(|table| {
            let partition = Key::named(Kind::Partition, &table.schema, &table.name);
            !plan.made.contains(&partition)
        });
        if attached {
            sql.push(Sql::fill(
                "ALTER INDEX {} ATTACH PARTITION {}",
                &[&raw(parent), &name(key)],
            ));
        }
    }
    sql
}

fn statistics_target(key: &Key, after: &Object) -> Option<Sql> {
    let target = after.text("target").unwrap_or("-1");
    (after.has("target")).then(|| {
        Sql::fill(
            "ALTER STATISTICS {} SET STATISTICS {}",
            &[&name(key), &raw(target)],
        )
    })
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
            // A table that is or was a partition says so by being attached or detached.
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

/// Gives storage parameters with their names, those of the TOAST table with its prefix.
fn settings(object: &Object) -> Vec<(String, Sql)> {
    let own = object.list("options").iter().map(|item| ("", item));
    let toast = object
        .list("toast_options")
        .iter()
        .map(|item| ("toast.", item));
    own.chain(toast)
        .map(|(prefix, item)| {
            let (option, value) = item.split_once('=').unwrap_or((item, "true"));
            let option = format!("{prefix}{}", Ident::new(option));
            let sql = Sql::fill("{}={}", &[&raw(&option), &Literal::new(value)]);
            (option, sql)
        })
        .collect()
}

/// Gives what to set and what to reset.
pub(super) fn option_changes(old: &[Text], new: &[Text]) -> (Sql, Sql) {
    let option_name = |item: &Text| item.split('=').next().unwrap_or_default().to_owned();
    let set = new.iter().filter(|item| !old.contains(item)).map(|item| {
        let (option, value) = item.split_once('=').unwrap_or((item, "true"));
        Sql::fill("{}={}", &[&Ident::new(option), &Literal::new(value)])
    });
    let reset = old
        .iter()
        .filter(|item| {
            !new.iter()
                .any(|other| option_name(other) == option_name(item))
        })
        .map(|item| raw(&Ident::new(option_name(item)).to_string()));
    (Sql::join(set, ", "), Sql::join(reset, ", "))
}

/// Gives the options of a foreign object as `OPTIONS (…)` with a blank before it, or nothing.
pub(super) fn options(items: &[Text]) -> Sql {
    if items.is_empty() {
        return Sql::default();
    }
    let items = items.iter().map(foreign_option);
    Sql::fill(" OPTIONS ({})", &[&Sql::join(items, ", ")])
}

fn foreign_option(item: &Text) -> Sql {
    let (option, value) = item.split_once('=').unwrap_or((item, ""));
    Sql::fill("{} {}", &[&Ident::new(option), &Literal::new(value)])
}

/// Gives the inside of `OPTIONS (…)` that leads from one set to another.
pub(super) fn foreign_option_changes(old: &[Text], new: &[Text]) -> Sql {
    let option_name = |item: &Text| item.split('=').next().unwrap_or_default().to_owned();
    let has = |items: &[Text], name: &str| items.iter().any(|item| option_name(item) == name);
    let mut words = Vec::new();
    for item in old.iter().filter(|item| !has(new, &option_name(item))) {
        words.push(Sql::fill("DROP {}", &[&Ident::new(option_name(item))]));
    }
    for item in new.iter().filter(|item| !old.contains(item)) {
        let verb = Sql::new(if has(old, &option_name(item)) {
            "SET "
        } else {
            "ADD "
        });
        words.push(Sql::fill("{}{}", &[&verb, &foreign_option(item)]));
    }
    Sql::join(words, ", ")
}

fn listed(names: &[Text]) -> Sql {
    Sql::join(names.iter().map(|name| raw(name)), ", ")
}

/// Gives the name under which something waits while its successor is made.
pub(super) fn aside(key: &Key) -> Ident {
    let short: String = key.name.chars().take(40).collect();
    Ident::new(format!("{short} af-db old"))
}

/// Sets a table or type aside, its sequences' names freed.
pub(super) fn set_aside(plan: &Plan<'_>, key: &Key) -> Vec<Sql> {
    let mut sql: Vec<Sql> = plan
        .from
        .parts(Kind::Identity, &key.schema, &key.name)
        .filter(|_| key.kind == Kind::Table)
        .map(|(part, _)| {
            Sql::fill(
                "ALTER TABLE {} ALTER COLUMN {} DROP IDENTITY",
                &[&name(part), &Ident::new(&*part.part)],
            )
        })
        .collect();
    let template = if key.kind == Kind::Table {
        "ALTER TABLE {} RENAME TO {}"
    } else if plan.from.get(key).and_then(|object| object.text("type")) == Some("domain") {
        "ALTER DOMAIN {} RENAME TO {}"
    } else {
        "ALTER TYPE {} RENAME TO {}"
    };
    sql.push(Sql::fill(template, &[&name(key), &aside(key)]));
    sql
}

/// Moves the rows of a table that was set aside and drops it.
pub(super) fn fill(plan: &Plan<'_>, key: &Key) -> Vec<Sql> {
    let old = Sql::fill("{}.{}", &[&Ident::new(&*key.schema), &aside(key)]);
    let mut columns = Vec::new();
    let mut values = Vec::new();
    for (column, after) in plan.to.columns(key) {
        let Some(before) = plan.from.get(column).filter(|_| !after.has("generated")) else {
            continue;
        };
        let part = Ident::new(&*column.part);
        let (old_type, new_type) = (before.text("type"), after.text("type"));
        let type_again = after
            .needs
            .iter()
            .any(|needed| needed.kind == Kind::Type && plan.is_replaced(needed));
        let value = if old_type == new_type && !type_again {
            raw(&part.to_string())
        } else {
            cast(
                &part,
                old_type.unwrap_or_default(),
                new_type.unwrap_or_default(),
            )
        };
        columns.push(part);
        values.push(value);
    }
    let mut sql = Vec::new();
    let partitioned = plan
        .from
        .get(key)
        .is_some_and(|object| object.has("partition_by"));
    let still = plan
        .to
        .get(key)
        .is_some_and(|object| object.has("partition_by"));
    if !(columns.is_empty() || partitioned && still) {
        let only = Sql::new(if partitioned { "" } else { "ONLY " });
        let list = Sql::join(columns, ", ");
        let pieces: [&dyn Piece; 5] = [&name(key), &list, &Sql::join(values, ", "), &only, &old];
        sql.push(Sql::fill(
            "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {}{}",
            &pieces,
        ));
    }
    sql.extend(advance(plan.to, key));
    sql.push(Sql::fill("DROP TABLE {}", &[&old]));
    sql
}

/// Has identity columns go on after the highest value that was moved.
fn advance(to: &Catalog, key: &Key) -> Vec<Sql> {
    to.parts(Kind::Identity, &key.schema, &key.name)
        .map(|(part, identity)| {
            let sequence = Literal::new(identity.text("sequence").unwrap_or_default());
            let pieces: [&dyn Piece; 4] = [
                &sequence,
                &Ident::new(&*part.part),
                &name(key),
                &Ident::new(&*part.part),
            ];
            Sql::fill(
                "SELECT pg_catalog.setval({}, max({})) FROM {} HAVING max({}) IS NOT NULL",
                &pieces,
            )
        })
        .collect()
}
