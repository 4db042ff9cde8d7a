//! Settings that a condition compares with a column beside the tenant, such as a region.
//!
//! A request carries them as its application would, and rows of both tenants hold the same value: what is distinguished by such
//! a column alone is then not distinguished at all.

use std::collections::BTreeMap;

use crate::expression_text;
use crate::probed_schema::{Column, ProbedSchema, Relation};
use crate::tenancy::Tenancy;

/// Settings and columns with the value they share.
#[derive(Clone, Debug, Default)]
pub(crate) struct MatchedSettings {
    /// Settings of a request.
    pub(crate) settings: BTreeMap<String, String>,
    /// Columns by table and name.
    pub(crate) columns: BTreeMap<(i64, String), String>,
}

/// Finds what policies compare with settings that are not the tenant's, the user's or its rank.
pub(super) fn agree(facts: &ProbedSchema, tenancy: &Tenancy) -> MatchedSettings {
    let mut agreed = MatchedSettings::default();
    for policy in &facts.policies {
        let Some(table) = facts.relations.get(&policy.table) else {
            continue;
        };
        let texts = [policy.using.as_deref(), policy.check.as_deref()];
        for (setting, name) in texts.into_iter().flatten().flat_map(compared) {
            let last = setting.rsplit('.').next().unwrap_or_default();
            let known = tenancy.setting.as_deref() == Some(setting.as_str())
                || setting.starts_with("request.")
                || expression_text::suggests_user(last)
                || expression_text::suggests_rank(last);
            let Some(column) = table.column(&name).filter(|_| !known) else {
                continue;
            };
            if name == tenancy.column || is_told(facts, table, column) {
                continue;
            }
            let value = agreed.settings.get(&setting).cloned();
            let Some(value) = value.or_else(|| value_for(facts, table, column)) else {
                continue;
            };
            agreed.settings.insert(setting, value.clone());
            agreed.columns.insert((table.oid, name), value);
        }
    }
    agreed
}

/// Whether a column's value comes from other rows, or identifies the row alone.
fn is_told(facts: &ProbedSchema, table: &Relation, column: &Column) -> bool {
    column.generated
        || facts.primary_key(table.oid) == [column.name.clone()]
        || facts
            .foreign_keys(table.oid)
            .any(|key| key.columns.contains(&column.name))
}

fn value_for(facts: &ProbedSchema, table: &Relation, column: &Column) -> Option<String> {
    if let Some(labels) = &column.labels {
        return labels.first().cloned();
    }
    let checks = facts.constraints.iter().filter(|check| {
        check.table == table.oid
            && check.kind == "c"
            && check.columns == [column.name.clone()]
            && !check.definition.contains('~')
    });
    let allowed = checks
        .flat_map(|check| expression_text::read(&check.definition).values)
        .next();
    let plain = match column.base.as_str() {
        "text" | "varchar" | "citext" => "north",
        "int2" | "int4" | "int8" | "numeric" => "1",
        "uuid" => "c0af0db0-0000-4000-8000-000000000077",
        "bool" => "true",
        _ => return allowed,
    };
    allowed.or_else(|| Some(plain.to_owned()))
}

/// Reads `column = current_setting('…')` out of a printed condition, casts and the like left aside.
fn compared(text: &str) -> Vec<(String, String)> {
    const CALL: &str = "current_setting('";
    let found = text.match_indices(CALL).filter_map(|(at, _)| {
        let setting = text[at + CALL.len()..].split('\'').next()?;
        let (left, between) = text[..at].rsplit_once(" = ")?;
        let only_wraps = between
            .replace("NULLIF", "")
            .replace("SELECT", "")
            .chars()
            .all(|sign| matches!(sign, '(' | ' '));
        if !only_wraps {
            return None;
        }
        let bare = match left.rfind("::") {
            Some(identities) if !left[identities..].contains(' ') => &left[..identities],
            _ => left,
        };
        let bare = bare.trim_end_matches(')');
        let name = match bare.strip_suffix('"') {
            Some(quoted) => quoted.rsplit('"').next()?,
            None => bare.rsplit([' ', '(', '.']).next()?,
        };
        (!name.is_empty()).then(|| (setting.to_owned(), name.to_owned()))
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_and_its_setting_are_read() {
        let check = |text: &str, expected: &[(&str, &str)]| {
            let found = compared(text);
            let found: Vec<(&str, &str)> = found
                .iter()
                .map(|(setting, name)| (setting.as_str(), name.as_str()))
                .collect();
            assert_eq!(found, expected, "{text}");
        };
        check(
            "((tenant_id = 1) AND (region = current_setting('app.region'::text, true)))",
            &[("app.region", "region")],
        );
        check(
            "((docs.region)::text = ( SELECT current_setting('app.region'::text) AS current_setting))",
            &[("app.region", "region")],
        );
        check(
            "(\"My Area\" = (NULLIF(current_setting('a.b'::text, true), ''::text))::integer)",
            &[("a.b", "My Area")],
        );
        check("(current_setting('app.role'::text) = 'admin'::text)", &[]);
        check("(a = f(current_setting('app.x'::text)))", &[]);
    }
}
