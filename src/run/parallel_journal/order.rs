//! Puts what was read of several files in the order of their journal.

use std::collections::{BTreeMap, VecDeque};

use journal_file::Place;

use super::{BLOCK, Progress};
use crate::source::{Damaged, Limit, Merge, Pieces, Skipped, SourceError, Turn};
use kata_records::encode::Row;
use kata_records::pipeline::Chunk;
use kata_records::stats::{Dropped, Stats};

/// How many bytes a buffer for the records of a job may keep.
const KEPT: usize = 2 << 20;

/// The files, and what is in hand of each.
pub(super) struct Order {
    lanes: Vec<Lane>,
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
    stats: Stats,
    /// What of that was counted for entries that are left out.
    too_much: Stats,
    notes: Vec<u8>,
    damages: BTreeMap<(usize, &'static str), Damaged>,
    errors: Vec<SourceError>,
    /// Chunks that are done with, and of which lanes; and lanes that are left.
    pub(super) used: Vec<(usize, Chunk)>,
    pub(super) left: Vec<usize>,
}

/// One file.
struct Lane {
    /// What its pieces have given, in the order of the file, and the number of the first of them.
    shards: VecDeque<Shard>,
    number: usize,
    /// The entry at hand.
    place: Place,
    /// How many bytes its entries had so far, and how many they may have.
    worth: u64,
    most: u64,
    /// Nothing more comes of it.
    over: bool,
}

/// What a piece has given, and whether that is all of it, and of the file.
#[derive(Default)]
struct Shard {
    ready: VecDeque<Ready>,
    over: bool,
    last: bool,
}

/// A chunk, and how much of it was put in order.
struct Ready {
    chunk: Chunk,
    traces: usize,
    rows: usize,
    bytes: usize,
}

/// What a job has done.
#[derive(Default)]
pub(super) struct Done {
    pub(super) lane: usize,
    /// Which of the lane's pieces it was about.
    pub(super) number: usize,
    pub(super) chunk: Chunk,
    /// The piece is read to its end; with it the file is.
    pub(super) over: bool,
    pub(super) last: bool,
    pub(super) skipped: Skipped,
    pub(super) damages: Vec<Damaged>,
    pub(super) error: Option<SourceError>,
}

/// How far the records were put in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gathered {
    /// As far as there was room.
    More,
    /// As far as they were read.
    Waiting,
    /// All of them.
    Over,
}

