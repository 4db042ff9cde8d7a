//! Turns each difference between declared and existing policies into a finding: what differs, whose access changes, and the SQL that fixes it.

use std::collections::{BTreeMap, BTreeSet};

use crate::access::{self, AccessAnalysis, AccessChange, TableAccess};
use crate::catalog::acl::privilege_word;
use crate::catalog::{Key, Kind};
use crate::declared::expand::ExpandedPolicies;
use crate::difference::{self, Difference};
use crate::finding::{Finding, Severity};
use crate::fix_sql;
use crate::rights::{Grant, Policy, Rights, TableSecurity};

pub(crate) fn explain(
    differences: &[Difference],
    wanted: &ExpandedPolicies,
    found: &Rights,
    analysis: &AccessAnalysis<'_>,
) -> Vec<Finding> {
    let (before, after) = (by_table(&wanted.rights), by_table(found));
    let mut findings: Vec<Finding> = Vec::new();
    let mut at = 0;
    while at < differences.len() {
        let object = differences[at].object();
        let end = (at..differences.len())
            .find(|end| differences[*end].object() != object)
            .unwrap_or(differences.len());
        let group = &differences[at..end];
        let table = ComparedTable {
            key: object,
            own: wanted.own.get(object).map(String::as_str),
            wanted: wanted.rights.tables.get(object),
            found: found.tables.get(object),
            before: before.get(object),
            after: after.get(object),
        };
        for mut finding in explain_group(group, &table, analysis) {
            if finding.place.is_none() {
                finding.place = wanted.places.get(object).cloned();
            }
            findings.push(finding);
        }
        at = end;
    }
    for (finding, difference) in findings.iter_mut().zip(differences) {
        let statements =
            fix_sql::statements(std::slice::from_ref(difference), &wanted.rights, found);
        finding.help = Some(fix_sql::script(&statements).trim_end().to_owned());
    }
    findings
}

fn by_table(rights: &Rights) -> BTreeMap<Key, BTreeSet<Grant>> {
    let mut grouped: BTreeMap<Key, BTreeSet<Grant>> = BTreeMap::new();
    for grant in &rights.grants {
        let grants = grouped.entry(difference::object_of(grant)).or_default();
        grants.insert(grant.clone());
    }
    grouped
}

/// A table as declared and as found.
struct ComparedTable<'a> {
    key: &'a Key,
    own: Option<&'a str>,
    wanted: Option<&'a TableSecurity>,
    found: Option<&'a TableSecurity>,
    before: Option<&'a BTreeSet<Grant>>,
    after: Option<&'a BTreeSet<Grant>>,
}

/// Explains the differences of one object: the effects that each has alone, as far as all together have them.
fn explain_group(
    group: &[Difference],
    table: &ComparedTable<'_>,
    analysis: &AccessAnalysis<'_>,
) -> Vec<Finding> {
    let no_grants = BTreeSet::new();
    let (before, after) = (
        table.before.unwrap_or(&no_grants),
        table.after.unwrap_or(&no_grants),
    );
    let nothing = TableSecurity::default();
    let (want, have) = (
        table.wanted.unwrap_or(&nothing),
        table.found.unwrap_or(&nothing),
    );
    let declared = TableAccess {
        rows: want,
        grants: before,
    };
    if table.key.kind != Kind::Table {
        return group
            .iter()
            .map(|difference| finding(difference, &[], table))
            .collect();
    }
    let together = analysis.effects(
        table.key,
        table.own,
        declared,
        TableAccess {
            rows: have,
            grants: after,
        },
    );
    let mut explained: Vec<AccessChange> = Vec::new();
    let mut each: Vec<Vec<AccessChange>> = Vec::new();
    for difference in group {
        let (rows, grants) = with(difference, want, before);
        let mut effects = analysis.effects(
            table.key,
            table.own,
            declared,
            TableAccess {
                rows: &rows,
                grants: &grants,
            },
        );
        effects.retain(|effect| together.iter().any(|other| other.is_like(effect)));
        explained.extend(effects.iter().cloned());
        each.push(effects);
    }
    // An effect that only the differences together have is reported with the first of them.
    let rest = together
        .into_iter()
        .filter(|effect| !explained.iter().any(|other| other.is_like(effect)));
    if let Some(first) = each.first_mut() {
        first.extend(rest);
    }
    let pairs = group.iter().zip(each);
    pairs
        .map(|(difference, effects)| finding(difference, &effects, table))
        .collect()
}

/// Returns the declared table with one of the differences applied.
fn with(
    difference: &Difference,
    want: &TableSecurity,
    grants: &BTreeSet<Grant>,
) -> (TableSecurity, BTreeSet<Grant>) {
    let (mut rows, mut grants) = (want.clone(), grants.clone());
    match difference {
        Difference::Enabled { wanted, .. } => rows.enabled = !wanted,
        Difference::Forced { wanted, .. } => rows.forced = !wanted,
        Difference::Policy { wanted, found, .. } => {
            if let Some(wanted) = wanted {
                rows.policies.retain(|policy| *policy != **wanted);
            }
            rows.policies.extend(found.as_deref().cloned());
        }
        Difference::Grants { missing, extra, .. } => {
            grants.retain(|grant| !missing.contains(grant));
            grants.extend(extra.iter().cloned());
        }
    }
    (rows, grants)
}

