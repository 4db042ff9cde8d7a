//! Describes how the observed effects of a statement differ from the plan.

use std::collections::BTreeSet;

use crate::plan::observe::{RewriteKind, StatementObservation};

/// Returns the effects only in the plan and those only observed now.
pub(super) fn differences(
    planned: Option<&StatementObservation>,
    now: &StatementObservation,
) -> Vec<String> {
    let planned = planned.map(words).unwrap_or_default();
    let now = words(now);
    let gone = planned.difference(&now).map(|it| format!("  - {it}"));
    let new = now.difference(&planned).map(|it| format!("  + {it}"));
    gone.chain(new).collect()
}

fn words(seen: &StatementObservation) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    let locks = seen.locks.iter();
    words.extend(locks.map(|it| format!("locks {} {}", it.relation, it.mode)));
    words.extend(seen.rewrites.iter().map(|it| {
        let verb = match it.how {
            RewriteKind::Truncated => "empties",
            RewriteKind::Moved => "copies",
            RewriteKind::Rewritten | RewriteKind::Clustered | RewriteKind::Refreshed => "rewrites",
        };
        format!("{verb} {}", it.relation)
    }));
    let scans = seen.scans.iter();
    words.extend(scans.map(|it| match it.times {
        1 => format!("scans {}", it.relation),
        times => format!("scans {} {times} times", it.relation),
    }));
    words.extend(seen.builds.iter().map(|it| format!("builds {}", it.index)));
    words.extend(seen.rows.iter().map(|it| {
        let verb = if it.deletes { "deletes" } else { "writes" };
        match &it.along {
            Some(along) => format!(
                "{verb} rows of {} together with rows of {}",
                it.relation, along.with
            ),
            None => format!("{verb} rows of {}", it.relation),
        }
    }));
    let dropped = seen.dropped.iter();
    words.extend(dropped.map(|it| format!("drops the {} {}", it.kind, it.name)));
    let security = seen.security.iter();
    words.extend(security.map(|it| format!("changes {}: {}", it.object, it.change)));
    let questions = seen.questions.iter();
    words.extend(questions.map(|it| format!("fails if there are {} in {}", it.about, it.relation)));
    if let Some(failed) = &seen.failed {
        words.insert(format!("fails: {}", failed.message));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::observe::{Rewrite, Scan};

    #[test]
    fn differences_list_both_sides() {
        let planned = StatementObservation {
            scans: vec![Scan {
                relation: "public.a".to_owned(),
                times: 1,
            }],
            ..StatementObservation::default()
        };
        let now = StatementObservation {
            rewrites: vec![Rewrite {
                relation: "public.a".to_owned(),
                how: RewriteKind::Rewritten,
            }],
            ..StatementObservation::default()
        };
        insta::assert_snapshot!(differences(Some(&planned), &now).join("\n"), @"
        - scans public.a
        + rewrites public.a
        ");
        assert!(differences(Some(&now), &now).is_empty());
    }
}
