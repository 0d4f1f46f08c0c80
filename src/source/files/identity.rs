//! Identifies log files by their first bytes. Entry ids derive from the first line, so that they are equal in a file,
//! its copy and its compressed copy.

use std::collections::BTreeMap;
use std::hash::Hasher;
use std::time::SystemTime;

use memchr::memchr;
use siphasher::sip::SipHasher13;
use siphasher::sip128::{Hasher128, SipHasher13 as SipHasher13Long};

use super::listing::FileKey;
use crate::source::position::{FilePosition, HEAD};

/// The id prefix of a file's entries.
pub(super) type Origin = [u8; 16];

/// The shortest prefix hashed separately; each further one is twice as long.
const SHORTEST_PREFIX: usize = 8;

/// Returns the hash of the first bytes, in hexadecimal digits.
pub(super) fn head_hash(head: &[u8]) -> String {
    let mut hasher = SipHasher13::new();
    hasher.write(head);
    format!("{:016x}", hasher.finish())
}

/// Returns the hashes of the shorter prefixes, by length.
pub(super) fn prefix_hashes(head: &[u8]) -> BTreeMap<u32, String> {
    let lengths = std::iter::successors(Some(SHORTEST_PREFIX), |length| Some(2 * length));
    let lengths = lengths.take_while(|length| *length < head.len());
    lengths.filter_map(|length| Some((length as u32, head_hash(head.get(..length)?)))).collect()
}

/// Returns the id prefix of a file's entries: the hash of its first line, cut at `most` bytes. Returns `None` if the
/// line may be incomplete; `all` says that nothing follows.
pub(super) fn entry_origin(head: &[u8], most: usize, all: bool) -> Option<Origin> {
    let most = most.clamp(1, HEAD);
    let end = memchr(b'\n', head).map_or(head.len(), |end| end + 1);
    let whole = all || end >= most || head.get(..end).is_some_and(|line| line.ends_with(b"\n"));
    let line = head.get(..end.min(most)).filter(|_| whole)?;
    let mut hasher = SipHasher13Long::new();
    hasher.write(line);
    Some(hasher.finish128().as_bytes())
}

/// Returns the key of a log's positions. Inodes are reused and a file may hold one log after another, so `generation`
/// distinguishes keys of one inode.
pub(super) fn position_name(key: FileKey, generation: u64) -> String {
    let mut hasher = SipHasher13Long::new();
    hasher.write(&key.device.to_le_bytes());
    hasher.write(&key.inode.to_le_bytes());
    hasher.write(&key.created.map_or(0, nanoseconds).to_le_bytes());
    hasher.write(&generation.to_le_bytes());
    format!("{:032x}", u128::from_be_bytes(hasher.finish128().as_bytes()))
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The similarity of a file to a known log or its copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Likeness {
    /// The first bytes differ.
    None,
    /// The file is a proper prefix of the log, as far as known.
    Part,
    /// The file holds all known first bytes of the log.
    Whole,
}

/// Compares a file's first bytes with the known first bytes of a log.
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

/// Compares a file's first bytes with a log of which only hashes are known.
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
