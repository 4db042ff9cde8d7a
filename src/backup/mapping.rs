//! Maps the roles of an archive to other names, in its table of contents and in the database's properties.
//!
//! A name changes only where PostgreSQL's grammar has a role. Role names inside function bodies and policy expressions are not
//! rewritten, and no statement is reassembled.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::ops::Range;

use anyhow::{Context as _, Result};

use crate::error::{fail, refuse};
use crate::properties::DatabaseProperties;
use crate::sql::name::Ident;
use crate::sql::phrase::{self, Phrase};
use crate::sql::token::{Token, TokenKind};
use crate::toc::{self, Entry, Toc};

/// The new name of each mapped role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping(BTreeMap<String, String>);

impl Mapping {
    pub fn parse(given: &[String]) -> Result<Self> {
        let mut mapping = BTreeMap::new();
        for one in given {
            let parts = one.split_once('=');
            let Some((old, new)) = parts.filter(|(old, new)| !old.is_empty() && !new.is_empty())
            else {
                return Err(fail(format!("`{one}` is not a role mapping"))
                    .hint("write --map-role OLD=NEW")
                    .into());
            };
            if mapping.insert(old.to_owned(), new.to_owned()).is_some() {
                return Err(fail(format!(
                    "role `{old}` is mapped twice; nothing was restored"
                ))
                .hint("give --map-role once for each role of the backup")
                .into());
            }
        }
        Ok(Mapping(mapping))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn of<'a>(&'a self, role: &'a str) -> &'a str {
        self.0.get(role).map_or(role, String::as_str)
    }

    /// Returns whether two roles of the archive are mapped to the same role.
    pub fn merges(&self, database: &DatabaseProperties, contents: &Toc) -> bool {
        let all = roles(database, contents);
        let mapped: BTreeSet<&str> = all.iter().map(|role| self.of(role)).collect();
        mapped.len() < all.len()
    }

    /// Refuses a role that is not in the archive, which is a misspelling.
    pub fn check(&self, database: &DatabaseProperties, contents: &Toc) -> Result<()> {
        let known = roles(database, contents);
        let Some(old) = self.0.keys().find(|old| !known.contains(old.as_str())) else {
            return Ok(());
        };
        let names: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
        Err(refuse(format!(
            "the backup has no role `{old}`; nothing was restored"
        ))
        .hint(format!("the backup has {}", names.join(", ")))
        .into())
    }

    /// Returns the mapped-to roles that do not exist on the server.
    pub fn absent<'a>(&'a self, there: &BTreeSet<String>) -> Vec<&'a str> {
        let wanted: BTreeSet<&str> = self.0.values().map(String::as_str).collect();
        let absent = wanted.into_iter().filter(|role| !there.contains(*role));
        absent.collect()
    }

    /// Maps the database's properties; a mapped role is not created, nor are its memberships.
    pub fn database(&self, database: &DatabaseProperties) -> DatabaseProperties {
        let mut mapped = database.clone();
        mapped.owner = self.of(&database.owner).to_owned();
        for grant in &mut mapped.grants {
            grant.grantee = self.of(&grant.grantee).to_owned();
        }
        mapped.grants.retain(|grant| grant.grantee != mapped.owner);
        mapped.grants.sort();
        mapped.grants.dedup();
        for setting in &mut mapped.settings {
            setting.role = self.of(&setting.role).to_owned();
        }
        mapped.roles.retain(|role| !self.0.contains_key(&role.name));
        mapped
            .memberships
            .retain(|one| !self.0.contains_key(&one.member) && !self.0.contains_key(&one.role));
        mapped
    }

    pub fn renamed(&self, bytes: &[u8], contents: &Toc) -> Result<(Vec<u8>, Toc)> {
        let mapped = self.contents(bytes, contents)?;
        let new = toc::read(&mapped)?;
        let mut new = new.context("the table of contents is incomplete")?;
        for entry in &mut new.entries {
            self.tag(entry);
        }
        Ok((mapped, new))
    }

    fn contents(&self, bytes: &[u8], contents: &Toc) -> Result<Vec<u8>> {
        let mut mapped = Vec::with_capacity(bytes.len());
        let mut from = 0;
        for entry in &contents.entries {
            let changes = [
                (&entry.definition_at, self.definition(entry)),
                (&entry.owner_at, self.0.get(&entry.owner).cloned()),
            ];
            for (at, text) in changes {
                let Some(text) = text else { continue };
                let at = at.start as usize..at.end as usize;
                mapped.extend_from_slice(&bytes[from..at.start]);
                mapped.push(0);
                let length = u32::try_from(text.len())?;
                mapped.extend_from_slice(&length.to_le_bytes());
                mapped.extend_from_slice(text.as_bytes());
                from = at.end;
            }
        }
        mapped.extend_from_slice(&bytes[from..]);
        Ok(mapped)
    }

    /// Labels a user mapping as `pg_dump` will label the restored one.
    fn tag(&self, entry: &mut Entry) {
        let label = entry.tag.strip_prefix("USER MAPPING ");
        let parts = label.and_then(|label| label.split_once(" SERVER "));
        if let Some((role, server)) = parts {
            entry.tag = format!("USER MAPPING {} SERVER {server}", self.of(role));
        }
    }

    /// Returns the statements of an entry with mapped names; `None` if nothing changes.
    fn definition(&self, entry: &Entry) -> Option<String> {
        let text = &entry.definition;
        let mut mapped = String::new();
        let mut from = 0;
        for list in role_lists(&entry.kind, text) {
            let names: Vec<&str> = list.iter().map(|(_, name)| self.of(name)).collect();
            if list.iter().map(|(_, name)| name).eq(&names) {
                continue;
            }
            let (first, last) = (&list[0].0, &list[list.len() - 1].0);
            mapped.push_str(&text[from..first.start]);
            let mut written: Vec<String> = Vec::new();
            for ((at, old), name) in list.iter().zip(names) {
                let word = if old == name {
                    text[at.clone()].to_owned()
                } else {
                    Ident::new(name).to_string()
                };
                if !written.contains(&word) {
                    written.push(word);
                }
            }
            mapped.push_str(&written.join(", "));
            from = last.end;
        }
        if from == 0 {
            return None;
        }
        mapped.push_str(&text[from..]);
        Some(mapped)
    }
}

