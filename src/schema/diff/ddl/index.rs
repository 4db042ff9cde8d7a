//! Writes constraints, indexes and extended statistics.

use super::names::{name, raw, text};
use crate::catalog::{Key, Kind, Object};
use crate::diff::plan::Plan;
use crate::sql::name::{Ident, Literal, ObjectName};
use crate::sql::safe::{Sql, SqlPart};

pub(super) fn add_constraint(plan: &Plan<'_>, key: &Key, after: &Object) -> Vec<Sql> {
    // Keys of a partitioned table are created with ONLY; those of its partitions are created separately.
    let keyed = matches!(
        after.text("type"),
        Some("primary key" | "unique" | "exclusion")
    );
    let only = Sql::new(if keyed { "ONLY " } else { "" });
    let space = after
        .text("tablespace")
        .map(|space| Sql::fill(" USING INDEX TABLESPACE {}", &[&Ident::new(space)]))
        .unwrap_or_default();
    // Storage parameters come before the predicate and the deferrability.
    let definition = after.text("definition").unwrap_or_default();
    let which = (after.text("type") == Some("exclusion")).then(|| predicate(definition));
    let (index, when) = match (which.flatten(), definition.rfind(" DEFERRABLE")) {
        (Some(at), _) => definition.split_at(at),
        (None, Some(at)) if keyed && after.has("deferrable") => definition.split_at(at),
        _ => (definition, ""),
    };
    let pieces: [&dyn SqlPart; 6] = [
        &only,
        &name(key),
        &Ident::new(&*key.part),
        &raw(index),
        &space,
        &raw(when),
    ];
    let mut sql = vec![Sql::fill(
        "ALTER TABLE {}{} ADD CONSTRAINT {} {}{}{}",
        &pieces,
    )];
    sql.extend(storage(key, None, after));
    // An index of a table that is not attached yet is attached with the table.
    if let Some(parent) = after.text("parent")
        && !plan.attaches_with_partition(key)
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

/// Finds the WHERE clause of a printed constraint, outside parentheses and quotes.
fn predicate(definition: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0, None);
    for (at, letter) in definition.char_indices() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(letter),
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            (None, ' ') if depth == 0 && definition[at..].starts_with(" WHERE (") => {
                return Some(at);
            }
            _ => {}
        }
    }
    None
}

pub(super) fn alter_constraint(plan: &Plan<'_>, key: &Key, changed: &[&str]) -> Option<Vec<Sql>> {
    let (before, after) = (plan.from.get(key)?, plan.to.get(key)?);
    let mut sql = Vec::new();
    let known = [
        "clustered",
        "replica_identity",
        "not_valid",
        "definition",
        "inherited",
        "parent",
        "storage",
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
    if changed.contains(&"parent")
        && !plan.attaches_with_partition(key)
        && let Some(parent) = after.text("parent")
    {
        let own = ObjectName::new(&*key.schema, &*key.part);
        sql.push(Sql::fill(
            "ALTER INDEX {} ATTACH PARTITION {}",
            &[&raw(parent), &own],
        ));
    }
    sql.extend(storage(key, Some(before), after));
    sql.extend(index_marks(key, Some(before), after));
    Some(sql)
}

/// Sets and resets the storage parameters of a constraint's index.
pub(super) fn storage(key: &Key, before: Option<&Object>, after: &Object) -> Vec<Sql> {
    let index = ObjectName::new(&*key.schema, &*key.part);
    let (old, new) = (
        before.map_or(&[][..], |before| before.list("storage")),
        after.list("storage"),
    );
    let option = |item: &str| item.split_once('=').unwrap_or((item, "true")).0.to_owned();
    let mut sql = Vec::new();
    for gone in old.iter().map(|item| option(item)) {
        if new.iter().all(|item| option(item) != gone) {
            sql.push(Sql::fill(
                "ALTER INDEX {} RESET ({})",
                &[&index, &Ident::new(gone)],
            ));
        }
    }
    for item in new.iter().filter(|item| !old.contains(item)) {
        let (option, value) = item.split_once('=').unwrap_or((item, "true"));
        let pieces: [&dyn SqlPart; 3] = [&index, &Ident::new(option), &Literal::new(value)];
        sql.push(Sql::fill("ALTER INDEX {} SET ({} = {})", &pieces));
    }
    sql
}

/// Validates a check that is inherited, where only the parent's is not valid.
pub(super) fn validated(plan: &Plan<'_>, key: &Key, after: &Object) -> Vec<Sql> {
    let whole = Key::named(Kind::Table, &key.schema, &key.name);
    let open = plan.parents_of(&whole).into_iter().any(|parent| {
        let parent_part = Key::part(Kind::Constraint, &parent.schema, &parent.name, &key.part);
        plan.to
            .get(&parent_part)
            .is_some_and(|parent_part| parent_part.has("not_valid"))
    });
    if key.kind != Kind::Constraint || after.has("not_valid") || !open {
        return Vec::new();
    }
    vec![Sql::fill(
        "ALTER TABLE {} VALIDATE CONSTRAINT {}",
        &[&name(key), &Ident::new(&*key.part)],
    )]
}

/// Writes CLUSTER ON and REPLICA IDENTITY for an index.
pub(super) fn index_marks(key: &Key, before: Option<&Object>, after: &Object) -> Vec<Sql> {
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

pub(super) fn alter_index(plan: &Plan<'_>, key: &Key, changed: &[&str]) -> Option<Vec<Sql>> {
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

pub(super) fn index_facts(plan: &Plan<'_>, key: &Key, after: &Object, facts: &[&str]) -> Vec<Sql> {
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
        // An index of a table that is not attached yet is attached with the table.
        if !plan.attaches_with_partition(key) {
            sql.push(Sql::fill(
                "ALTER INDEX {} ATTACH PARTITION {}",
                &[&raw(parent), &name(key)],
            ));
        }
    }
    sql
}

pub(super) fn statistics_target(key: &Key, after: &Object) -> Sql {
    let target = after.text("target").unwrap_or("-1");
    Sql::fill(
        "ALTER STATISTICS {} SET STATISTICS {}",
        &[&name(key), &raw(target)],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_predicate_is_found_outside_of_everything() {
        let check = |definition: &str, expected: Option<&str>| {
            let found = predicate(definition).map(|at| &definition[at..]);
            assert_eq!(found, expected, "{definition}");
        };
        check("EXCLUDE USING gist (r WITH &&)", None);
        check(
            "EXCLUDE USING gist (r WITH &&) WHERE ((a > 0)) DEFERRABLE",
            Some(" WHERE ((a > 0)) DEFERRABLE"),
        );
        check("EXCLUDE USING gist (\"a WHERE (\" WITH =)", None);
        check(
            "EXCLUDE USING gist (f('it''s ) WHERE (') WITH =) WHERE ((b = ') WHERE ('::text))",
            Some(" WHERE ((b = ') WHERE ('::text))"),
        );
    }
}
