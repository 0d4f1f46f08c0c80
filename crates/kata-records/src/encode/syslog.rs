//! Syslog messages: a head, the message for people and, in RFC 5424, the fields of the record as structured data.
//! Transport belongs to the sink.

use std::io::Write as _;
use std::net::IpAddr;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::OwnNames;
use super::event::Events;
use crate::flaw::Flaw;
use crate::name_hash;
use crate::named_enum::named_enum;
use crate::origin::Origin;
use crate::record::{Facts, Level, Record, Value};
use crate::time::UnixTime;

/// The maximum length of names in structured data (RFC 5424, section 6).
const NAME: usize = 32;

/// The lengths to which an oversized message cuts its values. The second is used if the first was not enough.
const SHORTER: usize = 256;
const SHORTEST: usize = 64;

/// The size of structured data that always remains: the flaws and the identity of the entry. With the longest head and
/// some of the message, it fits the smallest limit.
const LEFT: usize = 320;

/// The severity of records without a level.
const INFORMATIONAL: u8 = 6;

/// The format of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyslogFormat {
    /// RFC 5424, with the fields of the record as structured data.
    #[default]
    Rfc5424,
    /// RFC 3164: local time without a year, and no fields.
    Rfc3164,
}

named_enum!(SyslogFormat {
    Rfc5424 => "rfc5424", "With structured data, which holds the fields of the record";
    Rfc3164 => "rfc3164", "The old form: local time without a year, and no fields";
});

/// The facility of a message (RFC 5424, section 6.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are those of syslog(3)")]
pub enum Facility {
    Kern,
    User,
    Mail,
    #[default]
    Daemon,
    Auth,
    Syslog,
    Lpr,
    News,
    Uucp,
    Cron,
    Authpriv,
    Ftp,
    Local0 = 16,
    Local1,
    Local2,
    Local3,
    Local4,
    Local5,
    Local6,
    Local7,
}

named_enum!(Facility {
    Kern => "kern", "";
    User => "user", "";
    Mail => "mail", "";
    Daemon => "daemon", "";
    Auth => "auth", "";
    Syslog => "syslog", "";
    Lpr => "lpr", "";
    News => "news", "";
    Uucp => "uucp", "";
    Cron => "cron", "";
    Authpriv => "authpriv", "";
    Ftp => "ftp", "";
    Local0 => "local0", "";
    Local1 => "local1", "";
    Local2 => "local2", "";
    Local3 => "local3", "";
    Local4 => "local4", "";
    Local5 => "local5", "";
    Local6 => "local6", "";
    Local7 => "local7", "";
});

/// Settings of syslog messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyslogSettings {
    /// The format.
    pub format: SyslogFormat,
    /// The facility.
    pub facility: Facility,
    /// The maximum length of a message, in bytes.
    pub max: usize,
    /// The IANA enterprise number that qualifies the structured data.
    pub enterprise: u32,
    /// Messages are lines: line ends inside are written as `\n`.
    pub lines: bool,
    /// The host of entries without one; an empty name means unknown.
    pub hostname: String,
}

impl Default for SyslogSettings {
    fn default() -> SyslogSettings {
        SyslogSettings {
            format: SyslogFormat::default(),
            facility: Facility::default(),
            // rsyslog splits messages of more than about 8 KiB.
            max: 8000,
            // The number reserved for examples (RFC 5612).
            enterprise: 32473,
            lines: false,
            hostname: String::new(),
        }
    }
}

/// An encoder for syslog messages.
#[derive(Debug)]
pub(crate) struct Syslog {
    settings: SyslogSettings,
    /// The own fields that go into the structured data.
    own: Vec<String>,
    zone: TimeZone,
    /// The id of the structured data: `kata@32473`.
    element: String,
    /// Buffers for the message and for a value.
    message: Vec<u8>,
    value: Vec<u8>,
}

impl Syslog {
    /// Returns an encoder. The zone is for times of RFC 3164.
    #[must_use]
    pub(crate) fn new(settings: SyslogSettings, own: &OwnNames, zone: TimeZone) -> Syslog {
        let element = format!("kata@{}", settings.enterprise);
        // The head of a message holds the time.
        let own = [&own.record_id, &own.tag].into_iter().flatten().cloned().collect();
        Syslog { settings, own, zone, element, message: Vec::new(), value: Vec::new() }
    }

