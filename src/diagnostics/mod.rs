//! What katalog says about itself: counters, their summary, and messages on standard error. Nothing else writes there.

mod inputs;
mod progress;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};

use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

use crate::component::Component;
use crate::flaw::Flaw;
use crate::record::{Facts, Level};
use crate::time::Stamp;

pub use inputs::Summary;
pub use progress::{Mode, Progress};

/// How the counters are shown at the end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatsFormat {
    /// A few aligned lines for people.
    Text,
    /// A line for each input. Where inputs are not told apart, it is the text.
    Table,
    /// One JSON object on one line.
    Json,
}

/// Why an entry was read and no record written for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Dropped {
    /// Neither its identifier nor its content is Kata's.
    Others,
    /// It is Kata's, but of a component that was not asked for.
    Component,
    /// A line with nothing in it.
    Blank,
    /// A line that `journalctl` prints between entries, such as the start of a boot.
    Marker,
    /// Another journal file has it too, and its copy was taken.
    Repeated,
}

impl Dropped {
    /// Every reason, in the order of the statistics.
    pub const ALL: &'static [Dropped] =
        &[Dropped::Others, Dropped::Component, Dropped::Blank, Dropped::Marker, Dropped::Repeated];

    /// The name that stands in the statistics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Dropped::Others => "others",
            Dropped::Component => "component",
            Dropped::Blank => "blank",
            Dropped::Marker => "marker",
            Dropped::Repeated => "repeated",
        }
    }
}

/// The counters of a run, or of one batch of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    read: u64,
    written: u64,
    passed: u64,
    flawed: u64,
    suppressed: u64,
    refused: u64,
    overflowed: u64,
    members: u64,
    bytes_in: u64,
    bytes_out: u64,
    encoded: u64,
    /// The first and the last `kata_time`.
    span: Option<(Stamp, Stamp)>,
    dropped: [u64; Dropped::ALL.len()],
    components: [u64; Component::ALL.len()],
    levels: [u64; Level::ALL.len()],
    flaws: [u64; Flaw::ALL.len()],
    damage: BTreeMap<&'static str, u64>,
    /// The time of the last record.
    latest: Option<Stamp>,
}

impl Stats {
    /// Counts one entry of the input.
    pub fn read(&mut self, bytes: usize) {
        self.read += 1;
        self.bytes_in += bytes as u64;
    }

    /// Counts one record, by what katalog says about it; none for an entry of others that passes unchanged.
    pub fn wrote(&mut self, facts: Option<&Facts>) {
        self.written += 1;
        let Some(facts) = facts else {
            self.passed += 1;
            return;
        };
        self.components[facts.component as usize] += 1;
        if let Some(time) = &facts.time {
            self.saw(time);
            self.latest = Some(*time);
        }
        if let Some(level) = facts.level {
            self.levels[level as usize] += 1;
        }
        if !facts.flaws.is_empty() {
            self.flawed += 1;
            for flaw in facts.flaws.iter() {
                self.flaws[flaw as usize] += 1;
            }
        }
    }

    /// Extends the span by a time.
    #[inline]
    fn saw(&mut self, time: &Stamp) {
        match &mut self.span {
            // Mostly they come in their order.
            Some((_, last)) if *time > *last => *last = *time,
            Some((first, _)) if *time < *first => *first = *time,
            Some(_) => {}
            None => self.span = Some((*time, *time)),
        }
    }

    /// The first and the last `kata_time` of records, whatever their order; none if no record has one.
    #[must_use]
    pub fn span(&self) -> Option<&(Stamp, Stamp)> {
        self.span.as_ref()
    }

    /// Counts one entry that no record was written for.
    pub fn dropped(&mut self, reason: Dropped) {
        self.dropped[reason as usize] += 1;
    }

    /// Counts entries that it was not necessary to read.
    pub fn passed_over(&mut self, reason: Dropped, entries: u64) {
        self.read += entries;
        self.dropped[reason as usize] += entries;
    }

    /// Counts what of an input could not be read.
    pub fn damage(&mut self, reason: &'static str, count: u64) {
        *self.damage.entry(reason).or_default() += count;
    }

    /// How much of the inputs could not be read, in fields, entries and whatever else is damaged.
    #[must_use]
    pub fn damaged(&self) -> u64 {
        self.damage.values().sum()
    }

    /// Counts messages that journald says it threw away before anybody could read them.
    pub fn suppressed(&mut self, messages: u64) {
        self.suppressed += messages;
    }

    /// Counts bytes that the receiver has.
    pub fn delivered(&mut self, bytes: u64) {
        self.bytes_out += bytes;
    }

    /// Counts bytes of records that are on their way to the receiver.
    pub fn encoded(&mut self, bytes: usize) {
        self.encoded += bytes as u64;
    }

    /// Counts records that no receiver took.
    pub fn refused(&mut self, records: u64) {
        self.refused += records;
    }

    /// Counts records for which there was no room in the spool.
    pub fn overflowed(&mut self, records: u64) {
        self.overflowed += records;
    }

