//! The delivery to servers. Its thread collects records into batches, sends them, and moves the checkpoint.
//!
//! All records of a batch are sent before the next batch, in one chunk for each tag. So the order of a tag is kept, and
//! one position stands for the whole batch.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use log_clients::{Chunk, Client, NetError};

use super::heartbeat::uptime_millis;
use super::metrics::{self, DeliveryMetrics};
use super::refused::{RefusedFile, RefusedPlace};
use super::shutdown::ShutdownSignal;
use super::spool::{Spool, SpoolFile, Spooled};
use super::{BatchLimits, CheckpointSaver, Delivered, Delivery, DeliveryEnd, IDLE_SAVE_INTERVAL, report_error};
use crate::delivery::checkpoint::Checkpoint;
use crate::diagnostics;
use crate::exit::Exit;
use crate::source::position::Position;
use kata_records::{Encoded, Events};

/// The maximum number of pipeline batches in the queue between the two threads.
const MAX_QUEUED_BATCHES: usize = 2;

/// The number of tags whose buffers are kept for the next batch.
const MAX_KEPT_TAGS: usize = 64;

/// The maximum size of buffers that are kept.
const MAX_KEPT_BYTES: usize = 4 << 20;

/// The parts of a delivery to servers.
#[derive(Debug)]
pub struct ServerDeliveryConfig {
    /// The servers.
    pub client: Box<dyn Client>,
    /// The limits of a batch.
    pub limits: BatchLimits,
    /// The file for records that no server accepts.
    pub refused: Option<RefusedPlace>,
    /// The buffer on disk, for inputs that cannot be read again or may be deleted before.
    pub spool: Option<Spool>,
    /// The shutdown signal of the run.
    pub shutdown: Arc<ShutdownSignal>,
    /// The metrics of the delivery, for other threads.
    pub metrics: Arc<DeliveryMetrics>,
}

/// A message from the pipeline to the delivering thread.
enum Message {
    /// The records of a pipeline batch.
    Batch(Encoded, Option<Position>),
    /// The records of a pipeline batch, in a file of the spool.
    OnDisk(SpoolFile),
    /// The records of a pipeline batch for which the spool's disk has no room, and true if they can be read again.
    BesideSpool(Encoded, bool),
    /// A request to send pending records.
    Flush,
}

/// The pipeline's side of the delivery.
#[derive(Debug)]
pub struct ServerDelivery {
    queue: Option<Queue>,
    /// Buffers that can be filled again.
    spare: Receiver<Encoded>,
    spool: Option<Spool>,
    spooled: SpooledPosition,
    /// The number of records that only memory has, although there is a spool.
    beside_spool: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
    metrics: Arc<DeliveryMetrics>,
    thread: JoinHandle<Delivered>,
    /// The number of records that came after the end of the thread.
    unsent: u64,
    /// The input has positions, so that it can be read again.
    repeatable: bool,
}

/// The position of an input whose records are in the spool. It moves when the limits of a batch are reached.
#[derive(Debug)]
struct SpooledPosition {
    saver: CheckpointSaver,
    limits: BatchLimits,
    position: Option<Position>,
    /// The number of bytes since the position moved, and the time of that move.
    bytes: usize,
    moved: Instant,
}

impl SpooledPosition {
    fn add(&mut self, bytes: usize, position: Option<Position>) {
        self.bytes += bytes;
        if let Some(position) = position {
            self.position = Some(merge_positions(self.position.take(), position));
        }
    }

    /// Moves the position if it is due, or at once with `now`.
    fn save(&mut self, spool: &mut Spool, now: bool) {
        let age = if self.bytes > 0 { self.limits.age } else { IDLE_SAVE_INTERVAL };
        let due = now || self.bytes >= self.limits.size || self.moved.elapsed() >= age;
        if !due || self.position.is_none() {
            return;
        }
        match spool.sync() {
            Ok(()) => {
                self.position.take().into_iter().for_each(|position| self.saver.checkpoint.advance(position));
                self.saver.save();
            }
            Err(error) => diagnostics::report(format_args!("--spool: cannot sync the files: {error}")),
        }
        (self.bytes, self.moved) = (0, Instant::now());
    }
}

/// A bounded queue, or an unbounded one if the spool has the limit.
#[derive(Debug)]
enum Queue {
    Bounded(SyncSender<Message>),
    Unbounded(Sender<Message>),
}

