//! Options of the reports on standard error, of exit codes, and of the service.

use std::net::SocketAddr;

use kata_records::flaw::Severity;

use super::command::{BULK, CHECK, READERS, SHIP, WRITERS};
use super::declaration::{Need, Single, choice, is, none, options, switch, text};
use super::layers::Options;
use super::words::{FailOn, ProgressChoice, StatsChoice};
use super::{Command, ConfigError, Mode, Surroundings, delivery, parse};
use crate::diagnostics::{ProgressMode, StatsFormat};

options! {
    "Diagnostics";

    /// Show the progress on standard error
    ///
    /// --progress alone is `always`. On a terminal, a bar that disappears at the end; elsewhere, a line every ten seconds
    /// and after each input. `auto` shows the bar only if records go to a file, because the reader of a pipe may print on
    /// the same terminal.
    PROGRESS "progress": Single<ProgressChoice> = choice("WHEN", is!("auto")).bare("always").of(BULK).beside_records();

    /// Serve metrics and health over HTTP at this address
    ///
    /// An IP address and a port, such as 127.0.0.1:9745: `/metrics` for Prometheus, `/healthz`, `/readyz`. Everyone who can
    /// connect can read them, so choose a loopback address unless the host is isolated. Port 0 takes a free port and
    /// reports it.
    LISTEN "listen": Single<Option<SocketAddr>> =
        text("ADDRESS:PORT", none, |text| parse::optional(text, address)).of(SHIP).beside_records().needs(&[Need {
            what: "a run that lasts: leave out --once and `-`, or add --to URL",
            met: |options| Ok(super::mode(options)? == Mode::Follow || delivery::has_servers(options)?),
        }]);

    /// Show counters on standard error at the end
    STATS "stats": Single<StatsChoice> = choice("FORM", is!("auto")).of(READERS).beside_records();

    /// Exit with 1 for flaws of this severity or a worse one
    ///
    /// Damage of journal files counts as `damage`. If an input cannot be read, the exit code is that of its failure, whatever
    /// this option says.
    FAIL_ON "fail-on": Single<FailOn> = choice("SEVERITY", is!("damage")).of(CHECK).everyday().beside_records();

    /// Exit with 1 if any record has a notice or damage
    ///
    /// All records are written. Flaws with the severity `information` do not count.
    STRICT "strict": Single<bool> = switch().of(WRITERS).beside_records();

    /// Exit with 1 if no record was written
    FAIL_IF_EMPTY "fail-if-empty": Single<bool> = switch().of(READERS).beside_records();

    /// Report inputs and flawed entries on standard error
    VERBOSE "verbose": Single<bool> = switch().of(READERS).everyday().short('v').beside_records();
}

/// The settings of reports, exit codes, and the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiagnosticsSettings {
    /// The display of progress.
    pub progress: ProgressMode,
    /// The address for metrics and health requests.
    pub listen: Option<SocketAddr>,
    /// The format of the final counters.
    pub stats: Option<StatsFormat>,
    /// Show counters per input after a progress display.
    pub stats_by_input: bool,
    /// The least severity of flaws that make the run fail.
    pub fail_on: Option<Severity>,
    /// A run without records fails.
    pub fail_if_empty: bool,
    /// Report the inputs that are read, and flawed entries.
    pub verbose: bool,
}

impl DiagnosticsSettings {
    /// Returns whether the run may end with counters.
    #[must_use]
    pub fn shows_counters(&self) -> bool {
        self.stats.is_some() || self.stats_by_input && self.progress != ProgressMode::Off
    }
}

/// The kind of standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StandardOutput {
    /// A file, or a device without a display.
    #[default]
    File,
    /// A pipe or a socket. Its reader may print on the terminal.
    Pipe,
    /// A terminal.
    Terminal,
}

