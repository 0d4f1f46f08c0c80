//! The status of the process. The loops publish it once a batch, and never wait for readers. Records do not depend on
//! it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::delivery::heartbeat::{self, Heartbeat};
use crate::delivery::{DeliveryMetrics, DeliverySnapshot, SaveMetrics, SaveSnapshot};
use crate::service::file_metrics::FileMetrics;
use crate::service::notify::Notifier;
use crate::service::signals::Signals;
use crate::service::unix_time;
use kata_records::Stats;
use log_clients::{ClientStatus, Counters};

/// A loop without a heartbeat for this time hangs, unless it waits for another party. Idle loops beat once a second.
pub const HUNG_AFTER: Duration = Duration::from_secs(60);

/// A server that acknowledges nothing of a batch for this time takes no records.
const SILENT_AFTER: Duration = Duration::from_secs(30);

/// The time between two notifications of the service manager.
const NOTIFY_INTERVAL: Duration = Duration::from_secs(1);

/// The status that all threads share.
#[derive(Debug)]
pub struct Status {
    notifier: Notifier,
    /// The start of the process, as time since 1970.
    started: Duration,
    reading: Heartbeat,
    ready: AtomicBool,
    stopping: AtomicBool,
    published: Mutex<Published>,
}

/// The counters of this run and the earlier ones.
#[derive(Debug, Default)]
struct Published {
    /// The counters of earlier runs.
    past: Stats,
    past_delivery: DeliverySnapshot,
    past_counters: Counters,
    past_servers: BTreeMap<String, ServerSnapshot>,
    /// The counters of this run.
    stats: Stats,
    /// The metrics of each delivery: one, or one for each server that gets everything.
    metrics: Vec<Arc<DeliveryMetrics>>,
    saves: Arc<SaveMetrics>,
    files: Arc<FileMetrics>,
    /// The input has no more entries at the moment.
    idle: bool,
}

/// The status of the process at one moment.
#[derive(Clone, Debug, Default)]
pub struct StatusSnapshot {
    /// The counters of all runs of the process.
    pub stats: Stats,
    /// The metrics of the delivery, summed over all runs except for waiting records. Without servers, only the number
    /// of records is set.
    pub delivery: DeliverySnapshot,
    /// The counters of the client and the state of its servers; empty without servers.
    pub client: ClientStatus,
    /// The servers that each get everything; none if they share the records.
    pub servers: Vec<ServerSnapshot>,
    /// The metrics of the state file.
    pub saves: SaveSnapshot,
    /// The start of the process, in seconds since 1970.
    pub started: f64,
    /// The time of the last save of the state file, in seconds since 1970. `None` before the first.
    pub saved: Option<f64>,
    /// The time of the last delivery to a server, in seconds since 1970. `None` before the first.
    pub delivered: Option<f64>,
    /// The time since which the oldest record waits for delivery, in seconds since 1970. `None` if no record waits.
    pub waiting_since: Option<f64>,
    /// The time of the last record, in seconds since 1970.
    pub latest: Option<f64>,
    /// The lag in seconds: the larger one of the time that the oldest pending record waits and, while there is more to
    /// read, the age of the last record. 0 when all is read and delivered.
    pub lag: f64,
    /// The number of the deleted files that are open.
    pub held_files: u64,
    /// The size of these files in bytes.
    pub held_bytes: u64,
}

/// One of the servers that each get everything, at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServerSnapshot {
    /// The address without its parameters.
    pub name: String,
    /// The number of records that the server has.
    pub records: u64,
    /// The number of records that were dropped because the server's spool was full.
    pub overflowed: u64,
    /// The number of attempts that failed and were followed by another one.
    pub retries: u64,
    /// The number of records that wait for the server.
    pub waiting: u64,
    /// The time since which the oldest of them waits, in seconds since 1970. `None` if no record waits.
    pub waiting_since: Option<f64>,
    /// The size of the server's spool in bytes, if it has one.
    pub spool_bytes: Option<u64>,
}

