//! Checks a catalog against the schema rules.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Catalog, Key, Kind, Object};
use crate::finding::{Finding, Location};
use crate::manifest::located_statement::location;
use crate::manifest::object_name;
use crate::manifest::rules::pattern::fits;
use crate::manifest::rules::{Logs, Naming, Rules, Tenant};
use crate::sql::name::Ident;
use crate::sql::token;
use crate::yaml::{Located, nearest};

/// The names of the rules.
const NAMES: [&str; 6] = [
    "primary-key",
    "foreign-key-index",
    "comment",
    "tenant",
    "logs",
    "naming",
];

struct RuleChecker<'a> {
    catalog: &'a Catalog,
    places: &'a BTreeMap<String, Location>,
    file: &'a str,
    /// Exceptions: quoted table name and rule.
    except: BTreeSet<(String, &'a str)>,
    findings: Vec<Finding>,
}

/// Checks a catalog against the rules of a file; `places` are the locations of its declared objects.
pub fn check(
    rules: &Rules,
    file: &str,
    catalog: &Catalog,
    places: &BTreeMap<String, Location>,
) -> Vec<Finding> {
    let mut checker = RuleChecker {
        catalog,
        places,
        file,
        except: BTreeSet::new(),
        findings: Vec::new(),
    };
    checker.read_exceptions(rules);
    let tables: Vec<(&Key, &Object)> = catalog
        .of_kind(Kind::Table)
        .filter(|(_, object)| !object.has("partition"))
        .collect();
    for (key, object) in tables {
        if rules.primary_key {
            checker.check_primary_key(key);
        }
        if rules.foreign_key_index {
            checker.check_foreign_keys(key);
        }
        if rules.comment && object.comment.is_none() {
            let help = format!("COMMENT ON TABLE {} IS '…'", key.qualified());
            checker.report("comment", key, "", "has no comment", &help);
        }
        if let Some(tenant) = &rules.tenant {
            checker.check_tenant(tenant, key);
        }
        if let Some(logs) = &rules.logs {
            checker.check_logs(logs, key);
        }
        if let Some(naming) = &rules.naming {
            checker.check_names(naming, key);
        }
    }
    checker.findings
}