impl Queue {
    /// Returns false if the receiving thread has ended.
    fn send(&self, message: Message) -> bool {
        match self {
            Queue::Bounded(queue) => queue.send(message).is_ok(),
            Queue::Unbounded(queue) => queue.send(message).is_ok(),
        }
    }
}

impl ServerDelivery {
    /// Starts the delivering thread.
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
        // Records of an earlier run come first. The queue takes them before the thread runs.
        for left in spool.as_mut().map(Spool::take_leftovers).unwrap_or_default() {
            queue.send(Message::OnDisk(left));
        }
        let saver = CheckpointSaver::new(checkpoint.clone());
        let spooled = SpooledPosition { saver, limits, position: None, bytes: 0, moved: Instant::now() };
        let (returned, spare) = channel();
        let (bytes, beside_spool) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
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
            damaged: 0,
            undelivered: 0,
            beside_spool: Arc::clone(&beside_spool),
            beside_in_batch: 0,
            repeatable: false,
        };
        let thread = std::thread::Builder::new().name("delivery".to_owned()).spawn(move || sender.run())?;
        Ok(ServerDelivery {
            queue: Some(queue),
            spare,
            spool,
            spooled,
            beside_spool,
            bytes,
            metrics,
            thread,
            unsent: 0,
            repeatable: false,
        })
    }
}

impl ServerDelivery {
    fn deliver_to_spool(&mut self, out: &mut Encoded, position: Option<Position>) -> Result<(), DeliveryEnd> {
        let Some(spool) = &mut self.spool else { return Ok(()) };
        if position.is_some() {
            spool.keep_positions();
        }
        let (bytes, records) = (out.len(), metrics::record_count(out));
        if bytes > 0 {
            let records_wait = || self.metrics.snapshot().waiting > 0;
            match spool.add(out, records_wait, || self.thread.is_finished()) {
                Ok(Spooled::File(file)) => self.send(Message::OnDisk(file), records)?,
                Ok(Spooled::InMemory) => {
                    self.beside_spool.fetch_add(records, Ordering::Relaxed);
                    let message = Message::BesideSpool(std::mem::take(out), self.repeatable);
                    self.send(message, records).inspect_err(|_| {
                        self.beside_spool.fetch_sub(records, Ordering::Relaxed);
                    })?;
                    // They keep all others waiting.
                    self.flush();
                }
                Ok(Spooled::Dropped) => self.metrics.set_overflowed(spool.overflowed()),
                Err(error) => {
                    self.unsent += records;
                    return Err(report_error(&error, Exit::Io));
                }
            }
        }
        self.spooled.add(bytes, position);
        self.save_position(false);
        Ok(())
    }

    /// Moves the position of an input whose records are in the spool. It stays while only memory has some of them.
    fn save_position(&mut self, now: bool) {
        if let Some(spool) = &mut self.spool
            && self.beside_spool.load(Ordering::Relaxed) == 0
        {
            self.spooled.save(spool, now);
        }
    }

    /// Sends a message with records to the delivering thread.
    fn send(&mut self, message: Message, records: u64) -> Result<(), DeliveryEnd> {
        let is_in_memory = !matches!(message, Message::OnDisk(_));
        self.metrics.begin_waiting(records);
        if self.queue.as_ref().is_some_and(|queue| queue.send(message)) {
            return Ok(());
        }
        // The thread has reported the reason of its end.
        self.unsent += if is_in_memory { records } else { 0 };
        Err(DeliveryEnd::Closed)
    }
}

impl Delivery for ServerDelivery {
    fn deliver(&mut self, out: &mut Encoded, position: Option<Position>) -> Result<(), DeliveryEnd> {
        self.repeatable |= position.is_some();
        if self.spool.is_some() {
            return self.deliver_to_spool(out, position);
        }
        if out.is_empty() && position.is_none() {
            return Ok(());
        }
        let (records, spare) = (metrics::record_count(out), self.spare.try_recv().unwrap_or_default());
        self.send(Message::Batch(std::mem::replace(out, spare), position), records)
    }

    fn abandon(&mut self, out: &Encoded) {
        self.unsent += metrics::record_count(out);
    }

    fn idle(&mut self) {
        self.save_position(false);
    }

