//! Declarations of options. One declaration gives the flag, the environment variable, the key of the configuration
//! file, the default, the help, the commands that have the option, and the rules for using it.

use std::ffi::{OsStr, OsString};

use super::ConfigError;
use super::command::Command;
use super::layers::Options;
use super::parse;
use super::words::{self, Words};

/// Everything about an option but the type of its value.
pub struct Declaration {
    /// The flag without its dashes, and the key.
    pub name: &'static str,
    /// The short flag.
    pub short: Option<char>,
    /// The heading in the help.
    pub group: &'static str,
    /// The lines of help: a summary, an empty line, and the details.
    pub docs: &'static [&'static str],
    /// The name of the value in the help.
    pub value: &'static str,
    /// The form of the value.
    pub kind: Kind,
    /// The value of a flag without one.
    pub bare: Option<&'static str>,
    /// The value of an option that nobody sets.
    pub default: fn() -> Vec<String>,
    /// The commands that have the option.
    pub commands: &'static [Command],
    /// The option is among the first in the help of its commands.
    pub everyday: bool,
    /// Values may begin with a dash.
    pub hyphens: bool,
    /// Messages of the parser quote the value where that is safe, so nobody else repeats it.
    pub quotes_itself: bool,
    /// The bytes of the records depend on the option, so a conversion cannot be resumed with another value.
    pub shapes_records: bool,
    /// The conditions without which a flag has no effect.
    pub needs: &'static [Need],
    /// The settings that contradict this one.
    pub clashes: &'static [Clash],
    /// The settings under which a flag has no effect.
    pub idle: &'static [Clash],
    /// The names of the values and their help, if the values are a closed list.
    pub words: Option<fn() -> Vec<[&'static str; 2]>>,
    /// Splits the text of a flag or a variable into the values of a list.
    pub split: fn(&str) -> Vec<String>,
    /// Returns one text for all texts of the same value.
    pub canonical: fn(&str) -> String,
}

/// The form of a value in the configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Switch,
    /// A number, or a text for a size such as `64K`.
    Number,
    /// A text.
    Text,
    /// A list of texts, which replaces the list below it.
    List,
    /// A list of texts that a flag or a variable adds to the list of the file, or else to the default.
    AddedList,
    /// A table of texts.
    Table,
    /// A list of texts that may contain commas.
    CommaList,
}

/// A condition without which a flag has no effect.
pub struct Need {
    /// The setting or the input to add, for the message "… has no effect without …".
    pub what: &'static str,
    /// Returns whether the condition holds.
    pub met: fn(&Options) -> Result<bool, ConfigError>,
}

/// A setting that contradicts the option, or leaves it without an effect.
pub struct Clash {
    /// The name of the other option; `-` for standard input.
    pub with: &'static str,
    /// Returns whether the other option has such a value.
    pub when: fn(&Options) -> Result<bool, ConfigError>,
    /// The reason, and what to do if it is not to leave one of them out.
    pub why: &'static str,
}

/// An option, whatever the type of its value.
pub trait AnyOption: Sync {
    /// Returns the declaration.
    fn declaration(&self) -> &Declaration;

    /// Checks one text of the value.
    ///
    /// # Errors
    /// Returns what was expected.
    fn check(&self, text: &OsStr) -> Result<(), String>;
}

/// An option whose value has a type.
pub trait Typed: AnyOption {
    /// The type of the value.
    type Value;

    /// Parses the texts of the value.
    ///
    /// # Errors
    /// Returns the wrong text and what was expected.
    fn parse(&self, texts: &[OsString]) -> Result<Self::Value, (OsString, String)>;
}

type Parse<T> = fn(&OsStr) -> Result<T, String>;

/// An option with one value.
pub struct Single<T: 'static> {
    declaration: Declaration,
    parse: Parse<T>,
}

/// An option with any number of values.
pub struct List<T: 'static> {
    declaration: Declaration,
    parse: Parse<T>,
}

impl<T> AnyOption for Single<T> {
    fn declaration(&self) -> &Declaration {
        &self.declaration
    }

    fn check(&self, text: &OsStr) -> Result<(), String> {
        (self.parse)(text).map(drop)
    }
}

impl<T> AnyOption for List<T> {
    fn declaration(&self) -> &Declaration {
        &self.declaration
    }

    fn check(&self, text: &OsStr) -> Result<(), String> {
        if text.is_empty() { Ok(()) } else { (self.parse)(text).map(drop) }
    }
}

