//! Compares the declared policies with a database and proves tenant isolation, for the commands that need either.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::catalog::{Catalog, Scope, read};
use crate::commands::Context;
use crate::commands::page::count;
use crate::config::Config;
use crate::disk;
use crate::finding::Finding;
use crate::pg::session::Session;
use crate::pg::target::Target;
use crate::rls::advise::{self, PlatformObjects};
use crate::rls::compare::{self, Comparison};
use crate::rls::cost::PolicyCost;
use crate::rls::declared::{self, Declared};
use crate::rls::matrix;
use crate::rls::prove::{self, Proof, ProofOptions};
use crate::rls::schema_copy::{self, SourceInfo};
use crate::rls::tenancy::Tenancy;
use crate::rls::verdict::{ProbeOutcome, Verdict};
use crate::sql::name::{Ident, ObjectName};

/// Compares the declared policies with a database, and adds advice on what it has.
pub(crate) async fn compare(
    session: &Session,
    declared: &Declared,
    config: &Config,
) -> Result<Comparison> {
    let catalog = catalog(session, config).await?;
    let tenancy = config.file.tenancy.as_ref();
    let column = tenancy.and_then(|tenancy| tenancy.get("column")?.as_str());
    let mut comparison = compare::compare(session, &catalog, declared, column)
        .await
        .context("comparing the declared policies")?;
    let said = declared
        .tenancy()
        .and_then(|(_, tenancy)| tenancy.column.as_ref())
        .map(|column| column.value.as_str());
    let roles = declared.roles();
    let beyond = PlatformObjects::read(session, &roles).await?;
    let advice = advise::advise(&catalog, &beyond, &roles, said.or(column));
    comparison.findings.extend(advice);
    Ok(comparison)
}

/// Reads what a comparison needs: the managed schemas and the roles.
pub(crate) async fn catalog(session: &Session, config: &Config) -> Result<Catalog> {
    let scope = Scope {
        global: false,
        roles: true,
        ..Scope::of_schemas(&config.schemas())
    };
    read::read(session, &scope).await
}

/// What a proof came to.
#[derive(Debug)]
pub(crate) struct IsolationProof {
    /// The verdicts.
    pub(crate) proof: Proof,
    /// Leaks and inconclusive probes.
    pub(crate) findings: Vec<Finding>,
}

impl IsolationProof {
    /// Returns what of a proof a person must know.
    pub(crate) fn of(proof: Proof, tenancy: &Tenancy) -> Self {
        IsolationProof {
            findings: findings(&proof, tenancy),
            proof,
        }
    }

    /// Returns in a few words how the attempts ended.
    pub(crate) fn words(&self) -> String {
        let [leaks, passed, open] = [
            ProbeOutcome::Leak,
            ProbeOutcome::Passed,
            ProbeOutcome::Inconclusive,
        ]
        .map(|word| self.proof.count(word));
        format!(
            "{}, {passed} passed, {open} inconclusive",
            count(leaks, "leak", "leaks")
        )
    }
}

/// Tries on a shadow of the migrations to reach another tenant's rows; nothing where nothing says what a tenant is.
///
/// The shadow is filled and changed by it: nobody must need it afterwards.
pub(crate) async fn proven(context: &Context, shadow: &Target) -> Result<Option<IsolationProof>> {
    let Some(tenancy) = tenancy(&context.config, None)? else {
        return Ok(None);
    };
    let source_info = schema_copy::source_info(shadow, &tenancy, &context.watch()).await?;
    let options = options(&context.config)?;
    Ok(Some(
        prove(context, shadow, &tenancy, &source_info, &options).await?,
    ))
}

/// Tries on a copy to reach another tenant's rows.
pub(crate) async fn prove(
    context: &Context,
    copy: &Target,
    tenancy: &Tenancy,
    source_info: &SourceInfo,
    options: &ProofOptions,
) -> Result<IsolationProof> {
    let proof = prove::prove(copy, tenancy, source_info, options, &context.watch())
        .await
        .context("probing tenant isolation")?;
    Ok(IsolationProof::of(proof, tenancy))
}

