//! Writes the forms that block neither reads nor writes, in stages that are committed one after another.
//!
//! New objects block nothing and use the plain forms. So do changes that cannot be done online without a time in which
//! a key or an index is missing.

use super::names::{name, raw};
use super::step::{is_alone, step_statements};
use crate::catalog::{Catalog, Key, Kind, Object};
use crate::diff::plan::{Phase, Plan, Step};
use crate::sql::name::{Ident, ObjectName};
use crate::sql::safe::{Sql, SqlPart};

/// Whether a statement runs in a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In a transaction with its neighbours.
    Inside,
    /// By itself, outside a transaction.
    Outside,
    /// In either, after the statements before it.
    Either,
}

type Part = (Place, Sql);

/// One statement, with the stage it belongs to: even ones run in a transaction, odd ones outside.
pub(super) struct Staged {
    pub(super) step: usize,
    pub(super) stage: usize,
    pub(super) sql: Sql,
}

/// Returns the statements of all steps by stage; none if an object would be missing between two stages.
///
/// `before` lists for each step the earlier steps that it depends on.
pub(super) fn staged(
    plan: &Plan<'_>,
    steps: &[Step],
    before: &[Vec<usize>],
) -> Option<Vec<Staged>> {
    let mut reached: Vec<(usize, usize)> = Vec::with_capacity(steps.len());
    let mut staged = Vec::new();
    let mut usual = 0;
    for (index, step) in steps.iter().enumerate() {
        let waits = before[index].iter().map(|first| reached[*first].1);
        let mut stage = waits.max().unwrap_or(0);
        let form = form(plan, step);
        let is_online = form.is_some();
        let parts = form.unwrap_or_else(|| plainly(plan, step));
        // Steps without an online form keep their order.
        if !is_online && !parts.is_empty() {
            stage = stage.max(usual);
        }
        let mut first = None;
        let told = !parts.is_empty();
        for (place, sql) in parts {
            stage += usize::from(match place {
                Place::Inside => stage % 2 == 1,
                Place::Outside => stage % 2 == 0,
                Place::Either => false,
            });
            first.get_or_insert(stage);
            staged.push((
                place,
                Staged {
                    step: index,
                    stage,
                    sql,
                },
            ));
        }
        if !is_online && told {
            usual = stage;
        }
        reached.push((first.unwrap_or(stage), stage));
    }
    if has_gap(plan, steps, &reached) {
        return None;
    }
    // A transaction of nothing but statements that may run outside one needs no file of its own.
    let inside = staged
        .iter()
        .any(|(place, one)| one.stage == 0 && *place == Place::Inside);
    let mut staged: Vec<Staged> = staged.into_iter().map(|(_, one)| one).collect();
    if !inside && staged.iter().any(|one| one.stage == 1) {
        for one in &mut staged {
            one.stage = one.stage.max(1);
        }
    }
    staged.sort_by_key(|one| one.stage);
    Some(staged)
}

/// Returns whether a replaced object would be missing for the duration of another stage.
fn has_gap(plan: &Plan<'_>, steps: &[Step], reached: &[(usize, usize)]) -> bool {
    let dropped: std::collections::BTreeMap<&Key, usize> = steps
        .iter()
        .zip(reached)
        .filter(|((phase, _), _)| *phase == Phase::Drop)
        .map(|((_, key), (first, _))| (key, *first))
        .collect();
    steps
        .iter()
        .zip(reached)
        .filter(|((phase, key), _)| *phase == Phase::Make && plan.is_replaced(key))
        .any(|((_, key), (first, _))| {
            !changes_places(plan, key) && dropped.get(key).is_some_and(|gone| gone != first)
        })
}

fn plainly(plan: &Plan<'_>, step: &Step) -> Vec<Part> {
    let place = if is_alone(plan, step) {
        Place::Outside
    } else {
        Place::Inside
    };
    let sql = step_statements(plan, step);
    sql.into_iter().map(|sql| (place, sql)).collect()
}

/// Returns the online form of a step, if it has and needs one.
fn form(plan: &Plan<'_>, step: &Step) -> Option<Vec<Part>> {
    let (phase, key) = step;
    match (phase, key.kind) {
        (Phase::Drop, Kind::Index) => drop_index(plan, key),
        (Phase::Make, Kind::Index) => make_index(plan, step),
        (Phase::Make, Kind::Constraint | Kind::DomainConstraint | Kind::NotNull) => {
            constraint(plan, step)
        }
        (Phase::Make, Kind::Column) => not_null(plan, step),
        _ => None,
    }
}