/// Returns every role that an archive names as an owner, grantee or member.
fn roles<'a>(database: &'a DatabaseProperties, contents: &'a Toc) -> BTreeSet<&'a str> {
    let owners = contents.entries.iter().map(|entry| entry.owner.as_str());
    let kin = database.roles.iter().map(|role| role.name.as_str());
    let all = owners.chain(kin).chain([database.owner.as_str()]);
    all.filter(|name| !name.is_empty()).collect()
}

/// A role in a text: where it stands and its name.
type Named = (Range<usize>, String);

/// Finds the lists of roles in the statements of an entry; `PUBLIC` is none.
pub fn role_lists(kind: &str, text: &str) -> Vec<Vec<Named>> {
    let leads: &[&[&str]] = match kind {
        "ACL" => &[&["TO"], &["FROM"], &["AUTHORIZATION"], &["GRANTED", "BY"]],
        "DEFAULT ACL" => &[&["FOR", "ROLE"], &["TO"], &["FROM"]],
        "POLICY" => &[&["TO"]],
        "USER MAPPING" => &[&["FOR"]],
        _ => return Vec::new(),
    };
    let tokens = phrase::read(text);
    let phrase = Phrase::new(text, &tokens);
    let mut lists = Vec::new();
    let mut depth = 0_usize;
    for index in 0..phrase.len() {
        match phrase.kind(index) {
            Some(TokenKind::Open) => depth += 1,
            Some(TokenKind::Close) => depth = depth.saturating_sub(1),
            _ => {}
        }
        // What a policy asks follows in parentheses; nothing in them is a list of roles.
        let is_qualified = index > 0 && phrase.at(index - 1) == ".";
        let lead = leads.iter().find(|lead| phrase.are(index, lead));
        if let Some(lead) = lead
            && depth == 0
            && !is_qualified
        {
            let list = list(phrase, &tokens, index + lead.len());
            lists.extend((!list.is_empty()).then_some(list));
        }
    }
    lists
}

fn list(phrase: Phrase<'_>, tokens: &[Token], mut index: usize) -> Vec<Named> {
    let mut found = Vec::new();
    while let Some(name) = phrase.ident(index) {
        if !phrase.is(index, "public") {
            found.push((tokens[index].start..tokens[index].end, name));
        }
        if phrase.at(index + 1) != "," {
            break;
        }
        index += 2;
    }
    found
}

pub struct Renaming<W> {
    inner: W,
    mapping: Mapping,
    // The table of contents as far as it came, and how much of it is worth another look.
    held: Option<(Vec<u8>, usize)>,
    contents: Option<(Toc, i64)>,
}