impl<'a> RuleChecker<'a> {
    fn read_exceptions(&mut self, rules: &'a Rules) {
        for (table, entries) in rules.except.iter() {
            let object = object_name::object_name(self.file, table);
            let known = object.as_ref().is_ok_and(|object| {
                let key = Key::named(Kind::Table, object.schema.as_str(), object.name.as_str());
                self.catalog.get(&key).is_some()
            });
            if !known {
                let message = format!(
                    "exception for table `{}`, which does not exist",
                    table.value
                );
                let finding = Finding::warn("house-exception", &table.value, message);
                self.findings.push(
                    finding
                        .place(location(self.file, table))
                        .help("remove the exception"),
                );
            }
            let Ok(object) = object else { continue };
            for (rule, reason) in entries.iter() {
                let Some(name) = NAMES.into_iter().find(|name| *name == rule.value) else {
                    let message = format!("unknown rule `{}` in an exception", rule.value);
                    let help = match nearest(&rule.value, NAMES) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("the rules are {}", NAMES.join(", ")),
                    };
                    let finding = Finding::error("house-exception", &table.value, message);
                    self.findings
                        .push(finding.place(location(self.file, rule)).help(help));
                    continue;
                };
                if reason.value.trim().is_empty() {
                    let message = format!("the exception to rule `{name}` has no reason");
                    let finding = Finding::error("house-exception", &table.value, message);
                    self.findings.push(
                        finding
                            .place(location(self.file, rule))
                            .help("state why the rule does not apply to this table"),
                    );
                }
                self.except.insert((object.to_string(), name));
            }
        }
    }

    /// Adds a finding about a table or a part of it, unless there is an exception.
    fn report(&mut self, rule: &'static str, table: &Key, part: &str, what: &str, help: &str) {
        let name = table.qualified();
        if self.except.contains(&(name.clone(), rule)) {
            return;
        }
        let subject = if part.is_empty() {
            name.clone()
        } else {
            format!("{name}.{}", Ident::new(part))
        };
        let mut finding = Finding::error(
            format!("house-{rule}"),
            &subject,
            format!("`{subject}` {what}"),
        );
        if let Some(place) = self.places.get(&subject).or_else(|| self.places.get(&name)) {
            finding = finding.place(place.clone());
        }
        self.findings.push(finding.help(help));
    }

    fn check_primary_key(&mut self, table: &Key) {
        let found = self
            .catalog
            .parts(Kind::Constraint, &table.schema, &table.name)
            .any(|(_, object)| object.text("type") == Some("primary key"));
        if !found {
            let help = format!("ALTER TABLE {} ADD PRIMARY KEY (…)", table.qualified());
            self.report("primary-key", table, "", "has no primary key", &help);
        }
    }

    fn check_foreign_keys(&mut self, table: &Key) {
        let catalog = self.catalog;
        let indexes = self.indexes(table);
        for (key, object) in catalog.parts(Kind::Constraint, &table.schema, &table.name) {
            if object.text("type") != Some("foreign key") {
                continue;
            }
            let columns = first_list(object.text("definition").unwrap_or_default());
            let wanted: BTreeSet<&String> = columns.iter().collect();
            let served = indexes
                .iter()
                .any(|index| index.iter().take(columns.len()).collect::<BTreeSet<_>>() == wanted);
            if !served {
                let help = format!(
                    "CREATE INDEX ON {} ({})",
                    table.qualified(),
                    columns.join(", ")
                );
                let what = "is a foreign key without an index; each DELETE or key UPDATE on the referenced table scans this table";
                self.report("foreign-key-index", table, &key.part, what, &help);
            }
        }
    }

    /// Returns the columns of every index that is not partial.
    fn indexes(&self, table: &Key) -> Vec<Vec<String>> {
        let constraints = self
            .catalog
            .parts(Kind::Constraint, &table.schema, &table.name);
        let keys = constraints
            .filter(|(_, object)| matches!(object.text("type"), Some("primary key" | "unique")));
        let indexes = self
            .catalog
            .of_kind(Kind::Index)
            .filter(|(_, object)| object.on.as_deref() == Some(table) && !object.has("invalid"));
        let definitions = keys
            .chain(indexes)
            .filter_map(|(_, object)| object.text("definition"));
        definitions
            .filter(|definition| !is_partial(definition))
            .map(first_list)
            .collect()
    }

    fn check_tenant(&mut self, tenant: &Tenant, table: &Key) {
        let Some(column) = &tenant.column else { return };
        let key = Key::part(Kind::Column, &table.schema, &table.name, &column.value);
        let Some(found) = self.catalog.get(&key) else {
            let what = format!("has no tenant column `{}`", column.value);
            self.report(
                "tenant",
                table,
                "",
                &what,
                "add the column, or add an exception with a reason",
            );
            return;
        };
        let nullable = !found.has("not_null");
        let name = table.qualified();
        if nullable {
            let help = format!(
                "ALTER TABLE {name} ALTER COLUMN {} SET NOT NULL",
                Ident::new(&*column.value)
            );
            self.report(
                "tenant",
                table,
                &column.value,
                "is nullable; a row without a tenant is in no tenant's view",
                &help,
            );
        }
        if tenant.index
            && !self
                .indexes(table)
                .iter()
                .any(|index| index.first() == Some(&column.value))
        {
            let help = format!("CREATE INDEX ON {name} ({}, …)", Ident::new(&*column.value));
            self.report(
                "tenant",
                table,
                &column.value,
                "is not the first column of any index; each query scans the rows of all tenants",
                &help,
            );
        }
        let Some(wanted) = &tenant.row_level_security else {
            return;
        };
        let security = Key::named(Kind::RowSecurity, &table.schema, &table.name);
        let has = |fact: &str| {
            self.catalog
                .get(&security)
                .is_some_and(|object| object.has(fact))
        };
        if !has("enabled") {
            let help = format!("ALTER TABLE {name} ENABLE ROW LEVEL SECURITY");
            self.report(
                "tenant",
                table,
                "",
                "contains tenant data but row-level security is not enabled",
                &help,
            );
        } else if wanted.value == "forced" && !has("forced") {
            let help = format!("ALTER TABLE {name} FORCE ROW LEVEL SECURITY");
            self.report(
                "tenant",
                table,
                "",
                "does not force row-level security; its owner bypasses the policies",
                &help,
            );
        }
    }

    fn check_logs(&mut self, logs: &Logs, table: &Key) {
        if !logs
            .tables
            .iter()
            .any(|pattern| fits(&pattern.value, &table.name, ""))
        {
            return;
        }
        let column = logs
            .column
            .as_ref()
            .map_or("created_at", |column| column.value.as_str());
        let key = Key::part(Kind::Column, &table.schema, &table.name, column);
        if self.catalog.get(&key).is_none() {
            let help = format!(
                "ALTER TABLE {} ADD COLUMN {} timestamptz",
                table.qualified(),
                Ident::new(column)
            );
            self.report(
                "logs",
                table,
                "",
                &format!("is a log table without column `{column}`"),
                &help,
            );
            return;
        }
        if !self
            .indexes(table)
            .iter()
            .any(|index| index.iter().any(|indexed| indexed == column))
        {
            let help = format!(
                "CREATE INDEX ON {} ({})",
                table.qualified(),
                Ident::new(column)
            );
            self.report(
                "logs",
                table,
                column,
                "is not indexed; log tables are queried by time",
                &help,
            );
        }
    }

    fn check_names(&mut self, naming: &Naming, table: &Key) {
        let catalog = self.catalog;
        let mut names: Vec<(&Option<Located<String>>, &str, &str)> =
            vec![(&naming.tables, "table", &table.name)];
        let kinds = [
            (&naming.columns, Kind::Column),
            (&naming.constraints, Kind::Constraint),
            (&naming.triggers, Kind::Trigger),
            (&naming.policies, Kind::Policy),
        ];
        for (pattern, kind) in kinds {
            let parts = catalog.parts(kind, &table.schema, &table.name);
            names.extend(parts.map(|(key, _)| (pattern, kind.word(), &*key.part)));
        }
        let indexes = catalog
            .of_kind(Kind::Index)
            .filter(|(_, object)| object.on.as_deref() == Some(table));
        names.extend(indexes.map(|(key, _)| (&naming.indexes, "index", &*key.name)));
        for (pattern, word, name) in names {
            let Some(pattern) = pattern else { continue };
            if !fits(&pattern.value, name, &table.name) {
                let part = if word == "table" { "" } else { name };
                let what = format!("is a {word} that does not match the naming rule");
                self.report(
                    "naming",
                    table,
                    part,
                    &what,
                    &format!("required pattern: `{}`", pattern.value),
                );
            }
        }
    }
}