impl Default for Status {
    fn default() -> Status {
        Status::new(Notifier::default())
    }
}

impl Status {
    /// Returns the status of a process that has not begun to read.
    #[must_use]
    pub fn new(notifier: Notifier) -> Status {
        let running = heartbeat::uptime();
        Status {
            notifier,
            started: unix_time().saturating_sub(running),
            reading: Heartbeat::default(),
            ready: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            published: Mutex::default(),
        }
    }

    /// Begins another run. `past` has the counters of the earlier runs.
    pub fn begin(&self, past: &Stats) {
        let mut published = self.published();
        let (delivery, client) = published.delivery();
        published.past_servers =
            published.servers(self.started).into_iter().map(|server| (server.name.clone(), server)).collect();
        published.past = past.clone();
        published.past_delivery =
            DeliverySnapshot { waiting: 0, waiting_since: None, sending_since: None, spool_bytes: None, ..delivery };
        published.past_counters = client.counters;
        (published.stats, published.metrics, published.idle) = (Stats::default(), Vec::new(), false);
        published.files = Arc::default();
    }

    /// Returns the metrics of the followed files of this run.
    #[must_use]
    pub fn files(&self) -> Arc<FileMetrics> {
        Arc::clone(&self.published().files)
    }

    /// Adds the metrics of the delivery to servers: one, or one for each server that gets everything.
    pub fn watch_delivery(&self, metrics: Vec<Arc<DeliveryMetrics>>) {
        self.published().metrics = metrics;
    }

    /// Adds the metrics of the state file.
    pub fn watch_saves(&self, metrics: Arc<SaveMetrics>) {
        self.published().saves = metrics;
    }

    /// Reports progress of the reading loop, with its input open. If `may_wait` is set, the next read may block for any
    /// time.
    pub fn reading_continues(&self, may_wait: bool) {
        self.reading.beat();
        if may_wait {
            self.reading.wait();
        }
        if !self.ready.load(Ordering::Acquire) {
            self.notifier.notify("READY=1");
            self.ready.store(true, Ordering::Release);
        }
    }

    /// Reports that the reading loop may wait for the receiver.
    pub fn reading_waits(&self) {
        self.reading.wait();
    }

    /// Publishes the counters of the run, and the number of bytes that the receiver has. If `idle` is set, there are no
    /// further entries right now.
    pub fn publish(&self, stats: &Stats, bytes: u64, idle: bool) {
        let mut published = self.published();
        published.stats.clone_from(stats);
        published.stats.delivered(bytes);
        published.idle = idle;
    }

    /// Reports the start of a reload. The next [`Status::reading_continues`] reports its end.
    pub fn reloading(&self) {
        self.notifier.reloading();
        self.ready.store(false, Ordering::Release);
    }

    /// Reports the end of the process.
    pub fn stopping(&self) {
        if !self.stopping.swap(true, Ordering::AcqRel) {
            self.notifier.notify("STOPPING=1");
        }
    }

    /// Returns true if no loop hangs.
    #[must_use]
    pub fn is_alive(&self, within: Duration) -> bool {
        let metrics = self.published().metrics.clone();
        let mut deliveries = metrics.iter().map(|metrics| metrics.shutdown().heartbeat());
        self.reading.is_alive(within) && deliveries.all(|heartbeat| heartbeat.is_alive(within))
    }

