//! The proof as one self-contained HTML page: result, matrix, and each leak with its script.

use std::collections::BTreeMap;

use crate::cost::PolicyCost;
use crate::matrix::{self, MatrixRow};
use crate::prove::Proof;
use crate::verdict::{ProbeOutcome, Verdict};

/// Writes the proof as one page.
pub fn html(title: &str, proof: &Proof) -> String {
    let leaks: Vec<&Verdict> = proof
        .verdicts
        .iter()
        .filter(|one| one.verdict == ProbeOutcome::Leak)
        .collect();
    let body = [
        head(title, proof),
        picture(proof, &leaks),
        leaks.iter().enumerate().map(shown).collect(),
        open(proof),
        costs(&proof.costs),
    ]
    .concat();
    let style = include_str!("html_report.css");
    let title = escape(title);
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>Isolation of {title}</title><style>\n{style}</style></head><body><main>{body}<footer>{FOOT}</footer></main></body></html>\n"
    )
}

const FOOT: &str = "Every result comes from running a statement as each role and identity, with rows of at least two tenants, unless it is marked as read from the catalog. <b>Passed</b>: the attempt was refused or saw nothing, while the same attempt on the tenant’s own rows succeeded. <b>Inconclusive</b>: neither a leak nor isolation could be shown, so it does not count as safe. A dash: the role lacks the privilege, so nothing was tried. <b>Change tenant</b>: giving a row of the own tenant to another tenant.";

/// How it ended, in a sentence and in figures.
fn head(title: &str, proof: &Proof) -> String {
    let [leaks, passed, open] = [
        ProbeOutcome::Leak,
        ProbeOutcome::Passed,
        ProbeOutcome::Inconclusive,
    ]
    .map(|word| proof.count(word));
    let open = open + proof.unfilled.len();
    let (class, sentence) = match (leaks, open, passed) {
        (1, _, _) => (
            "leak",
            "✕ 1 leak: a tenant can reach another tenant’s rows".to_owned(),
        ),
        (1.., _, _) => (
            "leak",
            format!("✕ {leaks} leaks: a tenant can reach another tenant’s rows"),
        ),
        (0, 0, 1..) => (
            "good",
            "✓ No tenant reached another tenant’s rows".to_owned(),
        ),
        (0, 0, 0) => ("open", "? Nothing was tried".to_owned()),
        _ => (
            "open",
            "? No leak found, but some attempts were inconclusive".to_owned(),
        ),
    };
    let mut objects: Vec<&str> = proof
        .verdicts
        .iter()
        .map(|one| one.object.as_str())
        .collect();
    objects.sort_unstable();
    objects.dedup();
    let figures: String = [
        ("leak", leaks, if leaks == 1 { "leak" } else { "leaks" }),
        ("good", passed, "passed"),
        ("open", open, "inconclusive"),
        (
            "",
            objects.len(),
            if objects.len() == 1 {
                "object"
            } else {
                "objects"
            },
        ),
    ]
    .map(|(class, count, word)| {
        let class = if count == 0 { "" } else { class };
        format!("<div class=\"{class}\"><b>{count}</b>{word}</div>")
    })
    .concat();
    let bar: String = [("leak", leaks), ("open", open), ("good", passed)]
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(class, count)| format!("<i class=\"{class}\" style=\"flex:{count}\"></i>"))
        .collect();
    format!(
        "<h1>Isolation of {}</h1><div class=\"verdict {class}\">{sentence}</div><div class=\"figures\">{figures}</div><div class=\"bar\" aria-hidden=\"true\">{bar}</div>",
        escape(title)
    )
}

