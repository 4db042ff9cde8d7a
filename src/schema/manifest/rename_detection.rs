//! Finds possible renames: a missing object beside a similar new one. Whether
//! one was renamed to the other is confirmed by the user.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};

use crate::catalog::{Catalog, Key, Kind, Scope, Text, read};
use crate::diff::ddl::Statement;
use crate::pg::session::Session;
use crate::sql::name::{Ident, ObjectName};
use crate::sql::safe::Sql;

/// A missing object, and its possible new names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PossibleRename {
    /// The missing table or column.
    pub key: Key,
    /// Similar new objects, the most likely first.
    pub now: Vec<Key>,
}

/// Returns the index of the new name among the candidates, or none if the object is dropped.
pub type AskRename<'a> = &'a mut dyn FnMut(&PossibleRename) -> Result<Option<usize>>;

pub struct ConfirmedRenames {
    pub there: Vec<Statement>,
    /// The statements that revert them, in the same order.
    pub back: Vec<Statement>,
    /// The resulting schema.
    pub catalog: Catalog,
}

/// Returns whether there are possible renames between two schemas.
pub fn is_likely(current: &Catalog, target: &Catalog) -> bool {
    !tables(current, target).is_empty() || !columns(current, target).is_empty()
}

/// Asks about possible renames, and applies the confirmed ones in the session's database.
///
/// Constraints and indexes are renamed too, so that objects are compared under their new names.
///
/// `current` is the schema of the database; `target` returns the desired one for it.
pub async fn ask_and_rename(
    session: &Session,
    scope: &Scope,
    current: Catalog,
    target: &dyn Fn(&Catalog) -> Catalog,
    ask: AskRename<'_>,
) -> Result<ConfirmedRenames> {
    let mut renamed = ConfirmedRenames {
        there: Vec::new(),
        back: Vec::new(),
        catalog: current,
    };
    let mut pairs: Vec<(Key, Key)> = Vec::new();
    for find in [tables, columns] {
        let known = pairs.len();
        for mut gone in find(&renamed.catalog, &target(&renamed.catalog)) {
            gone.now.retain(|now| pairs.iter().all(|(_, to)| to != now));
            if gone.now.is_empty() {
                continue;
            }
            if let Some(place) = ask(&gone)? {
                pairs.push((gone.key, gone.now.swap_remove(place)));
            }
        }
        renamed.take(session, scope, &pairs[known..]).await?;
    }
    let current = &renamed.catalog;
    let followers = followers(current, &target(current), &pairs);
    renamed.take(session, scope, &followers).await?;
    Ok(renamed)
}

impl ConfirmedRenames {
    async fn take(&mut self, session: &Session, scope: &Scope, pairs: &[(Key, Key)]) -> Result<()> {
        for (from, to) in pairs {
            let (there, back) = statements(from, to);
            let doing = || format!("trying {}", there.sql);
            session.run(&there.sql).await.with_context(doing)?;
            self.there.push(there);
            self.back.push(back);
        }
        if !pairs.is_empty() {
            self.catalog = read::read(session, scope).await?;
        }
        Ok(())
    }
}

/// The names of columns with their types.
type Columns = BTreeSet<(Text, Option<String>)>;

/// Finds missing tables for which a new one has half of their columns.
fn tables(current: &Catalog, target: &Catalog) -> Vec<PossibleRename> {
    let columns = |catalog: &Catalog, table: &Key| -> Columns {
        let columns = catalog.columns(table).into_iter();
        columns
            .map(|(key, column)| (key.part.clone(), column.text("type").map(str::to_owned)))
            .collect()
    };
    let new: Vec<(&Key, _)> = missing(target, current, Kind::Table)
        .map(|key| (key, columns(target, key)))
        .collect();
    missing(current, target, Kind::Table)
        .filter_map(|key| {
            let old = columns(current, key);
            let shared = |new: &Columns| old.intersection(new).count();
            let resembles = |new: &Columns| {
                let most = old.len().max(new.len());
                most > 0 && shared(new) * 2 >= most
            };
            let mut now: Vec<_> = new
                .iter()
                .filter(|(other, columns)| other.schema == key.schema && resembles(columns))
                .collect();
            now.sort_by_key(|(_, columns)| usize::MAX - shared(columns));
            gone(key, now.into_iter().map(|(key, _)| *key))
        })
        .collect()
}

/// Finds missing columns for which the same table has a new one of their type.
fn columns(current: &Catalog, target: &Catalog) -> Vec<PossibleRename> {
    missing(current, target, Kind::Column)
        .filter_map(|key| {
            let table = current.parent(key)?;
            let kept = table.kind == Kind::Table && target.get(&table).is_some();
            let of_type = current.get(key)?.text("type").filter(|_| kept)?;
            let new = missing(target, current, Kind::Column).filter(|new| {
                let same_table = (&new.schema, &new.name) == (&key.schema, &key.name);
                let column = target.get(new).filter(|_| same_table);
                column.is_some_and(|column| column.text("type") == Some(of_type))
            });
            let mut new: Vec<&Key> = new.collect();
            let unlike = |new: &Key| {
                let ratio = similar::TextDiff::from_chars(&*key.part, &*new.part).ratio();
                // Only for sorting.
                (1000.0 - 1000.0 * ratio).round() as i64
            };
            new.sort_by_key(|new| unlike(new));
            gone(key, new.into_iter())
        })
        .collect()
}

