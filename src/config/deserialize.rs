//! Deserializes values of the configuration file, with the same checks as flags and variables.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use clap::ValueEnum;
use serde::Deserialize as _;
use serde::de::{self, Deserializer};

use super::values::Rename;

/// Reads one of a flag's possible values.
pub(super) fn choice<'de, D: Deserializer<'de>, T: ValueEnum>(deserializer: D) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(deserializer)?;
    match T::from_str(&text, false) {
        Ok(value) => Ok(Some(value)),
        Err(_) => {
            let values =
                T::value_variants().iter().filter_map(|value| Some(value.to_possible_value()?.get_name().to_owned()));
            let values: Vec<String> = values.collect();
            Err(de::Error::custom(format!("\"{text}\" is no such value: expected one of {}", values.join(", "))))
        }
    }
}

/// Reads a string with the flag's check.
pub(super) fn text<'de, D: Deserializer<'de>, T: FromStr<Err: fmt::Display>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    checked(&String::deserialize(deserializer)?).map(Some)
}

/// Reads a list of strings with the flag's check.
pub(super) fn texts<'de, D: Deserializer<'de>, T: FromStr<Err: fmt::Display>>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error> {
    Vec::<String>::deserialize(deserializer)?.iter().map(|text| checked(text)).collect::<Result<_, _>>().map(Some)
}

/// Reads a table of strings as the flag's pairs.
pub(super) fn table<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Rename>>, D::Error> {
    let renames = BTreeMap::<String, String>::deserialize(deserializer)?;
    let renames = renames.iter().map(|(old, new)| {
        Rename::new(old, new).map_err(|error| de::Error::custom(format!("\"{old} = {new}\" cannot be used: {error}")))
    });
    renames.collect::<Result<_, _>>().map(Some)
}

/// Reads a number, or a string in the flag's form.
pub(super) fn number<'de, D: Deserializer<'de>, T: FromStr<Err: fmt::Display>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    struct Number<T>(PhantomData<T>);

    impl<T: FromStr<Err: fmt::Display>> de::Visitor<'_> for Number<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number")
        }

        fn visit_i64<E: de::Error>(self, value: i64) -> Result<T, E> {
            checked(&value.to_string())
        }

        fn visit_str<E: de::Error>(self, value: &str) -> Result<T, E> {
            checked(value)
        }
    }

    deserializer.deserialize_any(Number(PhantomData)).map(Some)
}

fn checked<T: FromStr<Err: fmt::Display>, E: de::Error>(text: &str) -> Result<T, E> {
    text.parse().map_err(|error| de::Error::custom(format!("\"{text}\" cannot be used: {error}")))
}
