//! The thread that delivers to servers: collects records into batches, sends them, and moves the checkpoint.
//!
//! All records of a batch are sent before the next batch, in one chunk for each tag. So the order of a tag is kept, and
//! one position stands for the whole batch.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use log_clients::{Chunk, Client, NetError};

use super::heartbeat::uptime_millis;
use super::metrics::{self, DeliveryMetrics};
use super::refused::RefusedFile;
use super::shutdown::WatchedShutdown;
use super::spool::SpoolFile;
use super::{BatchLimits, CheckpointSaver, Delivered, DeliveryEnd, IDLE_SAVE_INTERVAL};
use crate::diagnostics;
use crate::exit::Exit;
use crate::source::position::Position;
use kata_records::{Encoded, Events};

/// The number of tags whose buffers are kept for the next batch.
const MAX_KEPT_TAGS: usize = 64;

/// The maximum size of buffers that are kept.
const MAX_KEPT_BYTES: usize = 4 << 20;

/// A message from the pipeline to the delivering thread.
pub(super) enum Message {
    /// The records of a pipeline batch.
    Batch(Encoded, Option<Position>),
    /// The records of a pipeline batch, in a file of the spool.
    OnDisk(SpoolFile),
    /// The records of a pipeline batch for which the spool's disk has no room, and true if they can be read again.
    BesideSpool(Encoded, bool),
    /// A request to send pending records.
    Flush,
}

/// The delivering thread's side.
pub(super) struct BatchSender {
    pub(super) messages: Receiver<Message>,
    pub(super) spare: Sender<Encoded>,
    pub(super) client: Box<dyn Client>,
    pub(super) limits: BatchLimits,
    pub(super) saver: CheckpointSaver,
    pub(super) refused_file: RefusedFile,
    pub(super) shutdown: Arc<WatchedShutdown>,
    /// The batch: records by tag, their size, the time of the first record, and the position after the last one.
    pub(super) batch: Vec<Events>,
    pub(super) size: usize,
    pub(super) since: Option<Instant>,
    pub(super) position: Option<Position>,
    /// Files of the spool with records of the batch.
    pub(super) spool_files: Vec<SpoolFile>,
    /// The last position in these files, with the number of its file.
    pub(super) spooled_position: Option<(u64, Position)>,
    pub(super) bytes: Arc<AtomicU64>,
    pub(super) metrics: Arc<DeliveryMetrics>,
    pub(super) refused: u64,
    /// The number of records that damage of the spool has cost.
    pub(super) damaged: u64,
    /// The number of records in chunks that could not be delivered.
    pub(super) undelivered: usize,
    /// The number of records that only memory has, although there is a spool, and of those in the batch.
    pub(super) beside_spool: Arc<AtomicU64>,
    pub(super) beside_in_batch: u64,
    /// These records can be read again.
    pub(super) repeatable: bool,
    /// The name of the server, if others get the same records.
    pub(super) server: Option<String>,
}

