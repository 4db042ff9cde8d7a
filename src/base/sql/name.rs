//! Identifiers and literals that quote themselves: the only way a name gets into a statement.

use std::fmt;

/// An identifier; `Display` quotes it where PostgreSQL requires that.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ident(String);

impl Ident {
    /// Takes a name as the catalog spells it, without quotes.
    pub fn new(name: impl Into<String>) -> Self {
        Ident(name.into())
    }

    /// Returns the name without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Ident {
    fn from(name: &str) -> Self {
        Ident::new(name)
    }
}

impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_plain(&self.0) {
            return f.write_str(&self.0);
        }
        write!(f, "\"{}\"", self.0.replace('"', "\"\""))
    }
}

/// A name with its schema; `Display` quotes both parts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    pub schema: Ident,
    pub name: Ident,
}

impl ObjectName {
    /// Takes schema and name as the catalog spells them.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        ObjectName {
            schema: Ident::new(schema),
            name: Ident::new(name),
        }
    }

    /// Parses `schema.name` as a user types it; a name without a schema is in `public`.
    ///
    /// Each part is spelled as in the catalog, or quoted as in SQL; a dot within quotes is part of the name.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = vec![String::new()];
        let (mut quoted, mut letters) = (false, text.chars().peekable());
        while let Some(letter) = letters.next() {
            let part = parts.last_mut()?;
            match letter {
                '"' if quoted && letters.peek() == Some(&'"') => part.extend(letters.next()),
                '"' if quoted || part.is_empty() => quoted = !quoted,
                '.' if !quoted => parts.push(String::new()),
                letter => part.push(letter),
            }
        }
        match parts.as_slice() {
            _ if quoted || parts.iter().any(String::is_empty) => None,
            [name] => Some(ObjectName::new("public", name)),
            [schema, name] => Some(ObjectName::new(schema, name)),
            _ => None,
        }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// A string literal; `Display` is safe for any value of `standard_conforming_strings`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Literal(String);

impl Literal {
    pub fn new(value: impl Into<String>) -> Self {
        Literal(value.into())
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let doubled = self.0.replace('\'', "''");
        if doubled.contains('\\') {
            // The leading space separates the E from a word before it.
            return write!(f, " E'{}'", doubled.replace('\\', "\\\\"));
        }
        write!(f, "'{doubled}'")
    }
}

/// Returns whether PostgreSQL reads the name unchanged without quotes.
fn is_plain(name: &str) -> bool {
    let mut bytes = name.bytes();
    let starts_well = bytes
        .next()
        .is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'_');
    starts_well
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && RESERVED.binary_search(&name).is_err()
}

/// Every keyword of PostgreSQL 14 to 18 that cannot be a bare column, type or function name; sorted.
const RESERVED: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "between",
    "bigint",
    "binary",
    "bit",
    "boolean",
    "both",
    "case",
    "cast",
    "char",
    "character",
    "check",
    "coalesce",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "dec",
    "decimal",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "float",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "greatest",
    "group",
    "grouping",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "inout",
    "int",
    "integer",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "json",
    "json_array",
    "json_arrayagg",
    "json_exists",
    "json_object",
    "json_objectagg",
    "json_query",
    "json_scalar",
    "json_serialize",
    "json_table",
    "json_value",
    "lateral",
    "leading",
    "least",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "merge_action",
    "national",
    "natural",
    "nchar",
    "none",
    "normalize",
    "not",
    "notnull",
    "null",
    "nullif",
    "numeric",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "out",
    "outer",
    "overlaps",
    "overlay",
    "placing",
    "position",
    "precision",
    "primary",
    "real",
    "references",
    "returning",
    "right",
    "row",
    "select",
    "session_user",
    "setof",
    "similar",
    "smallint",
    "some",
    "substring",
    "symmetric",
    "system_user",
    "table",
    "tablesample",
    "then",
    "time",
    "timestamp",
    "to",
    "trailing",
    "treat",
    "trim",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "values",
    "varchar",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_as_users_type_them() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            let expected = expected.map(|(schema, name)| ObjectName::new(schema, name));
            assert_eq!(ObjectName::parse(text), expected, "{text}");
            if let Some(name) = expected {
                assert_eq!(ObjectName::parse(&name.to_string()), Some(name));
            }
        };
        check("orders", Some(("public", "orders")));
        check("app.Orders", Some(("app", "Orders")));
        check("a b.c*", Some(("a b", "c*")));
        check("\"a.b\".\"c\"\"d\"", Some(("a.b", "c\"d")));
        check("\"select\"", Some(("public", "select")));
        check("in\"ch", Some(("public", "in\"ch")));
        for text in ["", ".", "a.", "a.b.c", "\"a", "a.\"b"] {
            check(text, None);
        }
    }

    #[test]
    fn names_quote_themselves() {
        let check = |name: &str, expected: &str| assert_eq!(Ident::new(name).to_string(), expected);
        check("orders", "orders");
        check("Orders", "\"Orders\"");
        check("user", "\"user\"");
        check("a\"b", "\"a\"\"b\"");
        check("", "\"\"");
        check("1a", "\"1a\"");
        check("ä", "\"ä\"");
        check("a;drop", "\"a;drop\"");
        check("a$b", "\"a$b\"");
        assert_eq!(
            ObjectName::new("public", "Order").to_string(),
            "public.\"Order\""
        );
    }

    #[test]
    fn literals_quote_themselves() {
        let check =
            |value: &str, expected: &str| assert_eq!(Literal::new(value).to_string(), expected);
        check("it's", "'it''s'");
        check("a\\b'", " E'a\\\\b'''");
    }

    #[test]
    fn reserved_words_are_sorted() {
        assert!(RESERVED.is_sorted());
    }
}
