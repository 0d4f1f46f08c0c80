//! Reads journals through libsystemd (man page sd-journal(3)): the reference for our own reader, and its replacement if
//! it fails.
//!
//! The settings choose files and entries as for our own reader, and libsystemd merges the files. Its functions to seek
//! by time trust the clock, so each entry is compared with the range instead.
//!
//! This reader is slower: each entry costs an allocation for its cursor, which alone has the sequence number.
//! libsystemd drops a damaged file silently. It reports neither the file and the offset of an entry, nor the number of
//! entries that a match excludes. It maps files: if one is cut while it is read, the process ends with SIGBUS.

mod streams;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::hash::{DefaultHasher, Hasher as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use journal_file::{Boot, Cursor, EntryBatch, EntryPrefix, FieldId, FileRange, OpenFile as _, Place, Range};
use kata_records::Batch;
use kata_records::origin::Route;
use systemd::journal::{Journal, JournalRef, OpenFilesOptions};

use super::compressed::CompressedFiles;
use super::{EntryFilter, JournalSettings};
use crate::source::{Damaged, Event, Fill, Filled, Input, Skipped, Source, SourceError};
use streams::{StreamEntry, Streams};

/// The name of the field that identifies the writer of an entry.
const IDENTIFIER: &[u8] = b"SYSLOG_IDENTIFIER";

/// The size of the largest readable field, in bytes with its name.
const MAX_FIELD: usize = 64 << 20;
/// The number of values of the largest size that an entry may have together.
const VALUES_OF_ENTRY: usize = 4;
/// The length of the longest name of a field.
const MAX_NAME: usize = 64;

/// The limit on the bytes of all entries: this many times the length of the files, and at least [`MIN_OUTPUT`].
const OUTPUT_FACTOR: u64 = 64;
const MIN_OUTPUT: u64 = 64 << 20;

/// The most identifiers to match. libsystemd tries all matches for each entry, so more are compared here.
const MATCHES: usize = 256;

/// The most values to list. If damage turns a list of values into a circle, libsystemd follows it.
const VALUES: usize = 1 << 16;

/// The least number of bytes of an entry in a file.
const ENTRY: u64 = 64;

/// A source that reads a journal through libsystemd.
pub(in crate::source) struct LibsystemdSource<'r> {
    filter: &'r dyn EntryFilter,
    range: Range,
    /// The journal, or `None` if no entries are left.
    journal: Option<Journal>,
    /// The current entry was not returned yet.
    is_pending: bool,
    /// The identifier of each entry is compared, because there are no matches.
    scans: bool,
    block: usize,
    /// The number of bytes to which a value is cut. At [`MAX_FIELD`] or more, a larger field is left out instead.
    max_value: usize,
    /// The number of bytes that the files may still yield. An entry can name a large field any number of times.
    output_left: u64,
    /// The numbers of the batch's fields, by the hash of their bytes.
    numbers: HashMap<u64, u32>,
    /// The fields of the current entry.
    items: Vec<FieldId>,
    /// The streams before the current entry, and its part in one.
    streams: Streams,
    of_stream: StreamEntry,
    /// The directory of all files, or the only file. libsystemd does not report the file of an entry.
    input: Input,
    skipped: u64,
    damages: Vec<Damaged>,
    /// The error of the next fill.
    failure: Option<SourceError>,
}

