//! The command line: global options, the commands, how the program starts and ends.

use std::io::IsTerminal as _;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::commands::output::{self, Format, Output};
use crate::commands::terminal::{self, Loudness, Terminal};
use crate::commands::{self, Context, Outcome, help, run_hooks, sink};
use crate::config::{self, Flags};
use crate::error::{Exit, exit_of, fail, with_exit};
use crate::event::Interrupt;
use crate::sql::redact;
use crate::visible;

/// Migrations, schema governance, row-level security and backups for PostgreSQL
///
/// The database is the first of these that is set:
/// --database-url;
/// DATABASE_URL (with DIRECT_URL) or SUPABASE_DB_URL;
/// POSTGRES_USER, _PASSWORD, _HOST, _PORT and _DB;
/// the environment chosen by --env or AF_DB_ENV in af-db.yaml [default: local];
/// the embedded PostgreSQL, which af-db starts itself.
/// With --env, the variables are ignored. A .env file in the project is read.
#[derive(Parser, Debug)]
#[command(name = "af-db", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit status:
  0    success, nothing found
  1    findings: drift, lint error, failed isolation probe, pending migrations under --check
  2    failed; the database is unchanged
  3    stopped half-way; the report lists what was applied
  4    refused: stale plan, missing approval or confirmation, failed guard; nothing changed
  75   could not acquire locks within the lock budget; nothing applied, try again
  130  interrupted; the running statement was cancelled and rolled back";

#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// Use the database of this environment in af-db.yaml
    #[arg(long, global = true, value_name = "NAME")]
    env: Option<String>,
    /// Use the database at this connection URL
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
    /// Read this configuration file [default: the nearest af-db.yaml]
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    config: Option<PathBuf>,
    /// Write one JSON document to standard output
    #[arg(long, global = true)]
    json: bool,
    /// Output format; github, sarif, junit, gitlab and markdown contain findings only [default: human]
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    /// Log only warnings and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Log every step and the server's notices
    #[arg(short, long, global = true)]
    verbose: bool,
    /// Log format on standard error
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "FORMAT",
        default_value = "human",
        hide_short_help = true
    )]
    log_format: LogFormat,
    /// Write metrics about the run to this file, in Prometheus format
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    metrics_file: Option<PathBuf>,
    /// Disable colours (also with NO_COLOR)
    #[arg(long, global = true, hide_short_help = true)]
    no_color: bool,
    /// Answer yes to all questions; not accepted for protected environments
    #[arg(long, global = true)]
    yes: bool,
}

/// How the log is written.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum LogFormat {
    /// For people
    Human,
    /// One JSON object per line, with time and level
    Json,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Create a new project
    Init(commands::init::Args),
    /// Apply pending migrations
    Up(commands::up::Args),
    /// Preview pending migrations with their locks, rewrites and data loss
    Plan(commands::plan::Args),
    /// Check whether a migration can run safely (read-only)
    Preflight(commands::preflight::Args),
    /// Revert migrations, after testing each on a shadow database
    Down(commands::down::Args),
    /// Show which migrations are applied, pending, modified or missing
    Status(commands::status::Args),
    /// Run all checks: files, lint, replay, down migrations, manifest, drift
    Validate(commands::validate::Args),
    /// Create, list, verify and prune backups
    Backup(commands::backup::Args),
    /// Restore a backup and verify it, or test that it can be restored
    Restore(commands::restore::Args),
    /// Compare, apply and test row-level security policies
    DiffRls(commands::diff_rls::Args),
    /// Create the next pair of migration files
    New(commands::new::Args),
    /// Write the declared schema to schemas/
    Manifest(commands::manifest::Args),
    /// Draw the schema as a diagram
    Diagram(commands::diagram::Args),
    /// Adopt another tool's migrations and history
    Adopt(commands::adopt::Args),
    /// Copy a SQLite database into PostgreSQL and verify the rows
    #[cfg(feature = "sqlite")]
    Copy(commands::copy::Args),
    /// Show past runs
    History(commands::history::Args),
    /// Correct the migration history
    Repair(commands::repair::Args),
    /// Check the local environment and suggest fixes
    Doctor(commands::doctor::Args),
    /// Manage this project's local PostgreSQL
    Dev(commands::dev::Args),
    /// Print the SQL that turns one schema into another
    Diff(commands::diff::Args),
    /// Explain a lint rule or an exit status
    Explain(commands::explain::Args),
    /// Print a shell completion script
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// The whole command line, with groups and examples.
fn command() -> clap::Command {
    help::complete(Cli::command())
}

