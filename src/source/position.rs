//! Positions of inputs, from which a later run resumes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The position of a source. Every entry returned before lies before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// A position in a journal of one or more files.
    Journal(JournalPosition),
    /// Positions in followed log files. Only files read since the last position are included; each position is
    /// independent.
    Files(Vec<FilePosition>),
}

/// A position in a journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalPosition {
    /// The cursor of the last entry returned, as `journalctl --after-cursor` takes it; `None` before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The last sequence number read, by `seqnum_id` in hexadecimal digits. An entry lies after this position if its
    /// number is larger, or if its `seqnum_id` is missing here.
    #[serde(default)]
    pub passed: BTreeMap<String, u64>,
}

/// A position in a log file. The file is identified by its first bytes, so a rename does not matter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilePosition {
    /// The path at the last read.
    pub path: PathBuf,
    /// The device number.
    pub device: u64,
    /// The inode number.
    pub inode: u64,
    /// The number of decompressed bytes that the hash covers, at most [`HEAD`].
    pub head: u32,
    /// The hash of these bytes, in hexadecimal digits.
    pub hash: String,
    /// The hashes of shorter prefixes, by length. They identify a copy that is still being written.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub prints: BTreeMap<u32, String>,
    /// The number of decompressed bytes that belong to entries returned whole.
    pub offset: u64,
    /// The length of the file when it was last seen, if it was longer than the offset. For a compressed file, at least its
    /// compressed length.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub length: u64,
    /// The key of the position. A later position with the same key replaces it.
    pub origin: String,
    /// The streams whose next entry may continue another one, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open_streams: Vec<OpenStream>,
    /// No more entries are expected: the file was rotated and read to its end, is older than the followed files, or is
    /// gone. If it is not found again, nothing is reported.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub over: bool,
    /// The file and its copies are gone, so the position can be forgotten. Never saved.
    #[serde(skip)]
    pub gone: bool,
}

impl FilePosition {
    /// Returns the known number of bytes behind the position.
    #[must_use]
    pub fn unread(&self) -> u64 {
        self.length.saturating_sub(self.offset)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
fn is_zero(length: &u64) -> bool {
    *length == 0
}

/// A stream of entries whose next entry may continue another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenStream {
    /// The number of the stream: a hash of its name.
    pub stream: u64,
    /// journald cut the last entry.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rest: bool,
    /// The relation of the next entry to a print of secrets.
    pub print: Print,
}

/// The relation of a stream's next entry to a print of secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Print {
    /// There is none.
    None,
    /// The entry is the first of its stream in its file, so it may be the rest of a line in the file before.
    First {
        /// The number of lines of other streams before it.
        lines: u32,
    },
    /// The last line ends inside a print.
    Ended {
        /// The number of lines of other streams since.
        lines: u32,
    },
    /// The text of a print is withheld.
    Withheld {
        /// The number of bytes withheld so far.
        bytes: u32,
    },
}

/// The number of first bytes that identify a file.
pub const HEAD: usize = 1024;
