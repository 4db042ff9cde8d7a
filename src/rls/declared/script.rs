//! Plain SQL beside the YAML: `CREATE POLICY`, `ALTER TABLE … ROW LEVEL SECURITY`, `GRANT`.

use crate::catalog::{Catalog, Key, Kind};
use crate::declared::expand::ExpandedPolicies;
use crate::declared::name_lookup;
use crate::declared::policy_text::{self, Problem};
use crate::declared::{Declared, Script};
use crate::finding::{Finding, Location};
use crate::rights::Grant;
use crate::sql::phrase::{self, Phrase};
use crate::sql::split;

/// Adds what the scripts declare.
pub(crate) fn add(declared: &Declared, catalog: &Catalog, wanted: &mut ExpandedPolicies) {
    for script in &declared.scripts {
        for statement in split::statements(&script.text) {
            let place = Location::at(
                &script.name,
                statement.position.line,
                statement.position.column,
            );
            let tokens = phrase::read(statement.text);
            let phrase = Phrase::new(statement.text, &tokens);
            if let Err((message, hint)) = take(phrase, catalog, wanted, &place) {
                let mut finding = Finding::error("rls-declared", statement.verb(), message);
                finding.help = hint;
                wanted.findings.push(finding.place(place));
            }
        }
    }
}

/// Names the tables that the scripts speak of.
pub(crate) fn tables(script: &Script, catalog: &Catalog) -> Vec<Key> {
    let mut found = Vec::new();
    for statement in split::statements(&script.text) {
        let tokens = phrase::read(statement.text);
        let phrase = Phrase::new(statement.text, &tokens);
        let at = match (
            phrase.begins(&["create", "policy"]),
            phrase.begins(&["alter", "table"]),
        ) {
            (true, _) => phrase.find(&["on"]).map(|at| at + 1),
            (_, true) => Some(2),
            _ => None,
        };
        let key = at.and_then(|at| table(phrase, at, catalog).ok());
        found.extend(key.map(|(key, _)| key));
    }
    found
}

fn take(
    phrase: Phrase<'_>,
    catalog: &Catalog,
    wanted: &mut ExpandedPolicies,
    place: &Location,
) -> Result<(), Problem> {
    if phrase.begins(&["create", "policy"]) {
        let name = phrase.ident(2).unwrap_or_default();
        let (key, next) = table(phrase, 4, catalog)?;
        let mut policy = policy_text::clauses(&name, phrase.from(next))?;
        policy.place = Some(place.clone());
        let rows = wanted.rights.tables.entry(key).or_default();
        rows.policies.push(policy);
        return Ok(());
    }
    if phrase.begins(&["alter", "table"]) && phrase.has(&["row", "level", "security"]) {
        let at = phrase.skip(2, &["only"]);
        let (key, next) = table(phrase, at, catalog)?;
        let rows = wanted.rights.tables.entry(key).or_default();
        let rest = phrase.from(next);
        for part in rest.list() {
            match () {
                () if part.begins(&["enable"]) => rows.enabled = true,
                () if part.begins(&["disable"]) => rows.enabled = false,
                () if part.begins(&["force"]) => rows.forced = true,
                () if part.begins(&["no", "force"]) => rows.forced = false,
                () => {
                    return Err((
                        "only row-level security can be declared here".to_owned(),
                        None,
                    ));
                }
            }
        }
        return Ok(());
    }
    if phrase.begins(&["grant"]) {
        return grant(phrase, catalog, wanted);
    }
    if phrase.begins(&["comment", "on", "policy"]) {
        return Ok(());
    }
    let hint = "use CREATE POLICY, ALTER TABLE … ROW LEVEL SECURITY or GRANT; put other statements into a migration";
    Err((
        "the statement declares no policy".to_owned(),
        Some(hint.to_owned()),
    ))
}

fn table(phrase: Phrase<'_>, at: usize, catalog: &Catalog) -> Result<(Key, usize), Problem> {
    let Some((name, next)) = phrase.name(at) else {
        return Err(("the statement names no table".to_owned(), None));
    };
    let schema = if name.schema.is_empty() {
        "public"
    } else {
        &name.schema
    };
    let key = Key::named(Kind::Table, schema, &name.name);
    if catalog.objects.contains_key(&key) {
        return Ok((key, next));
    }
    let hint = name_lookup::near(catalog, &[Kind::Table], &name.name)
        .map(|near| format!("did you mean `{near}`?"));
    Err((format!("table {} does not exist", key.qualified()), hint))
}

fn grant(
    phrase: Phrase<'_>,
    catalog: &Catalog,
    wanted: &mut ExpandedPolicies,
) -> Result<(), Problem> {
    let (Some(on), Some(to)) = (phrase.find(&["on"]), phrase.find(&["to"])) else {
        return Err((
            "a role membership is not a table privilege".to_owned(),
            None,
        ));
    };
    let (kinds, from): (&[Kind], usize) = if phrase.is(on + 1, "function") {
        (&[Kind::Function, Kind::Procedure], on + 2)
    } else if phrase.is(on + 1, "schema") {
        (&[Kind::Schema], on + 2)
    } else if phrase.is(on + 1, "sequence") {
        (&[Kind::Sequence], on + 2)
    } else {
        (RELATIONS, phrase.skip(on + 1, &["table"]))
    };
    let mut keys = Vec::new();
    for object in phrase.range(from, to).list() {
        let pattern = object.text().replace('"', "");
        let found = name_lookup::matching(catalog, kinds, &pattern);
        if found.is_empty() {
            return Err((format!("no object matches `{pattern}`"), None));
        }
        keys.extend(found);
    }
    let end = phrase.find(&["with", "grant"]);
    let roles = phrase.range(to + 1, end.unwrap_or(phrase.len())).list();
    for privilege in phrase.range(1, on).list() {
        let line = crate::declared::allow_line::read(&privilege.text().to_lowercase())?;
        for (deed, key) in line
            .deeds
            .iter()
            .flat_map(|deed| keys.iter().map(move |key| (deed, key)))
        {
            let columns = match &deed.columns {
                crate::declared::allow_line::Columns::Only(names) => names.clone(),
                _ => vec![String::new()],
            };
            for column in columns {
                let on = if column.is_empty() {
                    key.clone()
                } else {
                    Key::part(Kind::Column, &key.schema, &key.name, &column)
                };
                for role in &roles {
                    let grantee = role.ident(0).unwrap_or_else(|| role.text().to_lowercase());
                    wanted.exact.insert(key.clone());
                    wanted
                        .rights
                        .grants
                        .extend(deed.privileges.chars().map(|privilege| Grant {
                            on: on.clone(),
                            grantee: grantee.clone(),
                            privilege,
                            grantable: end.is_some(),
                        }));
                }
            }
        }
    }
    Ok(())
}

/// Kinds that GRANT calls a table.
const RELATIONS: &[Kind] = &[
    Kind::Table,
    Kind::View,
    Kind::MaterializedView,
    Kind::ForeignTable,
];
