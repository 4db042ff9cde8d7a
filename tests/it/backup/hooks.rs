//! Hooks that hang are killed with their child processes, on timeout or on interrupt.

use std::path::Path;
use std::time::Duration;

use crate::support::project::{CommandOutput, Project};
use crate::support::server;

/// A hook with a silent background process.
const HOOK: &str = "sleep 1000 >/dev/null 2>&1 & echo $! > helper.new; mv helper.new helper; wait";

fn settings(when: &str, timeout: &str) -> String {
    format!("backup: {{ hooks: {{ {when}: ['{HOOK}'], timeout: {timeout} }} }}\n")
}

/// Returns whether the hook's background process is running (a zombie is not), and forgets it.
fn is_running(folder: &Path) -> bool {
    let helper = folder.join("helper");
    let id = std::fs::read_to_string(&helper).expect("the hook had begun");
    std::fs::remove_file(helper).expect("the hook had begun");
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", id.trim())).unwrap_or_default();
    let state = stat.rsplit(") ").next().unwrap_or_default();
    !state.is_empty() && !state.starts_with(['Z', 'X'])
}

/// Runs the program and presses Ctrl-C while its hook runs.
async fn interrupted(project: &Project, arguments: &[&str]) -> CommandOutput {
    use rustix::process::{Pid, Signal, kill_process};
    let child = project.start(arguments);
    let id = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let begun = async {
        while !project.folder.path().join("helper").exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), begun)
        .await
        .expect("the hook begins");
    kill_process(id.expect("it runs"), Signal::INT).expect("it runs");
    project.ended(child).await
}

#[tokio::test]
async fn a_hook_that_times_out_is_killed_with_its_children() {
    let database = server::database().await;
    let project = Project::of(&database.target);
    project.write("af-db.yaml", settings("before-backup", "1s"));
    let ran = project.run(&["backup"]).await;
    assert_eq!(ran.status, 4, "{}", ran.seen());
    assert!(ran.stderr.contains("timed out after 1 s"), "{}", ran.seen());
    assert!(!is_running(project.folder.path()));
}

#[tokio::test]
async fn an_interrupt_kills_the_hook_with_its_children() {
    let database = server::database().await;
    let project = Project::of(&database.target);
    let error = |ran: &CommandOutput| {
        assert_eq!(ran.status, 130, "{}", ran.seen());
        let from = ran.stderr.find("error: ").expect("it says so");
        ran.stderr[from..].trim_end().replace(HOOK, "HOOK")
    };
    project.write("af-db.yaml", settings("before-backup", "10min"));
    let ran = interrupted(&project, &["backup"]).await;
    insta::assert_snapshot!(error(&ran), @"error: interrupted: `HOOK` of backup.hooks.before-backup was stopped; nothing was done");
    assert!(!is_running(project.folder.path()));
    assert!(!project.folder.path().join("backups").exists());

    project.write("af-db.yaml", settings("after-backup", "10min"));
    let ran = interrupted(&project, &["backup"]).await;
    let said = error(&ran);
    assert!(
        said.starts_with("error: interrupted: `HOOK` of backup.hooks.after-backup was stopped; completed before: DATABASE-2"),
        "{said}"
    );
    assert!(!is_running(project.folder.path()));
    let listed = project.run(&["backup", "list"]).await.ok();
    assert!(listed.stdout.contains("DATABASE-2"), "{}", listed.seen());

    project.write("af-db.yaml", settings("before-restore", "10min"));
    let into = format!("{}_never", database.name);
    let ran = interrupted(&project, &["restore", "--into", &into]).await;
    error(&ran);
    assert!(!is_running(project.folder.path()));
    let made = format!("SELECT count(*) FROM pg_database WHERE starts_with(datname, '{into}')");
    assert_eq!(database.one(&made).await, "0");
}
