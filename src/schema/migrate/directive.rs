//! Directives at the head of a migration file, such as `-- af-db: no-transaction`.
//!
//! `allow` is read by `lint`, which knows the rules; here it is only accepted as valid.

use std::time::Duration;

use crate::finding::{Finding, Location};

/// The directives of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directives {
    /// Statement by statement, outside a transaction.
    pub no_transaction: bool,
    /// How long the whole file may take on the server.
    pub timeout: Option<Duration>,
    /// Why it cannot be undone.
    pub irreversible: Option<String>,
}

const KNOWN: &[&str] = &["no-transaction", "timeout", "allow", "irreversible"];

/// Reads the directives among the comment lines a file begins with.
pub fn read(shown: &str, text: &str, findings: &mut Vec<Finding>) -> Directives {
    let mut directives = Directives::default();
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        let Some(comment) = line.strip_prefix("--") else {
            if line.is_empty() {
                continue;
            }
            break;
        };
        let Some(rest) = comment.trim_start().strip_prefix("af-db:") else {
            continue;
        };
        let line = u32::try_from(index + 1).unwrap_or(u32::MAX);
        if let Err(problem) = directives.take(rest.trim()) {
            let finding = Finding::error("migration-directive", shown, problem.0)
                .place(Location::at(shown, line, 1));
            findings.push(finding.help(problem.1));
        }
    }
    directives
}

impl Directives {
    /// Takes one directive; an error is what is wrong and how it is written.
    fn take(&mut self, text: &str) -> Result<(), (String, String)> {
        let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let rest = rest.trim();
        match word {
            "no-transaction" => self.no_transaction = true,
            "timeout" => {
                let wrong = || {
                    (
                        format!("`{rest}` is not a duration"),
                        "-- af-db: timeout 5min".to_owned(),
                    )
                };
                self.timeout = Some(duration(rest).ok_or_else(wrong)?);
            }
            "irreversible" => {
                let reason = rest
                    .strip_prefix("reason=")
                    .map(|reason| reason.trim().trim_matches('"').trim());
                let reason = reason.filter(|reason| !reason.is_empty());
                let wrong = || {
                    let help = "-- af-db: irreversible reason=\"the old values are lost\"";
                    ("`irreversible` has no reason".to_owned(), help.to_owned())
                };
                self.irreversible = Some(reason.ok_or_else(wrong)?.to_owned());
            }
            "allow" => {}
            other => {
                let near = crate::yaml::nearest(other, KNOWN.iter().copied());
                let help = near.map_or_else(
                    || format!("valid directives: {}", KNOWN.join(", ")),
                    |near| format!("did you mean `-- af-db: {near}`?"),
                );
                return Err((format!("unknown directive `{other}`"), help));
            }
        }
        Ok(())
    }
}

/// Reads `500ms`, `2s`, `5min`, `1h`, `7d`; a bare number has no unit and is refused.
pub fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let split = text.find(|character: char| !character.is_ascii_digit())?;
    let number: u64 = text[..split].parse().ok()?;
    let milliseconds = match text[split..].trim() {
        "ms" => 1,
        "s" => 1_000,
        "min" | "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(milliseconds).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> (Directives, Vec<String>) {
        let mut findings = Vec::new();
        let directives = read("V1__x.sql", text, &mut findings);
        let said = findings.iter().map(|finding| {
            format!(
                "{}: {} ({})",
                finding.place.as_ref().unwrap(),
                finding.message,
                finding.help.as_ref().unwrap()
            )
        });
        (directives, said.collect())
    }

    #[test]
    fn directives_stand_before_the_first_statement() {
        let (directives, findings) = check(
            "-- words\n\n--af-db: no-transaction\n-- af-db: timeout 5min\n-- af-db: allow R01 reason=\"x\"\nSELECT 1;\n-- af-db: nonsense",
        );
        assert!(directives.no_transaction);
        assert_eq!(directives.timeout, Some(Duration::from_secs(300)));
        assert_eq!(findings, Vec::<String>::new());
    }

    #[test]
    fn invalid_directives_are_reported_with_a_fix() {
        let (_, findings) =
            check("-- af-db: no-transction\n-- af-db: timeout 5\n-- af-db: irreversible\n");
        insta::assert_snapshot!(findings.join("\n"), @r#"
        V1__x.sql:1:1: unknown directive `no-transction` (did you mean `-- af-db: no-transaction`?)
        V1__x.sql:2:1: `5` is not a duration (-- af-db: timeout 5min)
        V1__x.sql:3:1: `irreversible` has no reason (-- af-db: irreversible reason="the old values are lost")
        "#);
    }

    #[test]
    fn durations() {
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("2 h"), Some(Duration::from_secs(7200)));
        assert_eq!(duration("5"), None);
        assert_eq!(duration("99999999999999999999s"), None);
    }
}
