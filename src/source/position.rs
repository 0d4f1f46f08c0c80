//! How far an input was read, in a form that another run can go on from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How far a source was read: all that it gave before is behind this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// In a journal of one or many files.
    Journal(JournalPosition),
    /// In log files that are followed. Only those that were read since the last position; each stands for itself.
    Files(Vec<FilePosition>),
}

/// How far a journal was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalPosition {
    /// The last entry that was given out, as `journalctl --after-cursor` takes it; none before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// By source of sequence numbers (`seqnum_id`, in hexadecimal digits): the last number that was passed. An entry
    /// comes after this position if its number is larger, or its source is not here.
    #[serde(default)]
    pub passed: BTreeMap<String, u64>,
}

/// How far a log file was read. The file is known again by what it begins with, whatever it is called by then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilePosition {
    /// Its name when it was read last.
    pub path: PathBuf,
    /// Its device.
    pub device: u64,
    /// Its inode.
    pub inode: u64,
    /// How many bytes from its beginning the hash is of, after decompression; at most [`HEAD`].
    pub head: u32,
    /// Their hash, in hexadecimal digits.
    pub hash: String,
    /// The hashes of shorter beginnings, by their lengths: a copy that is still being made may have no more than these.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub prints: BTreeMap<u32, String>,
    /// How many of its bytes, after decompression, were read and belong to entries that were given out whole.
    pub offset: u64,
    /// What this position is told from others by. A later one with the same replaces it.
    pub origin: String,
    /// Nothing more is to come: it was read to its end after it had been rotated away, or it is older than what is
    /// followed, or it is known to be gone. Such a file is not missed when it is not found again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub over: bool,
    /// Neither the file nor a copy of it exists any more: nothing has to be remembered of it. Never saved.
    #[serde(skip)]
    pub gone: bool,
}

/// The most bytes from a file's beginning that it is known by.
pub const HEAD: usize = 1024;
