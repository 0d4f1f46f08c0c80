//! A writer of journal files that covers the format: every flag, every header size, every hash, every compression. Its
//! files equal those of systemd's writer, unless the shape says otherwise.

use std::collections::HashMap;

use super::{Entry, hash};

/// The compression of DATA payloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    Xz,
    Lz4,
    Zstd,
}

impl Codec {
    /// Returns the object flag of this compression.
    pub(crate) fn object_flag(self) -> u8 {
        match self {
            Codec::Xz => 1,
            Codec::Lz4 => 2,
            Codec::Zstd => 4,
        }
    }
}

/// The state of the file in its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Offline = 0,
    Online = 1,
    Archived = 2,
}

/// The layout and options of a file.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) compact: bool,
    pub(crate) keyed: bool,
    /// The codec, and the minimum size of a compressed payload. A payload that does not shrink stays uncompressed.
    pub(crate) compression: Option<(Codec, usize)>,
    /// 208, 224, 240, 256, 264 or 272: the older the writer, the fewer fields.
    pub(crate) header_size: usize,
    pub(crate) state: State,
    /// Writes a TAG object before the first entry, and again after this many.
    pub(crate) sealed: Option<u64>,
    /// Buckets of the data table and of the field table.
    pub(crate) buckets: (u64, u64),
    /// Number of items in every entry array; by default arrays grow as systemd lets them.
    pub(crate) array: Option<u64>,
    /// Zeros behind the last object, as in files that are still written to.
    pub(crate) spare: usize,
    pub(crate) file_id: u128,
    pub(crate) machine_id: u128,
    pub(crate) seqnum_id: u128,
    pub(crate) first_seqnum: u64,
}

impl Default for Shape {
    /// Returns the shape that Debian 12 writes, with smaller tables.
    fn default() -> Shape {
        Shape {
            compact: true,
            keyed: true,
            compression: Some((Codec::Zstd, 512)),
            header_size: 264,
            state: State::Offline,
            sealed: None,
            buckets: (61, 17),
            array: None,
            spare: 0,
            file_id: 0x505f_31f7_47a1_4cd5_a029_4ce4_8e50_5548,
            machine_id: 0x3dd4_9df6_5a1b_467b_ac8d_51f2_eaa1_7e92,
            seqnum_id: 0x505f_31f7_47a1_4cd5_a029_4ce4_8e50_5548,
            first_seqnum: 1,
        }
    }
}

/// Offsets in the header.
pub(crate) mod header {
    pub(crate) const COMPATIBLE: usize = 8;
    pub(crate) const INCOMPATIBLE: usize = 12;
    pub(crate) const STATE: usize = 16;
    pub(crate) const FILE_ID: usize = 24;
    pub(crate) const MACHINE_ID: usize = 40;
    pub(crate) const TAIL_BOOT_ID: usize = 56;
    pub(crate) const SEQNUM_ID: usize = 72;
    pub(crate) const HEADER_SIZE: usize = 88;
    pub(crate) const ARENA_SIZE: usize = 96;
    pub(crate) const DATA_TABLE: usize = 104;
    pub(crate) const FIELD_TABLE: usize = 120;
    pub(crate) const TAIL_OBJECT: usize = 136;
    pub(crate) const N_OBJECTS: usize = 144;
    pub(crate) const N_ENTRIES: usize = 152;
    pub(crate) const TAIL_SEQNUM: usize = 160;
    pub(crate) const HEAD_SEQNUM: usize = 168;
    pub(crate) const ENTRY_ARRAY: usize = 176;
    pub(crate) const HEAD_REALTIME: usize = 184;
    pub(crate) const TAIL_REALTIME: usize = 192;
    pub(crate) const TAIL_MONOTONIC: usize = 200;
    pub(crate) const N_DATA: usize = 208;
    pub(crate) const N_FIELDS: usize = 216;
    pub(crate) const N_TAGS: usize = 224;
    pub(crate) const N_ARRAYS: usize = 232;
    pub(crate) const DATA_DEPTH: usize = 240;
    pub(crate) const FIELD_DEPTH: usize = 248;
    pub(crate) const TAIL_ARRAY: usize = 256;
    pub(crate) const TAIL_ARRAY_ITEMS: usize = 260;
    pub(crate) const TAIL_ENTRY: usize = 264;
}

