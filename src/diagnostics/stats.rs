//! Formats the counters of a run as text for people and as JSON for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};

use kata_records::Stats;
use kata_records::findings::Errors;
use kata_records::visible::escape_json;
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

use super::{StatsFormat, errors, hints, size};

/// Writes the counters in the given form.
///
/// # Errors
/// If `out` fails.
pub fn write_stats(stats: &Stats, errors: &Errors, format: StatsFormat, out: &mut dyn Write) -> io::Result<()> {
    #[derive(Serialize)]
    struct Line<C, E> {
        #[serde(flatten)]
        counters: C,
        #[serde(flatten)]
        errors: E,
    }
    match format {
        StatsFormat::Text | StatsFormat::Table => write_text(stats, errors, out),
        StatsFormat::Json => {
            let line = Line { counters: counters(stats), errors: errors::members(errors) };
            let mut shown = Vec::new();
            escape_json(&serde_json::to_vec(&line).map_err(io::Error::other)?, &mut shown);
            shown.push(b'\n');
            out.write_all(&shown)
        }
    }
}

fn write_text(stats: &Stats, errors: &Errors, out: &mut dyn Write) -> io::Result<()> {
    let width = stats.read.max(stats.written).to_string().len();
    let mut line = |label: &str, count: u64, rest: &str| {
        let text = format!("{label:<11}{count:>width$}{}{rest}", if rest.is_empty() { "" } else { "  " });
        writeln!(out, "{text}")
    };
    line("read", stats.read, &size(stats.bytes_in))?;
    line("written", stats.written, &size(stats.bytes_out))?;
    for (label, count, rest) in details(stats) {
        if count > 0 {
            line(label, count, &rest)?;
        }
    }
    for label in ["components", "levels"] {
        let counts = counts_of(stats, label).to_string();
        if !counts.is_empty() {
            writeln!(out, "{label:<11}{counts}")?;
        }
    }
    for (label, text) in errors::rows(errors) {
        writeln!(out, "{label:<10} {text}")?;
    }
    hints::write(stats, out)
}

/// Returns the counters that the text shows below `read` and `written`: label, count and reasons.
pub(super) fn details(stats: &Stats) -> [(&'static str, u64, String); 10] {
    [
        ("passed", stats.passed, "of others, unchanged".to_owned()),
        ("dropped", counts_of(stats, "dropped").total(), counts_of(stats, "dropped").to_string()),
        ("flawed", stats.flawed, failures(stats)),
        ("redacted", stats.redacted, "with secrets left out".to_owned()),
        ("suppressed", stats.suppressed, "by journald, never readable".to_owned()),
        ("damaged", stats.damaged(), counts_of(stats, "damage").to_string()),
        ("refused", stats.refused, "by every server, set aside".to_owned()),
        ("overflowed", stats.overflowed, "the spool was full, lost".to_owned()),
        (
            "vanished",
            stats.vanished_files,
            format!("log files before they were read, {} lost", size(stats.vanished_bytes)),
        ),
        ("errors", counts_of(stats, "errors").total(), counts_of(stats, "errors").to_string()),
    ]
}

/// Returns the counters as the members of a JSON object.
pub(super) fn counters(stats: &Stats) -> impl Serialize {
    #[derive(Serialize)]
    struct Counters<'s> {
        read: u64,
        written: u64,
        passed: u64,
        dropped: NamedCounts,
        flawed: u64,
        #[serde(skip_serializing_if = "is_zero")]
        redacted: u64,
        suppressed: u64,
        bytes_in: u64,
        bytes_out: u64,
        components: NamedCounts,
        levels: NamedCounts,
        #[serde(skip_serializing_if = "NamedCounts::is_empty")]
        errors: NamedCounts,
        flaws: NamedCounts,
        origins: NamedCounts,
        #[serde(skip_serializing_if = "NamedCounts::is_empty")]
        hints: NamedCounts,
        #[serde(skip_serializing_if = "is_zero")]
        refused: u64,
        #[serde(skip_serializing_if = "is_zero")]
        overflowed: u64,
        #[serde(skip_serializing_if = "is_zero")]
        vanished_files: u64,
        #[serde(skip_serializing_if = "is_zero")]
        vanished_bytes: u64,
        #[serde(skip_serializing_if = "is_zero")]
        members: u64,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        damage: &'s BTreeMap<&'static str, u64>,
    }
    Counters {
        read: stats.read,
        written: stats.written,
        passed: stats.passed,
        dropped: counts_of(stats, "dropped"),
        flawed: stats.flawed,
        redacted: stats.redacted,
        suppressed: stats.suppressed,
        bytes_in: stats.bytes_in,
        bytes_out: stats.bytes_out,
        components: counts_of(stats, "components"),
        levels: counts_of(stats, "levels"),
        errors: counts_of(stats, "errors"),
        flaws: counts_of(stats, "flaws"),
        origins: counts_of(stats, "origins"),
        hints: NamedCounts(stats.hints.counts().to_vec()),
        refused: stats.refused,
        overflowed: stats.overflowed,
        vanished_files: stats.vanished_files,
        vanished_bytes: stats.vanished_bytes,
        members: stats.members,
        damage: &stats.damage,
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Named counters. Zeros are not shown.
struct NamedCounts(Vec<(&'static str, u64)>);

/// Returns the counters of a part of [`Stats::parts`] as a list, without zeros.
#[must_use]
pub fn named_counts(stats: &Stats, part: &str) -> String {
    counts_of(stats, part).to_string()
}

/// Returns the counters of the flaws that make a record flawed as a list, without zeros.
#[must_use]
pub fn failures(stats: &Stats) -> String {
    NamedCounts(stats.failures()).to_string()
}

/// Returns the counters of a part of [`Stats::parts`].
fn counts_of(stats: &Stats, name: &str) -> NamedCounts {
    NamedCounts(stats.parts().into_iter().find(|(part, _)| *part == name).map(|(_, counts)| counts).unwrap_or_default())
}

impl NamedCounts {
    fn total(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    fn is_empty(&self) -> bool {
        self.total() == 0
    }

    fn shown(&self) -> impl Iterator<Item = &(&'static str, u64)> {
        self.0.iter().filter(|(_, count)| *count > 0)
    }
}

impl fmt::Display for NamedCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, count)) in self.shown().enumerate() {
            write!(f, "{}{name} {count}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl Serialize for NamedCounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, count) in self.shown() {
            map.serialize_entry(name, count)?;
        }
        map.end()
    }
}
