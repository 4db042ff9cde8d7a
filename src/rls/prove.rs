//! The proof of tenant isolation: inserts test rows in stages, runs every probe as every identity, and returns the verdicts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use crate::cost::{self, PolicyCost};
use crate::event::{Event, Unit, Watch};
use crate::identities::Identities;
use crate::pg::connect;
use crate::pg::session::Session;
use crate::pg::target::Target;
use crate::probe::context::ProbeContext;
use crate::probe::{
    copy_command, foreign_keys, function_calls, privilege_escalation, privileges, random_search,
    reads, side_channels, writes,
};
use crate::probed_schema::ProbedSchema;
use crate::runner::{self, Identity, ProbeSession, RunAs, TimeExpired};
use crate::schema_copy::SourceInfo;
use crate::seed::condition_solver;
use crate::seed::fixtures::{self, HeldBackRows};
use crate::seed::insert::{self, SeedResult};
use crate::seed::plan::{self, SeedStage};
use crate::seed::tenancy_map::{Side, TenancyMap, TenantLink};
use crate::sql::name::Ident;
use crate::sql::safe::Sql;
use crate::tenancy::Tenancy;
use crate::verdict::{self, ProbeOutcome, Verdict};

/// What was proven and how.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Proof {
    /// What came of each attempt, the worst first.
    pub verdicts: Vec<Verdict>,
    /// Tables that could not be filled, and why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unfilled: BTreeMap<String, String>,
    /// Constraints that were lifted in the copy to fill it.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub lifted: BTreeSet<String>,
    /// Statements of the schema that the shadow server refused: what they make was not tried.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// What was not tried, or not to its end, before the time ran out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreached: Vec<&'static str>,
    /// What policies cost a tenant who reads its own rows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub costs: Vec<PolicyCost>,
}

impl Proof {
    /// Whether nothing leaks, every table of tenants could be filled, and something was shown to hold.
    pub fn is_clean(&self) -> bool {
        self.count(ProbeOutcome::Leak) == 0
            && self.count(ProbeOutcome::Passed) > 0
            && self.unfilled.is_empty()
            && self.unreached.is_empty()
    }

    /// Counts the verdicts that end this way.
    pub fn count(&self, word: ProbeOutcome) -> usize {
        self.verdicts
            .iter()
            .filter(|one| one.verdict == word)
            .count()
    }
}

/// How far a proof goes beyond what it makes and tries by itself.
#[derive(Clone, Debug)]
pub struct ProofOptions {
    /// How many drawn combinations of moves are tried.
    pub attempts: usize,
    /// What they are drawn with.
    pub seed: u64,
    /// The time limit; what is not tried by then is inconclusive.
    pub limit: Duration,
    /// Rows that people add: how messages call the file, and its text.
    pub fixtures: Option<(String, String)>,
}

impl ProofOptions {
    /// The usual search, without fixtures.
    pub fn usual() -> Self {
        ProofOptions {
            attempts: 400,
            seed: 1,
            limit: Duration::from_secs(600),
            fixtures: None,
        }
    }
}

/// Names the tables that could not be filled, with the reason.
fn unfilled(filled: &SeedResult, facts: &ProbedSchema) -> BTreeMap<String, String> {
    let titled = |(oid, why): (&i64, &String)| {
        let title = facts.relations.get(oid)?.title();
        Some((title, why.clone()))
    };
    filled.unfilled.iter().filter_map(titled).collect()
}

