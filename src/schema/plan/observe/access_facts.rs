//! Privileges, policies and owners as facts that are compared before and after a statement.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use tokio_postgres::SimpleQueryMessage;

use crate::pg::session::Session;
use crate::plan::observe::AccessChange;
use crate::plan::observe::access_scope::{AccessScope, Subset};
use crate::sql::name::Literal;
use crate::sql::safe::Sql;

/// Facts about an object, each with whether it grants access; `None` for a fact that only states existence.
type FactsOfObject = BTreeMap<String, Option<bool>>;

/// The facts by the names of the objects.
#[derive(Clone, Debug, Default)]
pub(super) struct AccessFacts {
    facts: BTreeMap<String, FactsOfObject>,
    /// The names under which a thing is spoken of: those of a table and of its columns.
    names: BTreeMap<AccessObject, BTreeSet<String>>,
}

/// What facts are read of at once: a relation, a function, or all that is neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum AccessObject {
    Relation(u32),
    Function(u32),
    Other,
}

/// What was read of the facts, for a scope.
#[derive(Default)]
pub(super) struct ReadFacts {
    things: BTreeSet<AccessObject>,
    facts: BTreeMap<(AccessObject, String), FactsOfObject>,
}

const RELATIONS: &str = include_str!("queries/doors_relations.sql");
const FUNCTIONS: &str = include_str!("queries/doors_functions.sql");

/// Makes the questions ready, and asks each once, so that the server has its plan.
pub(super) fn prepare() -> Sql {
    let these = Sql::new("= ANY ($1)");
    let mut sql = Sql::new(SET_ASIDE);
    sql.push(", pg_catalog.set_config('search_path', '', true);\n");
    sql.push("PREPARE af_db_doors_of_relations (pg_catalog.oid[]) AS ");
    sql.piece(&Sql::fill(
        RELATIONS,
        &[&these, &these, &these, &these, &these],
    ));
    sql.push("UNION ALL SELECT 'r', it, NULL, NULL, NULL FROM pg_catalog.unnest($1) AS it WHERE it IS NOT NULL;\n");
    sql.push("PREPARE af_db_doors_of_functions (pg_catalog.oid[]) AS ");
    sql.piece(&Sql::fill(FUNCTIONS, &[&these])).push(";\n");
    sql.push("PREPARE af_db_doors_of_others AS ");
    sql.push(include_str!("queries/doors_others.sql"))
        .push(";\n");
    sql.push("EXECUTE af_db_doors_of_relations ('{}');\n");
    sql.push("EXECUTE af_db_doors_of_functions ('{}');\n");
    sql.push(PUT_BACK);
    sql
}

/// The path of a file must not decide how expressions are printed, and another one makes the server plan again; planning
/// for each object takes ten times as long as asking.
const SET_ASIDE: &str = "SELECT
    pg_catalog.set_config('af_db.plan_cache_mode', pg_catalog.current_setting('plan_cache_mode'), true),
    pg_catalog.set_config('af_db.search_path', pg_catalog.current_setting('search_path'), true),
    pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', true)";
const PUT_BACK: &str = "SELECT
    pg_catalog.set_config('search_path', pg_catalog.current_setting('af_db.search_path'), true),
    pg_catalog.set_config('plan_cache_mode', pg_catalog.current_setting('af_db.plan_cache_mode'), true)";

/// Returns the question for a part of the facts; names are read as the file would.
fn question(scope: &AccessScope) -> Sql {
    let all = Sql::new(">= 16384");
    let mut sql = Sql::new(SET_ASIDE);
    if let Subset::These(names) = &scope.relations {
        let names = names.iter().map(|name| {
            let name = Literal::new(name.as_str());
            Sql::fill("pg_catalog.to_regclass({})::pg_catalog.oid", &[&name])
        });
        let names = Sql::join(names.collect::<Vec<_>>().iter(), ", ");
        sql.piece(&Sql::fill(
            ", pg_catalog.set_config('af_db.relations', ARRAY[{}]::pg_catalog.oid[]::pg_catalog.text, true)",
            &[&names],
        ));
    }
    sql.push(", pg_catalog.set_config('search_path', '', true);\n");
    match &scope.relations {
        Subset::All => {
            sql.piece(&Sql::fill(RELATIONS, &[&all, &all, &all, &all, &all]))
                .push(";\n");
        }
        Subset::These(names) if names.is_empty() => {}
        Subset::These(_) => {
            sql.push("EXECUTE af_db_doors_of_relations (pg_catalog.current_setting('af_db.relations')::pg_catalog.oid[]);\n");
        }
    }
    match &scope.functions {
        Subset::All => {
            sql.piece(&Sql::fill(FUNCTIONS, &[&all])).push(";\n");
        }
        Subset::These(ids) if ids.is_empty() => {}
        Subset::These(ids) => {
            let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
            let ids = Literal::new(format!("{{{}}}", ids.join(",")));
            sql.piece(&Sql::fill(
                "EXECUTE af_db_doors_of_functions ({});\n",
                &[&ids],
            ));
        }
    }
    if scope.others {
        sql.push("EXECUTE af_db_doors_of_others;\n");
    }
    sql.push(PUT_BACK);
    sql
}

