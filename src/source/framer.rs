//! Cuts the arena into entries: finds line ends, skips what is too long, and hands export entries and the parts of
//! container log lines to those who know them. It reads no input and owns no bytes; it only says where entries are.
//!
//! What it emits depends on the input and its settings alone, never on where the reads cut the input. So each decision
//! waits for the bytes it needs, and none looks further.

use memchr::{memchr, memchr_iter};

use super::export_entry::{OpenEntry, Progress};
use super::part_joiner::{ContainerLine, JoinedLines, PartJoiner};
use super::{InputFormat, Settings};
use kata_records::entry::{Batch, Frame, Framing, Home};

/// The largest value that the limits are taken at, so that positions in a batch fit 32 bits.
const MAX_LIMIT: usize = 256 << 20;
/// How an export entry begins in a stream that may hold anything: with its cursor, or without one with its time.
const EXPORT_STARTS: [&[u8]; 2] = [b"__CURSOR=", b"__REALTIME_TIMESTAMP="];
/// How many bytes a line must have before its beginning can be judged.
const MIN_RECOGNIZABLE: usize = 32;

/// What an entry may begin with, besides a line that stands for itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Exports {
    Never,
    /// Where a line begins like one.
    Recognized,
    /// Everywhere but in a blank line.
    Always,
}

enum State {
    /// At the start of a line that belongs to no entry yet.
    Line,
    /// In the rest of a line that was too long. Before it, all input up to this offset was settled.
    SkipLine(u64),
    /// In an export entry.
    Export(OpenEntry),
}

/// The framing of one input, carried from batch to batch.
pub(super) struct Framer {
    max_line: usize,
    exports: Exports,
    cri: bool,
    docker: bool,
    /// For each byte whether a line that begins with it can be more than a plain line: one look decides for most.
    special: [bool; 256],
    state: State,
    joiner: PartJoiner,
    /// The first byte of the arena that is not framed yet.
    at: usize,
    /// How many bytes from there on are known to hold no line end.
    searched: usize,
    /// What to add to a position in the unframed part of the arena for its offset in the input. It wraps.
    base: u64,
}

