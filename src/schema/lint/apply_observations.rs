//! Clears lint findings that the shadow database does not confirm.
//!
//! A finding about work or data loss that the shadow database does not confirm is cleared. Effects that the text does not show are
//! reported by [`crate::plan::observe::impact`]; other findings are unchanged.

use crate::finding::Finding;
use crate::plan::Step;
use crate::plan::observe::{ObservationSource, RewriteKind, StatementObservation, StepObservation};
use crate::sql::position::{Position, Positions};

/// What is left of findings by text.
#[derive(Clone, Debug, Default)]
pub struct Reconciled {
    /// What must be looked at.
    pub findings: Vec<Finding>,
    /// What the text made believe and the shadow database did not show; each says so in its detail.
    pub cleared: Vec<Finding>,
}

/// What a rule says will happen, as far as a shadow database can show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prediction {
    /// A table is rewritten, read as a whole or indexed.
    Work,
    /// Rows are lost.
    Loss,
}

fn prediction(code: &str) -> Option<Prediction> {
    Some(match code {
        "R02" | "R03" | "R04" | "R05" | "R07" | "R10" | "R11" | "R12" | "R13" | "R14" | "R15"
        | "R16" | "R17" | "S01" | "S02" | "S03" | "S04" | "S05" | "S06" | "S07" | "S09" | "S10"
        | "S13" | "S14" | "I01" | "I03" | "I13" => Prediction::Work,
        "D01" | "D02" | "D03" | "D05" | "D08" => Prediction::Loss,
        _ => return None,
    })
}

/// A statement with where it stands.
struct LocatedStatement<'a> {
    label: &'a str,
    position: Position,
    statement: &'a StatementObservation,
}

impl LocatedStatement<'_> {
    fn shows(&self, prediction: Prediction) -> bool {
        let seen = self.statement;
        match prediction {
            Prediction::Work => {
                !(seen.rewrites.is_empty() && seen.scans.is_empty() && seen.builds.is_empty())
            }
            Prediction::Loss => {
                let emptied = seen
                    .rewrites
                    .iter()
                    .any(|it| it.how == RewriteKind::Truncated);
                let lost = seen.dropped.iter().any(|gone| gone.loses.is_some());
                emptied || lost || !seen.rows.is_empty()
            }
        }
    }

    /// Whether what was seen is all there is to see.
    fn is_sure(&self) -> bool {
        let seen = self.statement;
        seen.spoke == ObservationSource::Shadow
            && seen.failed.is_none()
            && seen.depends_on_rows.is_none()
    }
}

/// Compares what the rules say of files against what their statements were seen to do.
pub fn apply(
    findings: Vec<Finding>,
    steps: &[Step],
    observations: &[StepObservation],
) -> Reconciled {
    let mut spots = spots(steps, observations);
    spots.sort_by_key(|spot| (spot.label, spot.position));
    let mut reconciled = Reconciled::default();
    for finding in findings {
        let refuted = match (at(&spots, &finding), prediction(&finding.code)) {
            (Some(spot), Some(prediction)) if spot.is_sure() && !spot.shows(prediction) => {
                Some(prediction)
            }
            _ => None,
        };
        let nothing = match refuted {
            None => {
                reconciled.findings.push(finding);
                continue;
            }
            Some(Prediction::Work) => "no table is rewritten, scanned or indexed",
            Some(Prediction::Loss) => "no existing data is lost",
        };
        let detail = format!("Not confirmed on the shadow database: {nothing}");
        reconciled.cleared.push(finding.detail(detail));
    }
    reconciled
}

fn spots<'a>(steps: &'a [Step], observations: &'a [StepObservation]) -> Vec<LocatedStatement<'a>> {
    let mut spots = Vec::new();
    for (step, observation) in steps.iter().zip(observations) {
        let positions = Positions::new(&step.text);
        spots.extend(
            observation
                .statements
                .iter()
                .map(|statement| LocatedStatement {
                    label: &step.label,
                    position: positions.of_byte(statement.start),
                    statement,
                }),
        );
    }
    spots
}

/// Finds the statement a finding stands in.
fn at<'s, 'a>(
    spots: &'s [LocatedStatement<'a>],
    finding: &Finding,
) -> Option<&'s LocatedStatement<'a>> {
    let place = finding.place.as_ref()?;
    let here = Position {
        line: place.line?,
        column: place.column.unwrap_or(u32::MAX),
    };
    let here = (place.file.as_str(), here);
    let behind = spots.partition_point(|spot| (spot.label, spot.position) <= here);
    let spot = spots.get(behind.checked_sub(1)?)?;
    (spot.label == place.file).then_some(spot)
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::lint::Source;
    use crate::lint::check::{LintOptions, check};
    use crate::plan::Mode;
    use crate::plan::observe::Rewrite;

    const FILE: &str = "V1__x.sql";

    fn quiet(text: &str) -> StatementObservation {
        StatementObservation {
            number: 1,
            verb: "ALTER TABLE".to_owned(),
            start: text.find("ALTER").unwrap_or(0),
            ..StatementObservation::default()
        }
    }

    fn rewrite(text: &str) -> StatementObservation {
        StatementObservation {
            rewrites: vec![Rewrite {
                relation: "public.orders".to_owned(),
                how: RewriteKind::Rewritten,
            }],
            ..quiet(text)
        }
    }

    /// Returns codes, what is cleared in brackets.
    fn reconciled(text: &str, statement: StatementObservation) -> String {
        let options = LintOptions {
            major: None,
            overrides: Vec::new(),
            today: chrono::NaiveDate::from_ymd_opt(2026, 1, 1).unwrap(),
        };
        let report = check(&[Source::new(FILE, text)], &options);
        let step = Step {
            label: FILE.to_owned(),
            text: text.into(),
            mode: Mode::Transaction,
            timeout: None,
            done: 0,
            uncertain: false,
        };
        let observations = [StepObservation {
            label: FILE.to_owned(),
            in_transaction: true,
            left: Vec::new(),
            statements: vec![statement],
        }];
        let reconciled = apply(report.findings, &[step], &observations);
        // What the rules say about other other_objects than work is not the matter here.
        let about = |it: &&Finding| !it.code.starts_with('O');
        let left = reconciled.findings.iter().filter(about);
        let mut told: Vec<String> = left.map(|it| it.code.clone()).collect();
        told.extend(reconciled.cleared.iter().map(|it| format!("[{}]", it.code)));
        told.join(" ")
    }

    #[test]
    fn observations_clear_findings() {
        let typed = "ALTER TABLE orders ALTER COLUMN a TYPE int8;";
        assert_eq!(reconciled(typed, rewrite(typed)), "R07");
        assert_eq!(reconciled(typed, quiet(typed)), "[R07]");
    }

    #[test]
    fn uncertain_observations_clear_nothing() {
        let typed = "ALTER TABLE orders ALTER COLUMN a TYPE int8;";
        let depends_on_rows = Some("perhaps".to_owned());
        let unsure = StatementObservation {
            depends_on_rows,
            ..quiet(typed)
        };
        assert_eq!(reconciled(typed, unsure), "R07");
        let alone = StatementObservation {
            spoke: ObservationSource::Facts,
            ..quiet(typed)
        };
        assert_eq!(reconciled(typed, alone), "R07");
    }
}