fn parse(arguments: impl Iterator<Item = std::ffi::OsString>) -> Result<Cli, clap::Error> {
    command()
        .try_get_matches_from(arguments)
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map_err(|error| help::with_tip(error.format(&mut command())))
        .and_then(one_format)
}

/// Runs the program with the process's arguments and gives its exit status.
pub fn main() -> ExitCode {
    let cli = match parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            let usage = harmless(error).render().to_string();
            terminal::say_usage(&usage);
            if wants_document() {
                let output = Output {
                    format: Format::Json,
                    colour: false,
                    verbose: false,
                };
                let first = usage.lines().next().unwrap_or_default();
                let first = first.strip_prefix("error: ").unwrap_or(first).to_owned();
                let _ = output
                    .failure(&fail(first).into())
                    .and_then(|()| output::finish());
            }
            terminal::finish();
            return ExitCode::from(Exit::CannotDo.code());
        }
        Err(help) => {
            // Help on a closed pipe is no error either.
            let _ = help.print();
            return ExitCode::from(0);
        }
    };
    let output = output(&cli.global);
    let terminal = Terminal::new(
        loudness(&cli.global),
        colour(&cli.global, std::io::stderr().is_terminal()),
    )
    .structured(cli.global.log_format == LogFormat::Json);
    let ended = caught(|| start(cli, output, &terminal));
    let ended = ended.and_then(|outcome| output::finish().map(|()| outcome));
    let status = match ended {
        Ok(outcome) => outcome.code(),
        Err(error) => {
            terminal.fail(&error);
            // The message stands on standard error already; a document that cannot be written changes nothing.
            let _ = output.failure(&error).and_then(|()| output::finish());
            exit_of(&error).code()
        }
    };
    terminal::finish();
    ExitCode::from(status)
}

/// Runs the command; a panic, which is always a fault of af-db, becomes an error like any other, so that it is reported
/// in the format that was asked for.
fn caught(run: impl FnOnce() -> Result<Outcome>) -> Result<Outcome> {
    static WHERE: Mutex<Option<String>> = Mutex::new(None);
    let here = std::thread::current().id();
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().id() == here {
            let mut place = WHERE.lock().unwrap_or_else(PoisonError::into_inner);
            *place = Some(panic.to_string().replace('\n', " "));
        } else {
            usual(panic);
        }
    }));
    std::panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        let mut place = WHERE.lock().unwrap_or_else(PoisonError::into_inner);
        let place = place.take().unwrap_or_default();
        Err(fail(format!("af-db stopped because of a bug in itself: {place}"))
            .hint("report this message together with the command and, if you can, the file it read; then check with af-db status what was applied")
            .into())
    })
}

/// Whether the arguments, which cannot be parsed, ask for a JSON document.
fn wants_document() -> bool {
    let arguments: Vec<String> = std::env::args().collect();
    let given = |argument: &str| arguments.iter().any(|one| one == argument);
    let format = arguments.iter().any(|one| one.starts_with("--format"));
    let pairs = arguments.windows(2);
    (given("--json") && !format)
        || given("--format=json")
        || pairs.into_iter().any(|pair| pair == ["--format", "json"])
}

/// Gives the error again about arguments that no terminal obeys and that hold no password: its text echoes them.
fn harmless(error: clap::Error) -> clap::Error {
    let shown = |argument: std::ffi::OsString| {
        let argument = argument.to_string_lossy().into_owned();
        visible::line(&redact::addresses(&argument))
            .into_owned()
            .into()
    };
    let again = parse(std::env::args_os().map(shown));
    let kind = error.kind();
    again
        .err()
        .unwrap_or_else(|| command().error(kind, "an argument is not what it should be"))
}

