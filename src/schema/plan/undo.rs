//! Undoes a partially applied step, last statement first, as far as its text and the catalog allow.
//!
//! A created index is dropped with CONCURRENTLY; maintenance statements need no undo. At the first statement that must be
//! undone by hand it stops, and earlier statements remain applied.

use std::ops::Range;

use anyhow::Result;

use crate::event::{Event, Watch};
use crate::pg::session::Session;
use crate::plan::execution::reset;
use crate::plan::reconcile::{self, EarlierRun, FoundIndex, ReconcileKind};
use crate::plan::unit::{self, ExecutionUnit, Outline, UnitKind};
use crate::plan::{Step, StepRecorder, UnitMoment};
use crate::sql::class::Class;
use crate::sql::classify;
use crate::sql::safe::Sql;

/// What was undone.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct UndoReport {
    /// What was done for it, in words.
    pub did: Vec<String>,
    /// How many units of the step are done still.
    pub left: usize,
    /// The statement it stopped at.
    pub stuck: Option<NotUndoable>,
}

/// A statement that only a person can undo.
#[derive(Debug, PartialEq, Eq)]
pub struct NotUndoable {
    /// The byte range in the step's text.
    pub range: Range<usize>,
    pub why: &'static str,
    /// Whether it is the one that was started, and its outcome is unknown.
    pub uncertain: bool,
}

/// Whether a unit can be undone.
enum UnitUndo {
    Nothing,
    Impossible(&'static str),
}

const BY_HAND: &str = "it must be undone by hand";

/// Undoes what a step has left after that an earlier run was stopped in.
///
/// `begun` says whether the unit after those that are done may have been begun.
pub async fn undo(
    session: &Session,
    step: &Step,
    begun: bool,
    recorder: &dyn StepRecorder,
    watch: Watch<'_>,
) -> Result<UndoReport> {
    let outline = unit::outline(&step.text);
    let units = unit::units(&outline, &step.text);
    let mut undone = UndoReport {
        left: step.done,
        ..UndoReport::default()
    };
    let mut earlier = EarlierRun {
        begun: None,
        uncertain: step.uncertain,
    };
    if let Some(question) = recorder.unit_note(step.done + 1, UnitMoment::Began) {
        let rows = session.query_sql(&question, &[]).await?;
        earlier.begun = rows.first().map(|row| row.get(0));
    }
    let reached = units.iter().take(step.done + 1);
    let reached = reached.filter(|unit| !outline.is_undone(unit));
    settle(session, step, &outline, reached).await?;
    let mut undoing = UndoRun {
        session,
        watch,
        did: Vec::new(),
    };
    let stuck = |unit: &ExecutionUnit, why, uncertain| NotUndoable {
        range: outline.statements[unit.statements.start].clone(),
        why,
        uncertain,
    };
    if let Some(unit) = units.get(step.done).filter(|_| begun)
        && let UnitUndo::Impossible(why) = undoing
            .begun(text(step, &outline, unit), unit.kind, &earlier)
            .await?
    {
        undone.stuck = Some(stuck(unit, why, true));
    }
    let done = units.iter().take(step.done).rev();
    for unit in done {
        if undone.stuck.is_some() {
            break;
        }
        match undoing.done(text(step, &outline, unit), unit).await? {
            UnitUndo::Nothing => undone.left -= 1,
            UnitUndo::Impossible(why) => undone.stuck = Some(stuck(unit, why, false)),
        }
    }
    session.run(&Sql::join(reset(), ";\n")).await?;
    undone.did = undoing.did;
    Ok(undone)
}

fn text<'s>(step: &'s Step, outline: &Outline, unit: &ExecutionUnit) -> &'s str {
    &step.text[outline.statements[unit.statements.start].clone()]
}

/// Repeats the settings of a step, by which its names are found.
async fn settle(
    session: &Session,
    step: &Step,
    outline: &Outline,
    units: impl Iterator<Item = &ExecutionUnit>,
) -> Result<()> {
    for unit in units {
        for index in unit.statements.clone() {
            if outline.settings.contains(&index) {
                let text = &step.text[outline.statements[index].clone()];
                session.run(&Sql::written_by_user(text)).await?;
            }
        }
    }
    Ok(())
}

struct UndoRun<'a> {
    session: &'a Session,
    watch: Watch<'a>,
    did: Vec<String>,
}

impl UndoRun<'_> {
    /// Undoes the unit that was started, or that failed.
    async fn begun(
        &mut self,
        text: &str,
        kind: UnitKind,
        earlier: &EarlierRun,
    ) -> Result<UnitUndo> {
        let uncertain = earlier.uncertain;
        if kind != UnitKind::Alone {
            return Ok(UnitUndo::Nothing);
        }
        match reconcile::reconcile_kind(text) {
            ReconcileKind::CreateIndex {
                index,
                table,
                or_keep,
            } => {
                let found = reconcile::indexes(self.session, &table).await?;
                let is_named = index.is_some();
                let fits = |found: &&FoundIndex| match &index {
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
                    (true, _) => UnitUndo::Impossible("the index may have existed before"),
                    (_, true) => UnitUndo::Impossible("the file does not name the index"),
                    _ => UnitUndo::Nothing,
                })
            }
            ReconcileKind::Reindex { kind, name } => {
                let found = reconcile::reindexed(self.session, &kind, name.as_ref()).await?;
                for left in found.iter().filter(|found| earlier.made(found, false)) {
                    self.drop_index(&left.name, ", which is invalid").await?;
                }
                Ok(UnitUndo::Nothing)
            }
            ReconcileKind::DropIndex { indexes } if uncertain => {
                for (schema, name) in &indexes {
                    if !reconcile::regclass(self.session, schema.as_deref(), name).await? {
                        return Ok(UnitUndo::Impossible(
                            "one of the dropped indexes no longer exists",
                        ));
                    }
                }
                Ok(UnitUndo::Impossible("the indexes may be partially dropped"))
            }
            ReconcileKind::DropIndex { .. } | ReconcileKind::Repeatable => Ok(UnitUndo::Nothing),
            ReconcileKind::Other if uncertain => {
                Ok(UnitUndo::Impossible("unknown whether it took effect"))
            }
            ReconcileKind::Other => Ok(UnitUndo::Impossible("it may have taken effect partially")),
        }
    }

    /// Undoes a unit that is done.
    async fn done(&mut self, text: &str, unit: &ExecutionUnit) -> Result<UnitUndo> {
        match unit.kind {
            UnitKind::OwnTransaction => return Ok(UnitUndo::Impossible(BY_HAND)),
            UnitKind::KeepsNothing => return Ok(UnitUndo::Nothing),
            UnitKind::Atomic | UnitKind::Alone => {}
        }
        match (reconcile::reconcile_kind(text), classify::class(text)) {
            (_, Class::Set { .. } | Class::Reset) => Ok(UnitUndo::Nothing),
            (ReconcileKind::Repeatable, Class::AlterSystem) => Ok(UnitUndo::Impossible(BY_HAND)),
            (ReconcileKind::Repeatable | ReconcileKind::Reindex { .. }, _) => Ok(UnitUndo::Nothing),
            (ReconcileKind::CreateIndex { or_keep: true, .. }, _) => {
                Ok(UnitUndo::Impossible("the index may have existed before"))
            }
            (ReconcileKind::CreateIndex { index: None, .. }, _) => {
                Ok(UnitUndo::Impossible("the file does not name the index"))
            }
            (
                ReconcileKind::CreateIndex {
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
                Ok(UnitUndo::Nothing)
            }
            _ => Ok(UnitUndo::Impossible(BY_HAND)),
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
