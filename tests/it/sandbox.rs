//! Checking a project has no effects: whatever its SQL tries, no program runs, no file is written and no other server
//! is reached; what a project legitimately needs still works.

use std::path::PathBuf;

use af_db::error::hint_of;
use af_db::event::silent;
use af_db::pg::shadow_server;
use af_db::sql::external_access::ExternalAccess;

use crate::support::project::{CommandOutput, Project};
use crate::support::server::{self, Database};

/// Where effects would leave a trace.
struct Traces {
    folder: tempfile::TempDir,
    /// A server that must not be reached, with a table that must not be written.
    elsewhere: Database,
}

impl Traces {
    async fn new() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir_in("/var/tmp").expect("a folder");
        let open = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(folder.path(), open).expect("a folder for everybody");
        std::fs::write(folder.path().join("secret"), "the secret of this machine").expect("a file");
        let elsewhere = server::database().await;
        elsewhere.run("CREATE TABLE reached (by text)").await;
        Traces { folder, elsewhere }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Fills in where to leave a trace.
    fn fill(&self, sql: &str) -> String {
        let host = &self.elsewhere.target.hosts[0];
        let address = format!(
            "host={} port={} dbname={} user=postgres",
            host.name, host.port, self.elsewhere.name
        );
        sql.replace("FILE", &self.path("trace").display().to_string())
            .replace("SECRET", &self.path("secret").display().to_string())
            .replace("ADDRESS", &address)
    }

    async fn none(&self, what: &str) {
        let mut left = std::fs::read_dir(self.folder.path()).expect("the folder");
        let left = left.find(|entry| {
            entry
                .as_ref()
                .is_ok_and(|entry| entry.file_name() != "secret")
        });
        assert!(left.is_none(), "{what} left {left:?}");
        let reached = self.elsewhere.one("SELECT count(*) FROM reached").await;
        assert_eq!(reached, "0", "{what} reached another server");
    }
}

