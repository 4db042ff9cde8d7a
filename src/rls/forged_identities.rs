//! Requests with forged identities: strangers, tenants with similar keys, members who forge claims they can write themselves.

use serde_json::{Value, json};

use std::collections::BTreeMap;

use crate::expression_text;
use crate::identities::{Identities, KEY};
use crate::runner::Identity;
use crate::seed::tenancy_map::Side;

impl Identities<'_> {
    pub(super) fn stranger(&self, role: &str) -> Identity {
        self.signed_in("a signed-in user of no tenant", role, &json!({}))
    }

    /// One who signed up just now: nothing but what it wrote about itself.
    fn signed_in(&self, title: &str, role: &str, more: &Value) -> Identity {
        let user = match self.tenancy_map.user_type.as_str() {
            "uuid" => "e0af0db0-0000-4000-8000-000000000099".to_owned(),
            "int2" | "int4" | "int8" => "9999".to_owned(),
            _ => "user-e99".to_owned(),
        };
        let setting = self
            .tenancy_map
            .tenancy
            .setting
            .clone()
            .unwrap_or_else(|| "request.jwt.claims".to_owned());
        let mut claims = json!({ "sub": user, "role": role, "aud": role, "is_anonymous": true });
        if let (Some(claims), Some(more)) = (claims.as_object_mut(), more.as_object()) {
            claims.extend(more.clone());
        }
        self.request(title, role, BTreeMap::from([(setting, claims.to_string())]))
    }

    /// Tenants whose keys contain B's: to a comparison of parts of text they are B.
    pub(super) fn alikes(&self, role: &str) -> Vec<Identity> {
        let key = self.tenancy_map.key(Side::B, 0).unwrap_or_default();
        if self.tenancy_map.tenancy.is_by_user()
            || self.tenancy_map.tenancy.is_by_membership()
            || key.len() == 36
        {
            return Vec::new();
        }
        let keys = if key.parse::<i64>().is_ok() {
            [format!("1{key}"), format!("{key}1")]
        } else {
            [format!("my{key}"), format!("{key}-labs")]
        };
        keys.iter()
            .filter(|alike| !self.tenancy_map.tenancy.tenants.contains(alike))
            .map(|alike| {
                self.of(
                    &format!("a member of tenant {alike}"),
                    role,
                    (Side::A, &self.tenancy_map.user(Side::A, 0)),
                    &json!({ KEY: alike }),
                )
            })
            .collect()
    }

    /// MembershipTable of A who write B into what they may write themselves.
    pub(super) fn forgers(&self, role: &str) -> Vec<Identity> {
        let key = self.tenancy_map.key(Side::B, 0).unwrap_or_default();
        let victim = self.tenancy_map.user(Side::B, 0);
        let user = self.tenancy_map.user(Side::A, 0);
        let mut forged = serde_json::Map::new();
        let mut ranked = serde_json::Map::new();
        for name in self
            .heard
            .keys
            .iter()
            .chain(self.tenancy_map.tenancy.claim.last())
            .chain([&self.tenancy_map.tenancy.column])
        {
            if matches!(name.as_str(), "app_metadata" | "user_metadata" | "role") {
                continue;
            }
            let value = if expression_text::suggests_user(name) {
                victim.clone()
            } else {
                key.clone()
            };
            forged.insert(name.clone(), value.into());
        }
        for (name, value) in self.all_demands() {
            ranked.insert(name, value.into());
        }
        let mut all = vec![self.of(
            "user_metadata of b, everything else of a",
            role,
            (Side::A, &user),
            &json!({ "user_metadata": forged }),
        )];
        if self.heard.keys.contains("user_metadata") {
            all.push(self.signed_in(
                "user_metadata of b, of no tenant otherwise",
                role,
                &json!({ "user_metadata": forged }),
            ));
        }
        if !ranked.is_empty() {
            all.push(self.of(
                "rank forged in user_metadata, everything else of a",
                role,
                (Side::A, &user),
                &json!({ "user_metadata": ranked }),
            ));
        }
        for literal in &self.heard.values {
            if literal.contains('@') {
                let mail = format!("probe@{}", literal.rsplit('@').next().unwrap_or(""));
                all.push(self.of(
                    &format!("a member of a whose address is {mail}"),
                    role,
                    (Side::A, &user),
                    &json!({ "email": mail }),
                ));
            } else if literal.len() == 36
                && literal.matches('-').count() == 4
                && !self.tenancy_map.tenancy.tenants.contains(literal)
            {
                all.push(self.of(
                    &format!("the user {literal} that a policy names"),
                    role,
                    (Side::A, literal),
                    &json!({}),
                ));
            }
        }
        all.truncate(12);
        all
    }

    /// Like [`Identities::demands`], and claims that are asked to be true, operators included: forged, they must do nothing.
    fn all_demands(&self) -> Vec<(String, String)> {
        let mut found = self.demands();
        for key in &self.heard.keys {
            for text in self.texts.iter().filter(|text| {
                text.contains("user_metadata") || text.contains("raw_user_meta_data")
            }) {
                if text.contains(&format!("'{key}'"))
                    && !matches!(key.as_str(), "user_metadata" | "sub")
                    && !found.iter().any(|(name, _)| name == key)
                {
                    let literal = expression_text::read(text).values.into_iter().next();
                    found.push((key.clone(), literal.unwrap_or_else(|| "true".to_owned())));
                }
            }
        }
        found
    }

    /// A member of A whose headers or cookies speak of B.
    pub(super) fn headers(&self, role: &str) -> Vec<Identity> {
        let key = self.tenancy_map.key(Side::B, 0).unwrap_or_default();
        let own = self.member(role, Side::A);
        let carried: Vec<&String> = self
            .heard
            .settings
            .iter()
            .filter(|name| {
                name.starts_with("request.header")
                    || name.starts_with("request.cookie")
                    || name.starts_with("request.path")
                    || name.starts_with("request.method")
            })
            .filter(|name| !own.settings.contains_key(*name))
            .collect();
        let mut all = Vec::new();
        for name in carried {
            let mut fields = serde_json::Map::new();
            for field in &self.heard.keys {
                fields.insert(field.clone(), key.clone().into());
            }
            let plural = name.ends_with("headers") || name.ends_with("cookies");
            let mut forged = own.clone();
            forged.title = format!("{name} of b, everything else of a");
            forged.settings.insert(
                name.clone(),
                if plural {
                    Value::Object(fields).to_string()
                } else {
                    key.clone()
                },
            );
            all.push(forged);
        }
        all
    }
}