    fn flush(&mut self) {
        self.save_position(true);
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
        let delivered = match self.thread.join() {
            Ok(delivered) => delivered,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        let beside = self.beside_spool.load(Ordering::Relaxed);
        if let Some(spool) = self.spool.as_mut().filter(|_| beside == 0) {
            self.spooled.save(spool, true);
        }
        let lost = self.unsent + beside;
        let mut end = delivered.end;
        if lost > 0 && !(self.repeatable && delivered.checkpoint.is_kept()) {
            diagnostics::report(format_args!("{lost} records in hand are lost"));
            if matches!(end, None | Some(DeliveryEnd::Failed(Exit::Success))) {
                end = Some(DeliveryEnd::Failed(Exit::Lost));
            }
        }
        Delivered { overflowed, end, ..delivered }
    }
}

/// The delivering thread's side.
struct BatchSender {
    messages: Receiver<Message>,
    spare: Sender<Encoded>,
    client: Box<dyn Client>,
    limits: BatchLimits,
    saver: CheckpointSaver,
    refused_file: RefusedFile,
    shutdown: Arc<ShutdownSignal>,
    /// The batch: records by tag, their size, the time of the first record, and the position after the last one.
    batch: Vec<Events>,
    size: usize,
    since: Option<Instant>,
    position: Option<Position>,
    /// Files of the spool with records of the batch.
    spool_files: Vec<SpoolFile>,
    bytes: Arc<AtomicU64>,
    metrics: Arc<DeliveryMetrics>,
    refused: u64,
    /// The number of records that damage of the spool has cost.
    damaged: u64,
    /// The number of records in chunks that could not be delivered.
    undelivered: usize,
    /// The number of records that only memory has, although there is a spool, and of those in the batch.
    beside_spool: Arc<AtomicU64>,
    beside_in_batch: u64,
    /// These records can be read again.
    repeatable: bool,
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
        self.spool_files.drain(..).for_each(SpoolFile::delete);
        self.beside_spool.fetch_sub(std::mem::take(&mut self.beside_in_batch), Ordering::Relaxed);
        Ok(())
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
        diagnostics::report(format_args!("{error}; {records} records in hand are not delivered: {fate}"));
        match error {
            NetError::Stopped if kept => Exit::Success,
            NetError::Stopped => Exit::Lost,
            error => Exit::from(error),
        }
    }
}

/// Merges two positions. The newer one replaces a position in journals, and the positions of its files.
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

    /// A client that delivers once the other side of its channel is gone.
    #[derive(Debug)]
    struct Blocked {
        released: Receiver<()>,
        inner: Box<dyn Client>,
    }

    impl Client for Blocked {
        fn deliver(
            &mut self,
            _chunk: &Chunk,
            _shutdown: &dyn log_clients::Shutdown,
        ) -> Result<Vec<log_clients::Refused>, NetError> {
            let _ = self.released.recv();
            Ok(Vec::new())
        }

        fn status(&self) -> log_clients::StatusHandle {
            self.inner.status()
        }

        fn counters(&self) -> &log_clients::Counters {
            self.inner.counters()
        }
    }

    #[test]
    fn the_metrics_say_since_when_a_batch_is_sent() {
        let (release, released) = channel();
        let net = log_clients::ServerSettings::new(["forward://127.0.0.1:1".parse().unwrap()]);
        let settings = log_clients::ForwardClientSettings { net, ..log_clients::ForwardClientSettings::default() };
        let inner = log_clients::Receiver::Forward(settings).client(log_clients::Observer::default()).unwrap();
        let client = Box::new(Blocked { released, inner });
        let metrics = DeliveryMetrics::new(&*client, Arc::default());
        let config = ServerDeliveryConfig {
            client,
            limits: BatchLimits { size: 1 << 20, age: Duration::from_secs(3600) },
            refused: None,
            spool: None,
            shutdown: Arc::default(),
            metrics: Arc::clone(&metrics),
        };
        let mut delivery = ServerDelivery::start(config, Checkpoint::forgetful()).unwrap();
        let events = Events { tag: b"t".to_vec(), bytes: b"x".to_vec(), ends: vec![1] };
        let mut out = Encoded::default();
        out.events.push(events);
        delivery.deliver(&mut out, None).unwrap();
        assert_eq!(metrics.snapshot().sending_since, None, "the batch is not due");
        delivery.flush();
        let flushed = Instant::now();
        while metrics.snapshot().sending_since.is_none() {
            assert!(flushed.elapsed() < Duration::from_secs(30), "nothing is sent");
            std::thread::yield_now();
        }
        drop(release);
        assert!(Box::new(delivery).finish().end.is_none());
        assert_eq!(metrics.snapshot().sending_since, None);
    }

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