/// Attempts: a name, the rule that blocks it, the SQL.
const ACTS: [(&str, &str, &str); 19] = [
    (
        "program",
        "shadow-programs",
        "COPY (SELECT 1) TO PROGRAM 'touch FILE';",
    ),
    (
        "program read",
        "shadow-programs",
        "CREATE TABLE p (a text); COPY p FROM PROGRAM 'touch FILE; echo x';",
    ),
    (
        "program in a block",
        "shadow-programs",
        "DO $$ BEGIN EXECUTE 'COPY (SELECT 1) TO PRO' || 'GRAM ''touch FILE'''; END $$;",
    ),
    (
        "program in a default",
        "shadow-programs",
        "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $f$ BEGIN EXECUTE convert_from(decode('434f5059202853454c45435420312920544f2050524f4752414d2027746f7563682046494c4527', 'hex'), 'UTF8'); RETURN 1; END $f$; CREATE TABLE d (a int, b int DEFAULT f()); INSERT INTO d (a) VALUES (1);",
    ),
    (
        "program as another role",
        "shadow-programs",
        "CREATE ROLE runner; GRANT pg_execute_server_program TO runner; SET ROLE runner; COPY (SELECT 1) TO PROGRAM 'touch FILE';",
    ),
    ("file", "shadow-files", "COPY (SELECT 1) TO 'FILE';"),
    (
        "file in a block",
        "shadow-files",
        "DO $$ BEGIN EXECUTE 'COPY (SELECT 1) T' || 'O ' || quote_literal('FILE'); END $$;",
    ),
    (
        "large object",
        "shadow-files",
        "SELECT lo_from_bytea(77777, 'x'); SELECT lo_export(77777, 'FILE');",
    ),
    (
        "large object behind a name",
        "shadow-files",
        "CREATE FUNCTION harmless(oid, text) RETURNS int LANGUAGE internal AS 'be_lo_export'; SELECT lo_from_bytea(77777, 'x'); SELECT harmless(77777, 'FILE');",
    ),
    (
        "file read",
        "shadow-files",
        "SELECT pg_read_file('SECRET');",
    ),
    (
        "file copied in",
        "shadow-files",
        "CREATE TABLE r (a text); COPY r FROM 'SECRET';",
    ),
    (
        "environment of others",
        "shadow-files",
        "DO $$ DECLARE e text; BEGIN e := pg_read_file('/proc/self/environ'); RAISE EXCEPTION 'read %', e; END $$;",
    ),
    (
        "foreign file",
        "shadow-files",
        "CREATE EXTENSION file_fdw; CREATE SERVER s FOREIGN DATA WRAPPER file_fdw; CREATE FOREIGN TABLE t (a text) SERVER s OPTIONS (filename 'SECRET'); SELECT * FROM t;",
    ),
    (
        "foreign program",
        "shadow-programs",
        "CREATE EXTENSION file_fdw; CREATE SERVER s FOREIGN DATA WRAPPER file_fdw; CREATE FOREIGN TABLE t (a text) SERVER s OPTIONS (program 'touch FILE'); SELECT * FROM t;",
    ),
    (
        "dblink",
        "shadow-network",
        "CREATE EXTENSION dblink; SELECT dblink_exec('ADDRESS', 'INSERT INTO reached VALUES (1)');",
    ),
    (
        "dblink in a check",
        "shadow-network",
        "CREATE EXTENSION dblink; CREATE TABLE c (a text, CHECK (dblink_exec(a, 'INSERT INTO reached VALUES (1)') <> '')); INSERT INTO c VALUES ('ADDRESS');",
    ),
    (
        "dblink over TCP",
        "shadow-network",
        "CREATE EXTENSION dblink; SELECT dblink_connect('host=127.0.0.1 port=1 dbname=postgres');",
    ),
    (
        "foreign server",
        "shadow-network",
        "CREATE EXTENSION postgres_fdw; DO $$ DECLARE a text[] := regexp_split_to_array('ADDRESS', '[= ]'); BEGIN EXECUTE format('CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host %L, port %L, dbname %L)', a[2], a[4], a[6]); END $$; CREATE USER MAPPING FOR PUBLIC SERVER s OPTIONS (user 'postgres'); CREATE FOREIGN TABLE reached (by text) SERVER s OPTIONS (table_name 'reached'); INSERT INTO reached VALUES ('1');",
    ),
    (
        "subscription",
        "shadow-network",
        "CREATE SUBSCRIPTION s CONNECTION 'ADDRESS' PUBLICATION p WITH (create_slot = false, slot_name = NONE, enabled = false);",
    ),
];

fn refused(ran: &CommandOutput, rule: &str, what: &str) {
    assert_ne!(ran.status, 0, "{what}: {}", ran.seen());
    assert!(ran.seen().contains(rule), "{what}: {}", ran.seen());
    assert!(
        !ran.seen().contains("the secret of"),
        "{what}: {}",
        ran.seen()
    );
}

