//! GitLab Code Quality report, in the format of Code Climate.

use serde_json::{Value, json};

use crate::commands::format::{PROJECT, path, rest, sentence};
use crate::finding::{Finding, Severity, fingerprints};

/// Writes the report; one without findings is an empty list, with which GitLab closes what was open.
pub fn render(command: &str, findings: &[Finding]) -> String {
    let issues: Vec<Value> = findings
        .iter()
        .zip(fingerprints(findings))
        .map(|(finding, fingerprint)| issue(command, finding, &fingerprint))
        .collect();
    format!("{:#}\n", Value::Array(issues))
}

fn issue(command: &str, finding: &Finding, fingerprint: &str) -> Value {
    let severity = match finding.severity {
        Severity::Error => "major",
        Severity::Warn => "minor",
        Severity::Note => "info",
    };
    let place = finding.place.as_ref();
    let file = place.map_or(PROJECT.to_owned(), |place| path(&place.file));
    let line = place.and_then(|place| place.line).unwrap_or(1);
    let mut issue = json!({
        "type": "issue",
        "check_name": finding.code,
        "description": sentence(finding),
        "categories": ["Bug Risk"],
        "severity": severity,
        // The same finding of two commands is two issues, or one would close the other.
        "fingerprint": format!("{command}-{fingerprint}"),
        "location": { "path": file, "lines": { "begin": line } },
    });
    let rest = rest(finding);
    if !rest.is_empty() {
        issue["content"] = json!({ "body": rest });
    }
    issue
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::format::samples;

    #[test]
    fn findings_become_issues() {
        insta::assert_snapshot!(render("validate", &samples::plain()), @r#"
        [
          {
            "type": "issue",
            "check_name": "drift-unseen",
            "description": "the live database: one schema cannot be read",
            "categories": [
              "Bug Risk"
            ],
            "severity": "info",
            "fingerprint": "validate-495b2f107ee850ce71550df4edb4a6f9",
            "location": {
              "path": "af-db.yaml",
              "lines": {
                "begin": 1
              }
            }
          },
          {
            "type": "issue",
            "check_name": "R07",
            "description": "public.orders: the index is built under a lock",
            "categories": [
              "Bug Risk"
            ],
            "severity": "minor",
            "fingerprint": "validate-232f51731864f8b4b29b170e55ff6089",
            "location": {
              "path": "schemas/orders.yaml",
              "lines": {
                "begin": 1
              }
            }
          },
          {
            "type": "issue",
            "check_name": "R01",
            "description": "public.orders.tenant_id: a foreign key has no index",
            "categories": [
              "Bug Risk"
            ],
            "severity": "major",
            "fingerprint": "validate-d47dc79fbed846be39d5715ddd9a3e91",
            "location": {
              "path": "migrations/V2__orders.sql",
              "lines": {
                "begin": 3
              }
            },
            "content": {
              "body": "see migrations/V1__tenants.sql:1:1\n- was\n+ is\nhelp: CREATE INDEX ON public.orders (tenant_id)"
            }
          }
        ]
        "#);
    }

    #[test]
    fn nothing_found_is_an_empty_list() {
        assert_eq!(render("validate", &[]), "[]\n");
    }

    #[test]
    fn hostile_text_reads_back() {
        let report: Value = serde_json::from_str(&render("validate", &samples::hostile())).unwrap();
        assert_eq!(report[0]["check_name"], samples::HOSTILE);
        assert_eq!(report[0]["location"]["path"], "a,b: c%\n<d>|\u{e9}.sql");
    }

    #[test]
    fn every_issue_has_what_gitlab_demands_and_a_name_of_its_own() {
        let mut findings = samples::plain();
        findings.extend(samples::plain());
        let report: Value = serde_json::from_str(&render("status", &findings)).unwrap();
        let mut names = std::collections::BTreeSet::new();
        for issue in report.as_array().unwrap() {
            assert!(issue["description"].is_string());
            assert!(issue["check_name"].is_string());
            assert!(issue["location"]["lines"]["begin"].as_u64().unwrap() >= 1);
            assert!(
                !issue["location"]["path"]
                    .as_str()
                    .unwrap()
                    .starts_with("./")
            );
            names.insert(issue["fingerprint"].as_str().unwrap().to_owned());
        }
        assert_eq!(names.len(), findings.len());
    }

    #[test]
    fn a_name_outlives_a_move() {
        let before = samples::plain();
        let mut after = samples::plain();
        after[2].place.as_mut().unwrap().line = Some(99);
        let name = |findings: &[Finding]| -> Value {
            let report: Value = serde_json::from_str(&render("status", findings)).unwrap();
            report[2]["fingerprint"].clone()
        };
        assert_eq!(name(&before), name(&after));
    }
}
