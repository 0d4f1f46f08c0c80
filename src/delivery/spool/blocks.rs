//! The format of spool files: blocks of records with a checksum each, so that a flipped byte costs one block.
//!
//! ```text
//! file    "katspl2\n" block…
//! block   MARK, total, first, length of the tag, number of records, length of the records, checksum of the header,
//!         checksum of the body; then the body: tag, ends of the records, records
//! ```
//!
//! A block with no records is the last one of a file. Its body is the position of the input after the file.
//!
//! Numbers have eight bytes, the lowest first. `total` is the number of records of the file, and `first` the number of
//! those before the block. So a reader that finds the next mark behind damage knows what it lost.

use std::hash::Hasher as _;

use kata_records::{Encoded, Events};
use memchr::memmem;
use siphasher::sip::SipHasher13;

/// The first bytes of a spool file, and those of katalog 0.1, whose files have no checksums.
const MAGIC: &[u8; 8] = b"katspl2\n";
const MAGIC_OF_0_1: &[u8; 8] = b"katspl1\n";

/// The first bytes of a block. No UTF-8 text has them.
const MARK: &[u8; 8] = b"\xffblock\xff\n";

/// The length of a header: the mark, five numbers and two checksums.
const HEADER: usize = 64;

/// The size of the records of a block, unless a single one is larger.
const BLOCK: usize = 64 << 10;

/// The records of a spool file, and those that its damage cost.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) events: Vec<Events>,
    pub(super) lost: u64,
    /// The position of the input, if the file has one.
    pub(super) position: Option<Vec<u8>>,
}

/// Serializes records by tag, and the position of the input after them.
pub(super) fn serialized(out: &Encoded, position: Option<&[u8]>) -> Vec<u8> {
    let total = out.events.iter().map(|events| events.ends.len() as u64).sum();
    let (mut bytes, mut first) = (MAGIC.to_vec(), 0);
    for events in &out.events {
        let (mut start, mut rest) = (0, events.ends.as_slice());
        while !rest.is_empty() {
            let fitting = rest.partition_point(|end| end - start <= BLOCK).max(1);
            let (ends, others) = rest.split_at(fitting);
            let end = ends.last().copied().unwrap_or(start);
            let mut body = events.tag.clone();
            ends.iter().for_each(|end| body.extend(((end - start) as u64).to_le_bytes()));
            body.extend(events.bytes.get(start..end).unwrap_or_default());
            let numbers = [total, first, events.tag.len() as u64, ends.len() as u64, (end - start) as u64];
            push_block(&mut bytes, numbers, &body);
            (start, rest, first) = (end, others, first + ends.len() as u64);
        }
    }
    if let Some(position) = position {
        push_block(&mut bytes, [total, total, 0, 0, position.len() as u64], position);
    }
    bytes
}

fn push_block(bytes: &mut Vec<u8>, numbers: [u64; 5], body: &[u8]) {
    let mut header = MARK.to_vec();
    numbers.iter().for_each(|number| header.extend(number.to_le_bytes()));
    header.extend(checksum(&header).to_le_bytes());
    header.extend(checksum(body).to_le_bytes());
    bytes.extend(header);
    bytes.extend(body);
}

/// Returns the position in the last block of a file. Returns `None` if there is none, or if it is damaged.
pub(super) fn position(bytes: &[u8]) -> Option<&[u8]> {
    let last = bytes.get(memmem::rfind(bytes, MARK)?..)?;
    let header = Header::parse(last)?;
    let (body, behind) = header.body(last)?;
    let is_intact = header.count == 0 && behind.is_empty() && checksum(body) == header.checksum;
    is_intact.then_some(body)
}

