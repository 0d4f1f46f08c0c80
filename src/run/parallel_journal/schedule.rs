//! What is read next, and how much ahead of its turn.

use std::collections::VecDeque;

use super::order::{Done, Order};
use crate::source::{Piece, Pieces, SourceError};
use kata_records::entry::Batch;
use kata_records::pipeline::{Chunk, Worker};

/// How many bytes of records may wait for their turn, about.
const AHEAD: usize = 24 << 20;
/// How many chunks there may be for each thread, beside one of each file that takes turns.
const CHUNKS: usize = 8;
/// Bounds of what a job makes before others have their turn.
const LEAST: usize = 128 << 10;
const MOST: usize = 1 << 20;

/// The files that are read, and how far.
pub(super) struct Schedule<'r> {
    lanes: Vec<Lane<'r>>,
    /// The lane whose next entry has to be known before anything else can be put in order.
    waiting: Option<usize>,
    /// What was done and not handed over yet.
    done: Vec<Done>,
    /// How many chunks wait for their turn or are being made, and how many there may be beside one of each file that
    /// takes turns.
    chunks: usize,
    ahead: usize,
    /// Chunks that can be filled again.
    spare: Vec<Chunk>,
    /// Nothing more is to be done.
    pub(super) over: bool,
}

/// One file.
struct Lane<'r> {
    pieces: Pieces<'r>,
    /// The pieces that were begun and are not over, in the order of the file, with the number of the first of them.
    begun: VecDeque<State<'r>>,
    number: usize,
    /// When the next piece was written; none when all were begun.
    time: Option<u64>,
    /// How many chunks of it there are.
    chunks: usize,
}

enum State<'r> {
    /// There is more in it.
    Open(Piece<'r>),
    /// A job has it.
    Out,
    Over,
}

impl State<'_> {
    fn is_open(&self) -> bool {
        matches!(self, State::Open(_))
    }
}

/// A piece on its way to a thread and back.
pub(super) struct Job<'r> {
    lane: usize,
    number: usize,
    piece: Result<Piece<'r>, SourceError>,
    chunk: Chunk,
    /// How many bytes of records are enough.
    enough: usize,
    over: bool,
}

impl Job<'_> {
    /// Reads on in the piece and works off what it gives. `received` is the time of entries that have none.
    pub(super) fn run(&mut self, batch: &mut Batch, worker: &mut Worker<'_>, received: (u32, u32)) {
        let Ok(piece) = &mut self.piece else { return };
        self.chunk.out.received = received;
        while !self.over && self.chunk.out.bytes.len() < self.enough {
            self.over = !piece.fill(batch);
            worker.run(batch, &mut self.chunk);
        }
    }
}

impl<'r> Schedule<'r> {
    /// The files, for so many threads.
    pub(super) fn new(files: Vec<Pieces<'r>>, threads: usize) -> Schedule<'r> {
        let lane = |mut pieces: Pieces<'r>| {
            let time = pieces.time();
            Lane { pieces, begun: VecDeque::new(), number: 0, time, chunks: 0 }
        };
        Schedule {
            over: files.is_empty(),
            lanes: files.into_iter().map(lane).collect(),
            waiting: None,
            done: Vec::new(),
            chunks: 0,
            ahead: CHUNKS * threads,
            spare: Vec::new(),
        }
    }

    /// What is to be done next: first what everything waits for, then what was written first. None as long as there is no
    /// room, or only what others are at.
    pub(super) fn job(&mut self) -> Option<Job<'r>> {
        let room = self.ahead + self.lanes.iter().filter(|lane| lane.chunks > 0).count();
        let can = |lane: &Lane<'_>| lane.begun.front().map_or(lane.time.is_some(), State::is_open);
        let waiting = self.waiting.filter(|lane| self.lanes.get(*lane).is_some_and(can));
        let next = waiting.or_else(|| {
            let is_open = |lane: &Lane<'_>| lane.begun.iter().any(State::is_open);
            let when = |lane: &Lane<'_>| if is_open(lane) { Some(0) } else { lane.time };
            let lanes = self.lanes.iter().enumerate().filter(|_| self.chunks < room);
            Some(lanes.filter_map(|(index, lane)| Some((when(lane)?, index))).min()?.1)
        })?;
        let lane = self.lanes.get_mut(next)?;
        let open = lane.begun.iter_mut().enumerate().find(|(_, state)| state.is_open());
        let (at, piece) = match open.map(|(at, state)| (at, std::mem::replace(state, State::Out))) {
            Some((at, State::Open(piece))) => (at, Ok(piece)),
            _ => {
                let taken = lane.pieces.take()?;
                lane.time = lane.pieces.time().filter(|_| taken.is_ok());
                lane.begun.push_back(State::Out);
                (lane.begun.len() - 1, taken)
            }
        };
        let mut chunk = self.spare.pop().unwrap_or_default();
        chunk.traces.get_or_insert_default().clear();
        self.chunks += 1;
        lane.chunks += 1;
        let (enough, over) = ((AHEAD / room).clamp(LEAST, MOST), piece.is_err());
        Some(Job { lane: next, number: lane.number + at, piece, chunk, enough, over })
    }

    /// Takes back what was done.
    pub(super) fn done(&mut self, job: Job<'r>) {
        let Job { lane: index, number, piece, chunk, over, .. } = job;
        let Some(lane) = self.lanes.get_mut(index) else { return };
        let mut done = Done { lane: index, number, chunk, over, ..Done::default() };
        let state = match piece {
            Ok(mut piece) => {
                (done.skipped, done.damages) = (piece.skipped(), piece.damages());
                if over {
                    lane.pieces.put_back(piece);
                    State::Over
                } else {
                    State::Open(piece)
                }
            }
            Err(error) => {
                done.error = Some(error);
                State::Over
            }
        };
        if let Some(place) = number.checked_sub(lane.number).and_then(|at| lane.begun.get_mut(at)) {
            *place = state;
        }
        done.last = over && lane.time.is_none() && number + 1 == lane.number + lane.begun.len();
        while let Some(State::Over) = lane.begun.front() {
            lane.begun.pop_front();
            lane.number += 1;
        }
        self.done.push(done);
    }

    /// Hands over what was done, and takes back what was used.
    pub(super) fn hand_over(&mut self, order: &mut Order) {
        for (index, chunk) in order.used.drain(..) {
            self.chunks -= 1;
            if let Some(lane) = self.lanes.get_mut(index) {
                lane.chunks -= 1;
            }
            self.spare.push(chunk);
        }
        for index in std::mem::take(&mut order.left) {
            if let Some(lane) = self.lanes.get_mut(index) {
                lane.time = None;
                lane.number += lane.begun.len();
                lane.begun.clear();
                order.note(index, lane.pieces.leave());
            }
        }
        for done in self.done.drain(..) {
            order.accept(done);
        }
        self.waiting = order.waiting();
    }

    /// How far the files were read, in bytes, about.
    pub(super) fn read(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.pieces.done()).sum()
    }
}
