//! Merges the records of several files into the order of their journal.

use std::collections::{BTreeMap, VecDeque};

use journal_file::Place;

use super::{JournalProgress, OUTPUT_BYTES};
use crate::source::{Damaged, FileSlices, Merge, MergeStep, RunBound, Skipped, SourceError};
use kata_records::{Chunk, Row, Stats, Trace};

/// The largest buffer for records that is kept for the next job.
const MAX_KEPT_BYTES: usize = 2 << 20;

/// Merges the records that jobs have read from each file. Holds them until the merge reaches them.
pub(super) struct OrderedMerge {
    files: Vec<FileOutput>,
    merge: Merge,
    /// The file whose entries come next in journal order, and the bound up to which they do.
    run: Option<(usize, RunBound)>,
    /// The next step, postponed until the entry of its file is read.
    next_step: Option<MergeStep>,
    /// The file whose current entry is not in the merge, because the entry before it was a copy.
    skipped_in: Option<usize>,
    /// The file whose next entry has to be read before the merge can continue.
    blocked_on: Option<usize>,
    /// The output lists the end of each record (`rows`), not only the bytes of all.
    rows: bool,
    stats: Stats,
    /// Counters of entries that were skipped after they had been added to `stats`.
    overcounted: Stats,
    notes: Vec<u8>,
    damages: BTreeMap<(usize, &'static str), Damaged>,
    errors: Vec<SourceError>,
    /// Empty chunks for further jobs, each with the number of its file, and with the bytes that it took while it waited.
    pub(super) released: Vec<(usize, usize, Chunk)>,
    /// Files that exceed their output limit. The remaining entries of these files are skipped.
    pub(super) abandoned: Vec<usize>,
}

/// The records of one file that wait for the merge.
struct FileOutput {
    /// The records of each slice, in the order of the file, and the number of the first slice.
    slices: VecDeque<SliceOutput>,
    first_slice: usize,
    /// The place of the current entry in the journal.
    place: Place,
    /// The total size of the merged entries, and its limit.
    entry_bytes: u64,
    max_entry_bytes: u64,
    /// All entries of the file are merged or skipped.
    finished: bool,
}

/// The records of one slice that wait for the merge. `finished` is set at the end of the slice, `is_last` if the slice
/// is also the last one of the file.
#[derive(Default)]
struct SliceOutput {
    chunks: VecDeque<PendingChunk>,
    finished: bool,
    is_last: bool,
}

/// A chunk, and the part of it that is merged: numbers of traces, rows and bytes.
struct PendingChunk {
    chunk: Chunk,
    traces: usize,
    rows: usize,
    bytes: usize,
    /// The number of bytes that the chunk took when it came.
    buffered: usize,
}

/// The result of a job: the records of a part of a slice.
#[derive(Default)]
pub(super) struct JobOutput {
    pub(super) file: usize,
    /// The number of the slice in its file.
    pub(super) slice: usize,
    pub(super) chunk: Chunk,
    /// `finished` is set at the end of the slice, `is_last` if the slice is also the last one of the file.
    pub(super) finished: bool,
    pub(super) is_last: bool,
    pub(super) skipped: Skipped,
    pub(super) damages: Vec<Damaged>,
    pub(super) error: Option<SourceError>,
}

/// The reason why gathering stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GatherEnd {
    /// The output has enough records.
    Full,
    /// The next record is not read yet.
    Blocked,
    /// All records are gathered.
    Finished,
}

