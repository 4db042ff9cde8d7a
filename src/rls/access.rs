//! Owns what rights come to: which rows of a table a role reaches by each command, and who gains or loses by a change.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::catalog::{Catalog, Key, Kind};
use crate::formula::Formula;
use crate::rights::{Command, Grant, PUBLIC, Policy, Roles, TableSecurity};

/// A way to reach rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RowAction {
    /// Reading them.
    Select,
    /// Adding them.
    Insert,
    /// Changing them.
    Update,
    /// What they may be changed into.
    Into,
    /// Deleting them.
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

    /// Gives the condition of a policy that decides on it, where the policy is about it.
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

/// One table under some rights.
#[derive(Clone, Copy)]
pub(crate) struct TableAccess<'a> {
    /// What governs its rows.
    pub(crate) rows: &'a TableSecurity,
    /// The grants on it and on its columns.
    pub(crate) grants: &'a BTreeSet<Grant>,
}

/// What a table is judged by.
pub(crate) struct AccessAnalysis<'a> {
    /// The catalog.
    pub(crate) catalog: &'a Catalog,
    /// The roles.
    pub(crate) roles: &'a Roles,
    /// Formulas read so far: the same text stands in many policies.
    pub(crate) read: RefCell<HashMap<String, Formula>>,
}

/// Who gains or loses what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AccessChange {
    /// The role.
    pub(crate) role: String,
    /// Whether it gains.
    pub(crate) gains: bool,
    /// The way.
    pub(crate) way: RowAction,
    /// Which rows, in words.
    pub(crate) rows: String,
    /// Which columns, where not all.
    pub(crate) columns: Vec<String>,
}

impl AccessChange {
    /// Says whether both are about the same role, way and direction.
    pub(crate) fn is_like(&self, other: &AccessChange) -> bool {
        (&self.role, self.gains, self.way) == (&other.role, other.gains, other.way)
    }
}

impl AccessAnalysis<'_> {
    /// Reads a condition, evaluated as if it asked for each row.
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

    /// Gives who gains or loses when a table goes from one stand to another.
    pub(crate) fn effects(
        &self,
        table: &Key,
        own: Option<&str>,
        (before, after): (TableAccess<'_>, TableAccess<'_>),
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
            for way in RowAction::ALL {
                let is_owner = owner == Some(role);
                let old = self.reach(role, is_owner, way, before);
                let new = self.reach(role, is_owner, way, after);
                effects.extend(compare(&words, (role, way), &old, &new));
            }
        }
        // What a change turns rows into is worth saying only where it is not what the change itself reaches.
        let updates: Vec<AccessChange> = effects
            .iter()
            .filter(|effect| effect.way == RowAction::Update)
            .cloned()
            .collect();
        effects.retain(|effect| {
            let told = |update: &AccessChange| {
                (&update.role, update.gains, &update.rows)
                    == (&effect.role, effect.gains, &effect.rows)
            };
            effect.way != RowAction::Into || !updates.iter().any(told)
        });
        effects
    }

    /// Gives the rows a role reaches, and the columns where not all.
    fn reach(
        &self,
        role: &str,
        is_owner: bool,
        way: RowAction,
        access: TableAccess<'_>,
    ) -> ReachedRows {
        let reached = self.roles.reach(role);
        let privilege = way.command().privilege();
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
            rows: self.rows(role, is_owner, way, access.rows),
            columns: (!whole).then_some(columns),
        }
    }

    fn rows(&self, role: &str, is_owner: bool, way: RowAction, rows: &TableSecurity) -> Formula {
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
                .filter_map(move |policy| way.condition(policy))
                .map(|text| self.formula(text))
                .collect::<Vec<_>>()
        };
        let mut all = vec![Formula::any(conditions(false))];
        all.extend(conditions(true));
        Formula::all(all)
    }
}

/// What a role reaches.
struct ReachedRows {
    rows: Formula,
    columns: Option<BTreeSet<String>>,
}

/// How rows are called.
struct RowDescriptions {
    tenants: bool,
    own: Option<Formula>,
}

fn compare(
    words: &RowDescriptions,
    (role, way): (&str, RowAction),
    old: &ReachedRows,
    new: &ReachedRows,
) -> Vec<AccessChange> {
    let mut effects = Vec::new();
    let effect = |gains: bool, rows: String, columns: Vec<String>| AccessChange {
        role: role.to_owned(),
        gains,
        way,
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
            _ => words.say(&beyond(&new.rows, &old.rows)),
        };
        effects.push(effect(true, rows, listed(new)));
    }
    if lost {
        let rows = match &new.rows {
            Formula::False => words.say(&old.rows),
            _ if gained => words.say(&beyond(&old.rows, &new.rows)),
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
    for (gains, columns) in [(true, more(new, old)), (false, more(old, new))] {
        if let Some(columns) = columns {
            effects.push(effect(gains, words.say(&new.rows), vec![columns]));
        }
    }
    effects
}

/// Gives what of a formula goes beyond another.
fn beyond(wide: &Formula, narrow: &Formula) -> Formula {
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

/// Writes effects as sentences, those that differ in the command alone as one.
pub(crate) fn sentences(effects: &[AccessChange], object: &str) -> String {
    /// Role, whether it loses, rows, columns, whether rows are turned into others.
    type Said<'e> = (&'e str, bool, &'e str, &'e [String], bool);
    let mut grouped: BTreeMap<Said<'_>, Vec<&'static str>> = BTreeMap::new();
    for effect in effects {
        let into = effect.way == RowAction::Into;
        grouped
            .entry((
                &effect.role,
                !effect.gains,
                &effect.rows,
                &effect.columns,
                into,
            ))
            .or_default()
            .push(effect.way.command().word());
    }
    let sentences: Vec<String> = grouped
        .into_iter()
        .map(|((role, loses, rows, columns, into), commands)| {
            let verb = if loses { "loses" } else { "gains" };
            let who = if role == PUBLIC { "everybody" } else { role };
            let commands = commands.join(", ");
            let columns = if columns.is_empty() {
                String::new()
            } else {
                format!(" ({})", columns.join(", "))
            };
            let into = if into { "turning rows into " } else { "" };
            format!("{who} {verb} {commands}{columns} on {object}: {into}{rows}")
        })
        .collect();
    sentences.join("; ")
}
