//! `af-db dev`, and commands in a project without a configured database.

use crate::support::dev_project::DevProject;

#[test]
fn a_project_without_a_database_gets_one() {
    let project = DevProject::new().file(
        "migrations/V1__things.sql",
        "CREATE TABLE things (id bigint PRIMARY KEY);\n",
    );
    let mut told = String::new();
    for arguments in [
        &["dev", "status"][..],
        &["dev", "stop"],
        &["up", "--quiet"],
        &["dev", "start"],
        &["dev", "status"],
        &["dev", "url"],
        &["dev", "psql", "--", "-Atc", "SELECT count(*) FROM things"],
        &["dev", "psql", "-c", "SELECT wrong"],
        &["dev", "psql", "-c", "ALTER TABLE things ADD more int"],
        &["validate", "--quiet"],
        &["dev", "reset"],
        &["dev", "reset", "--yes", "--quiet"],
        &["dev", "stop"],
        &["dev", "status"],
        &["validate", "--quiet"],
    ] {
        told.push_str(&project.run(arguments));
    }
    insta::assert_snapshot!(told, @r#"
    $ af-db dev status
    local server was never started
    $ af-db dev stop
    local server was not running
    $ af-db up --quiet
    applied 1 migration to postgres@127.0.0.1:PORT/dev
    $ af-db dev start
    local server is already running: PostgreSQL VERSION on 127.0.0.1:PORT
      data in SERVER
    $ af-db dev status
    local server is running: PostgreSQL VERSION on 127.0.0.1:PORT
      data in SERVER
    $ af-db dev url
    postgresql://postgres:PASSWORD@127.0.0.1:PORT/dev?sslmode=disable
    $ af-db dev psql -- -Atc SELECT count(*) FROM things
    0
    $ af-db dev psql -c SELECT wrong
    ! ERROR:  column "wrong" does not exist
    ! LINE 1: SELECT wrong
    !                ^
    ! error: psql exited with status 1
    exit 2
    $ af-db dev psql -c ALTER TABLE things ADD more int
    ALTER TABLE
    $ af-db validate --quiet
    ok      files    1 migration
    ok      lint     0 found, 0 allowed
    ok      history  compared with the files
    ok      replay   7 objects on a shadow server
    failed  drift    8 objects compared with the migrations

    error[drift]: column public.things.more: found in the live database, missing in the migrations
      at migrations/V1__things.sql:1:1

    1 error
    exit 1
    $ af-db dev reset
    ! error: confirmation needed, but there is no terminal; nothing was changed: Delete the local database and all its data?
    ! hint: Confirm with --yes
    exit 4
    $ af-db dev reset --yes --quiet
    local server started empty: PostgreSQL VERSION on 127.0.0.1:PORT
      data in SERVER
    $ af-db dev stop
    local server stopped
      data in SERVER
    $ af-db dev status
    local server is stopped
      data in SERVER
    $ af-db validate --quiet
    ok  files   1 migration
    ok  lint    0 found, 0 allowed
    ok  replay  7 objects on a shadow server
    "#);
}

#[test]
fn a_supabase_project_gets_a_supabase_like_server() {
    let project = DevProject::new().file(
        "migrations/V1__profiles.sql",
        "create table profiles (id uuid primary key references auth.users);\n\
         alter table profiles enable row level security;\n\
         create policy own on profiles to authenticated using (auth.uid() = id);\n",
    );
    project.run(&["up", "--quiet"]);
    let asked = project.run(&[
        "dev",
        "psql",
        "--",
        "-Atc",
        "SELECT roles FROM pg_policies; SELECT has_table_privilege('anon', 'profiles', 'SELECT')",
    ]);
    insta::assert_snapshot!(asked, @r"
    $ af-db dev psql -- -Atc SELECT roles FROM pg_policies; SELECT has_table_privilege('anon', 'profiles', 'SELECT')
    {authenticated}
    t
    ");
}

#[test]
fn two_projects_have_two_servers() {
    let (one, other) = (DevProject::new(), DevProject::new());
    let make = ["dev", "psql", "--", "-qc", "CREATE TABLE here (id int)"];
    one.run(&make);
    let asked = other.run(&[
        "dev",
        "psql",
        "--",
        "-Atc",
        "SELECT to_regclass('here') IS NULL",
    ]);
    assert!(asked.contains("\nt\n"), "{asked}");
}

/// Lists the servers in a registry of the test.
fn listed(project: &DevProject, state: &str) -> serde_json::Value {
    let told = project.run_with(&[("AF_DB_STATE_DIR", state)], &["dev", "list", "--json"]);
    let (_, document) = told.split_once('\n').expect("an answer");
    let document: serde_json::Value = serde_json::from_str(document).expect("a document");
    document["servers"].clone()
}

#[test]
#[cfg(unix)]
fn servers_are_listed_until_those_of_removed_projects_are_pruned() {
    let state = tempfile::Builder::new()
        .prefix("af-db-state-")
        .tempdir_in("/var/tmp")
        .expect("a folder");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(state.path(), open).expect("an open folder");
    let text = state.path().to_string_lossy().into_owned();
    let variables = [("AF_DB_STATE_DIR", text.as_str())];
    let asking = DevProject::new();
    assert_eq!(listed(&asking, &text), serde_json::json!([]));
    let project = DevProject::new();
    let make = ["dev", "psql", "--", "-qc", "CREATE TABLE here (id int)"];
    project.run_with(&variables, &make);
    let servers = listed(&asking, &text);
    assert_eq!(servers[0]["running"], true, "{servers}");
    assert_eq!(servers[0]["project-is-gone"], false, "{servers}");
    private_but_for_the_data(std::path::Path::new(
        servers[0]["directory"].as_str().expect("a directory"),
    ));
    // The moved project still has its rows.
    let moved = DevProject::new();
    std::fs::remove_dir_all(moved.path()).expect("an empty folder");
    std::fs::rename(project.path(), moved.path()).expect("a project that moves");
    let look = ["dev", "psql", "--", "-Atc", "SELECT to_regclass('here')"];
    let told = moved.run_with(&variables, &look);
    assert!(told.contains("\nhere\n"), "{told}");
    let told = asking.run_with(&variables, &["dev", "prune"]);
    assert!(told.contains("removed 0 local servers"), "{told}");
    std::fs::remove_dir_all(moved.path()).expect("a project that is removed");
    assert_eq!(listed(&asking, &text)[0]["project-is-gone"], true);
    let told = asking.run_with(&variables, &["dev", "prune"]);
    assert!(told.contains("exit 4"), "{told}");
    let told = asking.run_with(&variables, &["dev", "prune", "--yes", "--quiet"]);
    assert!(told.contains("removed 1 local server\n"), "{told}");
    assert_eq!(listed(&asking, &text), serde_json::json!([]));
}

/// Checks that no other user can read a server's directory, or write to it.
#[cfg(unix)]
fn private_but_for_the_data(directory: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
        let mode = entry.metadata().expect("its rights").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?} has {mode:o}", entry.path());
    }
    let mode = directory
        .metadata()
        .expect("its rights")
        .permissions()
        .mode();
    assert_eq!(mode & 0o022, 0, "{directory:?} has {mode:o}");
}
