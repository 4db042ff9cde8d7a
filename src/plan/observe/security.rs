//! Owns who may do what, as a set of facts that is compared before and after a statement.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use tokio_postgres::SimpleQueryMessage;

use crate::pg::session::Session;
use crate::plan::observe::Security;
use crate::sql::safe::Sql;

/// The facts, each with whether it lets somebody do more; absent for a fact that only tells of existence.
#[derive(Clone, Debug, Default)]
pub(super) struct Doors(BTreeMap<(String, String), Option<bool>>);

impl Doors {
    /// Reads all facts, on a session where the question is prepared.
    pub(super) async fn read(session: &Session) -> Result<Doors> {
        let mut doors = BTreeMap::new();
        for message in session.ask(&Sql::new("EXECUTE af_db_doors")).await? {
            let SimpleQueryMessage::Row(row) = message else {
                continue;
            };
            let text = |column: usize| row.get(column).unwrap_or_default().to_owned();
            let opens = row.get(2).map(|opens| opens == "t");
            doors.insert((text(0), text(1)), opens);
        }
        Ok(Doors(doors))
    }

    /// Reads all facts again and tells what has changed.
    pub(super) async fn changes(&mut self, session: &Session) -> Result<Vec<Security>> {
        let now = Doors::read(session).await?;
        let changes = changes(self, &now);
        *self = now;
        Ok(changes)
    }
}

fn changes(before: &Doors, after: &Doors) -> Vec<Security> {
    let objects = |doors: &Doors| -> BTreeSet<String> {
        doors.0.keys().map(|(object, _)| object.clone()).collect()
    };
    let (there, here) = (objects(before), objects(after));
    let mut changes = Vec::new();
    for ((object, fact), opens) in &after.0 {
        let Some(opens) = opens else { continue };
        // What every function and view begins with is no change; acting for another with any path is always worth it.
        if before.0.contains_key(&(object.clone(), fact.clone()))
            || is_usual(fact) && !there.contains(object)
        {
            continue;
        }
        changes.push(Security {
            object: object.clone(),
            change: fact.clone(),
            opens: *opens,
        });
    }
    for ((object, fact), opens) in &before.0 {
        let Some(opens) = opens else { continue };
        let gone = after.0.contains_key(&(object.clone(), fact.clone()));
        // Of a table that is gone its rights need no words; its policies do, for other objects. A view or function is
        // often made again, without them.
        let worth = fact.contains(" policy ")
            || object.starts_with("default privileges")
            || made_again(before, object) && !is_usual(fact);
        if gone || !here.contains(object) && !worth {
            continue;
        }
        changes.push(Security {
            object: object.clone(),
            change: format!("no longer: {fact}"),
            opens: !opens,
        });
    }
    changes.sort();
    changes
}

impl Security {
    /// Says whether it is about a policy of a table.
    pub(super) fn is_policy(&self) -> bool {
        self.change.contains(" policy ")
    }
}

/// Says whether a fact holds of every function or view that nobody has looked after.
fn is_usual(fact: &str) -> bool {
    fact == "PUBLIC may EXECUTE"
        || fact == "it reads with the rights of its owner"
        || fact.starts_with("it acts with the rights of its owner")
            && !fact.ends_with("any search_path")
}

/// Says whether an object is a view or a function, of which the facts say that it is there.
fn made_again(doors: &Doors, object: &str) -> bool {
    let known = (object.to_owned(), "is there".to_owned());
    !object.starts_with("role ") && doors.0.contains_key(&known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doors(facts: &[(&str, &str, Option<bool>)]) -> Doors {
        let owned = facts
            .iter()
            .map(|(object, fact, opens)| (((*object).to_owned(), (*fact).to_owned()), *opens));
        Doors(owned.collect())
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
    fn what_somebody_gains_opens_and_what_he_loses_closes() {
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
    fn the_grants_of_a_view_that_is_gone_are_told_and_those_of_a_table_are_not() {
        let there = ("v", "is there", None);
        let reads = ("v", "anon may SELECT", Some(true));
        let usual = ("v", "it reads with the rights of its owner", Some(true));
        assert_eq!(
            told(&[there, reads, usual], &[]),
            "-v: no longer: anon may SELECT\n"
        );
        assert_eq!(told(&[reads], &[]), "");
    }

    #[test]
    fn a_new_function_is_open_to_everyone_as_all_are() {
        let usual = ("f()", "PUBLIC may EXECUTE", Some(true));
        let any = (
            "f()",
            "it acts with the rights of its owner and any search_path",
            Some(true),
        );
        assert_eq!(told(&[], &[usual]), "");
        assert_eq!(
            told(&[], &[usual, any]),
            "+f(): it acts with the rights of its owner and any search_path\n"
        );
        let there = ("f()", "is there", None);
        assert_eq!(
            told(&[there], &[there, usual]),
            "+f(): PUBLIC may EXECUTE\n"
        );
    }
}
