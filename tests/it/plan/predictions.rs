//! The plan that was approved is what happens, with what its steps create and with the code they set off.

use super::{applied, approved, plan, project, refused};
use crate::support::project::Project;
use crate::support::server::{self, Database};

const GUARDED: &str = "protected: true, require: [approved-plan]";

/// Makes a guarded project on a database of its own with a table, a row, and these pending migrations.
async fn pending(files: &[(&str, &str)]) -> (Database, Project) {
    let database = server::database().await;
    let project = project(&database.target, GUARDED).await;
    for file in ["V2__b.sql", "V2__b.down.sql", "V3__c.sql"] {
        std::fs::remove_file(project.folder.path().join("migrations").join(file)).expect("removed");
    }
    for (file, text) in files {
        project.write(&format!("migrations/{file}"), text);
    }
    (database, project)
}

#[tokio::test]
async fn a_step_may_change_what_an_earlier_one_creates() {
    let (database, project) = pending(&[
        ("V2__t.sql", "CREATE TABLE t (a int);\n"),
        ("V3__c.sql", "ALTER TABLE t ADD COLUMN c text;\nCREATE INDEX t_c ON t (c);\n"),
        ("V4__k.sql", "ALTER TABLE a ADD COLUMN t int;\nALTER TABLE t ADD PRIMARY KEY (a);\nALTER TABLE a ADD FOREIGN KEY (t) REFERENCES t;\n"),
        ("V5__p.sql", "ALTER TABLE t ENABLE ROW LEVEL SECURITY;\nCREATE POLICY p ON t USING (a > 0);\n"),
        ("V6__i.sql", "-- af-db: no-transaction\nCREATE INDEX CONCURRENTLY t_again ON t (a, c);\nDROP INDEX CONCURRENTLY t_c;\n"),
        ("V7__r.sql", "ALTER TABLE a RENAME TO was_a;\nALTER TABLE t RENAME TO a;\n"),
        ("V8__s.sql", "ALTER TABLE a RENAME c TO d;\nALTER TABLE was_a ALTER note SET DEFAULT 'x';\nCREATE VIEW v AS SELECT * FROM a;\n"),
        ("V9__d.sql", "DROP TABLE a CASCADE;\nCREATE TABLE a (id int);\nALTER TABLE a ADD COLUMN x int;\n"),
    ])
    .await;
    let hash = plan(&project, "production").await;
    let ran = project.run(&approved(&hash)).await.ok();
    assert!(ran.stderr.contains("plan is up to date"), "{}", ran.seen());
    assert_eq!(applied(&database).await, "1,2,3,4,5,6,7,8,9");
}

#[tokio::test]
async fn the_reference_project_runs_from_empty_as_planned() {
    let database = server::database().await;
    let project = Project::of(&database.target);
    project.copy("migrations");
    super::configure(&project, GUARDED);
    let hash = plan(&project, "production").await;
    let ran = project.run(&approved(&hash)).await.ok();
    assert!(ran.stderr.contains("plan is up to date"), "{}", ran.seen());
    let files = std::fs::read_dir(project.folder.path().join("migrations")).expect("the files");
    let ups = files.filter(|file| {
        let name = file.as_ref().expect("a file").file_name();
        let name = name.to_string_lossy();
        name.ends_with(".sql") && !name.ends_with(".down.sql")
    });
    let count = database
        .one("SELECT count(*) FROM refinery_schema_history")
        .await;
    assert_eq!(count, ups.count().to_string());
}

#[tokio::test]
async fn a_plan_continues_with_what_its_earlier_steps_created_and_renamed() {
    let gate = "DO $$ BEGIN IF EXISTS (SELECT FROM was_a) THEN RAISE EXCEPTION 'closed'; END IF; END $$;\n";
    let (database, project) = pending(&[
        ("V2__t.sql", "CREATE TABLE t (a int);\nALTER TABLE a RENAME TO was_a;\n"),
        (
            "V3__c.sql",
            &format!("{gate}ALTER TABLE t ADD COLUMN c text;\nALTER TABLE was_a ADD COLUMN c text;\nCREATE INDEX was_a_c ON was_a (c);\n"),
        ),
        ("V4__d.sql", "DROP TABLE t;\nALTER TABLE was_a DROP COLUMN note;\n"),
    ])
    .await;
    let hash = plan(&project, "production").await;
    let ran = project.run(&approved(&hash)).await;
    assert_eq!(ran.status, 3, "{}", ran.seen());
    assert_eq!(applied(&database).await, "1,2");
    database.run("DELETE FROM was_a").await;
    let resume = [&approved(&hash)[..], &["--resume"]].concat();
    project.run(&resume).await.ok();
    assert_eq!(applied(&database).await, "1,2,3,4");
}

