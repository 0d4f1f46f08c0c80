//! A journal to choose entries from, and the iterator over these entries.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::batch::{Entry, EntryBatch};
use crate::cursor::Cursor;
use crate::damage::Damaged;
use crate::directory::Namespace;
use crate::entry_range::Boot;
use crate::error::Error;
use crate::journal_reader::{Fill, JournalReader};
use crate::open_file::PlainFiles;
use crate::selection::{Matches, Selection, Unfiltered};
use crate::settings::Settings;

/// A journal, and the choice of entries to read from it. Without further calls, all entries are read.
#[derive(Clone, Debug)]
pub struct Journal {
    inputs: Vec<PathBuf>,
    settings: Settings,
    matches: Matches,
    reverse: bool,
}

impl Journal {
    /// Opens a file, a directory of files, or a directory of machines such as `/var/log/journal`.
    ///
    /// # Errors
    ///
    /// Fails if the path is not accessible, or a directory has no journal files.
    pub fn open(path: impl AsRef<Path>) -> Result<Journal, Error> {
        let journal = Journal::of(vec![path.as_ref().to_owned()], Settings::default());
        let (found, errors) = journal.settings.files(&journal.inputs, &PlainFiles);
        match errors.into_iter().next() {
            Some(error) if found.is_empty() => Err(error),
            _ => Ok(journal),
        }
    }

    /// Chooses the journal of this machine, in `/run/log/journal` and `/var/log/journal`.
    #[must_use]
    pub fn of_this_machine() -> Journal {
        Journal::of(Vec::new(), Settings { of_this_machine: true, ..Settings::default() })
    }

    fn of(inputs: Vec<PathBuf>, settings: Settings) -> Journal {
        Journal { inputs, settings, matches: Matches::default(), reverse: false }
    }

    /// Chooses namespaces of this machine in place of the default one.
    #[must_use]
    pub fn namespace(mut self, namespace: Namespace) -> Journal {
        self.settings.namespace = namespace;
        self
    }

    /// Restricts the entries to those with this field (systemd: `sd_journal_add_match`). An entry needs one of the
    /// values given for a field, and a value for each of the fields.
    #[must_use]
    pub fn matching(mut self, name: &str, value: impl AsRef<[u8]>) -> Journal {
        self.matches.add(name.as_bytes(), value.as_ref());
        self
    }

    /// Starts another alternative: entries need to match only the calls before or those after this one (systemd:
    /// `sd_journal_add_disjunction`).
    #[must_use]
    pub fn or(mut self) -> Journal {
        self.matches.or();
        self
    }

    /// Leaves out entries before a time in microseconds since 1970.
    #[must_use]
    pub fn since(mut self, micros: u64) -> Journal {
        self.settings.range.since = Some(micros);
        self
    }

    /// Leaves out entries after a time in microseconds since 1970.
    #[must_use]
    pub fn until(mut self, micros: u64) -> Journal {
        self.settings.range.until = Some(micros);
        self
    }

    /// Restricts the entries to those of one boot.
    #[must_use]
    pub fn boot(mut self, boot: Boot) -> Journal {
        self.settings.range.boot = Some(boot);
        self
    }

    /// Leaves out all entries up to a cursor, including that of the cursor itself.
    #[must_use]
    pub fn after_cursor(mut self, cursor: Cursor) -> Journal {
        self.settings.range.after = Some(cursor);
        self
    }

    /// Reads from the last entry to the first. A journal that is followed is read forwards.
    #[must_use]
    pub fn reverse(mut self) -> Journal {
        self.reverse = true;
        self
    }

    /// Reads only the last `count` of the chosen entries.
    #[must_use]
    pub fn last(mut self, count: usize) -> Journal {
        self.settings.lines = Some(count);
        self
    }

    /// Waits for new entries after the last one. Rotated and new files are followed as well.
    #[must_use]
    pub fn follow(mut self) -> Journal {
        self.settings.follow = true;
        self
    }

