//! A journal file open for reading: its header, its objects, and the damage found in it.

use std::io;

use crate::damage::{Damage, Damages};
use crate::entry_array::Chain;
use crate::error::Refusal;
use crate::file_range::FileRange;
use crate::large_field::LargeField;
use crate::layout::{
    ARENA_SIZE, EntryHead, HEADER_MAX, HEADER_MIN, HeaderState, JournalHeader, MAGIC, ObjectHeader, ObjectKind, Widths,
    incompatible,
};
use crate::objects::{DataField, MAX_ITEMS, Objects};
use crate::offset::{Offset, Units};
use crate::payload::{Decoders, MAX_FIELD};
use crate::window::Windows;

/// The end of the largest readable file, because [`Units`] have 32 bits.
const LARGEST: u64 = 1 << 35;

/// A change that a look at the header of a live file has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refreshed {
    /// Nothing has changed.
    Same,
    /// The writer has changed the file.
    Changed,
    /// The file was emptied, as vacuuming does, or replaced. Entries read before stay valid, and no more can be read.
    Gone,
}

/// A journal file opened for reading.
pub(crate) struct JournalFile {
    /// The bytes that the header was decoded from.
    raw: [u8; HEADER_MAX],
    pub(crate) header: JournalHeader,
    pub(crate) objects: Objects,
    pub(crate) decoders: Decoders,
    pub(crate) damages: Damages,
    /// The end of the entries that were listed.
    pub(crate) listed: Chain,
}

impl JournalFile {
    /// Opens a file with up to `windows` cached windows of 68 KiB, allocated as they are needed. A power of two is
    /// best, and two suffice to read in order.
    ///
    /// # Errors
    ///
    /// Fails if the file as a whole cannot be read. A codec that this build lacks is no reason: fields without
    /// compression can be read.
    pub(crate) fn open(file: impl Into<FileRange>, windows: usize) -> Result<Self, Refusal> {
        let file = file.into();
        let (raw, read) = read_header(&file).map_err(Refusal::Unreadable)?;
        let length = file.length().map_err(Refusal::Unreadable)?;
        if read >= MAGIC.len() && !raw.starts_with(MAGIC) {
            return Err(Refusal::NotAJournal);
        }
        if read < HEADER_MIN {
            return Err(Refusal::TooShort { length });
        }
        let header = JournalHeader::decode(&raw);
        let unknown = header.incompatible & !incompatible::KNOWN;
        if unknown != 0 {
            return Err(Refusal::UnknownFlags { flags: unknown });
        }
        let size = header.header_size;
        let begin = Offset(size).aligned().filter(|_| size >= HEADER_MIN as u64);
        let Some(begin) = begin else { return Err(Refusal::HeaderSize { size }) };
        if size > length {
            return Err(Refusal::TooShort { length });
        }
        let used = promised_end(&header).min(length);
        if used > LARGEST {
            return Err(Refusal::TooLarge { size: used });
        }
        let end = length.min(LARGEST);
        let windows = Windows::new(file, end, windows);
        let widths = Widths::of(header.compact());
        let truncated = promised_end(&header) > length;
        let mut opened = Self {
            raw,
            objects: Objects::new(windows, begin, Offset(end), widths),
            header,
            decoders: Decoders::new(MAX_FIELD),
            damages: Damages::of(truncated),
            listed: Chain::default(),
        };
        opened.check_arena(length);
        Ok(opened)
    }

    /// Counts a damage if the last object of a file without a writer ends behind the arena.
    fn check_arena(&mut self, length: u64) {
        let (tail, promised) = (self.header.tail_object_offset, promised_end(&self.header));
        if promised >= length || self.header.state == HeaderState::Online || !tail.0.is_multiple_of(8) {
            return;
        }
        let last = self.objects.bytes_at(tail, false).ok().flatten().map(ObjectHeader::decode);
        self.objects.windows.release();
        if last.is_some_and(|last| tail.0.saturating_add(last.size) > promised) {
            self.damages.note(Damage::Index, Offset(ARENA_SIZE).units());
        }
    }

    /// Returns the header as it was read last.
    pub(crate) fn header(&self) -> &JournalHeader {
        &self.header
    }

    /// Returns the range of bytes that the file is read from.
    pub(crate) fn range(&self) -> FileRange {
        self.objects.windows.file().clone()
    }

    /// Returns the number of bytes that buffers take.
    pub(crate) fn held(&self) -> usize {
        self.objects.windows.held() + self.decoders.held()
    }

    /// Frees the memory of the buffers. They are filled again when they are needed.
    pub(crate) fn release(&mut self) {
        self.objects.windows.release();
        self.decoders.release();
    }

    /// Returns the end of the readable part, in bytes.
    pub(crate) fn end(&self) -> u64 {
        self.objects.end.0
    }

