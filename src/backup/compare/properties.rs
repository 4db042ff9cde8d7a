//! Compares the properties of two databases: settings, privileges, extensions, owner.

use crate::compare::SchemaCompareOptions;
use crate::finding::Finding;
use crate::properties::{DatabaseProperties, Extension, Grant};

pub fn compare(
    expected: &DatabaseProperties,
    found: &DatabaseProperties,
    leniency: SchemaCompareOptions,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let said = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
    let mut pairs = vec![
        (
            "encoding",
            expected.encoding.clone(),
            found.encoding.clone(),
        ),
        ("collation", expected.collate.clone(), found.collate.clone()),
        (
            "character type",
            expected.ctype.clone(),
            found.ctype.clone(),
        ),
        ("comment", said(&expected.comment), said(&found.comment)),
    ];
    if !leniency.no_owner {
        pairs.push(("owner", expected.owner.clone(), found.owner.clone()));
    }
    for (what, was, is) in pairs {
        if was != is {
            findings.push(differs(what, format!("{is}, in the backup {was}")));
        }
    }
    for setting in &expected.settings {
        if !found.settings.contains(setting) {
            let message = format!(
                "{} = {} is not set on the database",
                setting.name, setting.value
            );
            findings.push(differs(&format!("setting {}", setting.name), message));
        }
    }
    findings.extend(grants(&expected.grants, &found.grants));
    findings.extend(extensions(&expected.extensions, &found.extensions));
    findings
}

fn differs(subject: &str, message: String) -> Finding {
    Finding::error("proof-database", subject, message)
}

fn grants(expected: &[Grant], found: &[Grant]) -> Vec<Finding> {
    let who = |grant: &Grant| match grant.grantee.as_str() {
        "" => "everybody".to_owned(),
        name => format!("`{name}`"),
    };
    let lost = expected
        .iter()
        .filter(|grant| !found.contains(grant))
        .map(|grant| {
            differs(
                "privileges",
                format!("{} lacks {} on the database", who(grant), grant.privilege),
            )
        });
    let gained = found
        .iter()
        .filter(|grant| !expected.contains(grant))
        .map(|grant| {
            differs(
                "privileges",
                format!(
                    "{} has {} on the database, but not in the backup",
                    who(grant),
                    grant.privilege
                ),
            )
        });
    lost.chain(gained).collect()
}

/// A different extension version is only a note: the server determines which versions are available.
fn extensions(expected: &[Extension], found: &[Extension]) -> Vec<Finding> {
    let compare = |extension: &Extension| {
        let subject = format!("extension {}", extension.name);
        match found.iter().find(|other| other.name == extension.name) {
            None => Some(differs(&subject, "it is missing".to_owned())),
            Some(other) if other.version != extension.version => Some(Finding::warn(
                "proof-extension",
                subject,
                format!(
                    "version {}, in the backup {}",
                    other.version, extension.version
                ),
            )),
            Some(_) => None,
        }
    };
    expected.iter().filter_map(compare).collect()
}