/// Returns whether a relation or type stays and is not replaced.
fn is_kept(plan: &Plan<'_>, key: &Key) -> bool {
    plan.from.get(key).is_some() && !plan.dropped.contains(key) && !plan.made.contains(key)
}

/// Returns whether the parent of an object stays, and is neither attached nor detached.
fn stands_on_kept(plan: &Plan<'_>, catalog: &Catalog, key: &Key) -> bool {
    catalog.parent(key).is_some_and(|of| {
        let partition = Key::named(Kind::Partition, &of.schema, &of.name);
        let moves = plan.dropped.contains(&partition) || plan.made.contains(&partition);
        is_kept(plan, &of) && !moves
    })
}

/// Returns whether a new index can be built beside the old one and then renamed.
fn changes_places(plan: &Plan<'_>, key: &Key) -> bool {
    let free = |object: &Object| {
        let mut needs = object.needs.iter();
        needs.all(|needed| !plan.dropped.contains(needed) && !plan.retyped.contains(needed))
    };
    let (Some(before), Some(after)) = (plan.from.get(key), plan.to.get(key)) else {
        return false;
    };
    let marked = |object: &Object| {
        ["partitioned", "parent", "clustered", "replica_identity"]
            .iter()
            .any(|fact| object.has(fact))
    };
    key.kind == Kind::Index
        && plan.is_replaced(key)
        && stands_on_kept(plan, plan.from, key)
        && plan.from.parent(key) == plan.to.parent(key)
        && !plan.dependents.contains_key(key)
        && !marked(before)
        && !marked(after)
        && free(before)
        && free(after)
}

fn drop_index(plan: &Plan<'_>, key: &Key) -> Option<Vec<Part>> {
    if changes_places(plan, key) {
        return Some(Vec::new());
    }
    let object = plan.from.get(key)?;
    let whole = object.has("partitioned") || object.has("parent");
    if whole || plan.made.contains(key) || !stands_on_kept(plan, plan.from, key) {
        return None;
    }
    let step = (Phase::Drop, key.clone());
    if plan.implied_by(&step).is_some() {
        return None;
    }
    let sql = Sql::fill("DROP INDEX CONCURRENTLY {}", &[&name(key)]);
    Some(vec![(Place::Outside, sql)])
}

fn make_index(plan: &Plan<'_>, step: &Step) -> Option<Vec<Part>> {
    let (_, key) = step;
    let after = plan.to.get(key)?;
    if after.has("partitioned") || !stands_on_kept(plan, plan.to, key) {
        return None;
    }
    let mut sql = step_statements(plan, step).into_iter();
    if plan.altered.contains(key) {
        let again = Sql::fill("REINDEX INDEX {}", &[&name(key)]);
        let parts = sql.map(|sql| {
            if sql == again {
                let sql = Sql::fill("REINDEX INDEX CONCURRENTLY {}", &[&name(key)]);
                (Place::Outside, sql)
            } else {
                (Place::Inside, sql)
            }
        });
        return Some(parts.collect());
    }
    if plan.is_replaced(key) && !changes_places(plan, key) {
        return None;
    }
    let definition = sql.next()?;
    let (head, rest) = definition.as_str().split_once("INDEX ")?;
    let mut parts = Vec::new();
    let mut make = raw(head);
    make.push("INDEX CONCURRENTLY ");
    if plan.is_replaced(key) {
        let own = Ident::new(&*key.name);
        let rest = rest.strip_prefix(&own.to_string())?;
        let short: String = key.name.chars().take(12).collect();
        let beside = Ident::new(format!("{short} af-db new"));
        let new = ObjectName::new(&*key.schema, beside.as_str());
        parts.push((
            Place::Outside,
            Sql::fill("{}{}{}", &[&make, &beside, &raw(rest)]),
        ));
        parts.push((
            Place::Outside,
            Sql::fill("DROP INDEX CONCURRENTLY {}", &[&name(key)]),
        ));
        let rename = Sql::fill("ALTER INDEX {} RENAME TO {}", &[&new, &own]);
        parts.push((Place::Either, rename));
    } else {
        parts.push((Place::Outside, Sql::fill("{}{}", &[&make, &raw(rest)])));
    }
    parts.extend(sql.map(|sql| (Place::Either, sql)));
    Some(parts)
}

