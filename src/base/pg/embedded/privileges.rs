//! Owns dropping root's rights: PostgreSQL's servers refuse to run as root, so as root they run as somebody else.

use std::path::Path;

use anyhow::Result;

use crate::error::fail;

/// The user a server runs as when we are root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name in the user database.
    pub name: String,
    /// The user id.
    pub uid: u32,
    /// The primary group.
    pub gid: u32,
}

/// Returns whether we are root.
#[cfg(unix)]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Returns whether we are root.
#[cfg(not(unix))]
pub fn is_root() -> bool {
    false
}

/// Chooses whom a server runs as: nobody else unless we are root; then the named user, `postgres` or `nobody`.
pub fn server_user(wanted: Option<&str>) -> Result<Option<User>> {
    if !is_root() {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    choose(&users, wanted).map(Some)
}

fn choose(users: &str, wanted: Option<&str>) -> Result<User> {
    let names: &[&str] = match &wanted {
        Some(name) => &[name],
        None => &["postgres", "nobody"],
    };
    for name in names {
        if let Some(user) = users.lines().filter_map(parse).find(|user| is(user, name)) {
            if user.uid == 0 {
                return Err(fail(format!(
                    "PostgreSQL refuses to run as `{name}`, which is root"
                ))
                .hint("set AF_DB_PG_USER to a user without root's rights")
                .into());
            }
            return Ok(user);
        }
    }
    let message = match wanted {
        Some(name) => format!("there is no user `{name}` to run PostgreSQL as"),
        None => "PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody` to run it as"
            .to_owned(),
    };
    Err(fail(message)
        .hint("create a user (useradd --system postgres), or set AF_DB_PG_USER to one that exists")
        .into())
}

/// A user may be named by name or by number, as `SUDO_UID` does.
fn is(user: &User, wanted: &str) -> bool {
    user.name == wanted || user.uid.to_string() == wanted
}

fn parse(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let name = fields.next()?.to_owned();
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some(User { name, uid, gid })
}

/// Returns the home directory of the user we are, as the user database has it.
#[cfg(unix)]
pub fn home() -> Option<std::path::PathBuf> {
    let uid = rustix::process::geteuid().as_raw();
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = users
        .lines()
        .find(|line| parse(line).is_some_and(|user| user.uid == uid))?;
    line.split(':').nth(5).map(std::path::PathBuf::from)
}

/// Returns the home directory of the user we are.
#[cfg(not(unix))]
pub fn home() -> Option<std::path::PathBuf> {
    std::env::home_dir()
}

/// Returns whether the server's user may enter every directory above a file; `/root`, for one, is closed to others.
#[cfg(unix)]
pub fn can_reach(user: Option<&User>, file: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let Some(user) = user else { return true };
    file.ancestors().skip(1).all(|directory| {
        let Ok(meta) = directory.metadata() else {
            return false;
        };
        let class = match () {
            () if meta.uid() == user.uid => 0o100,
            () if meta.gid() == user.gid => 0o010,
            () => 0o001,
        };
        meta.mode() & class != 0
    })
}

/// Returns whether the server's user may enter every directory above a file.
#[cfg(not(unix))]
pub fn can_reach(_: Option<&User>, _: &Path) -> bool {
    true
}

/// Hands a file or directory to the server's user.
#[cfg(unix)]
pub fn give(path: &Path, user: Option<&User>) -> std::io::Result<()> {
    match user {
        Some(user) => std::os::unix::fs::lchown(path, Some(user.uid), Some(user.gid)),
        None => Ok(()),
    }
}

/// Hands an open file to the server's user.
#[cfg(unix)]
pub fn give_file(file: &std::fs::File, user: Option<&User>) -> std::io::Result<()> {
    match user {
        Some(user) => std::os::unix::fs::fchown(file, Some(user.uid), Some(user.gid)),
        None => Ok(()),
    }
}

/// Hands an open file to the server's user.
#[cfg(not(unix))]
pub fn give_file(_: &std::fs::File, _: Option<&User>) -> std::io::Result<()> {
    Ok(())
}

/// Hands a file or directory to the server's user.
#[cfg(not(unix))]
pub fn give(_: &Path, _: Option<&User>) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::hint_of;

    const USERS: &str = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\nada:x:1000:1000::/home/ada:/bin/sh\n";

    #[test]
    fn the_named_user_wins_by_name_or_number() {
        assert_eq!(choose(USERS, Some("ada")).unwrap().uid, 1000);
        assert_eq!(choose(USERS, Some("1000")).unwrap().name, "ada");
        assert_eq!(choose(USERS, None).unwrap().name, "nobody");
    }

    #[test]
    fn nobody_to_be_is_said() {
        let error = choose("root:x:0:0:root:/root:/bin/sh\n", None).unwrap_err();
        insta::assert_snapshot!(
            format!("{error}\nhint: {}", hint_of(&error).unwrap()),
            @r"
        PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody` to run it as
        hint: create a user (useradd --system postgres), or set AF_DB_PG_USER to one that exists
        "
        );
    }

    #[test]
    fn an_unknown_or_almighty_user_is_refused() {
        insta::assert_snapshot!(choose(USERS, Some("eve")).unwrap_err(), @"there is no user `eve` to run PostgreSQL as");
        insta::assert_snapshot!(choose(USERS, Some("root")).unwrap_err(), @"PostgreSQL refuses to run as `root`, which is root");
    }

    #[cfg(unix)]
    #[test]
    fn a_closed_directory_above_is_noticed() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        let stranger = User {
            name: "stranger".to_owned(),
            uid: 4_000_000,
            gid: 4_000_000,
        };
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).unwrap();
        assert!(can_reach(Some(&stranger), &inner.join("postgres")));
        let closed = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(folder.path(), closed).unwrap();
        assert!(!can_reach(Some(&stranger), &inner.join("postgres")));
    }
}
