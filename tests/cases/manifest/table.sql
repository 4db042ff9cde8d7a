create schema app; comment on schema app is 'of the house';
create type colour as enum ('red', 'it''s', 'green');
create domain email as text check (value ~ '@');
create table tenants (id uuid primary key);
create table orders (
  id uuid primary key default gen_random_uuid(),
  tenant_id uuid not null references tenants on delete cascade,
  email email not null,
  colour colour default 'red',
  total numeric(10, 2) constraint positive check (total > 0),
  twice numeric generated always as (total * 2) stored,
  constraint orders_pair unique (tenant_id, email)
) with (fillfactor = 70);
comment on table orders is 'What was bought';
comment on column orders.email is 'where it''s sent';
create table app.parents (id uuid primary key references orders, note text);
alter table orders add constraint orders_parent foreign key (id) references app.parents;
create statistics app.pair on id, note from app.parents;
create index orders_email_idx on orders (lower(email)) where total > 5;
create unique index orders_one on orders (tenant_id) include (total);
create index orders_tags on orders using hash (colour);
create function app.touch() returns trigger language plpgsql as $$
begin
  return new;
end $$;
create trigger touch before update of total, email on orders for each row when (old.total > 0) execute function app.touch();
alter table orders enable row level security, force row level security;
alter table orders replica identity full;
create policy mine on orders for select to current_user using (tenant_id is not null);
grant select, update (email) on orders to public;
grant insert on orders to pg_monitor with grant option;
create view seen with (security_barrier = true) as select id from orders;
comment on view seen is 'for eyes';
