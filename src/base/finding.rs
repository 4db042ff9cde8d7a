//! Owns the one shape of anything wrong that is not a failure of ours: lint, drift, refuted probe, doctor.
//!
//! Findings are made everywhere and rendered only by `commands::format`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// How much a finding matters; ordered, so that a threshold is a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing, nothing to do.
    Note,
    /// Should be mended, does not fail the run.
    Warn,
    /// Must be mended; the run ends with status 1.
    Error,
}

impl Severity {
    /// Gives the word that people and configuration use.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warn => "warn",
            Severity::Error => "error",
        }
    }
}

/// Where in a file of the project something stands; lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Location {
    /// The path as the user would type it, relative to the project where possible.
    pub file: String,
    /// The line, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The column in characters, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
}

impl Location {
    /// Names a whole file.
    pub fn file(file: impl Into<String>) -> Self {
        Location {
            file: file.into(),
            line: None,
            column: None,
        }
    }

    /// Names a position in a file.
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

/// Something wrong: which rule spoke, about what, where, and the statement or command that mends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    /// The stable code of the rule or check, such as `R01` or `drift-column`.
    pub code: String,
    /// How much it matters.
    pub severity: Severity,
    /// The object it speaks of, such as `public.orders.tenant_id` or `migration 12`.
    pub subject: String,
    /// One sentence: what is wrong and what follows from it.
    pub message: String,
    /// Where it stands in the project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Location>,
    /// Further places that matter, such as the migration that made the object.
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
    /// Makes a finding that must be mended.
    pub fn error(
        code: impl Into<String>,
        subject: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self::new(Severity::Error, code, subject, message)
    }

    /// Makes a finding that should be mended.
    pub fn warn(
        code: impl Into<String>,
        subject: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self::new(Severity::Warn, code, subject, message)
    }

    /// Makes a finding worth knowing.
    pub fn note(
        code: impl Into<String>,
        subject: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self::new(Severity::Note, code, subject, message)
    }

    /// Makes a finding of the given severity.
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

    /// Says where it stands.
    pub fn place(mut self, place: Location) -> Self {
        self.place = Some(place);
        self
    }

    /// Adds a further place.
    pub fn also(mut self, place: Location) -> Self {
        self.also.push(place);
        self
    }

    /// Adds longer text.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds the next step.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Gives each finding a name that stays when lines move: of its code, file, subject and message, and of how
/// many alike stand before it.
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

/// Gives the severity of the worst finding.
pub fn worst(findings: &[Finding]) -> Option<Severity> {
    findings.iter().map(|finding| finding.severity).max()
}
