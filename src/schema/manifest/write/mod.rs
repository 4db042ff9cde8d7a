//! Writes a catalog as a manifest, one file per table.
//!
//! What the YAML format supports is written as YAML. The rest is plain SQL, which [`crate::diff`] generates from what
//! the YAML does not declare, so that nothing is lost.

mod column;
mod phrase;
mod table;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::acl::{Acl, Grantee};
use crate::catalog::{Catalog, Key, Kind, Object};
use crate::diff::ddl::{self, Options};
use crate::manifest::object_name::spell;
use crate::sql::name::ObjectName;

use yaml::Page;

/// The YAML files, and the catalog that they declare.
struct Lines {
    pub files: BTreeMap<String, String>,
    /// The catalog that the files alone declare.
    pub said: Catalog,
}

/// Collects what was written.
struct Writer<'a> {
    catalog: &'a Catalog,
    said: BTreeMap<Key, Object>,
}

impl Writer<'_> {
    /// Records an object as written, without some of its facts; comments are included, grants and labels are not.
    fn say(&mut self, key: &Key, object: &Object, without: &[&str]) {
        let mut object = object.clone();
        object.acl = None;
        object.labels.clear();
        for fact in without {
            object.set(fact, None);
        }
        self.said.insert(key.clone(), object);
    }

    /// Records an object as written, without its comment.
    fn say_bare(&mut self, key: &Key, object: &Object, without: &[&str]) {
        self.say(key, object, without);
        if let Some(said) = self.said.get_mut(key) {
            said.comment = None;
        }
    }
}

/// Writes a catalog as the files of a manifest, by their names within the folder.
///
/// Normalizing them produces the same catalog.
pub fn write(catalog: &Catalog) -> BTreeMap<String, String> {
    let Lines { mut files, said } = lines(catalog);
    let options = Options {
        column_order: false,
        online: false,
    };
    for statement in ddl::statements(&said, catalog, &options) {
        let text = statement.sql.as_str();
        // The normalizer sets this itself.
        if text.starts_with("SET ") {
            continue;
        }
        let file = files.entry(plain_file(statement.about.kind).to_owned());
        let file = file.or_insert_with(String::new);
        if !file.is_empty() {
            file.push('\n');
        }
        file.push_str(text.trim_end());
        file.push_str(";\n");
    }
    files
}

/// Returns whether two indexes differ only in their names.
pub(crate) fn same_index(left: &Object, right: &Object) -> bool {
    let line = |object: &Object| phrase::index(object.text("definition").unwrap_or_default());
    line(left).is_some_and(|left| Some(left) == line(right))
}

/// Returns the SQL file for objects that YAML cannot declare.
fn plain_file(kind: Kind) -> &'static str {
    match kind {
        Kind::Function | Kind::Procedure | Kind::Aggregate => "functions.sql",
        Kind::View | Kind::MaterializedView => "views.sql",
        _ => "rest.sql",
    }
}

/// Writes what YAML can declare.
fn lines(catalog: &Catalog) -> Lines {
    let mut writer = Writer {
        catalog,
        said: BTreeMap::new(),
    };
    let mut files = BTreeMap::new();
    let page = write_globals(&mut writer);
    if !page.is_empty() {
        files.insert("database.yaml".to_owned(), page.into_text());
    }
    for (key, object) in catalog
        .of_kind(Kind::Table)
        .filter(|(key, object)| is_plain(catalog, key, object))
    {
        let mut page = Page::default();
        page.open(0, "tables");
        table::write(&mut writer, key, object, &mut page);
        let name = file_name(&spell(&ObjectName::new(&*key.schema, &*key.name)), &files);
        files.insert(name, page.into_text());
    }
    let said = Catalog {
        objects: writer.said,
        ..catalog.retain(|_, _| false)
    };
    Lines { files, said }
}

/// Returns whether a table is declared by its columns.
fn is_plain(catalog: &Catalog, key: &Key, object: &Object) -> bool {
    let inherited = catalog
        .columns(key)
        .iter()
        .any(|(_, column)| column.has("inherited"));
    !object.has("partition") && !object.has("inherits") && !object.has("of_type") && !inherited
}

/// Writes roles, schemas, extensions, enums and domains.
fn write_globals(writer: &mut Writer<'_>) -> Page {
    let catalog = writer.catalog;
    let mut page = Page::default();
    let roles = roles(catalog);
    if !roles.is_empty() {
        page.open(0, "roles");
        for role in roles {
            page.item(1, &role);
        }
    }
    let mut section = Section::new("schemas");
    for (key, object) in catalog.of_kind(Kind::Schema) {
        if is_public_as_new(key, object) {
            writer.said.insert(key.clone(), object.clone());
            continue;
        }
        section.line(&mut page, &key.name, "", object.comment.as_deref());
        writer.say(key, object, &[]);
    }
    section = Section::new("extensions");
    for (key, object) in catalog.of_kind(Kind::Extension) {
        // Every new database has it.
        if &*key.name == "plpgsql" {
            writer.said.insert(key.clone(), object.clone());
            continue;
        }
        let schema = object
            .text("in_schema")
            .filter(|schema| *schema != "public");
        let sql =
            schema.map(|schema| format!("with schema {}", crate::sql::name::Ident::new(schema)));
        section.line(
            &mut page,
            &key.name,
            sql.as_deref().unwrap_or_default(),
            object.comment.as_deref(),
        );
        writer.say(key, object, &[]);
    }
    write_types(writer, &mut page);
    page
}