/// Fills in hexadecimal encoded parts as well.
fn hidden(traces: &Traces, sql: &str) -> String {
    let digits = |text: &str| {
        text.bytes()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let file = traces.path("trace").display().to_string();
    traces.fill(&sql.replace(&digits("FILE"), &digits(&file)))
}

#[tokio::test]
async fn planning_has_no_effects() {
    let traces = Traces::new().await;
    for (what, rule, sql) in ACTS {
        let database = server::database().await;
        let project = Project::of(&database.target);
        project.write("migrations/V1__act.sql", hidden(&traces, sql));
        let ran = project.run(&["plan"]).await;
        refused(&ran, rule, what);
        traces.none(what).await;
    }
}

#[tokio::test]
async fn read_only_commands_have_no_effects() {
    let traces = Traces::new().await;
    let act = hidden(&traces, ACTS[2].2);
    let database = server::database().await;
    let commands: [&[&str]; 5] = [
        &["validate"],
        &["diff", "migrations", "live"],
        &["manifest", "write"],
        &["diagram", "--source", "migrations"],
        &["new", "x", "--from-manifest"],
    ];
    for command in commands {
        let project = Project::of(&database.target);
        project.write("migrations/V1__act.sql", &act);
        project.write("schemas/public/t.yaml", "table: t\ncolumns:\n  - id: int\n");
        let ran = project.run(command).await;
        assert_ne!(ran.status, 0, "{command:?}: {}", ran.seen());
        traces.none(&format!("{command:?}")).await;
    }
    // A down migration, a file of the manifest, a file of SQL and the rows of a proof.
    let project = Project::of(&database.target);
    project.write("migrations/V1__t.sql", "CREATE TABLE t (a int);");
    project.write("migrations/V1__t.down.sql", format!("{act}\nDROP TABLE t;"));
    refused(&project.run(&["validate"]).await, ACTS[2].1, "down");
    traces.none("a down migration").await;
    project.run(&["up", "--yes"]).await.ok();
    refused(&project.run(&["down", "--yes"]).await, ACTS[2].1, "down");
    traces.none("the trial of a down migration").await;
    project.write("schemas/act.sql", &act);
    project.write("migrations/V1__t.down.sql", "DROP TABLE t;");
    refused(&project.run(&["validate"]).await, ACTS[2].1, "schemas");
    traces.none("the manifest").await;
    project.write("other.sql", &act);
    let ran = project.run(&["diff", "other.sql", "live"]).await;
    refused(&ran, ACTS[2].1, "a file of SQL");
    traces.none("a file of SQL").await;
}

#[tokio::test]
async fn legitimate_sql_is_not_blocked() {
    let own = server::own(None).await;
    let database = own.database().await;
    let project = Project::of(&database.target);
    project.write(
        "migrations/V1__all.sql",
        "CREATE EXTENSION pgcrypto; CREATE EXTENSION dblink; CREATE EXTENSION postgres_fdw; CREATE EXTENSION file_fdw;
         CREATE ROLE app NOLOGIN; CREATE ROLE owner NOLOGIN;
         CREATE TABLE t (id uuid DEFAULT gen_random_uuid(), h text DEFAULT encode(digest('x', 'sha256'), 'hex'));
         INSERT INTO t DEFAULT VALUES;
         ALTER TABLE t OWNER TO owner;
         CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'example.com');
         CREATE FOREIGN TABLE f (a int) SERVER s;
         CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
         CREATE EVENT TRIGGER watched ON ddl_command_end EXECUTE FUNCTION watch();
         CREATE PUBLICATION p FOR TABLE t;
         CREATE SUBSCRIPTION sub CONNECTION 'host=example.com' PUBLICATION p WITH (connect = false);
         CREATE FUNCTION leak(int) RETURNS bool LANGUAGE sql LEAKPROOF IMMUTABLE AS 'SELECT true';
         CREATE FUNCTION reads() RETURNS text LANGUAGE sql AS $$ SELECT pg_read_file('/etc/hostname') $$;
         CREATE CAST (text AS uuid[]) WITH INOUT;
         COMMENT ON EXTENSION pgcrypto IS 'x';
         CREATE INDEX ON t USING hash (id);
         SET session_replication_role = replica;
         SET timezone = 'Europe/Berlin';
         SELECT now() AT TIME ZONE 'America/New_York', 'ä' COLLATE \"C\", to_tsvector('english', 'words');",
    );
    project.write(
        "migrations/V1__all.down.sql",
        "DROP SUBSCRIPTION sub; DROP PUBLICATION p; DROP EVENT TRIGGER watched; DROP FUNCTION watch, leak, reads;
         DROP CAST (text AS uuid[]); DROP FOREIGN TABLE f; DROP SERVER s; DROP TABLE t; DROP EXTENSION file_fdw, dblink, postgres_fdw, pgcrypto;
         DROP ROLE app; DROP ROLE owner;",
    );
    let ran = project.run(&["plan"]).await;
    assert!(!ran.seen().contains("shadow-"), "{}", ran.seen());
    assert!(!ran.seen().contains("plan-fails"), "{}", ran.seen());
    assert!(
        ran.seen().contains("schema after      sha256"),
        "{}",
        ran.seen()
    );
    let ran = project.run(&["validate"]).await;
    assert!(!ran.seen().contains("shadow-"), "{}", ran.seen());
    assert!(!ran.seen().contains("rollback-fails"), "{}", ran.seen());
}

