//! Declared policies against real databases: spelling never differs, and every difference says whose access is extra or missing.

use af_db::catalog::{Catalog, Scope, read};
use af_db::event::silent;
use af_db::finding::Finding;
use af_db::migrate::files;
use af_db::pg::session::Session;
use af_db::rls::advise::{self, Extension, PlatformObjects};
use af_db::rls::compare::{self, Comparison};
use af_db::rls::declared::{self, Declared, Script};
use af_db::rls::fix_sql;
use af_db::rls::infer;
use af_db::shadow::{self, Shadow};
use af_db::sql::safe::Sql;

use crate::support::server::{self, Database};

/// A table of documents of tenants, and roles to see them.
const GROUND: &str = include_str!("../cases/rls/ground.sql");

async fn catalog(session: &Session) -> Catalog {
    let scope = Scope {
        global: false,
        roles: true,
        ..Scope::of_schemas(&["public".to_owned(), "app".to_owned()])
    };
    read::read(session, &scope).await.expect("a catalog")
}

fn yaml(text: &str) -> Declared {
    Declared {
        files: vec![declared::read_file("policies/x.yaml", text).expect("readable policies")],
        ..Declared::default()
    }
}

fn script(text: &str) -> Declared {
    Declared {
        scripts: vec![Script {
            name: "policies/x.sql".to_owned(),
            text: text.to_owned(),
        }],
        ..Declared::default()
    }
}

async fn compared(database: &Database, declared: &Declared) -> Comparison {
    compared_on(&database.session().await, declared).await
}

async fn compared_on(session: &Session, declared: &Declared) -> Comparison {
    let catalog = catalog(session).await;
    compare::compare(session, &catalog, declared, None)
        .await
        .expect("a comparison")
}

async fn run(session: &Session, text: &str) {
    if let Err(error) = session.run(&Sql::written_by_user(text)).await {
        panic!("{error:#}\n{text}");
    }
}

fn shown(findings: &[Finding]) -> String {
    let lines: Vec<String> = findings
        .iter()
        .map(|finding| format!("{} {}: {}", finding.code, finding.subject, finding.message))
        .collect();
    lines.join("\n")
}

/// Builds the reference project by its migrations.
async fn reference(server: &server::Server) -> Shadow {
    let folder = files::list(std::path::Path::new("migrations"), "migrations").expect("migrations");
    shadow::build(&server.scratch, "reference", &folder.migrations, &silent)
        .await
        .expect("the reference project")
}

#[tokio::test]
async fn the_reference_project_is_what_it_declares() {
    let server = server::own(None).await;
    let session = reference(&server).await.session;
    let declared = declared::read(std::path::Path::new("policies"), "policies").expect("policies");
    let comparison = compared_on(&session, &declared).await;
    assert_eq!(shown(&comparison.findings), "");
    assert!(comparison.up.is_empty() && comparison.down.is_empty());

    // What is written from it says the same.
    let read = catalog(&session).await;
    let inferred = infer::infer(&read);
    let again = Declared {
        scripts: script(&inferred.sql).scripts,
        ..yaml(&inferred.yaml)
    };
    let comparison = compared_on(&session, &again).await;
    assert_eq!(
        shown(&comparison.findings),
        "",
        "{}\n{}",
        inferred.yaml,
        inferred.sql
    );
    assert!(
        inferred.yaml.contains("tenant: app.tenant_id()"),
        "{}",
        inferred.yaml
    );
    assert_eq!(
        shown(&inferred.findings).matches("rls-not-folded").count(),
        2
    );
    let advice = advise::advise(
        &read,
        &PlatformObjects::default(),
        &declared.roles(),
        Some("tenant_id"),
    );
    assert_eq!(shown(&advice), "");

    // What went astray is named, and the statements put it right.
    run(
        &session,
        "DROP POLICY tenant_select ON public.projects;
         CREATE POLICY open ON public.projects FOR SELECT TO authenticated USING (true);
         GRANT SELECT ON public.executions TO anon; ALTER TABLE public.executions DISABLE ROW LEVEL SECURITY;
         GRANT SELECT (key_hash) ON public.api_keys TO authenticated;
         CREATE TABLE public.notes (id int, tenant_id uuid);
         GRANT EXECUTE ON FUNCTION app.user_id() TO PUBLIC;
         ALTER TABLE public.agents NO FORCE ROW LEVEL SECURITY",
    )
    .await;
    let comparison = compared_on(&session, &declared).await;
    insta::assert_snapshot!(shown(&comparison.findings), @"
    rls-undeclared public.notes: tenant column `tenant_id` exists, but no declaration in policies/ covers the table
    rls-grant app.user_id(): extra grant: EXECUTE on function app.user_id() to PUBLIC
    rls-forced public.agents: row-level security is not forced for the owner but declared as forced
    rls-grant public.api_keys: extra grant: SELECT (key_hash) on public.api_keys to authenticated. Extra access for authenticated: SELECT (key_hash) on public.api_keys, rows of its own tenant
    rls-enabled public.executions: row-level security is disabled but declared as enabled. Extra access for anon: SELECT on public.executions, rows of every tenant. Extra access for authenticated: SELECT, INSERT on public.executions, rows of every tenant
    rls-grant public.executions: extra grant: SELECT on public.executions to anon
    rls-policy public.projects: policy `open` differs from the declared policy `authenticated_select_own`. Extra access for authenticated: SELECT on public.projects, rows of every tenant
    ");
    run(&session, &fix_sql::script(&comparison.up)).await;
    let after = compared_on(&session, &declared).await;
    assert_eq!(after.up, Vec::new());
    assert_eq!(after.findings.len(), 1, "{}", shown(&after.findings));
    assert_eq!(after.findings[0].code, "rls-undeclared");
}

/// Two texts in a case: what is declared and what is there.
struct Pair<'a> {
    name: &'a str,
    declared: &'a str,
    found: &'a str,
    says: &'a str,
}