    /// Returns the reason why records are not delivered, or `None`.
    #[must_use]
    pub fn not_ready_reason(&self) -> Option<Cow<'static, str>> {
        if self.stopping.load(Ordering::Acquire) {
            return Some("it ends".into());
        }
        if !self.ready.load(Ordering::Acquire) {
            return Some("no input is open yet".into());
        }
        let published = self.published();
        if published.saves.snapshot().failing {
            return Some("the position cannot be saved in --state-dir".into());
        }
        let now = heartbeat::uptime_millis();
        let mut stuck = published.metrics.iter().filter_map(|metrics| {
            let client = metrics.servers().read();
            let reason = stuck_reason(&metrics.snapshot(), &client, now)?;
            // With several deliveries each has one server.
            let server = client.servers.first().filter(|_| published.metrics.len() > 1);
            Some(server.map_or(reason.of_all().into(), |server| reason.of_one(&server.name).into()))
        });
        stuck.next()
    }

    /// Returns the current status.
    #[must_use]
    pub fn snapshot(&self) -> StatusSnapshot {
        let published = self.published();
        let (delivery, client) = published.delivery();
        let mut stats = published.past.clone();
        stats.merge(&published.stats);
        // The counters of earlier runs include these already.
        stats.refused(delivery.refused - published.past_delivery.refused);
        stats.overflowed(delivery.overflowed - published.past_delivery.overflowed);
        published.files.add_to(&mut stats);
        let ((held_files, held_bytes), idle) = (published.files.held(), published.idle);
        let (saves, servers) = (published.saves.snapshot(), published.servers(self.started));
        drop(published);
        let wall = |millis| wall_time(self.started, millis);
        let latest = stats.latest().and_then(|stamp| stamp.unix());
        let latest = latest.map(|time| time.seconds as f64 + f64::from(time.nanos) / 1e9);
        let age = latest.filter(|_| !idle).map_or(0.0, |latest| unix_time().as_secs_f64() - latest);
        let waiting = delivery.waiting_since.map_or(0, |since| heartbeat::uptime_millis().saturating_sub(since));
        let lag = age.max(Duration::from_millis(waiting).as_secs_f64());
        let (started, delivered) = (self.started.as_secs_f64(), delivery.last_delivery.map(wall));
        let (saved, waiting_since) = (saves.last.map(wall), delivery.waiting_since.map(wall));
        StatusSnapshot {
            stats,
            delivery,
            client,
            servers,
            saves,
            started,
            saved,
            delivered,
            waiting_since,
            latest,
            lag,
            held_files,
            held_bytes,
        }
    }

    fn published(&self) -> MutexGuard<'_, Published> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Published {
    /// Returns the metrics of all runs, and the state of the current client with the counters of all.
    fn delivery(&self) -> (DeliverySnapshot, ClientStatus) {
        let current = self.metrics.iter().map(|metrics| (metrics.snapshot(), metrics.servers().read()));
        let both = |(delivery, client): (DeliverySnapshot, ClientStatus), other: (DeliverySnapshot, ClientStatus)| {
            (delivery.plus(other.0), client.plus(other.1))
        };
        let Some((current, client)) = current.reduce(both) else {
            let records = self.past_delivery.records + self.stats.written();
            return (
                DeliverySnapshot { records, ..self.past_delivery },
                ClientStatus { counters: self.past_counters, ..ClientStatus::default() },
            );
        };
        let past = &self.past_delivery;
        let total = DeliverySnapshot {
            records: past.records + current.records,
            chunks: past.chunks + current.chunks,
            refused: past.refused + current.refused,
            overflowed: past.overflowed + current.overflowed,
            last_delivery: current.last_delivery.or(past.last_delivery),
            ..current
        };
        let counters = self.past_counters.plus(&client.counters);
        (total, ClientStatus { counters, ..client })
    }

    /// Returns the servers that each get everything, with the counters of all runs. `started` is the start of the
    /// process, as time since 1970.
    fn servers(&self, started: Duration) -> Vec<ServerSnapshot> {
        let one = |metrics: &Arc<DeliveryMetrics>| {
            let (delivery, client) = (metrics.snapshot(), metrics.servers().read());
            let name = client.servers.first().map(|server| server.name.clone()).unwrap_or_default();
            let past = self.past_servers.get(&name).cloned().unwrap_or_default();
            ServerSnapshot {
                name,
                records: past.records + delivery.records,
                overflowed: past.overflowed + delivery.overflowed,
                retries: past.retries + client.counters.retries.total(),
                waiting: delivery.waiting,
                waiting_since: delivery.waiting_since.map(|since| wall_time(started, since)),
                spool_bytes: delivery.spool_bytes,
            }
        };
        if self.metrics.len() > 1 { self.metrics.iter().map(one).collect() } else { Vec::new() }
    }
}

