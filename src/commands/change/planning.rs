//! Makes a plan: runs the pending migrations on a clone of the schema and observes what they do.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

use crate::catalog::{Catalog, Kind, diagram, read};
use crate::commands::project::HistoryAndJournal;
use crate::commands::{Context, change::data_loss, change::select, project, project_lint};
use crate::diff;
use crate::event::silent;
use crate::finding::{Finding, Location, Severity, worst};
use crate::lint::apply_observations;
use crate::migrate::checksum;
use crate::migrate::files::{Direction, Migration, MigrationFolder};
use crate::migrate::history::History;
use crate::migrate::job;
use crate::migrate::journal::Unfinished;
use crate::pg::connect;
use crate::pg::embedded::sandbox;
use crate::pg::session::Session;
use crate::plan::Step;
use crate::plan::approval::Quorum;
use crate::plan::document::{
    self, HistoryHead, PlanDocument, PlannedDown, PlannedMigration, PlannedStatement,
    TargetDatabase, VERSION,
};
use crate::plan::observe::impact::{self, Impact};
use crate::plan::observe::row_checks::{self, RowCheckOutcome, RowCheckResult};
use crate::plan::observe::{SECURED, StepObservation, UNSECURED, reach, run};
use crate::shadow::predict::predict;
use crate::shadow::{Shadow, schema_clone};
use crate::sql::name::{Ident, ObjectName};
use crate::sql::safe::Sql;
use crate::sql::{position, redact, split};

/// What a plan is made from.
#[derive(Clone, Copy)]
pub(crate) struct PlanInputs<'a> {
    pub(crate) folder: &'a MigrationFolder,
    pub(crate) session: &'a Session,
    pub(crate) records: &'a HistoryAndJournal,
    pub(crate) chosen: &'a [&'a Migration],
}

/// A plan with what is shown beside it.
pub(crate) struct PreparedPlan {
    pub(crate) document: PlanDocument,
    /// The document as it is saved.
    pub(crate) text: String,
    /// The hash of the text.
    pub(crate) sha256: String,
    /// The managed schema after the steps; none where they failed on the shadow database.
    pub(crate) predicted: Option<Catalog>,
    /// Whether a finding reaches the severity that fails a run.
    pub(crate) fails: bool,
    /// The impact of the steps at the current table sizes.
    pub(crate) weights: Vec<Impact>,
    /// Lint findings that the shadow database did not confirm.
    pub(crate) cleared: Vec<Finding>,
    /// A diagram of the changed tables; none where no table changes.
    pub(crate) diagram: Option<String>,
}

/// What running the steps on the shadow database showed.
#[derive(Default)]
struct TrialResult {
    predicted: Option<Catalog>,
    losses: Vec<String>,
    findings: Vec<Finding>,
    steps: Vec<Step>,
    observed: Vec<StepObservation>,
    weights: Vec<Impact>,
}

/// Makes a plan; the database is only read.
pub(crate) async fn make(context: &Context, inputs: PlanInputs<'_>) -> Result<PreparedPlan> {
    let (folder, session, records) = (inputs.folder, inputs.session, inputs.records);
    let live = read::read(session, &schema_clone::scope())
        .await
        .context("reading the schema the plan starts from")?;
    let live = without_siblings(context, live);
    let major = u32::try_from(session.server_info().major()).ok();
    let files: BTreeSet<&str> = inputs
        .chosen
        .iter()
        .map(|migration| migration.up.shown.as_str())
        .collect();
    let mut linted = project_lint::lint(
        context,
        folder,
        project_lint::LintRequest {
            major,
            ..project_lint::LintRequest::default()
        },
    )?;
    let ours = |finding: &Finding| {
        let file = finding.place.as_ref().map(|place| place.file.as_str());
        file.is_some_and(|file| files.contains(file))
    };
    linted.findings.retain(ours);
    let tried = try_out(context, inputs, &live).await?;
    let reach = reach::read(session, &tried.steps, &tried.observed)
        .await
        .context("reading the triggers, rules and functions that the steps can run")?;
    let reconciled = apply_observations::apply(linted.findings, &tried.steps, &tried.observed);
    let fails = project_lint::fails(context, &reconciled.findings)?;
    let mut findings = reconciled.findings;
    findings.extend(tried.findings);
    findings.extend(not_visible(&live));
    let heavy = tried
        .weights
        .iter()
        .any(|weight| weight.severity == Severity::Error);
    let fails = fails || heavy || worst(&findings) == Some(Severity::Error);
    let ladder = project::lock_schedule(context, None)?;
    let milliseconds =
        |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let rules = context.config.database.rules();
    let quorum = Quorum::read(&rules.approvers, rules.approvals)?;
    let document = PlanDocument {
        version: VERSION,
        tool: concat!("af-db ", env!("CARGO_PKG_VERSION")).to_owned(),
        environment: context.config.database.environment().to_owned(),
        author: (quorum.needed > 0).then(|| context.config.env.author()),
        target: observed(session),
        history: head(&records.history),
        schema: managed(context, &live).fingerprint(),
        schema_after: tried.predicted.as_ref().map(Catalog::fingerprint),
        lock_timeout_ms: milliseconds(ladder.cap),
        lock_budget_ms: milliseconds(ladder.budget),
        steps: steps(context, inputs, tried.observed)?,
        losses: tried.losses,
        findings,
        reach,
        contents_sha256: String::new(),
    };
    let text = document.print()?;
    let diagram = tried
        .predicted
        .as_ref()
        .and_then(|predicted| draw(context, &managed(context, &live), predicted));
    Ok(PreparedPlan {
        diagram,
        sha256: document::sha256(&text),
        text,
        document,
        predicted: tried.predicted,
        weights: tried.weights,
        cleared: reconciled.cleared,
        fails,
    })
}

