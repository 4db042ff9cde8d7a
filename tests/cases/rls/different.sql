-- Policies that differ; who gains or loses what is said behind each.

-- case everything is visible
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (true);
-- says
app_user gains SELECT on public.docs: every row

-- case a constant opens it
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (1 = 1);
-- says
app_user gains SELECT on public.docs: every row

-- case a branch more
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org()) or hidden);
-- says
app_user gains SELECT on public.docs: rows where hidden

-- case a branch less
create policy p on docs for select to app_user using (tenant_id = (select app.org()) or hidden);
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- says
app_user loses SELECT on public.docs: all but rows where

-- case a clause dropped
create policy p on docs for select to app_user using (tenant_id = (select app.org()) and not hidden);
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- says
app_user gains SELECT on public.docs: rows where

-- case a clause more
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org()) and hidden);
-- says
app_user loses SELECT on public.docs: all but rows where

-- case another column
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (id = (select app.org()));
-- says
app_user gains SELECT on public.docs: rows where id = app.org()
loses SELECT

-- case another function
create policy p on docs for select to app_user using (owner = (select app.me()));
-- found
create policy p on docs for select to app_user using (owner = '00000000-0000-0000-0000-000000000001');
-- says
app_user gains SELECT on public.docs: rows where
loses SELECT

-- case missing_ok dropped
create policy p on docs for select to app_user using (tenant_id = current_setting('app.t', true)::bigint);
-- found
create policy p on docs for select to app_user using (tenant_id = current_setting('app.t')::bigint);
-- says
app_user gains SELECT
loses SELECT

-- case and binds tighter than or
create policy p on docs for select to app_user using (tenant_id = 1 and (hidden or id = 2));
-- found
create policy p on docs for select to app_user using (tenant_id = 1 and hidden or id = 2);
-- says
app_user gains SELECT on public.docs: rows where id = 2

-- case a policy is missing
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found

-- says
app_user loses SELECT on public.docs: rows where tenant_id = app.org()

-- case a policy too many
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org())); create policy q on docs for select to app_user using (hidden);
-- says
app_user gains SELECT on public.docs: rows where hidden (policy `q` is not declared)

-- case inserting for anybody
create policy p on docs for insert to app_user with check (tenant_id = (select app.org()));
-- found
create policy p on docs for insert to app_user with check (true);
-- says
app_user gains INSERT on public.docs: every row

-- case moving rows to anybody
create policy p on docs for update to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for update to app_user using (tenant_id = (select app.org())) with check (true);
-- says
app_user gains UPDATE on public.docs: turning rows into every row

-- case changing anybody's rows
create policy p on docs for update to app_user using (tenant_id = (select app.org())) with check (tenant_id = (select app.org()));
-- found
create policy p on docs for update to app_user using (true) with check (tenant_id = (select app.org()));
-- says
app_user gains UPDATE on public.docs: every row

-- case deleting anybody's rows
create policy p on docs for delete to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for delete to app_user using (true);
-- says
app_user gains DELETE on public.docs: every row

-- case all for select
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for all to app_user using (tenant_id = (select app.org()));
-- says
app_user gains INSERT, UPDATE, DELETE on public.docs: rows where

-- case select for all
create policy p on docs for all to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- says
app_user loses INSERT, UPDATE, DELETE on public.docs: rows where

-- case delete for update
create policy p on docs for update to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for delete to app_user using (tenant_id = (select app.org()));
-- says
app_user gains DELETE on public.docs
app_user loses UPDATE on public.docs

-- case public for a role
grant select on docs to anon; grant select on docs to app_user; grant insert, update, delete on docs to app_user; create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
grant select on docs to anon; create policy p on docs for select to public using (tenant_id = (select app.org()));
-- says
anon gains SELECT on public.docs: rows where

-- case another role
create policy p on docs for select to app_user using (tenant_id = (select app.org())); grant select on docs to app_user, app_admin; grant insert, update, delete on docs to app_user;
-- found
grant select on docs to app_admin; create policy p on docs for select to app_admin using (tenant_id = (select app.org()));
-- says
app_admin gains SELECT on public.docs: rows where
app_user loses SELECT on public.docs

-- case a role more
create policy p on docs for select to app_user using (tenant_id = (select app.org())); grant select on docs to app_user, app_admin; grant insert, update, delete on docs to app_user;
-- found
grant select on docs to app_admin; create policy p on docs for select to app_user, app_admin using (tenant_id = (select app.org()));
-- says
app_admin gains SELECT on public.docs: rows where

-- case a role less
create policy p on docs for select to app_user, app_admin using (tenant_id = (select app.org())); grant select on docs to app_user, app_admin; grant insert, update, delete on docs to app_user;
-- found
grant select on docs to app_admin; create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- says
app_admin loses SELECT on public.docs: rows where

