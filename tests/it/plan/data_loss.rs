//! What a plan destroys beyond what its statements name: rows that foreign keys take along.

use super::{applied, plan, project, without_hashes};
use crate::support::project::Project;
use crate::support::server::{self, Database};

/// Makes a project whose second migration deletes from a table that others hang on.
async fn deleting(database: &Database, statement: &str) -> Project {
    let project = project(
        &database.target,
        "protected: true, require: [approved-plan]",
    )
    .await;
    database
        .run("CREATE TABLE b (a int REFERENCES a ON DELETE CASCADE); INSERT INTO b VALUES (1); CREATE TABLE c (a int REFERENCES a ON DELETE SET NULL)")
        .await;
    for file in ["V3__c.sql", "V2__b.down.sql"] {
        let path = project.folder.path().join("migrations").join(file);
        std::fs::remove_file(path).expect("removed");
    }
    project.write("migrations/V2__b.sql", statement);
    project
}

#[tokio::test]
async fn rows_that_a_foreign_key_takes_along_are_named_before_they_go() {
    let database = server::database().await;
    let project = deleting(&database, "DELETE FROM a WHERE id = 1;\n").await;
    let said = project.run(&["plan", "--env", "production"]).await;
    insta::assert_snapshot!(without_hashes(&said.seen()), @"
    plan for production on postgres@HOST:PORT/DATABASE: 1 migration, 1 statement; now at 1

    1. migrations/V2__b.sql, one transaction; no down migration
       DELETE FROM a WHERE id = 1
         RowExclusive on a: deletes rows, blocks only DDL
         rows of b are deleted with those of a (foreign key b_a_fkey)
         rows of c have their reference cleared with those of a (foreign key c_a_fkey)

    rows may be deleted: public.a
    rows may be deleted: public.b, together with rows of public.a
    lock timeout 2 s, retried for up to 10 min
    schema before     HASH
    schema after      HASH
    plan              HASH

    to run exactly this plan: af-db plan --out plan.json, then af-db up --plan plan.json

    warn[observed-rows]: public.b: rows of b are deleted with those of a (foreign key b_a_fkey)
      at migrations/V2__b.sql:1:1

    warn[observed-rows]: public.c: rows of c have their reference cleared with those of a (foreign key c_a_fkey)
      at migrations/V2__b.sql:1:1

    2 warnings
    PostgreSQL VERSION
    status 0
    ");
    let hash = plan(&project, "production").await;
    let words = format!(
        "production/{} {}\n",
        database.target.database(),
        &hash["sha256:".len()..][..6]
    );
    let arguments = ["up", "--env", "production", "--plan", "plan.json"];
    let ran = project.run_on_terminal(&arguments, &[&words]).await;
    assert_eq!(ran.status, 0, "{}", ran.seen());
    assert!(
        ran.stderr
            .contains("Rows may be deleted: public.b, together with rows of public.a."),
        "{}",
        ran.stderr
    );
    assert_eq!(database.one("SELECT count(*)::text FROM b").await, "0");
}

#[tokio::test]
async fn what_is_emptied_must_be_typed_table_by_table() {
    let database = server::database().await;
    let project = deleting(&database, "DELETE FROM a;\n").await;
    let hash = plan(&project, "production").await;
    let words = format!(
        "production/{} {}\n",
        database.target.database(),
        &hash["sha256:".len()..][..6]
    );
    let arguments = ["up", "--env", "production", "--plan", "plan.json"];
    let answers = [&*words, "public.a\n", "public.c\n"];
    let ran = project.run_on_terminal(&arguments, &answers).await;
    assert_eq!(ran.status, 4, "{}", ran.seen());
    assert_eq!(applied(&database).await, "1");
    let answers = [&*words, "public.a\n", "public.b\n"];
    let ran = project.run_on_terminal(&arguments, &answers).await;
    assert_eq!(ran.status, 0, "{}", ran.seen());
}

#[tokio::test]
async fn without_a_plan_what_no_text_shows_must_be_typed_all_the_same() {
    let database = server::database().await;
    let project = deleting(&database, "DO $$ BEGIN DROP TABLE a CASCADE; END $$;\n").await;
    super::configure(&project, "protected: true");
    let words = format!("production/{}\n", database.target.database());
    let arguments = ["up", "--env", "production", "--quiet"];
    let ran = project.run_on_terminal(&arguments, &[&words, "a\n"]).await;
    assert_eq!(ran.status, 4, "{}", ran.seen());
    assert_eq!(applied(&database).await, "1");
    let ran = project
        .run_on_terminal(&arguments, &[&words, "public.a\n"])
        .await;
    assert_eq!(ran.status, 0, "{}", ran.seen());
}
