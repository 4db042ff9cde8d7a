//! Writes schemas, extensions, foreign servers, publications, subscriptions, roles and settings.

use super::names::{name, raw, text};
use super::options::{foreign_option_changes, options};
use super::ownership_and_grants;
use super::setting::{database, role_rest, role_words};
use crate::catalog::acl::Acl;
use crate::catalog::{Key, Kind, Object, Text};
use crate::diff::plan::Plan;
use crate::sql::name::{Ident, Literal};
use crate::sql::safe::{Sql, SqlPart};

pub(super) fn make(key: &Key, after: &Object) -> Vec<Sql> {
    match key.kind {
        Kind::Schema => vec![Sql::fill("CREATE SCHEMA {}", &[&name(key)])],
        Kind::Extension => vec![Sql::fill(
            "CREATE EXTENSION {} SCHEMA {} VERSION {}",
            &[
                &name(key),
                &Ident::new(after.text("in_schema").unwrap_or_default()),
                &Literal::new(after.text("version").unwrap_or_default()),
            ],
        )],
        Kind::ForeignDataWrapper => vec![wrapper(key, after)],
        Kind::Server => vec![server(key, after)],
        Kind::UserMapping => vec![Sql::fill(
            "CREATE USER MAPPING FOR {} SERVER {}{}",
            &[
                &raw(&key.part),
                &name(key),
                &options(&known(after.list("server_options"))),
            ],
        )],
        Kind::Publication => vec![publication(key, after)],
        Kind::Subscription => subscription(key, after),
        Kind::EventTrigger => event_trigger(key, after),
        Kind::Role => {
            let mut sql = vec![Sql::fill(
                "CREATE ROLE {}{}",
                &[&name(key), &role_words(after)],
            )];
            sql.extend(role_rest(key, &Object::default(), after));
            sql
        }
        _ => Vec::new(),
    }
}

pub(super) fn drop(plan: &Plan<'_>, key: &Key) -> Vec<Sql> {
    let Some(before) = plan.from.get(key) else {
        return Vec::new();
    };
    match key.kind {
        Kind::UserMapping => vec![Sql::fill(
            "DROP USER MAPPING FOR {} SERVER {}",
            &[&raw(&key.part), &name(key)],
        )],
        Kind::Subscription => vec![
            Sql::fill("ALTER SUBSCRIPTION {} DISABLE", &[&name(key)]),
            // The slot may be on a server that cannot be reached, and must not be dropped here.
            Sql::fill(
                "ALTER SUBSCRIPTION {} SET (slot_name = NONE)",
                &[&name(key)],
            ),
            Sql::fill("DROP SUBSCRIPTION {}", &[&name(key)]),
        ],
        Kind::DefaultPrivileges | Kind::Parameter => {
            let acl = before.acl.clone().unwrap_or_default();
            ownership_and_grants::privileges(
                plan,
                key,
                before,
                &acl,
                &ownership_and_grants::default_acl(plan, key),
            )
        }
        Kind::SystemGrant => system_grant(plan, key, before),
        _ => Vec::new(),
    }
}

pub(super) fn alter(plan: &Plan<'_>, key: &Key, changed: &[&str]) -> Option<Vec<Sql>> {
    let (before, after) = (plan.from.get(key)?, plan.to.get(key)?);
    match key.kind {
        Kind::Extension => (!goes_back(before, after)).then(|| extension(key, after, changed)),
        Kind::Database => Some(database(plan, before, after)),
        Kind::Role => {
            let mut sql = vec![Sql::fill(
                "ALTER ROLE {}{}",
                &[&name(key), &role_words(after)],
            )];
            sql.extend(role_rest(key, before, after));
            Some(sql)
        }
        Kind::ForeignDataWrapper => wrapper_change(key, before, after, changed),
        Kind::Server => server_change(key, before, after, changed),
        Kind::UserMapping => {
            let (old, new) = (before.list("server_options"), after.list("server_options"));
            let change = foreign_option_changes(&known(old), &known(new));
            Some(vec![Sql::fill(
                "ALTER USER MAPPING FOR {} SERVER {} OPTIONS ({})",
                &[&raw(&key.part), &name(key), &change],
            )])
        }
        Kind::Publication => publication_change(key, before, after, changed),
        Kind::EventTrigger => (changed == ["enabled"]).then(|| enable_event_trigger(key, after)),
        Kind::SystemGrant => Some(Vec::new()),
        _ => None,
    }
}

/// Leaves out options whose values are secrets and were not read.
fn known(items: &[Text]) -> Vec<Text> {
    items
        .iter()
        .filter(|item| !item.ends_with("=(not read)"))
        .cloned()
        .collect()
}

