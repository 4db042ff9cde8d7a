//! The identities that probe: for each role the members of tenant A, strangers, requests without a tenant, and forged requests.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::expression_text::{self, MentionedNames};
use crate::probed_schema::ProbedSchema;
use crate::runner::Identity;
use crate::seed::plan::MemberKind;
use crate::seed::tenancy_map::{Side, TenancyMap};

/// Everything policies, views and functions read of a request.
pub(super) fn listen(facts: &ProbedSchema) -> (MentionedNames, Vec<String>) {
    let mut texts: Vec<String> = facts
        .policies
        .iter()
        .map(crate::probed_schema::CatalogPolicy::text)
        .collect();
    texts.extend(
        facts
            .relations
            .values()
            .filter_map(|relation| relation.definition.clone()),
    );
    texts.extend(
        facts
            .functions
            .values()
            .map(|function| function.body().to_owned()),
    );
    let mut all = MentionedNames::default();
    for text in &texts {
        let own = expression_text::read(text);
        all.settings.extend(own.settings);
        all.keys.extend(own.keys);
        all.values.extend(own.values);
    }
    (all, texts)
}

/// Makes requests for one role.
pub(super) struct Identities<'a> {
    pub(super) tenancy_map: &'a TenancyMap<'a>,
    pub(super) heard: MentionedNames,
    pub(super) texts: Vec<String>,
    /// How the tenant is written into the claims; found by trying.
    pub(super) manner: usize,
}

/// Under this name a request is given the key of another tenant than its side's.
pub(super) const KEY: &str = "af-db tenant";

/// Ways to write a tenant into claims, tried in this order.
const MANNERS: usize = 8;

impl<'a> Identities<'a> {
    pub(super) fn new(tenancy_map: &'a TenancyMap<'a>) -> Self {
        let (heard, texts) = listen(tenancy_map.facts);
        Identities {
            tenancy_map,
            heard,
            texts,
            manner: 0,
        }
    }

    /// Returns how many ways there are to write a tenant into a request.
    pub(super) fn ways(&self) -> usize {
        if self.tenancy_map.tenancy.speaks_claims() {
            return MANNERS;
        }
        let Some(setting) = &self.tenancy_map.tenancy.setting else {
            return 2;
        };
        // A list of tenants is worth a try where what is set is taken apart.
        let taken_apart = self.texts.iter().any(|text| {
            text.contains(setting.as_str()) && (text.contains("[]") || text.contains("json"))
        });
        if taken_apart { 6 } else { 2 }
    }

    /// Writes a tenant into a setting of its own: bare, as an array, as a JSON list.
    fn set(&self, key: &str) -> String {
        match self.manner / 2 {
            0 => key.to_owned(),
            1 => format!("{{{key}}}"),
            _ => json!([key]).to_string(),
        }
    }

    /// Returns the roles that requests may have: those declared, and `anon` where requests carry claims.
    pub(super) fn roles(&self) -> Vec<String> {
        let facts = self.tenancy_map.facts;
        let mut roles: Vec<String> = self
            .tenancy_map
            .tenancy
            .roles
            .iter()
            .filter(|role| facts.roles.contains_key(*role))
            .cloned()
            .collect();
        if self.tenancy_map.tenancy.speaks_claims()
            && facts.roles.contains_key("anon")
            && !roles.iter().any(|role| role == "anon")
        {
            roles.push("anon".to_owned());
        }
        roles
    }

    /// Returns the role that would have connected.
    pub(super) fn login(&self, role: &str) -> String {
        let facts = self.tenancy_map.facts;
        if facts.roles.get(role).is_some_and(|found| found.login) {
            return role.to_owned();
        }
        facts
            .roles
            .values()
            .find(|other| {
                other.login && !other.superuser && other.becomes.iter().any(|name| name == role)
            })
            .map_or_else(|| role.to_owned(), |other| other.name.clone())
    }