/// The matrix: objects and roles by command.
fn picture(proof: &Proof, leaks: &[&Verdict]) -> String {
    // A cell leads to the first leak behind it.
    let mut places: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
    for (number, one) in leaks.iter().enumerate() {
        let key = (one.object.as_str(), one.role.as_str(), one.command.as_str());
        places.entry(key).or_insert(number);
    }
    let lines = matrix::lines(proof);
    if lines.is_empty() {
        return String::new();
    }
    let others = lines.iter().any(|line| !line.others.is_empty());
    let heads: String = ["object", "role"]
        .into_iter()
        .chain(matrix::headings())
        .chain(others.then_some("other leaks"))
        .map(|head| format!("<th scope=\"col\">{head}"))
        .collect();
    let rows: String = lines
        .iter()
        .map(|line| row(line, others, &places))
        .collect();
    format!(
        "<h2>Results by object and role</h2><div class=\"wide\"><table><thead><tr>{heads}</thead><tbody>{rows}</tbody></table></div>"
    )
}

fn row(line: &MatrixRow, others: bool, places: &BTreeMap<(&str, &str, &str), usize>) -> String {
    let leak = |command: &str, word: &str| match places.get(&(&line.object, &line.role, command)) {
        Some(number) => format!("<a class=\"chip leak\" href=\"#leak-{number}\">✕ {word}</a>"),
        None => format!("<span class=\"chip leak\">✕ {word}</span>"),
    };
    let cells: String = line
        .cells
        .iter()
        .zip(matrix::COMMANDS)
        .map(|(cell, command)| match cell {
            Some(ProbeOutcome::Leak) => {
                format!("<td>{}", leak(command, "<span class=\"word\">leak</span>"))
            }
            Some(ProbeOutcome::Inconclusive) => {
                "<td><span class=\"chip open\">? <span class=\"word\">inconclusive</span></span>"
                    .to_owned()
            }
            Some(ProbeOutcome::Passed) => {
                "<td><span class=\"chip good\">✓ <span class=\"word\">passed</span></span>"
                    .to_owned()
            }
            None => "<td class=\"none\">–".to_owned(),
        })
        .collect();
    let more: Vec<String> = line
        .others
        .iter()
        .map(|command| leak(command, &escape(matrix::command_words(command))))
        .collect();
    let more = if others {
        format!("<td>{}", more.join(" "))
    } else {
        String::new()
    };
    let (object, role) = (breaking(&line.object), escape(&line.role));
    format!("<tr><th scope=\"row\"><code>{object}</code><td>{role}{cells}{more}")
}

/// One leak: what, why, and the script that shows it.
fn shown((number, one): (usize, &&Verdict)) -> String {
    let script = one.reproduce.as_deref().map_or_else(String::new, |script| {
        format!(
            "<details><summary>SQL to reproduce</summary><pre>{}</pre></details>",
            escape(script)
        )
    });
    let head = if number == 0 { "<h2>Leaks</h2>" } else { "" };
    let severity = one.severity.map(|weight| weight.word().to_owned());
    let tags: String = severity
        .into_iter()
        .chain(one.class.clone())
        .chain([format!("as {}, {}", one.role, one.identity)])
        .chain(
            one.rows
                .map(|rows| format!("{rows} {}", if rows == 1 { "row" } else { "rows" })),
        )
        .map(|tag| format!("<span class=\"chip\">{}</span>", escape(&tag)))
        .collect();
    format!(
        "{head}<section class=\"leak\" id=\"leak-{number}\"><h3>{} on <code>{}</code></h3><div class=\"tags\">{tags}</div><p>{}</p>{script}</section>",
        escape(matrix::command_words(&one.command)),
        breaking(&one.object),
        escape(&one.why)
    )
}

/// The inconclusive probes, with reasons.
fn open(proof: &Proof) -> String {
    let gaps = matrix::gaps(proof);
    if gaps.is_empty() {
        return String::new();
    }
    let items: String = gaps
        .iter()
        .map(|(what, why)| {
            format!(
                "<li><b>{}</b><br><span class=\"soft\">{}</span>",
                escape(what),
                escape(why)
            )
        })
        .collect();
    format!("<h2>Inconclusive</h2><section class=\"open\"><ul>{items}</ul></section>")
}

