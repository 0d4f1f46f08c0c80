//! Joins the parts of long lines that container managers split: CRI log files and Docker's json-file driver. The
//! envelope stays, so a joined line looks as if the manager had never split it.
//!
//! Parts are held per format and stream, up to the length limit. Lines that were not split pass unchanged.

use memchr::{memchr, memchr2};

use kata_records::origin::Continuation;
use kata_records::{Frame, Framing};

/// The first bytes of a Docker line.
const DOCKER_START: &[u8] = br#"{"log":""#;
/// A newline as Docker escapes it in `log`.
const LINE_END: &[u8] = br"\n";

/// A line of the input, without its line end and cut at the length limit.
#[derive(Clone, Copy)]
pub(super) struct ContainerLine<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) offset: u64,
    pub(super) truncated: bool,
}

/// The output for joined lines: their bytes and frames.
pub(super) struct JoinedLines<'a> {
    pub(super) side: &'a mut Vec<u8>,
    pub(super) frames: &'a mut Vec<Frame>,
}

/// The parts of one line so far. Empty `bytes` means no parts, because each part has a header.
#[derive(Default)]
struct Pending {
    /// The header of the first part, then the text of all parts.
    bytes: Vec<u8>,
    /// The position where the text begins.
    text: usize,
    /// The members after `log` in the first part's JSON object.
    rest: Vec<u8>,
    /// The position of the tag in a CRI header.
    tag: usize,
    offset: u64,
    truncated: bool,
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Appends text up to the limit. `cut` returns the length of a prefix that fits into fewer bytes.
    fn append(&mut self, text: &[u8], truncated: bool, max_line: usize, cut: impl Fn(&[u8], usize) -> usize) {
        if self.truncated {
            return;
        }
        let room = (self.text + max_line).saturating_sub(self.bytes.len());
        let fits = text.len() <= room;
        let len = if fits { text.len() } else { cut(text, room) };
        self.bytes.extend_from_slice(&text[..len]);
        self.truncated = truncated || !fits;
    }

    /// Emits the line and clears the buffer.
    fn emit(&mut self, output: &mut JoinedLines<'_>, unfinished: bool) {
        let start = output.side.len();
        output.side.extend_from_slice(&self.bytes);
        output.side.extend_from_slice(&self.rest);
        output.frames.push(Frame {
            offset: self.offset,
            start: start as u32,
            end: output.side.len() as u32,
            framing: Framing::JoinedLine,
            truncated: self.truncated,
            unfinished,
            continuation: Continuation::Whole,
        });
        self.bytes.clear();
        self.rest.clear();
        self.truncated = false;
    }
}

/// The output stream of a container. The closed list bounds the memory for pending parts.
#[derive(Clone, Copy)]
pub(super) enum OutputStream {
    Stdout,
    Stderr,
}

/// Joins parts and holds the pending lines.
pub(super) struct PartJoiner {
    max_line: usize,
    cri: [Pending; 2],
    docker: [Pending; 2],
    /// The first offset of the lines joined while another one was pending, or `None`.
    joined_meanwhile: Option<u64>,
}

impl PartJoiner {
    pub(super) fn new(max_line: usize) -> Self {
        Self { max_line, cri: Default::default(), docker: Default::default(), joined_meanwhile: None }
    }

    /// Consumes a part of a split CRI line. Returns `false` for any other line.
    pub(super) fn cri(&mut self, line: ContainerLine<'_>, output: &mut JoinedLines<'_>) -> bool {
        let Some(header) = cri_header(line.bytes) else {
            return false;
        };
        let pending = &mut self.cri[header.stream as usize];
        let text = &line.bytes[header.text..];
        if pending.is_empty() {
            if !header.partial {
                return false;
            }
            pending.bytes.extend_from_slice(&line.bytes[..header.text]);
            pending.text = header.text;
            pending.tag = header.tag;
            pending.offset = line.offset;
        }
        pending.append(text, line.truncated, self.max_line, fit_characters);
        if !header.partial {
            pending.bytes[pending.tag] = b'F';
            pending.emit(output, false);
            let offset = pending.offset;
            self.note_joined(offset);
        }
        true
    }