    /// Counts a member of an archive that is no log.
    pub fn member_passed(&mut self) {
        self.members += 1;
    }

    /// How many entries were read.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.read
    }

    /// How many records were written.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// How many of the records have flaws.
    #[must_use]
    pub fn flawed(&self) -> u64 {
        self.flawed
    }

    /// The time of the last record that has one.
    #[must_use]
    pub fn latest(&self) -> Option<Stamp> {
        self.latest
    }

    /// The counters without parts: a name, and what it comes to.
    #[must_use]
    pub fn totals(&self) -> [(&'static str, u64); 9] {
        [
            ("read", self.read),
            ("written", self.written),
            ("passed", self.passed),
            ("flawed", self.flawed),
            ("suppressed", self.suppressed),
            ("refused", self.refused),
            ("overflowed", self.overflowed),
            ("bytes_in", self.bytes_in),
            ("bytes_out", self.bytes_out),
        ]
    }

    /// The counters with parts, zeros too: what they are parts of, their names, and what they come to.
    #[must_use]
    pub fn parts(&self) -> [(&'static str, Vec<(&'static str, u64)>); 5] {
        [
            ("dropped", self.reasons().all().collect()),
            ("components", self.components().all().collect()),
            ("levels", self.levels().all().collect()),
            ("flaws", self.flaws().all().collect()),
            ("damage", self.damage.iter().map(|(reason, count)| (*reason, *count)).collect()),
        ]
    }

    /// Adds the counters of another part of the run.
    pub fn merge(&mut self, other: &Stats) {
        self.combine(other, u64::saturating_add);
        if let Some((first, last)) = &other.span {
            self.saw(first);
            self.saw(last);
        }
        self.latest = other.latest.or(self.latest);
    }

    /// Takes back what was counted. Times stay: what is taken back was counted twice.
    pub fn take_back(&mut self, counted: &Stats) {
        self.combine(counted, u64::saturating_sub);
    }

    fn combine(&mut self, other: &Stats, with: fn(u64, u64) -> u64) {
        let Stats {
            read,
            written,
            passed,
            flawed,
            suppressed,
            refused,
            overflowed,
            members,
            bytes_in,
            bytes_out,
            encoded,
            span: _,
            dropped,
            components,
            levels,
            flaws,
            damage,
            latest: _,
        } = other;
        for (count, other) in [
            (&mut self.read, read),
            (&mut self.written, written),
            (&mut self.passed, passed),
            (&mut self.flawed, flawed),
            (&mut self.suppressed, suppressed),
            (&mut self.refused, refused),
            (&mut self.overflowed, overflowed),
            (&mut self.members, members),
            (&mut self.bytes_in, bytes_in),
            (&mut self.bytes_out, bytes_out),
            (&mut self.encoded, encoded),
        ] {
            *count = with(*count, *other);
        }
        let lists: [(&mut [u64], &[u64]); 4] = [
            (&mut self.dropped, dropped),
            (&mut self.components, components),
            (&mut self.levels, levels),
            (&mut self.flaws, flaws),
        ];
        for (count, other) in lists.into_iter().flat_map(|(counts, others)| counts.iter_mut().zip(others)) {
            *count = with(*count, *other);
        }
        for (reason, other) in damage {
            let count = self.damage.entry(reason).or_default();
            *count = with(*count, *other);
        }
    }

    /// Writes the summary in the given form.
    ///
    /// # Errors
    /// If `out` fails.
    pub fn write(&self, format: StatsFormat, out: &mut dyn Write) -> io::Result<()> {
        match format {
            StatsFormat::Text | StatsFormat::Table => self.write_text(out),
            StatsFormat::Json => self.write_json(out),
        }
    }

    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let width = self.read.max(self.written).to_string().len();
        let mut line = |label: &str, count: u64, rest: &str| {
            let text = format!("{label:<11}{count:>width$}{}{rest}", if rest.is_empty() { "" } else { "  " });
            writeln!(out, "{text}")
        };
        line("read", self.read, &size(self.bytes_in))?;
        line("written", self.written, &size(self.bytes_out))?;
        for (label, count, rest) in self.asides() {
            if count > 0 {
                line(label, count, &rest)?;
            }
        }
        for (label, counts) in [("components", self.components().to_string()), ("levels", self.levels().to_string())] {
            if !counts.is_empty() {
                writeln!(out, "{label:<11}{counts}")?;
            }
        }
        Ok(())
    }

    /// What is to be said beside the numbers of entries and records, with its count and its reasons.
    fn asides(&self) -> [(&'static str, u64, String); 7] {
        let damage: Vec<String> = self.damage.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        [
            ("passed", self.passed, "of others, unchanged".to_owned()),
            ("dropped", self.dropped.iter().sum(), self.reasons().to_string()),
            ("flawed", self.flawed, self.flaws().to_string()),
            ("suppressed", self.suppressed, "by journald, never readable".to_owned()),
            ("damaged", self.damaged(), damage.join(", ")),
            ("refused", self.refused, "by every server, set aside".to_owned()),
            ("overflowed", self.overflowed, "the spool was full, lost".to_owned()),
        ]
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut line = serde_json::to_vec(&self.counters()).map_err(io::Error::other)?;
        line.push(b'\n');
        out.write_all(&line)
    }

    /// The counters as the members of a JSON object.
    fn counters(&self) -> impl Serialize {
        #[derive(Serialize)]
        struct Counters<'s> {
            read: u64,
            written: u64,
            passed: u64,
            dropped: Counts<'s>,
            flawed: u64,
            suppressed: u64,
            bytes_in: u64,
            bytes_out: u64,
            components: Counts<'s>,
            levels: Counts<'s>,
            flaws: Counts<'s>,
            #[serde(skip_serializing_if = "is_zero")]
            refused: u64,
            #[serde(skip_serializing_if = "is_zero")]
            overflowed: u64,
            #[serde(skip_serializing_if = "is_zero")]
            members: u64,
            #[serde(skip_serializing_if = "BTreeMap::is_empty")]
            damage: &'s BTreeMap<&'static str, u64>,
        }
        Counters {
            read: self.read,
            written: self.written,
            passed: self.passed,
            dropped: self.reasons(),
            flawed: self.flawed,
            suppressed: self.suppressed,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            components: self.components(),
            levels: self.levels(),
            flaws: self.flaws(),
            refused: self.refused,
            overflowed: self.overflowed,
            members: self.members,
            damage: &self.damage,
        }
    }

    fn reasons(&self) -> Counts<'_> {
        Counts { name: |index| Dropped::ALL.get(index).map_or("", |reason| reason.name()), counts: &self.dropped }
    }

    fn components(&self) -> Counts<'_> {
        Counts {
            name: |index| Component::ALL.get(index).map_or("", |component| component.name()),
            counts: &self.components,
        }
    }

    fn levels(&self) -> Counts<'_> {
        Counts { name: |index| Level::ALL.get(index).map_or("", |level| level.name()), counts: &self.levels }
    }

    fn flaws(&self) -> Counts<'_> {
        Counts { name: |index| Flaw::ALL.get(index).map_or("", |flaw| flaw.name()), counts: &self.flaws }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Counters with their names. Zeros are not shown.
