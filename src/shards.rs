//! The files of a journal on several threads: pieces of them are read and worked off at the same time, and what they give
//! is put in the order of the journal, as if one had read them all.
//!
//! What is read ahead is bounded, whatever the number of files and their sizes.

use std::collections::{BTreeMap, VecDeque};

use crate::cursor::Place;
use crate::encode::Row;
use crate::entry::Batch;
use crate::pipeline::{Chunk, Worker};
use crate::report::{Dropped, Stats};
use crate::source::{Damaged, Limit, Merge, Piece, Pieces, SourceError, Turn};

/// How many bytes of records may wait for their turn, about.
const AHEAD: usize = 24 << 20;
/// Bounds of what a job makes before others have their turn.
const LEAST: usize = 128 << 10;
const MOST: usize = 1 << 20;

/// The files of a journal, and what is in hand of each.
pub struct Shards<'r> {
    lanes: Vec<Lane<'r>>,
    merge: Merge,
    /// The lane to take from, and up to where.
    turn: Option<(usize, Limit)>,
    /// What comes next, where the lane that it is about has to be read first.
    decided: Option<Turn>,
    /// The lane whose entry at hand is not in the merge, because a copy was passed over.
    put_back: Option<usize>,
    /// The lane whose next entry is not known yet; before it is, no order is.
    waiting: Option<usize>,
    /// Somebody asks for the rows.
    rows: bool,
    /// How many chunks wait for their turn or are being made, and how many there may be beside one of each file that
    /// takes turns.
    chunks: usize,
    ahead: usize,
    /// Chunks that can be filled again.
    spare: Vec<Chunk>,
    stats: Stats,
    /// What of that was counted for entries that are left out.
    too_much: Stats,
    notes: Vec<u8>,
    damages: BTreeMap<(usize, &'static str), Damaged>,
    errors: Vec<SourceError>,
}

/// One file.
struct Lane<'r> {
    pieces: Pieces<'r>,
    /// The pieces that were begun, in the order of the file.
    line: VecDeque<Shard<'r>>,
    /// The number of the first of them.
    number: usize,
    /// When the next piece was written; none when all were begun.
    time: Option<u64>,
    /// The entry at hand.
    place: Place,
}

/// A piece and what it has given.
struct Shard<'r> {
    state: State<'r>,
    ready: VecDeque<Ready>,
}

enum State<'r> {
    /// There is more in it.
    Open(Piece<'r>),
    /// A job has it.
    Out,
    Over,
}

/// A chunk, and how much of it was put in order.
struct Ready {
    chunk: Chunk,
    traces: usize,
    rows: usize,
    bytes: usize,
}

/// How far the records were put in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gathered {
    /// As far as was asked for.
    More,
    /// As far as they were read: jobs have to be done first.
    Waiting,
    /// All of them.
    Over,
}

/// A piece on its way to a thread and back.
pub struct Job<'r> {
    lane: usize,
    number: usize,
    piece: Piece<'r>,
    chunk: Chunk,
    /// How many bytes of records are enough.
    enough: usize,
    over: bool,
}

impl Job<'_> {
    /// Reads on in the piece and works off what it gives. `received` is the time of entries that have none, in seconds and
    /// nanoseconds since 1970.
    pub fn run(&mut self, batch: &mut Batch, worker: &mut Worker<'_>, received: (u32, u32)) {
        self.chunk.out.received = received;
        while !self.over && self.chunk.out.bytes.len() < self.enough {
            self.over = !self.piece.fill(batch);
            worker.run(batch, &mut self.chunk);
        }
    }
}

impl<'r> Shards<'r> {
    /// The files, of which up to so many pieces are to be read at a time. `rows` says whether the records are to be told
    /// apart afterwards.
    #[must_use]
    pub fn new(files: Vec<Pieces<'r>>, jobs: usize, rows: bool) -> Shards<'r> {
        let mut merge = Merge::default();
        let lane = |(index, mut pieces): (usize, Pieces<'r>)| {
            let place = pieces.first();
            merge.offer(index, place);
            Lane { time: pieces.time(), pieces, line: VecDeque::new(), number: 0, place }
        };
        Shards {
            lanes: files.into_iter().enumerate().map(lane).collect(),
            merge,
            turn: None,
            decided: None,
            put_back: None,
            waiting: None,
            rows,
            chunks: 0,
            ahead: 2 * jobs,
            spare: Vec::new(),
            stats: Stats::default(),
            too_much: Stats::default(),
            notes: Vec::new(),
            damages: BTreeMap::new(),
            errors: Vec::new(),
        }
    }

    /// What is to be done next, as many jobs as asked for: first what everything waits for, then what was written first.
    pub fn jobs(&mut self, most: usize) -> Vec<Job<'r>> {
        let active = self.lanes.iter().filter(|lane| !lane.line.is_empty()).count();
        let room = active + self.ahead;
        let enough = (AHEAD / room).clamp(LEAST, MOST);
        let mut jobs = Vec::new();
        if let Some(lane) = self.waiting {
            jobs.extend(self.job(lane, enough));
        }
        while jobs.len() < most && self.chunks < room {
            let open = |lane: &Lane<'_>| lane.line.iter().any(|shard| matches!(shard.state, State::Open(_)));
            let when = |lane: &Lane<'_>| if open(lane) { Some(0) } else { lane.time };
            let next = self.lanes.iter().enumerate().filter_map(|(index, lane)| Some((when(lane)?, index))).min();
            let Some((_, lane)) = next else { break };
            jobs.extend(self.job(lane, enough));
        }
        jobs
    }

