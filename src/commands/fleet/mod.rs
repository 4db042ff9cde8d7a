//! Owns what the commands share that govern many databases at once: the fleet's file, and where each database stands.

mod ascent;
mod bound;
mod climb;
mod judgement;
mod members;
mod phase;
mod plan;
mod report;
mod standing;
mod state;
mod truth;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::commands::{Context, project};
use crate::error::fail;
use crate::event::{Event, Unit, silent};
use crate::fleet::{self, Fleet, Flow, Member, Reader};
use crate::migrate::files::Folder;
use crate::migrate::standing::{self as compared, Standing};
use crate::pg::connect;
use crate::pg::session::Session;

pub(crate) use ascent::{Orders, up};
pub(crate) use judgement::judge;
pub(crate) use members::on_each;
pub(crate) use plan::plan;
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

/// Asks every database of a fleet something; gives the answers in the fleet's own order.
async fn ask<'f, T, F>(
    context: &Context,
    fleet: &'f Fleet,
    question: impl Fn(&'f Member) -> F,
) -> Vec<(&'f Member, T)>
where
    F: Future<Output = T>,
{
    let watch = context.watch();
    let members: Vec<&Member> = fleet.members.iter().collect();
    watch(Event::Began {
        task: "asking the fleet",
        total: u64::try_from(members.len()).ok(),
        unit: Unit::Items,
    });
    let mut answers = BTreeMap::new();
    fleet::each(&members, fleet.limits, question, |member, answer| {
        answers.insert(member.name.as_str(), answer);
        watch(Event::Advanced {
            done: u64::try_from(answers.len()).unwrap_or(0),
            note: &member.name,
        });
        Flow::Continue
    })
    .await;
    watch(Event::Ended);
    members
        .into_iter()
        .filter_map(|member| Some((member, answers.remove(member.name.as_str())?)))
        .collect()
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