impl Framer {
    /// A framer for an input that is read from this offset on.
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
            state: State::Line,
            joiner: PartJoiner::new(max_line),
            at: 0,
            searched: 0,
            base: offset,
        }
    }

    /// The longest line that is kept whole.
    pub(super) fn max_line(&self) -> usize {
        self.max_line
    }

    /// Frames everything complete between what is framed and the end of the arena's input.
    pub(super) fn scan(&mut self, batch: &mut Batch) {
        loop {
            let more = match &self.state {
                State::Line => self.lines(batch),
                State::SkipLine(_) => self.skip_line(batch),
                State::Export(_) => self.export(batch),
            };
            if !more {
                break;
            }
        }
        self.close_gap(batch);
    }

    /// Frames what is left at the end of the input. `damaged` says that the input did not end there by itself.
    pub(super) fn finish(&mut self, batch: &mut Batch, damaged: bool) {
        loop {
            self.scan(batch);
            match &mut self.state {
                State::SkipLine(_) => break,
                State::Line if self.at == batch.filled => break,
                State::Line => {
                    let line = &batch.arena[self.at..batch.filled];
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
                    // One byte more than there is input, for a line end.
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

    /// Where the bytes begin that belong to no framed entry yet.
    fn open(&self) -> usize {
        match &self.state {
            State::Export(entry) => entry.start,
            State::Line | State::SkipLine(_) => self.at,
        }
    }

    /// Whether the arena holds the beginning of an entry.
    pub(super) fn holds_part(&self, batch: &Batch) -> bool {
        self.open() < batch.filled
    }

    /// How many bytes of input were seen, as of the end of the arena's input.
    pub(super) fn input_offset(&self, batch: &Batch) -> u64 {
        self.offset(batch.filled)
    }

    /// Up to which offset all input belongs to entries that were given out whole. Another framer that begins there
    /// gives all that this one has not given; besides, it may give again what stood between the parts of a split line,
    /// and the line that this one is skipping the rest of.
    pub(super) fn resume_offset(&self) -> u64 {
        let open = match &self.state {
            State::Line => self.offset(self.at),
            State::SkipLine(settled) => *settled,
            State::Export(entry) => entry.offset,
        };
        self.joiner.resume_offset().map_or(open, |oldest| oldest.min(open))
    }

    /// Moves the beginning of an unfinished entry out of the batch, which then can be handed on.
    pub(super) fn detach(&mut self, batch: &Batch, carry: &mut Vec<u8>) {
        let open = self.open();
        carry.clear();
        carry.extend_from_slice(&batch.arena[open..batch.filled]);
        self.rebase(open);
    }

    /// Puts the beginning of an unfinished entry into an empty batch.
    #[expect(clippy::unused_self, reason = "the counterpart of `detach`, which left this framer ready for it")]
    pub(super) fn attach(&self, batch: &mut Batch, carry: &[u8]) {
        batch.room(carry.len()).copy_from_slice(carry);
        batch.filled = carry.len();
    }

    /// Moves the beginning of an unfinished entry to the front of a batch that has no entries in its arena.
    pub(super) fn compact(&mut self, batch: &mut Batch) {
        debug_assert!(batch.frames.is_empty(), "entries would be overwritten");
        let open = self.open();
        batch.arena.copy_within(open..batch.filled, 0);
        batch.filled -= open;
        self.rebase(open);
    }

    /// Takes into account that all bytes from `open` on now stand that much further to the front.
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

    /// Frames lines. Returns whether the state changed, that is, whether there is more to do.
    fn lines(&mut self, batch: &mut Batch) -> bool {
        let from = self.at + self.searched;
        let mut start = self.at;
        // The arena is not lent to the iterator for the sake of the rare lines, which need the whole batch.
        let arena = std::mem::take(&mut batch.arena);
        let mut export = false;
        for hit in memchr_iter(b'\n', &arena[from..batch.filled]) {
            let end = from + hit;
            // There is a byte at `start`: at least the line end.
            if self.special[usize::from(arena[start])] {
                if self.begins_export(&arena[start..end]) {
                    export = true;
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
        if export {
            self.state = State::Export(OpenEntry::new(start, self.offset(start)));
            return true;
        }
        let tail = batch.filled - start;
        // One byte more than the limit may still turn out to be a carriage return before the line end.
        if tail <= (self.max_line + 1).max(MIN_RECOGNIZABLE) {
            self.searched = tail;
            return false;
        }
        if self.begins_export(&batch.arena[start..batch.filled]) {
            self.state = State::Export(OpenEntry::new(start, self.offset(start)));
            return true;
        }
        let filled = batch.filled;
        // Asked for before, because this line may be the last part of one that began earlier.
        let settled = self.resume_offset();
        self.line(batch, start, filled, false);
        self.state = State::SkipLine(settled);
        self.at = filled;
        // The rest of the line is overwritten by what is read next.
        let gap = filled - (start + self.max_line);
        self.at -= gap;
        self.base = self.base.wrapping_add(gap as u64);
        batch.filled = self.at;
        false
    }

    /// Skips the rest of a line that was too long. Returns whether its end was found.
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

    /// Goes on in an export entry. Returns whether it ended.
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

    /// Moves what is not framed yet up to what is kept of the open export entry, so that skipped bytes take no room.
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

    fn begins_export(&self, line: &[u8]) -> bool {
        match self.exports {
            Exports::Never => false,
            Exports::Recognized => EXPORT_STARTS.iter().any(|start| line.starts_with(start)),
            Exports::Always => !line.is_empty() && line != b"\r",
        }
    }

    /// Frames one line, whatever it is, except the first of an export entry.
    fn line(&mut self, batch: &mut Batch, start: usize, end: usize, unfinished: bool) {
        let arena = std::mem::take(&mut batch.arena);
        if self.special[usize::from(arena[start])] {
            self.special_line(batch, &arena, start, end, unfinished);
        } else {
            self.plain(&mut batch.frames, &arena, start, end, unfinished);
        }
        batch.arena = arena;
    }

    /// Frames a line that stands for itself.
    #[inline]
    fn plain(&self, frames: &mut Vec<Frame>, arena: &[u8], start: usize, end: usize, unfinished: bool) {
        let (end, truncated) = trim_line(arena, start, end, self.max_line);
        frames.push(Frame {
            offset: self.offset(start),
            start: start as u32,
            end: end as u32,
            home: Home::Arena,
            framing: Framing::Line,
            truncated,
            unfinished,
        });
    }

    /// Frames a line that may be a part of a longer one.
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

/// Where a line ends without its carriage return and within the limit, and whether the limit cut it.
#[inline]
fn trim_line(arena: &[u8], start: usize, mut end: usize, max_line: usize) -> (usize, bool) {
    if end > start && arena[end - 1] == b'\r' {
        end -= 1;
    }
    let truncated = end - start > max_line;
    (if truncated { start + max_line } else { end }, truncated)
}

/// The size of a batch that was asked for, as far as positions of 32 bits can hold it.
pub(super) fn block_within_limits(settings: &Settings) -> usize {
    settings.block.clamp(64, MAX_LIMIT)
}

#[cfg(test)]
mod tests;
