//! X20: SQL that reaches out of its database.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::outward::{self, Reach};

/// Finds SQL that runs programs, reads or writes files of the server, or connects to other servers.
pub(crate) const RULE: Rule = Rule {
    code: "X20",
    name: "reaches-outside",
    severity: Severity::Warn,
    required: false,
    why: "Programs, files of the server and other servers are outside of the transaction: what was done there is not rolled back, and whoever can write a migration acts there with the rights of the server.",
    safe: "do it outside of the migration, where it is reviewed as what it is",
    versions: "all",
    bad: "COPY t FROM PROGRAM 'curl https://example.com/t.csv';",
    good: "COPY t FROM STDIN;",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let phrase = scene.phrase();
    let found = outward::find(phrase.text())?;
    let does = match found.reach {
        Reach::Programs => "runs programs or native code on the server's machine",
        Reach::Network => "connects to another server",
        Reach::Files => "reads or writes files of the server's machine",
    };
    let hit = Hit::new(&found.what, format!("`{}` {does}", found.what));
    Some(hit.start(phrase.start() + found.start))
}
