//! Manifests settled on a real server: what they declare is there, what is wrong is named at its line.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use af_db::catalog::{Catalog, Key, Kind, Scope};
use af_db::diff;
use af_db::event::silent;
use af_db::manifest::normalize::{NormalizedManifest, normalize};
use af_db::manifest::{self, Manifest, compare, read_file, write};
use af_db::pg::program::Program;
use af_db::pg::session::Session;
use af_db::sql::safe::Sql;
use af_db::sql::split::split;

use crate::support::project::Project;
use crate::support::server;

async fn settled(text: &str) -> NormalizedManifest {
    let manifest = Manifest {
        files: vec![read_file("schemas/x.yaml", text).expect("a readable manifest")],
        ..Manifest::default()
    };
    let database = server::database().await;
    let session = database.session().await;
    normalize(&manifest, &session, &Scope::whole(), &silent)
        .await
        .expect("a settled manifest")
}

/// Settles a manifest and a script, which must say the same.
async fn same(manifest: &str, sql: &str) {
    let declared = settled(manifest).await;
    assert_eq!(declared.findings, Vec::new());
    let database = server::database().await;
    database.run(sql).await;
    let session = database.session().await;
    let written: Catalog = af_db::catalog::read::read(&session, &Scope::whole())
        .await
        .expect("a catalog");
    for (key, object) in &written.objects {
        assert_eq!(declared.catalog.get(key), Some(object), "{key}");
    }
    assert_eq!(declared.catalog.objects.len(), written.objects.len());
}

async fn refused(text: &str) -> String {
    let settled = settled(text).await;
    let lines: Vec<String> = settled
        .findings
        .iter()
        .map(|finding| {
            let place = finding.place.as_ref().expect("a refusal has its place");
            let help = finding
                .help
                .as_deref()
                .map(|help| format!(" ({help})"))
                .unwrap_or_default();
            format!("{place}: {}: {}{help}", finding.subject, finding.message)
        })
        .collect();
    lines.join("\n")
}

#[tokio::test]
async fn a_table_says_everything_in_lines() {
    same(
        include_str!("../cases/manifest/table.yaml"),
        include_str!("../cases/manifest/table.sql"),
    )
    .await;
}

#[tokio::test]
async fn partitions_follow_their_parent() {
    same(
        "
tables:
  a_first_january:
    partition-of: logs for values from ('2026-01-01') to ('2026-02-01')
  rest: { partition-of: logs default }
  logs:
    columns: { at: timestamptz not null, id: bigint generated always as identity }
    constraints: { logs_pkey: 'primary key (id, at)' }
    partition-by: range (at)
",
        "
create table logs (at timestamptz not null, id bigint generated always as identity, constraint logs_pkey primary key (id, at))
  partition by range (at);
create table a_first_january partition of logs for values from ('2026-01-01') to ('2026-02-01');
create table rest partition of logs default;
",
    )
    .await;
}

#[tokio::test]
async fn the_servers_refusal_is_named_at_its_line() {
    let said = refused(
        "tables:
  orders:
    columns:
      id: uuid primary key
      tenant_id: uuid not null references tenant on delete cascade
    indexes:
      orders_total_idx: (totl)
      orders_id_idx:
        is: >-
          (id)
          where total
          > 5
  tenants:
    columns:
      id: uuidd primary key
  lines:
    columns:
      order_id: uuid references tenants
      price: numeric check (prise > 0)
sql: |
  create function nothing() returns int language sql as 'select 1';
  create function broken() returns wrongtype
    language sql as 'select 1';
",
    )
    .await;
    insta::assert_snapshot!(said, @"
    schemas/x.yaml:5:32: foreign key of public.orders.tenant_id: relation \"tenant\" does not exist (did you mean `tenants`?)
    schemas/x.yaml:7:7: index orders_total_idx: column \"totl\" does not exist
    schemas/x.yaml:10:22: index orders_id_idx: column \"total\" does not exist
    schemas/x.yaml:15:11: table public.tenants: type \"uuidd\" does not exist (did you mean `uuid`?)
    schemas/x.yaml:19:29: table public.lines: column \"prise\" does not exist (did you mean `price`?)
    schemas/x.yaml:22:3: CREATE FUNCTION: type \"wrongtype\" does not exist
    ");
}

#[tokio::test]
async fn hostile_names_are_only_names() {
    same(
        r#"
schemas: { 'Weird; schema': }
tables:
  'Weird; schema."a.b""c"':
    columns: { 'a"b': int, 'select': text, '🐘;': text, "new\nline": text }
    indexes: { 'in"dex': '("a""b")' }
"#,
        r#"
create schema "Weird; schema";
create table "Weird; schema"."a.b""c" ("a""b" int, "select" text, "🐘;" text, "new
line" text);
create index "in""dex" on "Weird; schema"."a.b""c" ("a""b");
"#,
    )
    .await;
}

/// Writes what a script makes, settles what was written, and finds no difference; gives the files.
async fn written(sql: &str) -> BTreeMap<String, String> {
    let database = server::database().await;
    let session = database.session().await;
    for statement in split(sql) {
        let text = Sql::written_by_user(statement.text);
        session
            .run(&text)
            .await
            .unwrap_or_else(|error| panic!("{error:#}\n{}", statement.text));
    }
    let catalog = catalog_of(&session).await;
    let files = write::write(&catalog);
    let texts = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()));
    let manifest =
        manifest::of_texts(texts).unwrap_or_else(|error| panic!("{error:#}\n{files:#?}"));
    let database = server::database().await;
    let session = database.session().await;
    let settled = normalize(&manifest, &session, &Scope::whole(), &silent)
        .await
        .expect("a settled manifest");
    assert_eq!(settled.findings, Vec::new(), "{files:#?}");
    let changes = diff::between(&catalog, &settled.catalog);
    assert_eq!(changes, Vec::new(), "{files:#?}");
    assert_eq!(
        write::write(&settled.catalog),
        files,
        "writing again gives the same files"
    );
    files
}

