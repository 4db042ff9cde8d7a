//! What runs around every command: notifications at start and end, and the metrics file.
//!
//! Failures here are warnings and do not change the exit status.

use std::path::PathBuf;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use anyhow::Result;
use chrono::Utc;
use serde_json::Value;

use crate::backup::identity;
use crate::commands::notify::{self, Notifier};
use crate::commands::{Context, Outcome, archives, change::gate, metrics};
use crate::error::exit_of;
use crate::sql::redact;

/// A running command.
pub(crate) struct CommandRun {
    command: String,
    began: Instant,
    metrics: Option<PathBuf>,
    notifier: Option<(Notifier, Value, notify::PendingDelivery)>,
}

pub(crate) fn begin(context: &Context, command: &str, metrics: Option<PathBuf>) -> CommandRun {
    let notifier = notify::notifier(context, command).map(|notifier| {
        let message = notify::started(context, command);
        let delivery = notifier.send(&message);
        (notifier, message, delivery)
    });
    CommandRun {
        command: command.to_owned(),
        began: Instant::now(),
        metrics,
        notifier,
    }
}

impl CommandRun {
    pub(crate) fn end(self, context: &Context, ended: &Result<Outcome>) {
        let took = self.began.elapsed();
        let status = match ended {
            Ok(outcome) => outcome.code(),
            Err(error) => exit_of(error).code(),
        };
        if let Some(path) = &self.metrics {
            let written = self.measure(context, status, took, path);
            if let Err(error) = written {
                context
                    .terminal
                    .warn(&format!("metrics file not written: {error:#}"));
            }
        }
        if let Some((notifier, message, delivery)) = self.notifier {
            let error = ended.as_ref().err().map(ToString::to_string);
            let error = error.map(|error| redact::addresses(&error).into_owned());
            let last = notifier.send(&notify::ended(message, status, took, error));
            delivery.finish(context);
            last.finish(context);
        }
    }

    fn measure(
        &self,
        context: &Context,
        status: u8,
        took: Duration,
        path: &std::path::Path,
    ) -> Result<()> {
        let database = &context.config.database;
        let name = database.writing().map_or("", |target| target.database());
        let told = context.told.lock().unwrap_or_else(PoisonError::into_inner);
        // The server is not queried, so only if the store has one database of that name.
        let newest = || {
            let store = archives::store(context, None).ok()?;
            let of = identity::only(&store, name).ok()??;
            gate::newest_backup(context, &of).ok()?
        };
        let newest = newest();
        let ended = metrics::FinishedCommand {
            command: &self.command,
            environment: database.environment(),
            database: name,
            status,
            took,
            at: Utc::now().timestamp(),
            report: told.as_ref(),
            backup_age: newest.and_then(|at| (Utc::now() - at).to_std().ok()),
        };
        metrics::write(path, &ended)
    }
}
