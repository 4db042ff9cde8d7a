//! A project in a temporary folder, and the program run in it without this machine's environment.

use std::path::Path;

use af_db::pg::program::Program;
use af_db::pg::target::Target;

use crate::support::{packages, server};

pub(crate) struct Project {
    pub(crate) folder: tempfile::TempDir,
    url: Option<String>,
}

/// Output and exit status of the program.
#[derive(Debug)]
pub(crate) struct CommandOutput {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Project {
    /// Creates an empty project for a database.
    pub(crate) fn of(target: &Target) -> Self {
        let host = &target.hosts[0];
        let database = target.database();
        let user = target.user.as_deref().unwrap_or("postgres");
        let url = format!(
            "host='{}' port={} user={user} dbname={database} sslmode=disable",
            host.name, host.port
        );
        Project {
            folder: tempfile::tempdir().expect("a folder"),
            url: Some(url),
        }
    }

    /// Creates an empty project without a database.
    pub(crate) fn without_database() -> Self {
        Project {
            folder: tempfile::tempdir().expect("a folder"),
            url: None,
        }
    }

    /// Returns the connection string of its database.
    pub(crate) fn url(&self) -> &str {
        self.url.as_deref().unwrap_or_default()
    }

    /// Writes a file and creates its parent folders.
    pub(crate) fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("it has a folder")).expect("the folder");
        std::fs::write(path, text).expect("the file");
    }

    /// Copies a folder of the repository into the project.
    pub(crate) fn copy(&self, folder: &str) {
        for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))
            .expect("the folder")
        {
            let path = entry.expect("the folder").path();
            if path.is_file() {
                let name = path
                    .file_name()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned();
                self.write(
                    &format!("{folder}/{name}"),
                    std::fs::read(&path).expect("the file"),
                );
            }
        }
    }

    /// Returns the program, ready to be started in the project.
    pub(crate) fn tool(&self, arguments: &[&str]) -> Program {
        self.with_environment(Program::new(env!("CARGO_BIN_EXE_af-db")).args(arguments))
    }

    /// Returns a shell script, which gets the program as `"$0"` and its arguments as `"$@"`.
    pub(crate) fn script(&self, script: &str, arguments: &[&str]) -> Program {
        let tool = Program::new("/bin/sh").args(["-c", script, env!("CARGO_BIN_EXE_af-db")]);
        self.with_environment(tool.args(arguments))
    }

    fn with_environment(&self, tool: Program) -> Program {
        let mut tool = tool
            .env("PATH", path())
            .env("AF_DB_CACHE_DIR", server::options().cache())
            .env("HOME", self.folder.path())
            .env("USER", "tester")
            .env("HOSTNAME", "here")
            .directory(self.folder.path());
        if let Some(url) = &self.url {
            tool = tool.env("DATABASE_URL", url);
        }
        tool
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> CommandOutput {
        let done = self.tool(arguments).run().await.expect("the program runs");
        CommandOutput {
            status: done.status.code().unwrap_or(-1),
            stdout: self.tidy(&String::from_utf8_lossy(&done.stdout)),
            stderr: self.tidy(&done.stderr),
        }
    }

    /// Runs a command like a user who pastes it into a shell.
    pub(crate) async fn paste(&self, command: &str) -> CommandOutput {
        let program = format!("{} ", env!("CARGO_BIN_EXE_af-db"));
        let command = command.replacen("af-db ", &program, 1);
        let shell = self.with_environment(Program::new("/bin/sh").args(["-c", &command]));
        let done = shell.run().await.expect("the shell runs");
        CommandOutput {
            status: done.status.code().unwrap_or(-1),
            stdout: self.tidy(&String::from_utf8_lossy(&done.stdout)),
            stderr: self.tidy(&done.stderr),
        }
    }

    /// Runs the program on a terminal of its own and types an answer, key by key, at every prompt.
    #[cfg(target_os = "linux")]
    pub(crate) async fn run_on_terminal(
        &self,
        arguments: &[&str],
        answers: &[&str],
    ) -> CommandOutput {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

        let quoted = |word: &str| format!("'{}'", word.replace('\'', r"'\''"));
        let words: Vec<String> = arguments.iter().map(|word| quoted(word)).collect();
        let command = format!("{} {}", env!("CARGO_BIN_EXE_af-db"), words.join(" "));
        let tool = Program::new("/usr/bin/script").args(["-qec", &command, "/dev/null"]);
        let tool = self.with_environment(tool).env("SHELL", "/bin/sh");
        let hint = "script gives a terminal: it comes with util-linux, or bsdutils on Debian";
        let mut child = tool.start().expect(hint);
        let mut keyboard = child.stdin.take().expect("a keyboard");
        let mut screen = child.stdout.take().expect("a screen");
        let (mut seen, mut piece) = (Vec::new(), [0; 1024]);
        let mut answers = answers.iter();
        let mut asked = 0;
        loop {
            let read = screen.read(&mut piece).await.expect("the screen");
            seen.extend_from_slice(&piece[..read]);
            if read == 0 {
                break;
            }
            let questions = String::from_utf8_lossy(&seen)
                .matches("to confirm:")
                .count();
            for _ in asked..questions {
                let answer = answers.next().expect("an answer to every question");
                keyboard.write_all(answer.as_bytes()).await.expect("typed");
            }
            asked = questions;
        }
        assert_eq!(answers.len(), 0, "not everything was asked");
        let status = child.wait().await.expect("the program ends");
        CommandOutput {
            status: status.code().unwrap_or(-1),
            stdout: String::new(),
            stderr: self.tidy(&String::from_utf8_lossy(&seen).replace('\r', "")),
        }
    }

    /// Starts the program without waiting for it.
    pub(crate) fn start(&self, arguments: &[&str]) -> tokio::process::Child {
        self.tool(arguments).start().expect("the program starts")
    }

    /// Waits for a started program.
    pub(crate) async fn ended(&self, child: tokio::process::Child) -> CommandOutput {
        let output = child.wait_with_output().await.expect("the program ends");
        CommandOutput {
            status: output.status.code().unwrap_or(-1),
            stdout: self.tidy(&String::from_utf8_lossy(&output.stdout)),
            stderr: self.tidy(&String::from_utf8_lossy(&output.stderr)),
        }
    }

    /// Replaces what differs from run to run: URLs, folders, times.
    fn tidy(&self, text: &str) -> String {
        let mut text = text.replace(&self.folder.path().display().to_string(), "PROJECT");
        if let Some(url) = &self.url {
            let part = |key: &str| {
                let rest = url.split(key).nth(1).unwrap_or_default();
                rest.trim_start_matches('\'')
                    .split(['\'', ' '])
                    .next()
                    .unwrap_or_default()
                    .to_owned()
            };
            let (host, port, database) = (part("host="), part("port="), part("dbname="));
            text = text
                .replace(&host, "HOST")
                .replace(&format!(":{port}"), ":PORT")
                .replace(&database, "DATABASE");
        }
        without_times(&without_versions(&text))
    }
}

