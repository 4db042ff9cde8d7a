//! Sandboxes the servers on which a project's SQL is only tried, so that checking a migration has no effect elsewhere.
//!
//! `plan`, `validate`, `diff` and similar commands run SQL that has not been reviewed. Its text does not show what it does:
//! `DO` blocks assemble statements, defaults and triggers call functions, extensions bring their own. A role without
//! privileges is no solution. Migrations legitimately create roles, extensions, casts, event triggers and publications, and
//! granting superuser rights for single statements grants them for good: an event trigger of the project fires inside such
//! a statement, and up to PostgreSQL 15 a role with CREATEROLE may grant itself `pg_execute_server_program`.
//!
//! So the SQL keeps superuser rights inside the temporary server, which contains nothing worth protecting, and the
//! operating system restricts the *server process*, before its first instruction:
//!
//! - **programs**: only `postgres` itself can be executed (Landlock); `COPY … PROGRAM` and `archive_command` fail;
//! - **network**: no connection can be opened, by TCP or by a Unix socket, and no socket can be created but a Unix one that
//!   sends nothing without a connection (seccomp): `dblink`, `postgres_fdw` and subscriptions fail;
//! - **files**: nothing can be written outside of the server's own directory, and only the system's libraries and the
//!   PostgreSQL installation can be read (Landlock): no project, no home, no `/proc` with the environment of others.
//!
//! Native code in a library smuggled into the data directory is restricted in the same way, and cannot send signals to
//! other processes where the kernel supports that restriction (6.12). Such code can still reach the System V shared memory
//! of other processes of the same user: PostgreSQL needs these calls itself, and without root there is no namespace.
//!
//! A blocked statement fails with an error of the server, which SQL may catch like any other: then the trial continues
//! and succeeds, and still nothing was accessed.
//!
//! Where the kernel does not support this (other systems, Linux before 5.13), SQL whose text shows external access is
//! refused before it runs; see `sql::external_access`. The operator, never the project, can lift a rule with
//! `AF_DB_SHADOW_ALLOW`.

use std::collections::BTreeSet;
use std::path::Path;

use crate::error::{Failure, fail};
use crate::pg::embedded::binaries::Binaries;
use crate::pg::server_error::ServerError;
use crate::sql::external_access::{self, ExternalAccess};
use crate::sql::position;

/// What the operator allows SQL on a shadow database to access.
pub type AllowedAccess = BTreeSet<ExternalAccess>;

/// What restricts SQL that is only tried on a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Confinement {
    /// Nothing: not a shadow database.
    #[default]
    None,
    /// A sandbox around the server process.
    Sandbox,
    /// A check of its text, except for what the operator allowed.
    Text(AllowedAccess),
}

impl Confinement {
    /// Fails on SQL that visibly accesses something outside, where no sandbox would block it.
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
            "{shown}:{}:{} is not run on the shadow database: `{}` (rule {}: the shadow database {})",
            place.line,
            place.column,
            found.what,
            found.reach.rule(),
            found.reach.refusal()
        );
        Err(fail(message).hint(found.reach.hint()))
    }
}

/// The restrictions of a server, prepared before it starts and entered by the new process.
#[derive(Debug)]
pub struct Sandbox {
    #[cfg(target_os = "linux")]
    rules: Option<std::os::fd::OwnedFd>,
    #[cfg(target_os = "linux")]
    filter: Vec<libc::sock_filter>,
}

/// The parameters of a sandbox.
pub struct SandboxSpec<'a> {
    pub binaries: &'a Binaries,
    /// The only writable directory.
    pub scratch_dir: &'a Path,
    pub allowed: &'a AllowedAccess,
}

/// Fails with the reason where this machine does not support sandboxes.
#[cfg(not(target_os = "linux"))]
pub fn prepare(_: &SandboxSpec<'_>) -> Result<Sandbox, String> {
    Err("this operating system is not supported".to_owned())
}

