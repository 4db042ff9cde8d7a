//! Drops root's privileges: PostgreSQL servers refuse to run as root, so they run as another user.

use std::path::Path;

use anyhow::Result;

use crate::error::fail;

/// The user that runs a server when we are root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub uid: u32,
    /// The primary group.
    pub gid: u32,
}

#[cfg(unix)]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(not(unix))]
pub fn is_root() -> bool {
    false
}

/// Chooses the user of a server: ourselves unless we are root; then the configured user, `postgres` or `nobody`.
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
                return Err(
                    fail(format!("PostgreSQL cannot run as `{name}`, which is root"))
                        .hint("set AF_DB_PG_USER to another user")
                        .into(),
                );
            }
            return Ok(user);
        }
    }
    let message = match wanted {
        Some(name) => format!("the user `{name}` for PostgreSQL does not exist"),
        None => {
            "PostgreSQL cannot run as root, and there is no user `postgres` or `nobody`".to_owned()
        }
    };
    Err(fail(message)
        .hint("create a user (useradd --system postgres), or set AF_DB_PG_USER to an existing user")
        .into())
}

/// The user may be given by name or by number, like `SUDO_UID`.
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

/// Returns our home directory from the user database.
#[cfg(unix)]
pub fn home() -> Option<std::path::PathBuf> {
    let uid = rustix::process::geteuid().as_raw();
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = users
        .lines()
        .find(|line| parse(line).is_some_and(|user| user.uid == uid))?;
    line.split(':').nth(5).map(std::path::PathBuf::from)
}

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

#[cfg(not(unix))]
pub fn can_reach(_: Option<&User>, _: &Path) -> bool {
    true
}

/// Changes the owner of a file or directory to the server's user.
#[cfg(unix)]
pub fn give(path: &Path, user: Option<&User>) -> std::io::Result<()> {
    match user {
        Some(user) => std::os::unix::fs::lchown(path, Some(user.uid), Some(user.gid)),
        None => Ok(()),
    }
}

/// Changes the owner of an open file to the server's user.
#[cfg(unix)]
pub fn give_file(file: &std::fs::File, user: Option<&User>) -> std::io::Result<()> {
    match user {
        Some(user) => std::os::unix::fs::fchown(file, Some(user.uid), Some(user.gid)),
        None => Ok(()),
    }
}

#[cfg(not(unix))]
pub fn give_file(_: &std::fs::File, _: Option<&User>) -> std::io::Result<()> {
    Ok(())
}

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
    fn the_configured_user_takes_precedence() {
        assert_eq!(choose(USERS, Some("ada")).unwrap().uid, 1000);
        assert_eq!(choose(USERS, Some("1000")).unwrap().name, "ada");
        assert_eq!(choose(USERS, None).unwrap().name, "nobody");
    }

    #[test]
    fn a_missing_user_is_reported() {
        let error = choose("root:x:0:0:root:/root:/bin/sh\n", None).unwrap_err();
        insta::assert_snapshot!(
            format!("{error}\nhint: {}", hint_of(&error).unwrap()),
            @r"
        PostgreSQL cannot run as root, and there is no user `postgres` or `nobody`
        hint: create a user (useradd --system postgres), or set AF_DB_PG_USER to an existing user
        "
        );
    }

    #[test]
    fn an_unknown_user_or_root_is_refused() {
        insta::assert_snapshot!(choose(USERS, Some("eve")).unwrap_err(), @"the user `eve` for PostgreSQL does not exist");
        insta::assert_snapshot!(choose(USERS, Some("root")).unwrap_err(), @"PostgreSQL cannot run as `root`, which is root");
    }

    #[cfg(unix)]
    #[test]
    fn an_inaccessible_parent_directory_is_noticed() {
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
