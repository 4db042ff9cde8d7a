//! Renames a schema within a catalog, so that the schemas of two tenants can be compared.

use std::collections::BTreeMap;

use crate::catalog::{Catalog, Key, Kind, Object, Text, Value};
use crate::sql::name::Ident;
use crate::sql::token::{self, TokenKind as Token};

impl Catalog {
    /// Returns the catalog with one schema renamed wherever the server printed it: in keys, in definitions, in
    /// texts such as `nextval('tenant.orders_id_seq'::regclass)`.
    pub fn with_schema_renamed(&self, from: &str, to: &str) -> Catalog {
        let rename = SchemaRename {
            from,
            to,
            quoted: Ident::new(from).to_string(),
            becomes: Ident::new(to).to_string(),
        };
        let mut objects = BTreeMap::new();
        for (key, object) in &self.objects {
            objects.insert(rename.key(key), rename.object(object));
        }
        Catalog {
            objects,
            ..self.clone()
        }
    }
}

struct SchemaRename<'a> {
    from: &'a str,
    to: &'a str,
    quoted: String,
    becomes: String,
}

impl SchemaRename<'_> {
    fn key(&self, key: &Key) -> Key {
        let schema: Text = if &*key.schema == self.from {
            self.to.into()
        } else {
            key.schema.clone()
        };
        let name: Text = match key.kind {
            Kind::Schema if &*key.name == self.from => self.to.into(),
            kind if kind.name_is_preformatted() => self.text(&key.name),
            _ => key.name.clone(),
        };
        Key {
            schema,
            name,
            ..key.clone()
        }
    }

    fn object(&self, object: &Object) -> Object {
        let mut renamed = object.clone();
        let facts = object.facts.iter().map(|(name, value)| {
            let value = match value {
                Value::Text(text) => Value::Text(self.text(text)),
                Value::List(items) => {
                    Value::List(items.iter().map(|item| self.text(item)).collect())
                }
            };
            (name.clone(), value)
        });
        renamed.facts = facts.collect();
        renamed.on = object.on.as_ref().map(|key| Box::new(self.key(key)));
        renamed.needs = object.needs.iter().map(|key| self.key(key)).collect();
        renamed.needs.sort();
        renamed
    }

    /// Replaces the name where a dot follows it, as in every name that PostgreSQL prints.
    fn text(&self, text: &Text) -> Text {
        if !text.contains(self.quoted.as_str()) {
            return text.clone();
        }
        let mut renamed = String::with_capacity(text.len());
        let mut last_dot = false;
        for token in token::tokens(text) {
            let said = token.text(text);
            let is_name = matches!(token.kind, Token::Word | Token::QuotedName)
                && said == self.quoted
                && !last_dot
                && text[token.end..].starts_with('.');
            match token.kind {
                _ if is_name => renamed.push_str(&self.becomes),
                // Names within strings: regclass literals, function bodies.
                Token::Text if token.closed && said.len() > 2 => {
                    let inner: Text = said[1..said.len() - 1].into();
                    renamed.push_str(&said[..1]);
                    renamed.push_str(&self.text(&inner));
                    renamed.push_str(&said[said.len() - 1..]);
                }
                Token::DollarText => {
                    renamed.push_str(
                        &said.replace(&format!("{}.", self.quoted), &format!("{}.", self.becomes)),
                    );
                }
                _ => renamed.push_str(said),
            }
            last_dot = said == ".";
        }
        renamed.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let rename = SchemaRename {
            from: "acme",
            to: "tenant",
            quoted: "acme".to_owned(),
            becomes: "tenant".to_owned(),
        };
        assert_eq!(&*rename.text(&text.into()), expected);
    }

    #[test]
    fn a_schema_is_renamed_where_it_is_one() {
        check("acme.orders", "tenant.orders");
        check(
            "nextval('acme.orders_id_seq'::regclass)",
            "nextval('tenant.orders_id_seq'::regclass)",
        );
        check("(acme = 'acme')", "(acme = 'acme')");
        check("x.acme.y", "x.acme.y");
        check("acmes.orders, \"acme\"", "acmes.orders, \"acme\"");
        check(
            "SELECT acme.f(a.id) FROM acme.a",
            "SELECT tenant.f(a.id) FROM tenant.a",
        );
    }
}
