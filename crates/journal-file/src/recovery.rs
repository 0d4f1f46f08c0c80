//! The search for entries, object by object, that entry arrays have lost. It follows systemd's `journal-verify.c`
//! section by section, and reads no fields.
//!
//! The search checks only the bytes of a due object that libsystemd looks at. After a broken object, it looks for the next
//! one at every possible offset. The contents of a field may look like an object then. This happens only in
//! damaged files, and yields only entries that name fields of this file.

use crate::damage::Damage;
use crate::layout::{ARRAY_HEADER, ENTRY_HEADER, EntryHead, OBJECT_HEADER, ObjectHeader, ObjectKind, u32_at, u64_at};
use crate::objects::Objects;
use crate::offset::{Offset, Units};
use crate::payload::{Codec, name_len};

/// The distance within which the next object is searched for, in bytes.
const SEARCH: u64 = 64 << 20;
/// The limit on checks of possible objects. Accidental damage needs fewer, and malicious damage ends there.
const LOOKS: u32 = 1 << 20;
/// After a read error, reading continues at a multiple of this offset.
const SKIP: u64 = 64 << 10;

/// Calls `each` with every entry from the first object to the one at `tail`, and with those that follow without a gap:
/// entries that a writer had appended when it died.
pub(crate) fn walk(objects: &mut Objects, tail: Offset, mut each: impl FnMut(Units)) {
    let known = tail >= objects.begin && tail < objects.end && tail.0.is_multiple_of(8);
    let mut walk = Walk { tail: if known { tail } else { objects.end }, looks: LOOKS, objects };
    let mut at = walk.objects.begin;
    let mut here = walk.look(at);
    loop {
        let Some(header) = here else {
            if at > walk.tail {
                return;
            }
            let Some((found, header)) = walk.search(at) else { return };
            (at, here) = (found, Some(header));
            continue;
        };
        if header.kind == ObjectKind::Entry as u8 && walk.objects.head(at.units()).is_ok() {
            each(at.units());
        }
        let next = (at + header.size).aligned().unwrap_or(Offset(u64::MAX));
        let there = walk.look(next);
        // No sound object follows. The size may be wrong, and the next object may begin earlier.
        (at, here) = if there.is_none() && at < walk.tail { (at + 8, None) } else { (next, there) };
    }
}

/// The reason to expect an object at an offset.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expectation {
    /// The object before it ends there.
    Due,
    /// A possible object that the search has found ends there.
    Behind,
    /// There is no reason: the search looks everywhere.
    None,
}

struct Walk<'o> {
    objects: &'o mut Objects,
    tail: Offset,
    looks: u32,
}

impl Walk<'_> {
    /// Returns the object at an offset. An object of an unknown type counts if another object follows.
    fn look(&mut self, at: Offset) -> Option<ObjectHeader> {
        let header = ObjectHeader::decode(self.objects.bytes_at(at, true).ok()??);
        if ObjectKind::of(header.kind).is_some() {
            return self.credible(at, Expectation::Due).ok()?;
        }
        let sound = header.kind > 0 && header.size >= OBJECT_HEADER as u64 && self.within(at, header.size);
        let next = Offset(at.0.checked_add(header.size)?).aligned().filter(|_| sound)?;
        self.credible(next, Expectation::Due).ok()?.is_some().then_some(header)
    }

    /// Returns the next object from `at` on that another object follows.
    fn search(&mut self, mut at: Offset) -> Option<(Offset, ObjectHeader)> {
        let stop = self.tail.min(Offset(at.0.saturating_add(SEARCH)));
        while at <= stop {
            match self.credible(at, Expectation::None) {
                Ok(Some(header)) if self.followed(at, header)? => return Some((at, header)),
                Ok(_) => at = at + 8,
                Err(_) => at = Offset((at.0 / SKIP + 1) * SKIP),
            }
        }
        None
    }

    /// Returns whether another object follows, or `None` after the last allowed check.
    fn followed(&mut self, at: Offset, header: ObjectHeader) -> Option<bool> {
        let next = (at + header.size).aligned()?;
        if at == self.tail || next >= self.objects.end {
            return Some(true);
        }
        self.looks = self.looks.checked_sub(1)?;
        Some(matches!(self.credible(next, Expectation::Behind), Ok(Some(_))))
    }

    fn within(&self, at: Offset, size: u64) -> bool {
        size <= at.until(self.objects.end)
    }

    /// Returns the object at an offset, if it has a known type and its contents agree with the type.
    fn credible(&mut self, at: Offset, expectation: Expectation) -> Result<Option<ObjectHeader>, Damage> {
        let (widths, begin) = (self.objects.widths, self.objects.begin);
        let Some(bytes) = self.objects.bytes_at(at, expectation != Expectation::Behind)? else { return Ok(None) };
        let header = ObjectHeader::decode(bytes);
        let Some(kind) = ObjectKind::of(header.kind) else { return Ok(None) };
        // The contents of some types prove little, so one that is not expected needs zeros in the bytes without a meaning.
        let is_expected = expectation != Expectation::None;
        let is_plain = is_expected || u64_at(bytes, 0) >> 16 == 0;
        // Objects refer to earlier objects, except for the next one in a chain.
        let earlier = |at_first: usize, width: usize| {
            let first = if width == 4 { u64::from(u32_at(bytes, at_first)) } else { u64_at(bytes, at_first) };
            first.is_multiple_of(8) && first >= begin.0 && first < at.0
        };
        let agrees = match kind {
            ObjectKind::Data => match Codec::of(header.flags) {
                Ok(None) => bytes.get(widths.data..).is_some_and(|field| name_len(field).is_some()),
                Ok(Some(_)) => is_plain,
                Err(_) => false,
            },
            ObjectKind::Entry => EntryHead::decode(bytes).is_some() && earlier(ENTRY_HEADER, widths.item),
            ObjectKind::EntryArray => earlier(ARRAY_HEADER, widths.link),
            ObjectKind::Field | ObjectKind::DataHashTable | ObjectKind::FieldHashTable | ObjectKind::Tag => {
                is_plain && (is_expected || header.flags == 0)
            }
        };
        let sound = agrees && widths.allow(kind, header.size) && self.within(at, header.size);
        Ok(sound.then_some(header))
    }
}

#[cfg(test)]
mod tests;
