//! Options of inputs, and the settings of their sources.

use std::sync::Arc;

use kata_records::{InputFormat, Rules};

use super::ConfigError;
use super::command::READERS;
use super::declaration::{Need, Single, choice, is, number, options};
use super::layers::Options;
use super::output::ENTRIES;
use super::{journal, parse, redaction, trust};
use crate::source::{self, Judge};

/// The read size of a source: large enough to amortize the cost of a batch, small enough for the cache.
const READ_SIZE: usize = 256 << 10;

options! {
    "Input";

    /// Format of the inputs
    ///
    /// `auto` recognizes the format of each entry, so an input may mix formats. Name the format if text could be mistaken
    /// for another format. In the formats that wrap a message (journal-json, export, syslog, cri, docker), katalog always
    /// recognizes the format of the message.
    INPUT_FORMAT "input-format": Single<InputFormat> = choice("FORMAT", is!("auto")).of(READERS).idle(&[ENTRIES]);

    /// Longest line or field that is read whole
    ///
    /// Longer lines are cut there, and their records have the flaw `truncated`. From 1K to 64M; K and M are powers of 1024.
    /// In journals and export streams the limit holds for each field, and an entry may be four times as long. Journals in
    /// the formats `export` and `journal-json` keep fields of up to 64M.
    MAX_LINE "max-line": Single<usize> =
        number("SIZE", is!("1M"), |text| parse::bytes(text, 1 << 10..=64 << 20)).of(READERS).idle(&[ENTRIES]);
}

/// An input that may have lines, other than the journal of this machine.
pub(super) const OF_LINES: Need = Need {
    what: "an INPUT or standard input: the journal of this machine has no lines",
    met: |options| Ok(!options.inputs.is_empty() || !journal::is_only_input(options)?),
};

/// Returns the settings of sources. `delivery` is the size of one delivery to servers.
pub(super) fn settings(options: &Options, delivery: Option<usize>) -> Result<source::Settings, ConfigError> {
    Ok(source::Settings {
        input_format: options.get(&INPUT_FORMAT)?,
        max_line: options.get(&MAX_LINE)?,
        // The records of a batch should not greatly exceed one delivery.
        block: delivery.map_or(READ_SIZE, |size| (size / 4).clamp(4 << 10, READ_SIZE)),
        trust: Arc::new(trust::settings(options)?),
        judge: Judge {
            leaves_open: if redaction::patterns(options)?.is_some() { Rules::leaves_open } else { |_| false },
            proves_itself: Rules::begins_line,
            is_manager: Rules::is_manager,
        },
    })
}