    /// Appends a record. `received` is the time of records without one.
    pub(crate) fn encode(&mut self, record: &mut Record<'_>, received: UnixTime, events: &mut Events) {
        let out = &mut events.bytes;
        let start = out.len();
        self.read_message(record);
        let modern = self.settings.format == SyslogFormat::Rfc5424;
        if modern {
            self.head(record, out)
        } else {
            self.old_head(record, received, out)
        }
        let head = out.len();
        let room = self.settings.max.saturating_sub(head - start);
        let gap = usize::from(modern && !self.message.is_empty());
        if modern {
            self.data(record, false, usize::MAX, usize::MAX, out);
        }
        if out.len() - head + gap + self.message.len() > room {
            if let Some(facts) = &mut record.facts {
                facts.flaws.add(Flaw::Truncated);
            }
            // Values are cut first, then fields are removed, and the message is cut last.
            let most = room.saturating_sub(gap + self.message.len());
            if modern {
                out.truncate(head);
                self.data(record, true, SHORTER, usize::MAX, out);
            }
            if modern && out.len() - head > most {
                out.truncate(head);
                self.data(record, true, SHORTEST, most.max(LEFT), out);
            }
            let most = room.saturating_sub(out.len() - head + gap);
            let end = boundary(&self.message, most);
            self.message.truncate(end);
        }
        if !self.message.is_empty() {
            out.extend_from_slice(if modern { b" " } else { b"" });
            out.extend_from_slice(&self.message);
        }
        events.ends.push(events.bytes.len());
    }

    /// Decodes the message for people.
    fn read_message(&mut self, record: &Record<'_>) {
        self.message.clear();
        let own = record.payload.iter().find(|field| field.key.name() == b"kata_msg");
        match own.map(|field| field.value) {
            Some(value) => content(value, &mut self.message),
            None => _ = record.head.message.map(|message| message.decode_into(&mut self.message)),
        }
        if self.settings.lines && self.message.iter().any(|byte| ends_line(*byte).is_some()) {
            self.value.clear();
            for byte in &self.message {
                match ends_line(*byte) {
                    Some(letter) => self.value.extend_from_slice(&[b'\\', letter]),
                    None => self.value.push(*byte),
                }
            }
            std::mem::swap(&mut self.message, &mut self.value);
        }
    }

    fn priority(&self, record: &Record<'_>) -> u8 {
        let severity = match &record.facts {
            Some(facts) => facts.level.map_or(INFORMATIONAL, severity),
            None => record.head.priority.unwrap_or(INFORMATIONAL),
        };
        self.settings.facility as u8 * 8 + severity
    }

