//! The part of the settings that is about what is said on standard error: counters, and how far a run is.

use super::Surroundings;
use super::values::{ProgressChoice, StatsChoice};
use crate::diagnostics::{ProgressMode, StatsFormat};

/// What standard output is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StandardOutput {
    /// A file, or a device that shows nothing.
    #[default]
    File,
    /// A pipe or a socket. Who reads from it may well print on the terminal.
    Pipe,
    /// A terminal.
    Terminal,
}

/// How it is shown how far a run is. `elsewhere` says that its records do not go to standard output.
pub(super) fn progress(choice: ProgressChoice, elsewhere: bool, surroundings: Surroundings) -> ProgressMode {
    let Surroundings { screen, output, .. } = surroundings;
    match choice {
        ProgressChoice::Never => ProgressMode::Off,
        ProgressChoice::Auto if screen && (elsewhere || output == StandardOutput::File) => ProgressMode::Auto,
        ProgressChoice::Auto => ProgressMode::Off,
        // What is drawn and records on the same terminal would make a mess of each other.
        ProgressChoice::Always if screen && (elsewhere || output != StandardOutput::Terminal) => ProgressMode::Display,
        ProgressChoice::Always => ProgressMode::Lines,
    }
}

/// How the counters are shown, and whether they are shown by input where progress was shown.
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
