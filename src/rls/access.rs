//! Which rows of a table a role can access by each command under given rights, and which access is extra or missing.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::catalog::{Catalog, Key, Kind};
use crate::formula::Formula;
use crate::rights::{Command, Grant, PUBLIC, Policy, Roles, TableSecurity};

/// What a role does with rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RowAction {
    Select,
    Insert,
    /// The rows before an update, which USING decides on.
    Update,
    /// The rows after an update, which WITH CHECK decides on.
    Into,
    Delete,
}

impl RowAction {
    pub(crate) const ALL: [RowAction; 5] = [
        RowAction::Select,
        RowAction::Insert,
        RowAction::Update,
        RowAction::Into,
        RowAction::Delete,
    ];

    pub(crate) fn command(self) -> Command {
        match self {
            RowAction::Select => Command::Select,
            RowAction::Insert => Command::Insert,
            RowAction::Update | RowAction::Into => Command::Update,
            RowAction::Delete => Command::Delete,
        }
    }

    /// Returns the condition of a policy that decides on the action, if the policy applies to it.
    pub(crate) fn condition(self, policy: &Policy) -> Option<&str> {
        if !policy.command.each().contains(&self.command()) {
            return None;
        }
        match self {
            RowAction::Select | RowAction::Update | RowAction::Delete => policy.using.as_deref(),
            RowAction::Insert | RowAction::Into => {
                policy.check.as_deref().or(policy.using.as_deref())
            }
        }
    }
}

/// The row-level security and the grants of one table.
#[derive(Clone, Copy)]
pub(crate) struct TableAccess<'a> {
    pub(crate) rows: &'a TableSecurity,
    /// Grants on columns included.
    pub(crate) grants: &'a BTreeSet<Grant>,
}

pub(crate) struct AccessAnalysis<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) roles: &'a Roles,
    /// Parsed formulas by text: many policies have the same condition.
    pub(crate) read: RefCell<HashMap<String, Formula>>,
}

/// Access that a role has and should not have, or should have and does not have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AccessChange {
    pub(crate) role: String,
    /// Extra rather than missing.
    /// Extra rather than missing.
    pub(crate) is_extra: bool,
    pub(crate) action: RowAction,
    pub(crate) rows: String,
    /// Empty for all columns.
    pub(crate) columns: Vec<String>,
}

impl AccessChange {
    pub(crate) fn is_like(&self, other: &AccessChange) -> bool {
        (&self.role, self.is_extra, self.action) == (&other.role, other.is_extra, other.action)
    }
}

impl AccessAnalysis<'_> {
    /// Parses a condition, with sub-selects treated as if evaluated for each row.
    pub(crate) fn formula(&self, text: &str) -> Formula {
        if let Some(known) = self.read.borrow().get(text) {
            return known.clone();
        }
        let formula = Formula::read_bare(text);
        self.read
            .borrow_mut()
            .insert(text.to_owned(), formula.clone());
        formula
    }

    /// Returns the access that `after` gives beyond `before`, and the access it lacks.
    pub(crate) fn effects(
        &self,
        table: &Key,
        own: Option<&str>,
        before: TableAccess<'_>,
        after: TableAccess<'_>,
    ) -> Vec<AccessChange> {
        let owner = self
            .catalog
            .get(table)
            .and_then(|object| object.owner.as_deref());
        let mut roles: BTreeSet<&str> = BTreeSet::new();
        for access in [before, after] {
            roles.extend(access.grants.iter().map(|grant| grant.grantee.as_str()));
            let of_policies = access.rows.policies.iter().flat_map(|policy| &policy.roles);
            roles.extend(of_policies.map(String::as_str));
        }
        roles.extend(owner);
        let own = own.map(|own| self.formula(own));
        let words = RowDescriptions {
            tenants: own.is_some(),
            own,
        };
        let mut effects = Vec::new();
        for role in roles
            .into_iter()
            .filter(|role| !self.roles.is_superuser(role))
        {
            for action in RowAction::ALL {
                let is_owner = owner == Some(role);
                let old = self.reach(role, is_owner, action, before);
                let new = self.reach(role, is_owner, action, after);
                effects.extend(compare(&words, role, action, &old, &new));
            }
        }
        // The new rows of an update are reported only where they differ from the rows it can change.
        let updates: Vec<AccessChange> = effects
            .iter()
            .filter(|effect| effect.action == RowAction::Update)
            .cloned()
            .collect();
        effects.retain(|effect| {
            let same = |update: &AccessChange| {
                (&update.role, update.is_extra, &update.rows)
                    == (&effect.role, effect.is_extra, &effect.rows)
            };
            effect.action != RowAction::Into || !updates.iter().any(same)
        });
        effects
    }

    fn reach(
        &self,
        role: &str,
        is_owner: bool,
        action: RowAction,
        access: TableAccess<'_>,
    ) -> ReachedRows {
        let reached = self.roles.reach(role);
        let privilege = action.command().privilege();
        let held = access.grants.iter().filter(|grant| {
            grant.privilege == privilege && reached.contains(grant.grantee.as_str())
        });
        let mut columns = BTreeSet::new();
        let mut whole = is_owner;
        for grant in held {
            if grant.on.kind == Kind::Column {
                columns.insert(grant.on.part.to_string());
            } else {
                whole = true;
            }
        }
        if !whole && columns.is_empty() {
            return ReachedRows {
                rows: Formula::False,
                columns: None,
            };
        }
        ReachedRows {
            rows: self.rows(role, is_owner, action, access.rows),
            columns: (!whole).then_some(columns),
        }
    }

    fn rows(&self, role: &str, is_owner: bool, action: RowAction, rows: &TableSecurity) -> Formula {
        if !rows.enabled || is_owner && !rows.forced || self.roles.is_exempt(role) {
            return Formula::True;
        }
        let reached = self.roles.reach(role);
        let applies = |policy: &&Policy| {
            let mut roles = policy.roles.iter();
            roles.any(|role| reached.contains(role.as_str()))
        };
        let conditions = |restrictive: bool| {
            rows.policies
                .iter()
                .filter(move |policy| policy.restrictive == restrictive)
                .filter(applies)
                .filter_map(move |policy| action.condition(policy))
                .map(|text| self.formula(text))
                .collect::<Vec<_>>()
        };
        let mut all = vec![Formula::any(conditions(false))];
        all.extend(conditions(true));
        Formula::all(all)
    }
}

