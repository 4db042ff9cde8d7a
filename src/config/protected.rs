//! The protected environments of `af-db.yaml`, as far as their addresses are known here.

use crate::config::{Config, Environment, File, ProcessEnvironment};
use crate::pg::target::{Likeness, Target, UNKNOWN};

#[derive(Clone, Debug)]
pub struct ProtectedEnvironment {
    pub name: String,
    pub rules: Environment,
    /// Its `url` and `direct-url`, where they are given.
    pub addresses: Vec<DeclaredAddress>,
}

/// An address of an environment.
#[derive(Clone, Debug)]
pub struct DeclaredAddress {
    /// The address, with [`UNKNOWN`] in place of what is not known; none where no address can be read from it.
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
    /// Compares with where a target leads.
    pub fn likeness(&self, target: &Target) -> Likeness {
        match &self.target {
            Some(own) => own.likeness(target),
            None => Likeness::Unclear,
        }
    }

    /// Returns the address where nothing of it is missing.
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
        // An address that is broken here may be whole where production is reached from.
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
