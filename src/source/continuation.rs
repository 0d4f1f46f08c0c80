//! Marks entries that may be the rest of another one, and entries that follow a print of secrets that was cut.
//!
//! Writers and managers cut long lines: journald at 48 KiB, containerd when it copies the output of shims. A rest can
//! begin like any line. So a line counts as whole if it proves itself by its beginning; only for any other line the
//! previous one of its stream is looked at. Lines that prove themselves are never searched.
//!
//! The marks depend on the entries and their order alone, not on batches. The state after a batch is part of the
//! position of a file.

mod entry;
mod line;

use kata_records::origin::{Continuation, Route};
use kata_records::{Batch, Frame, Framing};
use memchr::memchr_iter;

use super::journal_text::{self, FieldValue};
use super::position::{OpenStream, Print};
use super::route::is_terminal_line;
use entry::EntryFields;
pub(super) use line::has_syslog_head;
use line::{KnownHeads, Line, begins_record, begins_whole};

/// The limit of text withheld after one print, in bytes. No print of a container's specification is longer.
const MAX_WITHHELD: u32 = 1 << 20;
/// The number of streams whose state is kept.
const MAX_STREAMS: usize = 64;
/// The number of lines in which the previous line of a stream is searched for.
const LOOK_BACK: u32 = 8;
/// The length from which the text of a journal entry is searched although journald did not mark it as cut: systemd
/// before 235 cut lines of 2 KiB.
const LONG_ENTRY: usize = 2048;

/// The stream of lines without a head.
const PLAIN: u64 = 0;
/// The streams of lines of a container: two each for CRI and for Docker.
const CONTAINER: std::ops::Range<u64> = 1..5;
/// All streams whose state was dropped.
const OTHERS: u64 = u64::MAX;

/// The rules of records that the marks depend on.
#[derive(Clone, Copy, Debug)]
pub struct Judge {
    /// Returns whether a text ends inside a print of secrets.
    pub leaves_open: fn(&[u8]) -> bool,
    /// Returns whether a text begins as only a whole line can.
    pub proves_itself: fn(&[u8]) -> bool,
    /// Returns whether an identifier is that of a container manager, whose lines may be cut.
    pub is_manager: fn(&[u8]) -> bool,
    /// Returns whether a text is a record that katalog wrote.
    pub is_record: fn(&[u8]) -> bool,
}

impl Default for Judge {
    fn default() -> Self {
        Judge { leaves_open: |_| false, proves_itself: begins_record, is_manager: |_| true, is_record: |_| false }
    }
}

/// The marker of the entries of one input.
pub(super) struct Continuations {
    judge: Judge,
    /// The streams with a state, the least recently changed first.
    open: Vec<OpenStream>,
    /// The heads of recent lines.
    heads: KnownHeads,
    /// Returns whether a text begins like a whole line of this input.
    begins: fn(&[u8]) -> bool,
    /// No entry was marked yet.
    is_new: bool,
    /// The decoded text of an entry.
    text: Vec<u8>,
}

/// An entry as far as its stream matters.
enum Kind<'b> {
    /// An entry of the journal.
    Entry,
    /// A line.
    Line(Line<'b>),
}

/// Returns the index of the next line from `from` on that does not begin like a whole line of logrus or slog.
fn skip_records(batch: &Batch, from: usize) -> usize {
    let frames = batch.frames.get(from..).unwrap_or_default();
    let is_record = |frame: &Frame| {
        let bytes = batch.arena.get(frame.start as usize..).and_then(<[u8]>::first_chunk::<16>);
        frame.framing == Framing::Line && bytes.is_some_and(begins_whole)
    };
    frames.iter().position(|frame| !is_record(frame)).map_or(batch.frames.len(), |skipped| from + skipped)
}

impl Continuations {
    /// Creates the marker for an input. `open` is the state after the entries before it, which `is_new` says there are
    /// none of.
    pub(super) fn new(judge: Judge, open: Vec<OpenStream>, is_new: bool) -> Continuations {
        Continuations { judge, open, heads: KnownHeads::default(), begins: begins_record, is_new, text: Vec::new() }
    }

    /// Returns the state after the entries marked so far.
    pub(super) fn open_streams(&self) -> &[OpenStream] {
        &self.open
    }