    pub(super) fn request(
        &self,
        title: &str,
        role: &str,
        settings: BTreeMap<String, String>,
    ) -> Identity {
        let session = self.login(role);
        let mut all = BTreeMap::new();
        for name in [session.as_str(), role] {
            let own = self
                .tenancy_map
                .facts
                .roles
                .get(name)
                .into_iter()
                .flat_map(|role| &role.settings);
            all.extend(
                own.filter_map(|setting| setting.split_once('='))
                    .map(|(name, value)| (name.to_owned(), value.to_owned())),
            );
        }
        // What a role sets for itself would bind the helpers as well.
        all.retain(|name, _| {
            !matches!(
                name.as_str(),
                "statement_timeout"
                    | "lock_timeout"
                    | "idle_in_transaction_session_timeout"
                    | "session_preload_libraries"
            )
        });
        all.extend(settings);
        Identity {
            title: title.to_owned(),
            session,
            role: role.to_owned(),
            settings: all,
        }
    }

    /// Returns the usual request of a tenant's member.
    pub(super) fn member(&self, role: &str, side: Side) -> Identity {
        let title = if side == Side::A { "a" } else { "b" };
        self.of(
            title,
            role,
            (side, &self.tenancy_map.user(side, 0)),
            &json!({}),
        )
    }

    /// Returns the request of a particular user of a side.
    pub(super) fn of(
        &self,
        title: &str,
        role: &str,
        (side, user): (Side, &str),
        more: &Value,
    ) -> Identity {
        let mut settings = BTreeMap::new();
        let key = match more.get(KEY).and_then(Value::as_str) {
            Some(key) => key.to_owned(),
            None => self.tenancy_map.key(side, 0).unwrap_or_default(),
        };
        if self.tenancy_map.tenancy.speaks_claims() {
            self.speak(&mut settings, role, (&key, user), more);
        } else {
            if let Some(name) = &self.tenancy_map.tenancy.setting {
                let value = if self.tenancy_map.tenancy.is_by_membership() {
                    user
                } else {
                    &key
                };
                settings.insert(name.clone(), self.set(value));
            }
            self.speak_also(&mut settings, user);
        }
        for (name, value) in &self.tenancy_map.agreed.settings {
            settings
                .entry(name.clone())
                .or_insert_with(|| value.clone());
        }
        self.request(title, role, settings)
    }

    /// Other settings that carry the user or its rank.
    fn speak_also(&self, settings: &mut BTreeMap<String, String>, user: &str) {
        for name in self.heard.settings.iter().filter(|name| name.contains('.')) {
            let last = name.rsplit('.').next().unwrap_or("");
            if !settings.contains_key(name) && expression_text::suggests_user(last) {
                settings.insert(name.clone(), user.to_owned());
            } else if !settings.contains_key(name)
                && self.manner % 2 == 1
                && expression_text::suggests_rank(last)
            {
                let rank = ["member", "user", "admin"]
                    .into_iter()
                    .find(|rank| self.heard.values.contains(*rank));
                settings.insert(name.clone(), rank.unwrap_or("member").to_owned());
            }
        }
    }

    fn speak(
        &self,
        settings: &mut BTreeMap<String, String>,
        role: &str,
        (key, user): (&str, &str),
        more: &Value,
    ) {
        let mut claims = json!({ "sub": user, "role": role, "aud": role, "email": format!("{user}@example.com") });
        let tenancy = self.tenancy_map.tenancy;
        if !tenancy.claim.is_empty() && tenancy.claim != ["sub"] {
            write(&mut claims, &tenancy.claim, self.written(key));
        }
        if self.manner >= 4 {
            for (name, value) in self.demands() {
                for place in [
                    vec![name.clone()],
                    vec!["app_metadata".to_owned(), name.clone()],
                ] {
                    if claims.pointer(&format!("/{}", place.join("/"))).is_none() {
                        write(&mut claims, &place, Value::from(value.clone()));
                    }
                }
            }
        }
        merge(&mut claims, more);
        let setting = tenancy
            .setting
            .clone()
            .unwrap_or_else(|| "request.jwt.claims".to_owned());
        for name in self
            .heard
            .settings
            .iter()
            .filter(|name| name.starts_with("request.jwt.claim."))
        {
            let value = claims.get(name.trim_start_matches("request.jwt.claim."));
            settings.insert(name.clone(), value.map_or_else(String::new, bare));
        }
        settings.insert(setting, claims.to_string());
    }

