//! Tests generated statements: creates the old schema in a shadow database, runs them and compares the result.
//!
//! There are no rows, so the result shows whether the statements are correct, not how long they take.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::catalog::acl::Grantee;
use crate::catalog::{Catalog, Kind, Scope, read};
use crate::diff;
use crate::diff::ddl::{self, Options, Statement};
use crate::error::fail;
use crate::event::silent;
use crate::pg::connect;
use crate::pg::session::Session;
use crate::pg::shadow_server::ShadowServer;
use crate::sql::name::Ident;
use crate::sql::safe::Sql;

/// Runs statements on a copy of the first schema and fails unless they make the second one of it.
///
/// Returns the reason where no such copy can be made here, such as an extension that the shadow server lacks.
pub async fn try_out(
    scratch: &ShadowServer,
    from: &Catalog,
    to: &Catalog,
    statements: &[Statement],
    options: &Options,
) -> Result<Option<String>> {
    let session = match copied(scratch, "trial", from, to).await? {
        Ok(session) => session,
        Err(reason) => return Ok(Some(reason)),
    };
    let to = inside(to);
    for statement in statements.iter().filter(|one| is_inside(one.about.kind)) {
        if let Err(error) = session.run(&statement.sql).await {
            let message = format!(
                "The generated statements fail at {}: {error:#}",
                statement.about
            );
            return Err(fail(message)
                .hint("nothing was changed; print them anyway with --untried")
                .into());
        }
    }
    let reached = inside(&read::read(&session, &Scope::whole()).await?);
    let left = diff::between(&reached, &to).into_iter().find(|change| {
        let details = change.details();
        let order = !details.is_empty() && details.iter().all(|detail| detail.name == "columns");
        options.column_order || !order
    });
    match left {
        None => Ok(None),
        Some(change) => Err(fail(format!(
            "The generated statements do not produce the target schema: {change} after running them"
        ))
        .hint("nothing was changed; print them anyway with --untried")
        .into()),
    }
}

/// Makes the first schema in a shadow database of this name; gives a session there, or the reason where it cannot be had.
pub async fn copied(
    scratch: &ShadowServer,
    name: &str,
    from: &Catalog,
    to: &Catalog,
) -> Result<Result<Session, String>> {
    let target = scratch.database(name).await?;
    let session = connect::open(&target, &silent).await?;
    let reason = copy(&session, &inside(from), &inside(to)).await?;
    Ok(reason.map_or(Ok(session), Err))
}

/// Makes a schema in an empty database; gives the reason where it cannot be had.
async fn copy(session: &Session, from: &Catalog, to: &Catalog) -> Result<Option<String>> {
    let known = session
        .query("SELECT rolname::text FROM pg_catalog.pg_roles", &[])
        .await?;
    let known: BTreeSet<String> = known.iter().map(|row| row.get(0)).collect();
    for role in roles(from, to).difference(&known) {
        let role = Ident::new(role.as_str());
        session
            .run(&Sql::fill("CREATE ROLE {} SUPERUSER", &[&role]))
            .await?;
    }
    let reader = Ident::new(from.reader.as_str());
    session
        .run(&Sql::fill("SET SESSION AUTHORIZATION {}", &[&reader]))
        .await?;
    let empty = inside(&read::read(session, &Scope::whole()).await?);
    let options = Options {
        column_order: true,
        online: false,
    };
    for statement in ddl::statements(&empty, from, &options) {
        if let Err(error) = session.run(&statement.sql).await {
            return Ok(Some(format!("{}: {error:#}", statement.about)));
        }
    }
    let made = inside(&read::read(session, &Scope::whole()).await?);
    let first = diff::between(&made, from).into_iter().next();
    Ok(first.map(|change| format!("on a copy, {change}")))
}

/// Keeps what lives in a database, not next to or around it.
pub fn inside(catalog: &Catalog) -> Catalog {
    catalog.retain(|key, _| is_inside(key.kind))
}

fn is_inside(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::Database | Kind::Role | Kind::Parameter | Kind::Subscription | Kind::SystemGrant
    )
}

/// Returns every role that two schemas speak of.
fn roles(from: &Catalog, to: &Catalog) -> BTreeSet<String> {
    let mut roles = BTreeSet::from([from.reader.clone()]);
    for (key, object) in from.objects.iter().chain(&to.objects) {
        roles.extend(object.owner.iter().map(|owner| owner.to_string()));
        for grant in object.acl.iter().flat_map(|acl| &acl.0) {
            if let Grantee::Role(role) = &grant.grantee {
                roles.insert(role.to_string());
            }
            roles.extend(grant.grantor.iter().map(|role| role.to_string()));
        }
        match key.kind {
            Kind::Policy => roles.extend(object.list("roles").iter().map(|role| unquoted(role))),
            Kind::UserMapping => {
                roles.insert(unquoted(&key.part));
            }
            _ => {}
        }
    }
    roles.retain(|role| !role.is_empty() && role != "public" && role != "PUBLIC");
    roles
}

fn unquoted(name: &str) -> String {
    name.strip_prefix('"')
        .and_then(|name| name.strip_suffix('"'))
        .map_or_else(|| name.to_owned(), |name| name.replace("\"\"", "\""))
}