impl<T> Typed for Single<T> {
    type Value = T;

    fn parse(&self, texts: &[OsString]) -> Result<T, (OsString, String)> {
        let text = texts.last().map_or(OsStr::new(""), OsString::as_os_str);
        (self.parse)(text).map_err(|message| (text.to_owned(), message))
    }
}

impl<T> Typed for List<T> {
    type Value = Vec<T>;

    /// Parses the texts. Skips empty ones, because an empty list is written as one empty text.
    fn parse(&self, texts: &[OsString]) -> Result<Vec<T>, (OsString, String)> {
        let texts = texts.iter().filter(|text| !text.is_empty());
        texts.map(|text| (self.parse)(text).map_err(|message| (text.clone(), message))).collect()
    }
}

impl Declaration {
    const fn new(value: &'static str, kind: Kind, default: fn() -> Vec<String>) -> Declaration {
        Declaration {
            name: "",
            short: None,
            group: "",
            docs: &[],
            value,
            kind,
            bare: None,
            default,
            commands: &[],
            everyday: false,
            hyphens: false,
            quotes_itself: false,
            shapes_records: true,
            needs: &[],
            clashes: &[],
            idle: &[],
            words: None,
            split: parse::at_commas,
            canonical: str::to_owned,
        }
    }

    /// Returns the name of the environment variable.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("KATALOG_{}", self.name.replace('-', "_").to_uppercase())
    }

    /// Returns whether an empty list makes no sense, because the default has entries that a list replaces.
    #[must_use]
    pub fn needs_entries(&self) -> bool {
        let has_default = (self.default)().iter().any(|text| !text.is_empty());
        matches!(self.kind, Kind::List | Kind::CommaList) && has_default
    }

    /// Returns the values in the text of a flag or a variable.
    #[must_use]
    pub fn split(&self, text: &OsStr) -> Vec<OsString> {
        match (self.kind, text.to_str()) {
            (Kind::List | Kind::AddedList | Kind::Table, Some(text)) => {
                (self.split)(text).into_iter().map(OsString::from).collect()
            }
            _ => vec![text.to_owned()],
        }
    }

    /// Returns the default as the help shows it; `None` for an empty one, for switches, and for
    /// long lists.
    #[must_use]
    pub fn shown_default(&self) -> Option<String> {
        let default = (self.default)();
        match self.kind {
            Kind::Switch | Kind::AddedList | Kind::Table => None,
            _ if default.len() > 3 => None,
            _ => Some(default.join(",")).filter(|text| !text.is_empty()),
        }
    }

    /// Returns the summary and the details of the help, each paragraph on one line.
    #[must_use]
    pub fn help(&self) -> (String, Vec<String>) {
        let mut paragraphs = vec![String::new()];
        for line in self.docs.iter().map(|line| line.trim()) {
            match paragraphs.last_mut() {
                _ if line.is_empty() => paragraphs.push(String::new()),
                Some(text) if text.is_empty() => text.push_str(line),
                Some(text) => {
                    text.push(' ');
                    text.push_str(line);
                }
                None => {}
            }
        }
        let summary = paragraphs.remove(0);
        (summary, paragraphs)
    }
}

macro_rules! builders {
    ($($Option:ident),+) => {$(
        impl<T> $Option<T> {
            /// Sets the name, the group and the help.
            pub const fn named(mut self, name: &'static str, group: &'static str, docs: &'static [&'static str]) -> Self {
                self.declaration.name = name;
                self.declaration.group = group;
                self.declaration.docs = docs;
                self
            }

            /// Sets the commands that have the option.
            pub const fn of(mut self, commands: &'static [Command]) -> Self {
                self.declaration.commands = commands;
                self
            }

            /// Puts the option among the first in the help.
            pub const fn everyday(mut self) -> Self {
                self.declaration.everyday = true;
                self
            }

            /// Sets the short flag.
            pub const fn short(mut self, short: char) -> Self {
                self.declaration.short = Some(short);
                self
            }

            /// Declares that the bytes of records do not depend on the option.
            pub const fn beside_records(mut self) -> Self {
                self.declaration.shapes_records = false;
                self
            }

            /// Sets the conditions without which the flag has no effect.
            pub const fn needs(mut self, needs: &'static [Need]) -> Self {
                self.declaration.needs = needs;
                self
            }

            /// Sets the contradicting settings.
            pub const fn clashes(mut self, clashes: &'static [Clash]) -> Self {
                self.declaration.clashes = clashes;
                self
            }

            /// Sets the settings under which the flag has no effect.
            pub const fn idle(mut self, idle: &'static [Clash]) -> Self {
                self.declaration.idle = idle;
                self
            }
        }
    )+};
}

