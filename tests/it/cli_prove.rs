//! `af-db diff-rls --prove` as it is typed, from nothing but migrations and what a tenant is.

use crate::support::project::Project;

const TABLE: &str = "CREATE ROLE app NOLOGIN;
CREATE TABLE notes (id int PRIMARY KEY, tenant_id uuid NOT NULL, words text);
CREATE INDEX ON notes (tenant_id);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON notes TO app;
CREATE POLICY own ON notes TO app USING (tenant_id = (SELECT current_setting('app.tenant_id', true)::uuid));
";

const TENANCY: &str =
    "tenancy: { column: tenant_id, identity: { role: app, setting: app.tenant_id } }\n";

#[tokio::test]
async fn af_db_yaml_may_say_who_asks() {
    let project = Project::without_database();
    project.write("migrations/V1__notes.sql", TABLE);
    project.write("af-db.yaml", TENANCY);
    let clean = project.run(&["diff-rls", "--prove", "--shadow"]).await;
    assert_eq!(clean.status, 0, "{}", clean.seen());

    let wide = "CREATE VIEW everything AS SELECT * FROM notes; GRANT SELECT ON everything TO app;";
    project.write("migrations/V2__view.sql", wide);
    let leak = project.run(&["diff-rls", "--prove", "--shadow"]).await;
    assert_eq!(leak.status, 1, "{}", leak.seen());
    assert!(leak.stdout.contains("public.everything"), "{}", leak.seen());
}

#[tokio::test]
async fn a_column_alone_says_too_little() {
    let project = Project::without_database();
    project.write("migrations/V1__notes.sql", TABLE);
    project.write("af-db.yaml", "tenancy: { column: tenant_id }\n");
    let ran = project.run(&["diff-rls", "--prove", "--shadow"]).await;
    insta::assert_snapshot!(ran.seen(), @"
    error: No tenancy is declared, so tenant isolation cannot be tested
    hint: declare it in policies/, in af-db.yaml, or in a file for --tenancy, such as tenancy: { column: tenant_id, identity: { role: app_user, setting: app.tenant_id } }
    status 2
    ");
}