/// Returns a time in seconds since 1970, from the uptime in milliseconds and the start of the process.
fn wall_time(started: Duration, millis: u64) -> f64 {
    (started + Duration::from_millis(millis)).as_secs_f64()
}

/// The reason why waiting records do not reach a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StuckReason {
    Failing,
    Silent,
}

impl StuckReason {
    /// Returns the reason if any server may take the records.
    fn of_all(self) -> &'static str {
        match self {
            StuckReason::Failing => "no server takes what waits",
            StuckReason::Silent => "no server has acknowledged anything for 30 s",
        }
    }

    /// Returns the reason if this server has to take the records.
    fn of_one(self, server: &str) -> String {
        match self {
            StuckReason::Failing => format!("{server} takes nothing of what waits"),
            StuckReason::Silent => format!("{server} has acknowledged nothing for 30 s"),
        }
    }
}

/// Returns the reason why waiting records do not reach a server at this uptime, or `None`.
fn stuck_reason(delivery: &DeliverySnapshot, client: &ClientStatus, now: u64) -> Option<StuckReason> {
    if client.failing && delivery.waiting > 0 {
        return Some(StuckReason::Failing);
    }
    let sending = Duration::from_millis(now.saturating_sub(delivery.sending_since?));
    let silent = client.last_success.map_or(sending, |last| last.elapsed().min(sending));
    (silent >= SILENT_AFTER).then_some(StuckReason::Silent)
}

/// Writes the line that `systemctl status` shows.
impl fmt::Display for StatusSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records delivered, lag {:.0} s", self.delivery.records, self.lag)?;
        let servers = self.client.servers.iter();
        let up = |wanted| servers.clone().filter(move |server| server.is_up == Some(wanted)).map(|server| &server.name);
        if self.client.failing {
            let away: Vec<&str> = up(false).map(String::as_str).collect();
            write!(f, "; {} records wait, and {} takes none", self.delivery.waiting, away.join(", "))?;
        } else if let Some(name) = up(true).next() {
            write!(f, "; {name} takes them")?;
        }
        Ok(())
    }
}

