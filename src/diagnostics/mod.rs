//! Writes to standard error: messages, counters and progress. No other module writes there.

mod check;
mod errors;
mod first_flaws;
mod fold;
mod held;
mod hints;
mod inputs;
mod progress;
mod stats;

use std::fmt;
use std::io::{self, IsTerminal as _, Write};

use kata_records::Stats;
use kata_records::findings::Errors;
use kata_records::visible::escape;

pub use check::CheckEnd;
pub use first_flaws::{FirstFlaws, Position};
pub use fold::fold;
pub use held::{hold, release};
pub use inputs::InputSummary;
pub use progress::{Progress, ProgressMode, columns};
pub use stats::{failures, named_counts, write_stats};

/// The form of the counters at the end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatsFormat {
    /// Aligned lines for people.
    Text,
    /// A row for each input. Falls back to text if inputs are not counted separately.
    Table,
    /// One JSON object on one line.
    Json,
}

/// The number of blanks before the continuation of a line that is wider than the terminal.
const HANGING_INDENT: usize = 4;

/// The maximum number of inputs that a message names.
const MAX_NAMES: usize = 10;

/// Formats a number of bytes for people: `1.1 KiB`.
fn size(bytes: u64) -> String {
    match scale(bytes, &["KiB", "MiB", "GiB", "TiB"]) {
        Some((whole, tenths, unit)) => format!("{whole}.{tenths} {unit}"),
        None => format!("{bytes} B"),
    }
}

/// Divides a number of bytes by 1024 until it is below 1024 or the units end. Returns the whole part, the tenths
/// rounded down, and the unit. Returns `None` below 1024.
fn scale(bytes: u64, units: &[&'static str]) -> Option<(u64, u64, &'static str)> {
    let (mut whole, mut rest, mut unit) = (bytes, 0, None);
    for larger in units {
        if whole < 1024 {
            break;
        }
        (unit, rest, whole) = (Some(larger), whole % 1024, whole / 1024);
    }
    Some((whole, rest * 10 / 1024, *unit?))
}

/// Prints a message on standard error, in one line. A message may quote file names, values and answers of servers, so
/// all of it is escaped. Ignores failures, because there is no other place to report them.
pub fn report(message: fmt::Arguments<'_>) {
    report_with_examples(message, &[]);
}

/// Prints a message, and below it examples of what to type, which are katalog's own words.
pub fn report_with_examples(message: fmt::Arguments<'_>, examples: &[&str]) {
    let text = message.to_string();
    print(|out| {
        writeln!(out, "katalog: {}", escape(text.trim_end().as_bytes()))?;
        examples.iter().try_for_each(|example| writeln!(out, "    {example}"))
    });
}

/// Prints the notes of a worker about entries of an input, one a line. The name of the input is quoted already.
pub fn notes(input: &str, notes: &[u8]) {
    if !notes.is_empty() {
        let input = escape(input.as_bytes());
        let lines = || notes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        print(|out| lines().try_for_each(|line| writeln!(out, "katalog: {input}: {}", escape(line))));
    }
}

/// Prints the inputs that an earlier run has read to their present ends, if there are any. Names are quoted already.
pub fn nothing_new(inputs: &[String]) {
    let first = inputs.iter().take(MAX_NAMES).map(String::as_str).collect::<Vec<_>>().join(", ");
    match inputs.len().saturating_sub(MAX_NAMES) {
        _ if inputs.is_empty() => {}
        0 => report(format_args!("nothing new since the last run: {first}")),
        more => report(format_args!("nothing new since the last run: {first}, and {more} more")),
    }
}

/// Prints the summary of a run on standard error.
pub fn summary(stats: &Stats, errors: &Errors, inputs: &[InputSummary], format: StatsFormat) {
    let width = progress::width();
    match format {
        StatsFormat::Table => print(|out| {
            inputs::table(inputs, stats, width, out)?;
            inputs::reasons(stats, errors, width, out)?;
            hints::write(stats, out)
        }),
        StatsFormat::Text => print(|out| write_stats(stats, errors, format, out)),
        StatsFormat::Json => print_unfolded(|out| write_stats(stats, errors, format, out)),
    }
}

/// Prints the messages about entries that an option would make the host's or Kata's.
pub fn hints(stats: &Stats) {
    print(|out| hints::write(stats, out));
}

/// Prints the summary of checked inputs on standard error.
pub fn check_summary(stats: &Stats, inputs: &[InputSummary], end: &CheckEnd, format: StatsFormat) {
    let width = progress::width();
    match format {
        StatsFormat::Json => print_unfolded(|out| inputs::lines(inputs, end.fail_on, out)),
        StatsFormat::Text | StatsFormat::Table => print(|out| {
            check::table(inputs, width, out)?;
            check::verdict(inputs, end, out)?;
            hints::write(stats, out)
        }),
    }
}

/// Prints lines. Folds them on a terminal, which would begin its next row with any part of a name.
fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
    if !io::stderr().is_terminal() {
        return print_unfolded(write);
    }
    let mut text = Vec::new();
    // Writing to memory does not fail.
    let _ = write(&mut text);
    let columns = columns(io::stderr());
    let mut folded = Vec::with_capacity(text.len());
    for line in String::from_utf8_lossy(&text).lines() {
        fold(line, columns, HANGING_INDENT, &mut folded);
        folded.push(b'\n');
    }
    print_unfolded(|out| out.write_all(&folded));
}

/// Prints in one write, so that the progress bar does not interfere.
fn print_unfolded(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
    let mut text = Vec::new();
    let _ = write(&mut text);
    if !held::keep(&text) {
        write_now(&text);
    }
}

fn write_now(text: &[u8]) {
    progress::suspend_bar(|| _ = io::stderr().lock().write_all(text));
}

#[cfg(test)]
mod tests;
