//! Decides which slice is read next, and bounds the amount that is read ahead.

use std::collections::VecDeque;

use super::ordered_merge::{JobOutput, OrderedMerge};
use crate::source::{FileSlice, FileSlices, SourceError};
use kata_records::{Batch, Chunk, UnixTime, Worker};

/// Approximate limit of bytes of records that wait for the merge.
const MAX_WAITING_BYTES: usize = 24 << 20;
/// The limit of chunks per thread. Each file that has chunks raises the limit by one.
const CHUNKS_PER_THREAD: usize = 8;
/// Bounds for the output of a job. Small jobs keep one file from delaying the others.
const MIN_JOB_BYTES: usize = 128 << 10;
const MAX_JOB_BYTES: usize = 1 << 20;

/// The files, and the state of their slices.
pub(super) struct Schedule<'r> {
    files: Vec<ScheduledFile<'r>>,
    /// The file whose next entry the merge needs first.
    blocked_on: Option<usize>,
    /// The output of finished jobs, until [`Schedule::exchange`] passes the output to the merge.
    outputs: Vec<JobOutput>,
    /// The number of chunks that are being filled or wait for the merge, and its limit. Each file that has chunks
    /// raises the limit by one.
    chunks: usize,
    max_chunks: usize,
    /// Chunks that can be filled again.
    free_chunks: Vec<Chunk>,
    /// All records are merged, or the delivery failed. The threads stop.
    pub(super) finished: bool,
}

/// A file and its slices.
struct ScheduledFile<'r> {
    slices: FileSlices<'r>,
    /// The slices from the first unfinished one to the last started one, and the number of the first.
    started: VecDeque<SliceState<'r>>,
    first_slice: usize,
    /// The time of the next slice. `None` when all slices were started.
    next_time: Option<u64>,
    /// The number of chunks of the file.
    chunks: usize,
}

enum SliceState<'r> {
    /// The slice has more entries.
    Open(FileSlice<'r>),
    /// A job reads the slice.
    Running,
    Finished,
}

impl SliceState<'_> {
    fn is_open(&self) -> bool {
        matches!(self, SliceState::Open(_))
    }
}

/// A part of a slice that one thread reads, and the chunk for its records.
pub(super) struct Job<'r> {
    file: usize,
    slice: usize,
    source: Result<FileSlice<'r>, SourceError>,
    chunk: Chunk,
    /// The job ends with this number of bytes of records.
    target_bytes: usize,
    finished: bool,
}

impl Job<'_> {
    /// Reads entries of the slice and encodes them as records. Entries without a time get the time `received`.
    pub(super) fn run(&mut self, batch: &mut Batch, worker: &mut Worker<'_>, received: UnixTime) {
        let Ok(piece) = &mut self.source else { return };
        self.chunk.out.received = received;
        while !self.finished && self.chunk.out.bytes.len() < self.target_bytes {
            self.finished = !piece.fill(batch);
            worker.run(batch, &mut self.chunk);
        }
    }
}

impl<'r> Schedule<'r> {
    /// Makes a schedule of these files for a number of threads.
    pub(super) fn new(files: Vec<FileSlices<'r>>, threads: usize) -> Schedule<'r> {
        let scheduled = |mut slices: FileSlices<'r>| {
            let next_time = slices.time();
            ScheduledFile { slices, started: VecDeque::new(), first_slice: 0, next_time, chunks: 0 }
        };
        Schedule {
            finished: files.is_empty(),
            files: files.into_iter().map(scheduled).collect(),
            blocked_on: None,
            outputs: Vec::new(),
            chunks: 0,
            max_chunks: CHUNKS_PER_THREAD * threads,
            free_chunks: Vec::new(),
        }
    }