    /// Returns the damage found so far.
    pub(crate) fn damages(&self) -> &Damages {
        &self.damages
    }

    /// Reads the header of a live file again, with one `pread` if nothing has changed. After a change, no bytes read
    /// before are served again.
    ///
    /// # Errors
    ///
    /// Fails with the system's error and leaves everything as it was.
    pub(crate) fn refresh(&mut self) -> io::Result<Refreshed> {
        let (raw, read) = read_header(self.objects.windows.file())?;
        if raw == self.raw {
            return Ok(Refreshed::Same);
        }
        let header = JournalHeader::decode(&raw);
        let identity = |header: &JournalHeader| (header.file_id, header.header_size, header.incompatible);
        let length = self.objects.windows.file().length()?;
        if read < HEADER_MIN || !raw.starts_with(MAGIC) || identity(&header) != identity(&self.header) {
            return Ok(Refreshed::Gone);
        }
        self.objects.end = Offset(length.min(LARGEST));
        self.objects.windows.reset(self.objects.end.0);
        self.damages.truncated = promised_end(&header) > length;
        self.raw = raw;
        self.header = header;
        Ok(Refreshed::Changed)
    }

    /// Returns whether the header promises more entries than were listed.
    pub(crate) fn lags(&self) -> bool {
        self.listed.total < self.header.n_entries
    }

    /// Returns whether the file was deleted while it is open here.
    pub(crate) fn deleted(&self) -> bool {
        self.objects.windows.file().is_deleted()
    }

    /// Reads an entry. The offsets of its DATA replace `items`, in the order of the file. An impossible offset becomes
    /// [`Units::NONE`], for which [`JournalFile::data`] fails.
    ///
    /// # Errors
    ///
    /// Fails if there is no readable entry.
    #[inline]
    pub(crate) fn entry(&mut self, at: Units, items: &mut Vec<Units>) -> Result<EntryHead, Damage> {
        items.clear();
        let head = self.objects.entry(at, items).map_err(|damage| self.damages.note(damage, at))?;
        if items.len() > MAX_ITEMS {
            items.truncate(MAX_ITEMS);
            self.damages.note(Damage::Field, at);
        }
        Ok(head)
    }

    /// Reads an entry without its items. A distant entry costs a read of a few KiB, which makes bisection cheap.
    ///
    /// # Errors
    ///
    /// Fails if there is no readable entry.
    #[inline]
    pub(crate) fn head(&mut self, at: Units) -> Result<EntryHead, Damage> {
        self.objects.head(at).map_err(|damage| self.damages.note(damage, at))
    }

    /// Reads an entry without its items, past the windows. No other bytes are kept for it.
    pub(crate) fn distant_head(&mut self, at: Units) -> Result<EntryHead, Damage> {
        let object = self.objects.fresh(at, ObjectKind::Entry)?;
        EntryHead::decode(object.bytes).ok_or(Damage::Entry)
    }

    /// Reads a DATA and appends its `NAME=value` to `out` if `want` accepts the name. Otherwise nothing is appended,
    /// and no more than the name is decompressed.
    ///
    /// # Errors
    ///
    /// Fails if there is no readable field, and appends nothing then.
    #[inline]
    pub(crate) fn data(
        &mut self,
        at: Units,
        out: &mut Vec<u8>,
        want: impl FnMut(&[u8]) -> bool,
    ) -> Result<DataField, Damage> {
        self.objects.data(&mut self.decoders, at, out, want).map_err(|damage| self.damages.note(damage, at))
    }
}

impl JournalFile {
    /// Returns the field of a DATA, whose value stays in the file: see [`Objects::large`].
    ///
    /// # Errors
    ///
    /// Fails if the value cannot be read to its end, or is larger than `most`.
    pub(crate) fn large(&mut self, at: Units, before: usize, most: u64) -> Result<LargeField, Damage> {
        let field = self.objects.large(&mut self.decoders, at, before, most);
        field.map_err(|damage| self.damages.note(damage, at))
    }
}

/// Reads the first bytes of a file, with zeros past its end, and returns their number.
fn read_header(file: &FileRange) -> io::Result<([u8; HEADER_MAX], usize)> {
    let mut raw = [0; HEADER_MAX];
    let mut read = 0;
    while let Some(room) = raw.get_mut(read..).filter(|room| !room.is_empty()) {
        match file.read_at(room, read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok((raw, read))
}

/// Returns the end of the part in use or preallocated, as the header states it. Objects behind this end are read
/// nevertheless, as libsystemd does: the header may be damaged, or older than the objects.
fn promised_end(header: &JournalHeader) -> u64 {
    header.header_size.saturating_add(header.arena_size)
}

#[cfg(test)]
pub(crate) mod tests;
