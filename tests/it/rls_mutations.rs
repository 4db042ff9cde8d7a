//! The reference project and the Supabase example prove clean; each mutation of the reference project's policies is caught, with the
//! right object named.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use af_db::event::silent;
use af_db::pg::connect;
use af_db::pg::supabase;
use af_db::rls::prove::{self, Proof, ProofOptions};
use af_db::rls::schema_copy;
use af_db::rls::tenancy::Tenancy;
use af_db::rls::verdict::ProbeOutcome;

use crate::rls_prove::{leaks, load, proof_of};
use crate::support::server::{self, Server};

const TENANCY: &str = "tenancy:
  model: jwt_claims
  column: tenant_id
  tables: [public.tenants, public.users, public.projects, public.agents, public.workflows, public.blueprints, public.executions, public.audit_logs,
           public.api_keys, public.subscriptions, public.usage_records, public.prds, public.agent_versions, public.prd_versions]
  shared: [public.plans]
  identity: {roles: [anon, authenticated], guc: request.jwt.claims, tenant_from: tenant_id}
  tenants: {a: aaaaaaaa-0000-4000-8000-0000000000a1, b: bbbbbbbb-0000-4000-8000-0000000000b2}
";

/// What is changed, and what must be reported.
const MUTATIONS: &[(&str, &str)] = &[
    (
        "ALTER POLICY tenant_select ON projects USING (true)",
        "public.projects select",
    ),
    (
        "ALTER POLICY service ON agents TO authenticated",
        "public.agents select",
    ),
    (
        "ALTER POLICY service ON workflows TO PUBLIC",
        "public.workflows delete",
    ),
    (
        "ALTER POLICY market_select ON blueprints USING (published_at IS NOT NULL OR tenant_id IS NOT NULL)",
        "public.blueprints select",
    ),
    (
        "ALTER POLICY market_select ON blueprints USING (tenant_id = (SELECT app.tenant_id()) OR published_at IS NULL)",
        "public.blueprints select",
    ),
    (
        "ALTER TABLE prds NO FORCE ROW LEVEL SECURITY; ALTER TABLE prds DISABLE ROW LEVEL SECURITY",
        "public.prds select",
    ),
    (
        "ALTER TABLE agents OWNER TO authenticated; ALTER TABLE agents NO FORCE ROW LEVEL SECURITY",
        "public.agents select",
    ),
    (
        "ALTER POLICY tenant_insert ON projects WITH CHECK (true)",
        "public.projects insert",
    ),
    (
        "ALTER POLICY tenant_insert ON projects WITH CHECK ((SELECT app.user_id()) IS NOT NULL)",
        "public.projects insert",
    ),
    (
        "ALTER POLICY tenant_update ON agents WITH CHECK (true); ALTER POLICY tenant_select ON agents USING (tenant_id IS NOT NULL)",
        "public.agents move",
    ),
    (
        "ALTER POLICY tenant_update ON workflows USING (true)",
        "public.workflows update",
    ),
    (
        "ALTER POLICY tenant_delete ON workflows USING (true)",
        "public.workflows delete",
    ),
    (
        "ALTER POLICY tenant_delete ON blueprints USING (published_at IS NOT NULL OR tenant_id = (SELECT app.tenant_id()))",
        "public.blueprints delete",
    ),
    (
        "CREATE VIEW all_projects AS SELECT * FROM projects; GRANT SELECT ON all_projects TO authenticated",
        "public.all_projects select",
    ),
    (
        "CREATE VIEW totals AS SELECT count(*) AS n FROM executions; GRANT SELECT ON totals TO authenticated",
        "public.totals select",
    ),
    (
        "CREATE MATERIALIZED VIEW recent AS SELECT * FROM audit_logs; GRANT SELECT ON recent TO authenticated",
        "public.recent select",
    ),
    (
        "CREATE FUNCTION agent_count() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS 'SELECT count(*) FROM public.agents'; GRANT EXECUTE ON FUNCTION agent_count() TO authenticated",
        "public.agent_count() execute",
    ),
    (
        "CREATE FUNCTION rename(p uuid, n text) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = '' AS 'UPDATE public.projects SET name = n WHERE id = p'; GRANT EXECUTE ON FUNCTION rename(uuid, text) TO authenticated",
        "public.rename(uuid, text) execute",
    ),
    (
        "GRANT TRUNCATE ON audit_logs TO authenticated",
        "public.audit_logs truncate",
    ),
    (
        "GRANT TRIGGER ON executions TO authenticated",
        "public.executions trigger",
    ),
    (
        "CREATE POLICY big ON usage_records FOR SELECT TO authenticated USING (quantity >= 0)",
        "public.usage_records select",
    ),
    (
        "CREATE POLICY anybody ON blueprints FOR SELECT TO anon USING (true); GRANT USAGE ON SCHEMA public TO anon; GRANT SELECT ON blueprints TO anon",
        "public.blueprints select",
    ),
    (
        "ALTER POLICY tenant_select ON subscriptions USING (tenant_id = coalesce((SELECT app.tenant_id()), tenant_id))",
        "public.subscriptions select",
    ),
    (
        "ALTER POLICY tenant_select ON prds USING (tenant_id = (current_setting('request.jwt.claims', true)::jsonb -> 'user_metadata' ->> 'tenant_id')::uuid OR tenant_id = (SELECT app.tenant_id()))",
        "public.prds select",
    ),
    (
        "CREATE TABLE invoices (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), tenant_id uuid NOT NULL REFERENCES tenants, total numeric); GRANT SELECT ON invoices TO authenticated",
        "public.invoices select",
    ),
    (
        "CREATE TABLE invoices (id uuid PRIMARY KEY, tenant_id uuid NOT NULL REFERENCES tenants); ALTER TABLE invoices ENABLE ROW LEVEL SECURITY; CREATE POLICY a ON invoices TO authenticated USING (auth.role() = 'authenticated'); GRANT SELECT, DELETE ON invoices TO authenticated",
        "public.invoices delete",
    ),
    (
        "ALTER POLICY tenant_select ON api_keys USING (tenant_id = (SELECT app.tenant_id()) OR revoked_at IS NOT NULL)",
        "public.api_keys select",
    ),
    (
        "ALTER POLICY tenant_select ON audit_logs USING (tenant_id = (SELECT app.tenant_id()) OR actor_id IS NULL)",
        "public.audit_logs select",
    ),
    (
        "ALTER POLICY tenant_select ON prd_versions USING (true)",
        "public.prd_versions select",
    ),
    (
        "ALTER TABLE agents DROP CONSTRAINT agents_project_id_fkey; ALTER TABLE agents ADD FOREIGN KEY (project_id) REFERENCES projects (id)",
        "public.agents reference",
    ),
    (
        "ALTER TABLE projects ADD CONSTRAINT one_slug UNIQUE (slug)",
        "public.projects existence",
    ),
    (
        "ALTER POLICY self_update ON users WITH CHECK (id = (SELECT app.user_id())); ALTER POLICY tenant_select ON users USING (true)",
        "public.users select",
    ),
    (
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO authenticated",
        "public future_table",
    ),
    (
        "CREATE TABLE project_log (what text); CREATE FUNCTION log_project() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$ BEGIN INSERT INTO public.project_log VALUES (NEW.name); RETURN NEW; END $$; CREATE TRIGGER log_project AFTER INSERT ON projects FOR EACH ROW EXECUTE FUNCTION log_project(); GRANT SELECT ON project_log TO authenticated",
        "public.project_log select",
    ),
];

