//! Prints the result of a check: a row for each input with its flaws, and the verdict.

use std::io::{self, Write};

use kata_records::flaw::Severity;
use kata_records::visible::escape;
use unicode_width::UnicodeWidthStr as _;

use super::first_flaws::grouped;
use super::inputs::{InputSummary, shortened};
use crate::exit::Exit;

/// The end of a check.
#[derive(Clone, Copy, Debug)]
pub struct CheckEnd {
    /// The least severity of flaws that fail the check.
    pub fail_on: Option<Severity>,
    /// The exit code.
    pub exit: Exit,
    /// The number of inputs that could not be opened, so that they have no row.
    pub unopened: usize,
}

/// The columns before that of the flaws.
const COLUMNS: usize = 4;
const HEADINGS: [&str; COLUMNS] = ["input", "format", "records", "worst"];
/// The blanks between columns.
const GAP: usize = 2;
/// The minimum width of the column of names.
const MIN_NAME_WIDTH: usize = 8;
/// The width of the column of flaws for which names are cut.
const FLAWS_WIDTH: usize = 36;

/// Writes a row for each input. Each flaw has a line, the worst ones first.
pub(super) fn table(inputs: &[InputSummary], width: usize, out: &mut dyn Write) -> io::Result<()> {
    let mut rows = vec![(HEADINGS.map(str::to_owned), vec!["flaws".to_owned()])];
    rows.extend(inputs.iter().map(|input| (cells(input), flaws(input))));
    let mut widths = [0; COLUMNS];
    for (cells, _) in &rows {
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = cell.width().max(*width);
        }
    }
    let longest = rows.iter().flat_map(|(_, flaws)| flaws).map(|flaw| flaw.width()).max().unwrap_or_default();
    let [name, others @ ..] = &mut widths;
    let taken = others.iter().map(|width| width + GAP).sum::<usize>() + GAP + longest.min(FLAWS_WIDTH);
    *name = (*name).min(width.saturating_sub(taken)).max(MIN_NAME_WIDTH);
    let indent = widths.iter().map(|width| width + GAP).sum::<usize>();
    let room = width.saturating_sub(indent).max(FLAWS_WIDTH);
    for (cells, flaws) in rows {
        let [name, format, records, worst] = cells;
        let [name_width, format_width, records_width, worst_width] = widths;
        let name = shortened(&name, name_width);
        let blanks = " ".repeat(name_width.saturating_sub(name.width()));
        let head =
            format!("{name}{blanks}  {format:<format_width$}  {records:>records_width$}  {worst:<worst_width$}  ");
        let lines = flaws.iter().flat_map(|flaw| wrapped(flaw, room));
        for (at, line) in lines.enumerate() {
            let before = if at == 0 { head.clone() } else { " ".repeat(indent) };
            writeln!(out, "{}", format!("{before}{line}").trim_end())?;
        }
    }
    Ok(())
}

/// Returns the cells of an input before its flaws.
fn cells(input: &InputSummary) -> [String; COLUMNS] {
    let worst = match input.stats.worst() {
        _ if !input.failures.is_empty() => "FAILED",
        Some(Severity::Damage) => "DAMAGE",
        Some(severity) => severity.name(),
        None => "ok",
    };
    let records = input.stats.written - input.stats.passed;
    [escape(input.name.as_bytes()).into_owned(), input.format().to_owned(), grouped(records), worst.to_owned()]
}

/// Returns the failures, the damage and the flaws of an input; `-` if it has none.
fn flaws(input: &InputSummary) -> Vec<String> {
    let mut lines: Vec<String> = input.failures.iter().map(|failure| escape(failure.as_bytes()).into_owned()).collect();
    for (flaw, count) in input.stats.worst_first() {
        let first = input.first.shown(flaw).map(|first| format!(", {first}")).unwrap_or_default();
        lines.push(format!("{} {flaw}{first}", grouped(count)));
    }
    if lines.is_empty() {
        lines.push("-".to_owned());
    }
    lines
}

/// Breaks a line at blanks, so that no part is wider than `width`, unless a word is. Further parts are indented.
fn wrapped(line: &str, width: usize) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for word in line.split(' ') {
        match parts.last_mut() {
            Some(part) if part.width() + 1 + word.width() <= width => {
                part.push(' ');
                part.push_str(word);
            }
            Some(_) => parts.push(format!("  {word}")),
            None => parts.push(word.to_owned()),
        }
    }
    parts
}

/// Writes doubts about the inputs, and how many are sound.
pub(super) fn verdict(inputs: &[InputSummary], end: &CheckEnd, out: &mut dyn Write) -> io::Result<()> {
    for notice in inputs.iter().flat_map(|input| &input.notices) {
        writeln!(out, "{}", escape(notice.as_bytes()))?;
    }
    let failed = inputs.iter().filter(|input| !input.failures.is_empty()).count() + end.unopened;
    let read = || inputs.iter().filter(|input| input.failures.is_empty());
    let with = |severity| read().filter(|input| input.stats.worst() == Some(severity)).count();
    let counts = [
        (failed, "cannot be read", "cannot be read"),
        (with(Severity::Damage), "is damaged", "are damaged"),
        (with(Severity::Notice), "has notices", "have notices"),
        (with(Severity::Information), "has flaws that only inform", "have flaws that only inform"),
    ];
    let total = inputs.len() + end.unopened;
    let mut found = String::new();
    for (count, one, many) in counts.into_iter().filter(|(count, ..)| *count > 0) {
        let of = if found.is_empty() {
            format!(" of {total} input{}", if total == 1 { "" } else { "s" })
        } else {
            String::new()
        };
        let comma = if found.is_empty() { "" } else { ", " };
        found.push_str(&format!("{comma}{count}{of} {}", if count == 1 { one } else { many }));
    }
    if found.is_empty() {
        found = if total == 1 { "the input is ok".to_owned() } else { format!("all {total} inputs are ok") };
    }
    if inputs.iter().all(|input| input.stats.written == 0) {
        found.push_str("; no record was written");
    }
    let milder =
        read().filter_map(|input| input.stats.worst()).filter(|worst| end.fail_on.is_none_or(|least| *worst < least));
    let stricter = milder.max().map(|worst| format!("; --fail-on {} is stricter", worst.name())).unwrap_or_default();
    writeln!(out, "check: {found} (exit {}{stricter})", end.exit.code())
}

#[cfg(test)]
mod tests;
