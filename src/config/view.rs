//! Options of the text view, for people who read records.

use jiff::tz::TimeZone;
use kata_records::Format;

use super::command::{Command, PRINT, STREAMERS};
use super::declaration::{Clash, Need, Single, choice, is, options, switch, text};
use super::layers::Options;
use super::output::{self, SERVERS};
use super::words::{ColorChoice, GroupBy, PagingChoice};
use super::{ConfigError, Mode, StandardOutput, Surroundings, filter, journal, parse};
use crate::view::{TimeStyle, ViewSettings};

/// The width of the layout outside of terminals.
const USUAL_COLUMNS: usize = 120;

options! {
    "View";

    /// Colors of the text format
    ///
    /// `auto` uses them on a terminal, unless NO_COLOR is set or TERM is `dumb`.
    COLOR "color": Single<ColorChoice> = choice("WHEN", is!("auto")).of(STREAMERS).beside_records().needs(&[Need {
        what: "--format text: other formats have no colors",
        met: is_text,
    }]).idle(&[SERVERS]);

    /// Form of the times
    ///
    /// The gap is the time since the record before.
    TIME "time": Single<TimeStyle> = choice("FORM", is!("short")).of(STREAMERS).beside_records().needs(TEXT).idle(&[SERVERS]);

    /// Show times in UTC, not in local time
    UTC "utc": Single<bool> = switch().of(STREAMERS).beside_records().needs(TEXT).idle(&[SERVERS]);

    /// Show all fields and whole ids
    ///
    /// The view leaves out fields that tell little, such as the pid of the writer, and shortens ids.
    ALL_FIELDS "all-fields": Single<bool> = switch().of(STREAMERS).beside_records().needs(TEXT).idle(&[SERVERS]);

    /// Explain known failures in a line of help
    ///
    /// Only texts of the host are explained. A failure that repeats in a sandbox is explained once. `katalog explain` lists
    /// the failures.
    EXPLAIN "explain": Single<bool> = switch().of(PRINT).beside_records().needs(TEXT);

    /// Show equal records in a row as one, with their number
    ///
    /// Records are equal if they differ in nothing that is shown but their times. With --follow, a record is held back
    /// until another one comes or the inputs are idle.
    DEDUP "dedup": Single<bool> = switch().of(PRINT).beside_records().needs(TEXT);

    /// Blocks of the records
    ///
    /// The sandboxes follow in the order of their first records. Nothing appears before the inputs end.
    GROUP "group": Single<GroupBy> = choice("BY", is!("none")).of(PRINT).beside_records().needs(TEXT).clashes(&[Clash {
        with: "follow",
        when: |options| Ok(is_grouped(options)? && options.get(&journal::FOLLOW)?),
        why: "the head of a block counts all records, so the inputs must have an end",
    }]);

    /// Width at which lines break: `auto`, `off`, or columns from 20 to 1000
    ///
    /// `auto` is the width of the terminal. Files and pipes get the layout of 120 columns, and no line breaks.
    WRAP "wrap": Single<Wrap> = text("WIDTH", is!("auto"), parse::wrap).of(STREAMERS).beside_records().needs(TEXT).idle(&[SERVERS]);

    /// Show text through a pager
    ///
    /// The pager is `$PAGER`, or `less -FRX`. It runs only if standard output is a terminal, and never with --follow.
    PAGING "paging": Single<PagingChoice> = choice("WHEN", is!("auto")).of(PRINT).beside_records().needs(TEXT).idle(&[Clash {
        with: "output",
        when: output::has_output,
        why: "the records go to the file",
    }]).clashes(&[Clash {
        with: "follow",
        when: |options| Ok(options.get(&PAGING)? == PagingChoice::Always && options.get(&journal::FOLLOW)?),
        why: "a pager would wait for records while it should show them",
    }]);
}

/// Only text has a layout.
const TEXT: &[Need] = &[Need { what: "--format text: other formats have no layout", met: is_text }];

fn is_text(options: &Options) -> Result<bool, ConfigError> {
    Ok(output::record_format(options)? == Format::Text)
}

/// The width at which lines break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrap {
    /// The width of the terminal.
    Auto,
    /// Lines do not break.
    Off,
    /// At this many columns.
    At(usize),
}

/// Returns whether the text view has a block for each sandbox.
pub(super) fn is_grouped(options: &Options) -> Result<bool, ConfigError> {
    Ok(options.command == Command::Print && is_text(options)? && options.get(&GROUP)? == GroupBy::Sandbox)
}

/// Returns whether records go through a pager.
pub(super) fn paging(options: &Options, mode: Mode, surroundings: Surroundings) -> Result<bool, ConfigError> {
    let has_screen = surroundings.output == StandardOutput::Terminal && !output::has_output(options)?;
    let wanted = match options.get(&PAGING)? {
        PagingChoice::Auto => surroundings.pages,
        PagingChoice::Always => true,
        PagingChoice::Never => false,
    };
    Ok(options.command == Command::Print && is_text(options)? && mode == Mode::Bulk && has_screen && wanted)
}

/// Returns the settings of the text view; `None` for other formats.
pub(super) fn settings(options: &Options, surroundings: Surroundings) -> Result<Option<ViewSettings>, ConfigError> {
    if !is_text(options)? {
        return Ok(None);
    }
    let on_terminal = surroundings.output == StandardOutput::Terminal && !output::has_output(options)?;
    let terminal = surroundings.columns.filter(|_| on_terminal);
    let (columns, wrap) = match options.get(&WRAP)? {
        Wrap::Auto => (terminal.unwrap_or(USUAL_COLUMNS), terminal.is_some()),
        Wrap::Off => (terminal.unwrap_or(USUAL_COLUMNS), false),
        Wrap::At(columns) => (columns, true),
    };
    Ok(Some(ViewSettings {
        zone: if options.get(&UTC)? { TimeZone::UTC } else { TimeZone::system() },
        color: match options.get(&COLOR)? {
            ColorChoice::Auto => surroundings.colors && on_terminal,
            ColorChoice::Always => true,
            ColorChoice::Never => false,
        },
        columns,
        wrap,
        time: options.get(&TIME)?,
        all_fields: options.get(&ALL_FIELDS)?,
        // Files are UTF-8 whatever the locale.
        highlight: options.get(&filter::GREP)?,
        dedup: options.command == Command::Print && options.get(&DEDUP)?,
        explain: options.command == Command::Print && options.get(&EXPLAIN)?,
        unicode: surroundings.unicode || !on_terminal,
    }))
}
