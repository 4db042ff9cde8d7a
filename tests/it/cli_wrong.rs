//! Errors before any database is reached: one clear message, a hint, no panic.

use crate::support::dev_project::DevProject;

/// Runs `status` in a project with this `af-db.yaml`.
fn with_file(text: &str) -> String {
    DevProject::new().file("af-db.yaml", text).run(&["status"])
}

#[test]
fn a_wrong_configuration_is_reported_with_its_position() {
    insta::assert_snapshot!(with_file("environments:\n\tlocal: {}\n"), @"
    $ af-db status
    ! error: af-db.yaml:2:1: a tab cannot indent YAML
    ! hint: replace the tab by spaces
    exit 2
    ");
    insta::assert_snapshot!(with_file("schemas: [public]\nschemas: [app]\n"), @"
    $ af-db status
    ! error: af-db.yaml:2:1: `schemas` is given twice
    ! hint: remove one of them
    exit 2
    ");
    insta::assert_snapshot!(with_file("enviroments: {}\n"), @"
    $ af-db status
    ! error: af-db.yaml:1:1: unknown key `enviroments`
    ! hint: did you mean `environments`?
    exit 2
    ");
    insta::assert_snapshot!(with_file("environments:\n  staging: { url: 3, protectd: true }\n"), @"
    $ af-db status
    ! error: af-db.yaml:2:22: unknown key `protectd`
    ! hint: did you mean `protected`?
    exit 2
    ");
    insta::assert_snapshot!(with_file("schemas: public\n"), @"
    $ af-db status
    ! error: af-db.yaml:1:10: expected a list, such as [one, two]
    exit 2
    ");
    insta::assert_snapshot!(with_file("environments:\n  local: { url: \"${NOWHERE_SET}\" }\n"), @"
    $ af-db status
    ! error: reading environment `local` of af-db.yaml
    ! caused by: the environment variable NOWHERE_SET is not set
    ! hint: set NOWHERE_SET in the environment or in .env
    exit 2
    ");
    insta::assert_snapshot!(with_file("- a\n- b\n"), @"
    $ af-db status
    ! error: af-db.yaml:1:1: expected keys with values, such as `key: value`
    exit 2
    ");
    insta::assert_snapshot!(with_file("schemas: [public\n"), @"
    $ af-db status
    ! error: af-db.yaml:1:10: unclosed bracket '['
    exit 2
    ");
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let items = [format!("*a{}", level - 1).as_str(); 9].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    insta::assert_snapshot!(with_file(&bomb), @"
    $ af-db status
    ! error: af-db.yaml:1:1: unknown key `a0`
    ! hint: valid keys: environments, schemas, postgres-major, tenancy, lint, migrations, recovery, backup, preflight, notify
    exit 2
    ");
}

#[test]
fn an_unreadable_configuration_is_reported() {
    let project = DevProject::new();
    std::fs::create_dir(project.path().join("af-db.yaml")).unwrap();
    insta::assert_snapshot!(project.run(&["status"]), @"
    $ af-db status
    ! error: `PROJECT/af-db.yaml` is a folder, not a configuration file
    ! hint: move the folder, or give the file with --config
    exit 2
    ");
    let project = DevProject::new();
    insta::assert_snapshot!(project.run(&["--config", "gone.yaml", "status"]), @"
    $ af-db --config gone.yaml status
    ! error: the configuration file `gone.yaml` does not exist
    ! hint: run `af-db init` to create one, or remove --config
    exit 2
    ");
    let project = DevProject::new().file(".env", "DATABASE_URL\n");
    insta::assert_snapshot!(project.run(&["status"]), @"
    $ af-db status
    ! error: .env:1: expected NAME=value
    ! hint: put a # before a comment
    exit 2
    ");
    let project = DevProject::new();
    std::fs::write(project.path().join("af-db.yaml"), b"schemas: [\xff]\n").unwrap();
    insta::assert_snapshot!(project.run(&["status"]), @"
    $ af-db status
    ! error: af-db.yaml:1: byte 10 (0xFF) is not UTF-8; the file may be encoded as Latin-1 or Windows-1252
    ! hint: save the file as UTF-8
    exit 2
    ");
}

#[test]
fn a_wrong_connection_url_is_refused_before_connecting() {
    let project = DevProject::new();
    let status = |url: &str| project.run(&["status", "--database-url", url]);
    insta::assert_snapshot!(status("postgres://me:secret@[::1/db"), @"
    $ af-db status --database-url postgres://me:secret@[::1/db
    ! error: reading --database-url
    ! caused by: an IPv6 address in the connection URL has no closing bracket
    ! hint: use the form postgres://user@[2001:db8::1]:5432/database
    exit 2
    ");
    insta::assert_snapshot!(status("postgres://h/d?sslmode=sometimes"), @"
    $ af-db status --database-url postgres://h/d?sslmode=sometimes
    ! error: reading --database-url
    ! caused by: unknown sslmode `sometimes` in the connection URL
    ! hint: use one of disable, allow, prefer, require, verify-ca, verify-full
    exit 2
    ");
    insta::assert_snapshot!(status("mysql://h/d"), @"
    $ af-db status --database-url mysql://h/d
    ! error: reading --database-url
    ! caused by: the connection URL begins with `mysql://`, which is not PostgreSQL
    ! hint: use the form postgres://user:password@host:5432/database
    exit 2
    ");
    insta::assert_snapshot!(status("postgres://h:99999/d"), @"
    $ af-db status --database-url postgres://h:99999/d
    ! error: reading --database-url
    ! caused by: the port in the connection URL is not a number from 1 to 65535
    ! hint: if the password contains / @ : ? # or %, percent-encode it: / is %2F, @ is %40, : is %3A, ? is %3F, # is %23, % is %25
    exit 2
    ");
    insta::assert_snapshot!(status("host=h prot=5432"), @"
    $ af-db status --database-url host=h prot=5432
    ! error: reading --database-url
    ! caused by: unknown parameter `prot` in the connection URL
    ! hint: did you mean `port`?
    exit 2
    ");
    insta::assert_snapshot!(status(""), @"
    $ af-db status --database-url 
    ! error: --database-url is empty
    ! hint: give a connection URL; the variable it came from may be unset
    exit 2
    ");
    insta::assert_snapshot!(project.run_with(&[("DATABASE_URL", "postgres://h/d?sslmod=require")], &["status"]), @"
    $ af-db status
    ! error: reading DATABASE_URL
    ! caused by: unknown parameter `sslmod` in the connection URL
    ! hint: did you mean `sslmode`?
    exit 2
    ");
    insta::assert_snapshot!(project.run(&["status", "--env", "production"]), @"
    $ af-db status --env production
    ! error: environment `production` is not defined in af-db.yaml
    ! hint: add the environment under `environments:` in af-db.yaml
    exit 2
    ");
    insta::assert_snapshot!(project.run_with(&[("POSTGRES_PORT", "many"), ("POSTGRES_HOST", "h")], &["status"]), @"
    $ af-db status
    ! error: reading POSTGRES_USER, _PASSWORD, _HOST, _PORT and _DB
    ! caused by: the port in the connection URL is not a number from 1 to 65535
    ! hint: if the password contains / @ : ? # or %, percent-encode it: / is %2F, @ is %40, : is %3A, ? is %3F, # is %23, % is %25
    exit 2
    ");
}

#[test]
fn a_wrong_command_line_is_refused() {
    let project = DevProject::new();
    insta::assert_snapshot!(project.run(&["upp"]), @"
    $ af-db upp
    ! error: unrecognized subcommand 'upp'
    ! 
    !   tip: a similar subcommand exists: 'up'
    ! 
    ! Usage: af-db [OPTIONS] <COMMAND>
    ! 
    ! For more information, try '--help'.
    exit 2
    ");
    insta::assert_snapshot!(project.run(&["up", "--steps", "many"]), @"
    $ af-db up --steps many
    ! error: invalid value 'many' for '--steps <NUMBER>': invalid digit found in string
    ! 
    ! For more information, try '--help'.
    exit 2
    ");
    let told = project.run(&["up", "--stepz", "--json"]);
    assert!(
        told.contains("use `") || told.contains("similar argument"),
        "{told}"
    );
    assert!(told.contains("\"exit-status\": 2"), "{told}");
    insta::assert_snapshot!(project.run(&["migrate"]), @"
    $ af-db migrate
    ! error: unrecognized subcommand 'migrate'
    ! 
    !   tip: use `af-db up`
    ! 
    ! Usage: af-db [OPTIONS] <COMMAND>
    ! 
    ! For more information, try '--help'.
    exit 2
    ");
    insta::assert_snapshot!(project.run(&["status", "--json", "--format", "sarif"]), @"
    $ af-db status --json --format sarif
    ! error: the argument '--json' cannot be used with '--format <FORMAT>'
    ! 
    ! Usage: af-db [OPTIONS] <COMMAND>
    ! 
    ! For more information, try '--help'.
    exit 2
    ");
}

#[test]
fn a_missing_home_or_full_disk_is_reported() {
    let project = DevProject::new();
    let nowhere = [
        ("HOME", ""),
        ("AF_DB_CACHE_DIR", "/proc/nowhere"),
        ("XDG_CACHE_HOME", ""),
    ];
    let told = project.run_with(&nowhere, &["validate", "--shadow"]);
    assert!(told.ends_with("exit 2\n"), "{told}");
    // Where nothing is installed, it is one of the places searched.
    let (_, told) = told
        .split_once("cannot write ")
        .expect("it says what cannot be written");
    let told = told.lines().next().unwrap_or_default();
    insta::assert_snapshot!(told, @"/proc/nowhere: No such file or directory (os error 2)");
}