#[cfg(not(target_os = "linux"))]
impl Sandbox {
    pub fn enter(&self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(target_os = "linux")]
pub use linux::prepare;

/// Adds to an error of a sandboxed server which rule caused it, and how to lift the rule.
pub fn explain(error: &mut ServerError) {
    let Some(reach) = refused(error) else {
        return;
    };
    error.message = format!(
        "{} (rule {}: the shadow database {})",
        error.message,
        reach.rule(),
        reach.refusal()
    );
    error.hint.get_or_insert_with(|| reach.hint());
}

/// Recognises an error caused by a rule.
fn refused(error: &ServerError) -> Option<ExternalAccess> {
    let message = &error.message;
    let denied =
        message.contains("Permission denied") || message.contains("Operation not permitted");
    let detail = error.detail.as_deref().unwrap_or_default();
    let state = error.sqlstate.as_deref().unwrap_or_default();
    // The C library reports a lack of memory when a shell cannot be executed.
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

/// Returns the hint for a message that names a rule.
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

    use super::{Sandbox, SandboxSpec};
    use crate::sql::external_access::ExternalAccess;

    const EXECUTE: u64 = 1 << 0;
    const WRITE_FILE: u64 = 1 << 1;
    const READ_FILE: u64 = 1 << 2;
    const READ_DIR: u64 = 1 << 3;
    const TRUNCATE: u64 = 1 << 14;
    /// The access rights of files; the others apply to directories.
    const OF_FILES: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE;

    const SCOPE_SIGNAL: u64 = 1 << 1;

    /// What PostgreSQL and its libraries read outside of the installation.
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

    /// Fails with the reason where this machine does not support sandboxes.
    pub fn prepare(wanted: &SandboxSpec<'_>) -> Result<Sandbox, String> {
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
        /// Restricts the calling process and its children for good; only system calls, so that it is safe after a fork.
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

    /// Lists what can be executed, written and read; everything else is denied.
    fn rules(wanted: &SandboxSpec<'_>) -> Result<OwnedFd, String> {
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
            reason = "the call reads a structure of ours and gives a new file descriptor"
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
        allow(wanted.scratch_dir, known & !EXECUTE)?;
        allow(Path::new("/dev/null"), READ_FILE | WRITE_FILE | TRUNCATE)?;
        let named = &wanted.binaries.directory;
        let installed = [named.parent(), postgres.ancestors().nth(2)];
        let system = READ.into_iter().map(Path::new);
        for path in installed.into_iter().flatten().chain(system) {
            // The root is the parent of `/bin`, and not the prefix of a PostgreSQL installation.
            if path.parent().is_some() && path.exists() {
                allow(path, READ_FILE | READ_DIR)?;
            }
        }
        Ok(rules)
    }

    /// Returns the Landlock version of the kernel.
    fn abi() -> Result<i64, String> {
        const VERSION: libc::c_uint = 1;
        let nothing: *const Attributes = std::ptr::null();
        #[expect(unsafe_code, reason = "the call takes no memory")]
        let answer =
            unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, nothing, 0, VERSION) };
        done(answer).map_err(|error| format!("the kernel does not support Landlock ({error})"))
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
            reason = "both calls read memory of ours, and the descriptor is exclusively ours"
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

    /// Finds the dynamic loader, which the kernel executes first; it is named within the program's first page.
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
            _ => Err(format!("{} names no program loader", program.display())),
        }
    }

    /// The processor's identifier in a filter.
    const ARCHITECTURE: Option<u32> = if cfg!(target_arch = "x86_64") {
        Some(0xC000_003E)
    } else if cfg!(target_arch = "aarch64") {
        Some(0xC000_00B7)
    } else {
        None
    };

    /// Offsets in the data that the kernel passes to a filter.
    const NUMBER: u32 = 0;
    const PROCESSOR: u32 = 4;
    const FIRST: u32 = 16;
    const SECOND: u32 = 24;
    const THIRD: u32 = 32;

    /// Builds a system call filter that blocks connections, and allows only Unix sockets that need one.
    ///
    /// Up to PostgreSQL 14 a server sends itself its statistics by UDP, which is recognised by the socket type and the length
    /// of the address.
    fn without_network(major: u32) -> Result<Vec<libc::sock_filter>, String> {
        let Some(processor) = ARCHITECTURE else {
            return Err("network filters are not supported on this processor".to_owned());
        };
        let call = |number: libc::c_long| u32::try_from(number).unwrap_or(u32::MAX);
        let (unix, stream, dgram) = (1, 1, 2);
        // The calls of another architecture and, on x86, of 32-bit programs have other numbers.
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
        // A socket pair can send to a third socket; io_uring opens sockets and connections without calls a filter sees.
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

    /// Jumps `then` instructions ahead when the value is equal, otherwise `otherwise`.
    fn when(value: u32, then: u8, otherwise: u8) -> libc::sock_filter {
        instruction(0x15, value, then, otherwise)
    }

    fn at_least(value: u32, then: u8, otherwise: u8) -> libc::sock_filter {
        instruction(0x35, value, then, otherwise)
    }

    /// Fails the call with `Permission denied`.
    fn deny() -> libc::sock_filter {
        let errno = u32::try_from(libc::EACCES).unwrap_or(13);
        instruction(0x06, 0x0005_0000 | errno, 0, 0)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        /// Runs a filter as the kernel does; returns whether it allows a call.
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
        fn calls_to_other_processes_are_denied() {
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
                // The calls of 32-bit programs on a 64-bit kernel.
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
    fn errors_caused_by_a_rule_are_recognised() {
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