/// Reads `-- name`, the declared statements, `-- found`, the others, `-- says` and the words.
fn pairs(text: &str) -> Vec<Pair<'_>> {
    let mut pairs = Vec::new();
    for case in text.split("\n-- case ").skip(1) {
        let (name, rest) = case.split_once('\n').expect("a name");
        let (declared, rest) = rest.split_once("-- found\n").expect("what is found");
        let (found, says) = rest.split_once("-- says").unwrap_or((rest, ""));
        pairs.push(Pair {
            name,
            declared,
            found,
            says: says.trim(),
        });
    }
    pairs
}

async fn check(server: &server::Server, pair: &Pair<'_>) -> String {
    let database = server.database().await;
    database.run(GROUND).await;
    database.run(pair.found).await;
    let enable =
        "alter table docs enable row level security; alter table docs force row level security;\n";
    let common = if pair.declared.contains("row level security") {
        ""
    } else {
        enable
    };
    let grants = "grant select, insert, update, delete on docs to app_user;\n";
    let common = format!(
        "{common}{}",
        if pair.declared.contains("grant") {
            ""
        } else {
            grants
        }
    );
    let declared = script(&format!("{common}{}", pair.declared));
    let mut comparison = compared(&database, &declared).await;
    let said = shown(&comparison.findings);
    if !pair.says.is_empty() {
        // What mends it mends it, and leads back.
        let session = database.session().await;
        for statements in [&comparison.up, &comparison.down, &comparison.up] {
            let text = fix_sql::script(statements);
            let sql = Sql::written_by_user(text.as_str());
            if let Err(error) = session.run(&sql).await {
                panic!("{}: {error:#}\n{text}", pair.name);
            }
        }
        comparison = compared(&database, &declared).await;
        assert_eq!(shown(&comparison.findings), "", "{}", pair.name);
    }
    said
}

#[tokio::test]
async fn spelling_does_not_differ() {
    let server = server::own(None).await;
    let pairs = pairs(include_str!("../cases/rls/equal.sql"));
    assert!(pairs.len() >= 40, "{}", pairs.len());
    for pair in &pairs {
        assert_eq!(check(&server, pair).await, "", "{}", pair.name);
    }
}

