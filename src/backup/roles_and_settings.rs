//! Creates the roles of a restored database and applies its settings, privileges, owner and comment.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use tokio_postgres::types::Type;

use crate::error::refuse;
use crate::event::{Event, Watch};
use crate::pg::server_error::ServerError;
use crate::pg::session::Session;
use crate::properties::{DatabaseProperties, Membership, Role, Setting};
use crate::sql::name::{Ident, Literal};
use crate::sql::safe::Sql;

pub async fn roles(session: &Session) -> Result<BTreeSet<String>> {
    let rows = session
        .query(
            "SELECT r.rolname::pg_catalog.text FROM pg_catalog.pg_roles AS r",
            &[],
        )
        .await
        .context("listing the roles")?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

pub async fn missing_roles(
    session: &Session,
    database: &DatabaseProperties,
) -> Result<BTreeSet<String>> {
    let there = roles(session).await?;
    let wanted = database.roles.iter().map(|role| role.name.clone());
    let owner = std::iter::once(database.owner.clone());
    Ok(wanted
        .chain(owner)
        .filter(|name| !there.contains(name))
        .collect())
}

/// Roles of an archive that a server lacks.
pub struct MissingRoles<'a> {
    /// What the archive says of all its roles.
    pub database: &'a DatabaseProperties,
    /// Those to make.
    pub names: BTreeSet<String>,
    /// Roles created with their attributes and memberships, as requested by name.
    pub trusted: &'a BTreeSet<String>,
}

impl MissingRoles<'_> {
    /// Refuses names that the archive does not know, before anything is made.
    pub fn check(&self) -> Result<()> {
        let is_known = |name: &&String| self.database.roles.iter().any(|role| role.name == **name);
        match self.trusted.iter().find(|name| !is_known(name)) {
            None => Ok(()),
            Some(name) => Err(refuse(format!(
                "the backup has no role `{name}`; nothing was restored"
            ))
            .hint("omit --role-attributes, or name a role of the backup")
            .into()),
        }
    }

    fn is_trusted(&self, name: &str) -> bool {
        self.trusted.contains(name)
    }

    /// Returns whether a membership is created: always between new roles, which gives existing roles no access, and otherwise
    /// only on request.
    fn makes(&self, one: &Membership) -> bool {
        let is_new = |name: &String| self.names.contains(name);
        let concerns = is_new(&one.member) || is_new(&one.role);
        let among_new = is_new(&one.member) && is_new(&one.role);
        concerns && (among_new || self.is_trusted(&one.member) || self.is_trusted(&one.role))
    }

    fn withheld(&self, name: &str) -> Vec<String> {
        let role = self.database.roles.iter().find(|role| role.name == name);
        let attributes = role.filter(|_| !self.is_trusted(name)).into_iter();
        let attributes =
            attributes.flat_map(|role| powers(role).map(|(_, word)| word.trim_start().to_owned()));
        let memberships = self.database.memberships.iter().filter(|one| {
            (one.member == name || (one.role == name && !self.names.contains(&one.member)))
                && !self.makes(one)
        });
        let memberships = memberships.map(|one| {
            if one.member == name {
                format!("membership in `{}`", one.role)
            } else {
                format!("`{}` as a member", one.member)
            }
        });
        attributes.chain(memberships).collect()
    }

    /// Reports the created roles and the attributes they did not get.
    fn tell(&self, watch: Watch<'_>) {
        watch(Event::Warning(&format!(
            "created roles {}, without passwords",
            in_words(&self.names)
        )));
        for name in &self.names {
            let withheld = self.withheld(name);
            if !withheld.is_empty() {
                watch(Event::Warning(&format!(
                    "role `{name}` was created without {}; restore them with --role-attributes",
                    withheld.join(", ")
                )));
            }
        }
    }
}

fn in_words(names: &BTreeSet<String>) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// Creates the missing roles, their memberships and settings; without passwords, and without cluster-wide attributes that
/// were not requested.
pub async fn create_roles(
    session: &Session,
    new: &MissingRoles<'_>,
    watch: Watch<'_>,
) -> Result<()> {
    new.check()?;
    let (database, missing) = (new.database, &new.names);
    if missing.is_empty() {
        return Ok(());
    }
    let mut sql = Sql::new("BEGIN");
    for name in missing {
        sql.push("; ");
        match database.roles.iter().find(|role| role.name == *name) {
            Some(role) => create_role(&mut sql, role, new.is_trusted(name)),
            // A superuser of another name: the first role of every cluster is not listed.
            None => {
                sql.push("CREATE ROLE ").piece(&Ident::new(name));
            }
        }
    }
    for one in database.memberships.iter().filter(|one| new.makes(one)) {
        sql.push("; GRANT ").piece(&Ident::new(&one.role));
        sql.push(" TO ").piece(&Ident::new(&one.member));
        if one.admin {
            sql.push(" WITH ADMIN OPTION");
        }
    }
    sql.push("; COMMIT");
    let names = in_words(missing);
    if let Err(error) = session.run(&sql).await {
        session.run(&Sql::new("ROLLBACK")).await?;
        let denied = error
            .downcast_ref::<ServerError>()
            .is_some_and(|server| server.is("42501"));
        if denied {
            return Err(refuse(format!("roles {names} are missing, and this role may not create them; nothing was restored"))
                .hint("create them first, restore as a superuser, or map them to other roles with --map-role")
                .into());
        }
        return Err(error.context(format!("creating roles {names}")));
    }
    new.tell(watch);
    Ok(())
}

