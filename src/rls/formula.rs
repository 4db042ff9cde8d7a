//! Policy expressions as logical formulas, so that order and parentheses do not count as a difference
//! and a wider condition is distinguished from a narrower one.
//!
//! `AND` and `OR` form the same lattice with unknown as without it, so equal formulas select the same rows. What is
//! not `AND`, `OR` or `NOT` stays an atom: the text that PostgreSQL printed.

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::{BinaryOperator, Expr, SelectItem, SetExpr, UnaryOperator, Value};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

/// Which rows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Formula {
    /// Every row.
    True,
    /// No row.
    False,
    /// Rows for which this text holds.
    Atom(String),
    /// Rows of all of them.
    And(BTreeSet<Formula>),
    /// Rows of any of them.
    Or(BTreeSet<Formula>),
}

/// More atoms than this are not tried one by one.
const ATOMS: usize = 14;

impl Formula {
    /// Reads an expression as the server printed it.
    pub(crate) fn read(text: &str) -> Formula {
        parse(text).map_or_else(
            || Formula::Atom(text.to_owned()),
            |expression| of(&expression, false, false),
        )
    }

    /// Reads an expression as if whatever is asked once a statement were asked for each row: the rows are the same.
    pub(crate) fn read_bare(text: &str) -> Formula {
        parse(text).map_or_else(
            || Formula::Atom(text.to_owned()),
            |expression| of(&expression, false, true),
        )
    }

    /// Joins formulas that must all hold.
    pub(crate) fn all(parts: impl IntoIterator<Item = Formula>) -> Formula {
        let mut set = BTreeSet::new();
        for part in parts {
            match part {
                Formula::True => {}
                Formula::False => return Formula::False,
                Formula::And(inner) => set.extend(inner),
                other => {
                    set.insert(other);
                }
            }
        }
        match set.len() {
            0 => Formula::True,
            1 => set.pop_first().unwrap_or(Formula::True),
            _ => Formula::And(set),
        }
    }

    /// Joins formulas of which one must hold.
    pub(crate) fn any(parts: impl IntoIterator<Item = Formula>) -> Formula {
        let mut set = BTreeSet::new();
        for part in parts {
            match part {
                Formula::False => {}
                Formula::True => return Formula::True,
                Formula::Or(inner) => set.extend(inner),
                other => {
                    set.insert(other);
                }
            }
        }
        match set.len() {
            0 => Formula::False,
            1 => set.pop_first().unwrap_or(Formula::False),
            _ => Formula::Or(set),
        }
    }

    /// Returns the alternatives of which one must hold, each as the atoms that must hold together; none where there are too many.
    pub(crate) fn alternatives(&self, most: usize) -> Option<Vec<Vec<String>>> {
        let found = match self {
            Formula::True => vec![Vec::new()],
            Formula::False => Vec::new(),
            Formula::Atom(text) => vec![vec![text.clone()]],
            Formula::Or(parts) => {
                let mut found = Vec::new();
                for part in parts {
                    found.extend(part.alternatives(most)?);
                }
                found
            }
            Formula::And(parts) => {
                let mut found: Vec<Vec<String>> = vec![Vec::new()];
                for part in parts {
                    let more = part.alternatives(most)?;
                    found = found
                        .iter()
                        .flat_map(|one| {
                            more.iter()
                                .map(|other| [one.clone(), other.clone()].concat())
                        })
                        .collect();
                    if found.len() > most {
                        return None;
                    }
                }
                found
            }
        };
        (found.len() <= most).then_some(found)
    }

    /// Whether every row of this is a row of the other, as far as that can be seen.
    pub(crate) fn implies(&self, other: &Formula) -> bool {
        if self == other || *self == Formula::False || *other == Formula::True {
            return true;
        }
        let mut atoms = BTreeSet::new();
        self.atoms(&mut atoms);
        other.atoms(&mut atoms);
        if atoms.len() > ATOMS {
            return false;
        }
        let places: BTreeMap<&str, usize> = atoms
            .iter()
            .enumerate()
            .map(|(index, atom)| (*atom, index))
            .collect();
        (0..1u32 << atoms.len())
            .all(|world| !self.holds(&places, world) || other.holds(&places, world))
    }

    /// Whether both select the same rows, as far as that can be seen.
    pub(crate) fn is_same_as(&self, other: &Formula) -> bool {
        self == other || self.implies(other) && other.implies(self)
    }

    fn atoms<'a>(&'a self, into: &mut BTreeSet<&'a str>) {
        match self {
            Formula::Atom(text) => {
                into.insert(text);
            }
            Formula::And(parts) | Formula::Or(parts) => {
                for part in parts {
                    part.atoms(into);
                }
            }
            Formula::True | Formula::False => {}
        }
    }

    fn holds(&self, places: &BTreeMap<&str, usize>, world: u32) -> bool {
        match self {
            Formula::True => true,
            Formula::False => false,
            Formula::Atom(text) => places
                .get(text.as_str())
                .is_some_and(|place| world & (1 << place) != 0),
            Formula::And(parts) => parts.iter().all(|part| part.holds(places, world)),
            Formula::Or(parts) => parts.iter().any(|part| part.holds(places, world)),
        }
    }
}