fn migrations(folder: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("a case that can be read and tried")
        .map(|entry| entry.expect("a case that can be read and tried").path())
        .filter(|path| {
            path.extension().is_some_and(|end| end == "sql")
                && !path.to_string_lossy().ends_with(".down.sql")
        })
        .collect();
    let number = |path: &PathBuf| -> u64 {
        let name = path
            .file_name()
            .expect("a case that can be read and tried")
            .to_string_lossy()
            .into_owned();
        name.trim_start_matches('V')
            .split('_')
            .next()
            .expect("a case that can be read and tried")
            .parse()
            .expect("a case that can be read and tried")
    };
    files.sort_by_key(number);
    files
        .iter()
        .map(|path| {
            std::fs::read_to_string(path).expect("a case that can be read and tried") + ";\n"
        })
        .collect()
}

const ROLES: &str = "DO $$ BEGIN CREATE ROLE anon NOINHERIT; CREATE ROLE authenticated NOINHERIT; CREATE ROLE service_role NOINHERIT BYPASSRLS;
    EXCEPTION WHEN duplicate_object THEN NULL; END $$;";

const AUTH: &str = "CREATE SCHEMA IF NOT EXISTS auth; GRANT USAGE ON SCHEMA auth TO anon, authenticated, service_role;
    CREATE OR REPLACE FUNCTION auth.role() RETURNS text LANGUAGE sql STABLE AS $$ SELECT nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role' $$;";

