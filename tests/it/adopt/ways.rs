//! Both ways of taking over, for every tool: in place and converted; and what is told afterwards.

use super::{CASES, Project, case, sample, server};

#[tokio::test]
async fn every_tool_is_taken_over_in_place() {
    for case in CASES.iter().filter(|case| case.in_place) {
        let sample = sample(case).await;
        let (project, database) = (&sample.project, &sample.database);
        let whole = format!(
            "SELECT md5(string_agg(t::text, ';' ORDER BY t::text)) FROM {} AS t",
            case.table
        );
        let before = database.one(&whole).await;
        project
            .run(&["adopt", "--from", case.tool, "--yes"])
            .await
            .ok();
        let status = project
            .run(&["status", "--foreign", "--json"])
            .await
            .ok()
            .json();
        assert_eq!(status["pending"], 1, "{}: {status}", case.tool);
        assert_eq!(
            status["findings"].as_array().map(Vec::len),
            Some(0),
            "{}: {status}",
            case.tool
        );
        assert_eq!(database.one(case.next).await, "f", "{}", case.tool);
        project.run(&["up"]).await.ok();
        assert_eq!(database.one(case.next).await, "t", "{}", case.tool);
        assert_eq!(
            database.one(&whole).await,
            before,
            "{}: its own history",
            case.tool
        );
        project.run(&["status", "--check", "--foreign"]).await.ok();
        project.run(&["history", "--verify"]).await.ok();
    }
}

#[tokio::test]
async fn every_tool_is_taken_over_converted() {
    for case in CASES {
        let sample = sample(case).await;
        let (project, database) = (&sample.project, &sample.database);
        project
            .run(&[
                "adopt",
                "--from",
                case.tool,
                "--convert",
                "--into",
                "ours",
                "--yes",
            ])
            .await
            .ok();
        let status = project
            .run(&["status", "--foreign", "--json"])
            .await
            .ok()
            .json();
        assert_eq!(status["pending"], 1, "{}: {status}", case.tool);
        assert_eq!(
            status["findings"].as_array().map(Vec::len),
            Some(0),
            "{}: {status}",
            case.tool
        );
        project.run(&["up"]).await.ok();
        assert_eq!(database.one(case.next).await, "t", "{}", case.tool);
        let table = std::fs::read_to_string(project.folder.path().join("ours/adopted.json"))
            .expect("the table");
        let table: serde_json::Value = serde_json::from_str(&table).expect("a document");
        assert_eq!(table.as_array().map(Vec::len), Some(3), "{}", case.tool);
    }
}

