//! Owns taking back what a half-run step has left behind: from its last statement to its first, as far as the text and
//! the catalog say how.
//!
//! An index that was built is dropped, CONCURRENTLY; what only tidies up needs nothing. At the first statement that only a
//! person can undo it stops: what stands before that stays as it is.

use std::ops::Range;

use anyhow::Result;

use crate::event::{Event, Watch};
use crate::pg::session::Session;
use crate::plan::execution::reset;
use crate::plan::reconcile::{self, About, Earlier, Found};
use crate::plan::unit::{self, Kind, Outline, Piece};
use crate::plan::{Books, Moment, Step};
use crate::sql::class::Class;
use crate::sql::classify;
use crate::sql::safe::Sql;

/// What was taken back.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Undone {
    /// What was done for it, in words.
    pub did: Vec<String>,
    /// How many units of the step are done still.
    pub left: usize,
    /// The statement it stopped at.
    pub stuck: Option<Stuck>,
}

/// A statement that only a person can undo.
#[derive(Debug, PartialEq, Eq)]
pub struct Stuck {
    /// Where it stands in the step's text.
    pub range: Range<usize>,
    /// Why.
    pub why: &'static str,
    /// Whether it is the one that was begun, and nobody knows how it ended.
    pub uncertain: bool,
}

/// How a unit stands to being undone.
enum Way {
    Nothing,
    Stuck(&'static str),
}

const BY_HAND: &str = "only a person can undo it";

/// Takes back what a step has left behind that an earlier run was stopped in.
///
/// `begun` says whether the unit behind those that are done may have been begun.
pub async fn undo(
    session: &Session,
    step: &Step,
    begun: bool,
    books: &dyn Books,
    watch: Watch<'_>,
) -> Result<Undone> {
    let outline = unit::outline(&step.text);
    let units = unit::units(&outline, &step.text);
    let mut undone = Undone {
        left: step.done,
        ..Undone::default()
    };
    let mut earlier = Earlier {
        begun: None,
        uncertain: step.uncertain,
    };
    if let Some(question) = books.noted(step.done + 1, Moment::Began) {
        let rows = session.query_sql(&question, &[]).await?;
        earlier.begun = rows.first().map(|row| row.get(0));
    }
    let reached = units.iter().take(step.done + 1);
    let reached = reached.filter(|unit| !outline.is_undone(unit));
    settle(session, (step, &outline), reached).await?;
    let mut undoing = Undoing {
        session,
        watch,
        did: Vec::new(),
    };
    let stuck = |piece: &Piece, why, uncertain| Stuck {
        range: outline.statements[piece.statements.start].clone(),
        why,
        uncertain,
    };
    if let Some(piece) = units.get(step.done).filter(|_| begun)
        && let Way::Stuck(why) = undoing
            .begun(text(step, &outline, piece), piece.kind, &earlier)
            .await?
    {
        undone.stuck = Some(stuck(piece, why, true));
    }
    let done = units.iter().take(step.done).rev();
    for piece in done {
        if undone.stuck.is_some() {
            break;
        }
        match undoing.done(text(step, &outline, piece), piece).await? {
            Way::Nothing => undone.left -= 1,
            Way::Stuck(why) => undone.stuck = Some(stuck(piece, why, false)),
        }
    }
    session.run(&Sql::join(reset(), ";\n")).await?;
    undone.did = undoing.did;
    Ok(undone)
}

fn text<'s>(step: &'s Step, outline: &Outline, piece: &Piece) -> &'s str {
    &step.text[outline.statements[piece.statements.start].clone()]
}

/// Repeats the settings of a step, by which its names are found.
async fn settle(
    session: &Session,
    (step, outline): (&Step, &Outline),
    units: impl Iterator<Item = &Piece>,
) -> Result<()> {
    for piece in units {
        for index in piece.statements.clone() {
            if outline.settings.contains(&index) {
                let text = &step.text[outline.statements[index].clone()];
                session.run(&Sql::written_by_user(text)).await?;
            }
        }
    }
    Ok(())
}