    /// Consumes a part of a split Docker line. Returns `false` for any other line.
    pub(super) fn docker(&mut self, line: ContainerLine<'_>, output: &mut JoinedLines<'_>) -> bool {
        // A truncated line has lost its stream.
        let Some(object) = docker_object(line.bytes).filter(|_| !line.truncated) else {
            return false;
        };
        let pending = &mut self.docker[object.stream as usize];
        if pending.is_empty() {
            if object.ends_line {
                return false;
            }
            pending.bytes.extend_from_slice(DOCKER_START);
            pending.text = DOCKER_START.len();
            pending.rest.extend_from_slice(object.rest);
            pending.offset = line.offset;
        }
        // The line end is not counted, so that a text of exactly the limit is not truncated.
        let text = if object.ends_line { &object.text[..object.text.len() - LINE_END.len()] } else { object.text };
        pending.append(text, false, self.max_line, fit_escapes);
        if object.ends_line {
            pending.bytes.extend_from_slice(LINE_END);
            pending.emit(output, false);
            let offset = pending.offset;
            self.note_joined(offset);
        }
        true
    }

    /// Returns the offset at which reading must resume to see every pending part again, or `None` if nothing is
    /// pending. The offset also covers lines joined meanwhile: a later start would read only some of their parts.
    pub(super) fn resume_offset(&self) -> Option<u64> {
        self.pending_lines().map(|line| line.offset).chain(self.joined_meanwhile).min()
    }

    fn pending_lines(&self) -> impl Iterator<Item = &Pending> {
        self.cri.iter().chain(&self.docker).filter(|line| !line.is_empty())
    }

    /// Records the offset of a joined line.
    fn note_joined(&mut self, offset: u64) {
        let held = self.pending_lines().next().is_some();
        self.joined_meanwhile =
            held.then(|| self.joined_meanwhile.map_or(offset, |joined_meanwhile| joined_meanwhile.min(offset)));
    }

    /// Emits the pending lines as unfinished, ordered by their first parts.
    pub(super) fn flush(&mut self, output: &mut JoinedLines<'_>) {
        while let Some(first) =
            self.cri.iter_mut().chain(&mut self.docker).filter(|line| !line.is_empty()).min_by_key(|line| line.offset)
        {
            first.emit(output, true);
        }
        self.joined_meanwhile = None;
    }
}

/// The header of a CRI line.
pub(super) struct CriHeader {
    pub(super) stream: OutputStream,
    /// The position of the first tag.
    pub(super) tag: usize,
    /// The tag says that more parts follow.
    partial: bool,
    /// The position of the text.
    pub(super) text: usize,
}

/// Parses `<RFC 3339> <stdout|stderr> <tag>[:<tag>…] <text>`. The space after the tags may be missing before an empty
/// text, because editors remove trailing spaces.
pub(super) fn cri_header(line: &[u8]) -> Option<CriHeader> {
    let stamp = timestamp_length(line)?;
    let (name, stream) = match line.get(stamp..stamp + 8)? {
        name @ b" stdout " => (name, OutputStream::Stdout),
        name @ b" stderr " => (name, OutputStream::Stderr),
        _ => return None,
    };
    let tag = stamp + name.len();
    let partial = match line.get(tag)? {
        b'P' => true,
        b'F' => false,
        _ => return None,
    };
    let text = match line.get(tag + 1) {
        None => tag + 1,
        Some(b' ') => tag + 2,
        Some(b':') => {
            let more = &line[tag + 1..];
            tag + 1 + memchr(b' ', more).map_or(more.len(), |space| space + 1)
        }
        Some(_) => return None,
    };
    Some(CriHeader { stream, tag, partial, text })
}

