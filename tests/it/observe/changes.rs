//! What has changed since the last look, and only that.

use super::support::{observe, told};
use crate::support::server;

const SCHEMA: &str = "
CREATE TABLE customers (id bigint PRIMARY KEY);
CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint);
CREATE POLICY known ON orders USING (customer_id IN (SELECT id FROM customers));
CREATE VIEW v WITH (security_barrier) AS SELECT id FROM orders;
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
";

async fn check(text: &str, expected: &[&str]) {
    // Roles belong to the server.
    let server = server::own(None).await;
    let database = server.database().await;
    database.run(SCHEMA).await;
    let observation = observe(&database, text).await;
    let told: Vec<String> = observation.statements.iter().map(told).collect();
    assert_eq!(told, expected, "{text}\n{observation:#?}");
}

#[tokio::test]
async fn rolled_back_work_is_seen_although_nothing_counts_it() {
    check(
        "ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
         SAVEPOINT s;
         ALTER TABLE orders DISABLE ROW LEVEL SECURITY;
         ROLLBACK TO s;
         ALTER TABLE orders ALTER id SET DEFAULT 1;
         ALTER TABLE orders DISABLE ROW LEVEL SECURITY",
        &[
            "AccessExclusive public.orders; -public.orders: row-level security is on",
            "",
            "+public.orders: row-level security is off",
            "-public.orders: row-level security is on",
            "",
            "+public.orders: row-level security is off",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_table_that_takes_the_name_of_another_is_not_that_one() {
    check(
        "ALTER TABLE customers RENAME TO people;
         UPDATE people SET id = 1;
         DROP TABLE people;
         CREATE TABLE people (id bigint);
         INSERT INTO people VALUES (1)",
        &[
            "AccessExclusive public.customers",
            "scan public.customers; rows public.customers",
            "failed 2BP01",
        ],
    )
    .await;
    check(
        "DROP POLICY known ON orders;
         ALTER TABLE customers RENAME TO people;
         DROP TABLE people;
         CREATE TABLE people (id bigint);
         INSERT INTO people VALUES (1)",
        &[
            "AccessExclusive public.orders; drop policy known on public.orders; \
             -public.orders: no longer: permissive policy known for ALL to PUBLIC using \
             (customer_id IN ( SELECT customers.id\n   FROM public.customers))",
            "AccessExclusive public.customers",
            "drop table public.people lost",
            "",
            "",
        ],
    )
    .await;
}

#[tokio::test]
async fn only_changed_privileges_are_reported() {
    check(
        "SET search_path = '';
         GRANT SELECT ON public.orders TO PUBLIC;
         CREATE POLICY own ON public.orders USING (customer_id = 1);
         REVOKE SELECT ON TABLE public.orders FROM PUBLIC;
         GRANT UPDATE (id), SELECT (id) ON public.orders, public.customers TO PUBLIC;
         CREATE OR REPLACE VIEW public.v WITH (security_invoker) AS SELECT id FROM public.orders;
         CREATE OR REPLACE VIEW public.v AS SELECT id FROM public.orders;
         RESET search_path;
         DROP TABLE orders CASCADE",
        &[
            "",
            "+public.orders: PUBLIC may SELECT",
            "AccessExclusive public.orders; +public.orders: permissive policy own for ALL to PUBLIC using (customer_id = 1)",
            "-public.orders: no longer: PUBLIC may SELECT",
            "+public.customers.id: PUBLIC may SELECT; +public.customers.id: PUBLIC may UPDATE; \
             +public.orders.id: PUBLIC may SELECT; +public.orders.id: PUBLIC may UPDATE",
            "AccessExclusive public.v; -public.v: no longer: it reads with its owner's privileges",
            "+public.v: it reads with its owner's privileges",
            "",
            "drop table public.orders lost; drop view public.v cascaded; \
             -public.orders: no longer: permissive policy known for ALL to PUBLIC using \
             (customer_id IN ( SELECT customers.id\n   FROM public.customers)); \
             -public.orders: no longer: permissive policy own for ALL to PUBLIC using (customer_id = 1)",
        ],
    )
    .await;
}

#[tokio::test]
async fn privileges_that_no_text_names_are_seen() {
    check(
        "DO $$ BEGIN CREATE ROLE boss SUPERUSER; GRANT SELECT ON orders TO boss; END $$;
         DO $$ BEGIN ALTER ROLE boss NOSUPERUSER BYPASSRLS; END $$;
         GRANT boss TO pg_monitor;
         GRANT USAGE ON SCHEMA public TO boss;
         ALTER FUNCTION f() SECURITY DEFINER;
         DROP FUNCTION f();
         CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
         REVOKE ALL ON FUNCTION f() FROM PUBLIC;
         GRANT SELECT ON ALL TABLES IN SCHEMA public TO boss;
         ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO boss",
        &[
            "+public.orders: boss may SELECT; +role boss: it is a superuser",
            "-role boss: no longer: it is a superuser; +role boss: row-level security does not hold it",
            "",
            "+schema public: boss may USAGE",
            "+public.f(): it runs with its owner's privileges; \
             +public.f(): it runs with its owner's privileges and any search_path",
            "drop function public.f(); -public.f(): no longer: it runs with its owner's privileges and any search_path",
            "+public.f(): it runs with its owner's privileges and any search_path",
            "-public.f(): no longer: PUBLIC may EXECUTE",
            "+public.customers: boss may SELECT; +public.v: boss may SELECT",
            "+default privileges: boss may SELECT tables that postgres makes",
        ],
    )
    .await;
}
