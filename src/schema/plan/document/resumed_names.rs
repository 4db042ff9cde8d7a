//! What relations were called before a plan, where an earlier run of it has done a part: the plan names them as they were then.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::document::PlanDocument;
use crate::plan::observe::reach::Code;
use crate::plan::observe::{NewRelations, StatementObservation};
use crate::sql::token::{self, TokenKind};

/// The names by now of what a plan has created or renamed so far.
pub(super) struct ResumedNames {
    /// The name before the plan, by the name of now; none where the plan has created it.
    before: BTreeMap<String, Option<String>>,
    /// Every word of the plan's statements.
    words: BTreeSet<String>,
}

impl ResumedNames {
    /// Follows the names through the steps that are done.
    pub(super) fn after(
        plan: &PlanDocument,
        now: &PlanDocument,
        done: &BTreeSet<i64>,
    ) -> ResumedNames {
        let mut names = ResumedNames {
            before: BTreeMap::new(),
            words: BTreeSet::new(),
        };
        for step in &plan.steps {
            let statements = step.statements.iter();
            names.words.extend(statements.flat_map(|it| words(&it.sql)));
            let rest = now.steps.iter().find(|is| is.version == step.version);
            let units = match rest {
                _ if done.contains(&step.version) => usize::MAX,
                Some(is) => is.continues_behind,
                None => 0,
            };
            let left = step.observed.iter().flat_map(|seen| &seen.left);
            for left in left.filter(|left| left.unit <= units) {
                names.follow(left);
            }
        }
        names
    }

    fn follow(&mut self, left: &NewRelations) {
        let mut renamed = Vec::new();
        for it in &left.renamed {
            let before = self.before.remove(&it.from);
            renamed.push((
                it.to.clone(),
                before.unwrap_or_else(|| Some(it.from.clone())),
            ));
        }
        self.before.extend(renamed);
        let created = left.created.iter();
        self.before.extend(created.map(|name| (name.clone(), None)));
    }

    /// Returns what an object was called before the plan, which may be a part of a relation; nothing where the plan has
    /// created it.
    pub(super) fn name(&self, now: &str) -> Option<String> {
        for (name, before) in &self.before {
            let part = now
                .strip_prefix(name.as_str())
                .filter(|rest| rest.is_empty() || rest.starts_with(['.', '(']))
                .map(|rest| (String::new(), rest.to_owned()));
            let of = now
                .strip_suffix(name.as_str())
                .filter(|start| start.ends_with(" on "))
                .map(|start| (start.to_owned(), String::new()));
            if let Some((start, rest)) = part.or(of) {
                return before
                    .as_ref()
                    .map(|before| format!("{start}{before}{rest}"));
            }
        }
        Some(now.to_owned())
    }

    /// Returns the effects of a statement with the names that the plan uses.
    ///
    /// What is dropped, and whose rights change, may have the name it has at that moment in the plan already.
    pub(super) fn before(
        &self,
        seen: &StatementObservation,
        planned: Option<&StatementObservation>,
    ) -> StatementObservation {
        let mut seen = seen.clone();
        let no_other = StatementObservation::default();
        let planned = planned.unwrap_or(&no_other);
        let keep = |name: &mut String| match self.name(name) {
            Some(before) => {
                *name = before;
                true
            }
            None => false,
        };
        seen.locks.retain_mut(|it| keep(&mut it.relation));
        seen.rewrites.retain_mut(|it| keep(&mut it.relation));
        seen.scans.retain_mut(|it| keep(&mut it.relation));
        seen.builds.retain_mut(|it| {
            it.again &= self.name(&it.index).is_some();
            keep(&mut it.relation)
        });
        seen.rows.retain_mut(|it| keep(&mut it.relation));
        seen.rows.retain_mut(|it| match &mut it.along {
            Some(along) => keep(&mut along.with),
            None => true,
        });
        for it in &mut seen.dropped {
            it.loses = it.loses.take().and_then(|loses| self.name(&loses));
        }
        seen.dropped
            .retain_mut(|it| planned.dropped.contains(it) || keep(&mut it.name));
        seen.security
            .retain_mut(|it| planned.security.contains(it) || keep(&mut it.object));
        seen.questions.retain_mut(|it| keep(&mut it.relation));
        seen.locks.sort();
        seen.rewrites.sort();
        seen.scans.sort();
        seen.builds.sort();
        seen.rows.sort();
        seen.dropped.sort();
        seen.security.sort();
        seen
    }

    /// Reports which code is not what it was, but for what the plan itself speaks of and what belongs to what it has
    /// created or renamed.
    pub(super) fn reach(&self, plan: &PlanDocument, now: &PlanDocument, stale: &mut Vec<String>) {
        let foreign = |code: &Code| {
            let bare = code.name.split('(').next().unwrap_or_default();
            let own = words(bare)
                .last()
                .is_some_and(|word| self.words.contains(word));
            let on = code.on.as_deref();
            !own && on.is_none_or(|on| self.name(on).as_deref() == Some(on))
        };
        for code in now.reach.code.iter().filter(|code| foreign(code)) {
            if !plan.reach.code.contains(code) {
                stale.push(format!(
                    "{code} was changed and can be triggered by the steps"
                ));
            }
        }
    }
}

/// Leaves out what depends on which rows are there by now.
pub(super) fn plain(seen: &StatementObservation) -> StatementObservation {
    StatementObservation {
        depends_on_rows: None,
        questions: Vec::new(),
        ..seen.clone()
    }
}

/// Returns the names in a text, without quotes.
fn words(text: &str) -> Vec<String> {
    let named =
        token::code(text).filter(|it| matches!(it.kind, TokenKind::Word | TokenKind::QuotedName));
    named
        .map(|it| it.text(text).trim_matches('"').to_lowercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::observe::Renamed;

    #[test]
    fn names_are_followed_through_renames_and_swaps() {
        let mut names = ResumedNames {
            before: BTreeMap::new(),
            words: BTreeSet::new(),
        };
        let renamed = |from: &str, to: &str| Renamed {
            from: from.to_owned(),
            to: to.to_owned(),
        };
        names.follow(&NewRelations {
            unit: 1,
            created: vec!["public.new".to_owned()],
            renamed: vec![
                renamed("public.a", "public.b"),
                renamed("public.b", "public.a"),
            ],
        });
        names.follow(&NewRelations {
            unit: 2,
            created: Vec::new(),
            renamed: vec![
                renamed("public.a", "public.c"),
                renamed("public.new", "app.new"),
            ],
        });
        let before = |now: &str| names.name(now);
        assert_eq!(before("public.c").as_deref(), Some("public.b"));
        assert_eq!(before("public.b.note").as_deref(), Some("public.a.note"));
        assert_eq!(before("p on public.b").as_deref(), Some("p on public.a"));
        assert_eq!(before("app.new"), None);
        assert_eq!(before("app.new.id"), None);
        assert_eq!(before("app.newer").as_deref(), Some("app.newer"));
    }
}
