//! Prints the known failures, or the help on those that a text reports.

use std::ffi::OsString;
use std::io::{self, BufRead, IsTerminal as _};

use kata_records::{Rules, Settings};

use super::error::AppError;
use crate::cli;
use crate::diagnostics::{self, report};
use crate::exit::Exit;
use crate::explain::{Explainer, LineExplainer, Pattern, Verdict, help, list};

/// The bytes of a line that are compared. A record is no longer by default.
const LONGEST_LINE: usize = 1 << 20;

/// The characters of a text that a message repeats.
const SHOWN: usize = 60;

/// The failures that lines report, in the order of their first lines.
#[derive(Debug, Default)]
struct Findings<'e> {
    /// Each pattern with the number of its lines and the number of the first of them.
    known: Vec<(&'e Pattern, u64, u64)>,
    /// The number of lines.
    lines: u64,
    /// The number of lines that guests and containers wrote.
    not_of_host: u64,
}

impl<'e> Findings<'e> {
    fn add(&mut self, verdict: Verdict<'e>) {
        self.lines += 1;
        match verdict {
            Verdict::Known(pattern) => match self.known.iter_mut().find(|(known, ..)| known.id == pattern.id) {
                Some((_, count, _)) => *count += 1,
                None => self.known.push((pattern, 1, self.lines)),
            },
            Verdict::NotOfHost => self.not_of_host += 1,
            Verdict::Unknown => {}
        }
    }

    /// Returns the reason that nothing is explained, behind the name of the text.
    fn reason(&self) -> &'static str {
        if self.not_of_host > 0 && self.not_of_host == self.lines {
            "a guest or a container wrote it, and katalog explains only what the host says; type the text alone to look it up"
        } else {
            "no known failure; `katalog explain` lists them"
        }
    }
}

/// Runs the command: lists the patterns without words, else explains the text that the words make.
pub(super) fn explain(words: &[OsString]) -> Result<Exit, AppError> {
    let explainer = Explainer::new()?;
    let columns = io::stdout().is_terminal().then(|| diagnostics::columns(io::stdout()));
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    let text = words.join(" ");
    if words.is_empty() {
        return Ok(cli::print(list(explainer.patterns(), columns).as_bytes()));
    }
    if let Some(pattern) = explainer.of_id(text.trim()) {
        return Ok(cli::print(help(pattern, None, columns).as_bytes()));
    }
    let rules = Rules::new(&Settings::default())?;
    let mut lines = LineExplainer::new(&explainer, &rules);
    let is_stdin = text == "-";
    let findings = if is_stdin {
        match of_lines(&mut io::stdin().lock(), &mut lines) {
            Ok(findings) => findings,
            Err(error) => {
                report(format_args!("cannot read standard input: {error}"));
                return Ok(Exit::Io);
            }
        }
    } else {
        of_text(&text, &mut lines)
    };
    if findings.known.is_empty() {
        let reason = findings.reason();
        match is_stdin {
            true => report(format_args!("standard input, {}: {reason}", number(findings.lines))),
            false => report(format_args!("\"{}\": {reason}", beginning(&text))),
        }
        return Ok(Exit::Unsatisfied);
    }
    let parts: Vec<String> = findings
        .known
        .iter()
        .map(|(pattern, count, first)| help(pattern, is_stdin.then(|| places(*count, *first)).as_deref(), columns))
        .collect();
    Ok(cli::print(parts.join("\n").as_bytes()))
}

/// Returns the failures that a text reports: as a whole, or in its lines.
fn of_text<'e>(text: &str, lines: &mut LineExplainer<'e>) -> Findings<'e> {
    let mut findings = Findings::default();
    let whole = lines.explain(text.as_bytes());
    if matches!(whole, Verdict::Known(_)) || text.trim().lines().count() < 2 {
        findings.add(whole);
    } else {
        text.lines().for_each(|line| findings.add(lines.explain(line.as_bytes())));
    }
    findings
}

/// Returns the failures that the lines of a reader report.
fn of_lines<'e>(reader: &mut impl BufRead, lines: &mut LineExplainer<'e>) -> io::Result<Findings<'e>> {
    let mut findings = Findings::default();
    let mut line = Vec::new();
    while read_line(reader, &mut line)? {
        findings.add(lines.explain(&line));
    }
    Ok(findings)
}

/// Reads a line without its line end, up to the limit, and skips the rest of it. Returns false at the end.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let mut has_bytes = false;
    loop {
        let bytes = match reader.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            bytes => bytes?,
        };
        if bytes.is_empty() {
            return Ok(has_bytes);
        }
        has_bytes = true;
        let end = memchr::memchr(b'\n', bytes);
        let content = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
        line.extend(content.iter().take(LONGEST_LINE - line.len()));
        let used = end.map_or(bytes.len(), |end| end + 1);
        reader.consume(used);
        if end.is_some() {
            return Ok(true);
        }
    }
}

/// Returns the beginning of a text, for a message, which escapes it.
fn beginning(text: &str) -> String {
    let mut characters = text.chars();
    let mut shown: String = characters.by_ref().take(SHOWN).collect();
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

/// Returns the places of a failure in words.
fn places(count: u64, first: u64) -> String {
    match count {
        1 => format!("line {first}"),
        _ => format!("{}, first line {first}", number(count)),
    }
}

/// Returns a number of lines in words.
fn number(lines: u64) -> String {
    if lines == 1 { "1 line".to_owned() } else { format!("{lines} lines") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_at_the_limit_and_at_any_buffer() {
        let long = "x".repeat(LONGEST_LINE + 10);
        let text = format!("a\n\n{long}\nlast");
        for capacity in [1, 7, 1 << 16] {
            let mut reader = io::BufReader::with_capacity(capacity, text.as_bytes());
            let (mut line, mut lengths) = (Vec::new(), Vec::new());
            while read_line(&mut reader, &mut line).unwrap() {
                lengths.push(line.len());
            }
            assert_eq!(lengths, [1, 0, LONGEST_LINE, 4], "{capacity}");
        }
    }

    #[test]
    fn the_beginning_of_a_text_is_shown() {
        assert_eq!(beginning("short"), "short");
        assert_eq!(beginning(&"é".repeat(SHOWN)), "é".repeat(SHOWN));
        assert_eq!(beginning(&"é".repeat(SHOWN + 1)), "é".repeat(SHOWN) + "…");
    }
}
