//! Cuts the arena into entries: finds line ends, skips oversized lines, and passes export entries and container lines
//! to their own modules. It reads no input and owns no bytes; it only produces positions.
//!
//! The result depends on the input and its settings alone, never on how reads cut the input. So each decision waits for
//! the bytes it needs and looks no further.

use memchr::{memchr, memchr_iter};

use super::codec::looks_binary;
use super::export_entry::{OpenEntry, Progress};
use super::journal_text;
use super::object_lines::{self, ObjectEnd, OpenObject};
use super::part_joiner::{ContainerLine, JoinedLines, PartJoiner};
use super::route::{is_heading, may_begin_records};
use super::{InputFormat, Settings};
use kata_records::origin::Continuation;
use kata_records::{Batch, Frame, Framing};

/// The upper bound of all limits, so that positions in a batch fit 32 bits.
const MAX_LIMIT: usize = 256 << 20;
/// The first bytes of an export entry in a stream that may hold anything. An entry begins with its cursor, or else with
/// its time.
const EXPORT_STARTS: [&[u8]; 2] = [b"__CURSOR=", b"__REALTIME_TIMESTAMP="];
/// The line length from which the beginning of a line can be recognized.
const MIN_RECOGNIZABLE: usize = 32;

/// The rule that decides where export entries begin.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Exports {
    Never,
    /// At a line that looks like one.
    Recognized,
    /// At any line that is not blank.
    Always,
}

enum State {
    /// At the start of a line outside any entry.
    Line,
    /// In the rest of an oversized line. Holds the resume offset from before the line.
    SkipLine(u64),
    /// In an export entry.
    Export(OpenEntry),
    /// In an object on several lines, the first of which is unframed.
    Object(OpenObject),
}

/// The treatment of objects on several lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Objects {
    /// Each line is an entry.
    Lines,
    /// The first line that is no heading will decide.
    Undecided,
    /// A record that katalog wrote is one entry.
    Records,
}

/// The framing state of one input, carried from batch to batch.
pub(super) struct Framer {
    max_line: usize,
    exports: Exports,
    cri: bool,
    docker: bool,
    /// The first bytes of lines that may be more than plain lines. One lookup settles most lines.
    special: [bool; 256],
    /// The first line was seen. Text that begins like an export entry further on is only text, because a guest may have
    /// written it.
    knows_first_line: bool,
    objects: Objects,
    /// Returns whether an object on several lines is a record.
    is_record: fn(&[u8]) -> bool,
    input_format: InputFormat,
    state: State,
    joiner: PartJoiner,
    /// The position of the first unframed byte in the arena.
    at: usize,
    /// The number of bytes from there that hold no line end.
    searched: usize,
    /// The difference between input offsets and arena positions in the unframed part. It wraps.
    base: u64,
}

impl Framer {
    /// Creates a framer for an input read from an offset on.
    pub(super) fn new(settings: &Settings, offset: u64) -> Self {
        let format = settings.input_format;
        let auto = format == InputFormat::Auto;
        let exports = match format {
            InputFormat::Auto => Exports::Recognized,
            InputFormat::Export => Exports::Always,
            _ => Exports::Never,
        };
        let cri = auto || format == InputFormat::Cri;
        let docker = auto || format == InputFormat::Docker;
        let mut special = [exports == Exports::Always; 256];
        special[usize::from(b'\n')] = false;
        special[usize::from(b'_')] |= exports == Exports::Recognized;
        special[usize::from(b'{')] |= docker;
        for digit in b'0'..=b'9' {
            special[usize::from(digit)] |= cri;
        }
        let max_line = settings.max_line.clamp(1, MAX_LIMIT);
        Self {
            max_line,
            exports,
            cri,
            docker,
            special,
            knows_first_line: exports != Exports::Recognized,
            objects: Objects::Lines,
            is_record: settings.judge.is_record,
            input_format: format,
            state: State::Line,
            joiner: PartJoiner::new(max_line),
            at: 0,
            searched: 0,
            base: offset,
        }
    }

    /// Joins the lines of records that katalog wrote, if the first line of the input allows for them.
    pub(super) fn with_records(mut self) -> Self {
        if matches!(self.input_format, InputFormat::Auto | InputFormat::Kata) {
            self.objects = Objects::Undecided;
            self.special[usize::from(b'{')] = true;
        }
        self
    }

    /// Returns the length limit of a line.
    pub(super) fn max_line(&self) -> usize {
        self.max_line
    }

    /// Creates a framer for an input read from an offset on, of which `head` is the beginning.
    pub(super) fn resumed(settings: &Settings, offset: u64, head: &[u8]) -> Self {
        let mut framer = Framer::new(settings, offset);
        if offset > 0 && !framer.knows_first_line {
            framer.look_at_first_line(head, true);
        }
        framer
    }

