-- Policies that say the same; each is declared in one spelling and found in the other.

-- case white space and case
create policy p on docs for select to app_user using (tenant_id = app.org());
-- found
create policy p on docs for select to app_user using (TENANT_ID   =
  APP.ORG());

-- case a comment
create policy p on docs for select to app_user using (tenant_id = 1);
-- found
create policy p on docs for select to app_user using (tenant_id /* the tenant */ = 1);

-- case casts by :: and CAST
create policy p on docs for select to app_user using (id = '5'::int);
-- found
create policy p on docs for select to app_user using (id = cast('5' as integer));

-- case int4 and integer
create policy p on docs for select to app_user using (id = 5::int4);
-- found
create policy p on docs for select to app_user using (id = (5::integer));

-- case brackets
create policy p on docs for select to app_user using (tenant_id = 1 and id = 2);
-- found
create policy p on docs for select to app_user using (((tenant_id = (1)) and ((id = 2))));

-- case not equal
create policy p on docs for select to app_user using (id != 4);
-- found
create policy p on docs for select to app_user using (id <> 4);

-- case in and any
create policy p on docs for select to app_user using (body in ('a', 'b'));
-- found
create policy p on docs for select to app_user using (body = any (array['a', 'b']));

-- case in a query and any
create policy p on docs for select to app_user using (id in (select k.id from kinds k));
-- found
create policy p on docs for select to app_user using (id = any (select k.id from kinds k));

-- case between
create policy p on docs for select to app_user using (id between 1 and 3);
-- found
create policy p on docs for select to app_user using (id >= 1 and id <= 3);

-- case like
create policy p on docs for select to app_user using (body like 'a%');
-- found
create policy p on docs for select to app_user using (body ~~ 'a%');

-- case varchar and text
create policy p on docs for select to app_user using (title = 'x');
-- found
create policy p on docs for select to app_user using (title::text = 'x'::text);

-- case an enum's label
create policy p on docs for select to app_user using (feeling = 'sad');
-- found
create policy p on docs for select to app_user using (feeling = 'sad'::mood);

-- case not distinct
create policy p on docs for select to app_user using (owner is not distinct from app.me());
-- found
create policy p on docs for select to app_user using (not (owner is distinct from app.me()));

-- case a column's table
create policy p on docs for select to app_user using (tenant_id = 1);
-- found
create policy p on docs for select to app_user using (docs.tenant_id = 1);

-- case a column's schema
create policy p on docs for select to app_user using (tenant_id = 1);
-- found
create policy p on docs for select to app_user using (public.docs.tenant_id = 1);

-- case an operator's schema
create policy p on docs for select to app_user using (tenant_id = 1);
-- found
create policy p on docs for select to app_user using (tenant_id operator(pg_catalog.=) 1::int);

-- case a string with E
create policy p on docs for select to app_user using (body = 'x');
-- found
create policy p on docs for select to app_user using (body = E'x');

-- case a table's schema
create policy p on docs for select to app_user using (id in (select id from kinds));
-- found
create policy p on docs for select to app_user using (id in (select kinds.id from public.kinds));

-- case an alias of what is asked once
create policy p on docs for select to app_user using (tenant_id = (select app.org()));
-- found
create policy p on docs for select to app_user using (tenant_id = (select app.org() as org));

-- case nested and
create policy p on docs for select to app_user using (tenant_id = 1 and (id = 2 and hidden));
-- found
create policy p on docs for select to app_user using ((tenant_id = 1 and id = 2) and hidden);

-- case the order of and
create policy p on docs for select to app_user using (tenant_id = 1 and hidden);
-- found
create policy p on docs for select to app_user using (hidden and tenant_id = 1);

-- case the order of or
create policy p on docs for select to app_user using (tenant_id = 1 or hidden);
-- found
create policy p on docs for select to app_user using (hidden or tenant_id = 1);

-- case the sides of equal
create policy p on docs for select to app_user using (tenant_id = app.org());
-- found
create policy p on docs for select to app_user using (app.org() = tenant_id);

