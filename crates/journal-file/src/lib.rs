//! Journals of systemd, read from their files (systemd: `docs/JOURNAL_FILE_FORMAT.md`; the code is the authority).
//!
//! The entries of all files come in one order, each once. A field that many entries have is read and decompressed once,
//! and is in a batch once. Nothing is mapped: a file may be cut or emptied by its writer at any moment, so all of it is
//! read with `pread`. Damage costs the smallest thing that it is in, and is counted.

// A module imports only modules above it.
mod offset;
mod error;
mod file_range;
mod cursor;
mod layout;
mod damage;
mod hash;
mod payload;
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
mod selection;
mod batch;
mod field_cache;
mod entry_prefix;
mod fields;
mod entry_scan;
mod file_reader;
mod merge;
mod settings;
mod follow;
mod journal_reader;
mod file_slices;

pub use batch::{Entry, EntryBatch, EntryPrefix, FieldId};
pub use cursor::{Cursor, CursorError, Place};
pub use damage::{Damage, Damaged};
pub use directory::Namespace;
pub use directory_watch::DirectoryWatch;
pub use entry_range::{Boot, Range};
pub use error::Error;
pub use file_range::FileRange;
pub use file_slices::{FileSlice, FileSlices};
pub use journal_reader::{Fill, JournalReader, Skipped};
pub use merge::{Merge, MergeStep, RunBound};
pub use open_file::OpenFile;
pub use selection::EntryFilter;
pub use seqnum_progress::Position;
pub use settings::Settings;
