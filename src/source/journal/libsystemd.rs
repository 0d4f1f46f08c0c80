//! Journals through libsystemd (man page sd-journal(3)): what our own reader is held against, and the way out where it
//! should fail.
//!
//! Which files are read, and which of their entries, is found out as for our own reader; libsystemd puts the files
//! together. Its ways to seek by time trust the clock, so each entry is held against the range instead.
//!
//! It is slower: each entry costs an allocation for its cursor, the only thing that tells the sequence number. It drops a
//! file silently where that is damaged, and it tells neither in which file an entry stands, and where, nor how many it
//! passes over for a match. It maps files: if one is cut while it is read, the process ends with SIGBUS.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::hash::{DefaultHasher, Hasher as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use journal_file::{Boot, Cursor, EntryBatch, EntryPrefix, FieldId, FileRange, OpenFile as _, Place, Range};
use kata_records::entry::Batch;
use systemd::journal::{Journal, JournalRef, OpenFilesOptions};

use super::compressed::CompressedFiles;
use super::{EntryFilter, JournalSettings};
use crate::source::{Damaged, Event, Fill, Filled, Input, Skipped, Source, SourceError};

/// The name of the field that says who wrote an entry.
const IDENTIFIER: &[u8] = b"SYSLOG_IDENTIFIER";

/// The largest field that is read, in bytes with its name.
const MAX_FIELD: usize = 64 << 20;
/// The longest name of a field.
const MAX_NAME: usize = 64;

/// Files may be worth this many times their length, and at least [`WORTH`] bytes.
const WORTH_FACTOR: u64 = 64;
const WORTH: u64 = 64 << 20;

/// More identifiers than this are looked for in each entry: libsystemd goes through all matches for each.
const MATCHES: usize = 256;

/// More values than this are not listed. libsystemd follows a list of values in a circle, where damage has made it one.
const VALUES: usize = 1 << 16;

/// What an entry takes of a file at least, in bytes.
const ENTRY: u64 = 64;

/// A journal that libsystemd reads.
pub(in crate::source) struct LibsystemdSource<'r> {
    filter: &'r dyn EntryFilter,
    range: Range,
    /// None where there is nothing left to read.
    journal: Option<Journal>,
    /// The entry at hand was not handed on yet.
    at_hand: bool,
    /// Each entry's identifier has to be looked at, since there are no matches for them.
    scans: bool,
    block: usize,
    /// What the files together may still be worth, in bytes: an entry can name a large field any number of times.
    worth: u64,
    /// The numbers of the batch's fields, by the hash of their bytes.
    numbers: HashMap<u64, u32>,
    /// The fields of the entry at hand.
    items: Vec<FieldId>,
    /// The directory that all files are in, or the file if there is one. More is not known of where an entry stands.
    input: Input,
    skipped: u64,
    damages: Vec<Damaged>,
    /// What the next filling ends with.
    failure: Option<SourceError>,
}

/// Opens the files that inputs name, and says what could not be read of them.
pub(in crate::source) fn open<'r>(
    inputs: &[PathBuf],
    settings: &JournalSettings,
    block: usize,
    filter: &'r dyn EntryFilter,
) -> (LibsystemdSource<'r>, Vec<SourceError>) {
    let (mut paths, mut errors) = super::paths(inputs, settings);
    let is_compressed =
        |path: &mut PathBuf| File::open(path).is_ok_and(|file| CompressedFiles.is_compressed(&FileRange::from(file)));
    for path in paths.extract_if(.., is_compressed) {
        let cause = "it is compressed, and libsystemd reads none that is; leave out --journal-backend".to_owned();
        errors.push(SourceError::JournalRefused { input: Input::File(path), cause });
    }
    let input = Input::File(common(&paths));
    let length: u64 = paths.iter().filter_map(|path| path.metadata().ok()).map(|metadata| metadata.len()).sum();
    let journal = opened(paths, &mut errors);
    let mut source = LibsystemdSource {
        filter,
        range: settings.range,
        journal,
        at_hand: false,
        scans: false,
        block,
        worth: WORTH.max(length.saturating_mul(WORTH_FACTOR)),
        numbers: HashMap::new(),
        items: Vec::new(),
        input,
        skipped: 0,
        damages: Vec::new(),
        failure: None,
    };
    if let Err(cause) = source.begin(settings.lines) {
        errors.push(source.failed(&cause));
    }
    (source, errors)
}

