//! Options of journals, and the settings of their reader.

use journal_file::Cursor;

use super::command::{Command, PRINT, READERS, STREAMERS};
use super::declaration::{Clash, Need, Single, choice, is, none, number, options, switch, text};
use super::layers::Options;
use super::parse::{self, Lines};
use super::{ConfigError, delivery, output};
use crate::config::Mode;
use crate::source::{Backend, Boot, JournalSettings, Namespace, Range};

/// The number of entries before the end of what `print -f` follows, as for `journalctl --follow`.
const FOLLOW_LINES: usize = 10;

/// The most by which the time of a record and the time at which journald received its entry may differ, in microseconds.
/// Programs write to pipes, and journald reads them soon.
const SLACK: u64 = 60_000_000;

options! {
    "Journal";

    /// Read the journal of this machine
    ///
    /// The files in /run/log/journal and /var/log/journal. Reading them needs root, or membership in the group
    /// systemd-journal. Other journals are inputs: a file, or a directory of files or of machines.
    JOURNAL "journal": Single<bool> = switch().of(READERS).everyday().beside_records();

    /// Namespace of this machine's journal
    ///
    /// As for journalctl: `NAME`, `+NAME` for this namespace and the default one, `*` for all.
    NAMESPACE "namespace": Single<Namespace> = text("NAME", none, parse::from_str).of(READERS).needs(&[OF_THIS_MACHINE]);

    /// Also read the journals that this machine received from others
    MERGE "merge": Single<bool> = switch().of(READERS).needs(&[OF_THIS_MACHINE]);

    /// Reader of journals
    ///
    /// `libsystemd` needs a build with the cargo feature of that name. It is slower, and recovers less from damaged files.
    JOURNAL_BACKEND "journal-backend": Single<Backend> = choice("BACKEND", is!("native")).of(READERS).clashes(&[Clash {
        with: "state-dir",
        when: |options| Ok(options.get(&JOURNAL_BACKEND)? == Backend::Libsystemd && delivery::keeps_positions(options)?),
        why: "only katalog's own reader knows positions; leave out --journal-backend, or add --no-state",
    }]);

    /// Only records from this time on
    ///
    /// `2026-11-21 14:30`, `14:30`, `yesterday`, `today`, `2h` or `-2h` for two hours ago, `@1700000000`, RFC 3339, and the
    /// other forms of systemd.time(7). Times without a zone are local. The host's time of the record counts (`kata_time`); a
    /// record without a time follows the one before it. `ship` uses --since only until it has a position.
    SINCE "since": Single<Option<u64>> =
        text("TIME", none, |text| parse::optional(text, parse::moment)).of(READERS).everyday().hyphens()
            .canonical(parse::canonical_moment);

    /// Only records up to this time
    UNTIL "until": Single<Option<u64>> =
        text("TIME", none, |text| parse::optional(text, parse::moment)).of(READERS).everyday().hyphens()
            .canonical(parse::canonical_moment).clashes(&[Clash {
                with: "since",
                when: |options| Ok(matches!((options.get(&SINCE)?, options.get(&UNTIL)?), (Some(since), Some(until)) if since > until)),
                why: "the range ends before it begins",
            }]);

    /// Only journal entries of this boot
    ///
    /// The id of a boot; or 0 for the last boot in the journals, -1 for the boot before it, and so on; or 1 for the first
    /// boot, 2 for the second.
    BOOT "boot": Single<Option<Boot>> = number("BOOT", none, |text| parse::optional(text, parse::boot)).of(READERS).hyphens();

    /// Only journal entries after the entry with this cursor
    ///
    /// Cursors are those of journalctl. --drop '!__CURSOR' adds them to records.
    AFTER_CURSOR "after-cursor": Single<Option<Cursor>> =
        text("CURSOR", none, |text| parse::optional(text, parse::cursor)).of(READERS);

    /// Only the last N records
    ///
    /// The last ones of all inputs together, after all other filters. `all` sets no limit, and neither does `auto`. `print -f`
    /// and `ship` begin with the last N entries of a journal instead, and take no log files with --lines. For `print -f`,
    /// `auto` is 10 without --since, --boot or --after-cursor, as for journalctl. `ship` uses --lines only until it has a
    /// position.
    LINES "lines": Single<Lines> = number("N", is!("auto"), parse::lines).of(STREAMERS).everyday().short('n');

    /// Wait for new entries
    ///
    /// Without inputs, follows the journal of this machine. Journals are followed through rotation, vacuuming and restarts
    /// of journald; new files are included. Log files, and patterns of their names, are followed from their beginning,
    /// through rotation and truncation. A run follows either journals or log files.
    FOLLOW "follow": Single<bool> = switch().of(PRINT).everyday().short('f').beside_records();
}

