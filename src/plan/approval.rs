//! Owns who may approve a plan and whether he has: the words that are typed, and detached signatures.
//!
//! A signature is minisign's, of the plan's file; its trusted comment says for which environment and until when.

use chrono::{DateTime, TimeDelta, Utc};
use minisign_verify::{PublicKey, Signature};

use crate::error::{Failure, fail, refuse};

/// The longest an approval may still be good for.
const LONGEST: TimeDelta = TimeDelta::days(7);

/// A person who may approve plans.
pub struct Approver {
    /// How people call him; the author of a plan is compared with it.
    pub name: String,
    key: PublicKey,
}

/// An approval that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approved {
    /// Who approved.
    pub by: String,
    /// Until when.
    pub until: DateTime<Utc>,
}

/// What is to be approved.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The plan's file, byte for byte.
    pub plan: &'a str,
    /// Who asked for the plan.
    pub author: Option<&'a str>,
    /// The environment it is going to be run in.
    pub environment: &'a str,
    /// The time.
    pub now: DateTime<Utc>,
}

/// Reads `approvers`: a name and a public key each.
pub fn approvers(entries: &[String]) -> Result<Vec<Approver>, Failure> {
    entries.iter().map(|entry| approver(entry)).collect()
}

fn approver(entry: &str) -> Result<Approver, Failure> {
    let written =
        "write each as `NAME KEY`: who it is, and the line of his minisign.pub that begins with RW";
    let Some((name, key)) = entry.trim().split_once(char::is_whitespace) else {
        return Err(fail(format!("the approver `{entry}` has no name or no key")).hint(written));
    };
    let key = PublicKey::from_base64(key.trim()).map_err(|_| {
        fail(format!(
            "the key of the approver `{name}` is not minisign's"
        ))
        .hint(written)
    })?;
    Ok(Approver {
        name: name.to_owned(),
        key,
    })
}

/// Gives the words that a person types to run a plan.
pub fn words(environment: &str, database: &str, sha256: &str) -> String {
    let short: String = digits(sha256).chars().take(6).collect();
    format!("{environment}/{database} {short}")
}

/// Says whether `--approve` names this plan, in full.
pub fn names(given: &str, sha256: &str) -> bool {
    given == sha256
}

fn digits(sha256: &str) -> &str {
    sha256.strip_prefix("sha256:").unwrap_or(sha256)
}

/// Checks a detached signature: by one of the approvers, not the author, for this environment, not expired.
pub fn check(
    approvers: &[Approver],
    signature: &str,
    asked: &Asked<'_>,
) -> Result<Approved, Failure> {
    let signature = Signature::decode(signature).map_err(|_| {
        refuse("the signature is not minisign's; nothing was touched").hint(how_to_sign(asked))
    })?;
    let verified = |approver: &&Approver| {
        approver
            .key
            .verify(asked.plan.as_bytes(), &signature, false)
    };
    let Some(approver) = approvers.iter().find(|approver| verified(approver).is_ok()) else {
        let known = approvers.iter().find(|approver| {
            !matches!(
                verified(approver),
                Err(minisign_verify::Error::UnexpectedKeyId)
            )
        });
        return Err(match known {
            Some(approver) => refuse(format!(
                "the signature of `{}` is not for this plan, or was changed; nothing was touched",
                approver.name
            ))
            .hint("have the plan signed as it is now"),
            None => refuse("the signature is by none of the approvers; nothing was touched")
                .hint("the approvers are listed under the environment in af-db.yaml"),
        });
    };
    if asked.author.is_none_or(|author| author == approver.name) {
        return Err(refuse(format!(
            "`{}` asked for this plan and cannot approve it; nothing was touched",
            approver.name
        ))
        .hint("have another approver sign it"));
    }
    let comment = Comment::read(signature.trusted_comment());
    if comment.environment.as_deref() != Some(asked.environment) {
        let said = comment.environment.as_deref().unwrap_or("none");
        return Err(refuse(format!(
            "`{}` approved the plan for environment `{said}`, this is `{}`; nothing was touched",
            approver.name, asked.environment
        ))
        .hint(how_to_sign(asked)));
    }
    let until = comment.until(asked, &approver.name)?;
    Ok(Approved {
        by: approver.name.clone(),
        until,
    })
}

/// Gives the command that signs.
pub fn how_to_sign(asked: &Asked<'_>) -> String {
    let until = (asked.now + TimeDelta::days(1)).format("%Y-%m-%dT%H:%MZ");
    format!(
        "an approver signs with: minisign -Sm plan.json -t 'environment={} expires={until}'",
        asked.environment
    )
}

/// What a trusted comment says.
struct Comment {
    environment: Option<String>,
    expires: Option<String>,
}

impl Comment {
    fn read(text: &str) -> Self {
        // Said twice is said unclearly, so it counts for nothing.
        let value = |name: &str| {
            let mut values = text
                .split_whitespace()
                .filter_map(|word| word.strip_prefix(name)?.strip_prefix('='));
            let first = values.next()?;
            values.next().is_none().then(|| first.to_owned())
        };
        Comment {
            environment: value("environment"),
            expires: value("expires"),
        }
    }

