//! Runs the rules over migration files, with configured severities and allowed findings.

use anyhow::Result;
use chrono::NaiveDate;

use crate::error::fail;
use crate::finding::{Finding, Location, Severity};
use crate::lint::Source;
use crate::lint::allow::{self, Allowed};
use crate::lint::alter;
use crate::lint::declared_so_far::{DeclaredSoFar, StatementId};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::rules;
use crate::lint::statement_context::{LintFile, StatementContext};

/// How the rules are run.
#[derive(Clone, Debug)]
pub struct LintOptions {
    /// The version the target runs; the oldest supported where it is not known.
    pub major: Option<u32>,
    /// The severity of rules, by code or name; `None` switches one off.
    pub overrides: Vec<SeverityOverride>,
    /// The day against which `until` is held.
    pub today: NaiveDate,
}

/// A severity that differs from the rule's own.
#[derive(Clone, Debug)]
pub struct SeverityOverride {
    /// The rule, by code or name.
    pub rule: String,
    /// Only for files whose path begins so.
    pub path: Option<String>,
    /// Only for this table and what is in it, `schema.table` or `table`.
    pub table: Option<String>,
    /// The severity; `None` switches the rule off.
    pub severity: Option<Severity>,
}

/// What the rules have to say.
#[derive(Clone, Debug, Default)]
pub struct LintReport {
    /// What must be looked at, by file, line and code.
    pub findings: Vec<Finding>,
    /// What was found and allowed.
    pub allowed: Vec<Allowed>,
}

/// The oldest version that is supported: what holds there holds later.
const OLDEST: u32 = 14;

/// Reads the severity words of the configuration: `error`, `warn`, `note` or `off`.
pub fn severity_override(rule: &str, word: &str) -> Result<SeverityOverride> {
    let severity = match word {
        "error" => Some(Severity::Error),
        "warn" => Some(Severity::Warn),
        "note" => Some(Severity::Note),
        "off" => None,
        _ => {
            return Err(fail(format!("invalid severity `{word}` for rule `{rule}`"))
                .hint("use error, warn, note or off")
                .into());
        }
    };
    let Some(known) = rules::find(rule) else {
        return Err(fail(format!("unknown rule `{rule}`"))
            .hint("use the code or name of a rule, for example R02")
            .into());
    };
    if known.required && severity != Some(Severity::Error) {
        return Err(fail(format!("rule `{rule}` cannot be disabled or lowered"))
            .hint(known.why)
            .into());
    }
    Ok(SeverityOverride {
        rule: rule.to_owned(),
        path: None,
        table: None,
        severity,
    })
}