impl<W: Write> Renaming<W> {
    /// Passes on to `inner`.
    pub fn new(inner: W, mapping: &Mapping) -> Self {
        Renaming {
            inner,
            held: (!mapping.is_empty()).then(|| (Vec::new(), 64 << 10)),
            mapping: mapping.clone(),
            contents: None,
        }
    }

    /// Returns the new table of contents and by how much it grew, if names changed.
    pub fn finish(mut self) -> Result<(W, Option<(Toc, i64)>)> {
        self.rename(true)?;
        Ok((self.inner, self.contents))
    }

    fn rename(&mut self, last: bool) -> Result<()> {
        let Some((held, due)) = &mut self.held else {
            return Ok(());
        };
        if held.len() < *due && !last {
            return Ok(());
        }
        *due = held.len() * 2;
        let Some(old) = toc::read(held)? else {
            anyhow::ensure!(!last, "the dump ends inside its table of contents");
            return Ok(());
        };
        let length = old.length as usize;
        let (mapped, new) = self.mapping.renamed(&held[..length], &old)?;
        let grown = new.length as i64 - old.length as i64;
        self.inner.write_all(&mapped)?;
        self.inner.write_all(&held[length..])?;
        self.contents = Some((new, grown));
        self.held = None;
        Ok(())
    }
}

impl<W: Write> Write for Renaming<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.held {
            None => self.inner.write_all(bytes)?,
            Some((held, _)) => {
                held.extend_from_slice(bytes);
                self.rename(false).map_err(|error| {
                    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
                })?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(kind: &str, text: &str) -> String {
        let mapping =
            Mapping::parse(&["a=x y".to_owned(), "B c=z".to_owned(), "d=x y".to_owned()]).unwrap();
        let entry = Entry {
            kind: kind.to_owned(),
            definition: text.to_owned(),
            ..Entry::default()
        };
        mapping
            .definition(&entry)
            .unwrap_or_else(|| "as it was".to_owned())
    }

    #[test]
    fn only_role_names_are_mapped() {
        let check = |kind: &str, text: &str, expected: &str| {
            assert_eq!(mapped(kind, text), expected, "{text}");
        };
        check(
            "ACL",
            "REVOKE ALL ON TABLE a.\"TO\" FROM PUBLIC;\nGRANT SELECT(a,d) ON TABLE a.a TO a;\nSET SESSION AUTHORIZATION \"B c\";\nGRANT ALL ON FUNCTION f(a integer) TO other WITH GRANT OPTION;\nRESET SESSION AUTHORIZATION;",
            "REVOKE ALL ON TABLE a.\"TO\" FROM PUBLIC;\nGRANT SELECT(a,d) ON TABLE a.a TO \"x y\";\nSET SESSION AUTHORIZATION z;\nGRANT ALL ON FUNCTION f(a integer) TO other WITH GRANT OPTION;\nRESET SESSION AUTHORIZATION;",
        );
        check(
            "POLICY",
            "CREATE POLICY a ON a.a FOR SELECT TO a, other, d USING ((CURRENT_USER = 'a'::name) OR (x IN ( SELECT y FROM a)));",
            "CREATE POLICY a ON a.a FOR SELECT TO \"x y\", other USING ((CURRENT_USER = 'a'::name) OR (x IN ( SELECT y FROM a)));",
        );
        check(
            "DEFAULT ACL",
            "ALTER DEFAULT PRIVILEGES FOR ROLE a IN SCHEMA a GRANT SELECT ON TABLES TO \"B c\";",
            "ALTER DEFAULT PRIVILEGES FOR ROLE \"x y\" IN SCHEMA a GRANT SELECT ON TABLES TO z;",
        );
        check(
            "USER MAPPING",
            "CREATE USER MAPPING FOR a SERVER a OPTIONS (\"user\" 'a');",
            "CREATE USER MAPPING FOR \"x y\" SERVER a OPTIONS (\"user\" 'a');",
        );
        check("VIEW", "CREATE VIEW v AS SELECT 1 FROM a;", "as it was");
        check("ACL", "GRANT SELECT ON TABLE a.a TO PUBLIC;", "as it was");
    }

    #[test]
    fn a_role_is_mapped_once() {
        let wrong = |given: &[&str]| {
            let given: Vec<String> = given.iter().map(|&one| one.to_owned()).collect();
            Mapping::parse(&given).unwrap_err().to_string()
        };
        assert_eq!(wrong(&["a"]), "`a` is not a role mapping");
        assert_eq!(wrong(&["a="]), "`a=` is not a role mapping");
        assert_eq!(
            wrong(&["a=b", "a=c"]),
            "role `a` is mapped twice; nothing was restored"
        );
    }
}
