//! Describes an impact, such as `AccessExclusive on executions (41 GB, 1,900 writes/s): rewrites the table, about
//! 6-11 min, blocks reads and writes`.

use crate::finding::Severity;
use crate::plan::observe::impact::sizes::{RelationSize, Sizes};
use crate::plan::observe::impact::{Impact, ImpactKind, RelationWork};
use crate::plan::observe::{
    CascadeCause, RelationKind, RelationLock, RewriteKind, StatementObservation, WrittenRows,
};

/// Returns the words for rows that go, or have their reference cleareds, along with others.
pub(super) fn along(rows: &WrittenRows, along: &CascadeCause, size: &RelationSize) -> String {
    let (table, with) = (short(&rows.relation), short(&along.with));
    let what = if rows.deletes {
        "are deleted"
    } else {
        "have their reference cleared"
    };
    format!(
        "rows of {table}{} {what} with those of {with} (foreign key {})",
        sized(size),
        along.key
    )
}

/// Returns the words for what a statement does to a relation.
pub(super) fn relation(
    name: &str,
    lock: Option<&RelationLock>,
    size: &RelationSize,
    effort: &RelationWork,
) -> String {
    let shown = short(name);
    let mode = lock.map_or_else(|| "no lock".to_owned(), |lock| lock.mode.to_string());
    let mut parts = Vec::new();
    if let Some(how) = effort.rewrite {
        parts.push(rewriting(how, lock.map(|lock| lock.kind)).to_owned());
    } else if effort.builds == 1 {
        parts.push("builds an index".to_owned());
    } else if effort.builds > 1 {
        parts.push(format!("builds {} indexes", effort.builds));
    } else if effort.scans > 0 {
        let times = if effort.scans > 1 {
            " more than once"
        } else {
            ""
        };
        parts.push(format!("scans the table{times}"));
    }
    if effort.written && effort.rewrite.is_none() {
        let verb = if effort.deleted { "deletes" } else { "writes" };
        parts.push(format!("{verb} rows"));
    }
    match size.seconds(effort) {
        Some(seconds) => parts.push(time(seconds)),
        None if parts.is_empty() => parts.push("briefly".to_owned()),
        None => {}
    }
    if let Some(lock) = lock {
        parts.push(lock.mode.blocks().to_owned());
    }
    format!("{mode} on {shown}{}: {}", sized(size), parts.join(", "))
}

fn rewriting(how: RewriteKind, kind: Option<RelationKind>) -> &'static str {
    match how {
        RewriteKind::Rewritten | RewriteKind::Clustered => "rewrites the table",
        RewriteKind::Moved if kind == Some(RelationKind::Index) => "copies the index",
        RewriteKind::Moved => "copies the table",
        RewriteKind::Refreshed => "reruns the query",
        RewriteKind::Truncated => "empties the table",
    }
}

/// Returns the words for what a statement drops and opens.
pub(super) fn objects(step: usize, seen: &StatementObservation, sizes: &Sizes) -> Vec<Impact> {
    let weight = |aspect, object: &str, severity, words| Impact {
        step,
        statement: seen.number,
        aspect,
        object: object.to_owned(),
        lock: None,
        seconds: None,
        severity,
        words,
    };
    let mut weights = Vec::new();
    for gone in &seen.dropped {
        let cascade = if gone.named { "" } else { " (CASCADE)" };
        let name = short(&gone.name);
        let Some(table) = &gone.loses else {
            let words = format!("drops the {} {name}{cascade}", gone.kind);
            let severity = if gone.named {
                Severity::Note
            } else {
                Severity::Warn
            };
            weights.push(weight(ImpactKind::Drop, &gone.name, severity, words));
            continue;
        };
        let size = sizes.get(table).copied().unwrap_or_default();
        let what = match gone.kind.as_str() {
            "table column" => "column",
            "composite type column" => "attribute",
            _ => "table",
        };
        let rows = match size.rows {
            Some(0) if size.is_empty() => ", which is empty".to_owned(),
            Some(rows) => format!(" with {} rows{}", grouped(rows), sized(&size)),
            None => " with all its rows".to_owned(),
        };
        let severity = if size.is_empty() {
            Severity::Warn
        } else {
            Severity::Error
        };
        let words = format!("drops the {what} {name}{cascade}{rows}: the data is lost");
        weights.push(weight(ImpactKind::Loss, &gone.name, severity, words));
    }
    for change in &seen.security {
        let severity = if change.opens {
            Severity::Warn
        } else {
            Severity::Note
        };
        let words = format!("{}: {}", short(&change.object), change.change);
        weights.push(weight(
            ImpactKind::Security,
            &change.object,
            severity,
            words,
        ));
    }
    weights
}

/// Leaves out the schema that everybody means.
fn short(name: &str) -> &str {
    name.strip_prefix("public.").unwrap_or(name)
}

fn sized(size: &RelationSize) -> String {
    let bytes = match size.bytes {
        Some(bytes) => self::bytes(bytes + size.index_bytes.unwrap_or(0)),
        None => return String::new(),
    };
    match size.writes {
        Some(writes) if writes > 0 => format!(" ({bytes}, {} writes/s)", grouped(writes)),
        _ => format!(" ({bytes})"),
    }
}

/// Returns `41 GB`.
fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "kB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (bytes, 0);
    while value >= 10_240 && unit + 1 < UNITS.len() {
        value = (value + 512) / 1024;
        unit += 1;
    }
    format!("{} {}", grouped(value), UNITS[unit])
}

/// Returns `1,900`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Returns `about 6-11 min`.
fn time((best, worst): (u64, u64)) -> String {
    let unit = [(3600, "h"), (60, "min"), (1, "s")]
        .into_iter()
        .find(|(size, _)| worst >= 2 * size || *size == 1);
    let (size, word) = unit.unwrap_or((1, "s"));
    let (from, to) = (best / size, worst.div_ceil(size));
    match (from, to) {
        (_, 0 | 1) if size == 1 => "under a second".to_owned(),
        (from, to) if from == to => format!("about {to} {word}"),
        (0, to) => format!("up to {to} {word}"),
        (from, to) => format!("about {from}-{to} {word}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::observe::lock::LockMode;

    #[test]
    fn large_rewrites_are_described() {
        let size = RelationSize {
            rows: Some(90_000_000),
            bytes: Some(34 << 30),
            index_bytes: Some(7 << 30),
            writes: Some(1900),
        };
        let effort = RelationWork {
            rewrite: Some(RewriteKind::Rewritten),
            scans: 3,
            builds: 2,
            written: false,
            deleted: false,
        };
        let lock = RelationLock {
            relation: "public.executions".to_owned(),
            kind: RelationKind::Table,
            mode: LockMode::AccessExclusive,
        };
        assert_eq!(
            relation("public.executions", Some(&lock), &size, &effort),
            "AccessExclusive on executions (41 GB, 1,900 writes/s): rewrites the table, about 6-12 min, blocks reads and writes"
        );
    }

    #[test]
    fn times_and_sizes_have_readable_units() {
        let check = |seconds, expected: &str| assert_eq!(time(seconds), expected);
        check((0, 0), "under a second");
        check((0, 3), "up to 3 s");
        check((10, 25), "about 10-25 s");
        check((3600, 7300), "about 1-3 h");
        assert_eq!(bytes(0), "0 bytes");
        assert_eq!(bytes(8192), "8,192 bytes");
        assert_eq!(bytes(8 << 20), "8,192 kB");
        assert_eq!(bytes(500 << 20), "500 MB");
    }
}
