//! Owns the table of rules; a file a rule.
//!
//! Families: R rewrites, S scans under a lock, I indexes, T transactions and time, D data loss, C running code,
//! X security, O operation.

use crate::lint::rule::Rule;

mod c01;
mod c02;
mod c03;
mod c04;
mod c05;
mod c06;
mod c07;
mod c11;
mod c12;
mod c13;
mod c14;
mod c15;
mod c17;
mod c19;
mod c20;
mod d01;
mod d02;
mod d03;
mod d04;
mod d05;
mod d06;
mod d07;
mod d08;
mod d09;
mod d10;
mod d11;
mod d13;
mod d15;
mod i01;
mod i02;
mod i03;
mod i04;
mod i05;
mod i06;
mod i11;
mod i13;
mod i14;
mod o11;
mod o12;
mod o13;
mod o16;
mod r02;
mod r03;
mod r04;
mod r05;
mod r07;
mod r10;
mod r11;
mod r12;
mod r13;
mod r14;
mod r15;
mod r16;
mod r17;
mod r20;
mod s01;
mod s02;
mod s03;
mod s04;
mod s05;
mod s06;
mod s07;
mod s08;
mod s09;
mod s10;
mod s11;
mod s12;
mod s13;
mod s14;
mod s17;
mod s18;
mod s21;
mod t03;
mod t05;
mod t06;
mod t08;
mod t09;
mod t10;
mod t11;
mod t12;
mod t17;
mod t18;
mod t26;
mod t27;
mod t28;
mod t29;
mod x01;
mod x02;
mod x03;
mod x04;
mod x05;
mod x06;
mod x07;
mod x08;
mod x10;
mod x12;
mod x13;
mod x15;
mod x16;
mod x17;
mod x19;
mod x20;

/// Every rule, in the order of its code.
pub const RULES: &[&Rule] = &[
    &r02::RULE,
    &r03::RULE,
    &r04::RULE,
    &r05::RULE,
    &r07::RULE,
    &r10::RULE,
    &r11::RULE,
    &r12::RULE,
    &r13::RULE,
    &r14::RULE,
    &r15::RULE,
    &r16::RULE,
    &r17::RULE,
    &r20::RULE,
    &s01::RULE,
    &s02::RULE,
    &s03::RULE,
    &s04::RULE,
    &s05::RULE,
    &s06::RULE,
    &s07::RULE,
    &s08::RULE,
    &s09::RULE,
    &s10::RULE,
    &s11::RULE,
    &s12::RULE,
    &s13::RULE,
    &s14::RULE,
    &s17::RULE,
    &s18::RULE,
    &s21::RULE,
    &i01::RULE,
    &i02::RULE,
    &i03::RULE,
    &i04::RULE,
    &i05::RULE,
    &i06::RULE,
    &i11::RULE,
    &i13::RULE,
    &i14::RULE,
    &t03::RULE,
    &t05::RULE,
    &t06::RULE,
    &t08::RULE,
    &t09::RULE,
    &t10::RULE,
    &t11::RULE,
    &t12::RULE,
    &t17::RULE,
    &t18::RULE,
    &t26::RULE,
    &t27::RULE,
    &t28::RULE,
    &t29::RULE,
    &d01::RULE,
    &d02::RULE,
    &d03::RULE,
    &d04::RULE,
    &d05::RULE,
    &d06::RULE,
    &d07::RULE,
    &d08::RULE,
    &d09::RULE,
    &d10::RULE,
    &d11::RULE,
    &d13::RULE,
    &d15::RULE,
    &c01::RULE,
    &c02::RULE,
    &c03::RULE,
    &c04::RULE,
    &c05::RULE,
    &c06::RULE,
    &c07::RULE,
    &c11::RULE,
    &c12::RULE,
    &c13::RULE,
    &c14::RULE,
    &c15::RULE,
    &c17::RULE,
    &c19::RULE,
    &c20::RULE,
    &x01::RULE,
    &x02::RULE,
    &x03::RULE,
    &x04::RULE,
    &x05::RULE,
    &x06::RULE,
    &x07::RULE,
    &x08::RULE,
    &x10::RULE,
    &x12::RULE,
    &x13::RULE,
    &x15::RULE,
    &x16::RULE,
    &x17::RULE,
    &x19::RULE,
    &x20::RULE,
    &o11::RULE,
    &o12::RULE,
    &o13::RULE,
    &o16::RULE,
];

/// Finds a rule by its code or its name, in any case.
pub fn find(rule: &str) -> Option<&'static Rule> {
    RULES.iter().copied().find(|known| {
        known.code.eq_ignore_ascii_case(rule) || known.name.eq_ignore_ascii_case(rule)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_are_told_apart() {
        for (index, rule) in RULES.iter().enumerate() {
            for other in &RULES[index + 1..] {
                assert!(rule.code != other.code && rule.name != other.name);
            }
            assert!(
                rule.code.is_ascii()
                    && rule
                        .name
                        .bytes()
                        .all(|b| b.is_ascii_lowercase() || b == b'-')
            );
        }
    }

    #[test]
    fn a_rule_has_two_spellings() {
        assert_eq!(find("r02").map(|rule| rule.code), Some("R02"));
        assert_eq!(
            find("add-column-volatile-default").map(|rule| rule.code),
            Some("R02")
        );
        assert!(find("R99").is_none());
    }
}
