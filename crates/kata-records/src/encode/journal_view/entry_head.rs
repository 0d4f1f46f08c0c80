//! The head of an entry, which `journalctl` prints before the fields. Successive heads differ in few digits.

use journal_file::Place;

use super::JournalFormat;
use crate::digits::{self, Digits8};

/// Text that is copied at a fixed size, whatever its length.
#[derive(Clone, Copy, Debug)]
struct Words {
    text: [u8; 64],
    length: usize,
}

impl Words {
    fn new(parts: &[&[u8]]) -> Words {
        let mut words = Words { text: [0; 64], length: 0 };
        parts.iter().for_each(|part| words.add(part));
        words
    }

    fn add(&mut self, part: &[u8]) {
        let end = self.length + part.len();
        self.text[self.length..end].copy_from_slice(part);
        self.length = end;
    }
}

/// A number and the text before it. Successive entries mostly agree in all but its last eight digits.
#[derive(Clone, Copy, Debug)]
struct Number {
    /// The text and the upper digits.
    words: Words,
    /// The length of the text without digits.
    bare: usize,
    /// The number of the upper digits.
    upper: u64,
}

impl Number {
    fn new(parts: &[&[u8]]) -> Number {
        let words = Words::new(parts);
        Number { words, bare: words.length, upper: 0 }
    }

    fn set_upper(&mut self, upper: u64, digits: &[u8]) {
        self.upper = upper;
        self.words.length = self.bare;
        if upper > 0 {
            self.words.add(digits);
        }
    }
}

/// The size of a head with all digits, plus the excess of fixed-size copies.
const ROOM: usize = 512;

/// A writer of successive heads, whose ids mostly repeat.
#[derive(Clone, Debug)]
pub(super) struct HeadWriter {
    format: JournalFormat,
    seqnum_id: [u8; 16],
    boot_id: [u8; 16],
    seqnum: Number,
    monotonic: Number,
    realtime: Number,
    realtime_decimal: Number,
    monotonic_decimal: Number,
    /// The boot id once more, and the end of the head.
    boot: Words,
    /// The current head.
    text: [u8; ROOM],
}

impl HeadWriter {
    pub(super) fn new(format: JournalFormat) -> HeadWriter {
        let [realtime, monotonic]: [&[u8]; 2] = match format {
            JournalFormat::Export => [b"\n__REALTIME_TIMESTAMP=", b"\n__MONOTONIC_TIMESTAMP="],
            JournalFormat::Json => [b"\",\"__REALTIME_TIMESTAMP\":\"", b"\",\"__MONOTONIC_TIMESTAMP\":\""],
        };
        let mut heads = HeadWriter {
            format,
            seqnum_id: [0; 16],
            boot_id: [0; 16],
            seqnum: Number::new(&[]),
            monotonic: Number::new(&[]),
            realtime: Number::new(&[b";t="]),
            realtime_decimal: Number::new(&[realtime]),
            monotonic_decimal: Number::new(&[monotonic]),
            boot: Words::new(&[]),
            text: [0; ROOM],
        };
        heads.set_source([0; 16]);
        heads.set_boot([0; 16]);
        heads
    }

    fn set_source(&mut self, id: [u8; 16]) {
        let open: &[u8] = match self.format {
            JournalFormat::Export => b"__CURSOR=s=",
            JournalFormat::Json => b"{\"__CURSOR\":\"s=",
        };
        self.seqnum_id = id;
        self.seqnum = Number::new(&[open, &digits::hex_id(&id), b";i="]);
    }

    fn set_boot(&mut self, id: [u8; 16]) {
        let [open, close]: [&[u8]; 2] = match self.format {
            JournalFormat::Export => [b"\n_BOOT_ID=", b"\n"],
            JournalFormat::Json => [b"\",\"_BOOT_ID\":\"", b"\""],
        };
        let digits = digits::hex_id(&id);
        self.boot_id = id;
        self.monotonic = Number::new(&[b";b=", &digits, b";m="]);
        self.boot = Words::new(&[open, &digits, close]);
    }

