//! Parses names of migration files by refinery's grammar, and explains names that do not match.

/// The parts of a migration file name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ParsedName {
    pub(super) prefix: char,
    pub(super) version: i64,
    pub(super) name: String,
    pub(super) is_down: bool,
}

/// Whether a file looks like SQL, whatever its name.
pub(crate) fn is_sql(name: &str) -> bool {
    name.to_lowercase().ends_with(".sql")
}

/// Reads `V12__name.sql` and `V12__name.down.sql`; an error is what is wrong and how it is written.
pub(super) fn parse(name: &str) -> Result<ParsedName, (String, String)> {
    let wrong =
        |problem: String, better: String| Err((problem, format!("Rename the file: {better}")));
    let Some(stem) = name.strip_suffix(".sql") else {
        return wrong(
            "The file extension is not in lower case".to_owned(),
            format!("{}.sql", &name[..name.len() - 4]),
        );
    };
    let (stem, is_down) = stem
        .strip_suffix(".down")
        .map_or((stem, false), |stem| (stem, true));
    let ending = if is_down { ".down.sql" } else { ".sql" };
    let unknown = || {
        let message =
            "The file name does not match V<number>__<name>.sql, so refinery would skip it";
        Err((
            message.to_owned(),
            "Rename the file, for example to V12__add_tenant.sql, or move it out of the folder"
                .to_owned(),
        ))
    };
    let prefix = match stem.chars().next() {
        Some(prefix @ ('V' | 'U')) => prefix,
        Some(small @ ('v' | 'u')) if stem[1..].starts_with(|next: char| next.is_ascii_digit()) => {
            let better = format!("{}{}{ending}", small.to_ascii_uppercase(), &stem[1..]);
            return wrong(
                "The prefix is not in upper case, so refinery would skip the file".to_owned(),
                better,
            );
        }
        _ => return unknown(),
    };
    let rest = &stem[1..];
    let digits = rest
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(rest.len());
    let (number, rest) = rest.split_at(digits);
    if number.is_empty() {
        return unknown();
    }
    let Ok(version) = number.parse::<i64>() else {
        return wrong(
            "The version number is too large".to_owned(),
            "use at most 18 digits".to_owned(),
        );
    };
    let Some(name) = rest.strip_prefix("__").filter(|name| !name.is_empty()) else {
        let tail = clean(rest.trim_start_matches(['_', '-', '.', ' ']));
        let tail = if tail.is_empty() {
            "name".to_owned()
        } else {
            tail
        };
        let message = "The version number is not followed by two underscores and a name, so refinery would skip the file";
        return wrong(
            message.to_owned(),
            format!("{prefix}{number}__{tail}{ending}"),
        );
    };
    if !name.chars().all(is_word) {
        let message = "The name contains characters other than letters, digits and underscores, so refinery would skip the file";
        return wrong(
            message.to_owned(),
            format!("{prefix}{number}__{}{ending}", clean(name)),
        );
    }
    Ok(ParsedName {
        prefix,
        version,
        name: name.to_owned(),
        is_down,
    })
}

/// Returns what refinery's `\w` takes.
fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Turns a name into one refinery takes.
pub(crate) fn clean(name: &str) -> String {
    let mut cleaned = String::with_capacity(name.len());
    for character in name.chars() {
        let character = if is_word(character) { character } else { '_' };
        if character != '_' || !cleaned.ends_with('_') {
            cleaned.push(character);
        }
    }
    cleaned.trim_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_names() {
        let check = |name: &str, prefix: char, version: i64, rest: &str, is_down: bool| {
            let expected = ParsedName {
                prefix,
                version,
                name: rest.to_owned(),
                is_down,
            };
            assert_eq!(parse(name), Ok(expected));
        };
        check("V1__init.sql", 'V', 1, "init", false);
        check("V1__init.down.sql", 'V', 1, "init", true);
        check(
            "U20260401120000__größe.sql",
            'U',
            20_260_401_120_000,
            "größe",
            false,
        );
    }

    #[test]
    fn bad_names_suggest_a_good_one() {
        let names = [
            "V1__x.SQL",
            "v1__x.sql",
            "V1_x.sql",
            "V1__has-hyphen.sql",
            "V1.2__x.sql",
            "init.sql",
            "V__x.sql",
            "V99999999999999999999__x.sql",
            "V1__.sql",
        ];
        let said = names.map(|name| {
            let (problem, help) = parse(name).unwrap_err();
            format!("{name}: {problem}; {help}")
        });
        insta::assert_snapshot!(said.join("\n"), @"
        V1__x.SQL: The file extension is not in lower case; Rename the file: V1__x.sql
        v1__x.sql: The prefix is not in upper case, so refinery would skip the file; Rename the file: V1__x.sql
        V1_x.sql: The version number is not followed by two underscores and a name, so refinery would skip the file; Rename the file: V1__x.sql
        V1__has-hyphen.sql: The name contains characters other than letters, digits and underscores, so refinery would skip the file; Rename the file: V1__has_hyphen.sql
        V1.2__x.sql: The version number is not followed by two underscores and a name, so refinery would skip the file; Rename the file: V1__2_x.sql
        init.sql: The file name does not match V<number>__<name>.sql, so refinery would skip it; Rename the file, for example to V12__add_tenant.sql, or move it out of the folder
        V__x.sql: The file name does not match V<number>__<name>.sql, so refinery would skip it; Rename the file, for example to V12__add_tenant.sql, or move it out of the folder
        V99999999999999999999__x.sql: The version number is too large; Rename the file: use at most 18 digits
        V1__.sql: The version number is not followed by two underscores and a name, so refinery would skip the file; Rename the file: V1__name.sql
        ");
    }
}
