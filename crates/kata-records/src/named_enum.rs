//! Macros for enums whose values have words: those that users choose, and those that records and documents show.

/// Implements `ALL`, `name()`, `summary()` and `FromStr`, so that each word is written once.
macro_rules! named_enum {
    ($Enum:ident { $($Variant:ident => $name:literal, $summary:literal;)+ }) => {
        impl $Enum {
            /// All values that a user can choose, in the order of the help.
            pub const ALL: &'static [$Enum] = &[$($Enum::$Variant),+];

            /// Returns the word for this value.
            #[must_use]
            #[allow(unreachable_patterns, reason = "some enums have values that nobody can choose")]
            pub const fn name(self) -> &'static str {
                match self {
                    $($Enum::$Variant => $name,)+
                    _ => "",
                }
            }

            /// Returns a line of help, or an empty text if the word is clear.
            #[must_use]
            #[allow(unreachable_patterns, reason = "some enums have values that nobody can choose")]
            pub const fn summary(self) -> &'static str {
                match self {
                    $($Enum::$Variant => $summary,)+
                    _ => "",
                }
            }
        }

        impl std::str::FromStr for $Enum {
            type Err = $crate::error::SettingsError;

            fn from_str(word: &str) -> Result<$Enum, $crate::error::SettingsError> {
                let known = $Enum::ALL.iter().copied();
                known.clone().find(|value| value.name() == word).ok_or_else(|| $crate::error::SettingsError::UnknownWord {
                    word: word.to_owned(),
                    expected: known.map($Enum::name).collect::<Vec<_>>().join(", "),
                })
            }
        }
    };
}
pub(crate) use named_enum;

/// Declares an enum with `ALL`, `name()` and `meaning()`, so that each word and each description is written once.
macro_rules! described_enum {
    ($(#[$attribute:meta])* $vis:vis enum $Enum:ident { $($Variant:ident = $name:literal, $meaning:literal;)+ }) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        $vis enum $Enum { $(#[doc = concat!($meaning, ".")] $Variant,)+ }

        impl $Enum {
            /// All values, in the order of the statistics and of documents.
            $vis const ALL: &'static [$Enum] = &[$($Enum::$Variant,)+];

            /// Returns the name in records and statistics.
            #[must_use]
            $vis const fn name(self) -> &'static str {
                match self { $($Enum::$Variant => $name,)+ }
            }

            /// Returns the description for documents.
            #[must_use]
            $vis const fn meaning(self) -> &'static str {
                match self { $($Enum::$Variant => $meaning,)+ }
            }
        }
    };
}
pub(crate) use described_enum;
