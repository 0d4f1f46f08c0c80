//! The delivery to servers: the pipeline's side, which queues records for the thread that sends them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use log_clients::Client;

use super::batch_sender::{BatchSender, Message, merge_positions};
use super::metrics::{self, DeliveryMetrics};
use super::refused::RefusedFile;
use super::shutdown::WatchedShutdown;
use super::spool::{Spool, Spooled};
use super::{BatchLimits, CheckpointSaver, Delivered, Delivery, DeliveryEnd, IDLE_SAVE_INTERVAL, report_error};
use crate::delivery::checkpoint::Checkpoint;
use crate::diagnostics;
use crate::exit::Exit;
use crate::source::position::Position;
use kata_records::Encoded;

/// The maximum number of pipeline batches in the queue between the two threads.
const MAX_QUEUED_BATCHES: usize = 2;

/// The parts of a delivery to servers.
#[derive(Debug)]
pub struct ServerDeliveryConfig {
    /// The servers.
    pub client: Box<dyn Client>,
    /// The limits of a batch.
    pub limits: BatchLimits,
    /// The file for records that no server accepts.
    pub refused_file: RefusedFile,
    /// The buffer on disk, for inputs that cannot be read again or may be deleted before.
    pub spool: Option<Spool>,
    /// The shutdown signal of the run.
    pub shutdown: Arc<WatchedShutdown>,
    /// The metrics of the delivery, for other threads.
    pub metrics: Arc<DeliveryMetrics>,
    /// The name of the server, if others get the same records. Messages begin with it, and a failure of one server ends
    /// the run for all of them.
    pub server: Option<String>,
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
    /// The beginning of messages about one of several servers.
    prefix: String,
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
    /// Returns the position for the file of the next records. It includes all positions that are not saved, because the
    /// files before may be delivered and deleted.
    fn in_file(&self, spool: &Spool, position: Option<&Position>) -> Option<Vec<u8>> {
        let own = self.position.clone();
        let merged = match position {
            Some(position) => merge_positions(own, position.clone()),
            None => own?,
        };
        spool.positions().serialized(merged)
    }

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
                let mut moved = spool.positions().moved.lock().unwrap_or_else(PoisonError::into_inner);
                self.position.iter().cloned().for_each(|position| self.saver.checkpoint.advance(position));
                *moved = spool.next_number();
                // Without a save, the position stays in the next files.
                if self.saver.save().is_none() {
                    self.position = None;
                }
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
        let ServerDeliveryConfig { client, limits, refused_file, mut spool, shutdown, metrics, server } = config;
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
        let prefix = server.as_ref().map(|server| format!("{server}: ")).unwrap_or_default();
        let sender = BatchSender {
            messages,
            spare: returned,
            client,
            limits,
            saver: CheckpointSaver::new(checkpoint),
            refused_file,
            shutdown,
            batch: Vec::new(),
            size: 0,
            since: None,
            position: None,
            spool_files: Vec::new(),
            spooled_position: None,
            bytes: Arc::clone(&bytes),
            metrics: Arc::clone(&metrics),
            refused: 0,
            damaged: 0,
            undelivered: 0,
            beside_spool: Arc::clone(&beside_spool),
            beside_in_batch: 0,
            repeatable: false,
            server,
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
            prefix,
        })
    }

    /// Sends no more records, so that the thread ends when it has delivered all. [`Delivery::finish`] waits for it.
    pub(super) fn close(&mut self) {
        self.queue = None;
    }

    /// Writes records to the spool. If its disk is full and nothing else waits, passes them through memory.
    fn deliver_to_spool(&mut self, out: &mut Encoded, position: Option<Position>) -> Result<(), DeliveryEnd> {
        let Some(spool) = &mut self.spool else { return Ok(()) };
        if position.is_some() {
            spool.keep_positions();
        }
        let (mut bytes, records) = (out.len(), metrics::record_count(out));
        if bytes > 0 {
            // Records that only memory has are lost by a kill.
            let covers = self.beside_spool.load(Ordering::Relaxed) == 0;
            let stored = if covers { self.spooled.in_file(spool, position.as_ref()) } else { None };
            // Many positions are saved earlier, so that files do not repeat them without end.
            bytes += stored.as_ref().map_or(0, Vec::len);
            let records_wait = || self.metrics.snapshot().waiting > 0;
            match spool.add(out, stored.as_deref(), records_wait, || self.thread.is_finished()) {
                Ok(Spooled::File(file)) => self.send(Message::OnDisk(file), records)?,
                Ok(Spooled::InMemory) => {
                    // The position stays until these records are delivered.
                    self.save_position(true);
                    self.beside_spool.fetch_add(records, Ordering::Relaxed);
                    let message = Message::BesideSpool(std::mem::take(out), self.repeatable);
                    self.send(message, records).inspect_err(|_| {
                        self.beside_spool.fetch_sub(records, Ordering::Relaxed);
                    })?;
                    // Records beside the spool keep all others waiting.
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
        self.close();
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
            diagnostics::report(format_args!("{}{lost} records in hand are lost", self.prefix));
            if matches!(end, None | Some(DeliveryEnd::Failed(Exit::Success))) {
                end = Some(DeliveryEnd::Failed(Exit::Lost));
            }
        }
        Delivered { overflowed, end, ..delivered }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kata_records::Events;
    use log_clients::{Chunk, NetError};

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
            refused_file: RefusedFile::new(None),
            spool: None,
            shutdown: Arc::default(),
            metrics: Arc::clone(&metrics),
            server: None,
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
}
