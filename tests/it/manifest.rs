//! Manifests settled on a real server: what they declare is there, what is wrong is named at its line.

use std::collections::BTreeMap;

use af_db::catalog::{Catalog, Scope};
use af_db::diff;
use af_db::event::silent;
use af_db::manifest::settle::{Settled, settle};
use af_db::manifest::{self, Manifest, compare, generate, read_file, write};
use af_db::pg::session::Session;
use af_db::sql::safe::Sql;
use af_db::sql::split::split;

use crate::support::server;

async fn settled(text: &str) -> Settled {
    let manifest = Manifest {
        files: vec![read_file("schemas/x.yaml", text).expect("a readable manifest")],
        ..Manifest::default()
    };
    let database = server::database().await;
    let session = database.session().await;
    settle(&manifest, &session, &Scope::whole(), &silent)
        .await
        .expect("a settled manifest")
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
        .expect("a catalog");
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
            let place = finding.place.as_ref().expect("a refusal has its place");
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
        include_str!("../cases/manifest/table.yaml"),
        include_str!("../cases/manifest/table.sql"),
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

/// Writes what a script makes, settles what was written, and finds no difference; gives the files.
async fn written(sql: &str) -> BTreeMap<String, String> {
    let database = server::database().await;
    let session = database.session().await;
    for statement in split(sql) {
        let text = Sql::written_by_user(statement.text);
        session
            .run(&text)
            .await
            .unwrap_or_else(|error| panic!("{error:#}\n{}", statement.text));
    }
    let catalog = catalog_of(&session).await;
    let files = write::write(&catalog);
    let texts = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()));
    let manifest =
        manifest::of_texts(texts).unwrap_or_else(|error| panic!("{error:#}\n{files:#?}"));
    let database = server::database().await;
    let session = database.session().await;
    let settled = settle(&manifest, &session, &Scope::whole(), &silent)
        .await
        .expect("a settled manifest");
    assert_eq!(settled.findings, Vec::new(), "{files:#?}");
    let changes = diff::between(&catalog, &settled.catalog);
    assert_eq!(changes, Vec::new(), "{files:#?}");
    assert_eq!(
        write::write(&settled.catalog),
        files,
        "writing again gives the same files"
    );
    files
}

async fn catalog_of(session: &Session) -> Catalog {
    af_db::catalog::read::read(session, &Scope::whole())
        .await
        .expect("a catalog")
}

#[tokio::test]
async fn a_table_is_written_in_lines() {
    let files = written(include_str!("../cases/manifest/written.sql")).await;
    assert_eq!(
        files["lines-2.yaml"],
        include_str!("../cases/manifest/written.yaml")
    );
    assert_eq!(
        files["database.yaml"],
        include_str!("../cases/manifest/written_database.yaml")
    );
}

/// Everything in the database that lines cannot say is left to SQL, and comes back.
#[tokio::test]
async fn what_lines_cannot_say_comes_back() {
    let files = written(include_str!("../cases/manifest/rest.sql")).await;
    assert!(
        files.contains_key("functions.sql")
            && files.contains_key("views.sql")
            && files.contains_key("rest.sql")
    );
}

#[tokio::test]
async fn the_reference_project_comes_back() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut migrations = af_db::migrate::files::list(&folder, "migrations")
        .expect("the migrations")
        .migrations;
    migrations.sort_by_key(|migration| migration.version);
    let script: Vec<String> = migrations
        .iter()
        .map(|migration| migration.up.text.to_string())
        .collect();
    let files = written(&script.join(";\n")).await;
    assert!(
        files["projects.yaml"]
            .contains("      tenant_id: uuid not null references tenants on delete cascade\n")
    );
}

/// Makes the migrations from a script to a manifest, which must lead there and back by themselves.
async fn generated(sql: &str, text: &str) -> Vec<generate::Part> {
    let manifest = manifest::of_texts([("schemas/x.yaml", text)]).expect("a readable manifest");
    let scope = Scope::whole();
    let there = server::database().await;
    let declared = settle(&manifest, &there.session().await, &scope, &silent)
        .await
        .expect("a settled manifest");
    assert_eq!(declared.findings, Vec::new());
    let database = server::database().await;
    database.run(sql).await;
    let session = database.session().await;
    let parts = generate::generate(&session, &manifest, &declared.catalog, &scope).await;
    let parts = parts.unwrap_or_else(|error| panic!("{error:#}"));
    let pair = compare::comparable(&manifest, &declared.catalog, &catalog_of(&session).await);
    assert_eq!(diff::between(&pair.actual, &pair.declared), Vec::new());
    let again = generate::generate(&session, &manifest, &declared.catalog, &scope)
        .await
        .expect("nothing to do");
    assert_eq!(again, Vec::new(), "planning again is empty");
    parts
}

