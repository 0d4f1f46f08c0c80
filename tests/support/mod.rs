//! What several tests need: the program as a user runs it, and JSON that hides nothing from a comparison.

#[allow(unreachable_pub, reason = "the fuzz targets use it from outside")]
#[path = "../fuzz/src/check.rs"]
pub(crate) mod check;
pub(crate) mod journal;
#[allow(unreachable_pub, reason = "the fuzz targets use it from outside")]
pub(crate) mod pipeline;

use std::fmt;
use std::process::{Command, Stdio};

use proptest::prelude::ProptestConfig;
use rmpv::Value;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// The program in an environment that says nothing to it, and without input.
pub(crate) fn katalog() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_katalog"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("KATALOG_") {
            command.env_remove(name);
        }
    }
    for name in ["NO_COLOR", "TERM", "COLUMNS"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// A property is tried on so many cases.
pub(crate) fn few(cases: u32) -> ProptestConfig {
    // Nothing is saved beside the tests: an input that fails belongs into fixtures/fuzz or becomes a case.
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// A JSON value in the terms of `MessagePack`, which keep the order of keys. A key that comes twice is an error.
pub(crate) struct Json(pub(crate) Value);

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(Strict).map(Json)
    }
}

struct Strict;

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without a key twice in an object")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Nil)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Json(element)) = elements.next_element()? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map: Vec<(Value, Value)> = Vec::new();
        while let Some((key, Json(value))) = members.next_entry::<String, Json>()? {
            let key = Value::from(key);
            if map.iter().any(|(known, _)| *known == key) {
                return Err(A::Error::custom(format!("the key {key} comes twice")));
            }
            map.push((key, value));
        }
        Ok(Value::Map(map))
    }
}