/// Returns a search path that is the same everywhere, except for downloaded programs.
pub(crate) fn path() -> String {
    let usual = "/usr/bin:/bin";
    match packages::clients() {
        Some(clients) => format!("{}:{usual}", clients.directory.display()),
        None => usual.to_owned(),
    }
}

impl CommandOutput {
    /// Returns everything a user sees.
    pub(crate) fn seen(&self) -> String {
        format!("{}{}status {}", self.stdout, self.stderr, self.status)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}\n{}\n{}", self.stdout, self.stderr))
    }

    /// Fails the test unless the program succeeded.
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status, 0, "{}", self.seen());
        self
    }
}

/// Replaces `12 ms` and times of day.
fn without_times(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.split('\n') {
        let words: Vec<&str> = line.split(' ').collect();
        let mut kept: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        for at in 1..words.len() {
            let number = words[at - 1].trim_start_matches('(');
            if words[at].trim_end_matches([')', ',']) == "ms" && number.parse::<u64>().is_ok() {
                kept[at - 1] = words[at - 1].replace(number, "N");
            }
        }
        lines.push(kept.join(" "));
    }
    lines.join("\n")
}

/// Replaces `PostgreSQL 15.4 (where it was found)`.
fn without_versions(text: &str) -> String {
    let mut parts = text.split("PostgreSQL ");
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let version = part.len()
            - part
                .trim_start_matches(|character: char| {
                    character.is_ascii_digit() || character == '.'
                })
                .len();
        let mut rest = &part[version..];
        if version > 0 && rest.starts_with(" (") {
            rest = rest.find(')').map_or(rest, |end| &rest[end + 1..]);
        }
        kept.push_str(if version > 0 {
            "PostgreSQL VERSION"
        } else {
            "PostgreSQL "
        });
        kept.push_str(rest);
    }
    kept
}