    fn host<'s>(&'s self, record: &'s Record<'_>) -> &'s [u8] {
        record.head.host.unwrap_or(self.settings.hostname.as_bytes())
    }

    /// Appends `<PRI>1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID ` (RFC 5424, section 6.2). Some receivers reject more
    /// than six fraction digits.
    fn head(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        self.value.clear();
        pid(record, &mut self.value);
        // Writes to memory cannot fail.
        _ = write!(out, "<{}>1 ", self.priority(record));
        match record.facts.as_ref().map_or(record.time, |facts| facts.time) {
            Some(time) => {
                out.extend_from_slice(time.as_bytes().get(..26).unwrap_or_default());
                out.extend_from_slice(b"Z ");
            }
            None => out.extend_from_slice(b"- "),
        }
        word(&[self.host(record)], 255, out);
        out.push(b' ');
        word(&program(record), 48, out);
        out.push(b' ');
        word(&[&self.value], NAME, out);
        out.push(b' ');
        self.value.clear();
        if let Some(field) = record.payload.iter().find(|field| field.key.name() == b"kata_subsystem") {
            content(field.value, &mut self.value);
        }
        word(&[&self.value], 32, out);
        out.push(b' ');
    }

    /// Appends `<PRI>Mmm dd hh:mm:ss HOSTNAME TAG[PID]: ` (RFC 3164, section 4.1). The host is written without its
    /// domain.
    fn old_head(&mut self, record: &Record<'_>, received: UnixTime, out: &mut Vec<u8>) {
        self.value.clear();
        pid(record, &mut self.value);
        let time = record.facts.as_ref().map_or(record.time, |facts| facts.time).and_then(|time| time.timestamp());
        let received = || Timestamp::new(received.seconds, 0).unwrap_or_default();
        let time = time.unwrap_or_else(received).to_zoned(self.zone.clone());
        _ = write!(out, "<{}>{} ", self.priority(record), time.strftime("%b %e %H:%M:%S"));
        let host = self.host(record);
        let is_number = std::str::from_utf8(host).is_ok_and(|host| host.parse::<IpAddr>().is_ok());
        let dot = memchr::memchr(b'.', host).filter(|_| !is_number).unwrap_or(host.len());
        word(&[host.get(..dot).unwrap_or_default()], 255, out);
        out.push(b' ');
        word(&program(record), 32, out);
        if !self.value.is_empty() {
            out.push(b'[');
            word(&[&self.value], NAME, out);
            out.push(b']');
        }
        out.extend_from_slice(b": ");
    }

    /// Appends the structured data: facts, identity and payload. Values are cut to `longest` bytes, and fields beyond
    /// `most` bytes are left out.
    fn data(&mut self, record: &Record<'_>, truncated: bool, longest: usize, most: usize, out: &mut Vec<u8>) {
        let start = out.len();
        out.push(b'[');
        out.extend_from_slice(self.element.as_bytes());
        let empty = out.len();
        let mut params = Params {
            end: start.saturating_add(most).saturating_sub(1),
            longest,
            lines: self.settings.lines,
            value: &mut self.value,
            out,
        };
        match &record.facts {
            Some(facts) => params.facts(facts),
            None if truncated => params.add(b"flaws", Flaw::Truncated.name().as_bytes()),
            None => {}
        }
        for name in &self.own {
            if let Some(field) = record.envelope.iter().find(|field| field.key.name() == name.as_bytes()) {
                params.field(name.as_bytes(), field.value);
            }
        }
        // The identity comes first, because there may be no room for all fields.
        let identity: [&[u8]; 2] = [b"kata_sandbox", b"kata_container"];
        for name in identity {
            if let Some(field) = record.payload.iter().find(|field| field.key.name() == name) {
                params.field(name, field.value);
            }
        }
        for field in &record.payload {
            let name = field.key.name();
            if name != b"kata_msg" && !identity.contains(&name) {
                params.field(name, field.value);
            }
        }
        if !record.escaped.is_empty() {
            params.list(b"escaped", record.escaped.iter().map(|key| key.name()));
        }
        if out.len() == empty {
            out.truncate(start);
            out.push(b'-');
        } else {
            out.push(b']');
        }
    }
}

/// Returns the severity of a level (RFC 5424, section 6.2.1).
const fn severity(level: Level) -> u8 {
    match level {
        Level::Critical => 2,
        Level::Error => 3,
        Level::Warning => 4,
        Level::Info => INFORMATIONAL,
        Level::Debug | Level::Trace => 7,
    }
}

/// A writer of parameters.
struct Params<'p> {
    /// The maximum length of the output.
    end: usize,
    /// The maximum length of a value.
    longest: usize,
    /// Write line ends as letters.
    lines: bool,
    value: &'p mut Vec<u8>,
    out: &'p mut Vec<u8>,
}

