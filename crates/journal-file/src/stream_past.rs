//! The past of the streams of a file, which decides whether an entry continues another one: its [`Continuation`].
//!
//! journald cuts long lines, and marks only the piece that was cut, not its rest. Other programs that pass on the output
//! of others cut lines without any mark. So an entry is judged by the entries of its stream before it. They are found by
//! the index: the posting list of the stream's DATA, and the files before this one. The result does not depend on
//! the entries that this reader happened to read. As long as the previous entry of the stream is also the one that was
//! read last, its result is reused.
//!
//! # Limits
//!
//! A writer links an entry into the posting lists before it appends another one. So the entries before one that a live
//! file lists are found there as well. If the list is damaged, or a writer has died before it linked an entry, the last
//! [`SCANNED`] entries of the file are searched for the stream. If the array of all entries is damaged too, an entry has
//! no past. The same is true of a stream that pauses for longer than the few files before this one.

use std::sync::Arc;

use crate::batch::Continuation;
use crate::earlier_files::EarlierFile;
use crate::entry_array::EntryList;
use crate::entry_scan::MESSAGE;
use crate::field_cache::{ByKey, key};
use crate::file::JournalFile;
use crate::layout::ObjectKind;
use crate::line_breaks::LineBreaks;
use crate::objects::MAX_ITEMS;
use crate::offset::Units;
use crate::payload::Decoders;
use crate::selection::EntryFilter;
use crate::stream_fields::{LINE_BREAK, STREAM_ID};

/// The limits of a text that stays hidden, in bytes of messages and in entries.
const WITHHELD_BYTES: usize = 1 << 20;
const WITHHELD_ENTRIES: usize = 256;
/// The length of the longest message that the filter is asked about.
const LONGEST: usize = 1 << 20;
/// The number of entries that are searched if a posting list is damaged.
const SCANNED: usize = 256;
/// The largest number of streams whose pasts are remembered.
const STREAMS: usize = 4096;
/// The approximate number of bytes that the past of a stream takes at most: the state, and the items around an entry.
const STATE: usize = 2 << 10;

/// An entry of a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamEntry {
    pub(crate) at: Units,
    pub(crate) seqnum: u64,
    /// The DATA of its `_STREAM_ID`.
    pub(crate) stream: Units,
    /// The entry has a `_LINE_BREAK`.
    pub(crate) breaks: bool,
}

/// The entry of a stream, as far as it decides about the next one.
#[derive(Clone, Copy, Debug, Default)]
struct Observed {
    breaks: bool,
    proves: bool,
    opens: bool,
    /// The length of the message.
    length: usize,
}

/// A text that must stay hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hidden {
    /// The filter was not asked yet.
    Unasked,
    /// No text.
    Nothing,
    /// A text was left open, and these bytes and entries were withheld since.
    Open { bytes: usize, entries: usize },
}

/// The state of a stream between two of its entries.
#[derive(Clone, Copy, Debug)]
struct Past {
    /// The last entry has a `_LINE_BREAK`.
    breaks: bool,
    hidden: Hidden,
}

impl Past {
    /// Returns whether the state decides about an entry.
    fn decides(&self, proves: bool) -> bool {
        self.hidden != Hidden::Unasked || proves && !self.breaks
    }

    /// Moves past an entry and returns its relation to those before.
    fn step(&mut self, entry: &Observed) -> Continuation {
        let proven = entry.proves && !self.breaks;
        let continuation = match self.hidden {
            Hidden::Open { bytes, entries } if !proven => {
                self.hidden = open(bytes + entry.length, entries + 1);
                Continuation::Withheld
            }
            _ => {
                self.hidden = Hidden::Nothing;
                if self.breaks { Continuation::Rest } else { Continuation::Whole }
            }
        };
        if entry.opens {
            self.hidden = open(0, 0);
        }
        self.breaks = entry.breaks;
        continuation
    }
}

/// Returns the state of a hidden text within its limits.
fn open(bytes: usize, entries: usize) -> Hidden {
    let within = bytes < WITHHELD_BYTES && entries < WITHHELD_ENTRIES;
    if within { Hidden::Open { bytes, entries } } else { Hidden::Nothing }
}

/// A walk over the entries of a stream, from the last one back to the one that decides. The result is that of
/// [`Past::step`] over all of them.
struct WalkBack {
    past: Past,
    /// The walk asks only whether the last entry has a `_LINE_BREAK`.
    only_breaks: bool,
    /// The entry taken last proves itself, unless the one before has a `_LINE_BREAK`.
    pending: bool,
    bytes: usize,
    entries: usize,
    /// The sequence number of the entry taken last.
    seqnum: u64,
}