/// Refuses two formats, which clap does not see when one stands before the command and one behind it.
fn one_format(cli: Cli) -> Result<Cli, clap::Error> {
    if cli.global.json && cli.global.format.is_some() {
        let words = "the argument '--json' cannot be used with '--format <FORMAT>'";
        return Err(command().error(clap::error::ErrorKind::ArgumentConflict, words));
    }
    Ok(cli)
}

fn start(cli: Cli, output: Output, terminal: &Terminal) -> Result<Outcome> {
    match cli.command {
        Command::Completions { shell } => {
            commands::completions::completions(&output, command(), shell)?;
            return Ok(Outcome::Clean);
        }
        Command::Man => {
            commands::completions::man(&output, command())?;
            return Ok(Outcome::Clean);
        }
        _ => {}
    }
    let flags = Flags {
        config: cli.global.config.clone(),
        environment: cli.global.env.clone(),
        database_url: cli.global.database_url.clone(),
    };
    let interrupt = Interrupt::default();
    let heard = listen(interrupt.clone())?;
    let context = Context {
        config: config::resolve(&flags)?,
        output,
        terminal: terminal.clone(),
        interrupt,
        yes: cli.global.yes,
        register: std::sync::Arc::default(),
        told: std::sync::Mutex::default(),
    };
    for name in context.config.env.ignored() {
        terminal.warn(&format!(
            "{name} in .env is ignored: a project's .env sets only database and store connections; set {name} in your own environment"
        ));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.context("starting the runtime")?;
    let around = run_hooks::begin(
        &context,
        &name(&cli.command),
        cli.global.metrics_file.clone(),
    );
    let ended = runtime.block_on(until_interrupted(&cli.command, &context, &heard));
    around.end(&context, &ended);
    ended
}

/// Runs a command; an interrupt lets work that promised to tidy up do so and drops any other.
async fn until_interrupted(
    command: &Command,
    context: &Context,
    heard: &AtomicBool,
) -> Result<Outcome> {
    let work = dispatch(command, context);
    tokio::pin!(work);
    tokio::select! {
        done = &mut work => return done,
        () = context.interrupt.wait() => {}
    }
    heard.store(true, Ordering::SeqCst);
    if context.interrupt.is_guarded() {
        context
            .terminal
            .say("stopping: the running statement is cancelled and rolled back");
        return work.await;
    }
    Err(with_exit(Exit::Interrupted, "interrupted").into())
}

/// How long the work may take to hear that it is to stop.
const HEARING: Duration = Duration::from_secs(5);

/// Listens from now on for Ctrl-C and SIGTERM, in a thread of its own: the work may be waiting for a reader or a file.
///
/// Where nobody has said in time that the wish was heard, the program ends at once; servers roll back what was open.
fn listen(interrupt: Interrupt) -> Result<Arc<AtomicBool>> {
    let heard = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&heard);
    let (listening, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = match runtime.context("starting the runtime") {
            Ok(runtime) => runtime,
            Err(error) => return listening.send(Err(error)).unwrap_or_default(),
        };
        runtime.block_on(async {
            let signal = match stop_signal() {
                Ok(signal) => signal,
                Err(error) => return listening.send(Err(error)).unwrap_or_default(),
            };
            listening.send(Ok(())).unwrap_or_default();
            // Only a signal that can no longer come ends the wait with an error.
            if signal.await.is_err() {
                return;
            }
            sink::stop();
            interrupt.raise();
            tokio::time::sleep(HEARING).await;
            if !theirs.load(Ordering::SeqCst) {
                #[expect(
                    clippy::exit,
                    reason = "the thread of the work is stuck and cannot end"
                )]
                std::process::exit(Exit::Interrupted.code().into());
            }
        });
    });
    told.recv().context("listening for Ctrl-C")??;
    Ok(heard)
}

/// Gives the wait for Ctrl-C or a request to end, which are heard from now on.
#[cfg(unix)]
fn stop_signal() -> Result<impl Future<Output = Result<()>>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut press = signal(SignalKind::interrupt()).context("listening for Ctrl-C")?;
    let mut end = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    Ok(async move {
        tokio::select! {
            _ = press.recv() => {}
            _ = end.recv() => {}
        }
        Ok(())
    })
}

