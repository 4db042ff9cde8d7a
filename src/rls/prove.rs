//! Owns the proof: fills a scratch copy world by world, lets everybody try everything, and gives the verdicts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use crate::copy::Grounds;
use crate::cost::{self, Cost};
use crate::event::{Event, Unit, Watch};
use crate::facts::Facts;
use crate::fill::fixtures::{self, Held};
use crate::fill::ground::{Belongs, Ground, Side};
use crate::fill::insert::{self, Filled};
use crate::fill::plan::{self, Stage};
use crate::fill::solve;
use crate::identity::Cast;
use crate::pg::connect;
use crate::pg::session::Session;
use crate::pg::target::Target;
use crate::probe::stand::Stand;
use crate::probe::{bulk, call, climb, grant, peek, read, refer, search, write};
use crate::runner::{self, Desk, Identity, RanOut, Who};
use crate::sql::name::Ident;
use crate::sql::safe::Sql;
use crate::tenancy::Tenancy;
use crate::verdict::{self, Verdict, Word};

/// What was proven and how.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Proof {
    /// What came of each attempt, the worst first.
    pub verdicts: Vec<Verdict>,
    /// Tables that could not be filled, and why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unfilled: BTreeMap<String, String>,
    /// Constraints that were lifted in the scratch copy to fill it.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub lifted: BTreeSet<String>,
    /// Statements of the schema that the scratch server refused: what they make was not tried.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// What was not tried, or not to its end, before the time ran out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreached: Vec<&'static str>,
    /// What policies cost a tenant who reads its own rows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub costs: Vec<Cost>,
}

impl Proof {
    /// Says whether nothing leaks, every table of tenants could be filled, and something was shown to hold.
    pub fn is_clean(&self) -> bool {
        self.count(Word::Leak) == 0
            && self.count(Word::Holds) > 0
            && self.unfilled.is_empty()
            && self.unreached.is_empty()
    }

    /// Counts the verdicts that end this way.
    pub fn count(&self, word: Word) -> usize {
        self.verdicts
            .iter()
            .filter(|one| one.verdict == word)
            .count()
    }
}

/// How far a proof goes beyond what it makes and tries by itself.
#[derive(Clone, Debug)]
pub struct Effort {
    /// How many drawn combinations of moves are tried.
    pub attempts: usize,
    /// What they are drawn with.
    pub seed: u64,
    /// How long all of it may take; what is not tried by then is said to be not proven.
    pub limit: Duration,
    /// Rows that people add: how messages call the file, and its text.
    pub fixtures: Option<(String, String)>,
}

impl Effort {
    /// The usual search, without fixtures.
    pub fn usual() -> Self {
        Effort {
            attempts: 400,
            seed: 1,
            limit: Duration::from_secs(600),
            fixtures: None,
        }
    }
}

