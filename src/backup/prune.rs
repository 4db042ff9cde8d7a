//! Decides which archives to remove: never the newest, never the last verified one.

use std::collections::BTreeSet;

use anyhow::Result;
use chrono::{DateTime, Datelike as _, Utc};

use crate::error::{Failure, fail};

/// How many archives to keep of each period, the newest of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetentionPolicy {
    pub days: u32,
    /// Weeks, from Monday.
    pub weeks: u32,
    pub months: u32,
    pub years: u32,
    /// The newest, whenever they were made.
    pub last: u32,
}

impl RetentionPolicy {
    /// Reads `7d,4w,12m`, also `2y` and `5` for the newest five.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |part: &str| -> Failure {
            fail(format!("`{part}` is not a retention rule")).hint(
                "use, for example, 7d,4w,12m: the newest backup of 7 days, 4 weeks and 12 months",
            )
        };
        let mut keep = RetentionPolicy::default();
        for part in text.split(',').map(str::trim) {
            let digits = part.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
            let number: u32 = digits.parse().map_err(|_| wrong(part))?;
            match &part[digits.len()..] {
                "d" => keep.days = number,
                "w" => keep.weeks = number,
                "m" => keep.months = number,
                "y" => keep.years = number,
                "" => keep.last = number,
                _ => return Err(wrong(part).into()),
            }
        }
        Ok(keep)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PruneCandidate {
    pub name: String,
    /// The unique name of its database; each database is counted separately.
    pub database: String,
    /// The part of a partial archive; each part is counted separately.
    pub part: Option<String>,
    pub started: DateTime<Utc>,
    pub is_verified: bool,
}

/// Returns the names of the archives to remove, oldest first.
pub fn decide(candidates: &[PruneCandidate], keep: RetentionPolicy) -> Vec<String> {
    let whose = |one: &PruneCandidate| (one.database.clone(), one.part.clone());
    let databases: BTreeSet<_> = candidates.iter().map(whose).collect();
    let mut gone = Vec::new();
    for database in databases {
        let mut of_one: Vec<&PruneCandidate> = candidates
            .iter()
            .filter(|one| whose(one) == database)
            .collect();
        of_one.sort_by_key(|one| std::cmp::Reverse(one.started));
        let kept = kept(&of_one, keep);
        let spare = of_one
            .iter()
            .rev()
            .filter(|one| !kept.contains(one.name.as_str()));
        gone.extend(spare.map(|one| one.name.clone()));
    }
    gone
}

/// Maps a time to its period: the year and a number within it.
type Period = fn(&DateTime<Utc>) -> (i32, u32);

/// Returns the archives to keep of one database, given newest first.
fn kept<'a>(newest_first: &[&'a PruneCandidate], keep: RetentionPolicy) -> BTreeSet<&'a str> {
    let mut kept = BTreeSet::new();
    kept.extend(
        newest_first
            .iter()
            .take(1.max(keep.last as usize))
            .map(|one| one.name.as_str()),
    );
    let proven = newest_first.iter().find(|one| one.is_verified);
    kept.extend(proven.map(|one| one.name.as_str()));
    let periods: [(u32, Period); 4] = [
        (keep.days, |time| (time.year(), time.ordinal())),
        (keep.weeks, |time| {
            (time.iso_week().year(), time.iso_week().week())
        }),
        (keep.months, |time| (time.year(), time.month())),
        (keep.years, |time| (time.year(), 0)),
    ];
    for (number, period) in periods {
        let mut seen = BTreeSet::new();
        for one in newest_first {
            if seen.len() == number as usize {
                break;
            }
            if seen.insert(period(&one.started)) {
                kept.insert(one.name.as_str());
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(name: &str, started: &str, is_verified: bool) -> PruneCandidate {
        PruneCandidate {
            name: name.to_owned(),
            database: "shop".to_owned(),
            part: None,
            started: started.parse().unwrap(),
            is_verified,
        }
    }

    fn check(keep: &str, proven: &str, expected: &[&str]) {
        let archives = [
            ("a", "2025-11-03T01:00:00Z"),
            ("b", "2025-12-30T01:00:00Z"),
            ("c", "2026-01-05T01:00:00Z"),
            ("d", "2026-01-06T01:00:00Z"),
            ("e", "2026-01-07T01:00:00Z"),
            ("f", "2026-01-07T09:00:00Z"),
        ];
        let candidates: Vec<PruneCandidate> = archives
            .iter()
            .map(|(name, started)| candidate(name, started, *name == proven))
            .collect();
        let gone = decide(&candidates, RetentionPolicy::parse(keep).unwrap());
        assert_eq!(gone, expected, "keep {keep}, proven {proven}");
    }

    #[test]
    fn the_newest_of_each_period_is_kept() {
        check("2d", "f", &["a", "b", "c", "e"]);
        check("1d,2w", "f", &["a", "c", "d", "e"]);
        check("12m", "f", &["c", "d", "e"]);
        check("2y", "f", &["a", "c", "d", "e"]);
        check("3", "f", &["a", "b", "c"]);
    }

    #[test]
    fn the_newest_and_the_last_verified_are_always_kept() {
        check("0d", "f", &["a", "b", "c", "d", "e"]);
        check("0d", "b", &["a", "c", "d", "e"]);
        check("1d", "a", &["b", "c", "d", "e"]);
    }

    #[test]
    fn retention_counts_each_database_separately() {
        let mut other = candidate("x", "2020-01-01T00:00:00Z", false);
        other.database = "other".to_owned();
        let one = candidate("a", "2026-01-01T00:00:00Z", false);
        assert_eq!(
            decide(&[other, one], RetentionPolicy::parse("1d").unwrap()),
            [] as [String; 0]
        );
    }

    #[test]
    fn retention_counts_partial_archives_separately() {
        let whole = candidate("a", "2026-01-01T01:00:00Z", true);
        let mut part = candidate("b", "2026-01-01T02:00:00Z", true);
        part.part = Some("table public.t".to_owned());
        assert_eq!(
            decide(&[whole, part], RetentionPolicy::parse("1d").unwrap()),
            [] as [String; 0]
        );
    }

    #[test]
    fn invalid_retention_rules_are_refused() {
        for text in ["", "d", "7x", "7d,", "-1d"] {
            assert!(RetentionPolicy::parse(text).is_err(), "{text}");
        }
    }
}
