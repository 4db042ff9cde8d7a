//! Reads the schemas of members for comparison; tenant schemas are compared under one common name.

use std::collections::BTreeMap;

use anyhow::Result;
use tokio::sync::OnceCell;

use crate::catalog::{Catalog, Kind, Scope, read};
use crate::commands::Context;
use crate::fleet::{Fleet, Member, Tenant};
use crate::pg::session::Session;

/// The common name of tenant schemas; PostgreSQL reserves the prefix `pg_`, so no real schema has it.
const TENANT: &str = "pg_tenant";

/// The managed schemas, without database-wide objects, which may differ between members.
fn scope(schemas: &[String]) -> Scope {
    Scope {
        global: false,
        ..Scope::of_schemas(schemas)
    }
}

/// Reads the schema of a member.
pub(super) async fn read(context: &Context, session: &Session, member: &Member) -> Result<Catalog> {
    match &member.tenant {
        None => read::read(session, &scope(&context.config.schemas())).await,
        Some(tenant) => {
            let schemas = [tenant.schema.clone()];
            let catalog = read::read(session, &scope(&schemas)).await?;
            Ok(of_tenant(&catalog, &tenant.schema))
        }
    }
}

/// A tenant's part of a catalog under the common name, without owners and privileges.
pub(super) fn of_tenant(catalog: &Catalog, schema: &str) -> Catalog {
    let own = [schema.to_owned()];
    let only = catalog
        .only(&own)
        .retain(|key, _| key.kind != Kind::Schema && key.kind != Kind::DefaultPrivileges);
    let mut shape = only.with_schema_renamed(schema, TENANT).without_owners();
    for object in shape.objects.values_mut() {
        object.acl = None;
    }
    shape
}

/// Schema fingerprints of members; those of tenants are read once per database.
pub(super) struct Fingerprints<'a> {
    context: &'a Context,
    places: BTreeMap<String, OnceCell<BTreeMap<String, String>>>,
}

impl<'a> Fingerprints<'a> {
    pub(super) fn new(context: &'a Context, fleet: &Fleet) -> Self {
        let tenants = fleet
            .members
            .iter()
            .filter(|member| member.tenant.is_some());
        let places = tenants.map(|member| (member.location(), OnceCell::new()));
        Fingerprints {
            context,
            places: places.collect(),
        }
    }

    pub(super) async fn fingerprint(&self, session: &Session, member: &Member) -> Result<String> {
        let (Some(tenant), Some(cell)) = (&member.tenant, self.places.get(&member.location()))
        else {
            return Ok(read(self.context, session, member).await?.fingerprint());
        };
        let all = cell
            .get_or_try_init(async || every(session, tenant).await)
            .await?;
        Ok(all.get(&tenant.schema).cloned().unwrap_or_default())
    }
}

/// Reads the schemas of all tenants of a database in one pass.
async fn every(session: &Session, tenant: &Tenant) -> Result<BTreeMap<String, String>> {
    let schemas: Vec<String> = tenant.siblings.iter().cloned().collect();
    let catalog = read::read(session, &scope(&schemas)).await?;
    let fingerprint = |schema: String| {
        let fingerprint = of_tenant(&catalog, &schema).fingerprint();
        (schema, fingerprint)
    };
    Ok(schemas.into_iter().map(fingerprint).collect())
}
