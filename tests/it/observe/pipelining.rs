//! Statements that are sent together, and what each of them is told to have done.

use super::support::{observe, told};
use crate::support::server;

const SCHEMA: &str = "
CREATE DOMAIN code AS uuid DEFAULT gen_random_uuid();
CREATE TABLE customers (id bigint PRIMARY KEY, note text);
CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, qty int);
CREATE TABLE doomed (id int);
CREATE TABLE letters (id int);
CREATE FUNCTION sweep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DROP TABLE IF EXISTS doomed;
    GRANT SELECT ON letters TO PUBLIC;
    RETURN new;
END $$;
CREATE TRIGGER sweeps AFTER INSERT ON letters FOR EACH ROW EXECUTE FUNCTION sweep();
";

/// None of them is waited for, although some write into the log of what is dropped, rewritten and granted.
const STATEMENTS: &[&str] = &[
    "COMMENT ON TABLE orders IS 'of a day'",
    "ALTER TABLE orders ADD COLUMN made_at timestamptz DEFAULT now()",
    "CREATE INDEX orders_qty ON orders (qty)",
    "ALTER TABLE orders ADD COLUMN number bigserial",
    "CREATE TABLE lines (id bigint PRIMARY KEY, order_id bigint)",
    "CREATE INDEX ON lines (order_id)",
    "ALTER TABLE customers ADD COLUMN code code",
    "INSERT INTO customers (id) VALUES (1)",
    "INSERT INTO letters VALUES (1)",
    "UPDATE orders SET qty = 1",
    "ALTER TABLE customers RENAME COLUMN note TO notes",
    "ALTER TABLE orders RENAME TO purchases",
    "CREATE VIEW v AS SELECT id FROM purchases",
    "ALTER TABLE customers ENABLE ROW LEVEL SECURITY",
    "CREATE INDEX purchases_customer ON purchases (customer_id)",
    "ALTER TABLE purchases ADD COLUMN token uuid DEFAULT gen_random_uuid()",
    "COMMENT ON COLUMN customers.notes IS 'by hand'",
    "LOCK TABLE customers",
    "INSERT INTO purchases (id) VALUES (1)",
];

async fn observed(text: &str) -> Vec<String> {
    let database = server::database().await;
    database.run(SCHEMA).await;
    let observation = observe(&database, text).await;
    assert!(observation.failed().is_none(), "{observation:#?}");
    observation.statements.iter().map(told).collect()
}

#[tokio::test]
async fn pipelined_statements_have_the_same_observations() {
    let together = observed(&STATEMENTS.join(";\n")).await;
    // A savepoint is waited for, and so is what stands behind it.
    let apart: Vec<String> = STATEMENTS
        .iter()
        .map(|statement| format!("{statement};\nSAVEPOINT here"))
        .collect();
    let apart = observed(&apart.join(";\n")).await;
    let apart: Vec<String> = apart.into_iter().step_by(2).collect();
    assert_eq!(together, apart);
    let sweeps = STATEMENTS.iter().position(|it| it.contains("letters"));
    let told = &together[sweeps.unwrap()];
    assert!(told.contains("drop table public.doomed lost"), "{told}");
    assert!(
        told.contains("+public.letters: PUBLIC may SELECT"),
        "{told}"
    );
    let rewritten = together.iter().filter(|it| it.contains("Rewritten"));
    assert_eq!(rewritten.count(), 3, "{together:#?}");
}

#[tokio::test]
async fn the_last_statements_of_a_file_are_observed_before_it_ends() {
    let told = observed("COMMENT ON TABLE orders IS 'x'; INSERT INTO letters VALUES (1)").await;
    assert!(
        told[1].contains("drop table public.doomed lost"),
        "{told:?}"
    );
    assert!(
        told[1].contains("+public.letters: PUBLIC may SELECT"),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_failure_keeps_earlier_observations() {
    let database = server::database().await;
    database.run(SCHEMA).await;
    let text = "ALTER TABLE orders ADD COLUMN number bigserial; COMMENT ON TABLE orders IS 'x';
                ALTER TABLE customers ADD COLUMN a no_such_type; COMMENT ON TABLE customers IS 'x'";
    let observation = observe(&database, text).await;
    let statements = &observation.statements;
    assert_eq!(statements.len(), 3, "{observation:#?}");
    let failed = statements[2].failed.as_ref().unwrap();
    assert_eq!(failed.sqlstate, "42704");
    assert_eq!(&text[failed.offset.unwrap()..][..7], "no_such");
    assert!(
        told(&statements[0]).contains("Rewritten public.orders"),
        "{observation:#?}"
    );
    assert!(
        !told(&statements[0]).contains("Truncated"),
        "{observation:#?}"
    );
}
