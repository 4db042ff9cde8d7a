//! Standard output: one text for a person or one document for a program.
//!
//! The only file that writes to it. A broken pipe is not an error: the reader has stopped reading.

use std::borrow::Cow;
use std::sync::{LazyLock, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use crate::commands::Report;
use crate::commands::format::{github, gitlab, junit, markdown, sarif, summary, worst_first};
use crate::commands::page::{Page, Tone, count};
use crate::commands::sink::{self, Sink};
use crate::error::{Exit, Failure, exit_of, hint_of, with_exit};
use crate::finding::{Finding, Severity};
use crate::pg::server_error::ServerError;
use crate::sql::redact;
use crate::visible;

/// The output, held back until the command has ended: a slow reader must not keep a session open.
static ANSWER: Mutex<String> = Mutex::new(String::new());

/// Standard output.
static STDOUT: LazyLock<Sink> = LazyLock::new(|| Sink::start(std::io::stdout()));

/// Writes the output and waits for the reader; called after all sessions are closed.
pub fn finish() -> Result<()> {
    let answer = std::mem::take(&mut *ANSWER.lock().unwrap_or_else(PoisonError::into_inner));
    if answer.is_empty() {
        return Ok(());
    }
    match STDOUT.all(&answer) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(_) if sink::is_stopping() => {
            Err(with_exit(Exit::Interrupted, "interrupted while writing the output").into())
        }
        other => other.context("writing to standard output"),
    }
}

/// The output format; all except the first two contain only findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Text for people
    Human,
    /// One JSON document
    Json,
    /// Annotations for GitHub Actions
    Github,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// JUnit report
    Junit,
    /// GitLab Code Quality report
    Gitlab,
    /// Markdown for job summaries
    Markdown,
    /// None: the report is part of another one
    #[value(skip)]
    Nothing,
}

/// Standard output.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// The output format.
    pub format: Format,
    /// Whether to use colours.
    pub colour: bool,
    /// Whether to show all notes.
    pub verbose: bool,
}

/// How many notes are shown without -v.
const NOTES: usize = 3;

/// The version of the JSON documents; it grows when a key changes its meaning.
const DOCUMENT_VERSION: u32 = 1;

impl Output {
    /// Writes a report.
    pub fn show<R: Report>(&self, report: &R) -> Result<()> {
        let command = report.command();
        let told = || report.annotations();
        match self.format {
            Format::Human => {
                let mut page = Page::new(self.colour);
                page.verbose = self.verbose;
                report.human(&mut page);
                write_findings(&mut page, report.findings());
                write(&page.finish());
            }
            Format::Json => self.document(&Value::Object(document(report)?))?,
            Format::Github => self.text(&github::render(&told())),
            Format::Sarif => self.text(&visible::json(&sarif::render(command, &told()))),
            Format::Junit => self.text(&junit::render(command, &told())),
            Format::Gitlab => self.text(&visible::json(&gitlab::render(command, &told()))),
            Format::Nothing => {}
            Format::Markdown => {
                let more = report.markdown();
                let gap = if more.is_empty() { "" } else { "\n" };
                let findings = markdown::render(command, &told());
                self.text(&format!("{findings}{gap}{more}"));
            }
        }
        Ok(())
    }

    /// Writes text without control sequences of terminals or CI runners.
    ///
    /// Commands for GitHub Actions are the exception; only `format::github` writes them.
    pub fn text(&self, text: &str) {
        match self.format {
            Format::Github => write(text),
            _ => write(&visible::document(&text.replace("\r\n", "\n"))),
        }
    }

    /// Writes a failure in formats that can contain it, so that `--json` always writes exactly one document.
    pub fn failure(&self, error: &anyhow::Error) -> Result<()> {
        let findings = error
            .downcast_ref::<Failure>()
            .map_or(&[][..], |failure| &failure.findings);
        match self.format {
            Format::Json => self.document(&failure_document(error, findings)?)?,
            Format::Github => {
                let mut page = Page::new(false);
                page.headed(Tone::Plain, "", redact::addresses(&error.to_string()));
                write_reasons(&mut page, error);
                self.text(&github::failure(page.finish().trim_end(), findings));
            }
            _ => {}
        }
        Ok(())
    }

    fn document(&self, document: &Value) -> Result<()> {
        let text = serde_json::to_string_pretty(document)?;
        write(&format!("{}\n", visible::json(&text)));
        Ok(())
    }
}

/// Adds to the output.
fn write(text: &str) {
    let mut answer = ANSWER.lock().unwrap_or_else(PoisonError::into_inner);
    answer.push_str(text);
}

