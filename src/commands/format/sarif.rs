//! SARIF 2.1.0 for code scanning.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::commands::format::{PROJECT, path, whole};
use crate::finding::{Finding, Location, Severity, fingerprints};
use crate::lint::rules;

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// Writes the log of one run.
pub fn render(command: &str, findings: &[Finding]) -> String {
    let codes: BTreeSet<&str> = findings
        .iter()
        .map(|finding| finding.code.as_str())
        .collect();
    let codes: Vec<&str> = codes.into_iter().collect();
    let results: Vec<Value> = findings
        .iter()
        .zip(fingerprints(findings))
        .map(|(finding, fingerprint)| result(finding, &fingerprint, &codes))
        .collect();
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "af-db",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": codes.iter().map(|code| rule(code)).collect::<Vec<_>>(),
            }},
            // Runs of different commands do not replace each other's results.
            "automationDetails": { "id": format!("af-db/{command}/") },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{log:#}\n")
}

/// Describes a code, with the texts of the lint rule if it is one.
fn rule(code: &str) -> Value {
    match rules::RULES.iter().find(|rule| rule.code == code) {
        Some(rule) => json!({
            "id": code,
            "name": rule.name,
            "shortDescription": { "text": message(&rule.name.replace('-', " ")) },
            "fullDescription": { "text": message(rule.why) },
            "help": { "text": message(rule.safe) },
        }),
        None => json!({
            "id": code,
            "shortDescription": { "text": message(&code.replace('-', " ")) },
        }),
    }
}

fn result(finding: &Finding, fingerprint: &str, codes: &[&str]) -> Value {
    let level = match finding.severity {
        Severity::Error => "error",
        Severity::Warn => "warning",
        Severity::Note => "note",
    };
    let nowhere = Location::file(PROJECT);
    let mut stands = location(finding.place.as_ref().unwrap_or(&nowhere));
    stands["logicalLocations"] = json!([{ "fullyQualifiedName": finding.subject }]);
    let mut fingerprints = json!({ "finding/v1": fingerprint });
    if finding.place.is_none() {
        // Without it code scanning would hash the first line of the project's file and merge all of these.
        fingerprints["primaryLocationLineHash"] = json!(fingerprint);
    }
    let mut result = json!({
        "ruleId": finding.code,
        "ruleIndex": codes.binary_search(&finding.code.as_str()).unwrap_or_default(),
        "level": level,
        "message": { "text": message(&whole(finding)) },
        "locations": [stands],
        "partialFingerprints": fingerprints,
    });
    if !finding.also.is_empty() {
        // The schema allows each only once.
        let also: BTreeSet<&Location> = finding.also.iter().collect();
        result["relatedLocations"] = also.into_iter().map(related).collect();
    }
    result
}

fn related(place: &Location) -> Value {
    let mut related = location(place);
    related["message"] = json!({ "text": message(&format!("see {place}")) });
    related
}

fn location(place: &Location) -> Value {
    let mut region = json!({ "startLine": place.line.unwrap_or(1).max(1) });
    if let (Some(_), Some(column)) = (place.line, place.column) {
        region["startColumn"] = json!(column.max(1));
    }
    let file = path(&place.file);
    let artifact = if Path::new(&file).is_absolute() {
        json!({ "uri": format!("file://{}", uri(&file)) })
    } else {
        json!({ "uri": uri(&file), "uriBaseId": "%SRCROOT%" })
    };
    json!({ "physicalLocation": { "artifactLocation": artifact, "region": region } })
}