impl Params<'_> {
    fn facts(&mut self, facts: &Facts) {
        if !facts.flaws.is_empty() {
            self.list(b"flaws", facts.flaws.iter().map(|flaw| flaw.name().as_bytes()));
        }
        self.add(b"component", facts.component.name().as_bytes());
        if let Some(level) = facts.level {
            self.add(b"level", level.name().as_bytes());
        }
        self.add(b"origin", facts.origin.name().as_bytes());
        if facts.origin == Origin::Guest {
            self.add(b"guest", b"true");
        }
        self.add(b"format", facts.format.name().as_bytes());
        if let Some(time) = &facts.time {
            self.add(b"time", time.as_bytes());
        }
    }

    fn list<'n>(&mut self, name: &[u8], elements: impl Iterator<Item = &'n [u8]>) {
        let mut value = std::mem::take(self.value);
        value.clear();
        joined(elements, &mut value);
        self.add(name, &value);
        *self.value = value;
    }

    fn field(&mut self, name: &[u8], value: Value<'_>) {
        let mut decoded = std::mem::take(self.value);
        decoded.clear();
        content(value, &mut decoded);
        self.add(name, &decoded);
        *self.value = decoded;
    }

    /// Appends a parameter (RFC 5424, section 6.3.3), unless it exceeds the limit.
    fn add(&mut self, name: &[u8], value: &[u8]) {
        let start = self.out.len();
        self.out.push(b' ');
        param_name(name, self.out);
        self.out.extend_from_slice(b"=\"");
        for byte in value.get(..boundary(value, self.longest)).unwrap_or_default() {
            match byte {
                b'"' | b'\\' | b']' => self.out.extend_from_slice(&[b'\\', *byte]),
                byte => match ends_line(*byte).filter(|_| self.lines) {
                    Some(letter) => self.out.extend_from_slice(&[b'\\', b'\\', letter]),
                    None => self.out.push(*byte),
                },
            }
        }
        self.out.push(b'"');
        if self.out.len() > self.end {
            self.out.truncate(start);
        }
    }
}

/// Returns the letter that stands for a byte which cannot be part of a line. Some receivers end a message at NUL, or
/// count a carriage return to the line end.
fn ends_line(byte: u8) -> Option<u8> {
    match byte {
        b'\n' => Some(b'n'),
        b'\r' => Some(b'r'),
        0 => Some(b'0'),
        _ => None,
    }
}

/// Returns the length of text that has at most `most` bytes and ends with a whole character.
fn boundary(text: &[u8], most: usize) -> usize {
    if text.len() <= most {
        return text.len();
    }
    let mut end = most;
    while end > 0 && text.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
        end -= 1;
    }
    end
}

/// Appends the name of a parameter: the field's name without `kata_`. A longer name ends with a hash that keeps it
/// unique.
fn param_name(name: &[u8], out: &mut Vec<u8>) {
    let name = name.strip_prefix(b"kata_").unwrap_or(name);
    let odd = |byte: &u8| !byte.is_ascii_graphic() || matches!(byte, b'=' | b']' | b'"');
    let (kept, cut) = if name.len() > NAME { name.split_at(NAME - 9) } else { (name, &b""[..]) };
    out.extend(kept.iter().map(|byte| if odd(byte) { b'_' } else { *byte }));
    if !cut.is_empty() {
        _ = write!(out, "-{:08x}", name_hash::hash(name) as u32);
    }
}

/// Appends a word of the head: at most `most` printable ASCII characters, or `-` if there is none.
fn word(parts: &[&[u8]], most: usize, out: &mut Vec<u8>) {
    let start = out.len();
    let printable = |byte: &u8| if byte.is_ascii_graphic() { *byte } else { b'_' };
    out.extend(parts.iter().copied().flatten().take(most).map(printable));
    if out.len() == start {
        out.push(b'-');
    }
}

/// Returns the program: the component, or that of another program.
fn program<'r>(record: &'r Record<'_>) -> [&'r [u8]; 2] {
    match &record.facts {
        Some(facts) => [b"kata-", facts.component.name().as_bytes()],
        None => [b"", record.head.program.unwrap_or_default()],
    }
}

/// Appends the process id that Kata states, or else that of the envelope.
fn pid(record: &Record<'_>, out: &mut Vec<u8>) {
    match record.payload.iter().find(|field| field.key.name() == b"kata_pid") {
        Some(field) => content(field.value, out),
        None => out.extend_from_slice(record.head.pid.unwrap_or_default()),
    }
}

/// Appends a value as text.
fn content(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => text.decode_into(out),
        Value::Int(number) => out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
        Value::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        Value::Null => {}
        Value::Time(stamp) => out.extend_from_slice(stamp.as_bytes()),
        Value::List(texts) => {
            for (index, text) in texts.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                text.decode_into(out);
            }
        }
        Value::Nested(json) => out.extend_from_slice(json),
    }
}

fn joined<'n>(elements: impl Iterator<Item = &'n [u8]>, out: &mut Vec<u8>) {
    for (index, element) in elements.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(element);
    }
}

#[cfg(test)]
mod tests;
