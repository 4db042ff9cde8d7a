//! The proof as a matrix of objects and roles by command, as Markdown.

use std::collections::{BTreeMap, BTreeSet};

use crate::prove::Proof;
use crate::verdict::{ProbeOutcome, Verdict};

/// The commands that have a column of their own.
pub(crate) const COMMANDS: [&str; 5] = ["select", "insert", "update", "move", "delete"];

/// One line of the picture.
#[derive(Debug, Default)]
pub struct MatrixRow {
    pub object: String,
    pub role: String,
    /// How each of the usual commands ended, where it was tried.
    pub cells: [Option<ProbeOutcome>; 5],
    /// Other commands that leak, by name.
    pub others: BTreeSet<String>,
}

/// Returns the headings of the columns.
pub fn headings() -> [&'static str; 5] {
    COMMANDS.map(command_words)
}

/// Returns a command as people read it; the reports for machines keep the short word.
pub fn command_words(command: &str) -> &str {
    match command {
        "move" => "change tenant",
        other => other,
    }
}

/// Lays the verdicts out.
pub fn lines(proof: &Proof) -> Vec<MatrixRow> {
    let mut lines: BTreeMap<(String, String), MatrixRow> = BTreeMap::new();
    for one in &proof.verdicts {
        let line = lines
            .entry((one.object.clone(), one.role.clone()))
            .or_insert_with(|| MatrixRow {
                object: one.object.clone(),
                role: one.role.clone(),
                ..MatrixRow::default()
            });
        match COMMANDS.iter().position(|command| *command == one.command) {
            // The worst outcome counts: leak, then inconclusive, then passed.
            Some(at) => {
                line.cells[at] =
                    Some(line.cells[at].map_or(one.verdict, |word| word.min(one.verdict)))
            }
            None if one.verdict == ProbeOutcome::Leak => {
                line.others.insert(one.command.clone());
            }
            None => {}
        }
    }
    let mut lines: Vec<MatrixRow> = lines.into_values().collect();
    // The worst first, as a person reads.
    lines.sort_by_key(|line| {
        let worst = line.cells.iter().flatten().min().copied();
        if line.others.is_empty() {
            worst.unwrap_or(ProbeOutcome::Passed)
        } else {
            ProbeOutcome::Leak
        }
    });
    lines
}

/// Returns a cell in a word; an empty one was not granted.
pub fn word(cell: Option<ProbeOutcome>) -> &'static str {
    match cell {
        Some(ProbeOutcome::Leak) => "LEAK",
        Some(ProbeOutcome::Inconclusive) => "inconclusive",
        Some(ProbeOutcome::Passed) => "passed",
        None => "-",
    }
}

/// Writes the proof as Markdown.
pub fn markdown(title: &str, proof: &Proof) -> String {
    let mut text = format!("# Isolation of {title}\n\n{}\n\n", summary(proof));
    text.push_str("| object | role | select | insert | update | change tenant | delete | other leaks |\n|---|---|---|---|---|---|---|---|\n");
    for line in lines(proof) {
        let cells: Vec<String> = line
            .cells
            .iter()
            .map(|cell| {
                if *cell == Some(ProbeOutcome::Leak) {
                    "**LEAK**".to_owned()
                } else {
                    word(*cell).to_owned()
                }
            })
            .collect();
        let others: Vec<String> = line.others.into_iter().collect();
        text.push_str(&format!(
            "| `{}` | {} | {} | {} |\n",
            line.object.replace('|', "\\|"),
            line.role.replace('|', "\\|"),
            cells.join(" | "),
            others.join(", ")
        ));
    }
    for one in proof
        .verdicts
        .iter()
        .filter(|one| one.verdict == ProbeOutcome::Leak)
    {
        text.push_str(&format!("\n## {}\n\n{}\n", heading(one), one.why));
        if let Some(script) = &one.reproduce {
            text.push_str(&format!("\n```sql\n{script}\n```\n"));
        }
    }
    let open = gaps(proof);
    if !open.is_empty() {
        text.push_str("\n## Inconclusive\n\n");
        for (what, why) in open {
            text.push_str(&format!("- {what}: {why}\n"));
        }
    }
    text
}

/// Returns what is inconclusive, with the reasons.
pub(super) fn gaps(proof: &Proof) -> Vec<(String, String)> {
    let open = proof
        .verdicts
        .iter()
        .filter(|one| one.verdict == ProbeOutcome::Inconclusive);
    let mut gaps: Vec<(String, String)> = open.map(|one| (heading(one), one.why.clone())).collect();
    gaps.extend(proof.unfilled.iter().map(|(table, why)| {
        let what = format!("no test rows for {table}");
        (what, why.clone())
    }));
    gaps.extend(proof.left_out.iter().map(|statement| {
        let what = "the shadow database refused a statement of the schema".to_owned();
        (what, statement.clone())
    }));
    gaps
}

fn heading(one: &Verdict) -> String {
    let class = one
        .class
        .as_deref()
        .map_or_else(String::new, |class| format!(" [{class}]"));
    format!(
        "{} on {} as {}, {}{class}",
        command_words(&one.command),
        one.object,
        one.role,
        one.identity
    )
}

fn summary(proof: &Proof) -> String {
    let [leaks, passed, open] = [
        ProbeOutcome::Leak,
        ProbeOutcome::Passed,
        ProbeOutcome::Inconclusive,
    ]
    .map(|word| proof.count(word));
    let word = if leaks == 1 { "leak" } else { "leaks" };
    format!(
        "{leaks} {word}, {passed} passed, {open} inconclusive. An empty cell was not tried because the privilege is not granted."
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::ProvenBy;

    fn verdict(word: ProbeOutcome, command: &str) -> Verdict {
        Verdict {
            verdict: word,
            object: "public.<notes>".to_owned(),
            command: command.to_owned(),
            role: "app".to_owned(),
            identity: "a".to_owned(),
            class: None,
            severity: None,
            proven_by: ProvenBy::Probe,
            exposes: None,
            rows: None,
            reproduce: None,
            why: "because".to_owned(),
        }
    }

    #[test]
    fn a_cell_shows_the_worst_outcome() {
        let verdicts = vec![
            verdict(ProbeOutcome::Passed, "select"),
            verdict(ProbeOutcome::Leak, "select"),
            verdict(ProbeOutcome::Leak, "truncate"),
        ];
        let proof = Proof {
            verdicts,
            ..Proof::default()
        };
        let lines = lines(&proof);
        let holding = Verdict {
            object: "public.a".to_owned(),
            ..verdict(ProbeOutcome::Passed, "select")
        };
        let open = Verdict {
            object: "public.b".to_owned(),
            ..verdict(ProbeOutcome::Inconclusive, "delete")
        };
        let more = Proof {
            verdicts: [proof.verdicts.clone(), vec![holding, open]].concat(),
            unfilled: BTreeMap::from([("public.c".to_owned(), "its <trigger> refuses".to_owned())]),
            ..Proof::default()
        };
        let order: Vec<String> = super::lines(&more)
            .into_iter()
            .map(|line| line.object)
            .collect();
        assert_eq!(order, ["public.<notes>", "public.b", "public.a"]);
        assert!(markdown("x", &more).contains("- delete on public.b as app, a: because"));
        assert!(markdown("x", &more).contains("- no test rows for public.c: its <trigger>"));
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].cells[0], Some(ProbeOutcome::Leak));
        assert!(lines[0].others.contains("truncate"));
        assert!(markdown("x", &proof).contains("| `public.<notes>` | app | **LEAK** | - |"));
    }
}