    /// Appends the head of an entry.
    pub(super) fn write(&mut self, place: &Place, out: &mut Vec<u8>) {
        if self.seqnum_id != place.seqnum_id {
            self.set_source(place.seqnum_id);
        }
        if self.boot_id != place.boot_id {
            self.set_boot(place.boot_id);
        }
        let mut line = Line { text: &mut self.text, length: 0 };
        line.hexadecimal(&mut self.seqnum, place.seqnum);
        line.hexadecimal(&mut self.monotonic, place.monotonic);
        line.hexadecimal(&mut self.realtime, place.realtime);
        line.put(b";x=", 3);
        let (hash, length) = digits::hexadecimal(place.xor_hash);
        line.put(&hash, length);
        line.decimal(&mut self.realtime_decimal, place.realtime);
        line.decimal(&mut self.monotonic_decimal, place.monotonic);
        line.put(&self.boot.text, self.boot.length);
        out.extend_from_slice(line.text.get(..line.length).unwrap_or_default());
    }
}

/// A head under construction.
struct Line<'t> {
    text: &'t mut [u8; ROOM],
    length: usize,
}

impl Line<'_> {
    #[inline]
    fn put<const N: usize>(&mut self, words: &[u8; N], length: usize) {
        if let Some(room) = self.text.get_mut(self.length..self.length + N) {
            room.copy_from_slice(words);
        }
        self.length += length;
    }

    #[inline]
    fn hexadecimal(&mut self, before: &mut Number, number: u64) {
        let upper = number >> 32;
        if upper != before.upper {
            let (text, length) = digits::hexadecimal(upper);
            before.set_upper(upper, &text[..length]);
        }
        self.number(before, Digits8::hexadecimal(number as u32));
    }

    #[inline]
    fn decimal(&mut self, before: &mut Number, number: u64) {
        let upper = number / Digits8::DECIMAL;
        if upper != before.upper {
            before.set_upper(upper, itoa::Buffer::new().format(upper).as_bytes());
        }
        self.number(before, Digits8::decimal(number));
    }

    #[inline]
    fn number(&mut self, before: &Number, lower: Digits8) {
        self.put(&before.words.text, before.words.length);
        let (text, length) = if before.upper == 0 { lower.significant() } else { (lower.text(), 8) };
        self.put(&text, length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_written_as_if_it_were_alone() {
        let one = Place {
            seqnum_id: [0xa1; 16],
            seqnum: 9_876_543_210,
            boot_id: [0xb2; 16],
            monotonic: 42,
            realtime: 1_765_805_218_248_128,
            xor_hash: 0x0123_4567_89ab_cdef,
        };
        let two = Place { seqnum: 1, boot_id: [3; 16], monotonic: 0, xor_hash: 0, ..one };
        // A damaged file may hold these values.
        let most = Place { seqnum_id: [0; 16], seqnum: u64::MAX, monotonic: u64::MAX, realtime: u64::MAX, ..one };
        let mut heads = [JournalFormat::Export, JournalFormat::Json].map(HeadWriter::new);
        for place in
            [Place::default(), one, two, one, most, Place { realtime: 10_u64.pow(16), ..two }, Place::default()]
        {
            let mut cursor = Vec::new();
            place.write_to(&mut cursor);
            let cursor = String::from_utf8(cursor).unwrap();
            let Place { realtime, monotonic, .. } = place;
            let boot = format!("{:032x}", u128::from_be_bytes(place.boot_id));
            let [export, json] = heads.each_mut().map(|heads| {
                let mut out = Vec::new();
                heads.write(&place, &mut out);
                String::from_utf8(out).unwrap()
            });
            assert_eq!(
                export,
                format!(
                    "__CURSOR={cursor}\n__REALTIME_TIMESTAMP={realtime}\n__MONOTONIC_TIMESTAMP={monotonic}\n_BOOT_ID={boot}\n"
                )
            );
            assert_eq!(
                serde_json::from_str::<serde_json::Value>(&format!("{json}}}")).unwrap(),
                serde_json::json!({
                    "__CURSOR": cursor,
                    "__REALTIME_TIMESTAMP": realtime.to_string(),
                    "__MONOTONIC_TIMESTAMP": monotonic.to_string(),
                    "_BOOT_ID": boot,
                })
            );
        }
    }
}