    /// Marks the entries of a batch.
    pub(super) fn mark(&mut self, batch: &mut Batch) {
        // A container's own lines are not the host's, whatever they continue.
        if batch.frames.is_empty() || batch.route == Route::Container {
            return;
        }
        if std::mem::take(&mut self.is_new) {
            self.begin(batch.route);
        }
        self.begins = if batch.route == Route::Terminal { begins_at_terminal } else { begins_record };
        let is_journal = batch.route == Route::Journal;
        let no_cuts = is_journal && !holds_line_break(&batch.arena[..batch.filled]);
        let mut next = 0;
        while next < batch.frames.len() {
            if self.open.is_empty() {
                next = skip_records(batch, next);
            }
            let index = next;
            next += 1;
            if index >= batch.frames.len() {
                break;
            }
            if index == LOOK_BACK as usize {
                // No line of an earlier batch is near enough any more, so that clean lines pass without a look again.
                self.open.retain(|stream| !matches!(stream.print, Print::Ended { .. } | Print::First { .. }));
            }
            let frame = &batch.frames[index];
            let bytes = batch.bytes_of(frame);
            if self.open.is_empty() {
                let is_clean = (self.begins)(bytes) || self.heads.precede_record(bytes);
                let is_entry = frame.framing == Framing::Export || matches!(bytes.first(), Some(b'{' | 0x1e));
                let is_short = is_journal && is_entry && bytes.len() < LONG_ENTRY && !frame.truncated;
                if is_clean || is_short && (no_cuts || !holds_line_break(bytes)) {
                    continue;
                }
            }
            let mark = match self.classify(frame, bytes, is_journal) {
                Kind::Entry => self.entry(frame, bytes),
                Kind::Line(line) => {
                    let is_record = matches!(line.text, FieldValue::Bytes(text) if begins_record(text));
                    if is_record && let Some(head) = line.head {
                        self.heads.add(head);
                    }
                    if is_record && self.open.is_empty() || self.is_foreign(&line) {
                        continue;
                    }
                    self.line(batch, index, &line)
                }
            };
            batch.frames[index].continuation = mark;
        }
        self.end_batch(batch);
    }

    /// Sets the state before the first entry. The beginning of a file can be the rest of a line that began in the file
    /// before it.
    fn begin(&mut self, route: Route) {
        match route {
            Route::Manager => self.set(PLAIN, false, Print::Withheld { bytes: 0 }),
            Route::TrustedPod => CONTAINER.for_each(|stream| self.set(stream, false, Print::First { lines: 0 })),
            _ => {}
        }
    }