    fn written(&self, key: &str) -> Value {
        let number = key
            .parse::<i64>()
            .map_or_else(|_| Value::from(key), Value::from);
        let plural = self
            .tenancy_map
            .tenancy
            .claim
            .last()
            .is_some_and(|name| name.ends_with('s'));
        match (self.manner % 4, plural) {
            (0, false) | (1, true) => Value::from(key),
            (0, true) | (1, false) => json!([key]),
            (2, _) => json!([number]),
            _ => json!({ key: "member" }),
        }
    }

    /// Returns claims that policies compare with a literal, such as the level of sign-in.
    pub(super) fn demands(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for key in &self.heard.keys {
            if expression_text::suggests_staff(key)
                || self.tenancy_map.tenancy.claim.contains(key)
                || matches!(
                    key.as_str(),
                    "sub" | "role" | "app_metadata" | "user_metadata"
                )
            {
                continue;
            }
            for text in &self.texts {
                for (at, _) in text.match_indices(&format!("'{key}'")) {
                    let rest: String = text[at + key.len() + 2..].chars().take(40).collect();
                    let Some((_, literal)) = rest.split_once("= '") else {
                        continue;
                    };
                    let literal = literal.split('\'').next().unwrap_or("").to_owned();
                    if !expression_text::suggests_staff(&literal) {
                        found.push((key.clone(), literal));
                    }
                }
            }
        }
        found
    }

    /// Returns the requests that read everything: for each role its members, ranks, strangers, empty and forged requests.
    pub(super) fn readers(&self, role: &str, kinds: &[MemberKind]) -> Vec<Identity> {
        let mut all = vec![self.empty(role)];
        let anonymous = role == "anon" && self.tenancy_map.tenancy.speaks_claims();
        if anonymous {
            let mut settings = BTreeMap::new();
            settings.insert(
                self.tenancy_map.tenancy.setting.clone().unwrap_or_default(),
                json!({ "role": "anon" }).to_string(),
            );
            all.push(self.request("a visitor without a token", role, settings));
            return all;
        }
        all.insert(0, self.member(role, Side::A));
        if self.tenancy_map.tenancy.speaks_claims() || self.tenancy_map.tenancy.is_by_membership() {
            for kind in kinds {
                all.push(self.of(&kind.title, role, (Side::A, &kind.user), &json!({})));
            }
        }
        if self.tenancy_map.tenancy.speaks_claims() {
            all.extend(self.forgers(role));
            all.push(self.stranger(role));
        }
        all.extend(self.headers(role));
        all.extend(self.alikes(role));
        let mut seen: BTreeSet<String> = BTreeSet::new();
        all.retain(|identity| seen.insert(format!("{:?}", identity.settings)));
        all
    }

    /// The setting has fallen back to the empty string, as in a pooled session.
    pub(super) fn empty(&self, role: &str) -> Identity {
        let mut settings: BTreeMap<String, String> = self
            .tenancy_map
            .tenancy
            .setting
            .iter()
            .map(|name| (name.clone(), String::new()))
            .collect();
        for name in self
            .heard
            .settings
            .iter()
            .filter(|name| name.starts_with("request.jwt"))
        {
            settings.insert(name.clone(), String::new());
        }
        self.request("nobody: the setting is empty", role, settings)
    }

    /// Nothing was ever set in this session.
    pub(super) fn unset(&self, role: &str) -> Identity {
        self.request("nobody: nothing was ever set", role, BTreeMap::new())
    }
}

fn bare(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn write(into: &mut Value, path: &[String], value: Value) {
    match path {
        [] => {}
        [last] => into[last.as_str()] = value,
        [first, rest @ ..] => {
            if !into[first.as_str()].is_object() {
                into[first.as_str()] = json!({});
            }
            write(&mut into[first.as_str()], rest, value);
        }
    }
}

fn merge(into: &mut Value, more: &Value) {
    for (key, value) in more
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, _)| *key != KEY)
    {
        into[key.as_str()] = value.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written() {
        let mut claims = json!({ "sub": "x" });
        write(
            &mut claims,
            &["app_metadata".to_owned(), "org".to_owned()],
            json!("1"),
        );
        assert_eq!(
            claims,
            json!({ "sub": "x", "app_metadata": { "org": "1" } })
        );
    }
}