async fn catalog_of(session: &Session) -> Catalog {
    af_db::catalog::read::read(session, &Scope::whole())
        .await
        .expect("a catalog")
}

#[tokio::test]
async fn a_table_is_written_in_lines() {
    let files = written(include_str!("../cases/manifest/written.sql")).await;
    assert_eq!(
        files["lines-2.yaml"],
        include_str!("../cases/manifest/written.yaml")
    );
    assert_eq!(
        files["database.yaml"],
        include_str!("../cases/manifest/written_database.yaml")
    );
}

/// Everything in the database that lines cannot say is left to SQL, and comes back.
#[tokio::test]
async fn what_lines_cannot_say_comes_back() {
    let files = written(include_str!("../cases/manifest/rest.sql")).await;
    assert!(
        files.contains_key("functions.sql")
            && files.contains_key("views.sql")
            && files.contains_key("rest.sql")
    );
}

#[tokio::test]
async fn the_reference_project_comes_back() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut migrations = af_db::migrate::files::list(&folder, "migrations")
        .expect("the migrations")
        .migrations;
    migrations.sort_by_key(|migration| migration.version);
    let script: Vec<String> = migrations
        .iter()
        .map(|migration| migration.up.text.to_string())
        .collect();
    let files = written(&script.join(";\n")).await;
    assert!(
        files["projects.yaml"]
            .contains("      tenant_id: uuid not null references tenants on delete cascade\n")
    );
}

#[tokio::test]
async fn a_partial_manifest_leaves_the_rest_free() {
    let manifest =
        |text: &str| manifest::of_texts([("schemas/x.yaml", text)]).expect("a readable manifest");
    let wanted = "
only:
  tables:
    orders:
      columns: { tenant_id: uuid not null references tenants }
      indexes: { any_name: (tenant_id) }
      row-level-security: enabled
    tenants: { columns: { id: uuid primary key } }
";
    let check = async |sql: &str| {
        let manifest = manifest(wanted);
        let there = server::database().await;
        let declared = normalize(&manifest, &there.session().await, &Scope::whole(), &silent)
            .await
            .expect("a settled manifest");
        assert_eq!(declared.findings, Vec::new());
        let database = server::database().await;
        database.run(sql).await;
        let actual = catalog_of(&database.session().await).await;
        let pair = compare::comparable(&manifest, &declared.catalog, &actual);
        let changes = diff::between(&pair.actual, &pair.declared);
        changes
            .iter()
            .map(|change| change.key.to_string())
            .collect::<Vec<_>>()
            .join("; ")
    };
    let whole = "
create table tenants (id uuid primary key, name text);
create table orders (id int, tenant_id uuid not null constraint other_name references tenants, total int check (total > 0));
create index orders_tenant on orders (tenant_id);
create index orders_total on orders (total);
alter table orders enable row level security, force row level security;
create policy mine on orders using (true);
create table elsewhere (a int);";
    assert_eq!(check(whole).await, "");
    let less = whole
        .replace("uuid not null constraint", "bigint constraint")
        .replace("references tenants", "check (true)")
        .replace("enable row level security, ", "");
    assert_eq!(
        check(&less.replace("create index orders_tenant on", "--")).await,
        "column public.orders.tenant_id; constraint orders_tenant_id_fkey on public.orders; index public.any_name; row-level security of public.orders"
    );
}

const MILLION: usize = 1_000_000;

