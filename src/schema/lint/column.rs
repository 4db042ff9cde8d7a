//! Parses a column definition in `CREATE TABLE` or `ADD COLUMN`.

use crate::sql::phrase::{Phrase, QualifiedName};
use crate::sql::token::TokenKind;

/// Keywords at which the type or the default of a column ends.
const CONSTRAINTS: &[&str] = &[
    "collate",
    "constraint",
    "not",
    "null",
    "default",
    "generated",
    "unique",
    "primary",
    "references",
    "check",
    "compression",
    "storage",
    "deferrable",
    "initially",
    "using",
    "options",
];

/// Functions whose result is the same for every row of a statement; any other makes a default that is
/// computed row by row.
const STEADY: &[&str] = &[
    "abs",
    "array",
    "array_fill",
    "cast",
    "ceil",
    "coalesce",
    "concat",
    "convert_to",
    "current_schema",
    "current_setting",
    "current_time",
    "current_timestamp",
    "date",
    "date_part",
    "date_trunc",
    "decode",
    "encode",
    "extract",
    "floor",
    "format",
    "greatest",
    "int4range",
    "int8range",
    "json_build_array",
    "json_build_object",
    "jsonb_build_array",
    "jsonb_build_object",
    "least",
    "localtimestamp",
    "lower",
    "make_date",
    "make_interval",
    "md5",
    "now",
    "nullif",
    "numrange",
    "repeat",
    "replace",
    "round",
    "row",
    "statement_timestamp",
    "string_to_array",
    "timezone",
    "to_char",
    "to_date",
    "to_json",
    "to_jsonb",
    "to_timestamp",
    "to_tsvector",
    "transaction_timestamp",
    "trim",
    "tstzrange",
    "upper",
];

/// A column as it is written.
#[derive(Clone, Copy)]
pub struct Column<'a> {
    /// The whole definition.
    pub phrase: Phrase<'a>,
    pub data_type: Phrase<'a>,
    /// What follows the type.
    pub rest: Phrase<'a>,
}

/// How a column gets a value that is not written by anyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generated {
    /// `GENERATED … AS IDENTITY`
    Identity,
    /// `GENERATED ALWAYS AS (…) STORED`
    Stored,
    /// `GENERATED ALWAYS AS (…) VIRTUAL`, also unsaid from version 18 on.
    Virtual,
}

impl<'a> Column<'a> {
    /// Reads a definition that begins with the column's name.
    pub fn read(phrase: Phrase<'a>) -> Option<Column<'a>> {
        phrase.ident(0)?;
        let data_type = phrase.until(1, CONSTRAINTS);
        Some(Column {
            phrase,
            data_type,
            rest: phrase.from(1 + data_type.len()),
        })
    }

    /// Returns the column's name.
    pub fn name(&self) -> String {
        self.phrase.ident(0).unwrap_or_default()
    }

    /// Returns the type in lower case with single blanks, such as `character varying(20)`.
    pub fn type_text(&self) -> String {
        crate::lint::types::spell(self.data_type)
    }

    /// Returns the expression of `DEFAULT`.
    pub fn default(&self) -> Option<Phrase<'a>> {
        let at = self.rest.find(&["default"])? + 1;
        let tail = self.rest.until(at + 1, CONSTRAINTS);
        Some(self.rest.range(at, at + 1 + tail.len()))
    }

    /// Whether it refuses null; a primary key does.
    pub fn not_null(&self) -> bool {
        self.rest.has(&["not", "null"]) || self.is_primary()
    }

    /// Whether it is a primary key.
    pub fn is_primary(&self) -> bool {
        self.rest.has(&["primary", "key"])
    }

    /// Whether it is unique by a constraint of its own.
    pub fn is_unique(&self) -> bool {
        self.rest.has(&["unique"])
    }

    /// Whether it has a check of its own.
    pub fn has_check(&self) -> bool {
        self.rest.has(&["check"])
    }

    /// Returns the table it refers to.
    pub fn references(&self) -> Option<QualifiedName> {
        let at = self.rest.find(&["references"])?;
        self.rest.name(at + 1).map(|(name, _)| name)
    }

    /// Returns how it is generated, for a server of this version.
    pub fn generated(&self, major: u32) -> Option<Generated> {
        let at = self.rest.find(&["generated"])?;
        let rest = self.rest.from(at);
        if rest.has(&["identity"]) {
            Some(Generated::Identity)
        } else if rest.has(&["virtual"]) || (major >= 18 && !rest.has(&["stored"])) {
            Some(Generated::Virtual)
        } else {
            Some(Generated::Stored)
        }
    }

    /// Whether its type makes a sequence and a default of its own.
    pub fn is_serial(&self) -> bool {
        matches!(
            self.type_text().as_str(),
            "serial" | "bigserial" | "smallserial" | "serial2" | "serial4" | "serial8"
        )
    }
}

/// Finds the first function of an expression that may give another value for each row.
pub fn volatile_call(expression: Phrase<'_>) -> Option<String> {
    (0..expression.len()).find_map(|index| {
        let is_call = expression.kind(index + 1) == Some(TokenKind::Open);
        // `::numeric(10, 2)` and `CAST(… AS numeric(10, 2))` name a type.
        let is_type =
            index > 0 && (expression.at(index - 1) == ":" || expression.is(index - 1, "as"));
        let name = expression.ident(index).filter(|_| is_call && !is_type)?;
        (!STEADY.contains(&name.as_str())).then_some(name)
    })
}
