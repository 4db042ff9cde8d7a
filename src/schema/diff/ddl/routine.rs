//! Writes routines and related objects: operators, operator classes, casts, languages, collations, text search.

use super::names::{name, raw, text};
use crate::catalog::{Key, Kind, Object, Text};
use crate::sql::name::{Ident, Literal};
use crate::sql::safe::{Sql, SqlPart};

pub(super) fn make(key: &Key, after: &Object) -> Vec<Sql> {
    let words = |list: &[Text]| Sql::join(list.iter().map(|item| raw(item)), ", ");
    match key.kind {
        Kind::Function | Kind::Procedure => {
            vec![raw(after.text("definition").unwrap_or_default().trim_end())]
        }
        Kind::Aggregate => vec![aggregate(key, after)],
        Kind::Operator => vec![operator(key, after)],
        Kind::OperatorFamily => {
            let mut sql = vec![Sql::fill("CREATE OPERATOR FAMILY {}", &[&name(key)])];
            if !after.list("members").is_empty() {
                sql.push(Sql::fill(
                    "ALTER OPERATOR FAMILY {} ADD {}",
                    &[&name(key), &words(after.list("members"))],
                ));
            }
            sql
        }
        Kind::OperatorClass => vec![operator_class(key, after)],
        Kind::Cast => {
            let context = after
                .text("context")
                .map(|context| Sql::fill(" AS {}", &[&raw(context)]))
                .unwrap_or_default();
            vec![Sql::fill(
                "CREATE CAST {} {}{}",
                &[&name(key), &text(after, "method"), &context],
            )]
        }
        Kind::Transform => {
            let mut parts = Vec::new();
            if let Some(function) = after.text("from_sql") {
                parts.push(Sql::fill("FROM SQL WITH FUNCTION {}", &[&raw(function)]));
            }
            if let Some(function) = after.text("to_sql") {
                parts.push(Sql::fill("TO SQL WITH FUNCTION {}", &[&raw(function)]));
            }
            vec![Sql::fill(
                "CREATE TRANSFORM {} ({})",
                &[&name(key), &Sql::join(parts, ", ")],
            )]
        }
        Kind::Language => vec![language(key, after)],
        Kind::AccessMethod => vec![Sql::fill(
            "CREATE ACCESS METHOD {} TYPE {} HANDLER {}",
            &[&name(key), &text(after, "type"), &text(after, "handler")],
        )],
        Kind::Collation => vec![collation(key, after)],
        Kind::Conversion => {
            let default = Sql::new(if after.has("default") { "DEFAULT " } else { "" });
            let source = Literal::new(after.text("source").unwrap_or_default());
            let target = Literal::new(after.text("target").unwrap_or_default());
            let pieces: [&dyn SqlPart; 5] = [
                &default,
                &name(key),
                &source,
                &target,
                &text(after, "function"),
            ];
            vec![Sql::fill(
                "CREATE {}CONVERSION {} FOR {} TO {} FROM {}",
                &pieces,
            )]
        }
        _ => text_search(key, after),
    }
}

pub(super) fn alter(
    key: &Key,
    before: &Object,
    after: &Object,
    changed: &[&str],
) -> Option<Vec<Sql>> {
    match key.kind {
        Kind::Function | Kind::Procedure => {
            // Argument names, argument defaults and the return type cannot be replaced.
            let fixed = changed
                .iter()
                .any(|fact| matches!(*fact, "arguments" | "returns" | "window"));
            (!fixed).then(|| make(key, after))
        }
        Kind::OperatorFamily => {
            let mut sql = Vec::new();
            let (old, new) = (before.list("members"), after.list("members"));
            if old.iter().any(|member| !new.contains(member)) {
                return None;
            }
            let added: Vec<Sql> = new
                .iter()
                .filter(|member| !old.contains(member))
                .map(|member| raw(member))
                .collect();
            sql.push(Sql::fill(
                "ALTER OPERATOR FAMILY {} ADD {}",
                &[&name(key), &Sql::join(added, ", ")],
            ));
            Some(sql)
        }
        Kind::TextSearchConfiguration if changed == ["mappings"] => {
            let mut sql = Vec::new();
            for mapping in before.list("mappings") {
                let token = mapping.split(" WITH ").next().unwrap_or_default();
                sql.push(Sql::fill(
                    "ALTER TEXT SEARCH CONFIGURATION {} DROP MAPPING FOR {}",
                    &[&name(key), &raw(token)],
                ));
            }
            sql.extend(mappings(key, after));
            Some(sql)
        }
        _ => None,
    }
}

fn aggregate(key: &Key, after: &Object) -> Sql {
    let mut parts = Vec::new();
    for (fact, template) in [
        ("sfunc", "SFUNC = {}"),
        ("stype", "STYPE = {}"),
        ("sspace", "SSPACE = {}"),
        ("finalfunc", "FINALFUNC = {}"),
        ("finalfunc_modify", "FINALFUNC_MODIFY = {}"),
        ("combinefunc", "COMBINEFUNC = {}"),
        ("serialfunc", "SERIALFUNC = {}"),
        ("deserialfunc", "DESERIALFUNC = {}"),
        ("msfunc", "MSFUNC = {}"),
        ("minvfunc", "MINVFUNC = {}"),
        ("mstype", "MSTYPE = {}"),
        ("msspace", "MSSPACE = {}"),
        ("mfinalfunc", "MFINALFUNC = {}"),
        ("mfinalfunc_modify", "MFINALFUNC_MODIFY = {}"),
        ("sortop", "SORTOP = {}"),
        ("parallel", "PARALLEL = {}"),
    ] {
        if let Some(value) = after.text(fact) {
            parts.push(Sql::fill(template, &[&raw(value)]));
        }
    }
    for (fact, word) in [
        ("finalfunc_extra", "FINALFUNC_EXTRA"),
        ("mfinalfunc_extra", "MFINALFUNC_EXTRA"),
        ("hypothetical", "HYPOTHETICAL"),
    ] {
        if after.has(fact) {
            parts.push(Sql::new(word));
        }
    }
    for (fact, template) in [
        ("initcond", "INITCOND = {}"),
        ("minitcond", "MINITCOND = {}"),
    ] {
        if let Some(value) = after.text(fact) {
            parts.push(Sql::fill(template, &[&Literal::new(value)]));
        }
    }
    Sql::fill(
        "CREATE AGGREGATE {} (\n    {}\n)",
        &[&name(key), &Sql::join(parts, ",\n    ")],
    )
}