#[tokio::test]
async fn a_million_lines_are_read_in_little_memory_and_the_last_has_its_place() {
    let mut text = String::from("tables:\n");
    for table in 0..MILLION / 1000 {
        let _ = write!(text, "  t{table}:\n    columns:\n");
        for column in 0..998 {
            let _ = writeln!(text, "      c{column}: integer");
        }
    }
    text.push_str("    colums: {}\n");
    assert_eq!(text.lines().count(), MILLION + 2);
    let project = Project::without_database();
    project.write("schemas/all.yaml", &text);
    let said = async |kilobytes: &str| {
        let limited = format!("ulimit -v {kilobytes} && exec \"$0\" diff schemas schemas");
        let tool = Program::new("sh")
            .args(["-c", &limited, env!("CARGO_BIN_EXE_af-db")])
            .directory(project.folder.path());
        let done = tool.run().await.expect("a shell");
        (done.status.code(), done.stderr)
    };
    let (status, stderr) = said("2000000").await;
    insta::assert_snapshot!(stderr, @"
    error: schemas/all.yaml:1000002:5: unknown key `colums`
    hint: did you mean `columns`?
    ");
    assert_eq!(status, Some(2));
    // The bound is one: where next to nothing may be had, the program says nothing of the last line.
    let (_, stderr) = said("200000").await;
    assert!(!stderr.contains("1000002"), "{stderr}");
}

#[tokio::test]
async fn what_is_refused_after_a_million_lines_has_its_line() {
    let mut text = String::from(
        "tables:
  things:
    columns: { id: int }
sql: |
  create function counted() returns int language sql as $$
    select 0
",
    );
    text.push_str(&"      + 1\n".repeat(MILLION));
    text.push_str("  $$;\n  create view wrong as\n    select idd from things;\n");
    let settled = settled(&text).await;
    let said = settled.findings.iter().map(|finding| {
        let place = finding.place.as_ref().expect("a place");
        format!("{place}: {}", finding.message)
    });
    let said: Vec<String> = said.collect();
    assert_eq!(
        said,
        ["schemas/x.yaml:1000009:12: column \"idd\" does not exist"]
    );
    let counted = Key::named(Kind::Function, "public", "counted()");
    assert!(settled.catalog.get(&counted).is_some());
}

#[tokio::test]
async fn thousands_of_refusals_are_told_each_at_its_line() {
    let mut text = String::from("tables:\n");
    for table in 0..3000 {
        let _ = writeln!(text, "  t{table}: {{ columns: {{ id: integr }} }}");
        let _ = writeln!(
            text,
            "  u{table}: {{ columns: {{ id: int references t{table} }} }}"
        );
    }
    let settled = settled(&text).await;
    // What refers to a table that was refused only follows from that.
    assert_eq!(settled.findings.len(), 3000);
    let last = settled.findings.last().expect("a finding");
    assert_eq!(last.message, "type \"integr\" does not exist");
    let place = last.place.as_ref().expect("a place");
    assert_eq!(place.line, Some(6000));
    let first = &settled.findings[0];
    assert_eq!(first.help.as_deref(), Some("did you mean `integer`?"));
}

#[tokio::test]
async fn a_name_that_would_be_cut_is_refused_at_its_place() {
    let (kept, cut) = ("ä".repeat(31) + "x", "ä".repeat(32));
    let said = refused(&format!(
        "tables:\n  {kept}: {{ columns: {{ id: int }} }}\n  {kept}.{kept}: {{ columns: {{ id: int }} }}\n  shop.{cut}:\n    columns:\n      {cut}: int\nschemas: {{ shop: , {kept}: }}\n"
    ))
    .await;
    let said = said.replace(&cut, "ä…");
    insta::assert_snapshot!(said, @"
    schemas/x.yaml:4:3: shop.ä…: the name has 64 bytes; PostgreSQL truncates names to 63 bytes (shorten the name)
    schemas/x.yaml:6:7: ä…: the name has 64 bytes; PostgreSQL truncates names to 63 bytes (shorten the name)
    ");
}

#[tokio::test]
async fn an_extension_that_the_server_lacks_is_named_and_the_rest_is_settled() {
    let settled = settled(
        "extensions: { not_there: }\ntables:\n  t: { columns: { id: int } }\n  u: { columns: { place: not_there } }\n",
    )
    .await;
    let said: Vec<String> = settled
        .findings
        .iter()
        .map(|finding| {
            let place = finding.place.as_ref().expect("a place");
            let help = finding.help.as_deref().unwrap_or_default();
            format!("{place}: {}: {}\n{help}", finding.subject, finding.message)
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    schemas/x.yaml:1:15: extension not_there: extension "not_there" is not available; objects that need it cannot be checked
    install the extension's package on the server used for shadow databases
    "#);
    let table = Key::named(Kind::Table, "public", "t");
    assert!(settled.catalog.get(&table).is_some());
}
