//! `MessagePack`: one map a record, without separators, as Fluentd's exec input reads with `<parse> @type msgpack`.
//! Names, order and values equal those of the JSON output.

use std::fmt;

use rmp::encode::{
    write_array_len, write_bool, write_f64, write_map_len, write_nil, write_sint, write_str_len, write_uint,
};
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};

use crate::origin::Origin;
use crate::record::{Escaping, Field, Record, Text, Value};

/// An encoder for `MessagePack`.
#[derive(Debug, Default)]
pub(crate) struct Msgpack {
    /// The decoded text of a value, whose length precedes it in the output.
    decoded: Vec<u8>,
}

impl Msgpack {
    /// Appends a record as a map.
    pub(crate) fn encode(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        done(write_map_len(out, length(count(record))));
        self.fields(&record.envelope, out);
        let Some(facts) = &record.facts else {
            self.fields(&record.payload, out);
            lists(record, out);
            return;
        };
        if let Some(time) = facts.time {
            string(b"kata_time", out);
            string(time.as_bytes(), out);
        }
        if let Some(level) = facts.level {
            string(b"kata_level", out);
            string(level.name().as_bytes(), out);
        }
        string(b"kata_component", out);
        string(facts.component.name().as_bytes(), out);
        string(b"kata_format", out);
        string(facts.format.name().as_bytes(), out);
        string(b"kata_origin", out);
        string(facts.origin.name().as_bytes(), out);
        if facts.origin == Origin::Guest {
            string(b"kata_guest", out);
            done(write_bool(out, true));
        }
        self.fields(&record.payload, out);
        if !facts.flaws.is_empty() {
            string(b"kata_flaws", out);
            done(write_array_len(out, length(facts.flaws.iter().count())));
            for flaw in facts.flaws.iter() {
                string(flaw.name().as_bytes(), out);
            }
        }
        lists(record, out);
    }

    fn fields(&mut self, fields: &[Field<'_>], out: &mut Vec<u8>) {
        for field in fields {
            string(field.key.name(), out);
            match field.value {
                Value::Text(text) => self.text(text, out),
                Value::Int(number) => {
                    done(write_sint(out, number));
                }
                Value::Bool(value) => done(write_bool(out, value)),
                Value::Null => done(write_nil(out)),
                Value::Time(stamp) => string(stamp.as_bytes(), out),
                Value::List(texts) => {
                    done(write_array_len(out, length(texts.len())));
                    for text in texts {
                        self.text(*text, out);
                    }
                }
                Value::Nested(json) => nested(json, out),
            }
        }
    }

    fn text(&mut self, text: Text<'_>, out: &mut Vec<u8>) {
        let as_it_stands = match text.escaping {
            Escaping::Clean | Escaping::Utf8 => true,
            // Both kinds of escapes begin with a backslash, and most texts have none.
            Escaping::Go | Escaping::Json => memchr::memchr(b'\\', text.bytes).is_none(),
            Escaping::Bytes => false,
        };
        if as_it_stands {
            return string(text.bytes, out);
        }
        self.decoded.clear();
        text.decode_into(&mut self.decoded);
        string(&self.decoded, out);
    }
}

/// Appends the lists of the names of other fields.
fn lists(record: &Record<'_>, out: &mut Vec<u8>) {
    for (name, keys) in [("kata_escaped", &record.escaped), ("kata_redacted", &record.redacted)] {
        if keys.is_empty() {
            continue;
        }
        string(name.as_bytes(), out);
        done(write_array_len(out, length(keys.len())));
        for key in keys {
            string(key.name(), out);
        }
    }
}

fn string(bytes: &[u8], out: &mut Vec<u8>) {
    done(write_str_len(out, length(bytes.len())));
    out.extend_from_slice(bytes);
}

/// Returns the number of a record's fields, which begins the map.
fn count(record: &Record<'_>) -> usize {
    let facts = record.facts.as_ref().map_or(0, |facts| {
        3 + usize::from(facts.time.is_some())
            + usize::from(facts.level.is_some())
            + usize::from(facts.origin == Origin::Guest)
            + usize::from(!facts.flaws.is_empty())
    });
    let lists = usize::from(!record.escaped.is_empty()) + usize::from(!record.redacted.is_empty());
    record.envelope.len() + facts + record.payload.len() + lists
}

/// Discards the result of a write to a vector, which cannot fail.
pub(super) fn done<T, E>(result: Result<T, E>) {
    debug_assert!(result.is_ok(), "a vector takes every byte");
}

/// Returns a length as the format stores it. Limits keep entries far below it.
fn length(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Appends a JSON value as the equivalent `MessagePack` value. JSON that `serde_json` rejects (more than 128 levels,
/// lone surrogates) becomes a string, so nothing is lost.
fn nested(json: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let mut reader = serde_json::Deserializer::from_slice(json);
    if Transcode(out).deserialize(&mut reader).and_then(|()| reader.end()).is_err() {
        out.truncate(start);
        string(json, out);
    }
}

/// A writer of values in the order of the text. A tree of values would sort the members.
struct Transcode<'o>(&'o mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for Transcode<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Transcode<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        done(write_nil(self.0));
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        done(write_bool(self.0, value));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        done(write_sint(self.0, value));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        done(write_uint(self.0, value));
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        done(write_f64(self.0, value));
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        string(value.as_bytes(), self.0);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        let start = self.0.len();
        let mut count = 0;
        while values.next_element_seed(Transcode(self.0))?.is_some() {
            count += 1;
        }
        head(self.0, start, |out| done(write_array_len(out, count)));
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let start = self.0.len();
        let mut count: u32 = 0;
        while members.next_key_seed(Transcode(self.0))?.is_some() {
            members.next_value_seed(Transcode(self.0))?;
            count = count.checked_add(1).ok_or_else(|| A::Error::custom("too many members"))?;
        }
        head(self.0, start, |out| done(write_map_len(out, count)));
        Ok(())
    }
}

/// Inserts the head of an array or map before its members, whose count is known only afterwards.
fn head(out: &mut Vec<u8>, start: usize, write: impl FnOnce(&mut Vec<u8>)) {
    let end = out.len();
    write(out);
    let length = out.len() - end;
    out[start..].rotate_right(length);
}

#[cfg(test)]
mod tests {
    use super::super::samples::{facts, field, text};
    use super::*;
    use crate::component::Component;
    use crate::flaw::{Flaw, Flaws};
    use crate::record::{Facts, OwnedKey, PayloadFormat};
    use crate::time::UtcTimestamp;