/// Returns the records of a file. `records` is their number as far as it is known. Returns `None` if the bytes are no
/// spool file.
pub(super) fn deserialized(bytes: &[u8], records: u64) -> Option<Read> {
    if let Some(rest) = bytes.strip_prefix(MAGIC_OF_0_1) {
        return Some(Read { events: deserialized_of_0_1(rest)?, ..Read::default() });
    }
    let mut rest = bytes.strip_prefix(MAGIC)?;
    let mut read = Read::default();
    let (mut total, mut delivered, mut damaged) = (records, 0, false);
    while let Some(at) = memmem::find(rest, MARK) {
        damaged |= at > 0;
        rest = rest.get(at..).unwrap_or_default();
        let Some(header) = Header::parse(rest) else {
            (rest, damaged) = (rest.get(MARK.len()..).unwrap_or_default(), true);
            continue;
        };
        total = header.total;
        match header.body(rest) {
            Some((body, behind)) if checksum(body) == header.checksum => {
                match header.events(body) {
                    _ if header.count == 0 => read.position = Some(body.to_vec()),
                    Some(events) => delivered += append(&mut read.events, events),
                    None => damaged = true,
                }
                rest = behind;
            }
            // A length is intact, but the next block may begin before it if bytes are missing.
            _ => (rest, damaged) = (rest.get(MARK.len()..).unwrap_or_default(), true),
        }
    }
    damaged |= !rest.is_empty();
    read.lost = total.saturating_sub(delivered).max(u64::from(damaged && total == 0));
    Some(read)
}

/// Adds records to those of the same tag if these came last. Returns their number.
fn append(all: &mut Vec<Events>, events: Events) -> u64 {
    let count = events.ends.len() as u64;
    match all.last_mut().filter(|last| last.tag == events.tag) {
        Some(last) => last.append(&events),
        None => all.push(events),
    }
    count
}

/// The header of a block.
struct Header {
    total: u64,
    tag: usize,
    count: usize,
    length: usize,
    checksum: u64,
}

impl Header {
    fn parse(block: &[u8]) -> Option<Header> {
        let header = block.get(..HEADER)?;
        let (numbers, checksums) = header.split_at_checked(HEADER - 16)?;
        let intact = number(checksums)? == checksum(numbers);
        let at = |index: usize| number(numbers.get(MARK.len() + 8 * index..)?);
        let size = |index: usize| usize::try_from(at(index)?).ok();
        let checksum = number(checksums.get(8..)?)?;
        intact.then_some(Header { total: at(0)?, tag: size(2)?, count: size(3)?, length: size(4)?, checksum })
    }

    /// Returns the body, and the bytes behind the block.
    fn body<'b>(&self, block: &'b [u8]) -> Option<(&'b [u8], &'b [u8])> {
        let length = self.count.checked_mul(8)?.checked_add(self.tag)?.checked_add(self.length)?;
        block.get(HEADER..)?.split_at_checked(length)
    }

    fn events(&self, body: &[u8]) -> Option<Events> {
        let (tag, rest) = body.split_at_checked(self.tag)?;
        let (ends, records) = rest.split_at_checked(self.count.checked_mul(8)?)?;
        events(tag, ends, records)
    }
}

/// Returns the records of these parts if the parts belong together.
fn events(tag: &[u8], ends: &[u8], records: &[u8]) -> Option<Events> {
    let end = |bytes: &[u8]| usize::try_from(number(bytes)?).ok();
    let ends = ends.chunks_exact(8).map(end).collect::<Option<Vec<usize>>>()?;
    let sound = ends.is_sorted() && ends.last() == Some(&records.len());
    sound.then(|| Events { tag: tag.to_vec(), bytes: records.to_vec(), ends })
}

/// Returns the first number of these bytes.
fn number(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.first_chunk()?))
}

fn checksum(bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(bytes);
    hasher.finish()
}

