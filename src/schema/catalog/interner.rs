//! [`Interner`]: equal texts and facts of one or several catalogs, kept once.

use std::cell::RefCell;
use std::collections::HashSet;

use crate::catalog::{Facts, Text, Value};

/// Longer texts are hardly ever equal.
const LONGEST: usize = 1000;

/// Texts and facts shared by catalogs that are read at the same time.
#[derive(Debug, Default)]
pub struct Interner {
    texts: RefCell<HashSet<Text>>,
    facts: RefCell<HashSet<Facts>>,
}

impl Interner {
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

    pub(super) fn facts(&self, new: Facts) -> Facts {
        let mut facts = self.facts.borrow_mut();
        if let Some(known) = facts.get(&new) {
            return known.clone();
        }
        facts.insert(new.clone());
        new
    }

    /// Like [`Interner::facts`], without allocating facts that are already known.
    pub(super) fn new_facts(&self, new: Vec<(Text, Value)>) -> Facts {
        let known = self.facts.borrow().get(new.as_slice()).cloned();
        known.unwrap_or_else(|| self.facts(new.into()))
    }
}
