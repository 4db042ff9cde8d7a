//! What must be translated before a schema moves from one server to another.

use crate::support::project::Project;
use crate::support::server;

#[tokio::test]
async fn what_the_other_server_lacks_is_listed_before_anything_moves() {
    let other = server::own(None).await;
    let there = other.database().await;
    there
        .run(
            "CREATE ROLE moving_reader;
             CREATE SCHEMA auth;
             CREATE FUNCTION auth.uid() RETURNS int LANGUAGE sql RETURN 1;
             CREATE TABLE notes (id int PRIMARY KEY, owner int);
             ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
             CREATE POLICY own ON notes TO moving_reader USING (owner = auth.uid());
             GRANT SELECT ON notes TO moving_reader",
        )
        .await;
    let here = server::database().await;
    let project = Project::of(&here.target);
    let from = Project::of(&there.target);
    let ran = project
        .run(&[
            "diff",
            "live",
            from.url(),
            "--schema",
            "public",
            "--untried",
            "--json",
        ])
        .await;
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let told: Vec<String> = document["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let text = |key: &str| one[key].as_str().unwrap_or("-").to_owned();
            format!(
                "{} {}: {}\n  {}",
                text("code"),
                text("subject"),
                text("message"),
                text("help")
            )
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @"
    moving-role moving_reader: the role does not exist on the target; used by policy own on public.notes, table public.notes
      CREATE ROLE moving_reader NOLOGIN, or use another role
    moving-platform auth.uid: the platform's schema does not exist on the target; used by policy own on public.notes
      create it on the target: CREATE FUNCTION auth.uid() RETURNS uuid … (current_setting('request.jwt.claims', true)::jsonb ->> 'sub')::uuid
    ");
    // The other way round nothing is lacking.
    let back = project
        .run(&["diff", from.url(), "live", "--untried", "--json"])
        .await;
    assert!(!back.stdout.contains("moving-"), "{back:?}");
}
