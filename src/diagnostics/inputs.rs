//! Prints a summary of each input: a table for people, and the defects of checked inputs.

use std::io::{self, Write};

use serde::Serialize;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use kata_records::findings::Errors;
use kata_records::flaw::Severity;
use kata_records::visible::{escape, escape_json};
use kata_records::{Stats, UtcTimestamp};

use super::first_flaws::FirstFlaws;
use super::{errors, scale, stats};
use crate::exit::Exit;

/// The width of the table outside of terminals.
pub(super) const DEFAULT_WIDTH: usize = 80;

/// The minimum width of the column of names.
const MIN_NAME_WIDTH: usize = 8;

/// The summary of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputSummary {
    /// The name of the input.
    pub name: String,
    /// The counters of the input.
    pub stats: Stats,
    /// Failures to read the input or parts of it.
    pub failures: Vec<String>,
    /// The exit code for the first failure.
    pub exit: Option<Exit>,
    /// Doubts about the input. They do not make it invalid.
    pub notices: Vec<String>,
    /// The first position of each flaw and damage, if the input is checked.
    pub first: FirstFlaws,
    /// The format of a container of entries; `None` for a log.
    pub container: Option<&'static str>,
}

impl InputSummary {
    /// Returns the summary of an input that was not read yet.
    #[must_use]
    pub fn new(name: String) -> InputSummary {
        InputSummary {
            name,
            stats: Stats::default(),
            failures: Vec::new(),
            exit: None,
            notices: Vec::new(),
            first: FirstFlaws::default(),
            container: None,
        }
    }

    /// Returns the format: that of the container, or else of most records; `-` without records.
    #[must_use]
    pub fn format(&self) -> &'static str {
        let formats = self.stats.parts().into_iter().find(|(part, _)| *part == "formats").map(|(_, counts)| counts);
        let formats = formats.unwrap_or_default().into_iter().filter(|(_, count)| *count > 0);
        // Of several with the same number, the first one counts.
        let most = formats.rev().max_by_key(|(_, count)| *count).map_or("-", |(name, _)| name);
        self.container.unwrap_or(most)
    }

    /// Returns true if the whole input was read and has no flaw of this severity or a worse one.
    #[must_use]
    pub fn is_valid(&self, fail_on: Option<Severity>) -> bool {
        self.failures.is_empty() && fail_on.is_none_or(|least| self.stats.worst() < Some(least))
    }

    /// Returns the row of the table.
    fn row(&self) -> [String; COLUMNS] {
        let times = self.stats.first().zip(self.stats.last());
        let Stats { read, written, passed, flawed, bytes_in, encoded, .. } = self.stats;
        let damaged = if self.failures.is_empty() { count(self.stats.damaged()) } else { "failed".to_owned() };
        [
            escape(self.name.as_bytes()).into_owned(),
            count(read),
            count(written - passed),
            times.map_or_else(|| "-".to_owned(), |(from, to)| span(from.as_str(), to.as_str())),
            count(flawed),
            damaged,
            short_size(bytes_in),
            short_size(encoded),
        ]
    }
}

const COLUMNS: usize = 8;
const HEADINGS: [&str; COLUMNS] = ["input", "entries", "records", "from..to, UTC", "flawed", "damaged", "in", "out"];
/// Names and times are aligned left, numbers right.
const LEFT_ALIGNED: [bool; COLUMNS] = [true, false, false, true, false, false, false, false];

