//! `af-db init`: creates the files of a new project.

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::commands::page::Page;
use crate::commands::{Context, Outcome, Report, import_live};
use crate::config::FILE_NAME;
use crate::error::refuse;
use crate::finding::Finding;

/// Flags of `init`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Directory of the project
    #[arg(default_value = ".")]
    folder: std::path::PathBuf,
    /// Create manifest, policies and a baseline migration from the database, recorded as applied
    #[arg(long)]
    from_live: bool,
    /// Do not record the baseline in the database
    #[arg(long, requires = "from_live")]
    no_baseline: bool,
}

/// The files of a new project.
const FILES: &[(&str, &str)] = &[
    (FILE_NAME, CONFIGURATION),
    ("migrations/V1__tenants.sql", UP),
    ("migrations/V1__tenants.down.sql", DOWN),
];

const CONFIGURATION: &str = "\
# Every key is optional; af-db --help says where the database is found.
environments:
  local: {}                             # without url: the embedded PostgreSQL
  # production:
  #   url: \"${PRODUCTION_DATABASE_URL}\"
  #   protected: true                   # changes need a typed confirmation
schemas: [public]
";

const UP: &str = "\
-- The first migration: the tenants.
CREATE TABLE public.tenants (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    name text NOT NULL,
    slug text NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT tenants_pkey PRIMARY KEY (id),
    CONSTRAINT tenants_slug_key UNIQUE (slug)
);
COMMENT ON TABLE public.tenants IS 'Tenants that own the rows of the other tables';

-- Each transaction sets its tenant first: SET LOCAL app.tenant_id = '…'. Without it no row is visible.
CREATE POLICY own ON public.tenants
    USING (id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));
ALTER TABLE public.tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.tenants FORCE ROW LEVEL SECURITY;
";

const DOWN: &str = "DROP TABLE public.tenants;\n";

/// Not committed: the embedded server, backups, secrets.
const IGNORED: [&str; 3] = [".af-db/", "/backups/", ".env"];

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct InitReport {
    written: Vec<String>,
    baselined: bool,
    /// Policies that could not be expressed as templates, and why.
    #[serde(skip)]
    findings: Vec<Finding>,
}

/// Runs the command; existing files are not overwritten.
pub async fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let root = std::path::absolute(&args.folder).context("finding the folder")?;
    if args.from_live {
        let taken = import_live::from_live(&root, !args.no_baseline, context).await?;
        let mut written = taken.written;
        if ignore(&root.join(".gitignore"))? {
            written.push(".gitignore".to_owned());
        }
        return context.show(&InitReport {
            written,
            baselined: taken.baselined,
            findings: taken.findings,
        });
    }
    if let Some((there, _)) = FILES.iter().find(|(file, _)| root.join(file).exists()) {
        return Err(
            refuse(format!("{there} already exists; nothing was written"))
                .hint("Run af-db up, or run af-db init in another directory")
                .into(),
        );
    }
    let migrations = root.join("migrations");
    let has_migrations = migrations.is_dir()
        && migrations
            .read_dir()
            .is_ok_and(|mut entries| entries.next().is_some());
    let mut written = Vec::new();
    for (file, text) in FILES
        .iter()
        .filter(|(file, _)| !(has_migrations && file.starts_with("migrations/")))
    {
        let path = root.join(file);
        let folder = path.parent().context("a file lies in a folder")?;
        std::fs::create_dir_all(folder)
            .with_context(|| format!("creating {}", folder.display()))?;
        std::fs::write(&path, text).with_context(|| format!("writing {file}"))?;
        written.push((*file).to_owned());
    }
    if ignore(&root.join(".gitignore"))? {
        written.push(".gitignore".to_owned());
    }
    context.show(&InitReport {
        written,
        baselined: false,
        findings: Vec::new(),
    })
}

/// Adds missing lines to .gitignore; returns whether there were any.
fn ignore(path: &std::path::Path) -> Result<bool> {
    let mut text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).context("reading .gitignore"),
    };
    let missing: Vec<&str> = IGNORED
        .into_iter()
        .filter(|line| !text.lines().any(|known| known.trim() == *line))
        .collect();
    if missing.is_empty() {
        return Ok(false);
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for line in missing {
        text.push_str(line);
        text.push('\n');
    }
    std::fs::write(path, text).context("writing .gitignore")?;
    Ok(true)
}

impl Report for InitReport {
    fn command(&self) -> &'static str {
        "init"
    }

    fn human(&self, page: &mut Page) {
        for file in &self.written {
            page.line(format!("wrote {file}"));
        }
        page.gap();
        if self.baselined {
            page.line("V1__baseline recorded as applied");
            page.line("next: af-db validate");
        } else {
            page.line("next: af-db up");
        }
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }
}
