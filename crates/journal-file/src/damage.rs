//! What is wrong in a file, counted by kind. Damage makes no error of the file: the smallest thing is left out.

use std::io;

/// Why something was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    /// An ENTRY is not one, or cannot be: the entry is missing.
    Entry,
    /// A DATA is not one, or lies outside of the file: the field is missing.
    Field,
    /// The payload of a DATA cannot be decompressed, or its codec is unknown or left out of this build.
    Undecodable,
    /// The payload of a DATA has no name that a field can have.
    Name,
    /// The payload of a DATA is larger than [`MAX_FIELD`](super::payload::MAX_FIELD), perhaps only once decompressed.
    Oversized,
    /// An entry array is broken. The arena walk brings back what it lost.
    Array,
    /// A hash table, or a chain of DATA or FIELD, is broken.
    Index,
    /// The system failed to read a part of the file.
    Unreadable(io::ErrorKind),
}

impl Damage {
    /// How many kinds there are.
    const KINDS: usize = 8;

    /// The name that stands in messages and counters.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Entry => "bad-entry",
            Self::Field => "bad-field",
            Self::Undecodable => "undecodable-field",
            Self::Name => "bad-name",
            Self::Oversized => "oversized-field",
            Self::Array => "bad-array",
            Self::Index => "bad-index",
            Self::Unreadable(_) => "unreadable",
        }
    }

    fn kind(self) -> usize {
        match self {
            Self::Entry => 0,
            Self::Field => 1,
            Self::Undecodable => 2,
            Self::Name => 3,
            Self::Oversized => 4,
            Self::Array => 5,
            Self::Index => 6,
            Self::Unreadable(_) => 7,
        }
    }
}

impl From<io::Error> for Damage {
    fn from(cause: io::Error) -> Self {
        Self::Unreadable(cause.kind())
    }
}

const _: () = assert!(size_of::<Damage>() <= 2, "it is returned where entries are read");

/// How often a kind of damage was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tally {
    /// The kind, as it was met first.
    pub(super) damage: Damage,
    /// How often. What is asked for again and again counts each time.
    pub(super) count: u64,
    /// The offset in the file, in bytes, where it was met first.
    pub(super) first: u64,
}

/// What was wrong in a file so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Damages {
    /// The header promises more than the file holds. journalctl does not read such a file at all.
    pub(super) truncated: bool,
    /// The file was emptied while entries were waited for: what it had got since the last look is lost.
    pub(super) emptied: bool,
    /// Entries that the arrays have lost and the arena walk found.
    pub(super) recovered: u64,
    tallies: [Option<Tally>; Damage::KINDS],
}

impl Damages {
    pub(super) fn of(truncated: bool) -> Self {
        Self { truncated, ..Self::default() }
    }

    /// Gives each kind that was met since this was asked last.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Tally> {
        self.tallies.iter_mut().filter_map(Option::take)
    }

    /// Counts a damage met at an offset in units of eight bytes, and hands it back.
    #[cold]
    pub(super) fn note(&mut self, damage: Damage, at: u32) -> Damage {
        if let Some(tally) = self.tallies.get_mut(damage.kind()) {
            tally.get_or_insert(Tally { damage, count: 0, first: u64::from(at) << 3 }).count += 1;
        }
        damage
    }
}
