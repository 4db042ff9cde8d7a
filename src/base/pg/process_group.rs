//! Runs commands of the project with a time limit, and ends all processes they started.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::AsyncReadExt as _;
use tokio::process::Child;

use crate::event::Interrupt;
use crate::pg::program::{self, Program, ProgramOutput};

/// How a command ended.
#[derive(Debug)]
pub enum GroupEnd {
    /// By itself, with any exit status.
    Finished(ProgramOutput),
    /// Ended by us after the time limit, with all its processes.
    TimedOut,
    /// Ended by us on an interrupt, with all its processes.
    Interrupted,
}

/// How long processes may clean up after SIGTERM before they are killed.
const GRACE: Duration = Duration::from_secs(5);

/// Runs a command to its end; ends all of its processes after `patience` or on an interrupt.
///
/// Processes it leaves running when it ends by itself are left alone.
pub async fn run(program: &Program, patience: Duration, interrupt: &Interrupt) -> Result<GroupEnd> {
    run_with(program, patience, GRACE, interrupt).await
}

async fn run_with(
    program: &Program,
    patience: Duration,
    grace: Duration,
    interrupt: &Interrupt,
) -> Result<GroupEnd> {
    let _guard = interrupt.guard();
    let mut group = ProcessGroup::start(program)?;
    let cut_short = tokio::select! {
        done = group.done() => return done.map(GroupEnd::Finished),
        () = tokio::time::sleep(patience) => GroupEnd::TimedOut,
        () = interrupt.wait() => GroupEnd::Interrupted,
    };
    group.end(grace).await;
    Ok(cut_short)
}

/// A program and all processes it started in its process group.
struct ProcessGroup {
    leader: Child,
    // The process id of the leader is the id of the group.
    id: Option<u32>,
}

impl ProcessGroup {
    fn start(program: &Program) -> Result<Self> {
        let leader = program.start_group()?;
        let id = leader.id();
        Ok(ProcessGroup { leader, id })
    }

    async fn done(&mut self) -> Result<ProgramOutput> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let answers = self.leader.stdout.as_mut().context("reading its answer")?;
        let says = self.leader.stderr.as_mut().context("reading its words")?;
        let (answered, said) = tokio::join!(
            answers.read_to_end(&mut stdout),
            says.read_to_end(&mut stderr)
        );
        answered.and(said).context("reading its words")?;
        let status = self.leader.wait().await.context("waiting for its end")?;
        Ok(ProgramOutput {
            status,
            stdout,
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        })
    }

    /// Sends SIGTERM to all processes, and kills those that have not ended within the grace period.
    async fn end(&mut self, grace: Duration) {
        const PAUSE: Duration = Duration::from_millis(20);
        let Some(id) = self.id else { return };
        terminate(id);
        let gone = async {
            // The id stays valid until the last process of the group is gone.
            let _ = self.leader.wait().await;
            while exists(id) {
                tokio::time::sleep(PAUSE).await;
            }
        };
        if tokio::time::timeout(grace, gone).await.is_err() {
            kill(id);
            let _ = self.leader.wait().await;
        }
    }
}

impl Drop for ProcessGroup {
    /// A dropped command gets no grace period.
    fn drop(&mut self) {
        if let Some(id) = self.leader.id() {
            kill(id);
        }
    }
}

#[cfg(unix)]
fn terminate(id: u32) {
    send(id, rustix::process::Signal::TERM);
}

#[cfg(unix)]
fn kill(id: u32) {
    send(id, rustix::process::Signal::KILL);
}

#[cfg(unix)]
fn send(id: u32, signal: rustix::process::Signal) {
    if let Some(id) = program::process(id) {
        let _ = rustix::process::kill_process_group(id, signal);
    }
}

#[cfg(unix)]
fn exists(id: u32) -> bool {
    program::process(id).is_some_and(|id| rustix::process::test_kill_process_group(id).is_ok())
}

/// Systems without process groups.
#[cfg(not(unix))]
fn terminate(id: u32) {
    kill(id);
}

#[cfg(not(unix))]
fn kill(id: u32) {
    program::end(id);
}