/// Probes a copy and changes it: never pass a database that is still needed.
pub async fn prove(
    scratch: &Target,
    tenancy: &Tenancy,
    source_info: &SourceInfo,
    options: &ProofOptions,
    watch: Watch<'_>,
) -> Result<Proof> {
    let ends = Instant::now() + options.limit;
    let session = connect::open(scratch, watch).await?;
    let fresh = connect::open(scratch, watch).await?;
    let probe_session = &ProbeSession::prepare(&session, ends).await?;
    let fresh = &ProbeSession::prepare(&fresh, ends).await?;
    let mut facts = ProbedSchema::read(&session).await?;
    let roles = reachable(&facts, tenancy);
    facts.read_privileges(&session, &roles).await?;
    let tenancy = &tenancy.clone().with_tenants(&facts);
    let mut tenancy_map = TenancyMap::survey(&facts, tenancy);
    tenancy_map.solved =
        runner::in_time(condition_solver::solve(probe_session, &tenancy_map).await)?;
    let mut identities = Identities::new(&tenancy_map);
    let mut planned = plan::plan(&tenancy_map);
    let mut filled = SeedResult::default();
    begin(watch, "inserting test rows");
    for at in [SeedStage::Common, SeedStage::Own] {
        insert::stage(&session, &tenancy_map, &mut planned, at, &mut filled).await?;
    }
    let held = match &options.fixtures {
        Some((shown, text)) => {
            let file = (shown.as_str(), text.as_str());
            fixtures::run(&session, &tenancy_map, file, &mut planned, &mut filled).await?
        }
        None => HeldBackRows::default(),
    };
    refresh(&session, &facts).await?;
    let unowned_rows = runner::in_time(unowned_rows(probe_session, &tenancy_map).await)?;
    identities.manner =
        runner::in_time(calibrate(probe_session, &mut identities, &unowned_rows).await)?;
    let own = runner::in_time(
        own_sight(probe_session, (&identities, &unowned_rows), &planned.kinds).await,
    )?;
    insert::stage(
        &session,
        &tenancy_map,
        &mut planned,
        SeedStage::Shared,
        &mut filled,
    )
    .await?;
    refresh(&session, &facts).await?;
    watch(Event::Ended);

    let roles = identities.roles();
    let readers: BTreeMap<String, Vec<Identity>> = roles
        .iter()
        .map(|role| (role.clone(), identities.readers(role, &planned.kinds)))
        .collect();
    let unset: Vec<Identity> = roles.iter().map(|role| identities.unset(role)).collect();
    let mut context = ProbeContext {
        session: probe_session,
        facts: &facts,
        tenancy_map: &tenancy_map,
        identities: &identities,
        plan: planned,
        roles,
        readers,
        unfilled: filled.unfilled.clone(),
        sees: own,
        verdicts: Vec::new(),
        source_info,
    };
    begin(watch, "probing tenant isolation");
    let unreached = try_all(&mut context, (fresh, &unset), (&mut filled, &held), options).await?;
    let costs = costs(&context).await?;
    watch(Event::Ended);
    note_untried(&mut context);
    note_unreached(&mut context, &unreached);
    let mut verdicts = context.verdicts;
    verdict::settle(&mut verdicts);
    Ok(Proof {
        verdicts,
        unfilled: unfilled(&filled, &facts),
        lifted: filled.lifted,
        left_out: source_info.refused.clone(),
        unreached,
        costs,
    })
}

fn begin(watch: Watch<'_>, task: &'static str) {
    let (total, unit) = (None, Unit::Items);
    watch(Event::Began { task, total, unit });
}

/// Measures what policies cost, where time is left.
async fn costs(context: &ProbeContext<'_>) -> Result<Vec<PolicyCost>> {
    if context.session.has_run_out() {
        return Ok(Vec::new());
    }
    cost::all(context).await
}

