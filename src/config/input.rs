//! Options of inputs, and the settings of their sources.

use std::path::Path;
use std::sync::Arc;

use kata_records::{InputFormat, Rules};

use super::ConfigError;
use super::command::{Command, READERS, SHIP, STREAMERS};
use super::declaration::{Need, Single, choice, is, number, options, switch};
use super::layers::Options;
use super::output::ENTRIES;
use super::{delivery, journal, parse, redaction, trust};
use crate::source::{self, HeldLimits, Input, Judge};

/// The read size of a source: large enough to amortize the cost of a batch, small enough for the cache.
const READ_SIZE: usize = 256 << 10;

options! {
    "Input";

    /// Format of the inputs
    ///
    /// `auto` recognizes the format of each entry, so an input may mix formats. Name the format if text could be mistaken
    /// for another format. In the formats that wrap a message (journal-json, export, syslog, cri, docker), katalog always
    /// recognizes the format of the message. Records of katalog are recognized in standard input and in files that are named,
    /// but not in archives and directories.
    INPUT_FORMAT "input-format": Single<InputFormat> = choice("FORMAT", is!("auto")).of(READERS).idle(&[ENTRIES]);

    /// Longest line or field that is read whole
    ///
    /// Longer lines are cut there, and their records have the flaw `truncated`. From 1K to 64M; K and M are powers of 1024.
    /// In journals and export streams the limit holds for each field, and an entry may be four times as long. Journals in
    /// the formats `export` and `journal-json` keep fields whole.
    MAX_LINE "max-line": Single<usize> =
        number("SIZE", is!("1M"), |text| parse::bytes(text, 1 << 10..=64 << 20)).of(READERS).idle(&[ENTRIES]);

    /// Follow every link that matches a pattern
    ///
    /// By default a followed pattern, such as `/var/log/containers/*.log`, follows links to files below /var/log/pods and
    /// /var/lib/docker only, because whoever can create a link could have any file read. Other links are counted and
    /// passed over. A link that is named without a pattern is always followed.
    FOLLOW_LINKS "follow-links": Single<bool> = switch().of(STREAMERS).needs(&[OF_PATTERNS]).idle(&[ENTRIES]);

    /// Most deleted files that stay open until they are read
    ///
    /// While the receiver is away, rotation may delete followed log files. katalog opens each file before, and reads it
    /// later. Beyond this number, the oldest files are given up, counted and named.
    HELD_FILES "held-files": Single<usize> =
        number("N", is!("512"), |text| parse::number(text, 0..=1 << 20)).of(SHIP).needs(&[OF_FILES]);

    /// Largest size of these files together
    ///
    /// Their space on disk is not free before they are read.
    HELD_SIZE "held-size": Single<usize> =
        number("SIZE", is!("1G"), |text| parse::bytes(text, 1 << 10..=u64::MAX)).of(SHIP).needs(&[OF_FILES]);
}

/// Log files to follow.
const OF_FILES: Need = Need {
    what: "a log file to follow",
    met: |options| {
        let is_file = |input: &Input| matches!(input, Input::File(_));
        Ok(!options.get(&delivery::ONCE)? && options.inputs.iter().any(is_file))
    },
};

/// A pattern of log files to follow.
const OF_PATTERNS: Need = Need {
    what: "a pattern of files to follow, such as '/var/log/app/*.log'",
    met: |options| {
        let wild = |path: &Path| path.to_string_lossy().contains(['*', '?', '[']);
        let is_pattern = |input: &Input| matches!(input, Input::File(path) if wild(path));
        let follows = options.command == Command::Ship || options.get(&journal::FOLLOW)?;
        Ok(follows && options.inputs.iter().any(is_pattern))
    },
};

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
            is_record: Rules::is_record,
        },
        follow_links: options.get(&FOLLOW_LINKS)?,
        held: HeldLimits { files: options.get(&HELD_FILES)?, bytes: options.get(&HELD_SIZE)? as u64 },
    })
}
