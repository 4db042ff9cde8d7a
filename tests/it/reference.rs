//! The repository's own project: every way back restores the schema, rows come through, the house rules hold.

use std::collections::BTreeMap;
use std::path::PathBuf;

use af_db::catalog::{Catalog, Scope, read};
use af_db::manifest;
use af_db::pg::session::Session;
use af_db::sql::safe::Sql;
use af_db::sql::split::split;

use crate::support::server;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Gives the texts of the migrations up and down, in order.
fn migrations() -> Vec<(String, String)> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(root().join("migrations")).expect("the reference migrations") {
        let path = entry.expect("a file").path();
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let Some(stem) = name
            .strip_suffix(".sql")
            .filter(|stem| !stem.ends_with(".down"))
        else {
            continue;
        };
        let version = stem
            .trim_start_matches('V')
            .split("__")
            .next()
            .expect("a version");
        let text = |path: PathBuf| {
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
        };
        let down = path.with_file_name(format!("{stem}.down.sql"));
        found.insert(
            version.parse::<u32>().expect("a number"),
            (text(path.clone()), text(down)),
        );
    }
    found.into_values().collect()
}

async fn run(session: &Session, text: &str) {
    for statement in split(text) {
        let sql = Sql::written_by_user(statement.text);
        session
            .run(&sql)
            .await
            .unwrap_or_else(|error| panic!("{error:#}\n{}", statement.text));
    }
}

async fn catalog(session: &Session) -> Catalog {
    read::read(session, &Scope::whole())
        .await
        .expect("a catalog")
}

fn assert_same(before: &Catalog, after: &Catalog, what: &str) {
    for (key, object) in &before.objects {
        assert_eq!(after.get(key), Some(object), "{key} after {what}");
    }
    for key in after.objects.keys() {
        assert!(before.get(key).is_some(), "{key} is left after {what}");
    }
}

#[tokio::test]
async fn every_way_back_restores_the_schema() {
    let database = server::database().await;
    let session = database.session().await;
    for (index, (up, down)) in migrations().iter().enumerate() {
        let before = catalog(&session).await;
        run(&session, up).await;
        let after = catalog(&session).await;
        run(&session, down).await;
        assert_same(
            &before,
            &catalog(&session).await,
            &format!("going back from migration {}", index + 1),
        );
        run(&session, up).await;
        assert_same(
            &after,
            &catalog(&session).await,
            &format!("going up again to migration {}", index + 1),
        );
    }
}

#[tokio::test]
async fn rows_come_through_there_and_back() {
    const LOGS: &str = "SELECT md5(string_agg(id::text || metadata::text, ',' ORDER BY id)) FROM public.audit_logs WHERE action = 'login'";
    let database = server::database().await;
    let session = database.session().await;
    let migrations = migrations();
    for (up, _) in &migrations[..3] {
        run(&session, up).await;
    }
    let rows = "
        INSERT INTO public.tenants (slug, name) VALUES ('a', 'A'), ('b', 'B');
        INSERT INTO public.users (tenant_id, email) SELECT id, slug || '@example.org' FROM public.tenants;
        INSERT INTO public.projects (tenant_id, user_id, slug, name) SELECT tenant_id, id, 'p', 'P' FROM public.users;
        INSERT INTO public.agents (tenant_id, project_id, user_id, name, model)
            SELECT tenant_id, id, user_id, 'agent', 'model' FROM public.projects;
        INSERT INTO public.executions (tenant_id, agent_id, type) SELECT tenant_id, id, 'manual' FROM public.agents;
        INSERT INTO public.audit_logs (tenant_id, actor_id, action, resource_type, metadata)
            SELECT tenant_id, id, 'login', 'user', jsonb_build_object('n', n) FROM public.users, generate_series(1, 6000) AS n";
    database.run(rows).await;
    let before = database.one(LOGS).await;
    for (up, _) in &migrations[3..7] {
        run(&session, up).await;
    }
    assert_eq!(
        database
            .one("SELECT pg_typeof(id) || ' ' || count(*) OVER () FROM public.audit_logs LIMIT 1")
            .await,
        "uuid 12000"
    );
    database.run("INSERT INTO public.audit_logs (tenant_id, action, resource_type) SELECT id, 'new', 'x' FROM public.tenants").await;
    for (_, down) in migrations[3..7].iter().rev() {
        run(&session, down).await;
    }
    assert_eq!(database.one(LOGS).await, before);
    database.run("INSERT INTO public.audit_logs (tenant_id, action, resource_type) SELECT id, 'newer', 'x' FROM public.tenants LIMIT 1").await;
    assert_eq!(
        database.one("SELECT max(id) FROM public.audit_logs").await,
        "12003"
    );
    for (up, _) in &migrations[3..] {
        run(&session, up).await;
    }
    assert_eq!(
        database
            .one("SELECT count(*) FROM public.agent_versions")
            .await,
        "2"
    );
    database.run("CALL app.create_executions_partition(current_date); CALL app.create_executions_partition(current_date)").await;
    assert_eq!(database.one("SELECT count(*) FROM public.executions WHERE tableoid <> 'partitions.executions_default'::regclass").await, "2");
}