impl WalkBack {
    /// Begins a walk before an entry with this number.
    fn new(seqnum: u64, only_breaks: bool) -> WalkBack {
        let hidden = if only_breaks { Hidden::Unasked } else { Hidden::Nothing };
        let past = Past { breaks: false, hidden };
        WalkBack { past, only_breaks, pending: false, bytes: 0, entries: 0, seqnum }
    }

    /// Takes the entry before. Returns whether the walk has ended.
    fn take(&mut self, entry: &Observed) -> bool {
        if self.entries == 0 {
            self.past.breaks = entry.breaks;
        }
        if self.only_breaks || self.pending && !entry.breaks {
            return true;
        }
        if entry.opens {
            self.past.hidden = open(self.bytes, self.entries);
            return true;
        }
        self.pending = entry.proves;
        self.bytes += entry.length;
        self.entries += 1;
        open(self.bytes, self.entries) == Hidden::Nothing
    }
}

/// The items of a posting list around the entry that was found last.
#[derive(Debug, Default)]
struct ListBlock {
    items: Vec<Units>,
    /// The index of the entry found last.
    last: usize,
}

impl ListBlock {
    /// Returns the item before an entry, if both are here.
    #[inline]
    fn before(&mut self, at: Units) -> Option<Units> {
        let next = self.last + 1;
        if self.items.get(next) != Some(&at) {
            let index = self.items.binary_search(&at).ok().filter(|index| *index > 0)?;
            self.last = index - 1;
        }
        let before = self.items.get(self.last).copied();
        self.last += 1;
        before
    }
}

/// The knowledge of a stream.
#[derive(Debug)]
struct StreamState {
    /// The first entry in the file.
    first: Units,
    block: ListBlock,
    /// The entry that was judged last, and the state after it.
    last: Option<(Units, Past)>,
}

/// The streams of a file.
#[derive(Default)]
pub(crate) struct StreamPasts {
    states: ByKey<StreamState>,
    /// The lines cut by journald, if nobody writes the file.
    breaks: Option<LineBreaks>,
    /// The files before this one, the last one first.
    earlier: Vec<Arc<EarlierFile>>,
    reader: EntryReader,
}

impl StreamPasts {
    /// Sets the files before this one.
    pub(crate) fn follow(&mut self, earlier: Vec<Arc<EarlierFile>>) {
        self.earlier = earlier;
    }

    /// Looks up the lines cut by journald in a file that nobody writes.
    pub(crate) fn prepare(&mut self, file: &mut JournalFile) {
        self.breaks.get_or_insert_with(|| LineBreaks::of(file));
    }

    /// Returns the approximate number of bytes that the pasts take.
    pub(crate) fn held(&self) -> usize {
        self.states.len() * STATE + self.reader.held()
    }

    /// Frees the memory of the pasts. They are found again by the index.
    pub(crate) fn release(&mut self) {
        self.states = ByKey::default();
        self.reader = EntryReader::default();
    }

    /// Returns the pasts for another reader of the file.
    pub(crate) fn fresh(&self) -> StreamPasts {
        StreamPasts { breaks: self.breaks.clone(), earlier: self.earlier.clone(), ..StreamPasts::default() }
    }

    /// Returns the relation of an entry to those before it in its stream. `message` is the text of the entry, if that
    /// was read already.
    pub(crate) fn judge(
        &mut self,
        file: &mut JournalFile,
        is_live: bool,
        filter: &dyn EntryFilter,
        entry: &StreamEntry,
        message: Option<&[u8]>,
    ) -> Continuation {
        if !is_live {
            self.prepare(file);
        }
        let read = if message.is_none() { self.reader.read(file, entry.at, filter) } else { None };
        let proves = match message {
            Some(message) => message.len() < longest(file) && filter.proves_itself(message),
            None => read.is_some_and(|(_, read)| read.proves),
        };
        let breaks = self.breaks.as_ref().filter(|_| !is_live).unwrap_or(&LineBreaks::Unlisted);
        let key = key(0, entry.stream);
        if self.states.len() >= STREAMS && !self.states.contains_key(&key) {
            self.states.clear();
        }
        let state = self.states.entry(key).or_insert_with(|| {
            let first = file.objects.list_of(entry.stream).map_or(Units::NONE, |list| list.first);
            StreamState { first, block: ListBlock::default(), last: None }
        });
        // The DATA may be damaged, and name no entry.
        let is_first = state.first == entry.at || state.first == Units::NONE;
        if proves && breaks.is_empty() && (!is_first || self.earlier.is_empty()) {
            return Continuation::Whole;
        }
        // No entry of any stream since the last one of this stream is cut, so that the one before need not be found.
        let since = state.last.map(|(last, _)| last).filter(|last| *last < entry.at).unwrap_or(state.first);
        if proves && !is_first && since < entry.at && !breaks.may_lie_in(since, entry.at) {
            state.last = Some((entry.at, Past { breaks: entry.breaks, hidden: Hidden::Unasked }));
            return Continuation::Whole;
        }
        let mut walk = Walk { stream: entry.stream, is_live, breaks, filter, reader: &mut self.reader };
        let before = walk.before(file, entry.at, &mut state.block);
        let mut past = state.last.filter(|(last, _)| Some(*last) == before).map(|(_, past)| past);
        if past.is_none() && proves {
            past = Some(walk.past(file, entry, before, &self.earlier, true));
        }
        let mut past = match past {
            Some(past) if past.decides(proves) => past,
            _ => walk.past(file, entry, before, &self.earlier, false),
        };
        let continuation = if proves && !past.breaks {
            past = Past { breaks: entry.breaks, hidden: Hidden::Unasked };
            Continuation::Whole
        } else {
            let mut observed = match message {
                Some(message) => Observed::of(message, longest(file), filter),
                None => read.map(|(_, read)| read).unwrap_or_default(),
            };
            observed.breaks = entry.breaks;
            past.step(&observed)
        };
        state.last = Some((entry.at, past));
        continuation
    }
}