#[tokio::test]
async fn migrations_are_made_from_the_manifest() {
    let parts = generated(
        "create table tenants (id uuid primary key);
         create table orders (id uuid primary key, tenant_id uuid not null references tenants, kind text, old int, note varchar(5));
         create index orders_kind_idx on orders (kind);
         alter table orders enable row level security;
         create policy mine on orders for select to pg_monitor using (kind = 'a');
         grant select on orders to pg_monitor;
         create view seen as select id, kind from orders;",
        "
tables:
  tenants: { columns: { id: uuid primary key } }
  purchases:
    renamed-from: orders
    columns:
      id: uuid primary key
      tenant_id: uuid not null references tenants
      purchase_kind: { is: text not null, renamed-from: kind }
      note: text
    constraints:
      purchases_pkey: { is: primary key (id), renamed-from: orders_pkey }
      purchases_tenant_id_fkey: { is: foreign key (tenant_id) references tenants, renamed-from: orders_tenant_id_fkey }
    indexes:
      purchases_kind_idx: { is: (purchase_kind), renamed-from: orders_kind_idx }
      purchases_tenant_id_idx: (tenant_id)
    row-level-security: enabled
  lines:
    columns: { id: bigint primary key, purchase_id: uuid not null references purchases }
    indexes: { lines_purchase_id_idx: (purchase_id) }
views:
  seen: { is: 'select id, purchase_kind as kind from purchases' }
"
        .replace("      id: uuid primary key\n      tenant_id: uuid not null references tenants\n", "      id: uuid not null\n      tenant_id: uuid not null\n")
        .as_str(),
    )
    .await;
    let texts: Vec<String> = parts
        .iter()
        .map(|part| format!("{}~~ back\n{}", part.up, part.down))
        .collect();
    assert_eq!(
        texts.join("==\n"),
        include_str!("../cases/manifest/generated.sql")
    );
    let destroyed: Vec<&String> = parts.iter().flat_map(|part| &part.destroys).collect();
    assert_eq!(destroyed, ["the values of public.purchases.old"]);
}

async fn generates(sql: &str, text: &str, expected: &str) {
    let parts = generated(sql, text).await;
    let texts: Vec<String> = parts
        .iter()
        .map(|part| format!("{}~~ back\n{}", part.up, part.down))
        .collect();
    assert_eq!(texts.join("==\n"), expected.trim_start());
}

#[tokio::test]
async fn checks_are_looked_at_while_others_write() {
    generates(
        "create table orders (id bigint primary key, total numeric)",
        "
tables:
  orders:
    columns: { id: bigint primary key, total: numeric not null check (total > 0) }
    indexes: { orders_total_idx: (total) }
",
        "
-- af-db: no-transaction
ALTER TABLE public.orders ADD CONSTRAINT total_not_null CHECK (total IS NOT NULL) NOT VALID;
ALTER TABLE public.orders VALIDATE CONSTRAINT total_not_null;
ALTER TABLE public.orders ALTER COLUMN total SET NOT NULL;
ALTER TABLE public.orders DROP CONSTRAINT total_not_null;
ALTER TABLE public.orders ADD CONSTRAINT orders_total_check CHECK ((total > (0)::numeric)) NOT VALID;
ALTER TABLE public.orders VALIDATE CONSTRAINT orders_total_check;
CREATE INDEX CONCURRENTLY orders_total_idx ON public.orders USING btree (total);
~~ back
ALTER TABLE public.orders DROP CONSTRAINT orders_total_check;
DROP INDEX public.orders_total_idx;
ALTER TABLE public.orders ALTER COLUMN total DROP NOT NULL;
",
    )
    .await;
}

