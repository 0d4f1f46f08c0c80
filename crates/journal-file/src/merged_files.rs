//! The open files of a journal: the order of their entries, and the memory of their buffers.
//!
//! A file fills buffers when its entries are read, and keeps them for its next entries. Beyond [`BUFFERS`] bytes of all
//! files together, those that were filled first are freed. So an open file whose turn is far away takes no buffers.

use std::collections::VecDeque;

use crate::cursor::Place;
use crate::earlier_files::FileOrder;
use crate::file_reader::FileReader;
use crate::merge::{Merge, RunBound};

/// The most bytes in the buffers of all files, besides those of the file that is read.
const BUFFERS: usize = 32 << 20;

/// The open files and the order of their entries.
#[derive(Default)]
pub(crate) struct MergedFiles {
    /// The open files by their indexes. A box keeps the list from taking the room of many more files than there are.
    pub(crate) readers: Vec<Option<Box<FileReader>>>,
    /// The keys of the current entries, by file: their places, mirrored if the order is backwards.
    pub(crate) keys: Vec<Place>,
    pub(crate) merge: Merge,
    /// The file whose entries come next, and the bound up to which they do.
    pub(crate) run: Option<(usize, RunBound)>,
    /// Entries are read from the last to the first.
    pub(crate) backwards: bool,
    /// Closed files that files to come may continue. Kept only if entries are awaited after the last one.
    pub(crate) closed: FileOrder,
    /// The files whose buffers are counted, the first filled one first, and the bytes of these buffers.
    holders: VecDeque<usize>,
    held: usize,
}

impl MergedFiles {
    /// Returns the place by which the merge orders an entry.
    #[inline]
    pub(crate) fn key(&self, place: Place) -> Place {
        if self.backwards { place.mirrored() } else { place }
    }

    /// Returns the place of a file's current entry.
    #[inline]
    pub(crate) fn place(&self, index: usize) -> Place {
        self.key(self.keys[index])
    }

    /// Ends the current run: offers the next entry of its file to the merge.
    pub(crate) fn put_back(&mut self) {
        if let Some((index, _)) = self.run.take() {
            self.merge.offer(index, self.keys[index]);
            self.count_buffers(index);
        }
    }

    /// Counts the buffers of a file that was read, and frees those of other files beyond the limit.
    pub(crate) fn count_buffers(&mut self, index: usize) {
        let Some(reader) = self.readers.get_mut(index).and_then(Option::as_deref_mut) else { return };
        if reader.counted == 0 {
            self.holders.push_back(index);
        }
        let held = reader.held();
        self.held = self.held - reader.counted + held;
        reader.counted = held;
        while self.held > BUFFERS && self.holders.len() > 1 {
            let Some(first) = self.holders.pop_front() else { break };
            if first == index {
                self.holders.push_back(index);
            } else if let Some(other) = self.readers.get_mut(first).and_then(Option::as_mut) {
                self.held -= std::mem::take(&mut other.counted);
                other.release();
            }
        }
    }

    /// Removes all files.
    pub(crate) fn clear(&mut self) {
        self.readers.clear();
        self.keys.clear();
        self.holders.clear();
        self.held = 0;
    }

    /// Takes out a file, ends its run, and no longer counts its buffers.
    pub(crate) fn remove(&mut self, index: usize) -> Option<Box<FileReader>> {
        self.run.take_if(|(at, _)| *at == index);
        let reader = self.readers.get_mut(index).and_then(Option::take)?;
        if reader.counted > 0 {
            self.held -= reader.counted;
            self.holders.retain(|holder| *holder != index);
        }
        Some(reader)
    }
}
