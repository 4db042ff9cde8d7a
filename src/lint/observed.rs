//! Owns the last word on findings by text: what was observed on a shadow overrides them, both ways, and says so.
//!
//! A finding about locks, work or losses that the shadow does not bear out is cleared; one that it bears out gets the
//! weight of the target; what no text shows is raised. Findings about anything else stay as they are.

use crate::finding::{Finding, Place, Severity};
use crate::lint::judge::Judgement;
use crate::plan::Step;
use crate::plan::observe::question::{Answer, Outcome};
use crate::plan::observe::weigh::{Aspect, Weight};
use crate::plan::observe::{How, Spoke, StatementObservation, StepObservation};
use crate::sql::position::{self, Position};

/// What is left of findings by text, and what was observed beside them.
#[derive(Clone, Debug, Default)]
pub struct Settled {
    /// What must be looked at.
    pub findings: Vec<Finding>,
    /// What the text made believe and the shadow did not show; each says so in its detail.
    pub cleared: Vec<Finding>,
}

/// What a rule says will happen, as far as a shadow can show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// A table is written anew, read as a whole or indexed.
    Work,
    /// Rows are lost.
    Loss,
    /// Somebody may do more than before.
    Rights,
}

fn claim(code: &str) -> Option<Claim> {
    Some(match code {
        "R02" | "R03" | "R04" | "R05" | "R07" | "R10" | "R11" | "R12" | "R13" | "R14" | "R15"
        | "R16" | "R17" | "S01" | "S02" | "S03" | "S04" | "S05" | "S06" | "S07" | "S09" | "S10"
        | "S13" | "S14" | "I01" | "I03" | "I13" => Claim::Work,
        "D01" | "D02" | "D03" | "D05" | "D08" => Claim::Loss,
        code if code.starts_with('X') => Claim::Rights,
        _ => return None,
    })
}

fn claim_of(aspect: Aspect) -> Option<(Claim, &'static str)> {
    Some(match aspect {
        Aspect::Rewrite => (Claim::Work, "observed-rewrite"),
        Aspect::Build => (Claim::Work, "observed-build"),
        Aspect::Scan => (Claim::Work, "observed-scan"),
        Aspect::Loss => (Claim::Loss, "observed-loss"),
        Aspect::Security => (Claim::Rights, "observed-rights"),
        Aspect::Lock | Aspect::Rows | Aspect::Drop => return None,
    })
}

/// A statement with where it stands.
struct Spot<'a> {
    step: usize,
    label: &'a str,
    position: Position,
    statement: &'a StatementObservation,
    weights: Vec<&'a Weight>,
}

impl Spot<'_> {
    fn place(&self) -> Place {
        Place::at(self.label, self.position.line, self.position.column)
    }

    fn does(&self, claim: Claim) -> bool {
        let seen = self.statement;
        match claim {
            Claim::Work => {
                !(seen.rewrites.is_empty() && seen.scans.is_empty() && seen.builds.is_empty())
            }
            Claim::Loss => {
                let emptied = seen.rewrites.iter().any(|it| it.how == How::Truncated);
                let lost = seen.dropped.iter().any(|gone| gone.loses.is_some());
                emptied || lost || !seen.rows.is_empty()
            }
            Claim::Rights => seen.security.iter().any(|change| change.opens),
        }
    }

    /// Says whether what was seen is all there is to see.
    fn is_sure(&self) -> bool {
        let seen = self.statement;
        seen.spoke == Spoke::Shadow && seen.failed.is_none() && seen.depends_on_rows.is_none()
    }
}

/// Holds what the rules say of files against what their statements were seen to do.
pub fn settle(
    judgement: Judgement,
    steps: &[Step],
    observations: &[StepObservation],
    weights: &[Weight],
) -> Settled {
    let spots = spots(steps, observations, weights);
    let mut settled = Settled::default();
    let mut claimed: Vec<(usize, usize, Claim)> = Vec::new();
    for allowed in &judgement.allowed {
        // What was allowed by its text is allowed as it was seen.
        if let (Some(spot), Some(claim)) =
            (at(&spots, &allowed.finding), claim(&allowed.finding.code))
        {
            claimed.push((spot.step, spot.statement.number, claim));
        }
    }
    for finding in judgement.findings {
        let (Some(spot), Some(claim)) = (at(&spots, &finding), claim(&finding.code)) else {
            settled.findings.push(finding);
            continue;
        };
        if spot.does(claim) {
            claimed.push((spot.step, spot.statement.number, claim));
            settled.findings.push(weighed(finding, spot, claim));
        } else if spot.is_sure() && claim != Claim::Rights {
            let nothing = match claim {
                Claim::Work => "no table is written anew, read as a whole or indexed",
                Claim::Loss | Claim::Rights => "nothing that was there is lost",
            };
            let detail = format!("observed on a shadow, which overrides the text: {nothing}");
            settled.cleared.push(finding.detail(detail));
        } else {
            settled.findings.push(finding);
        }
    }
    settled.findings.extend(raised(&spots, &claimed));
    settled
        .findings
        .sort_by(|a, b| (&a.place, &a.code, &a.subject).cmp(&(&b.place, &b.code, &b.subject)));
    settled
}

