//! Sqlx's folder: `<number>_<name>.sql`, or a pair of `.up.sql` and `.down.sql`; it records a SHA-384.

use std::path::Path;

use anyhow::Result;
use sha2::{Digest as _, Sha384};

use crate::adopt::folder::{Draft, Gathering, number};

pub(super) fn gather(folder: &Path, into: &mut Gathering) -> Result<()> {
    let items = into.items(folder, &into.shown.clone())?;
    let mut downs = Vec::new();
    for item in items.into_iter().filter(|item| !item.is_folder) {
        let Some(stem) = item.name.strip_suffix(".sql") else {
            continue;
        };
        let parsed = number(stem)
            .and_then(|(_, version, rest)| Some((version, rest.strip_prefix('_')?.to_owned())));
        let Some((version, name)) = parsed else {
            into.odd_name(&item.shown, "<number>_<name>.sql");
            continue;
        };
        if let Some(name) = name.strip_suffix(".down") {
            downs.push((version, name.to_owned(), item));
            continue;
        }
        let name = name.strip_suffix(".up").unwrap_or(&name);
        if let Some(up) = into.script(&item.path, &item.shown) {
            let outside = up.text.starts_with("-- no-transaction");
            let proof = Sha384::digest(up.text.as_bytes());
            let mut draft = Draft::new(version.to_string(), version, name, up);
            draft.outside.0 = outside;
            draft.proof = Some(format!("{proof:x}"));
            into.push(draft);
        }
    }
    for (version, name, item) in downs {
        let Some(down) = into.perhaps(&item.path, &item.shown) else {
            continue;
        };
        let outside = down.text.starts_with("-- no-transaction");
        if !into.set_down_so(version, down, outside) {
            let message = format!("there is no migration {version} `{name}` to revert");
            into.wrong(
                &item.shown,
                message,
                "remove it, or restore the file up beside it",
            );
        }
    }
    Ok(())
}