/// Object types.
pub(crate) mod object {
    pub(crate) const DATA: u8 = 1;
    pub(crate) const FIELD: u8 = 2;
    pub(crate) const ENTRY: u8 = 3;
    pub(crate) const DATA_TABLE: u8 = 4;
    pub(crate) const FIELD_TABLE: u8 = 5;
    pub(crate) const ARRAY: u8 = 6;
    pub(crate) const TAG: u8 = 7;
}

/// A chain of entry arrays: its last array, the room and the items in that array, and the items in all arrays.
#[derive(Clone, Copy, Default)]
struct Chain {
    last: u64,
    room: u64,
    used: u64,
    all: u64,
}

/// A file under construction.
pub(crate) struct Writer {
    shape: Shape,
    bytes: Vec<u8>,
    /// Offsets of the DATA object of each payload and of the FIELD object of each name.
    data: HashMap<Vec<u8>, u64>,
    fields: HashMap<Vec<u8>, u64>,
    entries: Chain,
    /// The sequence number of the next entry. It may be advanced, if other files of the source have the numbers
    /// between.
    pub(crate) seqnum: u64,
    /// Payloads with a replaced encoding: object flags and bytes.
    pub(crate) stored_as: HashMap<Vec<u8>, (u8, Vec<u8>)>,
    /// The last entry array of each DATA object.
    lists: HashMap<u64, Chain>,
}

impl Writer {
    /// Creates a file without entries.
    pub(crate) fn new(shape: Shape) -> Writer {
        let mut bytes = vec![0; shape.header_size];
        bytes[..8].copy_from_slice(b"LPKSHHRH");
        let codec = match shape.compression.map(|(codec, _)| codec) {
            Some(Codec::Xz) => 1,
            Some(Codec::Lz4) => 2,
            Some(Codec::Zstd) => 8,
            None => 0,
        };
        bytes[header::INCOMPATIBLE] = codec | u8::from(shape.keyed) << 2 | u8::from(shape.compact) << 4;
        // Once the tail's entry is named, the boot in the header is its boot.
        bytes[header::COMPATIBLE] = u8::from(shape.sealed.is_some()) | u8::from(shape.header_size >= 272) << 1;
        bytes[header::STATE] = shape.state as u8;
        for (at, id) in [
            (header::FILE_ID, shape.file_id),
            (header::MACHINE_ID, shape.machine_id),
            (header::SEQNUM_ID, shape.seqnum_id),
        ] {
            bytes[at..at + 16].copy_from_slice(&id.to_be_bytes());
        }
        let (data, fields) = shape.buckets;
        let mut writer = Writer {
            seqnum: shape.first_seqnum,
            shape,
            bytes,
            data: HashMap::new(),
            fields: HashMap::new(),
            entries: Chain::default(),
            stored_as: HashMap::new(),
            lists: HashMap::new(),
        };
        writer.put(header::HEADER_SIZE, writer.shape.header_size as u64);
        for (kind, at, buckets) in
            [(object::FIELD_TABLE, header::FIELD_TABLE, fields), (object::DATA_TABLE, header::DATA_TABLE, data)]
        {
            let offset = writer.append(kind, 0, &vec![0; 16 * buckets as usize]);
            writer.put(at, offset + 16);
            writer.put(at + 8, 16 * buckets);
        }
        if writer.shape.sealed.is_some() {
            writer.tag();
        }
        writer
    }

    /// Appends an entry and links it everywhere.
    pub(crate) fn entry(&mut self, entry: &Entry) {
        let mut items = Vec::new();
        let mut xor = 0;
        for payload in entry.payloads() {
            xor ^= hash::jenkins(&payload);
            items.push(self.datum(&payload));
        }
        items.sort_unstable();
        items.dedup();
        let seqnum = self.seqnum;
        self.seqnum += 1;
        let mut body = Vec::new();
        for number in [seqnum, entry.realtime, entry.monotonic] {
            body.extend_from_slice(&number.to_le_bytes());
        }
        body.extend_from_slice(&entry.boot.to_be_bytes());
        body.extend_from_slice(&xor.to_le_bytes());
        for item in &items {
            if self.shape.compact {
                body.extend_from_slice(&(*item as u32).to_le_bytes());
            } else {
                body.extend_from_slice(&item.to_le_bytes());
                body.extend_from_slice(&self.get(*item as usize + 16).to_le_bytes());
            }
        }
        let offset = self.append(object::ENTRY, 0, &body);
        self.link_entry(offset, seqnum, entry);
        for item in items {
            self.link_item(item as usize, offset);
        }
        if self.shape.sealed.is_some_and(|every| self.entries.all.is_multiple_of(every)) {
            self.tag();
        }
    }

