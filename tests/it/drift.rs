//! Drift: what somebody did to a database by hand is found, named and placed; what nobody did is not.

use std::collections::BTreeSet;

use af_db::pg::supabase;

use crate::support::project::Project;
use crate::support::server;

/// A project as Supabase users write them: organisations, policies by token, files, a trigger on the platform's table.
const PROJECT: &str = "\
create type public.plan as enum ('free', 'team');
create table public.organizations (
    id uuid primary key default gen_random_uuid(),
    slug text not null unique,
    plan public.plan not null default 'free',
    seats integer not null default 5 check (seats > 0)
);
create table public.profiles (
    id uuid primary key references auth.users on delete cascade,
    organization_id uuid not null references public.organizations on delete cascade,
    name text not null default '',
    email text
);
create index profiles_organization on public.profiles (organization_id);
create index profiles_email on public.profiles (lower(email)) where email is not null;
create table public.notes (
    id bigint generated always as identity primary key,
    owner_id uuid not null references public.profiles on delete cascade,
    body text not null
);
create index notes_owner on public.notes (owner_id);
create sequence public.invoice_number;
create view public.colleagues with (security_invoker = true) as
    select p.id, p.name, p.organization_id from public.profiles as p;
create function public.my_organization() returns uuid language sql stable security definer set search_path = '' as
    'select organization_id from public.profiles where id = auth.uid()';
revoke execute on function public.my_organization() from public, anon;
create function public.handle_new_user() returns trigger language plpgsql security definer set search_path = '' as $$
begin
    return new;
end $$;
create trigger on_auth_user_created after insert on auth.users
    for each row execute function public.handle_new_user();
create trigger touch before update on public.notes
    for each row execute function public.handle_new_user();
alter table public.organizations enable row level security;
alter table public.profiles enable row level security;
alter table public.notes enable row level security;
alter table public.notes force row level security;
create policy members on public.organizations for select to authenticated using (id = public.my_organization());
create policy colleagues on public.profiles for select to authenticated using (organization_id = public.my_organization());
create policy own on public.notes to authenticated using (owner_id = auth.uid()) with check (owner_id = auth.uid());
create policy avatars on storage.objects for insert to authenticated
    with check (bucket_id = 'avatars' and (storage.foldername(name))[1] = auth.uid()::text);
revoke all on public.organizations from anon;
alter publication supabase_realtime add table public.notes;
";

/// What somebody does by hand, and the object it must be found on.
const DRIFTS: [(&str, &str); 27] = [
    (
        "alter table public.profiles add phone text",
        "column public.profiles.phone",
    ),
    (
        "alter table public.organizations alter slug type varchar(80)",
        "column public.organizations.slug",
    ),
    (
        "alter table public.organizations alter seats set default 50",
        "default of column public.organizations.seats",
    ),
    (
        "alter table public.notes alter body drop not null",
        "column public.notes.body",
    ),
    (
        "alter table public.notes drop constraint notes_owner_id_fkey",
        "constraint notes_owner_id_fkey on public.notes",
    ),
    (
        "alter table public.organizations drop constraint organizations_seats_check",
        "constraint organizations_seats_check on public.organizations",
    ),
    (
        "drop index public.profiles_organization",
        "index public.profiles_organization",
    ),
    (
        "drop index public.profiles_email; create index profiles_email on public.profiles (email)",
        "index public.profiles_email",
    ),
    (
        "alter table public.profiles disable row level security",
        "row-level security of public.profiles",
    ),
    (
        "alter table public.notes no force row level security",
        "row-level security of public.notes",
    ),
    (
        "alter policy own on public.notes using (true)",
        "policy own on public.notes",
    ),
    (
        "alter policy colleagues on public.profiles to public",
        "policy colleagues on public.profiles",
    ),
    (
        "create policy everybody on public.organizations for select using (true)",
        "policy everybody on public.organizations",
    ),
    (
        "alter policy avatars on storage.objects with check (bucket_id = 'avatars')",
        "policy avatars on storage.objects",
    ),
    (
        "alter table storage.objects disable row level security",
        "row-level security of storage.objects",
    ),
    (
        "drop trigger on_auth_user_created on auth.users",
        "trigger on_auth_user_created on auth.users",
    ),
    (
        "alter table public.notes disable trigger touch",
        "trigger touch on public.notes",
    ),
    (
        "grant select on public.organizations to anon",
        "table public.organizations",
    ),
    (
        "grant update (email) on public.profiles to anon",
        "column public.profiles.email",
    ),
    (
        "grant execute on function public.my_organization() to anon",
        "function public.my_organization()",
    ),
    (
        "alter default privileges for role postgres in schema public revoke all on functions from anon",
        "default privileges of postgres on FUNCTIONS in public",
    ),
    (
        "alter function public.handle_new_user() reset search_path",
        "function public.handle_new_user()",
    ),
    (
        "alter view public.colleagues set (security_invoker = false)",
        "view public.colleagues",
    ),
    (
        "alter type public.plan add value 'enterprise'",
        "type public.plan",
    ),
    (
        "alter publication supabase_realtime drop table public.notes",
        "publication supabase_realtime",
    ),
    ("alter role authenticated bypassrls", "role authenticated"),
    (
        "alter sequence public.invoice_number increment by 10",
        "sequence public.invoice_number",
    ),
];

#[tokio::test]
async fn what_was_done_by_hand_to_a_supabase_project_is_found_and_nothing_else() {
    let server = server::own(None).await;
    let database = server.database().await;
    supabase::prepare(&database.session().await).await.unwrap();
    let project = Project::of(&database.target);
    project.write("af-db.yaml", "schemas: [public]\n");
    project.write("migrations/V1__project.sql", PROJECT);
    project.run(&["up", "--yes"]).await.ok();

    let drift = async || {
        let ran = project
            .run(&[
                "validate",
                "--live",
                "--skip-rollback",
                "--skip-proof",
                "--json",
            ])
            .await;
        let report = ran.json();
        let findings = report["findings"].as_array().expect("findings").clone();
        findings
            .into_iter()
            .filter(|finding| finding["code"] == "drift")
            .collect::<Vec<_>>()
    };
    assert_eq!(drift().await, Vec::<serde_json::Value>::new());

    for (sql, _) in DRIFTS {
        database.run(sql).await;
    }
    let found = drift().await;
    let subjects: BTreeSet<&str> = found
        .iter()
        .filter_map(|finding| finding["subject"].as_str())
        .collect();
    let expected: BTreeSet<&str> = DRIFTS.iter().map(|(_, object)| *object).collect();
    assert_eq!(subjects, expected);
    // Everything that a migration made is placed in it.
    for finding in &found {
        let subject = finding["subject"].as_str().unwrap_or_default();
        let by_hand = subject.contains("phone") || subject.contains("everybody");
        let of_the_platform = [
            "role ",
            "default privileges",
            "row-level security of storage",
        ]
        .iter()
        .any(|front| subject.starts_with(front));
        let place = finding["place"]["file"].as_str();
        if !by_hand && !of_the_platform {
            assert_eq!(place, Some("migrations/V1__project.sql"), "{subject}");
        }
    }
}
