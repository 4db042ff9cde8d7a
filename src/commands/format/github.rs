//! Annotations for GitHub Actions: one workflow command per line.

use crate::commands::format::{path, whole, worst_first};
use crate::finding::{Finding, Severity};
use crate::visible;

/// Writes an annotation for each finding, worst first: the runner shows only the first ten of a kind.
pub fn render(findings: &[Finding]) -> String {
    worst_first(findings)
        .into_iter()
        .map(annotation)
        .collect::<Vec<_>>()
        .concat()
}

/// Writes a failure with its findings.
pub fn failure(message: &str, findings: &[Finding]) -> String {
    format!(
        "::error title=af-db::{}\n{}",
        data(message),
        render(findings)
    )
}

fn annotation(finding: &Finding) -> String {
    let level = match finding.severity {
        Severity::Error => "error",
        Severity::Warn => "warning",
        Severity::Note => "notice",
    };
    let mut properties = Vec::new();
    if let Some(place) = &finding.place {
        properties.push(format!("file={}", property(&path(&place.file))));
        properties.extend(place.line.map(|line| format!("line={line}")));
        properties.extend(place.column.map(|column| format!("col={column}")));
    }
    properties.push(format!("title={}", property(&finding.code)));
    format!(
        "::{level} {}::{}\n",
        properties.join(","),
        data(&whole(finding))
    )
}

/// Escapes what follows the second `::`; a bare line break would end the command and could begin another.
fn data(text: &str) -> String {
    visible::document(text)
        .replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// Escapes the value of a property, which a colon or a comma would end.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::format::samples;

    #[test]
    fn findings_become_annotations() {
        insta::assert_snapshot!(render(&samples::plain()), @"
        ::error file=migrations/V2__orders.sql,line=3,col=5,title=R01::public.orders.tenant_id: a foreign key has no index%0Asee migrations/V1__tenants.sql:1:1%0A- was%0A+ is%0Ahelp: CREATE INDEX ON public.orders (tenant_id)
        ::warning file=schemas/orders.yaml,title=R07::public.orders: the index is built under a lock
        ::notice title=drift-unseen::the live database: one schema cannot be read
        ");
    }

    #[test]
    fn nothing_found_is_nothing_said() {
        assert_eq!(render(&[]), "");
    }

    #[test]
    fn hostile_text_stays_in_its_command() {
        let text = render(&samples::hostile());
        assert_eq!(text.lines().count(), 1);
        assert_eq!(text.matches(['\r', '\n']).count(), 1);
        let (head, _) = text[2..].split_once("::").unwrap();
        // Properties split at commas and hold one equals sign that counts, as the runner reads them.
        let names: Vec<&str> = head["error ".len()..]
            .split(',')
            .map(|property| property.split_once('=').unwrap().0)
            .collect();
        assert_eq!(names, ["file", "line", "col", "title"]);
        insta::assert_snapshot!(text, @r#"::error file=a%2Cb%3A c%25%0A<d>|é.sql,line=1,col=2,title="a" 'b' %3A%3Aerror%3A%3Ac%0D%0A\x3a%3Aadd-mask%3A%3Ad 100%25 <e> & ]]> `f` |g| [h](i) {0} \x1b🦀::"a" 'b' ::error::c%0D%0A\x3a:add-mask::d 100%25 <e> & ]]> `f` |g| [h](i) {0} \x1b🦀: "a" 'b' ::error::c%0D%0A\x3a:add-mask::d 100%25 <e> & ]]> `f` |g| [h](i) {0} \x1b🦀%0A"a" 'b' ::error::c%0D%0A\x3a:add-mask::d 100%25 <e> & ]]> `f` |g| [h](i) {0} \x1b🦀%0Ahelp: "a" 'b' ::error::c%0D%0A\x3a:add-mask::d 100%25 <e> & ]]> `f` |g| [h](i) {0} \x1b🦀"#);
    }

    #[test]
    fn what_is_escaped_reads_back() {
        let back = property(samples::HOSTILE)
            .replace("%2C", ",")
            .replace("%3A", ":")
            .replace("%0A", "\n")
            .replace("%0D", "\r")
            .replace("%25", "%");
        assert_eq!(back, visible::document(samples::HOSTILE));
    }

    #[test]
    fn a_failure_is_an_error_with_what_stood_in_the_way() {
        let text = failure("cannot go on\n::debug::100%", &samples::plain()[..1]);
        insta::assert_snapshot!(text, @r"
        ::error title=af-db::cannot go on%0A\x3a:debug::100%25
        ::notice title=drift-unseen::the live database: one schema cannot be read
        ");
    }
}
