//! Encodes SQLite values in the binary format of the PostgreSQL type.

use std::borrow::Cow;

use rusqlite::types::ValueRef;

use crate::copy::target::Column;
use crate::copy::{numeric, time};

/// The binary format of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BinaryFormat {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric,
    Text,
    Padded,
    Bytes,
    Uuid,
    Json,
    Jsonb,
    Date,
    Time,
    Timestamp,
}

/// A value that is not valid for the column's type.
#[derive(Debug)]
pub(super) struct DoesNotFit;

impl BinaryFormat {
    /// Returns the format of a column; none for a type that cannot be copied.
    pub(super) fn of(column: &Column) -> Option<BinaryFormat> {
        if column.is_enum {
            return Some(BinaryFormat::Text);
        }
        Some(match column.base.as_str() {
            "bool" => BinaryFormat::Bool,
            "int2" => BinaryFormat::Int2,
            "int4" => BinaryFormat::Int4,
            "int8" => BinaryFormat::Int8,
            "float4" => BinaryFormat::Float4,
            "float8" => BinaryFormat::Float8,
            "numeric" => BinaryFormat::Numeric,
            "text" | "varchar" | "citext" | "name" => BinaryFormat::Text,
            "bpchar" => BinaryFormat::Padded,
            "bytea" => BinaryFormat::Bytes,
            "uuid" => BinaryFormat::Uuid,
            "json" => BinaryFormat::Json,
            "jsonb" => BinaryFormat::Jsonb,
            "date" => BinaryFormat::Date,
            "time" => BinaryFormat::Time,
            "timestamp" | "timestamptz" => BinaryFormat::Timestamp,
            _ => return None,
        })
    }

    /// Returns what each value must be if the declared SQLite type differs.
    pub(super) fn differs(self, declared: &str) -> Option<&'static str> {
        let declared = declared.to_uppercase();
        let said = |words: &[&str]| words.iter().any(|word| declared.contains(word));
        let (fits, words) = match self {
            BinaryFormat::Bool => (said(&["BOOL"]), "each value must be 0, 1, true or false"),
            BinaryFormat::Int2 | BinaryFormat::Int4 | BinaryFormat::Int8 => {
                (said(&["INT"]), "each value must be a whole number")
            }
            BinaryFormat::Float4 | BinaryFormat::Float8 => (
                said(&["REAL", "FLOA", "DOUB"]),
                "each value must be a number",
            ),
            BinaryFormat::Numeric => (said(&["NUM", "DEC"]), "each value must be a number"),
            BinaryFormat::Text | BinaryFormat::Padded => {
                (said(&["CHAR", "TEXT", "CLOB"]), "numbers become text")
            }
            BinaryFormat::Bytes => (said(&["BLOB"]), "text becomes its bytes"),
            BinaryFormat::Uuid => (
                said(&["UUID"]),
                "each value must be a UUID, as text or 16 bytes",
            ),
            BinaryFormat::Json | BinaryFormat::Jsonb => {
                (said(&["JSON"]), "each value must be a JSON document")
            }
            BinaryFormat::Date => (
                said(&["DATE"]) && !said(&["TIME"]),
                "each value must be a date",
            ),
            BinaryFormat::Time => (declared == "TIME", "each value must be a time of day"),
            BinaryFormat::Timestamp => (
                said(&["TIMESTAMP", "DATETIME"]),
                "each value must be a time; a number is seconds or milliseconds since 1970, text without a zone is UTC",
            ),
        };
        (!fits).then_some(words)
    }

    /// Appends a value in its binary format, without its length.
    pub(super) fn encode(self, value: ValueRef<'_>, into: &mut Vec<u8>) -> Result<(), DoesNotFit> {
        match self {
            BinaryFormat::Bool => into.push(u8::from(boolean(value)?)),
            BinaryFormat::Int2 => into.extend(
                i16::try_from(whole(value)?)
                    .map_err(|_| DoesNotFit)?
                    .to_be_bytes(),
            ),
            BinaryFormat::Int4 => into.extend(
                i32::try_from(whole(value)?)
                    .map_err(|_| DoesNotFit)?
                    .to_be_bytes(),
            ),
            BinaryFormat::Int8 => into.extend(whole(value)?.to_be_bytes()),
            BinaryFormat::Float4 => {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "float4 is what the column holds"
                )]
                let narrow = real(value)? as f32;
                into.extend(narrow.to_be_bytes());
            }
            BinaryFormat::Float8 => into.extend(real(value)?.to_be_bytes()),
            BinaryFormat::Numeric => numeric::encode(&text(value)?, into).ok_or(DoesNotFit)?,
            BinaryFormat::Text | BinaryFormat::Padded | BinaryFormat::Json => {
                let text = text(value)?;
                // PostgreSQL's text cannot contain a null byte.
                if text.contains('\0') {
                    return Err(DoesNotFit);
                }
                into.extend(text.as_bytes());
            }
            BinaryFormat::Jsonb => {
                into.push(1);
                into.extend(text(value)?.as_bytes());
            }
            BinaryFormat::Bytes => match value {
                ValueRef::Blob(bytes) | ValueRef::Text(bytes) => into.extend(bytes),
                _ => return Err(DoesNotFit),
            },
            BinaryFormat::Uuid => into.extend(uuid(value)?),
            BinaryFormat::Date => {
                let days = match value {
                    ValueRef::Text(_) => {
                        let text = text(value)?;
                        match time::day(&text) {
                            Some(days) => days,
                            None => midnight(time::moment(&text).ok_or(DoesNotFit)?)?,
                        }
                    }
                    _ => midnight(time::counted(whole(value)?).ok_or(DoesNotFit)?)?,
                };
                into.extend(days.to_be_bytes());
            }
            BinaryFormat::Time => {
                into.extend(time::of_day(&text(value)?).ok_or(DoesNotFit)?.to_be_bytes())
            }
            BinaryFormat::Timestamp => into.extend(moment(value)?.to_be_bytes()),
        }
        Ok(())
    }

    /// Returns bytes that are equal for equal values; most types have one binary form.
    pub(super) fn same(self, bytes: &[u8]) -> Cow<'_, [u8]> {
        match self {
            BinaryFormat::Numeric => numeric::same(bytes).into(),
            BinaryFormat::Padded => bytes.trim_ascii_end().into(),
            BinaryFormat::Jsonb => match serde_json::from_slice(bytes.get(1..).unwrap_or_default())
            {
                Ok(document) => {
                    let mut canonical = Vec::new();
                    sorted(&document, &mut canonical);
                    canonical.into()
                }
                Err(_) => bytes.into(),
            },
            _ => bytes.into(),
        }
    }
}