/// Starts a thread that notifies the service manager as long as the process lives. Does nothing without a manager.
///
/// # Errors
/// If the host cannot start another thread.
pub fn notify_manager(status: &Arc<Status>, signals: &Arc<Signals>) -> std::io::Result<()> {
    if !status.notifier.is_connected() {
        return Ok(());
    }
    let (status, signals) = (Arc::clone(status), Arc::clone(signals));
    let watchdog = status.notifier.watchdog();
    let pause = watchdog.map_or(NOTIFY_INTERVAL, |watchdog| NOTIFY_INTERVAL.min(watchdog / 4));
    let work = move || {
        let (mut last_line, mut started) = (String::new(), false);
        loop {
            let ready = status.ready.load(Ordering::Acquire);
            started |= ready;
            if started && watchdog.is_some_and(|watchdog| status.is_alive(watchdog)) {
                status.notifier.notify("WATCHDOG=1");
            }
            let line = format!("STATUS={}", status.snapshot());
            // The manager keeps the last status, and wakes up for each message.
            if line != last_line && ready {
                status.notifier.notify(&line);
                last_line = line;
            }
            // Short sleeps let the end be reported before the next status.
            let until = heartbeat::uptime() + pause;
            while !signals.is_ending() && heartbeat::uptime() < until {
                std::thread::sleep(pause.min(Duration::from_millis(100)));
            }
            if signals.is_ending() {
                status.stopping();
                std::thread::sleep(pause);
            }
        }
    };
    std::thread::Builder::new().name("status".to_owned()).spawn(work).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::shutdown::WatchedShutdown;
    use log_clients::{ForwardClientSettings, Observer, Receiver, ServerSettings};

    fn metrics() -> Arc<DeliveryMetrics> {
        let servers = vec!["forward://127.0.0.1:1".parse().unwrap()];
        let net = ServerSettings { servers, ..ServerSettings::default() };
        let settings = ForwardClientSettings { net, ..ForwardClientSettings::default() };
        let client = Receiver::Forward(settings).client(Observer::default()).unwrap();
        DeliveryMetrics::new(&*client, Arc::new(WatchedShutdown::default()))
    }

    #[test]
    fn a_hung_thread_is_noticed_whichever_it_is() {
        let (status, metrics) = (Status::default(), metrics());
        let (now, soon) = (Duration::ZERO, Duration::from_secs(3600));
        let later = || std::thread::sleep(Duration::from_millis(3));
        status.watch_delivery(vec![Arc::clone(&metrics)]);
        assert!(status.is_alive(now), "nothing has begun");
        status.reading_continues(false);
        later();
        assert!(status.is_alive(soon) && !status.is_alive(now), "the reading hangs");
        status.reading_waits();
        assert!(status.is_alive(now), "it waits");
        metrics.shutdown().heartbeat().beat();
        later();
        assert!(!status.is_alive(now), "the delivery hangs");
        assert!(status.is_alive(soon));
        metrics.shutdown().heartbeat().wait();
        assert!(status.is_alive(now), "nothing is to be delivered");
        status.reading_continues(true);
        later();
        assert!(status.is_alive(now), "a pipe may say nothing for as long as it wants");
    }

    #[test]
    fn one_of_several_deliveries_that_hangs_is_noticed() {
        let (status, deliveries) = (Status::default(), [metrics(), metrics()]);
        status.watch_delivery(deliveries.to_vec());
        deliveries[0].shutdown().heartbeat().beat();
        std::thread::sleep(Duration::from_millis(3));
        deliveries[1].shutdown().heartbeat().wait();
        assert!(!status.is_alive(Duration::ZERO));
        deliveries[0].shutdown().heartbeat().wait();
        assert!(status.is_alive(Duration::ZERO));
        assert_eq!(status.snapshot().servers.len(), 2);
    }

    #[test]
    fn a_silent_server_is_noticed_before_its_timeout() {
        let client = |failing, last_success| ClientStatus { failing, last_success, ..ClientStatus::default() };
        let delivery = DeliverySnapshot { waiting: 1, sending_since: Some(1000), ..DeliverySnapshot::default() };
        let now = std::time::Instant::now();
        assert_eq!(stuck_reason(&delivery, &client(false, None), 30_999), None);
        assert_eq!(stuck_reason(&delivery, &client(false, None), 31_000), Some(StuckReason::Silent));
        assert_eq!(stuck_reason(&delivery, &client(false, Some(now)), 31_000), None, "a slow server acknowledges");
        assert_eq!(stuck_reason(&delivery, &client(true, Some(now)), 1000), Some(StuckReason::Failing));
        let idle = DeliverySnapshot { sending_since: None, ..delivery };
        assert_eq!(stuck_reason(&idle, &client(false, None), 1_000_000), None, "records wait for a full batch");
    }

    #[test]
    fn runs_add_up() {
        let status = Status::default();
        assert_eq!(status.not_ready_reason().as_deref(), Some("no input is open yet"));
        let mut stats = Stats::default();
        (stats.written, stats.passed) = (1, 1);
        status.reading_continues(false);
        status.publish(&stats, 10, true);
        assert_eq!(status.snapshot().to_string(), "1 records delivered, lag 0 s");
        let mut past = stats.clone();
        past.delivered(10);
        status.begin(&past);
        status.publish(&stats, 5, true);
        let look = status.snapshot();
        assert_eq!((look.delivery.records, look.stats.written()), (2, 2));
        assert!(look.stats.totals().contains(&("bytes_out", 15)));
        assert_eq!((look.lag, status.not_ready_reason()), (0.0, None));
        status.reloading();
        assert!(status.not_ready_reason().is_some());
        status.reading_continues(false);
        status.stopping();
        assert_eq!(status.not_ready_reason().as_deref(), Some("it ends"));
    }
}
