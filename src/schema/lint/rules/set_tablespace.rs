//! R13: a table or index moved to another tablespace.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::{Class, Object};

pub(crate) const RULE: Rule = Rule {
    code: "R13",
    name: "set-tablespace",
    severity: Severity::Warn,
    required: false,
    why: "The files are copied under an ACCESS EXCLUSIVE lock (blocks reads and writes).",
    safe: "Move the table with pg_repack, or recreate the index CONCURRENTLY in the new tablespace",
    versions: "all",
    bad: "ALTER TABLE orders SET TABLESPACE fast;",
    good: "CREATE TABLE orders (id int) TABLESPACE fast;",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let phrase = context.phrase();
    let moves = matches!(
        context.class(),
        Class::Alter(Object::Table | Object::Index | Object::MaterializedView)
    );
    let at = phrase.find(&["set", "tablespace"]).filter(|_| moves)?;
    let from = phrase.skip(2, &["if", "exists"]);
    let (name, _) = phrase.name(from)?;
    context.exists_before(&name).then(|| {
        Hit::new(
            &name,
            format!("Copies `{name}` to another tablespace under an ACCESS EXCLUSIVE lock (blocks reads and writes)"),
        )
        .start(phrase.from(at).start())
    })
}
