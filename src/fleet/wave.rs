//! Waves: the order in which the databases of a fleet are changed.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use serde::Deserialize;

use crate::error::{Failure, fail};
use crate::fleet::Member;

/// A wave as written in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct WaveSource {
    name: Option<String>,
    r#where: BTreeMap<String, serde_json::Value>,
    count: Option<usize>,
    percent: Option<usize>,
    bake: Option<String>,
    gate: Vec<String>,
    gate_sql: Option<String>,
}

/// How a wave selects databases, and what must succeed before the next one starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaveSpec {
    pub name: String,
    /// The attributes a database must have.
    pub attributes: BTreeMap<String, String>,
    /// The maximum number of databases.
    pub count: Option<usize>,
    /// The maximum share of the whole fleet.
    pub percent: Option<usize>,
    /// The waiting time after it.
    pub bake: Duration,
    /// A command that must succeed after it.
    pub gate: Vec<String>,
    /// A query that must return true on each of its databases.
    pub gate_sql: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Wave<'f> {
    /// Its name, bake time and gates.
    pub spec: WaveSpec,
    pub members: Vec<&'f Member>,
}

pub(super) fn parse(file: &str, written: WaveSource) -> Result<WaveSpec> {
    let Some(name) = written.name else {
        return Err(fail(format!("{file}: a wave has no name"))
            .hint("write `- { name: canary, … }`")
            .into());
    };
    if written.percent.is_some_and(|percent| percent > 100) {
        return Err(
            fail(format!("{file}: wave `{name}` has a percentage above 100"))
                .hint("set percent to 1 to 100")
                .into(),
        );
    }
    let bake = match &written.bake {
        None => Duration::ZERO,
        Some(text) => duration(file, "bake", text)?,
    };
    let attributes = written.r#where.into_iter();
    let attributes = attributes.map(|(key, value)| (key, text(&value)));
    Ok(WaveSpec {
        name,
        attributes: attributes.collect(),
        count: written.count,
        percent: written.percent,
        bake,
        gate: written.gate,
        gate_sql: written.gate_sql,
    })
}

/// Returns a value as written.
pub(super) fn text(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Parses `30s`, `10min`.
pub(super) fn duration(file: &str, key: &str, text: &str) -> Result<Duration, Failure> {
    crate::migrate::directive::duration(text).ok_or_else(|| {
        fail(format!("{file}: `{key}: {text}` is not a duration"))
            .hint("write 500ms, 30s, 5min or 24h")
    })
}

/// Assigns every database to the first wave that selects it; the others form a last wave.
pub fn split<'f>(members: &[&'f Member], specs: &[WaveSpec]) -> Vec<Wave<'f>> {
    let mut left: Vec<&'f Member> = members.to_vec();
    let mut waves = Vec::new();
    for spec in specs {
        let share = spec
            .percent
            .map(|percent| (members.len() * percent).div_ceil(100));
        let most = match (spec.count, share) {
            (Some(count), Some(share)) => count.min(share),
            (count, share) => count.or(share).unwrap_or(usize::MAX),
        };
        let fits = |member: &Member| {
            let mut wanted = spec.attributes.iter();
            wanted.all(|(key, value)| member.attributes.get(key) == Some(value))
        };
        let (mut taken, mut rest) = (Vec::new(), Vec::new());
        for member in left {
            if taken.len() < most && fits(member) {
                taken.push(member);
            } else {
                rest.push(member);
            }
        }
        left = rest;
        waves.push(Wave {
            spec: spec.clone(),
            members: taken,
        });
    }
    if !left.is_empty() {
        let name = if specs.is_empty() { "all" } else { "rest" };
        waves.push(Wave {
            spec: WaveSpec {
                name: name.to_owned(),
                attributes: BTreeMap::new(),
                count: None,
                percent: None,
                bake: Duration::ZERO,
                gate: Vec::new(),
                gate_sql: None,
            },
            members: left,
        });
    }
    waves.retain(|wave| !wave.members.is_empty());
    waves
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pg::target::Target;

    fn members(count: usize) -> Vec<Member> {
        (0..count)
            .map(|at| Member {
                name: format!("m{at}"),
                target: Target::parse(&format!("postgres://h/m{at}")).unwrap(),
                tenant: None,
                attributes: [(
                    "tier".to_owned(),
                    if at < 2 { "canary" } else { "gold" }.to_owned(),
                )]
                .into(),
            })
            .collect()
    }

    fn spec(text: &str) -> WaveSpec {
        parse("fleet.yaml", crate::yaml::read("fleet.yaml", text).unwrap()).unwrap()
    }

    #[test]
    fn each_database_is_in_one_wave() {
        let members = members(20);
        let refs: Vec<&Member> = members.iter().collect();
        let specs = [
            spec("{name: canary, where: {tier: canary}, bake: 10min}"),
            spec("{name: tenth, percent: 10}"),
            spec("{name: none, where: {tier: lead}}"),
        ];
        let waves = split(&refs, &specs);
        let shape: Vec<_> = waves
            .iter()
            .map(|wave| (wave.spec.name.as_str(), wave.members.len()))
            .collect();
        assert_eq!(shape, [("canary", 2), ("tenth", 2), ("rest", 16)]);
        assert_eq!(waves[0].spec.bake, Duration::from_mins(10));
        assert_eq!(split(&refs, &[])[0].spec.name, "all");
    }

    #[test]
    fn a_percentage_selects_at_least_one() {
        let members = members(3);
        let refs: Vec<&Member> = members.iter().collect();
        let waves = split(&refs, &[spec("{name: some, percent: 1}")]);
        assert_eq!(waves[0].members.len(), 1);
    }
}