/// Gives the wait for Ctrl-C.
#[cfg(not(unix))]
fn stop_signal() -> Result<impl Future<Output = Result<()>>> {
    Ok(async {
        tokio::signal::ctrl_c()
            .await
            .context("listening for Ctrl-C")
    })
}

async fn dispatch(command: &Command, context: &Context) -> Result<Outcome> {
    match command {
        Command::Init(args) => commands::init::run(args, context).await,
        Command::Up(args) => commands::up::run(args, context).await,
        Command::Validate(args) => commands::validate::run(args, context).await,
        Command::Plan(args) => commands::plan::run(args, context).await,
        Command::Preflight(args) => commands::preflight::run(args, context).await,
        Command::Down(args) => commands::down::run(args, context).await,
        Command::Status(args) => commands::status::run(args, context).await,
        Command::Backup(args) => commands::backup::run(args, context).await,
        Command::Restore(args) => commands::restore::run(args, context).await,
        Command::DiffRls(args) => commands::diff_rls::run(args, context).await,
        Command::New(args) => commands::new::run(args, context).await,
        #[cfg(feature = "sqlite")]
        Command::Copy(args) => commands::copy::run(args, context).await,
        Command::Adopt(args) => commands::adopt::run(args, context).await,
        Command::Manifest(args) => commands::manifest::run(args, context).await,
        Command::Diagram(args) => commands::diagram::run(args, context).await,
        Command::History(args) => commands::history::run(args, context).await,
        Command::Repair(args) => commands::repair::run(args, context).await,
        Command::Doctor(args) => commands::doctor::run(args, context).await,
        Command::Dev(args) => commands::dev::run(args, context).await,
        Command::Diff(args) => commands::diff::run(args, context).await,
        Command::Explain(args) => commands::explain::run(args, context).await,
        Command::Completions { .. } | Command::Man => Ok(Outcome::Clean),
    }
}

/// Gives a command's name as typed, which clap makes of the variant's in the same way.
fn name(command: &Command) -> String {
    let shown = format!("{command:?}");
    let variant = shown.chars().take_while(char::is_ascii_alphanumeric);
    let mut name = String::new();
    for character in variant {
        if character.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(character.to_ascii_lowercase());
    }
    name
}

fn output(global: &Global) -> Output {
    let plain = if global.json {
        Format::Json
    } else {
        Format::Human
    };
    Output {
        format: global.format.unwrap_or(plain),
        colour: colour(global, std::io::stdout().is_terminal()),
        verbose: global.verbose,
    }
}

fn loudness(global: &Global) -> Loudness {
    match (global.quiet, global.verbose) {
        (true, _) => Loudness::Quiet,
        (_, true) => Loudness::Verbose,
        _ => Loudness::Normal,
    }
}

fn colour(global: &Global, is_terminal: bool) -> bool {
    is_terminal && !global.no_color && !config::no_color()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_grouped_and_its_examples_parse() {
        help::check(&command());
    }

    #[test]
    fn words_of_other_tools_lead_to_the_command() {
        let error = |arguments: &[&str]| {
            let arguments = arguments.iter().map(std::ffi::OsString::from);
            parse(arguments).unwrap_err().to_string()
        };
        assert!(error(&["af-db", "migrate"]).contains("use `af-db up`"));
        assert!(error(&["af-db", "rollback"]).contains("use `af-db down`"));
        assert!(error(&["af-db", "up", "--dry-run"]).contains("use `af-db plan`"));
        assert!(!error(&["af-db", "frobnicate"]).contains("use `"));
    }

    #[test]
    fn a_panic_is_an_error_like_any_other() {
        let error = caught(|| panic!("a \n broken promise")).unwrap_err();
        let message = error.to_string();
        assert!(
            message.contains("bug in itself") && message.contains("src/cli.rs"),
            "{message}"
        );
        assert!(message.contains("a   broken promise"), "{message}");
        assert_eq!(exit_of(&error).code(), 2);
        assert!(caught(|| Ok(Outcome::Clean)).is_ok());
    }
}
