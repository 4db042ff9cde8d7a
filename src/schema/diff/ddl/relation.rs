//! Writes views, rules, triggers, policies and row-level security.

use super::names::{name, raw, text};
use super::options::option_changes;
use crate::catalog::{Key, Kind, Object, Text};
use crate::diff::plan::Plan;
use crate::sql::name::Ident;
use crate::sql::safe::Sql;

pub(super) fn make(plan: &Plan<'_>, key: &Key, after: &Object) -> Vec<Sql> {
    match key.kind {
        Kind::View => vec![view(key, after, "CREATE VIEW ")],
        Kind::MaterializedView => vec![materialized(plan, key, after)],
        Kind::Rule => {
            let mut sql = vec![text(after, "definition")];
            sql.extend(enabled(key, None, after));
            sql
        }
        Kind::Trigger => {
            // A trigger inherited from its partitioned table exists already.
            let mut sql = if after.has("inherited") {
                Vec::new()
            } else {
                vec![text(after, "definition")]
            };
            sql.extend(enabled(key, None, after));
            sql
        }
        Kind::Policy => vec![policy(key, after)],
        Kind::RowSecurity => row_security(key, None, Some(after)),
        _ => {
            let _ = plan;
            Vec::new()
        }
    }
}

pub(super) fn drop(plan: &Plan<'_>, key: &Key) -> Vec<Sql> {
    let Some(before) = plan.from.get(key) else {
        return Vec::new();
    };
    match key.kind {
        Kind::RowSecurity => row_security(key, Some(before), None),
        Kind::Trigger if before.has("inherited") => {
            if plan.to.parent(key).is_none() {
                return Vec::new();
            }
            vec![Sql::fill(
                "ALTER TABLE {} ENABLE TRIGGER {}",
                &[&name(key), &Ident::new(&*key.part)],
            )]
        }
        _ => vec![Sql::fill(
            "DROP TRIGGER {} ON {}",
            &[&Ident::new(&*key.part), &name(key)],
        )],
    }
}

pub(super) fn alter(plan: &Plan<'_>, key: &Key, changed: &[&str]) -> Option<Vec<Sql>> {
    let (before, after) = (plan.from.get(key)?, plan.to.get(key)?);
    match key.kind {
        Kind::View => alter_view(plan, key, changed),
        Kind::MaterializedView => (changed == ["options"])
            .then(|| set_options(key, "ALTER MATERIALIZED VIEW {} ", before, after)),
        Kind::Rule | Kind::Trigger => (changed == ["enabled"])
            .then(|| enabled(key, Some(before), after).into_iter().collect()),
        Kind::Policy => alter_policy(key, before, after, changed),
        Kind::RowSecurity => Some(row_security(key, Some(before), Some(after))),
        _ => None,
    }
}

fn view(key: &Key, after: &Object, verb: &'static str) -> Sql {
    let mut sql = Sql::new(verb);
    sql.piece(&name(key));
    let (set, _) = option_changes(&[], after.list("options"));
    if !set.is_empty() {
        sql.push(" WITH (").piece(&set).push(")");
    }
    sql.push(" AS\n").piece(&query(after));
    sql
}

fn materialized(plan: &Plan<'_>, key: &Key, after: &Object) -> Sql {
    let mut sql = Sql::new("CREATE MATERIALIZED VIEW ");
    sql.piece(&name(key));
    if let Some(method) = after.text("access_method") {
        sql.push(" USING ").piece(&Ident::new(method));
    }
    let (set, _) = option_changes(&[], after.list("options"));
    if !set.is_empty() {
        sql.push(" WITH (").piece(&set).push(")");
    }
    if let Some(space) = after.text("tablespace") {
        sql.push(" TABLESPACE ").piece(&Ident::new(space));
    }
    sql.push(" AS\n").piece(&query(after));
    // A materialized view that is not populated cannot be read.
    let is_unfilled = |object: Option<&Object>| object.is_some_and(|object| object.unfilled);
    let reads_nothing = after
        .needs
        .iter()
        .any(|needed| is_unfilled(plan.from.get(needed)) || is_unfilled(plan.to.get(needed)));
    if after.unfilled || reads_nothing {
        sql.push("\nWITH NO DATA");
    }
    sql
}

fn query(after: &Object) -> Sql {
    let definition = after.text("definition").unwrap_or_default();
    raw(definition.trim_end().trim_end_matches(';'))
}

