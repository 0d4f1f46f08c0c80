//! What a log file is known by: what it begins with. The ids of its entries come from there too, so that they are the
//! same whether an entry is read from the file, from a copy or from a compressed copy.

use std::collections::BTreeMap;
use std::hash::Hasher;
use std::time::SystemTime;

use memchr::memchr;
use siphasher::sip::SipHasher13;
use siphasher::sip128::{Hasher128, SipHasher13 as SipHasher13Long};

use super::listing::FileKey;
use crate::source::position::{FilePosition, HEAD};
use kata_records::digits;

/// Where the ids of a file's entries come from.
pub(super) type Origin = [u8; 16];

/// The shortest beginning that is remembered by itself; the next ones are twice as long each.
const SHORTEST_PREFIX: usize = 8;

/// The hash of what a file begins with, in hexadecimal digits.
pub(super) fn head_hash(head: &[u8]) -> String {
    let mut hasher = SipHasher13::new();
    hasher.write(head);
    format!("{:016x}", hasher.finish())
}

/// The hashes of beginnings that are shorter than this one.
pub(super) fn prefix_hashes(head: &[u8]) -> BTreeMap<u32, String> {
    let lengths = std::iter::successors(Some(SHORTEST_PREFIX), |length| Some(2 * length));
    let lengths = lengths.take_while(|length| *length < head.len());
    lengths.filter_map(|length| Some((length as u32, head_hash(head.get(..length)?)))).collect()
}

/// The origin of a file's entries: the hash of its first line, which is cut at `most` bytes. None if the line is not
/// known to be whole; `all` says that nothing follows what is known.
pub(super) fn entry_origin(head: &[u8], most: usize, all: bool) -> Option<Origin> {
    let most = most.clamp(1, HEAD);
    let end = memchr(b'\n', head).map_or(head.len(), |end| end + 1);
    let whole = all || end >= most || head.get(..end).is_some_and(|line| line.ends_with(b"\n"));
    let line = head.get(..end.min(most)).filter(|_| whole)?;
    let mut hasher = SipHasher13Long::new();
    hasher.write(line);
    Some(hasher.finish128().as_bytes())
}

/// What the positions of a log are known_len from those of others by. An inode is given to one file after another, and a
/// file may hold one log after another, so there are several for each; `generation` says which.
pub(super) fn position_name(key: FileKey, generation: u32) -> String {
    let mut hasher = SipHasher13Long::new();
    hasher.write(&key.device.to_le_bytes());
    hasher.write(&key.inode.to_le_bytes());
    hasher.write(&key.created.map_or(0, nanoseconds).to_le_bytes());
    hasher.write(&generation.to_le_bytes());
    String::from_utf8_lossy(&digits::of_id(&hasher.finish128().as_bytes())).into_owned()
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// How much a file looks like a log, or like a copy of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Likeness {
    /// They begin differently.
    None,
    /// All that it begins with is in the log too, as far as that can be known_len, and the log begins with more.
    Part,
    /// It has all that is known of the log's beginning.
    Whole,
}

/// Compares a file that begins with `head` with a log that is known to begin with `known`.
pub(super) fn likeness(known: &[u8], head: &[u8]) -> Likeness {
    let common = known.len().min(head.len());
    if common == 0 || known.get(..common) != head.get(..common) {
        Likeness::None
    } else if head.len() >= known.len() {
        Likeness::Whole
    } else {
        Likeness::Part
    }
}

/// The same for a log of which only hashes are known.
pub(super) fn likeness_to_saved(saved: &FilePosition, head: &[u8]) -> Likeness {
    let is = |length: u32, print: &str| head.get(..length as usize).is_some_and(|head| head_hash(head) == print);
    if saved.head == 0 || head.is_empty() {
        Likeness::None
    } else if head.len() >= saved.head as usize {
        if is(saved.head, &saved.hash) { Likeness::Whole } else { Likeness::None }
    } else {
        let longest = saved.prints.range(..=head.len() as u32).next_back();
        if longest.is_none_or(|(length, print)| is(*length, print)) { Likeness::Part } else { Likeness::None }
    }
}