impl Observed {
    /// Asks the filter about a message, unless it has at least `longest` bytes: such a message may be cut.
    fn of(message: &[u8], longest: usize, filter: &dyn EntryFilter) -> Observed {
        if message.len() >= longest {
            return Observed::too_long(filter);
        }
        let (proves, opens) = (filter.proves_itself(message), filter.leaves_open(message));
        Observed { breaks: false, proves, opens, length: message.len() }
    }

    /// Returns the answers for a message that is too long to ask about.
    fn too_long(filter: &dyn EntryFilter) -> Observed {
        Observed { breaks: false, proves: false, opens: !filter.proves_itself(b""), length: LONGEST }
    }
}

/// A reader of the entries before an entry. Damage found here is not counted, because entries are read for themselves
/// as well.
struct EntryReader {
    /// Decoders of messages that the filter is asked about.
    decoders: Decoders,
    items: Vec<Units>,
    field: Vec<u8>,
}

impl Default for EntryReader {
    fn default() -> EntryReader {
        EntryReader { decoders: Decoders::new(LONGEST), items: Vec::new(), field: Vec::new() }
    }
}

impl EntryReader {
    fn held(&self) -> usize {
        self.decoders.held() + self.items.capacity() * size_of::<Units>() + self.field.capacity()
    }

    /// Reads an entry: its sequence number, and what its message says about the next entry. Returns `None` if the entry
    /// is unreadable.
    fn read(&mut self, file: &mut JournalFile, at: Units, filter: &dyn EntryFilter) -> Option<(u64, Observed)> {
        let seqnum = self.items(file, at)?;
        Some((seqnum, self.message(file, filter)))
    }

    /// Reads which fields an entry has. Returns its sequence number.
    fn items(&mut self, file: &mut JournalFile, at: Units) -> Option<u64> {
        self.items.clear();
        let head = file.objects.entry(at, &mut self.items).ok()?;
        self.items.truncate(MAX_ITEMS);
        Some(head.seqnum)
    }

    /// Asks the filter about the message of the entry that was read.
    fn message(&mut self, file: &mut JournalFile, filter: &dyn EntryFilter) -> Observed {
        let longest = longest(file);
        self.decoders.limit = longest;
        // The message is mostly the last field, because it is new.
        for item in self.items.iter().rev() {
            self.field.clear();
            let field = &mut self.field;
            match file.objects.data(&mut self.decoders, *item, field, |name| name == MESSAGE) {
                Ok(data) if data.wanted => {
                    let text = field.get(data.name_len + 1..).unwrap_or_default();
                    return Observed::of(text, longest, filter);
                }
                _ => {}
            }
        }
        Observed::default()
    }
}

/// Returns the length from which a message of a file is too long for the filter.
fn longest(file: &JournalFile) -> usize {
    file.decoders.limit.min(LONGEST + 1)
}

/// Returns whether a DATA is a `_LINE_BREAK`. Its values are too short to be compressed.
fn is_line_break(file: &mut JournalFile, at: Units) -> bool {
    let payload = file.objects.widths.data;
    let Ok(object) = file.objects.object(at, ObjectKind::Data) else { return false };
    let name = object.bytes.get(payload..).and_then(|bytes| bytes.strip_prefix(LINE_BREAK));
    object.flags == 0 && name.is_some_and(|rest| rest.starts_with(b"="))
}

/// The way back through the entries of a stream in one file.
struct Walk<'w> {
    /// The DATA of the `_STREAM_ID`.
    stream: Units,
    is_live: bool,
    breaks: &'w LineBreaks,
    filter: &'w dyn EntryFilter,
    reader: &'w mut EntryReader,
}