    fn until(&self, asked: &Asked<'_>, name: &str) -> Result<DateTime<Utc>, Failure> {
        let parsed = self.expires.as_deref().and_then(time);
        let Some(until) = parsed else {
            return Err(refuse(format!(
                "the approval of `{name}` does not say until when it holds; nothing was touched"
            ))
            .hint(how_to_sign(asked)));
        };
        if until <= asked.now {
            return Err(refuse(format!(
                "the approval of `{name}` expired at {}; nothing was touched",
                until.format("%Y-%m-%d %H:%M UTC")
            ))
            .hint("have the plan looked at and signed again"));
        }
        if until - asked.now > LONGEST {
            return Err(refuse(format!(
                "the approval of `{name}` would hold until {}, longer than 7 days from now; nothing was touched",
                until.format("%Y-%m-%d")
            ))
            .hint(how_to_sign(asked)));
        }
        Ok(until)
    }
}

/// Reads `2027-01-31T12:00Z`, with or without seconds or another offset.
fn time(text: &str) -> Option<DateTime<Utc>> {
    let whole = DateTime::parse_from_rfc3339(text);
    let short = || DateTime::parse_from_str(&text.replace('Z', "+00:00"), "%Y-%m-%dT%H:%M%:z");
    Some(whole.or_else(|_| short()).ok()?.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;
    use minisign::KeyPair;

    const PLAN: &str = "{\n  \"version\": 1\n}\n";

    struct Case {
        pair: KeyPair,
        approvers: Vec<Approver>,
    }

    fn case() -> Case {
        let pair = KeyPair::generate_unencrypted_keypair().unwrap();
        let entry = format!("bob {}", pair.pk.to_base64());
        Case {
            approvers: approvers(&[entry]).unwrap(),
            pair,
        }
    }

    fn now() -> DateTime<Utc> {
        time("2026-06-01T12:00Z").unwrap()
    }

    fn asked<'a>(plan: &'a str, author: &'a str) -> Asked<'a> {
        Asked {
            plan,
            author: Some(author),
            environment: "production",
            now: now(),
        }
    }

    fn sign(pair: &KeyPair, comment: &str) -> String {
        let signed = minisign::sign(
            Some(&pair.pk),
            &pair.sk,
            PLAN.as_bytes(),
            Some(comment),
            None,
        );
        signed.unwrap().to_string()
    }

    const GOOD: &str = "environment=production expires=2026-06-02T12:00Z";

    #[test]
    fn a_signature_of_another_approver_holds() {
        let case = case();
        let approved = check(
            &case.approvers,
            &sign(&case.pair, GOOD),
            &asked(PLAN, "alice"),
        );
        assert_eq!(
            approved.unwrap(),
            Approved {
                by: "bob".to_owned(),
                until: time("2026-06-02T12:00:00Z").unwrap()
            }
        );
    }

    #[test]
    fn everything_else_is_refused() {
        let case = case();
        let stranger = KeyPair::generate_unencrypted_keypair().unwrap();
        let mut said = String::new();
        let mut refused = |signature: &str, asked: &Asked<'_>| {
            let failure = check(&case.approvers, signature, asked).unwrap_err();
            assert_eq!(failure.exit.code(), 4);
            said.push_str(&format!("{failure}\n"));
        };
        let alice = asked(PLAN, "alice");
        let signed = |comment: &str| sign(&case.pair, comment);
        refused("nonsense", &alice);
        refused(&sign(&stranger, GOOD), &alice);
        refused(&signed(GOOD), &asked(PLAN, "bob"));
        refused(
            &signed(GOOD),
            &Asked {
                author: None,
                ..alice
            },
        );
        refused(&signed(GOOD), &asked("{}", "alice"));
        refused(&signed(GOOD).replace("=production", "=staging"), &alice);
        refused(
            &signed("environment=staging expires=2026-06-02T12:00Z"),
            &alice,
        );
        refused(&signed("expires=2026-06-02T12:00Z"), &alice);
        refused(&signed("environment=production"), &alice);
        refused(
            &signed("environment=production expires=2026-06-01T12:00Z"),
            &alice,
        );
        refused(
            &signed("environment=production expires=2026-07-01T12:00Z"),
            &alice,
        );
        refused(
            &signed(&format!("{GOOD} expires=2026-06-03T12:00Z")),
            &alice,
        );
        insta::assert_snapshot!(said, @"
        the signature is not minisign's; nothing was touched
        the signature is by none of the approvers; nothing was touched
        `bob` asked for this plan and cannot approve it; nothing was touched
        `bob` asked for this plan and cannot approve it; nothing was touched
        the signature of `bob` is not for this plan, or was changed; nothing was touched
        the signature of `bob` is not for this plan, or was changed; nothing was touched
        `bob` approved the plan for environment `staging`, this is `production`; nothing was touched
        `bob` approved the plan for environment `none`, this is `production`; nothing was touched
        the approval of `bob` does not say until when it holds; nothing was touched
        the approval of `bob` expired at 2026-06-01 12:00 UTC; nothing was touched
        the approval of `bob` would hold until 2026-07-01, longer than 7 days from now; nothing was touched
        the approval of `bob` does not say until when it holds; nothing was touched
        ");
    }

    #[test]
    fn an_approver_has_a_name_and_a_key() {
        for entry in [
            "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3",
            "bob key",
        ] {
            assert!(approvers(&[entry.to_owned()]).is_err(), "{entry}");
        }
    }

    #[test]
    fn the_words_hold_the_first_of_the_hash() {
        assert_eq!(
            words("production", "app", "sha256:abcdef0123"),
            "production/app abcdef"
        );
        assert!(names("sha256:ab", "sha256:ab"));
        assert!(!names("sha256:a", "sha256:ab") && !names("ab", "sha256:ab"));
    }
}
