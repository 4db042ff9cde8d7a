//! Owns servers that live no longer than we do: how they are started, watched and ended.

use std::process::{Child, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::pg::program::{self, Program};

pub use crate::pg::program::ShutdownMode;

/// A server that lives no longer than this value.
///
/// On Linux the death signal of a child follows the *thread* that started it, so each server has a thread of its own that
/// starts it, waits for its end, and reaps it.
pub struct ChildServer {
    pid: u32,
    // Set by the thread before it reaps, so that a signal never meets a recycled process id.
    ended: Arc<(Mutex<Option<ExitStatus>>, Condvar)>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// How long a server that shall end at once is waited for; PostgreSQL itself kills its last processes after five seconds.
const PATIENCE: Duration = Duration::from_secs(10);

impl ChildServer {
    /// Starts a server; what it says goes to `log`, and should we be killed it is asked to end like this.
    pub fn start(tool: &Program, log: std::fs::File, on_our_death: ShutdownMode) -> Result<Self> {
        let tool = tool.clone();
        let ended = Arc::new((Mutex::new(None), Condvar::new()));
        let told = Arc::clone(&ended);
        let (tell, started) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("server keeper".to_owned())
            .spawn(move || {
                let mut child = match tool.spawn_server(log, on_our_death) {
                    Ok(child) => child,
                    Err(error) => return drop(tell.send(Err(error))),
                };
                // Nobody listens any more only if the starter was unwound; the wait below still keeps the child.
                let _ = tell.send(Ok(child.id()));
                wait_without_reaping(&mut child);
                let (ended, over) = &*told;
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

    /// Returns its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Says how it ended, if it has.
    pub fn ended(&self) -> Option<ExitStatus> {
        *self.ended.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks it to end and waits until it has; who shall end at once and does not listen is killed.
    pub fn stop(&mut self, ask: ShutdownMode) {
        self.stop_within(ask, PATIENCE);
    }

    fn stop_within(&mut self, ask: ShutdownMode, patience: Duration) {
        {
            let (ended, over) = &*self.ended;
            let ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
            if ended.is_none() {
                signal(self.pid, ask);
                if ask == ShutdownMode::Immediate {
                    let waited = over.wait_timeout_while(ended, patience, |it| it.is_none());
                    let (ended, _) = waited.unwrap_or_else(PoisonError::into_inner);
                    if ended.is_none() {
                        kill(self.pid);
                    }
                }
            }
        }
        if let Some(thread) = self.thread.take() {
            // The thread has no way to panic that would leave something to do here.
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

/// Elsewhere a process id stays ours as long as we hold the child.
#[cfg(not(unix))]
fn wait_without_reaping(child: &mut Child) {
    while let Ok(None) = child.try_wait() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// Sends a server the wish to end; a process that is gone already is none of our business.
#[cfg(unix)]
pub fn signal(pid: u32, ask: ShutdownMode) {
    let signal = match ask {
        ShutdownMode::Fast => rustix::process::Signal::INT,
        ShutdownMode::Immediate => rustix::process::Signal::QUIT,
    };
    send(pid, signal);
}

#[cfg(unix)]
fn kill(pid: u32) {
    send(pid, rustix::process::Signal::KILL);
}

/// There the wish to end is none.
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

/// Sends a server the wish to end.
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
        let tool = Program::new("/bin/sh")
            .args(["-c", script])
            .directory(folder.path());
        let kept = ChildServer::start(&tool, log, ShutdownMode::Immediate).expect("a shell");
        while !ready.exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
        (kept, folder)
    }

    #[test]
    fn who_does_not_listen_is_killed() {
        let (mut kept, _folder) = started("trap '' QUIT; touch ready; while :; do sleep 1; done");
        kept.stop_within(ShutdownMode::Immediate, Duration::from_millis(50));
        assert_eq!(kept.ended().unwrap().to_string(), "signal: 9 (SIGKILL)");
    }

    #[test]
    fn who_ends_in_time_is_not_killed() {
        // Whoever runs us may have had the signal ignored; then it ends in its own time.
        let (mut kept, _folder) = started("touch ready; exec sleep 0.2");
        kept.stop(ShutdownMode::Immediate);
        assert_ne!(kept.ended().unwrap().to_string(), "signal: 9 (SIGKILL)");
    }
}
