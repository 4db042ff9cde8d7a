//! Standard error and the keyboard: log, progress, warnings, questions.
//!
//! The only file that prompts or draws progress bars. Without a terminal nothing is asked and plain lines are written.
//!
//! Questions do not use `dialoguer`: it writes to the terminal itself, so a stopped terminal would block the run while it
//! holds locks, and while reading a key it handles neither SIGTERM nor the server. All output goes through
//! [`crate::commands::sink`] instead.

use std::io::IsTerminal as _;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use crate::commands::output::failure_text;
use crate::commands::page::{Tone, painted};
use crate::commands::sink::{self, Sink};
use crate::error::{Exit, refuse, with_exit};
use crate::event::{Event, Unit};
use crate::finding::Severity;
use crate::sql::redact;
use crate::visible;

/// Standard error.
static STDERR: LazyLock<Sink> = LazyLock::new(|| Sink::start(std::io::stderr()));

/// Waits until standard error is written, while it has a reader.
pub fn finish() {
    STDERR.finish();
}

/// Writes the message of the argument parser.
pub fn say_usage(text: &str) {
    STDERR.keep(visible::document(text).as_bytes());
}

/// The log level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loudness {
    /// Warnings and errors only.
    Quiet,
    /// Log, warnings and errors.
    Normal,
    /// Also server notices and every step.
    Verbose,
}

/// Standard error and the keyboard; clones share the bar.
#[derive(Clone)]
pub struct Terminal {
    loudness: Loudness,
    colour: bool,
    // One JSON object per line, for log collectors.
    structured: bool,
    // Events arrive through a shared reference.
    bar: Arc<Mutex<Option<ProgressBar>>>,
}

impl Terminal {
    /// A terminal on standard error.
    pub fn new(loudness: Loudness, colour: bool) -> Self {
        Terminal {
            loudness,
            colour,
            structured: false,
            bar: Arc::default(),
        }
    }

    /// Writes the log as one JSON object per line.
    pub fn structured(mut self, structured: bool) -> Self {
        self.structured = structured;
        self
    }

    /// Whether questions can be answered.
    pub fn is_interactive(&self) -> bool {
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Shows an event of long work.
    pub fn tell(&self, event: Event<'_>) {
        match event {
            Event::Began { task, total, unit } => self.begin(task, total, unit),
            Event::Advanced { done, note } => self.advance(done, note),
            Event::Ended => self.end(),
            Event::Info(text) => self.say(text),
            Event::Warning(text) => self.warn(text),
            Event::Notice {
                severity: Severity::Note,
                message,
            } => {
                if self.loudness == Loudness::Verbose {
                    self.log("notice", message, || format!("notice: {}", shown(message)));
                }
            }
            Event::Notice { message, .. } => {
                self.log("server-warning", message, || {
                    format!("server warning: {}", shown(message))
                });
            }
        }
    }

    /// Writes a log line.
    pub fn say(&self, text: &str) {
        if self.loudness > Loudness::Quiet {
            self.log("info", text, || shown(text));
        }
    }

    /// Writes several log lines.
    pub fn say_all(&self, text: &str) {
        for line in text.lines() {
            self.say(line);
        }
    }

    /// Writes a warning.
    pub fn warn(&self, text: &str) {
        self.log("warning", text, || {
            let head = painted(Tone::Warn, "warning:", self.colour);
            format!("{head} {}", shown(text))
        });
    }

    /// Writes a failure.
    pub fn fail(&self, error: &anyhow::Error) {
        self.end();
        if self.structured {
            let text = failure_text(error, false);
            STDERR.keep(format!("{}\n", structured("error", text.trim_end())).as_bytes());
        } else {
            let text = failure_text(error, self.colour);
            STDERR.keep(format!("{}\n", text.trim_end()).as_bytes());
        }
    }

    /// Writes a line for people, without control characters, or a JSON object.
    fn log(&self, level: &str, message: &str, plain: impl FnOnce() -> String) {
        if self.structured {
            STDERR.line(&structured(level, message));
        } else {
            self.line(&plain());
        }
    }

    /// Asks yes or no; the default is no, and without a terminal it is refused.
    pub fn confirm(&self, question: &str) -> Result<()> {
        self.need_person(question, "Confirm with --yes")?;
        self.end();
        let keyboard = Keyboard::open()?;
        ask(&format!("{question} [y/N] "));
        let answer = keyboard.line()?.unwrap_or_default();
        if ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()) {
            return Ok(());
        }
        Err(refuse("not confirmed; nothing was changed").into())
    }

