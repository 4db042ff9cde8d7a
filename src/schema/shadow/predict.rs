//! Predicts the schema of a database from the same change on a clone of its schema.

use crate::catalog::Catalog;

/// Returns the catalog of `live` as it will be; `before` and `after` are those of its likeness.
///
/// What the likeness shows unchanged is taken from the database itself, so that what could not be built there does no
/// harm.
pub fn predict(live: &Catalog, before: &Catalog, after: &Catalog) -> Catalog {
    let mut predicted = live.clone();
    for key in before.objects.keys() {
        if after.get(key).is_none() {
            predicted.objects.remove(key);
        }
    }
    for (key, object) in &after.objects {
        if before.get(key) != Some(object) {
            predicted.objects.insert(key.clone(), object.clone());
        }
    }
    predicted
}
