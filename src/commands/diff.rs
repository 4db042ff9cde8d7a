//! `af-db diff`: the SQL that turns one database into another.

use anyhow::Result;
use serde::Serialize;

use crate::adopt::portability;
use crate::catalog::{Catalog, Kind, Scope};
use crate::commands::format::markdown::block;
use crate::commands::output::Format;
use crate::commands::page::{Page, Tone};
use crate::commands::schema_sources::{self, SchemaReader, SchemaSource, SourceSchema};
use crate::commands::{Context, Outcome, Report, rename_question};
use crate::diff::ddl::{self, Options, Statement};
use crate::diff::{self, Change, predictable, report};
use crate::finding::{Finding, Severity};
use crate::manifest::rename_detection::{self, PossibleRename};
use crate::pg::shadow_server;
use crate::pg::target::Target;
use crate::shadow::diff_trial;
use crate::sql::printable;

/// Flags of `diff`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Current schema: manifest, migrations, live, a URL, a directory, an .sql file or sqlite://FILE
    from: String,
    /// Wanted schema, same forms
    to: String,
    /// Compare only these schemas and objects outside schemas
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    schema: Vec<String>,
    /// Ignore column order where changing it would rebuild the table
    #[arg(long)]
    keep_column_order: bool,
    /// Use statements that do not block reads and writes, as `new --from-manifest` does
    ///
    /// Indexes are created and dropped CONCURRENTLY; unique and primary keys use such indexes; foreign keys and checks are
    /// added NOT VALID and then validated; SET NOT NULL uses such a check. These statements cannot run in one transaction.
    /// Without this flag they can, except new enum values and subscriptions.
    #[arg(long)]
    online: bool,
    /// Treat objects that cannot be compared (unsupported or not visible) as errors
    #[arg(long)]
    strict: bool,
    /// Print the statements even if they did not produce the wanted schema on a shadow database
    #[arg(long)]
    untried: bool,
    /// Also compare role attributes
    #[arg(long)]
    roles: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct DiffReport {
    changes: Vec<ReportedChange>,
    statements: Vec<ReportedStatement>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_modelled: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_seen: Vec<String>,
    #[serde(skip)]
    findings: Vec<Finding>,
    /// The changes as findings, for the formats that contain no SQL.
    #[serde(skip)]
    words: Vec<Finding>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ReportedChange {
    object: String,
    kind: &'static str,
    change: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<ReportedDetail>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ReportedDetail {
    fact: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ReportedStatement {
    sql: String,
    object: String,
    alone: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    destroys: Option<String>,
}

/// Runs the command.
pub async fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let scope = Scope {
        schemas: (!args.schema.is_empty()).then(|| args.schema.clone()),
        roles: args.roles,
        ..Scope::whole()
    };
    let (from, to) = both(args, &scope, context).await?;
    let mut findings: Vec<Finding> = from.findings.into_iter().chain(to.findings).collect();
    findings.extend(missing_on_server(args, &to.catalog, context).await?);
    if context.output.format == Format::Human {
        // Standard output is for psql.
        for finding in std::mem::take(&mut findings) {
            let words = format!("{}: {}", finding.subject, finding.message);
            context.terminal.warn(&words);
        }
    }
    let (mut from, to) = (from.catalog, to.catalog);
    let changes = diff::between(&from, &to);
    let mut statements = Vec::new();
    if let Some((renames, renamed)) = renamed(&from, &to, context).await? {
        statements = renames;
        from = renamed;
    }
    let options = Options {
        column_order: !args.keep_column_order,
        online: args.online,
    };
    let rest = ddl::statements(&from, &to, &options);
    if !args.untried && !predictable::is_predictable(&changes, &rest) {
        try_out(&from, &to, &rest, &options, context).await?;
    }
    statements.extend(rest);
    let of_both = |list: fn(&Catalog) -> &Vec<String>| {
        let mut all: Vec<String> = list(&from).iter().chain(list(&to)).cloned().collect();
        all.sort();
        all.dedup();
        all
    };
    let not_modelled = of_both(|catalog| &catalog.unmodelled);
    let not_seen = of_both(|catalog| &catalog.unseen);
    if args.strict {
        let refused = |code, what: &String| Finding::error(code, "the databases", what.clone());
        findings.extend(
            not_modelled
                .iter()
                .map(|what| refused("diff-not-modelled", what)),
        );
        findings.extend(not_seen.iter().map(|what| refused("diff-unseen", what)));
    }
    let report = DiffReport {
        changes: diff::outermost(&changes)
            .into_iter()
            .map(reported_change)
            .collect(),
        statements: statements.into_iter().map(reported_statement).collect(),
        not_modelled,
        not_seen,
        findings,
        words: match context.output.format {
            Format::Human | Format::Json | Format::Nothing => Vec::new(),
            _ => words(args, &changes, context)?,
        },
    };
    for what in &report.not_modelled {
        context.terminal.say(&format!("not compared: {what}"));
    }
    for what in &report.not_seen {
        context
            .terminal
            .say(&format!("not checked (insufficient privileges): {what}"));
    }
    context.show(&report)
}

/// The changes as findings, each side by its name on the command line; a URL without its password.
fn words(args: &Args, changes: &[Change], context: &Context) -> Result<Vec<Finding>> {
    let called = |text: &str| -> Result<String> {
        Ok(match SchemaSource::parse(text, context)? {
            SchemaSource::Address(address) => Target::parse(&address)?.to_string(),
            SchemaSource::Live => "the live database".to_owned(),
            _ => text.to_owned(),
        })
    };
    let (before, after) = (called(&args.from)?, called(&args.to)?);
    let sides = report::Sides {
        code: "diff",
        severity: Severity::Warn,
        before: &before,
        after: &after,
    };
    Ok(report::findings(changes, &sides))
}

/// Reads both sides, concurrently if neither needs a shadow server.
async fn both(
    args: &Args,
    scope: &Scope,
    context: &Context,
) -> Result<(SourceSchema, SourceSchema)> {
    let from = SchemaSource::parse(&args.from, context)?;
    let to = SchemaSource::parse(&args.to, context)?;
    if let (SchemaSource::Address(_), SchemaSource::Address(_)) = (&from, &to) {
        let mut one = SchemaReader::new(context);
        let mut other = one.beside();
        return futures_util::future::try_join(one.read(&from, scope), other.read(&to, scope))
            .await;
    }
    let made =
        |source: &SchemaSource| !matches!(source, SchemaSource::Live | SchemaSource::Address(_));
    let is_any_made = made(&from) || made(&to);
    let mut sources = SchemaReader::new(context);
    let from = sources.read(&from, scope).await?;
    let to = sources.read(&to, scope).await?;
    if is_any_made {
        return Ok((without_database(from), without_database(to)));
    }
    Ok((from, to))
}

/// Leaves out the database object: name, owner, grants, settings and comment of a shadow database are not the project's.
fn without_database(read: SourceSchema) -> SourceSchema {
    SourceSchema {
        catalog: read.catalog.retain(|key, _| key.kind != Kind::Database),
        ..read
    }
}

/// Finds what the wanted schema needs and the server of the current one lacks, such as extensions.
async fn missing_on_server(
    args: &Args,
    schema: &Catalog,
    context: &Context,
) -> Result<Vec<Finding>> {
    let from = SchemaSource::parse(&args.from, context)?;
    let to = SchemaSource::parse(&args.to, context)?;
    if !matches!(to, SchemaSource::Live | SchemaSource::Address(_)) {
        return Ok(Vec::new());
    }
    let Some(session) = schema_sources::server(&from, context).await? else {
        return Ok(Vec::new());
    };
    let findings = portability::missing_on_target(schema, &session).await;
    session.close().await;
    findings
}

/// Asks on a terminal about likely renames; returns the renaming statements and the schema after them.
///
/// The renames are run on a shadow copy, which shows how they change the objects that use the name.
async fn renamed(
    current: &Catalog,
    wanted: &Catalog,
    context: &Context,
) -> Result<Option<(Vec<Statement>, Catalog)>> {
    if !context.terminal.is_interactive() {
        return Ok(None);
    }
    let (from, to) = (diff_trial::inside(current), diff_trial::inside(wanted));
    if !rename_detection::is_likely(&from, &to) {
        return Ok(None);
    }
    let major = u32::try_from(from.version / 10_000)?;
    let server = context.config.embedded(Some(major))?;
    let scratch = shadow_server::start(&server, &context.watch()).await?;
    let session = match diff_trial::copied(&scratch, "renamed", current, wanted).await? {
        Ok(session) => session,
        Err(reason) => {
            let first = reason.lines().next().unwrap_or_default();
            let line = format!("renames were not detected: {first}");
            context.terminal.warn(&line);
            return Ok(None);
        }
    };
    let mut ask = |gone: &PossibleRename| rename_question::ask(context, gone, "no longer exists");
    let target = |_: &Catalog| to.clone();
    let scope = Scope::whole();
    let renamed =
        rename_detection::ask_and_rename(&session, &scope, from.clone(), &target, &mut ask).await?;
    if renamed.there.is_empty() {
        return Ok(None);
    }
    // Objects outside the database, such as roles, are not part of the copy.
    let mut catalog = current.retain(|key, _| from.get(key).is_none());
    let inside = diff_trial::inside(&renamed.catalog);
    catalog.objects.extend(inside.objects);
    Ok(Some((renamed.there, catalog)))
}

/// Runs non-trivial statements on a shadow server of the same version, if one is available.
async fn try_out(
    current: &Catalog,
    wanted: &Catalog,
    statements: &[Statement],
    options: &Options,
    context: &Context,
) -> Result<()> {
    let major = u32::try_from(current.version / 10_000)?;
    let server = context.config.embedded(Some(major))?;
    let reason = match shadow_server::start(&server, &context.watch()).await {
        Ok(scratch) if scratch.instead_of.is_none() => {
            diff_trial::try_out(&scratch, current, wanted, statements, options).await?
        }
        Ok(scratch) => Some(format!("{} is not PostgreSQL {major}", scratch.why)),
        Err(error) => Some(format!("{error:#}")),
    };
    if let Some(reason) = reason {
        let first = reason.lines().next().unwrap_or_default();
        context
            .terminal
            .say(&format!("not tested on a shadow database: {first}"));
    }
    Ok(())
}

fn reported_change(change: &Change) -> ReportedChange {
    ReportedChange {
        object: change.key.subject(),
        kind: change.key.kind.word(),
        change: match (&change.before, &change.after) {
            (None, _) => "added",
            (_, None) => "dropped",
            _ => "changed",
        },
        details: change
            .details()
            .into_iter()
            .map(|detail| ReportedDetail {
                fact: detail.name,
                before: detail.before,
                after: detail.after,
            })
            .collect(),
    }
}

fn reported_statement(statement: Statement) -> ReportedStatement {
    ReportedStatement {
        sql: statement.sql.to_string(),
        object: statement.about.to_string(),
        alone: statement.alone,
        destroys: statement.destroys,
    }
}

impl Report for DiffReport {
    fn command(&self) -> &'static str {
        "diff"
    }

    fn human(&self, page: &mut Page) {
        for statement in &self.statements {
            if let Some(lost) = &statement.destroys {
                page.toned(Tone::Bad, format!("-- destroys {lost}"));
            }
            page.document(format!("{};", printable::statement(&statement.sql)));
        }
        if self.statements.is_empty() {
            for change in &self.changes {
                let names: Vec<&str> = change.details.iter().map(|d| d.fact.as_str()).collect();
                page.line(format!(
                    "-- {} {} differs in {}; diff cannot generate a statement for this",
                    change.kind,
                    change.object.replace(['\n', '\r'], " "),
                    names.join(", ")
                ));
            }
        }
    }

    fn outcome(&self) -> Outcome {
        if self.changes.is_empty() && self.findings.is_empty() {
            Outcome::Clean
        } else {
            Outcome::Found
        }
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }

    fn annotations(&self) -> Vec<Finding> {
        self.findings.iter().chain(&self.words).cloned().collect()
    }

    fn markdown(&self) -> String {
        if self.statements.is_empty() {
            return String::new();
        }
        let mut page = Page::new(false);
        self.human(&mut page);
        block("sql", &page.finish())
    }
}
