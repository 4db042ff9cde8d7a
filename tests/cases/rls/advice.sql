-- What advice names, each before what it is about; whatever is called good is left alone.

-- rls-policies-off public.bad_off
create table bad_off (id int primary key, tenant_id bigint not null);
create policy p on bad_off using (tenant_id = 1);
-- rls-off public.bad_open
create table bad_open (id int primary key, tenant_id bigint not null);
grant select on bad_open to anon;
-- rls-no-policy public.bad_none
create table bad_none (id int primary key);
alter table bad_none enable row level security;
grant select on bad_none to anon;
-- rls-owner public.bad_owned
create table bad_owned (id int primary key, tenant_id bigint not null);
create index on bad_owned (tenant_id);
alter table bad_owned owner to app_user;
alter table bad_owned enable row level security;
-- rls-always-true public.bad_true
-- rls-unindexed-tenant public.bad_true
create table bad_true (id int primary key, tenant_id bigint not null);
alter table bad_true enable row level security;
create policy p on bad_true for select to app_user using (true);
grant select on bad_true to app_user;
-- rls-forgeable public.bad_claims
-- rls-per-row public.bad_claims
-- rls-frozen-time public.bad_claims
create table bad_claims (id int primary key, tenant_id bigint not null, at timestamptz);
create index on bad_claims (tenant_id);
alter table bad_claims enable row level security;
create policy p on bad_claims to app_user
  using ((current_setting('request.jwt.claims')::jsonb -> 'user_metadata' ->> 't')::bigint = tenant_id and at < 'now'::timestamptz);
-- rls-nullable-tenant public.bad_null.tenant_id
create table bad_null (id int primary key, tenant_id bigint);
create index on bad_null (tenant_id);
alter table bad_null enable row level security;
create policy p on bad_null to app_user using (tenant_id is null or tenant_id = (select app.org()));
-- rls-definer-view public.bad_view
create view bad_view as select * from docs;
grant select on bad_view to anon;
-- rls-materialized-view public.bad_copy
create materialized view bad_copy as select * from docs;
grant select on bad_copy to app_user;
-- rls-definer-function app.bad_drain()
-- rls-search-path app.bad_drain()
create function app.bad_drain() returns bigint language sql security definer as 'select count(*) from public.docs';
-- rls-search-path app.bad_path()
create function app.bad_path() returns int language sql security definer set search_path = public as 'select 1';
revoke all on function app.bad_path() from public;
-- rls-leakproof app.bad_leak(integer)
create function app.bad_leak(int) returns boolean language sql leakproof as 'select true';
-- rls-sensitive public.bad_people
create table bad_people (id int primary key, full_name text, home_phone text);
grant select on bad_people to anon;
create table good_people (id int primary key, full_name text, home_phone text);
create table good_places (id int primary key, phonebook text, pinned boolean);
grant select on good_places to anon;
-- rls-beyond-policies public.bad_truncate
create table bad_truncate (id int primary key, tenant_id bigint not null);
create index on bad_truncate (tenant_id);
alter table bad_truncate enable row level security;
grant truncate on bad_truncate to app_user;
-- rls-unindexed-foreign-key public.bad_key
create table bad_key (id int primary key, kind_id int references kinds);
-- rls-multiple-permissive public.bad_many
create table bad_many (id int primary key, tenant_id bigint not null);
create index on bad_many (tenant_id);
alter table bad_many enable row level security;
create policy a on bad_many for select to app_user using (tenant_id = (select app.org()));
create policy b on bad_many for select to app_user using (id = (select 1));
grant select on bad_many to app_user;
-- rls-no-key public.bad_keyless
create table bad_keyless (tenant_id bigint not null, at timestamptz);
create index on bad_keyless (tenant_id);
-- rls-duplicate-index public.bad_twice_b
-- rls-duplicate-index public.bad_twice_key
create table bad_twice (id int primary key, tenant_id bigint not null);
create index bad_twice_a on bad_twice (tenant_id);
create index bad_twice_b on bad_twice (tenant_id);
create index bad_twice_key on bad_twice (id);
create index good_twice_some on bad_twice (tenant_id) where id > 3;
create index good_twice_down on bad_twice (tenant_id desc);
-- rls-fragile-type public.bad_regs.calls
-- rls-fragile-type public.bad_regs.many
create table bad_regs (id int primary key, calls regproc, many regconfig[]);
create table good_regs (id int primary key, of_class regclass, a_type regtype, a_role regrole, calls text);

create table good (id int primary key, tenant_id bigint not null, kind_id int references kinds);
create index on good (tenant_id);
create index on good (kind_id);
alter table good enable row level security;
alter table good force row level security;
create policy p on good to app_user using (tenant_id = (select app.org()));
create policy q on good to app_admin using (true);
revoke all on good from anon;
grant select, insert, update, delete on good to app_user;
create view good_view with (security_invoker = true) as select * from good;
grant select on good_view to app_user;
create function app.good_definer() returns int language sql security definer set search_path = '' as 'select 1';
revoke all on function app.good_definer() from public;


alter default privileges in schema public grant select on tables to anon;
