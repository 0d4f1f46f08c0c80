//! Splits a line into its head and its text: a syslog-like head, or that of a container runtime.

use memchr::{memchr, memchr_iter};

use super::{CONTAINER, PLAIN, entry};
use crate::source::journal_text::FieldValue;
use crate::source::part_joiner::{cri_header, docker_object};

/// The longest head of a line.
const MAX_HEAD: usize = 192;
/// The longest identifier with its process id that is recognized behind a known head.
const MAX_TAG: usize = 64;

/// A line with the stream that it belongs to.
pub(super) struct Line<'b> {
    pub(super) stream: Stream<'b>,
    pub(super) text: FieldValue<'b>,
    /// The head, if its form is simple.
    pub(super) head: Option<KnownHead>,
}

/// The stream of a line.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stream<'b> {
    /// A stream with a fixed number.
    Numbered(u64),
    /// The lines with this identifier and process id.
    Tag(&'b [u8]),
}

impl<'b> Stream<'b> {
    /// Returns the identifier of the program that wrote the line, if its head has one.
    pub(super) fn identifier(self) -> Option<&'b [u8]> {
        match self {
            Stream::Numbered(_) => None,
            Stream::Tag(tag) => tag.split(|byte| *byte == b'[').next(),
        }
    }

    /// Returns the number of the stream.
    pub(super) fn number(self) -> u64 {
        match self {
            Stream::Numbered(number) => number,
            Stream::Tag(tag) => entry::hash(b's', tag),
        }
    }
}

/// The form of the head before a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KnownHead {
    /// The length without the tag.
    length: usize,
    /// Bytes of the head at their positions.
    marks: [(usize, u8); 3],
    /// A tag, a colon and a space follow.
    has_tag: bool,
}

impl KnownHead {
    /// Returns whether a line has such a head, and a text behind it that begins like a whole one.
    #[inline]
    pub(super) fn precedes_record(&self, line: &[u8]) -> bool {
        if !self.marks.iter().all(|(at, byte)| line.get(*at) == Some(byte)) {
            return false;
        }
        let Some(rest) = line.get(self.length..) else { return false };
        if !self.has_tag {
            return begins_record(rest);
        }
        let text =
            memchr(b':', rest.get(..MAX_TAG).unwrap_or(rest)).and_then(|end| rest.get(end..)?.strip_prefix(b": "));
        text.is_some_and(begins_record)
    }
}

/// The forms of the heads of recent lines. Most lines of an input have heads of a few forms.
#[derive(Debug, Default)]
pub(super) struct KnownHeads {
    heads: [Option<KnownHead>; 4],
    added: usize,
}

impl KnownHeads {
    pub(super) fn add(&mut self, head: KnownHead) {
        if !self.heads.contains(&Some(head)) {
            self.heads[self.added % self.heads.len()] = Some(head);
            self.added += 1;
        }
    }

    /// Returns whether a line has a known head, and a text behind it that begins like a whole one.
    #[inline]
    pub(super) fn precede_record(&self, line: &[u8]) -> bool {
        self.heads.iter().map_while(Option::as_ref).any(|head| head.precedes_record(line))
    }
}

/// Returns whether sixteen bytes begin with the time of logrus, `time="2024-`, or the first key of an object that a logger
/// writes, which [`kata_records::Rules::begins_line`] accepts too. A line end among them cannot match.
#[inline]
pub(super) fn begins_whole(bytes: &[u8; 16]) -> bool {
    match bytes {
        [b't', b'i', b'm', b'e', b'=', b'"', year, _, _, _, b'-', ..] => year.is_ascii_digit(),
        [b'{', b'"', b'm', b's', b'g', b'"', b':', b'"', ..]
        | [b'{', b'"', b't', b's', b'"', b':', b'"', ..]
        | [b'{', b'"', b'a', b'r', b'c', b'h', b'"', b':', b'"', ..]
        | [b'{', b'"', b't', b'i', b'm', b'e', b'"', b':', b'"', ..]
        | [b'{', b'"', b'l', b'e', b'v', b'e', b'l', b'"', b':', b'"', ..]
        | [b'{', b'"', b'e', b'r', b'r', b'o', b'r', b'"', b':', b'"', ..] => true,
        _ => false,
    }
}

/// Returns whether a text begins like a whole line of logrus or of slog. Inside a quoted text, the quotes are escaped.
#[inline]
pub(super) fn begins_record(text: &[u8]) -> bool {
    let Some(head) = text.first_chunk() else {
        let mut head = [0; 16];
        head[..text.len()].copy_from_slice(text);
        return begins_whole(&head);
    };
    begins_whole(head) || text.starts_with(br#"{"log":"time=\""#)
}

impl Line<'_> {
    /// Reads a line.
    pub(super) fn read(bytes: &[u8]) -> Line<'_> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        if let Some(b'0'..=b'9') = bytes.first()
            && let Some(header) = cri_header(bytes)
        {
            let text = FieldValue::Bytes(bytes.get(header.text..).unwrap_or_default());
            let marks = [(4, b'-'), (10, b'T'), (header.tag, b'F')];
            let head = Some(KnownHead { length: header.text, marks, has_tag: false });
            let stream = Stream::Numbered(CONTAINER.start + header.stream as u64);
            return Line { stream, text, head };
        }
        if let Some(object) = docker_object(bytes) {
            let stream = Stream::Numbered(CONTAINER.start + 2 + object.stream as u64);
            return Line { stream, text: FieldValue::Escaped(object.text), head: None };
        }
        let Some((tag, length, clock)) = syslog_head(bytes) else {
            let (stream, text) = (Stream::Numbered(PLAIN), FieldValue::Bytes(bytes));
            return Line { stream, text, head: None };
        };
        let head = clock.map(|clock| {
            let start = length - tag.len() - 2;
            KnownHead { length: start, marks: [(clock, b':'), (clock + 3, b':'), (start - 1, b' ')], has_tag: true }
        });
        let text = FieldValue::Bytes(bytes.get(length..).unwrap_or_default());
        Line { stream: Stream::Tag(tag), text, head }
    }
}