impl Order {
    /// The files; `rows` says whether the records are to be told apart afterwards.
    pub(super) fn new(files: &[Pieces<'_>], rows: bool) -> Order {
        let mut merge = Merge::default();
        let lane = |(index, pieces): (usize, &Pieces<'_>)| {
            let place = pieces.first();
            merge.offer(index, place);
            Lane { shards: VecDeque::new(), number: 0, place, worth: 0, most: pieces.most_worth(), over: false }
        };
        Order {
            lanes: files.iter().enumerate().map(lane).collect(),
            merge,
            turn: None,
            decided: None,
            put_back: None,
            waiting: None,
            rows,
            stats: Stats::default(),
            too_much: Stats::default(),
            notes: Vec::new(),
            damages: BTreeMap::new(),
            errors: Vec::new(),
            used: Vec::new(),
            left: Vec::new(),
        }
    }

    /// Takes what a job has done.
    pub(super) fn accept(&mut self, done: Done) {
        let Done { lane: index, number, mut chunk, over, last, skipped, damages, error } = done;
        let Some(lane) = self.lanes.get_mut(index) else { return };
        let Some(at) = number.checked_sub(lane.number).filter(|_| !lane.over) else {
            // The file was left.
            self.used(index, chunk);
            return;
        };
        self.stats.merge(&std::mem::take(&mut chunk.stats));
        self.stats.passed_over(Dropped::Others, skipped.others);
        self.notes.append(&mut chunk.notes);
        self.errors.extend(error);
        if lane.shards.len() <= at {
            lane.shards.resize_with(at + 1, Shard::default);
        }
        if let Some(shard) = lane.shards.get_mut(at) {
            shard.ready.push_back(Ready { chunk, traces: 0, rows: 0, bytes: 0 });
            (shard.over, shard.last) = (over, last);
        }
        self.note(index, damages);
        if self.waiting == Some(index) {
            self.waiting = None;
            self.settle(index);
        }
    }

    /// The lane without which nothing more can be put in order.
    pub(super) fn waiting(&self) -> Option<usize> {
        self.waiting
    }

    /// Puts in order what can be, about so many bytes, and appends it, with all that there is to say about what was read.
    pub(super) fn gather(&mut self, out: &mut Chunk) -> Gathered {
        let gathered = loop {
            if out.out.bytes.len() >= BLOCK {
                break Gathered::More;
            }
            if self.waiting.is_some() {
                break Gathered::Waiting;
            }
            let Some(turn) = self.decided.take().or_else(|| self.decide()) else { break Gathered::Over };
            let (Turn::Take(index, _) | Turn::Skip(index)) = turn;
            let Some(lane) = self.lanes.get(index) else { continue };
            if lane.over {
                // Only where its first entry stands is known, and it cannot even be read any more.
                continue;
            }
            if lane.shards.front().is_none_or(|shard| shard.ready.is_empty()) {
                self.decided = Some(turn);
                self.waiting = Some(index);
                break Gathered::Waiting;
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

    /// What there is to say, where the files were read so far.
    pub(super) fn progress(&mut self, read: u64) -> Progress {
        let lanes = &self.lanes;
        let mut damages = Vec::new();
        self.damages.retain(|(lane, _), damaged| {
            let over = lanes.get(*lane).is_none_or(|lane| lane.over);
            if over {
                damages.push(damaged.clone());
            }
            !over
        });
        let too_much = std::mem::take(&mut self.too_much);
        Progress { read, too_much, damages, errors: std::mem::take(&mut self.errors) }
    }

    /// Adds up, so that a file tells of a kind of damage once.
    pub(super) fn note(&mut self, lane: usize, damages: Vec<Damaged>) {
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
        let Some(ready) = lane.shards.front_mut().and_then(|shard| shard.ready.front_mut()) else { return };
        let (from, mut end) = (ready.bytes, ready.bytes);
        let to = out.out.bytes.len();
        let mut worth = true;
        let first = ready.traces;
        for trace in ready.chunk.traces.iter().flatten().skip(first) {
            if ready.traces > first && !limit.admits(&trace.place) {
                break;
            }
            ready.traces += 1;
            end = trace.end;
            if self.rows
                && trace.outcome.is_ok()
                && let Some(row) = ready.chunk.out.rows.get(ready.rows)
            {
                ready.rows += 1;
                let part = ready.chunk.out.parts.names().get(row.part as usize);
                let part = part.map_or(0, |name| out.out.parts.number(name));
                out.out.rows.push(Row { end: end - from + to, part, ..*row });
            }
            lane.worth += trace.length as u64;
            worth = lane.worth <= lane.most;
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
        let ready = self.lanes.get_mut(index).and_then(|lane| lane.shards.front_mut()?.ready.front_mut());
        let Some(ready) = ready else { return };
        let Some(trace) = ready.chunk.traces.iter().flatten().nth(ready.traces) else { return };
        ready.traces += 1;
        ready.rows += usize::from(trace.outcome.is_ok());
        ready.bytes = trace.end;
        self.too_much.merge(&trace.stats());
        self.stats.passed_over(Dropped::Repeated, 1);
    }

    /// Leaves out the rest of a file.
    fn leave(&mut self, index: usize) {
        let Some(lane) = self.lanes.get_mut(index) else { return };
        lane.over = true;
        self.left.push(index);
        for ready in std::mem::take(&mut lane.shards).into_iter().flat_map(|shard| shard.ready) {
            for trace in ready.chunk.traces.iter().flatten().skip(ready.traces) {
                self.too_much.merge(&trace.stats());
            }
            self.used(index, ready.chunk);
        }
    }

    /// Finds the entry that is at hand in a lane now. Where it is not known yet, everything waits for it; where there is
    /// none, the lane has no turn any more.
    fn settle(&mut self, index: usize) {
        while let Some(lane) = self.lanes.get_mut(index).filter(|lane| !lane.over) {
            let Some(shard) = lane.shards.front_mut() else { break };
            if let Some(ready) = shard.ready.front() {
                let trace = ready.chunk.traces.as_ref().and_then(|traces| traces.get(ready.traces));
                if let Some(trace) = trace {
                    lane.place = trace.place;
                    return;
                }
                let ready = shard.ready.pop_front();
                ready.into_iter().for_each(|ready| self.used(index, ready.chunk));
            } else if shard.over {
                lane.over = shard.last;
                lane.shards.pop_front();
                lane.number += 1;
            } else {
                break;
            }
        }
        if self.lanes.get(index).is_some_and(|lane| lane.over) {
            self.turn.take_if(|(turn, _)| *turn == index);
            self.put_back.take_if(|lane| *lane == index);
        } else {
            self.waiting = Some(index);
        }
    }

    /// Keeps the buffers of a chunk that is done with.
    fn used(&mut self, index: usize, mut chunk: Chunk) {
        chunk.out.clear(KEPT);
        chunk.stats = Stats::default();
        chunk.notes.clear();
        self.used.push((index, chunk));
    }
}
