//! Guards of readability: no circles among files, no anonymous tuple parameters, headers and comments that say something, plain words.
//!
//! Each guard is a function of text, so that it is shown to refuse what it should.

use std::collections::{BTreeMap, BTreeSet};

use af_db::pg::program::Program;

use crate::tidy::{none, root, sources, without_tests};

/// The Rust files under a folder, by their path in the repository.
fn rust_files(folder: &str) -> BTreeMap<String, String> {
    let sources = sources(folder).into_iter();
    sources.map(|source| (source.path, source.text)).collect()
}

/// The crate that a file belongs to, and its module path there.
fn module_of(path: &str) -> (String, Vec<String>) {
    let path = path.strip_prefix("src/").unwrap_or(path);
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let mut parts: Vec<String> = path.split('/').map(str::to_owned).collect();
    let member = ["base", "schema", "rls", "backup"].contains(&parts[0].as_str());
    let package = if member {
        parts.remove(0)
    } else {
        "af-db".to_owned()
    };
    if parts
        .last()
        .is_some_and(|last| last == "mod" || last == "lib")
    {
        parts.pop();
    }
    (package, parts)
}

/// The paths that a text names from the root of its crate or relative to its parent, as segments.
fn named_paths(text: &str, module: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    for (start, prefix) in [("crate::", Vec::new()), ("super::", parent(module))] {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            if before
                .is_some_and(|before| before.is_alphanumeric() || before == '_' || before == ':')
            {
                continue;
            }
            expand(&code[at + start.len()..], &prefix, &mut found);
        }
    }
    found
}

/// The module that `super` means in a file.
fn parent(module: &[String]) -> Vec<String> {
    module[..module.len().saturating_sub(1)].to_vec()
}

/// Expands `a::{b, c::d}` into the paths it names.
fn expand(text: &str, prefix: &[String], found: &mut Vec<Vec<String>>) {
    let mut path = prefix.to_vec();
    let mut rest = text;
    loop {
        if let Some(inner) = rest.strip_prefix('{') {
            let mut depth = 1;
            let mut start = 0;
            for (at, character) in inner.char_indices() {
                match character {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                if (character == ',' && depth == 1) || depth == 0 {
                    let item = inner[start..at].trim();
                    if !item.is_empty() {
                        expand(item, &path, found);
                    }
                    start = at + 1;
                }
                if depth == 0 {
                    break;
                }
            }
            return;
        }
        let end = rest
            .find(|character: char| !character.is_alphanumeric() && character != '_')
            .unwrap_or(rest.len());
        let word = &rest[..end];
        if word == "super" {
            path.pop();
        } else if !word.is_empty() {
            path.push(word.to_owned());
        }
        match rest[end..].strip_prefix("::") {
            Some(more) if !word.is_empty() => rest = more,
            _ => break,
        }
    }
    found.push(path);
}

/// The groups of files that import each other; a module and its own children are one thing.
fn circles(files: &BTreeMap<String, String>) -> Vec<Vec<String>> {
    let modules: BTreeMap<(String, Vec<String>), &String> =
        files.keys().map(|path| (module_of(path), path)).collect();
    let mut edges: BTreeMap<&String, BTreeSet<&String>> = BTreeMap::new();
    for (path, text) in files {
        let (package, module) = module_of(path);
        let used = edges.entry(path).or_default();
        for named in named_paths(without_tests(text), &module) {
            let target = (0..=named.len())
                .rev()
                .find_map(|length| modules.get(&(package.clone(), named[..length].to_vec())));
            let Some(target) = target else { continue };
            let theirs = module_of(target).1;
            let related = theirs.starts_with(&module) || module.starts_with(&theirs);
            if !related {
                used.insert(target);
            }
        }
    }
    let reach = |from: &String| {
        let mut seen: BTreeSet<&String> = BTreeSet::new();
        let mut open: Vec<&String> = edges.get(from).into_iter().flatten().copied().collect();
        while let Some(next) = open.pop() {
            if seen.insert(next) {
                open.extend(edges.get(next).into_iter().flatten());
            }
        }
        seen
    };
    let reached: BTreeMap<&String, BTreeSet<&String>> =
        files.keys().map(|path| (path, reach(path))).collect();
    let mut groups = BTreeSet::new();
    for (path, seen) in &reached {
        let group: Vec<String> = seen
            .iter()
            .filter(|other| reached[**other].contains(*path))
            .map(|other| (*other).clone())
            .collect();
        if group.len() > 1 {
            groups.insert(group);
        }
    }
    groups.into_iter().collect()
}

/// The functions of a text that take an anonymous tuple.
fn tuple_parameters(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("fn ") {
        let rest = &text[at + 3..];
        let Some(open) = rest
            .find(['(', ';', '{'])
            .filter(|at| rest[*at..].starts_with('('))
        else {
            continue;
        };
        let name: String = rest
            .chars()
            .take_while(|one| one.is_alphanumeric() || *one == '_')
            .collect();
        if name.is_empty() {
            continue;
        }
        let mut depth = 0;
        let mut end = rest.len();
        for (place, character) in rest[open..].char_indices() {
            match character {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                end = open + place;
                break;
            }
        }
        let parameters = &rest[open + 1..end];
        // A pattern in parentheses at the beginning of a parameter.
        let tuple = parameters.trim_start().starts_with('(')
            || parameters.match_indices(',').any(|(comma, _)| {
                let before = &parameters[..comma];
                let is_outermost = before.matches('(').count() == before.matches(')').count();
                is_outermost && parameters[comma + 1..].trim_start().starts_with('(')
            });
        if tuple {
            found.push(name);
        }
    }
    found
}

/// The circles that are left in `rls`; the number only shrinks.
const KNOWN_CIRCLES: usize = 7;

/// The functions with anonymous tuple parameters that are left; the number only shrinks.
const KNOWN_TUPLES: usize = 54;

/// A header that begins with the habit of old: it says who owns something, not what the file is.
fn header_owns(text: &str) -> bool {
    text.starts_with("//! Owns")
}

/// Words that nobody outside this project uses, or that mean something else elsewhere.
const BANNED: &[&str] = &[
    "way down",
    "ways down",
    "way back",
    "lead back",
    "leads back",
    "mend",
    "mends",
    "mended",
    "judge",
    "judges",
    "judged",
    "judgement",
    "whoever",
    "nothing is said",
    "taken for",
    "scratch database",
    "scratch server",
    "house rules",
    "stands in the way",
    "set aside",
];

/// The banned words in a text, as whole words.
fn banned(text: &str) -> Vec<&'static str> {
    let lower = text.to_lowercase();
    let is_word = |character: Option<char>| character.is_some_and(char::is_alphanumeric);
    let named = |word: &&&str| {
        lower.match_indices(**word).any(|(at, _)| {
            !is_word(lower[..at].chars().next_back())
                && !is_word(lower[at + word.len()..].chars().next())
        })
    };
    BANNED.iter().filter(named).copied().collect()
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let circles = circles(&rust_files("src"));
    let (known, new): (Vec<_>, Vec<_>) = circles
        .iter()
        .map(|group| group.join(" "))
        .partition(|group| group.split(' ').all(|path| path.starts_with("src/rls/")));
    none(new);
    assert_eq!(known.len(), KNOWN_CIRCLES, "\n{}\n", known.join("\n"));
}