/// Returns whether an extension would have to be downgraded, for which there are no scripts.
fn goes_back(before: &Object, after: &Object) -> bool {
    let version = |object: &Object| -> Vec<u32> {
        let text = object.text("version").unwrap_or_default();
        text.split('.')
            .map(|part| part.parse().unwrap_or(0))
            .collect()
    };
    version(after) < version(before)
}

fn extension(key: &Key, after: &Object, changed: &[&str]) -> Vec<Sql> {
    let mut sql = Vec::new();
    if changed.contains(&"version") {
        sql.push(Sql::fill(
            "ALTER EXTENSION {} UPDATE TO {}",
            &[
                &name(key),
                &Literal::new(after.text("version").unwrap_or_default()),
            ],
        ));
    }
    if changed.contains(&"in_schema") {
        sql.push(Sql::fill(
            "ALTER EXTENSION {} SET SCHEMA {}",
            &[
                &name(key),
                &Ident::new(after.text("in_schema").unwrap_or_default()),
            ],
        ));
    }
    sql
}

fn wrapper(key: &Key, after: &Object) -> Sql {
    let mut sql = Sql::fill("CREATE FOREIGN DATA WRAPPER {}", &[&name(key)]);
    for (fact, word) in [("handler", " HANDLER "), ("validator", " VALIDATOR ")] {
        if let Some(function) = after.text(fact) {
            sql.push(word).piece(&raw(function));
        }
    }
    sql.piece(&options(after.list("server_options")));
    sql
}

fn wrapper_change(
    key: &Key,
    before: &Object,
    after: &Object,
    changed: &[&str],
) -> Option<Vec<Sql>> {
    let mut sql = Vec::new();
    for fact in changed {
        let value = after.text(fact).map(raw);
        sql.push(match (*fact, value) {
            ("handler", Some(function)) => Sql::fill(
                "ALTER FOREIGN DATA WRAPPER {} HANDLER {}",
                &[&name(key), &function],
            ),
            ("handler", None) => {
                Sql::fill("ALTER FOREIGN DATA WRAPPER {} NO HANDLER", &[&name(key)])
            }
            ("validator", Some(function)) => Sql::fill(
                "ALTER FOREIGN DATA WRAPPER {} VALIDATOR {}",
                &[&name(key), &function],
            ),
            ("validator", None) => {
                Sql::fill("ALTER FOREIGN DATA WRAPPER {} NO VALIDATOR", &[&name(key)])
            }
            ("server_options", _) => Sql::fill(
                "ALTER FOREIGN DATA WRAPPER {} OPTIONS ({})",
                &[
                    &name(key),
                    &foreign_option_changes(before.list(fact), after.list(fact)),
                ],
            ),
            _ => return None,
        });
    }
    Some(sql)
}

fn server(key: &Key, after: &Object) -> Sql {
    let mut sql = Sql::fill("CREATE SERVER {}", &[&name(key)]);
    if let Some(of) = after.text("type") {
        sql.push(" TYPE ").piece(&Literal::new(of));
    }
    if let Some(version) = after.text("version") {
        sql.push(" VERSION ").piece(&Literal::new(version));
    }
    sql.push(" FOREIGN DATA WRAPPER ")
        .piece(&Ident::new(after.text("wrapper").unwrap_or_default()))
        .piece(&options(after.list("server_options")));
    sql
}

fn server_change(key: &Key, before: &Object, after: &Object, changed: &[&str]) -> Option<Vec<Sql>> {
    let mut sql = Vec::new();
    for fact in changed {
        match *fact {
            "version" => sql.push(Sql::fill(
                "ALTER SERVER {} VERSION {}",
                &[&name(key), &Literal::new(after.text("version")?)],
            )),
            "server_options" => sql.push(Sql::fill(
                "ALTER SERVER {} OPTIONS ({})",
                &[
                    &name(key),
                    &foreign_option_changes(before.list(fact), after.list(fact)),
                ],
            )),
            _ => return None,
        }
    }
    Some(sql)
}

fn publication(key: &Key, after: &Object) -> Sql {
    let mut sql = Sql::fill("CREATE PUBLICATION {}", &[&name(key)]);
    if after.has("all_tables") {
        sql.push(" FOR ALL TABLES");
    } else {
        let members = members(after);
        if !members.is_empty() {
            sql.push(" FOR ").piece(&members);
        }
    }
    sql.push(" WITH (")
        .piece(&publication_settings(after))
        .push(")");
    sql
}

fn publication_settings(after: &Object) -> Sql {
    let mut sql = Sql::fill(
        "publish = {}",
        &[&Literal::new(after.text("publish").unwrap_or_default())],
    );
    sql.push(if after.has("via_root") {
        ", publish_via_partition_root = true"
    } else {
        ", publish_via_partition_root = false"
    });
    if let Some(columns) = after.text("generated_columns") {
        sql.push(", publish_generated_columns = ")
            .piece(&raw(columns));
    }
    sql
}

