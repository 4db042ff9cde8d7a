//! Knows what a file does to the session that runs it: what a continued run can set again, what an interruption loses,
//! and what would take the migration lock or the right to record from the run.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::plan::session_effects::{SessionWords, literals, sets_locally, speaks_of};
use crate::plan::unit::Outline;
use crate::sql::class::Class;
use crate::sql::name::Literal;
use crate::sql::safe::Sql;
use crate::sql::token::TokenKind;

/// Finds within the functions of a database what they set for the rest of the session under a name of their own.
const CUSTOM_SETTING: &str = r"(?:\mset_config\s*\(\s*'+|\mset\s+(?:session\s+)?)((?:[a-z_][\w$]*\.)+[a-z_][\w$]*)(?:'+(?:(?!set_config)[^;])*?,\s*(?:is_local\s*=>\s*)?'*f(?:alse)?'*\s*\)|\s*=|\s+to\M)";

/// Returns the expression that describes what the session holds beyond its beginning, as text.
///
/// Within a transaction a local setting cannot be told from one of the session. `all` is false where the text says that
/// there may be one; then settings are left out. `custom` names the settings of the file's own: only hashes of their values
/// are kept, because they may be secrets and the description stays in the journal.
pub(super) fn description(all: bool, custom: &BTreeSet<String>) -> Sql {
    let settings = if all {
        let names = custom
            .iter()
            .map(|name| Sql::fill("{}", &[&Literal::new(name)]));
        Sql::fill(
            "(SELECT pg_catalog.jsonb_object_agg(s.name, CASE WHEN pg_catalog.strpos(s.name, '.') OPERATOR(pg_catalog.=) 0 THEN s.setting \
             ELSE pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(s.setting, 'UTF8')), 'hex') END) FROM pg_catalog.pg_settings AS s \
             WHERE s.source OPERATOR(pg_catalog.=) 'session' AND NOT pg_catalog.starts_with(s.name, 'transaction_') AND NOT s.name OPERATOR(pg_catalog.=) ANY (ARRAY['application_name', \
             'client_connection_check_interval', 'idle_in_transaction_session_timeout', 'idle_session_timeout', 'lock_timeout', \
             'statement_timeout'])), 'role', CURRENT_USER, 'custom', (SELECT pg_catalog.jsonb_object_agg(n.name, \
             pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.current_setting(n.name, true), 'UTF8')), 'hex')) \
             FROM (SELECT pg_catalog.unnest(ARRAY[{}]::pg_catalog.text[]) AS name UNION SELECT pg_catalog.lower(m.found[1]) FROM pg_catalog.pg_proc AS p \
             CROSS JOIN LATERAL pg_catalog.regexp_matches(CASE WHEN p.prosrc OPERATOR(pg_catalog.=) '' THEN pg_catalog.pg_get_functiondef(p.oid) ELSE p.prosrc END, {}, 'gi') AS m (found) \
             WHERE p.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid AND p.prokind OPERATOR(pg_catalog.<>) 'a') AS n \
             WHERE pg_catalog.current_setting(n.name, true) OPERATOR(pg_catalog.<>) '')",
            &[&Sql::join(names, ", "), &Literal::new(CUSTOM_SETTING)],
        )
    } else {
        Sql::new("'unknown'")
    };
    Sql::fill(
        "pg_catalog.jsonb_build_object('session', pg_catalog.jsonb_build_object('settings', {}, 'temporary', (SELECT pg_catalog.jsonb_agg(c.relname ORDER BY c.relname) \
         FROM pg_catalog.pg_class AS c WHERE c.relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema() \
         AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,v,m,S,f,p}'::pg_catalog.\"char\"[])), \
         'functions', (SELECT pg_catalog.jsonb_agg(p.proname ORDER BY p.proname) FROM pg_catalog.pg_proc AS p \
         WHERE p.pronamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()), \
         'types', (SELECT pg_catalog.jsonb_agg(t.typname ORDER BY t.typname) FROM pg_catalog.pg_type AS t LEFT JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) t.typrelid \
         WHERE t.typnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema() AND (t.typtype OPERATOR(pg_catalog.=) ANY ('{d,e,r}'::pg_catalog.\"char\"[]) OR c.relkind OPERATOR(pg_catalog.=) 'c')), \
         'prepared', (SELECT pg_catalog.jsonb_agg(p.name ORDER BY p.name) FROM pg_catalog.pg_prepared_statements AS p WHERE p.from_sql), \
         'cursors', (SELECT pg_catalog.jsonb_agg(u.name ORDER BY u.name) FROM pg_catalog.pg_cursors AS u WHERE u.is_holdable)))::pg_catalog.text",
        &[&settings],
    )
}

