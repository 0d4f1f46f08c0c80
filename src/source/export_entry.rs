//! One entry of the Journal Export Format while it is being read: finds its end, and keeps it within its limits and
//! readable. It does not decode fields; that is the parser's work.
//!
//! Fields that are too long are cut in place: what is kept of the entry is one run of bytes in the arena, and what
//! comes after a cut moves up to it. So an entry never takes more room than its limits allow.

use memchr::memchr;

use kata_records::entry::{Frame, Framing, Home};

/// The longest field name, as in systemd.
const MAX_NAME: usize = 64;
/// The largest value that systemd writes (`DATA_SIZE_MAX`). A length beyond it was never a length.
const MAX_DATA: u64 = 768 << 20;
/// The length of binary data, before the data.
const LENGTH_SIZE: usize = 8;
/// How many times the limit of one field an entry may have.
const MAX_FIELDS: usize = 4;

/// For each byte whether a field name may hold it. Looked up, because each field asks for each byte of its name.
static IN_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric() || byte as u8 == b'_';
        byte += 1;
    }
    table
};

/// What became of an entry when the bytes at hand were used up, or before.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It goes on in bytes that are not there yet.
    Wait,
    /// It is over, regularly or not. What is not framed yet belongs to something else.
    Ended,
}

/// What a field line is, judged by no more than its first 65 bytes.
enum FieldLine {
    /// `NAME=value`.
    Text { name: usize },
    /// `NAME`, then a length and that many bytes.
    Binary { name: usize },
    /// The blank line behind the last field.
    Blank,
    /// Nothing that the format knows.
    Malformed,
    /// More bytes decide.
    Unclear,
}

/// What has to be passed over before the next field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Skip {
    Nothing,
    /// Bytes up to and with a line end.
    Line,
    /// That many bytes of data.
    Data(u64),
    /// The line end behind data.
    LineEnd,
}

/// An entry whose end was not seen yet. Positions are positions in the arena.
#[derive(Debug)]
pub(super) struct OpenEntry {
    /// Where the entry's kept bytes begin.
    pub(super) start: usize,
    /// Where they end.
    pub(super) kept: usize,
    /// Where it begins in the input.
    pub(super) offset: u64,
    truncated: bool,
    /// A field did not fit, so no later one is kept either: an entry with holes would be harder to explain.
    full: bool,
    skip: Skip,
}

impl OpenEntry {
    pub(super) fn new(start: usize, offset: u64) -> Self {
        Self { start, kept: start, offset, truncated: false, full: false, skip: Skip::Nothing }
    }

    /// Takes into account that all bytes now stand `distance` further to the front.
    pub(super) fn rebase(&mut self, distance: usize) {
        self.start -= distance;
        self.kept -= distance;
    }

    /// The entry as far as it is kept.
    pub(super) fn frame(&self, unfinished: bool) -> Frame {
        Frame {
            offset: self.offset,
            start: self.start as u32,
            end: self.kept as u32,
            home: Home::Arena,
            framing: Framing::Export,
            truncated: self.truncated,
            unfinished,
        }
    }

    /// Takes in the fields that are complete in `input` from `at` on. `searched` bytes there hold no line end.
    ///
    /// In a stream that may hold anything (`mixed`), what cannot be a field ends the entry and is left in the input, to
    /// be framed anew. Otherwise it is kept, for want of anything else that it could be.
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

    /// Takes in one line whose value begins after `prefix` bytes. `None` is the next field.
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
        // A line that is cut has at least one byte behind the cut, so there is room for the line end.
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

    /// Takes in one field with binary data. `None` is the next field.
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
        // At most `MAX_DATA`, so it fits.
        let len = stated as usize;
        let kept = len.min(max_line);
        if !self.fits(data + kept + 1, max_line) {
            *at += data;
            self.skip = Skip::Data(stated);
            return None;
        }
        // Either way one byte behind what is kept: the line end, or one of the data that gives its place to one.
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

    /// Ends the entry before a field with binary data that cannot be one, so that its bytes are framed anew. Where they
    /// would only begin the same entry again, the name is kept as a line, which leads on.
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

    /// Takes in what is left at the end of the input, in `arena[at..filled]`; one byte behind it is free. Returns where
    /// the bytes begin that do not belong to the entry.
    pub(super) fn finish(&mut self, arena: &mut [u8], at: usize, filled: usize, max_line: usize, mixed: bool) -> usize {
        let rest = &arena[at..filled];
        if rest.is_empty() || self.skip != Skip::Nothing {
            return filled;
        }
        let name = match classify_field(rest) {
            FieldLine::Binary { name } if stated_length(rest, name).is_some() => Some(name),
            FieldLine::Text { .. } => None,
            // In a mixed stream this is as likely the line that came after an entry without an end.
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

    /// Whether a field of `len` bytes still fits; if not, the entry is full.
    fn fits(&mut self, len: usize, max_line: usize) -> bool {
        self.full |= self.kept - self.start + len > MAX_FIELDS * max_line;
        self.truncated |= self.full;
        !self.full
    }

    /// Appends `len` bytes from `at` on to what is kept.
    fn keep(&mut self, input: &mut [u8], at: usize, len: usize) {
        if self.kept != at {
            input.copy_within(at..at + len, self.kept);
        }
        self.kept += len;
    }

    /// Writes the length of the data into the binary field that ends what is kept and is `field` bytes long.
    fn restate(&self, input: &mut [u8], field: usize, name: usize, len: usize) {
        let length = self.kept - field + name + 1;
        input[length..length + LENGTH_SIZE].copy_from_slice(&(len as u64).to_le_bytes());
    }
}

/// What the field line at the start of `rest` is.
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

/// The length that stands behind a name of `name` bytes, where all of it is there.
fn stated_length(rest: &[u8], name: usize) -> Option<u64> {
    let bytes = rest.get(name + 1..)?.first_chunk::<LENGTH_SIZE>()?;
    Some(u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests;