impl ReadFacts {
    /// Reads the facts of what may have changed.
    pub(super) async fn ask(session: &Session, scope: &AccessScope) -> Result<ReadFacts> {
        let mut answer = ReadFacts::default();
        if let Subset::These(ids) = &scope.functions {
            answer
                .things
                .extend(ids.iter().copied().map(AccessObject::Function));
        }
        if scope.others {
            answer.things.insert(AccessObject::Other);
        }
        if scope.is_silent() {
            return Ok(answer);
        }
        for message in session.simple_query(&question(scope)).await? {
            let SimpleQueryMessage::Row(row) = message else {
                continue;
            };
            let id = || {
                row.get(1)
                    .unwrap_or_default()
                    .parse()
                    .context("reading privileges")
            };
            let thing = match row.get(0) {
                Some("r") if row.len() == COLUMNS => AccessObject::Relation(id()?),
                Some("f") if row.len() == COLUMNS => AccessObject::Function(id()?),
                Some("o") if row.len() == COLUMNS => AccessObject::Other,
                // The settings that were put aside; the first is none that a user chooses freely.
                _ => continue,
            };
            answer.things.insert(thing);
            let (Some(object), Some(fact)) = (row.get(2), row.get(3)) else {
                continue;
            };
            let facts = answer.facts.entry((thing, object.to_owned())).or_default();
            facts.insert(fact.to_owned(), row.get(4).map(|opens| opens == "t"));
        }
        Ok(answer)
    }
}

/// How many columns a fact has.
const COLUMNS: usize = 5;

impl AccessFacts {
    /// Reads all facts, on a session where the questions are prepared.
    pub(super) async fn read(session: &Session) -> Result<AccessFacts> {
        let mut doors = AccessFacts::default();
        let whole = AccessScope::whole();
        let answer = ReadFacts::ask(session, &whole).await?;
        doors.changes(answer, &whole, u32::MAX);
        Ok(doors)
    }

    /// Adopts the facts that were read for a scope and returns what has changed.
    ///
    /// A policy opens nothing where the plan makes its table, whose number is higher than the last of those before.
    pub(super) fn changes(
        &mut self,
        mut answer: ReadFacts,
        scope: &AccessScope,
        last_before: u32,
    ) -> Vec<AccessChange> {
        // What is gone is known to have no facts any more.
        answer
            .things
            .extend(scope.gone.iter().copied().map(AccessObject::Relation));
        let known = self.names.keys().copied();
        answer.things.extend(known.filter(|thing| match thing {
            AccessObject::Relation(_) => matches!(scope.relations, Subset::All),
            AccessObject::Function(_) => matches!(scope.functions, Subset::All),
            AccessObject::Other => scope.others,
        }));
        let made =
            |thing: &AccessObject| matches!(thing, AccessObject::Relation(id) if *id > last_before);
        let made: BTreeSet<String> = answer
            .facts
            .keys()
            .filter(|(thing, _)| made(thing))
            .map(|(_, name)| name.clone())
            .collect();
        let mut changes = self.settle(answer);
        for change in changes.iter_mut().filter(|it| it.is_policy()) {
            change.opens &= !made.contains(&change.object);
        }
        changes
    }

    /// Adopts the facts that were read, and returns what is new.
    fn settle(&mut self, answer: ReadFacts) -> Vec<AccessChange> {
        let gone = answer
            .things
            .iter()
            .filter_map(|thing| self.names.remove(thing));
        let mut names: BTreeSet<String> = gone.flatten().collect();
        let mut after: BTreeMap<String, FactsOfObject> = BTreeMap::new();
        for ((thing, name), facts) in answer.facts {
            self.names.entry(thing).or_default().insert(name.clone());
            names.insert(name.clone());
            after.entry(name).or_default().extend(facts);
        }
        let before: BTreeMap<String, FactsOfObject> = names
            .into_iter()
            .filter_map(|name| self.facts.remove_entry(&name))
            .collect();
        let changes = changes(&before, &after);
        self.facts.extend(after);
        changes
    }
}

