//! Decides which slice is read next, and bounds the amount that is read ahead.

use std::collections::VecDeque;

use super::ordered_merge::{JobOutput, OrderedMerge, buffered};
use crate::source::{FileSlice, FileSlices, SourceError};
use kata_records::{Batch, Chunk, UnixTime, Worker};

/// Limit of bytes of chunks that are filled or wait for the merge. Beyond the limit, only the file that the merge needs
/// first is read, in the smallest jobs.
const MAX_WAITING_BYTES: usize = 24 << 20;
/// The limit of chunks per thread. Each file that has chunks raises the limit by one.
const CHUNKS_PER_THREAD: usize = 8;
/// Bounds for the output of a job. A job takes up to a [`JOB_SHARE`] of the bytes that are left, so that the first files
/// leave some for the others.
const MIN_JOB_BYTES: usize = 16 << 10;
const MAX_JOB_BYTES: usize = 1 << 20;
const JOB_SHARE: usize = 16;
/// The number of slices per thread that are kept for their buffers and their knowledge of fields.
const SPARES_PER_THREAD: usize = 8;

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
    /// The number of bytes of chunks that wait for the merge.
    waiting: usize,
    /// Chunks that can be filled again.
    free_chunks: Vec<Chunk>,
    /// Slices that were read to their ends, with the numbers of their files, and the limit of their number.
    spares: VecDeque<(usize, FileSlice<'r>)>,
    max_spares: usize,
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
            self.finished = !piece.fill(batch, self.target_bytes);
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
            waiting: 0,
            free_chunks: Vec::new(),
            spares: VecDeque::new(),
            max_spares: SPARES_PER_THREAD * threads,
        }
    }

    /// Returns the next job: the slice that blocks the merge, else the oldest slice. Returns `None` at the limits of
    /// chunks and bytes, or if other threads have all slices.
    pub(super) fn next_job(&mut self) -> Option<Job<'r>> {
        let limit = self.max_chunks + self.files.iter().filter(|file| file.chunks > 0).count();
        let can_run =
            |file: &ScheduledFile<'_>| file.started.front().map_or(file.next_time.is_some(), SliceState::is_open);
        let blocking = self.blocked_on.filter(|file| self.files.get(*file).is_some_and(can_run));
        let next = blocking.or_else(|| {
            let is_open = |file: &ScheduledFile<'_>| file.started.iter().any(SliceState::is_open);
            let time = |file: &ScheduledFile<'_>| if is_open(file) { Some(0) } else { file.next_time };
            let is_within = self.chunks < limit && self.waiting < MAX_WAITING_BYTES;
            let files = self.files.iter().enumerate().filter(|_| is_within);
            Some(files.filter_map(|(index, file)| Some((time(file)?, index))).min()?.1)
        })?;
        let share = MAX_WAITING_BYTES.saturating_sub(self.waiting) / JOB_SHARE;
        let target_bytes = share.clamp(MIN_JOB_BYTES, MAX_JOB_BYTES);
        let file = self.files.get_mut(next)?;
        let open = file.started.iter_mut().enumerate().find(|(_, state)| state.is_open());
        let (at, piece) = match open.map(|(at, state)| (at, std::mem::replace(state, SliceState::Running))) {
            Some((at, SliceState::Open(piece))) => (at, Ok(piece)),
            _ => {
                let spare = self.spares.iter().rposition(|(of, _)| *of == next);
                let known = spare.and_then(|at| self.spares.remove(at)).map(|(_, slice)| slice);
                let taken = file.slices.take(target_bytes, known)?;
                file.next_time = file.slices.time().filter(|_| taken.is_ok());
                file.started.push_back(SliceState::Running);
                (file.started.len() - 1, taken)
            }
        };
        let mut chunk = self.free_chunks.pop().unwrap_or_default();
        chunk.traces.get_or_insert_default().clear();
        self.chunks += 1;
        file.chunks += 1;
        let finished = piece.is_err();
        Some(Job { file: next, slice: file.first_slice + at, source: piece, chunk, target_bytes, finished })
    }

    /// Records the end of a job and queues its output for the merge.
    pub(super) fn finish_job(&mut self, job: Job<'r>) {
        let Job { file: index, slice, source, chunk, finished, .. } = job;
        let Some(file) = self.files.get_mut(index) else { return };
        self.waiting += buffered(&chunk);
        let mut output = JobOutput { file: index, slice, chunk, finished, ..JobOutput::default() };
        let state = match source {
            Ok(mut piece) => {
                (output.skipped, output.damages) = (piece.skipped(), piece.damages());
                if self.waiting > MAX_WAITING_BYTES / 2 {
                    piece.release();
                }
                if !finished {
                    SliceState::Open(piece)
                } else {
                    if file.next_time.is_some() {
                        self.spares.push_back((index, piece));
                    }
                    SliceState::Finished
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
        if self.spares.len() > self.max_spares {
            self.spares.pop_front();
        }
    }

    /// Passes the output of jobs to the merge, and reuses the chunks that the merge has released.
    pub(super) fn exchange(&mut self, merge: &mut OrderedMerge) {
        for (index, bytes, chunk) in merge.released.drain(..) {
            self.chunks -= 1;
            self.waiting -= bytes;
            if let Some(file) = self.files.get_mut(index) {
                file.chunks -= 1;
            }
            if self.free_chunks.len() < self.max_chunks {
                self.free_chunks.push(chunk);
            }
        }
        for index in std::mem::take(&mut merge.abandoned) {
            if let Some(file) = self.files.get_mut(index) {
                file.next_time = None;
                self.spares.retain(|(of, _)| *of != index);
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
