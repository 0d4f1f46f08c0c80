//! The layout of journal files: headers and objects, their offsets, widths and flags (systemd: `journal-def.h`). This
//! module decodes bytes, and checks only conditions that the bytes alone decide.
//!
//! All integers are little-endian, and all offsets count from the start of the file.

use crate::offset::{Offset, Units};

/// The first bytes of a journal file.
pub(crate) const MAGIC: &[u8; 8] = b"LPKSHHRH";
/// The length of the shortest header of any version, in bytes.
pub(crate) const HEADER_MIN: usize = 208;
/// The length of the longest known header, in bytes: that of systemd 254. Additions of later versions are ignored.
pub(crate) const HEADER_MAX: usize = 272;
/// The offset of the arena's size in the header.
pub(crate) const ARENA_SIZE: u64 = 96;
/// The length of the header of each object: type, flags, size.
pub(crate) const OBJECT_HEADER: usize = 16;
/// The length of an ENTRY before its items.
pub(crate) const ENTRY_HEADER: usize = 64;
/// The length of an ENTRY_ARRAY before its items.
pub(crate) const ARRAY_HEADER: usize = 24;
/// The length of a FIELD before its name.
pub(crate) const FIELD_HEADER: usize = 40;
/// The length of a bucket of a hash table: the first and the last object of its chain.
pub(crate) const BUCKET: u64 = 16;

/// The end of valid times, in microseconds (systemd: `VALID_REALTIME`, `VALID_MONOTONIC`).
const TIME_END: u64 = 1 << 55;

/// Returns the eight bytes at `at` as a number, or zero past the end. Zero has no meaning in the format.
#[inline]
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Returns the four bytes at `at` as a number, or zero past the end.
#[inline]
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// Returns the sixteen bytes at `at`, or zeros past the end.
#[inline]
fn id_at(bytes: &[u8], at: usize) -> [u8; 16] {
    bytes.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default()
}

/// The state of a file as stated by its writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderState {
    /// Closed in order. A writer may open the file again.
    Offline,
    /// Open in a writer, or left by a writer that died.
    Online,
    /// Closed for good.
    Archived,
    /// A state that no version writes.
    Unknown(u8),
}

/// Flags that a reader must know to read a file (systemd: `HEADER_INCOMPATIBLE_*`).
pub(crate) mod incompatible {
    /// Some DATA may be compressed with xz.
    pub(crate) const XZ: u32 = 1;
    /// Some DATA may be compressed with LZ4.
    pub(crate) const LZ4: u32 = 2;
    /// Hashes are SipHash-2-4 keyed by the file's id, not Jenkins.
    pub(crate) const KEYED_HASH: u32 = 4;
    /// Some DATA may be compressed with Zstandard.
    pub(crate) const ZSTD: u32 = 8;
    /// Offsets of items take four bytes.
    pub(crate) const COMPACT: u32 = 16;
    /// All known flags.
    pub(crate) const KNOWN: u32 = XZ | LZ4 | KEYED_HASH | ZSTD | COMPACT;
}

/// A hash table: the offset of its buckets, and their length in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) offset: Offset,
    pub(crate) size: u64,
}

/// The decoded header of a file. Fields that an older version lacks are `None`. Times are in microseconds, realtime
/// since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JournalHeader {
    pub(crate) compatible: u32,
    pub(crate) incompatible: u32,
    pub(crate) state: HeaderState,
    /// The id of the file, and the key of its hashes.
    pub(crate) file_id: [u8; 16],
    pub(crate) machine_id: [u8; 16],
    pub(crate) tail_entry_boot_id: [u8; 16],
    /// The source of the sequence numbers.
    pub(crate) seqnum_id: [u8; 16],
    /// The length of the header, and so the offset of the first object.
    pub(crate) header_size: u64,
    /// The number of bytes after the header that are in use or preallocated.
    pub(crate) arena_size: u64,
    pub(crate) data_hash_table: Table,
    pub(crate) field_hash_table: Table,
    /// The last object, or zero without any.
    pub(crate) tail_object_offset: Offset,
    pub(crate) n_objects: u64,
    /// The number of items in the chain of entry arrays.
    pub(crate) n_entries: u64,
    /// The sequence number of the last entry. At rotation the next file inherits it, even without entries.
    pub(crate) tail_entry_seqnum: u64,
    pub(crate) head_entry_seqnum: u64,
    /// The first entry array, or zero without any.
    pub(crate) entry_array_offset: Offset,
    pub(crate) head_entry_realtime: u64,
    pub(crate) tail_entry_realtime: u64,
    pub(crate) tail_entry_monotonic: u64,
    pub(crate) n_data: Option<u64>,
    pub(crate) n_fields: Option<u64>,
    pub(crate) n_tags: Option<u64>,
    pub(crate) n_entry_arrays: Option<u64>,
    /// The last array of the chain, and the number of its items; since systemd 252.
    pub(crate) tail_entry_array_offset: Option<u32>,
    pub(crate) tail_entry_array_n_entries: Option<u32>,
    /// The last entry in the chain; since systemd 254.
    pub(crate) tail_entry_offset: Option<u64>,
}

