//! The thread between the pipeline and servers: gathers records into windows, has them sent, and moves the
//! checkpoint on.
//!
//! All records of a window go out before the next window does, one chunk a tag, so the order of a tag is kept and one
//! position stands for all of them.

use std::collections::HashSet;
use std::hash::Hasher as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use log_clients::{Chunk, Client, NetError};
use siphasher::sip128::{Hasher128 as _, SipHasher13};

use super::heartbeat::uptime_millis;
use super::metrics::{self, DeliveryMetrics};
use super::refused::RefusedFile;
use super::shutdown::ShutdownSignal;
use super::spool::{Spool, SpoolFile};
use super::{BatchLimits, CheckpointSaver, Delivered, Delivery, DeliveryEnd, IDLE_SAVE_INTERVAL};
use crate::delivery::checkpoint::Checkpoint;
use crate::diagnostics;
use crate::exit::Exit;
use crate::source::position::Position;
use kata_records::encode::event::{Events, of_tag};
use kata_records::encode::{Encoded, event};

/// How many batches may wait between the two threads.
const MAX_QUEUED_BATCHES: usize = 2;

/// Buffers for so many tags are kept from one window to the next.
const MAX_KEPT_TAGS: usize = 64;

/// Above this the buffers of a batch are given back.
const MAX_KEPT_BYTES: usize = 4 << 20;

/// What a delivery to servers needs.
#[derive(Debug)]
pub struct ServerDeliveryConfig {
    /// The servers.
    pub client: Client,
    /// How much goes out at once.
    pub limits: BatchLimits,
    /// Where records go that no server takes.
    pub refused: Option<PathBuf>,
    /// The buffer on disk, for an input that cannot be read twice.
    pub spool: Option<Spool>,
    /// When to end.
    pub shutdown: Arc<ShutdownSignal>,
    /// Where others watch it.
    pub metrics: Arc<DeliveryMetrics>,
}

/// What goes from the one thread to the other.
enum Message {
    /// What came of a batch.
    Batch(Encoded, Option<Position>),
    /// The same, on disk.
    OnDisk(SpoolFile),
    /// Deliver what is in hand.
    Flush,
}

/// The pipeline's end.
#[derive(Debug)]
pub struct ServerDelivery {
    queue: Option<Queue>,
    /// Buffers that can be used again.
    spare: Receiver<Encoded>,
    spool: Option<Spool>,
    bytes: Arc<AtomicU64>,
    metrics: Arc<DeliveryMetrics>,
    thread: JoinHandle<Delivered>,
}

/// A lane with a limit, or, where a spool has the limit, one without.
#[derive(Debug)]
enum Queue {
    Bounded(SyncSender<Message>),
    Unbounded(Sender<Message>),
}

impl Queue {
    /// `false` if there is nobody at the other end.
    fn send(&self, message: Message) -> bool {
        match self {
            Queue::Bounded(queue) => queue.send(message).is_ok(),
            Queue::Unbounded(queue) => queue.send(message).is_ok(),
        }
    }
}

impl ServerDelivery {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the host cannot start another thread.
    pub fn start(config: ServerDeliveryConfig, checkpoint: Checkpoint) -> std::io::Result<ServerDelivery> {
        let ServerDeliveryConfig { client, limits, refused, mut spool, shutdown, metrics } = config;
        let (queue, messages) = if spool.is_some() {
            let (sender, receiver) = channel();
            (Queue::Unbounded(sender), receiver)
        } else {
            let (sender, receiver) = sync_channel(MAX_QUEUED_BATCHES);
            (Queue::Bounded(sender), receiver)
        };
        if let Some(spool) = &spool {
            metrics.set_spool(spool.used());
        }
        // What an earlier run has left comes first. Nobody has to be at the other end yet.
        for left in spool.as_mut().map(Spool::take_leftovers).unwrap_or_default() {
            queue.send(Message::OnDisk(left));
        }
        let (returned, spare) = channel();
        let bytes = Arc::new(AtomicU64::new(0));
        let sender = BatchSender {
            messages,
            spare: returned,
            client,
            limits,
            saver: CheckpointSaver::new(checkpoint),
            refused_file: RefusedFile::new(refused),
            shutdown,
            batch: Vec::new(),
            size: 0,
            since: None,
            position: None,
            spool_files: Vec::new(),
            bytes: Arc::clone(&bytes),
            metrics: Arc::clone(&metrics),
            refused: 0,
            undelivered: 0,
        };
        let thread = std::thread::Builder::new().name("delivery".to_owned()).spawn(move || sender.run())?;
        Ok(ServerDelivery { queue: Some(queue), spare, spool, bytes, metrics, thread })
    }
}