impl BatchSender {
    pub(super) fn run(mut self) -> Delivered {
        let end = loop {
            self.shutdown.heartbeat().wait();
            let message = match self.timeout() {
                Some(timeout) => self.messages.recv_timeout(timeout),
                None => self.messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            self.shutdown.heartbeat().beat();
            let done = match message {
                Ok(Message::Batch(out, position)) => self.add(out, position),
                Ok(Message::OnDisk(spooled)) => self.add_from_disk(spooled),
                Ok(Message::BesideSpool(out, repeatable)) => {
                    self.beside_in_batch += metrics::record_count(&out);
                    self.repeatable = repeatable;
                    self.add(out, None)
                }
                Ok(Message::Flush) | Err(RecvTimeoutError::Timeout) => self.send(),
                Err(RecvTimeoutError::Disconnected) => {
                    break self.send().and_then(|()| self.client.finish(&*self.shutdown)).err();
                }
            };
            if let Err(error) = done {
                break Some(error);
            }
        };
        if self.server.is_some() && !matches!(end, None | Some(NetError::Stopped)) {
            // The others deliver what they have in hand, and the run ends.
            self.shutdown.signal().request();
        }
        let failed = self.saver.save();
        let end = end.map(|error| self.report_end(&error)).or(failed).map(DeliveryEnd::Failed);
        let BatchSender { saver, bytes, refused, damaged, .. } = self;
        let bytes = bytes.load(Ordering::Relaxed);
        Delivered { refused, damaged, end, ..Delivered::new(saver.checkpoint, bytes) }
    }

    /// Returns the time until the batch is due, or until the client has to check its connections. Returns `None` if
    /// neither is pending.
    fn timeout(&self) -> Option<Duration> {
        let age = if self.size > 0 { self.limits.age } else { IDLE_SAVE_INTERVAL };
        let quiet = self.client.is_in_doubt().then_some(IDLE_SAVE_INTERVAL);
        self.since.map(|since| age.saturating_sub(since.elapsed())).or(quiet)
    }

    /// Adds records to the batch. If they exceed the limits, the pending batch is sent first.
    fn add(&mut self, mut out: Encoded, position: Option<Position>) -> Result<(), NetError> {
        let length = out.len();
        if self.size > 0 && self.size + length > self.limits.size {
            self.send()?;
        }
        if length > 0 {
            if self.size == 0 {
                // The age of a batch counts from its first record.
                self.since = None;
            }
            for events in out.events.iter().filter(|events| !events.is_empty()) {
                Events::of_tag(&mut self.batch, &events.tag).append(events);
            }
            self.size += length;
        }
        out.clear(MAX_KEPT_BYTES);
        // The pipeline may have ended already.
        let _ = self.spare.send(out);
        if let Some(position) = position {
            self.position = Some(merge_positions(self.position.take(), position));
        }
        self.since.get_or_insert_with(Instant::now);
        if self.size >= self.limits.size { self.send() } else { Ok(()) }
    }

    fn add_from_disk(&mut self, mut spooled: SpoolFile) -> Result<(), NetError> {
        let (out, lost) = spooled.read();
        self.damaged += lost;
        let records = metrics::record_count(&out);
        self.metrics.begin_waiting(records.saturating_sub(spooled.records()));
        // Lost records wait no longer; the others still do.
        self.metrics.end_waiting(spooled.records().saturating_sub(records), 0);
        if self.size > 0 && self.size + out.len() > self.limits.size {
            self.send()?;
        }
        self.spooled_position = spooled.take_position().or(self.spooled_position.take());
        self.spool_files.push(spooled);
        self.add(out, None)
    }

    /// Delivers the batch, and moves the checkpoint.
    fn send(&mut self) -> Result<(), NetError> {
        let began = uptime_millis();
        let mut batch = std::mem::take(&mut self.batch);
        let records = batch.iter().map(|events| events.ends.len() as u64).sum();
        if records > 0 {
            self.metrics.begin_sending();
        }
        let sent = batch.iter_mut().try_for_each(|events| self.send_tag(events));
        self.batch = batch;
        sent?;
        self.client.settle(&*self.shutdown)?;
        self.metrics.end_sending();
        self.metrics.end_waiting(records, began);
        // Programs that write to the journal can invent identifiers, and tags with them.
        self.batch.truncate(MAX_KEPT_TAGS);
        (self.size, self.since) = (0, None);
        if let Some(position) = self.position.take() {
            self.saver.checkpoint.advance(position);
            self.saver.save();
        }
        self.save_spooled_position();
        self.spool_files.drain(..).for_each(SpoolFile::delete);
        self.beside_spool.fetch_sub(std::mem::take(&mut self.beside_in_batch), Ordering::Relaxed);
        Ok(())
    }

    /// Saves the position after the files of the batch, so that their records are not read again once they are deleted.
    fn save_spooled_position(&mut self) {
        let Some((number, position)) = self.spooled_position.take() else { return };
        if let Some(file) = self.spool_files.last() {
            let moved = file.positions().moved.lock().unwrap_or_else(PoisonError::into_inner);
            // A position of before the last move may have files that are forgotten.
            if number >= *moved {
                self.saver.checkpoint.catch_up(position);
            }
        }
        self.saver.save();
    }

    /// Delivers the records of a tag, and removes them from the batch.
    fn send_tag(&mut self, events: &mut Events) -> Result<(), NetError> {
        let mut chunks = split_into_chunks(events, Events::LARGEST);
        for (index, chunk) in chunks.iter().enumerate() {
            let refused = self.client.deliver(chunk, &*self.shutdown).inspect_err(|_| {
                self.undelivered += chunks.iter().skip(index).map(Chunk::len).sum::<usize>();
            })?;
            self.metrics.count_chunk(chunk.len() as u64, refused.len() as u64);
            for refused in refused {
                let kept = self.refused_file.add(&refused.tag, &refused.entry, &refused.server, &refused.reason);
                let kept = kept.unwrap_or_else(|error| format!("it cannot be set aside and is lost: {error}"));
                let (server, reason) = (&refused.server, &refused.reason);
                diagnostics::report(format_args!("{server} takes no record like this one: {reason}; {kept}"));
                self.refused += 1;
            }
            self.bytes.fetch_add(chunk.encoded().len() as u64, Ordering::Relaxed);
        }
        if let [chunk] = chunks.as_mut_slice() {
            // A single chunk has the buffers of the batch. They are reused.
            (events.bytes, events.ends) = std::mem::take(chunk).into_buffers();
        }
        events.clear(MAX_KEPT_BYTES);
        Ok(())
    }

    /// Reports undelivered records. Returns the exit code.
    fn report_end(&mut self, error: &NetError) -> Exit {
        let mut records =
            self.undelivered as u64 + self.batch.iter().map(|events| events.ends.len() as u64).sum::<u64>();
        let (mut again, mut on_disk) = (self.position.is_some() || self.repeatable, !self.spool_files.is_empty());
        while let Ok(message) = self.messages.try_recv() {
            match message {
                Message::Batch(out, position) => {
                    records += metrics::record_count(&out);
                    again |= position.is_some();
                }
                Message::OnDisk(file) => {
                    records += file.records();
                    on_disk = true;
                }
                Message::BesideSpool(out, repeatable) => {
                    records += metrics::record_count(&out);
                    again |= repeatable;
                }
                Message::Flush => {}
            }
        }
        if records == 0 && !on_disk && matches!(error, NetError::Stopped) {
            return Exit::Success;
        }
        let kept = on_disk || again && self.saver.checkpoint.is_kept();
        let fate = if kept {
            "the next run delivers them"
        } else {
            "nothing remembers how far the input was read; a file can be read again, what came through a pipe is lost"
        };
        let server = self.server.as_ref().filter(|_| matches!(error, NetError::Stopped));
        let prefix = server.map(|server| format!("{server}: ")).unwrap_or_default();
        diagnostics::report(format_args!("{prefix}{error}; {records} records in hand are not delivered: {fate}"));
        match error {
            NetError::Stopped if kept => Exit::Success,
            NetError::Stopped => Exit::Lost,
            error => Exit::from(error),
        }
    }
}

/// Merges two positions. The newer one replaces a position in journals, and the positions of its files.
pub(super) fn merge_positions(before: Option<Position>, next: Position) -> Position {
    match (before, next) {
        (Some(Position::Files(mut before)), Position::Files(next)) => {
            let read: HashSet<&str> = next.iter().map(|file| file.origin.as_str()).collect();
            before.retain(|file| !read.contains(file.origin.as_str()));
            before.extend(next);
            Position::Files(before)
        }
        (_, next) => next,
    }
}

/// Splits the events of a tag into chunks that receivers accept. Usually there is one chunk. Leaves the events empty.
fn split_into_chunks(events: &mut Events, largest: usize) -> Vec<Chunk> {
    let (bytes, ends) = (std::mem::take(&mut events.bytes), std::mem::take(&mut events.ends));
    if ends.is_empty() {
        return Vec::new();
    }
    if bytes.len() <= largest {
        return vec![Chunk::from_encoded(events.tag.as_slice(), bytes, ends)];
    }
    let mut chunks = Vec::new();
    let (mut rest, mut start) = (ends.as_slice(), 0);
    while !rest.is_empty() {
        // The encoder keeps each event below the limit of a chunk.
        let count = rest.partition_point(|end| end - start <= largest).max(1);
        let (own, behind) = rest.split_at(count);
        let end = own.last().copied().unwrap_or(start);
        let own = own.iter().map(|end| end - start).collect();
        let bytes = bytes.get(start..end).unwrap_or_default().to_vec();
        chunks.push(Chunk::from_encoded(events.tag.as_slice(), bytes, own));
        (rest, start) = (behind, end);
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_with_more_than_receivers_take_is_several_chunks() {
        let all = ["one", "two", "three", "4", "a very long one that is alone", "5"];
        let mut events = Events { tag: b"t".to_vec(), ..Events::default() };
        for text in all {
            events.bytes.extend(text.as_bytes());
            events.ends.push(events.bytes.len());
        }
        let of = |largest| {
            let mut events = events.clone();
            let chunks = split_into_chunks(&mut events, largest);
            assert!(events.is_empty() && events.bytes.is_empty());
            chunks
        };
        let whole = of(1000);
        assert_eq!(whole.len(), 1);
        assert_eq!(whole[0].clone().into_buffers(), (events.bytes.clone(), events.ends.clone()));
        let parts = of(11);
        let texts: Vec<String> = parts.iter().map(|part| String::from_utf8(part.encoded().to_vec()).unwrap()).collect();
        assert_eq!(texts, ["onetwothree", "4", "a very long one that is alone", "5"]);
        assert_eq!(parts[0].clone().into_buffers().1, [3, 6, 11]);
        assert_eq!(of(11), parts, "the same content has the same ids");
        assert!(parts.iter().all(|part| part.id() != whole[0].id()));
        assert!(split_into_chunks(&mut Events::default(), 11).is_empty());
    }
}
