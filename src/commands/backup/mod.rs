//! `af-db backup` and its subcommands.

mod create;
mod list;
mod pgbackrest;
mod prune;
mod verify;

use anyhow::Result;

use crate::commands::archives::Engine;
use crate::commands::{Context, Outcome};

/// Flags of `backup`.
#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    create: create::CreateArgs,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// List the backups in a store
    List(list::Args),
    /// Verify a backup without a database: checksums, and the dump against its recorded row hashes
    Verify(verify::Args),
    /// Remove old backups; never a database's newest or last verified backup
    Prune(prune::Args),
}

/// Runs the command.
pub async fn run(args: &Args, context: &Context) -> Result<Outcome> {
    match &args.action {
        None if args.create.engine.engine == Engine::Pgbackrest => {
            args.create.refuse_flags_for_pgbackrest()?;
            pgbackrest::back_up(&args.create, context).await
        }
        None => create::run(&args.create, context).await,
        Some(Action::List(args)) => list::run(args, context),
        Some(Action::Verify(args)) if args.engine.engine == Engine::Pgbackrest => {
            pgbackrest::verify(&args.engine, context).await
        }
        Some(Action::Verify(args)) => verify::run(args, context).await,
        Some(Action::Prune(args)) => prune::run(args, context),
    }
}