struct Undoing<'a> {
    session: &'a Session,
    watch: Watch<'a>,
    did: Vec<String>,
}

impl Undoing<'_> {
    /// Takes back the unit that was begun, or that failed.
    async fn begun(&mut self, text: &str, kind: Kind, earlier: &Earlier) -> Result<Way> {
        let uncertain = earlier.uncertain;
        if kind != Kind::Alone {
            return Ok(Way::Nothing);
        }
        match reconcile::about(text) {
            About::CreateIndex {
                index,
                table,
                or_keep,
            } => {
                let found = reconcile::indexes(self.session, &table).await?;
                let is_named = index.is_some();
                let fits = |found: &&Found| match &index {
                    Some((_, name)) => found.name.name.as_str() == name,
                    None => !found.is_valid,
                };
                let mut there = false;
                for found in found.iter().filter(fits) {
                    let made = earlier.made(found, is_named);
                    if made && (!found.is_valid || uncertain && !or_keep) {
                        let state = if found.is_valid {
                            ""
                        } else {
                            ", which is invalid"
                        };
                        self.drop_index(&found.name, state).await?;
                    } else {
                        there = true;
                    }
                }
                Ok(match (there && uncertain, !is_named && uncertain) {
                    (true, _) => Way::Stuck("the index may have been there before"),
                    (_, true) => Way::Stuck("the file does not name the index"),
                    _ => Way::Nothing,
                })
            }
            About::Reindex { kind, name } => {
                let found = reconcile::reindexed(self.session, &kind, name.as_ref()).await?;
                for left in found.iter().filter(|found| earlier.made(found, false)) {
                    self.drop_index(&left.name, ", which is invalid").await?;
                }
                Ok(Way::Nothing)
            }
            About::DropIndex { indexes } if uncertain => {
                for (schema, name) in &indexes {
                    if !reconcile::regclass(self.session, schema.as_deref(), name).await? {
                        return Ok(Way::Stuck("an index it drops is gone"));
                    }
                }
                Ok(Way::Stuck("the indexes it drops may be half-dropped"))
            }
            About::DropIndex { .. } | About::Repeatable => Ok(Way::Nothing),
            About::Other if uncertain => Ok(Way::Stuck("nobody knows whether it took effect")),
            About::Other => Ok(Way::Stuck("it may have taken effect in part")),
        }
    }

    /// Takes back a unit that is done.
    async fn done(&mut self, text: &str, piece: &Piece) -> Result<Way> {
        match piece.kind {
            Kind::OwnTransaction => return Ok(Way::Stuck(BY_HAND)),
            Kind::KeepsNothing => return Ok(Way::Nothing),
            Kind::Atomic | Kind::Alone => {}
        }
        match (reconcile::about(text), classify::class(text)) {
            (_, Class::Set { .. } | Class::Reset) => Ok(Way::Nothing),
            (About::Repeatable, Class::AlterSystem) => Ok(Way::Stuck(BY_HAND)),
            (About::Repeatable | About::Reindex { .. }, _) => Ok(Way::Nothing),
            (About::CreateIndex { or_keep: true, .. }, _) => {
                Ok(Way::Stuck("the index may have been there before"))
            }
            (About::CreateIndex { index: None, .. }, _) => {
                Ok(Way::Stuck("the file does not name the index"))
            }
            (
                About::CreateIndex {
                    index: Some((_, name)),
                    table,
                    ..
                },
                _,
            ) => {
                for found in reconcile::indexes(self.session, &table).await? {
                    if found.name.name.as_str() == name {
                        self.drop_index(&found.name, "").await?;
                    }
                }
                Ok(Way::Nothing)
            }
            _ => Ok(Way::Stuck(BY_HAND)),
        }
    }

    async fn drop_index(
        &mut self,
        index: &crate::sql::name::ObjectName,
        state: &str,
    ) -> Result<()> {
        (self.watch)(Event::Advanced {
            done: u64::try_from(self.did.len()).unwrap_or(0),
            note: "dropping an index",
        });
        reconcile::drop_index(self.session, index).await?;
        self.did.push(format!("dropped index {index}{state}"));
        Ok(())
    }
}