/// Leaves out the schemas of the other tenants: a tenant's migrations change only its own schema.
pub(crate) fn without_siblings(context: &Context, live: Catalog) -> Catalog {
    let Some(tenant) = &context.config.tenant else {
        return live;
    };
    live.retain(|key, _| {
        let schema = if key.kind == Kind::Schema {
            &key.name
        } else {
            &key.schema
        };
        **schema == *tenant.schema || !tenant.siblings.contains(&**schema)
    })
}

/// Names the objects that the planning role cannot see.
fn not_visible(live: &Catalog) -> impl Iterator<Item = Finding> {
    live.unseen.iter().map(|what| {
        Finding::warn(
            "plan-unseen",
            what.as_str(),
            "not checked: insufficient privileges of the planning role",
        )
        .help("Plan as a superuser, or ignore this if the migrations do not touch it")
    })
}

/// Draws the changed tables as they will be.
fn draw(context: &Context, live: &Catalog, predicted: &Catalog) -> Option<String> {
    let mut changed = BTreeSet::new();
    for change in diff::between(live, predicted) {
        changed.insert(change.key.name.to_string());
        changed.insert(format!("{}.{}", change.key.schema, change.key.name));
    }
    let drawn = diagram::of(predicted, context.config.tenant_column());
    let drawn = drawn.only(|name| changed.contains(name));
    (!drawn.tables.is_empty()).then(|| diagram::mermaid(&drawn))
}

/// The managed part of a catalog, without owners.
pub(crate) fn managed(context: &Context, catalog: &Catalog) -> Catalog {
    let around = [
        Kind::Role,
        Kind::Database,
        Kind::Parameter,
        Kind::SystemGrant,
    ];
    catalog
        .only(&context.config.schemas())
        .retain(|key, _| !around.contains(&key.kind))
        .without_owners()
}

fn observed(session: &Session) -> TargetDatabase {
    let facts = session.server_info();
    TargetDatabase {
        system_identifier: facts.system_identifier.map(|number| number.to_string()),
        database: facts.database.clone(),
        database_oid: facts.database_oid,
        server_version: facts.version_num,
        search_path: facts.search_path.clone(),
    }
}

fn head(history: &History) -> HistoryHead {
    let mut hash = Sha256::new();
    for row in &history.rows {
        hash.update(format!(
            "{} {:?} {:?} {:?}\n",
            row.version, row.name, row.applied_on, row.checksum
        ));
    }
    let digest = hash.finalize();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    HistoryHead {
        table: history.name.to_string(),
        applied: history.rows.len(),
        version: history.rows.iter().map(|row| row.version).max(),
        sha256: format!("sha256:{hex}"),
    }
}

fn steps(
    context: &Context,
    inputs: PlanInputs<'_>,
    observed: Vec<StepObservation>,
) -> Result<Vec<PlannedMigration>> {
    let mut observed = observed.into_iter();
    let fresh = project::fresh_width(context, inputs.folder)?;
    let width = inputs.records.history.width(fresh);
    let planned = |migration: &&Migration| {
        let step = step(migration, inputs)?;
        let half = half(migration, inputs);
        let sum = |text: &str| checksum::refinery(&migration.name, migration.version, text, width);
        let way_back = match (&migration.down, &migration.directives.irreversible) {
            (Some(down), _) => PlannedDown::File {
                file: down.shown.clone(),
                sha256: format!("sha256:{}", checksum::sha256(&down.text)),
            },
            (None, Some(reason)) => PlannedDown::Irreversible(reason.clone()),
            (None, None) => PlannedDown::None,
        };
        let statements = split::statements(&migration.up.text).map(|statement| PlannedStatement {
            line: statement.position.line,
            sql: redact::statement(statement.text).into_owned(),
        });
        Ok(PlannedMigration {
            version: migration.version,
            name: migration.name.clone(),
            file: migration.up.shown.clone(),
            sha256: format!("sha256:{}", checksum::sha256(&migration.up.text)),
            checksum: sum(&migration.up.text).to_string(),
            mode: step.mode,
            timeout_ms: step
                .timeout
                .map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            continues_behind: half.map_or(0, |half| half.statement),
            way_back,
            statements: statements.collect(),
            observed: observed.next(),
        })
    };
    inputs.chosen.iter().map(planned).collect()
}