    /// Frames everything complete in the unframed part of the arena.
    pub(super) fn scan(&mut self, batch: &mut Batch) {
        loop {
            let more = match &self.state {
                State::Line => self.lines(batch),
                State::SkipLine(_) => self.skip_line(batch),
                State::Export(_) => self.export(batch),
                State::Object(_) => self.object(batch),
            };
            if !more {
                break;
            }
        }
        self.close_gap(batch);
    }

    /// Frames the rest at the end of the input. `damaged` says that the input did not end there by itself.
    pub(super) fn finish(&mut self, batch: &mut Batch, damaged: bool) {
        loop {
            self.scan(batch);
            match &mut self.state {
                State::SkipLine(_) => break,
                State::Line if self.at == batch.filled => break,
                State::Object(object) => {
                    let text = &batch.arena[self.at..batch.filled];
                    let end = object.last_line(text, self.max_line).filter(|_| !damaged);
                    let (end, lines) = (end.map(|end| (end, text.len())), object.lines);
                    self.end_object(batch, end, lines);
                }
                State::Line => {
                    let line = &batch.arena[self.at..batch.filled];
                    if !self.knows_first_line {
                        self.look_at_first_line(line, true);
                    }
                    if self.begins_export(line) {
                        self.state = State::Export(OpenEntry::new(self.at, self.offset(self.at)));
                        continue;
                    }
                    let (start, end) = (self.at, batch.filled);
                    self.line(batch, start, end, damaged);
                    self.at = end;
                    self.searched = 0;
                }
                State::Export(entry) => {
                    // One extra byte, for a line end.
                    batch.room(1);
                    let auto = self.exports == Exports::Recognized;
                    self.at = entry.finish(&mut batch.arena, self.at, batch.filled, self.max_line, auto);
                    self.searched = 0;
                    let frame = entry.frame(true);
                    batch.frames.push(frame);
                    self.state = State::Line;
                }
            }
        }
        let Batch { side, frames, .. } = batch;
        self.joiner.flush(&mut JoinedLines { side, frames });
    }

    /// Returns the position of the first byte that belongs to no framed entry.
    fn open(&self) -> usize {
        match &self.state {
            State::Export(entry) => entry.start,
            State::Line | State::SkipLine(_) | State::Object(_) => self.at,
        }
    }

    /// Returns whether the arena holds the beginning of an entry.
    pub(super) fn holds_part(&self, batch: &Batch) -> bool {
        self.open() < batch.filled
    }

    /// Returns the input offset of the end of the arena.
    pub(super) fn input_offset(&self, batch: &Batch) -> u64 {
        self.offset(batch.filled)
    }

    /// Returns the offset up to which all input belongs to entries already returned. A framer that starts there returns
    /// every other entry. It may also repeat lines between the parts of a split line, and an oversized line that is
    /// being skipped.
    pub(super) fn resume_offset(&self) -> u64 {
        let open = match &self.state {
            State::Line | State::Object(_) => self.offset(self.at),
            State::SkipLine(settled) => *settled,
            State::Export(entry) => entry.offset,
        };
        self.joiner.resume_offset().map_or(open, |oldest| oldest.min(open))
    }

    /// Moves the beginning of an unfinished entry out of the batch, so that the batch can be returned.
    pub(super) fn detach(&mut self, batch: &Batch, carry: &mut Vec<u8>) {
        let open = self.open();
        carry.clear();
        carry.extend_from_slice(&batch.arena[open..batch.filled]);
        self.rebase(open);
    }

    /// Moves the beginning of an unfinished entry into an empty batch.
    #[expect(clippy::unused_self, reason = "the counterpart of `detach`, which left this framer ready for it")]
    pub(super) fn attach(&self, batch: &mut Batch, carry: &[u8]) {
        batch.room(carry.len()).copy_from_slice(carry);
        batch.filled = carry.len();
    }

    /// Moves the beginning of an unfinished entry to the front of a batch without entries.
    pub(super) fn compact(&mut self, batch: &mut Batch) {
        debug_assert!(batch.frames.is_empty(), "entries would be overwritten");
        let open = self.open();
        batch.arena.copy_within(open..batch.filled, 0);
        batch.filled -= open;
        self.rebase(open);
    }

    /// Adjusts positions after the bytes from `open` on moved to the front.
    fn rebase(&mut self, open: usize) {
        self.at -= open;
        self.base = self.base.wrapping_add(open as u64);
        if let State::Export(entry) = &mut self.state {
            entry.rebase(open);
        }
    }

    fn offset(&self, position: usize) -> u64 {
        self.base.wrapping_add(position as u64)
    }