fn gone<'a>(key: &Key, now: impl Iterator<Item = &'a Key>) -> Option<PossibleRename> {
    let now: Vec<Key> = now.cloned().collect();
    (!now.is_empty()).then(|| PossibleRename {
        key: key.clone(),
        now,
    })
}

fn missing<'a>(one: &'a Catalog, other: &'a Catalog, kind: Kind) -> impl Iterator<Item = &'a Key> {
    let keys = one.of_kind(kind).map(|(key, _)| key);
    keys.filter(|key| other.get(key).is_none())
}

/// Returns the statement that renames, and the one that reverts it.
fn statements(from: &Key, to: &Key) -> (Statement, Statement) {
    let table = ObjectName::new(&*from.schema, &*from.name);
    let renamed = ObjectName::new(&*to.schema, &*to.name);
    let (there, back) = match from.kind {
        Kind::Table => {
            let rename = |on: &ObjectName, to: &ObjectName| {
                Sql::fill("ALTER TABLE {} RENAME TO {}", &[on, &to.name])
            };
            (rename(&table, &renamed), rename(&renamed, &table))
        }
        Kind::Index => {
            let rename = |on: &ObjectName, to: &ObjectName| {
                Sql::fill("ALTER INDEX {} RENAME TO {}", &[on, &to.name])
            };
            (rename(&table, &renamed), rename(&renamed, &table))
        }
        _ => {
            let word = Sql::new(match from.kind {
                Kind::Constraint => "CONSTRAINT",
                _ => "COLUMN",
            });
            let rename = |from: &Key, to: &Key| {
                let (from, to) = (Ident::new(&*from.part), Ident::new(&*to.part));
                Sql::fill(
                    "ALTER TABLE {} RENAME {} {} TO {}",
                    &[&renamed, &word, &from, &to],
                )
            };
            (rename(from, to), rename(to, from))
        }
    };
    let statement = |sql, about: &Key| Statement {
        sql,
        about: about.clone(),
        alone: false,
        destroys: None,
    };
    (statement(there, to), statement(back, from))
}

/// Returns the constraints and indexes named after a renamed object whose new names are declared.
fn followers(current: &Catalog, target: &Catalog, pairs: &[(Key, Key)]) -> Vec<(Key, Key)> {
    let tables: BTreeSet<Key> = pairs
        .iter()
        .map(|(_, to)| Key::named(Kind::Table, &to.schema, &to.name))
        .collect();
    let mut found = Vec::new();
    for table in tables {
        let constraints = current
            .parts(Kind::Constraint, &table.schema, &table.name)
            .map(|(key, _)| key);
        let indexes = current
            .of_kind(Kind::Index)
            .filter(|(_, index)| index.on.as_deref() == Some(&table))
            .map(|(key, _)| key);
        for key in constraints.chain(indexes) {
            let mut named = key.clone();
            for (from, to) in pairs {
                if (&to.schema, &to.name) != (&table.schema, &table.name) {
                    continue;
                }
                let (old, new) = match from.kind {
                    Kind::Table => (&*from.name, &*to.name),
                    _ => (&*from.part, &*to.part),
                };
                let name = match key.kind {
                    Kind::Index => &mut named.name,
                    _ => &mut named.part,
                };
                *name = name.replacen(old, new, 1).into();
            }
            let is_free = current.get(&named).is_none() && target.get(&named).is_some();
            if is_free && target.get(key).is_none() {
                found.push((key.clone(), named));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Object, Value};

    fn catalog(tables: &[(&str, &[(&str, &str)])]) -> Catalog {
        let mut catalog = Catalog::default();
        for (table, columns) in tables {
            let mut object = Object::default();
            let names = columns.iter().map(|(name, _)| Text::from(*name)).collect();
            object.set("columns", Some(Value::List(names)));
            let key = Key::named(Kind::Table, "public", table);
            catalog.objects.insert(key, object);
            for (name, of_type) in *columns {
                let mut column = Object::default();
                column.set("type", Some(Value::Text((*of_type).into())));
                let key = Key::part(Kind::Column, "public", table, name);
                catalog.objects.insert(key, column);
            }
        }
        catalog
    }

    #[test]
    fn what_is_gone_is_held_against_what_is_new_and_alike() {
        let told = |gone: Vec<PossibleRename>| {
            let told = gone.into_iter().map(|gone| {
                let now: Vec<String> = gone.now.iter().map(Key::subject).collect();
                format!("{} > {}", gone.key.subject(), now.join(", "))
            });
            told.collect::<Vec<_>>().join("; ")
        };
        let orders = ("orders", [("id", "bigint"), ("kind", "text")].as_slice());
        let sales = ("sales", [("id", "bigint"), ("kind", "text")].as_slice());
        let other = ("other", [("a", "date"), ("b", "date")].as_slice());
        let now = catalog(&[orders]);
        assert_eq!(
            told(tables(&now, &catalog(&[other, sales]))),
            "public.orders > public.sales"
        );
        assert_eq!(told(tables(&now, &catalog(&[orders, sales]))), "");
        assert_eq!(told(tables(&now, &catalog(&[other]))), "");

        let renamed = [("id", "bigint"), ("note", "text"), ("the_kind", "text")];
        assert_eq!(
            told(columns(&now, &catalog(&[("orders", &renamed)]))),
            "public.orders.kind > public.orders.the_kind, public.orders.note"
        );
        let retyped = [("id", "bigint"), ("sort", "integer")];
        assert_eq!(told(columns(&now, &catalog(&[("orders", &retyped)]))), "");
        assert_eq!(told(columns(&now, &catalog(&[sales]))), "");
    }
}
