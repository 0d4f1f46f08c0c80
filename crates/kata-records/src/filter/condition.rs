//! Conditions on a field: `FIELD OP VALUE`.

use std::cmp::Ordering;
use std::str::FromStr;

use bumpalo::Bump;
use regex::bytes::Regex;

use super::field::{self, Seen};
use super::pattern;
use crate::error::SettingsError;
use crate::record::{Record, Value};

/// A condition on a field of a record.
#[derive(Clone, Debug)]
pub struct Condition {
    field: Vec<u8>,
    operator: Operator,
    value: Vec<u8>,
    number: Option<Number>,
    pattern: Option<Regex>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    Unequal,
    Matches,
    MatchesNot,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// The operators, longer ones first.
const OPERATORS: [(&str, Operator); 8] = [
    ("!=", Operator::Unequal),
    ("!~", Operator::MatchesNot),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("=", Operator::Equal),
    ("~", Operator::Matches),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

/// A number in a condition or in a record.
#[derive(Clone, Copy, Debug)]
enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    fn parse(text: &[u8]) -> Option<Number> {
        let text = std::str::from_utf8(text).ok()?;
        // Words such as `inf` are no numbers to people.
        if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) {
            return None;
        }
        let int = text.parse().ok().map(Number::Int);
        int.or_else(|| text.parse().ok().filter(|float: &f64| float.is_finite()).map(Number::Float))
    }

    fn compare(self, other: Number) -> Option<Ordering> {
        match (self, other) {
            (Number::Int(one), Number::Int(other)) => Some(one.cmp(&other)),
            (one, other) => one.float().partial_cmp(&other.float()),
        }
    }

    fn float(self) -> f64 {
        match self {
            Number::Int(int) => int as f64,
            Number::Float(float) => float,
        }
    }
}

impl PartialEq for Condition {
    fn eq(&self, other: &Condition) -> bool {
        (&self.field, self.operator, &self.value) == (&other.field, other.operator, &other.value)
    }
}

impl Eq for Condition {}

impl FromStr for Condition {
    type Err = SettingsError;

    fn from_str(text: &str) -> Result<Condition, SettingsError> {
        let wrong = |reason: &str| SettingsError::Condition(reason.to_owned());
        let at = text.find(['=', '!', '~', '<', '>']);
        let (name, rest) = at.and_then(|at| text.split_at_checked(at)).ok_or_else(|| {
            wrong("expected FIELD OP VALUE with one of = != ~ !~ < <= > >=, such as kata_error~refused")
        })?;
        let name = name.trim();
        if name.is_empty() {
            return Err(wrong("expected the name of a field before the operator, such as kata_subsystem=qemu"));
        }
        let operator = OPERATORS.iter().find_map(|(sign, operator)| Some((*operator, rest.strip_prefix(sign)?)));
        let (operator, value) = operator.ok_or_else(|| wrong("expected != or !~ where ! stands alone"))?;
        let value = value.trim();
        let is_pattern = matches!(operator, Operator::Matches | Operator::MatchesNot);
        Ok(Condition {
            field: name.as_bytes().to_vec(),
            operator,
            value: value.as_bytes().to_vec(),
            number: Number::parse(value.as_bytes()),
            pattern: is_pattern.then(|| pattern::compile(value, false)).transpose()?,
        })
    }
}

impl Condition {
    /// Returns whether the condition holds. A missing field is unequal to everything, and matches nothing.
    pub(super) fn holds<'b>(&self, record: &Record<'b>, bump: &'b Bump) -> bool {
        let is_negated = matches!(self.operator, Operator::Unequal | Operator::MatchesNot);
        match field::any(record, &self.field, |seen| self.accepts(seen, bump)) {
            None => is_negated,
            Some(any) => any != is_negated,
        }
    }

    /// Returns whether a value fits, for `!=` and `!~` whether it equals or matches.
    fn accepts<'b>(&self, seen: Seen<'_, 'b>, bump: &'b Bump) -> bool {
        match seen {
            Seen::Word(text) => self.accepts_text(text),
            Seen::True => self.accepts_text(b"true"),
            Seen::Field(Value::Int(own)) => self.accepts_int(*own),
            Seen::Field(value) => field::texts(value, bump, |text| self.accepts_text(text)),
        }
    }

    fn accepts_int(&self, own: i64) -> bool {
        match self.number {
            Some(number) if self.pattern.is_none() => self.orders(Number::Int(own).compare(number)),
            _ => self.accepts_text(itoa::Buffer::new().format(own).as_bytes()),
        }
    }

    fn accepts_text(&self, text: &[u8]) -> bool {
        if let Some(pattern) = &self.pattern {
            return pattern.is_match(text);
        }
        // A text equals a text. In an order, two numbers are numbers.
        let is_order = !matches!(self.operator, Operator::Equal | Operator::Unequal);
        let numbers = self.number.filter(|_| is_order).and_then(|number| Some((Number::parse(text)?, number)));
        self.orders(match numbers {
            Some((own, number)) => own.compare(number),
            None => Some(text.cmp(&self.value)),
        })
    }

    fn orders(&self, order: Option<Ordering>) -> bool {
        order.is_some_and(|order| match self.operator {
            Operator::Equal | Operator::Unequal | Operator::Matches | Operator::MatchesNot => order.is_eq(),
            Operator::Less => order.is_lt(),
            Operator::LessOrEqual => order.is_le(),
            Operator::Greater => order.is_gt(),
            Operator::GreaterOrEqual => order.is_ge(),
        })
    }
}
