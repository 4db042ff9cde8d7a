//! Expands the declared policies over a catalog: which table follows which declaration, with which policies and grants.
//!
//! Expressions stay as they are written; [`crate::normalize`] has PostgreSQL print them.

mod choose;

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Catalog, Key, Kind, Object};
use crate::declared::allow::{self, AllowContext};
use crate::declared::document::{Allow, PolicyDocument, Table, Template, Tenancy};
use crate::declared::name_lookup;
use crate::declared::policy_text::{self, Problem};
use crate::declared::{Declared, own_rows, place, script};
use crate::finding::{Finding, Location};
use crate::rights::{Policy, Rights, TableSecurity};
use crate::sql::name::Ident;
use crate::yaml::{Located, nearest};

/// What is declared for one catalog.
#[derive(Clone, Debug, Default)]
pub struct ExpandedPolicies {
    /// The rights, their conditions as written.
    pub rights: Rights,
    /// What cannot be meant as it is written, and tables that nothing covers.
    pub findings: Vec<Finding>,
    /// Where each covered table is declared.
    pub places: BTreeMap<Key, Location>,
    /// Tables left alone.
    pub excepted: BTreeSet<Key>,
    /// Objects other than tables whose grants are declared.
    pub exact: BTreeSet<Key>,
    /// The condition of a tenant's own rows, where a table has one.
    pub own: BTreeMap<Key, String>,
    /// Roles named.
    pub roles: BTreeMap<String, Location>,
    /// The columns that name the tenant, by table.
    pub columns: BTreeMap<Key, String>,
}

/// Everything the files say, by name.
struct Expansion<'a> {
    declared: &'a Declared,
    catalog: &'a Catalog,
    tenancy: Tenancy,
    rows: BTreeMap<String, String>,
    templates: BTreeMap<&'a str, (&'a str, &'a Template)>,
    force: bool,
    wanted: ExpandedPolicies,
}

/// What is being expanded: an object, what names in braces stand for on it, and the rows that are meant unsaid.
#[derive(Clone, Copy)]
struct Subject<'a> {
    key: &'a Key,
    known: &'a BTreeMap<String, String>,
    usual: &'a str,
}

/// Which declaration a table follows.
struct Chosen<'a> {
    file: &'a str,
    place: Location,
    table: Option<&'a Table>,
    template: Option<(&'a str, &'a Template)>,
    shared: bool,
}

/// Expands over every table of a catalog; `column` is what the project calls the tenant's column elsewhere.
pub fn expand(declared: &Declared, catalog: &Catalog, column: Option<&str>) -> ExpandedPolicies {
    let mut tenancy = declared
        .tenancy()
        .map(|(_, tenancy)| tenancy.clone())
        .unwrap_or_default();
    if tenancy.column.is_none() {
        tenancy.column = column.map(|column| Located {
            value: column.to_owned(),
            line: 0,
            column: 0,
        });
    }
    let mut expansion = Expansion {
        declared,
        catalog,
        tenancy,
        rows: BTreeMap::from([
            ("all".to_owned(), "true".to_owned()),
            ("no".to_owned(), "false".to_owned()),
        ]),
        templates: BTreeMap::new(),
        force: true,
        wanted: ExpandedPolicies::default(),
    };
    for file in &declared.files {
        expansion.learn(&file.name, &file.document);
    }
    for file in &declared.files {
        expansion.look_for_missing(&file.name, &file.document);
    }
    for (key, object) in catalog.of_kind(Kind::Table) {
        expansion.table(key, object);
    }
    for file in &declared.files {
        expansion.others(&file.name, &file.document);
    }
    script::add(declared, catalog, &mut expansion.wanted);
    expansion.wanted
}

impl<'a> Expansion<'a> {
    fn learn(&mut self, file: &'a str, document: &'a PolicyDocument) {
        for (name, rows) in document.rows.iter() {
            self.rows
                .insert(name.value.clone(), format!("({})", rows.value));
        }
        for (name, template) in document.templates.iter() {
            self.templates.insert(&name.value, (file, template));
        }
        for (role, _) in document.roles.iter() {
            self.wanted
                .roles
                .insert(role.value.clone(), place(file, role));
        }
        self.force = document.force.unwrap_or(self.force);
    }

    fn fault(&mut self, subject: &str, place: Location, (message, hint): Problem) {
        let mut finding = Finding::error("rls-declared", subject, message).place(place);
        finding.help = hint;
        self.wanted.findings.push(finding);
    }