    fn classify<'b>(&self, frame: &Frame, bytes: &'b [u8], is_journal: bool) -> Kind<'b> {
        let is_entry = match frame.framing {
            Framing::Export => true,
            Framing::JoinedLine => false,
            Framing::Line if is_journal => journal_text::object(bytes).is_some(),
            Framing::Line => bytes.first() == Some(&b'{') && journal_text::is_json_entry(bytes),
        };
        if is_entry {
            return Kind::Entry;
        }
        Kind::Line(Line::read(bytes))
    }

    /// Returns whether a line is that of a program whose lines are not cut.
    fn is_foreign(&self, line: &Line<'_>) -> bool {
        line.stream.identifier().is_some_and(|identifier| !(self.judge.is_manager)(identifier))
    }

    /// Returns a frame as a line that another one can continue.
    fn line_of<'b>(&self, batch: &'b Batch, frame: &Frame) -> Option<Line<'b>> {
        match self.classify(frame, batch.bytes_of(frame), batch.route == Route::Journal) {
            Kind::Line(line) if !self.is_foreign(&line) => Some(line),
            Kind::Line(_) | Kind::Entry => None,
        }
    }

    /// Returns the mark of a line.
    fn line(&mut self, batch: &Batch, index: usize, line: &Line<'_>) -> Continuation {
        let print = if self.open.is_empty() {
            Print::None
        } else {
            self.find(line.stream.number()).map_or(Print::None, |stream| stream.print)
        };
        // Where no stream has a state, such a line passes without a look. So it ends a print wherever a batch ends.
        let passes = !matches!(print, Print::First { .. }) && self.ask(line.text, self.begins);
        if passes || self.ask(line.text, self.judge.proves_itself) {
            if !self.open.is_empty() {
                self.remove(line.stream.number());
                // A line without a head would continue this one.
                self.remove(PLAIN);
            }
            return Continuation::Whole;
        }
        let stream = line.stream.number();
        match print {
            Print::Withheld { bytes } => self.withhold(stream, bytes, line.text.length()),
            Print::First { lines } if lines as usize + index < LOOK_BACK as usize => {
                self.remove(stream);
                return Continuation::Rest;
            }
            _ if self.follows_print(batch, index, stream) => {
                self.withhold(stream, 0, line.text.length());
            }
            _ => match self.find(OTHERS).map(|stream| stream.print) {
                Some(Print::Withheld { bytes }) => self.withhold(OTHERS, bytes, line.text.length()),
                _ => return Continuation::Whole,
            },
        }
        Continuation::Withheld
    }

    /// Returns whether the previous line of a stream ends inside a print.
    fn follows_print(&mut self, batch: &Batch, index: usize, stream: u64) -> bool {
        let reach = if stream == PLAIN { 1 } else { LOOK_BACK };
        for back in 1..=reach {
            let Some(frame) = index.checked_sub(back as usize).and_then(|at| batch.frames.get(at)) else { break };
            // A line without a head continues any line.
            let reaches = |line: &Line<'_>| stream == PLAIN || line.stream.number() == stream;
            if let Some(line) = self.line_of(batch, frame).filter(reaches) {
                return self.ask(line.text, self.judge.leaves_open);
            }
        }
        match self.find(stream).map(|stream| stream.print) {
            Some(Print::Ended { lines }) => lines as usize + index < reach as usize,
            _ => false,
        }
    }

    /// Looks at the last lines of a batch, because the next batch cannot.
    fn end_batch(&mut self, batch: &Batch) {
        let count = u32::try_from(batch.frames.len()).unwrap_or(u32::MAX);
        self.open.retain_mut(|stream| match &mut stream.print {
            Print::Ended { lines } | Print::First { lines } => {
                *lines = lines.saturating_add(count);
                *lines < LOOK_BACK
            }
            _ => true,
        });
        let mut seen = [PLAIN; LOOK_BACK as usize];
        for (lines, frame) in (0..LOOK_BACK).zip(batch.frames.iter().rev()) {
            let Some(line) = self.line_of(batch, frame) else { continue };
            let number = line.stream.number();
            let is_plain = number == PLAIN;
            if is_plain && lines > 0 || !is_plain && seen.contains(&number) {
                continue;
            }
            if let Some(place) = seen.get_mut(lines as usize) {
                *place = number;
            }
            let print = if self.ask(line.text, self.judge.leaves_open) { Print::Ended { lines } } else { Print::None };
            let streams = [Some(number), (lines == 0 && !is_plain).then_some(PLAIN)];
            for stream in streams.into_iter().flatten() {
                if self.find(stream).is_none_or(|known| !matches!(known.print, Print::Withheld { .. })) {
                    self.set(stream, false, print);
                }
            }
        }
    }

    /// Returns the mark of an entry of the journal.
    fn entry(&mut self, frame: &Frame, bytes: &[u8]) -> Continuation {
        let fields = EntryFields::read(bytes, frame.framing);
        // Entries of other transports are whole. A truncated entry may have lost its stream.
        let Some(stream) = fields.stream.or(frame.truncated.then_some(OTHERS)) else { return Continuation::Whole };
        let is_cut = fields.is_cut && stream != OTHERS;
        let known = self.find(stream).or_else(|| self.find(OTHERS));
        if known.is_none() && !is_cut && !frame.truncated && bytes.len() < LONG_ENTRY {
            return Continuation::Whole;
        }
        self.text.clear();
        let has_text = fields.message.is_some_and(|message| message.decode(&mut self.text));
        let proven = has_text && (self.judge.proves_itself)(&self.text);
        let length = self.text.len();
        let rest = known.is_some_and(|known| known.rest);
        if let Some(OpenStream { stream: withheld, print: Print::Withheld { bytes }, .. }) = known
            && (rest || !proven)
        {
            self.withhold(withheld, bytes, length);
            let print = self.find(stream).map_or(Print::None, |known| known.print);
            self.set(stream, is_cut, print);
            return Continuation::Withheld;
        }
        // `journalctl` leaves out the text of a long entry, so nobody knows how such a text ends.
        let leaves_open = if has_text { (self.judge.leaves_open)(&self.text) } else { is_cut || frame.truncated };
        // An entry without a stream ends nothing that another one began.
        if stream != OTHERS || leaves_open {
            let print = if leaves_open { Print::Withheld { bytes: 0 } } else { Print::None };
            self.set(stream, is_cut, print);
        }
        if rest { Continuation::Rest } else { Continuation::Whole }
    }

    /// Answers a question about a text.
    fn ask(&mut self, text: FieldValue<'_>, question: fn(&[u8]) -> bool) -> bool {
        if let FieldValue::Bytes(text) = text {
            return question(text);
        }
        self.text.clear();
        text.decode(&mut self.text) && question(&self.text)
    }

    fn find(&self, stream: u64) -> Option<OpenStream> {
        self.open.iter().find(|open| open.stream == stream).copied()
    }

    fn remove(&mut self, stream: u64) {
        self.open.retain(|open| open.stream != stream);
    }

    /// Counts withheld text. At the limit the state ends.
    fn withhold(&mut self, stream: u64, bytes: u32, more: usize) {
        let bytes = bytes.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
        let print = if bytes > MAX_WITHHELD { Print::None } else { Print::Withheld { bytes } };
        let rest = self.find(stream).is_some_and(|open| open.rest);
        self.set(stream, rest, print);
    }

    /// Sets the state of a stream. If there are too many, the least recent one is dropped as if it followed a print.
    fn set(&mut self, stream: u64, rest: bool, print: Print) {
        self.remove(stream);
        if !rest && print == Print::None {
            return;
        }
        if self.open.len() >= MAX_STREAMS {
            let dropped = self.open.remove(0);
            if stream != OTHERS && matches!(dropped.print, Print::Withheld { .. }) {
                self.set(OTHERS, false, Print::Withheld { bytes: 0 });
            }
        }
        self.open.push(OpenStream { stream, rest, print });
    }
}

/// Returns whether a text begins like a whole line on a terminal.
fn begins_at_terminal(text: &[u8]) -> bool {
    begins_record(text) || is_terminal_line(text)
}

/// Returns whether bytes may hold the field `_LINE_BREAK`. Few other bytes of entries are a `K`, so the search for this
/// one is the fastest.
fn holds_line_break(bytes: &[u8]) -> bool {
    memchr_iter(b'K', bytes).any(|at| bytes.get(..at).is_some_and(|before| before.ends_with(b"_LINE_BREA")))
}

#[cfg(test)]
mod tests;