#[tokio::test]
async fn only_the_operator_lifts_sandbox_rules() {
    let traces = Traces::new().await;
    let database = server::database().await;
    let project = Project::of(&database.target);
    let sql = "CREATE TABLE r (a text); COPY r FROM 'SECRET';";
    project.write("migrations/V1__read.sql", traces.fill(sql));
    project.write(".env", "AF_DB_SHADOW_ALLOW=files\n");
    let ran = project.run(&["plan"]).await;
    refused(&ran, "shadow-files", "a project that allows itself");
    assert!(
        ran.stderr.contains("AF_DB_SHADOW_ALLOW in .env is ignored"),
        "{}",
        ran.seen()
    );
    let tool = project
        .tool(&["plan"])
        .env("AF_DB_SHADOW_ALLOW", "files, network");
    let done = tool.run().await.expect("the program runs");
    assert_eq!(done.status.code(), Some(0), "{}", done.stderr);
    let tool = project
        .tool(&["plan"])
        .env("AF_DB_SHADOW_ALLOW", "everything");
    let done = tool.run().await.expect("the program runs");
    assert_eq!(done.status.code(), Some(2), "{}", done.stderr);
}

#[tokio::test]
async fn a_provided_server_is_never_used_as_superuser() {
    let lender = server::own(None).await;
    let database = lender.database().await;
    database
        .run("CREATE ROLE runs LOGIN CREATEDB IN ROLE pg_execute_server_program; CREATE ROLE plain LOGIN CREATEDB; \
              CREATE ROLE makes LOGIN CREATEDB CREATEROLE")
        .await;
    let mut options = server::options();
    options.allowed.clear();
    let target = lender.scratch.target("postgres").expect("its address");
    let cases = [
        ("postgres", "is a superuser"),
        ("runs", "is a member of pg_execute_server_program"),
    ];
    for (role, reason) in cases {
        options.shadow_server = Some(target.with_user(role));
        let Err(error) = shadow_server::start(&options, &silent).await else {
            panic!("{role} must be refused");
        };
        let hint = hint_of(&error).expect("a hint");
        assert!(format!("{error}").contains(reason), "{error}");
        assert!(hint.contains("CREATEDB"), "{hint}");
    }
    // Before PostgreSQL 16 a role with CREATEROLE may grant itself every role that runs programs.
    options.shadow_server = Some(target.with_user("makes"));
    let climbs = lender.scratch.version_num() < 160_000;
    let entered = shadow_server::start(&options, &silent).await;
    assert_eq!(entered.is_err(), climbs);
    if let Err(error) = entered {
        assert!(format!("{error}").contains("CREATEROLE"), "{error}");
        options
            .allowed
            .extend([ExternalAccess::Programs, ExternalAccess::Files]);
        let entered = shadow_server::start(&options, &silent).await;
        entered.expect("the operator trusts this SQL");
        options.allowed.clear();
    }
    options.shadow_server = Some(target.with_user("plain"));
    let scratch = shadow_server::start(&options, &silent)
        .await
        .expect("a role without powers");
    let target = scratch.database("one").await.expect("a database");
    let text = "SELECT 1;\nSELECT dblink_exec('host=x', 'y')";
    let refused = target.confinement.check("V1__a.sql", text);
    let refused = refused.expect_err("it reaches another server");
    assert!(
        refused
            .message
            .starts_with("V1__a.sql:2:8 is not run on the shadow database"),
        "{refused}"
    );
    assert!(target.confinement.check("V1__a.sql", "SELECT 1").is_ok());
}

#[tokio::test]
async fn dotenv_cannot_choose_programs() {
    let database = server::database().await;
    let project = Project::of(&database.target);
    let trap = project.folder.path().join("bin");
    for program in ["postgres", "initdb", "pg_dump"] {
        let script = format!(
            "#!/bin/sh\ntouch {}/trapped\n",
            project.folder.path().display()
        );
        project.write(&format!("bin/{program}"), script);
        use std::os::unix::fs::PermissionsExt as _;
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(trap.join(program), open).expect("a program");
    }
    project.write("migrations/V1__t.sql", "CREATE TABLE t (a int);");
    project.write(
        ".env",
        format!(
            "AF_DB_PG_BIN={0}\nAF_DB_SCRATCH_DIR={0}\nPGSSLROOTCERT=/x\n",
            trap.display()
        ),
    );
    for command in ["status", "validate", "doctor", "plan"] {
        let ran = project.run(&[command]).await;
        assert!(
            ran.stderr.contains("AF_DB_PG_BIN in .env is ignored"),
            "{command}: {}",
            ran.seen()
        );
        assert!(
            ran.stderr.contains("PGSSLROOTCERT in .env is ignored"),
            "{}",
            ran.seen()
        );
        assert!(
            !project.folder.path().join("trapped").exists(),
            "{command} ran it"
        );
    }
}