/// Reads and calls as everybody, before and after B's own rows are there.
async fn try_reading(
    context: &mut ProbeContext<'_>,
    (fresh, unset): (&ProbeSession<'_>, &[Identity]),
    (filled, held): (&mut SeedResult, &HeldBackRows<'_>),
) -> Result<()> {
    let everyone = context.everyone();
    let unset_without = reads::look(context, fresh, unset).await?;
    let without = reads::look(context, context.session, &everyone).await?;
    let calls = function_calls::plan(context);
    function_calls::untried(context);
    let heard_without = function_calls::make(context, &calls).await?;
    let mut planned = std::mem::take(&mut context.plan);
    insert::stage(
        context.session,
        context.tenancy_map,
        &mut planned,
        SeedStage::Private,
        filled,
    )
    .await?;
    context.plan = planned;
    held.release(context.session).await?;
    context.unfilled = filled.unfilled.clone();
    refresh(context.session, context.facts).await?;
    let unset_with = reads::look(context, fresh, unset).await?;
    let with = reads::look(context, context.session, &everyone).await?;
    reads::judge(context, &everyone, (&without, &with));
    reads::judge(context, unset, (&unset_without, &unset_with));
    let heard = function_calls::make(context, &calls).await?;
    let again = function_calls::make(context, &calls).await?;
    function_calls::judge(context, &calls, (&heard_without, &heard, &again));
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
    context: &mut ProbeContext<'_>,
    unset: (&ProbeSession<'_>, &[Identity]),
    rows: (&mut SeedResult, &HeldBackRows<'_>),
    options: &ProofOptions,
) -> Result<Vec<&'static str>> {
    let mut rows = Some(rows);
    for (number, _) in FAMILIES.iter().enumerate() {
        if context.session.has_run_out() {
            return Ok(FAMILIES[number..].to_vec());
        }
        let tried = match (number, rows.take()) {
            (_, Some(rows)) => try_reading(context, unset, rows).await,
            (1, _) => writes::all(context).await,
            (2, _) => copy_command::all(context).await,
            (3, _) => foreign_keys::all(context).await,
            (4, _) => privileges::all(context).await,
            (5, _) => privilege_escalation::all(context).await,
            (6, _) => side_channels::all(context).await,
            _ => random_search::all(context, options).await,
        };
        match tried {
            Err(error) if error.is::<TimeExpired>() => return Ok(FAMILIES[number..].to_vec()),
            other => other?,
        }
    }
    Ok(Vec::new())
}

/// What there was no time for is said.
fn note_unreached(context: &mut ProbeContext<'_>, unreached: &[&str]) {
    let Some(first) = context.everyone().into_iter().next() else {
        return;
    };
    for family in unreached {
        let why = format!("the time limit was reached before all of {family} was tried");
        let object = ("the whole database".to_owned(), *family);
        context.note(ProbeOutcome::Inconclusive, object, &first, why);
    }
}

/// Returns every role that a request has or may become.
pub(super) fn reachable(facts: &ProbedSchema, tenancy: &Tenancy) -> Vec<String> {
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

/// Refreshes materialized views, whatever their order.
async fn refresh(session: &Session, facts: &ProbedSchema) -> Result<()> {
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
    probe_session: &ProbeSession<'_>,
    identities: &mut Identities<'_>,
    unowned_rows: &BTreeMap<i64, i64>,
) -> Result<usize> {
    let mut best = (0, 0);
    let mut known: Vec<Vec<Identity>> = Vec::new();
    for manner in 0..identities.ways() {
        identities.manner = manner;
        let members: Vec<Identity> = identities
            .roles()
            .iter()
            .map(|role| identities.member(role, Side::A))
            .collect();
        if known.contains(&members) {
            continue;
        }
        let seen = own_rows(probe_session, (identities, unowned_rows), &members)
            .await?
            .values()
            .map(|rows| usize::from(*rows > 0))
            .sum::<usize>();
        known.push(members);
        if seen > best.1 {
            best = (manner, seen);
        }
    }
    identities.manner = best.0;
    Ok(best.0)
}

/// Counts the rows of each table that are unowned.
async fn unowned_rows(
    probe_session: &ProbeSession<'_>,
    tenancy_map: &TenancyMap<'_>,
) -> Result<BTreeMap<i64, i64>> {
    let mut asked = Vec::new();
    let mut attempts = Vec::new();
    for (oid, belongs) in &tenancy_map.belongs {
        let (TenantLink::Column(column), Some(table)) =
            (belongs, tenancy_map.facts.relations.get(oid))
        else {
            continue;
        };
        let sql = Sql::fill(
            "SELECT pg_catalog.count(*)::text FROM {} AS t WHERE t.{} IS NULL",
            &[&table.object(), &Ident::new(column.as_str())],
        );
        asked.push(*oid);
        attempts.push(vec![runner::read(RunAs::Owner, sql)]);
    }
    let answers = runner::run(probe_session, &attempts).await?;
    let counts = answers.iter().map(|steps| number(steps.first()));
    Ok(asked.into_iter().zip(counts).collect())
}

fn number(answer: Option<&runner::Answer>) -> i64 {
    answer
        .and_then(|answer| answer.given.as_deref()?.parse::<i64>().ok())
        .unwrap_or(0)
}

/// Counts what A's member sees before any row of B is there, beyond what is unowned.
async fn own_rows(
    probe_session: &ProbeSession<'_>,
    (identities, unowned_rows): (&Identities<'_>, &BTreeMap<i64, i64>),
    members: &[Identity],
) -> Result<BTreeMap<(String, i64), i64>> {
    let facts = identities.tenancy_map.facts;
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
                RunAs::Request(identity),
                Sql::fill(
                    "SELECT pg_catalog.count(*)::text FROM {}",
                    &[&relation.object()],
                ),
            )]);
        }
    }
    let answers = runner::run(probe_session, &attempts).await?;
    let mut most: BTreeMap<(String, i64), i64> = BTreeMap::new();
    for (key, steps) in asked.into_iter().zip(answers) {
        let rows = number(steps.first()) - unowned_rows.get(&key.1).unwrap_or(&0);
        let known = most.entry(key).or_insert(rows);
        *known = rows.max(*known);
    }
    Ok(most)
}

