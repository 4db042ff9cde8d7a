//! The code that steps can trigger on the target, and the tables that it may write.
//!
//! A shadow has no rows, so that no trigger for each row runs there, and no event triggers. What could run is found by
//! following names from the statements, including too much rather than too little. A plan contains its fingerprint.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio_postgres::Row;

use crate::pg::session::Session;
use crate::plan::Step;
use crate::plan::observe::StepObservation;
use crate::plan::session_effects::speaks_of;
use crate::sql::safe::Sql;
use crate::sql::token::{self, TokenKind};

/// The code that steps can trigger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Reach {
    /// Triggers, functions, rules and whatever else of the target runs when the steps do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub code: Vec<Code>,
    /// The tables whose rows that code may write.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
    /// Code whose effects cannot be read from its text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub opaque: Vec<String>,
}

/// A piece of code in the target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Code {
    /// What it is, such as `trigger`.
    pub kind: String,
    pub name: String,
    /// The table it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// The sha256 of its definition.
    pub sha256: String,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)?;
        match &self.on {
            Some(on) => write!(f, " on {on}"),
            None => Ok(()),
        }
    }
}

impl Reach {
    /// Returns the tables that may be written; nothing where that cannot be known.
    pub fn writes(&self) -> Option<BTreeSet<String>> {
        let tables = self.tables.iter().cloned();
        self.opaque.is_empty().then(|| tables.collect())
    }

    /// Whether every change of a definition sets something off.
    pub fn has_event_triggers(&self) -> bool {
        self.code.iter().any(|code| code.kind == "event trigger")
    }
}

/// Reads all code of a database.
async fn all(target: &Session) -> Result<TargetCode> {
    target
        .run(&Sql::new(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL search_path = ''",
        ))
        .await?;
    let rows = target.query(include_str!("queries/code.sql"), &[]).await;
    target.run(&Sql::new("ROLLBACK")).await?;
    TargetCode::parse(&rows?)
}

/// Finds a function that a text can trigger and that uses one of some temporary tables without making it: the table and
/// the function.
pub(crate) async fn uses(
    target: &Session,
    text: &str,
    tables: &[&str],
) -> Result<Option<(String, String)>> {
    let all = all(target).await?;
    let mut found = Traversal::new(&all);
    found.follow("the file itself", &mentions(text));
    found.settle();
    let items = found.items.iter().map(|at| &all.items[*at]);
    let mut functions = items.filter(|item| {
        let text = item.text.to_lowercase();
        item.code.kind == "function"
            && !text.contains("create temp")
            && !text.contains("local temp")
    });
    Ok(functions.find_map(|item| {
        let name = tables.iter().find(|name| speaks_of(&item.text, name))?;
        Some(((*name).to_owned(), item.code.to_string()))
    }))
}

/// Finds what steps can trigger.
pub async fn read(target: &Session, steps: &[Step], seen: &[StepObservation]) -> Result<Reach> {
    if steps.is_empty() {
        return Ok(Reach::default());
    }
    let all = all(target).await?;
    let mut found = Traversal::new(&all);
    for step in steps {
        found.follow("the plan itself", &mentions(&step.text));
    }
    found.touch(seen);
    found.settle();
    Ok(found.reach())
}

/// One row of code.sql.
struct CodeItem {
    code: Code,
    relation: Option<u32>,
    calls: Option<u32>,
    leads: Option<u32>,
    is_opaque: bool,
    text: String,
}

/// All code of the target.
#[derive(Default)]
struct TargetCode {
    items: Vec<CodeItem>,
    functions: HashMap<u32, usize>,
    functions_called: HashMap<String, Vec<usize>>,
    of_relation: HashMap<u32, Vec<usize>>,
    relations: BTreeMap<u32, String>,
    relations_called: HashMap<String, Vec<u32>>,
}

