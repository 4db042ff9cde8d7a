//! Splits files that contain an up and a down migration, keeping line numbers.

use crate::migrate::files::MigrationFile;

/// Which migration a line begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Up,
    Down,
}

/// The up and the down migration of a file, if it has them.
pub(crate) struct Sections {
    pub(crate) up: Option<MigrationFile>,
    pub(crate) down: Option<MigrationFile>,
}

/// Splits a file at the lines that begin a migration.
///
/// Comments before the first of them belong to the up migration; lines of the other migration are left
/// empty, so that errors name the line of the file.
pub(crate) fn split(
    script: &MigrationFile,
    begins: impl Fn(&str) -> Option<Direction>,
) -> Sections {
    let mut up = String::with_capacity(script.text.len());
    let mut down = String::new();
    let (mut seen_up, mut seen_down) = (false, false);
    let mut now = None;
    for line in script.text.split_inclusive('\n') {
        if let Some(way) = begins(line.trim_end()) {
            now = Some(way);
            seen_up |= way == Direction::Up;
            seen_down |= way == Direction::Down;
        }
        let empty = if line.ends_with('\n') { "\n" } else { "" };
        let in_down = now == Some(Direction::Down);
        up.push_str(if in_down { empty } else { line });
        down.push_str(if in_down { line } else { empty });
    }
    let part = |seen: bool, text: &str| {
        seen.then(|| MigrationFile {
            shown: script.shown.clone(),
            path: script.path.clone(),
            text: format!("{}\n", text.trim_end()).into(),
        })
    };
    Sections {
        up: part(seen_up, &up),
        down: part(seen_down, &down),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_keeps_its_lines_where_they_are() {
        let script = MigrationFile {
            shown: "x".to_owned(),
            path: std::path::PathBuf::new(),
            text: "-- head\n-- up\nA;\n-- down\nB;\n".into(),
        };
        let begins = |line: &str| match line {
            "-- up" => Some(Direction::Up),
            "-- down" => Some(Direction::Down),
            _ => None,
        };
        let sections = split(&script, begins);
        assert_eq!(&*sections.up.unwrap().text, "-- head\n-- up\nA;\n");
        assert_eq!(&*sections.down.unwrap().text, "\n\n\n-- down\nB;\n");
    }
}