impl OrderedMerge {
    /// Starts a merge of these files. If `rows` is set, the output lists the end of each record.
    pub(super) fn new(files: &[FileSlices<'_>], rows: bool) -> OrderedMerge {
        let mut merge = Merge::default();
        let output = |(index, slices): (usize, &FileSlices<'_>)| {
            let place = slices.first();
            merge.offer(index, place);
            FileOutput {
                slices: VecDeque::new(),
                first_slice: 0,
                place,
                entry_bytes: 0,
                max_entry_bytes: slices.max_output(),
                finished: false,
            }
        };
        OrderedMerge {
            files: files.iter().enumerate().map(output).collect(),
            merge,
            run: None,
            next_step: None,
            skipped_in: None,
            blocked_on: None,
            rows,
            stats: Stats::default(),
            overcounted: Stats::default(),
            notes: Vec::new(),
            damages: BTreeMap::new(),
            errors: Vec::new(),
            released: Vec::new(),
            abandoned: Vec::new(),
        }
    }

    /// Adds the output of a job.
    pub(super) fn accept(&mut self, output: JobOutput) {
        let JobOutput { file: index, slice: number, mut chunk, finished, is_last, skipped, damages, error } = output;
        let Some(file) = self.files.get_mut(index) else { return };
        let Some(at) = number.checked_sub(file.first_slice).filter(|_| !file.finished) else {
            // The file was abandoned, so its remaining entries are skipped.
            self.release(index, PendingChunk::from(chunk));
            return;
        };
        self.stats.merge(&std::mem::take(&mut chunk.stats));
        self.stats.skipped_others(skipped.others);
        self.stats.skipped_outside(skipped.outside);
        self.notes.append(&mut chunk.notes);
        self.errors.extend(error);
        if file.slices.len() <= at {
            file.slices.resize_with(at + 1, SliceOutput::default);
        }
        if let Some(slice) = file.slices.get_mut(at) {
            slice.chunks.push_back(PendingChunk::from(chunk));
            (slice.finished, slice.is_last) = (finished, is_last);
        }
        self.add_damages(index, damages);
        if self.blocked_on == Some(index) {
            self.blocked_on = None;
            self.find_next_entry(index);
        }
    }

    /// Returns the file whose next entry has to be read before the merge can continue.
    pub(super) fn blocked_on(&self) -> Option<usize> {
        self.blocked_on
    }

    /// Appends records in journal order until `out` has about [`OUTPUT_BYTES`]. Adds the counters and notes of the jobs
    /// accepted since the last call.
    pub(super) fn gather(&mut self, out: &mut Chunk) -> GatherEnd {
        let end = loop {
            if out.out.bytes.len() >= OUTPUT_BYTES {
                break GatherEnd::Full;
            }
            if self.blocked_on.is_some() {
                break GatherEnd::Blocked;
            }
            let Some(step) = self.next_step.take().or_else(|| self.choose_step()) else {
                // The damage of abandoned files is not known before the next exchange.
                break if self.abandoned.is_empty() { GatherEnd::Finished } else { GatherEnd::Full };
            };
            let (MergeStep::Take(index, _) | MergeStep::Skip(index)) = step;
            let Some(file) = self.files.get(index) else { continue };
            if file.finished {
                // The file had a first entry when it was opened, and can no longer be read.
                continue;
            }
            if file.slices.front().is_none_or(|slice| slice.chunks.is_empty()) {
                self.next_step = Some(step);
                self.blocked_on = Some(index);
                break GatherEnd::Blocked;
            }
            match step {
                MergeStep::Take(_, limit) => {
                    self.run = Some((index, limit));
                    self.append_run(index, &limit, out);
                }
                MergeStep::Skip(_) => {
                    self.skip_copy(index);
                    self.skipped_in = Some(index);
                }
            }
            self.find_next_entry(index);
        };
        out.stats.merge(&std::mem::take(&mut self.stats));
        out.notes.append(&mut self.notes);
        end
    }

    /// Returns the events since the last call. `read` is the number of bytes that were read.
    pub(super) fn take_progress(&mut self, read: u64) -> JournalProgress {
        let files = &self.files;
        let mut damages = Vec::new();
        self.damages.retain(|(file, _), damaged| {
            let finished = files.get(*file).is_none_or(|file| file.finished);
            if finished {
                damages.push(damaged.clone());
            }
            !finished
        });
        let overcounted = std::mem::take(&mut self.overcounted);
        JournalProgress { read, overcounted, damages, errors: std::mem::take(&mut self.errors) }
    }

    /// Sums up damages, so that each kind of damage is reported once per file.
    pub(super) fn add_damages(&mut self, file: usize, damages: Vec<Damaged>) {
        for damaged in damages {
            let known = self.damages.entry((file, damaged.reason)).or_insert(Damaged { count: 0, ..damaged.clone() });
            known.count += damaged.count;
            known.offset = known.offset.min(damaged.offset);
        }
    }

    /// Returns the next step of the merge. Returns `None` when all files are finished.
    fn choose_step(&mut self) -> Option<MergeStep> {
        if let Some((index, limit)) = self.run.take() {
            let place = self.files.get(index)?.place;
            if limit.admits(&place) {
                return Some(MergeStep::Take(index, limit));
            }
            self.merge.offer(index, place);
        }
        if let Some(index) = self.skipped_in.take() {
            self.merge.offer(index, self.files.get(index)?.place);
        }
        self.merge.next_step()
    }

    /// Appends the record of the current entry, and of the following entries in its chunk up to the bound.
    fn append_run(&mut self, index: usize, limit: &RunBound, out: &mut Chunk) {
        let Some(file) = self.files.get_mut(index) else { return };
        let Some(pending) = file.slices.front_mut().and_then(|slice| slice.chunks.front_mut()) else { return };
        let (from, mut end) = (pending.bytes, pending.bytes);
        let to = out.out.bytes.len();
        let mut within_limit = true;
        let first = pending.traces;
        for trace in pending.chunk.traces.iter().flatten().skip(first) {
            if pending.traces > first && !limit.admits(&trace.place) {
                break;
            }
            pending.traces += 1;
            end = trace.end;
            if self.rows
                && trace.is_written()
                && let Some(row) = pending.chunk.out.rows.get(pending.rows)
            {
                pending.rows += 1;
                let part = pending.chunk.out.part_names().get(row.part as usize);
                let part = part.map_or(0, |name| out.out.part_number(name));
                out.out.rows.push(Row { end: end - from + to, part, ..*row });
            }
            file.entry_bytes += trace.length as u64;
            within_limit = file.entry_bytes <= file.max_entry_bytes;
            if !within_limit {
                break;
            }
        }
        let records = &mut pending.chunk.out.bytes;
        // A whole chunk is passed on without a copy.
        if out.out.bytes.is_empty() && end - from == records.len() {
            std::mem::swap(&mut out.out.bytes, records);
        } else {
            out.out.bytes.extend_from_slice(records.get(from..end).unwrap_or_default());
        }
        pending.chunk.findings.take(pending.traces, Some(&mut out.findings));
        out.out.large.extend(pending.chunk.out.take_large(end).map(|value| value.moved(from, to)));
        pending.bytes = end;
        if !within_limit {
            self.abandon(index);
        }
    }

    /// Skips the current entry, which is a copy of an entry that was merged.
    fn skip_copy(&mut self, index: usize) {
        let pending = self.files.get_mut(index).and_then(|file| file.slices.front_mut()?.chunks.front_mut());
        let Some(pending) = pending else { return };
        let Some(trace) = pending.chunk.traces.iter().flatten().nth(pending.traces) else { return };
        pending.traces += 1;
        pending.rows += usize::from(trace.is_written());
        let stats = trace.stats();
        pending.bytes = trace.end;
        drop(pending.chunk.out.take_large(pending.bytes));
        pending.chunk.findings.take(pending.traces, None);
        self.overcounted.merge(&stats);
        self.stats.skipped_copies(1);
    }

    /// Skips the remaining entries of a file, and subtracts their counters.
    fn abandon(&mut self, index: usize) {
        let Some(file) = self.files.get_mut(index) else { return };
        file.finished = true;
        self.abandoned.push(index);
        for pending in std::mem::take(&mut file.slices).into_iter().flat_map(|slice| slice.chunks) {
            for trace in pending.chunk.traces.iter().flatten().skip(pending.traces) {
                self.overcounted.merge(&trace.stats());
            }
            self.release(index, pending);
        }
    }

    /// Finds the next entry of a file and makes it the current one. If the entry is not read yet, blocks the merge on
    /// the file. If the file has no more entries, drops its run.
    fn find_next_entry(&mut self, index: usize) {
        while let Some(file) = self.files.get_mut(index).filter(|file| !file.finished) {
            let Some(slice) = file.slices.front_mut() else { break };
            if let Some(pending) = slice.chunks.front() {
                let trace = pending.chunk.traces.as_ref().and_then(|traces| traces.get(pending.traces));
                if let Some(trace) = trace {
                    file.place = trace.place;
                    return;
                }
                let pending = slice.chunks.pop_front();
                pending.into_iter().for_each(|pending| self.release(index, pending));
            } else if slice.finished {
                file.finished = slice.is_last;
                file.slices.pop_front();
                file.first_slice += 1;
            } else {
                break;
            }
        }
        if self.files.get(index).is_some_and(|file| file.finished) {
            self.run.take_if(|(file, _)| *file == index);
            self.skipped_in.take_if(|file| *file == index);
        } else {
            self.blocked_on = Some(index);
        }
    }

    /// Clears a chunk and makes its buffers available to the next job.
    fn release(&mut self, index: usize, PendingChunk { mut chunk, buffered, .. }: PendingChunk) {
        chunk.out.clear(MAX_KEPT_BYTES);
        chunk.stats = Stats::default();
        chunk.notes.clear();
        chunk.findings.clear();
        self.released.push((index, buffered, chunk));
    }
}

impl From<Chunk> for PendingChunk {
    fn from(chunk: Chunk) -> PendingChunk {
        PendingChunk { traces: 0, rows: 0, bytes: 0, buffered: buffered(&chunk), chunk }
    }
}

/// Returns the number of bytes that a chunk takes while it waits for the merge.
pub(super) fn buffered(chunk: &Chunk) -> usize {
    let traces = chunk.traces.as_ref().map_or(0, Vec::capacity) * size_of::<Trace>();
    chunk.findings.size() + chunk.out.bytes.capacity() + chunk.out.rows.capacity() * size_of::<Row>() + traces
}