/// Runs the steps on a clone of the schema, and checks conditions that depend on data with queries on the database.
///
/// A step that fails is a finding, and then nothing is predicted.
async fn try_out(context: &Context, inputs: PlanInputs<'_>, live: &Catalog) -> Result<TrialResult> {
    let mut tried = TrialResult::default();
    if inputs.chosen.is_empty() {
        tried.predicted = Some(managed(context, live));
        return Ok(tried);
    }
    let scratch = context.narrow_scratch(inputs.session).await?;
    let likeness = schema_clone::build(&scratch, "plan", live, &inputs.folder.migrations).await?;
    tried
        .findings
        .extend(likeness.lacking.into_iter().map(|lack| {
            Finding::warn(
                "plan-likeness",
                "the shadow server",
                format!("cannot create {lack}"),
            )
            .help("The plan was made without it. Set AF_DB_SHADOW_URL to a server that supports it")
        }));
    let Shadow { target, session } = likeness.shadow;
    same_path(&session, inputs.session, target.database()).await?;
    let before = read::read(&session, &schema_clone::scope()).await?;
    let steps = inputs
        .chosen
        .iter()
        .map(|migration| step(migration, inputs));
    let steps = steps.collect::<Result<Vec<_>>>()?;
    if !session.server_info().superuser {
        let shadow = Shadow { target, session };
        return unobserved(context, inputs, live, &before, shadow, steps).await;
    }
    session.close().await;
    tried.observed = run::steps(&target, &steps, &context.watch()).await?;
    tried.steps = steps;
    tried.losses = data_loss::losses(&tried.observed);
    let sizes = impact::sizes(inputs.session, &tried.observed).await?;
    tried.weights = impact::estimate(&tried.observed, &sizes, &project_lint::thresholds(context));
    if let Some(finding) = failed(&tried.observed, &tried.steps) {
        tried.findings.push(finding);
        return Ok(tried);
    }
    let session = connect::open(&target, &silent).await?;
    let after = read::read(&session, &schema_clone::scope()).await?;
    session.close().await;
    tried
        .findings
        .extend(without_policies(&tried.observed, &after));
    tried.predicted = Some(managed(context, &predict(live, &before, &after)));
    let answers = row_checks::ask(inputs.session, &tried.observed, PATIENCE).await?;
    tried.findings.extend(
        answers
            .iter()
            .filter_map(|answer| row_finding(answer, &tried.steps)),
    );
    Ok(tried)
}

/// Runs the steps on a server given by AF_DB_SHADOW_URL whose role cannot observe them; data loss is read from the SQL.
async fn unobserved(
    context: &Context,
    inputs: PlanInputs<'_>,
    live: &Catalog,
    before: &Catalog,
    mut shadow: Shadow,
    steps: Vec<Step>,
) -> Result<TrialResult> {
    let mut tried = TrialResult {
        losses: select::losses(inputs.chosen),
        ..TrialResult::default()
    };
    tried.findings.push(
        Finding::warn(
            "plan-unobserved",
            "AF_DB_SHADOW_URL",
            "locks, rewrites and row changes were not observed (needs superuser); data loss was estimated from the SQL",
        )
        .help("Unset AF_DB_SHADOW_URL to observe them on a shadow server that af-db starts"),
    );
    for step in steps {
        let label = step.label.clone();
        let (next, failed) = shadow.attempt_step(step).await?;
        shadow = next;
        if let Some(failure) = failed {
            let finding = Finding::error("plan-fails", &label, failure.message)
                .place(Location::file(&label))
                .help(failure.hint.unwrap_or_default());
            tried.findings.push(finding);
            shadow.session.close().await;
            return Ok(tried);
        }
    }
    shadow.session.close().await;
    // The steps may have changed settings of the session.
    let session = connect::open(&shadow.target, &silent).await?;
    let after = read::read(&session, &schema_clone::scope()).await?;
    session.close().await;
    tried.predicted = Some(managed(context, &predict(live, before, &after)));
    Ok(tried)
}