    /// Returns the next job: the slice that blocks the merge, else the oldest slice. Returns `None` at the limit of
    /// chunks, or if other threads have all slices.
    pub(super) fn next_job(&mut self) -> Option<Job<'r>> {
        let limit = self.max_chunks + self.files.iter().filter(|file| file.chunks > 0).count();
        let can_run =
            |file: &ScheduledFile<'_>| file.started.front().map_or(file.next_time.is_some(), SliceState::is_open);
        let blocking = self.blocked_on.filter(|file| self.files.get(*file).is_some_and(can_run));
        let next = blocking.or_else(|| {
            let is_open = |file: &ScheduledFile<'_>| file.started.iter().any(SliceState::is_open);
            let time = |file: &ScheduledFile<'_>| if is_open(file) { Some(0) } else { file.next_time };
            let files = self.files.iter().enumerate().filter(|_| self.chunks < limit);
            Some(files.filter_map(|(index, file)| Some((time(file)?, index))).min()?.1)
        })?;
        let file = self.files.get_mut(next)?;
        let open = file.started.iter_mut().enumerate().find(|(_, state)| state.is_open());
        let (at, piece) = match open.map(|(at, state)| (at, std::mem::replace(state, SliceState::Running))) {
            Some((at, SliceState::Open(piece))) => (at, Ok(piece)),
            _ => {
                let taken = file.slices.take()?;
                file.next_time = file.slices.time().filter(|_| taken.is_ok());
                file.started.push_back(SliceState::Running);
                (file.started.len() - 1, taken)
            }
        };
        let mut chunk = self.free_chunks.pop().unwrap_or_default();
        chunk.traces.get_or_insert_default().clear();
        self.chunks += 1;
        file.chunks += 1;
        let (target_bytes, finished) =
            ((MAX_WAITING_BYTES / limit).clamp(MIN_JOB_BYTES, MAX_JOB_BYTES), piece.is_err());
        Some(Job { file: next, slice: file.first_slice + at, source: piece, chunk, target_bytes, finished })
    }

    /// Records the end of a job and queues its output for the merge.
    pub(super) fn finish_job(&mut self, job: Job<'r>) {
        let Job { file: index, slice, source, chunk, finished, .. } = job;
        let Some(file) = self.files.get_mut(index) else { return };
        let mut output = JobOutput { file: index, slice, chunk, finished, ..JobOutput::default() };
        let state = match source {
            Ok(mut piece) => {
                (output.skipped, output.damages) = (piece.skipped(), piece.damages());
                if finished {
                    file.slices.put_back(piece);
                    SliceState::Finished
                } else {
                    SliceState::Open(piece)
                }
            }
            Err(error) => {
                output.error = Some(error);
                SliceState::Finished
            }
        };
        if let Some(place) = slice.checked_sub(file.first_slice).and_then(|at| file.started.get_mut(at)) {
            *place = state;
        }
        output.is_last = finished && file.next_time.is_none() && slice + 1 == file.first_slice + file.started.len();
        while let Some(SliceState::Finished) = file.started.front() {
            file.started.pop_front();
            file.first_slice += 1;
        }
        self.outputs.push(output);
    }

    /// Passes the output of jobs to the merge, and reuses the chunks that the merge has released.
    pub(super) fn exchange(&mut self, merge: &mut OrderedMerge) {
        for (index, chunk) in merge.released.drain(..) {
            self.chunks -= 1;
            if let Some(file) = self.files.get_mut(index) {
                file.chunks -= 1;
            }
            self.free_chunks.push(chunk);
        }
        for index in std::mem::take(&mut merge.abandoned) {
            if let Some(file) = self.files.get_mut(index) {
                file.next_time = None;
                file.first_slice += file.started.len();
                file.started.clear();
                merge.add_damages(index, file.slices.leave());
            }
        }
        for output in self.outputs.drain(..) {
            merge.accept(output);
        }
        self.blocked_on = merge.blocked_on();
    }

    /// Returns the approximate number of bytes that were read.
    pub(super) fn bytes_read(&self) -> u64 {
        self.files.iter().map(|file| file.slices.done()).sum()
    }
}
