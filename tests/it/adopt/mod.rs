//! Taking over what other tools migrate: each tool's own files and rows, as the tool leaves them.

mod broken;
mod moving;
mod ways;

use std::path::{Path, PathBuf};

use crate::support::project::Project;
use crate::support::server::{self, Database};

/// A tool's sample under `tests/adopt/`: its files, what its applied files did, its history rows.
pub(super) struct Sample {
    pub(super) project: Project,
    pub(super) database: Database,
}

/// How a sample is run by its tool: the folder, the files applied (with their ways up), the history.
pub(super) struct Case {
    pub(super) tool: &'static str,
    /// The folder of the sample.
    pub(super) sample: &'static str,
    /// The folder of the migrations.
    pub(super) dir: &'static str,
    /// What the tool has run, in order.
    pub(super) applied: &'static [&'static str],
    /// The tool's own history table.
    pub(super) table: &'static str,
    /// A statement that is true once the next migration is applied.
    pub(super) next: &'static str,
    /// Whether its files can be read where they are.
    pub(super) in_place: bool,
}

/// One case a tool, and both forms of sqlx.
pub(super) const CASES: &[Case] = &[
    Case {
        tool: "alembic",
        sample: "alembic",
        dir: "rendered",
        applied: &["applied.sql"],
        table: "alembic_version",
        next: "SELECT to_regclass('projects_owner_idx') IS NOT NULL",
        in_place: false,
    },
    Case {
        tool: "dbmate",
        sample: "dbmate",
        dir: "db/migrations",
        applied: &["20260105090000_teams.sql", "20260106090000_members.sql"],
        table: "schema_migrations",
        next: "SELECT to_regclass('members_team_idx') IS NOT NULL",
        in_place: true,
    },
    Case {
        tool: "diesel",
        sample: "diesel",
        dir: "migrations",
        applied: &[
            "00000000000000_diesel_initial_setup/up.sql",
            "2026-01-05-090000_posts/up.sql",
        ],
        table: "__diesel_schema_migrations",
        next: "SELECT to_regclass('posts_title_idx') IS NOT NULL",
        in_place: true,
    },
    Case {
        tool: "flyway",
        sample: "flyway",
        dir: "sql",
        applied: &["V1__items.sql", "V1.1__prices.sql"],
        table: "flyway_schema_history",
        next: "SELECT to_regclass('items_label_idx') IS NOT NULL",
        in_place: true,
    },
    Case {
        tool: "golang-migrate",
        sample: "golang-migrate",
        dir: "migrations",
        applied: &["000001_accounts.up.sql", "000002_account-names.up.sql"],
        table: "schema_migrations",
        next: "SELECT to_regclass('accounts_name_idx') IS NOT NULL",
        in_place: true,
    },
    Case {
        tool: "goose",
        sample: "goose",
        dir: "migrations",
        applied: &["00001_orders.sql", "00002_touch.sql"],
        table: "goose_db_version",
        next: "SELECT to_regclass('orders_total_idx') IS NOT NULL",
        in_place: true,
    },
    Case {
        tool: "graphile-migrate",
        sample: "graphile-migrate",
        dir: "migrations/committed",
        applied: &["000001.sql", "000002.sql"],
        table: "graphile_migrate.migrations",
        next: "SELECT to_regclass('forums_name_idx') IS NOT NULL",
        in_place: true,
    },
    Case {
        tool: "node-pg-migrate",
        sample: "node-pg-migrate",
        dir: "migrations",
        applied: &["1767603600000_books.sql", "1767690000000_authors.sql"],
        table: "pgmigrations",
        next: "SELECT to_regclass('books_author_idx') IS NOT NULL",
        in_place: true,
    },
    Case {
        tool: "prisma",
        sample: "prisma",
        dir: "prisma/migrations",
        applied: &[
            "20260105090000_init/migration.sql",
            "20260106090000_posts/migration.sql",
        ],
        table: "_prisma_migrations",
        next: "SELECT to_regclass('\"Post_authorId_idx\"') IS NOT NULL",
        in_place: true,
    },
    Case {
        tool: "sqitch",
        sample: "sqitch",
        dir: ".",
        applied: &["deploy/app.sql", "deploy/goods.sql"],
        table: "sqitch.changes",
        next: "SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'app.goods'::regclass AND attname = 'price')",
        in_place: true,
    },
    Case {
        tool: "sqlx",
        sample: "sqlx",
        dir: "migrations",
        applied: &["20260105090000_users.up.sql", "20260106090000_names.up.sql"],
        table: "_sqlx_migrations",
        next: "SELECT to_regclass('users_email_idx') IS NOT NULL",
        in_place: true,
    },
    Case {
        tool: "sqlx",
        sample: "sqlx-simple",
        dir: "migrations",
        applied: &["1_users.sql", "2_user_names.sql"],
        table: "_sqlx_migrations",
        next: "SELECT to_regclass('users_email_idx') IS NOT NULL",
        in_place: true,
    },
    Case {
        tool: "supabase",
        sample: "supabase",
        dir: "supabase/migrations",
        applied: &["20260105090000_notes.sql", "20260105091500_policies.sql"],
        table: "supabase_migrations.schema_migrations",
        next: "SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'public.notes'::regclass AND attname = 'title')",
        in_place: true,
    },
];

pub(super) fn folder(tool: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/adopt")
        .join(tool)
}

pub(super) fn case(tool: &str) -> &'static Case {
    CASES
        .iter()
        .find(|case| case.sample == tool)
        .expect("a case of this tool")
}

/// Puts a tool's sample into a project, and its database where the tool left it.
pub(super) async fn sample(case: &Case) -> Sample {
    let database = server::database().await;
    let project = Project::of(&database.target);
    let root = folder(case.sample);
    copy(&project, &root, &root);
    if case.tool == "supabase" {
        let session = database.session().await;
        af_db::pg::supabase::prepare(&session)
            .await
            .expect("Supabase's schemas and roles");
    }
    if case.tool == "alembic" {
        stand_in(&project);
    }
    for file in case.applied {
        let path = root.join(case.dir).join(file);
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        database.run(&up(&text)).await;
    }
    let history = std::fs::read_to_string(root.join("history.sql")).expect("its history");
    database.run(&history).await;
    Sample { project, database }
}

/// Puts a program into the project that says what Alembic said of these revisions.
pub(super) fn stand_in(project: &Project) {
    use std::os::unix::fs::PermissionsExt as _;
    let program =
        "#!/bin/sh\ncase $1 in upgrade) cat rendered/up.sql ;; *) cat rendered/down.sql ;; esac\n";
    project.write(".venv/bin/alembic", program);
    let path = project.folder.path().join(".venv/bin/alembic");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("a program");
}

/// Leaves the way down out of a file that holds both.
fn up(text: &str) -> String {
    let marks = ["-- +goose Down", "-- migrate:down", "-- Down Migration"];
    let end = marks.iter().filter_map(|mark| text.find(mark)).min();
    text[..end.unwrap_or(text.len())].to_owned()
}

fn copy(project: &Project, root: &Path, folder: &Path) {
    for entry in std::fs::read_dir(folder).expect("the sample") {
        let path = entry.expect("the sample").path();
        if path.is_dir() {
            copy(project, root, &path);
        } else if !path.ends_with("history.sql") {
            let name = path
                .strip_prefix(root)
                .expect("it lies in it")
                .display()
                .to_string();
            project.write(&name, std::fs::read(&path).expect("a file"));
        }
    }
}
