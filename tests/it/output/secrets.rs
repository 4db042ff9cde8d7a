//! Secrets in statements and in addresses that were typed in the wrong place.

use crate::support::project::Project;
use crate::support::server;

/// What must never be seen.
const SECRET: &str = "geheim7x";

fn hidden(what: &str, text: &str) {
    assert!(!text.contains(SECRET), "{what} shows the secret:\n{text}");
}

#[tokio::test]
async fn no_report_shows_the_secrets_of_statements() {
    let server = server::own(None).await;
    let database = server.database().await;
    let project = Project::of(&database.target);
    let migration = [
        "CREATE ROLE r1 PASSWORD 'geheim7x'",
        "CREATE ROLE r2 PASSWORD E'geheim7x'",
        "ALTER ROLE r1 PASSWORD $$geheim7x$$",
        "ALTER ROLE r1 PASSWORD 'gehe'\n  'im7x geheim7x'",
        "ALTER ROLE r1 SET app.jwt_secret = 'geheim7x'",
        "DO $$ BEGIN CREATE ROLE r3 PASSWORD 'geheim7x'; END $$",
        "DO $$ DECLARE p text := 'geheim7x'; BEGIN EXECUTE format('CREATE ROLE r4 PASSWORD %L', p); END $$",
        "SELECT set_config('app.secret', 'geheim7x', false)",
        "CREATE TABLE u (name text, password text)",
        "INSERT INTO u (name, password) VALUES ('a', 'geheim7x')",
        "UPDATE u SET password = 'geheim7x2'",
        "DO $$ BEGIN RAISE WARNING 'password=%', 'geheim7x'; END $$",
    ];
    project.write(
        "migrations/V1__roles.sql",
        format!("{};\n", migration.join(";\n")),
    );
    project.write(
        "migrations/V1__roles.down.sql",
        "DROP TABLE u; DROP ROLE r1, r2, r3, r4;\n",
    );
    for arguments in [
        &["plan"][..],
        &["plan", "--json"],
        &["plan", "--format", "markdown"],
        &["plan", "--out", "plan.json"],
        &["validate"],
        &["up", "-v"],
        &["status", "--json"],
        &["history", "--json"],
    ] {
        hidden(&arguments.join(" "), &project.run(arguments).await.seen());
    }
    let plan = std::fs::read_to_string(project.folder.path().join("plan.json"));
    hidden("plan.json", &plan.expect("a plan"));
}

#[tokio::test]
async fn no_failure_shows_the_secrets_of_the_statement_that_failed() {
    let database = server::database().await;
    let project = Project::of(&database.target);
    for (number, statement) in (1..).zip([
        "CREATE ROLE a PASSWORD 'geheim7x' BAD",
        "CREATE ROLE a PASSWORD geheim7x",
        "CREATE ROLE a\n  PASSWORD\n  'geheim7x'\n  BAD",
        "CREATE ROLE a PASSWORD 'it's geheim7x'",
        "CREATE ROLE a PASSWORD 'geheim7x",
        "DO $$ BEGIN CREATE ROLE a PASSWORD 'geheim7x' BAD; END $$",
        "DO $$ BEGIN EXECUTE 'CREATE ROLE a PASSWORD ''geheim7x'' BAD'; END $$",
        "DO $$ BEGIN EXECUTE format('CREATE ROLE a PASSWORD %L BAD', 'geheim7x'); END $$",
        "ALTER USER MAPPING FOR a SERVER nowhere OPTIONS (SET \"password\" 'geheim7x' BAD)",
        "CREATE SUBSCRIPTION s CONNECTION 'host=h password=geheim7x' BAD",
        "DO $$ BEGIN RAISE EXCEPTION 'password=%', 'geheim7x'; END $$",
        "CREATE TABLE p (n integer, password text NOT NULL, m integer NOT NULL); INSERT INTO p (n, password) VALUES (1, 'geheim7x')",
    ]) {
        let file = format!("migrations/V{number}__x.sql");
        project.write(&file, format!("-- af-db: irreversible reason=\"a test\"\n{statement};\n"));
        for arguments in [&["up"][..], &["up", "--json"], &["up", "--log-format", "json"]] {
            let ran = project.run(arguments).await;
            assert_ne!(ran.status, 0, "{statement}: {}", ran.seen());
            hidden(statement, &ran.seen());
        }
        std::fs::remove_file(project.folder.path().join(&file)).expect("a file");
    }
    let ran = project.run(&["history", "--json"]).await;
    hidden("history", &ran.seen());
    let journal = "SELECT COALESCE(string_agg(j::text, ' '), '') FROM af_db.journal AS j";
    hidden("the journal", &database.one(journal).await);
}

#[tokio::test]
async fn an_address_in_the_wrong_place_is_shown_without_its_password() {
    let project = Project::without_database();
    for address in [
        "postgres://app:geheim7x@!x/geheim7x@db.example:5432/app",
        "postgres://db.example/app?user=app&password=geheim7x",
        "host=db.example user=app password='ge geheim7x'",
        "host=db.example password = geheim7x",
        "app:geheim7x@db.example/app",
    ] {
        let typed = [
            &["up", "--env", address][..],
            &["up", "--plan", address],
            &["up", "--to", address],
            &["up", "--config", address],
            &["up", "--metrics-file", address, "--env", address],
            &["backup", "--recipient", address],
            &["backup", "--to", address],
            &["restore", address],
            &["restore", "--drill", address],
            &["copy", address],
            &["copy", address, "--env", address],
            &["diff", address, address],
            &["new", address],
            &["adopt", address],
            &["history", address],
            &["up", address],
            &[address],
            &["up", "--format", address],
            &["up", "--lock-timeout", address],
            &["repair", address],
            &["completions", address],
        ];
        for arguments in typed {
            let ran = project.run(arguments).await;
            hidden(&arguments.join(" "), &ran.seen());
        }
        let key = serde_json::json!(address);
        for yaml in [
            format!("environments:\n  {key}:\n    protected: 1\n"),
            format!("environments:\n  prod:\n    {key}: 1\n"),
            format!("{key}: 1\n"),
            format!("migrations: {key}\n"),
        ] {
            project.write("af-db.yaml", &yaml);
            for arguments in [
                &["status"][..],
                &["status", "--json"],
                &["status", "--env", "prod"],
            ] {
                hidden(&yaml, &project.run(arguments).await.seen());
            }
            std::fs::remove_file(project.folder.path().join("af-db.yaml")).expect("a file");
        }
    }
}