builders!(Single, List);

impl<T> Single<T> {
    /// Allows values that begin with a dash.
    pub const fn hyphens(mut self) -> Self {
        self.declaration.hyphens = true;
        self
    }

    /// Sets the value of the flag without one.
    pub const fn bare(mut self, value: &'static str) -> Self {
        self.declaration.bare = Some(value);
        self
    }

    /// Sets the function that gives all texts of one value the same text.
    pub const fn canonical(mut self, canonical: fn(&str) -> String) -> Self {
        self.declaration.canonical = canonical;
        self
    }
}

impl<T> List<T> {
    /// Makes flags and variables add to the list of the file, or else to the default.
    pub const fn adds(mut self) -> Self {
        self.declaration.kind = Kind::AddedList;
        self
    }

    /// Sets the possible values, for the help and for completions.
    pub const fn words(mut self, words: fn() -> Vec<[&'static str; 2]>) -> Self {
        self.declaration.words = Some(words);
        self
    }

    /// Sets the function that splits a text into values.
    pub const fn split(mut self, split: fn(&str) -> Vec<String>) -> Self {
        self.declaration.split = split;
        self
    }

    /// Leaves it to the messages of the parser to quote the value, because it may hold a secret by mistake.
    pub const fn quotes_itself(mut self) -> Self {
        self.declaration.quotes_itself = true;
        self
    }

    /// Allows commas in a value.
    pub const fn with_commas(mut self) -> Self {
        self.declaration.kind = Kind::CommaList;
        self
    }

    /// Writes the values as a table in the configuration file.
    pub const fn table(mut self) -> Self {
        self.declaration.kind = Kind::Table;
        self
    }
}

/// Declares a switch that is off by default.
pub(super) const fn switch() -> Single<bool> {
    let mut declaration = Declaration::new("BOOL", Kind::Switch, || vec!["false".to_owned()]);
    declaration.bare = Some("true");
    declaration.canonical = parse::canonical_boolean;
    Single { declaration, parse: parse::boolean }
}

/// Declares an option whose value is a text.
pub(super) const fn text<T>(value: &'static str, default: fn() -> Vec<String>, parse: Parse<T>) -> Single<T> {
    Single { declaration: Declaration::new(value, Kind::Text, default), parse }
}

/// Declares an option whose value is a number or a size.
pub(super) const fn number<T>(value: &'static str, default: fn() -> Vec<String>, parse: Parse<T>) -> Single<T> {
    let mut declaration = Declaration::new(value, Kind::Number, default);
    declaration.canonical = parse::canonical_number;
    Single { declaration, parse }
}

/// Declares an option whose value is a name of an enum.
pub(super) const fn choice<T: Words>(value: &'static str, default: fn() -> Vec<String>) -> Single<T> {
    let mut declaration = Declaration::new(value, Kind::Text, default);
    declaration.words = Some(words::table::<T>);
    Single { declaration, parse: words::parse::<T> }
}

/// Declares an option with any number of values.
pub(super) const fn list<T>(value: &'static str, default: fn() -> Vec<String>, parse: Parse<T>) -> List<T> {
    List { declaration: Declaration::new(value, Kind::List, default), parse }
}

/// Declares the options of a group. Each becomes a static of its name, and an entry of the group's table `OPTIONS`, in
/// the order of the help and of `default.toml`.
macro_rules! options {
    ($group:literal; $($(#[doc = $doc:literal])+ $NAME:ident $name:literal: $Type:ty = $value:expr;)+) => {
        $(
            $(#[doc = $doc])+
            pub(crate) static $NAME: $Type = $value.named($name, $group, &[$($doc),+]);
        )+

        /// The options of this group.
        pub(super) static OPTIONS: &[&dyn $crate::config::declaration::AnyOption] = &[$(&$NAME),+];
    };
}
pub(super) use options;

/// Returns the default of an option that has none.
pub(super) fn none() -> Vec<String> {
    vec![String::new()]
}

/// Declares a default of one text.
macro_rules! is {
    ($text:literal) => {
        || vec![$text.to_owned()]
    };
}
pub(super) use is;