/// Writes a row for each input, and a row of totals.
pub(super) fn table(inputs: &[InputSummary], total: &Stats, width: usize, out: &mut dyn Write) -> io::Result<()> {
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    rows.extend(inputs.iter().map(InputSummary::row));
    if inputs.len() != 1 {
        rows.push(InputSummary { stats: total.clone(), ..InputSummary::new("total".to_owned()) }.row());
    }
    let mut widths = [0; COLUMNS];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.width().max(*width);
        }
    }
    let [name, others @ ..] = &mut widths;
    *name = (*name).min(width.saturating_sub(others.iter().map(|width| width + 1).sum())).max(MIN_NAME_WIDTH);
    for [name, others @ ..] in rows {
        let mut line = String::new();
        for ((cell, width), left) in [shortened(&name, widths[0])].iter().chain(&others).zip(widths).zip(LEFT_ALIGNED) {
            let room = " ".repeat(width.saturating_sub(cell.width()));
            let (before, behind) = if left { ("", room.as_str()) } else { (room.as_str(), "") };
            line.extend([before, cell, behind, " "]);
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Writes the counters of dropped entries and of defects by reason, those of components and levels, and the errors.
pub(super) fn reasons(total: &Stats, errors: &Errors, width: usize, out: &mut dyn Write) -> io::Result<()> {
    for (label, count, rest) in stats::details(total).into_iter().filter(|(_, count, _)| *count > 0) {
        write_folded(&format!("{label} {count}"), &rest, width, out)?;
    }
    let counts = ["components", "levels"].map(|label| (label, stats::named_counts(total, label)));
    for (label, text) in counts.into_iter().chain(errors::rows(errors)).filter(|(_, text)| !text.is_empty()) {
        write_folded(label, &text, width, out)?;
    }
    Ok(())
}

/// Writes a line of JSON for each input: its validity, its failures and its counters.
pub(super) fn lines(inputs: &[InputSummary], fail_on: Option<Severity>, out: &mut dyn Write) -> io::Result<()> {
    #[derive(Serialize)]
    struct Line<'s, C> {
        input: &'s str,
        valid: bool,
        format: &'s str,
        #[serde(skip_serializing_if = "Option::is_none")]
        worst: Option<&'s str>,
        failures: &'s [String],
        #[serde(skip_serializing_if = "Option::is_none")]
        exit: Option<u8>,
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        notices: &'s [String],
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<&'s str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        to: Option<&'s str>,
        #[serde(skip_serializing_if = "FirstFlaws::is_empty")]
        first: &'s FirstFlaws,
        #[serde(flatten)]
        counters: C,
    }
    for input in inputs {
        let line = Line {
            input: &input.name,
            valid: input.is_valid(fail_on),
            format: input.format(),
            worst: input.stats.worst().map(Severity::name),
            failures: &input.failures,
            exit: input.exit.map(Exit::code),
            notices: &input.notices,
            from: input.stats.first().map(UtcTimestamp::as_str),
            to: input.stats.last().map(UtcTimestamp::as_str),
            first: &input.first,
            counters: stats::counters(&input.stats),
        };
        let mut shown = Vec::new();
        escape_json(&serde_json::to_vec(&line).map_err(io::Error::other)?, &mut shown);
        shown.push(b'\n');
        out.write_all(&shown)?;
    }
    Ok(())
}

/// Writes `label: rest` in lines of at most `width` columns. `rest` is a list with commas. Further lines are indented.
fn write_folded(label: &str, rest: &str, width: usize, out: &mut dyn Write) -> io::Result<()> {
    let mut line = format!("{label}:");
    let mut parts = rest.split(", ").peekable();
    let mut first = true;
    while let Some(part) = parts.next() {
        let comma = if parts.peek().is_some() { "," } else { "" };
        if !first && line.width() + 1 + part.width() + comma.len() > width {
            writeln!(out, "{line}")?;
            line = " ".to_owned();
        }
        first = false;
        line.extend([" ", part, comma]);
    }
    writeln!(out, "{line}")
}

/// Shortens a text to a number of columns. Cuts from the middle, because the ends of paths tell them apart.
pub(super) fn shortened(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(1);
    let head = fitting(text.chars(), room / 3);
    let tail = fitting(text.chars().rev(), room - head.width());
    head + "…" + &tail.chars().rev().collect::<String>()
}

/// Returns the first characters that fit into a number of columns.
fn fitting(chars: impl Iterator<Item = char>, width: usize) -> String {
    let mut used = 0;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= width
    };
    chars.take_while(fits).collect()
}

/// Formats a span of time: with seconds within a minute, with minutes within a day, else with days only.
fn span(from: &str, to: &str) -> String {
    let part = |text: &str, from, to| text.get(from..to).unwrap_or_default().to_owned();
    let equal = |length| part(from, 0, length) == part(to, 0, length);
    let day = part(from, 0, 10);
    if !equal(10) {
        format!("{day}..{}", part(to, 0, 10))
    } else if !equal(16) {
        format!("{day} {}..{}", part(from, 11, 16), part(to, 11, 16))
    } else if !equal(19) {
        format!("{day} {}..{}", part(from, 11, 19), part(to, 17, 19))
    } else {
        format!("{day} {}", part(from, 11, 19))
    }
}

/// Formats a number below 10^11 in at most seven characters.
fn count(count: u64) -> String {
    if count < 10_000_000 { count.to_string() } else { format!("{}.{}M", count / 1_000_000, count / 100_000 % 10) }
}

/// Formats a number of bytes in at most six characters: `1.1K`.
fn short_size(bytes: u64) -> String {
    match scale(bytes, &["K", "M", "G", "T", "P"]) {
        Some((whole @ 0..10, tenths, unit)) => format!("{whole}.{tenths}{unit}"),
        Some((whole, _, unit)) => format!("{whole}{unit}"),
        None => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests;
