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

#[tokio::test]
async fn a_catalog_that_changes_while_it_is_read_is_read_all_the_same() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let database = server::database().await;
    database
        .run("CREATE TABLE stays (id int PRIMARY KEY); CREATE VIEW v AS SELECT id FROM stays;")
        .await;
    let done = AtomicBool::new(false);
    let changes = async {
        let session = database.session().await;
        let mut rounds = 0;
        while !done.load(Ordering::Relaxed) {
            server::rows(
                &session,
                "CREATE TABLE passes (a int CHECK (a > 0), b text DEFAULT 'x'); CREATE INDEX ON passes (lower(b));
                 CREATE VIEW through AS SELECT a FROM passes;
                 CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; ",
            )
            .await;
            server::rows(
                &session,
                "DROP FUNCTION f(); DROP VIEW through; DROP TABLE passes",
            )
            .await;
            rounds += 1;
        }
        rounds
    };
    let reads = async {
        let session = database.session().await;
        for _ in 0..40 {
            let catalog = read::read(&session, &Scope::whole())
                .await
                .expect("a catalog");
            let stays = Key::named(Kind::View, "public", "v");
            assert!(catalog.get(&stays).is_some());
        }
        done.store(true, Ordering::Relaxed);
    };
    let (rounds, ()) = tokio::join!(changes, reads);
    assert!(rounds > 0, "nothing changed while it was read");
}

#[tokio::test]
async fn a_role_without_rights_reads_the_same_and_says_what_it_could_not_see() {
    let server = server::own(None).await;
    let database = server.database().await;
    database
        .run(
            "CREATE ROLE nobody LOGIN;
             CREATE SCHEMA hidden;
             CREATE TABLE hidden.t (id int PRIMARY KEY, note text DEFAULT 'x' CHECK (note <> ''));
             CREATE VIEW hidden.v AS SELECT id FROM hidden.t;
             CREATE FUNCTION hidden.f(a hidden.t) RETURNS int LANGUAGE sql AS 'SELECT 1';
             ALTER TABLE hidden.t ENABLE ROW LEVEL SECURITY;
             CREATE POLICY p ON hidden.t USING (note = CURRENT_USER);
             REVOKE ALL ON SCHEMA hidden, public FROM PUBLIC;
             REVOKE EXECUTE ON FUNCTION hidden.f FROM PUBLIC;",
        )
        .await;
    let whole = read_all(&database).await;
    let session = database.session_as("nobody").await;
    let seen = read::read(&session, &Scope::whole())
        .await
        .expect("a catalog");
    assert_eq!(differing(&whole, &seen), Vec::<String>::new());
    assert_eq!(whole.unseen, Vec::<String>::new());
    assert_eq!(
        seen.unseen,
        ["subscriptions and user mapping options (need superuser)"]
    );
}

#[tokio::test]
async fn hostile_names_are_read_and_changed_as_any_other() {
    let long = "n".repeat(63);
    let names = [
        "a\"b",
        "a'b",
        "line\nbreak",
        "semi;colon",
        "--",
        "/*",
        "select",
        "table",
        "ö🦀",
        "$$",
        " ",
        "a.b",
        "Ab",
        &long,
    ];
    let quoted = |name: &str| af_db::sql::name::Ident::new(name).to_string();
    let mut sql = String::new();
    for name in names {
        let kept: String = name.chars().take(60).collect();
        let table = quoted(&format!("{kept};t"));
        let name = quoted(name);
        sql.push_str(&format!(
            "CREATE SCHEMA {name};
             CREATE TYPE {name}.{name} AS ENUM ('a', 'it''s');
             CREATE TABLE {name}.{table} ({name} int PRIMARY KEY, b {name}.{name} DEFAULT 'it''s' CONSTRAINT {name} CHECK (b <> 'a'));
             CREATE INDEX {name} ON {name}.{table} (b);
             ALTER TABLE {name}.{table} ENABLE ROW LEVEL SECURITY;
             CREATE POLICY {name} ON {name}.{table} USING ({name} > 0);
             CREATE FUNCTION {name}.{name}({name} int) RETURNS int LANGUAGE sql AS 'SELECT 1';
             COMMENT ON TABLE {name}.{table} IS {};\n",
            af_db::sql::name::Literal::new(&name)
        ));
    }
    let (empty, full) = (server::database().await, server::database().await);
    full.run(&sql).await;
    let (from, to) = (read_all(&empty).await, read_all(&full).await);
    let options = af_db::diff::ddl::Options {
        column_order: true,
        online: false,
    };
    for (from, to) in [(&from, &to), (&to, &from)] {
        let session = empty.session().await;
        for statement in af_db::diff::ddl::statements(from, to, &options) {
            if let Some(what) = &statement.destroys {
                assert!(!what.contains(['\n', '\r']), "{what:?}");
            }
            session.run(&statement.sql).await.expect("it runs");
        }
        assert_eq!(differing(&read_all(&empty).await, to), Vec::<String>::new());
    }
}
