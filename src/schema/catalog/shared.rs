//! [`Shared`]: what is said again and again, in one catalog or in several, kept once.

use std::cell::RefCell;
use std::collections::HashSet;

use crate::catalog::{Facts, Text, Value};

/// Texts longer than this are hardly ever the same twice.
const LONGEST: usize = 1000;

/// The texts and facts that catalogs read at the same time have in common.
#[derive(Debug, Default)]
pub struct Shared {
    texts: RefCell<HashSet<Text>>,
    facts: RefCell<HashSet<Facts>>,
}

impl Shared {
    /// Returns a text that everything which says the same shares.
    pub(super) fn text(&self, text: &str) -> Text {
        if text.len() > LONGEST {
            return text.into();
        }
        let mut texts = self.texts.borrow_mut();
        if let Some(known) = texts.get(text) {
            return known.clone();
        }
        let new: Text = text.into();
        texts.insert(new.clone());
        new
    }

    /// Returns facts that everything of which the same is said shares.
    pub(super) fn facts(&self, new: Facts) -> Facts {
        let mut facts = self.facts.borrow_mut();
        if let Some(known) = facts.get(&new) {
            return known.clone();
        }
        facts.insert(new.clone());
        new
    }

    /// As [`Shared::facts`], for facts that are not held yet.
    pub(super) fn new_facts(&self, new: Vec<(Text, Value)>) -> Facts {
        let known = self.facts.borrow().get(new.as_slice()).cloned();
        known.unwrap_or_else(|| self.facts(new.into()))
    }
}