fn failure_document(error: &anyhow::Error, findings: &[Finding]) -> Result<Value> {
    let mut body = Map::new();
    let masked = |text: &str| redact::addresses(text).into_owned();
    body.insert("message".into(), json!(masked(&error.to_string())));
    let causes = error.chain().skip(1);
    let causes: Vec<String> = causes.map(|cause| masked(&cause.to_string())).collect();
    if !causes.is_empty() {
        body.insert("caused-by".into(), json!(causes));
    }
    if let Some(hint) = hint(error) {
        body.insert("hint".into(), json!(masked(hint)));
    }
    let server = error.downcast_ref::<ServerError>();
    if let Some(sqlstate) = server.and_then(|server| server.sqlstate.as_ref()) {
        body.insert("sqlstate".into(), json!(sqlstate));
    }
    body.insert("exit-status".into(), json!(exit_of(error).code()));
    let findings = serde_json::to_value(findings)?;
    Ok(json!({
        "version": DOCUMENT_VERSION, "outcome": "failed", "findings": findings, "error": body,
    }))
}

/// The JSON document of a report.
pub(crate) fn document<R: Report>(report: &R) -> Result<Map<String, Value>> {
    let mut document = Map::new();
    document.insert("version".into(), json!(DOCUMENT_VERSION));
    document.insert("command".into(), json!(report.command()));
    document.insert("outcome".into(), json!(report.outcome().word()));
    document.insert("findings".into(), serde_json::to_value(report.findings())?);
    let Value::Object(body) = serde_json::to_value(report).context("writing the report as JSON")?
    else {
        anyhow::bail!("a report must be an object");
    };
    document.extend(body);
    if !report.shows_password() {
        document.values_mut().for_each(mask);
    }
    Ok(document)
}

/// Masks the passwords of connection URLs in a document.
fn mask(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(masked) = redact::addresses(text) {
                *text = masked;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(mask),
        Value::Object(values) => values.values_mut().for_each(mask),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Writes findings for a person, worst first, with a line that counts them.
pub(crate) fn write_findings(page: &mut Page, findings: &[Finding]) {
    let sorted = worst_first(findings);
    let is_note = |finding: &&&Finding| finding.severity == Severity::Note;
    let notes = sorted.iter().filter(is_note).count();
    let hidden = if page.verbose {
        0
    } else {
        notes.saturating_sub(NOTES)
    };
    for finding in &sorted[..sorted.len() - hidden] {
        page.gap();
        write_finding(page, finding);
    }
    if hidden > 0 {
        page.gap();
        page.toned(
            Tone::Dim,
            format!(
                "and {}, shown with -v",
                count(hidden, "more note", "more notes")
            ),
        );
    }
    if !findings.is_empty() {
        page.gap();
        page.line(summary(findings));
    }
}

fn write_finding(page: &mut Page, finding: &Finding) {
    let tone = match finding.severity {
        Severity::Error => Tone::Bad,
        Severity::Warn => Tone::Warn,
        Severity::Note => Tone::Dim,
    };
    let head = format!("{}[{}]", finding.severity.word(), finding.code);
    let subject = redact::addresses(&finding.subject).into_owned();
    let subject = visible::line(&subject);
    let message = redact::addresses(&finding.message);
    page.headed(tone, &head, format!(": {subject}: {message}"));
    if let Some(place) = &finding.place {
        page.toned(Tone::Dim, format!("  at {place}"));
    }
    for place in &finding.also {
        page.toned(Tone::Dim, format!("  see {place}"));
    }
    for line in finding.detail.iter().flat_map(|detail| detail.lines()) {
        page.document(format!("  {}", redact::addresses(line)));
    }
    for (index, line) in finding
        .help
        .iter()
        .flat_map(|help| help.lines())
        .enumerate()
    {
        let head = if index == 0 { "help:" } else { "     " };
        page.document(format!("  {head} {}", redact::addresses(line)));
    }
}

/// The hint of a failure, else the one for the server's error.
fn hint(error: &anyhow::Error) -> Option<&str> {
    hint_of(error).or_else(|| error.downcast_ref::<ServerError>()?.advice())
}

/// Writes a failure for a person: its findings, the error, its causes and the hint.
pub(crate) fn failure_text(error: &anyhow::Error, colour: bool) -> String {
    let mut page = Page::new(colour);
    if let Some(failure) = error.downcast_ref::<Failure>() {
        write_findings(&mut page, &failure.findings);
        page.gap();
    }
    let text = error.to_string();
    page.headed(
        Tone::Bad,
        "error:",
        format!(" {}", redact::addresses(&text)),
    );
    write_reasons(&mut page, error);
    page.finish()
}

fn write_reasons(page: &mut Page, error: &anyhow::Error) {
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        page.headed(Tone::Plain, "caused by: ", redact::addresses(&cause));
    }
    if let Some(hint) = hint(error) {
        page.headed(
            Tone::Strong,
            "hint:",
            format!(" {}", redact::addresses(hint)),
        );
    }
}
