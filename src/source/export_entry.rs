//! Reads one entry of the Journal Export Format: finds its end and keeps it within its limits. The parser decodes the
//! fields later.
//!
//! Oversized fields are cut in place, and the bytes after a cut move up. So the kept bytes of an entry are contiguous
//! in the arena and never exceed the limits.

use memchr::memchr;

use kata_records::origin::Continuation;
use kata_records::{Frame, Framing};

/// The longest field name, as in systemd.
const MAX_NAME: usize = 64;
/// The largest value that systemd writes (`DATA_SIZE_MAX`). A greater length is damage.
const MAX_DATA: u64 = 768 << 20;
/// The size of the length before binary data.
const LENGTH_SIZE: usize = 8;
/// The size limit of an entry, as a multiple of the limit of one field.
const MAX_FIELDS: usize = 4;

/// The bytes allowed in field names. A table, because it is consulted for every byte of every name.
static IN_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric() || byte as u8 == b'_';
        byte += 1;
    }
    table
};

/// The state of an entry after the available bytes were used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The entry continues in bytes that are not available yet.
    Wait,
    /// The entry ended, regularly or not. The remaining bytes belong to something else.
    Ended,
}

/// The kind of a field line. Its first 65 bytes decide.
enum FieldLine {
    /// `NAME=value`.
    Text { name: usize },
    /// `NAME`, then a length and binary data of that length.
    Binary { name: usize },
    /// The blank line that ends the entry.
    Blank,
    /// A line outside the format.
    Malformed,
    /// More bytes are needed to decide.
    Unclear,
}

/// The bytes to skip before the next field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Skip {
    Nothing,
    /// Bytes up to and including a line end.
    Line,
    /// A number of data bytes.
    Data(u64),
    /// The line end after binary data.
    LineEnd,
}

/// An entry whose end is not known yet. Positions refer to the arena.
#[derive(Debug)]
pub(super) struct OpenEntry {
    /// The beginning of the kept bytes.
    pub(super) start: usize,
    /// The end of the kept bytes.
    pub(super) kept: usize,
    /// The offset of the entry in the input.
    pub(super) offset: u64,
    truncated: bool,
    /// A field did not fit. Later fields are dropped too, because an entry with gaps would be harder to explain.
    full: bool,
    skip: Skip,
}

impl OpenEntry {
    pub(super) fn new(start: usize, offset: u64) -> Self {
        Self { start, kept: start, offset, truncated: false, full: false, skip: Skip::Nothing }
    }

    /// Adjusts positions after all bytes moved `distance` toward the front.
    pub(super) fn rebase(&mut self, distance: usize) {
        self.start -= distance;
        self.kept -= distance;
    }

    /// Returns the frame of the kept bytes.
    pub(super) fn frame(&self, unfinished: bool) -> Frame {
        Frame {
            offset: self.offset,
            start: self.start as u32,
            end: self.kept as u32,
            framing: Framing::Export,
            truncated: self.truncated,
            unfinished,
            continuation: Continuation::Whole,
        }
    }

    /// Takes in the complete fields of `input` from `at` on. The first `searched` bytes hold no line end.
    ///
    /// In a `mixed` stream, an invalid field ends the entry and stays in the input, to be framed anew. Otherwise it is
    /// kept, because it can be nothing else.
    pub(super) fn advance(
        &mut self,
        input: &mut [u8],
        at: &mut usize,
        searched: &mut usize,
        max_line: usize,
        mixed: bool,
    ) -> Progress {
        loop {
            let rest = &input[*at..];
            match self.skip {
                Skip::Nothing => {}
                Skip::Line => {
                    let hit = memchr(b'\n', rest);
                    *at += hit.map_or(rest.len(), |hit| hit + 1);
                    if hit.is_none() {
                        return Progress::Wait;
                    }
                    self.skip = Skip::Nothing;
                    continue;
                }
                Skip::Data(left) => {
                    let len = left.min(rest.len() as u64);
                    *at += len as usize;
                    if len < left {
                        self.skip = Skip::Data(left - len);
                        return Progress::Wait;
                    }
                    self.skip = Skip::LineEnd;
                    continue;
                }
                Skip::LineEnd => match rest.first() {
                    None => return Progress::Wait,
                    Some(b'\n') => {
                        *at += 1;
                        self.skip = Skip::Nothing;
                        continue;
                    }
                    Some(_) => {
                        self.truncated = true;
                        return Progress::Ended;
                    }
                },
            }
            let step = match classify_field(rest) {
                FieldLine::Unclear => Some(Progress::Wait),
                FieldLine::Blank => {
                    *at += 1;
                    Some(Progress::Ended)
                }
                FieldLine::Malformed if mixed => {
                    self.truncated = true;
                    Some(Progress::Ended)
                }
                FieldLine::Malformed => self.text(input, at, searched, 0, max_line),
                FieldLine::Text { name } => self.text(input, at, searched, name + 1, max_line),
                FieldLine::Binary { name } => self.binary(input, at, searched, name, max_line, mixed),
            };
            if let Some(step) = step {
                return step;
            }
            *searched = 0;
        }
    }