fn changes(
    before: &BTreeMap<String, FactsOfObject>,
    after: &BTreeMap<String, FactsOfObject>,
) -> Vec<AccessChange> {
    let mut changes = Vec::new();
    let mut tell = |object: &String, change: String, opens: bool| {
        changes.push(AccessChange {
            object: object.clone(),
            change,
            opens,
        });
    };
    for (object, facts) in after {
        let known = before.get(object);
        for (fact, opens) in facts {
            let Some(opens) = opens else { continue };
            // What every function and view begins with is no change; acting for another with any path is always worth it.
            let held = known.is_some_and(|known| known.contains_key(fact));
            if !held && (!is_usual(fact) || known.is_some()) {
                tell(object, fact.clone(), *opens);
            }
        }
    }
    for (object, facts) in before {
        let here = after.get(object);
        for (fact, opens) in facts {
            let Some(opens) = opens else { continue };
            let held = here.is_some_and(|here| here.contains_key(fact));
            // Of a table that is gone its rights need no words; its policies do, for other objects. A view or function is
            // often made again, without them.
            let worth = fact.contains(" policy ")
                || object.starts_with("default privileges")
                || made_again(object, facts) && !is_usual(fact);
            if !held && (here.is_some() || worth) {
                tell(object, format!("no longer: {fact}"), !opens);
            }
        }
    }
    changes.sort();
    changes
}

impl AccessChange {
    /// Whether it is about a policy of a table.
    fn is_policy(&self) -> bool {
        self.change.contains(" policy ")
    }
}

/// Whether a fact is the default for new functions and views.
fn is_usual(fact: &str) -> bool {
    fact == "PUBLIC may EXECUTE"
        || fact == "it reads with its owner's privileges"
        || fact.starts_with("it runs with its owner's privileges")
            && !fact.ends_with("any search_path")
}

/// Whether an object is a view or a function, of which the facts say that it is there.
fn made_again(object: &str, facts: &FactsOfObject) -> bool {
    !object.starts_with("role ") && facts.contains_key("is there")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doors(facts: &[(&str, &str, Option<bool>)]) -> BTreeMap<String, FactsOfObject> {
        let mut doors: BTreeMap<String, FactsOfObject> = BTreeMap::new();
        for (object, fact, opens) in facts {
            let facts = doors.entry((*object).to_owned()).or_default();
            facts.insert((*fact).to_owned(), *opens);
        }
        doors
    }

    fn told(before: &[(&str, &str, Option<bool>)], after: &[(&str, &str, Option<bool>)]) -> String {
        changes(&doors(before), &doors(after))
            .into_iter()
            .map(|change| {
                let sign = if change.opens { '+' } else { '-' };
                format!("{sign}{}: {}\n", change.object, change.change)
            })
            .collect()
    }

    #[test]
    fn new_grants_open_and_lost_grants_close_access() {
        let there = ("t", "is there", None);
        let reads = ("t", "anon may SELECT", Some(true));
        let keeps = ("t", "restrictive policy p for ALL to anon", Some(false));
        assert_eq!(told(&[there], &[there, reads]), "+t: anon may SELECT\n");
        assert_eq!(
            told(&[there, reads, keeps], &[there]),
            "-t: no longer: anon may SELECT\n+t: no longer: restrictive policy p for ALL to anon\n"
        );
    }

    #[test]
    fn grants_of_dropped_views_are_reported_and_those_of_tables_are_not() {
        let there = ("v", "is there", None);
        let reads = ("v", "anon may SELECT", Some(true));
        let usual = ("v", "it reads with its owner's privileges", Some(true));
        assert_eq!(
            told(&[there, reads, usual], &[]),
            "-v: no longer: anon may SELECT\n"
        );
        assert_eq!(told(&[reads], &[]), "");
    }

    #[test]
    fn default_grants_of_new_functions_are_not_reported() {
        let usual = ("f()", "PUBLIC may EXECUTE", Some(true));
        let any = (
            "f()",
            "it runs with its owner's privileges and any search_path",
            Some(true),
        );
        assert_eq!(told(&[], &[usual]), "");
        assert_eq!(
            told(&[], &[usual, any]),
            "+f(): it runs with its owner's privileges and any search_path\n"
        );
        let there = ("f()", "is there", None);
        assert_eq!(
            told(&[there], &[there, usual]),
            "+f(): PUBLIC may EXECUTE\n"
        );
    }
}