impl Delivery for ServerDelivery {
    fn deliver(&mut self, out: &mut Encoded, position: Option<Position>) -> Result<(), DeliveryEnd> {
        let queue = self.queue.as_ref().ok_or(DeliveryEnd::Closed)?;
        // How it ended shows when it is finished.
        let sent = |sent: bool| if sent { Ok(()) } else { Err(DeliveryEnd::Closed) };
        match &mut self.spool {
            Some(_) if out.is_empty() => Ok(()),
            Some(spool) => match spool.add(out, || self.thread.is_finished()) {
                Ok(Some(spooled)) => {
                    self.metrics.begin_waiting(spooled.records());
                    sent(queue.send(Message::OnDisk(spooled)))
                }
                Ok(None) => {
                    self.metrics.set_overflowed(spool.overflowed());
                    Ok(())
                }
                Err(error) => {
                    diagnostics::report(format_args!("{error}"));
                    Err(DeliveryEnd::Failed(Exit::Io))
                }
            },
            None if out.is_empty() && position.is_none() => Ok(()),
            None => {
                let spare = self.spare.try_recv().unwrap_or_default();
                self.metrics.begin_waiting(metrics::record_count(out));
                sent(queue.send(Message::Batch(std::mem::replace(out, spare), position)))
            }
        }
    }

    fn flush(&mut self) {
        if let Some(queue) = &self.queue {
            queue.send(Message::Flush);
        }
    }

    fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn finish(mut self: Box<Self>) -> Delivered {
        self.queue = None;
        let overflowed = self.spool.as_ref().map_or(0, Spool::overflowed);
        match self.thread.join() {
            Ok(delivered) => Delivered { overflowed, ..delivered },
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

/// The receiver's end.
struct BatchSender {
    messages: Receiver<Message>,
    spare: Sender<Encoded>,
    client: Client,
    limits: BatchLimits,
    saver: CheckpointSaver,
    refused_file: RefusedFile,
    shutdown: Arc<ShutdownSignal>,
    /// The window: its records by tag, their bytes, when the first came, and how far the input is read with the last.
    batch: Vec<Events>,
    size: usize,
    since: Option<Instant>,
    position: Option<Position>,
    /// What of it is also on disk.
    spool_files: Vec<SpoolFile>,
    bytes: Arc<AtomicU64>,
    metrics: Arc<DeliveryMetrics>,
    refused: u64,
    /// Records of a chunk that could not be delivered.
    undelivered: usize,
}

impl BatchSender {
    fn run(mut self) -> Delivered {
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
                Ok(Message::Flush) | Err(RecvTimeoutError::Timeout) => self.send(),
                Err(RecvTimeoutError::Disconnected) => {
                    break self.send().and_then(|()| self.client.finish(&*self.shutdown)).err();
                }
            };
            if let Err(error) = done {
                break Some(error);
            }
        };
        let failed = self.saver.save();
        let end = end.map(|error| self.report_end(&error)).or(failed).map(DeliveryEnd::Failed);
        let BatchSender { saver, bytes, refused, .. } = self;
        let bytes = bytes.load(Ordering::Relaxed);
        Delivered { refused, end, ..Delivered::new(saver.checkpoint, bytes) }
    }

    /// How long the window may still wait, or, if there is nothing in it, the client to look after what it has sent; none if
    /// there is no need to.
    fn timeout(&self) -> Option<Duration> {
        let age = if self.size > 0 { self.limits.age } else { IDLE_SAVE_INTERVAL };
        let quiet = self.client.is_in_doubt().then_some(IDLE_SAVE_INTERVAL);
        self.since.map(|since| age.saturating_sub(since.elapsed())).or(quiet)
    }

    /// Adds to the window what came of a batch. What makes it larger than a window is to be goes with the next one.
    fn add(&mut self, mut out: Encoded, position: Option<Position>) -> Result<(), NetError> {
        let length = out.len();
        if self.size > 0 && self.size + length > self.limits.size {
            self.send()?;
        }
        if length > 0 {
            if self.size == 0 {
                // Not from when the last one without records came.
                self.since = None;
            }
            for events in out.events.iter().filter(|events| !events.is_empty()) {
                of_tag(&mut self.batch, &events.tag).append(events);
            }
            self.size += length;
        }
        out.clear(MAX_KEPT_BYTES);
        // The other end may be gone already.
        let _ = self.spare.send(out);
        if let Some(position) = position {
            self.position = Some(merge_positions(self.position.take(), position));
        }
        self.since.get_or_insert_with(Instant::now);
        if self.size >= self.limits.size { self.send() } else { Ok(()) }
    }

    fn add_from_disk(&mut self, spooled: SpoolFile) -> Result<(), NetError> {
        let out = spooled.read();
        self.metrics.begin_waiting(metrics::record_count(&out).saturating_sub(spooled.records()));
        if self.size > 0 && self.size + out.len() > self.limits.size {
            self.send()?;
        }
        self.spool_files.push(spooled);
        self.add(out, None)
    }

    /// Delivers the window, and moves on.
    fn send(&mut self) -> Result<(), NetError> {
        let began = uptime_millis();
        let mut batch = std::mem::take(&mut self.batch);
        let records = batch.iter().map(|events| events.ends.len() as u64).sum();
        let sent = batch.iter_mut().try_for_each(|events| self.send_tag(events));
        self.batch = batch;
        sent?;
        self.client.settle(&*self.shutdown)?;
        self.metrics.end_waiting(records, began);
        // Whoever may write to the journal may make up identifiers, and with them tags.
        self.batch.truncate(MAX_KEPT_TAGS);
        (self.size, self.since) = (0, None);
        if let Some(position) = self.position.take() {
            self.saver.checkpoint.advance(position);
            self.saver.save();
        }
        self.spool_files.drain(..).for_each(SpoolFile::delete);
        Ok(())
    }

    /// Delivers the records of a tag, which are gone from the window then.
    fn send_tag(&mut self, events: &mut Events) -> Result<(), NetError> {
        let mut chunks = split_into_chunks(events, event::LARGEST);
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
            self.bytes.fetch_add(chunk.entries.len() as u64, Ordering::Relaxed);
        }
        if let [chunk] = chunks.as_mut_slice() {
            // The buffers are those of the window, for the next one.
            (events.bytes, events.ends) = (std::mem::take(&mut chunk.entries), std::mem::take(&mut chunk.ends));
        }
        events.clear(MAX_KEPT_BYTES);
        Ok(())
    }

