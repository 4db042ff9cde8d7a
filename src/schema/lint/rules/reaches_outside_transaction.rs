//! X20: a statement that acts outside of the database.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::external_access::{self, ExternalAccess};

pub(crate) const RULE: Rule = Rule {
    code: "X20",
    name: "reaches-outside",
    severity: Severity::Warn,
    required: false,
    why: "Programs, server files and other servers are outside of the transaction: their effects are not rolled back, and anyone who can write a migration acts there with the server's privileges.",
    safe: "Do it outside of the migration, where it can be reviewed separately",
    versions: "all",
    bad: "COPY t FROM PROGRAM 'curl https://example.com/t.csv';",
    good: "COPY t FROM STDIN;",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let phrase = context.phrase();
    let found = external_access::find(phrase.text())?;
    let action = match found.reach {
        ExternalAccess::Programs => "runs programs or native code on the database server",
        ExternalAccess::Network => "connects to another server",
        ExternalAccess::Files => "reads or writes files on the database server",
    };
    let hit = Hit::new(&found.what, format!("`{}` {action}", found.what));
    Some(hit.start(phrase.start() + found.start))
}