/// The state of a session, as described by [`description`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SessionState {
    settings: Option<serde_json::Map<String, serde_json::Value>>,
    held: Vec<(&'static str, String)>,
}

impl SessionState {
    /// Reads a description; none where the text is something else, such as a person's words.
    pub(super) fn read(text: &str) -> Option<SessionState> {
        let value: serde_json::Value = serde_json::from_str(text).ok()?;
        let session = value.get("session")?;
        let mut held = Vec::new();
        for (kind, what) in [
            ("temporary", TEMPORARY_TABLE),
            ("functions", "temporary function"),
            ("types", "temporary type"),
            ("prepared", "prepared statement"),
            ("cursors", "cursor"),
        ] {
            let names = session.get(kind).and_then(serde_json::Value::as_array);
            let names = names.into_iter().flatten();
            held.extend(names.filter_map(|name| Some((what, name.as_str()?.to_owned()))));
        }
        let known = session.get("settings") != Some(&serde_json::json!("unknown"));
        let settings = known.then(|| {
            let mut settings = session
                .get("settings")
                .and_then(serde_json::Value::as_object)
                .cloned()
                .unwrap_or_default();
            settings.extend(
                session
                    .get("role")
                    .map(|it| ("role".to_owned(), it.clone())),
            );
            let custom = session.get("custom").and_then(serde_json::Value::as_object);
            settings.extend(custom.cloned().unwrap_or_default());
            settings
        });
        Some(SessionState { settings, held })
    }

    /// Returns what of this session a new one lacks that has repeated the settings, and that the rest of the text needs.
    pub(super) fn missing_in(
        &self,
        now: &SessionState,
        rest: &RemainingStatements<'_>,
    ) -> Option<String> {
        let held = self.held.iter().find(|(_, name)| rest.needs(name));
        if let Some((what, name)) = held {
            return Some(format!("the {what} `{name}` no longer exists"));
        }
        if let (Some((what, name)), true) = (self.temporary().next(), rest.builds_statements()) {
            return Some(format!(
                "the {what} `{name}` no longer exists, and dynamic SQL may use it"
            ));
        }
        let (Some(before), Some(now)) = (&self.settings, &now.settings) else {
            return None;
        };
        let names = before.keys().chain(now.keys());
        let changed = names
            .into_iter()
            .find(|name| before.get(*name) != now.get(*name))?;
        if changed.contains('.') {
            return Some(format!(
                "the setting `{changed}` has lost the value set by the file"
            ));
        }
        let shown = |value: Option<&serde_json::Value>| match value {
            Some(serde_json::Value::String(text)) => format!("`{text}`"),
            _ => "the default".to_owned(),
        };
        Some(format!(
            "`{changed}` was {} and is now {}",
            shown(before.get(changed)),
            shown(now.get(changed))
        ))
    }
}

const TEMPORARY_TABLE: &str = "temporary table";

impl SessionState {
    fn temporary(&self) -> impl Iterator<Item = &(&'static str, String)> {
        let mut held = self.held.iter();
        std::iter::from_fn(move || held.find(|(what, _)| *what == TEMPORARY_TABLE))
    }

