//! Manifests settled on a real server: what they declare is there, what is wrong is named at its line.

use std::collections::BTreeMap;

use af_db::catalog::{Catalog, Kind, Scope};
use af_db::event::silent;
use af_db::manifest::settle::{Settled, settle};
use af_db::manifest::{Manifest, read_file, write};

use crate::support::server;

async fn settled(text: &str) -> Settled {
    let manifest = Manifest {
        files: vec![read_file("schemas/x.yaml", text).expect("a readable manifest")],
        ..Manifest::default()
    };
    let database = server::database().await;
    let session = database.session().await;
    settle(&manifest, &session, &Scope::whole(), &silent)
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
    schemas/x.yaml:22:1: CREATE FUNCTION: type \"wrongtype\" does not exist
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

/// Writes what a script makes, settles the lines alone, and compares with what the writer says they say.
async fn lines_say_what_they_are_said_to_say(sql: &str) -> BTreeMap<String, String> {
    let database = server::database().await;
    database.run(sql).await;
    let session = database.session().await;
    let catalog = af_db::catalog::read::read(&session, &Scope::whole())
        .await
        .expect("a catalog");
    let lines = write::lines(&catalog);
    let mut files = Vec::new();
    for (name, text) in &lines.files {
        files.push(read_file(name, text).unwrap_or_else(|error| panic!("{error:#}\n{text}")));
    }
    let manifest = Manifest {
        files,
        ..Manifest::default()
    };
    let database = server::database().await;
    let session = database.session().await;
    let settled = settle(&manifest, &session, &Scope::whole(), &silent)
        .await
        .expect("a settled manifest");
    assert_eq!(settled.findings, Vec::new(), "{:#?}", lines.files);
    for (key, object) in &lines.said.objects {
        assert_eq!(
            settled.catalog.get(key),
            Some(object),
            "{key} {:#?}",
            lines.files
        );
    }
    for key in settled
        .catalog
        .objects
        .keys()
        .filter(|key| key.kind != Kind::Database)
    {
        assert!(lines.said.get(key).is_some(), "{key} {:#?}", lines.files);
    }
    lines.files
}

#[tokio::test]
async fn a_table_is_written_in_lines() {
    let files =
        lines_say_what_they_are_said_to_say(include_str!("../cases/manifest/written.sql")).await;
    assert_eq!(
        files["lines-2.yaml"],
        include_str!("../cases/manifest/written.yaml")
    );
    assert_eq!(
        files["database.yaml"],
        include_str!("../cases/manifest/written_database.yaml")
    );
}
