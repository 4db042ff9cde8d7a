//! Who may approve a plan and whether they have: the words that are typed, and detached signatures.
//!
//! A signature is minisign's, of the plan's file; its trusted comment says for which environment and until when. That several
//! people have looked at a plan is guaranteed by the number of distinct keys that signed it, and by nothing else: the name of
//! the author is in a file that anyone can edit, and is compared only as a check against mistakes.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use minisign_verify::{PublicKey, Signature};
use unicode_normalization::UnicodeNormalization as _;

use crate::error::{Failure, fail, refuse};

/// The longest an approval may still be good for.
const LONGEST: TimeDelta = TimeDelta::days(7);

/// A person who may approve plans.
pub struct Approver {
    /// The person's name; the author of a plan is compared with it.
    pub name: String,
    key: PublicKey,
    /// The key without its number, which is not authenticated.
    point: Vec<u8>,
}

/// The approvers of an environment, and how many of them must sign.
pub struct Quorum {
    approvers: Vec<Approver>,
    /// How many signatures by distinct keys a plan needs; none where there are no approvers.
    pub needed: usize,
}

/// A valid approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approved {
    /// Who approved.
    pub by: String,
    /// Until when.
    pub until: DateTime<Utc>,
}

/// What is to be approved.
#[derive(Clone, Copy, Debug)]
pub struct ApprovalRequest<'a> {
    /// The plan's file, byte for byte.
    pub plan: &'a str,
    /// Who asked for the plan.
    pub author: Option<&'a str>,
    /// The environment it is going to be run in.
    pub environment: &'a str,
    pub now: DateTime<Utc>,
}

impl Quorum {
    /// Reads `approvers`, a name and a public key each, and `approvals`.
    pub fn read(entries: &[String], approvals: Option<usize>) -> Result<Quorum, Failure> {
        let approvers: Vec<Approver> = entries
            .iter()
            .map(|entry| approver(entry))
            .collect::<Result<_, _>>()?;
        let mut keys: BTreeMap<&[u8], &str> = BTreeMap::new();
        for one in &approvers {
            if let Some(other) = keys.insert(&one.point, &one.name) {
                return Err(fail(format!(
                    "approvers `{other}` and `{}` have the same key",
                    one.name
                ))
                .hint("give each approver a separate key, or list the key once"));
            }
        }
        let needed = approvals.unwrap_or_else(|| usize::from(!approvers.is_empty()));
        if needed == 0 && !approvers.is_empty() {
            return Err(fail("`approvals: 0` contradicts the list of approvers")
                .hint("remove the approvers, or require at least one approval"));
        }
        if needed > approvers.len() {
            return Err(fail(format!(
                "`approvals: {needed}` requires more signatures than there are approvers ({})",
                approvers.len()
            ))
            .hint("list more approvers with separate keys, or require fewer approvals"));
        }
        Ok(Quorum { approvers, needed })
    }

    /// Checks detached signatures: enough of them hold, each by another key.
    pub fn check(
        &self,
        signatures: &[String],
        asked: &ApprovalRequest<'_>,
    ) -> Result<Vec<Approved>, Failure> {
        let mut approved: BTreeMap<usize, Approved> = BTreeMap::new();
        let mut refused = Vec::new();
        for signature in signatures {
            match check(&self.approvers, signature, asked) {
                Ok((at, one)) => {
                    approved.entry(at).or_insert(one);
                }
                Err(failure) => refused.push(failure),
            }
        }
        if approved.len() >= self.needed {
            return Ok(approved.into_values().collect());
        }
        if approved.is_empty() && refused.len() == 1 {
            return Err(refused.remove(0));
        }
        let names: Vec<&str> = approved.values().map(|one| one.by.as_str()).collect();
        let by = match names.is_empty() {
            true => String::new(),
            false => format!(" (by {})", names.join(", ")),
        };
        let because: String = refused
            .iter()
            .map(|failure| format!("\n  {failure}"))
            .collect();
        Err(refuse(format!(
            "the plan has {} of {} approvals{by}; nothing was changed{because}",
            approved.len(),
            self.needed
        ))
        .hint(how_to_sign(asked)))
    }
}

