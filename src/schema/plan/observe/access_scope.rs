//! Which objects' privileges a statement may have changed, so that only those are read again.

use crate::sql::class::{Class, Object};
use crate::sql::name::Ident;
use crate::sql::phrase::{self, Phrase};

/// What the triggers on the shadow database have noticed.
#[derive(Default)]
pub(super) struct NoticedChanges {
    /// Functions that were made, changed or dropped.
    pub(super) functions: Vec<u32>,
    /// Tables that have lost policies.
    pub(super) tables: Vec<String>,
    /// Relations that are gone.
    pub(super) gone: Vec<u32>,
    /// Whether rights of anything else were changed.
    pub(super) unnamed: bool,
}

impl NoticedChanges {
    /// Whether nothing was noticed.
    pub(super) fn is_empty(&self) -> bool {
        let named = self.functions.is_empty() && self.tables.is_empty() && self.gone.is_empty();
        named && !self.unnamed
    }
}

/// Whose rights are to be read again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AccessScope {
    /// Relations, as the file names them.
    pub(super) relations: Subset<String>,
    pub(super) functions: Subset<u32>,
    /// Schemas, roles, and the rights of what will be made.
    pub(super) others: bool,
    /// Relations that are gone.
    pub(super) gone: Vec<u32>,
}

/// Some things of a kind, or all.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Subset<T> {
    All,
    These(Vec<T>),
}

impl<T> Subset<T> {
    fn is_empty(&self) -> bool {
        matches!(self, Subset::These(these) if these.is_empty())
    }
}

impl AccessScope {
    pub(super) fn nothing() -> AccessScope {
        AccessScope {
            relations: Subset::These(Vec::new()),
            functions: Subset::These(Vec::new()),
            others: false,
            gone: Vec::new(),
        }
    }

    /// Returns everything.
    pub(super) fn whole() -> AccessScope {
        AccessScope {
            relations: Subset::All,
            functions: Subset::All,
            others: true,
            gone: Vec::new(),
        }
    }

    /// Whether no privileges may have changed.
    pub(super) fn is_empty(&self) -> bool {
        self.is_silent() && self.gone.is_empty()
    }

    /// Whether what was read for another scope is all that is to be read for this one.
    pub(super) fn is_read_by(&self, other: &AccessScope) -> bool {
        (&self.relations, &self.functions, self.others)
            == (&other.relations, &other.functions, other.others)
    }

    /// Whether nothing needs to be read.
    pub(super) fn is_silent(&self) -> bool {
        self.relations.is_empty() && self.functions.is_empty() && !self.others
    }
}

/// Finds whose rights a statement may have changed, from its text and from what was noticed; everything, where neither
/// says it.
pub(super) fn scope(class: Class, text: &str, noticed: NoticedChanges) -> AccessScope {
    let mut scope = AccessScope {
        relations: Subset::These(noticed.tables),
        functions: Subset::These(noticed.functions),
        others: false,
        gone: noticed.gone,
    };
    let spoken_of = matches!(
        class,
        Class::Grant
            | Class::Revoke
            | Class::Create(Object::Policy | Object::View)
            | Class::Alter(Object::Policy | Object::View)
            | Class::Drop(Object::Policy)
    );
    if spoken_of {
        let tokens = phrase::read(text);
        let words = Phrase::new(text, &tokens);
        if named(class, words, &mut scope).is_none() {
            return AccessScope::whole();
        }
        return scope;
    }
    match class {
        // No trigger notices what is done to roles.
        Class::Create(Object::Role)
        | Class::Alter(Object::Role)
        | Class::Drop(Object::Role)
        | Class::AlterDefaultPrivileges => scope.others = true,
        Class::DropOwned | Class::ReassignOwned => return AccessScope::whole(),
        _ if noticed.unnamed => return AccessScope::whole(),
        Class::Do | Class::Call => scope.others = true,
        _ => {}
    }
    scope
}

/// Adds what a statement names; nothing where it is not understood.
fn named(class: Class, words: Phrase<'_>, scope: &mut AccessScope) -> Option<()> {
    let at = match class {
        Class::Grant | Class::Revoke => return granted(words, scope),
        Class::Create(Object::View) => {
            // A new one begins as all do.
            if !words.begins(&["create", "or", "replace"]) {
                return Some(());
            }
            words.find(&["view"])? + 1
        }
        Class::Alter(Object::View) => words.skip(2, &["if", "exists"]),
        _ => words.find(&["on"])? + 1,
    };
    let (name, _) = relation(words, at)?;
    add(scope, name);
    Some(())
}

