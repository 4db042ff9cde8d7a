//! Writes the metrics of a command for the textfile collector of Prometheus' node exporter.
//!
//! All values come from the report of the command.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

/// A command that ended.
pub(crate) struct FinishedCommand<'a> {
    pub(crate) command: &'a str,
    pub(crate) environment: &'a str,
    pub(crate) database: &'a str,
    pub(crate) status: u8,
    pub(crate) took: Duration,
    /// The end, in seconds since 1970.
    pub(crate) at: i64,
    /// The report; none if the command failed.
    pub(crate) report: Option<&'a Value>,
    /// The age of the newest verified backup, if known.
    pub(crate) backup_age: Option<Duration>,
}

/// Writes the file atomically.
pub(crate) fn write(path: &Path, ended: &FinishedCommand<'_>) -> Result<()> {
    let shown = path.display();
    let beside = path.with_extension(format!("{}.tmp", std::process::id()));
    std::fs::write(&beside, text(ended))
        .with_context(|| format!("writing {}", beside.display()))?;
    std::fs::rename(&beside, path).with_context(|| format!("writing {shown}"))
}

/// A metric with its help text.
struct Metric {
    name: &'static str,
    help: &'static str,
    values: Vec<(String, f64)>,
}

/// The text of the file.
pub(crate) fn text(ended: &FinishedCommand<'_>) -> String {
    let mut text = String::new();
    for metric in metrics(ended)
        .iter()
        .filter(|metric| !metric.values.is_empty())
    {
        let name = metric.name;
        let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} gauge", metric.help);
        for (more, value) in &metric.values {
            let labels = format!(
                "command=\"{}\",environment=\"{}\",database=\"{}\"{more}",
                label(ended.command),
                label(ended.environment),
                label(ended.database)
            );
            let _ = writeln!(text, "{name}{{{labels}}} {value}");
        }
    }
    text
}

fn metrics(ended: &FinishedCommand<'_>) -> Vec<Metric> {
    let mut metrics = ending(ended);
    if let Some(report) = ended.report {
        metrics.extend(told(report));
    }
    metrics
}

fn metric(name: &'static str, help: &'static str, values: Vec<(String, f64)>) -> Metric {
    Metric { name, help, values }
}

fn one(value: f64) -> Vec<(String, f64)> {
    vec![(String::new(), value)]
}

/// The metrics that do not depend on the report.
fn ending(ended: &FinishedCommand<'_>) -> Vec<Metric> {
    let (status, succeeded) = (f64::from(ended.status), ended.status == 0);
    let age = ended.backup_age.map(|age| one(age.as_secs_f64()));
    vec![
        metric(
            "af_db_last_run_status",
            "Exit status of the last run.",
            one(status),
        ),
        metric(
            "af_db_last_run_success",
            "1 if the last run exited with 0, else 0.",
            one(f64::from(u8::from(succeeded))),
        ),
        metric(
            "af_db_last_run_timestamp_seconds",
            "When the last run ended.",
            one(ended.at as f64),
        ),
        metric(
            "af_db_last_run_duration_seconds",
            "How long the last run took.",
            one(ended.took.as_secs_f64()),
        ),
        metric(
            "af_db_backup_age_seconds",
            "Age of the newest verified backup.",
            age.unwrap_or_default(),
        ),
    ]
}

/// The metrics of a report.
fn told(report: &Value) -> Vec<Metric> {
    let list = |key: &str| report.get(key).and_then(Value::as_array);
    let (applied, findings) = (list("applied"), list("findings"));
    let each = |key: &str, scale: f64| {
        let values = applied.into_iter().flatten().filter_map(|step| {
            let version = step.get("version")?.as_i64()?;
            let value = step.get(key)?.as_f64()?;
            Some((format!(",version=\"{version}\""), value * scale))
        });
        values.collect::<Vec<_>>()
    };
    let severity = |word: &str| {
        let findings = findings.into_iter().flatten();
        let of = findings.filter(|finding| finding["severity"] == word);
        (format!(",severity=\"{word}\""), of.count() as f64)
    };
    let drift = findings.into_iter().flatten().filter(|finding| {
        let code = finding["code"].as_str();
        code.is_some_and(|code| code.starts_with("drift"))
    });
    let pending = report.get("pending").and_then(Value::as_f64);
    vec![
        metric(
            "af_db_pending_migrations",
            "Number of pending migrations.",
            pending.map(one).unwrap_or_default(),
        ),
        metric(
            "af_db_step_duration_seconds",
            "Duration of a migration.",
            each("took-ms", 0.001),
        ),
        metric(
            "af_db_step_lock_waits",
            "Number of lock timeouts of a migration.",
            each("lock-waits", 1.0),
        ),
        metric(
            "af_db_restore_phase_seconds",
            "Duration of each phase of a restore or drill.",
            phases(report),
        ),
        metric(
            "af_db_restore_target_seconds",
            "Maximum duration of a restore, from recovery.time.",
            number(report, "target-milliseconds", 0.001),
        ),
        metric(
            "af_db_restore_rows",
            "Rows in the restored backup.",
            number(report, "rows", 1.0),
        ),
        metric(
            "af_db_backup_stored_bytes",
            "Size of the backup in its store.",
            number(report, "stored-bytes", 1.0),
        ),
        metric(
            "af_db_findings",
            "Number of findings by severity.",
            ["error", "warn", "note"].map(severity).to_vec(),
        ),
        metric(
            "af_db_drift_findings",
            "Number of differences between the declared and the live schema.",
            one(drift.count() as f64),
        ),
        metric(
            "af_db_fleet_databases",
            "Number of fleet databases by status or outcome.",
            fleet(report),
        ),
    ]
}

