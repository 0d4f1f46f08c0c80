//! The values of a finished record by the names that katalog's own schema gives them.

use bumpalo::Bump;

use crate::record::{Key, Record, Value};

/// A value as conditions see it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Seen<'v, 'b> {
    /// The value of a field.
    Field(&'v Value<'b>),
    /// A word of katalog's own, such as a level.
    Word(&'v [u8]),
    /// A true boolean of katalog's own.
    True,
}

/// Passes the values of a field to `test`, one for each element of a list, until it returns true. Returns `None` if the
/// record has no such field, else whether `test` returned true.
pub(super) fn any<'b>(record: &Record<'b>, name: &[u8], mut test: impl FnMut(Seen<'_, 'b>) -> bool) -> Option<bool> {
    if let Some(facts) = &record.facts
        && let Some(fact) = name.strip_prefix(b"kata_")
    {
        match fact {
            b"time" => return facts.time.as_ref().map(|time| test(Seen::Word(time.as_bytes()))),
            b"level" => return facts.level.map(|level| test(Seen::Word(level.name().as_bytes()))),
            b"component" => return Some(test(Seen::Word(facts.component.name().as_bytes()))),
            b"format" => return Some(test(Seen::Word(facts.format.name().as_bytes()))),
            b"origin" => return Some(test(Seen::Word(facts.origin.name().as_bytes()))),
            b"guest" => return (facts.origin == crate::origin::Origin::Guest).then(|| test(Seen::True)),
            b"flaws" if facts.flaws.is_empty() => return None,
            b"flaws" => return Some(facts.flaws.iter().any(|flaw| test(Seen::Word(flaw.name().as_bytes())))),
            _ => {}
        }
    }
    match name {
        b"kata_escaped" => return elements(&record.escaped, test),
        b"kata_redacted" => return elements(&record.redacted, test),
        _ => {}
    }
    let field = record.envelope.iter().chain(&record.payload).find(|field| field.key.name() == name)?;
    Some(match &field.value {
        Value::List(texts) => texts.iter().any(|text| test(Seen::Field(&Value::Text(*text)))),
        value => test(Seen::Field(value)),
    })
}

fn elements<'b>(keys: &[Key<'b>], mut test: impl FnMut(Seen<'_, 'b>) -> bool) -> Option<bool> {
    (!keys.is_empty()).then(|| keys.iter().any(|key| test(Seen::Word(key.name()))))
}

/// Passes the texts of a value to `test` until it returns true. Returns whether it did.
pub(super) fn texts<'b>(value: &Value<'b>, bump: &'b Bump, mut test: impl FnMut(&[u8]) -> bool) -> bool {
    match value {
        Value::Text(text) => test(text.decode(bump)),
        Value::Int(number) => test(itoa::Buffer::new().format(*number).as_bytes()),
        Value::Bool(value) => test(if *value { b"true" } else { b"false" }),
        Value::Time(time) => test(time.as_bytes()),
        Value::List(texts) => texts.iter().any(|text| test(text.decode(bump))),
        Value::Nested(json) => test(json),
        Value::Null => false,
    }
}