fn boolean(value: ValueRef<'_>) -> Result<bool, DoesNotFit> {
    match value {
        ValueRef::Integer(0) => Ok(false),
        ValueRef::Integer(1) => Ok(true),
        ValueRef::Text(bytes) => match bytes.to_ascii_lowercase().as_slice() {
            b"true" | b"t" | b"1" => Ok(true),
            b"false" | b"f" | b"0" => Ok(false),
            _ => Err(DoesNotFit),
        },
        _ => Err(DoesNotFit),
    }
}

fn whole(value: ValueRef<'_>) -> Result<i64, DoesNotFit> {
    match value {
        ValueRef::Integer(number) => Ok(number),
        ValueRef::Real(number) if number.fract() == 0.0 && number.abs() < 9e15 => {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "it is whole and small enough"
            )]
            let number = number as i64;
            Ok(number)
        }
        ValueRef::Text(_) => text(value)?.trim().parse().map_err(|_| DoesNotFit),
        _ => Err(DoesNotFit),
    }
}

fn real(value: ValueRef<'_>) -> Result<f64, DoesNotFit> {
    match value {
        ValueRef::Real(number) => Ok(number),
        #[expect(clippy::cast_precision_loss, reason = "SQLite itself reads it so")]
        ValueRef::Integer(number) => Ok(number as f64),
        ValueRef::Text(_) => text(value)?.trim().parse().map_err(|_| DoesNotFit),
        _ => Err(DoesNotFit),
    }
}