/// The journal of all files that libsystemd can open; none if there are none. One file that it refuses would keep it from
/// opening the others.
fn opened(mut paths: Vec<PathBuf>, errors: &mut Vec<SourceError>) -> Option<Journal> {
    if paths.is_empty() {
        return None;
    }
    let mut all = together(&paths);
    if all.is_err() {
        paths.retain(|path| {
            let input = || Input::File(path.clone());
            let refused = together(std::slice::from_ref(path)).err();
            errors.extend(
                refused.iter().map(|error| SourceError::JournalRefused { input: input(), cause: error.to_string() }),
            );
            refused.is_none()
        });
        all = together(&paths);
    }
    all.ok().filter(|_| !paths.is_empty())
}

fn together(paths: &[PathBuf]) -> systemd::Result<Journal> {
    let absolute = paths.iter().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
    let names = absolute.map(|path| path.as_os_str().as_bytes().to_vec());
    let mut journal = OpenFilesOptions::default().open_files(names)?;
    // By itself it cuts fields at 64 KiB. One that is cut at this size is larger than any that is taken.
    journal.set_data_threshold(MAX_FIELD + 1)?;
    Ok(journal)
}

/// The longest path that all paths begin with.
fn common(paths: &[PathBuf]) -> PathBuf {
    let mut paths = paths.iter().map(PathBuf::as_path);
    let first = paths.next().unwrap_or(Path::new("/"));
    paths
        .fold(first, |common, path| common.ancestors().find(|ancestor| path.starts_with(ancestor)).unwrap_or(common))
        .to_owned()
}

/// All values of a field, whatever the matches.
fn values(journal: &mut JournalRef, name: &str) -> systemd::Result<Vec<Vec<u8>>> {
    let mut values = Vec::new();
    journal.query_unique(name)?;
    while let Some(field) = journal.enumerate_unique()? {
        if values.len() == VALUES {
            return Err(systemd::Error::other("too many values"));
        }
        values.extend(field.value().map(<[u8]>::to_vec));
    }
    Ok(values)
}

/// The boots that the journal tells of, the first one first, by the times of their first entries.
fn boots(journal: &mut JournalRef) -> systemd::Result<Vec<[u8; 16]>> {
    let mut boots = Vec::new();
    for value in values(journal, "_BOOT_ID")? {
        let Some(id) = Cursor::parse_id(&value) else { continue };
        journal.match_flush()?.match_add("_BOOT_ID", value)?.seek_head()?;
        if journal.next()? > 0 {
            boots.push((journal.timestamp_usec()?, id));
        }
    }
    journal.match_flush()?;
    boots.sort_unstable();
    let mut seen = HashSet::new();
    Ok(boots.into_iter().map(|(_, boot)| boot).filter(|boot| seen.insert(*boot)).collect())
}

/// Restricts a journal to the identifiers that are wanted. Gives how many those are; none where it could not be done,
/// and the journal is not restricted.
fn restrict(journal: &mut JournalRef, filter: &dyn EntryFilter) -> systemd::Result<Option<usize>> {
    let Ok(mut identifiers) = values(journal, "SYSLOG_IDENTIFIER") else { return Ok(None) };
    // Entries without any identifier are rarer than tables that were lost.
    let any = !identifiers.is_empty();
    identifiers.retain(|value| filter.entries_of(value));
    if !any || identifiers.len() > MATCHES {
        return Ok(None);
    }
    let count = identifiers.len();
    for identifier in identifiers {
        if journal.match_add("SYSLOG_IDENTIFIER", identifier).is_err() {
            journal.match_flush()?;
            return Ok(None);
        }
    }
    Ok(Some(count))
}

