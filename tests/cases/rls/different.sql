-- Policies that differ, each with what the finding says: the difference, and whose access is extra or missing.

-- case everything is visible
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (true);
-- says
Extra access for app_user: SELECT on public.docs, every row

-- case a constant opens it
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (1 = 1);
-- says
Extra access for app_user: SELECT on public.docs, every row

-- case a branch more
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org()) or hidden);
-- says
Extra access for app_user: SELECT on public.docs, rows where hidden

-- case a branch less
create policy p on docs for select to app_user using (tenant_id = (select app.org()) or hidden);
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- says
Missing access for app_user: SELECT on public.docs, all but rows where

-- case a clause dropped
create policy p on docs for select to app_user using (tenant_id = (select app.org()) and not hidden);
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- says
Extra access for app_user: SELECT on public.docs, rows where

-- case a clause more
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org()) and hidden);
-- says
Missing access for app_user: SELECT on public.docs, all but rows where

-- case another column
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (id = (select app.org()));
-- says
Extra access for app_user: SELECT on public.docs, rows where id = app.org()
Missing access for app_user: SELECT

-- case another function
create policy p on docs for select to app_user using (owner = (select app.me()));
-- found
create policy p on docs for select to app_user using (owner = '00000000-0000-0000-0000-000000000001');
-- says
Extra access for app_user: SELECT on public.docs, rows where
Missing access for app_user: SELECT

-- case missing_ok dropped
create policy p on docs for select to app_user using (tenant_id = current_setting('app.t', true)::bigint);
-- found
create policy p on docs for select to app_user using (tenant_id = current_setting('app.t')::bigint);
-- says
Extra access for app_user: SELECT
Missing access for app_user: SELECT

-- case and binds tighter than or
create policy p on docs for select to app_user using (tenant_id = 1 and (hidden or id = 2));
-- found
create policy p on docs for select to app_user using (tenant_id = 1 and hidden or id = 2);
-- says
Extra access for app_user: SELECT on public.docs, rows where id = 2

-- case a policy is missing
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found

-- says
Missing access for app_user: SELECT on public.docs, rows where tenant_id = app.org()

-- case a policy too many
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org())); create policy q on docs for select to app_user using (hidden);
-- says
policy `q` is not declared. Extra access for app_user: SELECT on public.docs, rows where hidden

-- case inserting for anybody
create policy p on docs for insert to app_user with check (tenant_id = (select app.org()));
-- found
create policy p on docs for insert to app_user with check (true);
-- says
Extra access for app_user: INSERT on public.docs, every row

-- case moving rows to anybody
create policy p on docs for update to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for update to app_user using (tenant_id = (select app.org())) with check (true);
-- says
Extra access for app_user: UPDATE on public.docs, new values: every row

-- case changing anybody's rows
create policy p on docs for update to app_user using (tenant_id = (select app.org())) with check (tenant_id = (select app.org()));
-- found
create policy p on docs for update to app_user using (true) with check (tenant_id = (select app.org()));
-- says
Extra access for app_user: UPDATE on public.docs, every row

-- case deleting anybody's rows
create policy p on docs for delete to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for delete to app_user using (true);
-- says
Extra access for app_user: DELETE on public.docs, every row

-- case all for select
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for all to app_user using (tenant_id = (select app.org()));
-- says
Extra access for app_user: INSERT, UPDATE, DELETE on public.docs, rows where

-- case select for all
create policy p on docs for all to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- says
Missing access for app_user: INSERT, UPDATE, DELETE on public.docs, rows where

-- case delete for update
create policy p on docs for update to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for delete to app_user using (tenant_id = (select app.org()));
-- says
Extra access for app_user: DELETE on public.docs
Missing access for app_user: UPDATE on public.docs

-- case public for a role
grant select on docs to anon; grant select on docs to app_user; grant insert, update, delete on docs to app_user; create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
grant select on docs to anon; create policy p on docs for select to public using (tenant_id = (select app.org()));
-- says
Extra access for anon: SELECT on public.docs, rows where

-- case another role
create policy p on docs for select to app_user using (tenant_id = (select app.org())); grant select on docs to app_user, app_admin; grant insert, update, delete on docs to app_user;
-- found
grant select on docs to app_admin; create policy p on docs for select to app_admin using (tenant_id = (select app.org()));
-- says
Extra access for app_admin: SELECT on public.docs, rows where
Missing access for app_user: SELECT on public.docs

-- case a role more
create policy p on docs for select to app_user using (tenant_id = (select app.org())); grant select on docs to app_user, app_admin; grant insert, update, delete on docs to app_user;
-- found
grant select on docs to app_admin; create policy p on docs for select to app_user, app_admin using (tenant_id = (select app.org()));
-- says
Extra access for app_admin: SELECT on public.docs, rows where

-- case a role less
create policy p on docs for select to app_user, app_admin using (tenant_id = (select app.org())); grant select on docs to app_user, app_admin; grant insert, update, delete on docs to app_user;
-- found
grant select on docs to app_admin; create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- says
Missing access for app_admin: SELECT on public.docs, rows where