    /// Asks to choose; the first choice is the default. Needs an interactive terminal.
    pub fn choose(&self, question: &str, choices: &[String]) -> Result<usize> {
        self.end();
        let keyboard = Keyboard::open()?;
        let mut text = format!("{}\n", visible::line(question));
        for (number, choice) in (1..).zip(choices) {
            text.push_str(&format!("  {number}. {}\n", visible::line(choice)));
        }
        STDERR.keep(text.as_bytes());
        loop {
            ask(&format!("Number from 1 to {} [1]: ", choices.len()));
            let Some(answer) = keyboard.line()? else {
                return Err(refuse("no choice was made; nothing was written").into());
            };
            match answer.trim() {
                "" => return Ok(0),
                number => {
                    let number = number.parse::<usize>().ok();
                    if let Some(number) =
                        number.filter(|number| (1..=choices.len()).contains(number))
                    {
                        return Ok(number - 1);
                    }
                }
            }
        }
    }

    /// Asks to type exactly these words; there is no default and no flag that answers.
    ///
    /// `otherwise` is the hint where there is no terminal.
    pub fn confirm_typed(&self, question: &str, words: &str, otherwise: &str) -> Result<()> {
        let hint = format!("Run this in a terminal; {otherwise}");
        self.need_person(question, &hint)?;
        self.end();
        // Before the question is read: a Ctrl-C that answers it must come as a key.
        let keyboard = Keyboard::open()?;
        let question = shown(question);
        // What cannot be typed is typed as it is shown.
        let words = &*visible::line(words);
        STDERR.keep(format!("{question}\nType `{words}` to confirm:\n").as_bytes());
        let Some(answer) = keyboard.line()? else {
            return Err(refuse("not confirmed; nothing was changed")
                .hint(format!("Type `{words}` to confirm"))
                .into());
        };
        if answer.trim() == words {
            return Ok(());
        }
        Err(refuse("confirmation did not match; nothing was changed")
            .hint(format!("Type `{words}` to confirm"))
            .into())
    }

