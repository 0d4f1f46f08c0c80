//! The settings of a run. Each option is declared once, in the file of its part, together with the settings that the
//! part of the program gets.
//!
//! ```text
//!  flags ┐
//!  environment ├► Layers ► Options ► checks ► Config { source, journal, records, output, conversion, delivery, diagnostics }
//!  file ┘
//! ```

mod checks;
mod command;
mod conversion;
pub mod declaration;
mod delivery;
mod diagnostics;
mod effective;
mod environment;
mod error;
mod fields;
mod file;
mod filter;
mod input;
mod journal;
mod layers;
mod output;
mod parse;
mod redaction;
mod selection;
pub mod systemd_time;
mod trust;
mod view;
mod words;

pub use checks::check;
pub use command::{Command, RESERVED};
pub use delivery::DeliverySettings;
pub use diagnostics::{DiagnosticsSettings, StandardOutput};
pub use effective::effective;
pub use environment::{read as read_environment, variable};
pub use error::ConfigError;
pub use file::read as read_file;
pub(crate) use layers::shell_word;
pub use layers::{Layers, Options, Origin, Values};
pub use output::OutputSettings;
pub(crate) use words::{Words, closest, expected};

use crate::delivery::OutputDirSettings;
use crate::source::{self, Input, JournalSettings};
use crate::view::ViewSettings;
use declaration::AnyOption;
use kata_records::Settings;

/// The default configuration as a file, with a comment on every key.
pub const DEFAULT: &str = include_str!("default.toml");

/// Returns every option, in the order of the help and of the default configuration file.
pub fn all() -> impl Iterator<Item = &'static dyn AnyOption> + Clone {
    let groups = [
        input::OPTIONS,
        journal::OPTIONS,
        selection::OPTIONS,
        filter::OPTIONS,
        trust::OPTIONS,
        redaction::OPTIONS,
        fields::OPTIONS,
        output::OPTIONS,
        view::OPTIONS,
        conversion::OPTIONS,
        delivery::OPTIONS,
        diagnostics::OPTIONS,
    ];
    groups.into_iter().flatten().copied()
}

/// Returns the option with a name.
#[must_use]
pub fn named(name: &str) -> Option<&'static dyn AnyOption> {
    all().find(|option| option.declaration().name == name)
}

/// The way of reading the inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// From end to end, whatever they are.
    Bulk,
    /// To their present ends, from the saved positions.
    Once,
    /// Without an end.
    Follow,
}

/// The complete configuration of a run, resolved before it begins.
#[derive(Clone, Debug)]
pub struct Config {
    /// The command.
    pub command: Command,
    /// The way of reading the inputs.
    pub mode: Mode,
    /// Settings for reading inputs.
    pub source: source::Settings,
    /// The journals to read, and their range.
    pub journal: JournalSettings,
    /// The flags that the user typed and that hold for journals only.
    pub range_flags: Vec<&'static str>,
    /// Without inputs, the command reads the journal of this machine.
    pub defaults_to_journal: bool,
    /// The rules that select entries and shape records.
    pub records: Settings,
    /// The output and the order of its records.
    pub output: OutputSettings,
    /// The text view; `None` for other formats.
    pub view: Option<ViewSettings>,
    /// The text view goes through a pager.
    pub paging: bool,
    /// The directory of a conversion.
    pub conversion: Option<OutputDirSettings>,
    /// Servers, positions and the spool.
    pub delivery: DeliverySettings,
    /// Reports, exit codes and the service.
    pub diagnostics: DiagnosticsSettings,
}

/// The environment of the program, on which `auto` depends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Standard output is a terminal with colors, and the user did not disable them.
    pub colors: bool,
    /// Standard output supports drawing: it is a terminal, and TERM is known and not dumb.
    pub pages: bool,
    /// Standard error is a terminal.
    pub error_terminal: bool,
    /// Standard error supports drawing: it is a terminal, and TERM is not dumb.
    pub screen: bool,
    /// The locale has UTF-8.
    pub unicode: bool,
    /// The kind of standard output.
    pub output: StandardOutput,
    /// The width of standard output; `None` if it is no terminal.
    pub columns: Option<usize>,
    /// The number of threads that the host runs at once.
    pub cores: usize,
}