struct Counts<'s> {
    name: fn(usize) -> &'static str,
    counts: &'s [u64],
}

impl Counts<'_> {
    fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.counts.iter().enumerate().map(|(index, count)| ((self.name)(index), *count))
    }

    fn shown(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.all().filter(|(_, count)| *count > 0)
    }
}

impl fmt::Display for Counts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, count)) in self.shown().enumerate() {
            write!(f, "{}{name} {count}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl Serialize for Counts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, count) in self.shown() {
            map.serialize_entry(name, &count)?;
        }
        map.end()
    }
}

/// A number of bytes for people.
fn size(bytes: u64) -> String {
    let (mut unit, mut whole, mut rest) = ("B", bytes, 0);
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if whole < 1024 {
            break;
        }
        (unit, rest, whole) = (larger, whole % 1024, whole / 1024);
    }
    if unit == "B" { format!("{whole} {unit}") } else { format!("{whole}.{} {unit}", rest * 10 / 1024) }
}

/// Prints one message on standard error. A message that cannot be printed is given up: there is nobody left to tell.
pub fn report(message: fmt::Arguments<'_>) {
    let text = harmless(&message.to_string());
    print(|out| writeln!(out, "katalog: {}", text.trim_end()));
}

/// Prints the messages of a worker, one a line.
pub fn notes(notes: &[u8]) {
    if !notes.is_empty() {
        let text = String::from_utf8_lossy(notes);
        print(|out| text.lines().try_for_each(|line| writeln!(out, "katalog: {}", harmless(line))));
    }
}

/// Prints the summary of a run on standard error.
pub fn summary(stats: &Stats, inputs: &[Summary], format: StatsFormat) {
    let width = progress::width();
    print(|out| match format {
        StatsFormat::Table => {
            inputs::table(inputs, stats, width, out)?;
            inputs::reasons(stats, width, out)
        }
        StatsFormat::Text | StatsFormat::Json => stats.write(format, out),
    });
}

/// Prints on standard error what inputs are like that were only checked.
pub fn checked(stats: &Stats, inputs: &[Summary], format: StatsFormat) {
    let width = progress::width();
    print(|out| match format {
        StatsFormat::Json => inputs::lines(inputs, out),
        StatsFormat::Text | StatsFormat::Table => {
            inputs::table(inputs, stats, width, out)?;
            inputs::findings(inputs, width, out)
        }
    });
}

/// Prints as a whole, beside the progress.
fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
    let mut text = Vec::new();
    // Writing to memory does not fail.
    let _ = write(&mut text);
    progress::beside(|| _ = io::stderr().lock().write_all(&text));
}

/// A message may quote a file name or a piece of a log, and neither may drive the terminal.
fn harmless(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' {
            harmless.extend(c.escape_default());
        } else {
            harmless.push(c);
        }
    }
    harmless
}

#[cfg(test)]
mod tests;
