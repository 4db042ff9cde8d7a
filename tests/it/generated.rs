//! Migrations made from a manifest: they lead there and back, hold nobody up, and rename only what a person says was renamed.

use af_db::catalog::{Scope, read};
use af_db::diff;
use af_db::event::silent;
use af_db::manifest::normalize::normalize;
use af_db::manifest::{self, compare, generate, rename_detection};

use crate::support::project::Project;
use crate::support::server;

/// Makes the migrations from a script to a manifest, which must lead there and back by themselves.
async fn generated(sql: &str, text: &str) -> Vec<generate::GeneratedMigration> {
    generated_asking(sql, text, &mut |_| Ok(None)).await
}

async fn generated_asking(
    sql: &str,
    text: &str,
    ask: rename_detection::AskRename<'_>,
) -> Vec<generate::GeneratedMigration> {
    let manifest = manifest::of_texts([("schemas/x.yaml", text)]).expect("a readable manifest");
    let scope = Scope::whole();
    let there = server::database().await;
    let declared = normalize(&manifest, &there.session().await, &scope, &silent)
        .await
        .expect("a settled manifest");
    assert_eq!(declared.findings, Vec::new());
    let database = server::database().await;
    database.run(sql).await;
    let session = database.session().await;
    let parts = generate::generate(&session, &manifest, &declared.catalog, &scope, ask).await;
    let parts = parts.unwrap_or_else(|error| panic!("{error:#}"));
    let pair = compare::comparable(
        &manifest,
        &declared.catalog,
        &read::read(&session, &scope).await.expect("a catalog"),
    );
    assert_eq!(diff::between(&pair.actual, &pair.declared), Vec::new());
    let mut nothing =
        |gone: &rename_detection::PossibleRename| panic!("{} is asked about", gone.key);
    let again = generate::generate(&session, &manifest, &declared.catalog, &scope, &mut nothing)
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

#[tokio::test]
async fn what_was_renamed_is_asked_and_takes_its_constraints_and_indexes_along() {
    let sql = "create table customers (id bigint primary key);
         create table orders (id bigint primary key, customer_id bigint references customers, kind text not null, note text);
         create index orders_kind_idx on orders (kind);
         insert into orders values (1, null, 'a', 'b');";
    let text = "
tables:
  customers: { columns: { id: bigint primary key } }
  purchases:
    columns:
      id: bigint primary key
      customer_id: bigint references customers
      sort: text not null
      note: text
    indexes: { purchases_sort_idx: (sort) }
";
    let mut asked = Vec::new();
    let parts = generated_asking(sql, text, &mut |gone| {
        let now: Vec<String> = gone.now.iter().map(ToString::to_string).collect();
        asked.push(format!("{}: {}?", gone.key, now.join(", ")));
        Ok(Some(0))
    })
    .await;
    assert_eq!(
        asked,
        [
            "table public.orders: table public.purchases?",
            "column public.purchases.kind: column public.purchases.sort?",
        ]
    );
    let ups: Vec<&str> = parts.iter().map(|part| part.up.as_str()).collect();
    assert_eq!(
        ups,
        ["ALTER TABLE public.orders RENAME TO purchases;
ALTER TABLE public.purchases RENAME COLUMN kind TO sort;
ALTER TABLE public.purchases RENAME CONSTRAINT orders_customer_id_fkey TO purchases_customer_id_fkey;
ALTER TABLE public.purchases RENAME CONSTRAINT orders_pkey TO purchases_pkey;
ALTER INDEX public.orders_kind_idx RENAME TO purchases_sort_idx;
"]
    );
    // Nobody who could say so: nothing is renamed on a guess, and what is lost is marked.
    let parts = generated(sql, text).await;
    let lost: Vec<&String> = parts.iter().flat_map(|part| &part.destroys).collect();
    assert_eq!(lost, ["the rows of public.orders"]);
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
async fn a_role_compares_what_it_has_no_rights_on_and_is_told_what_it_cannot_see() {
    let server = server::own(None).await;
    let (one, other) = (server.database().await, server.database().await);
    one.run("CREATE ROLE looker LOGIN").await;
    for database in [&one, &other] {
        database
            .run("CREATE SCHEMA hidden; CREATE TABLE hidden.t (a int)")
            .await;
    }
    let url = |database: &server::Database| {
        let project = Project::of(&database.target);
        let parts = project.url().split_whitespace().map(|part| {
            let is_user = part.starts_with("user=");
            if is_user { "user=looker" } else { part }
        });
        parts.collect::<Vec<_>>().join(" ")
    };
    let project = Project::without_database();
    let (from, to) = (url(&one), url(&other));
    let same = project.run(&["diff", &from, &to]).await;
    assert_eq!((same.status, same.stdout.as_str()), (0, ""), "{same:?}");
    let unseen = "subscriptions and user mapping options (need superuser)";
    assert!(
        same.stderr
            .contains(&format!("not checked (insufficient privileges): {unseen}")),
        "{same:?}"
    );
    let strict = project.run(&["diff", &from, &to, "--strict"]).await;
    assert_eq!(strict.status, 1, "{strict:?}");
    assert!(
        strict
            .stdout
            .contains(&format!("error[diff-unseen]: the databases: {unseen}")),
        "{strict:?}"
    );
    other.run("ALTER TABLE hidden.t ADD COLUMN b int").await;
    let differs = project.run(&["diff", &from, &to]).await;
    assert_eq!(
        differs.stdout, "ALTER TABLE hidden.t ADD COLUMN b integer;\n",
        "{differs:?}"
    );
}

#[tokio::test]
async fn what_a_page_tells_is_told_to_forges_too() {
    let database = server::database().await;
    let project = Project::of(&database.target);
    project.write("migrations/V1__a.sql", "CREATE TABLE a (id int);\n");
    let pending = ["status", "--check", "--format"];
    let told = |format| pending.into_iter().chain([format]).collect::<Vec<_>>();
    insta::assert_snapshot!(project.run(&told("github")).await.seen(), @"
    ::warning file=migrations/V1__a.sql,title=pending::migrations/V1__a.sql: not applied to postgres@HOST:PORT/DATABASE
    status 1
    ");
    let markdown = project.run(&told("markdown")).await;
    assert!(
        markdown
            .stdout
            .contains("| warn | pending | migrations/V1&#95;&#95;a.sql | not applied to "),
        "{markdown:?}"
    );
    let fine = project.run(&["status", "--format", "github"]).await.ok();
    assert_eq!(fine.stdout, "");

    project.write("a.sql", "CREATE TABLE a (id int);");
    project.write("b.sql", "CREATE TABLE a (id bigint, x text);");
    let differs = ["diff", "a.sql", "b.sql", "--format", "markdown"];
    insta::assert_snapshot!(project.run(&differs).await.seen(), @"
    ### af-db diff

    2 warnings

    | severity | code | object | finding | location |
    |---|---|---|---|---|
    | warn | diff | column public.a.id | a.sql and b.sql differ in type |  |
    | warn | diff | column public.a.x | found in b.sql, missing in a.sql |  |

    <details><summary>diff column public.a.id</summary>

    ```text
    type
      a.sql: integer
      b.sql: bigint
    ```

    </details>

    ```sql
    ALTER TABLE public.a ALTER COLUMN id TYPE bigint USING id::bigint;
    ALTER TABLE public.a ADD COLUMN x text;
    ```
    PostgreSQL VERSION
    status 1
    ");
    let same = project
        .run(&["diff", "a.sql", "a.sql", "--format", "markdown"])
        .await;
    insta::assert_snapshot!(same.seen(), @"
    ### af-db diff

    No findings.
    PostgreSQL VERSION
    status 0
    ");
}