/// Counts the databases of a fleet by status or outcome.
fn fleet(report: &Value) -> Vec<(String, f64)> {
    let mut places: BTreeMap<&str, f64> = BTreeMap::new();
    let list = |key: &str| {
        report
            .get(key)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    if report.get("fleet").is_none() {
        return Vec::new();
    }
    for one in list("databases").chain(list("set-aside")) {
        let words = ["place", "outcome", "cause"];
        if let Some(place) = words.iter().find_map(|key| one.get(*key)?.as_str()) {
            *places.entry(place).or_default() += 1.0;
        }
    }
    for key in ["applied", "busy", "moved", "failed"] {
        if report.get(key).is_some() {
            *places.entry(key).or_default() += list(key).count() as f64;
        }
    }
    let values = places.into_iter();
    values
        .map(|(place, number)| (format!(",place=\"{place}\""), number))
        .collect()
}

fn number(report: &Value, key: &str, scale: f64) -> Vec<(String, f64)> {
    let value = report.get(key).and_then(Value::as_f64);
    value.map(|value| one(value * scale)).unwrap_or_default()
}

fn phases(report: &Value) -> Vec<(String, f64)> {
    let times = report.get("milliseconds").and_then(Value::as_object);
    let each = times.into_iter().flatten().filter_map(|(phase, time)| {
        let phase = label(phase);
        Some((format!(",phase=\"{phase}\""), time.as_f64()? * 0.001))
    });
    each.collect()
}

fn label(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_holds_what_the_report_says() {
        let report = serde_json::json!({
            "pending": 1,
            "applied": [{"version": 3, "took-ms": 1500, "lock-waits": 2}],
            "findings": [{"code": "drift-column", "severity": "error"}],
        });
        let ended = FinishedCommand {
            command: "up",
            environment: "prod\"uction",
            database: "app",
            status: 0,
            took: Duration::from_millis(2500),
            at: 1_800_000_000,
            report: Some(&report),
            backup_age: Some(Duration::from_secs(3600)),
        };
        insta::assert_snapshot!(text(&ended), @r#"
        # HELP af_db_last_run_status Exit status of the last run.
        # TYPE af_db_last_run_status gauge
        af_db_last_run_status{command="up",environment="prod\"uction",database="app"} 0
        # HELP af_db_last_run_success 1 if the last run exited with 0, else 0.
        # TYPE af_db_last_run_success gauge
        af_db_last_run_success{command="up",environment="prod\"uction",database="app"} 1
        # HELP af_db_last_run_timestamp_seconds When the last run ended.
        # TYPE af_db_last_run_timestamp_seconds gauge
        af_db_last_run_timestamp_seconds{command="up",environment="prod\"uction",database="app"} 1800000000
        # HELP af_db_last_run_duration_seconds How long the last run took.
        # TYPE af_db_last_run_duration_seconds gauge
        af_db_last_run_duration_seconds{command="up",environment="prod\"uction",database="app"} 2.5
        # HELP af_db_backup_age_seconds Age of the newest verified backup.
        # TYPE af_db_backup_age_seconds gauge
        af_db_backup_age_seconds{command="up",environment="prod\"uction",database="app"} 3600
        # HELP af_db_pending_migrations Number of pending migrations.
        # TYPE af_db_pending_migrations gauge
        af_db_pending_migrations{command="up",environment="prod\"uction",database="app"} 1
        # HELP af_db_step_duration_seconds Duration of a migration.
        # TYPE af_db_step_duration_seconds gauge
        af_db_step_duration_seconds{command="up",environment="prod\"uction",database="app",version="3"} 1.5
        # HELP af_db_step_lock_waits Number of lock timeouts of a migration.
        # TYPE af_db_step_lock_waits gauge
        af_db_step_lock_waits{command="up",environment="prod\"uction",database="app",version="3"} 2
        # HELP af_db_findings Number of findings by severity.
        # TYPE af_db_findings gauge
        af_db_findings{command="up",environment="prod\"uction",database="app",severity="error"} 1
        af_db_findings{command="up",environment="prod\"uction",database="app",severity="warn"} 0
        af_db_findings{command="up",environment="prod\"uction",database="app",severity="note"} 0
        # HELP af_db_drift_findings Number of differences between the declared and the live schema.
        # TYPE af_db_drift_findings gauge
        af_db_drift_findings{command="up",environment="prod\"uction",database="app"} 1
        "#);
    }

    #[test]
    fn a_fleet_is_counted() {
        let report = serde_json::json!({
            "fleet": "fleet.yaml",
            "applied": [{"name": "a"}, {"name": "b"}],
            "failed": [],
            "set-aside": [{"name": "c", "cause": "drifted"}],
        });
        let counted = fleet(&report);
        let told: Vec<String> = counted
            .iter()
            .map(|(place, number)| format!("{place} {number}"))
            .collect();
        assert_eq!(
            told,
            [
                ",place=\"applied\" 2",
                ",place=\"drifted\" 1",
                ",place=\"failed\" 0"
            ]
        );
    }

    #[test]
    fn a_failure_tells_that_it_failed() {
        let ended = FinishedCommand {
            command: "up",
            environment: "local",
            database: "",
            status: 75,
            took: Duration::from_secs(1),
            at: 0,
            report: None,
            backup_age: None,
        };
        let text = text(&ended);
        assert!(text.contains(
            "af_db_last_run_success{command=\"up\",environment=\"local\",database=\"\"} 0"
        ));
        assert!(!text.contains("af_db_findings") && !text.contains("af_db_pending"));
    }
}
