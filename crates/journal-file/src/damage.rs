//! Damage in journal files, counted by kind. Damage never fails a file: only the smallest affected unit is left out.

use std::io;
use std::path::PathBuf;

use crate::offset::Units;

/// A kind of damage in a journal file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Damage {
    /// An entry object is broken: the entry is missing.
    Entry,
    /// A data object is broken or lies outside of the file: the field is missing.
    Field,
    /// A field cannot be decompressed, or this build lacks its codec: the field is missing.
    Undecodable,
    /// A field has no valid name: the field is missing.
    Name,
    /// A field is larger than 64 MiB in memory or 128 MiB compressed, or an entry or a file yields more bytes than any
    /// writer stores: the rest is missing.
    Oversized,
    /// An entry array is broken. A search through the whole file finds the entries that it lost.
    Array,
    /// A hash table or a chain of objects is broken: all entries are read instead. Or the header counts fewer bytes than
    /// the file uses: these are read nevertheless.
    Index,
    /// The system failed to read a part of the file, or the file became shorter while it was read.
    Unreadable,
    /// The header promises more than the file holds. `journalctl` does not read such a file.
    Truncated,
    /// The file was emptied while entries were awaited: the entries written since the last look are missing.
    Emptied,
    /// A file that appeared while entries were awaited cannot be opened.
    Refused,
}

impl Damage {
    /// All kinds.
    pub const ALL: [Damage; 11] = [
        Damage::Entry,
        Damage::Field,
        Damage::Undecodable,
        Damage::Name,
        Damage::Oversized,
        Damage::Array,
        Damage::Index,
        Damage::Unreadable,
        Damage::Truncated,
        Damage::Emptied,
        Damage::Refused,
    ];

    /// Returns the name for messages and counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Damage::Entry => "bad-entry",
            Damage::Field => "bad-field",
            Damage::Undecodable => "undecodable-field",
            Damage::Name => "bad-name",
            Damage::Oversized => "oversized-field",
            Damage::Array => "bad-array",
            Damage::Index => "bad-index",
            Damage::Unreadable => "unreadable",
            Damage::Truncated => "truncated-file",
            Damage::Emptied => "emptied-file",
            Damage::Refused => "refused-file",
        }
    }
}

impl From<io::Error> for Damage {
    fn from(_: io::Error) -> Self {
        Damage::Unreadable
    }
}

/// The damage of one kind in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// The file.
    pub path: PathBuf,
    /// The kind of damage.
    pub reason: Damage,
    /// The number of times that it was found.
    pub count: u64,
    /// The offset in the file, in bytes, at which it was found first.
    pub offset: u64,
}

/// A count of one kind of damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) damage: Damage,
    /// The number of times that it was found. Repeated reads of one object count each time.
    pub(crate) count: u64,
    /// The offset, in bytes, at which it was found first.
    pub(crate) first: u64,
}

/// The damage found in a file so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Damages {
    /// The header promises more than the file holds.
    pub(crate) truncated: bool,
    /// The file was emptied while entries were awaited.
    pub(crate) emptied: bool,
    /// The number of entries that the arrays have lost and recovery found.
    pub(crate) recovered: u64,
    tallies: [Option<Tally>; Damage::ALL.len()],
}

impl Damages {
    pub(crate) fn of(truncated: bool) -> Self {
        Self { truncated, ..Self::default() }
    }

    /// Returns each kind that was found since the last call.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Tally> {
        self.tallies.iter_mut().filter_map(Option::take)
    }

    /// Counts a damage at an offset and returns it.
    #[cold]
    pub(crate) fn note(&mut self, damage: Damage, at: Units) -> Damage {
        if let Some(tally) = self.tallies.get_mut(damage as usize) {
            tally.get_or_insert(Tally { damage, count: 0, first: at.offset().0 }).count += 1;
        }
        damage
    }
}
