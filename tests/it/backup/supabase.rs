//! A Supabase project goes to a server without the platform, and from there onto another platform.

use af_db::backup::archive::Archive;
use af_db::backup::profile::Profile;
use af_db::backup::restore::Restored;
use af_db::error::{Exit, exit_of};
use af_db::event::silent;
use af_db::finding::{Severity, worst};
use af_db::pg::connect;
use af_db::pg::supabase;
use af_db::pg::target::Target;
use anyhow::Result;

use super::{Bench, options, restore_options};
use crate::support::server;

const PROJECT: &str = r#"
create table public.profiles (
    id uuid primary key references auth.users on delete cascade,
    name text
);
alter table public.profiles enable row level security;
create policy own on public.profiles for select to authenticated using (auth.uid() = id);
create policy service on public.profiles to service_role using (true);
revoke all on public.profiles from anon;
create schema app;
create table app.notes (id bigint generated always as identity primary key, note text default extensions.uuid_generate_v4()::text);
insert into app.notes (note) select 'note ' || n from generate_series(1, 100) as n;
create function public.handle_new_user() returns trigger language plpgsql security definer set search_path = '' as $$
begin
    insert into public.profiles (id, name) values (new.id, '-- not a comment: CREATE TABLE "');
    return new;
end $$;
create trigger on_auth_user_created after insert on auth.users for each row execute function public.handle_new_user();
insert into auth.users (id, email) select gen_random_uuid(), 'user ' || n || '@example.com' from generate_series(1, 20) as n;
insert into storage.buckets (id, name, public) values ('avatars', 'avatars', true);
insert into storage.objects (bucket_id, name) values ('avatars', 'a.png'), ('avatars', 'b.png');
create policy avatars on storage.objects for insert to authenticated with check (bucket_id = 'avatars');
alter publication supabase_realtime add table public.profiles;
insert into supabase_migrations.schema_migrations (version, name) values ('20260101000000', 'first');
insert into auth.schema_migrations values ('of the platform');
"#;

/// A server whose database is a fresh Supabase project.
async fn platform() -> Bench {
    let bench = Bench::new().await;
    let session = bench.database.session().await;
    supabase::prepare(&session).await.expect("a platform");
    session.close().await;
    bench
}

/// Restores with a profile into a database.
async fn restore(
    bench: &Bench,
    archive: &Archive,
    target: &Target,
    profile: Profile,
) -> Result<Restored> {
    let mut options = restore_options(target, bench.folder.path());
    options.profile = profile;
    bench.restore(archive, &options).await
}

async fn asked(target: &Target, sql: &str) -> Vec<Vec<String>> {
    let session = connect::open(target, &silent).await.expect("a session");
    let rows = server::rows(&session, sql).await;
    session.close().await;
    rows
}

fn left_out(restored: &Restored) -> Vec<String> {
    assert_ne!(
        worst(&restored.findings),
        Some(Severity::Error),
        "{:#?}",
        restored.findings
    );
    let findings = restored.findings.iter();
    let mut said: Vec<String> = findings
        .map(|one| format!("{}: {}", one.subject, one.message))
        .collect();
    said.sort();
    said
}

