//! Journals of systemd, read from their files (systemd: `docs/JOURNAL_FILE_FORMAT.md`; the code is the authority).
//!
//! The entries of all files come in one order, each once. A field that many entries have is read and decompressed once,
//! and is in a batch once. Nothing is mapped: a file may be cut or emptied by its writer at any moment, so all of it is
//! read with `pread`. Damage costs the smallest thing that it is in, and is counted.

mod batch;
mod cache;
mod cursor;
mod damage;
mod dir;
mod error;
mod extent;
mod fields;
mod file;
mod follow;
mod hash;
mod index;
mod journal;
mod layout;
mod open;
mod order;
mod passed;
mod payload;
mod pieces;
mod range;
mod reader;
mod salvage;
mod stems;
mod watch;
mod window;

pub use batch::{Entry, EntryBatch, Item, Stem};
pub use cursor::{Cursor, CursorError, MAX_LENGTH, Place, parse_id};
pub use dir::Namespace;
pub use error::{Error, Refusal};
pub use extent::{Extent, ExtentReader};
pub use journal::{Damaged, Fill, FoundFile, Interest, JournalReader, Settings, Skipped, files, is_at};
pub use open::{OpenFile, PlainFiles};
pub use order::{Limit, Merge, Turn};
pub use passed::Position;
pub use pieces::{Opened, Piece, Pieces, open_pieces};
pub use range::{Boot, Range};
pub use watch::Watch;