#[tokio::test]
async fn nothing_is_written_before_it_is_confirmed() {
    let sample = sample(case("golang-migrate")).await;
    let (project, database) = (&sample.project, &sample.database);
    insta::assert_snapshot!(project.run(&["adopt", "--from", "golang-migrate"]).await.seen(), @"
    PostgreSQL VERSION
    found 3 migrations of golang-migrate in migrations
    found its history in public.schema_migrations on postgres@HOST:PORT/DATABASE: 2 applied, 1 pending
    the database matches the applied files
    this would be written:
      af-db.yaml: migrations: layout: golang-migrate
      2 rows in the history and journal of af-db; public.schema_migrations is not changed
    error: confirmation needed, but there is no terminal; nothing was changed: Adopt the migrations?
    hint: Confirm with --yes
    status 4
    ");
    assert!(!project.folder.path().join("af-db.yaml").exists());
    assert_eq!(
        database
            .one("SELECT to_regclass('refinery_schema_history') IS NULL")
            .await,
        "t"
    );
    assert_eq!(
        database
            .one("SELECT to_regnamespace('af_db') IS NULL")
            .await,
        "t"
    );
    insta::assert_snapshot!(project.run(&["adopt", "--from", "golang-migrate", "--yes"]).await.seen(), @"
    adopted migrations (golang-migrate): 2 applied, 1 pending
    wrote af-db.yaml
    wrote public.refinery_schema_history and af_db.journal

    next: af-db status
    PostgreSQL VERSION
    found 3 migrations of golang-migrate in migrations
    found its history in public.schema_migrations on postgres@HOST:PORT/DATABASE: 2 applied, 1 pending
    the database matches the applied files
    this would be written:
      af-db.yaml: migrations: layout: golang-migrate
      2 rows in the history and journal of af-db; public.schema_migrations is not changed
    status 0
    ");
    insta::assert_snapshot!(project.run(&["adopt", "--from", "golang-migrate", "--yes"]).await.seen(), @"
    error: public.schema_migrations is already adopted; nothing was written
    hint: To check whether that tool has run since: af-db status --foreign
    status 4
    ");
}

#[tokio::test]
async fn a_run_of_the_other_tool_is_told() {
    let sample = sample(case("golang-migrate")).await;
    let (project, database) = (&sample.project, &sample.database);
    project
        .run(&["adopt", "--from", "golang-migrate", "--yes"])
        .await
        .ok();
    database
        .run("UPDATE schema_migrations SET version = 3")
        .await;
    let seen = project
        .run(&["status", "--foreign", "--check"])
        .await
        .seen();
    insta::assert_snapshot!(without_clock(&seen), @"
    postgres@HOST:PORT/DATABASE (local, PostgreSQL VERSION)

       1  applied  accounts TIME
       2  applied  account_names TIME
       3  pending  names_index

    2 migrations are applied, 1 pending

    error[foreign-applied]: migration 3: golang-migrate applied this migration after its history was adopted
      help: stop running that tool; record the migration: af-db repair --mark-applied VERSION

    1 error
    status 1
    ");
    database
        .run("UPDATE schema_migrations SET version = 1")
        .await;
    let seen = project
        .run(&["status", "--foreign", "--check"])
        .await
        .seen();
    insta::assert_snapshot!(without_clock(&seen), @"
    postgres@HOST:PORT/DATABASE (local, PostgreSQL VERSION)

       1  applied  accounts TIME
       2  applied  account_names TIME
       3  pending  names_index

    2 migrations are applied, 1 pending

    error[foreign-reverted]: migration 2: golang-migrate reverted this migration after its history was adopted
      help: stop running that tool; record the revert: af-db repair --mark-unapplied VERSION

    1 error
    status 1
    ");
}

#[tokio::test]
async fn a_refinery_service_keeps_its_own_history() {
    let database = crate::support::server::database().await;
    let project = crate::support::project::Project::of(&database.target);
    project.write(
        "migrations/V1__jobs.sql",
        "CREATE TABLE jobs (id bigint PRIMARY KEY);\n",
    );
    project.write(
        "migrations/V2__state.sql",
        "ALTER TABLE jobs ADD COLUMN state text;\n",
    );
    project.run(&["up", "--steps", "1"]).await.ok();
    // As a service alone would have left it.
    database.run("DROP SCHEMA af_db CASCADE").await;
    let whole = "SELECT string_agg(t::text, ';') FROM refinery_schema_history AS t";
    let before = database.one(whole).await;
    project.run(&["adopt", "--yes"]).await.ok();
    assert_eq!(database.one(whole).await, before);
    project.run(&["status"]).await.ok();
    project.run(&["up"]).await.ok();
    project.run(&["status", "--check"]).await.ok();
}

#[tokio::test]
async fn repeatable_files_are_taken_over_converted_only() {
    let sample = sample(case("flyway")).await;
    let project = &sample.project;
    project.write(
        "sql/R__totals.sql",
        "CREATE OR REPLACE VIEW totals AS SELECT count(*) AS items FROM items;\n",
    );
    let ran = project.run(&["adopt", "--from", "flyway", "--yes"]).await;
    assert_eq!(ran.status, 4, "{}", ran.seen());
    assert!(
        ran.seen().contains("af-db adopt --convert"),
        "{}",
        ran.seen()
    );
    project
        .run(&["adopt", "--from", "flyway", "--convert", "--yes"])
        .await
        .ok();
    project.run(&["up"]).await.ok();
    assert_eq!(sample.database.one("SELECT items FROM totals").await, "0");
}

#[tokio::test]
async fn the_next_migration_is_written_in_the_layout() {
    for case in CASES.iter().filter(|case| case.in_place) {
        let sample = sample(case).await;
        let project = &sample.project;
        project
            .run(&["adopt", "--from", case.tool, "--yes"])
            .await
            .ok();
        let made = project.run(&["new", "add stock", "--json"]).await;
        if matches!(case.tool, "graphile-migrate" | "sqitch") {
            assert_eq!(made.status, 4, "{}", made.seen());
            continue;
        }
        let made = made.ok().json();
        let file = made["migrations"][0]["up"]
            .as_str()
            .expect("a file")
            .to_owned();
        let path = project.folder.path().join(&file);
        let text = std::fs::read_to_string(&path).expect("the file");
        let (begin, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
        std::fs::write(
            &path,
            format!("{begin}\nCREATE TABLE stock (id bigint);\n\n{rest}"),
        )
        .expect("the file");
        project.run(&["up"]).await.ok();
        let there = "SELECT to_regclass('stock') IS NOT NULL";
        assert_eq!(
            sample.database.one(there).await,
            "t",
            "{}: {file}",
            case.tool
        );
    }
}

#[tokio::test]
async fn a_folder_is_taken_over_before_anything_has_run() {
    let database = crate::support::server::database().await;
    let project = crate::support::project::Project::of(&database.target);
    super::copy(&project, &super::folder("goose"), &super::folder("goose"));
    project.run(&["adopt", "--yes"]).await.ok();
    project.run(&["up"]).await.ok();
    project.run(&["status", "--check"]).await.ok();
    project.run(&["down", "--steps", "2", "--yes"]).await.ok();
    project.run(&["validate", "--shadow"]).await.ok();
}

#[tokio::test]
async fn a_folder_that_is_not_ours_is_named_and_found() {
    let database = server::database().await;
    let project = Project::of(&database.target);
    let file = "services/api/migrations/postgres/00001_a.up.sql";
    project.write(file, "CREATE TABLE a (id int);");
    project.write(
        "af-db.yaml",
        "migrations: { dir: services/api/migrations/postgres }\n",
    );
    for command in [&["up"][..], &["validate", "--offline"], &["status"]] {
        let ran = project.run(command).await;
        assert_eq!(ran.status, 2, "{}", ran.seen());
        assert!(ran.stderr.contains("error: services/api/migrations/postgres contains migrations of golang-migrate or sqlx, not of af-db"), "{}", ran.seen());
    }
    project.write("af-db.yaml", "schemas: [public]\n");
    insta::assert_snapshot!(project.run(&["adopt"]).await.seen(), @"
    error: the migrations could belong to golang-migrate in services/api/migrations/postgres, or sqlx in services/api/migrations/postgres; nothing was written
    hint: Choose the tool with --from and the directory with --dir
    status 4
    ");
    let ran = project
        .run(&["adopt", "--from", "golang-migrate", "--yes"])
        .await
        .ok();
    assert!(
        ran.stdout.contains("services/api/migrations/postgres"),
        "{}",
        ran.seen()
    );
    project.run(&["up"]).await.ok();
    assert_eq!(database.one("SELECT to_regclass('a') IS NULL").await, "f");
}

#[tokio::test]
async fn another_tools_declaration_is_a_source() {
    use std::os::unix::fs::PermissionsExt as _;
    let sample = sample(case("prisma")).await;
    let project = &sample.project;
    // What Prisma says of the schema, said by a program of ours.
    let declared = "CREATE TABLE \"User\" (\n    \"id\" SERIAL NOT NULL,\n    \"email\" TEXT NOT NULL,\n    CONSTRAINT \"User_pkey\" PRIMARY KEY (\"id\")\n);\nCREATE UNIQUE INDEX \"User_email_key\" ON \"User\"(\"email\");\n";
    project.write("said.sql", declared);
    project.write("prisma/schema.prisma", "model User { id Int @id }\n");
    let missing = project.run(&["diff", "live", "prisma/schema.prisma"]).await;
    let words = "Prisma is not installed; it is needed to render prisma/schema.prisma as SQL";
    assert_eq!(missing.status, 2, "{}", missing.seen());
    assert!(missing.stderr.contains(words), "{}", missing.seen());
    let program =
        "#!/bin/sh\ncase \"$*\" in *--to-schema-datamodel*) exit 1 ;; *) cat said.sql ;; esac\n";
    project.write("node_modules/.bin/prisma", program);
    let path = project.folder.path().join("node_modules/.bin/prisma");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("a program");
    project.write("two.sql", declared);
    let same = project
        .run(&["diff", "two.sql", "prisma/schema.prisma", "--json"])
        .await
        .ok()
        .json();
    assert_eq!(same["changes"].as_array().map(Vec::len), Some(0), "{same}");
    let ahead = project
        .run(&["diff", "prisma/schema.prisma", "prisma/migrations"])
        .await;
    assert_eq!(ahead.status, 1, "{}", ahead.seen());
    assert!(ahead.stdout.contains("Post"), "{}", ahead.seen());
}

#[tokio::test]
async fn every_example_that_was_taken_over_is_sound() {
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    for example in ["alembic", "golang-migrate", "prisma"] {
        let project = crate::support::project::Project::without_database();
        let root = examples.join(example);
        super::copy(&project, &root, &root);
        let ran = project
            .run(&["validate", "--shadow", "--json"])
            .await
            .ok()
            .json();
        let checks = ran["checks"].as_array().expect("checks");
        assert!(
            checks.iter().any(|check| check["name"] == "ways down"),
            "{example}: {ran}"
        );
    }
}

/// Replaces the times at which migrations were applied.
fn without_clock(text: &str) -> String {
    let year = chrono::Utc::now().format(" 20%y-").to_string();
    let line = |line: &str| match line.find(&year) {
        Some(at) => format!("{} TIME\n", line[..at].trim_end()),
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}
