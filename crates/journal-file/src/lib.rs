//! Reads the journal files of systemd (systemd: `docs/JOURNAL_FILE_FORMAT.md`; its code is the authority).
//!
//! A [`Journal`] names files and chooses entries. [`Journal::entries`] returns these in the order of `journalctl`, each
//! once:
//!
//! ```
//! use journal_file::{Error, Journal};
//!
//! fn print(directory: &str) -> Result<(), Error> {
//!     let mut entries = Journal::open(directory)?.matching("SYSLOG_IDENTIFIER", "sshd").last(10).entries();
//!     while let Some(entry) = entries.next()? {
//!         let message = entry.field("MESSAGE").unwrap_or_default();
//!         println!("{} {}", entry.place().realtime, String::from_utf8_lossy(message));
//!         for (name, value) in entry.fields() {
//!             println!("    {}: {} bytes", String::from_utf8_lossy(name), value.len());
//!         }
//!     }
//!     for damaged in entries.damages() {
//!         println!("{}: {}", damaged.path.display(), damaged.reason.name());
//!     }
//!     Ok(())
//! }
//!
//! assert!(print("/no/such/directory").is_err());
//! ```
//!
//! A [`JournalReader`] fills an [`EntryBatch`] with many entries at once, which outlive the files. A field that many
//! entries share is read and decompressed once, and is in a batch once. [`FileSlices`] splits a file for several threads.
//!
//! No file is mapped: its writer may cut or empty it at any moment, so all bytes are read with `pread`. [`Damage`] loses
//! only the smallest affected unit, and is counted.

// A module imports only modules above it.
mod offset;
mod error;
mod file_range;
mod cursor;
mod layout;
mod damage;
mod hash;
pub mod text;
mod payload;
mod payload_reader;
pub mod large_field;
mod window;
mod objects;
mod entry_array;
mod file;
mod recovery;
mod index;
mod open_file;
mod directory;
mod directory_watch;
mod entry_range;
mod seqnum_progress;
mod batch;
mod settings;
mod skipped;
mod selection;
mod field_cache;
mod stream_fields;
mod entry_prefix;
mod fields;
mod entry_scan;
mod earlier_files;
mod line_breaks;
mod stream_past;
mod current_entry;
mod file_reader;
mod clock_runs;
mod file_seek;
mod merge;
mod merged_files;
mod follow;
mod journal_reader;
mod file_slices;
mod journal;

pub use batch::{Continuation, Entry, EntryBatch, EntryPrefix, FieldId};
pub use cursor::{Cursor, CursorError, Place};
pub use damage::{Damage, Damaged};
pub use directory::Namespace;
pub use directory_watch::DirectoryWatch;
pub use entry_range::{Boot, Range};
pub use error::Error;
pub use file_range::FileRange;
pub use file_slices::{FileSlice, FileSlices};
pub use journal::{Entries, Journal};
pub use journal_reader::{Fill, JournalReader};
pub use merge::{Merge, MergeStep, RunBound};
pub use open_file::OpenFile;
pub use selection::EntryFilter;
pub use seqnum_progress::Position;
pub use settings::Settings;
pub use skipped::Skipped;

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
