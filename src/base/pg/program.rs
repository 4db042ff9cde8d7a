//! Starts processes: PostgreSQL's own programs and commands of the project.
//!
//! The only file that starts a process. No `PG…` variable of the user's environment reaches a child unless the caller
//! sets it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Result};

use crate::error::fail;
use crate::pg::embedded::privileges::User;
use crate::pg::embedded::sandbox::Sandbox;

/// Variables that would silently change what a program of PostgreSQL does; a caller that wants one of them sets it.
const NOT_INHERITED: &[&str] = &[
    "PGAPPNAME",
    "PGCHANNELBINDING",
    "PGCLIENTENCODING",
    "PGCONNECT_TIMEOUT",
    "PGDATA",
    "PGDATABASE",
    "PGDATESTYLE",
    "PGGSSENCMODE",
    "PGHOST",
    "PGHOSTADDR",
    "PGOPTIONS",
    "PGPASSFILE",
    "PGPASSWORD",
    "PGPORT",
    "PGREQUIREAUTH",
    "PGREQUIREPEER",
    "PGREQUIRESSL",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGSSLCERT",
    "PGSSLCERTMODE",
    "PGSSLCRL",
    "PGSSLKEY",
    "PGSSLMODE",
    "PGSSLNEGOTIATION",
    "PGSSLROOTCERT",
    "PGTARGETSESSIONATTRS",
    "PGTZ",
    "PGUSER",
    "PG_COLOR",
];

/// PostgreSQL's shutdown modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownMode {
    /// SIGINT: sessions are ended, data is written.
    Fast,
    /// SIGQUIT: at once, leaving recovery to the next start; for data that is discarded.
    Immediate,
}

/// A program with its arguments, not yet started.
#[derive(Clone, Debug)]
pub struct Program {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    directory: Option<PathBuf>,
    user: Option<User>,
    sandbox: Option<Arc<Sandbox>>,
    input: Vec<u8>,
}

/// The output and exit status of a finished program.
#[derive(Debug)]
pub struct ProgramOutput {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Program {
    /// Takes an absolute path, or a name to be found on the search path.
    pub fn new(program: impl AsRef<Path>) -> Self {
        Program {
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            directory: None,
            user: None,
            sandbox: None,
            input: Vec::new(),
        }
    }