    /// Says what becomes of that which was not delivered. Gives the way to end.
    fn report_end(&mut self, error: &NetError) -> Exit {
        let mut records = self.undelivered + self.batch.iter().map(|events| events.ends.len()).sum::<usize>();
        let (mut again, mut on_disk) = (self.position.is_some(), !self.spool_files.is_empty());
        loop {
            match self.messages.try_recv() {
                Ok(Message::Batch(out, position)) => {
                    records += out.events.iter().map(|events| events.ends.len()).sum::<usize>();
                    again |= position.is_some();
                }
                Ok(Message::OnDisk(_)) => on_disk = true,
                Ok(Message::Flush) => {}
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        if records == 0 && matches!(error, NetError::Stopped) {
            return Exit::Success;
        }
        let kept = on_disk || again && self.saver.checkpoint.is_kept();
        let fate = if kept {
            "the next run delivers them"
        } else {
            "nothing remembers how far the input was read; a file can be read again, what came through a pipe is lost"
        };
        diagnostics::report(format_args!("{error}; {records} records in hand are not delivered: {fate}"));
        match error {
            NetError::Stopped if kept => Exit::Success,
            NetError::Stopped => Exit::Io,
            error => Exit::from(error),
        }
    }
}

/// A position and what came after it: of a journal the last one counts, of files each one's last.
fn merge_positions(before: Option<Position>, next: Position) -> Position {
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

/// The chunks of a tag: one, unless it has more bytes than receivers take. The events are gone from where they were.
fn split_into_chunks(events: &mut Events, largest: usize) -> Vec<Chunk> {
    let (bytes, ends) = (std::mem::take(&mut events.bytes), std::mem::take(&mut events.ends));
    if ends.is_empty() {
        return Vec::new();
    }
    if bytes.len() <= largest {
        return vec![new_chunk(&events.tag, bytes, ends)];
    }
    let mut chunks = Vec::new();
    let (mut rest, mut start) = (ends.as_slice(), 0);
    while !rest.is_empty() {
        // An event is never larger than a chunk may be.
        let count = rest.partition_point(|end| end - start <= largest).max(1);
        let (own, behind) = rest.split_at(count);
        let end = own.last().copied().unwrap_or(start);
        let own = own.iter().map(|end| end - start).collect();
        chunks.push(new_chunk(&events.tag, bytes.get(start..end).unwrap_or_default().to_vec(), own));
        (rest, start) = (behind, end);
    }
    chunks
}

/// A chunk, with the id that its content gives it.
fn new_chunk(tag: &[u8], entries: Vec<u8>, ends: Vec<usize>) -> Chunk {
    let mut hash = SipHasher13::new();
    hash.write(tag);
    hash.write(&[0]);
    hash.write(&entries);
    Chunk { tag: tag.to_vec(), entries, ends, id: hash.finish128().as_bytes() }
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
        assert_eq!((&whole[0].entries, &whole[0].ends), (&events.bytes, &events.ends));
        let parts = of(11);
        let texts: Vec<String> = parts.iter().map(|part| String::from_utf8(part.entries.clone()).unwrap()).collect();
        assert_eq!(texts, ["onetwothree", "4", "a very long one that is alone", "5"]);
        assert_eq!(parts[0].ends, [3, 6, 11]);
        assert_eq!(of(11), parts, "the same content has the same ids");
        assert!(parts.iter().all(|part| part.id != whole[0].id));
        assert!(split_into_chunks(&mut Events::default(), 11).is_empty());
    }
}
