//! Reads a record back: the JSON object that katalog's own encoder has written, in one line.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A flat record: its fields in their order.
#[derive(Debug, Default)]
pub(super) struct FlatRecord<'r> {
    fields: Vec<Field<'r>>,
}

/// A field of a record.
#[derive(Debug)]
pub(super) struct Field<'r> {
    /// The name, such as `kata_msg`.
    pub(super) name: Cow<'r, str>,
    /// The value.
    pub(super) value: Value<'r>,
}

/// A value of a field.
#[derive(Debug)]
pub(super) enum Value<'r> {
    /// A text, which may hold bytes that are not UTF-8.
    Text(Cow<'r, [u8]>),
    /// The texts of a repeated field.
    List(Vec<Cow<'r, [u8]>>),
    /// A number or a boolean.
    Plain(&'r str),
    /// Nested JSON.
    Nested(&'r str),
    /// No value.
    Null,
}

impl<'r> FlatRecord<'r> {
    /// Parses a line with a JSON object. Returns `None` for any other line, which no encoder writes.
    pub(super) fn parse(line: &'r [u8]) -> Option<FlatRecord<'r>> {
        let RawFields(raw) = serde_json::from_slice(line).ok()?;
        let escaped = raw.iter().find(|(name, _)| name == "kata_escaped");
        let escaped = escaped.and_then(|(_, value)| texts(value.get())).unwrap_or_default();
        let field = |(name, value): (Cow<'r, str>, &'r RawValue)| {
            let has_bytes = escaped.contains(&name);
            Field { value: Value::of(value.get(), has_bytes), name }
        };
        Some(FlatRecord { fields: raw.into_iter().map(field).collect() })
    }

    /// Returns the fields in their order.
    pub(super) fn fields(&self) -> &[Field<'r>] {
        &self.fields
    }

    /// Returns the value of a field.
    pub(super) fn get(&self, name: &str) -> Option<&Value<'r>> {
        self.fields.iter().find(|field| field.name == name).map(|field| &field.value)
    }

    /// Returns the text of a field; empty without the field.
    pub(super) fn text(&self, name: &str) -> &[u8] {
        self.get(name).map_or(b"", Value::first_text)
    }

    /// Returns the text of a journal field. Settings may have changed the case and the underscores of its name.
    pub(super) fn journal_text(&self, name: &str) -> &[u8] {
        let is_named = |field: &&Field<'_>| field.name.trim_start_matches('_').eq_ignore_ascii_case(name);
        self.fields.iter().find(is_named).map_or(b"", |field| field.value.first_text())
    }
}

impl<'r> Value<'r> {
    fn of(json: &'r str, has_bytes: bool) -> Value<'r> {
        let decode = |text| if has_bytes { unescape(text) } else { into_bytes(text) };
        match json.as_bytes().first() {
            Some(b'"') => text(json).map_or(Value::Null, |text| Value::Text(decode(text))),
            Some(b'[') => {
                texts(json).map_or(Value::Nested(json), |texts| Value::List(texts.into_iter().map(decode).collect()))
            }
            Some(b'{') => Value::Nested(json),
            Some(b'n') | None => Value::Null,
            Some(_) => Value::Plain(json),
        }
    }

    /// Returns all texts of the value.
    pub(super) fn texts(&self) -> impl Iterator<Item = &[u8]> {
        let (one, all) = match self {
            Value::List(texts) => (None, texts.as_slice()),
            Value::Null => (None, &[][..]),
            other => (Some(other.first_text()), &[][..]),
        };
        one.into_iter().chain(all.iter().map(AsRef::as_ref))
    }

    /// Returns the text, or the first of several.
    pub(super) fn first_text(&self) -> &[u8] {
        match self {
            Value::Text(text) => text,
            Value::List(texts) => texts.first().map_or(b"", |text| text),
            Value::Plain(text) | Value::Nested(text) => text.as_bytes(),
            Value::Null => b"",
        }
    }
}

/// The names and values of an object.
struct RawFields<'r>(Vec<(Cow<'r, str>, &'r RawValue)>);

impl<'de> Deserialize<'de> for RawFields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RawFields<'de>, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = RawFields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a record")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawFields<'de>, A::Error> {
                let mut fields = Vec::with_capacity(32);
                while let Some(JsonText(name)) = map.next_key()? {
                    fields.push((name, map.next_value()?));
                }
                Ok(RawFields(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// A JSON string, borrowed unless it has escapes.
#[derive(serde::Deserialize)]
struct JsonText<'r>(#[serde(borrow)] Cow<'r, str>);

fn text(json: &str) -> Option<Cow<'_, str>> {
    serde_json::from_str::<JsonText<'_>>(json).ok().map(|text| text.0)
}

fn texts(json: &str) -> Option<Vec<Cow<'_, str>>> {
    let texts = serde_json::from_str::<Vec<JsonText<'_>>>(json).ok()?;
    Some(texts.into_iter().map(|text| text.0).collect())
}

fn into_bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// Returns the bytes of a text that was not UTF-8: `\xff` stands for a byte, and `\\` for a backslash.
fn unescape(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = match (first, behind) {
            (b'\\', [b'\\', behind @ ..]) => {
                bytes.push(b'\\');
                behind
            }
            (b'\\', [b'x', high, low, behind @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16).unwrap_or_default();
                bytes.push((digit(high) << 4 | digit(low)) as u8);
                behind
            }
            _ => {
                bytes.push(*first);
                behind
            }
        };
    }
    Cow::Owned(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_were() {
        let line = br#"{"kata_msg":"a\n\u00fc","n":-5,"b":true,"x":null,"l":["a","b\\"],"o":{"a":[1.50e400]},"m":[1]}"#;
        let record = FlatRecord::parse(line).unwrap();
        assert_eq!(record.text("kata_msg"), "a\nü".as_bytes());
        assert_eq!((record.text("n"), record.text("b"), record.text("x")), (&b"-5"[..], &b"true"[..], &b""[..]));
        assert!(matches!(record.get("l"), Some(Value::List(texts)) if *texts == [&b"a"[..], b"b\\"]));
        assert!(matches!(record.get("o"), Some(Value::Nested(r#"{"a":[1.50e400]}"#))));
        assert!(matches!(record.get("m"), Some(Value::Nested("[1]"))));
        assert_eq!(record.fields().len(), 7);
        assert!(record.get("none").is_none());
    }

    #[test]
    fn bytes_come_back_where_the_record_lists_them() {
        let line = br#"{"a":"\\xff\\\\x41","b":"\\xff","kata_escaped":["a"]}"#;
        let record = FlatRecord::parse(line).unwrap();
        assert_eq!(record.text("a"), b"\xff\\x41");
        assert_eq!(record.text("b"), b"\\xff");
    }

    #[test]
    fn journal_fields_are_found_under_any_case() {
        let record = FlatRecord::parse(br#"{"message":"m","__REALTIME_TIMESTAMP":"1"}"#).unwrap();
        assert_eq!(record.journal_text("MESSAGE"), b"m");
        assert_eq!(record.journal_text("REALTIME_TIMESTAMP"), b"1");
    }

    #[test]
    fn deep_nesting_is_no_danger() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(matches!(FlatRecord::parse(deep.as_bytes()).unwrap().get("a"), Some(Value::Nested(_))));
        assert!(FlatRecord::parse(b"[]").is_none());
    }
}
