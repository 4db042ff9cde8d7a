//! `-- af-db: allow <rule> reason="…" until=2027-01-31`: findings that are allowed with a reason.
//!
//! Before the first statement it applies to the file; elsewhere to the statement that contains it, precedes it on the
//! same line, or before.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use crate::finding::{Finding, Location};
use crate::lint::rules;
use crate::lint::statement_context::LintFile;
use crate::sql::directive::Directive;

/// A finding that a directive allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// What was found.
    pub finding: Finding,
    /// Why it is allowed.
    pub reason: String,
}

/// One rule that one directive allows.
pub struct Allowance<'s> {
    code: &'static str,
    directive: &'s Directive,
    reason: String,
    scope: Scope,
    used: bool,
}

/// What an allowance covers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    File,
    Statement(usize),
    Nothing,
}

/// The allowances of a file, found by what they cover.
pub struct Allowances<'s> {
    all: Vec<Allowance<'s>>,
    places: BTreeMap<(&'static str, Scope), usize>,
}

/// Reads the allowances of a file, and reports invalid ones.
pub fn read<'s>(
    file: &'s LintFile<'_>,
    today: NaiveDate,
    told: &mut Vec<Finding>,
) -> Allowances<'s> {
    let mut allowances = Vec::new();
    for directive in file
        .directives
        .iter()
        .filter(|directive| directive.keyword == "allow")
    {
        if let Some(finding) = fault(directive, today) {
            told.push(finding.place(place(file, directive)));
            continue;
        }
        for word in &directive.words {
            let word = word.trim_end_matches(',');
            match rules::find(word) {
                None => told.push(
                    Finding::error("allow-unknown", word, format!("Unknown rule `{word}`"))
                        .place(place(file, directive))
                        .help("Use the code or name of a rule, for example `R02`"),
                ),
                Some(rule) if rule.required => told.push(
                    Finding::error(
                        "allow-refused",
                        rule.code,
                        format!("Rule `{}` cannot be allowed", rule.code),
                    )
                    .place(place(file, directive))
                    .help(rule.safe),
                ),
                Some(rule) => allowances.push(Allowance {
                    code: rule.code,
                    directive,
                    reason: directive.value("reason").unwrap_or_default().to_owned(),
                    scope: scope(file, directive),
                    used: false,
                }),
            }
        }
    }
    let mut places = BTreeMap::new();
    for (index, allowance) in allowances.iter().enumerate() {
        let (code, scope) = (allowance.code, allowance.scope);
        places.entry((code, scope)).or_insert(index);
    }
    Allowances {
        all: allowances,
        places,
    }
}

impl Allowances<'_> {
    /// Finds the reason why a finding of a statement is allowed.
    pub fn reason(&mut self, code: &'static str, statement: usize) -> Option<String> {
        let scopes = [Scope::File, Scope::Statement(statement)];
        let places = scopes.map(|scope| self.places.get(&(code, scope)));
        let first = places.into_iter().flatten().min()?;
        let allowance = self.all.get_mut(*first)?;
        allowance.used = true;
        Some(allowance.reason.clone())
    }

    /// Reports of allowances that nothing needed.
    pub fn unused(&self, file: &LintFile<'_>, told: &mut Vec<Finding>) {
        for allowance in self.all.iter().filter(|allowance| !allowance.used) {
            let code = allowance.code;
            told.push(
                Finding::warn(
                    "allow-unused",
                    code,
                    format!("Rule `{code}` is allowed here, but has no findings"),
                )
                .place(place(file, allowance.directive))
                .help("Remove the directive"),
            );
        }
    }
}

/// Returns what is wrong with a directive.
fn fault(directive: &Directive, today: NaiveDate) -> Option<Finding> {
    let subject = directive.words.join(" ");
    if directive.words.is_empty() {
        return Some(
            Finding::error("allow-unknown", "allow", "The directive names no rule")
                .help("-- af-db: allow R02 reason=\"…\""),
        );
    }
    if directive
        .value("reason")
        .is_none_or(|reason| reason.trim().is_empty())
    {
        return Some(
            Finding::error(
                "allow-without-reason",
                subject,
                "The directive has no reason",
            )
            .help("Add reason=\"…\" with the reason why the statement is safe"),
        );
    }
    let until = directive.value("until")?;
    match until.parse::<NaiveDate>() {
        Err(_) => Some(
            Finding::error(
                "allow-unknown",
                subject,
                format!("`until={until}` is not a date"),
            )
            .help("Write it as until=2027-01-31"),
        ),
        Ok(until) if until < today => Some(
            Finding::warn(
                "allow-expired",
                subject,
                format!("The allowance expired on {until}"),
            )
            .help("Fix the statement, or set a later date"),
        ),
        Ok(_) => None,
    }
}

fn scope(file: &LintFile<'_>, directive: &Directive) -> Scope {
    let lines = &file.statements;
    if lines
        .first()
        .is_none_or(|line| directive.end <= line.statement.start)
    {
        return Scope::File;
    }
    let after = lines.partition_point(|line| line.statement.start <= directive.start);
    let before = &lines[after - 1].statement;
    let between = before.end..directive.start.max(before.end);
    if directive.start < before.end || !file.source.text[between].contains('\n') {
        return Scope::Statement(after - 1);
    }
    if after < lines.len() {
        Scope::Statement(after)
    } else {
        Scope::Nothing
    }
}

fn place(file: &LintFile<'_>, directive: &Directive) -> Location {
    Location::at(
        file.source.path,
        directive.position.line,
        directive.position.column,
    )
}
