//! Finds the migration that created an object, by the names in its statements.

use std::collections::BTreeSet;

use crate::catalog::{Key, Kind};
use crate::finding::Location;
use crate::migrate::files::Migration;
use crate::sql::class::{Class, Object};
use crate::sql::split::split;
use crate::sql::token::{self, TokenKind as Token};

/// Every statement of the migrations with the names in it, in order.
pub struct Origins {
    mentions: Vec<Mention>,
}

struct Mention {
    place: Location,
    class: Class,
    names: BTreeSet<String>,
}

impl Origins {
    /// Reads the ways up.
    pub fn of(migrations: &[Migration]) -> Self {
        let mentions = migrations.iter().flat_map(|migration| {
            split(&migration.up.text)
                .into_iter()
                .map(|statement| Mention {
                    place: Location::at(
                        &*migration.up.shown,
                        statement.position.line,
                        statement.position.column,
                    ),
                    class: statement.class,
                    names: names(statement.text),
                })
        });
        Origins {
            mentions: mentions.collect(),
        }
    }

    /// Finds the last statement that made or changed an object, else what it is a part of.
    pub fn find(&self, key: &Key, parent: Option<&Key>) -> Option<Location> {
        let mut wanted = vec![bare(&key.name)];
        if names_a_part(key.kind) {
            wanted.push(key.part.to_string());
        }
        let table: Option<Vec<String>> = match parent {
            Some(parent) => Some(vec![bare(&parent.name)]),
            None if !key.part.is_empty() => Some(vec![bare(&key.name)]),
            None => None,
        };
        self.last(&wanted, |class| shapes(key.kind, class))
            .or_else(|| self.last(&wanted, shapes_anything))
            .or_else(|| self.last(&table?, |class| shapes(Kind::Table, class)))
    }

    fn last(&self, wanted: &[String], fits: impl Fn(Class) -> bool) -> Option<Location> {
        let speaks = |mention: &&Mention| {
            fits(mention.class) && wanted.iter().all(|name| mention.names.contains(name))
        };
        let found = self.mentions.iter().rev().find(speaks)?;
        Some(found.place.clone())
    }
}

/// Whether a statement of the class can make or change an object of the kind.
fn shapes(kind: Kind, class: Class) -> bool {
    let object = match class {
        Class::Create(object) | Class::Alter(object) => object,
        Class::CreateIndex { .. } => Object::Index,
        Class::CreateTableAs => Object::Table,
        Class::AlterTypeAddValue => Object::Type,
        Class::AlterDefaultPrivileges => return kind == Kind::DefaultPrivileges,
        _ => return false,
    };
    match object {
        Object::Table => matches!(
            kind,
            Kind::Table
                | Kind::Column
                | Kind::Default
                | Kind::Identity
                | Kind::NotNull
                | Kind::Partition
                | Kind::Constraint
                | Kind::RowSecurity
        ),
        Object::Index => kind == Kind::Index,
        Object::Policy => kind == Kind::Policy,
        Object::Trigger => kind == Kind::Trigger,
        Object::Rule => kind == Kind::Rule,
        Object::View => matches!(kind, Kind::View | Kind::Column),
        Object::MaterializedView => matches!(kind, Kind::MaterializedView | Kind::Column),
        Object::Function | Object::Procedure | Object::Routine | Object::Aggregate => {
            matches!(kind, Kind::Function | Kind::Procedure | Kind::Aggregate)
        }
        Object::Type | Object::Domain => {
            matches!(kind, Kind::Type | Kind::DomainConstraint | Kind::Column)
        }
        Object::Sequence => matches!(kind, Kind::Sequence | Kind::SequenceOwner),
        Object::Schema => kind == Kind::Schema,
        Object::Extension => kind == Kind::Extension,
        Object::Role => kind == Kind::Role,
        Object::Database => kind == Kind::Database,
        _ => !kind.is_relation() && !kind.is_part(),
    }
}

/// Whether a statement of the class can change anything about an object: its comment, its privileges.
fn shapes_anything(class: Class) -> bool {
    matches!(
        class,
        Class::Create(_)
            | Class::Alter(_)
            | Class::Comment
            | Class::Grant
            | Class::Revoke
            | Class::SecurityLabel
            | Class::Do
    )
}

/// Whether statements name the part itself; row-level security is only the table's.
fn names_a_part(kind: Kind) -> bool {
    kind.is_part()
        && !matches!(
            kind,
            Kind::RowSecurity | Kind::Partition | Kind::SequenceOwner
        )
}

/// Takes the name out of a phrase such as `"My f"(integer)`.
fn bare(name: &str) -> String {
    let end = name.find('(').unwrap_or(name.len());
    let name = name[..end].trim();
    match name
        .strip_prefix('"')
        .and_then(|name| name.strip_suffix('"'))
    {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => name.to_owned(),
    }
}

/// Returns every name a statement speaks, as the server folds it; those in the strings of a block too.
fn names(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for token in token::code(text) {
        let said = token.text(text);
        match token.kind {
            Token::Word => {
                names.insert(said.to_lowercase());
            }
            Token::QuotedName => {
                names.insert(said.trim_matches('"').replace("\"\"", "\""));
            }
            Token::DollarText | Token::Text => names.extend(
                said.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
                    .filter(|word| !word.is_empty())
                    .map(str::to_owned),
            ),
            _ => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate::directive::Directives;
    use crate::migrate::files::MigrationFile;

    fn migration(version: i64, text: &str) -> Migration {
        let shown = format!("migrations/V{version}__x.sql");
        Migration {
            version,
            name: "x".into(),
            prefix: 'V',
            up: MigrationFile {
                path: shown.clone().into(),
                shown,
                text: text.into(),
            },
            down: None,
            directives: Directives::default(),
            down_directives: Directives::default(),
        }
    }

    #[test]
    fn objects_map_to_their_last_statement() {
        let origins = Origins::of(&[
            migration(
                1,
                "CREATE TABLE orders (id int, note text);\nCREATE INDEX ON orders (note);",
            ),
            migration(
                2,
                "ALTER TABLE orders ADD \"Tenant\" uuid;\nCREATE POLICY p ON orders USING (true);\n\
                 DO $$ BEGIN EXECUTE 'CREATE VIEW hidden AS SELECT 1'; END $$;\nDROP TABLE gone;",
            ),
        ]);
        let check = |key: Key, parent: Option<&Key>, expected: Option<&str>| {
            let place = origins.find(&key, parent).map(|place| place.to_string());
            assert_eq!(place.as_deref(), expected, "{key}");
        };
        let table = Key::named(Kind::Table, "public", "orders");
        let column = |name| Key::part(Kind::Column, "public", "orders", name);
        check(
            column("note"),
            Some(&table),
            Some("migrations/V1__x.sql:1:1"),
        );
        check(
            column("Tenant"),
            Some(&table),
            Some("migrations/V2__x.sql:1:1"),
        );
        check(
            Key::part(Kind::Policy, "public", "orders", "p"),
            Some(&table),
            Some("migrations/V2__x.sql:2:1"),
        );
        check(
            Key::named(Kind::Index, "public", "orders_note_idx"),
            Some(&table),
            Some("migrations/V2__x.sql:1:1"),
        );
        check(
            Key::named(Kind::View, "public", "hidden"),
            None,
            Some("migrations/V2__x.sql:3:1"),
        );
        check(Key::named(Kind::Table, "public", "gone"), None, None);
    }
}