impl Config {
    /// Builds the configuration from checked options.
    ///
    /// # Errors
    /// If options contradict each other, have no effect, or name a secret that cannot be read.
    pub fn new(options: &Options, surroundings: Surroundings) -> Result<Config, ConfigError> {
        check(options)?;
        let mode = mode(options)?;
        let delivery = delivery::settings(options, mode)?;
        let syslog = delivery::syslog_settings(options, delivery.receiver.as_ref())?;
        let encode = output::encode_settings(options, syslog)?;
        let view = view::settings(options, surroundings)?;
        let output = output::settings(options, surroundings)?;
        let (format, sorted) = (encode.format, output.sort.is_some());
        let conversion = conversion::settings(options, format, output.compress, sorted)?;
        let to_output = output.path.is_none() && conversion.is_none() && delivery.receiver.is_none();
        let elsewhere = !to_output || options.command == Command::Check;
        let diagnostics = diagnostics::settings(options, elsewhere, surroundings)?;
        let per_delivery = delivery.receiver.is_some().then_some(delivery.limits.size);
        let source = input::settings(options, per_delivery)?;
        let records = Settings {
            input_format: source.input_format,
            select: selection::settings(options)?,
            fields: fields::settings(options)?,
            filter: filter::settings(options)?,
            redact: redaction::patterns(options)?,
            encode,
            tag: options.get(&output::TAG)?,
            others_tag: options.get(&output::OTHERS_TAG)?,
            tag_key: options.get(&output::TAG_KEY)?,
            time_key: options.get(&output::TIME_KEY)?,
            time_format: options.get(&output::TIME_FORMAT)?,
            record_id: options.get(&output::RECORD_ID)?,
            split: conversion::template(options)?,
            rows: sorted || output.delta || output.last.is_some() || output.grouped,
            verbose: diagnostics.verbose,
            findings: diagnostics.shows_counters(),
        };
        // The raw views show entries whole.
        let max_value = (!output::format(options)?.is_of_entries()).then_some(source.max_line);
        Ok(Config {
            command: options.command,
            mode,
            source,
            journal: journal::settings(options, mode, max_value)?,
            range_flags: journal::range_flags(options)?,
            defaults_to_journal: journal::is_only_input(options)?,
            records,
            output,
            view,
            paging: view::paging(options, mode, surroundings)?,
            conversion,
            delivery,
            diagnostics,
        })
    }

    /// Returns whether inputs are followed, or read up to now with their positions remembered.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.mode != Mode::Bulk
    }

    /// Returns whether the run can be asked to stop and then has something to save or deliver.
    #[must_use]
    pub fn is_service(&self) -> bool {
        self.is_live() || self.delivery.receiver.is_some()
    }

    /// Returns whether records go to standard output.
    #[must_use]
    pub fn writes_stdout(&self) -> bool {
        self.output.path.is_none()
            && self.conversion.is_none()
            && self.delivery.receiver.is_none()
            && self.command != Command::Check
    }
}

/// Returns how the command reads its inputs.
fn mode(options: &Options) -> Result<Mode, ConfigError> {
    let stdin = options.inputs.contains(&Input::Stdin);
    let whole = options.get(&delivery::ONCE)? && options.get(&delivery::NO_STATE)?;
    if options.command == Command::Ship && stdin && options.inputs.len() > 1 && !whole {
        let message = "ship: standard input ends, other inputs are followed; run one `katalog ship` for each, or deliver \
                       all of them once with --once --no-state";
        return Err(ConfigError::Setting { message: message.to_owned(), from_file: false });
    }
    Ok(match options.command {
        Command::Print if options.get(&journal::FOLLOW)? => Mode::Follow,
        Command::Ship if stdin || whole => Mode::Bulk,
        Command::Ship if options.get(&delivery::ONCE)? => Mode::Once,
        Command::Ship => Mode::Follow,
        _ => Mode::Bulk,
    })
}

#[cfg(test)]
mod tests;