    /// Names the tables that are declared and are not there.
    fn look_for_missing(&mut self, file: &'a str, document: &'a PolicyDocument) {
        for (name, _) in document.tables.iter().chain(document.shared.iter()) {
            for part in name.value.split(',').map(str::trim) {
                if part.contains('*')
                    || name_lookup::relation(self.catalog, &[Kind::Table], part).is_some()
                {
                    continue;
                }
                let hint = name_lookup::near(self.catalog, &[Kind::Table], part);
                let hint = hint.map_or_else(
                    || "remove the entry, or add the migration that creates the table".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                let fault = (format!("table `{part}` does not exist"), Some(hint));
                self.fault(part, place(file, name), fault);
            }
        }
        for (name, table) in document.shared.iter() {
            if table.reason.is_none() {
                let message =
                    "a shared table is visible to every tenant and needs a reason".to_owned();
                let hint = Some("add `reason: …`".to_owned());
                self.fault(&name.value, place(file, name), (message, hint));
            }
        }
    }

    fn table(&mut self, key: &Key, object: &Object) {
        let column = self.tenant_column(key);
        if self.is_excepted(key) {
            self.wanted.excepted.insert(key.clone());
            return;
        }
        let Some(chosen) = self.choose(key, object, column.is_some()) else {
            self.uncovered(key, object, column.as_deref());
            return;
        };
        let rows = self.rows_of(key, &chosen, column);
        self.wanted.places.insert(key.clone(), chosen.place);
        self.wanted.rights.tables.insert(key.clone(), rows);
    }

    /// Returns the column that names the tenant, where the table has it.
    fn tenant_column(&self, key: &Key) -> Option<String> {
        let column = self.tenancy.column.as_ref()?;
        let part = Key::part(Kind::Column, &key.schema, &key.name, &column.value);
        self.catalog
            .objects
            .contains_key(&part)
            .then(|| column.value.clone())
    }

    fn is_excepted(&self, key: &Key) -> bool {
        let mut files = self.declared.files.iter();
        files.any(|file| {
            let mut except = file.document.except.iter();
            except.any(|(pattern, _)| name_lookup::matches(key, &pattern.value))
        })
    }

    /// A table that nothing covers: a finding where it holds rows of tenants.
    fn uncovered(&mut self, key: &Key, object: &Object, column: Option<&str>) {
        let Some(column) = column else { return };
        // Rows of a partition are declared at its parent.
        if object.has("partition") {
            return;
        }
        let subject = key.qualified();
        let message = format!(
            "tenant column `{column}` exists, but no declaration in policies/ covers the table"
        );
        let short = name_lookup::short(key);
        let help = format!(
            "declare the table in policies/: `tables: {{ {short}: … }}`, or `except: {{ {short}: the reason }}`"
        );
        self.wanted
            .findings
            .push(Finding::error("rls-undeclared", subject, message).help(help));
    }

    fn rows_of(&mut self, key: &Key, chosen: &Chosen<'a>, column: Option<String>) -> TableSecurity {
        let nothing = Table::default();
        let table = chosen.table.unwrap_or(&nothing);
        if let Some(like) = &table.like
            && chosen.template.is_none()
        {
            let near = nearest(&like.value, self.templates.keys().copied());
            let hint = near.map(|near| format!("did you mean `{near}`?"));
            let message = format!("template `{}` does not exist", like.value);
            self.fault(&key.qualified(), place(chosen.file, like), (message, hint));
        }
        let column = table
            .column
            .as_ref()
            .map(|own| own.value.clone())
            .or(column);
        let known = self.known(key, chosen, table, column);
        let usual = if chosen.shared { "all" } else { "own" };
        let is_scripted = chosen.table.is_none() && chosen.template.is_none();
        let template = chosen.template.map(|(_, template)| template);
        let force = table
            .force
            .or_else(|| template.and_then(|template| template.force));
        let mut rows = TableSecurity {
            enabled: !is_scripted && table.security.unwrap_or(true),
            forced: !is_scripted && force.unwrap_or(self.force),
            policies: Vec::new(),
        };
        let subject = Subject {
            key,
            known: &known,
            usual,
        };
        let nobody = BTreeSet::new();
        self.allow(subject, (chosen.file, &table.allow), &nobody, &mut rows);
        let roles = table.allow.0.iter();
        let said: BTreeSet<&str> = roles.map(|(role, _)| role.value.as_str()).collect();
        let own = [&table.policies, &table.guards];
        self.written(subject, chosen.file, own, &mut rows);
        if let Some((file, template)) = chosen.template {
            self.allow(subject, (file, &template.allow), &said, &mut rows);
            let common = [&template.policies, &template.guards];
            self.written(subject, file, common, &mut rows);
        }
        number(&mut rows.policies);
        rows
    }

    /// Returns what names in braces stand for on a table.
    fn known(
        &mut self,
        key: &Key,
        chosen: &Chosen<'a>,
        table: &Table,
        column: Option<String>,
    ) -> BTreeMap<String, String> {
        let mut known = self.rows.clone();
        if let Some((_, template)) = chosen.template {
            for (name, value) in template.with.iter() {
                known.insert(name.value.clone(), value.value.clone());
            }
        }
        for (name, value) in table.with.iter() {
            known.insert(name.value.clone(), value.value.clone());
        }
        known.insert("table".into(), key.qualified());
        let tenancy = &self.tenancy;
        if let Some(who) = own_rows::who(tenancy) {
            known.insert("tenant".into(), format!("(select {who})"));
        }
        if let Some(user) = own_rows::user(tenancy) {
            known.insert("user".into(), format!("(select {user})"));
        }
        let is_membership = tenancy.membership.as_ref().is_some_and(|membership| {
            own_rows::table(&membership.table.value).to_string() == key.qualified()
        });
        let condition = if is_membership && table.column.is_none() {
            own_rows::of_membership(tenancy)
        } else {
            column
                .as_ref()
                .and_then(|column| own_rows::condition(tenancy, column))
        };
        if let Some(column) = column {
            known.insert("column".into(), Ident::new(column.as_str()).to_string());
            self.wanted.columns.insert(key.clone(), column);
        }
        if let Some(condition) = condition {
            known.insert("own".into(), format!("({condition})"));
            self.wanted.own.insert(key.clone(), condition);
        }
        known
    }

    fn allow(
        &mut self,
        Subject { key, known, usual }: Subject<'_>,
        (file, allow): (&str, &Allow),
        but: &BTreeSet<&str>,
        rows: &mut TableSecurity,
    ) {
        let mut rows_known: BTreeSet<String> = self.rows.keys().cloned().collect();
        rows_known.extend(known.contains_key("own").then(|| "own".to_owned()));
        for (role, lines) in allow.0.iter() {
            self.wanted
                .roles
                .entry(role.value.clone())
                .or_insert_with(|| place(file, role));
            if but.contains(role.value.as_str()) {
                continue;
            }
            let context = AllowContext {
                catalog: self.catalog,
                relation: key,
                known,
                rows: &rows_known,
                usual,
            };
            let allowed = allow::read(&context, &role.value, lines);
            self.wanted.rights.grants.extend(allowed.grants);
            for (index, fault) in allowed.faults {
                self.fault(&key.qualified(), place(file, &lines.0[index]), fault);
            }
            rows.policies
                .extend(allowed.policies.into_iter().map(|(mut policy, index)| {
                    policy.place = Some(place(file, &lines.0[index]));
                    policy
                }));
        }
    }

    fn written(
        &mut self,
        Subject { key, known, .. }: Subject<'_>,
        file: &str,
        [policies, guards]: [&crate::manifest::entries::Entries<Located<String>>; 2],
        rows: &mut TableSecurity,
    ) {
        let policies = policies.iter().map(|entry| (entry, false));
        for ((name, line), restrictive) in policies.chain(guards.iter().map(|entry| (entry, true)))
        {
            let read = policy_text::fill(&line.value, known)
                .and_then(|line| policy_text::policy(&name.value, &line));
            match read {
                Ok(mut policy) => {
                    policy.restrictive |= restrictive;
                    policy.place = Some(place(file, line));
                    rows.policies.push(policy);
                }
                Err(fault) => self.fault(
                    &format!("{} on {}", name.value, key.qualified()),
                    place(file, line),
                    fault,
                ),
            }
        }
    }

    /// Reads what is said of objects other than tables.
    fn others(&mut self, file: &'a str, document: &'a PolicyDocument) {
        let sections: [(&[Kind], &crate::manifest::entries::Entries<Allow>); 4] = [
            (
                &[Kind::View, Kind::MaterializedView, Kind::ForeignTable],
                &document.views,
            ),
            (
                &[Kind::Function, Kind::Procedure, Kind::Aggregate],
                &document.functions,
            ),
            (&[Kind::Sequence], &document.sequences),
            (&[Kind::Schema], &document.schemas),
        ];
        for (kinds, section) in sections {
            for (name, allow) in section.iter() {
                let keys = name_lookup::matching(self.catalog, kinds, &name.value);
                if keys.is_empty() {
                    let hint = name_lookup::near(self.catalog, kinds, &name.value);
                    let hint = hint.map(|near| format!("did you mean `{near}`?"));
                    let message = format!("{} `{}` does not exist", kinds[0], name.value);
                    self.fault(&name.value, place(file, name), (message, hint));
                }
                for key in keys {
                    self.object(&key, file, name, allow);
                }
            }
        }
        for (role, entries) in document.defaults.iter() {
            for (what, allow) in entries.iter() {
                let (kind, schema) = what.value.split_once(" in ").unwrap_or((&what.value, ""));
                let key = Key::part(
                    Kind::DefaultPrivileges,
                    schema.trim(),
                    &role.value,
                    &kind.trim().to_uppercase(),
                );
                self.object(&key, file, what, allow);
            }
        }
    }

    fn object(&mut self, key: &Key, file: &'a str, name: &Located<String>, allow: &Allow) {
        self.wanted.exact.insert(key.clone());
        self.wanted.places.insert(key.clone(), place(file, name));
        let mut rows = TableSecurity::default();
        let known = BTreeMap::new();
        let subject = Subject {
            key,
            known: &known,
            usual: "all",
        };
        self.allow(subject, (file, allow), &BTreeSet::new(), &mut rows);
    }
}

/// Distinguishes policies of one name apart.
fn number(policies: &mut [Policy]) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for policy in policies {
        let count = seen.entry(policy.name.clone()).or_default();
        *count += 1;
        if *count > 1 {
            policy.name = format!("{}_{count}", policy.name);
        }
    }
}
