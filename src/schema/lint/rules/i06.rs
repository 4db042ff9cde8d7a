//! I06: a lock_timeout set before a CONCURRENTLY statement.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::Class;

/// Finds a lock_timeout set before a CONCURRENTLY statement.
pub(crate) const RULE: Rule = Rule {
    code: "I06",
    name: "concurrently-under-lock-timeout",
    severity: Severity::Warn,
    required: false,
    why: "A concurrent build waits for every older transaction; a lock_timeout cancels that wait and leaves an invalid index behind.",
    safe: "leave lock_timeout to af-db, which sets none for such a statement",
    versions: "all",
    bad: "SET lock_timeout = '2s'; CREATE INDEX CONCURRENTLY i ON t (a);",
    good: "CREATE INDEX CONCURRENTLY i ON t (a);",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let concurrent = matches!(
        scene.class(),
        Class::CreateIndex { concurrently: true } | Class::Reindex { concurrently: true }
    );
    if !concurrent {
        return None;
    }
    let setting = scene.script.around.lock_timeout_before(scene.index)?;
    let setting = &scene.script.lines[setting];
    let off = setting.class() == Class::Reset
        || setting
            .phrase()
            .at(setting.phrase().len() - 1)
            .trim_matches('\'')
            == "0";
    (!off).then(|| {
        Hit::new(
            scene.line().statement.verb(),
            "the lock_timeout set before cancels the wait for older transactions and leaves an invalid index",
        )
    })
}
