//! Down migrations: those that do not restore the schema are refused, with the object named.

use super::said;
use crate::support::project::Project;
use crate::support::server;

/// An up migration, a down migration, and the object that is not restored, if any.
const WAYS: &[(&str, &str, Option<&str>)] = &[
    // Ten that restore wrongly, each in its own way.
    (
        "ALTER TABLE t ALTER a DROP DEFAULT",
        "SELECT 1",
        Some("column public.t.a"),
    ),
    (
        "COMMENT ON TABLE t IS NULL",
        "SELECT 1",
        Some("table public.t"),
    ),
    (
        "REVOKE SELECT ON t FROM reader",
        "SELECT 1",
        Some("table public.t"),
    ),
    (
        "DROP POLICY p ON t",
        "SELECT 1",
        Some("policy p on public.t"),
    ),
    (
        // Made again whole, so the order is nobody's but the author's.
        "DROP TABLE ordered",
        "CREATE TABLE ordered (b int, a int GENERATED ALWAYS AS (7) STORED)",
        Some("table public.ordered"),
    ),
    ("DROP INDEX i", "SELECT 1", Some("index public.i")),
    (
        "ALTER TYPE e ADD VALUE 'z'",
        "SELECT 1",
        Some("type public.e"),
    ),
    (
        "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2'",
        "SELECT 1",
        Some("function public.f()"),
    ),
    (
        "ALTER SEQUENCE s OWNED BY NONE",
        "SELECT 1",
        Some("sequence public.s"),
    ),
    (
        "DELETE FROM t WHERE a > 1",
        "SELECT 1",
        Some("rows of public.t"),
    ),
    // Twenty that restore.
    (
        "ALTER TABLE t ADD COLUMN n int",
        "ALTER TABLE t DROP COLUMN n",
        None,
    ),
    ("CREATE TABLE u (id int)", "DROP TABLE u", None),
    ("DROP INDEX i", "CREATE INDEX i ON t (a)", None),
    (
        "ALTER TABLE t RENAME COLUMN a TO z",
        "ALTER TABLE t RENAME COLUMN z TO a",
        None,
    ),
    (
        "COMMENT ON TABLE t IS 'other'",
        "COMMENT ON TABLE t IS 'words'",
        None,
    ),
    (
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE t DISABLE ROW LEVEL SECURITY",
        None,
    ),
    ("CREATE VIEW v AS SELECT * FROM t", "DROP VIEW v", None),
    (
        "GRANT INSERT ON t TO reader",
        "REVOKE INSERT ON t FROM reader",
        None,
    ),
    (
        // A column that is added again can only come last; the values of this one come back with it.
        "ALTER TABLE ordered DROP COLUMN a",
        "ALTER TABLE ordered ADD COLUMN a int GENERATED ALWAYS AS (7) STORED",
        None,
    ),
    (
        "ALTER TABLE t ALTER a SET DEFAULT 2",
        "ALTER TABLE t ALTER a SET DEFAULT 1",
        None,
    ),
    (
        "ALTER TABLE t ALTER b TYPE bigint",
        "ALTER TABLE t ALTER b TYPE int",
        None,
    ),
    (
        "ALTER TABLE t ADD CONSTRAINT positive CHECK (id > -1000) NOT VALID",
        "ALTER TABLE t DROP CONSTRAINT positive",
        None,
    ),
    (
        "DROP POLICY p ON t",
        "CREATE POLICY p ON t USING (true)",
        None,
    ),
    (
        "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2'",
        "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        None,
    ),
    (
        "ALTER SEQUENCE s OWNED BY NONE",
        "ALTER SEQUENCE s OWNED BY t.id",
        None,
    ),
    ("CREATE SCHEMA extra", "DROP SCHEMA extra", None),
    ("CREATE TYPE mood AS ENUM ('ok')", "DROP TYPE mood", None),
    (
        "ALTER TABLE t RENAME TO tt",
        "ALTER TABLE tt RENAME TO t",
        None,
    ),
    (
        "CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION g()",
        "DROP TRIGGER g ON t; DROP FUNCTION g()",
        None,
    ),
    (
        "ALTER TABLE t ALTER a SET STATISTICS 200",
        "ALTER TABLE t ALTER a SET STATISTICS -1",
        None,
    ),
];

#[tokio::test]
async fn irreversible_down_migrations_are_refused_with_the_object_named() {
    // Roles belong to the whole server, so each way has the server's one.
    let base = "DO $$ BEGIN CREATE ROLE reader; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
        CREATE TYPE e AS ENUM ('x', 'y');
        CREATE TABLE t (id int PRIMARY KEY, a int DEFAULT 1, b int DEFAULT 5, kind e);
        CREATE TABLE ordered (a int GENERATED ALWAYS AS (7) STORED, b int);
        COMMENT ON TABLE t IS 'words';
        CREATE INDEX i ON t (a);
        CREATE SEQUENCE s OWNED BY t.id;
        CREATE POLICY p ON t USING (true);
        GRANT SELECT ON t TO reader;
        CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';";
    let wrong = WAYS.iter().filter(|(.., lost)| lost.is_some()).count();
    assert_eq!((wrong, WAYS.len()), (10, 30));
    for (up, down, lost) in WAYS {
        let database = server::database().await;
        let project = Project::of(&database.target);
        project.write("migrations/V1__base.sql", base);
        project.write("migrations/V2__way.sql", up);
        project.write("migrations/V2__way.down.sql", down);
        project.run(&["up"]).await.ok();
        let ran = project.run(&["down", "--yes", "--json"]).await;
        let Some(lost) = lost else {
            assert_eq!(ran.status, 0, "{up}: {}", ran.seen());
            continue;
        };
        assert_eq!(ran.status, 4, "{up}: {}", ran.seen());
        assert!(
            said(&ran).iter().any(|said| said.contains(lost)),
            "{up}: {:?}",
            said(&ran)
        );
        assert_eq!(
            database
                .one("SELECT max(version) FROM refinery_schema_history")
                .await,
            "2",
            "nothing was reverted"
        );
        let accepted: Vec<String> = said(&ran)
            .into_iter()
            .filter_map(|said| Some(said.split_once(' ')?.1.to_owned()))
            .collect();
        let mut arguments = vec!["down", "--yes"];
        for object in &accepted {
            arguments.extend(["--accept-loss", object]);
        }
        project.run(&arguments).await.ok();
    }
}

#[tokio::test]
async fn a_column_whose_values_are_lost_is_refused() {
    let database = server::database().await;
    let project = Project::of(&database.target);
    project.write(
        "migrations/V1__base.sql",
        "CREATE TABLE t (id int PRIMARY KEY, b int DEFAULT 5);",
    );
    project.write("migrations/V2__way.sql", "ALTER TABLE t DROP COLUMN b");
    project.write(
        "migrations/V2__way.down.sql",
        "ALTER TABLE t ADD COLUMN b int DEFAULT 5",
    );
    project.run(&["up"]).await.ok();
    let ran = project.run(&["down", "--yes", "--json"]).await;
    assert_eq!(ran.status, 4, "{}", ran.seen());
    assert_eq!(said(&ran), ["rollback-rows rows of public.t"]);
}