/// Returns the length of the RFC 3339 timestamp at the beginning of a line.
fn timestamp_length(line: &[u8]) -> Option<usize> {
    let (minutes, rest) = line.split_first_chunk()?;
    let zone = |bytes: &[u8]| matches!(bytes, [a, b, b':', c, d] if [a, b, c, d].into_iter().all(u8::is_ascii_digit));
    if !fits(minutes, b"0000-00-00T00:00") || !matches!(rest, [b':', b'0'..=b'9', b'0'..=b'9', ..]) {
        return None;
    }
    let mut end = 19;
    if line.get(end) == Some(&b'.') {
        let digits = line[end + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        end += 1 + digits;
    }
    match line.get(end)? {
        b'Z' => Some(end + 1),
        b'+' | b'-' if zone(line.get(end + 1..end + 6)?) => Some(end + 6),
        _ => None,
    }
}

/// Returns whether bytes have a digit for each zero of a layout, and its other bytes.
fn fits(bytes: &[u8; 16], layout: &[u8; 16]) -> bool {
    const HIGH: u128 = u128::from_ne_bytes([0xf0; 16]);
    const SIX: u128 = u128::from_ne_bytes([6; 16]);
    // Zero where the layout has a zero and the byte is a digit, or where the bytes are equal.
    let difference = u128::from_ne_bytes(*bytes) ^ u128::from_ne_bytes(*layout);
    let digits = u128::from_ne_bytes(layout.map(|place| if place == b'0' { 0x0f } else { 0 }));
    let nibbles = difference & digits;
    // A nibble above nine reaches the high one by six more.
    difference & !digits == 0 && (nibbles + SIX) & HIGH == 0
}

/// A line of Docker's json-file driver.
pub(super) struct DockerObject<'a> {
    /// The value of `log`, still escaped.
    pub(super) text: &'a [u8],
    /// The text ends with a newline, so no further part follows.
    ends_line: bool,
    pub(super) stream: OutputStream,
    /// The bytes from the closing quote of the text to the end.
    rest: &'a [u8],
}

/// Parses `{"log":"…","stream":"stdout"…}`, with the members in Docker's order.
pub(super) fn docker_object(line: &[u8]) -> Option<DockerObject<'_>> {
    let body = line.strip_prefix(DOCKER_START)?;
    let mut at = 0;
    let mut ends_line = false;
    let end = loop {
        let hit = at + memchr2(b'"', b'\\', &body[at..])?;
        if body[hit] == b'"' {
            // Only a newline right before the quote ends the line.
            ends_line &= hit == at;
            break hit;
        }
        ends_line = *body.get(hit + 1)? == b'n';
        at = hit + 2;
    };
    let rest = &body[end..];
    let stream = if rest.starts_with(br#"","stream":"stdout""#) {
        OutputStream::Stdout
    } else if rest.starts_with(br#"","stream":"stderr""#) {
        OutputStream::Stderr
    } else {
        return None;
    };
    // The joined line takes its end from a part, so each part must have one.
    rest.ends_with(b"}").then_some(DockerObject { text: &body[..end], ends_line, stream, rest })
}

/// Returns the length of the longest prefix of at most `room` bytes that does not split a UTF-8 character.
fn fit_characters(text: &[u8], room: usize) -> usize {
    let continues = |at: usize| text.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    // A character has at most three continuation bytes. More are invalid UTF-8 and may be cut anywhere.
    (room.saturating_sub(3)..=room).rev().find(|at| !continues(*at)).unwrap_or(room)
}

/// Returns the length of the longest prefix of at most `room` bytes that splits neither an escape nor a character.
fn fit_escapes(text: &[u8], room: usize) -> usize {
    let mut at = 0;
    while let Some(hit) = memchr(b'\\', &text[at..]) {
        let start = at + hit;
        if start >= room {
            break;
        }
        let end = start + if text.get(start + 1) == Some(&b'u') { 6 } else { 2 };
        if end > room {
            return start;
        }
        if end >= text.len() {
            break;
        }
        at = end;
    }
    fit_characters(text, room)
}

#[cfg(test)]
mod tests;