fn constraint(plan: &Plan<'_>, step: &Step) -> Option<Vec<Part>> {
    let (_, key) = step;
    let after = plan.to.get(key)?;
    if plan.altered.contains(key) {
        let validate = validate(plan, key);
        let sql = step_statements(plan, step);
        return sql.contains(&validate).then(|| {
            let place = |sql: &Sql| match *sql == validate {
                true => Place::Outside,
                false => Place::Either,
            };
            sql.into_iter().map(|sql| (place(&sql), sql)).collect()
        });
    }
    let comes =
        plan.follows_parent(key) || after.has("inherited") || plan.implied_by(step).is_some();
    if comes || !stands_on_kept(plan, plan.to, key) {
        return None;
    }
    let whole = plan.to.parent(key)?;
    let table = plan.to.get(&whole)?;
    let partitioned = table.has("partition_by");
    match (key.kind, after.text("type")) {
        (Kind::NotNull, _) if plan.from.version < 180_000 => None,
        (Kind::Constraint, Some("foreign key")) if partitioned => None,
        (Kind::Constraint, Some("primary key" | "unique")) => {
            let possible = !partitioned && !after.has("parent") && !plan.is_replaced(key);
            possible.then(|| by_index(plan, step, after)).flatten()
        }
        (Kind::Constraint, Some("exclusion")) => None,
        (Kind::Constraint, _) if whole.kind != Kind::Table => None,
        _ => validated_later(plan, step, after),
    }
}

/// Adds a constraint as NOT VALID, and validates it without blocking writes.
fn validated_later(plan: &Plan<'_>, step: &Step, after: &Object) -> Option<Vec<Part>> {
    let (_, key) = step;
    let definition = after.text("definition").unwrap_or_default();
    if after.has("not_valid")
        || definition.ends_with(" NOT VALID")
        || definition.ends_with(" NOT ENFORCED")
    {
        return None;
    }
    let mut sql = step_statements(plan, step).into_iter();
    let mut add = sql.next()?;
    add.push(" NOT VALID");
    let mut parts = vec![(Place::Either, add)];
    parts.extend(sql.map(|sql| (Place::Either, sql)));
    parts.push((Place::Outside, validate(plan, key)));
    Some(parts)
}

fn validate(plan: &Plan<'_>, key: &Key) -> Sql {
    let named = match key.kind {
        Kind::NotNull => plan
            .to
            .get(key)
            .and_then(|object| object.text("constraint"))
            .unwrap_or_default(),
        _ => &*key.part,
    };
    let template = match key.kind {
        Kind::DomainConstraint => "ALTER DOMAIN {} VALIDATE CONSTRAINT {}",
        _ => "ALTER TABLE {} VALIDATE CONSTRAINT {}",
    };
    Sql::fill(template, &[&name(key), &Ident::new(named)])
}

/// Adds a key using an index that is built concurrently.
fn by_index(plan: &Plan<'_>, step: &Step, after: &Object) -> Option<Vec<Part>> {
    let (_, key) = step;
    let (columns, attributes) = halves(after.text("definition")?)?;
    let (word, columns, distinct) = if let Some(columns) = columns.strip_prefix("PRIMARY KEY ") {
        ("PRIMARY KEY", columns, "")
    } else if let Some(columns) = columns.strip_prefix("UNIQUE NULLS NOT DISTINCT ") {
        ("UNIQUE", columns, " NULLS NOT DISTINCT")
    } else {
        ("UNIQUE", columns.strip_prefix("UNIQUE ")?, "")
    };
    if columns.ends_with(" WITHOUT OVERLAPS)") {
        return None;
    }
    let own = Ident::new(&*key.part);
    let space = after
        .text("tablespace")
        .map(|space| Sql::fill(" TABLESPACE {}", &[&Ident::new(space)]))
        .unwrap_or_default();
    let distinct = Sql::new(distinct);
    let on = name(key);
    let pieces: [&dyn SqlPart; 5] = [&own, &on, &raw(columns), &distinct, &space];
    let index = Sql::fill("CREATE UNIQUE INDEX CONCURRENTLY {} ON {} {}{}{}", &pieces);
    let word = Sql::new(word);
    let pieces: [&dyn SqlPart; 5] = [&on, &own, &word, &own, &raw(attributes)];
    let add = Sql::fill(
        "ALTER TABLE {} ADD CONSTRAINT {} {} USING INDEX {}{}",
        &pieces,
    );
    let rest = step_statements(plan, step).into_iter().skip(1);
    let mut parts = vec![(Place::Outside, index), (Place::Either, add)];
    parts.extend(rest.map(|sql| (Place::Either, sql)));
    Some(parts)
}

