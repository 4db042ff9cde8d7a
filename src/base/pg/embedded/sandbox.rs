//! Confines the servers on which a project's SQL is only tried, so that looking at a migration cannot act on anything.
//!
//! `plan`, `validate`, `diff` and their like run SQL that nobody has reviewed yet. Which of it is harmful cannot be told
//! from its text: `DO` blocks put statements together, defaults and triggers call functions, extensions bring their own.
//! A role without rights is no wall either. Migrations legitimately create roles, extensions, casts, event triggers and
//! publications, and each way to lend them a superuser's rights statement by statement lends them for good: an event
//! trigger of the project fires inside the lent statement, and up to PostgreSQL 15 whoever may create roles may grant
//! itself `pg_execute_server_program`.
//!
//! So the SQL keeps the superuser's rights inside the throwaway server, where nothing is worth protecting, and the
//! operating system takes from the *server process*, before its first instruction, what leads out of it:
//!
//! - **programs**: only `postgres` itself can be executed (Landlock), which `COPY … PROGRAM` and `archive_command` need;
//! - **network**: no connection can be opened, by TCP or by a Unix socket, and no socket can be made but a Unix one that
//!   sends nothing without a connection (seccomp): `dblink`, `postgres_fdw` and subscriptions reach nobody;
//! - **files**: nothing can be written outside of the server's own directory, and only the system's libraries and what
//!   PostgreSQL was installed with can be read (Landlock): no project, no home, no `/proc` with the environment of others.
//!
//! Whatever native code a library that was smuggled into the data directory runs is confined in the same way, and cannot
//! send signals to other processes where the kernel knows how to refuse that (6.12). What stays open to such code is the
//! System V shared memory of other processes of the same user: PostgreSQL needs the calls itself, and who is no longer root
//! cannot be given a namespace of its own.
//!
//! A statement that a rule refuses fails with an error of the server, which a project's SQL may catch like any other: then
//! the trial goes on and succeeds, and nothing was reached all the same.
//!
//! Where the kernel offers none of this (other systems, Linux before 5.13), SQL whose text shows that it reaches outside
//! is refused before it runs; see `sql::external_access`. The operator, never the project, can lift a rule: `AF_DB_SHADOW_ALLOW`.

use std::collections::BTreeSet;
use std::path::Path;

use crate::error::{Failure, fail};
use crate::pg::embedded::binaries::Binaries;
use crate::pg::server_error::ServerError;
use crate::sql::external_access::{self, ExternalAccess};
use crate::sql::position;

/// What the server of the shadow database was left able to do, by the operator's will.
pub type AllowedAccess = BTreeSet<ExternalAccess>;

/// What keeps SQL that is only tried on a server from reaching out of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Confinement {
    /// Nothing: it is not a server to try things on.
    #[default]
    None,
    /// A sandbox around the server's process.
    Sandbox,
    /// Only that its text is looked at first, but for what the operator allowed.
    Text(AllowedAccess),
}

impl Confinement {
    /// Refuses SQL that visibly reaches outside, where nothing else would.
    pub fn check(&self, shown: &str, text: &str) -> Result<(), Failure> {
        let Confinement::Text(allowed) = self else {
            return Ok(());
        };
        let Some(found) =
            external_access::find(text).filter(|found| !allowed.contains(&found.reach))
        else {
            return Ok(());
        };
        let place = position::of_byte(text, found.start);
        let message = format!(
            "{shown}:{}:{} is not tried on the shadow database: `{}` (rule {}: SQL that is only tried {})",
            place.line,
            place.column,
            found.what,
            found.reach.rule(),
            found.reach.refusal()
        );
        Err(fail(message).hint(found.reach.hint()))
    }
}

/// What confines a server, made before it is started and entered by the new process.
#[derive(Debug)]
pub struct Sandbox {
    #[cfg(target_os = "linux")]
    rules: Option<std::os::fd::OwnedFd>,
    #[cfg(target_os = "linux")]
    filter: Vec<libc::sock_filter>,
}

