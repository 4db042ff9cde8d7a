//! Owns what the commands share that govern many databases at once: the fleet's file, and where each database stands.

mod ascent;
mod phase;
mod report;
mod standing;
mod state;
mod truth;

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::commands::{Context, project};
use crate::error::fail;
use crate::event::silent;
use crate::fleet::{self, Fleet, Member, Reader};
use crate::migrate::files::Folder;
use crate::migrate::standing::{self as compared, Standing};
use crate::pg::connect;
use crate::pg::session::Session;

pub(crate) use ascent::{Orders, up};
pub(crate) use standing::status;

/// Reads a fleet's file and asks whom it names.
pub(crate) async fn load(context: &Context, path: &Path) -> Result<Fleet> {
    let name = context.config.shown(path);
    let text = std::fs::read_to_string(path).map_err(|error| {
        fail(format!("cannot read {name}: {error}")).hint("name the fleet's file with --fleet")
    })?;
    let ambient = &context.config.ambient;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let watch = context.watch();
    let reader = Reader {
        target: &|address| ambient.target(address),
        expand: &|text| ambient.expand(text),
        folder: folder.unwrap_or(Path::new(".")),
        watch: &watch,
    };
    fleet::read(&name, &text, &reader).await
}

/// Opens a session on a member, which may take no longer than the fleet's patience.
pub(crate) async fn open(fleet: &Fleet, member: &Member) -> Result<Session> {
    let opening = connect::open_with(&member.target, &connect::Options::ONCE, &silent);
    match tokio::time::timeout(fleet.limits.patience, opening).await {
        Ok(opened) => opened,
        Err(_) => {
            let seconds = fleet.limits.patience.as_secs();
            Err(fail(format!("no answer within {seconds} s")).into())
        }
    }
}

/// Reads a member's books and holds them against the folder.
async fn stand(
    context: &Context,
    session: &Session,
    folder: &Folder,
) -> Result<(project::Books, Standing)> {
    let books = project::books(context, session)
        .await
        .context("reading its history")?;
    let fresh = project::fresh_width(context, folder)?;
    let standing = compared::compare(folder, &books.history, &books.unfinished, fresh);
    Ok((books, standing))
}
