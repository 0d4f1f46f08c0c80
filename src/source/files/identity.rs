//! What a log file is known by: what it begins with, and where its entries' ids come from.

use std::hash::Hasher;
use std::time::SystemTime;

use siphasher::sip::SipHasher13;
use siphasher::sip128::{Hasher128, SipHasher13 as SipHasher13Long};

use super::find::Key;
use crate::cursor::{hexadecimal, parse_id};
use crate::position::FilePosition;

/// Where the ids of a file's entries come from.
pub(super) type Origin = [u8; 16];

/// The hash of what a file begins with, in hexadecimal digits.
pub(super) fn hash(head: &[u8]) -> String {
    let mut hasher = SipHasher13::new();
    hasher.write(head);
    format!("{:016x}", hasher.finish())
}

/// Whether a file that begins with `head` is the one that a position was saved of.
pub(super) fn is_of(saved: &FilePosition, head: &[u8]) -> bool {
    head.get(..saved.head as usize).is_some_and(|head| hash(head) == saved.hash)
}

/// The origin of a file that is seen for the first time. An inode is given to one file after another, so the time of
/// its creation goes in where the file system keeps one, and the origin of the file that had the inode `before`, if
/// known.
pub(super) fn origin(key: Key, before: Option<&Origin>) -> Origin {
    let mut hasher = SipHasher13Long::new();
    hasher.write(&key.device.to_le_bytes());
    hasher.write(&key.inode.to_le_bytes());
    hasher.write(&key.born.map_or(0, nanoseconds).to_le_bytes());
    hasher.write(before.unwrap_or(&[0; 16]));
    hasher.finish128().as_bytes()
}

/// A time as a position holds it.
pub(super) fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// An origin as a position holds it.
pub(super) fn written(origin: &Origin) -> String {
    String::from_utf8_lossy(&hexadecimal(origin)).into_owned()
}

/// The origin that a position holds; none if it was changed by someone else.
pub(super) fn origin_of(saved: &FilePosition) -> Option<Origin> {
    parse_id(saved.origin.as_bytes())
}
