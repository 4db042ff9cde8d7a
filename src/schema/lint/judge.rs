//! Owns the run of the rules over files: which rules, how severe, what is allowed, in which order.

use anyhow::Result;
use chrono::NaiveDate;

use crate::error::fail;
use crate::finding::{Finding, Place, Severity};
use crate::lint::Source;
use crate::lint::allow::{self, Allowed};
use crate::lint::alter;
use crate::lint::known::{At, Known};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::rules;
use crate::lint::scene::{Scene, Script};

/// How the rules are run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The version the target runs; the oldest supported where it is not known.
    pub major: Option<u32>,
    /// The severity of rules, by code or name; `None` switches one off.
    pub levels: Vec<Level>,
    /// The day against which `until` is held.
    pub today: NaiveDate,
}

/// A severity that differs from the rule's own.
#[derive(Clone, Debug)]
pub struct Level {
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
pub struct Judgement {
    /// What must be looked at, by file, line and code.
    pub findings: Vec<Finding>,
    /// What was found and allowed.
    pub allowed: Vec<Allowed>,
}

/// The oldest version that is supported: what holds there holds later.
const OLDEST: u32 = 14;

/// Reads the severity words of the configuration: `error`, `warn`, `note` or `off`.
pub fn level(rule: &str, word: &str) -> Result<Level> {
    let severity = match word {
        "error" => Some(Severity::Error),
        "warn" => Some(Severity::Warn),
        "note" => Some(Severity::Note),
        "off" => None,
        _ => {
            return Err(
                fail(format!("rule `{rule}` cannot have the severity `{word}`"))
                    .hint("use error, warn, note or off")
                    .into(),
            );
        }
    };
    let Some(known) = rules::find(rule) else {
        return Err(fail(format!("there is no rule `{rule}`"))
            .hint("write the code or the name of a rule, such as R02")
            .into());
    };
    if known.required && severity != Some(Severity::Error) {
        return Err(
            fail(format!("rule `{rule}` cannot be switched off or lowered"))
                .hint(known.why)
                .into(),
        );
    }
    Ok(Level {
        rule: rule.to_owned(),
        path: None,
        table: None,
        severity,
    })
}

/// Runs every rule over files in the order they are applied.
pub fn judge(sources: &[Source<'_>], options: &Options) -> Judgement {
    let mut judgement = Judgement::default();
    let mut known = Known {
        major: options.major.unwrap_or(OLDEST),
        ..Known::default()
    };
    let scripts: Vec<Script<'_>> = sources
        .iter()
        .enumerate()
        .map(|(number, source)| Script::read(source, number))
        .collect();
    let mut found: Vec<Found> = scripts.iter().map(|_| Found::new()).collect();
    for script in scripts.iter().filter(|script| !script.source.down) {
        found[script.number] = read(script, &mut known);
    }
    // Each way back starts from what the whole way forth has made.
    for script in scripts.iter().filter(|script| script.source.down) {
        found[script.number] = read(script, &mut known.clone());
    }
    for (rule, look) in whole() {
        for (at, hit) in look(&known) {
            found[at.script].push((rule, at.statement, hit));
        }
    }
    for (script, hits) in scripts.iter().zip(found) {
        if script.source.judged {
            settle(script, hits, options, &mut judgement);
        }
    }
    judgement
        .findings
        .sort_by(|a, b| (&a.place, &a.code, &a.subject).cmp(&(&b.place, &b.code, &b.subject)));
    judgement
}

type Found = Vec<(&'static Rule, usize, Hit)>;

/// Runs the rules over one file, and remembers what it makes.
fn read(script: &Script<'_>, known: &mut Known) -> Found {
    let mut found = Found::new();
    for (rule, look) in files() {
        found.extend(
            look(script, known)
                .into_iter()
                .map(|(index, hit)| (rule, index, hit)),
        );
    }
    for index in 0..script.lines.len() {
        let scene = Scene {
            script,
            index,
            known,
        };
        for rule in rules::RULES {
            if let Check::Statement(look) = rule.check {
                found.extend(look(&scene).map(|hit| (*rule, index, hit)));
            }
        }
        let actions = alter::read(scene.phrase())
            .into_iter()
            .flat_map(|alter| alter.actions);
        for action in actions {
            for rule in rules::RULES {
                if let Check::Action(look) = rule.check {
                    let start = action.phrase.start();
                    let hit = look(&action, &scene).map(|hit| hit.start(start));
                    found.extend(hit.map(|hit| (*rule, index, hit)));
                }
            }
        }
        let at = At {
            script: script.number,
            statement: index,
        };
        known.learn(&script.lines[index], at);
    }
    found
}

/// Looks at a file as a whole.
type LookAtFile = fn(&Script<'_>, &Known) -> Vec<(usize, Hit)>;

/// Looks at what all files leave behind.
type LookAtAll = fn(&Known) -> Vec<(At, Hit)>;

fn files() -> impl Iterator<Item = (&'static Rule, LookAtFile)> {
    rules::RULES.iter().filter_map(|rule| match rule.check {
        Check::Script(look) => Some((*rule, look)),
        _ => None,
    })
}

fn whole() -> impl Iterator<Item = (&'static Rule, LookAtAll)> {
    rules::RULES.iter().filter_map(|rule| match rule.check {
        Check::Whole(look) => Some((*rule, look)),
        _ => None,
    })
}

/// Turns hits into findings, and sets those aside that are allowed.
fn settle(script: &Script<'_>, hits: Found, options: &Options, judgement: &mut Judgement) {
    let path = script.source.path;
    let mut allowances = allow::read(script, options.today, &mut judgement.findings);
    for (rule, index, hit) in hits {
        let about = (path, hit.subject.as_str());
        let Some(severity) = severity(rule, about, script.source.down, options) else {
            continue;
        };
        let start = script.lines[index].statement.start + hit.start;
        let position = script.positions.of_byte(start);
        let finding =
            finding(rule, severity, hit).place(Place::at(path, position.line, position.column));
        match allowances.reason(rule.code, index) {
            Some(reason) => judgement.allowed.push(Allowed { finding, reason }),
            None => judgement.findings.push(finding),
        }
    }
    allowances.unused(script, &mut judgement.findings);
}

fn finding(rule: &Rule, severity: Severity, hit: Hit) -> Finding {
    let help = hit.help.unwrap_or_else(|| rule.safe.to_owned());
    Finding::new(severity, rule.code, hit.subject, hit.message).help(help)
}

/// Gives the severity of a rule for a file, or nothing where it is off.
///
/// A way back drops what its way forth made, so what it loses is only noted.
fn severity(
    rule: &Rule,
    (path, subject): (&str, &str),
    down: bool,
    options: &Options,
) -> Option<Severity> {
    let configured = options
        .levels
        .iter()
        .rfind(|level| {
            (level.rule == rule.code || level.rule == rule.name)
                && level
                    .path
                    .as_deref()
                    .is_none_or(|prefix| path.starts_with(prefix))
                && level
                    .table
                    .as_deref()
                    .is_none_or(|table| is_about(subject, table))
        })
        .map(|level| level.severity);
    match configured {
        Some(severity) if rule.required => {
            severity.or(Some(rule.severity)).max(Some(rule.severity))
        }
        Some(severity) => severity,
        None if down && !rule.required && rule.code.starts_with(['D', 'C']) => Some(Severity::Note),
        None => Some(rule.severity),
    }
}

/// Says whether a subject is a table or something in it; a name without a schema is one of `public`.
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

    fn options() -> Options {
        Options {
            major: None,
            levels: Vec::new(),
            today: NaiveDate::from_ymd_opt(2026, 1, 1).unwrap(),
        }
    }

    type Lines = BTreeSet<(usize, u32)>;

    /// Gives the lines of a case at which a rule speaks, and those marked with `-- !`.
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
        let spoken = judge(&sources, &options())
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
    fn every_rule_speaks_where_it_must_and_nowhere_else() {
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
        let judgement = judge(&[Source::new("a.sql", text)], &options());
        judgement
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
        let level = |path: Option<&str>, table: Option<&str>, word: &str| Level {
            path: path.map(str::to_owned),
            table: table.map(str::to_owned),
            ..level("D01", word).unwrap()
        };
        let check = |levels: Vec<Level>, expected: &[Severity]| {
            let options = Options {
                levels,
                ..options()
            };
            let sources = [
                Source::new("old/a.sql", "DROP TABLE orders;"),
                Source::new("new/b.sql", "DROP TABLE public.notes;"),
            ];
            let found: Vec<Severity> = judge(&sources, &options)
                .findings
                .iter()
                .filter(|finding| finding.code == "D01")
                .map(|finding| finding.severity)
                .collect();
            assert_eq!(found, expected);
        };
        let plain = rules::find("D01").unwrap().severity;
        check(vec![level(Some("old/"), None, "off")], &[plain]);
        // Files are told in the order of their paths.
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
        assert!(level("R99", "warn").is_err());
        assert!(level("R02", "loud").is_err());
        assert!(level("D06", "off").is_err());
        assert_eq!(level("R02", "off").unwrap().severity, None);
    }
}
