//! JUnit report: a test case for each finding, failed if it is an error.

use crate::commands::format::{rest, sentence};
use crate::finding::{Finding, Severity};

/// Writes the report; without findings it has one passed case, because many readers reject an empty report.
pub fn render(command: &str, findings: &[Finding]) -> String {
    let failures = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .count();
    let tests = findings.len().max(1);
    let skipped = findings.len() - failures;
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    xml += &format!(
        "<testsuites name=\"af-db\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\">\n"
    );
    xml += &format!(
        "  <testsuite name=\"{}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\">\n",
        escape(&format!("af-db {command}"))
    );
    for finding in findings {
        xml += &case(finding);
    }
    if findings.is_empty() {
        xml += &format!(
            "    <testcase classname=\"af-db\" name=\"{}\"/>\n",
            escape(command)
        );
    }
    xml + "  </testsuite>\n</testsuites>\n"
}

fn case(finding: &Finding) -> String {
    let message = escape(&sentence(finding));
    // Warnings and notes are shown without failing the job.
    let outcome = if finding.severity == Severity::Error {
        let code = escape(&finding.code);
        // Between tags a line break may stay one, for those who read the file as it is.
        let body = escape(&body(finding)).replace("&#10;", "\n");
        format!("<failure type=\"{code}\" message=\"{message}\">{body}</failure>")
    } else {
        let word = finding.severity.word();
        format!("<skipped message=\"{word}: {message}\"/>")
    };
    format!(
        "    <testcase classname=\"{}\" name=\"{}\">\n      {outcome}\n    </testcase>\n",
        escape(&finding.code),
        escape(&finding.subject),
    )
}

fn body(finding: &Finding) -> String {
    let place = finding.place.iter().map(|place| format!("at {place}"));
    let lines: Vec<String> = place
        .chain([sentence(finding), rest(finding)])
        .filter(|text| !text.is_empty())
        .collect();
    lines.join("\n")
}

/// Escapes text for an element or an attribute; what XML cannot hold at all becomes a replacement character.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            // A reader turns bare white space in an attribute into blanks.
            '\n' => escaped.push_str("&#10;"),
            '\r' => escaped.push_str("&#13;"),
            '\t' => escaped.push_str("&#9;"),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::format::samples;

    /// The names of the elements, after checking that they are closed in order.
    fn elements(xml: &str) -> Vec<&str> {
        let mut open = Vec::new();
        let mut names = Vec::new();
        let body = xml.split_once("?>").unwrap().1;
        for tag in body.split('<').skip(1) {
            let (tag, text) = tag.split_once('>').unwrap();
            assert!(!text.contains('>'), "{text}");
            assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop(), Some(name));
                continue;
            }
            let name = tag.split([' ', '/']).next().unwrap();
            names.push(name);
            if !tag.ends_with('/') {
                open.push(name);
            }
        }
        assert!(open.is_empty());
        names
    }

    #[test]
    fn findings_become_cases() {
        let xml = render("validate", &samples::plain());
        let wanted = "testsuites testsuite testcase skipped testcase skipped testcase failure";
        assert_eq!(elements(&xml).join(" "), wanted);
        insta::assert_snapshot!(xml, @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="af-db" tests="3" failures="1" errors="0">
          <testsuite name="af-db validate" tests="3" failures="1" errors="0" skipped="2">
            <testcase classname="drift-unseen" name="the live database">
              <skipped message="note: the live database: one schema cannot be read"/>
            </testcase>
            <testcase classname="R07" name="public.orders">
              <skipped message="warn: public.orders: the index is built under a lock"/>
            </testcase>
            <testcase classname="R01" name="public.orders.tenant_id">
              <failure type="R01" message="public.orders.tenant_id: a foreign key has no index">at migrations/V2__orders.sql:3:5
        public.orders.tenant_id: a foreign key has no index
        see migrations/V1__tenants.sql:1:1
        - was
        + is
        help: CREATE INDEX ON public.orders (tenant_id)</failure>
            </testcase>
          </testsuite>
        </testsuites>
        "#);
    }

    #[test]
    fn nothing_found_is_a_case_that_passed() {
        let xml = render("validate", &[]);
        assert_eq!(elements(&xml).join(" "), "testsuites testsuite testcase");
        insta::assert_snapshot!(xml, @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="af-db" tests="1" failures="0" errors="0">
          <testsuite name="af-db validate" tests="1" failures="0" errors="0" skipped="0">
            <testcase classname="af-db" name="validate"/>
          </testsuite>
        </testsuites>
        "#);
    }

    #[test]
    fn hostile_text_stays_text() {
        let xml = render("validate", &samples::hostile());
        let wanted = "testsuites testsuite testcase failure";
        assert_eq!(elements(&xml).join(" "), wanted);
        assert!(!xml.contains("]]>"));
        assert!(
            !xml.chars()
                .any(|character| character.is_control() && character != '\n')
        );
        insta::assert_snapshot!(escape(samples::HOSTILE), @"&quot;a&quot; &apos;b&apos; ::error::c&#13;&#10;::add-mask::d 100% &lt;e&gt; &amp; ]]&gt; `f` |g| [h](i) {0} �🦀");
    }
}