/// Returns the cluster-wide attributes of a role.
fn powers(role: &Role) -> impl Iterator<Item = (bool, &'static str)> {
    let powers = [
        (role.superuser, " SUPERUSER"),
        (role.create_role, " CREATEROLE"),
        (role.create_database, " CREATEDB"),
        (role.login, " LOGIN"),
        (role.replication, " REPLICATION"),
        (role.bypass_rls, " BYPASSRLS"),
    ];
    powers.into_iter().filter(|(is_on, _)| *is_on)
}

fn create_role(sql: &mut Sql, role: &Role, is_trusted: bool) {
    sql.push("CREATE ROLE ").piece(&Ident::new(&role.name));
    if !role.inherit {
        sql.push(" NOINHERIT");
    }
    if is_trusted {
        for (_, word) in powers(role) {
            sql.push(word);
        }
    }
    if role.connection_limit >= 0 {
        sql.push(" CONNECTION LIMIT ").piece(&role.connection_limit);
    }
    for setting in &role.settings {
        sql.push("; ALTER ROLE ").piece(&Ident::new(&role.name));
        sql.piece(&set(setting));
    }
}

pub async fn apply(
    session: &Session,
    admin: &Session,
    name: &str,
    database: &DatabaseProperties,
    no_owner: bool,
) -> Result<()> {
    let ident = Ident::new(name);
    let _ = session;
    let mut sql = Sql::new("BEGIN");
    for setting in &database.settings {
        if setting.role.is_empty() {
            sql.push("; ALTER DATABASE ").piece(&ident);
        } else {
            sql.push("; ALTER ROLE ").piece(&Ident::new(&setting.role));
            sql.push(" IN DATABASE ").piece(&ident);
        }
        sql.piece(&set(setting));
    }
    for grant in &database.grants {
        sql.push("; GRANT ").piece(&privilege(&grant.privilege)?);
        sql.push(" ON DATABASE ").piece(&ident).push(" TO ");
        if grant.grantee.is_empty() {
            sql.push("PUBLIC");
        } else {
            sql.piece(&Ident::new(&grant.grantee));
        }
        if grant.grantable {
            sql.push(" WITH GRANT OPTION");
        }
    }
    if !no_owner {
        sql.push("; ALTER DATABASE ").piece(&ident);
        sql.push(" OWNER TO ").piece(&Ident::new(&database.owner));
    }
    sql.push("; COMMENT ON DATABASE ")
        .piece(&ident)
        .push(" IS ");
    match &database.comment {
        Some(comment) => sql.piece(&Literal::new(comment)),
        None => sql.push("NULL"),
    };
    sql.push("; COMMIT");
    let applied = admin.run(&sql).await;
    if applied.is_err() {
        admin.run(&Sql::new("ROLLBACK")).await?;
    }
    applied.context("applying the database's settings and privileges")
}

fn privilege(name: &str) -> Result<Sql> {
    Ok(match name {
        "CONNECT" => Sql::new("CONNECT"),
        "CREATE" => Sql::new("CREATE"),
        "TEMPORARY" => Sql::new("TEMPORARY"),
        other => {
            anyhow::bail!("the backup grants `{other}` on the database, an unknown privilege")
        }
    })
}

/// Settings that hold a list of names: one literal would become one name with commas in it.
const LISTS: &[&str] = &[
    "DateStyle",
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
];

fn set(setting: &Setting) -> Sql {
    // A setting with a dot is an extension's or the user's own; each part is a name.
    let parts = setting.name.split('.').map(Ident::new);
    let mut sql = Sql::new(" SET ");
    sql.piece(&Sql::join(parts, ".")).push(" TO ");
    let is_list = LISTS
        .iter()
        .any(|list| list.eq_ignore_ascii_case(&setting.name));
    if is_list {
        let items = list_items(&setting.value);
        sql.piece(&Sql::join(items.iter().map(Literal::new), ", "));
    } else {
        sql.piece(&Literal::new(&setting.value));
    }
    sql
}

/// Splits a stored list: names are quoted where needed, separated by commas.
fn list_items(value: &str) -> Vec<String> {
    let mut items = Vec::new();
    let mut item = String::new();
    let mut quoted = false;
    let mut letters = value.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                item.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => items.push(std::mem::take(&mut item)),
            ' ' if !quoted && item.is_empty() => {}
            letter => item.push(letter),
        }
    }
    items.push(item);
    items
}

pub async fn role_exists(session: &Session, name: &str) -> Result<bool> {
    let rows = session
        .query(
            "SELECT FROM pg_catalog.pg_roles AS r WHERE r.rolname = $1",
            &[(&name, Type::TEXT)],
        )
        .await?;
    Ok(!rows.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_written_as_they_were_stored() {
        let check = |name: &str, value: &str, expected: &str| {
            let setting = Setting {
                role: String::new(),
                name: name.to_owned(),
                value: value.to_owned(),
            };
            assert_eq!(set(&setting).as_str(), expected);
        };
        check(
            "search_path",
            "app, \"a,b\", public",
            " SET search_path TO 'app', 'a,b', 'public'",
        );
        check("search_path", "\"$user\"", " SET search_path TO '$user'");
        check("search_path", "\"\"", " SET search_path TO ''");
        check("work_mem", "64MB", " SET work_mem TO '64MB'");
        check(
            "app.settings.key",
            "it's",
            " SET app.settings.key TO 'it''s'",
        );
    }
}