/// Gives what the target's rows stand in the way of.
pub fn answers(
    answers: &[Answer],
    steps: &[Step],
    observations: &[StepObservation],
) -> Vec<Finding> {
    let spots = spots(steps, observations, &[]);
    let mut findings = Vec::new();
    for answer in answers {
        let question = &answer.question;
        let (severity, words) = match &answer.outcome {
            Outcome::Fits => continue,
            Outcome::Fails(server) => {
                let severity = if answer.may_change {
                    Severity::Warn
                } else {
                    Severity::Error
                };
                let server = server
                    .as_ref()
                    .map_or_else(String::new, |it| format!(": {it}"));
                let later = if answer.may_change {
                    ", unless an earlier statement mends them"
                } else {
                    ""
                };
                (
                    severity,
                    format!(
                        "the target has {}{server}; this would fail with {}{later}",
                        question.about, question.sqlstate
                    ),
                )
            }
            Outcome::NotAsked(reason) => (
                Severity::Note,
                format!(
                    "whether the target has {} was not asked: {reason}",
                    question.about
                ),
            ),
        };
        let spot = spots
            .iter()
            .find(|spot| spot.step == answer.step && spot.statement.number == answer.statement);
        let mut finding = Finding::new(severity, "observed-rows", &question.relation, words);
        if let Some(query) = &question.query {
            finding = finding.help(format!("look at them, beginning from: {query}"));
        }
        findings.push(match spot {
            Some(spot) => finding.place(spot.place()),
            None => finding,
        });
    }
    findings
}

fn spots<'a>(
    steps: &'a [Step],
    observations: &'a [StepObservation],
    weights: &'a [Weight],
) -> Vec<Spot<'a>> {
    let mut spots = Vec::new();
    for (number, (step, observation)) in steps.iter().zip(observations).enumerate() {
        for statement in &observation.statements {
            spots.push(Spot {
                step: number,
                label: &step.label,
                position: position::of_byte(&step.text, statement.start),
                statement,
                weights: weights
                    .iter()
                    .filter(|it| it.step == number && it.statement == statement.number)
                    .collect(),
            });
        }
    }
    spots
}

/// Finds the statement a finding stands in.
fn at<'s, 'a>(spots: &'s [Spot<'a>], finding: &Finding) -> Option<&'s Spot<'a>> {
    let place = finding.place.as_ref()?;
    let here = (place.line?, place.column.unwrap_or(u32::MAX));
    spots
        .iter()
        .filter(|spot| spot.label == place.file)
        .rfind(|spot| (spot.position.line, spot.position.column) <= here)
}

/// Gives a finding that was borne out the weight it has on the target.
fn weighed(finding: Finding, spot: &Spot<'_>, claim: Claim) -> Finding {
    let about = spot
        .weights
        .iter()
        .filter(|it| claim_of(it.aspect).is_some_and(|(it, _)| it == claim));
    let about: Vec<&&Weight> = about.collect();
    let worst = about.iter().map(|it| it.severity).max();
    let words: Vec<&str> = about.iter().map(|it| it.words.as_str()).collect();
    if words.is_empty() {
        return finding.detail("observed on a shadow as well");
    }
    let mut finding = finding.detail(format!("observed on a shadow: {}", words.join("; ")));
    if claim == Claim::Work {
        finding.severity = worst.unwrap_or(finding.severity);
    } else {
        finding.severity = worst.unwrap_or(finding.severity).max(finding.severity);
    }
    finding
}