#[cfg(not(unix))]
fn exists(_: u32) -> bool {
    false
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(300);
    const LONG: Duration = Duration::from_secs(60);

    /// Runs a script in a folder; it starts a sleeper in the background and writes its process id.
    async fn run_in(folder: &std::path::Path, script: &str, grace: Duration) -> GroupEnd {
        let program = Program::new("/bin/sh")
            .args(["-c", script])
            .directory(folder);
        let interrupt = Interrupt::default();
        let running = run_with(&program, LONG, grace, &interrupt);
        let ready = async {
            while !folder.join("ready").exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            interrupt.raise();
        };
        tokio::join!(running, ready).0.expect("a shell")
    }

    /// Returns whether a process is running; a zombie is not.
    fn is_running(folder: &std::path::Path) -> bool {
        let id = std::fs::read_to_string(folder.join("sleeper")).expect("its id");
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{}/stat", id.trim())) else {
            return false;
        };
        let state = stat.rsplit(") ").next().unwrap_or_default();
        !state.starts_with(['Z', 'X'])
    }

    /// Waits for a killed process to end, which takes a moment.
    async fn is_over(folder: &std::path::Path) {
        let over = async {
            while is_running(folder) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let over = tokio::time::timeout(LONG, over).await;
        over.expect("what was killed ends");
    }

    #[tokio::test]
    async fn background_processes_end_with_the_command() {
        let folder = tempfile::tempdir().unwrap();
        let script = "sleep 1000 >/dev/null 2>&1 & echo $! > sleeper; touch ready; wait";
        let ended = run_in(folder.path(), script, LONG).await;
        assert!(matches!(ended, GroupEnd::Interrupted), "{ended:?}");
        assert!(!is_running(folder.path()));
    }

    #[tokio::test]
    async fn processes_that_ignore_sigterm_are_killed_and_others_may_clean_up() {
        let folder = tempfile::tempdir().unwrap();
        // The shell itself ends on SIGTERM; its background process handles it, or ignores it.
        let script = |trap: &str| {
            format!(
                "(trap '{trap}' TERM; touch set; while :; do sleep 0.05; done) >/dev/null 2>&1 & echo $! > sleeper; \
                 while [ ! -e set ]; do sleep 0.01; done; touch ready; wait"
            )
        };
        let tidy = script("sleep 0.2; touch tidied; exit");
        run_in(folder.path(), &tidy, LONG).await;
        assert!(folder.path().join("tidied").exists());
        assert!(!is_running(folder.path()));
        let folder = tempfile::tempdir().unwrap();
        run_in(folder.path(), &script(""), MOMENT).await;
        is_over(folder.path()).await;
    }

    #[tokio::test]
    async fn a_command_is_ended_after_the_time_limit_only() {
        let interrupt = Interrupt::default();
        let shell = |script: &str| Program::new("/bin/sh").args(["-c", script]);
        let ended = run(&shell("sleep 1000 & wait"), MOMENT, &interrupt).await;
        assert!(matches!(ended, Ok(GroupEnd::TimedOut)), "{ended:?}");
        let folder = tempfile::tempdir().unwrap();
        let script =
            "sleep 1000 >/dev/null 2>&1 & echo $! > sleeper; echo said; echo loudly >&2; exit 3";
        let program = shell(script).directory(folder.path());
        let Ok(GroupEnd::Finished(done)) = run(&program, LONG, &interrupt).await else {
            panic!("it ends by itself");
        };
        assert_eq!(
            (done.text().as_str(), done.stderr.as_str()),
            ("said", "loudly\n")
        );
        assert_eq!(done.status.code(), Some(3));
        assert!(is_running(folder.path()));
        let id = std::fs::read_to_string(folder.path().join("sleeper")).unwrap();
        shell(&format!("kill {id}")).run().await.unwrap();
    }

    #[tokio::test]
    async fn a_dropped_command_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let script = "sleep 1000 & echo $! > sleeper; touch ready; wait";
        let program = Program::new("/bin/sh")
            .args(["-c", script])
            .directory(folder.path());
        let interrupt = Interrupt::default();
        let ready = async {
            while !folder.path().join("ready").exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            ended = run(&program, LONG, &interrupt) => panic!("{ended:?}"),
            () = ready => {}
        }
        is_over(folder.path()).await;
    }
}