fn alter_view(plan: &Plan<'_>, key: &Key, changed: &[&str]) -> Option<Vec<Sql>> {
    let (before, after) = (plan.from.get(key)?, plan.to.get(key)?);
    if changed == ["options"] {
        return Some(set_options(key, "ALTER VIEW {} ", before, after));
    }
    let (old, new) = (plan.from.columns(key), plan.to.columns(key));
    let same = |(one, other): (&(&Key, &Object), &(&Key, &Object))| {
        one.0 == other.0
            && one.1.fact("type") == other.1.fact("type")
            && one.1.fact("collation") == other.1.fact("collation")
    };
    // A view may be replaced as long as its old columns stay the first ones.
    let may = old.len() <= new.len() && old.iter().zip(&new).all(same);
    may.then(|| vec![view(key, after, "CREATE OR REPLACE VIEW ")])
}

fn set_options(key: &Key, alter: &'static str, before: &Object, after: &Object) -> Vec<Sql> {
    let (set, reset) = option_changes(before.list("options"), after.list("options"));
    let mut sql = Vec::new();
    if !reset.is_empty() {
        let mut statement = Sql::fill(alter, &[&name(key)]);
        statement.push("RESET (").piece(&reset).push(")");
        sql.push(statement);
    }
    if !set.is_empty() {
        let mut statement = Sql::fill(alter, &[&name(key)]);
        statement.push("SET (").piece(&set).push(")");
        sql.push(statement);
    }
    sql
}

fn enabled(key: &Key, before: Option<&Object>, after: &Object) -> Option<Sql> {
    let old = before.and_then(|before| before.text("enabled"));
    let new = after.text("enabled");
    if old == new {
        return None;
    }
    let what = Sql::new(if key.kind == Kind::Rule {
        "RULE"
    } else {
        "TRIGGER"
    });
    let state = new.map_or_else(|| Sql::new("ENABLE"), raw);
    let pieces: [&dyn crate::sql::safe::SqlPart; 4] =
        [&name(key), &state, &what, &Ident::new(&*key.part)];
    Some(Sql::fill("ALTER TABLE {} {} {} {}", &pieces))
}

fn policy(key: &Key, after: &Object) -> Sql {
    let mut sql = Sql::fill(
        "CREATE POLICY {} ON {}",
        &[&Ident::new(&*key.part), &name(key)],
    );
    if after.has("restrictive") {
        sql.push(" AS RESTRICTIVE");
    }
    if let Some(command) = after.text("command").filter(|command| *command != "ALL") {
        sql.push(" FOR ").piece(&raw(command));
    }
    sql.piece(&policy_parts(after, &["roles", "using", "with_check"]));
    sql
}

fn policy_parts(after: &Object, facts: &[&str]) -> Sql {
    let mut sql = Sql::default();
    for fact in facts {
        match *fact {
            "roles" => {
                sql.push(" TO ").piece(&roles(after.list("roles")));
            }
            "using" if after.has("using") => {
                sql.push(" USING (").piece(&text(after, "using")).push(")");
            }
            "with_check" if after.has("with_check") => {
                sql.push(" WITH CHECK (")
                    .piece(&text(after, "with_check"))
                    .push(")");
            }
            _ => {}
        }
    }
    sql
}

fn roles(roles: &[Text]) -> Sql {
    Sql::join(roles.iter().map(|role| raw(role)), ", ")
}

fn alter_policy(key: &Key, before: &Object, after: &Object, changed: &[&str]) -> Option<Vec<Sql>> {
    let fixed = changed
        .iter()
        .any(|fact| matches!(*fact, "command" | "restrictive"));
    // ALTER POLICY cannot remove an expression.
    let lost = |fact: &str| before.has(fact) && !after.has(fact);
    if fixed || lost("using") || lost("with_check") {
        return None;
    }
    let mut sql = Sql::fill(
        "ALTER POLICY {} ON {}",
        &[&Ident::new(&*key.part), &name(key)],
    );
    sql.piece(&policy_parts(after, changed));
    Some(vec![sql])
}

fn row_security(key: &Key, before: Option<&Object>, after: Option<&Object>) -> Vec<Sql> {
    let says = |object: Option<&Object>, fact: &str| object.is_some_and(|object| object.has(fact));
    let mut sql = Vec::new();
    for (fact, on, off) in [
        (
            "enabled",
            "ALTER TABLE {} ENABLE ROW LEVEL SECURITY",
            "ALTER TABLE {} DISABLE ROW LEVEL SECURITY",
        ),
        (
            "forced",
            "ALTER TABLE {} FORCE ROW LEVEL SECURITY",
            "ALTER TABLE {} NO FORCE ROW LEVEL SECURITY",
        ),
    ] {
        match (says(before, fact), says(after, fact)) {
            (false, true) => sql.push(Sql::fill(on, &[&name(key)])),
            (true, false) => sql.push(Sql::fill(off, &[&name(key)])),
            _ => {}
        }
    }
    sql
}