-- case permissive for restrictive
create policy p on docs for select to app_user using (tenant_id = (select app.org())); create policy g on docs as restrictive for select to app_user using (not hidden);
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org())); create policy g on docs for select to app_user using (not hidden);
-- says
app_user gains SELECT on public.docs: rows where

-- case restrictive for permissive
create policy p on docs for select to app_user using (tenant_id = (select app.org())); create policy g on docs for select to app_user using (hidden);
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org())); create policy g on docs as restrictive for select to app_user using (hidden);
-- says
app_user loses SELECT on public.docs: all but rows where

-- case a guard is missing
create policy p on docs for select to app_user using (tenant_id = (select app.org())); create policy g on docs as restrictive for select to app_user using (not hidden);
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- says
app_user gains SELECT on public.docs: rows where

-- case a guard too many
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org())); create policy g on docs as restrictive for select to app_user using (not hidden);
-- says
app_user loses SELECT on public.docs: all but rows where

-- case row-level security off
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org())); alter table docs disable row level security;
-- says
app_user gains SELECT, INSERT, UPDATE, DELETE on public.docs: every row
row-level security is off

-- case row-level security on
alter table docs disable row level security; grant select on docs to app_user; grant insert, update, delete on docs to app_user;
-- found
alter table docs no force row level security;
-- says
app_user loses SELECT, INSERT, UPDATE, DELETE on public.docs: every row

-- case not forced
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org())); alter table docs owner to app_owner; alter table docs no force row level security;
-- says
app_owner gains SELECT, INSERT, UPDATE, DELETE on public.docs: every row

-- case a table granted
create policy p on docs for select to app_user using (tenant_id = (select app.org())); create policy a on docs for select to anon using (hidden);
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org())); create policy a on docs for select to anon using (hidden); grant select on docs to anon;
-- says
anon gains SELECT on public.docs: rows where hidden (granted and not declared)

-- case a table not granted
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org())); revoke select on docs from app_user;
-- says
app_user loses SELECT on public.docs: rows where tenant_id = app.org() (declared and not granted)

-- case a table granted to everybody
create policy p on docs for select using (hidden); grant select, insert, update, delete on docs to app_user;
-- found
create policy p on docs for select using (hidden); grant select on docs to public;
-- says
everybody gains SELECT on public.docs: rows where hidden

-- case a column granted
create policy p on docs for select to app_user using (hidden); grant select (id) on docs to app_user;
-- found
create policy p on docs for select to app_user using (hidden); revoke all on docs from app_user; grant select (id, body) on docs to app_user;
-- says
app_user gains SELECT (body) on public.docs: rows where hidden

-- case a column not granted
create policy p on docs for select to app_user using (hidden); grant select (id, body) on docs to app_user;
-- found
create policy p on docs for select to app_user using (hidden); revoke all on docs from app_user; grant select (id) on docs to app_user;
-- says
app_user loses SELECT (body) on public.docs: rows where hidden

-- case the whole for a column
create policy p on docs for select to app_user using (hidden); grant select (id) on docs to app_user;
-- found
create policy p on docs for select to app_user using (hidden); revoke all on docs from app_user; grant select on docs to app_user;
-- says
app_user gains SELECT (all columns, not only id) on public.docs: rows where hidden

-- case emptying
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org())); grant truncate on docs to app_user;
-- says
app_user gains TRUNCATE on public.docs, which empties it whatever its policies say

-- case granting on
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org())); grant select on docs to app_user with grant option;
-- says
app_user gains SELECT with grant option on public.docs

-- case a view
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org())); create view all_docs as select * from docs; grant select on all_docs to anon;
-- says
anon gains SELECT on view public.all_docs

-- case a function
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org())); create function app.drain() returns void language sql security definer as ''; revoke all on function app.drain() from public; grant execute on function app.drain() to anon;
-- says
anon gains EXECUTE on function app.drain()

-- case a sequence
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org())); create sequence numbers; grant usage on sequence numbers to anon;
-- says
anon gains USAGE on sequence public.numbers

-- case a schema
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org())); grant usage on schema app to anon;
-- says
anon gains USAGE on schema app

-- case what is made tomorrow
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org())); alter default privileges in schema public grant select on tables to anon;
-- says
anon gains SELECT on tables that
makes tomorrow in schema public

-- case asked for each row
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (tenant_id = app.org());
-- says
nobody gains or loses a row; one of the two asks who is asking once for each row

-- case an array's contents
create policy p on docs for select to app_user using (tags && array['a']);
-- found
create policy p on docs for select to app_user using (tags <@ array['a']);
-- says
app_user gains SELECT on public.docs: rows where
loses SELECT

-- case a name captured
create policy p on docs for select to app_user using (exists (select 1 from kinds k where k.id = docs.id));
-- found
create policy p on docs for select to app_user using (exists (select 1 from kinds k where k.id = k.id));
-- says
app_user gains SELECT on public.docs: rows where
loses SELECT