impl JournalHeader {
    /// Decodes the first [`HEADER_MAX`] bytes of a file, or fewer in a shorter file.
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        let header_size = u64_at(bytes, 88);
        let has = |at: usize, len: usize| header_size >= (at + len) as u64;
        let since_64 = |at: usize| has(at, 8).then(|| u64_at(bytes, at));
        let since_32 = |at: usize| has(at, 4).then(|| u32_at(bytes, at));
        Self {
            compatible: u32_at(bytes, 8),
            incompatible: u32_at(bytes, 12),
            state: match bytes.get(16) {
                Some(0) => HeaderState::Offline,
                Some(1) => HeaderState::Online,
                Some(2) => HeaderState::Archived,
                other => HeaderState::Unknown(other.copied().unwrap_or(u8::MAX)),
            },
            file_id: id_at(bytes, 24),
            machine_id: id_at(bytes, 40),
            tail_entry_boot_id: id_at(bytes, 56),
            seqnum_id: id_at(bytes, 72),
            header_size,
            arena_size: u64_at(bytes, ARENA_SIZE as usize),
            data_hash_table: Table { offset: Offset(u64_at(bytes, 104)), size: u64_at(bytes, 112) },
            field_hash_table: Table { offset: Offset(u64_at(bytes, 120)), size: u64_at(bytes, 128) },
            tail_object_offset: Offset(u64_at(bytes, 136)),
            n_objects: u64_at(bytes, 144),
            n_entries: u64_at(bytes, 152),
            tail_entry_seqnum: u64_at(bytes, 160),
            head_entry_seqnum: u64_at(bytes, 168),
            entry_array_offset: Offset(u64_at(bytes, 176)),
            head_entry_realtime: u64_at(bytes, 184),
            tail_entry_realtime: u64_at(bytes, 192),
            tail_entry_monotonic: u64_at(bytes, 200),
            n_data: since_64(208),
            n_fields: since_64(216),
            n_tags: since_64(224),
            n_entry_arrays: since_64(232),
            tail_entry_array_offset: since_32(256),
            tail_entry_array_n_entries: since_32(260),
            tail_entry_offset: since_64(264),
        }
    }

    /// Returns whether items are four bytes wide.
    pub(crate) fn compact(&self) -> bool {
        self.incompatible & incompatible::COMPACT != 0
    }

    /// Returns whether hashes are keyed.
    pub(crate) fn keyed_hash(&self) -> bool {
        self.incompatible & incompatible::KEYED_HASH != 0
    }
}

/// The types of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ObjectKind {
    Data = 1,
    Field = 2,
    Entry = 3,
    DataHashTable = 4,
    FieldHashTable = 5,
    EntryArray = 6,
    Tag = 7,
}

impl ObjectKind {
    /// Returns the type of a number, if it is known.
    pub(crate) fn of(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Data,
            2 => Self::Field,
            3 => Self::Entry,
            4 => Self::DataHashTable,
            5 => Self::FieldHashTable,
            6 => Self::EntryArray,
            7 => Self::Tag,
            _ => return None,
        })
    }
}