struct ReachedRows {
    rows: Formula,
    columns: Option<BTreeSet<String>>,
}

/// Describes rows for people.
struct RowDescriptions {
    tenants: bool,
    own: Option<Formula>,
}

fn compare(
    words: &RowDescriptions,
    role: &str,
    action: RowAction,
    old: &ReachedRows,
    new: &ReachedRows,
) -> Vec<AccessChange> {
    let mut effects = Vec::new();
    let effect = |is_extra: bool, rows: String, columns: Vec<String>| AccessChange {
        role: role.to_owned(),
        is_extra,
        action,
        rows,
        columns,
    };
    let listed = |reach: &ReachedRows| {
        let columns = reach.columns.iter().flatten().cloned();
        columns.collect::<Vec<_>>()
    };
    let gained = !new.rows.implies(&old.rows);
    let lost = !old.rows.implies(&new.rows);
    if gained {
        let rows = match &old.rows {
            Formula::False => words.say(&new.rows),
            _ => words.say(&not_covered(&new.rows, &old.rows)),
        };
        effects.push(effect(true, rows, listed(new)));
    }
    if lost {
        let rows = match &new.rows {
            Formula::False => words.say(&old.rows),
            _ if gained => words.say(&not_covered(&old.rows, &new.rows)),
            left => format!("all but {}", words.say(left)),
        };
        effects.push(effect(false, rows, listed(old)));
    }
    if gained || lost || old.rows == Formula::False {
        return effects;
    }
    let more = |wide: &ReachedRows, narrow: &ReachedRows| match (&wide.columns, &narrow.columns) {
        (None, Some(some)) => Some(format!(
            "all columns, not only {}",
            some.iter().cloned().collect::<Vec<_>>().join(", ")
        )),
        (Some(wide), Some(narrow)) => {
            let rest: Vec<String> = wide.difference(narrow).cloned().collect();
            (!rest.is_empty()).then(|| rest.join(", "))
        }
        _ => None,
    };
    for (is_extra, columns) in [(true, more(new, old)), (false, more(old, new))] {
        if let Some(columns) = columns {
            effects.push(effect(is_extra, words.say(&new.rows), vec![columns]));
        }
    }
    effects
}

/// Returns the alternatives of `wide` that `narrow` does not cover.
fn not_covered(wide: &Formula, narrow: &Formula) -> Formula {
    match wide {
        Formula::Or(parts) => {
            Formula::any(parts.iter().filter(|part| !part.implies(narrow)).cloned())
        }
        other => other.clone(),
    }
}

impl RowDescriptions {
    fn say(&self, rows: &Formula) -> String {
        if *rows == Formula::True {
            let words = if self.tenants {
                "rows of every tenant"
            } else {
                "every row"
            };
            return words.to_owned();
        }
        if self.own.as_ref().is_some_and(|own| own.is_same_as(rows)) {
            return "rows of its own tenant".to_owned();
        }
        format!("rows where {rows}")
    }
}

/// Returns the name of a role as SQL writes it.
pub(crate) fn shown_role(role: &str) -> &str {
    if role == PUBLIC { "PUBLIC" } else { role }
}

/// Writes the changes as sentences; changes that differ in the command alone become one.
pub(crate) fn sentences(effects: &[AccessChange], object: &str) -> String {
    #[derive(PartialEq, Eq, PartialOrd, Ord)]
    struct Sentence<'e> {
        role: &'e str,
        missing: bool,
        rows: &'e str,
        columns: &'e [String],
        new_rows: bool,
    }
    let mut grouped: BTreeMap<Sentence<'_>, Vec<&'static str>> = BTreeMap::new();
    for effect in effects {
        let sentence = Sentence {
            role: &effect.role,
            missing: !effect.is_extra,
            rows: &effect.rows,
            columns: &effect.columns,
            new_rows: effect.action == RowAction::Into,
        };
        let commands = grouped.entry(sentence).or_default();
        commands.push(effect.action.command().word());
    }
    let sentences: Vec<String> = grouped
        .into_iter()
        .map(|(sentence, commands)| {
            let Sentence { role, rows, .. } = sentence;
            let which = if sentence.missing { "Missing" } else { "Extra" };
            let commands = commands.join(", ");
            let columns = if sentence.columns.is_empty() {
                String::new()
            } else {
                format!(" ({})", sentence.columns.join(", "))
            };
            let role = shown_role(role);
            let into = if sentence.new_rows {
                "new values: "
            } else {
                ""
            };
            format!("{which} access for {role}: {commands}{columns} on {object}, {into}{rows}")
        })
        .collect();
    sentences.join(". ")
}
