//! Notifies a webhook when a command starts and ends.
//!
//! Deliveries time out, and failures are only warnings.

use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::commands::Context;
use crate::http;

/// The commands that notify by default.
const COMMANDS: &[&str] = &["up", "down", "restore"];

/// The timeout of one delivery.
const PATIENCE: Duration = Duration::from_secs(5);

/// The webhook and its secret.
#[derive(Clone)]
pub(crate) struct Notifier {
    url: String,
    secret: Option<String>,
}

/// A delivery in progress.
pub(crate) struct PendingDelivery(mpsc::Receiver<Result<(), String>>);

/// Reads the webhook for a command; none if the command does not notify.
pub(crate) fn notifier(context: &Context, command: &str) -> Option<Notifier> {
    let settings = context.config.file.notify.as_ref()?;
    let wanted = match &settings.commands {
        Some(commands) => commands.iter().any(|wanted| wanted == command),
        None => COMMANDS.contains(&command),
    };
    if !wanted {
        return None;
    }
    let expand = |text: &String| context.config.env.expand(text);
    let url = match expand(&settings.url) {
        Ok(url) => url,
        Err(error) => {
            context
                .terminal
                .warn(&format!("notification not sent: {error:#}"));
            return None;
        }
    };
    let secret = match settings.secret.as_ref().map(expand).transpose() {
        Ok(secret) => secret,
        Err(error) => {
            // The receiver would reject an unsigned message, or learn to accept forged ones.
            context
                .terminal
                .warn(&format!("notification not sent: {error:#}"));
            return None;
        }
    };
    Some(Notifier { url, secret })
}

impl Notifier {
    /// Starts a delivery without waiting for it.
    pub(crate) fn send(&self, message: &Value) -> PendingDelivery {
        let (give, take) = mpsc::channel();
        let body = message.to_string();
        let notifier = self.clone();
        // The request ends by its own timeout.
        std::thread::spawn(move || {
            // The receiver may have stopped waiting.
            let _ = give.send(notifier.post(&body));
        });
        PendingDelivery(take)
    }

    fn post(&self, body: &str) -> Result<(), String> {
        let config = http::client(&self.url)
            .map_err(|failure| failure.message)?
            .timeout_global(Some(PATIENCE))
            .max_redirects(0)
            .build();
        let mut request = ureq::Agent::new_with_config(config)
            .post(&self.url)
            .header("Content-Type", "application/json")
            .header("User-Agent", concat!("af-db/", env!("CARGO_PKG_VERSION")));
        if let Some(secret) = &self.secret {
            let signature = hmac(secret.as_bytes(), body.as_bytes());
            request = request.header("X-Af-Db-Signature-256", format!("sha256={signature}"));
        }
        match request.send(body) {
            Ok(_) => Ok(()),
            // An error of the library may hold the URL, and a URL may hold a secret.
            Err(ureq::Error::StatusCode(status)) => {
                Err(format!("the receiver returned HTTP status {status}"))
            }
            Err(ureq::Error::Timeout(_)) => Err("the receiver did not respond in time".to_owned()),
            Err(_) => Err("the receiver cannot be reached".to_owned()),
        }
    }
}

impl PendingDelivery {
    /// Waits for the delivery up to the timeout; warns if it failed.
    pub(crate) fn finish(self, context: &Context) {
        let told = self.0.recv_timeout(PATIENCE + Duration::from_secs(1));
        let why = match told {
            Ok(Ok(())) => return,
            Ok(Err(why)) => why,
            Err(_) => "the receiver did not respond in time".to_owned(),
        };
        context
            .terminal
            .warn(&format!("the notification was not delivered: {why}"));
    }
}

/// The message for the start of a command.
pub(crate) fn started(context: &Context, command: &str) -> Value {
    let database = &context.config.database;
    json!({
        "version": 1,
        "event": "started",
        "command": command,
        "environment": database.environment(),
        "database": database.writing().map(|target| target.database().to_owned()),
        "actor": context.config.env.actor(),
        "at": chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
    })
}

/// The message for the end of a command.
pub(crate) fn ended(
    mut message: Value,
    status: u8,
    took: Duration,
    error: Option<String>,
) -> Value {
    message["event"] = json!("ended");
    message["at"] = json!(chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
    message["exit-status"] = json!(status);
    message["took-ms"] = json!(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    if let Some(error) = error {
        message["error"] = json!(error);
    }
    message
}

/// HMAC-SHA256 as in RFC 2104.
fn hmac(key: &[u8], message: &[u8]) -> String {
    const BLOCK: usize = 64;
    let mut padded = [0_u8; BLOCK];
    if key.len() > BLOCK {
        padded[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        padded[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new()
        .chain_update(padded.map(|byte| byte ^ 0x36))
        .chain_update(message)
        .finalize();
    let outer = Sha256::new()
        .chain_update(padded.map(|byte| byte ^ 0x5c))
        .chain_update(inner)
        .finalize();
    outer.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_standard_one() {
        // RFC 4231, cases 2 and 6.
        assert_eq!(
            hmac(b"Jefe", b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            hmac(
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First"
            ),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }
}
