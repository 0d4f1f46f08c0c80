//! Fields that entries have in common: read and decompressed once, copied into each batch once.

/// Fields are forgotten when they have more bytes than this together.
const BYTES: usize = 8 << 20;
/// Places when nothing was kept yet; a power of two.
const PLACES: usize = 1 << 10;
/// More places than this are not kept.
const MOST_PLACES: usize = 1 << 17;

/// A field that was read before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    /// What [`key`] makes of the file and the offset; zero for a free place.
    key: u64,
    start: u32,
    end: u32,
    /// The length of the name.
    pub(super) name: u32,
    /// The batch that has it, and its number there. A field that nobody wants has no bytes.
    batch: u32,
    number: u32,
}

const FREE: Kept = Kept { key: 0, start: 0, end: 0, name: 0, batch: 0, number: 0 };

/// What is known of a field.
#[derive(Clone, Copy, Debug)]
pub(super) enum Known {
    /// It was not read yet, or was forgotten.
    No,
    /// Nobody wants it.
    Unwanted,
    /// The batch at hand has it under this number.
    Here(u32),
    /// Its bytes are here, but the batch at hand does not have it.
    Elsewhere(Kept),
}

/// The fields of all files of a source, by file and offset.
#[derive(Debug)]
pub(super) struct Cache {
    places: Vec<Kept>,
    used: usize,
    bytes: Vec<u8>,
    /// The batch at hand.
    batch: u32,
}

/// The key of a field. Damage can make any number of `at`, and the first file is number 0; the key is never zero.
#[inline]
pub(super) fn key(file: usize, at: u32) -> u64 {
    (file as u64 + 1) << 32 | u64::from(at)
}

impl Cache {
    pub(super) fn new() -> Cache {
        Cache { places: vec![FREE; PLACES], used: 0, bytes: Vec::new(), batch: 0 }
    }

    /// Begins a batch: no field has a number in it yet.
    pub(super) fn begin(&mut self) {
        if self.batch == u32::MAX {
            self.forget();
            self.batch = 0;
        }
        self.batch += 1;
    }

    #[inline]
    fn place(&self, key: u64) -> usize {
        let mask = self.places.len() - 1;
        let mut place = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & mask;
        while self.places[place].key != key && self.places[place].key != 0 {
            place = (place + 1) & mask;
        }
        place
    }

    /// What is known of a field.
    #[inline]
    pub(super) fn find(&self, key: u64) -> Known {
        let kept = self.places[self.place(key)];
        if kept.key == 0 {
            Known::No
        } else if kept.start == kept.end {
            Known::Unwanted
        } else if kept.batch == self.batch {
            Known::Here(kept.number)
        } else {
            Known::Elsewhere(kept)
        }
    }

    /// The bytes of a field that is kept, `NAME=value`.
    pub(super) fn bytes(&self, kept: &Kept) -> &[u8] {
        self.bytes.get(kept.start as usize..kept.end as usize).unwrap_or_default()
    }

    /// Notes the number that a field which is kept has in the batch at hand.
    pub(super) fn number(&mut self, key: u64, number: u32) {
        let place = self.place(key);
        let kept = &mut self.places[place];
        if kept.key != 0 {
            (kept.batch, kept.number) = (self.batch, number);
        }
    }

    /// Keeps a field that was given this number in the batch at hand; without bytes it is one that nobody wants.
    pub(super) fn keep(&mut self, key: u64, bytes: &[u8], name: u32, number: u32) {
        if self.bytes.len() + bytes.len() > BYTES || self.used >= MOST_PLACES / 2 {
            self.forget();
        }
        if self.bytes.len() + bytes.len() > BYTES {
            return;
        }
        if self.used * 2 >= self.places.len() {
            self.grow();
        }
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(bytes);
        let place = self.place(key);
        self.used += usize::from(self.places[place].key == 0);
        self.places[place] = Kept { key, start, end: start + bytes.len() as u32, name, batch: self.batch, number };
    }

    /// Forgets all fields. Those that the batch at hand has stay in it, and may come into it once more.
    pub(super) fn forget(&mut self) {
        self.places.fill(FREE);
        self.bytes.clear();
        self.used = 0;
    }

    fn grow(&mut self) {
        let doubled = vec![FREE; self.places.len() * 2];
        for kept in std::mem::replace(&mut self.places, doubled) {
            if kept.key != 0 {
                let place = self.place(kept.key);
                self.places[place] = kept;
            }
        }
    }
}

#[cfg(test)]
mod tests;