    /// Returns the temporary tables that the rest of a text does not name, but that what it calls may use.
    pub(super) fn unnamed(&self, rest: &RemainingStatements<'_>) -> Vec<&str> {
        let names = self.temporary().map(|(_, name)| name.as_str());
        let text = rest.all();
        names.filter(|name| !speaks_of(text, name)).collect()
    }
}

/// The statements of a text that have not run yet.
pub(super) struct RemainingStatements<'a> {
    pub(super) text: &'a str,
    pub(super) outline: &'a Outline,
    pub(super) statements: Range<usize>,
}

impl RemainingStatements<'_> {
    /// Whether a name is used before it is made again.
    fn needs(&self, name: &str) -> bool {
        for index in self.statements.clone() {
            let text = &self.text[self.outline.statements[index].clone()];
            if speaks_of(text, name) {
                let words = SessionWords::new(text);
                let makes = words.makes(name);
                return !makes || words.has("if");
            }
        }
        false
    }

    /// Returns the text from the first of the statements on.
    pub(super) fn all(&self) -> &str {
        let first = self.outline.statements.get(self.statements.start);
        first.map_or("", |first| &self.text[first.start..])
    }

    /// Whether a block builds a statement out of parts, whose names cannot be seen.
    fn builds_statements(&self) -> bool {
        self.statements.clone().any(|index| {
            let text = &self.text[self.outline.statements[index].clone()];
            let class = crate::sql::classify::class(text);
            class == Class::Do
                && literals(text).iter().any(|body| {
                    let words = SessionWords::new(body);
                    words.tokens.windows(3).any(|three| {
                        let is_whole =
                            matches!(three[1].kind, TokenKind::Text | TokenKind::DollarText)
                                && (three[2].kind == TokenKind::Semicolon
                                    || three[2].is_word(body, "using")
                                    || three[2].is_word(body, "into"));
                        three[0].is_word(body, "execute") && !is_whole
                    })
                })
        })
    }
}

/// Stores the session state after the statements of a unit; read with [`REMEMBERED`].
pub(super) fn remember(text: &str, outline: &Outline, statements: Range<usize>) -> Sql {
    let local = statements.into_iter().any(|index| {
        let text = &text[outline.statements[index].clone()];
        sets_locally(crate::sql::classify::class(text), text)
    });
    Sql::fill(
        "SELECT pg_catalog.set_config('af_db.session', {}, true)",
        &[&description(!local, &outline.custom)],
    )
}

/// The expression that gives what [`remember`] kept for the rest of the transaction.
pub(super) const REMEMBERED: &str = "pg_catalog.current_setting('af_db.session')";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::unit;

    #[test]
    fn state_missing_in_a_new_session_is_reported() {
        let read = |text: &str| SessionState::read(text).expect("a description");
        let before = read(
            r#"{"session": {"settings": {"search_path": "app"}, "role": "me", "temporary": ["tmp"], "prepared": null, "cursors": null}}"#,
        );
        let now = read(r#"{"session": {"settings": {"search_path": "app"}, "role": "me"}}"#);
        let other = read(r#"{"session": {"settings": null, "role": "me"}}"#);
        let check = |now: &SessionState, text: &str, expected: Option<&str>| {
            let outline = unit::outline(text);
            let rest = RemainingStatements {
                text,
                outline: &outline,
                statements: 0..outline.statements.len(),
            };
            assert_eq!(before.missing_in(now, &rest).as_deref(), expected, "{text}");
        };
        check(&now, "SELECT 1", None);
        check(&now, "SELECT * FROM tmpx", None);
        check(
            &now,
            "CREATE TEMP TABLE tmp (a int); SELECT * FROM tmp",
            None,
        );
        check(
            &now,
            "INSERT INTO t SELECT * FROM Tmp",
            Some("the temporary table `tmp` no longer exists"),
        );
        check(
            &other,
            "SELECT 1",
            Some("`search_path` was `app` and is now the default"),
        );
        assert_eq!(
            SessionState::read("statement 2 of migration 1 is said to be done"),
            None
        );
    }
}