/// The bytes of an identifier and its process id.
static IN_TAG: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric()
            || matches!(byte as u8, b'.' | b'_' | b'-' | b'/' | b'@' | b'(' | b')' | b'[' | b']');
        byte += 1;
    }
    table
};

/// Returns whether a line has a syslog-like head.
pub(in crate::source) fn has_syslog_head(line: &[u8]) -> bool {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    cri_header(line).is_none() && syslog_head(line).is_some()
}

/// Returns `identifier[pid]`, the length of the head up to the text, and the position of the first colon of the time.
/// Returns `None` if a line has no syslog-like head.
fn syslog_head(line: &[u8]) -> Option<(&[u8], usize, Option<usize>)> {
    let window = line.get(..MAX_HEAD).unwrap_or(line);
    let mut colons = memchr_iter(b':', window);
    let first = colons.next()?;
    let digit = |at: usize| line.get(at).is_some_and(u8::is_ascii_digit);
    let is_clock = line.get(first + 3) == Some(&b':')
        && first >= 2
        && [first - 2, first - 1, first + 1, first + 2].into_iter().all(digit);
    // Times without colons: `[   12.345678] host …` and `1714979294.000000 host …`.
    let is_number = || line.get(10) == Some(&b'.') && (0..10).all(digit);
    if !is_clock && !matches!(line, [b'[', b' ' | b'0'..=b'9', ..]) && !is_number() {
        return None;
    }
    let end = std::iter::once(first).chain(colons).find(|at| line.get(at + 1) == Some(&b' '))?;
    let start = line.get(..end)?.iter().rposition(|byte| *byte == b' ')? + 1;
    let tag = line.get(start..end)?;
    (!tag.is_empty() && tag.iter().all(|byte| IN_TAG[usize::from(*byte)])).then_some((
        tag,
        end + 2,
        is_clock.then_some(first),
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test fails by it

    use super::*;

    #[test]
    fn records_accept_what_passes_without_a_look() {
        let time = r#"time="2024-03-05T05:01:54Z" level=info"#.to_owned();
        let objects = ["msg", "ts", "arch", "time", "level", "error"].map(|key| format!("{{\"{key}\":\"a\"}}"));
        for text in objects.into_iter().chain([time]) {
            assert!(begins_record(text.as_bytes()) && kata_records::Rules::begins_line(text.as_bytes()), "{text}");
        }
        for text in [r#"{"args":"a"}"#, r#"{"env":["a"]}"#, r#"{"msg":1}"#, "time=2024-", ""] {
            assert!(!begins_record(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn heads_are_split_off() {
        let read = |line: &'static str| Line::read(line.as_bytes());
        let text = r#"time="2024-03-05T05:01:54Z" level=info"#;
        let mut streams = Vec::new();
        for head in [
            "",
            "Mar  5 05:01:54 node1 containerd[712]: ",
            "Mar  5 05:01:54 node1 containerd[713]: ",
            "2024-03-05T05:01:54.123456+00:00 node1 containerd: ",
            "[   12.345678] node1 containerd[1]: ",
            "1709614914.123456 node1 containerd[2]: ",
            "2024-03-05T05:01:54.123Z stdout F ",
            "2024-03-05T05:01:54Z stderr F ",
        ] {
            let line = read(Box::leak(format!("{head}{text}").into_boxed_str()));
            assert_eq!(line.text, FieldValue::Bytes(text.as_bytes()), "{head}");
            streams.push(line.stream.number());
            let known = line.head.filter(|head| head.length > 0);
            assert_eq!(known.is_some(), !head.is_empty() && !head.starts_with(['[', '1']), "{head}");
            if let Some(known) = known {
                assert!(known.precedes_record(format!("{head}{text}").as_bytes()), "{head}");
                assert!(!known.precedes_record(format!("{head} {text}").as_bytes()), "{head}");
                assert!(!known.precedes_record(format!("{}{text}", "x".repeat(head.len())).as_bytes()), "{head}");
            }
        }
        streams.sort_unstable();
        streams.dedup();
        assert_eq!(streams.len(), 8);
        assert_eq!(read(r#"{"log":"a \"b\"\n","stream":"stdout"}"#).text, FieldValue::Escaped(br#"a \"b\"\n"#));
        let identifier = |line| read(line).stream.identifier();
        assert_eq!(identifier("Mar  5 05:01:54 node1 kubelet[712]: text"), Some(b"kubelet".as_slice()));
        assert_eq!(identifier("plain"), None);
        for plain in ["spec: a: b", "12:3 x: y", "10:11:12", "05:01:54 \"x\": y", ""] {
            assert_eq!(read(plain).stream.number(), PLAIN, "{plain}");
        }
    }
}
