//! A protected environment is guarded whatever address, machine or project folder leads to it, and nothing else is.

use std::net::UdpSocket;
use std::os::unix::fs::symlink;

use crate::support::project::{CommandOutput, Project};
use crate::support::proxy::Proxy;
use crate::support::server;
use crate::support::tcp_server::TcpServer;
use af_db::event::silent;
use af_db::pg::connect;
use af_db::pg::target::Target;
use af_db::sql::safe::Sql;

/// One server with a protected database `prod` and another one, `dev`.
struct Bench {
    server: TcpServer,
}

impl Bench {
    async fn start() -> Bench {
        let server = TcpServer::prepare()
            .await
            .setting("listen_addresses=*")
            .hba_rules("host all all all trust")
            .start()
            .await;
        let bench = Bench { server };
        for database in ["prod", "dev"] {
            bench
                .run(
                    "postgres",
                    &format!("CREATE DATABASE {database} TEMPLATE template0"),
                )
                .await;
        }
        bench
    }

    fn target(&self, database: &str) -> Target {
        self.server.socket().with_database(database)
    }

    async fn run(&self, database: &str, sql: &str) {
        let session = connect::open(&self.target(database), &silent)
            .await
            .expect("a session");
        session
            .run(&Sql::written_by_user(sql))
            .await
            .unwrap_or_else(|error| panic!("{error:#}\n{sql}"));
        session.close().await;
    }

    async fn one(&self, database: &str, sql: &str) -> String {
        let session = connect::open(&self.target(database), &silent)
            .await
            .expect("a session");
        let mut rows = server::rows(&session, sql).await;
        session.close().await;
        rows.remove(0).remove(0)
    }

    fn url(&self, database: &str) -> String {
        format!(
            "postgres://postgres@127.0.0.1:{}/{database}",
            self.server.port
        )
    }

    /// Makes a project with a pending migration, whose production has this address.
    fn project(&self, production: &str) -> Project {
        let project = Project::without_database();
        project.write("migrations/V1__a.sql", "CREATE TABLE a (x int);\n");
        project.write("migrations/V1__a.down.sql", "DROP TABLE a;\n");
        self.configure(&project, production);
        project
    }