/// What is being started, where it may write, and what it may do all the same.
pub struct Wanted<'a> {
    /// The programs.
    pub binaries: &'a Binaries,
    /// The only directory that it may write to.
    pub room: &'a Path,
    /// What the operator allowed.
    pub allowed: &'a AllowedAccess,
}

/// Makes the sandbox of a server; the reason where this machine cannot confine one.
#[cfg(not(target_os = "linux"))]
pub fn prepare(_: &Wanted<'_>) -> Result<Sandbox, String> {
    Err("this operating system has no means for it that af-db knows".to_owned())
}

#[cfg(not(target_os = "linux"))]
impl Sandbox {
    /// Confines the calling process.
    pub fn enter(&self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(target_os = "linux")]
pub use linux::prepare;

/// Adds to an error of a confined server which rule it comes from, and how to lift the rule.
pub fn explain(error: &mut ServerError) {
    let Some(reach) = refused(error) else {
        return;
    };
    error.message = format!(
        "{} (rule {}: SQL that is only tried on the shadow database {})",
        error.message,
        reach.rule(),
        reach.refusal()
    );
    error.hint.get_or_insert_with(|| reach.hint());
}

/// Tells from an error that a rule refused something.
fn refused(error: &ServerError) -> Option<ExternalAccess> {
    let message = &error.message;
    let denied =
        message.contains("Permission denied") || message.contains("Operation not permitted");
    let detail = error.detail.as_deref().unwrap_or_default();
    let state = error.sqlstate.as_deref().unwrap_or_default();
    // The C library calls it a lack of memory when a shell cannot be executed.
    if state.starts_with("38") && message.starts_with("program \"")
        || message.starts_with("could not execute command")
    {
        return Some(ExternalAccess::Programs);
    }
    let connecting = denied && message.contains("connect")
        || state.starts_with("08")
            && (detail.contains("Permission denied")
                || detail.contains("could not translate host"))
        || message.contains("could not translate host name");
    if connecting {
        return Some(ExternalAccess::Network);
    }
    denied.then_some(ExternalAccess::Files)
}

/// Returns the hint where the message of an error is that of a rule.
pub fn hint(message: &str) -> Option<String> {
    ExternalAccess::ALL
        .into_iter()
        .find(|reach| message.contains(&format!("(rule {}:", reach.rule())))
        .map(ExternalAccess::hint)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::CString;
    use std::io;
    use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
    use std::os::unix::ffi::OsStrExt as _;
    use std::path::{Path, PathBuf};

    use super::{Sandbox, Wanted};
    use crate::sql::external_access::ExternalAccess;

    const EXECUTE: u64 = 1 << 0;
    const WRITE_FILE: u64 = 1 << 1;
    const READ_FILE: u64 = 1 << 2;
    const READ_DIR: u64 = 1 << 3;
    const TRUNCATE: u64 = 1 << 14;
    /// What can be asked of a file; the other rights are about directories.
    const OF_FILES: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE;

    const SCOPE_SIGNAL: u64 = 1 << 1;

    /// What PostgreSQL and its libraries read outside of the place where they are installed.
    const READ: [&str; 33] = [
        "/usr",
        "/lib",
        "/lib32",
        "/lib64",
        "/bin",
        "/sbin",
        "/nix/store",
        "/gnu/store",
        "/home/linuxbrew/.linuxbrew",
        "/var/cache/postgresql",
        "/sys/devices/system",
        "/dev/zero",
        "/dev/random",
        "/dev/urandom",
        "/etc/passwd",
        "/etc/group",
        "/etc/nsswitch.conf",
        "/etc/hosts",
        "/etc/host.conf",
        "/etc/gai.conf",
        "/etc/localtime",
        "/etc/timezone",
        "/etc/locale.alias",
        "/etc/alternatives",
        "/etc/ld.so.cache",
        "/etc/ld.so.conf",
        "/etc/ld.so.conf.d",
        "/etc/ld-musl-x86_64.path",
        "/etc/ld-musl-aarch64.path",
        "/etc/ssl/openssl.cnf",
        "/etc/pki/tls/openssl.cnf",
        "/etc/crypto-policies",
        "/etc/icu",
    ];

    /// Makes the sandbox of a server; the reason where this machine cannot confine one.
    pub fn prepare(wanted: &Wanted<'_>) -> Result<Sandbox, String> {
        let allows = |reach: ExternalAccess| wanted.allowed.contains(&reach);
        let filter = match allows(ExternalAccess::Network) {
            true => Vec::new(),
            false => without_network(wanted.binaries.version.major)?,
        };
        let rules = match (
            allows(ExternalAccess::Programs),
            allows(ExternalAccess::Files),
        ) {
            (true, true) => None,
            _ => Some(rules(wanted)?),
        };
        Ok(Sandbox { rules, filter })
    }

    impl Sandbox {
        /// Confines the calling process and all that it starts, for ever; only system calls, so that it is safe after a fork.
        pub fn enter(&self) -> io::Result<()> {
            if self.rules.is_none() && self.filter.is_empty() {
                return Ok(());
            }
            let program = libc::sock_fprog {
                len: u16::try_from(self.filter.len()).unwrap_or(u16::MAX),
                filter: self.filter.as_ptr().cast_mut(),
            };
            #[expect(
                unsafe_code,
                reason = "no library of ours wraps these calls; each gets plain numbers or a pointer that outlives it"
            )]
            unsafe {
                done(i64::from(libc::prctl(
                    libc::PR_SET_NO_NEW_PRIVS,
                    1,
                    0,
                    0,
                    0,
                )))?;
                if let Some(rules) = &self.rules {
                    done(libc::syscall(
                        libc::SYS_landlock_restrict_self,
                        rules.as_raw_fd(),
                        0,
                    ))?;
                }
                if !self.filter.is_empty() {
                    const SET_MODE_FILTER: libc::c_uint = 1;
                    let address = &raw const program;
                    done(libc::syscall(
                        libc::SYS_seccomp,
                        SET_MODE_FILTER,
                        0,
                        address,
                    ))?;
                }
            }
            Ok(())
        }
    }

    fn done(answer: i64) -> io::Result<i64> {
        if answer < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(answer)
    }

    #[repr(C)]
    struct Attributes {
        files: u64,
        network: u64,
        scoped: u64,
    }

    #[repr(C, packed)]
    struct Beneath {
        allowed: u64,
        parent: i32,
    }

    /// Says what can be executed, written and read; everything else cannot.
    fn rules(wanted: &Wanted<'_>) -> Result<OwnedFd, String> {
        let abi = abi()?;
        let known = match abi {
            1 => 13,
            2 => 14,
            _ => 15,
        };
        let known: u64 = (1 << known) - 1;
        let mut files = known;
        if wanted.allowed.contains(&ExternalAccess::Programs) {
            files &= !EXECUTE;
        }
        if wanted.allowed.contains(&ExternalAccess::Files) {
            files &= EXECUTE;
        }
        let attributes = Attributes {
            files,
            network: 0,
            scoped: if abi >= 6 { SCOPE_SIGNAL } else { 0 },
        };
        let address = &raw const attributes;
        #[expect(
            unsafe_code,
            reason = "the call reads a structure of ours and gives a file descriptor that nobody else has"
        )]
        let rules = unsafe {
            let size = size_of::<Attributes>();
            let number = libc::syscall(libc::SYS_landlock_create_ruleset, address, size, 0);
            let number = done(number).map_err(|error| format!("Landlock refused: {error}"))?;
            OwnedFd::from_raw_fd(i32::try_from(number).map_err(|error| error.to_string())?)
        };
        let allow = |path: &Path, rights: u64| {
            allow(&rules, path, rights & files)
                .map_err(|error| format!("Landlock refused {}: {error}", path.display()))
        };
        let postgres = wanted.binaries.program("postgres");
        let postgres = postgres.canonicalize().unwrap_or(postgres);
        allow(&postgres, EXECUTE | READ_FILE)?;
        let loader = loader(&postgres)?;
        allow(&loader, EXECUTE | READ_FILE)?;
        allow(wanted.room, known & !EXECUTE)?;
        allow(Path::new("/dev/null"), READ_FILE | WRITE_FILE | TRUNCATE)?;
        let named = &wanted.binaries.directory;
        let installed = [named.parent(), postgres.ancestors().nth(2)];
        let system = READ.into_iter().map(Path::new);
        for path in installed.into_iter().flatten().chain(system) {
            // The root is the parent of `/bin`, and no place that PostgreSQL was installed in alone.
            if path.parent().is_some() && path.exists() {
                allow(path, READ_FILE | READ_DIR)?;
            }
        }
        Ok(rules)
    }

    /// Asks how much of Landlock the kernel has.
    fn abi() -> Result<i64, String> {
        const VERSION: libc::c_uint = 1;
        let nothing: *const Attributes = std::ptr::null();
        #[expect(unsafe_code, reason = "the call takes no memory")]
        let answer =
            unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, nothing, 0, VERSION) };
        done(answer).map_err(|error| format!("the kernel offers no Landlock ({error})"))
    }

    fn allow(rules: &OwnedFd, path: &Path, rights: u64) -> io::Result<()> {
        let rights = if path.is_dir() {
            rights
        } else {
            rights & OF_FILES
        };
        if rights == 0 {
            return Ok(());
        }
        let name = CString::new(path.as_os_str().as_bytes())?;
        #[expect(
            unsafe_code,
            reason = "both calls read memory of ours, and the descriptor is nobody else's"
        )]
        unsafe {
            let parent = libc::open(name.as_ptr(), libc::O_PATH | libc::O_CLOEXEC);
            done(i64::from(parent))?;
            let parent = OwnedFd::from_raw_fd(parent);
            let beneath = Beneath {
                allowed: rights,
                parent: parent.as_raw_fd(),
            };
            const PATH_BENEATH: libc::c_uint = 1;
            done(libc::syscall(
                libc::SYS_landlock_add_rule,
                rules.as_raw_fd(),
                PATH_BENEATH,
                &raw const beneath,
                0,
            ))?;
        }
        Ok(())
    }

    /// Finds what the kernel executes first, the program's loader, which is named within the program's first page.
    fn loader(program: &Path) -> Result<PathBuf, String> {
        use std::io::Read as _;
        let mut head = Vec::new();
        let read =
            std::fs::File::open(program).and_then(|file| file.take(1 << 12).read_to_end(&mut head));
        read.map_err(|error| format!("{}: {error}", program.display()))?;
        let named = head
            .split(|byte| *byte == 0)
            .filter_map(|piece| std::str::from_utf8(piece).ok())
            .map(Path::new)
            .find(|path| path.is_absolute() && path.is_file());
        match named {
            Some(path) if head.starts_with(b"\x7fELF") => Ok(path.to_owned()),
            _ => Err(format!(
                "{} is not a program that names its loader",
                program.display()
            )),
        }
    }

    /// What the processor calls itself in a filter.
    const ARCHITECTURE: Option<u32> = if cfg!(target_arch = "x86_64") {
        Some(0xC000_003E)
    } else if cfg!(target_arch = "aarch64") {
        Some(0xC000_00B7)
    } else {
        None
    };

    /// Where the kernel puts what a filter asks for.
    const NUMBER: u32 = 0;
    const PROCESSOR: u32 = 4;
    const FIRST: u32 = 16;
    const SECOND: u32 = 24;
    const THIRD: u32 = 32;

    /// A filter of system calls by which no connection is opened and only Unix sockets are made that need one.
    ///
    /// Up to PostgreSQL 14 a server tells itself its statistics by UDP, which is told apart by the kind of the socket and the
    /// length of an address.
    fn without_network(major: u32) -> Result<Vec<libc::sock_filter>, String> {
        let Some(processor) = ARCHITECTURE else {
            return Err("network filters of this processor are not known".to_owned());
        };
        let call = |number: libc::c_long| u32::try_from(number).unwrap_or(u32::MAX);
        let (unix, stream, dgram) = (1, 1, 2);
        // Another processor's calls and, on x86, those of its 32-bit kin have other numbers.
        let mut filter = vec![load(PROCESSOR), when(processor, 1, 0), deny()];
        filter.extend([load(NUMBER), at_least(0x4000_0000, 0, 1), deny()]);
        if major <= 14 {
            filter.extend([
                load(NUMBER),
                when(call(libc::SYS_connect), 0, 4),
                load(THIRD),
                when(16, 2, 0),
                when(28, 1, 0),
                deny(),
            ]);
            filter.extend([
                load(NUMBER),
                when(call(libc::SYS_socket), 0, 10),
                load(FIRST),
                when(unix, 0, 4),
                load(SECOND),
                and(0xf),
                when(stream, 5, 0),
                deny(),
                load(SECOND),
                and(0xf),
                when(dgram, 1, 0),
                deny(),
            ]);
        } else {
            filter.extend([
                load(NUMBER),
                when(call(libc::SYS_connect), 0, 1),
                deny(),
                when(call(libc::SYS_socket), 0, 7),
                load(FIRST),
                when(unix, 1, 0),
                deny(),
                load(SECOND),
                and(0xf),
                when(stream, 1, 0),
                deny(),
            ]);
        }
        // A pair of sockets can send to a third; a ring makes sockets and connects without calls that a filter sees.
        for number in [libc::SYS_socketpair, libc::SYS_io_uring_setup] {
            filter.extend([load(NUMBER), when(call(number), 0, 1), deny()]);
        }
        filter.push(instruction(0x06, 0x7fff_0000, 0, 0));
        Ok(filter)
    }

    fn instruction(code: u16, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
        libc::sock_filter { code, jt, jf, k }
    }

    fn load(offset: u32) -> libc::sock_filter {
        instruction(0x20, offset, 0, 0)
    }

    fn and(mask: u32) -> libc::sock_filter {
        instruction(0x54, mask, 0, 0)
    }

    /// Goes on so many instructions further when the value is this one, or so many when it is not.
    fn when(value: u32, then: u8, otherwise: u8) -> libc::sock_filter {
        instruction(0x15, value, then, otherwise)
    }

    fn at_least(value: u32, then: u8, otherwise: u8) -> libc::sock_filter {
        instruction(0x35, value, then, otherwise)
    }

    /// Ends the call with `Permission denied`.
    fn deny() -> libc::sock_filter {
        let errno = u32::try_from(libc::EACCES).unwrap_or(13);
        instruction(0x06, 0x0005_0000 | errno, 0, 0)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        /// Runs a filter as the kernel does; says whether it lets a call pass.
        fn passes(filter: &[libc::sock_filter], number: i64, arguments: [u32; 3]) -> bool {
            let value = |offset: u32| match offset {
                NUMBER => u32::try_from(number).unwrap(),
                PROCESSOR => ARCHITECTURE.unwrap(),
                FIRST => arguments[0],
                SECOND => arguments[1],
                THIRD => arguments[2],
                other => panic!("nothing is asked at {other}"),
            };
            let (mut at, mut held) = (0, 0);
            loop {
                let now = filter[at];
                at += 1;
                let jump = match now.code {
                    0x20 => {
                        held = value(now.k);
                        continue;
                    }
                    0x54 => {
                        held &= now.k;
                        continue;
                    }
                    0x15 => held == now.k,
                    0x35 => held >= now.k,
                    0x06 => return now.k == 0x7fff_0000,
                    other => panic!("no instruction has the code {other}"),
                };
                at += usize::from(if jump { now.jt } else { now.jf });
            }
        }

        #[test]
        fn no_call_leads_to_another_process() {
            if ARCHITECTURE.is_none() {
                return;
            }
            let cloexec = 0o2_000_000;
            let (unix, inet, inet6, netlink) = (1, 2, 10, 16);
            let (stream, dgram, raw, seqpacket) = (1, 2, 3, 5);
            let check = |major: u32, expected: bool, number: i64, arguments: [u32; 3]| {
                let filter = without_network(major).unwrap();
                let passed = passes(&filter, number, arguments);
                assert_eq!(
                    passed, expected,
                    "PostgreSQL {major}: {number} {arguments:?}"
                );
            };
            for major in [14, 15, 18] {
                // Its own statistics, by UDP.
                let old = major <= 14;
                let socket = libc::SYS_socket;
                check(major, true, socket, [unix, stream | cloexec, 0]);
                for kind in [dgram, raw, seqpacket, dgram | cloexec] {
                    check(major, false, socket, [unix, kind, 0]);
                }
                for family in [inet, inet6] {
                    check(major, false, socket, [family, stream, 0]);
                    check(major, false, socket, [family, raw, 0]);
                    check(major, old, socket, [family, dgram | cloexec, 0]);
                }
                check(major, false, socket, [netlink, raw, 0]);
                check(major, false, libc::SYS_socketpair, [unix, dgram, 0]);
                check(major, false, libc::SYS_connect, [3, 0, 110]);
                check(major, old, libc::SYS_connect, [3, 0, 16]);
                check(major, old, libc::SYS_connect, [3, 0, 28]);
                check(major, false, libc::SYS_io_uring_setup, [0; 3]);
                // The calls of 32-bit programs that run on a 64-bit kernel.
                check(major, false, 0x4000_0000 + libc::SYS_connect, [3, 0, 16]);
                check(major, true, libc::SYS_accept4, [3, 0, 0]);
                check(major, true, libc::SYS_openat, [0; 3]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_rule_refused_is_told_from_the_servers_words() {
        let told = |state: &str, message: &str, detail: &str| {
            let mut error = ServerError {
                sqlstate: Some(state.to_owned()),
                message: message.to_owned(),
                detail: Some(detail.to_owned()),
                ..ServerError::default()
            };
            explain(&mut error);
            assert_eq!(hint(&error.message), error.hint);
            hint(&error.message).map(|hint| hint.rsplit('=').next().unwrap_or_default().to_owned())
        };
        let check = |rule: Option<&str>, state, message, detail| {
            assert_eq!(told(state, message, detail).as_deref(), rule, "{message}");
        };
        let program = "program \"curl evil\" failed";
        check(Some("programs"), "38000", program, "command not found");
        let shell = "could not execute command \"id\": Cannot allocate memory";
        check(Some("programs"), "53200", shell, "");
        let write = "could not open file \"/tmp/x\" for writing: Permission denied";
        check(Some("files"), "42501", write, "");
        let make = "could not create server file \"/tmp/x\": Permission denied";
        check(Some("files"), "42501", make, "");
        let inner = "connection to server at \"127.0.0.1\", port 1 failed: Permission denied";
        let connect = "could not establish connection";
        check(Some("network"), "08001", connect, inner);
        let subscribe =
            "could not connect to the publisher: connection to server failed: Permission denied";
        check(Some("network"), "08006", subscribe, "");
        check(None, "42501", "permission denied for table t", "");
        check(None, "42601", "syntax error at or near \"x\"", "");
    }
}
