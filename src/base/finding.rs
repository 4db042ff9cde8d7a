//! Findings: what lint, drift, probes and doctor report.
//!
//! Rendered only by `commands::format`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Ordered, so that a threshold is a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Informational; needs no action.
    Note,
    /// Should be fixed; does not fail the run.
    Warn,
    /// Must be fixed; the run ends with status 1.
    Error,
}

impl Severity {
    /// The word in reports and in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warn => "warn",
            Severity::Error => "error",
        }
    }
}

/// A position in a file of the project; line and column count from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Location {
    /// The path as the user would type it, relative to the project where possible.
    pub file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// In characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
}

impl Location {
    /// A whole file.
    pub fn file(file: impl Into<String>) -> Self {
        Location {
            file: file.into(),
            line: None,
            column: None,
        }
    }

    pub fn at(file: impl Into<String>, line: u32, column: u32) -> Self {
        Location {
            file: file.into(),
            line: Some(line),
            column: Some(column),
        }
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
            if let Some(column) = self.column {
                write!(f, ":{column}")?;
            }
        }
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    /// The stable code of the rule or check, such as `R01` or `drift-column`.
    pub code: String,
    pub severity: Severity,
    /// The object concerned, such as `public.orders.tenant_id` or `migration 12`.
    pub subject: String,
    /// One sentence: the problem and its consequence.
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Location>,
    /// Further locations, such as the migration that created the object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Location>,
    /// Longer text: both spellings, a text diff, a script.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The next step: a statement, a command or a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Finding {
    pub fn error(
        code: impl Into<String>,
        subject: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self::new(Severity::Error, code, subject, message)
    }

    pub fn warn(
        code: impl Into<String>,
        subject: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self::new(Severity::Warn, code, subject, message)
    }

    pub fn note(
        code: impl Into<String>,
        subject: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self::new(Severity::Note, code, subject, message)
    }

    pub fn new(
        severity: Severity,
        code: impl Into<String>,
        subject: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Finding {
            code: code.into(),
            severity,
            subject: subject.into(),
            message: message.into(),
            place: None,
            also: Vec::new(),
            detail: None,
            help: None,
        }
    }

    pub fn place(mut self, place: Location) -> Self {
        self.place = Some(place);
        self
    }

    /// Adds a further location.
    pub fn also(mut self, place: Location) -> Self {
        self.also.push(place);
        self
    }

    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Returns an identifier for each finding that survives changed line numbers: a hash of its code, file, subject and
/// message, and a counter for findings that are otherwise equal.
pub fn fingerprints(findings: &[Finding]) -> Vec<String> {
    let mut seen = BTreeMap::new();
    findings
        .iter()
        .map(|finding| {
            let file = finding.place.as_ref().map_or("", |place| &place.file);
            let key = [&finding.code, file, &finding.subject, &finding.message].join("\0");
            let count = seen.entry(key.clone()).or_insert(0_u32);
            *count += 1;
            let digest = Sha256::digest(format!("{key}\0{count}"));
            digest[..16]
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect()
        })
        .collect()
}

pub fn worst(findings: &[Finding]) -> Option<Severity> {
    findings.iter().map(|finding| finding.severity).max()
}
