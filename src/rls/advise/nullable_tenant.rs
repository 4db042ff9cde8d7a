//! TableSecurity that need not belong to any tenant.

use crate::advise::AdviceContext;
use crate::catalog::{Key, Kind};
use crate::finding::Finding;

pub(super) fn check(context: &AdviceContext<'_>) -> Vec<Finding> {
    let Some(column) = context.column else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for (table, rows) in &context.rights.tables {
        let key = Key::part(Kind::Column, &table.schema, &table.name, column);
        let Some(object) = context
            .catalog
            .get(&key)
            .filter(|object| !object.has("not_null"))
        else {
            continue;
        };
        let says = format!("{column} IS NULL");
        let admits =
            |text: &Option<String>| text.as_deref().is_some_and(|text| text.contains(&says));
        if !object.has("inherited")
            && rows
                .policies
                .iter()
                .any(|policy| admits(&policy.using) || admits(&policy.check))
        {
            let message = "The tenant column is nullable and a policy admits NULL: every tenant sees such rows, and can write them where WITH CHECK admits NULL";
            let help = format!(
                "ALTER TABLE {} ALTER COLUMN {column} SET NOT NULL",
                table.qualified()
            );
            findings.push(Finding::warn("rls-nullable-tenant", key.subject(), message).help(help));
        }
    }
    findings
}
