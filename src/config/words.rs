//! Enums whose values have names. The enums derive nothing from clap or serde: those of other crates list their names
//! in `ALL` and `name()`, those of the program have them here.

use std::ffi::OsStr;

use kata_records::Format;

use super::parse::utf8;
use crate::delivery::WhenFull;
use crate::sink::Compression;
use crate::source::Backend;
use crate::view::TimeStyle;

/// An enum whose values have names.
pub(crate) trait Words: Copy + Send + Sync + 'static {
    /// Every value that a user can choose.
    const EVERY: &'static [Self];

    /// Returns the name of this value.
    fn word(self) -> &'static str;

    /// Returns a line of help; empty if the name explains enough.
    fn help(self) -> &'static str;
}

/// Returns the value with a name.
///
/// # Errors
/// Returns the names, and the closest one.
pub(crate) fn parse<T: Words>(text: &OsStr) -> Result<T, String> {
    let text = utf8(text)?;
    let found = T::EVERY.iter().copied().find(|value| value.word() == text);
    found.ok_or_else(|| expected(text, T::EVERY.iter().map(|value| value.word())))
}

/// Returns the names and their help.
pub(crate) fn table<T: Words>() -> Vec<[&'static str; 2]> {
    T::EVERY.iter().map(|value| [value.word(), value.help()]).collect()
}

/// Returns the message for a word that is not in the list: the closest word first, then the whole list.
pub(crate) fn expected<'w>(text: &str, words: impl Iterator<Item = &'w str> + Clone) -> String {
    let all = words.clone().collect::<Vec<_>>().join(", ");
    match closest(text, words) {
        Some(word) => format!("did you mean {word}? Expected one of {all}"),
        None => format!("expected one of {all}"),
    }
}

/// Returns the candidate that a misspelled word most likely means: a similar one, or one of its parts, as in `kata-agent`.
pub(crate) fn closest<'w>(word: &str, candidates: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    /// Less similar words are a guess, which misleads.
    const SIMILAR: f64 = 0.8;
    let plain = |text: &str| text.to_ascii_lowercase().replace([' ', '_'], "-");
    let word = plain(word);
    let score = |candidate: &str| {
        let candidate = plain(candidate);
        let is_part = word.split(['-', ',']).any(|part| part == candidate);
        strsim::jaro_winkler(&word, &candidate).max(if is_part { SIMILAR + 0.01 } else { 0.0 })
    };
    let scored = candidates.map(|candidate| (score(candidate), candidate)).filter(|(score, _)| *score > SIMILAR);
    scored.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, candidate)| candidate)
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

/// Gives the values of an enum of the program their names and lines of help.
macro_rules! word_enum {
    ($Enum:ident { $($Variant:ident => $name:literal, $help:literal;)+ }) => {
        impl Words for $Enum {
            const EVERY: &'static [Self] = &[$($Enum::$Variant),+];

            fn word(self) -> &'static str {
                match self {
                    $($Enum::$Variant => $name,)+
                }
            }

            fn help(self) -> &'static str {
                match self {
                    $($Enum::$Variant => $help,)+
                }
            }
        }
    };
}

word_enum!(Backend {
    Native => "native", "katalog's own reader";
    Libsystemd => "libsystemd", "systemd's library, in builds with the cargo feature `libsystemd`";
});

word_enum!(Compression {
    None => "none", "No compression";
    Gzip => "gzip", "gzip, in members of about 1 MiB of records (RFC 1952)";
    Zstd => "zstd", "Zstandard, in frames of about 1 MiB of records (RFC 8878)";
});

word_enum!(WhenFull {
    Wait => "wait", "Stop reading until there is room";
    Drop => "drop", "Drop records, and count them";
});

/// The use of colors in the text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColorChoice {
    /// On a terminal.
    Auto,
    /// Also in files and pipes.
    Always,
    /// Never.
    Never,
}

word_enum!(ColorChoice {
    Auto => "auto", "On a terminal";
    Always => "always", "Also in files and pipes";
    Never => "never", "";
});

word_enum!(TimeStyle {
    Short => "short", "The time of day; a heading has the date";
    Full => "full", "Date and time";
    Delta => "delta", "The time since the record before";
});

