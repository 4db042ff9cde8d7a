//! Columns of types that hold numbers of this server's catalog: an upgrade to another major refuses them.

use crate::advise::AdviceContext;
use crate::catalog::Kind;
use crate::finding::Finding;
use crate::sql::name::Ident;

/// What an upgrade carries over none the less is not among them: classes, roles and types.
const TYPES: [&str; 8] = [
    "regcollation",
    "regconfig",
    "regdictionary",
    "regnamespace",
    "regoper",
    "regoperator",
    "regproc",
    "regprocedure",
];

pub(super) fn check(context: &AdviceContext<'_>) -> Vec<Finding> {
    let columns = context.catalog.of_kind(Kind::Column);
    columns
        .filter_map(|(key, object)| {
            let table = context
                .catalog
                .parent(key)
                .filter(|parent| matches!(parent.kind, Kind::Table | Kind::MaterializedView))?;
            let type_name = object.text("type")?;
            let of = type_name.strip_suffix("[]").unwrap_or(type_name);
            if !TYPES.contains(&of) {
                return None;
            }
            let message = format!("The column has type {type_name}, which pg_upgrade refuses");
            let array = type_name.strip_prefix(of).unwrap_or_default();
            let help = format!(
                "ALTER TABLE {} ALTER COLUMN {} TYPE text{array}",
                table.qualified(),
                Ident::new(&*key.part)
            );
            Some(Finding::warn("rls-fragile-type", key.subject(), message).help(help))
        })
        .collect()
}
