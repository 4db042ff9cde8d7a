//! [`Scope`]: which part of a database is read, and which schemas belong to the platform.

/// Which part of a database to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The schemas to read; `None` means all but those of the system and the platform.
    pub schemas: Option<Vec<String>>,
    /// Whether to read the platform's own schemas too.
    pub platform: bool,
    /// Whether to read objects in no schema: extensions, languages, casts, publications, the database itself.
    pub global: bool,
    /// Whether to read the attributes of roles.
    pub roles: bool,
}

impl Scope {
    /// All objects of the user.
    pub fn whole() -> Self {
        Scope {
            schemas: None,
            platform: false,
            global: true,
            roles: false,
        }
    }

    /// The named schemas and the objects in no schema.
    pub fn of_schemas(schemas: &[String]) -> Self {
        Scope {
            schemas: Some(schemas.to_vec()),
            ..Scope::whole()
        }
    }

    /// Returns whether all objects of a schema are read.
    pub(crate) fn includes(&self, schema: &str, supabase: bool) -> bool {
        match &self.schemas {
            _ if schema == OwnObjects::SCHEMA => false,
            Some(schemas) => schemas.iter().any(|wanted| wanted == schema),
            None => self.platform || !(supabase && is_platform(schema)),
        }
    }
}

/// The objects that af-db keeps in a managed database.
pub struct OwnObjects;

impl OwnObjects {
    /// The schema of the journal; never read.
    pub const SCHEMA: &'static str = "af_db";
    /// The table of applied migrations; never read.
    pub const HISTORY: &'static str = "refinery_schema_history";
}

/// Returns whether this schema belongs to the Supabase platform.
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
            assert_eq!(scope.includes(schema, supabase), expected, "{schema}");
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
