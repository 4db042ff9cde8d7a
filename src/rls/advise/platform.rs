//! What lies outside the managed schemas and bears on isolation: extensions, message queues, buckets of files.

use anyhow::{Context as _, Result};
use tokio_postgres::types::Type;

use crate::advise::{AdviceContext, list};
use crate::finding::Finding;
use crate::formula::Formula;
use crate::pg::session::Session;
use crate::sql::name::Ident;

/// What a database has beside its managed schemas.
#[derive(Clone, Debug, Default)]
pub struct PlatformObjects {
    pub extensions: Vec<Extension>,
    /// Queues that requests reach and no policy holds on, each with the roles.
    pub queues: Vec<(String, Vec<String>)>,
    /// Buckets of files, each with whether its files are public.
    pub buckets: Vec<(String, bool)>,
    /// Policies by which requests read what files there are: name and condition.
    pub listing: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
pub struct Extension {
    pub name: String,
    /// The schema its objects lie in.
    pub schema: String,
    pub version: String,
    /// The version the server would install today.
    pub newest: Option<String>,
    /// Whether its objects can be moved to another schema.
    pub moves: bool,
}

impl PlatformObjects {
    /// Reads what is beside the managed schemas.
    pub async fn read(session: &Session, requests: &[String]) -> Result<PlatformObjects> {
        let requests = super::requests(requests);
        let asked = [(
            &requests as &(dyn tokio_postgres::types::ToSql + Sync),
            Type::TEXT_ARRAY,
        )];
        let reading = "reading extensions, queues and buckets";
        let rows = session
            .query(include_str!("../queries/beyond_extensions.sql"), &[])
            .await
            .context(reading)?;
        let extensions = rows.iter().map(|row| Extension {
            name: row.get(0),
            schema: row.get(1),
            version: row.get(2),
            newest: row.get(3),
            moves: row.get(4),
        });
        let queues = session
            .query(include_str!("../queries/beyond_queues.sql"), &asked)
            .await
            .context(reading)?;
        let listing = session
            .query(include_str!("../queries/beyond_listing.sql"), &asked)
            .await
            .context(reading)?;
        // Buckets matter only where a policy lists files, and they may not be readable.
        let buckets = if listing.is_empty() {
            Vec::new()
        } else {
            session
                .query(include_str!("../queries/beyond_buckets.sql"), &[])
                .await
                .context(reading)?
        };
        let pair = |row: &tokio_postgres::Row| (row.get(0), row.get(1));
        Ok(PlatformObjects {
            extensions: extensions.collect(),
            queues: queues.iter().map(|row| (row.get(0), row.get(1))).collect(),
            buckets: buckets.iter().map(|row| (row.get(0), row.get(1))).collect(),
            listing: listing.iter().map(pair).collect(),
        })
    }

    fn has(&self, extension: &str) -> bool {
        self.extensions.iter().any(|one| one.name == extension)
    }
}

pub(super) fn check(context: &AdviceContext<'_>) -> Vec<Finding> {
    let platform = context.platform;
    let mut findings: Vec<Finding> = platform.extensions.iter().flat_map(extension).collect();
    findings.extend(platform.queues.iter().map(|(table, roles)| {
        let message = format!(
            "The queue has no row-level security, and {} can access every message",
            list(roles)
        );
        Finding::error("rls-queue", table, message)
            .help(format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"))
    }));
    findings.extend(
        platform
            .buckets
            .iter()
            .filter_map(|bucket| listed(platform, bucket)),
    );
    if platform.has("pg_graphql") {
        findings.extend(described(context));
    }
    findings
}

fn extension(extension: &Extension) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (subject, name) = (
        format!("extension {}", Ident::new(extension.name.as_str())),
        Ident::new(extension.name.as_str()),
    );
    if extension.schema == "public" && extension.name != "plpgsql" {
        let message = "The extension is in schema public: requests can call its functions";
        let help = if extension.moves {
            format!(
                "CREATE SCHEMA IF NOT EXISTS extensions; ALTER EXTENSION {name} SET SCHEMA extensions"
            )
        } else {
            format!(
                "the extension cannot be moved; recreate it: DROP EXTENSION {name}; CREATE EXTENSION {name} SCHEMA extensions"
            )
        };
        findings.push(Finding::warn("rls-extension-public", &*subject, message).help(help));
    }
    if let Some(newest) = extension
        .newest
        .as_ref()
        .filter(|newest| **newest != extension.version)
    {
        let message = format!(
            "The extension has version {}, but the server provides {newest}: fixes are missing",
            extension.version
        );
        let help = format!("ALTER EXTENSION {name} UPDATE");
        findings.push(Finding::warn("rls-extension-old", subject, message).help(help));
    }
    findings
}

/// Returns where a policy lets requests list a whole bucket.
fn listed(platform: &PlatformObjects, (bucket, public): &(String, bool)) -> Option<Finding> {
    let of_bucket = format!("bucket_id = '{}'", bucket.replace('\'', "''"));
    let whole = |condition: &str| {
        let alternatives = Formula::read(condition).alternatives(64);
        alternatives.unwrap_or_default().iter().any(|atoms| {
            atoms.iter().all(|atom| {
                atom.strip_prefix(&of_bucket)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
            })
        })
    };
    let names: Vec<&str> = platform
        .listing
        .iter()
        .filter(|(_, condition)| whole(condition))
        .map(|(name, _)| name.as_str())
        .collect();
    let first = names.first()?;
    let message = if *public {
        format!(
            "The bucket is public, so its files need no policy to be read by URL, and `{}` lets every request list all of them",
            names.join("`, `")
        )
    } else {
        format!(
            "The bucket is not public, but `{}` lets every request list and read all of its files",
            names.join("`, `")
        )
    };
    let help = if *public {
        format!("DROP POLICY {} ON storage.objects", Ident::new(*first))
    } else {
        format!(
            "restrict the policy to the owner of the file: ALTER POLICY {} ON storage.objects USING (… AND owner_id = (SELECT auth.uid()::text))",
            Ident::new(*first)
        )
    };
    Some(Finding::warn("rls-bucket", format!("bucket {bucket}"), message).help(help))
}

/// Returns what the GraphQL schema shows a request, whatever policies hold on its rows.
fn described(context: &AdviceContext<'_>) -> Vec<Finding> {
    let relations = context
        .catalog
        .objects
        .keys()
        .filter(|key| key.kind.is_relation());
    relations
        .filter_map(|key| {
            let holders = context.holders(key, "r");
            if holders.is_empty() {
                return None;
            }
            let subject = key.qualified();
            let message = format!(
                "GraphQL shows the name, columns and relations of the object to {}, regardless of policies",
                list(&holders)
            );
            let help = format!(
                "to hide the object: REVOKE SELECT ON {subject} FROM {}",
                context.revoked(&holders)
            );
            Some(Finding::note("rls-graphql", subject, message).help(help))
        })
        .collect()
}
