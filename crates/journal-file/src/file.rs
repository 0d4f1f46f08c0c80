//! A journal file open for reading: its header, and its objects, each checked before anything in it is used.
//!
//! [`Objects`] is the one accessor. Every offset in the file is taken through it, so that an offset may say what it
//! likes: the object there is of the type that was asked for and lies within the file, or it is [`Damage`].
//! What counts in the file, and what refers back in it, is only ever a limit.

use std::io;

use super::damage::{Damage, Damages};
use super::index::Chain;
use super::layout::{
    ENTRY_HEADER, EntryHead, HEADER_MAX, HEADER_MIN, JournalHeader, MAGIC, OBJECT_HEADER, ObjectHeader, ObjectKind,
    Widths, incompatible, push_offsets, u64_at,
};
use super::payload::{Codec, Decoders, MAX_FIELD, read_name};
use super::window::{VIEW_MIN, WindowSlot, Windows};
use crate::error::Refusal;
use crate::file_range::FileRange;

/// Offsets are kept in units of eight bytes as 32 bits, so files end here.
const LARGEST: u64 = 1 << 35;
/// How many items of an entry are used: far more than journald's limit of 1024.
const MAX_ITEMS: usize = 1 << 16;

/// What a look at the header of a live file has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refreshed {
    /// It is as it was.
    Same,
    /// The writer was there.
    Changed,
    /// The file was emptied, as vacuuming does, or has become another one. What was read before is still good, and
    /// nothing more can be read.
    Gone,
}

/// What a DATA is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DataField {
    /// The length of the name; the value follows the `=` behind it.
    pub(super) name_len: usize,
    /// More than one entry has this DATA, as far as the writer has linked them: in a live file it may be more than that.
    pub(super) shared: bool,
    /// It was wanted, so it was appended.
    pub(super) wanted: bool,
}

/// A journal file opened for reading.
pub(super) struct JournalFile {
    /// The bytes that the header was decoded from.
    raw: [u8; HEADER_MAX],
    pub(super) header: JournalHeader,
    pub(super) objects: Objects,
    pub(super) decoders: Decoders,
    pub(super) damages: Damages,
    /// How far the entries were listed.
    pub(super) listed: Chain,
}

impl JournalFile {
    /// Opens a file, which may have up to `windows` cached windows of 68 KiB, allocated as they are needed. A power of
    /// two is best, and two are enough for one who reads in order.
    ///
    /// # Errors
    ///
    /// Fails where the file as a whole cannot be read. That a codec was left out of this build is no reason: fields
    /// without it can be read.
    pub(super) fn open(file: impl Into<FileRange>, windows: usize) -> Result<Self, Refusal> {
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
        if size < HEADER_MIN as u64 || !size.is_multiple_of(8) {
            return Err(Refusal::HeaderSize { size });
        }
        if size > length {
            return Err(Refusal::TooShort { length });
        }
        let (end, truncated) = valid_end(&header, length);
        if end > LARGEST {
            return Err(Refusal::TooLarge { size: end });
        }
        let compact = header.compact();
        Ok(Self {
            raw,
            objects: Objects {
                windows: Windows::new(file, end, windows),
                begin: header.header_size,
                end,
                widths: Widths::of(compact),
                here: header.header_size,
            },
            header,
            decoders: Decoders::new(MAX_FIELD),
            damages: Damages::of(truncated),
            listed: Chain::default(),
        })
    }

    /// The header as it was read last.
    pub(super) fn header(&self) -> &JournalHeader {
        &self.header
    }

    /// Where its bytes are.
    pub(super) fn range(&self) -> FileRange {
        self.objects.windows.file().clone()
    }

    /// Where the readable part ends, in bytes: a measure of how much output a file may be worth.
    pub(super) fn end(&self) -> u64 {
        self.objects.end
    }

    /// What was wrong so far.
    pub(super) fn damages(&self) -> &Damages {
        &self.damages
    }

    /// Reads the header of a live file again: one `pread` where nothing has changed. Where something has, nothing that
    /// was read before is served from then on.
    ///
    /// # Errors
    ///
    /// Fails where the system does. Nothing has changed then.
    pub(super) fn refresh(&mut self) -> io::Result<Refreshed> {
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
        let (end, truncated) = valid_end(&header, length);
        self.objects.end = end.min(LARGEST);
        self.objects.windows.reset(self.objects.end);
        self.damages.truncated = truncated;
        self.raw = raw;
        self.header = header;
        Ok(Refreshed::Changed)
    }