/// Splits the definition of a key into the part of its index and the rest.
fn halves(definition: &str) -> Option<(&str, &str)> {
    let (mut depth, mut quoted, mut end) = (0, false, None);
    for (index, sign) in definition.char_indices() {
        match sign {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => {
                depth -= 1;
                if depth == 0 {
                    end = Some(index + 1);
                }
            }
            _ => {}
        }
    }
    Some(definition.split_at(end?))
}

/// Validates a check constraint without blocking writes; SET NOT NULL then needs no scan.
fn not_null(plan: &Plan<'_>, step: &Step) -> Option<Vec<Part>> {
    let (_, key) = step;
    let (before, after) = (plan.from.get(key)?, plan.to.get(key)?);
    let begins = after.has("not_null") && !before.has("not_null");
    let whole = plan.to.parent(key)?;
    let usual =
        plan.altered.contains(key) && !plan.retyped.contains(key) && !plan.follows_parent(key);
    if !begins || !usual || whole.kind != Kind::Table || !is_kept(plan, &whole) {
        return None;
    }
    let column = Ident::new(&*key.part);
    let set = Sql::fill(
        "ALTER TABLE {} ALTER COLUMN {} SET NOT NULL",
        &[&name(key), &column],
    );
    let sql = step_statements(plan, step);
    if !sql.contains(&set) {
        return None;
    }
    let check = Ident::new(free_name(plan, key));
    let pieces: [&dyn SqlPart; 3] = [&name(key), &check, &column];
    let add = Sql::fill(
        "ALTER TABLE {} ADD CONSTRAINT {} CHECK ({} IS NOT NULL) NOT VALID",
        &pieces,
    );
    let on_check = |template| Sql::fill(template, &[&name(key), &check]);
    let mut parts = vec![(Place::Either, add)];
    parts.push((
        Place::Outside,
        on_check("ALTER TABLE {} VALIDATE CONSTRAINT {}"),
    ));
    for sql in sql {
        let proven = sql == set;
        parts.push((Place::Either, sql));
        if proven {
            parts.push((Place::Either, on_check("ALTER TABLE {} DROP CONSTRAINT {}")));
        }
    }
    Some(parts)
}

/// Returns a name for a check that no constraint of the table has in `from` or `to`.
fn free_name(plan: &Plan<'_>, column: &Key) -> String {
    let short: String = column.part.chars().take(10).collect();
    let taken = |name: &str| {
        let key = Key::part(Kind::Constraint, &column.schema, &column.name, name);
        plan.from.get(&key).is_some() || plan.to.get(&key).is_some()
    };
    let whole = format!("{}_not_null", column.part);
    let usual = if whole.len() < 60 {
        whole
    } else {
        format!("{short}_not_null")
    };
    let mut numbered = (1..).map(|number| match number {
        1 => usual.clone(),
        number => format!("{usual}_{number}"),
    });
    numbered.find(|name| !taken(name)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_split_behind_its_last_bracket_that_no_name_holds() {
        let check = |definition: &str, expected: (&str, &str)| {
            assert_eq!(halves(definition), Some(expected));
        };
        check("PRIMARY KEY (id)", ("PRIMARY KEY (id)", ""));
        check(
            "UNIQUE (a, b) INCLUDE (c) DEFERRABLE INITIALLY DEFERRED",
            (
                "UNIQUE (a, b) INCLUDE (c)",
                " DEFERRABLE INITIALLY DEFERRED",
            ),
        );
        check(
            r#"UNIQUE ("a)""b") DEFERRABLE"#,
            (r#"UNIQUE ("a)""b")"#, " DEFERRABLE"),
        );
        assert_eq!(halves("UNIQUE"), None);
    }
}