#[tokio::test]
async fn the_house_rules_hold_and_would_be_missed() {
    let database = server::database().await;
    let session = database.session().await;
    for (up, _) in migrations() {
        run(&session, &up).await;
    }
    let manifest =
        manifest::read(&root().join("schemas"), "schemas").expect("the reference manifest");
    let (file, rules) = manifest.rules().expect("house rules");
    let scope = Scope::of_schemas(&["public".to_owned(), "app".to_owned()]);
    let judge = async |session: &Session| {
        let catalog = read::read(session, &scope).await.expect("a catalog");
        let findings = manifest::rules::check(rules, file, &catalog, &BTreeMap::new());
        findings
            .iter()
            .map(|finding| format!("{} {}", finding.code, finding.message))
            .collect::<Vec<_>>()
    };
    assert_eq!(judge(&session).await, Vec::<String>::new());
    database
        .run(
            "ALTER TABLE public.usage_records DROP CONSTRAINT usage_records_pkey;
             DROP INDEX public.agents_project_id_idx;
             COMMENT ON TABLE public.agents IS NULL;
             ALTER TABLE public.workflows NO FORCE ROW LEVEL SECURITY;
             ALTER TABLE public.prds DISABLE ROW LEVEL SECURITY;
             CREATE TABLE public.\"Loose_logs\" (id uuid CONSTRAINT \"Loose_logs_pkey\" PRIMARY KEY);
             CREATE TABLE public.notes (id uuid PRIMARY KEY, tenant_id uuid, at timestamptz);
             COMMENT ON TABLE public.notes IS 'x'",
        )
        .await;
    insta::assert_snapshot!(judge(&session).await.join("\n"), @r#"
    house-comment `public."Loose_logs"` has no comment
    house-tenant `public."Loose_logs"` has no tenant column `tenant_id`
    house-logs `public."Loose_logs"` is a log table without column `created_at`
    house-naming `public."Loose_logs"` is a table that does not match the naming rule
    house-foreign-key-index `public.agents.agents_project_id_fkey` is a foreign key without an index; each DELETE or key UPDATE on the referenced table scans this table
    house-comment `public.agents` has no comment
    house-tenant `public.notes.tenant_id` is nullable; a row without a tenant is in no tenant's view
    house-tenant `public.notes.tenant_id` is not the first column of any index; each query scans the rows of all tenants
    house-tenant `public.notes` contains tenant data but row-level security is not enabled
    house-tenant `public.prds` contains tenant data but row-level security is not enabled
    house-primary-key `public.usage_records` has no primary key
    house-tenant `public.workflows` does not force row-level security; its owner bypasses the policies
    "#);
}

#[tokio::test]
async fn the_picture_in_the_readme_is_current() {
    let database = server::database().await;
    let session = database.session().await;
    for (up, _) in migrations() {
        run(&session, &up).await;
    }
    let catalog = catalog(&session).await.only(&["public".to_owned()]);
    let drawn = af_db::catalog::diagram::of(&catalog, Some("tenant_id"));
    let picture = std::fs::read_to_string(root().join(".github/schema.svg")).expect("the picture");
    assert!(
        picture == af_db::catalog::diagram::svg(&drawn),
        "draw it again: af-db diagram --language svg --out .github/schema.svg"
    );
    let readme = std::fs::read_to_string(root().join("README.md")).expect("the README");
    assert!(readme.contains("(.github/schema.svg)"));
}
