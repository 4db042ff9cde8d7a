//! Manifests settled on a real server: what they declare is there, what is wrong is named at its line.

use af_db::catalog::{Catalog, Scope};
use af_db::event::silent;
use af_db::manifest::settle::{Settled, settle};
use af_db::manifest::{Manifest, read_file};

use crate::support::server;

async fn settled(text: &str) -> Settled {
    let manifest = Manifest {
        files: vec![read_file("schemas/x.yaml", text).unwrap()],
        ..Manifest::default()
    };
    let database = server::database().await;
    let session = database.session().await;
    settle(&manifest, &session, &Scope::whole(), &silent)
        .await
        .unwrap()
}

/// Settles a manifest and a script, which must say the same.
async fn same(manifest: &str, sql: &str) {
    let declared = settled(manifest).await;
    assert_eq!(declared.findings, Vec::new());
    let database = server::database().await;
    database.run(sql).await;
    let session = database.session().await;
    let written: Catalog = af_db::catalog::read::read(&session, &Scope::whole())
        .await
        .unwrap();
    for (key, object) in &written.objects {
        assert_eq!(declared.catalog.get(key), Some(object), "{key}");
    }
    assert_eq!(declared.catalog.objects.len(), written.objects.len());
}

async fn refused(text: &str) -> String {
    let settled = settled(text).await;
    let lines: Vec<String> = settled
        .findings
        .iter()
        .map(|finding| {
            let place = finding.place.as_ref().unwrap();
            let help = finding
                .help
                .as_deref()
                .map(|help| format!(" ({help})"))
                .unwrap_or_default();
            format!("{place}: {}: {}{help}", finding.subject, finding.message)
        })
        .collect();
    lines.join("\n")
}

#[tokio::test]
async fn a_table_says_everything_in_lines() {
    same(
        "
schemas:
  app: { comment: of the house }
enums: { public.colour: [red, 'it''s', green] }
domains: { email: text check (value ~ '@') }
tables:
  orders:
    comment: What was bought
    columns:
      id: uuid primary key default gen_random_uuid()
      tenant_id: uuid not null references tenants on delete cascade
      email: { is: email not null, comment: \"where it's sent\" }
      colour: colour default 'red'
      total: numeric(10, 2) constraint positive check (total > 0)
      twice: numeric generated always as (total * 2) stored
    constraints:
      orders_pair: unique (tenant_id, email)
      orders_parent: foreign key (id) references app.parents
    indexes:
      orders_email_idx: (lower(email)) where total > 5
      orders_one: unique (tenant_id) include (total)
      orders_tags: using hash (colour)
    triggers:
      touch: before update of total, email for each row when (old.total > 0) execute function app.touch()
    row-level-security: forced
    policies:
      mine: for select to current_user using (tenant_id is not null)
    grants:
      public: select, update (email)
      pg_monitor: insert with grant option
    with: fillfactor = 70
    replica-identity: full
  tenants:
    columns: { id: uuid primary key }
  app.parents:
    columns: { id: uuid primary key references orders, note: text }
    sql: create statistics app.pair on id, note from app.parents
sql: |
  create function app.touch() returns trigger language plpgsql as $$
  begin
    return new;
  end $$;
views:
  seen: { is: select id from orders, with: security_barrier = true, comment: for eyes }
",
        "
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
",
    )
    .await;
}

#[tokio::test]
async fn partitions_follow_their_parent() {
    same(
        "
tables:
  a_first_january:
    partition-of: logs for values from ('2026-01-01') to ('2026-02-01')
  rest: { partition-of: logs default }
  logs:
    columns: { at: timestamptz not null, id: bigint generated always as identity }
    constraints: { logs_pkey: 'primary key (id, at)' }
    partition-by: range (at)
",
        "
create table logs (at timestamptz not null, id bigint generated always as identity, constraint logs_pkey primary key (id, at))
  partition by range (at);
create table a_first_january partition of logs for values from ('2026-01-01') to ('2026-02-01');
create table rest partition of logs default;
",
    )
    .await;
}

#[tokio::test]
async fn the_servers_refusal_is_named_at_its_line() {
    let said = refused(
        "tables:
  orders:
    columns:
      id: uuid primary key
      tenant_id: uuid not null references tenant on delete cascade
    indexes:
      orders_total_idx: (totl)
      orders_id_idx:
        is: >-
          (id)
          where total
          > 5
  tenants:
    columns:
      id: uuidd primary key
  lines:
    columns:
      order_id: uuid references tenants
      price: numeric check (prise > 0)
sql: |
  create function nothing() returns int language sql as 'select 1';
  create function broken() returns wrongtype
    language sql as 'select 1';
",
    )
    .await;
    insta::assert_snapshot!(said, @"
    schemas/x.yaml:5:32: foreign key of public.orders.tenant_id: relation \"tenant\" does not exist (did you mean `tenants`?)
    schemas/x.yaml:7:7: index orders_total_idx: column \"totl\" does not exist
    schemas/x.yaml:10:22: index orders_id_idx: column \"total\" does not exist
    schemas/x.yaml:15:11: table public.tenants: type \"uuidd\" does not exist (did you mean `uuid`?)
    schemas/x.yaml:19:29: table public.lines: column \"prise\" does not exist (did you mean `price`?)
    schemas/x.yaml:22:1: CREATE FUNCTION: type \"wrongtype\" does not exist
    ");
}

#[tokio::test]
async fn hostile_names_are_only_names() {
    same(
        r#"
schemas: { 'Weird; schema': }
tables:
  'Weird; schema."a.b""c"':
    columns: { 'a"b': int, 'select': text, '🐘;': text, "new\nline": text }
    indexes: { 'in"dex': '("a""b")' }
"#,
        r#"
create schema "Weird; schema";
create table "Weird; schema"."a.b""c" ("a""b" int, "select" text, "🐘;" text, "new
line" text);
create index "in""dex" on "Weird; schema"."a.b""c" ("a""b");
"#,
    )
    .await;
}