    /// Frames lines. Returns whether the state changed, so that there is more to do.
    fn lines(&mut self, batch: &mut Batch) -> bool {
        if !self.knows_first_line {
            self.look_at_first_line(&batch.arena[self.at..batch.filled], false);
        }
        if self.objects == Objects::Undecided {
            self.decide_objects(&batch.arena[self.at..batch.filled]);
        }
        let from = self.at + self.searched;
        let mut start = self.at;
        // The iterator does not borrow the batch, because the rare special lines need all of it.
        let arena = std::mem::take(&mut batch.arena);
        let mut state = State::Line;
        for hit in memchr_iter(b'\n', &arena[from..batch.filled]) {
            let end = from + hit;
            // A line has at least one byte at `start`: its line end.
            if self.special[usize::from(arena[start])] {
                if self.begins_export(&arena[start..end]) {
                    state = State::Export(OpenEntry::new(start, self.offset(start)));
                    break;
                }
                if self.objects == Objects::Records && object_lines::opens(&arena[start..end]) {
                    state = State::Object(OpenObject::default());
                    break;
                }
                self.special_line(batch, &arena, start, end, false);
            } else {
                self.plain(&mut batch.frames, &arena, start, end, false);
            }
            start = end + 1;
        }
        batch.arena = arena;
        self.at = start;
        self.searched = 0;
        if !matches!(state, State::Line) {
            self.state = state;
            return true;
        }
        let tail = batch.filled - start;
        // One byte beyond the limit may still be a carriage return before the line end.
        if tail <= (self.max_line + 1).max(MIN_RECOGNIZABLE) {
            self.searched = tail;
            return false;
        }
        if self.begins_export(&batch.arena[start..batch.filled]) {
            self.state = State::Export(OpenEntry::new(start, self.offset(start)));
            return true;
        }
        let filled = batch.filled;
        // Determined before the line, because the line may complete one that began earlier.
        let settled = self.resume_offset();
        self.line(batch, start, filled, false);
        self.state = State::SkipLine(settled);
        self.at = filled;
        // The next read overwrites the rest of the line.
        let gap = filled - (start + self.max_line);
        self.at -= gap;
        self.base = self.base.wrapping_add(gap as u64);
        batch.filled = self.at;
        false
    }

    /// Skips the rest of an oversized line. Returns whether its end was found.
    fn skip_line(&mut self, batch: &mut Batch) -> bool {
        if let Some(hit) = memchr(b'\n', &batch.arena[self.at..batch.filled]) {
            self.at += hit + 1;
            self.state = State::Line;
            return true;
        }
        self.base = self.base.wrapping_add((batch.filled - self.at) as u64);
        batch.filled = self.at;
        false
    }

    /// Continues an export entry. Returns whether it ended.
    fn export(&mut self, batch: &mut Batch) -> bool {
        let State::Export(entry) = &mut self.state else {
            return false;
        };
        let auto = self.exports == Exports::Recognized;
        let input = &mut batch.arena[..batch.filled];
        match entry.advance(input, &mut self.at, &mut self.searched, self.max_line, auto) {
            Progress::Wait => false,
            Progress::Ended => {
                batch.frames.push(entry.frame(false));
                self.searched = 0;
                self.state = State::Line;
                true
            }
        }
    }

    /// Continues an object on several lines. Returns whether it ended.
    fn object(&mut self, batch: &mut Batch) -> bool {
        let State::Object(object) = &mut self.state else { return false };
        let (end, lines) = match object.advance(&batch.arena[self.at..batch.filled], self.max_line) {
            ObjectEnd::Unknown => return false,
            ObjectEnd::Found(end, next) => (Some((end, next)), next),
            ObjectEnd::None(lines) => (None, lines),
        };
        self.end_object(batch, end, lines);
        true
    }

    /// Frames an object on several lines as one entry, if it is a record. `end` is its end and the start of the next line, if
    /// it has one. Otherwise frames the lines, which are whole up to `lines`.
    fn end_object(&mut self, batch: &mut Batch, end: Option<(usize, usize)>, lines: usize) {
        let arena = std::mem::take(&mut batch.arena);
        let start = self.at;
        self.state = State::Line;
        self.searched = 0;
        match end {
            Some((end, next)) if (self.is_record)(&arena[start..start + end]) => {
                self.plain(&mut batch.frames, &arena, start, start + end, false);
                self.at = start + next;
            }
            _ => {
                for hit in memchr_iter(b'\n', &arena[start..start + lines]) {
                    self.plain(&mut batch.frames, &arena, self.at, start + hit, false);
                    self.at = start + hit + 1;
                }
            }
        }
        batch.arena = arena;
    }

