//! The files that precede a file: those of one source of sequence numbers that begin earlier. journald rotates files
//! at any entry, so a stream goes on from one file to the next.

use std::sync::Arc;

use crate::file::JournalFile;
use crate::file_range::FileRange;
use crate::layout::JournalHeader;

/// The number of files before a file in which its streams are looked up. The pieces of a line follow one another
/// closely, so they are in adjacent files; files of users, which are rotated together, lie between these.
const EARLIER: usize = 4;

/// A file that precedes others, open or closed.
#[derive(Debug)]
pub(crate) struct EarlierFile {
    /// The bytes of the file, which this keeps open.
    range: FileRange,
    file_id: [u8; 16],
    seqnum_id: [u8; 16],
    /// The sequence number of the first entry.
    head: u64,
}

/// Returns the sequence number that the entries of a file begin with. A file without entries gets only later ones.
fn head(header: &JournalHeader) -> u64 {
    if header.head_entry_seqnum == 0 { u64::MAX } else { header.head_entry_seqnum }
}

impl EarlierFile {
    pub(crate) fn of(file: &JournalFile) -> Arc<EarlierFile> {
        let header = file.header();
        let (file_id, seqnum_id) = (header.file_id, header.seqnum_id);
        Arc::new(EarlierFile { range: file.range(), file_id, seqnum_id, head: head(header) })
    }

    /// Opens the file, if it still can be read.
    pub(crate) fn open(&self) -> Option<JournalFile> {
        JournalFile::open(self.range.clone(), 2).ok()
    }
}

/// All files of a journal, in the order of their sources and sequence numbers.
#[derive(Debug, Default)]
pub(crate) struct FileOrder(Vec<Arc<EarlierFile>>);

impl FileOrder {
    pub(crate) fn new(files: impl Iterator<Item = Arc<EarlierFile>>) -> FileOrder {
        let mut files: Vec<_> = files.collect();
        files.sort_by_key(|file| (file.seqnum_id, file.head));
        FileOrder(files)
    }

    /// Adds a file.
    pub(crate) fn add(&mut self, file: Arc<EarlierFile>) {
        let key = |file: &Arc<EarlierFile>| (file.seqnum_id, file.head);
        let at = self.0.partition_point(|other| key(other) <= key(&file));
        self.0.insert(at, file);
    }

    /// Returns the files right before a file, the last one first. A copy of the file is not before it.
    pub(crate) fn before(&self, file: &JournalFile) -> Vec<Arc<EarlierFile>> {
        let header = file.header();
        let end = self.0.partition_point(|other| (other.seqnum_id, other.head) < (header.seqnum_id, head(header)));
        let before = self.0.get(..end).unwrap_or_default().iter().rev();
        let before = before.take_while(|other| other.seqnum_id == header.seqnum_id);
        before.filter(|other| other.file_id != header.file_id).take(EARLIER).cloned().collect()
    }

    /// Drops the files that were deleted, and those that no later file needs.
    pub(crate) fn prune(&mut self) {
        let mut later = (None, 0);
        let mut kept: Vec<_> = std::mem::take(&mut self.0);
        kept.reverse();
        kept.retain(|file| {
            later = if later.0 == Some(file.seqnum_id) { (later.0, later.1 + 1) } else { (Some(file.seqnum_id), 1) };
            later.1 <= EARLIER && !file.range.is_deleted()
        });
        kept.reverse();
        self.0 = kept;
    }

    /// Returns the files.
    pub(crate) fn files(&self) -> impl Iterator<Item = Arc<EarlierFile>> + '_ {
        self.0.iter().cloned()
    }
}
