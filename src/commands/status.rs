//! `af-db status`: what is applied, pending, edited, missing, out of order, half-run.

use anyhow::Result;
use serde::Serialize;

use crate::commands::page::Page;
use crate::commands::{Context, Outcome, Report};

/// Flags of `status`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// End with status 1 when anything is pending or wrong
    #[arg(long)]
    pub check: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct StatusReport {
    database: String,
}

impl Report for StatusReport {
    fn command(&self) -> &'static str {
        "status"
    }

    fn human(&self, page: &mut Page) {
        page.line(format!("database {}", self.database));
    }
}

/// Runs the command.
pub async fn run(_args: &Args, context: &Context) -> Result<Outcome> {
    let database = context.config.database.source.to_string();
    context.show(&StatusReport { database })
}