/// Finds tables on which the steps enabled row-level security without any policy.
fn without_policies(observed: &[StepObservation], after: &Catalog) -> Vec<Finding> {
    let mut shut = BTreeSet::new();
    for change in observed
        .iter()
        .flat_map(|step| &step.statements)
        .flat_map(|statement| &statement.security)
    {
        match change.change.as_str() {
            SECURED => shut.insert(change.object.as_str()),
            UNSECURED => shut.remove(change.object.as_str()),
            _ => false,
        };
    }
    let open: BTreeSet<String> = after
        .of_kind(Kind::Policy)
        .map(|(key, _)| ObjectName::new(&*key.schema, &*key.name).to_string())
        .collect();
    shut.retain(|table| !open.contains(*table));
    let finding = |table: &str| {
        Finding::warn(
            "plan-shut",
            table,
            "row-level security is enabled without a policy: no role except the owner can read or write rows",
        )
        .help("Create the policies before ENABLE ROW LEVEL SECURITY, in the same migration")
    };
    shut.into_iter().map(finding).collect()
}

/// How long one query on the rows of the database may take.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// Sets the search path of the shadow database to that of the live one.
async fn same_path(session: &Session, live: &Session, database: &str) -> Result<()> {
    let path = live.server_info().search_path.as_str();
    if path.trim().is_empty() {
        return Ok(());
    }
    let sql = Sql::fill(
        "ALTER DATABASE {} SET search_path TO {}",
        &[&Ident::new(database), &Sql::printed_by_server(path)],
    );
    session
        .run(&sql)
        .await
        .context("setting the search path of the shadow database")
}

/// A migration as a step that continues after the statements already applied.
fn step(migration: &Migration, inputs: PlanInputs<'_>) -> Result<Step> {
    let mut step = job::step(migration, Direction::Up)
        .with_context(|| format!("{} has no up migration", migration.up.shown))?;
    if let Some(half) = half(migration, inputs) {
        step.uncertain = half.is_uncertain();
        step.done = half.statement - usize::from(step.uncertain && half.statement > 0);
    }
    Ok(step)
}

fn half<'b>(migration: &Migration, inputs: PlanInputs<'b>) -> Option<&'b Unfinished> {
    let unfinished = inputs.records.unfinished.iter();
    let mut of = unfinished
        .filter(|half| half.version == migration.version && half.direction == Direction::Up);
    of.next()
}

/// The finding for the statement that failed on the shadow database.
fn failed(observed: &[StepObservation], steps: &[Step]) -> Option<Finding> {
    let last = observed.last()?;
    let statement = last.failed()?;
    let failed = statement.failed.as_ref()?;
    let text = steps.get(observed.len() - 1).map_or("", |step| &step.text);
    let at = position::of_byte(text, failed.offset.unwrap_or(statement.start));
    let message = format!(
        "statement {} fails: {} (SQLSTATE {})",
        statement.number, failed.message, failed.sqlstate
    );
    let help = sandbox::hint(&failed.message)
        .unwrap_or_else(|| "Fix the file: up would fail and roll back here".to_owned());
    Some(
        Finding::error("plan-fails", &last.label, message)
            .place(Location::at(&last.label, at.line, at.column))
            .help(help),
    )
}

/// The finding for a data-dependent check that did not pass.
fn row_finding(answer: &RowCheckResult, steps: &[Step]) -> Option<Finding> {
    let step = steps.get(answer.step)?;
    let about = &answer.question.about;
    let relation = &answer.question.relation;
    let number = answer.statement;
    let finding = match &answer.outcome {
        RowCheckOutcome::Fits => return None,
        RowCheckOutcome::Fails(_) if answer.may_change => Finding::warn(
            "plan-rows",
            relation,
            format!(
                "statement {number} fails unless an earlier statement changes the data: there are {about}"
            ),
        ),
        RowCheckOutcome::Fails(said) => {
            let said = said
                .as_ref()
                .map(|said| format!(" ({said})"))
                .unwrap_or_default();
            Finding::error(
                "plan-rows",
                relation,
                format!("statement {number} would fail: there are {about}{said}"),
            )
        }
        RowCheckOutcome::NotAsked(why) => Finding::note(
            "plan-rows-not-asked",
            relation,
            format!("statement {number} fails if there are {about}: {why}"),
        ),
    };
    let finding = finding.place(Location::file(&step.label));
    Some(match &answer.question.query {
        Some(query) => finding.help(query.clone()),
        None => finding,
    })
}

/// Names the tables and materialized views of a schema.
pub(crate) fn tables(catalog: &Catalog) -> Vec<String> {
    [Kind::Table, Kind::MaterializedView]
        .into_iter()
        .flat_map(|kind| catalog.of_kind(kind))
        .map(|(key, _)| ObjectName::new(&*key.schema, &*key.name).to_string())
        .collect()
}