/// The journal of this machine as the input.
const OF_THIS_MACHINE: Need = Need {
    what: "the journal of this machine as an input; leave out the INPUT, or add --journal",
    met: |options| Ok(options.inputs.is_empty() || options.get(&JOURNAL)?),
};

/// Returns the flags that the user typed and that hold for journals only.
pub(super) fn range_flags(options: &Options) -> Result<Vec<&'static str>, ConfigError> {
    let mut flags = vec!["--boot", "--after-cursor"];
    let is_raw = output::record_format(options)?.is_of_entries();
    if !is_raw && !chooses_last(options)? {
        flags.push("--lines");
    }
    flags.retain(|flag| options.flag(flag.trim_start_matches('-')).is_some());
    Ok(flags)
}

/// Returns whether --lines chooses among the records of all inputs. Otherwise it is the beginning in a journal.
fn chooses_last(options: &Options) -> Result<bool, ConfigError> {
    let is_raw = output::record_format(options)?.is_of_entries();
    Ok(options.command == Command::Print && !options.get(&FOLLOW)? && !is_raw)
}

/// Returns the number of last records to write, if they are chosen among the records of all inputs.
pub(super) fn last(options: &Options) -> Result<Option<u64>, ConfigError> {
    Ok(match options.get(&LINES)? {
        Lines::Last(lines) if chooses_last(options)? => Some(lines as u64),
        Lines::Last(_) | Lines::Auto | Lines::All => None,
    })
}

/// Returns whether a command without an INPUT reads the journal of this machine.
pub(super) fn is_only_input(options: &Options) -> Result<bool, ConfigError> {
    Ok(match options.command {
        Command::Ship => true,
        _ => {
            options.get(&JOURNAL)?
                || options.get(&FOLLOW)?
                || options.get(&MERGE)?
                || options.get(&NAMESPACE)? != Namespace::Default
        }
    })
}

/// Returns the settings of the reader.
pub(super) fn settings(
    options: &Options,
    mode: Mode,
    max_value: Option<usize>,
) -> Result<JournalSettings, ConfigError> {
    let range = Range {
        since: options.get(&SINCE)?,
        until: options.get(&UNTIL)?,
        after: options.get(&AFTER_CURSOR)?,
        boot: options.get(&BOOT)?,
    };
    // The raw views show entries of the journal, which have no other time.
    let is_raw = output::record_format(options)?.is_of_entries();
    let begins = range.since.is_some() || range.after.is_some() || range.boot.is_some();
    let follow = options.get(&FOLLOW)?;
    Ok(JournalSettings {
        of_this_machine: options.get(&JOURNAL)?,
        namespace: options.get(&NAMESPACE)?,
        merge: options.get(&MERGE)?,
        backend: options.get(&JOURNAL_BACKEND)?,
        range,
        slack: if is_raw { 0 } else { SLACK },
        lines: match options.get(&LINES)? {
            Lines::Auto => (follow && !begins).then_some(FOLLOW_LINES),
            Lines::All => None,
            Lines::Last(_) if last(options)?.is_some() => None,
            Lines::Last(lines) => Some(lines),
        },
        lines_are_records: false,
        follow: mode == Mode::Follow,
        resume: None,
        max_value,
    })
}
