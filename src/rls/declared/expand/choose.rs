//! Chooses the declaration that a table follows.

use crate::catalog::{Key, Object};
use crate::declared::expand::{Chosen, Expansion};
use crate::declared::{name_lookup, place, script};
use crate::finding::Location;

impl<'a> Expansion<'a> {
    /// Finds the declaration a table follows: by name, by pattern, then the templates for lists, patterns and tenants.
    pub(super) fn choose(&self, key: &Key, object: &Object, is_tenant: bool) -> Option<Chosen<'a>> {
        for exact in [true, false] {
            for file in &self.declared.files {
                let document = &file.document;
                let tables = document.tables.iter().map(|entry| (entry, false));
                let shared = document.shared.iter().map(|entry| (entry, true));
                for ((name, table), shared) in tables.chain(shared) {
                    let mut parts = name.value.split(',').map(str::trim);
                    if parts
                        .any(|part| part.contains('*') != exact && name_lookup::matches(key, part))
                    {
                        let like = table.like.as_ref();
                        return Some(Chosen {
                            file: &file.name,
                            place: place(&file.name, name),
                            table: Some(table),
                            template: like
                                .and_then(|like| self.templates.get(like.value.as_str()).copied()),
                            shared,
                        });
                    }
                }
            }
        }
        if object.has("partition") {
            return None;
        }
        for wanted in [false, true] {
            for (file, template) in self.templates.values() {
                for to in &template.to.0 {
                    let is_default = to.value == "tenant tables";
                    let fits = is_default && is_tenant
                        || !is_default && name_lookup::matches(key, &to.value);
                    if is_default == wanted && fits {
                        return Some(Chosen {
                            file,
                            place: place(file, to),
                            table: None,
                            template: Some((file, template)),
                            shared: false,
                        });
                    }
                }
            }
        }
        self.in_script(key)
    }

    fn in_script(&self, key: &Key) -> Option<Chosen<'a>> {
        let script = self
            .declared
            .scripts
            .iter()
            .find(|script| script::tables(script, self.catalog).contains(key))?;
        Some(Chosen {
            file: &script.name,
            place: Location::file(&script.name),
            table: None,
            template: None,
            shared: true,
        })
    }
}
