//! Journals of systemd, read from their files (systemd: `docs/JOURNAL_FILE_FORMAT.md`; the code is the authority).
//!
//! The entries of all files come in one order, each once. A field that many entries have is read and decompressed once,
//! and is in a batch once. Nothing is mapped: a file may be cut or emptied by its writer at any moment, so all of it is
//! read with `pread`. Damage costs the smallest thing that it is in, and is counted.

mod batch;
mod cache;
mod cursor;
mod damage;
mod directory;
mod directory_watch;
mod entry_prefix;
mod entry_range;
mod error;
mod fields;
mod file;
mod file_range;
mod file_reader;
mod file_slices;
mod follow;
mod hash;
mod index;
mod journal;
mod layout;
mod open;
mod order;
mod payload;
mod recovery;
mod seqnum_progress;
mod window;

pub use batch::{Entry, EntryBatch, EntryPrefix, FieldId};
pub use cursor::{Cursor, CursorError, MAX_LENGTH, Place, parse_id};
pub use directory::Namespace;
pub use directory_watch::DirectoryWatch;
pub use entry_range::{Boot, Range};
pub use error::{Error, Refusal};
pub use file_range::{FileRange, FileRangeReader};
pub use file_slices::{FileSlice, FileSlices, Opened, open_slices};
pub use journal::{Damaged, EntryFilter, Fill, FoundFile, JournalReader, Settings, Skipped, files, is_at};
pub use open::{OpenFile, PlainFiles};
pub use order::{Merge, MergeStep, RunBound};
pub use seqnum_progress::Position;
