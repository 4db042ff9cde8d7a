//! The protected environments of `af-db.yaml`, with their connection URLs as far as known.

use crate::config::{Config, Environment, File, ProcessEnvironment};
use crate::pg::target::{Likeness, Target, UNKNOWN};

#[derive(Clone, Debug)]
pub struct ProtectedEnvironment {
    pub name: String,
    pub rules: Environment,
    /// Its `url` and `direct-url`, if given.
    pub addresses: Vec<DeclaredAddress>,
}

/// A connection URL of an environment.
#[derive(Clone, Debug)]
pub struct DeclaredAddress {
    /// With [`UNKNOWN`] in place of unknown parts; `None` if it cannot be parsed.
    pub target: Option<Target>,
    /// The variables in it that are not set.
    pub unset: Vec<String>,
}

impl Config {
    pub fn protected(&self) -> Vec<ProtectedEnvironment> {
        all(&self.file, &self.env)
    }
}

impl ProtectedEnvironment {
    pub fn has_address(&self, target: &Target) -> bool {
        let mut addresses = self.addresses.iter();
        addresses.any(|address| address.likeness(target) == Likeness::Same)
    }
}

impl DeclaredAddress {
    /// Compares with another target.
    pub fn likeness(&self, target: &Target) -> Likeness {
        match &self.target {
            Some(own) => own.likeness(target),
            None => Likeness::Unclear,
        }
    }

    /// Returns the target if no part of it is unknown.
    pub fn complete(&self) -> Option<&Target> {
        self.target.as_ref().filter(|_| self.unset.is_empty())
    }
}

pub(super) fn all(file: &File, env: &ProcessEnvironment) -> Vec<ProtectedEnvironment> {
    let protected = file
        .environments
        .iter()
        .filter(|(_, rules)| rules.protected);
    let read = |text: &String| {
        // A URL that is incomplete here may be complete where production is accessed.
        let (text, unset) = env.expand_with(text, UNKNOWN).unwrap_or_default();
        DeclaredAddress {
            target: env.target(&text).ok().filter(|_| !text.is_empty()),
            unset,
        }
    };
    protected
        .map(|(name, rules)| ProtectedEnvironment {
            name: name.clone(),
            rules: rules.clone(),
            addresses: [&rules.url, &rules.direct_url]
                .into_iter()
                .flatten()
                .map(read)
                .collect(),
        })
        .collect()
}