    /// Returns the bytes of the file.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let end = self.bytes.len().next_multiple_of(8) + self.shape.spare;
        self.bytes.resize(end, 0);
        self.put(header::ARENA_SIZE, (end - self.shape.header_size) as u64);
        self.bytes
    }

    /// Returns the DATA object of a payload, appended if missing.
    fn datum(&mut self, payload: &[u8]) -> u64 {
        if let Some(offset) = self.data.get(payload) {
            return *offset;
        }
        let hash = self.hash(payload);
        let mut body = hash.to_le_bytes().to_vec();
        body.resize(if self.shape.compact { 56 } else { 48 }, 0);
        let (flags, stored) = self.stored(payload);
        body.extend_from_slice(&stored);
        let offset = self.append(object::DATA, flags, &body);
        self.count(header::N_DATA);
        self.chain_up(header::DATA_TABLE, header::DATA_DEPTH, hash, offset);
        let end = payload.iter().position(|byte| *byte == b'=').unwrap();
        let field = self.field(&payload[..end]) as usize;
        // The newest value of a name comes first.
        let before = self.get(field + 32);
        self.put(offset as usize + 32, before);
        self.put(field + 32, offset);
        self.data.insert(payload.to_vec(), offset);
        offset
    }

    /// Returns the encoding of a payload: object flags and bytes.
    fn stored(&self, payload: &[u8]) -> (u8, Vec<u8>) {
        if let Some(stored) = self.stored_as.get(payload) {
            return stored.clone();
        }
        if let Some((codec, _)) = self.shape.compression.filter(|(_, least)| payload.len() >= *least) {
            let packed = compress(codec, payload);
            if packed.len() < payload.len() {
                return (codec.object_flag(), packed);
            }
        }
        (0, payload.to_vec())
    }

    /// Returns the FIELD object of a name, appended if missing.
    fn field(&mut self, name: &[u8]) -> u64 {
        if let Some(offset) = self.fields.get(name) {
            return *offset;
        }
        let hash = self.hash(name);
        let offset = self.append(object::FIELD, 0, &[&hash.to_le_bytes() as &[u8], &[0; 16], name].concat());
        self.count(header::N_FIELDS);
        self.chain_up(header::FIELD_TABLE, header::FIELD_DEPTH, hash, offset);
        self.fields.insert(name.to_vec(), offset);
        offset
    }

    fn hash(&self, bytes: &[u8]) -> u64 {
        if self.shape.keyed { hash::keyed(self.shape.file_id, bytes) } else { hash::jenkins(bytes) }
    }

    /// Appends an object to its hash chain in the table that the header has at `table`.
    fn chain_up(&mut self, table: usize, depth: usize, hash: u64, offset: u64) {
        let (items, buckets) = (self.get(table), self.get(table + 8) / 16);
        let bucket = (items + 16 * (hash % buckets)) as usize;
        let mut last = self.get(bucket);
        if last == 0 {
            self.put(bucket, offset);
        } else {
            let mut steps = 1;
            while self.get(last as usize + 24) != 0 {
                last = self.get(last as usize + 24);
                steps += 1;
            }
            self.put(last as usize + 24, offset);
            if self.shape.header_size >= depth + 8 {
                self.put(depth, self.get(depth).max(steps));
            }
        }
        self.put(bucket + 8, offset);
    }

    /// Updates the header for an entry.
    fn link_entry(&mut self, offset: u64, seqnum: u64, entry: &Entry) {
        let mut chain = self.entries;
        let first = self.link(&mut chain, offset);
        if let Some(first) = first {
            self.put(header::ENTRY_ARRAY, first);
        }
        self.entries = chain;
        self.put(header::N_ENTRIES, chain.all);
        if chain.all == 1 {
            self.put(header::HEAD_SEQNUM, seqnum);
            self.put(header::HEAD_REALTIME, entry.realtime);
        }
        self.put(header::TAIL_SEQNUM, seqnum);
        self.put(header::TAIL_REALTIME, entry.realtime);
        self.put(header::TAIL_MONOTONIC, entry.monotonic);
        self.bytes[header::TAIL_BOOT_ID..][..16].copy_from_slice(&entry.boot.to_be_bytes());
        if self.shape.header_size >= header::TAIL_ARRAY + 8 {
            self.put_half(header::TAIL_ARRAY, chain.last);
            self.put_half(header::TAIL_ARRAY_ITEMS, chain.used);
        }
        if self.shape.header_size >= header::TAIL_ENTRY + 8 {
            self.put(header::TAIL_ENTRY, offset);
        }
    }

    /// Adds an entry to the posting list of a DATA object: the first is stored in the object, the others in arrays.
    fn link_item(&mut self, data: usize, entry: u64) {
        let count = self.get(data + 56);
        if count == 0 {
            self.put(data + 40, entry);
        } else {
            let mut chain = self.lists.get(&(data as u64)).copied().unwrap_or_default();
            if let Some(first) = self.link(&mut chain, entry) {
                self.put(data + 48, first);
            }
            if self.shape.compact {
                self.put_half(data + 64, chain.last);
                self.put_half(data + 68, chain.used);
            }
            self.lists.insert(data as u64, chain);
        }
        self.put(data + 56, count + 1);
    }

    /// Adds an item to a chain. Returns the chain's first array if this call creates it.
    fn link(&mut self, chain: &mut Chain, item: u64) -> Option<u64> {
        let width = if self.shape.compact { 4 } else { 8 };
        let mut first = None;
        if chain.used == chain.room {
            let grown = if chain.all > chain.room { (chain.all + 1) * 2 } else { chain.room * 2 };
            chain.room = self.shape.array.unwrap_or(grown.max(4));
            let offset = self.append(object::ARRAY, 0, &vec![0; 8 + (width * chain.room) as usize]);
            if chain.last == 0 {
                first = Some(offset);
            } else {
                self.put(chain.last as usize + 16, offset);
            }
            self.count(header::N_ARRAYS);
            chain.last = offset;
            chain.used = 0;
        }
        let at = (chain.last + 24 + width * chain.used) as usize;
        if self.shape.compact {
            self.put_half(at, item);
        } else {
            self.put(at, item);
        }
        chain.used += 1;
        chain.all += 1;
        first
    }

    /// Appends a TAG object with an invalid seal, because there is no key.
    fn tag(&mut self) {
        self.count(header::N_TAGS);
        let seqnum = self.get(header::N_TAGS);
        self.append(object::TAG, 0, &[&seqnum.to_le_bytes() as &[u8], &[0; 8], &[0xa5; 32]].concat());
    }

    /// Appends an object. Returns its offset.
    fn append(&mut self, kind: u8, flags: u8, body: &[u8]) -> u64 {
        let offset = self.bytes.len().next_multiple_of(8);
        self.bytes.resize(offset, 0);
        self.bytes.extend_from_slice(&[kind, flags, 0, 0, 0, 0, 0, 0]);
        self.bytes.extend_from_slice(&(16 + body.len() as u64).to_le_bytes());
        self.bytes.extend_from_slice(body);
        self.put(header::TAIL_OBJECT, offset as u64);
        self.count(header::N_OBJECTS);
        offset as u64
    }

    /// Increments a counter of the header, if the header is long enough to have it.
    fn count(&mut self, at: usize) {
        if self.shape.header_size >= at + 8 {
            self.put(at, self.get(at) + 1);
        }
    }

    fn get(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes[at..at + 8].try_into().unwrap())
    }

    fn put(&mut self, at: usize, number: u64) {
        self.bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
    }

    fn put_half(&mut self, at: usize, number: u64) {
        self.bytes[at..at + 4].copy_from_slice(&u32::try_from(number).unwrap().to_le_bytes());
    }
}

/// Compresses a payload in the framing of the format for each codec.
pub(crate) fn compress(codec: Codec, payload: &[u8]) -> Vec<u8> {
    match codec {
        // A stream without its own check, because the format has hashes.
        Codec::Xz => {
            let stream = liblzma::stream::Stream::new_easy_encoder(0, liblzma::stream::Check::None).unwrap();
            let mut packed = Vec::new();
            std::io::copy(&mut liblzma::read::XzEncoder::new_stream(payload, stream), &mut packed).unwrap();
            packed
        }
        Codec::Lz4 => [&(payload.len() as u64).to_le_bytes() as &[u8], &lz4_flex::block::compress(payload)].concat(),
        Codec::Zstd => zstd::bulk::compress(payload, 3).unwrap(),
    }
}
