//! What is read next, and how much ahead of its turn.

use std::collections::VecDeque;

use super::ordered_merge::{JobOutput, OrderedMerge};
use crate::source::{Piece, Pieces, SourceError};
use kata_records::entry::Batch;
use kata_records::pipeline::{Chunk, Worker};

/// How many bytes of records may wait for their turn, about.
const MAX_WAITING_BYTES: usize = 24 << 20;
/// How many chunks there may be for each thread, beside one of each file that takes turns.
const CHUNKS_PER_THREAD: usize = 8;
/// Bounds of what a job makes before others have their turn.
const MIN_JOB_BYTES: usize = 128 << 10;
const MAX_JOB_BYTES: usize = 1 << 20;

/// The files that are read, and how far.
pub(super) struct Schedule<'r> {
    files: Vec<ScheduledFile<'r>>,
    /// The lane whose next entry has to be known before anything else can be put in order.
    blocked_on: Option<usize>,
    /// What was done and not handed over yet.
    outputs: Vec<JobOutput>,
    /// How many chunks wait for their turn or are being made, and how many there may be beside one of each file that
    /// takes turns.
    chunks: usize,
    max_chunks: usize,
    /// Chunks that can be filled again.
    free_chunks: Vec<Chunk>,
    /// Nothing more is to be done.
    pub(super) finished: bool,
}

/// One file.
struct ScheduledFile<'r> {
    slices: Pieces<'r>,
    /// The pieces that were begun and are not over, in the order of the file, with the number of the first of them.
    started: VecDeque<SliceState<'r>>,
    first_slice: usize,
    /// When the next piece was written; none when all were begun.
    next_time: Option<u64>,
    /// How many chunks of it there are.
    chunks: usize,
}

enum SliceState<'r> {
    /// There is more in it.
    Open(Piece<'r>),
    /// A job has it.
    Running,
    Finished,
}

impl SliceState<'_> {
    fn is_open(&self) -> bool {
        matches!(self, SliceState::Open(_))
    }
}

/// A piece on its way to a thread and back.
pub(super) struct Job<'r> {
    file: usize,
    slice: usize,
    source: Result<Piece<'r>, SourceError>,
    chunk: Chunk,
    /// How many bytes of records are enough.
    target_bytes: usize,
    finished: bool,
}

impl Job<'_> {
    /// Reads on in the piece and works off what it gives. `received` is the time of entries that have none.
    pub(super) fn run(&mut self, batch: &mut Batch, worker: &mut Worker<'_>, received: (u32, u32)) {
        let Ok(piece) = &mut self.source else { return };
        self.chunk.out.received = received;
        while !self.finished && self.chunk.out.bytes.len() < self.target_bytes {
            self.finished = !piece.fill(batch);
            worker.run(batch, &mut self.chunk);
        }
    }
}

impl<'r> Schedule<'r> {
    /// The files, for so many threads.
    pub(super) fn new(files: Vec<Pieces<'r>>, threads: usize) -> Schedule<'r> {
        let scheduled = |mut slices: Pieces<'r>| {
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

    /// What is to be done next: first what everything waits for, then what was written first. None as long as there is no
    /// room, or only what others are at.
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

    /// Takes back what was done.
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

    /// Hands over what was done, and takes back what was used.
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

    /// How far the files were read, in bytes, about.
    pub(super) fn bytes_read(&self) -> u64 {
        self.files.iter().map(|file| file.slices.done()).sum()
    }
}