/// Copies a database, changes the copy, and proves a schema copy of it as the command does.
async fn proof_of_a_copy(server: &Server, base: &str, change: &str) -> Proof {
    let name = "mutation";
    let scratch = &server.scratch;
    let target = scratch
        .clone_database(base, name)
        .await
        .expect("a copy of the base");
    let session = connect::open(&target, &silent).await.expect("a session");
    load(&session, &format!("SET search_path = public; {change}")).await;
    session.close().await;
    let proof = proof_of(server, &target, TENANCY, &ProofOptions::usual()).await;
    scratch
        .drop_database(name)
        .await
        .expect("a database to drop");
    proof
}

#[tokio::test]
async fn every_mutation_of_the_reference_project_is_caught() {
    let server = server::own(None).await;
    let base = server.scratch.database("base").await.expect("a database");
    let session = connect::open(&base, &silent).await.expect("a session");
    load(
        &session,
        &format!("{ROLES}{AUTH}{}", migrations("migrations")),
    )
    .await;
    session.close().await;
    let clean = proof_of_a_copy(&server, "base", "").await;
    assert_eq!(leaks(&clean), BTreeSet::new());
    assert!(clean.unfilled.is_empty(), "{:?}", clean.unfilled);
    assert!(
        clean.count(ProbeOutcome::Passed) > 30,
        "{}",
        clean.count(ProbeOutcome::Passed)
    );
    let mut missed = Vec::new();
    for (change, expected) in MUTATIONS {
        let found = leaks(&proof_of_a_copy(&server, "base", change).await);
        if !found.contains(*expected) {
            missed.push(format!("{change}\n  expected {expected}, found {found:?}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

/// What is changed in the Supabase example, and what must be reported.
const EXAMPLE: &[(&str, &str)] = &[
    (
        "ALTER POLICY members_select ON projects USING (true)",
        "public.projects select",
    ),
    (
        "ALTER POLICY members_select ON documents USING (true)",
        "public.documents select",
    ),
    (
        "ALTER POLICY members_select ON organisations USING (true)",
        "public.organisations select",
    ),
    (
        "ALTER POLICY members_select ON memberships USING (auth.uid() IS NOT NULL)",
        "public.memberships select",
    ),
    (
        "ALTER POLICY service ON documents TO authenticated",
        "public.documents select",
    ),
    (
        "ALTER POLICY service ON projects TO PUBLIC",
        "public.projects delete",
    ),
    (
        "ALTER POLICY members_insert ON projects WITH CHECK (true)",
        "public.projects insert",
    ),
    (
        "ALTER POLICY members_insert ON documents WITH CHECK (author_id = auth.uid())",
        "public.documents insert",
    ),
    (
        "ALTER POLICY members_update ON documents USING (true) WITH CHECK (true)",
        "public.documents update",
    ),
    (
        "ALTER POLICY members_update ON projects WITH CHECK (true)",
        "public.projects move",
    ),
    (
        "ALTER POLICY members_delete ON documents USING (title IS NOT NULL)",
        "public.documents delete",
    ),
    (
        "ALTER POLICY owners_delete ON projects USING (EXISTS (SELECT private.my_owned_organisations()))",
        "public.projects delete",
    ),
    (
        "ALTER POLICY owners_insert ON memberships WITH CHECK (user_id = auth.uid())",
        "public.memberships insert",
    ),
    (
        "ALTER POLICY owners_delete ON memberships USING (true)",
        "public.memberships delete",
    ),
    (
        "ALTER POLICY owners_update ON memberships USING (true) WITH CHECK (true)",
        "public.memberships update",
    ),
    (
        "ALTER POLICY owners_update ON organisations USING (true) WITH CHECK (true)",
        "public.organisations update",
    ),
    (
        "GRANT UPDATE ON memberships TO authenticated; ALTER POLICY owners_update ON memberships USING (user_id = auth.uid()) WITH CHECK (user_id = auth.uid())",
        "public.memberships move",
    ),
    (
        "ALTER TABLE documents DISABLE ROW LEVEL SECURITY",
        "public.documents select",
    ),
    (
        "ALTER TABLE projects OWNER TO authenticated",
        "public.projects select",
    ),
    (
        "CREATE VIEW recent AS SELECT title, created_at FROM documents; GRANT SELECT ON recent TO authenticated",
        "public.recent select",
    ),
    (
        "CREATE MATERIALIZED VIEW sizes AS SELECT project_id, count(*) AS n FROM documents GROUP BY 1; GRANT SELECT ON sizes TO authenticated",
        "public.sizes select",
    ),
    (
        "CREATE FUNCTION how_many() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS 'SELECT count(*) FROM public.documents'; GRANT EXECUTE ON FUNCTION how_many() TO authenticated",
        "public.how_many() execute",
    ),
    (
        "CREATE FUNCTION document(which uuid) RETURNS SETOF documents LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS 'SELECT * FROM public.documents WHERE id = which'; GRANT EXECUTE ON FUNCTION document(uuid) TO authenticated",
        "public.document(uuid) execute",
    ),
    (
        "GRANT TRUNCATE ON documents TO authenticated",
        "public.documents truncate",
    ),
    (
        "GRANT TRIGGER ON projects TO authenticated",
        "public.projects trigger",
    ),
    (
        "CREATE TABLE invoices (id uuid PRIMARY KEY, organisation_id uuid NOT NULL REFERENCES organisations); GRANT SELECT ON invoices TO authenticated",
        "public.invoices select",
    ),
    (
        "ALTER TABLE documents DROP CONSTRAINT documents_project_id_fkey; ALTER TABLE documents ADD FOREIGN KEY (project_id) REFERENCES projects (id)",
        "public.documents reference",
    ),
    (
        "ALTER TABLE projects ADD UNIQUE (name)",
        "public.projects existence",
    ),
    (
        "CREATE OR REPLACE FUNCTION private.my_organisations() RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS 'SELECT organisation_id FROM public.memberships'",
        "public.projects select",
    ),
    (
        "CREATE POLICY everybody ON documents FOR SELECT TO anon USING (true); GRANT SELECT ON documents TO anon",
        "public.documents select",
    ),
    (
        "CREATE POLICY nobodys ON documents FOR SELECT TO authenticated USING (author_id IS NULL)",
        "public.documents select",
    ),
    (
        "CREATE POLICY said ON projects FOR SELECT TO authenticated USING (organisation_id::text = auth.jwt() -> 'user_metadata' ->> 'organisation_id')",
        "public.projects select",
    ),
    (
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO authenticated",
        "public future_table",
    ),
];

#[tokio::test]
async fn every_mutation_of_the_supabase_example_is_caught() {
    let server = server::own(None).await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/supabase");
    let text = std::fs::read_to_string(root.join("tenancy.yaml")).expect("the example's tenancy");
    let tenancy = Tenancy::parse("tenancy.yaml", &text).expect("the example's tenancy");
    let base = server.scratch.database("base").await.expect("a database");
    let session = connect::open(&base, &silent).await.expect("a session");
    supabase::prepare(&session)
        .await
        .expect("roles and schemas as Supabase has them");
    load(
        &session,
        &migrations("examples/supabase/supabase/migrations"),
    )
    .await;
    session.close().await;
    let mut missed = Vec::new();
    for (number, (change, expected)) in [("SELECT", "")].iter().chain(EXAMPLE).enumerate() {
        let name = format!("mutation_{number}");
        let target = server
            .scratch
            .clone_database("base", &name)
            .await
            .expect("a copy");
        let session = connect::open(&target, &silent).await.expect("a session");
        load(&session, change).await;
        session.close().await;
        let source_info = schema_copy::source_info(&target, &tenancy, &silent)
            .await
            .expect("the source_info");
        let proof = prove::prove(
            &target,
            &tenancy,
            &source_info,
            &ProofOptions::usual(),
            &silent,
        )
        .await
        .expect("a proof");
        let found = leaks(&proof);
        if expected.is_empty() {
            assert!(
                proof.is_clean() && proof.count(ProbeOutcome::Inconclusive) == 0,
                "{proof:?}"
            );
        } else if !found.contains(*expected) {
            missed.push(format!("{change}\n  expected {expected}, found {found:?}"));
        }
        server
            .scratch
            .drop_database(&name)
            .await
            .expect("a database to drop");
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
