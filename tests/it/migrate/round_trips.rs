//! How often a run waits for the server: counted, so that a far server costs no more than it must.

use crate::support::project::Project;
use crate::support::proxy::Proxy;
use crate::support::server::{self, Database};

/// The startup message and its answer.
const HANDSHAKE: u64 = 1;

struct Counted {
    project: Project,
    proxy: Proxy,
    // Dropped last: it takes the database with it.
    _database: Database,
}

impl Counted {
    /// Makes a project of small migrations whose first is applied.
    async fn of(migrations: usize) -> Counted {
        let database = server::database().await;
        let proxy = Proxy::start(&database.target);
        let project = Project::of(&proxy.target());
        for version in 1..=migrations {
            project.write(
                &format!("migrations/V{version}__m.sql"),
                format!("CREATE TABLE t_{version} (id int);\nCREATE INDEX ON t_{version} (id);\n"),
            );
        }
        project.run(&["up", "--steps", "1"]).await.ok();
        Counted {
            project,
            proxy,
            _database: database,
        }
    }

    /// Runs a command and gives how often it waited after the handshake.
    async fn count(&self, arguments: &[&str]) -> u64 {
        self.proxy.reset();
        self.project.run(arguments).await.ok();
        assert_eq!(self.proxy.connections(), 1);
        self.proxy.round_trips() - HANDSHAKE
    }
}

#[tokio::test]
async fn nothing_pending_takes_four() {
    let counted = Counted::of(1).await;
    assert_eq!(counted.count(&["up"]).await, 4);
}

#[tokio::test]
async fn status_takes_three() {
    let counted = Counted::of(1).await;
    assert_eq!(counted.count(&["status"]).await, 3);
}

#[tokio::test]
async fn each_migration_takes_two() {
    let counted = Counted::of(11).await;
    // Before and after the whole run it looks for indexes and constraints that are not valid.
    let around = 2;
    assert_eq!(counted.count(&["up"]).await, 4 + 10 * 2 + around);
}

#[tokio::test]
async fn migrations_are_sent_one_after_the_other() {
    let counted = Counted::of(4).await;
    counted.proxy.reset();
    counted.project.run(&["up"]).await.ok();
    let statements = counted.proxy.statements();
    let told = |text: &str| statements.iter().any(|statement| statement == text);
    assert!(told("COMMIT"));
    let commits = statements.iter().filter(|statement| *statement == "COMMIT");
    assert_eq!(commits.count(), 3);
    // No message begins a migration and commits it: a program that dies commits nothing.
    assert!(
        !statements
            .iter()
            .any(|statement| statement.contains("t_2 ") && statement.contains("COMMIT"))
    );
}