    /// Never a password, which every user of the machine could read.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        for argument in arguments {
            self.arguments.push(argument.as_ref().to_owned());
        }
        self
    }

    /// Sets an environment variable; the way to pass a password.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets the working directory.
    pub fn directory(mut self, directory: impl AsRef<Path>) -> Self {
        self.directory = Some(directory.as_ref().to_owned());
        self
    }

    /// Runs it as another user; PostgreSQL servers refuse to run as root.
    pub fn user(mut self, user: Option<&User>) -> Self {
        self.user = user.cloned();
        self
    }

    /// Restricts it to what the sandbox allows.
    pub fn sandbox(mut self, sandbox: Option<Arc<Sandbox>>) -> Self {
        self.sandbox = sandbox;
        self
    }

    /// Sets its standard input.
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// Runs it to its end; a failed program is not an error here, see [`ProgramOutput::check`].
    ///
    /// Dropping the future kills the program.
    pub async fn run(self) -> Result<ProgramOutput> {
        use tokio::io::AsyncWriteExt as _;
        let input = self.input.clone();
        let mut child = self.start()?;
        let feed = child.stdin.take();
        let feeding = async move {
            if let Some(mut stdin) = feed {
                // A program that stops reading early reports it with its exit status.
                let _ = stdin.write_all(&input).await;
            }
        };
        let (output, ()) = tokio::join!(child.wait_with_output(), feeding);
        let output = output.with_context(|| format!("waiting for {}", self.program.display()))?;
        Ok(ProgramOutput {
            status: output.status,
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs it to its end without input or output; for clean-up, where nothing can be awaited.
    pub fn run_silently(&self) -> Result<ExitStatus> {
        let mut command = self.command(ParentTie::Loose);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.status().map_err(|error| self.start_error(&error))
    }

    /// Starts it with all three streams piped; dropping the child kills it.
    pub fn start(&self) -> Result<tokio::process::Child> {
        self.start_piped(ParentTie::Loose, Stdio::piped())
    }

    /// Starts it without a terminal or input, as the leader of a new process group, so that all its processes can be ended.
    pub(super) fn start_group(&self) -> Result<tokio::process::Child> {
        self.start_piped(ParentTie::Group, Stdio::null())
    }

    fn start_piped(&self, ties: ParentTie, stdin: Stdio) -> Result<tokio::process::Child> {
        let mut command = tokio::process::Command::from(self.command(ties));
        command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command.spawn().map_err(|error| self.start_error(&error))
    }

    /// Runs it on our terminal, for `psql`.
    pub async fn run_on_terminal(&self) -> Result<ExitStatus> {
        let mut command = tokio::process::Command::from(self.command(ParentTie::Terminal));
        let mut child = command.spawn().map_err(|error| self.start_error(&error))?;
        child
            .wait()
            .await
            .with_context(|| format!("waiting for {}", self.program.display()))
    }

    /// Starts it detached: in its own session, without a terminal, writing to `log`; it survives our end.
    ///
    /// Dropping the child does not end it.
    pub fn start_detached(&self, log: std::fs::File) -> Result<Child> {
        let mut command = self.command(ParentTie::Detached);
        let says = log.try_clone().context("opening the log twice")?;
        command.stdin(Stdio::null()).stdout(log).stderr(says);
        command.spawn().map_err(|error| self.start_error(&error))
    }

    fn command(&self, ties: ParentTie) -> Command {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the file that starts processes"
        )]
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        if matches!(ties, ParentTie::Server(_)) {
            restrict_environment(&mut command);
        }
        for name in NOT_INHERITED {
            command.env_remove(name);
        }
        if ties != ParentTie::Terminal {
            // Messages are matched and shown in English; the machine's locale must not affect a cluster.
            command.env("LC_ALL", "C").env("TZ", "UTC");
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        // The current directory may be one that the other user cannot enter.
        match (&self.directory, &self.user) {
            (Some(directory), _) => {
                command.current_dir(directory);
            }
            (None, Some(_)) => {
                command.current_dir("/");
            }
            (None, None) => {}
        }
        apply_tie(&mut command, self, ties);
        command
    }

    fn start_error(&self, error: &std::io::Error) -> anyhow::Error {
        let message = format!("cannot start `{}`: {error}", self.program.display());
        fail(message).into()
    }
}

impl ProgramOutput {
    /// Turns a failed exit status into an error with the program's own message; `doing` is the error's prefix.
    pub fn check(self, doing: &str) -> Result<Self> {
        if self.status.success() {
            return Ok(self);
        }
        let says = self.stderr.trim();
        let says = if says.is_empty() {
            "no error message"
        } else {
            says
        };
        Err(fail(format!("{doing} ({}): {says}", self.status)).into())
    }

    /// Returns the standard output without the trailing line break.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }
}

/// The variables a server needs; our environment also contains connection URLs and passwords of other servers.
const FOR_SERVERS: [&str; 15] = [
    "PATH",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "DYLD_FALLBACK_LIBRARY_PATH",
    "LOCALE_ARCHIVE",
    "LOCPATH",
    "ICU_DATA",
    "TMPDIR",
    "TEMP",
    "TMP",
    "SYSTEMROOT",
    "SYSTEMDRIVE",
    "WINDIR",
    "USERPROFILE",
    "COMSPEC",
];

/// Leaves a server only the variables it needs.
fn restrict_environment(command: &mut Command) {
    command.env_clear();
    for name in FOR_SERVERS {
        #[expect(clippy::disallowed_methods, reason = "passed on unchanged")]
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
}

/// How the life of a child process is tied to ours.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ParentTie {
    /// Runs to its end while we wait; is killed when we die.
    Loose,
    /// The same in its own session: its processes cannot prompt on our terminal, or be stopped there for trying.
    Group,
    /// Shares our terminal and its signals.
    Terminal,
    /// A server: Ctrl-C in our terminal must not reach it before we have rolled back; is shut down when we die.
    Server(ShutdownMode),
    /// Waits for our death, so it must survive it.
    Watchdog,
    /// Independent of us once started.
    Detached,
}

#[cfg(unix)]
fn apply_tie(command: &mut Command, tool: &Program, ties: ParentTie) {
    use std::os::unix::process::CommandExt as _;
    if let Some(user) = &tool.user {
        // The standard library also drops the supplementary groups when it changes the user.
        command.uid(user.uid).gid(user.gid);
    }
    if matches!(ties, ParentTie::Server(_) | ParentTie::Watchdog) {
        command.process_group(0);
    }
    let parent = rustix::process::getpid();
    let sandbox = tool.sandbox.clone();
    let in_child = move || {
        if let Some(sandbox) = &sandbox {
            sandbox.enter()?;
        }
        prepare_child(ties, parent)
    };
    #[expect(
        unsafe_code,
        reason = "between fork and exec: only system calls that are safe there, no allocation, no lock"
    )]
    unsafe {
        command.pre_exec(in_child);
    }
}