fn finding(
    difference: &Difference,
    effects: &[AccessChange],
    table: &ComparedTable<'_>,
) -> Finding {
    let object = object_words(table.key);
    let (code, mut message) = what(difference, table.key);
    let sentences = access::sentences(effects, &object);
    if !sentences.is_empty() {
        message = format!("{message}. {sentences}");
    }
    let slower = matches!(
        difference,
        Difference::Policy {
            only_slower: true,
            ..
        }
    );
    let severity = if slower {
        Severity::Warn
    } else {
        Severity::Error
    };
    let mut finding = Finding::new(severity, code, table.key.subject(), message);
    if let Difference::Policy { wanted, found, .. } = difference {
        finding.place = wanted.as_ref().and_then(|policy| policy.place.clone());
        finding.detail = Some(text_diff(wanted.as_deref(), found.as_deref()));
    }
    finding
}

fn object_words(key: &Key) -> String {
    match key.kind {
        Kind::Table => key.qualified(),
        Kind::DefaultPrivileges => {
            let future = format!("future {} of {}", key.part.to_lowercase(), key.name);
            if key.schema.is_empty() {
                future
            } else {
                format!("{future} in {}", key.schema)
            }
        }
        _ => key.to_string(),
    }
}

fn grants_words(grantee: &str, missing: &[Grant], extra: &[Grant], key: &Key) -> String {
    let grantee = access::shown_role(grantee);
    let is_default = key.kind == Kind::DefaultPrivileges;
    let words = |which: &str, grants: &[Grant]| {
        let privileges: BTreeSet<String> = grants.iter().map(privilege_words).collect();
        let privileges: Vec<String> = privileges.into_iter().collect();
        (!grants.is_empty()).then(|| {
            let (privileges, object) = (privileges.join(", "), object_words(key));
            let truncates = grants.iter().any(|grant| grant.privilege == 'D');
            let note = if truncates && which == "extra" {
                " (TRUNCATE ignores policies)"
            } else {
                ""
            };
            if is_default {
                format!("{which} default privilege: {privileges} on {object}, for {grantee}{note}")
            } else {
                format!("{which} grant: {privileges} on {object} to {grantee}{note}")
            }
        })
    };
    let parts = [words("extra", extra), words("missing", missing)];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn privilege_words(grant: &Grant) -> String {
    let option = if grant.grantable {
        " with grant option"
    } else {
        ""
    };
    let word = privilege_word(grant.privilege);
    if grant.on.kind == Kind::Column {
        format!("{word} ({}){option}", grant.on.part)
    } else {
        format!("{word}{option}")
    }
}

/// Returns the code of the finding and the sentence that says what differs.
fn what(difference: &Difference, key: &Key) -> (&'static str, String) {
    match difference {
        Difference::Enabled { wanted: true, .. } => (
            "rls-enabled",
            "row-level security is disabled but declared as enabled".into(),
        ),
        Difference::Enabled { .. } => (
            "rls-enabled",
            "row-level security is enabled but declared as disabled".into(),
        ),
        Difference::Forced { wanted: true, .. } => (
            "rls-forced",
            "row-level security is not forced for the owner but declared as forced".into(),
        ),
        Difference::Forced { .. } => (
            "rls-forced",
            "row-level security is forced for the owner but not declared as forced".into(),
        ),
        Difference::Policy {
            found: Some(have),
            only_slower: true,
            ..
        } => (
            "rls-policy",
            format!(
                "policy `{}` differs from its declaration in cost only: one evaluates the identity once per row, the other once per statement",
                have.name
            ),
        ),
        Difference::Policy {
            wanted: Some(want),
            found: Some(have),
            ..
        } => (
            "rls-policy",
            if want.name == have.name {
                format!("policy `{}` differs from its declaration", have.name)
            } else {
                format!(
                    "policy `{}` differs from the declared policy `{}`",
                    have.name, want.name
                )
            },
        ),
        Difference::Policy {
            wanted: Some(want), ..
        } => (
            "rls-policy",
            format!("the declared policy `{}` is missing", want.name),
        ),
        Difference::Policy { found, .. } => {
            let name = found
                .as_ref()
                .map(|policy| policy.name.as_str())
                .unwrap_or_default();
            ("rls-policy", format!("policy `{name}` is not declared"))
        }
        Difference::Grants {
            grantee,
            missing,
            extra,
            ..
        } => ("rls-grant", grants_words(grantee, missing, extra, key)),
    }
}

fn text_diff(wanted: Option<&Policy>, found: Option<&Policy>) -> String {
    let (declared, live) = (shown(wanted), shown(found));
    let diff = similar::TextDiff::from_lines(&declared, &live);
    let mut text = String::from("--- declared\n+++ found\n");
    for change in diff.iter_all_changes() {
        let sign = match change.tag() {
            similar::ChangeTag::Delete => '-',
            similar::ChangeTag::Insert => '+',
            similar::ChangeTag::Equal => ' ',
        };
        text.push(sign);
        text.push_str(change.value());
    }
    text.trim_end().to_owned()
}

fn shown(policy: Option<&Policy>) -> String {
    let Some(policy) = policy else {
        return String::new();
    };
    let kind = if policy.restrictive {
        "restrictive"
    } else {
        "permissive"
    };
    let roles: Vec<&str> = policy.roles.iter().map(String::as_str).collect();
    let mut text = format!(
        "{kind}\nfor {}\nto {}\n",
        policy.command.word(),
        roles.join(", ")
    );
    if let Some(using) = &policy.using {
        text.push_str(&format!("using {using}\n"));
    }
    if let Some(check) = &policy.check {
        text.push_str(&format!("with check {check}\n"));
    }
    text
}