impl std::fmt::Display for Formula {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (parts, word) = match self {
            Formula::True => return f.write_str("true"),
            Formula::False => return f.write_str("false"),
            Formula::Atom(text) => return f.write_str(text),
            Formula::And(parts) => (parts, " AND "),
            Formula::Or(parts) => (parts, " OR "),
        };
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                f.write_str(word)?;
            }
            match part {
                Formula::Or(_) | Formula::And(_) => write!(f, "({part})")?,
                other => write!(f, "{other}")?,
            }
        }
        Ok(())
    }
}

fn parse(text: &str) -> Option<Expr> {
    let dialect = PostgreSqlDialect {};
    let mut parser = Parser::new(&dialect).try_with_sql(text).ok()?;
    let expression = parser.parse_expr().ok()?;
    // Whatever is left over was not understood, and then none of it was.
    (parser.peek_token().token == sqlparser::tokenizer::Token::EOF).then_some(expression)
}

fn of(expression: &Expr, negated: bool, bare: bool) -> Formula {
    match expression {
        Expr::Nested(inner) => of(inner, negated, bare),
        Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr,
        } => of(expr, !negated, bare),
        Expr::BinaryOp {
            left,
            op: op @ (BinaryOperator::And | BinaryOperator::Or),
            right,
        } => {
            let parts = [of(left, negated, bare), of(right, negated, bare)];
            if (*op == BinaryOperator::And) == negated {
                Formula::any(parts)
            } else {
                Formula::all(parts)
            }
        }
        Expr::BinaryOp {
            left,
            op: op @ (BinaryOperator::Eq | BinaryOperator::NotEq),
            right,
        } => equality(left, right, (*op == BinaryOperator::Eq) != negated, bare),
        Expr::Value(value) => match &value.value {
            Value::Boolean(truth) if *truth != negated => Formula::True,
            Value::Boolean(_) | Value::Null => Formula::False,
            _ => atom(expression, negated, bare),
        },
        _ => atom(expression, negated, bare),
    }
}

fn equality(left: &Expr, right: &Expr, equal: bool, bare: bool) -> Formula {
    let (left, right) = (print(left, bare), print(right, bare));
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if number(&left) && number(&right) {
        return if (left == right) == equal {
            Formula::True
        } else {
            Formula::False
        };
    }
    // A column stands first, as people write it.
    let rank = |text: &str| (!is_name(text), text.to_owned());
    let (first, second) = if rank(&left) <= rank(&right) {
        (left, right)
    } else {
        (right, left)
    };
    let word = if equal { "=" } else { "<>" };
    Formula::Atom(format!("{first} {word} {second}"))
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '"')
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '"'))
}

fn atom(expression: &Expr, negated: bool, bare: bool) -> Formula {
    let text = print(expression, bare);
    Formula::Atom(if negated { format!("NOT {text}") } else { text })
}

/// Prints without the parentheses around the whole, and without `SELECT` around what has no rows of its own.
fn print(expression: &Expr, bare: bool) -> String {
    match expression {
        Expr::Nested(inner) => print(inner, bare),
        Expr::Subquery(query) if bare => match query.body.as_ref() {
            SetExpr::Select(select) if select.from.is_empty() && select.projection.len() == 1 => {
                match &select.projection[0] {
                    SelectItem::UnnamedExpr(inner)
                    | SelectItem::ExprWithAlias { expr: inner, .. } => print(inner, bare),
                    _ => expression.to_string(),
                }
            }
            _ => expression.to_string(),
        },
        _ => expression.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(left: &str, right: &str, gains: bool, loses: bool) {
        let (left_formula, right_formula) = (Formula::read(left), Formula::read(right));
        assert_eq!(
            !right_formula.implies(&left_formula),
            gains,
            "{left} | {right}"
        );
        assert_eq!(
            !left_formula.implies(&right_formula),
            loses,
            "{left} | {right}"
        );
    }

    #[test]
    fn order_and_parentheses_do_not_count() {
        check(
            "((a = 1) AND (b = 2))",
            "((b = 2) AND (a = 1))",
            false,
            false,
        );
        check("(a OR b) AND (a OR c)", "a OR (b AND c)", false, false);
        check("(1 = 1)", "true", false, false);
        check("(x = y)", "(y = x)", false, false);
        check("NOT (a = b)", "a <> b", false, false);
        check("NOT (a AND b)", "(NOT a) OR (NOT b)", false, false);
    }

    #[test]
    fn wider_and_narrower_are_told_apart() {
        check("a", "a OR b", true, false);
        check("a", "a AND b", false, true);
        check("a", "b", true, true);
        check("a", "true", true, false);
        check("a", "NULL::boolean", true, true);
    }

    #[test]
    fn once_a_statement_selects_the_same_rows() {
        let (once, each) = ("(id = ( SELECT auth.uid() AS uid))", "(id = auth.uid())");
        assert!(!Formula::read(once).is_same_as(&Formula::read(each)));
        assert!(Formula::read_bare(once).is_same_as(&Formula::read_bare(each)));
    }
}