/// Runs every rule over files in the order they are applied.
pub fn check(sources: &[Source<'_>], options: &LintOptions) -> LintReport {
    let mut report = LintReport::default();
    let mut declared = DeclaredSoFar {
        major: options.major.unwrap_or(OLDEST),
        ..DeclaredSoFar::default()
    };
    let files: Vec<LintFile<'_>> = sources
        .iter()
        .enumerate()
        .map(|(number, source)| LintFile::read(source, number))
        .collect();
    let mut hits: Vec<Vec<RuleHit>> = files.iter().map(|_| Vec::new()).collect();
    for file in files.iter().filter(|file| !file.source.down) {
        hits[file.number] = check_file(file, &mut declared);
    }
    // Each down migration starts from what all up migrations have made.
    for file in files.iter().filter(|file| file.source.down) {
        hits[file.number] = check_file(file, &mut declared.clone());
    }
    for rule in rules::RULES {
        if let Check::AllFiles(check) = rule.check {
            for (at, hit) in check(&declared) {
                hits[at.file].push(RuleHit {
                    rule,
                    statement: at.statement,
                    hit,
                });
            }
        }
    }
    for (file, hits) in files.iter().zip(hits) {
        if file.source.checked {
            report_hits(file, hits, options, &mut report);
        }
    }
    report
        .findings
        .sort_by(|a, b| (&a.place, &a.code, &a.subject).cmp(&(&b.place, &b.code, &b.subject)));
    report
}

/// A hit of a rule in a statement of a file.
struct RuleHit {
    rule: &'static Rule,
    statement: usize,
    hit: Hit,
}

/// Runs the rules over one file, and adds to `declared` what the file creates.
fn check_file(file: &LintFile<'_>, declared: &mut DeclaredSoFar) -> Vec<RuleHit> {
    let mut hits = Vec::new();
    for rule in rules::RULES {
        if let Check::File(check) = rule.check {
            hits.extend(
                check(file, declared)
                    .into_iter()
                    .map(|(statement, hit)| RuleHit {
                        rule,
                        statement,
                        hit,
                    }),
            );
        }
    }
    for statement in 0..file.statements.len() {
        let context = StatementContext {
            file,
            index: statement,
            declared,
        };
        for rule in rules::RULES {
            if let Check::Statement(check) = rule.check {
                hits.extend(check(&context).map(|hit| RuleHit {
                    rule,
                    statement,
                    hit,
                }));
            }
        }
        let actions = alter::read(context.phrase())
            .into_iter()
            .flat_map(|alter| alter.actions);
        for action in actions {
            let start = action.phrase.start();
            for rule in rules::RULES {
                if let Check::AlterAction(check) = rule.check {
                    hits.extend(check(&action, &context).map(|hit| RuleHit {
                        rule,
                        statement,
                        hit: hit.start(start),
                    }));
                }
            }
        }
        let at = StatementId {
            file: file.number,
            statement,
        };
        declared.apply(&file.statements[statement], at);
    }
    hits
}

/// Turns hits into findings, and separates those that a directive allows.
fn report_hits(
    file: &LintFile<'_>,
    hits: Vec<RuleHit>,
    options: &LintOptions,
    report: &mut LintReport,
) {
    let path = file.source.path;
    let mut allowances = allow::read(file, options.today, &mut report.findings);
    for RuleHit {
        rule,
        statement,
        hit,
    } in hits
    {
        let Some(severity) = severity(rule, path, &hit.subject, file.source.down, options) else {
            continue;
        };
        let start = file.statements[statement].statement.start + hit.start;
        let position = file.positions.of_byte(start);
        let finding =
            finding(rule, severity, hit).place(Location::at(path, position.line, position.column));
        match allowances.reason(rule.code, statement) {
            Some(reason) => report.allowed.push(Allowed { finding, reason }),
            None => report.findings.push(finding),
        }
    }
    allowances.unused(file, &mut report.findings);
}

fn finding(rule: &Rule, severity: Severity, hit: Hit) -> Finding {
    let help = hit.help.unwrap_or_else(|| rule.safe.to_owned());
    Finding::new(severity, rule.code, hit.subject, hit.message).help(help)
}

/// Returns the severity of a rule for a file, or `None` where the rule is off.
///
/// A down migration drops what its up migration created, so data loss in it is only a note.
fn severity(
    rule: &Rule,
    path: &str,
    subject: &str,
    down: bool,
    options: &LintOptions,
) -> Option<Severity> {
    let configured = options
        .overrides
        .iter()
        .rfind(|it| {
            (it.rule == rule.code || it.rule == rule.name)
                && it
                    .path
                    .as_deref()
                    .is_none_or(|prefix| path.starts_with(prefix))
                && it
                    .table
                    .as_deref()
                    .is_none_or(|table| is_about(subject, table))
        })
        .map(|it| it.severity);
    match configured {
        Some(severity) if rule.required => {
            severity.or(Some(rule.severity)).max(Some(rule.severity))
        }
        Some(severity) => severity,
        None if down && !rule.required && rule.code.starts_with(['D', 'C']) => Some(Severity::Note),
        None => Some(rule.severity),
    }
}

/// Whether a subject is a table or something in it; a name without a schema is one of `public`.
fn is_about(subject: &str, table: &str) -> bool {
    let bare = |name: &'_ str| name.strip_prefix("public.").unwrap_or(name).to_owned();
    let (subject, table) = (bare(subject), bare(table));
    subject
        .strip_prefix(&table)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    fn options() -> LintOptions {
        LintOptions {
            major: None,
            overrides: Vec::new(),
            today: NaiveDate::from_ymd_opt(2026, 1, 1).unwrap(),
        }
    }

    type Lines = BTreeSet<(usize, u32)>;

    /// Returns the lines of a case at which a rule speaks, and those marked with `-- !`.
    fn lines(rule: &Rule, kind: &str) -> (Lines, Lines) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../tests/cases/lint")
            .join(rule.code.to_lowercase())
            .join(kind);
        let text = std::fs::read_to_string(path).unwrap();
        let mut files = vec![String::new()];
        for line in text.lines() {
            if line.starts_with("-- file:") {
                files.push(String::new());
                continue;
            }
            let file = files.last_mut().unwrap();
            file.push_str(line);
            file.push('\n');
        }
        let names: Vec<String> = (0..files.len()).map(|n| format!("{n}.sql")).collect();
        let sources: Vec<Source<'_>> = names
            .iter()
            .zip(&files)
            .map(|(name, text)| Source::new(name, text))
            .collect();
        let spoken = check(&sources, &options())
            .findings
            .iter()
            .filter(|finding| finding.code == rule.code)
            .filter_map(|finding| finding.place.as_ref())
            .map(|place| {
                let file = names.iter().position(|name| *name == place.file).unwrap();
                (file, place.line.unwrap())
            })
            .collect();
        let marked = files
            .iter()
            .enumerate()
            .flat_map(|(file, text)| {
                text.lines()
                    .enumerate()
                    .map(move |(n, line)| (file, n, line))
            })
            .filter(|(_, _, line)| line.ends_with("-- !"))
            .map(|(file, n, _)| (file, u32::try_from(n).unwrap() + 1))
            .collect();
        (spoken, marked)
    }

    #[test]
    fn rules_match_their_cases() {
        let mut wrong = Vec::new();
        for rule in rules::RULES {
            for kind in ["bad.sql", "good.sql"] {
                let (spoken, marked) = lines(rule, kind);
                if spoken != marked || marked.is_empty() == (kind == "bad.sql") {
                    wrong.push(format!(
                        "{} {kind}: speaks at {spoken:?}, must at {marked:?}",
                        rule.code
                    ));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    fn codes(text: &str) -> Vec<String> {
        let report = check(&[Source::new("a.sql", text)], &options());
        report
            .findings
            .into_iter()
            .map(|finding| finding.code)
            .collect()
    }

    #[test]
    fn findings_are_allowed_with_a_reason_until_a_day() {
        let statement = "DROP TABLE orders;\n";
        let with =
            |directive: &str| codes(&format!("SELECT 1;\n-- af-db: {directive}\n{statement}"));
        assert_eq!(with("nothing"), ["D01"]);
        assert!(with("allow D01 reason=\"empty\"").is_empty());
        assert_eq!(with("allow D01"), ["allow-without-reason", "D01"]);
        assert_eq!(
            with("allow D01 reason=\"a\" until=2025-01-01"),
            ["allow-expired", "D01"]
        );
        assert!(with("allow drop-table reason=\"a\" until=2027-01-01").is_empty());
        assert_eq!(with("allow D99 reason=\"a\""), ["allow-unknown", "D01"]);
        assert_eq!(with("allow D01 D02 reason=\"a\""), ["allow-unused"]);
        assert_eq!(with("allow D06 reason=\"a\""), ["allow-refused", "D01"]);
    }

    #[test]
    fn a_severity_can_hold_for_some_files_and_tables() {
        let level = |path: Option<&str>, table: Option<&str>, word: &str| SeverityOverride {
            path: path.map(str::to_owned),
            table: table.map(str::to_owned),
            ..severity_override("D01", word).unwrap()
        };
        let check = |overrides: Vec<SeverityOverride>, expected: &[Severity]| {
            let options = LintOptions {
                overrides,
                ..options()
            };
            let sources = [
                Source::new("old/a.sql", "DROP TABLE orders;"),
                Source::new("new/b.sql", "DROP TABLE public.notes;"),
            ];
            let found: Vec<Severity> = check(&sources, &options)
                .findings
                .iter()
                .filter(|finding| finding.code == "D01")
                .map(|finding| finding.severity)
                .collect();
            assert_eq!(found, expected);
        };
        let plain = rules::find("D01").unwrap().severity;
        check(vec![level(Some("old/"), None, "off")], &[plain]);
        // Findings are sorted by path.
        check(
            vec![level(None, Some("notes"), "note")],
            &[Severity::Note, plain],
        );
        check(
            vec![level(None, Some("public.orders"), "note")],
            &[plain, Severity::Note],
        );
        check(vec![level(None, Some("order"), "off")], &[plain, plain]);
        check(
            vec![level(None, None, "off"), level(Some("new/"), None, "warn")],
            &[Severity::Warn],
        );
    }

    #[test]
    fn levels_are_read() {
        assert!(severity_override("R99", "warn").is_err());
        assert!(severity_override("R02", "loud").is_err());
        assert!(severity_override("D06", "off").is_err());
        assert_eq!(severity_override("R02", "off").unwrap().severity, None);
    }
}
