//! Owns standard error, the story, and the keyboard: progress, warnings, questions.
//!
//! The only file that prompts or draws bars. Without a terminal nothing is ever asked; plain lines are written.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::commands::output::failure_text;
use crate::error::refuse;
use crate::event::{Event, Unit};
use crate::finding::Severity;

/// How much of the story is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loudness {
    /// Warnings and errors only.
    Quiet,
    /// The story.
    Normal,
    /// With the server's notices and every step.
    Verbose,
}

/// Standard error and the keyboard; clones share the bar.
#[derive(Clone)]
pub struct Terminal {
    loudness: Loudness,
    colour: bool,
    // One JSON object a line, for those who collect logs.
    structured: bool,
    // Events arrive through a shared reference from wherever work is done.
    bar: Arc<Mutex<Option<ProgressBar>>>,
}

impl Terminal {
    /// Takes hold of standard error.
    pub fn new(loudness: Loudness, colour: bool) -> Self {
        Terminal {
            loudness,
            colour,
            structured: false,
            bar: Arc::default(),
        }
    }

    /// Has the story written as one JSON object a line.
    pub fn structured(mut self, structured: bool) -> Self {
        self.structured = structured;
        self
    }

    /// Says whether a person is there to answer.
    pub fn is_interactive(&self) -> bool {
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Tells one moment of long work.
    pub fn tell(&self, event: Event<'_>) {
        match event {
            Event::Began { task, total, unit } => self.begin(task, total, unit),
            Event::Advanced { done, note } => self.advance(done, note),
            Event::Ended => self.end(),
            Event::Said(text) => self.say(text),
            Event::Warned(text) => self.warn(text),
            Event::Notice {
                severity: Severity::Note,
                message,
            } => {
                if self.loudness == Loudness::Verbose {
                    self.log("notice", message, || format!("notice: {message}"));
                }
            }
            Event::Notice { message, .. } => {
                self.log("server-warning", message, || {
                    format!("server warning: {message}")
                });
            }
        }
    }

    /// Writes a line of the story.
    pub fn say(&self, text: &str) {
        if self.loudness > Loudness::Quiet {
            self.log("info", text, || text.to_owned());
        }
    }

    /// Writes a line of the story that needs attention.
    pub fn warn(&self, text: &str) {
        self.log("warning", text, || {
            format!("{} {text}", self.paint("33", "warning:"))
        });
    }

    /// Writes a failure.
    pub fn fail(&self, error: &anyhow::Error) {
        self.end();
        let text = failure_text(error, false);
        self.log("error", text.trim_end(), || {
            failure_text(error, self.colour).trim_end().to_owned()
        });
    }

    /// Writes a line for people, or an object for those who collect them.
    fn log(&self, level: &str, message: &str, plain: impl FnOnce() -> String) {
        if self.structured {
            let at = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
            self.write(
                &serde_json::json!({"at": at, "level": level, "message": message}).to_string(),
            );
        } else {
            self.line(&plain());
        }
    }

    /// Asks yes or no; no is the default, and no terminal is a refusal.
    pub fn confirm(&self, question: &str) -> Result<()> {
        self.need_person(question, "say --yes if this is meant")?;
        self.end();
        let prompt = dialoguer::Confirm::new()
            .with_prompt(question)
            .default(false);
        if prompt.interact().context("asking")? {
            return Ok(());
        }
        Err(refuse("not confirmed; nothing was changed").into())
    }

    /// Asks which of several it is; the first is the default. Only for where a person is known to be there.
    pub fn choose(&self, question: &str, choices: &[String]) -> Result<usize> {
        self.end();
        let prompt = dialoguer::Select::new()
            .with_prompt(question)
            .items(choices)
            .default(0);
        prompt
            .interact_opt()
            .context("asking")?
            .ok_or_else(|| refuse("nothing was chosen; nothing was written").into())
    }

    /// Asks a person to type exactly these words; there is no default and no flag that answers.
    ///
    /// `otherwise` says what leads there where nobody can be asked.
    pub fn confirm_typed(&self, question: &str, words: &str, otherwise: &str) -> Result<()> {
        let hint = format!("run this in a terminal, where a person can answer; {otherwise}");
        self.need_person(question, &hint)?;
        self.end();
        // Before the question is read: a Ctrl-C that answers it must come as a key.
        let keyboard = Keyboard::open()?;
        self.write(&format!("{question}\nType `{words}` to go on:"));
        let Some(answer) = keyboard.line()? else {
            return Err(refuse("nothing was typed; nothing was changed")
                .hint(format!("the words are `{words}`"))
                .into());
        };
        if answer.trim() == words {
            return Ok(());
        }
        Err(
            refuse("what was typed is not what was asked for; nothing was changed")
                .hint(format!("the words are `{words}`"))
                .into(),
        )
    }

    fn need_person(&self, question: &str, hint: &str) -> Result<()> {
        if self.is_interactive() {
            return Ok(());
        }
        let first = question.lines().next().unwrap_or_default();
        let first = first.trim_end_matches(':');
        Err(refuse(format!(
            "there is no terminal to ask on, nothing was changed: {first}"
        ))
        .hint(hint)
        .into())
    }

    fn begin(&self, task: &str, total: Option<u64>, unit: Unit) {
        self.end();
        if self.structured && self.loudness > Loudness::Quiet {
            self.log("began", task, String::new);
        }
        let shown = !self.structured && std::io::stderr().is_terminal();
        if self.loudness == Loudness::Quiet || !shown {
            return;
        }
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(10));
        bar.set_style(style(total.is_some(), unit));
        bar.set_prefix(task.to_owned());
        *self.bar() = Some(bar);
    }