    /// A job of this lane: to go on with the first piece that has more, or to begin another.
    fn job(&mut self, index: usize, enough: usize) -> Option<Job<'r>> {
        let lane = self.lanes.get_mut(index)?;
        let at = lane.line.iter().position(|shard| matches!(shard.state, State::Open(_)));
        let (at, piece) = match at {
            Some(at) => {
                let state = std::mem::replace(&mut lane.line.get_mut(at)?.state, State::Out);
                let State::Open(piece) = state else { return None };
                (at, piece)
            }
            None => {
                let taken = lane.pieces.take();
                lane.time = lane.pieces.time();
                match taken? {
                    Ok(piece) => {
                        lane.line.push_back(Shard { state: State::Out, ready: VecDeque::new() });
                        (lane.line.len() - 1, piece)
                    }
                    Err(error) => {
                        self.errors.push(error);
                        lane.time = None;
                        return None;
                    }
                }
            }
        };
        let mut chunk = self.spare.pop().unwrap_or_default();
        chunk.traces.get_or_insert_default().clear();
        self.chunks += 1;
        Some(Job { lane: index, number: lane.number + at, piece, chunk, enough, over: false })
    }

    /// Takes back what was done.
    pub fn done(&mut self, jobs: Vec<Job<'r>>) {
        for Job { lane: index, number, mut piece, mut chunk, over, .. } in jobs {
            let Some(lane) = self.lanes.get_mut(index) else { continue };
            let shard = number.checked_sub(lane.number).and_then(|at| lane.line.get_mut(at));
            let Some(shard) = shard else {
                // The file was left.
                self.recycle(chunk);
                continue;
            };
            self.stats.merge(&std::mem::take(&mut chunk.stats));
            self.notes.append(&mut chunk.notes);
            let (skipped, damages) = (piece.skipped(), piece.damages());
            shard.ready.push_back(Ready { chunk, traces: 0, rows: 0, bytes: 0 });
            if over {
                lane.pieces.put_back(piece);
                shard.state = State::Over;
            } else {
                shard.state = State::Open(piece);
            }
            self.stats.passed_over(Dropped::Others, skipped.others);
            self.note(index, damages);
        }
        if let Some(index) = self.waiting.take() {
            self.settle(index);
        }
    }

    /// Puts in order what can be, about so many bytes, and appends it, with all that there is to say about what was read.
    pub fn gather(&mut self, out: &mut Chunk, most: usize) -> Gathered {
        let gathered = loop {
            if out.out.bytes.len() >= most {
                break Gathered::More;
            }
            if self.waiting.is_some() {
                break Gathered::Waiting;
            }
            let Some(turn) = self.decided.take().or_else(|| self.decide()) else { break Gathered::Over };
            let (Turn::Take(index, _) | Turn::Skip(index)) = turn;
            let Some(lane) = self.lanes.get(index) else { continue };
            if lane.line.front().is_none_or(|shard| shard.ready.is_empty()) {
                // Only where its first entry stands is known. If it cannot even be read any more, its turn is over.
                if !lane.line.is_empty() || lane.time.is_some() {
                    self.decided = Some(turn);
                    self.waiting = Some(index);
                    break Gathered::Waiting;
                }
                continue;
            }
            match turn {
                Turn::Take(_, limit) => {
                    self.turn = Some((index, limit));
                    self.take(index, &limit, out);
                }
                Turn::Skip(_) => {
                    self.skip(index);
                    self.put_back = Some(index);
                }
            }
            self.settle(index);
        };
        out.stats.merge(&std::mem::take(&mut self.stats));
        out.notes.append(&mut self.notes);
        gathered
    }

    /// How far the files were read, in bytes, about.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.pieces.done()).sum()
    }

    /// What was counted since this was asked last for entries that are left out after all.
    pub fn too_much(&mut self) -> Stats {
        std::mem::take(&mut self.too_much)
    }

    /// What could not be read since this was asked last, of files that were read to their ends.
    pub fn damages(&mut self) -> Vec<Damaged> {
        let lanes = &self.lanes;
        let over = |lane: usize| lanes.get(lane).is_none_or(|lane| lane.line.is_empty() && lane.time.is_none());
        let mut all = Vec::new();
        self.damages.retain(|(lane, _), damaged| {
            let over = over(*lane);
            if over {
                all.push(damaged.clone());
            }
            !over
        });
        all
    }

    /// What of the files could no longer be opened.
    pub fn errors(&mut self) -> Vec<SourceError> {
        std::mem::take(&mut self.errors)
    }

    /// Adds up, so that a file tells of a kind of damage once.
    fn note(&mut self, lane: usize, damages: Vec<Damaged>) {
        for damaged in damages {
            let known = self.damages.entry((lane, damaged.reason)).or_insert(Damaged { count: 0, ..damaged.clone() });
            known.count += damaged.count;
            known.offset = known.offset.min(damaged.offset);
        }
    }

    /// What to do with which lane next. None when all lanes are over.
    fn decide(&mut self) -> Option<Turn> {
        if let Some((index, limit)) = self.turn.take() {
            let place = self.lanes.get(index)?.place;
            if limit.admits(&place) {
                return Some(Turn::Take(index, limit));
            }
            self.merge.offer(index, place);
        }
        if let Some(index) = self.put_back.take() {
            self.merge.offer(index, self.lanes.get(index)?.place);
        }
        self.merge.turn()
    }

    /// Appends the entry at hand, and those behind it that the limit admits and that are in the same chunk.
    fn take(&mut self, index: usize, limit: &Limit, out: &mut Chunk) {
        let Some(lane) = self.lanes.get_mut(index) else { return };
        let Some(ready) = lane.line.front_mut().and_then(|shard| shard.ready.front_mut()) else { return };
        let (from, mut end) = (ready.bytes, ready.bytes);
        let to = out.out.bytes.len();
        let mut worth = true;
        let first = ready.traces;
        for trace in ready.chunk.traces.iter().flatten().skip(first) {
            if ready.traces > first && !limit.admits(&trace.place) {
                break;
            }
            ready.traces += 1;
            if trace.outcome.is_ok()
                && let Some(row) = ready.chunk.out.rows.get(ready.rows)
            {
                ready.rows += 1;
                end = row.end;
                if self.rows {
                    let part = ready.chunk.out.parts.names().get(row.part as usize);
                    let part = part.map_or(0, |name| out.out.parts.number(name));
                    out.out.rows.push(Row { end: row.end - from + to, part, ..*row });
                }
            }
            worth = lane.pieces.is_worth(trace.length);
            if !worth {
                break;
            }
        }
        out.out.bytes.extend_from_slice(ready.chunk.out.bytes.get(from..end).unwrap_or_default());
        ready.bytes = end;
        if !worth {
            self.leave(index);
        }
    }

    /// Goes past the entry at hand, which is a copy of one that was taken.
    fn skip(&mut self, index: usize) {
        let ready = self.lanes.get_mut(index).and_then(|lane| lane.line.front_mut()?.ready.front_mut());
        let Some(ready) = ready else { return };
        let Some(trace) = ready.chunk.traces.iter().flatten().nth(ready.traces) else { return };
        ready.traces += 1;
        if trace.outcome.is_ok()
            && let Some(row) = ready.chunk.out.rows.get(ready.rows)
        {
            ready.rows += 1;
            ready.bytes = row.end;
        }
        self.too_much.merge(&trace.stats());
        self.stats.passed_over(Dropped::Repeated, 1);
    }

    /// Leaves out the rest of a file.
    fn leave(&mut self, index: usize) {
        let Some(lane) = self.lanes.get_mut(index) else { return };
        lane.time = None;
        let damages = lane.pieces.leave();
        lane.number += lane.line.len();
        for ready in std::mem::take(&mut lane.line).into_iter().flat_map(|shard| shard.ready) {
            for trace in ready.chunk.traces.iter().flatten().skip(ready.traces) {
                self.too_much.merge(&trace.stats());
            }
            self.recycle(ready.chunk);
        }
        self.note(index, damages);
    }

    /// Finds the entry that is at hand in a lane now. Where it is not known yet, everything waits for it; where there is
    /// none, the lane has no turn any more.
    fn settle(&mut self, index: usize) {
        while let Some(lane) = self.lanes.get_mut(index) {
            let Some(shard) = lane.line.front_mut() else {
                if lane.time.is_some() {
                    self.waiting = Some(index);
                } else {
                    self.turn.take_if(|(turn, _)| *turn == index);
                    self.put_back.take_if(|lane| *lane == index);
                }
                return;
            };
            if let Some(ready) = shard.ready.front() {
                let trace = ready.chunk.traces.as_ref().and_then(|traces| traces.get(ready.traces));
                if let Some(trace) = trace {
                    lane.place = trace.place;
                    return;
                }
                let ready = shard.ready.pop_front();
                ready.into_iter().for_each(|ready| self.recycle(ready.chunk));
            } else if matches!(shard.state, State::Over) {
                lane.line.pop_front();
                lane.number += 1;
            } else {
                self.waiting = Some(index);
                return;
            }
        }
    }

    /// Keeps the buffers of a chunk that is done with.
    fn recycle(&mut self, mut chunk: Chunk) {
        self.chunks -= 1;
        chunk.out.clear(2 * MOST);
        chunk.stats = Stats::default();
        chunk.notes.clear();
        self.spare.push(chunk);
    }
}
