//! The first entry of an input with each flaw, and the first place of each kind of damage.

use std::path::Path;

use jiff::Timestamp;
use journal_file::{Cursor, Place};
use kata_records::visible::escape;
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

/// A position in an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// The offset of a byte, after decompression.
    Byte(u64),
    /// The number of a line, from 1.
    Line(u64),
    /// The place of an entry in a journal.
    Entry(Place),
}

/// The first position of each flaw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FirstFlaws(Vec<First>);

/// The first position of a flaw.
#[derive(Clone, Debug, PartialEq, Eq)]
struct First {
    flaw: &'static str,
    position: Position,
    /// The member of the archive that has the position.
    member: Option<String>,
}

impl FirstFlaws {
    /// Notes a position, unless the flaw has one already. `file` is the file with the position, or empty; it counts as a
    /// member if the input has another name.
    pub fn note(&mut self, flaw: &'static str, position: Position, file: &Path, input: &str) {
        if self.0.iter().all(|first| first.flaw != flaw) {
            let member = file.display().to_string();
            let member = Some(member).filter(|member| !member.is_empty() && member != input);
            self.0.push(First { flaw, position, member });
        }
    }

    /// Replaces offsets in the input itself by lines. `lines` returns the lines of ascending offsets.
    pub fn count_lines(&mut self, lines: impl FnOnce(&[u64]) -> Option<Vec<u64>>) {
        let own = self.0.iter_mut().filter(|first| first.member.is_none());
        let mut bytes: Vec<(u64, &mut Position)> = own
            .filter_map(|first| match first.position {
                Position::Byte(offset) => Some((offset, &mut first.position)),
                Position::Line(_) | Position::Entry(_) => None,
            })
            .collect();
        bytes.sort_by_key(|(offset, _)| *offset);
        let offsets: Vec<u64> = bytes.iter().map(|(offset, _)| *offset).collect();
        if offsets.is_empty() {
            return;
        }
        for ((_, position), line) in bytes.into_iter().zip(lines(&offsets).unwrap_or_default()) {
            *position = Position::Line(line);
        }
    }

    /// Returns the position of a flaw for people, such as `first at line 9,117`.
    pub(super) fn shown(&self, flaw: &str) -> Option<String> {
        let First { position, member, .. } = self.0.iter().find(|first| first.flaw == flaw)?;
        let member = member.as_ref().map(|name| format!("in {} ", escape(name.as_bytes()))).unwrap_or_default();
        Some(match position {
            Position::Byte(offset) => format!("first {member}at byte {}", grouped(*offset)),
            Position::Line(line) => format!("first {member}at line {}", grouped(*line)),
            Position::Entry(place) => format!("first {member}at {}", time(place)),
        })
    }

    /// Returns whether there is no position.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Returns the time of an entry, for people. Messages of `--verbose` and JSON have its cursor.
fn time(place: &Place) -> String {
    let micros = i64::try_from(place.realtime).unwrap_or(i64::MAX);
    match Timestamp::from_microsecond(micros) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%S.%6f UTC").to_string(),
        Err(_) => format!("cursor {}", Cursor::from(*place)),
    }
}

impl Serialize for FirstFlaws {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Default, Serialize)]
        struct Members<'f> {
            #[serde(skip_serializing_if = "Option::is_none")]
            member: Option<&'f str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            line: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            byte: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            cursor: Option<String>,
        }
        let mut map = serializer.serialize_map(None)?;
        for First { flaw, position, member } in &self.0 {
            let mut members = Members { member: member.as_deref(), ..Members::default() };
            match position {
                Position::Byte(offset) => members.byte = Some(*offset),
                Position::Line(line) => members.line = Some(*line),
                Position::Entry(place) => members.cursor = Some(Cursor::from(*place).to_string()),
            }
            map.serialize_entry(flaw, &members)?;
        }
        map.end()
    }
}

/// Formats a number with a comma between groups of three digits.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_position_stays_and_offsets_become_lines() {
        let mut firsts = FirstFlaws::default();
        let entry = Place { realtime: 1_700_000_000_000_050, ..Place::default() };
        for (flaw, position, file) in [
            ("no-time", Position::Byte(2000), "a.log"),
            ("no-time", Position::Byte(3), "a.log"),
            ("bad-key", Position::Byte(10), ""),
            ("bad-json", Position::Byte(7), "a.tar:x\u{1b}"),
            ("not-utf8", Position::Entry(entry), ""),
        ] {
            firsts.note(flaw, position, Path::new(file), "a.log");
        }
        firsts.count_lines(|offsets| Some(offsets.iter().map(|offset| offset * 5 + 1).collect()));
        for (flaw, expected) in [
            ("bad-key", Some("first at line 51")),
            ("no-time", Some("first at line 10,001")),
            ("bad-json", Some("first in a.tar:x\\x1b at byte 7")),
            ("not-utf8", Some("first at 2023-11-14 22:13:20.000050 UTC")),
            ("bad-time", None),
        ] {
            assert_eq!(firsts.shown(flaw).as_deref(), expected, "{flaw}");
        }
        let json = serde_json::to_value(&firsts).unwrap();
        assert_eq!((&json["no-time"]["line"], &json["bad-json"]["byte"]), (&10_001.into(), &7.into()));
        assert!(json["not-utf8"]["cursor"].as_str().unwrap().starts_with("s=0"), "{json}");
    }

    #[test]
    fn numbers_have_groups() {
        let shown = [0, 999, 1000, 65_536, 1_234_567].map(grouped);
        assert_eq!(shown, ["0", "999", "1,000", "65,536", "1,234,567"]);
    }
}
