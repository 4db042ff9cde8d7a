//! Pairs of steps, seen on one database and run on another: what an earlier step creates never surprises a later one.
//!
//! A sample of the pairs that `benches/plan_pairs.py` plans, approves and runs with the program itself.

use std::collections::BTreeSet;

use af_db::event::{Interrupt, silent};
use af_db::pg::lock::LockedSession;
use af_db::plan::Step;
use af_db::plan::execution::Execution;
use af_db::plan::lock_schedule::LockSchedule;
use af_db::plan::observe::guard::Prediction;
use af_db::plan::observe::{reach, run};
use af_db::sql::safe::Sql;

use super::prediction_guard::Unrecorded;
use super::support::step;
use crate::support::server::{self, Database};

const SHAPES: &str = include_str!("../../cases/plan_pairs.sql");

/// Every so many of all pairs are tried.
const STRIDE: usize = 113;

/// So many pairs stand beside each other in one database.
const TOGETHER: usize = 20;

struct Shape {
    name: &'static str,
    becomes: Option<&'static str>,
    moves: Option<&'static str>,
    is_alone: bool,
    text: &'static str,
}

fn shapes() -> Vec<Shape> {
    let parts = SHAPES.split("-- shape: ").skip(1);
    let shape = |part: &'static str| {
        let (head, text) = part.split_once('\n').expect("a shape has lines");
        let mut words = head.split_whitespace();
        let name = words.next().expect("a shape has a name");
        let fact = |key: &str| {
            let mut facts = head.split_whitespace();
            facts.find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
        };
        Shape {
            name,
            becomes: fact("becomes"),
            moves: fact("moves"),
            is_alone: words.any(|word| word == "alone"),
            text,
        }
    };
    parts.map(shape).collect()
}

/// Two shapes in a schema of their own.
struct Pair<'a> {
    shapes: [&'a Shape; 2],
    is_other: bool,
    is_apart: bool,
    is_filled: bool,
    schema: String,
}

impl Pair<'_> {
    fn name(&self) -> String {
        let [first, second] = self.shapes;
        let about = if self.is_other { "other" } else { "same" };
        let files = if self.is_apart { "two" } else { "one" };
        let state = if self.is_filled { "filled" } else { "empty" };
        format!("{} {} {about} {files} {state}", first.name, second.name)
    }

    /// Returns what stands before the pair.
    fn base(&self, all: &[Shape], with_rows: bool) -> String {
        let schema = &self.schema;
        let mut text = format!(
            "CREATE SCHEMA {schema};\nCREATE TABLE {schema}.b (id int PRIMARY KEY);\n\
             INSERT INTO {schema}.b VALUES (1);\nCREATE TABLE {schema}.log (what text);\n"
        );
        let parts = if with_rows {
            &["base", "fill"][..]
        } else {
            &["base"]
        };
        for part in parts {
            let shape = all
                .iter()
                .find(|shape| shape.name == *part)
                .expect("a shape");
            for table in ["t", "u"] {
                text += &shape.text.replace("{s}", schema).replace("{n}", table);
            }
        }
        text
    }

    fn texts(&self) -> [String; 2] {
        let mut schema = self.schema.clone();
        let mut tables = [format!("{schema}.t"), format!("{schema}.u")];
        let mut at = 0;
        self.shapes.map(|shape| {
            let about = usize::from(at == 1 && self.is_other);
            at += 1;
            let names = [
                ("{T}", tables[about].clone()),
                ("{O}", tables[1 - about].clone()),
                ("{s}", schema.clone()),
                ("{n}", ["t", "u"][about].to_owned()),
                ("{o}", ["u", "t"][about].to_owned()),
                ("{k}", at.to_string()),
            ];
            let fill = |text: &str| {
                let fold = |text: String, (key, value): &(&str, String)| text.replace(key, value);
                names.iter().fold(text.to_owned(), fold)
            };
            if let Some(becomes) = shape.becomes {
                tables[about] = fill(becomes);
            }
            if let Some(moves) = shape.moves {
                let moved = fill(moves);
                tables = tables
                    .clone()
                    .map(|table| table.replacen(&schema, &moved, 1));
                schema = moved;
            }
            fill(shape.text)
        })
    }

    /// Whether PostgreSQL itself takes the pair.
    async fn is_possible(&self, all: &[Shape], database: &Database) -> bool {
        let text = self.texts().concat().replace(" CONCURRENTLY", "");
        let text = text.replace("VACUUM", "ANALYZE");
        let base = self.base(all, self.is_filled);
        let session = database.session().await;
        let sql = Sql::written_by_user(format!("BEGIN;\n{base}\n{text}\nROLLBACK;"));
        session.run(&sql).await.is_ok()
    }

    fn steps(&self, all: &[Shape]) -> Vec<Step> {
        let head = |shapes: &[&Shape]| match shapes.iter().any(|shape| shape.is_alone) {
            true => "-- af-db: no-transaction\n",
            false => "",
        };
        let [first, second] = self.texts();
        let [one, two] = self.shapes;
        let mut texts = Vec::new();
        if !self.is_filled {
            texts.push(self.base(all, false));
        }
        if self.is_apart {
            texts.push(format!("{}{first}", head(&[one])));
            texts.push(format!("{}{second}", head(&[two])));
        } else {
            texts.push(format!("{}{first}{second}", head(&[one, two])));
        }
        let label = |at: usize| format!("{} {at}", self.name());
        let steps = texts.iter().enumerate();
        steps.map(|(at, text)| step(&label(at), text)).collect()
    }
}