/// Runs in the child after the change of user, which would reset the death signal.
#[cfg(unix)]
fn prepare_child(ties: ParentTie, parent: rustix::process::Pid) -> std::io::Result<()> {
    use rustix::fs::Mode;
    use rustix::process::umask;
    if ties == ParentTie::Detached {
        rustix::process::setsid()?;
        umask(Mode::RWXG | Mode::RWXO);
        return Ok(());
    }
    if ties == ParentTie::Group {
        rustix::process::setsid()?;
    }
    if matches!(ties, ParentTie::Server(_) | ParentTie::Watchdog) {
        umask(Mode::RWXG | Mode::RWXO);
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Signal, set_parent_process_death_signal};
        let signal = match ties {
            ParentTie::Loose | ParentTie::Group => Some(Signal::KILL),
            ParentTie::Server(ShutdownMode::Fast) => Some(Signal::INT),
            ParentTie::Server(ShutdownMode::Immediate) => Some(Signal::QUIT),
            ParentTie::Terminal | ParentTie::Watchdog | ParentTie::Detached => None,
        };
        if let Some(signal) = signal {
            set_parent_process_death_signal(Some(signal))?;
            // If we died before the line above, the signal is never sent.
            if rustix::process::getppid() != Some(parent) {
                return Err(std::io::ErrorKind::NotConnected.into());
            }
        }
    }
    let _ = parent;
    Ok(())
}

#[cfg(not(unix))]
fn apply_tie(_: &mut Command, _: &Program, _: ParentTie) {}

/// Returns the command line of a process on systems without `/proc`.
#[cfg(all(unix, not(target_os = "linux")))]
pub fn command_line(pid: u32) -> Option<String> {
    let tool = Program::new("ps").args(["-o", "command=", "-p", &pid.to_string()]);
    let output = tool.command(ParentTie::Loose).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Returns the process id as a type for sending signals.
#[cfg(unix)]
pub(super) fn process(id: u32) -> Option<rustix::process::Pid> {
    let id = i32::try_from(id).ok()?;
    rustix::process::Pid::from_raw(id)
}

/// Kills a process on systems without signals.
#[cfg(not(unix))]
pub(super) fn end(pid: u32) {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the file that starts processes"
    )]
    let _ = Command::new("taskkill")
        .args(["/T", "/F", "/PID", &pid.to_string()])
        .status();
}

impl Program {
    /// Starts a server that logs to `log`; `on_our_death` is how it is shut down if this process is killed.
    pub(super) fn spawn_server(
        &self,
        log: std::fs::File,
        on_our_death: ShutdownMode,
    ) -> Result<Child> {
        let mut command = self.command(ParentTie::Server(on_our_death));
        let says = log.try_clone().context("opening the log twice")?;
        command.stdin(Stdio::null()).stdout(log).stderr(says);
        command.spawn().map_err(|error| self.start_error(&error))
    }
}

/// A small shell that outlives us only to clean up after us if we are killed.
pub struct Watchdog {
    child: Child,
}

impl Watchdog {
    /// Watches a directory that need not exist yet; it waits for the end of its input, which is our end.
    pub fn start(directory: &Path, user: Option<&User>) -> Result<Self> {
        let tool = Program::new("/bin/sh")
            .arg("-c")
            .arg(include_str!("embedded/watchdog.sh"))
            .arg("af-db-watchdog")
            .arg(directory)
            .directory("/")
            .user(user);
        let mut command = tool.command(ParentTie::Watchdog);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().map_err(|error| tool.start_error(&error))?;
        Ok(Watchdog { child })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // What it watches is removed by now; ending the shell leaves nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
