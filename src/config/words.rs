//! Uses the names of enums as values of flags, variables and keys.
//!
//! The enums themselves derive nothing from clap or serde. Those of other crates list their names in `ALL` and `name()`; those
//! of the program have them here.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde::Deserialize as _;
use serde::de::{Deserializer, Error as _};

use crate::delivery::WhenFull;
use crate::sink::Compression;
use crate::source::Backend;

/// An enum whose values have names.
pub(crate) trait Words: FromStr<Err: fmt::Display> + Copy + Send + Sync + 'static {
    /// Every value that a user can choose.
    const EVERY: &'static [Self];

    /// Returns the name of this value.
    fn word(self) -> &'static str;

    /// Returns a line of help; empty if the name explains enough.
    fn help(self) -> &'static str;
}

macro_rules! words {
    ($($Enum:ty),+ $(,)?) => {
        $(impl Words for $Enum {
            const EVERY: &'static [Self] = <$Enum>::ALL;

            fn word(self) -> &'static str {
                self.name()
            }

            fn help(self) -> &'static str {
                self.summary()
            }
        })+
    };
}

words!(
    kata_records::Format,
    kata_records::Facility,
    kata_records::SyslogFormat,
    kata_records::InputFormat,
    kata_records::Nested,
    kata_records::Definition,
    kata_records::Schema,
    kata_records::Others,
    kata_records::TimeFormat,
    log_clients::ForwardMode,
    log_clients::Spread,
    log_clients::Framing,
);

/// Returns the parser of a flag whose values are the names of an enum.
pub(crate) fn words<T: FromStr<Err: fmt::Display> + Words>() -> impl TypedValueParser<Value = T> {
    let possible = T::EVERY.iter().map(|value| {
        let possible = PossibleValue::new(value.word());
        if value.help().is_empty() { possible } else { possible.help(value.help()) }
    });
    PossibleValuesParser::new(possible).try_map(|word| word.parse::<T>().map_err(|error| error.to_string()))
}

/// Reads a key whose values are the names of an enum.
pub(super) fn word<'de, D: Deserializer<'de>, T: Words>(deserializer: D) -> Result<Option<T>, D::Error> {
    String::deserialize(deserializer)?.parse().map(Some).map_err(|error: T::Err| D::Error::custom(error))
}

/// Gives the values of an enum of the program their names and lines of help.
macro_rules! value_enum {
    ($Enum:ident { $($Variant:ident => $name:literal, $help:literal;)+ }) => {
        impl ValueEnum for $Enum {
            fn value_variants<'a>() -> &'a [$Enum] {
                &[$($Enum::$Variant),+]
            }

            fn to_possible_value(&self) -> Option<PossibleValue> {
                Some(match self {
                    $($Enum::$Variant => PossibleValue::new($name).help($help),)+
                })
            }
        }
    };
}

value_enum!(Backend {
    Native => "native", "katalog itself";
    Libsystemd => "libsystemd", "systemd's library, where the build has the cargo feature `libsystemd`";
});

value_enum!(Compression {
    None => "none", "Not at all";
    Gzip => "gzip", "gzip, in members of about 1 MiB of records (RFC 1952)";
    Zstd => "zstd", "Zstandard, in frames of about 1 MiB of records (RFC 8878)";
});

value_enum!(WhenFull {
    Wait => "wait", "Reading waits until there is room";
    Drop => "drop", "They are dropped and counted";
});
