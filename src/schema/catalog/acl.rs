//! Privileges: `aclitem[]` values, with the owner's own grants kept apart from those of named roles.

use crate::catalog::kind::Kind;
use crate::catalog::text::Text;

/// Who is granted something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grantee {
    Public,
    /// The object's owner, whatever the role is called.
    Owner,
    /// A role by name.
    Role(Text),
}

/// What one grantor gave one grantee.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    pub grantee: Grantee,
    /// The letters of the privileges in the server's order, such as `arw`.
    pub privileges: String,
    /// The privileges held with grant option.
    pub grantable: String,
    /// The grantor, unless it is the owner.
    pub grantor: Option<Text>,
}

/// The privileges on one object, in the server's order.
///
/// Equality ignores the order.
#[derive(Clone, Debug, Default)]
pub struct Acl(pub Vec<Grant>);

impl PartialEq for Acl {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || self.sorted() == other.sorted()
    }
}

impl Acl {
    /// Reads the items of an `aclitem[]` of an object with this owner.
    pub fn parse<'a>(items: impl IntoIterator<Item = &'a str>, owner: &str) -> Acl {
        Acl(items
            .into_iter()
            .filter_map(|item| parse_item(item, owner))
            .collect())
    }

    /// Returns the privileges that this version of PostgreSQL grants on a new object of the kind by default.
    pub fn standard(kind: Kind, version: i32) -> Acl {
        let (owner, public) = match kind {
            Kind::Table | Kind::ForeignTable | Kind::View | Kind::MaterializedView => {
                // MAINTAIN came with 17.
                let all = if version >= 170_000 {
                    "arwdDxtm"
                } else {
                    "arwdDxt"
                };
                (all, "")
            }
            Kind::Sequence | Kind::Identity => ("rwU", ""),
            Kind::Schema => ("UC", ""),
            Kind::Database => ("CTc", "Tc"),
            Kind::Function | Kind::Procedure | Kind::Aggregate => ("X", "X"),
            Kind::Type | Kind::Language => ("U", "U"),
            Kind::ForeignDataWrapper | Kind::Server => ("U", ""),
            Kind::Parameter => ("sA", ""),
            _ => ("", ""),
        };
        let grant = |grantee, privileges: &str| Grant {
            grantee,
            privileges: privileges.to_owned(),
            grantable: String::new(),
            grantor: None,
        };
        let mut grants = Vec::new();
        if !public.is_empty() {
            grants.push(grant(Grantee::Public, public));
        }
        if !owner.is_empty() {
            grants.push(grant(Grantee::Owner, owner));
        }
        Acl(grants)
    }

    /// Returns the grants sorted, for comparison and printing.
    pub fn sorted(&self) -> Vec<&Grant> {
        let mut grants: Vec<&Grant> = self.0.iter().collect();
        grants.sort();
        grants
    }

    /// Returns whether a grantee holds a privilege, by its letter.
    pub fn allows(&self, grantee: &Grantee, privilege: char) -> bool {
        self.0
            .iter()
            .any(|grant| grant.grantee == *grantee && grant.privileges.contains(privilege))
    }
}

impl std::fmt::Display for Acl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, grant) in self.sorted().into_iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            let words: Vec<String> = grant
                .privileges
                .chars()
                .map(|letter| {
                    let option = if grant.grantable.contains(letter) {
                        " with grant option"
                    } else {
                        ""
                    };
                    format!("{}{option}", privilege_word(letter))
                })
                .collect();
            let grantee = match &grant.grantee {
                Grantee::Public => "public",
                Grantee::Owner => "its owner",
                Grantee::Role(role) => role,
            };
            write!(f, "{grantee}: {}", words.join(", "))?;
            if let Some(grantor) = &grant.grantor {
                write!(f, " (granted by {grantor})")?;
            }
        }
        Ok(())
    }
}

/// Returns the keyword of a privilege in GRANT.
pub fn privilege_word(letter: char) -> &'static str {
    match letter {
        'a' => "INSERT",
        'r' => "SELECT",
        'w' => "UPDATE",
        'd' => "DELETE",
        'D' => "TRUNCATE",
        'x' => "REFERENCES",
        't' => "TRIGGER",
        'm' => "MAINTAIN",
        'X' => "EXECUTE",
        'U' => "USAGE",
        'C' => "CREATE",
        'T' => "TEMPORARY",
        'c' => "CONNECT",
        's' => "SET",
        'A' => "ALTER SYSTEM",
        _ => "ALL",
    }
}

fn parse_item(item: &str, owner: &str) -> Option<Grant> {
    let (grantee, rest) = role(item)?;
    let rest = rest.strip_prefix('=')?;
    let slash = rest.find('/')?;
    let (grantor, _) = role(&rest[slash + 1..])?;
    let mut privileges = String::new();
    let mut grantable = String::new();
    for letter in rest[..slash].chars() {
        if letter != '*' {
            privileges.push(letter);
        } else if let Some(last) = privileges.chars().last() {
            grantable.push(last);
        }
    }
    let grantee = match grantee.as_str() {
        "" => Grantee::Public,
        role if role == owner => Grantee::Owner,
        role => Grantee::Role(role.into()),
    };
    Some(Grant {
        grantee,
        privileges,
        grantable,
        grantor: (grantor != owner).then(|| grantor.into()),
    })
}

/// Takes a role name, quoted or not, off the front.
fn role(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find('=').unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut name = String::new();
    let mut rest = quoted;
    loop {
        let quote = rest.find('"')?;
        name.push_str(&rest[..quote]);
        rest = &rest[quote + 1..];
        match rest.strip_prefix('"') {
            Some(after) => {
                name.push('"');
                rest = after;
            }
            None => return Some((name, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_read_as_the_server_prints_them() {
        let acl = Acl::parse(
            ["o=arwdDxt/o", "=r/o", "\"a\"\"=b\"=a*r/o", "c=U/\"o'k\""],
            "o",
        );
        let check = |index: usize, grantee: Grantee, privileges: &str, grantable: &str| {
            let grant: &Grant = &acl.0[index];
            assert_eq!(
                (
                    &grant.grantee,
                    grant.privileges.as_str(),
                    grant.grantable.as_str()
                ),
                (&grantee, privileges, grantable)
            );
        };
        check(0, Grantee::Owner, "arwdDxt", "");
        check(1, Grantee::Public, "r", "");
        check(2, Grantee::Role("a\"=b".into()), "ar", "a");
        check(3, Grantee::Role("c".into()), "U", "");
        assert_eq!(acl.0[3].grantor.as_deref(), Some("o'k"));
        assert_eq!(acl.0[0].grantor, None);
    }

    #[test]
    fn the_order_of_grants_does_not_matter() {
        let one = Acl::parse(["a=r/o", "b=r/o"], "o");
        let other = Acl::parse(["b=r/o", "a=r/o"], "o");
        assert_eq!(one, other);
        assert_ne!(one, Acl::parse(["b=r/o"], "o"));
    }
}
