//! Compares two schemas by the entries of their dumps, which name every object.

use std::collections::BTreeMap;

use crate::compare::SchemaCompareOptions;
use crate::finding::Finding;
use crate::mapping::role_lists;
use crate::toc::{Entry, Toc};

pub fn compare(expected: &Toc, found: &Toc, leniency: SchemaCompareOptions) -> Vec<Finding> {
    let (expected, found) = (objects(expected, leniency), objects(found, leniency));
    let mut findings = Vec::new();
    for (object, was) in &expected {
        match found.get(object) {
            // What was granted to a role that became the owner is the owner's anyway.
            None if leniency.roles_merged && object.kind.contains("privileges") => {}
            None => findings.push(Finding::error(
                "proof-schema",
                &object.name,
                format!("the {} is missing", object.kind),
            )),
            Some(is) if is != was => {
                let message = format!("the {} differs from the backup", object.kind);
                let is_merged = leniency.roles_merged && object.kind.contains("privileges");
                let finding = if leniency.across_majors || is_merged {
                    Finding::warn("proof-schema", &object.name, message)
                } else {
                    Finding::error("proof-schema", &object.name, message)
                };
                findings.push(finding.detail(format!(
                    "archive:  {}\nrestored: {}",
                    was.join("; "),
                    is.join("; ")
                )));
            }
            Some(_) => {}
        }
    }
    for object in found.keys().filter(|object| !expected.contains_key(object)) {
        findings.push(Finding::error(
            "proof-schema",
            &object.name,
            format!("the {} is not in the backup", object.kind),
        ));
    }
    findings
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Object {
    name: String,
    kind: String,
}

/// Returns every object with its defining lines, sorted because privileges are listed in any order.
fn objects(toc: &Toc, leniency: SchemaCompareOptions) -> BTreeMap<Object, Vec<String>> {
    let mut objects: BTreeMap<Object, Vec<String>> = BTreeMap::new();
    let counts = |entry: &&Entry| is_schema(entry) && !(leniency.no_owner && is_owner_alone(entry));
    for entry in toc.entries.iter().filter(counts) {
        let object = Object {
            name: entry.name(),
            kind: kind(entry),
        };
        let lines = objects.entry(object).or_default();
        lines.extend(
            roles_in_order(entry)
                .lines()
                .map(str::to_owned)
                .filter(|line| !line.trim().is_empty()),
        );
        if !leniency.no_owner && !entry.owner.is_empty() {
            lines.push(format!("owner {}", entry.owner));
        }
    }
    for (object, lines) in &mut objects {
        if object.kind.contains("privileges") {
            lines.sort();
        }
    }
    objects
}

/// Returns the statements of an entry with the roles of a policy sorted: servers list them in order of creation.
fn roles_in_order(entry: &Entry) -> String {
    let mut text = entry.definition.clone();
    if entry.kind != "POLICY" {
        return text;
    }
    for list in role_lists(&entry.kind, &entry.definition) {
        let mut names: Vec<&str> = list
            .iter()
            .map(|(at, _)| &entry.definition[at.clone()])
            .collect();
        names.sort_unstable();
        // A policy has one list.
        text.replace_range(
            list[0].0.start..list[list.len() - 1].0.end,
            &names.join(", "),
        );
    }
    text
}

/// Returns whether an entry only sets an owner, such as that of a reassigned schema `public`.
fn is_owner_alone(entry: &Entry) -> bool {
    let mut lines = entry.definition.lines().map(str::trim);
    entry.kind == "SCHEMA" && lines.all(|line| line.is_empty() || line.starts_with("--"))
}

/// Leaves out data, and what belongs to the database itself, whose name differs.
fn is_schema(entry: &Entry) -> bool {
    let kind = entry.kind.as_str();
    let is_data = matches!(
        kind,
        "TABLE DATA"
            | "SEQUENCE SET"
            | "BLOB"
            | "BLOBS"
            | "BLOB METADATA"
            | "LARGE OBJECT"
            | "MATERIALIZED VIEW DATA"
            | "STATISTICS DATA"
    );
    let is_setting = matches!(kind, "ENCODING" | "STDSTRINGS" | "SEARCHPATH");
    let about = |what: &str| {
        entry.tag.starts_with(what) && matches!(kind, "ACL" | "COMMENT" | "SECURITY LABEL")
    };
    !is_data
        && !is_setting
        && !kind.starts_with("DATABASE")
        && !about("DATABASE ")
        && !about("LARGE OBJECT")
}

fn kind(entry: &Entry) -> String {
    match entry.kind.as_str() {
        "ACL" => "set of privileges".to_owned(),
        "DEFAULT ACL" => format!("set of default privileges of {}", entry.owner),
        kind => kind.to_lowercase(),
    }
}