/// Returns whether this is `public` as in a new database.
fn is_public_as_new(key: &Key, object: &Object) -> bool {
    let as_new = |acl: &Acl| {
        acl.0.iter().all(|grant| match grant.grantee {
            Grantee::Owner => grant.privileges == "UC",
            // Since 15 only the owner has CREATE on it.
            Grantee::Public => grant.privileges == "U" || grant.privileges == "UC",
            Grantee::Role(_) => false,
        })
    };
    &*key.name == "public"
        && object.comment.as_deref() == Some("standard public schema")
        && object.acl.as_ref().is_none_or(as_new)
}

fn write_types(writer: &mut Writer<'_>, page: &mut Page) {
    let catalog = writer.catalog;
    let of_type = |wanted: &'static str| {
        catalog
            .of_kind(Kind::Type)
            .filter(move |(_, object)| object.text("type") == Some(wanted))
    };
    let mut section = Section::new("enums");
    for (key, object) in of_type("enum") {
        section.open(page, &spell(&ObjectName::new(&*key.schema, &*key.name)));
        for label in object.list("labels") {
            page.item(2, label);
        }
        writer.say_bare(key, object, &[]);
    }
    section = Section::new("domains");
    for (key, object) in of_type("domain") {
        let mut line = object.text("base").unwrap_or_default().to_owned();
        for (before, fact) in [(" collate ", "collation"), (" default ", "default")] {
            if let Some(text) = object.text(fact) {
                line.push_str(&format!("{before}{text}"));
            }
        }
        if object.has("not_null") {
            line.push_str(" not null");
        }
        let checks = catalog.parts(Kind::DomainConstraint, &key.schema, &key.name);
        for (check, object) in checks.filter(|(_, object)| !object.has("not_valid")) {
            let name = crate::sql::name::Ident::new(&*check.part);
            let definition = object.text("definition").unwrap_or_default();
            line.push_str(&format!(
                " constraint {name} {}",
                phrase::constraint(definition)
            ));
            writer.say_bare(check, object, &[]);
        }
        section.line(
            page,
            &spell(&ObjectName::new(&*key.schema, &*key.name)),
            &line,
            object.comment.as_deref(),
        );
        writer.say(key, object, &[]);
    }
}

/// A top-level key that is written with its first entry.
struct Section {
    key: &'static str,
    open: bool,
}

impl Section {
    fn new(key: &'static str) -> Self {
        Section { key, open: false }
    }

    fn begin(&mut self, page: &mut Page) {
        if !self.open {
            page.open(0, self.key);
            self.open = true;
        }
    }

    fn open(&mut self, page: &mut Page, name: &str) {
        self.begin(page);
        page.open(1, name);
    }

    fn line(&mut self, page: &mut Page, name: &str, sql: &str, comment: Option<&str>) {
        self.begin(page);
        match (sql.is_empty(), comment) {
            (true, None) => page.open(1, name),
            _ => page.line(1, name, sql, comment),
        }
    }
}

/// Returns the roles in policies and grants, without predefined roles.
fn roles(catalog: &Catalog) -> BTreeSet<String> {
    let mut roles = BTreeSet::new();
    for (key, object) in &catalog.objects {
        for grant in object.acl.iter().flat_map(|acl| &acl.0) {
            if let Grantee::Role(role) = &grant.grantee {
                roles.insert(role.to_string());
            }
        }
        if key.kind == Kind::Policy {
            let named = object
                .list("roles")
                .iter()
                .filter(|role| &***role != "public");
            roles.extend(named.map(|role| unquoted(role)));
        }
    }
    roles.retain(|role| !role.starts_with("pg_"));
    roles
}

fn unquoted(name: &str) -> String {
    match name
        .strip_prefix('"')
        .and_then(|name| name.strip_suffix('"'))
    {
        Some(inner) => inner.replace("\"\"", "\""),
        None => name.to_owned(),
    }
}

/// Returns a unique file name for an object.
fn file_name(name: &str, taken: &BTreeMap<String, String>) -> String {
    let safe: String = name
        .chars()
        .map(|character| {
            if character.is_alphanumeric() || matches!(character, '_' | '-' | '.') {
                character
            } else {
                '_'
            }
        })
        .take(80)
        .collect();
    let safe = safe.trim_start_matches('.');
    // Some file systems ignore case.
    let is_free = |candidate: &str| {
        taken
            .keys()
            .all(|known| known.to_lowercase() != candidate.to_lowercase())
    };
    let first = format!("{safe}.yaml");
    if is_free(&first) {
        return first;
    }
    (2..)
        .map(|number| format!("{safe}-{number}.yaml"))
        .find(|candidate| is_free(candidate))
        .unwrap_or(first)
}