/// Returns the relations in which some member of A sees rows of A.
async fn own_sight(
    probe_session: &ProbeSession<'_>,
    (identities, unowned_rows): (&Identities<'_>, &BTreeMap<i64, i64>),
    kinds: &[plan::MemberKind],
) -> Result<BTreeSet<(String, i64)>> {
    let members: Vec<Identity> = identities
        .roles()
        .iter()
        .flat_map(|role| identities.readers(role, kinds))
        .filter(Identity::is_of_a)
        .collect();
    let rows = own_rows(probe_session, (identities, unowned_rows), &members).await?;
    Ok(rows
        .into_iter()
        .filter(|(_, rows)| *rows > 0)
        .map(|(key, _)| key)
        .collect())
}

/// What was declared and never tried is said.
fn note_untried(context: &mut ProbeContext<'_>) {
    let nobody = Identity {
        title: "a".to_owned(),
        session: String::new(),
        role: context.roles.first().cloned().unwrap_or_default(),
        settings: BTreeMap::new(),
    };
    let tenancy = context.tenancy_map.tenancy;
    for title in &tenancy.tables {
        let why = match context.facts.find(title) {
            None => "the table does not exist",
            Some(table) if table.is_table() && !context.tenancy_map.is_tenant_table(table.oid) => {
                "the tenant of a row is unknown: no tenant column, no foreign key that leads to a tenant, no joining table in the policies"
            }
            Some(_) => continue,
        };
        context.note(
            ProbeOutcome::Inconclusive,
            (title.clone(), "select"),
            &nobody,
            why.to_owned(),
        );
    }
    for role in &tenancy.roles {
        if !context.facts.roles.contains_key(role) {
            let missing = Identity {
                role: role.clone(),
                ..nobody.clone()
            };
            context.note(
                ProbeOutcome::Inconclusive,
                (role.clone(), "connect"),
                &missing,
                "the role does not exist".to_owned(),
            );
        }
    }
}