impl TargetCode {
    fn parse(rows: &[Row]) -> Result<TargetCode> {
        let mut all = TargetCode::default();
        for row in rows {
            let (kind, name): (&str, &str) = (row.try_get("kind")?, row.try_get("name")?);
            let bare = row.try_get::<_, &str>("bare")?.to_lowercase();
            let relation: Option<u32> = row.try_get("relation")?;
            if kind == "relation" {
                let relation = relation.unwrap_or_default();
                all.relations.insert(relation, name.to_owned());
                all.relations_called.entry(bare).or_default().push(relation);
                continue;
            }
            let at = all.items.len();
            let function: Option<u32> = row.try_get("function")?;
            if let Some(function) = function {
                all.functions.insert(function, at);
                all.functions_called.entry(bare).or_default().push(at);
            }
            if let Some(relation) = relation {
                all.of_relation.entry(relation).or_default().push(at);
            }
            let definition: Option<&str> = row.try_get("definition")?;
            let digest = Sha256::digest(definition.unwrap_or_default().as_bytes());
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            all.items.push(CodeItem {
                code: Code {
                    kind: kind.to_owned(),
                    name: name.to_owned(),
                    on: None,
                    sha256: hex,
                },
                relation,
                calls: row.try_get("calls")?,
                leads: row.try_get("leads")?,
                is_opaque: row.try_get("is_opaque")?,
                text: row
                    .try_get::<_, Option<String>>("text")?
                    .unwrap_or_default(),
            });
        }
        for item in &mut all.items {
            let relation = item.relation.and_then(|id| all.relations.get(&id));
            item.code.on = relation.cloned();
        }
        Ok(all)
    }
}

/// What was found so far.
struct Traversal<'a> {
    all: &'a TargetCode,
    items: BTreeSet<usize>,
    relations: BTreeSet<u32>,
    written: BTreeSet<u32>,
    opaque: BTreeSet<String>,
    /// What is still to be followed.
    open: (Vec<usize>, Vec<u32>),
}

impl<'a> Traversal<'a> {
    fn new(all: &'a TargetCode) -> Self {
        let anywhere = ["event trigger", "operator", "cast"];
        let open = all.items.iter().enumerate();
        let open = open.filter(|(_, item)| {
            let of_domain = item.code.kind == "constraint" && item.relation.is_none();
            of_domain || anywhere.contains(&item.code.kind.as_str())
        });
        Traversal {
            all,
            items: BTreeSet::new(),
            relations: BTreeSet::new(),
            written: BTreeSet::new(),
            opaque: BTreeSet::new(),
            open: (open.map(|(at, _)| at).collect(), Vec::new()),
        }
    }

    /// Takes what the steps were seen to lock and write.
    fn touch(&mut self, seen: &[StepObservation]) {
        let statements = seen.iter().flat_map(|step| &step.statements);
        let mut names = BTreeSet::new();
        for statement in statements {
            names.extend(statement.locks.iter().map(|it| it.relation.as_str()));
            names.extend(statement.rows.iter().map(|it| it.relation.as_str()));
        }
        let relations = self.all.relations.iter();
        let touched = relations.filter(|(_, name)| names.contains(name.as_str()));
        self.open.1.extend(touched.map(|(id, _)| *id));
    }

    /// Takes what a text speaks of.
    fn follow(&mut self, whose: &str, mentions: &Mentions) {
        if mentions.is_dynamic {
            self.opaque.insert(whose.to_owned());
        }
        for name in &mentions.called {
            let called = self.all.functions_called.get(name);
            self.open.0.extend(called.into_iter().flatten());
        }
        for name in &mentions.written {
            for relation in self.all.relations_called.get(name).into_iter().flatten() {
                self.written.insert(*relation);
                self.open.1.push(*relation);
            }
        }
    }

    /// Follows everything to its end.
    fn settle(&mut self) {
        loop {
            if let Some(relation) = self.open.1.pop() {
                if self.relations.insert(relation) {
                    let items = self.all.of_relation.get(&relation);
                    self.open.0.extend(items.into_iter().flatten());
                }
            } else if let Some(at) = self.open.0.pop() {
                if self.items.insert(at) {
                    self.item(&self.all.items[at]);
                }
            } else {
                return;
            }
        }
    }

    fn item(&mut self, item: &CodeItem) {
        if item.is_opaque {
            self.opaque.insert(item.code.to_string());
        }
        let called = item.calls.and_then(|calls| self.all.functions.get(&calls));
        self.open.0.extend(called);
        if let Some(relation) = item.leads {
            self.written.insert(relation);
            self.open.1.push(relation);
        }
        let mentions = mentions(&item.text);
        self.follow(&item.code.to_string(), &mentions);
    }

    fn reach(self) -> Reach {
        let items = self.items.iter().map(|at| &self.all.items[*at]);
        // A partition has no code of its own, and its name is reported with the locks.
        let told = items.filter(|item| item.code.kind != "partition");
        let mut code: Vec<Code> = told.map(|item| item.code.clone()).collect();
        code.sort();
        let written = self.written.iter();
        let mut tables: Vec<String> = written
            .filter_map(|id| self.all.relations.get(id).cloned())
            .collect();
        tables.sort();
        Reach {
            code,
            tables,
            opaque: self.opaque.into_iter().collect(),
        }
    }
}