-- case permissive for restrictive
create policy p on docs for select to app_user using (tenant_id = (select app.org())); create policy g on docs as restrictive for select to app_user using (not hidden);
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org())); create policy g on docs for select to app_user using (not hidden);
-- says
Extra access for app_user: SELECT on public.docs, rows where

-- case restrictive for permissive
create policy p on docs for select to app_user using (tenant_id = (select app.org())); create policy g on docs for select to app_user using (hidden);
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org())); create policy g on docs as restrictive for select to app_user using (hidden);
-- says
Missing access for app_user: SELECT on public.docs, all but rows where

-- case a guard is missing
create policy p on docs for select to app_user using (tenant_id = (select app.org())); create policy g on docs as restrictive for select to app_user using (not hidden);
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- says
Extra access for app_user: SELECT on public.docs, rows where

-- case a guard too many
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org())); create policy g on docs as restrictive for select to app_user using (not hidden);
-- says
Missing access for app_user: SELECT on public.docs, all but rows where

-- case row-level security off
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org())); alter table docs disable row level security;
-- says
Extra access for app_user: SELECT, INSERT, UPDATE, DELETE on public.docs, every row
row-level security is disabled but declared as enabled

-- case row-level security on
alter table docs disable row level security; grant select on docs to app_user; grant insert, update, delete on docs to app_user;
-- found
alter table docs no force row level security;
-- says
Missing access for app_user: SELECT, INSERT, UPDATE, DELETE on public.docs, every row

-- case not forced
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org())); alter table docs owner to app_owner; alter table docs no force row level security;
-- says
Extra access for app_owner: SELECT, INSERT, UPDATE, DELETE on public.docs, every row

-- case a table granted
create policy p on docs for select to app_user using (tenant_id = (select app.org())); create policy a on docs for select to anon using (hidden);
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org())); create policy a on docs for select to anon using (hidden); grant select on docs to anon;
-- says
extra grant: SELECT on public.docs to anon. Extra access for anon: SELECT on public.docs, rows where hidden

-- case a table not granted
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org())); revoke select on docs from app_user;
-- says
missing grant: SELECT on public.docs to app_user. Missing access for app_user: SELECT on public.docs, rows where tenant_id = app.org()

-- case a table granted to everybody
create policy p on docs for select using (hidden); grant select, insert, update, delete on docs to app_user;
-- found
create policy p on docs for select using (hidden); grant select on docs to public;
-- says
Extra access for PUBLIC: SELECT on public.docs, rows where hidden

-- case a column granted
create policy p on docs for select to app_user using (hidden); grant select (id) on docs to app_user;
-- found
create policy p on docs for select to app_user using (hidden); revoke all on docs from app_user; grant select (id, body) on docs to app_user;
-- says
Extra access for app_user: SELECT (body) on public.docs, rows where hidden

-- case a column not granted
create policy p on docs for select to app_user using (hidden); grant select (id, body) on docs to app_user;
-- found
create policy p on docs for select to app_user using (hidden); revoke all on docs from app_user; grant select (id) on docs to app_user;
-- says
Missing access for app_user: SELECT (body) on public.docs, rows where hidden

-- case the whole for a column
create policy p on docs for select to app_user using (hidden); grant select (id) on docs to app_user;
-- found
create policy p on docs for select to app_user using (hidden); revoke all on docs from app_user; grant select on docs to app_user;
-- says
Extra access for app_user: SELECT (all columns, not only id) on public.docs, rows where hidden

-- case emptying
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org())); grant truncate on docs to app_user;
-- says
extra grant: TRUNCATE on public.docs to app_user (TRUNCATE ignores policies)

-- case granting on
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org())); grant select on docs to app_user with grant option;
-- says
extra grant: SELECT with grant option on public.docs to app_user

-- case a view
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org())); create view all_docs as select * from docs; grant select on all_docs to anon;
-- says
extra grant: SELECT on view public.all_docs to anon

-- case a function
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org())); create function app.drain() returns void language sql security definer as ''; revoke all on function app.drain() from public; grant execute on function app.drain() to anon;
-- says
extra grant: EXECUTE on function app.drain() to anon

-- case a sequence
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org())); create sequence numbers; grant usage on sequence numbers to anon;
-- says
extra grant: USAGE on sequence public.numbers to anon

-- case a schema
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org())); grant usage on schema app to anon;
-- says
extra grant: USAGE on schema app to anon

-- case what is made tomorrow
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org())); alter default privileges in schema public grant select on tables to anon;
-- says
extra default privilege: SELECT on future tables of
in public, for anon

-- case asked for each row
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (tenant_id = app.org());
-- says
policy `p` differs from its declaration in cost only: one evaluates the identity once per row

-- case an array's contents
create policy p on docs for select to app_user using (tags && array['a']);
-- found
create policy p on docs for select to app_user using (tags <@ array['a']);
-- says
Extra access for app_user: SELECT on public.docs, rows where
Missing access for app_user: SELECT

-- case a name captured
create policy p on docs for select to app_user using (exists (select 1 from kinds k where k.id = docs.id));
-- found
create policy p on docs for select to app_user using (exists (select 1 from kinds k where k.id = k.id));
-- says
Extra access for app_user: SELECT on public.docs, rows where
Missing access for app_user: SELECT
