//! Access to the objects of a journal file, each checked before anything in it is used.
//!
//! Every offset in the file is followed through [`Objects`]. The object there has the requested type and lies within
//! the file, or the access fails with a [`Damage`]. Counts and references in the file serve only as limits.

use crate::damage::Damage;
use crate::large_field::LargeField;
use crate::layout::{ENTRY_HEADER, EntryHead, OBJECT_HEADER, ObjectHeader, ObjectKind, Widths, push_offsets, u64_at};
use crate::offset::{Offset, Units};
use crate::payload::{Codec, Decoders, MAX_FIELD, read_name};
use crate::window::{VIEW_MIN, WindowSlot, Windows};

/// The largest number of items used from an entry, far above journald's limit of 1024 fields.
pub(crate) const MAX_ITEMS: usize = 1 << 16;

/// A DATA object that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DataField {
    /// The length of the name. The value follows the `=` after it.
    pub(crate) name_len: usize,
    /// More than one entry has the field, as far as the writer has linked them. A live file may have more entries with
    /// the field.
    pub(crate) shared: bool,
    /// The caller wanted the field, so it was appended.
    pub(crate) wanted: bool,
    /// The value was longer than the limit, and its rest was left out.
    pub(crate) is_cut: bool,
}

/// An object of the requested type that lies within the file.
#[derive(Clone, Copy)]
pub(crate) struct Object<'f> {
    pub(crate) flags: u8,
    /// The length in bytes, including the header.
    pub(crate) size: u64,
    /// The whole object, or at least its first [`VIEW_MIN`] bytes.
    pub(crate) bytes: &'f [u8],
}

/// The objects of a file, and the checks that they have to pass.
pub(crate) struct Objects {
    pub(crate) windows: Windows,
    /// The offset of the first object.
    pub(crate) begin: Offset,
    /// The end of the readable part.
    pub(crate) end: Offset,
    pub(crate) widths: Widths,
    /// The entry that was read last. Reads close to it fill windows.
    near: Offset,
}

impl Objects {
    pub(crate) fn new(windows: Windows, begin: Offset, end: Offset, widths: Widths) -> Objects {
        Objects { windows, begin, end, widths, near: begin }
    }

    /// Returns whether an object can begin at an offset.
    #[inline]
    fn can_begin(&self, at: Offset) -> bool {
        at >= self.begin && at <= self.end.minus(OBJECT_HEADER as u64)
    }