    /// Takes in one line whose value begins after `prefix` bytes. `None` continues with the next field.
    fn text(
        &mut self,
        input: &mut [u8],
        at: &mut usize,
        searched: &mut usize,
        prefix: usize,
        max_line: usize,
    ) -> Option<Progress> {
        if self.full {
            self.skip = Skip::Line;
            return None;
        }
        let rest = &input[*at..];
        let most = prefix + max_line;
        let line = memchr(b'\n', &rest[*searched..]).map(|hit| *searched + hit);
        let len = match line {
            None if rest.len() <= most => {
                *searched = rest.len();
                return Some(Progress::Wait);
            }
            None => most,
            Some(len) => len.min(most),
        };
        // A cut line has at least one byte after the cut, so there is space for the line end.
        if self.fits(len + 1, max_line) {
            self.keep(input, *at, len);
            input[self.kept] = b'\n';
            self.kept += 1;
        }
        match line {
            Some(end) => {
                self.truncated |= end > len;
                *at += end + 1;
            }
            None => {
                self.truncated = true;
                *at = input.len();
                self.skip = Skip::Line;
            }
        }
        None
    }

    /// Takes in one binary field. `None` continues with the next field.
    fn binary(
        &mut self,
        input: &mut [u8],
        at: &mut usize,
        searched: &mut usize,
        name: usize,
        max_line: usize,
        mixed: bool,
    ) -> Option<Progress> {
        let data = name + 1 + LENGTH_SIZE;
        let rest = &input[*at..];
        let Some(stated) = stated_length(rest, name) else {
            return Some(Progress::Wait);
        };
        if stated > MAX_DATA {
            return self.damaged(input, at, searched, max_line, mixed);
        }
        // At most `MAX_DATA`, so the cast is safe.
        let len = stated as usize;
        let kept = len.min(max_line);
        if !self.fits(data + kept + 1, max_line) {
            *at += data;
            self.skip = Skip::Data(stated);
            return None;
        }
        // One byte more than kept: the line end, or a data byte that a line end replaces.
        if rest.len() < data + kept + 1 {
            return Some(Progress::Wait);
        }
        if len > max_line {
            self.keep(input, *at, data + kept);
            input[self.kept] = b'\n';
            self.kept += 1;
            self.restate(input, data + kept + 1, name, kept);
            *at += data + kept + 1;
            self.skip = match len - kept - 1 {
                0 => Skip::LineEnd,
                left => Skip::Data(left as u64),
            };
            self.truncated = true;
            return None;
        }
        if rest[data + len] == b'\n' {
            self.keep(input, *at, data + len + 1);
            *at += data + len + 1;
            return None;
        }
        self.damaged(input, at, searched, max_line, mixed)
    }

    /// Ends the entry before an invalid binary field, so that its bytes are framed anew. If those bytes would only
    /// start the entry again, the name is kept as a line instead.
    fn damaged(
        &mut self,
        input: &mut [u8],
        at: &mut usize,
        searched: &mut usize,
        max_line: usize,
        mixed: bool,
    ) -> Option<Progress> {
        self.truncated = true;
        if mixed || self.kept > self.start {
            Some(Progress::Ended)
        } else {
            self.text(input, at, searched, 0, max_line)
        }
    }

    /// Takes in the end of the input, `arena[at..filled]`; one byte after it is free. Returns the position of the first
    /// byte that does not belong to the entry.
    pub(super) fn finish(&mut self, arena: &mut [u8], at: usize, filled: usize, max_line: usize, mixed: bool) -> usize {
        let rest = &arena[at..filled];
        if rest.is_empty() || self.skip != Skip::Nothing {
            return filled;
        }
        let name = match classify_field(rest) {
            FieldLine::Binary { name } if stated_length(rest, name).is_some() => Some(name),
            FieldLine::Text { .. } => None,
            // In a mixed stream, this is just as likely a line after an entry without an end.
            _ if mixed => return at,
            _ => None,
        };
        if !self.fits(rest.len() + 1, max_line) {
            return filled;
        }
        let len = rest.len();
        self.keep(arena, at, len);
        arena[self.kept] = b'\n';
        self.kept += 1;
        if let Some(name) = name {
            self.restate(arena, len + 1, name, len - (name + 1 + LENGTH_SIZE));
        }
        filled
    }

    /// Returns whether a field of `len` bytes fits. If not, marks the entry as full.
    fn fits(&mut self, len: usize, max_line: usize) -> bool {
        self.full |= self.kept - self.start + len > MAX_FIELDS * max_line;
        self.truncated |= self.full;
        !self.full
    }

    /// Appends `len` bytes at `at` to the kept bytes.
    fn keep(&mut self, input: &mut [u8], at: usize, len: usize) {
        if self.kept != at {
            input.copy_within(at..at + len, self.kept);
        }
        self.kept += len;
    }

    /// Rewrites the data length in the last kept field, a binary field of `field` bytes.
    fn restate(&self, input: &mut [u8], field: usize, name: usize, len: usize) {
        let length = self.kept - field + name + 1;
        input[length..length + LENGTH_SIZE].copy_from_slice(&(len as u64).to_le_bytes());
    }
}

/// Classifies the field line at the start of `rest`.
fn classify_field(rest: &[u8]) -> FieldLine {
    let name = rest.iter().take(MAX_NAME + 1).position(|byte| !IN_NAME[usize::from(*byte)]);
    match name {
        Some(name) => match (rest[name], name) {
            (b'\n', 0) => FieldLine::Blank,
            (_, 0) => FieldLine::Malformed,
            (b'=', _) => FieldLine::Text { name },
            (b'\n', _) => FieldLine::Binary { name },
            _ => FieldLine::Malformed,
        },
        None if rest.len() > MAX_NAME => FieldLine::Malformed,
        None => FieldLine::Unclear,
    }
}

/// Returns the length stated after a name of `name` bytes, if it is complete.
fn stated_length(rest: &[u8], name: usize) -> Option<u64> {
    let bytes = rest.get(name + 1..)?.first_chunk::<LENGTH_SIZE>()?;
    Some(u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests;