/// A plan queries the target for facts about its rows, and evaluates nothing there that could have effects.
#[tokio::test]
async fn queries_on_the_target_call_no_functions_with_effects() {
    let traces = Traces::new().await;
    let database = server::database().await;
    database
        .run("CREATE EXTENSION dblink; CREATE TABLE t (a text); INSERT INTO t VALUES ('1')")
        .await;
    let cases = [
        "ALTER TABLE t ADD CHECK (dblink_exec('ADDRESS', 'INSERT INTO reached VALUES (1)') = a)",
        "ALTER TABLE t ALTER a TYPE text USING public.\"dblink_exec\" ('ADDRESS', 'INSERT INTO reached VALUES (1)')",
        "ALTER TABLE t ALTER a TYPE text USING U&\"dblink\\005fexec\"('ADDRESS', 'INSERT INTO reached VALUES (1)')",
        "ALTER TABLE t ALTER a TYPE text USING lo_export(lo_from_bytea(0, 'x'), 'FILE')::text",
    ];
    for sql in cases {
        let project = Project::of(&database.target);
        project.write("migrations/V1__t.sql", traces.fill(sql));
        project.run(&["plan"]).await;
        traces.none(sql).await;
    }
    // Pure functions are evaluated.
    let project = Project::of(&database.target);
    project.write(
        "migrations/V1__t.sql",
        "ALTER TABLE t ADD CHECK (length(trim(a)) > 1)",
    );
    let ran = project.run(&["plan"]).await;
    assert!(
        ran.seen().contains("rows that violate constraint"),
        "{}",
        ran.seen()
    );
}

#[tokio::test]
async fn the_shadow_database_is_never_named() {
    let own = server::own(None).await;
    let database = own.database().await;
    let name = &database.name;
    database
        .run(&format!(
            "CREATE ROLE own; CREATE TABLE t (a int); ALTER DATABASE {name} OWNER TO own; GRANT CONNECT ON DATABASE {name} TO own;
             COMMENT ON DATABASE {name} IS 'x'; ALTER DATABASE {name} SET work_mem = '8MB'; ALTER ROLE own IN DATABASE {name} SET work_mem = '9MB'"
        ))
        .await;
    let project = Project::of(&database.target);
    project.write("migrations/V1__t.sql", "CREATE TABLE t (a int);");
    project.write("schemas/public/t.yaml", "table: t\ncolumns:\n  - a: int\n");
    project.write("t.sql", "CREATE TABLE t (a int);");
    let sources = ["migrations", "schemas", "t.sql", "live"];
    for from in sources {
        for to in sources.into_iter().filter(|to| *to != from) {
            let ran = project.run(&["diff", from, to]).await;
            let seen = ran.seen();
            assert!(!seen.contains("source_"), "{from} {to}: {seen}");
            assert!(!seen.contains(" DATABASE "), "{from} {to}: {seen}");
            assert!(ran.status < 2, "{from} {to}: {seen}");
        }
    }
    // Between two existing databases it is a difference.
    let other = own.database().await;
    let url = project.url().replace(name.as_str(), &other.name);
    let ran = project.run(&["diff", &url, "live"]).await;
    let expected = format!("ALTER DATABASE {} OWNER TO own", other.name);
    assert!(ran.stdout.contains(&expected), "{}", ran.seen());
}