/// Gives what was seen and no rule has spoken of.
fn raised(spots: &[Spot<'_>], claimed: &[(usize, usize, Claim)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for spot in spots {
        if let Some(failed) = &spot.statement.failed {
            let words = format!("it fails on a shadow of the target: {}", failed.message);
            let finding = Finding::error("observed-failure", spot.label, words);
            findings.push(finding.place(spot.place()));
        }
        for weight in &spot.weights {
            let Some((claim, code)) = claim_of(weight.aspect) else {
                continue;
            };
            let known = claimed.contains(&(spot.step, spot.statement.number, claim));
            if known || weight.severity < Severity::Warn {
                continue;
            }
            findings.push(
                Finding::new(weight.severity, code, &weight.object, &weight.words)
                    .place(spot.place())
                    .detail("observed on a shadow; no rule sees it in the text"),
            );
        }
    }
    findings
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::lint::Source;
    use crate::lint::judge::{Options, judge};
    use crate::plan::Mode;
    use crate::plan::observe::lock::LockMode;
    use crate::plan::observe::weigh::{Size, Sizes, Thresholds, weigh};
    use crate::plan::observe::{Lock, Relation, Rewrite};

    const FILE: &str = "V1__x.sql";

    fn rewrite(text: &str) -> StatementObservation {
        StatementObservation {
            number: 1,
            verb: "ALTER TABLE".to_owned(),
            start: text.find("ALTER").unwrap_or(0),
            locks: vec![Lock {
                relation: "public.orders".to_owned(),
                kind: Relation::Table,
                mode: LockMode::AccessExclusive,
            }],
            rewrites: vec![Rewrite {
                relation: "public.orders".to_owned(),
                how: How::Rewritten,
            }],
            ..StatementObservation::default()
        }
    }

    fn quiet(text: &str) -> StatementObservation {
        StatementObservation {
            rewrites: Vec::new(),
            ..rewrite(text)
        }
    }

    /// Gives codes with severities, what is cleared in brackets.
    fn settled(text: &str, statement: StatementObservation, bytes: u64) -> String {
        let options = Options {
            major: None,
            levels: Vec::new(),
            today: chrono::NaiveDate::from_ymd_opt(2026, 1, 1).unwrap(),
        };
        let judgement = judge(&[Source::new(FILE, text)], &options);
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
            statements: vec![statement],
        }];
        let size = Size {
            bytes: Some(bytes),
            rows: Some(1),
            ..Size::default()
        };
        let sizes = Sizes::from([("public.orders".to_owned(), size)]);
        let weights = weigh(&observations, &sizes, &Thresholds::default());
        let settled = settle(judgement, &[step], &observations, &weights);
        // What the rules say about other things than work is not the matter here.
        let about = |it: &&Finding| !it.code.starts_with('O');
        let mut told: Vec<String> = settled
            .findings
            .iter()
            .filter(about)
            .map(|it| format!("{} {}", it.code, it.severity.word()))
            .collect();
        told.extend(settled.cleared.iter().map(|it| format!("[{}]", it.code)));
        told.join(" ")
    }

    #[test]
    fn what_is_seen_overrides_the_text_both_ways() {
        let typed = "ALTER TABLE orders ALTER COLUMN a TYPE int8;";
        assert_eq!(settled(typed, rewrite(typed), 1 << 40), "R07 error");
        assert_eq!(settled(typed, rewrite(typed), 1 << 10), "R07 note");
        assert_eq!(settled(typed, quiet(typed), 1 << 40), "[R07]");
        let hidden = "ALTER TABLE orders ADD COLUMN a strict_mail;";
        assert_eq!(
            settled(hidden, rewrite(hidden), 1 << 40),
            "observed-rewrite error"
        );
        assert_eq!(settled(hidden, rewrite(hidden), 1 << 10), "");
    }

    #[test]
    fn what_is_allowed_stays_allowed() {
        let text =
            "-- af-db: allow R07 reason=\"small\"\nALTER TABLE orders ALTER COLUMN a TYPE int8;";
        assert_eq!(settled(text, rewrite(text), 1 << 40), "");
    }

    #[test]
    fn what_is_not_sure_clears_nothing() {
        let typed = "ALTER TABLE orders ALTER COLUMN a TYPE int8;";
        let unsure = StatementObservation {
            depends_on_rows: Some("perhaps".to_owned()),
            ..quiet(typed)
        };
        assert!(settled(typed, unsure, 1 << 40).starts_with("R07 "));
    }
}