fn approver(entry: &str) -> Result<Approver, Failure> {
    let written = "write each approver as `NAME KEY`: the person's name, and the line of their minisign.pub that begins with RW";
    let Some((name, key)) = entry.trim().split_once(char::is_whitespace) else {
        return Err(fail(format!("the approver `{entry}` has no name or no key")).hint(written));
    };
    let bytes = STANDARD.decode(key.trim()).ok();
    let parsed = PublicKey::from_base64(key.trim()).ok();
    // Two bytes name the algorithm, eight number the key.
    let (Some(key), Some(point)) = (
        parsed,
        bytes.and_then(|all| all.get(10..).map(<[u8]>::to_vec)),
    ) else {
        return Err(fail(format!(
            "the key of the approver `{name}` is not a minisign key"
        ))
        .hint(written));
    };
    Ok(Approver {
        name: name.to_owned(),
        key,
        point,
    })
}

/// Returns a name as names are compared: whatever its case, its spaces and the form of its letters.
fn folded(name: &str) -> String {
    let words: Vec<&str> = name.split_whitespace().collect();
    words.join(" ").nfkc().collect::<String>().to_lowercase()
}

/// Returns the words that a person types to run a plan.
pub fn confirmation_phrase(environment: &str, database: &str, sha256: &str) -> String {
    let short: String = digits(sha256).chars().take(6).collect();
    format!("{environment}/{database} {short}")
}

/// Whether `--approve` names this plan, in full.
pub fn is_full_hash(given: &str, sha256: &str) -> bool {
    given == sha256
}

fn digits(sha256: &str) -> &str {
    sha256.strip_prefix("sha256:").unwrap_or(sha256)
}

/// Checks a detached signature: by one of the approvers, not the author, for this environment, not expired.
///
/// Returns which of the approvers it is.
fn check(
    approvers: &[Approver],
    signature: &str,
    asked: &ApprovalRequest<'_>,
) -> Result<(usize, Approved), Failure> {
    let signature = Signature::decode(signature).map_err(|_| {
        refuse("the signature is not a minisign signature; nothing was changed")
            .hint(how_to_sign(asked))
    })?;
    let verified = |approver: &&Approver| {
        approver
            .key
            .verify(asked.plan.as_bytes(), &signature, false)
    };
    let at = approvers
        .iter()
        .position(|approver| verified(&approver).is_ok());
    let Some((at, approver)) = at.map(|at| (at, &approvers[at])) else {
        let known = approvers.iter().find(|approver| {
            !matches!(
                verified(approver),
                Err(minisign_verify::Error::UnexpectedKeyId)
            )
        });
        return Err(match known {
            Some(approver) => refuse(format!(
                "the signature of `{}` is for another plan or was modified; nothing was changed",
                approver.name
            ))
            .hint("have the current plan signed"),
            None => refuse("the signature is not by any of the approvers; nothing was changed")
                .hint("the approvers are listed under the environment in af-db.yaml"),
        });
    };
    if asked
        .author
        .is_none_or(|author| folded(author) == folded(&approver.name))
    {
        return Err(refuse(format!(
            "`{}` is the author of this plan and cannot approve it; nothing was changed",
            approver.name
        ))
        .hint("have another approver sign it"));
    }
    let comment = TrustedComment::read(signature.trusted_comment());
    if comment.environment.as_deref() != Some(asked.environment) {
        let said = comment.environment.as_deref().unwrap_or("none");
        return Err(refuse(format!(
            "`{}` approved the plan for environment `{said}`, not `{}`; nothing was changed",
            approver.name, asked.environment
        ))
        .hint(how_to_sign(asked)));
    }
    let until = comment.until(asked, &approver.name)?;
    let by = approver.name.clone();
    Ok((at, Approved { by, until }))
}

/// Returns the command that signs.
pub fn how_to_sign(asked: &ApprovalRequest<'_>) -> String {
    let until = (asked.now + TimeDelta::days(1)).format("%Y-%m-%dT%H:%MZ");
    format!(
        "an approver must sign with: minisign -Sm plan.json -t 'environment={} expires={until}'",
        asked.environment
    )
}