/// Reads a file of katalog 0.1: the lengths of tag and records, the number of records, then tag, ends and records.
fn deserialized_of_0_1(mut rest: &[u8]) -> Option<Vec<Events>> {
    let mut take = |length: usize| {
        let (head, tail) = rest.split_at_checked(length)?;
        rest = tail;
        Some(head)
    };
    let mut all = Vec::new();
    while let Some(head) = take(24) {
        let [tag, length, count] = [0, 8, 16].map(|at| usize::try_from(number(head.get(at..)?)?).ok());
        let tag = take(tag?)?;
        let ends = take(count?.checked_mul(8)?)?;
        all.push(events(tag, ends, take(length?)?)?);
    }
    rest.is_empty().then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns records of two tags, which need several blocks.
    fn records() -> Encoded {
        let mut out = Encoded::default();
        for (tag, count) in [("a", 300), ("b", 200)] {
            let mut events = Events { tag: tag.into(), ..Events::default() };
            for number in 0..count {
                events.bytes.extend(format!("{tag} {number} {}", "x".repeat(1000)).as_bytes());
                events.ends.push(events.bytes.len());
            }
            out.events.push(events);
        }
        out
    }

    fn texts(events: &[Events]) -> Vec<&[u8]> {
        let each = events.iter().flat_map(|events| {
            let starts = std::iter::once(&0).chain(&events.ends);
            starts.zip(&events.ends).map(|(start, end)| &events.bytes[*start..*end])
        });
        each.collect()
    }

    #[test]
    fn a_flipped_byte_costs_its_block_and_is_counted() {
        let out = records();
        let (whole, all) = (serialized(&out, None), texts(&out.events));
        assert_eq!(deserialized(&whole, 0).unwrap(), Read { events: out.events.clone(), ..Read::default() });
        let blocks = memmem::find_iter(&whole, MARK).count() as u64;
        assert!(blocks > 6, "{blocks}");
        for at in (MAGIC.len()..whole.len()).step_by(997).chain(MAGIC.len()..MAGIC.len() + HEADER) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            let read = deserialized(&damaged, 0).unwrap();
            let found = texts(&read.events);
            assert_eq!(found.len() as u64 + read.lost, 500, "{at}");
            assert!((1..=65).contains(&read.lost), "{at}: {}", read.lost);
            assert!(found.iter().all(|text| all.contains(text)), "{at}");
        }
    }

    #[test]
    fn missing_bytes_are_counted() {
        let whole = serialized(&records(), None);
        let cut = deserialized(&whole[..whole.len() - 1], 500).unwrap();
        assert_eq!(texts(&cut.events).len() as u64 + cut.lost, 500);
        assert!((1..=65).contains(&cut.lost), "{}", cut.lost);
        let mut gap = whole.clone();
        gap.drain(1000..1100);
        let gap = deserialized(&gap, 500).unwrap();
        assert_eq!(texts(&gap.events).len() as u64 + gap.lost, 500);
        assert!((1..=65).contains(&gap.lost), "{}", gap.lost);
        // Nothing says how many records there were.
        assert_eq!(deserialized(&whole[..100], 0).unwrap().lost, 500);
        assert_eq!(deserialized(b"katspl2\nrubbish", 0).unwrap().lost, 1);
        assert_eq!(deserialized(b"katspl2\nrubbish", 7).unwrap().lost, 7);
        assert_eq!(deserialized(b"katspl3\n", 0), None);
    }

    #[test]
    fn a_position_comes_after_the_records_and_costs_none() {
        let (out, text) = (records(), b"{\"a position\":1}");
        let whole = serialized(&out, Some(text));
        let read = deserialized(&whole, 0).unwrap();
        assert_eq!(read, Read { events: out.events.clone(), lost: 0, position: Some(text.to_vec()) });
        assert_eq!(position(&whole), Some(text.as_slice()));
        assert_eq!(position(&serialized(&out, None)), None);
        for at in whole.len() - text.len() - HEADER..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            assert_eq!(position(&damaged), None, "{at}");
            let read = deserialized(&damaged, 0).unwrap();
            assert_eq!((read.events == out.events, read.lost, read.position), (true, 0, None), "{at}");
            assert_eq!(position(&whole[..at]), None, "{at}");
        }
    }

    #[test]
    fn a_file_of_0_1_is_read() {
        let mut bytes = MAGIC_OF_0_1.to_vec();
        for number in [3_u64, 6, 2] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(b"tag");
        for end in [3_u64, 6] {
            bytes.extend(end.to_le_bytes());
        }
        bytes.extend(b"onetwo");
        let read = deserialized(&bytes, 0).unwrap();
        assert_eq!((texts(&read.events), read.lost), (vec![b"one".as_slice(), b"two"], 0));
        for cut in MAGIC.len() + 1..bytes.len() {
            assert_eq!(deserialized(&bytes[..cut], 0), None, "{cut}");
        }
    }
}
