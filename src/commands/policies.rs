//! Owns comparing the policy set with a database, for the commands that do it.

use anyhow::{Context as _, Result};

use crate::catalog::{Catalog, Scope, read};
use crate::config::Config;
use crate::pg::session::Session;
use crate::rls::advise;
use crate::rls::compare::{self, Comparison};
use crate::rls::declared::Declared;

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
    let advice = advise::advise(&catalog, &declared.roles(), said.or(column));
    comparison.findings.extend(advice);
    Ok(comparison)
}

/// Reads what a comparison needs: the governed schemas and the roles.
pub(crate) async fn catalog(session: &Session, config: &Config) -> Result<Catalog> {
    let scope = Scope {
        global: false,
        roles: true,
        ..Scope::of_schemas(&config.schemas())
    };
    read::read(session, &scope).await
}
