//! Joins the parts into which container managers split long lines: CRI log files and Docker's json-file driver. It
//! does not take the carrier off; a joined line looks as if the manager had never split it, and the parser reads both.
//!
//! Parts are held back per carrier and stream, up to the length limit. Lines that were not split pass untouched.

use memchr::{memchr, memchr2};

use kata_records::entry::{Frame, Framing, Home};

/// How Docker begins a line.
const DOCKER_START: &[u8] = br#"{"log":""#;
/// A line end as Docker writes it into `log`.
const LINE_END: &[u8] = br"\n";

/// One line of the input, without its line end and within the length limit.
#[derive(Clone, Copy)]
pub(super) struct ContainerLine<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) offset: u64,
    pub(super) truncated: bool,
}

/// Where joined lines go.
pub(super) struct JoinedLines<'a> {
    pub(super) side: &'a mut Vec<u8>,
    pub(super) frames: &'a mut Vec<Frame>,
}

/// The parts of one line so far. A buffer without bytes is one without parts, because each part has a header.
#[derive(Default)]
struct Pending {
    /// The first part's header and the text of all parts.
    bytes: Vec<u8>,
    /// Where the text begins.
    text: usize,
    /// What follows the text in Docker's object: the first part's members.
    rest: Vec<u8>,
    /// Where the tag stands in the header of a CRI line.
    tag: usize,
    offset: u64,
    truncated: bool,
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Appends text up to the limit. `cut` says how much of a text can go into less room.
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

    /// Hands the line on and forgets it.
    fn emit(&mut self, output: &mut JoinedLines<'_>, unfinished: bool) {
        let start = output.side.len();
        output.side.extend_from_slice(&self.bytes);
        output.side.extend_from_slice(&self.rest);
        output.frames.push(Frame {
            offset: self.offset,
            start: start as u32,
            end: output.side.len() as u32,
            home: Home::Side,
            framing: Framing::Line,
            truncated: self.truncated,
            unfinished,
        });
        self.bytes.clear();
        self.rest.clear();
        self.truncated = false;
    }
}

/// The streams whose parts are joined. Docker names others nowhere, and a closed list bounds what is held.
#[derive(Clone, Copy)]
enum OutputStream {
    Stdout,
    Stderr,
}

/// The lines that wait for their remaining parts.
pub(super) struct PartJoiner {
    max_line: usize,
    cri: [Pending; 2],
    docker: [Pending; 2],
    /// Where the first of the lines began that were joined while another one was held back; none where none is.
    joined_meanwhile: Option<u64>,
}

impl PartJoiner {
    pub(super) fn new(max_line: usize) -> Self {
        Self { max_line, cri: Default::default(), docker: Default::default(), joined_meanwhile: None }
    }

    /// Takes a line in if it is a part of a line in a CRI log. What it does not take stands for itself.
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

    /// Takes a line in if it is a part of a line in a Docker log. What it does not take stands for itself.
    pub(super) fn docker(&mut self, line: ContainerLine<'_>, output: &mut JoinedLines<'_>) -> bool {
        // A line that was cut has lost its stream.
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
        // The line end is not counted, so that a text that just fits is not called truncated for it.
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

    /// From where on the input has to be read again for the lines that are held back; none where none is. Lines that
    /// were joined meanwhile are joined again then: from any later place, some of their parts would be without the
    /// others.
    pub(super) fn resume_offset(&self) -> Option<u64> {
        self.pending_lines().map(|line| line.offset).chain(self.joined_meanwhile).min()
    }

    fn pending_lines(&self) -> impl Iterator<Item = &Pending> {
        self.cri.iter().chain(&self.docker).filter(|line| !line.is_empty())
    }

    /// Takes note of a line that was joined.
    fn note_joined(&mut self, offset: u64) {
        let held = self.pending_lines().next().is_some();
        self.joined_meanwhile =
            held.then(|| self.joined_meanwhile.map_or(offset, |joined_meanwhile| joined_meanwhile.min(offset)));
    }

    /// Hands on, in the order of their first parts, the lines whose last part did not come.
    pub(super) fn flush(&mut self, output: &mut JoinedLines<'_>) {
        while let Some(first) =
            self.cri.iter_mut().chain(&mut self.docker).filter(|line| !line.is_empty()).min_by_key(|line| line.offset)
        {
            first.emit(output, true);
        }
        self.joined_meanwhile = None;
    }
}

/// What stands before the text of a CRI line.
struct CriHeader {
    stream: OutputStream,
    /// Where the first tag stands.
    tag: usize,
    /// Whether that tag says that more parts follow.
    partial: bool,
    /// Where the text begins.
    text: usize,
}

/// Reads `<RFC 3339> <stdout|stderr> <tag>[:<tag>…] <text>`. The space behind the tags may be missing where the text
/// is empty, because editors take it away.
fn cri_header(line: &[u8]) -> Option<CriHeader> {
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

/// The length of the RFC 3339 stamp that a line begins with.
fn timestamp_length(line: &[u8]) -> Option<usize> {
    const LAYOUT: &[u8; 19] = b"0000-00-00T00:00:00";
    let fits = |bytes: &[u8], layout: &[u8]| {
        bytes.iter().zip(layout).all(|(byte, place)| match place {
            b'0' => byte.is_ascii_digit(),
            mark => byte == mark,
        })
    };
    let seconds = line.first_chunk::<{ LAYOUT.len() }>()?;
    // The dash is looked at first: it tells most lines that begin with a digit apart from a stamp.
    if seconds[4] != b'-' || !fits(seconds, LAYOUT) {
        return None;
    }
    let mut end = LAYOUT.len();
    if line.get(end) == Some(&b'.') {
        let digits = line[end + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        end += 1 + digits;
    }
    match line.get(end)? {
        b'Z' => Some(end + 1),
        b'+' | b'-' if fits(line.get(end + 1..end + 6)?, b"00:00") => Some(end + 6),
        _ => None,
    }
}

/// A line of Docker's json-file driver.
struct DockerObject<'a> {
    /// The value of `log`, escaped as it is.
    text: &'a [u8],
    /// Whether it ends with a line end, so that no further part follows.
    ends_line: bool,
    stream: OutputStream,
    /// Everything behind the text, from its closing quote on.
    rest: &'a [u8],
}

/// Reads `{"log":"…","stream":"stdout"…}` with the members in the order in which Docker writes them.
fn docker_object(line: &[u8]) -> Option<DockerObject<'_>> {
    let body = line.strip_prefix(DOCKER_START)?;
    let mut at = 0;
    let mut ends_line = false;
    let end = loop {
        let hit = at + memchr2(b'"', b'\\', &body[at..])?;
        if body[hit] == b'"' {
            // A line end counts only as the last thing before the quote.
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
    // A part lends its end to the joined line, so it must have one.
    rest.ends_with(b"}").then_some(DockerObject { text: &body[..end], ends_line, stream, rest })
}

/// How much of a text fits into `room` bytes without half a UTF-8 character at the end.
fn fit_characters(text: &[u8], room: usize) -> usize {
    let continues = |at: usize| text.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    // A character has at most three such bytes; more are not UTF-8 and are cut anywhere.
    (room.saturating_sub(3)..=room).rev().find(|at| !continues(*at)).unwrap_or(room)
}

/// How much of an escaped text fits into `room` bytes without half an escape or character at the end.
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