/// Writes a path as a reference: all but letters, digits and `-._~/` by their bytes.
fn uri(file: &str) -> String {
    let mut uri = String::with_capacity(file.len());
    for byte in file.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

/// Escapes `[text](url)` in a message, which would become a link.
fn message(text: &str) -> String {
    text.replace("](", "\\](")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::format::samples;

    fn log(findings: &[Finding]) -> Value {
        serde_json::from_str(&render("validate", findings)).unwrap()
    }

    #[test]
    fn a_run_names_its_tool_and_command() {
        let log = log(&samples::plain());
        assert_eq!(log["version"], "2.1.0");
        assert_eq!(log["runs"].as_array().map(Vec::len), Some(1));
        let run = &log["runs"][0];
        assert_eq!(run["tool"]["driver"]["name"], "af-db");
        assert_eq!(run["automationDetails"]["id"], "af-db/validate/");
        assert_eq!(run["results"].as_array().map(Vec::len), Some(3));
    }

    #[test]
    fn a_finding_becomes_a_result() {
        let found = result(&samples::plain()[2], "0123", &["R01"]);
        insta::assert_snapshot!(format!("{found:#}"), @r#"
        {
          "ruleId": "R01",
          "ruleIndex": 0,
          "level": "error",
          "message": {
            "text": "public.orders.tenant_id: a foreign key has no index\nsee migrations/V1__tenants.sql:1:1\n- was\n+ is\nhelp: CREATE INDEX ON public.orders (tenant_id)"
          },
          "locations": [
            {
              "physicalLocation": {
                "artifactLocation": {
                  "uri": "migrations/V2__orders.sql",
                  "uriBaseId": "%SRCROOT%"
                },
                "region": {
                  "startLine": 3,
                  "startColumn": 5
                }
              },
              "logicalLocations": [
                {
                  "fullyQualifiedName": "public.orders.tenant_id"
                }
              ]
            }
          ],
          "partialFingerprints": {
            "finding/v1": "0123"
          },
          "relatedLocations": [
            {
              "physicalLocation": {
                "artifactLocation": {
                  "uri": "migrations/V1__tenants.sql",
                  "uriBaseId": "%SRCROOT%"
                },
                "region": {
                  "startLine": 1,
                  "startColumn": 1
                }
              },
              "message": {
                "text": "see migrations/V1__tenants.sql:1:1"
              }
            }
          ]
        }
        "#);
    }

    #[test]
    fn a_finding_without_a_place_stands_at_the_project_by_its_own_name() {
        let found = result(&samples::plain()[0], "0123", &["drift-unseen"]);
        let place = &found["locations"][0]["physicalLocation"]["artifactLocation"];
        assert_eq!(place["uri"], PROJECT);
        assert_eq!(
            found["partialFingerprints"]["primaryLocationLineHash"],
            "0123"
        );
    }

    #[test]
    fn a_lint_rule_is_described_in_its_own_words() {
        let known = rules::RULES[0];
        assert_eq!(
            rule(known.code)["fullDescription"]["text"],
            message(known.why)
        );
        assert_eq!(
            rule("drift-unseen")["shortDescription"]["text"],
            "drift unseen"
        );
    }

    #[test]
    fn nothing_found_is_a_run_without_results() {
        let log = log(&[]);
        assert_eq!(log["runs"][0]["results"], json!([]));
        assert_eq!(log["runs"][0]["tool"]["driver"]["rules"], json!([]));
    }

    #[test]
    fn every_result_names_its_rule() {
        let mut findings = samples::plain();
        findings.extend(samples::hostile());
        findings.extend(samples::plain());
        let log = log(&findings);
        let run = &log["runs"][0];
        for result in run["results"].as_array().unwrap() {
            let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(
                run["tool"]["driver"]["rules"][index]["id"],
                result["ruleId"]
            );
            assert!(
                result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].is_string()
            );
        }
    }

    #[test]
    fn hostile_text_reads_back_and_links_nowhere() {
        let log = log(&samples::hostile());
        let result = &log["runs"][0]["results"][0];
        assert_eq!(result["ruleId"], samples::HOSTILE);
        let text = result["message"]["text"].as_str().unwrap();
        assert!(text.contains("[h\\](i)"));
        let place = &result["locations"][0]["physicalLocation"]["artifactLocation"];
        assert_eq!(place["uri"], "a%2Cb%3A%20c%25%0A%3Cd%3E%7C%C3%A9.sql");
    }

    #[test]
    fn a_place_outside_the_project_is_an_address() {
        let place = location(&Location::at("/srv/a b.sql", 0, 0));
        assert_eq!(
            place,
            json!({ "physicalLocation": {
                "artifactLocation": { "uri": "file:///srv/a%20b.sql" },
                "region": { "startLine": 1, "startColumn": 1 },
            }})
        );
    }
}