/// Opens the files that the inputs name. Returns the errors of those that cannot be read.
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
        let cause = "it is compressed, which libsystemd does not read; leave out --journal-backend".to_owned();
        errors.push(SourceError::JournalRefused { input: Input::File(path), cause });
    }
    let input = Input::File(common(&paths));
    let length: u64 = paths.iter().filter_map(|path| path.metadata().ok()).map(|metadata| metadata.len()).sum();
    let max_value = settings.max_value.unwrap_or(MAX_FIELD);
    let journal = opened(paths, max_value, &mut errors);
    let mut source = LibsystemdSource {
        filter,
        range: settings.read_range(),
        journal,
        is_pending: false,
        scans: false,
        block,
        max_value,
        output_left: MIN_OUTPUT.max(length.saturating_mul(OUTPUT_FACTOR)),
        numbers: HashMap::new(),
        items: Vec::new(),
        streams: Streams::default(),
        of_stream: StreamEntry::default(),
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

/// Returns the journal of all files that libsystemd can open. A file that it refuses would prevent it from opening the
/// others.
fn opened(mut paths: Vec<PathBuf>, max_value: usize, errors: &mut Vec<SourceError>) -> Option<Journal> {
    if paths.is_empty() {
        return None;
    }
    let mut all = together(&paths, max_value);
    if all.is_err() {
        paths.retain(|path| {
            let input = || Input::File(path.clone());
            let refused = together(std::slice::from_ref(path), max_value).err();
            errors.extend(
                refused.iter().map(|error| SourceError::JournalRefused { input: input(), cause: error.to_string() }),
            );
            refused.is_none()
        });
        all = together(&paths, max_value);
    }
    all.ok().filter(|_| !paths.is_empty())
}

fn together(paths: &[PathBuf], max_value: usize) -> systemd::Result<Journal> {
    let absolute = paths.iter().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
    let names = absolute.map(|path| path.as_os_str().as_bytes().to_vec());
    let mut journal = OpenFilesOptions::default().open_files(names)?;
    // The default threshold cuts fields at 64 KiB. A value cut at this size is longer than any that is read whole.
    journal.set_data_threshold(MAX_NAME + 1 + max_value + 1)?;
    Ok(journal)
}

/// Returns the longest common ancestor of all paths.
fn common(paths: &[PathBuf]) -> PathBuf {
    let mut paths = paths.iter().map(PathBuf::as_path);
    let first = paths.next().unwrap_or(Path::new("/"));
    paths
        .fold(first, |common, path| common.ancestors().find(|ancestor| path.starts_with(ancestor)).unwrap_or(common))
        .to_owned()
}

/// Returns all values of a field, whatever the matches.
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

/// Returns the boots in the journal, ordered by the times of their first entries.
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

/// Restricts a journal to the wanted identifiers, and returns their number. Returns `None` if that is not possible, and
/// leaves the journal unrestricted.
fn restrict(journal: &mut JournalRef, filter: &dyn EntryFilter) -> systemd::Result<Option<usize>> {
    let Ok(mut identifiers) = values(journal, "SYSLOG_IDENTIFIER") else { return Ok(None) };
    // Lost tables are more common than entries without identifiers.
    let any = !identifiers.is_empty();
    identifiers.retain(|value| filter.entries_of(value));
    if !any || identifiers.len() > MATCHES {
        return Ok(None);
    }
    let without = filter.entries_without_identifier();
    let count = identifiers.len() + without.len();
    for identifier in identifiers {
        if journal.match_add("SYSLOG_IDENTIFIER", identifier).is_err() {
            journal.match_flush()?;
            return Ok(None);
        }
    }
    for (name, value) in without {
        journal.match_or()?;
        journal.match_add(name, *value)?;
    }
    Ok(Some(count))
}

/// Returns whether the identifier of the current entry is wanted, or that it has none and another field that is wanted. Of
/// several identifiers, one suffices.
fn is_wanted(journal: &mut JournalRef, filter: &dyn EntryFilter) -> bool {
    let (mut has_identifier, mut has_other) = (false, false);
    journal.restart_data();
    while let Ok(Some(field)) = journal.enumerate_data() {
        let Some(value) = field.value() else { continue };
        if field.name() == IDENTIFIER {
            if filter.entries_of(value) {
                return true;
            }
            has_identifier = true;
        }
        let is_field = |(name, wanted): &(&str, &str)| name.as_bytes() == field.name() && wanted.as_bytes() == value;
        has_other |= filter.entries_without_identifier().iter().any(is_field);
    }
    !has_identifier && has_other
}

/// Returns the length of the name of `NAME=value`, or `None` if no field can have the name (systemd:
/// `journal_field_valid`).
fn name_len(bytes: &[u8]) -> Option<usize> {
    let head = bytes.get(..=MAX_NAME).unwrap_or(bytes);
    let len = head.iter().position(|byte| *byte == b'=').filter(|len| *len > 0)?;
    let name = head.get(..len)?;
    let allowed = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
    (name.iter().all(allowed) && !name.first()?.is_ascii_digit()).then_some(len)
}

impl LibsystemdSource<'_> {
    /// Seeks to the first entry to read, or to the position before it.
    fn begin(&mut self, lines: Option<usize>) -> systemd::Result<()> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        let boot = match self.range.boot {
            Some(Boot::Before(count)) => boots(journal)?.into_iter().rev().nth(count),
            Some(Boot::First(count)) => boots(journal)?.into_iter().nth(count),
            _ => None,
        };
        // Without a boot of this number, no entry is in the range.
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
            if journal.previous()? == 0 || self.output_left == 0 {
                return journal.seek_head();
            }
            self.output_left = self.output_left.saturating_sub(ENTRY);
            lines -= usize::from(self.place().is_some() && self.is_shown());
        }
        self.is_pending = true;
        Ok(())
    }

    /// Moves to the next wanted entry.
    fn next(&mut self) -> systemd::Result<Option<Place>> {
        loop {
            let Some(journal) = &mut self.journal else { return Ok(None) };
            if !std::mem::take(&mut self.is_pending) {
                // libsystemd may have dropped the broken file by then.
                let moved = journal.next().or_else(|_| journal.process().and_then(|_| journal.next()))?;
                if moved == 0 || self.output_left == 0 {
                    return Ok(None);
                }
                self.output_left = self.output_left.saturating_sub(ENTRY);
            }
            match self.place() {
                Some(place) => return Ok(Some(place)),
                None => self.skipped += 1,
            }
        }
    }

    /// Returns the place of the current entry, if it is readable and wanted.
    fn place(&mut self) -> Option<Place> {
        let journal = self.journal.as_mut()?;
        let cursor = journal.cursor().ok().and_then(|text| text.parse::<Cursor>().ok()?.place());
        let Some(place) = cursor else {
            self.note("bad-entry");
            return None;
        };
        (self.range.has(&place) && (!self.scans || is_wanted(journal, self.filter))).then_some(place)
    }

    /// Returns whether the current entry is likely to be shown, by its first identifier and its message.
    fn is_shown(&mut self) -> bool {
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

    /// Appends the current entry.
    fn put(&mut self, place: Place, batch: &mut EntryBatch) {
        let Some(mut journal) = self.journal.take() else { return };
        self.items.clear();
        self.of_stream.clear();
        let mut length = 0;
        let most = self.max_value.saturating_mul(VALUES_OF_ENTRY).min(MAX_FIELD);
        let mut is_truncated = false;
        journal.restart_data();
        loop {
            let field = match journal.enumerate_data() {
                Ok(Some(field)) => field,
                Ok(None) => break,
                Err(_) => {
                    // The next call would return the same field.
                    self.note("undecodable-field");
                    break;
                }
            };
            if length > most {
                is_truncated = true;
                break;
            }
            let bytes = field.data();
            let Some(name) = name_len(bytes) else {
                self.note("bad-name");
                continue;
            };
            let whole = bytes.get(..name + 1 + self.max_value);
            let is_cut = whole.is_some_and(|whole| whole.len() < bytes.len());
            if is_cut && self.max_value >= MAX_FIELD {
                self.note("oversized-field");
                continue;
            }
            let bytes = whole.unwrap_or(bytes);
            let (key, value) = (bytes.get(..name).unwrap_or_default(), bytes.get(name + 1..).unwrap_or_default());
            is_truncated |= is_cut;
            self.of_stream.note(key, value, is_cut);
            if self.filter.field(key) {
                let item = self.item(bytes, name, batch);
                self.items.push(item);
                length += bytes.len();
            }
        }
        batch.push(place, EntryPrefix::default(), &self.items);
        if is_truncated {
            batch.mark_truncated();
        }
        batch.set_continuation(self.streams.judge(&self.of_stream, self.filter));
        self.output_left = self.output_left.saturating_sub(length as u64);
        self.journal = Some(journal);
    }

    /// Returns the id of a field in the batch, and adds the field if it is new.
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

    /// Ends the reading with an error.
    fn failed(&mut self, cause: &systemd::Error) -> SourceError {
        self.journal = None;
        let input = self.input.clone();
        SourceError::JournalAccess {
            message: format!(
                "failed to read {} through libsystemd: {cause}; leave out --journal-backend",
                input.quoted()
            ),
            kind: cause.kind(),
            input,
        }
    }
}

impl Source for LibsystemdSource<'_> {
    fn fill(&mut self, batch: &mut Batch) -> Filled {
        let filled = self.fill_batch(batch);
        let skipped = Skipped { others: std::mem::take(&mut self.skipped), ..Skipped::default() };
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
        batch.route = Route::Journal;
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