    /// Whether the header, as it was read last, promises more entries than were listed.
    pub(super) fn lags(&self) -> bool {
        self.listed.total() < self.header.n_entries
    }

    /// Whether the file has no name any more: it was deleted, and is there for those who have it open.
    pub(super) fn deleted(&self) -> bool {
        self.objects.windows.file().is_deleted()
    }

    /// Reads an entry. Its DATA replace what `items` holds, in the order of the file; one that no DATA can be at is
    /// zero, which [`JournalFile::data`] answers with damage.
    ///
    /// # Errors
    ///
    /// Fails where there is no entry that can be read.
    #[inline]
    pub(super) fn entry(&mut self, at: u32, items: &mut Vec<u32>) -> Result<EntryHead, Damage> {
        items.clear();
        self.objects.here = offset(at);
        let head = self.objects.entry(at, items).map_err(|damage| self.damages.note(damage, at))?;
        if items.len() > MAX_ITEMS {
            items.truncate(MAX_ITEMS);
            self.damages.note(Damage::Field, at);
        }
        Ok(head)
    }

    /// Reads an entry without its items: of an entry far away no more than a few KiB, so that times and sequence
    /// numbers can be bisected.
    ///
    /// # Errors
    ///
    /// Fails where there is no entry that can be read.
    #[inline]
    pub(super) fn head(&mut self, at: u32) -> Result<EntryHead, Damage> {
        self.objects.head(at).map_err(|damage| self.damages.note(damage, at))
    }

    /// Reads a DATA and appends its `NAME=value` to `out` if `want`, asked with the name, says so. What is not wanted
    /// is not appended, and decompressed no further than its name.
    ///
    /// # Errors
    ///
    /// Fails where there is no field that can be read; nothing was appended then.
    #[inline]
    pub(super) fn data(
        &mut self,
        at: u32,
        out: &mut Vec<u8>,
        want: impl FnMut(&[u8]) -> bool,
    ) -> Result<DataField, Damage> {
        self.objects.data(&mut self.decoders, at, out, want).map_err(|damage| self.damages.note(damage, at))
    }
}

/// The first bytes of the file, zeros where it ends before, and how many there were.
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

/// Where the file ends for the reader, and whether the header had promised more.
fn valid_end(header: &JournalHeader, length: u64) -> (u64, bool) {
    let promised = header.header_size.saturating_add(header.arena_size);
    (promised.min(length), promised > length)
}

/// The offset in bytes.
#[inline]
pub(super) fn offset(at: u32) -> u64 {
    u64::from(at) << 3
}

/// An object that was checked: it is of the type that was asked for and lies within the file.
#[derive(Clone, Copy)]
pub(super) struct Object<'f> {
    pub(super) flags: u8,
    /// Its length in bytes, with its header.
    pub(super) size: u64,
    /// The whole object, or its first [`VIEW_MIN`] bytes or more.
    pub(super) bytes: &'f [u8],
}

/// The objects of a file, and the checks that they have to pass.
pub(super) struct Objects {
    pub(super) windows: Windows,
    /// Where the first object begins.
    pub(super) begin: u64,
    /// What is behind does not exist.
    pub(super) end: u64,
    pub(super) widths: Widths,
    /// The entry that was read last.
    here: u64,
}

impl Objects {
    /// Whether an object can begin there.
    #[inline]
    fn can_begin(&self, at: u64) -> bool {
        at >= self.begin && at <= self.end.saturating_sub(OBJECT_HEADER as u64)
    }

