//! D04: a DROP … CASCADE.

use crate::finding::Severity;
use crate::lint::declared_so_far;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::{Class, Object};

pub(crate) const RULE: Rule = Rule {
    code: "D04",
    name: "cascade",
    severity: Severity::Warn,
    required: false,
    why: "CASCADE also drops dependent views, foreign keys and functions that the migration does not name.",
    safe: "Drop the dependent objects by name first, and remove CASCADE",
    versions: "all",
    bad: "DROP VIEW totals CASCADE;",
    good: "DROP VIEW totals;",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let phrase = context.phrase();
    let elsewhere = matches!(
        context.class(),
        Class::Drop(Object::Schema | Object::Extension) | Class::DropOwned | Class::Truncate
    );
    let drops =
        phrase.is(0, "drop") || matches!(context.class(), Class::Alter(_)) && phrase.has(&["drop"]);
    let at = phrase.find(&["cascade"]).filter(|_| drops && !elsewhere)?;
    let from = if phrase.is(1, "materialized") || phrase.is(1, "foreign") {
        3
    } else {
        2
    };
    let (name, _) = declared_so_far::dropped(phrase, from).into_iter().next()?;
    context.exists_before(&name).then(|| {
        Hit::new(
            &name,
            format!("CASCADE on `{name}` also drops dependent objects that are not named here"),
        )
        .start(phrase.from(at).start())
    })
}