#[test]
fn no_function_takes_an_anonymous_tuple() {
    let files = rust_files("src");
    let wrong = files.iter().flat_map(|(path, text)| {
        let names = tuple_parameters(without_tests(text));
        names.into_iter().map(move |name| format!("{path}: {name}"))
    });
    let wrong: Vec<String> = wrong.collect();
    assert_eq!(wrong.len(), KNOWN_TUPLES, "\n{}\n", wrong.join("\n"));
}

#[test]
fn headers_say_what_a_file_is() {
    let files = rust_files("src");
    let wrong = files.iter().filter(|(_, text)| header_owns(text));
    none(wrong.map(|(path, _)| path.clone()).collect());
}

#[tokio::test]
async fn what_people_read_is_in_plain_words() {
    let mut texts = vec![("README.md".to_owned(), root().join("README.md"))];
    let mut folders = vec![root().join("examples")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                texts.push((path.display().to_string(), path));
            }
        }
    }
    let mut wrong = Vec::new();
    for (name, path) in &texts {
        let text = std::fs::read_to_string(path).expect("a text");
        wrong.extend(banned(&text).iter().map(|word| format!("{name}: {word}")));
    }
    for (name, text) in help().await {
        wrong.extend(banned(&text).iter().map(|word| format!("{name}: {word}")));
    }
    none(wrong);
}

async fn help_page(arguments: &[&str]) -> String {
    let program = Program::new(env!("CARGO_BIN_EXE_af-db"))
        .args(arguments)
        .args(["--help"]);
    let ran = program.run().await.expect("the program");
    assert!(ran.status.success(), "{arguments:?}");
    String::from_utf8(ran.stdout).expect("text")
}

/// The long help of every command.
async fn help() -> Vec<(String, String)> {
    let first = help_page(&[]).await;
    let commands: Vec<String> = first
        .lines()
        .skip_while(|line| !line.starts_with("Usage:"))
        .take_while(|line| !line.starts_with("Global options:"))
        .filter_map(|line| line.strip_prefix("  "))
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect();
    assert!(commands.len() > 15, "{first}");
    let mut pages = Vec::new();
    for command in commands {
        pages.push((format!("{command} --help"), help_page(&[&command]).await));
    }
    pages.push(("--help".to_owned(), first));
    pages
}

/// The guards refuse what they should.
mod guards {
    use super::*;

    #[test]
    fn a_circle_is_found() {
        let files = |texts: &[(&str, &str)]| -> BTreeMap<String, String> {
            let owned = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
            texts.iter().map(owned).collect()
        };
        let found = circles(&files(&[
            ("src/base/pg/a.rs", "use crate::pg::b::{self, B};\n"),
            ("src/base/pg/b.rs", "use super::a::A;\n"),
            ("src/base/pg/mod.rs", "mod a; mod b; use crate::pg::a::A;\n"),
        ]));
        assert_eq!(found, [["src/base/pg/a.rs", "src/base/pg/b.rs"]]);
        let found = circles(&files(&[
            ("src/base/pg/a.rs", "use crate::{sql, pg::{c::C, b}};\n"),
            ("src/base/pg/b.rs", "fn b() { crate::pg::c::c() }\n"),
            ("src/base/pg/c.rs", "// use crate::pg::a;\n"),
        ]));
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn a_tuple_parameter_is_found() {
        let text = "fn one(a: u8, (b, c): (u8, u8)) {}\nfn two(a: (u8, u8), f: impl Fn(u8, u8)) {}\nfn three((a, b): (u8, u8)) {}\n";
        assert_eq!(tuple_parameters(text), ["one", "three"]);
    }

    #[test]
    fn a_banned_word_is_found() {
        assert_eq!(
            banned("The Way down, mended by amendment"),
            ["way down", "mended"]
        );
        assert!(header_owns("//! Owns everything.\n"));
        assert!(!header_owns("//! The lock.\n"));
    }
}