/// Tries everything on a scratch copy, which is changed by it: never give it a database that anybody needs.
pub async fn prove(
    scratch: &Target,
    tenancy: &Tenancy,
    grounds: &Grounds,
    effort: &Effort,
    watch: Watch<'_>,
) -> Result<Proof> {
    let ends = Instant::now() + effort.limit;
    let session = connect::open(scratch, watch).await?;
    let fresh = connect::open(scratch, watch).await?;
    let desk = &Desk::prepare(&session, ends).await?;
    let fresh = &Desk::prepare(&fresh, ends).await?;
    let mut facts = Facts::read(&session).await?;
    let roles = reachable(&facts, tenancy);
    facts.read_rights(&session, &roles).await?;
    let tenancy = &tenancy.clone().with_tenants(&facts);
    let mut ground = Ground::survey(&facts, tenancy);
    ground.solved = runner::in_time(solve::solve(desk, &ground).await)?;
    let mut cast = Cast::new(&ground);
    let mut planned = plan::plan(&ground);
    let mut filled = Filled::default();
    begin(watch, "filling the scratch copy");
    for at in [Stage::Common, Stage::Own] {
        insert::stage(&session, &ground, &mut planned, at, &mut filled).await?;
    }
    let held = match &effort.fixtures {
        Some((shown, text)) => {
            let file = (shown.as_str(), text.as_str());
            fixtures::run(&session, &ground, file, &mut planned, &mut filled).await?
        }
        None => Held::default(),
    };
    refresh(&session, &facts).await?;
    let nobodys = runner::in_time(nobodys(desk, &ground).await)?;
    cast.manner = runner::in_time(calibrate(desk, &mut cast, &nobodys).await)?;
    let own = runner::in_time(own_sight(desk, (&cast, &nobodys), &planned.kinds).await)?;
    insert::stage(&session, &ground, &mut planned, Stage::Shared, &mut filled).await?;
    refresh(&session, &facts).await?;
    watch(Event::Ended);

    let roles = cast.roles();
    let readers: BTreeMap<String, Vec<Identity>> = roles
        .iter()
        .map(|role| (role.clone(), cast.readers(role, &planned.kinds)))
        .collect();
    let unset: Vec<Identity> = roles.iter().map(|role| cast.unset(role)).collect();
    let mut stand = Stand {
        session: desk,
        facts: &facts,
        ground: &ground,
        cast: &cast,
        plan: planned,
        roles,
        readers,
        unfilled: filled.unfilled.clone(),
        sees: own,
        verdicts: Vec::new(),
        grounds,
    };
    begin(watch, "trying to reach another tenant");
    let unreached = try_all(&mut stand, (fresh, &unset), (&mut filled, &held), effort).await?;
    let costs = costs(&stand).await?;
    watch(Event::Ended);
    note_untried(&mut stand);
    note_unreached(&mut stand, &unreached);
    let mut verdicts = stand.verdicts;
    verdict::settle(&mut verdicts);
    let titled =
        |(oid, why): (&i64, &String)| Some((facts.relations.get(oid)?.title(), why.clone()));
    let unfilled = filled.unfilled.iter().filter_map(titled);
    Ok(Proof {
        verdicts,
        unfilled: unfilled.collect(),
        lifted: filled.lifted,
        left_out: grounds.refused.clone(),
        unreached,
        costs,
    })
}

fn begin(watch: Watch<'_>, task: &'static str) {
    let (total, unit) = (None, Unit::Items);
    watch(Event::Began { task, total, unit });
}

/// Measures what policies cost, where time is left.
async fn costs(stand: &Stand<'_>) -> Result<Vec<Cost>> {
    if stand.session.has_run_out() {
        return Ok(Vec::new());
    }
    cost::all(stand).await
}

