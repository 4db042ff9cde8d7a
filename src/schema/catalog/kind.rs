//! The kinds of database objects in a catalog, with their names.

use std::fmt;

/// The kind of object that a [`Key`](crate::catalog::Key) names, in the order in which objects are shown and created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A role; read only when the scope asks for it.
    Role,
    /// The database itself: owner, grants, settings.
    Database,
    /// Privileges on a configuration parameter.
    Parameter,
    Schema,
    Extension,
    AccessMethod,
    /// A procedural language.
    Language,
    Collation,
    /// An enum, domain, composite, range, base type or shell.
    Type,
    /// A check on a domain.
    DomainConstraint,
    /// A conversion between encodings.
    Conversion,
    TextSearchParser,
    TextSearchTemplate,
    TextSearchDictionary,
    TextSearchConfiguration,
    ForeignDataWrapper,
    /// A foreign server.
    Server,
    UserMapping,
    /// A sequence, unless it belongs to an identity column.
    Sequence,
    /// A function or window function.
    Function,
    Procedure,
    Aggregate,
    Operator,
    OperatorFamily,
    OperatorClass,
    Cast,
    Transform,
    /// A table or partitioned table.
    Table,
    ForeignTable,
    /// A column of a table, view or composite type.
    Column,
    /// The default of a column.
    Default,
    /// The identity of a column, with its sequence.
    Identity,
    /// A not-null constraint with a name or a state of its own (PostgreSQL 18).
    NotNull,
    /// The column that owns a sequence.
    SequenceOwner,
    /// A partition's place in its partitioned table.
    Partition,
    /// A table's constraint.
    Constraint,
    /// An index that does not belong to a constraint.
    Index,
    /// Extended statistics.
    Statistics,
    View,
    MaterializedView,
    /// A rewrite rule.
    Rule,
    Trigger,
    /// A row-level security policy.
    Policy,
    /// Whether row-level security is enabled and forced on a table.
    RowSecurity,
    Publication,
    Subscription,
    EventTrigger,
    /// Default privileges of a role.
    DefaultPrivileges,
    /// Changed privileges on a system object or an object of an extension.
    SystemGrant,
}

const WORDS: &[(Kind, &str)] = &[
    (Kind::Role, "role"),
    (Kind::Database, "database"),
    (Kind::Parameter, "parameter"),
    (Kind::Schema, "schema"),
    (Kind::Extension, "extension"),
    (Kind::AccessMethod, "access-method"),
    (Kind::Language, "language"),
    (Kind::Collation, "collation"),
    (Kind::Type, "type"),
    (Kind::DomainConstraint, "domain-constraint"),
    (Kind::Conversion, "conversion"),
    (Kind::TextSearchParser, "text-search-parser"),
    (Kind::TextSearchTemplate, "text-search-template"),
    (Kind::TextSearchDictionary, "text-search-dictionary"),
    (Kind::TextSearchConfiguration, "text-search-configuration"),
    (Kind::ForeignDataWrapper, "foreign-data-wrapper"),
    (Kind::Server, "server"),
    (Kind::UserMapping, "user-mapping"),
    (Kind::Sequence, "sequence"),
    (Kind::Function, "function"),
    (Kind::Procedure, "procedure"),
    (Kind::Aggregate, "aggregate"),
    (Kind::Operator, "operator"),
    (Kind::OperatorFamily, "operator-family"),
    (Kind::OperatorClass, "operator-class"),
    (Kind::Cast, "cast"),
    (Kind::Transform, "transform"),
    (Kind::Table, "table"),
    (Kind::ForeignTable, "foreign-table"),
    (Kind::Column, "column"),
    (Kind::Default, "default"),
    (Kind::Identity, "identity"),
    (Kind::NotNull, "not-null"),
    (Kind::SequenceOwner, "sequence-owner"),
    (Kind::Partition, "partition"),
    (Kind::Constraint, "constraint"),
    (Kind::Index, "index"),
    (Kind::Statistics, "statistics"),
    (Kind::View, "view"),
    (Kind::MaterializedView, "materialized-view"),
    (Kind::Rule, "rule"),
    (Kind::Trigger, "trigger"),
    (Kind::Policy, "policy"),
    (Kind::RowSecurity, "row-security"),
    (Kind::Publication, "publication"),
    (Kind::Subscription, "subscription"),
    (Kind::EventTrigger, "event-trigger"),
    (Kind::DefaultPrivileges, "default-privileges"),
    (Kind::SystemGrant, "system-grant"),
];

impl Kind {
    /// The name used in queries, codes and JSON, such as `materialized-view`.
    pub fn word(self) -> &'static str {
        WORDS
            .iter()
            .find(|(kind, _)| *kind == self)
            .map_or("object", |(_, word)| word)
    }

    pub fn from_word(word: &str) -> Option<Kind> {
        WORDS
            .iter()
            .find(|(_, known)| *known == word)
            .map(|(kind, _)| *kind)
    }

    /// Returns whether objects of this kind have columns.
    pub fn is_relation(self) -> bool {
        matches!(
            self,
            Kind::Table | Kind::ForeignTable | Kind::View | Kind::MaterializedView
        )
    }

    /// Returns whether objects of this kind are part of a relation and are dropped with it.
    pub fn is_part(self) -> bool {
        matches!(
            self,
            Kind::Column
                | Kind::Default
                | Kind::Identity
                | Kind::NotNull
                | Kind::Constraint
                | Kind::Rule
                | Kind::Trigger
                | Kind::Policy
                | Kind::RowSecurity
                | Kind::Partition
                | Kind::DomainConstraint
        )
    }

    /// Returns whether the name is printed unquoted, because it already contains a signature.
    pub fn name_is_preformatted(self) -> bool {
        matches!(
            self,
            Kind::Function
                | Kind::Procedure
                | Kind::Aggregate
                | Kind::Operator
                | Kind::OperatorFamily
                | Kind::OperatorClass
                | Kind::Cast
                | Kind::Transform
                | Kind::SystemGrant
                | Kind::Parameter
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.word().replace('-', " "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_reads_back() {
        for (kind, word) in WORDS {
            assert_eq!(Kind::from_word(word), Some(*kind));
            assert_eq!(kind.word(), *word);
        }
        assert!(WORDS.is_sorted_by_key(|(kind, _)| *kind));
    }
}