/// Returns the columns in the first parentheses of a definition, as in the catalog; expressions as printed.
fn first_list(definition: &str) -> Vec<String> {
    let tokens: Vec<token::Token> = token::code(definition).collect();
    let Some(open) = tokens
        .iter()
        .position(|token| token.kind == token::TokenKind::Open)
    else {
        return Vec::new();
    };
    let mut items: Vec<String> = Vec::new();
    let mut depth = 0;
    let mut begins = true;
    for token in &tokens[open..] {
        let text = token.text(definition);
        match token.kind {
            token::TokenKind::Open => depth += 1,
            token::TokenKind::Close => depth -= 1,
            _ if depth == 1 && text == "," => begins = true,
            token::TokenKind::QuotedName if begins => {
                items.push(text.trim_matches('"').replace("\"\"", "\""));
                begins = false;
            }
            _ if begins => {
                items.push(text.to_owned());
                begins = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
        // An item with parentheses is an expression, which equals no column.
        if depth == 2 && token.kind == token::TokenKind::Open {
            if begins {
                items.push(String::new());
                begins = false;
            }
            if let Some(item) = items.last_mut() {
                item.push('(');
            }
        }
    }
    items
}

fn is_partial(definition: &str) -> bool {
    let mut depth = 0;
    token::code(definition).any(|token| {
        match token.kind {
            token::TokenKind::Open => depth += 1,
            token::TokenKind::Close => depth -= 1,
            _ => {}
        }
        depth == 0 && token.is_word(definition, "where")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let check =
            |definition: &str, expected: &[&str]| assert_eq!(first_list(definition), expected);
        check(
            "FOREIGN KEY (tenant_id, \"a\"\"b\") REFERENCES t(x)",
            &["tenant_id", "a\"b"],
        );
        check(
            "CREATE INDEX i ON t USING btree (a DESC, lower((b)::text), c)",
            &["a", "lower(", "c"],
        );
        check(
            "CREATE INDEX i ON t USING btree (((a + b)), c)",
            &["(", "c"],
        );
        assert!(is_partial("CREATE INDEX i ON t (a) WHERE (a > 0)"));
        assert!(!is_partial("CREATE INDEX i ON t (where_a, (a > 0))"));
    }
}