-- case a constant
create policy p on docs for select to app_user using (true);
-- found
create policy p on docs for select to app_user using (1 = 1);

-- case not and different
create policy p on docs for select to app_user using (not (tenant_id = 1));
-- found
create policy p on docs for select to app_user using (tenant_id <> 1);

-- case De Morgan
create policy p on docs for select to app_user using (not (hidden or tenant_id = 1));
-- found
create policy p on docs for select to app_user using (not hidden and tenant_id <> 1);

-- case and spread over or
create policy p on docs for select to app_user using (hidden and (tenant_id = 1 or id = 2));
-- found
create policy p on docs for select to app_user using ((hidden and tenant_id = 1) or (hidden and id = 2));

-- case said twice
create policy p on docs for select to app_user using (tenant_id = 1);
-- found
create policy p on docs for select to app_user using (tenant_id = 1 and tenant_id = 1);

-- case the order of arguments of a cast setting
create policy p on docs for select to app_user using (tenant_id = current_setting('app.t', true)::bigint);
-- found
create policy p on docs for select to app_user using (tenant_id = (current_setting('app.t', true))::int8);

-- case json operators
create policy p on docs for select to app_user using ((meta ->> 'a') = 'b');
-- found
create policy p on docs for select to app_user using (meta ->> 'a' = 'b'::text);

-- case an array's literal
create policy p on docs for select to app_user using (tags @> array['a']);
-- found
create policy p on docs for select to app_user using (tags @> array['a']::text[]);

-- case case
create policy p on docs for select to app_user using (case when hidden then false else true end);
-- found
create policy p on docs for select to app_user using (CASE WHEN hidden THEN false ELSE true END);

-- case current user
create policy p on docs for select to app_user using (body = current_user);
-- found
create policy p on docs for select to app_user using (body = CURRENT_USER);

-- case another name
create policy p on docs for select to app_user using (hidden);
-- found
create policy q on docs for select to app_user using (hidden);

-- case an omitted check
create policy p on docs for all to app_user using (tenant_id = 1);
-- found
create policy p on docs for all to app_user using (tenant_id = 1) with check (tenant_id = 1);

-- case the order of roles
create policy p on docs to app_user, app_admin using (hidden);
-- found
create policy p on docs to app_admin, app_user using (hidden);

-- case no role and public
create policy p on docs using (hidden);
-- found
create policy p on docs to public using (hidden);

-- case all and each command
create policy p on docs to app_user using (tenant_id = 1);
-- found
create policy a on docs for select to app_user using (tenant_id = 1); create policy b on docs for insert to app_user with check (tenant_id = 1); create policy c on docs for update to app_user using (tenant_id = 1); create policy d on docs for delete to app_user using (tenant_id = 1);

-- case one policy of two roles and two
create policy p on docs for select to app_user, app_admin using (hidden);
-- found
create policy p on docs for select to app_user using (hidden); create policy q on docs for select to app_admin using (hidden);

-- case or in one and two policies
create policy p on docs for select to app_user using (hidden or tenant_id = 1);
-- found
create policy p on docs for select to app_user using (hidden); create policy q on docs for select to app_user using (tenant_id = 1);

-- case permissive said and not
create policy p on docs for select to app_user using (hidden);
-- found
create policy p on docs as permissive for select to app_user using (hidden);

-- case a policy that admits nothing
create policy p on docs for select to app_user using (hidden);
-- found
create policy p on docs for select to app_user using (hidden); create policy q on docs for insert to app_user;

-- case a guard that keeps nothing out
create policy p on docs for select to app_user using (hidden);
-- found
create policy p on docs for select to app_user using (hidden); create policy g on docs as restrictive to app_user using (true);

-- case a column of a granted table
create policy p on docs for select to app_user using (hidden);
-- found
create policy p on docs for select to app_user using (hidden); grant select (id) on docs to app_user;