/// What policies cost.
fn costs(costs: &[PolicyCost]) -> String {
    if costs.is_empty() {
        return String::new();
    }
    let rows: String = costs
        .iter()
        .map(|cost| {
            let index = cost.index.as_deref().map_or_else(
                || "<span class=\"chip open\">? none</span>".to_owned(),
                |index| format!("<code>{}</code>", breaking(index)),
            );
            let asked = if cost.asked_per_row {
                "<span class=\"chip open\">? per row</span>"
            } else {
                "per statement"
            };
            format!(
                "<tr><th scope=\"row\"><code>{}</code><td>{}<td>{index}<td>{asked}<td class=\"number\">{:.1}",
                breaking(&cost.table),
                escape(&cost.role),
                cost.factor
            )
        })
        .collect();
    format!(
        "<h2>Policy cost</h2><div class=\"wide\"><table><thead><tr><th scope=\"col\">table<th scope=\"col\">role<th scope=\"col\">index<th scope=\"col\">identity evaluated<th scope=\"col\" class=\"number\">slowdown</thead><tbody>{rows}</tbody></table></div>"
    )
}

/// Writes a name that may be broken after its dots and underscores.
fn breaking(name: &str) -> String {
    escape(name).replace('.', ".<wbr>").replace('_', "_<wbr>")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{ProvenBy, Weight};

    fn verdict(verdict: ProbeOutcome, command: &str) -> Verdict {
        Verdict {
            verdict,
            object: "public.<my_notes>".to_owned(),
            command: command.to_owned(),
            role: "app".to_owned(),
            identity: "a".to_owned(),
            class: Some("B01".to_owned()),
            severity: (verdict == ProbeOutcome::Leak).then_some(Weight::Critical),
            proven_by: ProvenBy::Probe,
            exposes: None,
            rows: Some(1),
            reproduce: Some("SELECT '<b>'".to_owned()),
            why: "because & so".to_owned(),
        }
    }

    fn page(verdicts: Vec<Verdict>) -> String {
        let proof = Proof {
            verdicts,
            ..Proof::default()
        };
        html("my \"shop\"", &proof)
    }

    #[test]
    fn the_page_begins_with_the_result() {
        let passed = || verdict(ProbeOutcome::Passed, "select");
        assert!(page(vec![passed()]).contains("✓ No tenant reached another tenant’s rows"));
        assert!(
            page(vec![
                passed(),
                verdict(ProbeOutcome::Inconclusive, "delete")
            ])
            .contains("some attempts were inconclusive")
        );
        assert!(page(vec![]).contains("? Nothing was tried"));
        let leak = || verdict(ProbeOutcome::Leak, "delete");
        assert!(
            page(vec![passed(), leak()])
                .contains("✕ 1 leak: a tenant can reach another tenant’s rows")
        );
        assert!(
            page(vec![leak(), leak()])
                .contains("✕ 2 leaks: a tenant can reach another tenant’s rows")
        );
    }

    #[test]
    fn a_cell_leads_to_its_leak_and_names_are_escaped() {
        let page = page(vec![
            verdict(ProbeOutcome::Leak, "truncate"),
            verdict(ProbeOutcome::Leak, "select"),
        ]);
        assert!(page.contains(
            "<a class=\"chip leak\" href=\"#leak-1\">✕ <span class=\"word\">leak</span></a>"
        ));
        assert!(page.contains("<a class=\"chip leak\" href=\"#leak-0\">✕ truncate</a>"));
        assert!(page.contains("id=\"leak-1\""));
        assert!(page.contains("public.<wbr>&lt;my_<wbr>notes&gt;"));
        assert!(page.contains("SELECT '&lt;b&gt;'") && page.contains("because &amp; so"));
        assert!(page.contains("Isolation of my &quot;shop&quot;"));
    }

    #[test]
    fn the_page_needs_nothing_else() {
        let page = page(vec![verdict(ProbeOutcome::Leak, "select")]);
        for reach in ["http", "src=", "<link", "@import", "url(", "<script"] {
            assert!(!page.contains(reach), "{reach}");
        }
    }
}
