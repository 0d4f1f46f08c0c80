//! Names of enum values in options and configuration files.

use thiserror::Error;

/// The error for a name that no value of an enum has.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{name:?} is no such value: expected one of {}", expected.join(", "))]
pub struct UnknownName {
    name: String,
    expected: Vec<&'static str>,
}

impl UnknownName {
    pub(crate) fn new(name: &str, expected: Vec<&'static str>) -> UnknownName {
        UnknownName { name: name.to_owned(), expected }
    }
}

/// Derives `ALL`, `name`, `summary` and `FromStr` from one list.
macro_rules! named_enum {
    ($type:ident { $($variant:ident = $name:literal : $summary:literal),+ $(,)? }) => {
        impl $type {
            /// All values, in the order of their declaration.
            pub const ALL: &'static [$type] = &[$($type::$variant),+];

            /// Returns the name that [`FromStr`](std::str::FromStr) parses.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $($type::$variant => $name,)+
                }
            }

            /// Returns a one-line description of the value for help texts.
            #[must_use]
            pub const fn summary(self) -> &'static str {
                match self {
                    $($type::$variant => $summary,)+
                }
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::UnknownName;

            fn from_str(name: &str) -> Result<$type, $crate::UnknownName> {
                let names = || $type::ALL.iter().map(|value| value.name()).collect();
                let found = $type::ALL.iter().copied().find(|value| value.name() == name);
                found.ok_or_else(|| $crate::UnknownName::new(name, names()))
            }
        }
    };
}

pub(crate) use named_enum;

#[cfg(test)]
mod tests {
    use crate::{ForwardMode, Framing, Spread};

    #[test]
    fn every_name_is_parsed_and_no_other() {
        assert!(ForwardMode::ALL.iter().all(|mode| mode.name().parse() == Ok(*mode) && !mode.summary().is_empty()));
        assert!(Spread::ALL.iter().all(|spread| spread.name().parse() == Ok(*spread)));
        assert!(Framing::ALL.iter().all(|framing| framing.name().parse() == Ok(*framing)));
        let error = "Octet".parse::<Framing>().unwrap_err();
        assert_eq!(error.to_string(), "\"Octet\" is no such value: expected one of octet, lf");
    }
}
