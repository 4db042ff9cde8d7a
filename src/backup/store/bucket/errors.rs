//! Error messages of object stores, without the parts of URLs that may be secret.

use std::io;

use object_store::Error;

use crate::error::{Failure, fail};

/// Where clouds lend credentials to their own machines.
const METADATA: [&str; 3] = [
    "//169.254.169.254/",
    "//metadata.google",
    "//169.254.170.2/",
];

pub(super) fn in_words(shown: &str, doing: &str, error: &Error) -> Failure {
    let text = without_queries(&error.to_string());
    if is_full(&text) {
        return full(shown);
    }
    let status = |code: &str| text.contains(&format!("status code: {code}"));
    let (why, hint) = match error {
        // Without credentials the crate asks the cloud's metadata service, whose error does not help.
        _ if METADATA.iter().any(|host| text.contains(host)) => {
            return fail(format!("{doing} {shown}: no credentials")).hint(
                "set the store's variables in the environment, such as AWS_ACCESS_KEY_ID and \
                 AWS_SECRET_ACCESS_KEY, GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_NAME and its key; \
                 keys, but no paths of key files, may also be set in .env",
            );
        }
        // Errors of a listing have no kinds of their own for these.
        _ if matches!(error, Error::PermissionDenied { .. }) || status("403") => (
            "access denied",
            "the credentials need to list, read, write and delete objects under this prefix",
        ),
        _ if matches!(error, Error::Unauthenticated { .. }) || status("401") => (
            "credentials rejected",
            "check the store's variables in the environment or in .env",
        ),
        _ if matches!(error, Error::NotFound { .. }) || status("404") => {
            ("bucket or object not found", "check the store's URL")
        }
        _ => (
            "unexpected response",
            "existing objects are unchanged; try again, or check the store",
        ),
    };
    fail(format!("{doing} {shown}: {why}: {text}")).hint(hint)
}

/// Carries trouble through code that only knows errors of streams.
pub(super) fn as_io(shown: &str, doing: &str, error: &Error) -> io::Error {
    let kind = if is_full(&error.to_string()) {
        io::ErrorKind::StorageFull
    } else {
        io::ErrorKind::Other
    };
    io::Error::new(kind, in_words(shown, doing, error))
}

fn full(shown: &str) -> Failure {
    fail(format!("{shown} is full"))
        .hint("free some space (`af-db backup prune` removes old backups), or use another store")
}

/// Returns whether the store reported that it is full; each has its own wording.
fn is_full(text: &str) -> bool {
    [
        "507 ",
        "Insufficient Storage",
        "StorageFull",
        "QuotaExceeded",
        "quota",
    ]
    .iter()
    .any(|word| text.contains(word))
}

/// Cuts the query off every URL: that is where signatures stand.
fn without_queries(text: &str) -> String {
    let mut words = Vec::new();
    for word in text.split(' ') {
        match word.split_once('?') {
            Some((before, _)) if before.contains("://") => words.push(before),
            _ => words.push(word),
        }
    }
    let text = words.join(" ");
    let end = text
        .char_indices()
        .nth(600)
        .map_or(text.len(), |(end, _)| end);
    text[..end].trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_credentials_are_named() {
        let asked = "Error performing PUT http://169.254.169.254/latest/api/token in 2 s - Server returned non-2xx status code: 403";
        let error = Error::Generic {
            store: "S3",
            source: asked.into(),
        };
        let failure = in_words("s3://bucket/x", "listing", &error);
        assert_eq!(failure.message, "listing s3://bucket/x: no credentials");
        let refused = Error::Generic {
            store: "S3",
            source: "Server returned non-2xx status code: 403".into(),
        };
        let failure = in_words("s3://bucket/x", "listing", &refused);
        assert!(failure.message.contains("access denied"));
    }

    #[test]
    fn signatures_in_urls_are_hidden() {
        let text = without_queries("Error performing PUT https://a.b/c?sig=secret&x=1 in 3 s");
        assert_eq!(text, "Error performing PUT https://a.b/c in 3 s");
    }
}
