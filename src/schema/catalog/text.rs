//! The text of a catalog, shared by everything that has the same one.

use std::sync::Arc;

pub type Text = Arc<str>;