fn operator(key: &Key, after: &Object) -> Sql {
    let symbol = Sql::fill(
        "{}.{}",
        &[&Ident::new(&*key.schema), &text(after, "symbol")],
    );
    let mut parts = Vec::new();
    for (fact, template) in [
        ("function", "FUNCTION = {}"),
        ("left", "LEFTARG = {}"),
        ("right", "RIGHTARG = {}"),
        ("commutator", "COMMUTATOR = {}"),
        ("negator", "NEGATOR = {}"),
        ("restrict", "RESTRICT = {}"),
        ("join", "JOIN = {}"),
    ] {
        if let Some(value) = after.text(fact) {
            parts.push(Sql::fill(template, &[&raw(value)]));
        }
    }
    for (fact, word) in [("hashes", "HASHES"), ("merges", "MERGES")] {
        if after.has(fact) {
            parts.push(Sql::new(word));
        }
    }
    Sql::fill(
        "CREATE OPERATOR {} ({})",
        &[&symbol, &Sql::join(parts, ", ")],
    )
}

fn operator_class(key: &Key, after: &Object) -> Sql {
    let (class, method) = key.name.rsplit_once(" USING ").unwrap_or((&key.name, ""));
    let default = Sql::new(if after.has("default") { "DEFAULT " } else { "" });
    let mut members: Vec<Sql> = after.list("members").iter().map(|item| raw(item)).collect();
    if let Some(storage) = after.text("storage") {
        members.push(Sql::fill("STORAGE {}", &[&raw(storage)]));
    }
    if members.is_empty() {
        // The grammar needs at least one member; the storage type is always valid.
        members.push(Sql::fill("STORAGE {}", &[&text(after, "for_type")]));
    }
    let pieces: [&dyn SqlPart; 7] = [
        &Ident::new(&*key.schema),
        &raw(class),
        &default,
        &text(after, "for_type"),
        &raw(method),
        &text(after, "family"),
        &Sql::join(members, ",\n    "),
    ];
    Sql::fill(
        "CREATE OPERATOR CLASS {}.{} {}FOR TYPE {} USING {} FAMILY {} AS\n    {}",
        &pieces,
    )
}

fn language(key: &Key, after: &Object) -> Sql {
    let mut sql = Sql::new(if after.has("trusted") {
        "CREATE TRUSTED LANGUAGE "
    } else {
        "CREATE LANGUAGE "
    });
    sql.piece(&name(key));
    for (fact, word) in [
        ("handler", " HANDLER "),
        ("inline", " INLINE "),
        ("validator", " VALIDATOR "),
    ] {
        if let Some(function) = after.text(fact) {
            sql.push(word).piece(&raw(function));
        }
    }
    sql
}

fn collation(key: &Key, after: &Object) -> Sql {
    let mut parts = vec![Sql::fill("provider = {}", &[&text(after, "provider")])];
    let (collate, ctype) = (after.text("lc_collate"), after.text("lc_ctype"));
    for (fact, template, value) in [
        ("locale", "locale = {}", after.text("locale")),
        (
            "locale",
            "locale = {}",
            collate.filter(|_| collate == ctype),
        ),
        (
            "lc_collate",
            "lc_collate = {}",
            collate.filter(|_| collate != ctype),
        ),
        (
            "lc_ctype",
            "lc_ctype = {}",
            ctype.filter(|_| collate != ctype),
        ),
        ("rules", "rules = {}", after.text("rules")),
    ] {
        let _ = fact;
        if let Some(value) = value {
            parts.push(Sql::fill(template, &[&Literal::new(value)]));
        }
    }
    if after.has("not_deterministic") {
        parts.push(Sql::new("deterministic = false"));
    }
    Sql::fill(
        "CREATE COLLATION {} ({})",
        &[&name(key), &Sql::join(parts, ", ")],
    )
}

fn text_search(key: &Key, after: &Object) -> Vec<Sql> {
    let template = match key.kind {
        Kind::TextSearchParser => "CREATE TEXT SEARCH PARSER {} ({})",
        Kind::TextSearchTemplate => "CREATE TEXT SEARCH TEMPLATE {} ({})",
        Kind::TextSearchDictionary => "CREATE TEXT SEARCH DICTIONARY {} ({})",
        Kind::TextSearchConfiguration => "CREATE TEXT SEARCH CONFIGURATION {} ({})",
        _ => return Vec::new(),
    };
    let parts = Sql::join(after.list("parts").iter().map(|part| raw(part)), ", ");
    let mut sql = vec![Sql::fill(template, &[&name(key), &parts])];
    sql.extend(mappings(key, after));
    sql
}

fn mappings(key: &Key, after: &Object) -> Vec<Sql> {
    after
        .list("mappings")
        .iter()
        .map(|mapping| {
            Sql::fill(
                "ALTER TEXT SEARCH CONFIGURATION {} ADD MAPPING FOR {}",
                &[&name(key), &raw(mapping)],
            )
        })
        .collect()
}