#[tokio::test]
async fn every_difference_names_extra_and_missing_access() {
    let server = server::own(None).await;
    let pairs = pairs(include_str!("../cases/rls/different.sql"));
    assert!(pairs.len() >= 40, "{}", pairs.len());
    let mut wrong = Vec::new();
    for pair in &pairs {
        let said = check(&server, pair).await;
        let fits = pair.says.lines().all(|line| said.contains(line.trim()));
        if !fits || said.is_empty() {
            wrong.push(format!(
                "{}\n  wanted {}\n  said   {said}",
                pair.name, pair.says
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_is_not_declared_well_is_named_at_its_place() {
    let database = server::database().await;
    database.run(GROUND).await;
    let declared = yaml(
        "tenancy: { column: tenant_id, setting: app.tenant, type: bigint }
rows: { mine: 'ownr = current_user' }
tables:
  docs:
    allow:
      app_user: [select on mine rows, update on thier rows]
      app_usr: select on own rows
  doc: { allow: { app_user: select } }
shared: { kinds: { allow: { app_user: select (colour) } } }
",
    );
    let comparison = compared(&database, &declared).await;
    let lines: Vec<String> = comparison
        .findings
        .iter()
        .filter(|finding| finding.code == compare::DECLARED)
        .map(|finding| {
            let place = finding.place.as_ref().expect("a place");
            let help = finding.help.as_deref().unwrap_or("-");
            format!("{place}: {}: {} ({help})", finding.subject, finding.message)
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    policies/x.yaml:8:3: doc: table `doc` does not exist (did you mean `docs`?)
    policies/x.yaml:9:11: kinds: a shared table is visible to every tenant and needs a reason (add `reason: …`)
    policies/x.yaml:6:39: public.docs: unknown row set `thier` (known row sets: all, mine, no, own)
    policies/x.yaml:9:39: public.kinds: public.kinds has no column `colour` (-)
    policies/x.yaml:7:7: app_usr: the role does not exist (did you mean `app_user`?)
    policies/x.yaml:6:18: app_user_select_mine on public.docs: column "ownr" does not exist (Perhaps you meant to reference the column "docs.owner".)
    "#);
}

#[tokio::test]
async fn each_way_to_say_who_asks_settles() {
    let check = async |tenancy: &str, column: &str| {
        let database = server::database().await;
        database.run(GROUND).await;
        database
            .run(
                "create table members (org_id bigint, user_id uuid, tenant_id bigint);
            create table orgs (id bigint primary key, parent_id bigint)",
            )
            .await;
        let text = format!(
            "tenancy: {tenancy}\ntemplates: {{ kept: {{ to: tenant tables, allow: {{ app_user: select on own rows }} }} }}\n"
        );
        let comparison = compared(&database, &yaml(&text)).await;
        let wrong: Vec<&Finding> = comparison
            .findings
            .iter()
            .filter(|finding| finding.code == compare::DECLARED)
            .collect();
        assert_eq!(wrong, Vec::<&Finding>::new(), "{tenancy}");
        let session = database.session().await;
        let sql = fix_sql::script(&comparison.up);
        assert!(sql.contains(column), "{sql}");
        session
            .run(&Sql::written_by_user(sql))
            .await
            .expect("applied");
        let after = compared(&database, &yaml(&text)).await;
        assert_eq!(shown(&after.findings), "");
    };
    check(
        "{ column: tenant_id, setting: app.tenant, type: bigint }",
        "tenant_id = ( SELECT",
    )
    .await;
    check(
        "{ column: tenant_id, claim: org, type: bigint }",
        "request.jwt.claims",
    )
    .await;
    check(
        "{ column: owner, user: app.me() }",
        "owner = ( SELECT app.me()",
    )
    .await;
    check("{ column: tenant_id, user: app.me(), membership: { table: members, tenant: org_id, user: user_id } }", "ANY (ARRAY").await;
    check("{ column: tenant_id, tenant: app.org(), hierarchy: { table: orgs, key: id, parent: parent_id } }", "RECURSIVE").await;
}

#[tokio::test]
async fn advice_names_the_cause_and_the_statement() {
    let database = server::database().await;
    database.run(GROUND).await;
    database.run(include_str!("../cases/rls/advice.sql")).await;
    let session = database.session().await;
    let read = catalog(&session).await;
    let requests = ["anon".to_owned(), "app_user".to_owned()];
    let advice = advise::advise(
        &read,
        &PlatformObjects::default(),
        &requests,
        Some("tenant_id"),
    );
    let mut found: Vec<String> = advice
        .iter()
        .map(|finding| format!("{} {}", finding.code, finding.subject))
        .collect();
    found.dedup();
    let expected: Vec<&str> = include_str!("../cases/rls/advice.sql")
        .lines()
        .filter_map(|line| line.strip_prefix("-- rls-"))
        .collect();
    for line in &expected {
        assert!(
            found.contains(&format!("rls-{line}")),
            "rls-{line} in {found:#?}"
        );
    }
    let harmless = found
        .iter()
        .filter(|line| line.contains("good"))
        .collect::<Vec<_>>();
    assert_eq!(harmless, Vec::<&String>::new());
    for finding in advice
        .iter()
        .filter(|finding| finding.code != "rls-forgeable")
    {
        assert!(finding.help.is_some(), "{finding:?}");
    }
}

/// What a platform keeps beside the schemas of a project.
const PLATFORM: &str = r#"
create schema pgmq;
create table pgmq.q_bad_mail (msg_id bigint, message jsonb);
create table pgmq.a_bad_mail (msg_id bigint, message jsonb);
create table pgmq.q_good_mail (msg_id bigint, message jsonb);
create table pgmq.q_good_closed (msg_id bigint, message jsonb);
alter table pgmq.q_good_mail enable row level security;
grant usage on schema pgmq to anon;
grant select on pgmq.q_bad_mail, pgmq.q_good_mail to anon;
grant insert on pgmq.a_bad_mail to public;
create schema storage;
create table storage.buckets (id text primary key, name text, public boolean);
create table storage.objects (id int primary key, bucket_id text, name text, owner_id text);
alter table storage.objects enable row level security;
insert into storage.buckets values ('bad faces', 'x', true), ('bad''s', 'y', false), ('good', 'z', true), ('good_own', 'z', false);
create policy "Anyone lists" on storage.objects for select using (bucket_id = 'bad faces' or bucket_id = 'bad''s' and true);
create policy own on storage.objects for select to anon using (bucket_id = 'good_own' and owner_id = current_user);
create policy others on storage.objects for select to app_admin using (bucket_id = 'good');
create policy writers on storage.objects for insert to anon with check (bucket_id = 'good');
grant select on storage.objects to anon, app_admin;
create extension citext version '1.5';
create schema extensions;
create extension pg_trgm schema extensions;
"#;

#[tokio::test]
async fn what_lies_beside_the_schemas_is_advised_on() {
    let database = server::database().await;
    database.run(GROUND).await;
    database.run(PLATFORM).await;
    let session = database.session().await;
    let read = catalog(&session).await;
    let requests = ["anon".to_owned(), "app \"x".to_owned()];
    let mut beyond = PlatformObjects::read(&session, &requests)
        .await
        .expect("what is beside");
    let advised = |beyond: &PlatformObjects| {
        let advice = advise::advise(&read, beyond, &requests, None);
        let lines: Vec<String> = advice
            .iter()
            .map(|one| {
                let help = one.help.as_deref().unwrap_or("-");
                format!("{} {}: {}\n  {help}", one.code, one.subject, one.message)
            })
            .collect();
        lines.join("\n")
    };
    insta::assert_snapshot!(advised(&beyond), @r#"
    rls-bucket bucket bad faces: The bucket is public, so its files need no policy to be read by URL, and `Anyone lists` lets every request list all of them
      DROP POLICY "Anyone lists" ON storage.objects
    rls-bucket bucket bad's: The bucket is not public, but `Anyone lists` lets every request list and read all of its files
      restrict the policy to the owner of the file: ALTER POLICY "Anyone lists" ON storage.objects USING (… AND owner_id = (SELECT auth.uid()::text))
    rls-extension-old extension citext: The extension has version 1.5, but the server provides 1.6: fixes are missing
      ALTER EXTENSION citext UPDATE
    rls-extension-public extension citext: The extension is in schema public: requests can call its functions
      CREATE SCHEMA IF NOT EXISTS extensions; ALTER EXTENSION citext SET SCHEMA extensions
    rls-queue pgmq.a_bad_mail: The queue has no row-level security, and anon can access every message
      ALTER TABLE pgmq.a_bad_mail ENABLE ROW LEVEL SECURITY
    rls-queue pgmq.q_bad_mail: The queue has no row-level security, and anon can access every message
      ALTER TABLE pgmq.q_bad_mail ENABLE ROW LEVEL SECURITY
    "#);
    // Without policies that list them, nobody asks for buckets, nor where there are none.
    database.run("drop table storage.buckets").await;
    let without = PlatformObjects::read(&session, &requests)
        .await
        .expect("what is beside");
    assert!(without.buckets.is_empty() && without.listing.is_empty());

    // GraphQL describes to whoever may read.
    database.run("grant select on kinds to anon").await;
    let read = catalog(&session).await;
    let shown = |beyond: &PlatformObjects| {
        let advice = advise::advise(&read, beyond, &requests, None);
        let of: Vec<&str> = advice
            .iter()
            .filter(|one| one.code == "rls-graphql")
            .map(|one| one.subject.as_str())
            .collect();
        of.join(" ")
    };
    assert_eq!(shown(&beyond), "");
    beyond.extensions.push(Extension {
        name: "pg_graphql".to_owned(),
        schema: "graphql".to_owned(),
        version: "1.5".to_owned(),
        newest: None,
        moves: false,
    });
    assert_eq!(shown(&beyond), "public.kinds");
}