/// What a trusted comment says.
struct TrustedComment {
    environment: Option<String>,
    expires: Option<String>,
}

impl TrustedComment {
    fn read(text: &str) -> Self {
        // A value that is given twice is ambiguous and ignored.
        let value = |name: &str| {
            let mut values = text
                .split_whitespace()
                .filter_map(|word| word.strip_prefix(name)?.strip_prefix('='));
            let first = values.next()?;
            values.next().is_none().then(|| first.to_owned())
        };
        TrustedComment {
            environment: value("environment"),
            expires: value("expires"),
        }
    }

    fn until(&self, asked: &ApprovalRequest<'_>, name: &str) -> Result<DateTime<Utc>, Failure> {
        let parsed = self.expires.as_deref().and_then(time);
        let Some(until) = parsed else {
            return Err(refuse(format!(
                "the approval of `{name}` has no expiry time; nothing was changed"
            ))
            .hint(how_to_sign(asked)));
        };
        if until <= asked.now {
            return Err(refuse(format!(
                "the approval of `{name}` expired at {}; nothing was changed",
                until.format("%Y-%m-%d %H:%M UTC")
            ))
            .hint("have the plan reviewed and signed again"));
        }
        if until - asked.now > LONGEST {
            return Err(refuse(format!(
                "the approval of `{name}` expires at {}, more than 7 days from now; nothing was changed",
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
        quorum: Quorum,
    }

    fn case() -> Case {
        let pair = KeyPair::generate_unencrypted_keypair().unwrap();
        let entry = format!("bob {}", pair.pk.to_base64());
        Case {
            quorum: Quorum::read(&[entry], None).unwrap(),
            pair,
        }
    }

    fn now() -> DateTime<Utc> {
        time("2026-06-01T12:00Z").unwrap()
    }

    fn asked<'a>(plan: &'a str, author: &'a str) -> ApprovalRequest<'a> {
        ApprovalRequest {
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
    fn signatures_of_another_approver_are_valid() {
        let case = case();
        let approved = case
            .quorum
            .check(&[sign(&case.pair, GOOD)], &asked(PLAN, "alice"));
        assert_eq!(
            approved.unwrap(),
            [Approved {
                by: "bob".to_owned(),
                until: time("2026-06-02T12:00:00Z").unwrap()
            }]
        );
    }

    #[test]
    fn invalid_signatures_are_refused() {
        let case = case();
        let stranger = KeyPair::generate_unencrypted_keypair().unwrap();
        let mut said = String::new();
        let mut refused = |signature: &str, asked: &ApprovalRequest<'_>| {
            let failure = case
                .quorum
                .check(&[signature.to_owned()], asked)
                .unwrap_err();
            assert_eq!(failure.exit.code(), 4);
            said.push_str(&format!("{failure}\n"));
        };
        let alice = asked(PLAN, "alice");
        let signed = |comment: &str| sign(&case.pair, comment);
        refused("nonsense", &alice);
        refused(&sign(&stranger, GOOD), &alice);
        refused(&signed(GOOD), &asked(PLAN, "bob"));
        refused(&signed(GOOD), &asked(PLAN, " BOB "));
        refused(&signed(GOOD), &asked(PLAN, "\u{ff42}ob"));
        refused(
            &signed(GOOD),
            &ApprovalRequest {
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
        the signature is not a minisign signature; nothing was changed
        the signature is not by any of the approvers; nothing was changed
        `bob` is the author of this plan and cannot approve it; nothing was changed
        `bob` is the author of this plan and cannot approve it; nothing was changed
        `bob` is the author of this plan and cannot approve it; nothing was changed
        `bob` is the author of this plan and cannot approve it; nothing was changed
        the signature of `bob` is for another plan or was modified; nothing was changed
        the signature of `bob` is for another plan or was modified; nothing was changed
        `bob` approved the plan for environment `staging`, not `production`; nothing was changed
        `bob` approved the plan for environment `none`, not `production`; nothing was changed
        the approval of `bob` has no expiry time; nothing was changed
        the approval of `bob` expired at 2026-06-01 12:00 UTC; nothing was changed
        the approval of `bob` expires at 2026-07-01, more than 7 days from now; nothing was changed
        the approval of `bob` has no expiry time; nothing was changed
        ");
    }

    #[test]
    fn approvals_count_keys_and_not_names_or_signatures() {
        let pairs: Vec<KeyPair> = (0..3)
            .map(|_| KeyPair::generate_unencrypted_keypair().unwrap())
            .collect();
        let entries: Vec<String> = ["ann", "bob", "cleo"]
            .iter()
            .zip(&pairs)
            .map(|(name, pair)| format!("{name} {}", pair.pk.to_base64()))
            .collect();
        let quorum = Quorum::read(&entries, Some(2)).unwrap();
        let asked = asked(PLAN, "dan");
        let by = |at: usize, comment: &str| sign(&pairs[at], comment);
        let names = |signatures: &[String]| -> Result<Vec<String>, String> {
            let approved = quorum.check(signatures, &asked);
            let names = approved.map(|all| all.into_iter().map(|one| one.by).collect());
            names.map_err(|failure| failure.to_string())
        };
        assert_eq!(names(&[by(0, GOOD), by(2, GOOD)]).unwrap(), ["ann", "cleo"]);
        let expired = "environment=production expires=2026-05-01T12:00Z";
        let elsewhere = "environment=staging expires=2026-06-02T12:00Z";
        let later = "environment=production expires=2026-06-03T12:00Z";
        for too_few in [
            vec![by(0, GOOD)],
            vec![by(0, GOOD), by(0, GOOD)],
            vec![by(0, GOOD), by(0, later)],
            vec![by(0, GOOD), by(1, expired)],
            vec![by(0, GOOD), by(1, elsewhere)],
        ] {
            let said = names(&too_few).unwrap_err();
            assert!(
                said.starts_with("the plan has 1 of 2 approvals (by ann)"),
                "{said}"
            );
        }
    }

    #[test]
    fn approvers_and_approvals_that_contradict_each_other_are_refused() {
        let pair = KeyPair::generate_unencrypted_keypair().unwrap();
        let key = pair.pk.to_base64();
        let mut bytes = STANDARD.decode(&key).unwrap();
        bytes[5] ^= 1;
        let renumbered = STANDARD.encode(&bytes);
        let (ann, again) = (format!("ann {key}"), format!("bob {renumbered}"));
        let said =
            |entries: &[String], approvals: Option<usize>| match Quorum::read(entries, approvals) {
                Ok(quorum) => quorum.needed.to_string(),
                Err(failure) => failure.to_string(),
            };
        insta::assert_snapshot!([
            said(&[], None),
            said(std::slice::from_ref(&ann), None),
            said(std::slice::from_ref(&ann), Some(1)),
            said(std::slice::from_ref(&ann), Some(2)),
            said(std::slice::from_ref(&ann), Some(0)),
            said(&[], Some(1)),
            said(&[ann, again], Some(1)),
            said(&["bob key".to_owned()], None),
            said(&[key], None),
        ].join("\n").replace(&pair.pk.to_base64(), "KEY"), @"
        0
        1
        1
        `approvals: 2` requires more signatures than there are approvers (1)
        `approvals: 0` contradicts the list of approvers
        `approvals: 1` requires more signatures than there are approvers (0)
        approvers `ann` and `bob` have the same key
        the key of the approver `bob` is not a minisign key
        the approver `KEY` has no name or no key
        ");
    }

    #[test]
    fn confirmation_phrases_contain_the_start_of_the_hash() {
        assert_eq!(
            confirmation_phrase("production", "app", "sha256:abcdef0123"),
            "production/app abcdef"
        );
        assert!(is_full_hash("sha256:ab", "sha256:ab"));
        assert!(!is_full_hash("sha256:a", "sha256:ab") && !is_full_hash("ab", "sha256:ab"));
    }
}
