//! How the manifest spells the name of an object: `orders`, `app.orders`, `app."weird.name"`.

use anyhow::Result;

use crate::error::fail;
use crate::manifest::located_statement::location;
use crate::sql::name::{Ident, ObjectName};
use crate::yaml::Located;

/// Reads the name of an object: `orders`, `app.orders`, `app."weird.name"`; without a schema it is in `public`.
pub(crate) fn object_name(file: &str, name: &Located<String>) -> Result<ObjectName> {
    let parts = name_parts(&name.value).filter(|parts| parts.iter().all(|part| !part.is_empty()));
    match parts.as_deref() {
        Some([only]) => Ok(ObjectName::new("public", only.clone())),
        Some([schema, name]) => Ok(ObjectName::new(schema.clone(), name.clone())),
        _ => {
            let message = format!(
                "{}: `{}` is not a valid object name",
                location(file, name),
                name.value
            );
            Err(fail(message)
                .hint("write `name`, `schema.name`, or `schema.\"na.me\"`")
                .into())
        }
    }
}

/// Splits a name at its dots, except within quotes; a doubled quote is a quote.
fn name_parts(text: &str) -> Option<Vec<String>> {
    let mut parts = vec![String::new()];
    let mut rest = text.chars().peekable();
    let mut at_start = true;
    while let Some(character) = rest.next() {
        let part = parts.last_mut()?;
        match character {
            '"' if at_start => {
                loop {
                    match rest.next()? {
                        '"' if rest.peek() == Some(&'"') => {
                            rest.next();
                            part.push('"');
                        }
                        '"' => break,
                        other => part.push(other),
                    }
                }
                if rest.peek().is_some_and(|next| *next != '.') {
                    return None;
                }
                at_start = false;
            }
            '.' => {
                parts.push(String::new());
                at_start = true;
            }
            other => {
                part.push(other);
                at_start = false;
            }
        }
    }
    Some(parts)
}

/// Writes a name so that [`object_name`] reads it back.
pub(crate) fn spell(name: &ObjectName) -> String {
    let part = |ident: &Ident| {
        let text = ident.as_str();
        let plain = !text.is_empty() && !text.contains(['.', '"']);
        if plain {
            text.to_owned()
        } else {
            format!("\"{}\"", text.replace('"', "\"\""))
        }
    };
    if name.schema.as_str() == "public" {
        return part(&name.name);
    }
    format!("{}.{}", part(&name.schema), part(&name.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_as_they_are_spelt() {
        let check = |text: &str, schema: &str, name: &str| {
            let placed = Located {
                value: text.to_owned(),
                line: 1,
                column: 1,
            };
            let object = object_name("x.yaml", &placed).unwrap();
            assert_eq!(
                (object.schema.as_str(), object.name.as_str()),
                (schema, name),
                "{text}"
            );
            let again = Located {
                value: spell(&object),
                line: 1,
                column: 1,
            };
            assert_eq!(object_name("x.yaml", &again).unwrap(), object, "{text}");
        };
        check("orders", "public", "orders");
        check("app.orders", "app", "orders");
        check("Order Lines", "public", "Order Lines");
        check("app.\"a.b\"", "app", "a.b");
        check("\"a\"\"b\"", "public", "a\"b");
        check("a\"b", "public", "a\"b");
        check("app.🐘;\n", "app", "🐘;\n");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in ["", "a.b.c", ".a", "a.", "\"a", "\"a\"b"] {
            let placed = Located {
                value: text.to_owned(),
                line: 2,
                column: 3,
            };
            let error = object_name("x.yaml", &placed).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("x.yaml:2:3: `{text}` is not a valid object name")
            );
        }
    }
}
