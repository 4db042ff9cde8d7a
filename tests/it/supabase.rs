//! The Supabase prelude: migrations apply, policies evaluate the request's token.

use af_db::pg::supabase;

use crate::support::server::{self, rows};

const PROJECT: &str = r#"
create table public.profiles (
    id uuid primary key references auth.users on delete cascade,
    name text
);
alter table public.profiles enable row level security;
create policy own on public.profiles for select to authenticated using (auth.uid() = id);
create function public.handle_new_user() returns trigger language plpgsql security definer set search_path = '' as $$
begin
    insert into public.profiles (id, name) values (new.id, new.raw_user_meta_data ->> 'name');
    return new;
end $$;
create trigger on_auth_user_created after insert on auth.users for each row execute function public.handle_new_user();
insert into storage.buckets (id, name, public) values ('avatars', 'avatars', true);
create policy avatars on storage.objects for insert to authenticated
    with check (bucket_id = 'avatars' and (storage.foldername(name))[1] = auth.uid()::text);
alter publication supabase_realtime add table public.profiles;
select uuid_generate_v4(), vault.create_secret('s', 'n');
"#;

const ADA: &str = "00000000-0000-0000-0000-00000000000a";

#[tokio::test]
async fn a_project_applies_and_its_policies_hold() {
    let server = server::own(None).await;
    let database = server.database().await;
    let session = database.session().await;
    supabase::prepare(&session).await.unwrap();
    // It may be applied twice.
    supabase::prepare(&session).await.unwrap();
    rows(&session, PROJECT).await;
    let add = format!(
        "insert into auth.users (id, raw_user_meta_data) values ('{ADA}', '{{\"name\":\"Ada\"}}'), (gen_random_uuid(), '{{}}')"
    );
    rows(&session, &add).await;
    let seen = format!(
        "begin; set local role authenticated; \
         set local request.jwt.claims = '{{\"sub\":\"{ADA}\",\"role\":\"authenticated\",\"email\":\"a@b.c\"}}'; \
         select auth.role(), auth.email(), auth.jwt() ->> 'sub' = auth.uid()::text, string_agg(name, ',') from profiles; \
         commit"
    );
    let answer = rows(&session, &seen).await;
    assert_eq!(answer, [["authenticated", "a@b.c", "t", "Ada"]]);
    let nobody = "begin; set local role anon; select count(*), auth.uid() from profiles; commit";
    assert_eq!(rows(&session, nobody).await, [["0", "∅"]]);
}

#[tokio::test]
async fn two_databases_at_once_share_the_roles() {
    let server = server::own(None).await;
    let (one, other) = (server.database().await, server.database().await);
    let (first, second) = (one.session().await, other.session().await);
    let (first, second) = tokio::join!(supabase::prepare(&first), supabase::prepare(&second));
    first.unwrap();
    second.unwrap();
}

#[tokio::test]
async fn missing_extensions_are_reported() {
    let database = server::database().await;
    let session = database.session().await;
    let wanted = ["plpgsql".to_owned(), "no_such_extension".to_owned()];
    let missing = supabase::unavailable(&session, &wanted).await.unwrap();
    assert_eq!(missing, ["no_such_extension"]);
}