    /// The object at an offset in units of eight bytes.
    #[inline]
    pub(super) fn object(&mut self, at: u32, kind: ObjectKind) -> Result<Object<'_>, Damage> {
        if !self.can_begin(offset(at)) {
            return Err(missing(kind));
        }
        let place = self.windows.find(offset(at), self.here)?;
        self.checked(place, at, kind)
    }

    /// The same, read anew, because a writer may have changed it since it was read last.
    pub(super) fn fresh(&mut self, at: u32, kind: ObjectKind) -> Result<Object<'_>, Damage> {
        if !self.can_begin(offset(at)) {
            return Err(missing(kind));
        }
        let place = self.windows.fresh(offset(at))?;
        self.checked(place, at, kind)
    }

    /// The next object of a chain whose first was [fresh](Objects::fresh): it may stand in what was read for the last.
    pub(super) fn next(&mut self, at: u32, kind: ObjectKind) -> Result<Object<'_>, Damage> {
        if !self.can_begin(offset(at)) {
            return Err(missing(kind));
        }
        let place = self.windows.next(offset(at))?;
        self.checked(place, at, kind)
    }

    #[inline]
    fn checked(&self, place: WindowSlot, at: u32, kind: ObjectKind) -> Result<Object<'_>, Damage> {
        let bytes = self.windows.view(place, offset(at));
        let ObjectHeader { kind: found, flags, size } = ObjectHeader::decode(bytes);
        if found != kind as u8 || size < self.widths.smallest(kind) || size > self.end.saturating_sub(offset(at)) {
            return Err(missing(kind));
        }
        if bytes.len() < VIEW_MIN && (bytes.len() as u64) < size {
            // The file has become shorter than it was.
            return Err(Damage::Unreadable(io::ErrorKind::UnexpectedEof));
        }
        let bytes = usize::try_from(size).ok().and_then(|size| bytes.get(..size)).unwrap_or(bytes);
        Ok(Object { flags, size, bytes })
    }

    /// What is at an offset in bytes, for one who searches: nothing but the place is checked. What is not `near` is read
    /// without a window.
    pub(super) fn bytes_at(&mut self, at: u64, near: bool) -> Result<Option<&[u8]>, Damage> {
        if !self.can_begin(at) {
            return Ok(None);
        }
        let place = self.windows.find(at, if near { at } else { u64::MAX })?;
        Ok(Some(self.windows.view(place, at)))
    }

    /// An entry without its items.
    #[inline]
    pub(super) fn head(&mut self, at: u32) -> Result<EntryHead, Damage> {
        let item = self.widths.item;
        let object = self.object(at, ObjectKind::Entry)?;
        if !(object.size - ENTRY_HEADER as u64).is_multiple_of(item as u64) {
            return Err(Damage::Entry);
        }
        EntryHead::decode(object.bytes).ok_or(Damage::Entry)
    }

    #[inline]
    fn entry(&mut self, at: u32, items: &mut Vec<u32>) -> Result<EntryHead, Damage> {
        let item = self.widths.item;
        let object = self.object(at, ObjectKind::Entry)?;
        let len = object.size - ENTRY_HEADER as u64;
        if !len.is_multiple_of(item as u64) {
            return Err(Damage::Entry);
        }
        // One item too many shows that there were more.
        let len = ENTRY_HEADER + len.min(((MAX_ITEMS + 1) * item) as u64) as usize;
        let bytes = match object.bytes.get(..len) {
            Some(bytes) => bytes,
            None => self.windows.exact(offset(at), len)?,
        };
        let head = EntryHead::decode(bytes).ok_or(Damage::Entry)?;
        push_offsets(bytes.get(ENTRY_HEADER..).unwrap_or_default(), item, items);
        Ok(head)
    }

    #[inline]
    pub(super) fn data(
        &mut self,
        decoders: &mut Decoders,
        at: u32,
        out: &mut Vec<u8>,
        mut want: impl FnMut(&[u8]) -> bool,
    ) -> Result<DataField, Damage> {
        let payload = self.widths.data;
        let object = self.object(at, ObjectKind::Data)?;
        let shared = u64_at(object.bytes, 56) > 1;
        let codec = Codec::of(object.flags)?;
        let size = usize::try_from(object.size).unwrap_or(usize::MAX);
        if size - payload > MAX_FIELD {
            return Err(Damage::Oversized);
        }
        let (name_len, wanted) = match codec {
            None => {
                let head = object.bytes.get(payload..).unwrap_or_default();
                let name = read_name(head, &mut want)?;
                if name.1 {
                    let whole = match object.bytes.get(payload..size) {
                        Some(whole) => whole,
                        None => self.windows.exact(offset(at) + payload as u64, size - payload)?,
                    };
                    out.extend_from_slice(whole);
                }
                name
            }
            Some(codec) => {
                let stored = match object.bytes.get(payload..size) {
                    Some(stored) => stored,
                    None => self.windows.exact(offset(at) + payload as u64, size - payload)?,
                };
                decoders.decode(codec, stored, out, want)?
            }
        };
        Ok(DataField { name_len, shared, wanted })
    }
}

/// What it means that an object is not there.
#[inline]
fn missing(kind: ObjectKind) -> Damage {
    match kind {
        ObjectKind::Entry => Damage::Entry,
        ObjectKind::Data => Damage::Field,
        ObjectKind::EntryArray => Damage::Array,
        ObjectKind::Field | ObjectKind::DataHashTable | ObjectKind::FieldHashTable | ObjectKind::Tag => Damage::Index,
    }
}

#[cfg(test)]
pub(crate) mod tests;