/// Returns the settings of diagnostics. `elsewhere` says that records do not go to standard output.
pub(super) fn settings(
    options: &Options,
    elsewhere: bool,
    surroundings: Surroundings,
) -> Result<DiagnosticsSettings, ConfigError> {
    let check = options.command == Command::Check;
    let (stats, stats_by_input) = stats(options.get(&STATS)?, check, surroundings);
    Ok(DiagnosticsSettings {
        progress: progress(options.get(&PROGRESS)?, elsewhere, surroundings),
        listen: options.get(&LISTEN)?,
        stats,
        stats_by_input,
        fail_on: fail_on(options)?,
        fail_if_empty: options.get(&FAIL_IF_EMPTY)?,
        verbose: options.get(&VERBOSE)?,
    })
}

/// Returns the least severity of flaws that make the run fail.
fn fail_on(options: &Options) -> Result<Option<Severity>, ConfigError> {
    if options.command != Command::Check {
        return Ok(options.get(&STRICT)?.then_some(Severity::Notice));
    }
    Ok(match options.get(&FAIL_ON)? {
        FailOn::Information => Some(Severity::Information),
        FailOn::Notice => Some(Severity::Notice),
        FailOn::Damage => Some(Severity::Damage),
        FailOn::Never => None,
    })
}

fn address(text: &std::ffi::OsStr) -> Result<SocketAddr, String> {
    let address = text.to_str().and_then(|text| text.parse().ok());
    address.ok_or_else(|| "expected an IP address and a port, such as 127.0.0.1:9745 or [::1]:9745".to_owned())
}

/// Returns the display of progress.
fn progress(choice: ProgressChoice, elsewhere: bool, surroundings: Surroundings) -> ProgressMode {
    let Surroundings { screen, output, .. } = surroundings;
    match choice {
        ProgressChoice::Never => ProgressMode::Off,
        ProgressChoice::Auto if screen && (elsewhere || output == StandardOutput::File) => ProgressMode::Auto,
        ProgressChoice::Auto => ProgressMode::Off,
        // A progress bar and records on one terminal would overwrite each other.
        ProgressChoice::Always if screen && (elsewhere || output != StandardOutput::Terminal) => ProgressMode::Display,
        ProgressChoice::Always => ProgressMode::Lines,
    }
}

/// Returns the format of the counters, and whether they are shown per input after a progress display.
fn stats(choice: StatsChoice, check: bool, surroundings: Surroundings) -> (Option<StatsFormat>, bool) {
    let auto = choice == StatsChoice::Auto;
    let format = match choice {
        StatsChoice::Auto if check => Some(StatsFormat::Table),
        StatsChoice::Auto => surroundings.error_terminal.then_some(StatsFormat::Text),
        StatsChoice::Text => Some(StatsFormat::Text),
        StatsChoice::Table => Some(StatsFormat::Table),
        StatsChoice::Json => Some(StatsFormat::Json),
        StatsChoice::None => None,
    };
    (format, auto)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_drawn_where_nothing_else_is() {
        use ProgressChoice::{Always, Auto, Never};
        use StandardOutput::{File, Pipe, Terminal};

        for (choice, screen, output, elsewhere, expected) in [
            (Auto, true, File, false, ProgressMode::Auto),
            (Auto, true, Terminal, true, ProgressMode::Auto),
            (Auto, true, Terminal, false, ProgressMode::Off),
            (Auto, true, Pipe, false, ProgressMode::Off),
            (Auto, false, File, true, ProgressMode::Off),
            (Always, true, Pipe, false, ProgressMode::Display),
            (Always, true, Terminal, true, ProgressMode::Display),
            (Always, true, Terminal, false, ProgressMode::Lines),
            (Always, false, File, true, ProgressMode::Lines),
            (Never, true, File, true, ProgressMode::Off),
        ] {
            let surroundings = Surroundings { screen, output, ..Surroundings::default() };
            let case = format!("{choice:?} {screen} {output:?} {elsewhere}");
            assert_eq!(progress(choice, elsewhere, surroundings), expected, "{case}");
        }
    }
}
