//! Writes columns with their defaults and identities, and sequence options.

use super::names::{name, raw, text};
use super::options::{foreign_option_changes, option_changes};
use crate::catalog::{Key, Kind, Object};
use crate::diff::plan::Plan;
use crate::sql::name::Ident;
use crate::sql::safe::{Sql, SqlPart};

pub(super) fn column_line(
    plan: &Plan<'_>,
    table: &Key,
    key: &Key,
    column: &Object,
    typed: bool,
) -> Sql {
    let mut sql = Sql::default();
    sql.piece(&Ident::new(&*key.part));
    if typed {
        sql.push(" WITH OPTIONS");
    } else {
        sql.push(" ").piece(&text(column, "type"));
        if let Some(compression) = column.text("compression") {
            sql.push(" COMPRESSION ").piece(&raw(compression));
        }
        let options = column.list("server_options");
        if !options.is_empty() {
            sql.piece(&super::options::options(options));
        }
        if let Some(collation) = column.text("collation") {
            sql.push(" COLLATE ").piece(&raw(collation));
        }
    }
    let bare = sql.as_str().len();
    // Before 16 a child inherits the expression of its parent and must not declare one.
    let is_new = plan
        .to
        .parent(key)
        .is_some_and(|of| plan.made.contains(&of));
    let takes_over = column.has("inherited") && plan.to.version < 160_000 && is_new;
    if let Some(generated) = column.text("generated").filter(|_| !takes_over) {
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
            // The default name is still used by the renamed old table.
            None if plan.from.version >= 180_000 && plan.is_rebuilt(table) => {
                let usual: String = format!("{}_{}_not_null", key.name, key.part);
                let usual = Ident::new(usual.chars().take(63).collect::<String>());
                sql.push(" CONSTRAINT ").piece(&usual).push(" NOT NULL");
            }
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

pub(super) fn later_not_null(plan: &Plan<'_>, column: &Key) -> bool {
    let constraint = Key {
        kind: Kind::NotNull,
        ..column.clone()
    };
    plan.to.get(&constraint).is_some()
}

pub(super) fn named_not_null(object: &Object) -> Sql {
    let constraint = Ident::new(object.text("constraint").unwrap_or_default());
    let inherit = Sql::new(if object.has("no_inherit") {
        " NO INHERIT"
    } else {
        ""
    });
    Sql::fill("CONSTRAINT {} NOT NULL{}", &[&constraint, &inherit])
}

pub(super) fn not_null(key: &Key, after: &Object) -> Vec<Sql> {
    let constraint = Ident::new(after.text("constraint").unwrap_or_default());
    let state = Sql::new(match (after.has("no_inherit"), after.has("not_valid")) {
        (true, true) => " NO INHERIT NOT VALID",
        (true, false) => " NO INHERIT",
        (false, true) => " NOT VALID",
        (false, false) => "",
    });
    let pieces: [&dyn SqlPart; 4] = [&name(key), &constraint, &Ident::new(&*key.part), &state];
    vec![Sql::fill(
        "ALTER TABLE {} ADD CONSTRAINT {} NOT NULL {}{}",
        &pieces,
    )]
}

pub(super) fn add_column(plan: &Plan<'_>, key: &Key, after: &Object) -> Vec<Sql> {
    let Some(parent) = plan.to.parent(key) else {
        return Vec::new();
    };
    let mut sql = Vec::new();
    let whole_is_new = plan.made.contains(&parent);
    match parent.kind {
        Kind::Table | Kind::ForeignTable if !whole_is_new => {
            let line = column_line(plan, key, key, after, false);
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
            let pieces: [&dyn SqlPart; 4] = [
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

pub(super) fn alter_column(plan: &Plan<'_>, key: &Key, changed: &[&str]) -> Option<Vec<Sql>> {
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
            let pieces: [&dyn SqlPart; 4] = [&name(key), &part, &text(after, "type"), &collation];
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
    let echo = plan.follows_parent(key);
    if retype && !echo {
        sql.push(change_type(key, before, after));
    }
    for fact in changed {
        if *fact == "not_null" && echo && parent_changes_not_null(plan, key) {
            continue;
        }
        sql.extend(column_fact(plan, key, fact));
    }
    if retype && !changed.contains(&"storage") && after.has("storage") {
        sql.extend(column_fact(plan, key, "storage"));
    }
    Some(sql)
}

/// Returns whether a parent's column changes its nullability in the same way.
fn parent_changes_not_null(plan: &Plan<'_>, key: &Key) -> bool {
    let says = |key: &Key| {
        let (before, after) = (plan.from.get(key)?, plan.to.get(key)?);
        Some((before.has("not_null"), after.has("not_null")))
    };
    plan.ancestor_columns(key)
        .iter()
        .any(|parent_part| says(parent_part) == says(key))
}

/// Returns the child columns that stay NOT NULL when the parent's is dropped; PostgreSQL drops it from all of them.
fn still_not_null(plan: &Plan<'_>, key: &Key) -> Vec<Key> {
    let mut found = Vec::new();
    for heir in plan.child_columns(key) {
        let stays = |side: Option<&Object>| side.is_some_and(|column| column.has("not_null"));
        if stays(plan.from.get(&heir)) && stays(plan.to.get(&heir)) {
            found.push(heir.clone());
        }
        found.extend(still_not_null(plan, &heir));
    }
    found
}

pub(super) fn change_type(key: &Key, before: &Object, after: &Object) -> Sql {
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
    let mut pieces: Vec<&dyn SqlPart> = vec![];
    let table = name(key);
    pieces.extend([&table as &dyn SqlPart, &part, &new, &collation]);
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

/// Returns the cast of a column to the new type; through text where there is no direct cast.
pub(super) fn cast(column: &Ident, old: &str, new: &str) -> Sql {
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

/// Groups the built-in types into families with casts between all their types.
pub(super) fn family(name: &str) -> u8 {
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

pub(super) fn column_fact(plan: &Plan<'_>, key: &Key, fact: &str) -> Vec<Sql> {
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
        "not_null" => {
            let mut sql = vec![Sql::fill(
                "ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL",
                &[&name(key), &part],
            )];
            sql.extend(still_not_null(plan, key).iter().map(|heir| {
                let column = Ident::new(&*heir.part);
                Sql::fill(
                    "ALTER TABLE {} ALTER COLUMN {} SET NOT NULL",
                    &[&name(heir), &column],
                )
            }));
            sql
        }
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

pub(super) fn usual_storage(type_name: &str) -> &'static str {
    match family(type_name) {
        1 if type_name.starts_with("numeric") => "MAIN",
        1 | 3 => "PLAIN",
        6 => "MAIN",
        _ => "EXTENDED",
    }
}

pub(super) fn set_default(plan: &Plan<'_>, key: &Key, after: &Object) -> Sql {
    let view = plan
        .to
        .parent(key)
        .is_some_and(|parent| parent.kind == Kind::View);
    let pieces: [&dyn SqlPart; 3] = [
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

pub(super) fn sequence(object: &Object) -> Sql {
    let cycle = Sql::new(if object.has("cycle") {
        " CYCLE"
    } else {
        " NO CYCLE"
    });
    let pieces: [&dyn SqlPart; 6] = [
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

pub(super) fn identity(object: &Object) -> Sql {
    Sql::fill(
        "GENERATED {} AS IDENTITY (SEQUENCE NAME {}{})",
        &[
            &text(object, "generated"),
            &text(object, "sequence"),
            &sequence(object),
        ],
    )
}

/// Returns whether the value of a sequence may be outside its new bounds, so that it has to restart.
pub(super) fn must_restart(before: &Object, after: &Object) -> bool {
    let number = |object: &Object, fact: &str| -> i128 {
        let text = object.text(fact).unwrap_or_default();
        text.parse().unwrap_or_default()
    };
    let start = number(before, "start");
    start > number(after, "maximum") || start < number(after, "minimum")
}

pub(super) fn alter_identity(
    key: &Key,
    before: &Object,
    after: &Object,
    changed: &[&str],
) -> Vec<Sql> {
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