/// Reads and calls as everybody, before and after B's own rows are there.
async fn try_reading(
    stand: &mut Stand<'_>,
    (fresh, unset): (&Desk<'_>, &[Identity]),
    (filled, held): (&mut Filled, &Held<'_>),
) -> Result<()> {
    let everyone = stand.everyone();
    let unset_without = read::look(stand, fresh, unset).await?;
    let without = read::look(stand, stand.session, &everyone).await?;
    let calls = call::plan(stand);
    call::untried(stand);
    let heard_without = call::make(stand, &calls).await?;
    let mut planned = std::mem::take(&mut stand.plan);
    insert::stage(
        stand.session,
        stand.ground,
        &mut planned,
        Stage::Private,
        filled,
    )
    .await?;
    stand.plan = planned;
    held.release(stand.session).await?;
    stand.unfilled = filled.unfilled.clone();
    refresh(stand.session, stand.facts).await?;
    let unset_with = read::look(stand, fresh, unset).await?;
    let with = read::look(stand, stand.session, &everyone).await?;
    read::judge(stand, &everyone, (&without, &with));
    read::judge(stand, unset, (&unset_without, &unset_with));
    let heard = call::make(stand, &calls).await?;
    let again = call::make(stand, &calls).await?;
    call::judge(stand, &calls, (&heard_without, &heard, &again));
    Ok(())
}

/// The families of attempts, with what each tries.
const FAMILIES: [&str; 8] = [
    "reading",
    "writing",
    "COPY",
    "references, existence and cascades",
    "grants and privileges",
    "other roles",
    "functions that see rows early",
    "the search",
];

/// Tries everything as long as there is time; gives what was not tried to its end.
async fn try_all(
    stand: &mut Stand<'_>,
    unset: (&Desk<'_>, &[Identity]),
    rows: (&mut Filled, &Held<'_>),
    effort: &Effort,
) -> Result<Vec<&'static str>> {
    let mut rows = Some(rows);
    for (number, _) in FAMILIES.iter().enumerate() {
        if stand.session.has_run_out() {
            return Ok(FAMILIES[number..].to_vec());
        }
        let tried = match (number, rows.take()) {
            (_, Some(rows)) => try_reading(stand, unset, rows).await,
            (1, _) => write::all(stand).await,
            (2, _) => bulk::all(stand).await,
            (3, _) => refer::all(stand).await,
            (4, _) => grant::all(stand).await,
            (5, _) => climb::all(stand).await,
            (6, _) => peek::all(stand).await,
            _ => search::all(stand, effort).await,
        };
        match tried {
            Err(error) if error.is::<RanOut>() => return Ok(FAMILIES[number..].to_vec()),
            other => other?,
        }
    }
    Ok(Vec::new())
}

/// What there was no time for is said.
fn note_unreached(stand: &mut Stand<'_>, unreached: &[&str]) {
    let Some(first) = stand.everyone().into_iter().next() else {
        return;
    };
    for family in unreached {
        let why = format!("the time ran out before all of {family} could be tried");
        let object = ("the whole database".to_owned(), *family);
        stand.note(Word::NotProven, object, &first, why);
    }
}

/// Gives every role that a request has or may become.
pub(super) fn reachable(facts: &Facts, tenancy: &Tenancy) -> Vec<String> {
    let mut roles: BTreeSet<String> = tenancy
        .roles
        .iter()
        .filter(|role| facts.roles.contains_key(*role))
        .cloned()
        .collect();
    roles.extend(
        ["anon", "authenticated"]
            .iter()
            .filter(|role| tenancy.speaks_claims() && facts.roles.contains_key(**role))
            .map(|role| (*role).to_owned()),
    );
    let more: Vec<String> = roles
        .iter()
        .filter_map(|role| facts.roles.get(role))
        .flat_map(|role| role.becomes.clone())
        .collect();
    roles.extend(more);
    roles.into_iter().collect()
}

/// Fills materialized views anew, whatever their order.
async fn refresh(session: &Session, facts: &Facts) -> Result<()> {
    let mut left: Vec<_> = facts
        .relations
        .values()
        .filter(|relation| relation.kind == "m")
        .collect();
    for _ in 0..4 {
        let mut refused = Vec::new();
        for view in left {
            if session
                .run(&Sql::fill(
                    "REFRESH MATERIALIZED VIEW {}",
                    &[&view.object()],
                ))
                .await
                .is_err()
            {
                refused.push(view);
            }
        }
        left = refused;
    }
    Ok(())
}

/// Finds the way of writing a tenant into a request by which its member sees most of its own rows.
async fn calibrate(
    desk: &Desk<'_>,
    cast: &mut Cast<'_>,
    nobodys: &BTreeMap<i64, i64>,
) -> Result<usize> {
    let mut best = (0, 0);
    let mut known: Vec<Vec<Identity>> = Vec::new();
    for manner in 0..cast.ways() {
        cast.manner = manner;
        let members: Vec<Identity> = cast
            .roles()
            .iter()
            .map(|role| cast.member(role, Side::A))
            .collect();
        if known.contains(&members) {
            continue;
        }
        let seen = own_rows(desk, (cast, nobodys), &members)
            .await?
            .values()
            .map(|rows| usize::from(*rows > 0))
            .sum::<usize>();
        known.push(members);
        if seen > best.1 {
            best = (manner, seen);
        }
    }
    cast.manner = best.0;
    Ok(best.0)
}

/// Counts the rows of each table that are nobody's.
async fn nobodys(desk: &Desk<'_>, ground: &Ground<'_>) -> Result<BTreeMap<i64, i64>> {
    let mut asked = Vec::new();
    let mut attempts = Vec::new();
    for (oid, belongs) in &ground.belongs {
        let (Belongs::Column(column), Some(table)) = (belongs, ground.facts.relations.get(oid))
        else {
            continue;
        };
        let sql = Sql::fill(
            "SELECT pg_catalog.count(*)::text FROM {} AS t WHERE t.{} IS NULL",
            &[&table.object(), &Ident::new(column.as_str())],
        );
        asked.push(*oid);
        attempts.push(vec![runner::read(Who::Owner, sql)]);
    }
    let answers = runner::run(desk, &attempts).await?;
    let counts = answers.iter().map(|steps| number(steps.first()));
    Ok(asked.into_iter().zip(counts).collect())
}

fn number(answer: Option<&runner::Answer>) -> i64 {
    answer
        .and_then(|answer| answer.given.as_deref()?.parse::<i64>().ok())
        .unwrap_or(0)
}

/// Counts what A's member sees before any row of B is there, beyond what is nobody's.
async fn own_rows(
    desk: &Desk<'_>,
    (cast, nobodys): (&Cast<'_>, &BTreeMap<i64, i64>),
    members: &[Identity],
) -> Result<BTreeMap<(String, i64), i64>> {
    let facts = cast.ground.facts;
    let mut asked = Vec::new();
    let mut attempts = Vec::new();
    for identity in members {
        for relation in facts
            .relations
            .values()
            .filter(|relation| relation.is_table() || relation.is_view())
        {
            if facts
                .rights(&identity.role, relation.oid)
                .readable
                .is_empty()
            {
                continue;
            }
            asked.push((identity.role.clone(), relation.oid));
            attempts.push(vec![runner::read(
                Who::Request(identity),
                Sql::fill(
                    "SELECT pg_catalog.count(*)::text FROM {}",
                    &[&relation.object()],
                ),
            )]);
        }
    }
    let answers = runner::run(desk, &attempts).await?;
    let mut most: BTreeMap<(String, i64), i64> = BTreeMap::new();
    for (key, steps) in asked.into_iter().zip(answers) {
        let rows = number(steps.first()) - nobodys.get(&key.1).unwrap_or(&0);
        let known = most.entry(key).or_insert(rows);
        *known = rows.max(*known);
    }
    Ok(most)
}

/// Gives the relations in which some member of A sees rows of A.
async fn own_sight(
    desk: &Desk<'_>,
    (cast, nobodys): (&Cast<'_>, &BTreeMap<i64, i64>),
    kinds: &[plan::Kind],
) -> Result<BTreeSet<(String, i64)>> {
    let members: Vec<Identity> = cast
        .roles()
        .iter()
        .flat_map(|role| cast.readers(role, kinds))
        .filter(Identity::is_of_a)
        .collect();
    let rows = own_rows(desk, (cast, nobodys), &members).await?;
    Ok(rows
        .into_iter()
        .filter(|(_, rows)| *rows > 0)
        .map(|(key, _)| key)
        .collect())
}

/// What was declared and never tried is said.
fn note_untried(stand: &mut Stand<'_>) {
    let nobody = Identity {
        title: "a".to_owned(),
        session: String::new(),
        role: stand.roles.first().cloned().unwrap_or_default(),
        settings: BTreeMap::new(),
    };
    let tenancy = stand.ground.tenancy;
    for title in &tenancy.tables {
        let why = match stand.facts.find(title) {
            None => "there is no such table",
            Some(table) if table.is_table() && !stand.ground.is_tenant_table(table.oid) => {
                "nothing says whose its rows are: no column, no key that leads to a tenant, no joining table that its policies ask"
            }
            Some(_) => continue,
        };
        stand.note(
            Word::NotProven,
            (title.clone(), "select"),
            &nobody,
            why.to_owned(),
        );
    }
    for role in &tenancy.roles {
        if !stand.facts.roles.contains_key(role) {
            let missing = Identity {
                role: role.clone(),
                ..nobody.clone()
            };
            stand.note(
                Word::NotProven,
                (role.clone(), "connect"),
                &missing,
                "there is no such role".to_owned(),
            );
        }
    }
}
