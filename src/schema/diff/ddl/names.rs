//! The names of objects in COMMENT ON, ALTER … OWNER TO, DROP and GRANT.

use crate::catalog::{Catalog, Key, Kind, Object};
use crate::sql::name::Ident;
use crate::sql::safe::Sql;

/// Text that the server printed.
pub(super) fn raw(text: &str) -> Sql {
    Sql::printed_by_server(text)
}

/// Returns the qualified name of an object.
pub(super) fn name(key: &Key) -> Sql {
    raw(&key.qualified())
}

/// Returns a fact's text, empty where absent.
pub(super) fn text(object: &Object, fact: &str) -> Sql {
    raw(object.text(fact).unwrap_or_default())
}

/// Returns the kind and the name, such as `FUNCTION public.f(integer)` or `POLICY p ON public.t`.
pub(super) fn with_kind(catalog: &Catalog, key: &Key) -> Sql {
    let part = Ident::new(&*key.part);
    match key.kind {
        Kind::Column => Sql::fill("COLUMN {}.{}", &[&name(key), &part]),
        Kind::Constraint => Sql::fill("CONSTRAINT {} ON {}", &[&part, &name(key)]),
        Kind::DomainConstraint => Sql::fill("CONSTRAINT {} ON DOMAIN {}", &[&part, &name(key)]),
        Kind::Rule => Sql::fill("RULE {} ON {}", &[&part, &name(key)]),
        Kind::Trigger => Sql::fill("TRIGGER {} ON {}", &[&part, &name(key)]),
        Kind::Policy => Sql::fill("POLICY {} ON {}", &[&part, &name(key)]),
        Kind::NotNull => {
            let constraint = catalog
                .get(key)
                .and_then(|object| object.text("constraint"))
                .unwrap_or_default();
            Sql::fill(
                "CONSTRAINT {} ON {}",
                &[&Ident::new(constraint), &name(key)],
            )
        }
        Kind::Identity => {
            let sequence = catalog
                .get(key)
                .and_then(|object| object.text("sequence"))
                .unwrap_or_default();
            Sql::fill("SEQUENCE {}", &[&raw(sequence)])
        }
        Kind::Type if of_type(catalog, key) == Some("domain") => {
            Sql::fill("DOMAIN {}", &[&name(key)])
        }
        Kind::Database => Sql::fill("DATABASE {}", &[&Ident::new(&catalog.database)]),
        Kind::UserMapping => Sql::fill(
            "USER MAPPING FOR {} SERVER {}",
            &[&raw(&key.part), &name(key)],
        ),
        kind => Sql::fill("{} {}", &[&Sql::new(kind_keywords(kind)), &name(key)]),
    }
}

/// Returns the object in a GRANT; none for kinds without privileges.
pub(super) fn for_grant(catalog: &Catalog, key: &Key) -> Option<Sql> {
    let words = match key.kind {
        Kind::Table | Kind::ForeignTable | Kind::View | Kind::MaterializedView | Kind::Column => {
            "TABLE"
        }
        Kind::Type => "TYPE",
        Kind::Aggregate => {
            // GRANT needs the plain argument types of an aggregate.
            let star = key
                .qualified()
                .replace("(*)", "()")
                .replace(" ORDER BY ", ", ");
            return Some(Sql::fill("FUNCTION {}", &[&raw(&star)]));
        }
        Kind::Server => "FOREIGN SERVER",
        Kind::Sequence
        | Kind::Function
        | Kind::Procedure
        | Kind::Schema
        | Kind::Language
        | Kind::ForeignDataWrapper
        | Kind::Parameter => kind_keywords(key.kind),
        Kind::Identity | Kind::Database => return Some(with_kind(catalog, key)),
        Kind::SystemGrant => {
            let mut on = raw(key.part.split(' ').next().unwrap_or_default());
            if key.part.starts_with("COLUMN ") {
                on = Sql::new("TABLE");
            }
            return Some(Sql::fill("{} {}", &[&on, &name(key)]));
        }
        _ => return None,
    };
    Some(Sql::fill("{} {}", &[&Sql::new(words), &name(key)]))
}

fn of_type<'a>(catalog: &'a Catalog, key: &Key) -> Option<&'a str> {
    catalog.get(key).and_then(|object| object.text("type"))
}

fn kind_keywords(kind: Kind) -> &'static str {
    match kind {
        Kind::Role => "ROLE",
        Kind::Database => "DATABASE",
        Kind::Parameter => "PARAMETER",
        Kind::Schema => "SCHEMA",
        Kind::Extension => "EXTENSION",
        Kind::AccessMethod => "ACCESS METHOD",
        Kind::Language => "LANGUAGE",
        Kind::Collation => "COLLATION",
        Kind::Type => "TYPE",
        Kind::Conversion => "CONVERSION",
        Kind::TextSearchParser => "TEXT SEARCH PARSER",
        Kind::TextSearchTemplate => "TEXT SEARCH TEMPLATE",
        Kind::TextSearchDictionary => "TEXT SEARCH DICTIONARY",
        Kind::TextSearchConfiguration => "TEXT SEARCH CONFIGURATION",
        Kind::ForeignDataWrapper => "FOREIGN DATA WRAPPER",
        Kind::Server => "SERVER",
        Kind::Sequence => "SEQUENCE",
        Kind::Function => "FUNCTION",
        Kind::Procedure => "PROCEDURE",
        Kind::Aggregate => "AGGREGATE",
        Kind::Operator => "OPERATOR",
        Kind::OperatorFamily => "OPERATOR FAMILY",
        Kind::OperatorClass => "OPERATOR CLASS",
        Kind::Cast => "CAST",
        Kind::Transform => "TRANSFORM",
        Kind::Table => "TABLE",
        Kind::ForeignTable => "FOREIGN TABLE",
        Kind::Index => "INDEX",
        Kind::Statistics => "STATISTICS",
        Kind::View => "VIEW",
        Kind::MaterializedView => "MATERIALIZED VIEW",
        Kind::Publication => "PUBLICATION",
        Kind::Subscription => "SUBSCRIPTION",
        Kind::EventTrigger => "EVENT TRIGGER",
        _ => "",
    }
}