    /// Encodes a record and compares the decoded value, with its order and types.
    fn check(record: &Record<'_>, expected: &str) {
        let mut out = Vec::new();
        Msgpack::default().encode(record, &mut out);
        let mut rest = out.as_slice();
        let value = rmpv::decode::read_value(&mut rest).unwrap();
        assert!(rest.is_empty(), "one value and no more");
        assert_eq!(value.to_string(), expected);
    }

    #[test]
    fn fields_come_in_the_order_of_the_json() {
        let mut flaws = Flaws::default();
        flaws.add(Flaw::Truncated);
        let list = [text("a", Escaping::Clean), text("b", Escaping::Clean)];
        let guest_time = UtcTimestamp::parse(b"2024-03-05T05:01:54Z").unwrap();
        let record = Record {
            tag: b"kata.agent",
            envelope: vec![field("_HOSTNAME", text("node", Escaping::Clean)), field("X", Value::List(&list))],
            facts: Some(Facts {
                component: Component::Agent,
                origin: Origin::Guest,
                flaws,
                ..facts("2024-03-05T05:01:54.163Z")
            }),
            payload: vec![
                field("kata_pid", Value::Int(-70_000)),
                field("kata_ok", Value::Bool(false)),
                field("kata_guest_time", Value::Time(&guest_time)),
            ],
            escaped: vec![OwnedKey::new("X").leaked()],
            ..Record::default()
        };
        check(
            &record,
            r#"{"_HOSTNAME": "node", "X": ["a", "b"], "kata_time": "2024-03-05T05:01:54.163000000Z", "kata_level": "info", "kata_component": "agent", "kata_format": "logfmt", "kata_origin": "guest", "kata_guest": true, "kata_pid": -70000, "kata_ok": false, "kata_guest_time": "2024-03-05T05:01:54.000000000Z", "kata_flaws": ["truncated"], "kata_escaped": ["X"]}"#,
        );
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let record = Record {
            tag: b"kata.unknown",
            facts: Some(Facts { level: None, component: Component::Unknown, format: PayloadFormat::Text, ..facts("") }),
            ..Record::default()
        };
        check(&record, r#"{"kata_component": "unknown", "kata_format": "text", "kata_origin": "host"}"#);
    }

    #[test]
    fn entries_of_others_have_no_facts() {
        let record = Record {
            tag: b"containerd",
            envelope: vec![field("MESSAGE", text("hello", Escaping::Utf8))],
            ..Record::default()
        };
        check(&record, r#"{"MESSAGE": "hello"}"#);
    }

    #[test]
    fn escapes_are_decoded() {
        let record = Record {
            envelope: vec![
                field("a", text("tab\\there", Escaping::Go)),
                field("b", text("line\\nend", Escaping::Json)),
                field("c", text("plain", Escaping::Go)),
            ],
            ..Record::default()
        };
        check(&record, r#"{"a": "tab\there", "b": "line\nend", "c": "plain"}"#);
    }

    #[test]
    fn nested_values_keep_order_and_types() {
        let json = br#"{"z":[1,-2,2.5,null,true,"x\ny"],"a":{},"many":[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]}"#;
        let record = Record { envelope: vec![field("n", Value::Nested(json))], ..Record::default() };
        check(
            &record,
            "{\"n\": {\"z\": [1, -2, 2.5, nil, true, \"x\\ny\"], \"a\": {}, \"many\": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]}}",
        );
    }

    #[test]
    fn a_nested_value_that_is_too_deep_becomes_its_text() {
        let json = format!("{}{}", "[".repeat(200), "]".repeat(200));
        let record = Record { envelope: vec![field("n", Value::Nested(json.as_bytes()))], ..Record::default() };
        check(&record, &format!("{{\"n\": \"{json}\"}}"));
    }

    #[test]
    fn the_steady_state_allocates_nothing() {
        let record = Record {
            tag: b"kata.agent",
            envelope: vec![field("a", text("plain", Escaping::Go)), field("b", Value::Int(7))],
            escaped: vec![OwnedKey::new("a").leaked()],
            ..Record::default()
        };
        let (mut encoder, mut out) = (Msgpack::default(), Vec::new());
        encoder.encode(&record, &mut out);
        let counted = allocation_counter::measure(|| {
            out.clear();
            encoder.encode(&record, &mut out);
        });
        assert_eq!(counted.count_total, 0);
    }
}
