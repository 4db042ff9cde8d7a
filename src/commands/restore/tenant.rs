//! `af-db restore` of one tenant's rows, into the database the tenant belongs to.

use anyhow::Result;
use serde::Serialize;

use crate::backup::identity::NamedDatabase;
use crate::backup::store::Store;
use crate::backup::tenant::restore::{self, TenantLoad};
use crate::backup::unpack::{ArchiveSource, tenant};
use crate::commands::archives::{identities, tenant_column};
use crate::commands::change::gate::{self, PLANNED};
use crate::commands::page::{Page, Tone};
use crate::commands::{Context, Outcome, Purpose, Report};

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct TenantReport {
    archive: String,
    database: String,
    tenant: String,
    rows: u64,
    removed: u64,
}

pub(super) async fn run(
    args: &super::Args,
    context: &Context,
    store: &Store,
    name: &str,
) -> Result<Outcome> {
    let column = tenant_column(context)?;
    let (session, target) = context.open(Purpose::Writing).await?;
    let database = NamedDatabase::of(&session);
    let identities = identities(&args.identities)?;
    let source = ArchiveSource {
        store,
        name,
        identities: &identities,
    };
    let watch = context.watch();
    let unpacked = tenant::unpack(&source, &args.scratch(), &watch, &context.interrupt).await?;
    let mut script = unpacked.script;
    let whose = unpacked.archive.scope.tenant.clone().unwrap_or_default();
    let doing = if args.replace { "replace" } else { "restore" };
    let origin = super::origin(&unpacked.archive, &database, store)?;
    let what = format!("{doing} the rows of tenant {whose} from backup {name}{origin} ");
    if args.replace {
        gate::confirm_anywhere(context, &session, &target, &what, PLANNED).await?;
    } else {
        gate::confirm(context, &session, &target, &what).await?;
    }
    session.close().await;
    let loading = TenantLoad {
        target: &target,
        column: &column,
        replace: args.replace,
        archive: &unpacked.archive,
        proof: &unpacked.proof,
    };
    let removed = restore::run(&loading, &mut script, &watch, &context.interrupt).await?;
    context.show(&TenantReport {
        archive: name.to_owned(),
        database: target.database().to_owned(),
        tenant: whose,
        rows: unpacked.archive.totals.rows,
        removed,
    })
}

impl Report for TenantReport {
    fn command(&self) -> &'static str {
        "restore"
    }

    fn human(&self, page: &mut Page) {
        page.toned(
            Tone::Good,
            format!(
                "{} rows of tenant {} restored into `{}`; contents match the backup",
                self.rows, self.tenant, self.database
            ),
        );
        if self.removed > 0 {
            page.line(format!(
                "{} existing rows of the tenant deleted",
                self.removed
            ));
        }
    }
}