    fn advance(&self, done: u64, note: &str) {
        match &*self.bar() {
            Some(bar) => {
                bar.set_position(done);
                bar.set_message(note.to_owned());
            }
            None if self.loudness == Loudness::Verbose => {
                self.log("progress", note, || note.to_owned());
            }
            None => {}
        }
    }

    fn end(&self) {
        if let Some(bar) = self.bar().take() {
            bar.finish_and_clear();
        }
    }

    fn line(&self, text: &str) {
        match &*self.bar() {
            Some(bar) => bar.suspend(|| self.write(text)),
            None => self.write(text),
        }
    }

    fn bar(&self) -> MutexGuard<'_, Option<ProgressBar>> {
        self.bar.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, text: &str) {
        // Nobody is left to tell when standard error itself is gone.
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// The keyboard, key by key, because a read that waits for a whole line would not hear Ctrl-C; given back when dropped.
#[cfg(unix)]
struct Keyboard {
    before: rustix::termios::Termios,
}

#[cfg(unix)]
impl Keyboard {
    fn open() -> Result<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

        let stdin = std::io::stdin();
        let before = tcgetattr(&stdin).context("asking the terminal")?;
        let mut keys = before.clone();
        // Read so, a terminal would show Enter as ^J and a deleted letter as ^?: what is typed is shown from here.
        keys.local_modes -= LocalModes::ICANON | LocalModes::ISIG | LocalModes::ECHO;
        tcsetattr(&stdin, OptionalActions::Now, &keys).context("asking the terminal")?;
        Ok(Keyboard { before })
    }

    /// Reads a line; none where the input ends or a person gives up with Ctrl-C or Ctrl-D.
    fn line(&self) -> Result<Option<String>> {
        use std::io::Read as _;

        let mut stdin = std::io::stdin().lock();
        let show = |bytes: &[u8]| {
            let mut screen = std::io::stderr().lock();
            let _ = screen.write_all(bytes).and_then(|()| screen.flush());
        };
        let mut line = Vec::new();
        let mut key = [0];
        let ended = loop {
            match stdin.read(&mut key) {
                Ok(1) => {}
                Ok(_) => break Ok(None),
                Err(error) => break Err(error),
            }
            match key[0] {
                b'\r' | b'\n' => break Ok(Some(())),
                // What was typed as the end before keys were read one by one arrives as zero.
                0x00 | 0x03 | 0x04 => break Ok(None),
                0x08 | 0x7f if line.is_empty() => {}
                0x08 | 0x7f => {
                    // A letter may have several bytes.
                    while let Some(0x80..=0xbf) = line.pop() {}
                    show(b"\x08 \x08");
                }
                other => {
                    line.push(other);
                    if other >= b' ' {
                        show(&[other]);
                    }
                }
            }
        };
        show(b"\n");
        let ended = ended.context("reading the keyboard")?;
        Ok(ended.map(|()| String::from_utf8_lossy(&line).into_owned()))
    }
}

#[cfg(unix)]
impl Drop for Keyboard {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};

        // A terminal that is gone cannot be given back.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// The keyboard, a line at a time.
#[cfg(not(unix))]
struct Keyboard;

#[cfg(not(unix))]
impl Keyboard {
    fn open() -> Result<Self> {
        Ok(Keyboard)
    }

    /// Reads a line; none where the input ends.
    fn line(&self) -> Result<Option<String>> {
        let mut line = String::new();
        let read = std::io::stdin()
            .read_line(&mut line)
            .context("reading the keyboard")?;
        Ok((read > 0).then_some(line))
    }
}

fn style(known: bool, unit: Unit) -> ProgressStyle {
    let template = match (known, unit) {
        (true, Unit::Items) => "{prefix} [{bar:24}] {pos}/{len} {per_sec} eta {eta} {msg}",
        (true, Unit::Bytes) => {
            "{prefix} [{bar:24}] {bytes}/{total_bytes} {bytes_per_sec} eta {eta} {msg}"
        }
        (false, Unit::Items) => "{prefix} {spinner} {pos} {msg}",
        (false, Unit::Bytes) => "{prefix} {spinner} {bytes} {bytes_per_sec} {msg}",
    };
    let style =
        ProgressStyle::with_template(template).expect("the templates above are well formed");
    style.progress_chars("=> ")
}