    /// Returns the object at an offset.
    #[inline]
    pub(crate) fn object(&mut self, at: Units, kind: ObjectKind) -> Result<Object<'_>, Damage> {
        if !self.can_begin(at.offset()) {
            return Err(missing(kind));
        }
        let slot = self.windows.find(at.offset().0, self.near.0)?;
        self.check(slot, at, kind)
    }

    /// Reads the object at an offset again, because a writer may have changed it.
    pub(crate) fn fresh(&mut self, at: Units, kind: ObjectKind) -> Result<Object<'_>, Damage> {
        if !self.can_begin(at.offset()) {
            return Err(missing(kind));
        }
        let slot = self.windows.fresh(at.offset().0)?;
        self.check(slot, at, kind)
    }

    /// Returns the next object of a chain whose first object was [fresh](Objects::fresh). The last read may hold it.
    pub(crate) fn next(&mut self, at: Units, kind: ObjectKind) -> Result<Object<'_>, Damage> {
        if !self.can_begin(at.offset()) {
            return Err(missing(kind));
        }
        let slot = self.windows.next(at.offset().0)?;
        self.check(slot, at, kind)
    }

    #[inline]
    fn check(&self, slot: WindowSlot, at: Units, kind: ObjectKind) -> Result<Object<'_>, Damage> {
        let bytes = self.windows.view(slot, at.offset().0);
        let ObjectHeader { kind: found, flags, size } = ObjectHeader::decode(bytes);
        if found != kind as u8 || size < self.widths.smallest(kind) || size > at.offset().until(self.end) {
            return Err(missing(kind));
        }
        if bytes.len() < VIEW_MIN && (bytes.len() as u64) < size {
            // The file has become shorter since it was opened.
            return Err(Damage::Unreadable);
        }
        let bytes = usize::try_from(size).ok().and_then(|size| bytes.get(..size)).unwrap_or(bytes);
        Ok(Object { flags, size, bytes })
    }

    /// Returns the bytes at an offset without any check of an object. Offsets that are not `near` are read without a
    /// window.
    pub(crate) fn bytes_at(&mut self, at: Offset, near: bool) -> Result<Option<&[u8]>, Damage> {
        if !self.can_begin(at) {
            return Ok(None);
        }
        let slot = self.windows.find(at.0, if near { at.0 } else { u64::MAX })?;
        Ok(Some(self.windows.view(slot, at.0)))
    }

    /// Reads an entry without its items.
    #[inline]
    pub(crate) fn head(&mut self, at: Units) -> Result<EntryHead, Damage> {
        let item = self.widths.item;
        let object = self.object(at, ObjectKind::Entry)?;
        if !(object.size - ENTRY_HEADER as u64).is_multiple_of(item as u64) {
            return Err(Damage::Entry);
        }
        EntryHead::decode(object.bytes).ok_or(Damage::Entry)
    }

    /// Reads an entry and appends the offsets of its DATA: at most one more than [`MAX_ITEMS`], which shows that there
    /// were too many.
    #[inline]
    pub(crate) fn entry(&mut self, at: Units, items: &mut Vec<Units>) -> Result<EntryHead, Damage> {
        self.near = at.offset();
        let item = self.widths.item;
        let object = self.object(at, ObjectKind::Entry)?;
        let len = object.size - ENTRY_HEADER as u64;
        if !len.is_multiple_of(item as u64) {
            return Err(Damage::Entry);
        }
        let len = ENTRY_HEADER + len.min(((MAX_ITEMS + 1) * item) as u64) as usize;
        let bytes = match object.bytes.get(..len) {
            Some(bytes) => bytes,
            None => self.windows.exact(at.offset().0, len)?,
        };
        let head = EntryHead::decode(bytes).ok_or(Damage::Entry)?;
        push_offsets(bytes.get(ENTRY_HEADER..).unwrap_or_default(), item, items);
        Ok(head)
    }

    /// Reads a DATA and appends its `NAME=value` if `want` accepts the name.
    #[inline]
    pub(crate) fn data(
        &mut self,
        decoders: &mut Decoders,
        at: Units,
        out: &mut Vec<u8>,
        mut want: impl FnMut(&[u8]) -> bool,
    ) -> Result<DataField, Damage> {
        let payload = self.widths.data;
        let object = self.object(at, ObjectKind::Data)?;
        let shared = u64_at(object.bytes, 56) > 1;
        let codec = Codec::of(object.flags)?;
        let size = usize::try_from(object.size).unwrap_or(usize::MAX);
        let size = if size - payload <= decoders.limit { size } else { size.min(payload + decoders.most_of(codec)) };
        let start = out.len();
        let (name_len, wanted) = match codec {
            None => {
                let head = object.bytes.get(payload..).unwrap_or_default();
                let name = read_name(head, &mut want)?;
                if name.1 {
                    let whole = match object.bytes.get(payload..size) {
                        Some(whole) => whole,
                        None => self.windows.exact((at.offset() + payload as u64).0, size - payload)?,
                    };
                    out.extend_from_slice(whole);
                }
                name
            }
            Some(codec) => {
                let stored = match object.bytes.get(payload..size) {
                    Some(stored) => stored,
                    None => self.windows.exact((at.offset() + payload as u64).0, size - payload)?,
                };
                decoders.decode(codec, stored, out, want)?
            }
        };
        let is_cut = out.len() - start > decoders.limit && cut(out, start + name_len + 1 + decoders.limit);
        if is_cut && decoders.limit >= MAX_FIELD {
            out.truncate(start);
            return Err(Damage::Oversized);
        }
        Ok(DataField { name_len, shared, wanted, is_cut })
    }
}

impl Objects {
    /// Returns the field of a DATA, whose value stays in the file. The value follows the first `before` bytes of the
    /// payload, and has at most `most` bytes.
    pub(crate) fn large(
        &mut self,
        decoders: &mut Decoders,
        at: Units,
        before: usize,
        most: u64,
    ) -> Result<LargeField, Damage> {
        decoders.waste(0)?;
        let header = self.widths.data as u64;
        let Object { flags, size, .. } = self.object(at, ObjectKind::Data)?;
        let (codec, size) = (Codec::of(flags)?, size - header);
        let stored = self.windows.file().part(at.offset().0 + header, size);
        let mut field = LargeField::new(stored, codec, before);
        let read = field.read(most);
        if read.is_err() && codec.is_some() {
            decoders.waste(field.length())?;
        }
        read?;
        // Bytes without compression show no end of their own.
        let is_whole = codec.is_some() || field.length() + before as u64 == size;
        if is_whole { Ok(field) } else { Err(Damage::Unreadable) }
    }
}

/// Cuts bytes off behind `end`. Returns whether there were any.
#[cold]
fn cut(out: &mut Vec<u8>, end: usize) -> bool {
    let is_longer = out.len() > end;
    out.truncate(end);
    is_longer
}

/// Returns the damage of a file in which an object of this kind is missing.
#[inline]
fn missing(kind: ObjectKind) -> Damage {
    match kind {
        ObjectKind::Entry => Damage::Entry,
        ObjectKind::Data => Damage::Field,
        ObjectKind::EntryArray => Damage::Array,
        ObjectKind::Field | ObjectKind::DataHashTable | ObjectKind::FieldHashTable | ObjectKind::Tag => Damage::Index,
    }
}
