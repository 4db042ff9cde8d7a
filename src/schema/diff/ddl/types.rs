//! Writes types and the checks of domains.

use super::names::{name, raw, text};
use crate::catalog::{Key, Kind, Object, Text};
use crate::diff::plan::Plan;
use crate::sql::name::{Ident, Literal};
use crate::sql::safe::{Sql, SqlPart};

use super::rebuild::temporary_name;

pub(super) fn make(plan: &Plan<'_>, key: &Key, after: &Object) -> Vec<Sql> {
    if key.kind == Kind::DomainConstraint {
        return vec![Sql::fill(
            "ALTER DOMAIN {} ADD CONSTRAINT {} {}",
            &[
                &name(key),
                &Ident::new(&*key.part),
                &text(after, "definition"),
            ],
        )];
    }
    let definition = match after.text("type") {
        Some("enum") => {
            let labels = after
                .list("labels")
                .iter()
                .map(|label| Literal::new(&**label));
            Sql::fill(" AS ENUM ({})", &[&Sql::join(labels, ", ")])
        }
        Some("domain") => return vec![domain(key, after)],
        Some("composite") => {
            let attributes = plan.to.columns(key).into_iter().map(|(column, object)| {
                let collation = object
                    .text("collation")
                    .map(|collation| Sql::fill(" COLLATE {}", &[&raw(collation)]))
                    .unwrap_or_default();
                Sql::fill(
                    "{} {}{}",
                    &[
                        &Ident::new(&*column.part),
                        &text(object, "type"),
                        &collation,
                    ],
                )
            });
            Sql::fill(" AS ({})", &[&Sql::join(attributes, ", ")])
        }
        Some("range") => range(after),
        Some("base") => {
            let parts = after.list("parts").iter().map(|part| raw(part));
            Sql::fill(" ({})", &[&Sql::join(parts, ", ")])
        }
        _ => Sql::default(),
    };
    vec![Sql::fill("CREATE TYPE {}{}", &[&name(key), &definition])]
}

fn domain(key: &Key, after: &Object) -> Sql {
    let mut sql = Sql::fill(
        "CREATE DOMAIN {} AS {}",
        &[&name(key), &text(after, "base")],
    );
    if let Some(collation) = after.text("collation") {
        sql.push(" COLLATE ").piece(&raw(collation));
    }
    if let Some(default) = after.text("default") {
        sql.push(" DEFAULT ").piece(&raw(default));
    }
    if after.has("not_null") {
        sql.push(" NOT NULL");
    }
    sql
}

fn range(after: &Object) -> Sql {
    let mut parts = vec![Sql::fill("SUBTYPE = {}", &[&text(after, "subtype")])];
    for (fact, template) in [
        ("subtype_opclass", "SUBTYPE_OPCLASS = {}"),
        ("range_collation", "COLLATION = {}"),
        ("canonical", "CANONICAL = {}"),
        ("subtype_diff", "SUBTYPE_DIFF = {}"),
        ("multirange", "MULTIRANGE_TYPE_NAME = {}"),
    ] {
        if let Some(value) = after.text(fact) {
            parts.push(Sql::fill(template, &[&raw(value)]));
        }
    }
    Sql::fill(" AS RANGE ({})", &[&Sql::join(parts, ", ")])
}

pub(super) fn alter(plan: &Plan<'_>, key: &Key, changed: &[&str]) -> Option<Vec<Sql>> {
    let (before, after) = (plan.from.get(key)?, plan.to.get(key)?);
    if key.kind == Kind::DomainConstraint {
        let old = before.text("definition")?.strip_suffix(" NOT VALID")?;
        return (Some(old) == after.text("definition")).then(|| {
            vec![Sql::fill(
                "ALTER DOMAIN {} VALIDATE CONSTRAINT {}",
                &[&name(key), &Ident::new(&*key.part)],
            )]
        });
    }
    match after.text("type") {
        Some("enum") if changed == ["labels"] => {
            add_values(key, before.list("labels"), after.list("labels"))
        }
        // A shell type is completed.
        Some("base") if before.text("type") == Some("shell") => Some(make(plan, key, after)),
        Some("domain") => alter_domain(key, after, changed),
        Some("composite") if changed == ["columns"] => {
            let natural =
                crate::diff::natural_order(before.list("columns"), after.list("columns"), |_| {
                    false
                });
            (natural == after.list("columns")).then(Vec::new)
        }
        _ => None,
    }
}

/// Adds enum values at their positions; none if old values were removed or reordered.
fn add_values(key: &Key, old: &[Text], new: &[Text]) -> Option<Vec<Sql>> {
    let kept: Vec<&Text> = new.iter().filter(|label| old.contains(label)).collect();
    if kept != old.iter().collect::<Vec<_>>() {
        return None;
    }
    let mut sql = Vec::new();
    for (index, label) in new.iter().enumerate() {
        if old.contains(label) {
            continue;
        }
        let value = Literal::new(&**label);
        let name = name(key);
        let pieces: [&dyn SqlPart; 2] = [&name, &value];
        let before = new[index..].iter().find(|label| old.contains(label));
        sql.push(match before {
            None => Sql::fill("ALTER TYPE {} ADD VALUE {}", &pieces),
            Some(before) => Sql::fill(
                "ALTER TYPE {} ADD VALUE {} BEFORE {}",
                &[&name, &value, &Literal::new(&**before)],
            ),
        });
    }
    Some(sql)
}

fn alter_domain(key: &Key, after: &Object, changed: &[&str]) -> Option<Vec<Sql>> {
    let mut sql = Vec::new();
    for fact in changed {
        let template = match (*fact, after.has(fact)) {
            ("default", true) => "ALTER DOMAIN {} SET DEFAULT {}",
            ("default", false) => "ALTER DOMAIN {} DROP DEFAULT{}",
            ("not_null", true) => "ALTER DOMAIN {} SET NOT NULL{}",
            ("not_null", false) => "ALTER DOMAIN {} DROP NOT NULL{}",
            _ => return None,
        };
        let value = if *fact == "default" {
            text(after, fact)
        } else {
            Sql::default()
        };
        sql.push(Sql::fill(template, &[&name(key), &value]));
    }
    Some(sql)
}

pub(super) fn drop_constraint(key: &Key) -> Vec<Sql> {
    vec![Sql::fill(
        "ALTER DOMAIN {} DROP CONSTRAINT {}",
        &[&name(key), &Ident::new(&*key.part)],
    )]
}

/// Drops a renamed type, once nothing uses it any more.
pub(super) fn discard(plan: &Plan<'_>, key: &Key) -> Vec<Sql> {
    // Only the functions of a base type can still depend on it.
    let template = if is_base(plan, key) {
        "DROP TYPE {}.{} CASCADE"
    } else {
        "DROP TYPE {}.{}"
    };
    vec![Sql::fill(
        template,
        &[&Ident::new(&*key.schema), &temporary_name(key)],
    )]
}

pub(super) fn is_base(plan: &Plan<'_>, key: &Key) -> bool {
    let object = plan.from.get(key);
    object.is_some_and(|object| object.text("type") == Some("base"))
}