/// What a text speaks of, by bare names in lower case.
#[derive(Debug, Default, PartialEq, Eq)]
struct Mentions {
    /// What may be a function: a name before a parenthesis, or behind words such as `EXECUTE FUNCTION`.
    called: BTreeSet<String>,
    /// What may be a table that is written.
    written: BTreeSet<String>,
    /// Whether it runs statements that it puts together itself.
    is_dynamic: bool,
}

/// The words behind which a table stands that is written, or a view that is read.
const BEFORE_TABLES: [&str; 9] = [
    "into", "update", "from", "truncate", "table", "only", "copy", "join", "using",
];

/// Reads what a text speaks of, in its quoted parts as well: they may be bodies of functions.
fn mentions(text: &str) -> Mentions {
    let mut mentions = Mentions::default();
    add_mentions(text, &mut mentions, 0);
    mentions
}

/// How deep bodies within bodies are read.
const DEEPEST: usize = 4;

fn add_mentions(text: &str, into: &mut Mentions, depth: usize) {
    let tokens: Vec<_> = token::code(text).collect();
    let word = |at: usize| {
        let token = tokens.get(at)?;
        let text = token.text(text);
        match token.kind {
            TokenKind::Word => Some(text.to_lowercase()),
            TokenKind::QuotedName => Some(text.trim_matches('"').to_lowercase()),
            _ => None,
        }
    };
    let is_dot = |at: usize| tokens.get(at).is_some_and(|it| it.text(text) == ".");
    for (at, token) in tokens.iter().enumerate() {
        if matches!(token.kind, TokenKind::Text | TokenKind::DollarText) && depth < DEEPEST {
            add_mentions(inside(token.text(text)), into, depth + 1);
            continue;
        }
        let Some(name) = word(at) else { continue };
        if tokens
            .get(at + 1)
            .is_some_and(|it| it.kind == TokenKind::Open)
        {
            into.called.insert(name.clone());
        }
        if token.kind != TokenKind::Word {
            continue;
        }
        // The last part of a name with a schema.
        let named = |mut at: usize| {
            while is_dot(at + 1) {
                at += 2;
            }
            word(at)
        };
        let next = word(at + 1);
        match name.as_str() {
            "execute" if depth > 0 => {
                let of_trigger = matches!(next.as_deref(), Some("function" | "procedure" | "on"));
                into.is_dynamic |= !of_trigger;
            }
            "function" | "procedure" | "routine" => into.called.extend(named(at + 1)),
            _ if BEFORE_TABLES.contains(&name.as_str()) => into.written.extend(named(at + 1)),
            _ => {}
        }
    }
}

/// Returns what stands between the quotes of a text.
fn inside(quoted: &str) -> &str {
    if let Some(tagged) = quoted.strip_prefix('$') {
        let tag = tagged.find('$').map_or(1, |end| end + 2);
        let rest = quoted.get(tag..).unwrap_or_default();
        return rest.get(..rest.len().saturating_sub(tag)).unwrap_or(rest);
    }
    let start = quoted.find('\'').map_or(0, |at| at + 1);
    quoted[start..].trim_end_matches('\'')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, called: &[&str], written: &[&str], is_dynamic: bool) {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let expected = Mentions {
            called: set(called),
            written: set(written),
            is_dynamic,
        };
        assert_eq!(mentions(text), expected, "{text}");
    }

    #[test]
    fn mentions_are_found_in_function_bodies() {
        check("UPDATE app.t SET a = app.f(b)", &["f"], &["t"], false);
        check("INSERT INTO \"Big\" DEFAULT VALUES", &[], &["big"], false);
        check(
            "DO $$ BEGIN DELETE FROM other; PERFORM g(); END $$",
            &["g"],
            &["other"],
            false,
        );
        check(
            "DO $$ BEGIN EXECUTE 'DELETE FROM t'; END $$",
            &[],
            &["t"],
            true,
        );
        check(
            "CREATE TRIGGER x AFTER INSERT ON t EXECUTE FUNCTION app.f()",
            &["f"],
            &[],
            false,
        );
        check("GRANT EXECUTE ON FUNCTION f() TO r", &["f"], &[], false);
    }
}