    fn configure(&self, project: &Project, production: &str) {
        let port = self.server.port;
        project.write(
            "af-db.yaml",
            format!(
                "environments:
  production: {{ url: \"{production}\", protected: true }}
  short: {{ url: \"postgres://postgres@127.1:{port}/${{OTHER}}\" }}
  behind: {{ url: \"postgres://postgres@127.1:{port}/dev\", direct-url: \"postgres://postgres@127.1:{port}/${{OTHER}}\" }}
"
            ),
        );
    }

    /// Changes production as it is meant to be done: by an approved plan.
    async fn change(&self, project: &Project) {
        let plan = project
            .run(&[
                "plan",
                "--env",
                "production",
                "--out",
                "plan.json",
                "--json",
            ])
            .await;
        let hash = plan.json()["sha256"].as_str().expect("a hash").to_owned();
        let up = [
            "up",
            "--env",
            "production",
            "--plan",
            "plan.json",
            "--approve",
            &hash,
        ];
        project.run(&up).await.ok();
    }
}

/// A way to name a database.
struct Spelling {
    arguments: Vec<String>,
    variables: Vec<(&'static str, String)>,
}

fn url(url: String) -> Spelling {
    Spelling {
        arguments: vec!["--database-url".to_owned(), url],
        variables: Vec::new(),
    }
}

fn variables(variables: &[(&'static str, String)]) -> Spelling {
    Spelling {
        arguments: Vec::new(),
        variables: variables.to_vec(),
    }
}

fn environment(name: &str, database: &str) -> Spelling {
    Spelling {
        arguments: vec!["--env".to_owned(), name.to_owned()],
        variables: vec![("OTHER", database.to_owned())],
    }
}

/// Gives the address by which this machine is known to others.
fn own_address() -> String {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    // Nothing is sent; where there is no network this machine has only its loopback address.
    match socket.connect("192.0.2.1:9") {
        Ok(()) => socket.local_addr().expect("an address").ip().to_string(),
        Err(_) => "127.0.0.1".to_owned(),
    }
}

/// Gives more than sixty ways to name one database of a server on this machine.
fn spellings(bench: &Bench, proxy: &Proxy, database: &str) -> Vec<Spelling> {
    let port = bench.server.port;
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    let machine = machine.trim();
    let hosts = [
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "LocalHost",
        "localhost.",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "0x7F.0.0.0x1",
        "0177.0.0.1",
        "017700000001",
        "0.0.0.0",
        "0",
        "127.0.0.2",
        "127.255.255.254",
        "[::1]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:127.0.0.1]",
        "%31%32%37.0.0.1",
        machine,
        &own_address(),
        "ip6-localhost",
        "anything.localhost",
    ];
    let mut spellings: Vec<Spelling> = hosts
        .iter()
        .map(|host| url(format!("postgres://postgres@{host}:{port}/{database}")))
        .collect();
    spellings.extend(written(bench, proxy, database));
    spellings.extend(surrounding(bench, database));
    spellings
}

/// Gives the ways to write an address, beside the names of a host.
fn written(bench: &Bench, proxy: &Proxy, database: &str) -> Vec<Spelling> {
    let port = bench.server.port;
    let sockets = bench.server.directory.path().to_string_lossy().into_owned();
    let link = format!("{sockets}/link");
    let _ = symlink(&sockets, &link);
    let texts = [
        format!("postgresql://postgres@127.1:{port}/{database}?sslmode=disable"),
        format!("postgres://postgres:secret@127.1:{port}/{database}"),
        format!("postgres://postgres@127.1:0{port}/{database}"),
        format!("postgres://postgres@127.1:{port}/dev?dbname={database}"),
        format!("postgres://postgres@127.1:{port}/{database}?target_session_attrs=read-write"),
        format!("postgres://postgres@127.1:{port}/{database}?options=-cwork_mem=64MB"),
        format!("postgres:///{database}?host=127.1&port={port}&user=postgres"),
        format!("postgres:///?host=127.1&port={port}&user=postgres&dbname={database}"),
        format!("postgres://postgres@anything:{port}/{database}?hostaddr=127.0.0.1"),
        format!("host=127.1 port={port} user=postgres dbname={database}"),
        format!("host='127.1' port='{port}' user='postgres' dbname='{database}'"),
        format!("hostaddr=127.0.0.1 port={port} user=postgres dbname={database}"),
        format!("hostaddr=127.0.0.2 port={port} user=postgres dbname={database}"),
        format!("hostaddr=::1 port={port} user=postgres dbname={database}"),
        format!("hostaddr=::ffff:127.0.0.1 port={port} user=postgres dbname={database}"),
        format!("hostaddr=0.0.0.0 port={port} user=postgres dbname={database}"),
        format!("host=anything hostaddr=127.0.0.1 port={port} user=postgres dbname={database}"),
        format!(
            "host=db.example.com hostaddr=127.0.0.2 port={port} user=postgres dbname={database}"
        ),
        format!("host={sockets} port={port} user=postgres dbname={database}"),
        format!("host={sockets}/ port={port} user=postgres dbname={database}"),
        format!("host={sockets}/. port={port} user=postgres dbname={database}"),
        format!("host={sockets}/../../{sockets} port={port} user=postgres dbname={database}"),
        format!("host={link} port={port} user=postgres dbname={database}"),
        format!(
            "postgres://postgres@{}:{port}/{database}",
            sockets.replace('/', "%2F")
        ),
        format!("postgres://postgres@127.1:{port},127.0.0.1:{port}/{database}"),
        format!("postgres://postgres@127.0.0.1:1,127.1:{port}/{database}"),
        format!("postgres://postgres@nowhere.invalid:5432,127.1:{port}/{database}"),
        format!("host=127.0.0.1,{sockets} port=1,{port} user=postgres dbname={database}"),
        format!(
            "host=a,b hostaddr=127.0.0.1,127.0.0.2 port=1,{port} user=postgres dbname={database}"
        ),
        format!(
            "host=a,b hostaddr=127.0.0.3,127.0.0.1 port={port} user=postgres dbname={database}"
        ),
        format!("service=prod dbname={database}"),
        // A forwarded port.
        format!(
            "postgres://postgres@127.0.0.1:{}/{database}",
            proxy.target().hosts[0].port
        ),
    ];
    texts.into_iter().map(url).collect()
}

/// Gives the ways to name a database by what is around the program.
fn surrounding(bench: &Bench, database: &str) -> Vec<Spelling> {
    let port = bench.server.port;
    let sockets = bench.server.directory.path().to_string_lossy().into_owned();
    let short = format!("postgres://postgres@127.1:{port}/{database}");
    let dev = bench.url("dev");
    let pg = |variables: &[(&'static str, String)], text: String| Spelling {
        variables: variables.to_vec(),
        ..url(text)
    };
    vec![
        variables(&[("DATABASE_URL", short.clone())]),
        variables(&[("SUPABASE_DB_URL", short.clone())]),
        variables(&[("DATABASE_URL", dev.clone()), ("DIRECT_URL", short.clone())]),
        variables(&[("DATABASE_URL", dev), ("DIRECT_URL", bench.url(database))]),
        variables(&[
            ("POSTGRES_HOST", "127.1".to_owned()),
            ("POSTGRES_PORT", port.to_string()),
            ("POSTGRES_DB", database.to_owned()),
        ]),
        pg(
            &[("PGHOST", "127.1".to_owned()), ("PGPORT", port.to_string())],
            format!("user=postgres dbname={database}"),
        ),
        pg(
            &[("PGHOST", sockets), ("PGPORT", port.to_string())],
            format!("user=postgres dbname={database}"),
        ),
        pg(
            &[
                ("PGHOSTADDR", "127.0.0.1".to_owned()),
                ("PGPORT", port.to_string()),
            ],
            format!("user=postgres dbname={database}"),
        ),
        pg(
            &[
                ("PGUSER", "postgres".to_owned()),
                ("PGDATABASE", database.to_owned()),
            ],
            format!("host=127.1 port={port}"),
        ),
        environment("short", database),
        environment("behind", database),
    ]
}

async fn up(project: &Project, spelling: &Spelling) -> CommandOutput {
    let mut arguments = vec!["up", "--yes"];
    arguments.extend(spelling.arguments.iter().map(String::as_str));
    let mut tool = project.tool(&arguments);
    for (name, value) in &spelling.variables {
        tool = tool.env(*name, value);
    }
    let done = tool.run().await.expect("the program runs");
    CommandOutput {
        status: done.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&done.stdout).into_owned(),
        stderr: done.stderr.clone(),
    }
}

fn forget(project: &Project) {
    let _ = std::fs::remove_dir_all(project.folder.path().join(".af-db"));
}

#[tokio::test]
async fn no_spelling_of_an_address_leads_past_the_guard_of_production() {
    let bench = Bench::start().await;
    let proxy = Proxy::start(&bench.server.target("sslmode=disable"));
    // The address as it is, with a part that is not known here, and not known at all.
    let known = bench.url("prod");
    let without_password = known.replace("postgres@", "postgres:${PASSWORD}@");
    let project = bench.project(&known);
    let (mut refused, mut passed) = (0, 0);
    let pairs = spellings(&bench, &proxy, "prod")
        .into_iter()
        .zip(spellings(&bench, &proxy, "dev"));
    for (prod, dev) in pairs {
        let named = format!("{:?} {:?}", prod.arguments, prod.variables);
        let mut reached = None;
        for production in [&known, &without_password] {
            bench.configure(&project, production);
            forget(&project);
            let ran = up(&project, &prod).await;
            assert!([2, 4].contains(&ran.status), "{named}\n{}", ran.seen());
            let guarded = ran.stderr.contains("environment `production`");
            assert_eq!(guarded, ran.status == 4, "{named}\n{}", ran.seen());
            reached = Some(ran.status == 4);
            refused += usize::from(ran.status == 4);
        }
        forget(&project);
        let ran = up(&project, &dev).await;
        let wanted = if reached == Some(true) { 0 } else { 2 };
        assert_eq!(ran.status, wanted, "{named}\n{}", ran.seen());
        passed += usize::from(ran.status == 0);
    }
    assert!(refused >= 2 * 50 && passed >= 50, "{refused} {passed}");
    let there = "SELECT to_regclass('a') IS NOT NULL OR to_regnamespace('af_db') IS NOT NULL";
    assert_eq!(bench.one("prod", there).await, "f");
    assert_eq!(bench.one("dev", there).await, "t");
}

#[tokio::test]
async fn a_production_whose_address_is_not_known_here_is_asked_about() {
    let bench = Bench::start().await;
    let project = bench.project("${PROD_URL}");
    let dev = url(bench.url("dev"));
    let ran = up(&project, &dev).await;
    assert_eq!(ran.status, 4, "{}", ran.seen());
    let said = ran.stderr.replace(&bench.server.port.to_string(), "PORT");
    insta::assert_snapshot!(said, @"
    error: confirmation needed, but there is no terminal; nothing was changed: cannot determine whether postgres@127.0.0.1:PORT/dev is the protected environment `production`: PROD_URL is not set
    hint: Run this in a terminal; without a terminal, provide the connection URL of `production` that af-db.yaml refers to, or add this database to af-db.yaml as another environment and choose it with --env
    ");
    assert_eq!(
        bench.one("dev", "SELECT to_regclass('a') IS NULL").await,
        "t"
    );
    // Named as an environment of its own, it is what was said.
    let named = environment("short", "dev");
    let ran = up(&project, &named).await;
    assert_eq!(ran.status, 0, "{}", ran.seen());
    // A person says it once.
    let url = bench.url("dev");
    let arguments = ["up", "--database-url", &url];
    let ran = project
        .run_on_terminal(&arguments, &["dev is not production\n"])
        .await;
    assert_eq!(ran.status, 0, "{}", ran.seen());
    let ran = up(&project, &dev).await;
    assert_eq!(ran.status, 0, "{}", ran.seen());
    // What was said is worth nothing against what production says of itself.
    bench.configure(
        &project,
        &bench.url("dev").replace("127.0.0.1", "localhost"),
    );
    bench
        .run(
            "dev",
            "DROP TABLE a; DROP TABLE refinery_schema_history; DROP SCHEMA af_db CASCADE",
        )
        .await;
    let socket = bench.server.directory.path().display().to_string();
    let by_socket = format!(
        "host={socket} port={} user=postgres dbname=dev",
        bench.server.port
    );
    let ran = up(&project, &self::url(by_socket)).await;
    assert_eq!(ran.status, 4, "{}", ran.seen());
}

#[tokio::test]
async fn the_database_itself_leads_every_project_to_its_guard() {
    let bench = Bench::start().await;
    let project = bench.project(&bench.url("prod"));
    // Looking, and being refused, writes nothing.
    project.run(&["status", "--env", "production"]).await.ok();
    let ran = project.run(&["up", "--env", "production", "--yes"]).await;
    assert_eq!(ran.status, 4, "{}", ran.seen());
    let there = "SELECT to_regnamespace('af_db') IS NOT NULL";
    assert_eq!(bench.one("prod", there).await, "f");
    bench.change(&project).await;
    let marked = "SELECT environment FROM af_db.protection";
    assert_eq!(bench.one("prod", marked).await, "production");

    let elsewhere = Project::without_database();
    elsewhere.write("migrations/V1__a.sql", "CREATE TABLE a (x int);\n");
    elsewhere.write("migrations/V1__a.down.sql", "DROP TABLE a;\n");
    elsewhere.write("migrations/V2__b.sql", "CREATE TABLE b (x int);\n");
    elsewhere.write("policies/a.yaml", "tables:\n  a: { rls: true }\n");
    elsewhere
        .run(&["backup", "--database-url", &bench.url("prod")])
        .await
        .ok();
    let commands: &[&[&str]] = &[
        &["up"],
        &["down"],
        &["repair", "--mark-applied", "2"],
        &["repair", "--unprotect"],
        &["restore", "--swap"],
        &["restore", "--into", "beside"],
        &["restore", "--drill", "--on"],
    ];
    for command in commands {
        let mut arguments = command.to_vec();
        let url = bench.url("prod");
        if command.contains(&"--on") {
            arguments.push(&url);
        }
        arguments.extend(["--yes", "--database-url", &url]);
        let ran = elsewhere.run(&arguments).await;
        assert_eq!(ran.status, 4, "{command:?}\n{}", ran.seen());
        assert!(
            ran.stderr.contains("`production`"),
            "{command:?}\n{}",
            ran.seen()
        );
    }
    let beside =
        "SELECT count(*) FROM pg_database WHERE datname LIKE 'beside%' OR datname LIKE '%drill%'";
    assert_eq!(bench.one("postgres", beside).await, "0");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_restored_environment_stays_protected_and_its_copies_are_not() {
    let bench = Bench::start().await;
    let project = bench.project(&bench.url("prod"));
    bench.change(&project).await;
    project.run(&["backup", "--env", "production"]).await.ok();
    for (place, words) in [
        (&["restore", "--into", "copy"][..], "production/copy\n"),
        (&["restore", "--swap"], "production/prod\n"),
    ] {
        let arguments = [place, &["--env", "production"]].concat();
        project.run_on_terminal(&arguments, &[words]).await.ok();
    }
    let elsewhere = Project::without_database();
    elsewhere.write("migrations/V1__a.sql", "CREATE TABLE a (x int);\n");
    elsewhere.write("migrations/V2__b.sql", "CREATE TABLE b (x int);\n");
    let up = async |database: &str| {
        let url = bench.url(database);
        elsewhere
            .run(&["up", "--yes", "--database-url", &url])
            .await
    };
    let ran = up("prod").await;
    assert_eq!(ran.status, 4, "{}", ran.seen());
    assert!(ran.stderr.contains("`production`"), "{}", ran.seen());
    up("copy").await.ok();
}

/// The modules that open a session to write, and what in them asks whether it may.
#[test]
fn whatever_opens_a_session_to_write_asks_the_guard() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/commands");
    let (mut folders, mut seen) = (vec![root], 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a source");
            if text.contains("open(Purpose::Writing)") || text.contains("open_to_write(&") {
                seen += 1;
                let asks = ["gate::", "protection::mark"];
                assert!(asks.iter().any(|asks| text.contains(asks)), "{path:?}");
            }
        }
    }
    assert!(seen >= 10, "{seen}");
}

#[tokio::test]
async fn a_copy_made_by_a_dump_is_not_the_environment_it_was_copied_from() {
    let bench = Bench::start().await;
    let project = bench.project(&bench.url("prod"));
    bench.change(&project).await;
    bench
        .run("postgres", "CREATE DATABASE copied TEMPLATE prod")
        .await;
    project.write("migrations/V2__b.sql", "CREATE TABLE b (x int);\n");
    let ran = up(&project, &url(bench.url("copied"))).await;
    assert_eq!(ran.status, 0, "{}", ran.seen());
    let ran = up(&project, &url(bench.url("prod"))).await;
    assert_eq!(ran.status, 4, "{}", ran.seen());
}

#[tokio::test]
async fn protection_ends_when_a_person_lifts_it() {
    let bench = Bench::start().await;
    let project = bench.project(&bench.url("prod"));
    bench.change(&project).await;
    project.write("migrations/V2__b.sql", "CREATE TABLE b (x int);\n");
    let unprotect = ["repair", "--env", "production", "--unprotect"];
    let words = ["unprotect production/prod\n"];
    // Not while af-db.yaml protects it.
    let ran = project.run(&unprotect).await;
    assert_eq!(ran.status, 4, "{}", ran.seen());
    assert!(
        ran.stderr.contains("is protected in af-db.yaml"),
        "{}",
        ran.seen()
    );
    let url = bench.url("prod");
    project.write(
        "af-db.yaml",
        format!("environments:\n  production: {{ url: \"{url}\" }}\n"),
    );
    let up = ["up", "--env", "production", "--yes"];
    let ran = project.run(&up).await;
    assert_eq!(ran.status, 4, "{}", ran.seen());
    let ran = project.run(&unprotect).await;
    assert_eq!(ran.status, 4, "{}", ran.seen());
    let ran = project.run_on_terminal(&unprotect, &["yes\n"]).await;
    assert_eq!(ran.status, 4, "{}", ran.seen());
    project.run_on_terminal(&unprotect, &words).await.ok();
    project.run(&up).await.ok();
    // Protected again, it is guarded again.
    bench.configure(&project, &url);
    let ran = project
        .run(&[
            "down",
            "--yes",
            "--database-url",
            &url.replace("127.0.0.1", "127.1"),
        ])
        .await;
    assert_eq!(ran.status, 4, "{}", ran.seen());
}

#[tokio::test]
async fn a_copy_of_the_files_of_a_server_is_guarded_until_a_person_lifts_it() {
    let bench = Bench::start().await;
    let project = bench.project(&bench.url("prod"));
    bench.change(&project).await;
    project.write("migrations/V2__b.sql", "CREATE TABLE b (x int);\n");
    // The same files elsewhere: the same identity and marker, another address.
    bench.configure(&project, "postgres://postgres@127.0.0.1:1/prod");
    let staging = environment("short", "prod");
    let ran = up(&project, &staging).await;
    assert_eq!(ran.status, 4, "{}", ran.seen());
    let url = bench.url("prod");
    let lift = ["repair", "--unprotect", "--database-url", &url];
    project
        .run_on_terminal(&lift, &["unprotect production/prod\n"])
        .await
        .ok();
    let ran = up(&project, &staging).await;
    assert_eq!(ran.status, 0, "{}", ran.seen());
}

#[tokio::test]
async fn what_a_project_remembers_may_be_damaged_or_lost() {
    let bench = Bench::start().await;
    let project = bench.project(&bench.url("prod"));
    project.run(&["status", "--env", "production"]).await.ok();
    let folder = project.folder.path().join(".af-db/identities");
    let files: Vec<_> = std::fs::read_dir(&folder)
        .expect("identities")
        .flatten()
        .collect();
    assert_eq!(files.len(), 1);
    // Nothing else leads there: production is elsewhere by now.
    bench.configure(&project, "postgres://postgres@127.0.0.1:1/other");
    for text in [
        "protected production\n",
        "",
        "\u{0}\u{1}",
        "protected \n",
        "not protected",
    ] {
        std::fs::write(files[0].path(), text).expect("a damaged file");
        let ran = up(&project, &url(bench.url("prod"))).await;
        assert_eq!(ran.status, 4, "{text:?}\n{}", ran.seen());
    }
    forget(&project);
    let ran = up(&project, &url(bench.url("prod"))).await;
    assert_eq!(ran.status, 0, "{}", ran.seen());
}

#[tokio::test]
async fn a_role_that_may_not_read_the_marker_changes_nothing() {
    let bench = Bench::start().await;
    let project = bench.project(&bench.url("prod"));
    bench.change(&project).await;
    bench
        .run(
            "prod",
            "CREATE ROLE plain LOGIN; GRANT ALL ON SCHEMA public TO plain",
        )
        .await;
    let elsewhere = bench.project("${PROD_URL}");
    let plain = bench.url("prod").replace("postgres@", "plain@");
    let ran = up(&elsewhere, &url(plain)).await;
    assert_eq!(ran.status, 4, "{}", ran.seen());
    assert!(ran.stderr.contains("af_db.protection"), "{}", ran.seen());
}

#[tokio::test]
async fn a_marker_whose_rows_are_gone_or_hidden_lifts_nothing() {
    let bench = Bench::start().await;
    let project = bench.project(&bench.url("prod"));
    bench.change(&project).await;
    bench
        .run(
            "prod",
            "CREATE ROLE plain LOGIN; GRANT ALL ON SCHEMA public TO plain;
             GRANT USAGE ON SCHEMA af_db TO plain; GRANT SELECT ON ALL TABLES IN SCHEMA af_db, public TO plain",
        )
        .await;
    project.write("migrations/V2__b.sql", "CREATE TABLE b (x int);\n");
    // Only what the project remembers, and the marker, lead to the guard.
    bench.configure(&project, "postgres://postgres@127.0.0.1:1/other");
    let ways = [
        "ALTER TABLE af_db.protection ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE af_db.protection DISABLE ROW LEVEL SECURITY; DELETE FROM af_db.protection",
        "ALTER TABLE af_db.protection RENAME TO kept;
         CREATE VIEW af_db.protection AS SELECT * FROM af_db.kept;
         GRANT SELECT ON af_db.protection TO plain",
    ];
    for way in ways {
        bench.run("prod", way).await;
        for role in ["postgres@", "plain@"] {
            let address = bench.url("prod").replace("postgres@", role);
            let ran = up(&project, &url(address)).await;
            assert_eq!(ran.status, 4, "{way}: {role}\n{}", ran.seen());
        }
    }
}