fn members(after: &Object) -> Sql {
    let mut parts = Vec::new();
    let tables = after.list("tables");
    if !tables.is_empty() {
        let list = Sql::join(tables.iter().map(|table| raw(table)), ", ");
        parts.push(Sql::fill("TABLE {}", &[&list]));
    }
    let schemas = after.list("schemas");
    if !schemas.is_empty() {
        let list = Sql::join(schemas.iter().map(|schema| raw(schema)), ", ");
        parts.push(Sql::fill("TABLES IN SCHEMA {}", &[&list]));
    }
    Sql::join(parts, ", ")
}

fn publication_change(
    key: &Key,
    before: &Object,
    after: &Object,
    changed: &[&str],
) -> Option<Vec<Sql>> {
    if changed.contains(&"all_tables") {
        return None;
    }
    let mut sql = Vec::new();
    if changed
        .iter()
        .any(|fact| matches!(*fact, "publish" | "via_root" | "generated_columns"))
    {
        sql.push(Sql::fill(
            "ALTER PUBLICATION {} SET ({})",
            &[&name(key), &publication_settings(after)],
        ));
    }
    if changed
        .iter()
        .any(|fact| matches!(*fact, "tables" | "schemas"))
    {
        let (old, new) = (members(before), members(after));
        if !old.is_empty() && new.is_empty() {
            return None;
        }
        sql.push(Sql::fill(
            "ALTER PUBLICATION {} SET {}",
            &[&name(key), &new],
        ));
    }
    Some(sql)
}

fn subscription(key: &Key, after: &Object) -> Vec<Sql> {
    let connection = after.text("connection").unwrap_or_default();
    let publications = Sql::join(
        after.list("publications").iter().map(|name| raw(name)),
        ", ",
    );
    let slot = after.text("slot_name").map_or_else(
        || Sql::new("NONE"),
        |slot| raw(&Literal::new(slot).to_string()),
    );
    let mut settings = vec![
        Sql::new("connect = false"),
        Sql::fill("slot_name = {}", &[&slot]),
    ];
    for (fact, template) in [
        ("synchronous_commit", "synchronous_commit = {}"),
        ("streaming", "streaming = {}"),
        ("origin", "origin = {}"),
        ("password_required", "password_required = {}"),
    ] {
        if let Some(value) = after.text(fact) {
            settings.push(Sql::fill(template, &[&Literal::new(value)]));
        }
    }
    for (fact, word) in [
        ("binary", "binary = true"),
        ("two_phase", "two_phase = true"),
        ("disable_on_error", "disable_on_error = true"),
        ("run_as_owner", "run_as_owner = true"),
        ("failover", "failover = true"),
    ] {
        if after.has(fact) {
            settings.push(Sql::new(word));
        }
    }
    let pieces: [&dyn SqlPart; 4] = [
        &name(key),
        &Literal::new(connection),
        &publications,
        &Sql::join(settings, ", "),
    ];
    vec![Sql::fill(
        "CREATE SUBSCRIPTION {} CONNECTION {} PUBLICATION {} WITH ({})",
        &pieces,
    )]
}

fn event_trigger(key: &Key, after: &Object) -> Vec<Sql> {
    let mut sql = Sql::fill(
        "CREATE EVENT TRIGGER {} ON {}",
        &[&name(key), &text(after, "event")],
    );
    let tags = after.list("tags");
    if !tags.is_empty() {
        let tags = Sql::join(tags.iter().map(|tag| Literal::new(&**tag)), ", ");
        sql.push(" WHEN TAG IN (").piece(&tags).push(")");
    }
    sql.push(" EXECUTE FUNCTION ")
        .piece(&text(after, "function"))
        .push("()");
    let mut all = vec![sql];
    if after.has("enabled") {
        all.extend(enable_event_trigger(key, after));
    }
    all
}

fn enable_event_trigger(key: &Key, after: &Object) -> Vec<Sql> {
    let state = raw(after.text("enabled").unwrap_or("ENABLE"));
    vec![Sql::fill(
        "ALTER EVENT TRIGGER {} {}",
        &[&name(key), &state],
    )]
}

/// Restores the initial privileges of a system object.
fn system_grant(plan: &Plan<'_>, key: &Key, before: &Object) -> Vec<Sql> {
    let first = before.text("first_owner");
    let owner = first.or(before.owner.as_deref()).unwrap_or_default();
    let items = before.list("standard").iter().map(|item| &**item);
    let standard = Acl::parse(items, owner);
    let acl = before.acl.clone().unwrap_or_default();
    let mut sql = ownership_and_grants::privileges(plan, key, before, &acl, &standard);
    sql.extend(first.and_then(|first| ownership_and_grants::given_away(plan, key, first)));
    sql
}