    fn need_person(&self, question: &str, hint: &str) -> Result<()> {
        if self.is_interactive() {
            return Ok(());
        }
        let first = question.lines().next().unwrap_or_default();
        let first = first.trim_end_matches(':');
        Err(refuse(format!(
            "confirmation needed, but there is no terminal; nothing was changed: {first}"
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
        let screen = Box::new(Screen::default());
        let bar =
            ProgressBar::with_draw_target(total, ProgressDrawTarget::term_like_with_hz(screen, 10));
        bar.set_style(style(total.is_some(), unit));
        bar.set_prefix(visible::line(task).into_owned());
        *self.slot() = Some(bar);
    }

    fn advance(&self, done: u64, note: &str) {
        match self.bar() {
            Some(bar) => {
                bar.set_position(done);
                bar.set_message(visible::line(note).into_owned());
            }
            None if self.loudness == Loudness::Verbose => {
                self.log("progress", note, || shown(note));
            }
            None => {}
        }
    }

    fn end(&self) {
        let shown = self.slot().take();
        if let Some(bar) = shown {
            bar.finish_and_clear();
        }
    }

    fn line(&self, text: &str) {
        match self.bar() {
            Some(bar) => bar.suspend(|| STDERR.line(text)),
            None => STDERR.line(text),
        }
    }

    /// Returns the bar that is drawn now. It is a handle, so that nothing is locked while the bar or a line is written.
    fn bar(&self) -> Option<ProgressBar> {
        self.slot().clone()
    }

    fn slot(&self) -> MutexGuard<'_, Option<ProgressBar>> {
        self.bar.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Foreign text without control characters and passwords.
fn shown(text: &str) -> String {
    visible::block(&redact::addresses(text))
}

fn structured(level: &str, message: &str) -> String {
    let at = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    let message = redact::addresses(message);
    let line = serde_json::json!({"at": at, "level": level, "message": message}).to_string();
    visible::json(&line).into_owned()
}

/// Writes a question that is answered on the same line.
fn ask(question: &str) {
    STDERR.keep(visible::block(question).as_bytes());
}

/// What a progress bar is drawn on: standard error, by way of the thread that writes it.
#[derive(Debug, Default)]
struct Screen(Mutex<String>);

impl Screen {
    fn add(&self, text: &str) -> std::io::Result<()> {
        let mut drawn = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        drawn.push_str(text);
        Ok(())
    }

    fn go(&self, cells: usize, direction: char) -> std::io::Result<()> {
        match cells {
            0 => Ok(()),
            _ => self.add(&format!("\x1b[{cells}{direction}")),
        }
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        #[cfg(unix)]
        let columns =
            rustix::termios::tcgetwinsize(std::io::stderr()).map_or(0, |size| size.ws_col);
        #[cfg(not(unix))]
        let columns = 0;
        if columns == 0 { 80 } else { columns }
    }

    fn move_cursor_up(&self, n: usize) -> std::io::Result<()> {
        self.go(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> std::io::Result<()> {
        self.go(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> std::io::Result<()> {
        self.go(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> std::io::Result<()> {
        self.go(n, 'D')
    }

    fn write_line(&self, text: &str) -> std::io::Result<()> {
        self.add(&format!("{text}\n"))
    }

    fn write_str(&self, text: &str) -> std::io::Result<()> {
        self.add(text)
    }

    fn clear_line(&self) -> std::io::Result<()> {
        self.add("\r\x1b[2K")
    }

    fn flush(&self) -> std::io::Result<()> {
        let drawn = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        STDERR.draw(drawn.as_bytes());
        Ok(())
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
        let before = tcgetattr(&stdin).context("reading the terminal settings")?;
        let mut keys = before.clone();
        // In this mode a terminal would echo Enter as ^J and a deletion as ^?, so the echo is done here.
        keys.local_modes -= LocalModes::ICANON | LocalModes::ISIG | LocalModes::ECHO;
        tcsetattr(&stdin, OptionalActions::Now, &keys).context("reading the terminal settings")?;
        Ok(Keyboard { before })
    }

    /// Reads a line; none at the end of the input or on Ctrl-C or Ctrl-D.
    fn line(&self) -> Result<Option<String>> {
        let stdin = std::io::stdin();
        let show = |bytes: &[u8]| STDERR.keep(bytes);
        let mut line = Vec::new();
        let mut key = [0];
        let ended = loop {
            wait_for_key(&stdin)?;
            // Not through the buffer of the standard library, whose bytes no wait would see.
            match rustix::io::read(&stdin, &mut key) {
                Ok(1) => {}
                Err(rustix::io::Errno::INTR) => continue,
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

/// Waits until something was typed or the program is to stop.
#[cfg(unix)]
fn wait_for_key(stdin: &std::io::Stdin) -> Result<()> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let a_moment = Timespec {
        tv_sec: 0,
        tv_nsec: 100_000_000,
    };
    loop {
        if sink::is_stopping() {
            let why = "interrupted while waiting for an answer; nothing was changed";
            return Err(with_exit(Exit::Interrupted, why).into());
        }
        let mut keys = [PollFd::new(stdin, PollFlags::IN)];
        match poll(&mut keys, Some(&a_moment)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error).context("waiting for the keyboard"),
        }
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

    /// Reads a line; none at the end of the input.
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
