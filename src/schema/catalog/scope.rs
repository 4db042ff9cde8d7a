//! [`Scope`]: which part of a database a catalog is read from, and what the platform keeps for itself.

/// Which part of a database to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The schemas to read; none means all that are not the server's or the platform's.
    pub schemas: Option<Vec<String>>,
    /// Whether to read the platform's own schemas too.
    pub platform: bool,
    /// Whether to read what lies in no schema: extensions, languages, casts, publications, the database itself.
    pub global: bool,
    /// Whether to read the attributes of roles.
    pub roles: bool,
}

impl Scope {
    /// Reads everything that belongs to the user.
    pub fn whole() -> Self {
        Scope {
            schemas: None,
            platform: false,
            global: true,
            roles: false,
        }
    }

    /// Reads the named schemas and what lies in none.
    pub fn of_schemas(schemas: &[String]) -> Self {
        Scope {
            schemas: Some(schemas.to_vec()),
            ..Scope::whole()
        }
    }

    /// Returns whether a schema is to be read whole.
    pub(crate) fn takes(&self, schema: &str, supabase: bool) -> bool {
        match &self.schemas {
            _ if schema == Ours::SCHEMA => false,
            Some(schemas) => schemas.iter().any(|wanted| wanted == schema),
            None => self.platform || !(supabase && is_platform(schema)),
        }
    }
}

/// What this program itself keeps in a database it governs.
pub struct Ours;

impl Ours {
    /// The schema of the journal; never read.
    pub const SCHEMA: &'static str = "af_db";
    /// The table of applied migrations; never read.
    pub const HISTORY: &'static str = "refinery_schema_history";
}

/// Returns whether a Supabase project keeps this schema for itself.
pub fn is_platform(schema: &str) -> bool {
    PLATFORM.binary_search(&schema).is_ok()
}

const PLATFORM: &[&str] = &[
    "_analytics",
    "_realtime",
    "_supavisor",
    "auth",
    "cron",
    "extensions",
    "graphql",
    "graphql_public",
    "net",
    "pgbouncer",
    "pgmq",
    "pgsodium",
    "pgsodium_masks",
    "pgtle",
    "realtime",
    "repack",
    "storage",
    "supabase_functions",
    "supabase_migrations",
    "tiger",
    "tiger_data",
    "topology",
    "vault",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_platform_is_left_alone_unless_asked_for() {
        assert!(PLATFORM.is_sorted());
        let check = |scope: &Scope, schema, supabase, expected| {
            assert_eq!(scope.takes(schema, supabase), expected, "{schema}");
        };
        let whole = Scope::whole();
        check(&whole, "public", true, true);
        check(&whole, "auth", true, false);
        check(&whole, "auth", false, true);
        check(&whole, "af_db", false, false);
        check(&Scope::of_schemas(&["auth".into()]), "auth", true, true);
        check(&Scope::of_schemas(&["auth".into()]), "public", true, false);
    }
}