/// Returns the usual effort, with the rows that `policies/fixtures.sql` adds.
pub(crate) fn options(config: &Config) -> Result<ProofOptions> {
    let path = config.policies().join("fixtures.sql");
    let shown = config.shown(&path);
    let fixtures = disk::read_text_if_there(&path, &shown)?.map(|text| (shown, text));
    Ok(ProofOptions {
        fixtures,
        ..ProofOptions::usual()
    })
}

/// Reads how tenants are distinguished: from a file of its own, else from the policy set, else from af-db.yaml, where one of
/// them says so.
pub(crate) fn tenancy(config: &Config, file: Option<&Path>) -> Result<Option<Tenancy>> {
    let path = match file {
        Some(file) => file.to_owned(),
        None => {
            let folder = config.policies();
            let declared = declared::read(&folder, &config.shown(&folder))?;
            let Some((file, _)) = declared.tenancy() else {
                return configured(config);
            };
            config.root.join(file)
        }
    };
    let shown = config.shown(&path);
    let text = disk::read_text(&path, &shown)?;
    Tenancy::parse(&shown, &text).map(Some)
}

/// Reads the tenancy of af-db.yaml, where it says more than the column: who asks.
fn configured(config: &Config) -> Result<Option<Tenancy>> {
    match &config.file.tenancy {
        Some(tenancy) if tenancy.get("identity").is_some() => {
            Tenancy::parse("af-db.yaml", &tenancy.to_string()).map(Some)
        }
        _ => Ok(None),
    }
}

fn findings(proof: &Proof, tenancy: &Tenancy) -> Vec<Finding> {
    let mut findings: Vec<Finding> = proof
        .verdicts
        .iter()
        .filter(|one| one.verdict != ProbeOutcome::Passed)
        .map(finding)
        .collect();
    findings.extend(tenancy.unknown.iter().map(|key| {
        Finding::warn(
            "rls-unknown-key",
            format!("tenancy.{key}"),
            format!("unknown key `{key}` in the tenancy was ignored"),
        )
    }));
    findings.extend(proof.costs.iter().filter_map(slow));
    findings.extend(proof.left_out.iter().map(|statement| {
        let message = format!("not tested: the shadow database refused a statement: {statement}");
        Finding::warn("rls-not-copied", "the schema", message).help(
            "set AF_DB_SHADOW_URL to a server that has what is missing, such as the extension",
        )
    }));
    findings
}

/// Returns what makes a policy slow, and the statement that fixes it.
fn slow(cost: &PolicyCost) -> Option<Finding> {
    let PolicyCost {
        table,
        column,
        role,
        factor,
        ..
    } = cost;
    let times = format!(
        "{factor:.1} times as long as without policies, measured on {} rows",
        cost.rows
    );
    if cost.asked_per_row {
        let message = format!(
            "Reading own rows as {role} takes {times}: the policy evaluates the identity once per row"
        );
        return Some(Finding::warn("rls-P01", table.clone(), message).help(
            "wrap the identity in (SELECT …) in the policy, or use = ANY (ARRAY(SELECT …)), to evaluate it once per statement",
        ));
    }
    if cost.index.is_none() && *factor >= 3.0 {
        let message =
            format!("Reading own rows as {role} takes {times}: no index on {column} is used");
        let name = table.split_once('.').map_or_else(
            || ObjectName::new("public", table.as_str()),
            |(schema, name)| ObjectName::new(schema, name),
        );
        return Some(Finding::warn("rls-P02", table.clone(), message).help(format!(
            "CREATE INDEX CONCURRENTLY ON {name} ({}), and compare the column as it is, without a cast",
            Ident::new(column.as_str())
        )));
    }
    None
}

fn finding(verdict: &Verdict) -> Finding {
    let code = verdict.class.as_deref().map_or_else(
        || "rls-not-proven".to_owned(),
        |class| format!("rls-{class}"),
    );
    let command = matrix::command_words(&verdict.command);
    let message = match verdict.verdict {
        ProbeOutcome::Leak => format!(
            "{command} as {} ({}) reaches another tenant: {}",
            verdict.role, verdict.identity, verdict.why
        ),
        _ => format!(
            "inconclusive: {command} as {}: {}",
            verdict.role, verdict.why
        ),
    };
    let mut finding = Finding::new(verdict.as_severity(), code, verdict.object.clone(), message);
    finding.detail = verdict.reproduce.clone();
    finding
}