/// Conditions of policies are printed by the live database; they stay conditions there.
#[tokio::test]
async fn a_declared_condition_cannot_escape_its_expression() {
    let own = server::own(None).await;
    let database = own.database().await;
    database
        .run("CREATE ROLE reader; CREATE TABLE t (a int, tenant_id int); CREATE TABLE reached (a int); ALTER TABLE t ENABLE ROW LEVEL SECURITY")
        .await;
    let project = Project::of(&database.target);
    let conditions = [
        "true); COMMIT; INSERT INTO reached VALUES (1); BEGIN; CREATE POLICY q ON pg_temp.af_db_row_0 USING (true",
        "true); INSERT INTO public.reached VALUES (1); COMMIT; SELECT (true",
        "a = 1 /* open",
    ];
    for condition in conditions {
        project.write(
            "policies/t.yaml",
            format!("tenancy: {{ column: tenant_id, setting: app.tenant, type: int }}\nrows: {{ mine: {condition:?} }}\ntables: {{ t: {{ allow: {{ reader: select on mine rows }} }} }}\n"),
        );
        let ran = project.run(&["diff-rls"]).await;
        assert_ne!(ran.status, 0, "{condition}: {}", ran.seen());
        let words = "not one complete expression";
        assert!(ran.seen().contains(words), "{condition}: {}", ran.seen());
        assert_eq!(
            database.one("SELECT count(*) FROM reached").await,
            "0",
            "{condition}"
        );
    }
}

#[tokio::test]
async fn a_protected_server_is_refused_as_shadow_server() {
    let own = server::own(None).await;
    let database = own.database().await;
    database.run("CREATE ROLE plain LOGIN CREATEDB").await;
    let project = Project::of(&database.target);
    project.write("migrations/V1__t.sql", "CREATE TABLE t (a int);");
    let lent =
        |host: &str| format!("host='{host}' port=5432 user=plain dbname=postgres sslmode=disable");
    let host = &database.target.hosts[0].name;
    // Recognised by its URL, for any database on it, and without connecting.
    project.write(
        "af-db.yaml",
        "environments:\n  production: { url: \"postgres://app@db.example.com/app\", protected: true }\n",
    );
    let tool = project
        .tool(&["diff", "migrations", "migrations"])
        .env("AF_DB_SHADOW_URL", lent("db.example.com"));
    let done = tool.run().await.expect("the program runs");
    assert_eq!(done.status.code(), Some(4), "{}", done.stderr);
    assert!(done.stderr.contains("`production`"), "{}", done.stderr);
    // Recognised by its identity, where the URL is another one.
    let link = project.folder.path().join("link");
    std::os::unix::fs::symlink(host, &link).expect("another name");
    project.write(
        "af-db.yaml",
        "environments:\n  production: { url: \"${DATABASE_URL}\", protected: true }\n",
    );
    let tool = project
        .tool(&["plan", "--env", "production"])
        .env("AF_DB_SHADOW_URL", lent(&link.display().to_string()));
    let done = tool.run().await.expect("the program runs");
    assert_eq!(done.status.code(), Some(4), "{}", done.stderr);
    // A server that is neither protected nor recorded as protected may be used.
    let identities = project.folder.path().join(".af-db/identities");
    let _ = std::fs::remove_dir_all(identities);
    project.write("af-db.yaml", "");
    let plan = |arguments: &[&str]| project.tool(arguments).env("AF_DB_SHADOW_URL", lent(host));
    let done = plan(&["plan", "--json"]).run().await;
    let done = done.expect("the program runs");
    assert_eq!(done.status.code(), Some(0), "{}", done.stderr);
    // Unchecked parts are reported, and the resulting schema is known.
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let shown = text(&done.stdout);
    assert!(shown.contains("plan-unobserved"), "{shown}");
    assert!(shown.contains("\"schema-after\": \""), "{shown}");
    assert!(done.stderr.contains("not sandboxed"), "{}", done.stderr);
    let done = plan(&["plan"]).run().await.expect("the program runs");
    let shown = text(&done.stdout);
    assert!(!shown.contains("no data is lost"), "{shown}");
    project.write(
        "migrations/V1__t.sql",
        "CREATE TABLE t (a int);\nSELECT nothing;",
    );
    let done = plan(&["plan"]).run().await.expect("the program runs");
    let shown = text(&done.stdout);
    assert_eq!(done.status.code(), Some(1), "{shown}\n{}", done.stderr);
    assert!(shown.contains("V1__t.sql"), "{shown}");
}
