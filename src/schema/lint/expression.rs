//! Whether an expression is always true, as far as `sqlparser` can parse it.
//!
//! Expressions that cannot be parsed are ignored.

use sqlparser::ast::{BinaryOperator, Expr, Value};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

/// Longer text is not read: no policy is, and the parser's time grows with it.
const LENGTH: usize = 16_384;

/// How deep an expression may nest.
const DEPTH: usize = 64;

/// Whether an expression is true whatever the row.
pub fn is_always_true(text: &str) -> bool {
    read(text).is_some_and(|expression| truth(&expression) == Some(true))
}

fn read(text: &str) -> Option<Expr> {
    if text.len() > LENGTH {
        return None;
    }
    Parser::new(&PostgreSqlDialect {})
        .with_recursion_limit(DEPTH)
        .try_with_sql(text)
        .ok()?
        .parse_expr()
        .ok()
}

/// Works out a value that depends on no row.
///
/// The length that is read bounds how deep a chain of operators nests.
fn truth(expression: &Expr) -> Option<bool> {
    match expression {
        Expr::Nested(inner) => truth(inner),
        Expr::Cast { expr, .. } => truth(expr),
        Expr::Value(value) => match &value.value {
            Value::Boolean(value) => Some(*value),
            _ => None,
        },
        Expr::BinaryOp { left, op, right } => match op {
            BinaryOperator::Or => match (truth(left), truth(right)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            BinaryOperator::And => match (truth(left), truth(right)) {
                (Some(true), Some(true)) => Some(true),
                (Some(false), _) | (_, Some(false)) => Some(false),
                _ => None,
            },
            BinaryOperator::Eq => match (left.as_ref(), right.as_ref()) {
                (Expr::Value(left), Expr::Value(right)) => Some(left.value == right.value),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn always_true_expressions_are_detected() {
        let check = |text: &str, expected: bool| {
            assert_eq!(is_always_true(text), expected, "{text}");
        };
        check("true", true);
        check("(true)", true);
        check("1 = 1", true);
        check("a = 1 OR true", true);
        check("true AND a = 1", false);
        check("a = a", false);
        check("false", false);
        check("auth.uid() = user_id", false);
        check("not an expression (", false);
        check(&"(".repeat(1000), false);
        check(&format!("true{}", " OR a".repeat(3000)), true);
    }
}
