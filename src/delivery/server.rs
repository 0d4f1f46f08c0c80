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
    /// The buffer on disk, for inputs that cannot be read again.
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
    /// The records of a pipeline batch for which the spool's disk has no room.
    BesideSpool(Encoded),
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
    bytes: Arc<AtomicU64>,
    metrics: Arc<DeliveryMetrics>,
    thread: JoinHandle<Delivered>,
    /// The number of records that came after the end of the thread.
    unsent: u64,
    /// The input has positions, so that it can be read again.
    repeatable: bool,
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
            damaged: 0,
            undelivered: 0,
            beside_spool: 0,
        };
        let thread = std::thread::Builder::new().name("delivery".to_owned()).spawn(move || sender.run())?;
        Ok(ServerDelivery { queue: Some(queue), spare, spool, bytes, metrics, thread, unsent: 0, repeatable: false })
    }
}

impl Delivery for ServerDelivery {
    fn deliver(&mut self, out: &mut Encoded, position: Option<Position>) -> Result<(), DeliveryEnd> {
        self.repeatable |= position.is_some();
        let records = metrics::record_count(out);
        let message = match &mut self.spool {
            Some(_) if out.is_empty() => return Ok(()),
            Some(spool) => {
                let records_wait = || self.metrics.snapshot().waiting > 0;
                match spool.add(out, records_wait, || self.thread.is_finished()) {
                    Ok(Spooled::File(file)) => Message::OnDisk(file),
                    Ok(Spooled::InMemory) => Message::BesideSpool(std::mem::take(out)),
                    Ok(Spooled::Dropped) => {
                        self.metrics.set_overflowed(spool.overflowed());
                        return Ok(());
                    }
                    Err(error) => {
                        self.unsent += records;
                        return Err(report_error(&error, Exit::Io));
                    }
                }
            }
            None if out.is_empty() && position.is_none() => return Ok(()),
            None => Message::Batch(std::mem::replace(out, self.spare.try_recv().unwrap_or_default()), position),
        };
        // Records beside the spool keep all others waiting.
        let (is_on_disk, is_urgent) =
            (matches!(message, Message::OnDisk(_)), matches!(message, Message::BesideSpool(_)));
        self.metrics.begin_waiting(records);
        if !self.queue.as_ref().is_some_and(|queue| queue.send(message)) {
            // The thread has reported the reason of its end.
            self.unsent += if is_on_disk { 0 } else { records };
            return Err(DeliveryEnd::Closed);
        }
        if is_urgent {
            self.flush();
        }
        Ok(())
    }

    fn abandon(&mut self, out: &Encoded) {
        self.unsent += metrics::record_count(out);
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
        let delivered = match self.thread.join() {
            Ok(delivered) => delivered,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        let mut end = delivered.end;
        if self.unsent > 0 && !(self.repeatable && delivered.checkpoint.is_kept()) {
            diagnostics::report(format_args!("{} more records in hand are lost", self.unsent));
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
    /// The number of records of the batch that only memory has, although there is a spool.
    beside_spool: u64,
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
                Ok(Message::BesideSpool(out)) => {
                    self.beside_spool += metrics::record_count(&out);
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
        self.beside_spool = 0;
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
        let (mut again, mut on_disk) = (self.position.is_some(), !self.spool_files.is_empty());
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
                Message::BesideSpool(out) => {
                    records += metrics::record_count(&out);
                    self.beside_spool += metrics::record_count(&out);
                }
                Message::Flush => {}
            }
        }
        if records == 0 && !on_disk && matches!(error, NetError::Stopped) {
            return Exit::Success;
        }
        let kept = on_disk || again && self.saver.checkpoint.is_kept();
        let fate = match (kept, self.beside_spool) {
            (true, 0) => "the next run delivers them".to_owned(),
            (true, lost) => format!("the next run delivers those in the spool; {lost} had no room there and are lost"),
            (false, _) => {
                "nothing remembers how far the input was read; a file can be read again, what came through a pipe \
                           is lost"
                    .to_owned()
            }
        };
        diagnostics::report(format_args!("{error}; {records} records in hand are not delivered: {fate}"));
        match error {
            NetError::Stopped if kept && self.beside_spool == 0 => Exit::Success,
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