    /// Opens the files and returns their entries in one order, each once.
    #[must_use]
    pub fn entries(&self) -> Entries {
        let Settings { lines, follow, .. } = self.settings;
        let backwards = self.reverse && !follow;
        let settings = Settings { lines: lines.filter(|_| !backwards), ..self.settings.clone() };
        let selection = Selection { matches: self.matches.clone(), ..Selection::new(&Unfiltered, &self.settings) };
        let (reader, errors) =
            JournalReader::open_selection(&self.inputs, Vec::new(), &settings, selection, backwards, &PlainFiles);
        Entries {
            fails: !reader.has_opened() && !errors.is_empty(),
            reader,
            errors,
            left: lines.filter(|_| backwards),
            batch: EntryBatch::default(),
            next: 0,
            ended: false,
        }
    }
}

/// The entries of a journal, each lent until the next one is requested.
///
/// Files that cannot be read, and damage in the others, do not end the entries: [`Entries::errors`] and
/// [`Entries::damages`] report them.
pub struct Entries {
    reader: JournalReader<'static>,
    errors: Vec<Error>,
    /// No file can be read, which the next call reports.
    fails: bool,
    /// The number of entries that may still be returned.
    left: Option<usize>,
    batch: EntryBatch,
    /// The index of the next entry in the batch.
    next: usize,
    /// The batch is the last one.
    ended: bool,
}

// The trait of the standard library cannot lend its items.
#[allow(clippy::should_implement_trait)]
impl Entries {
    /// Returns the next entry, or `None` after the last one. If the journal is followed, this waits for an entry.
    ///
    /// # Errors
    ///
    /// Fails once if none of the files can be read.
    #[inline]
    pub fn next(&mut self) -> Result<Option<Entry<'_>>, Error> {
        self.next_until(None)
    }

    /// Returns the next entry. If the journal is followed, this waits for an entry at most for about `timeout`, and
    /// returns `None` after that.
    ///
    /// # Errors
    ///
    /// Fails once if none of the files can be read.
    pub fn next_within(&mut self, timeout: Duration) -> Result<Option<Entry<'_>>, Error> {
        self.next_until(Instant::now().checked_add(timeout))
    }

    /// Calls a function with each entry that is left.
    ///
    /// # Errors
    ///
    /// Fails if none of the files can be read.
    pub fn for_each(&mut self, mut each: impl FnMut(Entry<'_>)) -> Result<(), Error> {
        while let Some(entry) = self.next()? {
            each(entry);
        }
        Ok(())
    }

    /// Returns the errors of files that cannot be read, as far as they were not returned before.
    pub fn errors(&mut self) -> Vec<Error> {
        std::mem::take(&mut self.errors)
    }

    /// Returns the damage found since the last call, also in files that are not read to their ends.
    pub fn damages(&mut self) -> Vec<Damaged> {
        self.reader.damages_so_far()
    }

    #[inline]
    fn next_until(&mut self, deadline: Option<Instant>) -> Result<Option<Entry<'_>>, Error> {
        if self.left == Some(0) || self.next >= self.batch.len() && !self.refill(deadline)? {
            return Ok(None);
        }
        self.left = self.left.map(|left| left - 1);
        self.next += 1;
        Ok(self.batch.entry(self.next - 1))
    }

    /// Fills the batch with the next entries. Returns `false` if there are none before the deadline.
    #[cold]
    fn refill(&mut self, deadline: Option<Instant>) -> Result<bool, Error> {
        if std::mem::take(&mut self.fails) {
            return Err(self.errors.remove(0));
        }
        while !self.ended {
            self.next = 0;
            self.ended = self.reader.fill_until(&mut self.batch, deadline) == Fill::End;
            if !self.batch.is_empty() {
                return Ok(true);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                break;
            }
        }
        Ok(false)
    }
}
