//! Server processes that end with this process: start, supervision and end.

use std::process::{Child, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::pg::program::{self, Program};

pub use crate::pg::program::ShutdownMode;

/// A server process that is stopped when this value is dropped.
///
/// On Linux the death signal of a child follows the *thread* that started it, so each server has its own thread, which
/// starts it, waits for its end, and reaps it.
pub struct ChildServer {
    pid: u32,
    // Set by the thread before it reaps, so that a signal never meets a recycled process id.
    ended: Arc<(Mutex<Option<ExitStatus>>, Condvar)>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// Time limit of an immediate shutdown; PostgreSQL itself kills its last processes after five seconds.
const PATIENCE: Duration = Duration::from_secs(10);

impl ChildServer {
    /// Starts a server that logs to `log`; `on_our_death` is how it is shut down if this process is killed.
    pub fn start(
        program: &Program,
        log: std::fs::File,
        on_our_death: ShutdownMode,
    ) -> Result<Self> {
        let program = program.clone();
        let ended = Arc::new((Mutex::new(None), Condvar::new()));
        let ended_in_thread = Arc::clone(&ended);
        let (sender, started) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("server keeper".to_owned())
            .spawn(move || {
                let mut child = match program.spawn_server(log, on_our_death) {
                    Ok(child) => child,
                    Err(error) => return drop(sender.send(Err(error))),
                };
                // The receiver is gone only if the starter panicked; the wait below still supervises the child.
                let _ = sender.send(Ok(child.id()));
                wait_without_reaping(&mut child);
                let (ended, over) = &*ended_in_thread;
                let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
                *ended = child.wait().ok();
                over.notify_all();
            })
            .context("starting a thread to keep the server")?;
        let pid = started.recv().context("starting the server")??;
        Ok(ChildServer {
            pid,
            ended,
            thread: Some(thread),
        })
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns its exit status once it has ended.
    pub fn ended(&self) -> Option<ExitStatus> {
        *self.ended.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shuts it down and waits for its end; a server that ignores an immediate shutdown is killed.
    pub fn stop(&mut self, mode: ShutdownMode) {
        self.stop_within(mode, PATIENCE);
    }

    fn stop_within(&mut self, mode: ShutdownMode, patience: Duration) {
        {
            let (ended, over) = &*self.ended;
            let ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
            if ended.is_none() {
                signal(self.pid, mode);
                if mode == ShutdownMode::Immediate {
                    let waited = over.wait_timeout_while(ended, patience, |it| it.is_none());
                    let (ended, _) = waited.unwrap_or_else(PoisonError::into_inner);
                    if ended.is_none() {
                        kill(self.pid);
                    }
                }
            }
        }
        if let Some(thread) = self.thread.take() {
            // A panic of the thread would leave nothing to do here.
            let _ = thread.join();
        }
    }
}

impl Drop for ChildServer {
    fn drop(&mut self) {
        self.stop(ShutdownMode::Immediate);
    }
}

#[cfg(unix)]
fn wait_without_reaping(child: &mut Child) {
    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
    let pid = Pid::from_child(child);
    let how = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while let Err(error) = waitid(WaitId::Pid(pid), how) {
        if error != rustix::io::Errno::INTR {
            break;
        }
    }
}

/// On other systems a process id is not reused while the child is not reaped.
#[cfg(not(unix))]
fn wait_without_reaping(child: &mut Child) {
    while let Ok(None) = child.try_wait() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// Sends the shutdown signal; a process that has already ended is ignored.
#[cfg(unix)]
pub fn signal(pid: u32, mode: ShutdownMode) {
    let signal = match mode {
        ShutdownMode::Fast => rustix::process::Signal::INT,
        ShutdownMode::Immediate => rustix::process::Signal::QUIT,
    };
    send(pid, signal);
}

#[cfg(unix)]
fn kill(pid: u32) {
    send(pid, rustix::process::Signal::KILL);
}

/// Such systems have no shutdown signal.
#[cfg(not(unix))]
fn kill(pid: u32) {
    signal(pid, ShutdownMode::Immediate);
}

#[cfg(unix)]
fn send(pid: u32, signal: rustix::process::Signal) {
    if let Some(pid) = program::process(pid) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

#[cfg(not(unix))]
pub fn signal(pid: u32, _: ShutdownMode) {
    program::end(pid);
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn started(script: &str) -> (ChildServer, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("a folder");
        let ready = folder.path().join("ready");
        let log = std::fs::File::create(folder.path().join("log")).expect("a log");
        let program = Program::new("/bin/sh")
            .args(["-c", script])
            .directory(folder.path());
        let server = ChildServer::start(&program, log, ShutdownMode::Immediate).expect("a shell");
        while !ready.exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
        (server, folder)
    }

    #[test]
    fn a_server_that_ignores_the_signal_is_killed() {
        let (mut server, _folder) = started("trap '' QUIT; touch ready; while :; do sleep 1; done");
        server.stop_within(ShutdownMode::Immediate, Duration::from_millis(50));
        assert_eq!(server.ended().unwrap().to_string(), "signal: 9 (SIGKILL)");
    }

    #[test]
    fn a_server_that_ends_in_time_is_not_killed() {
        // The signal may be ignored by inheritance; then the process ends in its own time.
        let (mut server, _folder) = started("touch ready; exec sleep 0.2");
        server.stop(ShutdownMode::Immediate);
        assert_ne!(server.ended().unwrap().to_string(), "signal: 9 (SIGKILL)");
    }
}