    /// Decides by the first line that is no heading whether objects can be records, as the route of the input does.
    fn decide_objects(&mut self, text: &[u8]) {
        let mut lines = text.split_inclusive(|byte| *byte == b'\n');
        let Some(line) = lines.find(|line| !is_heading(line)) else { return };
        if line.ends_with(b"\n") || line.len() >= super::position::HEAD {
            let has_records = may_begin_records(line, self.input_format);
            self.objects = if has_records { Objects::Records } else { Objects::Lines };
        }
    }

    /// Moves the unframed bytes up to the kept bytes of the open export entry, so that skipped bytes take no space.
    fn close_gap(&mut self, batch: &mut Batch) {
        if let State::Export(entry) = &self.state
            && entry.kept < self.at
        {
            let gap = self.at - entry.kept;
            batch.arena.copy_within(self.at..batch.filled, entry.kept);
            batch.filled -= gap;
            self.at -= gap;
            self.base = self.base.wrapping_add(gap as u64);
        }
    }

    /// Returns whether an input that begins with these bytes is no log. Export entries have binary fields.
    pub(super) fn looks_binary(&self, head: &[u8]) -> bool {
        !self.begins_export(head) && looks_binary(head)
    }

    /// Decides whether the input may have export entries: if its first line that is not blank is an entry of a journal.
    /// `all` says that no more follows.
    fn look_at_first_line(&mut self, text: &[u8], all: bool) {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let mut lines = text.split_inclusive(|byte| *byte == b'\n');
        let Some(line) = lines.find(|line| !line.trim_ascii().is_empty()) else { return };
        if !all && !line.ends_with(b"\n") && line.len() < MIN_RECOGNIZABLE {
            return;
        }
        self.knows_first_line = true;
        if !self.begins_export(line) && !journal_text::is_json_entry(line) {
            self.exports = Exports::Never;
            self.special[usize::from(b'_')] = false;
        }
    }

    fn begins_export(&self, line: &[u8]) -> bool {
        match self.exports {
            Exports::Never => false,
            Exports::Recognized => EXPORT_STARTS.iter().any(|start| line.starts_with(start)),
            Exports::Always => !line.is_empty() && line != b"\r",
        }
    }

    /// Frames one line of any kind except the first of an export entry.
    fn line(&mut self, batch: &mut Batch, start: usize, end: usize, unfinished: bool) {
        let arena = std::mem::take(&mut batch.arena);
        if self.special[usize::from(arena[start])] {
            self.special_line(batch, &arena, start, end, unfinished);
        } else {
            self.plain(&mut batch.frames, &arena, start, end, unfinished);
        }
        batch.arena = arena;
    }

    /// Frames a plain line.
    #[inline]
    fn plain(&self, frames: &mut Vec<Frame>, arena: &[u8], start: usize, end: usize, unfinished: bool) {
        let (end, truncated) = trim_line(arena, start, end, self.max_line);
        frames.push(Frame {
            offset: self.offset(start),
            start: start as u32,
            end: end as u32,
            framing: Framing::Line,
            truncated,
            unfinished,
            continuation: Continuation::Whole,
        });
    }

    /// Frames a line that may be part of a longer one.
    fn special_line(&mut self, batch: &mut Batch, arena: &[u8], start: usize, end: usize, unfinished: bool) {
        let (limit, truncated) = trim_line(arena, start, end, self.max_line);
        let line = ContainerLine { bytes: &arena[start..limit], offset: self.offset(start), truncated };
        let Batch { side, frames, .. } = batch;
        let output = &mut JoinedLines { side, frames };
        let joined = match arena[start] {
            b'{' => self.docker && self.joiner.docker(line, output),
            b'0'..=b'9' => self.cri && self.joiner.cri(line, output),
            _ => false,
        };
        if !joined {
            self.plain(&mut batch.frames, arena, start, end, unfinished);
        }
    }
}

/// Returns whether a line begins an entry of the Journal Export Format, in an input that may hold such entries.
pub(super) fn is_export_start(line: &[u8], format: InputFormat) -> bool {
    format == InputFormat::Export || EXPORT_STARTS.iter().any(|start| line.starts_with(start))
}

/// Returns the end of a line without its carriage return, cut at the limit, and whether the limit cut it.
#[inline]
fn trim_line(arena: &[u8], start: usize, mut end: usize, max_line: usize) -> (usize, bool) {
    if end > start && arena[end - 1] == b'\r' {
        end -= 1;
    }
    let truncated = end - start > max_line;
    (if truncated { start + max_line } else { end }, truncated)
}

/// Returns the requested batch size, limited so that positions fit 32 bits.
pub(super) fn block_within_limits(settings: &Settings) -> usize {
    settings.block.clamp(64, MAX_LIMIT)
}

#[cfg(test)]
mod tests;