/// The widths that depend on whether a file is compact, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Widths {
    /// The length of a DATA before its payload.
    pub(crate) data: usize,
    /// The width of an item of an ENTRY.
    pub(crate) item: usize,
    /// The width of an item of an ENTRY_ARRAY.
    pub(crate) link: usize,
}

impl Widths {
    pub(crate) fn of(compact: bool) -> Self {
        if compact { Self { data: 72, item: 4, link: 4 } } else { Self { data: 64, item: 16, link: 8 } }
    }

    /// Returns the smallest size of a useful object.
    #[inline]
    pub(crate) fn smallest(self, kind: ObjectKind) -> u64 {
        (match kind {
            ObjectKind::Data => self.data + 1,
            ObjectKind::Field => FIELD_HEADER + 1,
            ObjectKind::Entry => ENTRY_HEADER + self.item,
            ObjectKind::DataHashTable | ObjectKind::FieldHashTable => OBJECT_HEADER + BUCKET as usize,
            ObjectKind::EntryArray => ARRAY_HEADER + self.link,
            ObjectKind::Tag => 64,
        }) as u64
    }

    /// Returns whether an object of a kind can have a size.
    pub(crate) fn allow(self, kind: ObjectKind, size: u64) -> bool {
        let of_items = |header: usize, width: usize| (size - header as u64).is_multiple_of(width as u64);
        size >= self.smallest(kind)
            && match kind {
                ObjectKind::Data | ObjectKind::Field => true,
                ObjectKind::Entry => of_items(ENTRY_HEADER, self.item),
                ObjectKind::DataHashTable | ObjectKind::FieldHashTable => of_items(OBJECT_HEADER, BUCKET as usize),
                ObjectKind::EntryArray => of_items(ARRAY_HEADER, self.link),
                ObjectKind::Tag => size == 64,
            }
    }
}

/// The header of each object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ObjectHeader {
    /// The number of its [`ObjectKind`].
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    /// The length of the object in bytes, with this header and without padding.
    pub(crate) size: u64,
}

impl ObjectHeader {
    #[inline]
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        match bytes.first_chunk::<OBJECT_HEADER>() {
            Some(bytes) => Self { kind: bytes[0], flags: bytes[1], size: u64_at(bytes, 8) },
            None => Self { kind: 0, flags: 0, size: 0 },
        }
    }
}

/// An entry without its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EntryHead {
    /// The number among the entries of the [`JournalHeader::seqnum_id`].
    pub(crate) seqnum: u64,
    /// Microseconds since 1970, by the writer's clock.
    pub(crate) realtime: u64,
    /// Microseconds since the boot.
    pub(crate) monotonic: u64,
    pub(crate) boot_id: [u8; 16],
    /// The exclusive or of the Jenkins hashes of all submitted fields, used only by cursors.
    pub(crate) xor_hash: u64,
}

impl EntryHead {
    /// Decodes an ENTRY object. Returns `None` if a number is out of range, where journalctl drops the entry as well.
    #[inline]
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.first_chunk::<ENTRY_HEADER>()?;
        let head = Self {
            seqnum: u64_at(bytes, 16),
            realtime: u64_at(bytes, 24),
            monotonic: u64_at(bytes, 32),
            boot_id: id_at(bytes, 40),
            xor_hash: u64_at(bytes, 56),
        };
        let sound = head.seqnum > 0 && head.realtime > 0 && head.realtime < TIME_END && head.monotonic < TIME_END;
        sound.then_some(head)
    }
}

/// Appends the offsets in `bytes`, one every `width` bytes, as [`Units`]. `width` is one of [`Widths`]. A wide item has
/// a copy of a hash after its offset.
#[inline]
pub(crate) fn push_offsets(bytes: &[u8], width: usize, out: &mut Vec<Units>) {
    match width {
        4 => out.extend(bytes.as_chunks().0.iter().map(|item| Offset(u64::from(u32::from_le_bytes(*item))).units())),
        16 => out.extend(bytes.as_chunks::<16>().0.iter().map(|item| Offset(u64_at(item, 0)).units())),
        _ => out.extend(bytes.as_chunks().0.iter().map(|item| Offset(u64::from_le_bytes(*item)).units())),
    }
}

#[cfg(test)]
mod tests;