/// Whether the identifier of the entry at hand is one that is wanted. With two of them, one is enough.
fn is_wanted(journal: &mut JournalRef, filter: &dyn EntryFilter) -> bool {
    journal.restart_data();
    while let Ok(Some(field)) = journal.enumerate_data() {
        if field.name() == IDENTIFIER && field.value().is_some_and(|value| filter.entries_of(value)) {
            return true;
        }
    }
    false
}

/// The length of the name of `NAME=value`; none where no field can have that name (systemd: `journal_field_valid`).
fn name_len(bytes: &[u8]) -> Option<usize> {
    let head = bytes.get(..=MAX_NAME).unwrap_or(bytes);
    let len = head.iter().position(|byte| *byte == b'=').filter(|len| *len > 0)?;
    let name = head.get(..len)?;
    let allowed = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
    (name.iter().all(allowed) && !name.first()?.is_ascii_digit()).then_some(len)
}

impl LibsystemdSource<'_> {
    /// Goes before the first entry to read, or to it.
    fn begin(&mut self, lines: Option<usize>) -> systemd::Result<()> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        let boot = match self.range.boot {
            Some(Boot::Before(count)) => boots(journal)?.into_iter().rev().nth(count),
            Some(Boot::First(count)) => boots(journal)?.into_iter().nth(count),
            _ => None,
        };
        // Where there are not so many boots, no entry is of the one asked for.
        self.range.boot = boot.map(Boot::Id).or(self.range.boot);
        if !self.filter.everything() {
            match restrict(journal, self.filter)? {
                Some(0) => self.journal = None,
                count => self.scans = count.is_none(),
            }
        }
        let Some(journal) = &mut self.journal else { return Ok(()) };
        let Some(mut lines) = lines else { return journal.seek_head() };
        if lines == 0 {
            self.journal = None;
            return Ok(());
        }
        journal.seek_tail()?;
        while lines > 0 {
            let Some(journal) = &mut self.journal else { return Ok(()) };
            if journal.previous()? == 0 || self.worth == 0 {
                return journal.seek_head();
            }
            self.worth = self.worth.saturating_sub(ENTRY);
            lines -= usize::from(self.place().is_some() && self.is_worth());
        }
        self.at_hand = true;
        Ok(())
    }

    /// Goes to the next entry that is wanted.
    fn next(&mut self) -> systemd::Result<Option<Place>> {
        loop {
            let Some(journal) = &mut self.journal else { return Ok(None) };
            if !std::mem::take(&mut self.at_hand) {
                // What was found broken may have been put aside by then.
                let moved = journal.next().or_else(|_| journal.process().and_then(|_| journal.next()))?;
                if moved == 0 || self.worth == 0 {
                    return Ok(None);
                }
                self.worth = self.worth.saturating_sub(ENTRY);
            }
            match self.place() {
                Some(place) => return Ok(Some(place)),
                None => self.skipped += 1,
            }
        }
    }

    /// Where the entry at hand stands, if it can be read and is wanted.
    fn place(&mut self) -> Option<Place> {
        let journal = self.journal.as_mut()?;
        let cursor = journal.cursor().ok().and_then(|text| text.parse::<Cursor>().ok()?.place());
        let Some(place) = cursor else {
            self.note("bad-entry");
            return None;
        };
        (self.range.has(&place) && (!self.scans || is_wanted(journal, self.filter))).then_some(place)
    }

    /// Whether the entry at hand is likely to be shown, by its first identifier and its message.
    fn is_worth(&mut self) -> bool {
        let Some(journal) = &mut self.journal else { return false };
        let (mut identifier, mut message) = (None, None);
        journal.restart_data();
        while let Ok(Some(field)) = journal.enumerate_data() {
            let place = match field.name() {
                IDENTIFIER => &mut identifier,
                b"MESSAGE" => &mut message,
                _ => continue,
            };
            place.get_or_insert_with(|| field.value().unwrap_or_default().to_vec());
        }
        self.filter.entry(&identifier.unwrap_or_default(), &message.unwrap_or_default())
    }

    /// Appends the entry at hand.
    fn put(&mut self, place: Place, batch: &mut EntryBatch) {
        let Some(mut journal) = self.journal.take() else { return };
        self.items.clear();
        let mut length = 0;
        journal.restart_data();
        // No writer makes an entry of this size.
        while length <= MAX_FIELD {
            let field = match journal.enumerate_data() {
                Ok(Some(field)) => field,
                Ok(None) => break,
                Err(_) => {
                    // It would be the same field again the next time.
                    self.note("undecodable-field");
                    break;
                }
            };
            let bytes = field.data();
            if bytes.len() > MAX_FIELD {
                self.note("oversized-field");
            } else if let Some(name) = name_len(bytes) {
                if self.filter.field(bytes.get(..name).unwrap_or_default()) {
                    let item = self.item(bytes, name, batch);
                    self.items.push(item);
                    length += bytes.len();
                }
            } else {
                self.note("bad-name");
            }
        }
        batch.push(place, EntryPrefix::default(), &self.items);
        self.worth = self.worth.saturating_sub(length as u64);
        self.journal = Some(journal);
    }

    /// A field as the batch has it, from now on.
    fn item(&mut self, bytes: &[u8], name: usize, batch: &mut EntryBatch) -> FieldId {
        let mut hasher = DefaultHasher::new();
        hasher.write(bytes);
        let hash = hasher.finish();
        if let Some(number) = self.numbers.get(&hash) {
            let item = FieldId::shared(*number);
            let (known, value) = batch.field(item);
            if bytes.get(..name) == Some(known) && bytes.get(name + 1..) == Some(value) {
                return item;
            }
        }
        let item = batch.add_field(bytes, name, true);
        self.numbers.extend(item.number().map(|number| (hash, number)));
        item
    }

    #[cold]
    fn note(&mut self, reason: &'static str) {
        match self.damages.iter_mut().find(|known| known.reason == reason) {
            Some(known) => known.count += 1,
            None => self.damages.push(Damaged { input: self.input.clone(), reason, count: 1, offset: 0 }),
        }
    }

    /// Ends the reading.
    fn failed(&mut self, cause: &systemd::Error) -> SourceError {
        self.journal = None;
        let input = self.input.clone();
        SourceError::JournalAccess {
            message: format!("failed to read {} through libsystemd: {cause}", input.quoted()),
            kind: cause.kind(),
            input,
        }
    }
}

impl Source for LibsystemdSource<'_> {
    fn fill(&mut self, batch: &mut Batch) -> Filled {
        let filled = self.fill_batch(batch);
        let skipped = Skipped { others: std::mem::take(&mut self.skipped), repeated: 0 };
        let mut events: Vec<Event> = skipped.into_event().into_iter().collect();
        // Damage is reported once, at the end, because the library does not tell one damage from another.
        if self.journal.is_none() {
            events.extend(self.damages.drain(..).map(Event::Damaged));
        }
        Filled::new(filled, events)
    }
}

impl LibsystemdSource<'_> {
    fn fill_batch(&mut self, batch: &mut Batch) -> Result<Fill, SourceError> {
        batch.clear();
        let batch = &mut batch.journal;
        batch.trim(self.block * 4);
        self.numbers.clear();
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        while batch.size() < self.block {
            match self.next() {
                Ok(Some(place)) => self.put(place, batch),
                Ok(None) => {
                    self.journal = None;
                    return Ok(Fill::End);
                }
                Err(cause) => {
                    self.failure = Some(self.failed(&cause));
                    break;
                }
            }
        }
        Ok(Fill::More)
    }
}
