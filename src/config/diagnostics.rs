//! Settings for standard error: counters and progress.

use super::Surroundings;
use super::values::{ProgressChoice, StatsChoice};
use crate::diagnostics::{ProgressMode, StatsFormat};

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

/// Returns how progress is shown. `elsewhere` says that records do not go to standard output.
pub(super) fn progress(choice: ProgressChoice, elsewhere: bool, surroundings: Surroundings) -> ProgressMode {
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
pub(super) fn stats(choice: StatsChoice, check: bool, surroundings: Surroundings) -> (Option<StatsFormat>, bool) {
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
