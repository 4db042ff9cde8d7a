//! A catalog says what the server says: all of it, whoever made it, and nothing of the server's own.

use af_db::catalog::{Catalog, Key, Kind, Scope, read};

use crate::support::server::{self, Database};

async fn read_all(database: &Database) -> Catalog {
    let session = database.session().await;
    read::read(&session, &Scope::whole())
        .await
        .expect("a catalog")
}

/// Gives the keys that are in exactly one of the two or differ.
fn differing(one: &Catalog, other: &Catalog) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    for (key, object) in &one.objects {
        if other.get(key) != Some(object) {
            keys.push(key.to_string());
        }
    }
    for key in other.objects.keys() {
        if one.get(key).is_none() {
            keys.push(key.to_string());
        }
    }
    keys
}

#[tokio::test]
async fn a_fresh_database_holds_public_and_plpgsql() {
    let database = server::database().await;
    let catalog = read_all(&database).await;
    let keys: Vec<String> = catalog.objects.keys().map(Key::to_string).collect();
    assert_eq!(keys, ["database", "schema public", "extension plpgsql"]);
}

#[tokio::test]
async fn what_is_the_same_reads_the_same() {
    let text = "CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a text COLLATE \"C\" DEFAULT 'x');
         CREATE INDEX ON t (lower(a)) WHERE id > 3;
         ALTER TABLE t ENABLE ROW LEVEL SECURITY;
         CREATE POLICY p ON t USING (a = current_user);
         CREATE VIEW v AS SELECT id, a FROM t;
         COMMENT ON COLUMN v.a IS 'hi';";
    let (one, other) = (server::database().await, server::database().await);
    one.run(text).await;
    other
        .run("CREATE TABLE gone (x int); DROP TABLE gone;")
        .await;
    other.run(text).await;
    let (one, other) = (read_all(&one).await, read_all(&other).await);
    assert_eq!(differing(&one, &other), Vec::<String>::new());
    assert_eq!(one, other);
    assert_eq!(one.fingerprint(), other.fingerprint());
    let table = Key::named(Kind::Table, "public", "t");
    let columns: Vec<&str> = one
        .columns(&table)
        .iter()
        .map(|(key, _)| &*key.part)
        .collect();
    assert_eq!(columns, ["id", "a"]);
    let view = Key::part(Kind::Column, "public", "v", "a");
    assert_eq!(
        one.get(&view).and_then(|column| column.comment.as_deref()),
        Some("hi")
    );
}

#[tokio::test]
async fn a_small_difference_is_seen() {
    const BASE: &str = "CREATE TABLE t (a int, b text); CREATE VIEW v AS SELECT a FROM t;
         CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';";
    let check = async |change: &str, expected: &[&str]| {
        let (one, other) = (server::database().await, server::database().await);
        one.run(BASE).await;
        other.run(BASE).await;
        other.run(change).await;
        let (one, other) = (read_all(&one).await, read_all(&other).await);
        assert_eq!(differing(&one, &other), expected, "{change}");
        assert_ne!(one, other);
        assert_ne!(one.fingerprint(), other.fingerprint());
    };
    check(
        "ALTER TABLE t ALTER b SET STORAGE EXTERNAL",
        &["column public.t.b"],
    )
    .await;
    check(
        "ALTER TABLE t ALTER b SET DEFAULT 'x'",
        &["default of column public.t.b"],
    )
    .await;
    check(
        "ALTER VIEW v SET (security_invoker = true)",
        &["view public.v"],
    )
    .await;
    check("GRANT SELECT (a) ON t TO PUBLIC", &["column public.t.a"]).await;
    check(
        "REVOKE EXECUTE ON FUNCTION f() FROM PUBLIC",
        &["function public.f()"],
    )
    .await;
    check("COMMENT ON FUNCTION f() IS 'hi'", &["function public.f()"]).await;
    check(
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        &["row-level security of public.t"],
    )
    .await;
    check("CREATE EXTENSION pg_trgm", &["extension pg_trgm"]).await;
}