/// The display of counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StatsChoice {
    /// A table if progress was shown, else text if standard error is a terminal.
    Auto,
    /// Aligned lines.
    Text,
    /// A line for each input.
    Table,
    /// One JSON object on one line.
    Json,
    /// No counters.
    None,
}

word_enum!(StatsChoice {
    Auto => "auto", "A table if progress was shown, else text if standard error is a terminal";
    Text => "text", "Aligned lines";
    Table => "table", "A line for each input";
    Json => "json", "One JSON object on one line";
    None => "none", "";
});

/// The least severity of flaws for which `check` fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailOn {
    /// For every flaw.
    Information,
    /// For notices and damage.
    Notice,
    /// For damage.
    Damage,
    /// For no flaw.
    Never,
}

word_enum!(FailOn {
    Information => "information", "Any flaw";
    Notice => "notice", "Odd entries too, of which the records have all text";
    Damage => "damage", "Text that is lost or unreadable, and damaged inputs";
    Never => "never", "No flaw and no damage; an input that cannot be read still fails";
});

/// The use of a pager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PagingChoice {
    /// On a terminal that can be drawn on.
    Auto,
    /// On every terminal.
    Always,
    /// Never.
    Never,
}

word_enum!(PagingChoice {
    Auto => "auto", "On a terminal, unless TERM is `dumb`";
    Always => "always", "On every terminal";
    Never => "never", "";
});

/// The format of records, or the one that fits the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FormatChoice {
    /// Text on a terminal, else NDJSON.
    Auto,
    /// This format.
    Only(Format),
}

impl Words for FormatChoice {
    const EVERY: &'static [FormatChoice] = &[
        FormatChoice::Auto,
        FormatChoice::Only(Format::Ndjson),
        FormatChoice::Only(Format::Msgpack),
        FormatChoice::Only(Format::Csv),
        FormatChoice::Only(Format::Text),
        FormatChoice::Only(Format::Export),
        FormatChoice::Only(Format::JournalJson),
    ];

    fn word(self) -> &'static str {
        match self {
            FormatChoice::Auto => "auto",
            FormatChoice::Only(format) => format.name(),
        }
    }

    fn help(self) -> &'static str {
        match self {
            FormatChoice::Auto => "`text` if `print` writes to a terminal, else `ndjson`",
            FormatChoice::Only(format) => format.summary(),
        }
    }
}

/// The order of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// The order of the inputs.
    None,
    /// By time.
    Time,
}

word_enum!(Sort {
    None => "none", "The order of the inputs";
    Time => "time", "By time";
});

/// The blocks of the text view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupBy {
    /// No blocks.
    None,
    /// A block for each sandbox.
    Sandbox,
}

word_enum!(GroupBy {
    None => "none", "";
    Sandbox => "sandbox", "A block for each sandbox, with a head";
});

/// The display of progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProgressChoice {
    /// On a terminal that shows nothing else, if the size of the inputs is known.
    Auto,
    /// Also for pipes and live inputs, and as lines without a terminal.
    Always,
    /// Never.
    Never,
}

word_enum!(ProgressChoice {
    Auto => "auto", "On a terminal that shows nothing else, if the size of the inputs is known";
    Always => "always", "Also for pipes, and as lines without a terminal";
    Never => "never", "";
});

/// The program that reads standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// No particular program.
    None,
    /// Fluentd's exec input.
    FluentdExec,
    /// Fluent Bit's exec input.
    FluentBitExec,
}

word_enum!(Host {
    None => "none", "No particular program";
    FluentdExec => "fluentd-exec", "Fluentd's exec input: MessagePack, with `tag` and `event_time` in each record";
    FluentBitExec => "fluent-bit-exec", "Fluent Bit's exec input: JSON lines that fit into its buffer of 4096 bytes";
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_word_is_suggested_and_no_guess() {
        let components = ["runtime", "agent", "guest-kernel", "unknown"];
        for (word, meant) in [
            ("agents", Some("agent")),
            ("Agent", Some("agent")),
            ("kata-agent", Some("agent")),
            ("guest_kernel", Some("guest-kernel")),
            ("agent,shim", Some("agent")),
            ("boat", None),
            ("*", None),
            ("", None),
        ] {
            assert_eq!(closest(word, components.into_iter()), meant, "{word}");
        }
        assert_eq!(expected("agents", components.into_iter()).split(' ').nth(3), Some("agent?"));
    }
}