fn add(scope: &mut AccessScope, name: String) {
    if let Subset::These(names) = &mut scope.relations {
        names.push(name);
    }
}

/// `GRANT … ON … TO …`, `REVOKE … ON … FROM …`
fn granted(words: Phrase<'_>, scope: &mut AccessScope) -> Option<()> {
    let Some(on) = words.find(&["on"]) else {
        // A role is granted.
        scope.others = true;
        return Some(());
    };
    let mut at = on + 1;
    let is_name = matches!(words.at(at + 1), "," | "." | "");
    if !is_name && !ends(words, at + 1) {
        let kind = words.at(at).to_ascii_lowercase();
        match kind.as_str() {
            "table" | "sequence" => at += 1,
            "schema" => {
                scope.others = true;
                return Some(());
            }
            "function" | "procedure" | "routine" => {
                scope.functions = Subset::All;
                return Some(());
            }
            "all" if words.is(at + 1, "tables") || words.is(at + 1, "sequences") => {
                scope.relations = Subset::All;
                return Some(());
            }
            _ => return None,
        }
    }
    loop {
        let (name, after) = relation(words, at)?;
        add(scope, name);
        if ends(words, after) {
            return Some(());
        }
        if words.at(after) != "," {
            return None;
        }
        at = after + 1;
    }
}

fn ends(words: Phrase<'_>, at: usize) -> bool {
    words.is(at, "to") || words.is(at, "from")
}

/// Reads the name of a relation as it is written, and gives the place after it.
fn relation(words: Phrase<'_>, at: usize) -> Option<(String, usize)> {
    let mut name = Ident::new(words.ident(at)?).to_string();
    let mut after = at + 1;
    while words.at(after) == "." {
        let part = Ident::new(words.ident(after + 1)?).to_string();
        name = format!("{name}.{part}");
        after += 2;
    }
    Some((name, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::classify;

    fn check(text: &str, expected: &str) {
        let noticed = NoticedChanges {
            unnamed: true,
            ..NoticedChanges::default()
        };
        let scope = scope(classify::class(text), text, noticed);
        let relations = match scope.relations {
            Subset::All => "all".to_owned(),
            Subset::These(names) => names.join(" "),
        };
        let functions = if scope.functions == Subset::All {
            " functions"
        } else {
            ""
        };
        let others = if scope.others { " others" } else { "" };
        assert_eq!(
            format!("{relations}{functions}{others}"),
            expected,
            "{text}"
        );
    }

    #[test]
    fn only_named_objects_are_read_again() {
        check("GRANT SELECT ON t TO app", "t");
        check(
            "GRANT SELECT (id, \"on\"), UPDATE (a) ON TABLE public.t, \"U\" TO app",
            "public.t \"U\"",
        );
        check("REVOKE GRANT OPTION FOR ALL ON a.b FROM x CASCADE", "a.b");
        check("GRANT USAGE ON SEQUENCE s TO app", "s");
        check("GRANT ALL ON table TO app", "\"table\"");
        check("GRANT USAGE ON SCHEMA app TO anon", " others");
        check("GRANT admin TO joe", " others");
        check("GRANT SELECT ON ALL TABLES IN SCHEMA app TO anon", "all");
        check("GRANT EXECUTE ON FUNCTION f(int) TO anon", " functions");
        check("CREATE POLICY p ON app.t FOR SELECT USING (true)", "app.t");
        check("ALTER POLICY p ON t TO app", "t");
        check("DROP POLICY IF EXISTS p ON t", "t");
        check(
            "ALTER VIEW IF EXISTS app.v SET (security_invoker = on)",
            "app.v",
        );
        check(
            "CREATE OR REPLACE VIEW v WITH (security_invoker) AS SELECT 1",
            "v",
        );
        check(
            "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO anon",
            " others",
        );
        check("CREATE ROLE app", " others");
    }

    #[test]
    fn unnamed_changes_read_everything_again() {
        check(
            "DO $$ BEGIN GRANT SELECT ON t TO app; END $$",
            "all functions others",
        );
        check(
            "ALTER SCHEMA app RENAME TO application",
            "all functions others",
        );
        check("DROP OWNED BY app", "all functions others");
        check(
            "GRANT ALL ON ALL ROUTINES IN SCHEMA app TO anon",
            "all functions others",
        );
    }
}