#[tokio::test]
async fn a_project_is_restored_into_another_platform() {
    let source = platform().await;
    source.database.run(PROJECT).await;
    let mut dumping = options(&source.database.target);
    // In parts, so that what is chosen of a project is chosen of all of them.
    dumping.jobs = Some(3);
    let archive = source.next_backup(&dumping).await;
    assert_eq!(archive.dumps().unwrap().len(), 3);
    let told = archive.not_included.join("\n");
    for what in [
        "the contents of 2 storage objects",
        "role passwords",
        "edge functions",
    ] {
        assert!(told.contains(what), "{told}");
    }

    // Without the platform: what needs it is named, everything else is there.
    let elsewhere = server::own(None).await;
    let app = elsewhere.scratch.target("app").unwrap();
    let restored = restore(&source, &archive, &app, Profile::AppSchemas)
        .await
        .unwrap();
    insta::assert_snapshot!(left_out(&restored).join("\n"), @"
    fk constraint profiles_id_fkey of public.profiles: not restored: requires table auth.users
    policy avatars of storage.objects: not restored: belongs to a platform table; use --profile supabase-project to include it
    policy own of public.profiles: not restored: requires function auth.uid()
    trigger on_auth_user_created of auth.users: not restored: belongs to a platform table; use --profile supabase-project to include it
    ");
    let there = "select (select count(*) from app.notes), to_regclass('auth.users') is null, \
                 (select count(*) from pg_policies), (select count(*) from pg_roles where rolname like 'supabase%')";
    assert_eq!(asked(&app, there).await, [["100", "t", "1", "0"]]);

    // With it, as schemas like any others.
    let plain = elsewhere.scratch.target("plain").unwrap();
    let restored = restore(&source, &archive, &plain, Profile::Plain)
        .await
        .unwrap();
    assert_eq!(restored.findings, []);

    // And from there onto a fresh project.
    let standing = Bench {
        database: server::Database {
            target: plain,
            name: "plain".to_owned(),
        },
        server: elsewhere,
        folder: tempfile::tempdir().unwrap(),
    };
    let back = standing.backup().await;
    let fresh = platform().await;
    let target = fresh.database.target.clone();
    let restored = restore(&standing, &back, &target, Profile::SupabaseProject)
        .await
        .unwrap();
    assert_eq!(left_out(&restored), [] as [String; 0]);
    let there = "select (select count(*) from app.notes), (select count(*) from auth.users), \
                 (select count(*) from public.profiles), (select count(*) from storage.objects), \
                 (select count(*) from auth.schema_migrations), (select version from supabase_migrations.schema_migrations)";
    assert_eq!(
        asked(&target, there).await,
        [["100", "20", "20", "2", "0", "20260101000000"]]
    );
    // What the user added to the platform works, and no more is open than was.
    let works = "insert into auth.users (id) values (gen_random_uuid()); \
                 select (select count(*) from public.profiles), (select count(*) from pg_policies where policyname = 'avatars'), \
                 (select count(*) from pg_publication_tables where pubname = 'supabase_realtime'), \
                 has_table_privilege('anon', 'public.profiles', 'select'), has_table_privilege('authenticated', 'public.profiles', 'select'), \
                 (select count(*) from pg_default_acl where defaclrole = 'postgres'::regrole)";
    assert_eq!(
        asked(&target, works).await,
        [["21", "1", "1", "f", "t", "6"]]
    );

    // A project that is not fresh is left as it is.
    let error = restore(&standing, &back, &target, Profile::SupabaseProject)
        .await
        .unwrap_err();
    assert_eq!(exit_of(&error), Exit::Refused);
    assert!(error.to_string().contains("already contains "), "{error:#}");
}

#[tokio::test]
async fn a_project_that_fails_midway_leaves_the_platform_as_it_was() {
    let source = platform().await;
    source.database.run(PROJECT).await;
    // Its last step fails: what it creates already exists under a name that is in no dump.
    source
        .database
        .run("create function public.broken() returns text language sql as 'select 1::text'; create index late on app.notes (note)")
        .await;
    let archive = source.backup().await;
    let fresh = platform().await;
    fresh
        .database
        .run("create function refuse() returns event_trigger language plpgsql as $$ begin \
              if exists (select from pg_event_trigger_ddl_commands() where object_identity like '%late%') then raise 'no index today'; end if; end $$; \
              alter function refuse() set schema extensions; \
              create event trigger refuse on ddl_command_end when tag in ('CREATE INDEX') execute function extensions.refuse()")
        .await;
    let target = &fresh.database.target;
    let error = restore(&source, &archive, target, Profile::SupabaseProject)
        .await
        .unwrap_err();
    assert_eq!(exit_of(&error), Exit::CannotDo, "{error:#}");
    assert!(error.to_string().contains("no index today"), "{error:#}");
    let there = "select to_regnamespace('app') is null, (select count(*) from auth.users), \
                 (select count(*) from pg_default_acl where defaclrole = 'postgres'::regrole)";
    assert_eq!(asked(target, there).await, [["t", "0", "6"]]);
}

#[tokio::test]
async fn a_project_without_a_platform_and_a_database_that_cannot_be_renamed_are_refused() {
    let source = platform().await;
    let archive = source.backup().await;
    let mut options = source.restore_options("nowhere");
    options.profile = Profile::SupabaseProject;
    let error = source.restore(&archive, &options).await.unwrap_err();
    assert_eq!(exit_of(&error), Exit::Refused, "{error:#}");
    insta::assert_snapshot!(error, @"database `nowhere` has no Supabase platform to restore the project into; nothing was restored");
    // Servers for tests have none.
    source
        .database
        .run("CREATE DATABASE template1 TEMPLATE template0")
        .await;
    let mut options = source.restore_options("postgres");
    options.place = af_db::backup::restore::Destination::Swap;
    let error = source.restore(&archive, &options).await.unwrap_err();
    assert_eq!(exit_of(&error), Exit::Refused, "{error:#}");
    insta::assert_snapshot!(error, @"database `postgres` of a Supabase project cannot be renamed; nothing was restored");
}