#[tokio::test]
async fn what_an_earlier_step_creates_never_surprises_a_later_one() {
    let all = shapes();
    let shapes: Vec<&Shape> = all
        .iter()
        .filter(|shape| !["base", "fill"].contains(&shape.name))
        .collect();
    let count = shapes.len();
    let database = server::database().await;
    let mut pairs = Vec::new();
    for number in (0..count * count * 8).step_by(STRIDE) {
        let (ways, which) = (number % 8, number / 8);
        let pair = Pair {
            shapes: [shapes[which / count], shapes[which % count]],
            is_other: ways & 1 > 0,
            is_apart: ways & 2 > 0,
            is_filled: ways & 4 > 0,
            schema: format!("p{}", pairs.len()),
        };
        if pair.is_possible(&all, &database).await {
            pairs.push(pair);
        }
    }
    assert!(
        pairs.len() >= 200,
        "only {} pairs are possible",
        pairs.len()
    );
    let tried: BTreeSet<&str> = pairs
        .iter()
        .flat_map(|it| it.shapes)
        .map(|it| it.name)
        .collect();
    assert_eq!(tried.len(), count, "every shape is tried");
    // What is told after a statement takes longer the more there is, so a few at a time are tried in databases of their own.
    for some in pairs.chunks(TOGETHER) {
        run_as_predicted(&all, some).await;
    }
}

/// Observes pairs on one database and runs them on another, where nothing may come as a surprise.
async fn run_as_predicted(all: &[Shape], pairs: &[Pair<'_>]) {
    let (shadow, target) = (server::database().await, server::database().await);
    for (database, with_rows) in [(&shadow, false), (&target, true)] {
        let session = database.session().await;
        for pair in pairs.iter().filter(|pair| pair.is_filled) {
            let base = pair.base(all, with_rows);
            let made = session.run(&Sql::written_by_user(&base)).await;
            made.expect("what stands before a pair");
        }
    }
    let steps: Vec<Step> = pairs.iter().flat_map(|pair| pair.steps(all)).collect();
    let observed = run::steps(&shadow.target, &steps, &silent)
        .await
        .expect("an observation");
    assert_eq!(observed.last().and_then(|step| step.failed()), None);
    let session = target.session().await;
    let reach = reach::read(&session, &steps, &observed)
        .await
        .expect("the code");
    let interrupt = Interrupt::default();
    let ladder = LockSchedule::default();
    let session = LockedSession::on_throwaway(session);
    let mut execution = Execution::new(session, &target.target, ladder, &silent, &interrupt);
    execution.predict(Prediction {
        steps: observed,
        reach: reach.writes(),
        has_event_triggers: false,
        history: String::new(),
    });
    for step in &steps {
        if let Err(stopped) = execution.run(step, &Unrecorded).await {
            panic!("{}: {stopped:?}", step.label);
        }
    }
}
