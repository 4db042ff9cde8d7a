//! `af-db new`: writes a pair of migration files.

use anyhow::Result;
use serde::Serialize;

use crate::commands::page::Page;
use crate::commands::{Context, Outcome, Report, project};
use crate::migrate::write;

/// Flags of `new`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// What the migration does, such as add_tenant
    name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct NewReport {
    version: i64,
    up: String,
    down: String,
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let folder = project::folder(context)?;
    let name = write::file_name(&args.name)?;
    let version = write::next_version(&folder.migrations, project::timestamp());
    let (up, down) = write::blank(&name);
    let pair = write::pair(&context.config.migrations(), version, &name, (&up, &down))?;
    context.show(&NewReport {
        version,
        up: context.config.shown(&pair.up),
        down: context.config.shown(&pair.down),
    })
}

impl Report for NewReport {
    fn command(&self) -> &'static str {
        "new"
    }

    fn human(&self, page: &mut Page) {
        page.line(&self.up);
        page.line(&self.down);
    }
}
