do $$ begin
  if not exists (select from pg_roles where rolname = 'app_user') then create role app_user; end if;
  if not exists (select from pg_roles where rolname = 'app_admin') then create role app_admin; end if;
  if not exists (select from pg_roles where rolname = 'anon') then create role anon; end if;
  if not exists (select from pg_roles where rolname = 'app_owner') then create role app_owner; end if;
exception when duplicate_object or unique_violation then null; end $$;
create schema app;
create function app.org() returns bigint language sql stable as 'select 1::bigint';
create function app.me() returns uuid language sql stable as $$ select '00000000-0000-0000-0000-000000000000'::uuid $$;
create type mood as enum ('happy', 'sad');
create table docs (
  id bigint primary key,
  tenant_id bigint not null,
  owner uuid,
  title varchar(40),
  body text,
  tags text[],
  meta jsonb,
  feeling mood,
  created_at timestamptz,
  hidden boolean
);
create table kinds (id int primary key, name text);
grant select, insert, update, delete on docs to app_user;
alter table docs enable row level security;
alter table docs force row level security;