#[tokio::test]
async fn a_plan_that_is_known_to_fail_is_refused_before_its_first_step() {
    let (database, project) = pending(&[
        ("V2__t.sql", "CREATE TABLE t (a int);\n"),
        ("V3__c.sql", "ALTER TABLE t ADD COLUMN a text;\n"),
    ])
    .await;
    let hash = plan(&project, "production").await;
    let said = refused(project.run(&approved(&hash)).await, &database).await;
    assert!(
        said.contains("V3__c.sql: statement 1 fails: column \"a\""),
        "{said}"
    );
}

/// The code of the database before the plan is made.
const CODE: &str = "
    CREATE TABLE other (id int, n int);
    INSERT INTO other VALUES (1, 1);
    CREATE FUNCTION log_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO other VALUES (2, 2); RETURN NEW; END $$;
    CREATE TRIGGER log_a AFTER UPDATE ON a FOR EACH ROW EXECUTE FUNCTION log_it();
    CREATE FUNCTION helper(x int) RETURNS int LANGUAGE sql AS 'SELECT x';
    CREATE FUNCTION checks(x int) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RETURN helper(x) > 0; END $$;
    ALTER TABLE a ADD CONSTRAINT id_is_good CHECK (checks(id));
    CREATE VIEW v AS SELECT id, note FROM a;
    CREATE FUNCTION unrelated() RETURNS int LANGUAGE sql AS 'SELECT 1';
    ALTER TABLE a ENABLE ROW LEVEL SECURITY;
    CREATE POLICY p ON a USING (id > 0);
    CREATE DOMAIN positive AS int CHECK (VALUE > 0);
";

#[tokio::test]
async fn code_triggered_by_the_steps_belongs_to_the_plan() {
    let update = "UPDATE a SET note = 'y';\nALTER TABLE a ADD COLUMN c int;\n";
    for (change, said) in [
        (
            "CREATE OR REPLACE FUNCTION log_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM other; RETURN NEW; END $$",
            "function public.log_it() was changed",
        ),
        (
            "CREATE OR REPLACE FUNCTION helper(x int) RETURNS int LANGUAGE sql AS 'SELECT x + 1'",
            "function public.helper(x integer) was changed",
        ),
        (
            "CREATE FUNCTION e() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM public.other; END $$;
             CREATE EVENT TRIGGER on_ddl ON ddl_command_end EXECUTE FUNCTION e()",
            "event trigger on_ddl is new",
        ),
        (
            "CREATE RULE r AS ON UPDATE TO a DO ALSO DELETE FROM other",
            "rule r on public.a is new",
        ),
        (
            "CREATE TRIGGER log_more BEFORE UPDATE ON a FOR EACH ROW EXECUTE FUNCTION log_it()",
            "trigger log_more on public.a is new",
        ),
        ("ALTER TABLE a DISABLE TRIGGER log_a", "trigger log_a on public.a was changed"),
        (
            "CREATE TABLE child (a_id int REFERENCES a ON UPDATE CASCADE ON DELETE CASCADE)",
            "foreign key child_a_id_fkey on public.a is new",
        ),
        ("ALTER TABLE a ALTER note SET DEFAULT helper(1)::text", "default note on public.a is new"),
        ("DROP POLICY p ON a", "policy p on public.a was dropped"),
        (
            "ALTER DOMAIN positive ADD CHECK (checks(VALUE))",
            "constraint positive_check1 is new",
        ),
        ("CREATE CAST (text AS positive) WITH INOUT", "cast text AS public.positive is new"),
    ] {
        let (database, project) = pending(&[("V2__b.sql", update)]).await;
        database.run(CODE).await;
        let hash = plan(&project, "production").await;
        database.run(change).await;
        let text = refused(project.run(&approved(&hash)).await, &database).await;
        assert!(text.contains(said), "{said:?} is not said after {change}:\n{text}");
        database.run("DROP EVENT TRIGGER IF EXISTS on_ddl").await;
    }
}

#[tokio::test]
async fn code_that_no_step_triggers_may_change() {
    let (database, project) = pending(&[("V2__b.sql", "UPDATE a SET note = 'y';\n")]).await;
    database.run(CODE).await;
    let hash = plan(&project, "production").await;
    database
        .run(
            "CREATE OR REPLACE FUNCTION unrelated() RETURNS int LANGUAGE sql AS 'SELECT 2';
             CREATE TRIGGER elsewhere AFTER INSERT ON other FOR EACH STATEMENT EXECUTE FUNCTION log_it();
             DROP TRIGGER elsewhere ON other",
        )
        .await;
    project.run(&approved(&hash)).await.ok();
    // The trigger that was there when the plan was made has written what it writes.
    assert_eq!(database.one("SELECT count(*) FROM other").await, "2");
}
