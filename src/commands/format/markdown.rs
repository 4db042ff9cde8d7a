//! Findings in Markdown, for job summaries and comments.

use crate::commands::format::{rest, summary, worst_first};
use crate::finding::Finding;
use crate::visible;

/// Writes a heading, a table of the findings, worst first, and their details, folded.
pub fn render(command: &str, findings: &[Finding]) -> String {
    let mut text = format!("### af-db {}\n\n", inline(command));
    if findings.is_empty() {
        return text + "No findings.\n";
    }
    text += &format!("{}\n\n", summary(findings));
    text += "| severity | code | object | finding | location |\n|---|---|---|---|---|\n";
    let sorted = worst_first(findings);
    for finding in &sorted {
        let place = finding.place.as_ref().map(ToString::to_string);
        text += &format!(
            "| {} | {} | {} | {} | {} |\n",
            finding.severity.word(),
            inline(&finding.code),
            inline(&finding.subject),
            inline(&finding.message),
            inline(&place.unwrap_or_default()),
        );
    }
    for finding in sorted {
        text += &folded(finding);
    }
    text
}

fn folded(finding: &Finding) -> String {
    let rest = rest(finding);
    if rest.is_empty() {
        return String::new();
    }
    format!(
        "\n<details><summary>{} {}</summary>\n\n{}\n</details>\n",
        inline(&finding.code),
        inline(&finding.subject),
        block("text", &rest)
    )
}

/// Writes text between fences that nothing in it can close.
pub(crate) fn block(language: &str, text: &str) -> String {
    let runs = text.split(|character| character != '`');
    let fence = "`".repeat(runs.map(str::len).max().unwrap_or(0).max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}\n", text.trim_end())
}

/// Escapes text for one line, a cell of a table or HTML.
///
/// Everything that could mean something is a numbered character: a backslash does not escape inside HTML, nor everywhere
/// in a cell.
fn inline(text: &str) -> String {
    let text = visible::document(text);
    let mut escaped = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\r' if characters.peek() == Some(&'\n') => {}
            '\r' | '\n' => escaped.push_str("<br>"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '~' | '&' | '#' | '!' | '@'
            | '$' => escaped.push_str(&format!("&#{};", u32::from(character))),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::format::samples;

    #[test]
    fn findings_become_a_table() {
        insta::assert_snapshot!(render("validate", &samples::plain()), @"
        ### af-db validate

        1 error, 1 warning, 1 note

        | severity | code | object | finding | location |
        |---|---|---|---|---|
        | error | R01 | public.orders.tenant&#95;id | a foreign key has no index | migrations/V2&#95;&#95;orders.sql:3:5 |
        | warn | R07 | public.orders | the index is built under a lock | ./schemas/orders.yaml |
        | note | drift-unseen | the live database | one schema cannot be read |  |

        <details><summary>R01 public.orders.tenant&#95;id</summary>

        ```text
        see migrations/V1__tenants.sql:1:1
        - was
        + is
        help: CREATE INDEX ON public.orders (tenant_id)
        ```

        </details>
        ");
    }

    #[test]
    fn nothing_found_is_said() {
        insta::assert_snapshot!(render("diff-rls", &[]), @"
        ### af-db diff-rls

        No findings.
        ");
    }

    #[test]
    fn hostile_text_stays_in_its_cell() {
        let text = render("validate", &samples::hostile());
        let row = text
            .lines()
            .find(|line| line.starts_with("| error"))
            .unwrap();
        assert_eq!(row.matches('|').count(), 6);
        assert!(!row.contains(['`', '[', '\u{1b}']));
        assert!(!row.replace("<br>", "").contains('<'));
        insta::assert_snapshot!(inline(samples::HOSTILE), @r#""a" 'b' ::error::c<br>&#92;x3a:add-mask::d 100% &#60;e&#62; &#38; &#93;&#93;&#62; &#96;f&#96; &#124;g&#124; &#91;h&#93;(i) {0} &#92;x1b🦀"#);
    }

    #[test]
    fn a_fence_is_longer_than_any_inside() {
        assert_eq!(block("sql", "none\n"), "```sql\nnone\n```\n");
        assert_eq!(
            block("text", "a ``` b ````\n``"),
            "`````text\na ``` b ````\n``\n`````\n"
        );
    }
}