impl Walk<'_> {
    /// Returns the state of the stream before an entry, of which `before` is the previous one in the file.
    fn past(
        &mut self,
        file: &mut JournalFile,
        entry: &StreamEntry,
        before: Option<Units>,
        earlier: &[Arc<EarlierFile>],
        only_breaks: bool,
    ) -> Past {
        let mut back = WalkBack::new(entry.seqnum, only_breaks);
        if self.take_all(file, before, &mut back) || earlier.is_empty() {
            return back.past;
        }
        let mut payload = Vec::new();
        if file.objects.data(&mut file.decoders, entry.stream, &mut payload, |name| name == STREAM_ID).is_err() {
            return back.past;
        }
        for _ in earlier {
            let found = earlier.iter().filter_map(|file| last_before(file, &payload, back.seqnum));
            let Some((mut file, stream, last, _)) = found.max_by_key(|(.., seqnum)| *seqnum) else { break };
            let mut walk =
                Walk { stream, is_live: true, breaks: &LineBreaks::Unlisted, filter: self.filter, reader: self.reader };
            if walk.take_all(&mut file, Some(last), &mut back) {
                break;
            }
        }
        back.past
    }

    /// Takes the entries of a file from `next` on backwards. Returns whether the walk has ended.
    fn take_all(&mut self, file: &mut JournalFile, mut next: Option<Units>, back: &mut WalkBack) -> bool {
        let mut block = ListBlock::default();
        while let Some(at) = next {
            let observed = self.observe(file, at, back);
            if back.take(&observed) {
                return true;
            }
            next = self.before(file, at, &mut block);
        }
        false
    }

    /// Reads an entry as far as the walk needs it.
    fn observe(&mut self, file: &mut JournalFile, at: Units, back: &mut WalkBack) -> Observed {
        let listed = self.breaks.has(at);
        if back.only_breaks
            && let Some(breaks) = listed
        {
            return Observed { breaks, ..Observed::default() };
        }
        let Some(seqnum) = self.reader.items(file, at) else { return Observed::default() };
        back.seqnum = seqnum.min(back.seqnum);
        let mut observed = if back.only_breaks { Observed::default() } else { self.reader.message(file, self.filter) };
        observed.breaks = listed.unwrap_or_else(|| self.reader.items.iter().any(|item| is_line_break(file, *item)));
        observed
    }

    /// Returns the entry of the stream before an entry in the file.
    fn before(&mut self, file: &mut JournalFile, at: Units, block: &mut ListBlock) -> Option<Units> {
        if let Some(before) = block.before(at) {
            return Some(before);
        }
        block.last = 0;
        let list = file.objects.list_of(self.stream);
        match list.and_then(|list| file.objects.place_in(&list, at, &mut block.items)) {
            Ok(place) if place.is_listed || self.is_live => place.before,
            _ => {
                block.items.clear();
                self.scan(file, at)
            }
        }
    }

    /// Searches the entries of the file before an entry for one of the stream.
    fn scan(&mut self, file: &mut JournalFile, mut at: Units) -> Option<Units> {
        let header = file.header();
        let list = EntryList { first: Units::NONE, arrays: header.entry_array_offset, count: header.n_entries };
        let mut block = ListBlock::default();
        for _ in 0..SCANNED {
            at = match block.before(at) {
                Some(before) => before,
                None => file.objects.place_in(&list, at, &mut block.items).ok()?.before?,
            };
            let items = &mut self.reader.items;
            items.clear();
            if file.objects.entry(at, items).is_ok() && items.contains(&self.stream) {
                return Some(at);
            }
        }
        None
    }
}

/// Opens an earlier file and returns the DATA of a stream there, and its last entry before a sequence number with the
/// number of that entry.
fn last_before(file: &EarlierFile, payload: &[u8], seqnum: u64) -> Option<(JournalFile, Units, Units, u64)> {
    let mut file = file.open()?;
    let stream = file.look_up(STREAM_ID, payload)?;
    let list = file.objects.list_of(stream).ok()?;
    let mut block = Vec::new();
    let last = file.objects.place_in(&list, Units(u32::MAX), &mut block).ok()?.before?;
    let number = file.objects.head(last).ok()?.seqnum;
    if number < seqnum {
        return Some((file, stream, last, number));
    }
    // Both files were written at once.
    let mut entries = Vec::new();
    file.objects.postings(stream, &mut entries).ok()?;
    let objects = &mut file.objects;
    let count = entries.partition_point(|at| objects.head(*at).is_ok_and(|head| head.seqnum < seqnum));
    let last = *entries.get(count.checked_sub(1)?)?;
    let number = objects.head(last).ok()?.seqnum;
    Some((file, stream, last, number))
}