fn text(value: ValueRef<'_>) -> Result<Cow<'_, str>, DoesNotFit> {
    match value {
        ValueRef::Text(bytes) => Ok(std::str::from_utf8(bytes).map_err(|_| DoesNotFit)?.into()),
        ValueRef::Integer(number) => Ok(number.to_string().into()),
        ValueRef::Real(number) => Ok(number.to_string().into()),
        _ => Err(DoesNotFit),
    }
}

fn moment(value: ValueRef<'_>) -> Result<i64, DoesNotFit> {
    match value {
        ValueRef::Text(_) => {
            let text = text(value)?;
            let digits = text.trim().parse::<i64>().ok();
            // A number stored as text is read like a number.
            digits
                .and_then(time::counted)
                .or_else(|| time::moment(&text))
                .ok_or(DoesNotFit)
        }
        ValueRef::Real(number) if number.fract() != 0.0 => {
            let moment = time::counted(0).ok_or(DoesNotFit)?;
            #[expect(
                clippy::cast_possible_truncation,
                reason = "microseconds of this era fit"
            )]
            let micros = (number * 1e6).round() as i64;
            micros.checked_add(moment).ok_or(DoesNotFit)
        }
        _ => time::counted(whole(value)?).ok_or(DoesNotFit),
    }
}

fn midnight(moment: i64) -> Result<i32, DoesNotFit> {
    i32::try_from(moment.div_euclid(86_400_000_000)).map_err(|_| DoesNotFit)
}

fn uuid(value: ValueRef<'_>) -> Result<[u8; 16], DoesNotFit> {
    if let ValueRef::Blob(bytes) = value {
        return bytes.try_into().map_err(|_| DoesNotFit);
    }
    let text = text(value)?;
    let digits: Vec<u32> = text
        .trim()
        .trim_matches(['{', '}'])
        .chars()
        .filter(|character| *character != '-')
        .map(|character| character.to_digit(16).ok_or(DoesNotFit))
        .collect::<Result<_, _>>()?;
    let mut bytes = [0; 16];
    if digits.len() != 32 {
        return Err(DoesNotFit);
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::try_from(pair[0] * 16 + pair[1]).map_err(|_| DoesNotFit)?;
    }
    Ok(bytes)
}

/// Writes a document with sorted keys and normalized numbers.
fn sorted(document: &serde_json::Value, into: &mut Vec<u8>) {
    use serde_json::Value;
    match document {
        Value::Object(object) => {
            let mut keys: Vec<&String> = object.keys().collect();
            keys.sort();
            into.push(b'{');
            for key in keys {
                into.extend(key.as_bytes());
                into.push(0);
                sorted(&object[key], into);
            }
        }
        Value::Array(items) => {
            into.push(b'[');
            for item in items {
                sorted(item, into);
            }
        }
        Value::Number(number) => {
            into.push(b'#');
            into.extend(number.as_f64().unwrap_or_default().to_be_bytes());
        }
        other => into.extend(other.to_string().as_bytes()),
    }
    into.push(b',');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(form: BinaryFormat, value: ValueRef<'_>) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        form.encode(value, &mut bytes).ok().map(|()| bytes)
    }

    #[test]
    fn a_value_that_does_not_fit_is_refused() {
        assert_eq!(
            encoded(BinaryFormat::Int4, ValueRef::Integer(1 << 40)),
            None
        );
        assert_eq!(encoded(BinaryFormat::Int4, ValueRef::Text(b"seven")), None);
        assert_eq!(encoded(BinaryFormat::Int4, ValueRef::Real(1.5)), None);
        assert_eq!(encoded(BinaryFormat::Bool, ValueRef::Integer(2)), None);
        assert_eq!(encoded(BinaryFormat::Text, ValueRef::Text(b"a\0b")), None);
        assert_eq!(encoded(BinaryFormat::Text, ValueRef::Blob(b"a")), None);
        assert_eq!(encoded(BinaryFormat::Uuid, ValueRef::Text(b"1234")), None);
        assert_eq!(
            encoded(BinaryFormat::Int4, ValueRef::Text(b" 7 ")),
            Some(vec![0, 0, 0, 7])
        );
    }

    #[test]
    fn equal_documents_share_their_bytes() {
        let one = [b"\x01".as_slice(), br#"{"b": 1.0, "a": [true]}"#].concat();
        let other = [b"\x01".as_slice(), br#"{"a":[true],"b":1}"#].concat();
        assert_eq!(
            BinaryFormat::Jsonb.same(&one),
            BinaryFormat::Jsonb.same(&other)
        );
    }
}
