//! The part of the settings that is about what is said on standard error: counters, and how far a run is.

use super::Surroundings;
use super::values::{ProgressChoice, StatsChoice};
use crate::diagnostics::{Mode, StatsFormat};

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
pub(super) fn progress(choice: ProgressChoice, elsewhere: bool, surroundings: Surroundings) -> Mode {
    let Surroundings { screen, output, .. } = surroundings;
    match choice {
        ProgressChoice::Never => Mode::Off,
        ProgressChoice::Auto if screen && (elsewhere || output == StandardOutput::File) => Mode::Auto,
        ProgressChoice::Auto => Mode::Off,
        // What is drawn and records on the same terminal would make a mess of each other.
        ProgressChoice::Always if screen && (elsewhere || output != StandardOutput::Terminal) => Mode::Display,
        ProgressChoice::Always => Mode::Lines,
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
            (Auto, true, File, false, Mode::Auto),
            (Auto, true, Terminal, true, Mode::Auto),
            (Auto, true, Terminal, false, Mode::Off),
            (Auto, true, Pipe, false, Mode::Off),
            (Auto, false, File, true, Mode::Off),
            (Always, true, Pipe, false, Mode::Display),
            (Always, true, Terminal, true, Mode::Display),
            (Always, true, Terminal, false, Mode::Lines),
            (Always, false, File, true, Mode::Lines),
            (Never, true, File, true, Mode::Off),
        ] {
            let surroundings = Surroundings { screen, output, ..Surroundings::default() };
            let case = format!("{choice:?} {screen} {output:?} {elsewhere}");
            assert_eq!(progress(choice, elsewhere, surroundings), expected, "{case}");
        }
    }
}