#[tokio::test]
async fn a_new_table_holds_nobody_up_and_what_refers_to_it_is_looked_at_behind_it() {
    generates(
        "create table orders (id bigint primary key, customer_id bigint, code text)",
        "
tables:
  customers: { columns: { id: bigint primary key } }
  orders:
    columns:
      id: bigint primary key
      customer_id: bigint references customers
      code: text unique
",
        "
CREATE TABLE public.customers (
    id bigint NOT NULL
);
ALTER TABLE ONLY public.customers ADD CONSTRAINT customers_pkey PRIMARY KEY (id);
ALTER TABLE public.orders ADD CONSTRAINT orders_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id) NOT VALID;
~~ back
ALTER TABLE public.orders DROP CONSTRAINT orders_customer_id_fkey;
-- destroys the rows of public.customers
DROP TABLE public.customers;
==
-- af-db: no-transaction
CREATE UNIQUE INDEX CONCURRENTLY orders_code_key ON public.orders (code);
ALTER TABLE public.orders ADD CONSTRAINT orders_code_key UNIQUE USING INDEX orders_code_key;
ALTER TABLE public.orders VALIDATE CONSTRAINT orders_customer_id_fkey;
~~ back
ALTER TABLE public.orders DROP CONSTRAINT orders_code_key;
ALTER TABLE public.orders DROP CONSTRAINT orders_customer_id_fkey;
ALTER TABLE public.orders ADD CONSTRAINT orders_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id) NOT VALID;
",
    )
    .await;
}

#[tokio::test]
async fn an_index_gives_way_when_its_successor_stands() {
    generates(
        "create table t (a int, b int); create index t_a on t (a); create index t_b on t (b)",
        "
tables:
  t: { columns: { a: int, b: int }, indexes: { t_a: '(a) where a > 0' } }
",
        "
-- af-db: no-transaction
DROP INDEX CONCURRENTLY public.t_b;
CREATE INDEX CONCURRENTLY \"t_a af-db new\" ON public.t USING btree (a) WHERE (a > 0);
DROP INDEX CONCURRENTLY public.t_a;
ALTER INDEX public.\"t_a af-db new\" RENAME TO t_a;
~~ back
-- af-db: no-transaction
CREATE INDEX CONCURRENTLY \"t_a af-db new\" ON public.t USING btree (a);
DROP INDEX CONCURRENTLY public.t_a;
ALTER INDEX public.\"t_a af-db new\" RENAME TO t_a;
CREATE INDEX CONCURRENTLY t_b ON public.t USING btree (b);
",
    )
    .await;
}

#[tokio::test]
async fn a_partial_manifest_leaves_the_rest_free() {
    let manifest =
        |text: &str| manifest::of_texts([("schemas/x.yaml", text)]).expect("a readable manifest");
    let wanted = "
only:
  tables:
    orders:
      columns: { tenant_id: uuid not null references tenants }
      indexes: { any_name: (tenant_id) }
      row-level-security: enabled
    tenants: { columns: { id: uuid primary key } }
";
    let check = async |sql: &str| {
        let manifest = manifest(wanted);
        let there = server::database().await;
        let declared = settle(&manifest, &there.session().await, &Scope::whole(), &silent)
            .await
            .expect("a settled manifest");
        assert_eq!(declared.findings, Vec::new());
        let database = server::database().await;
        database.run(sql).await;
        let actual = catalog_of(&database.session().await).await;
        let pair = compare::comparable(&manifest, &declared.catalog, &actual);
        let changes = diff::between(&pair.actual, &pair.declared);
        changes
            .iter()
            .map(|change| change.key.to_string())
            .collect::<Vec<_>>()
            .join("; ")
    };
    let whole = "
create table tenants (id uuid primary key, name text);
create table orders (id int, tenant_id uuid not null constraint other_name references tenants, total int check (total > 0));
create index orders_tenant on orders (tenant_id);
create index orders_total on orders (total);
alter table orders enable row level security, force row level security;
create policy mine on orders using (true);
create table elsewhere (a int);";
    assert_eq!(check(whole).await, "");
    let less = whole
        .replace("uuid not null constraint", "bigint constraint")
        .replace("references tenants", "check (true)")
        .replace("enable row level security, ", "");
    assert_eq!(
        check(&less.replace("create index orders_tenant on", "--")).await,
        "column public.orders.tenant_id; constraint orders_tenant_id_fkey on public.orders; index public.any_name; row-level security of public.orders"
    );
}
