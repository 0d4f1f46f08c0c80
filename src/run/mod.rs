//! The loop of a run: fill batches, process them, deliver their records. Inputs are read one after the other. Records
//! leave in the order of the inputs, on any number of threads.

mod file_reports;
mod plan;
mod large_values;
mod ordered_pool;
mod parallel_journal;
mod tally;
mod unchanged;
mod verdict;

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use kata_records::filter::FilterState;
use kata_records::findings::Errors;
use kata_records::{Batch, Chunk, Encoded, Stats, UnixTime, Worker};
use rayon::ThreadPool;

use crate::delivery::checkpoint::Checkpoint;
use crate::delivery::shutdown::ShutdownSignal;
use crate::delivery::{Delivery, DeliveryEnd};
use crate::diagnostics::{self, InputSummary, StatsFormat};
use crate::exit::Exit;
use crate::service::file_metrics::FileMetrics;
use crate::service::signals::Signals;
use crate::service::status::Status;
use crate::service::unix_time;
use crate::source::position::Position;
use crate::source::{self, Event, Fill, Filled, Group, HeldFile, JournalSettings, Member, Opened, Source, SourceError};
use file_reports::FileReports;
use ordered_pool::OrderedPool;
use parallel_journal::JournalProgress;
use tally::Tally;
use unchanged::unchanged_inputs;
use verdict::complaints;

pub use plan::Plan;

/// The result of a run.
#[derive(Debug)]
pub struct Outcome {
    /// The exit code of the program.
    pub exit: Exit,
    /// The counters of all inputs.
    pub stats: Stats,
    /// The errors that the host reports, if the run may end with counters.
    pub errors: Errors,
    /// A summary of each input.
    pub inputs: Vec<InputSummary>,
    /// Progress was shown.
    pub progress: bool,
    /// The reader of the output closed it early, so the counters say nothing about the inputs.
    pub closed: bool,
    /// The run ended only to reload the configuration.
    pub reload: bool,
    /// The positions that the delivery has reached.
    pub checkpoint: Checkpoint,
    /// The deleted files that the run held open, for a run after a reload.
    pub held: Vec<HeldFile>,
}

/// The number of batches per thread. Processing times vary, so an idle thread needs another batch that waits.
const BATCHES_PER_THREAD: usize = 4;

/// Time for pending deliveries before a new configuration takes effect.
const RELOAD: Duration = Duration::from_secs(2);

/// A reason to end a run before its inputs end.
enum StopReason {
    /// The delivery accepts no more records.
    Delivery(DeliveryEnd),
    /// A signal requested shutdown.
    Asked,
    /// A signal requested a reload of the configuration.
    Reload,
}

/// A batch, its worker and its records. Slots are reused.
struct Slot<'r> {
    batch: Batch,
    /// The position of the input after the batch.
    position: Option<Position>,
    /// Events of the input during the filling.
    events: Vec<Event>,
    /// The error that ended the input after the batch.
    failure: Option<SourceError>,
    worker: Worker<'r>,
    chunk: Chunk,
}

/// The thread pool and the slots for batches.
struct Workers<'r> {
    slots: Vec<Slot<'r>>,
    /// `None` if the caller's thread does all work.
    pool: Option<ThreadPool>,
}

/// The requests of the host, and the status of the run for the host.
struct Control<'r> {
    signals: &'r Signals,
    status: &'r Status,
    files: Arc<FileMetrics>,
    shutdown: Arc<ShutdownSignal>,
    /// The form of the counters that SIGUSR1 prints.
    format: StatsFormat,
}

struct Run<'r> {
    plan: &'r Plan<'r>,
    workers: Workers<'r>,
    delivery: Box<dyn Delivery>,
    control: Control<'r>,
    tally: Tally,
    /// The inputs that an earlier run has read to their present ends.
    unchanged: Vec<String>,
    /// The deleted files that the inputs held open at their ends.
    held: Vec<HeldFile>,
    /// The last decisions of the filters in the current input.
    filter: FilterState,
}

/// Reads all inputs and delivers their records. Failures are reported as they occur. After a failure of one input the
/// next input is read.
pub fn run(plan: &Plan<'_>, delivery: Box<dyn Delivery>, signals: &Signals, status: &Status) -> Outcome {
    let mut run = Run {
        plan,
        workers: Workers::new(plan),
        delivery,
        control: Control {
            signals,
            status,
            files: status.files(),
            shutdown: signals.current_shutdown(),
            format: plan.stats.unwrap_or(StatsFormat::Text),
        },
        tally: Tally::new(plan),
        unchanged: Vec::new(),
        held: Vec::new(),
        filter: FilterState::default(),
    };
    let stop = run.read_inputs().err();
    let Run { tally, delivery, unchanged, held, control, .. } = run;
    let ended = tally.end();
    status.reading_waits();
    let delivered = delivery.finish();
    let mut stats = ended.stats;
    stats.leave_out(&delivered.left_out);
    stats.delivered(delivered.bytes);
    stats.refused(delivered.refused);
    stats.overflowed(delivered.overflowed);
    control.files.add_to(&mut stats);
    if delivered.damaged > 0 {
        stats.damage("damaged-spool", delivered.damaged);
    }
    let complaints = complaints(plan, &stats, delivered.earlier);
    // The result of the delivery names the cause, so it precedes the refusal of a batch.
    let end = delivered.end.or(match stop {
        Some(StopReason::Delivery(end)) => Some(end),
        _ => None,
    });
    let reload = matches!(stop, Some(StopReason::Reload));
    let lost = !reload && file_reports::lost_at_end(&held, &delivered.checkpoint, &mut stats);
    let exit = match (end, ended.failure) {
        (Some(DeliveryEnd::Closed), _) => Exit::Success,
        (Some(DeliveryEnd::Failed(exit)), None) | (_, Some(exit)) => exit,
        (None, None) if lost => Exit::Lost,
        (None, None) if complaints.is_empty() => Exit::Success,
        (None, None) => Exit::Unsatisfied,
    };
    if !reload {
        diagnostics::nothing_new(&unchanged);
        let explained = complaints.iter().filter(|_| plan.explain && exit == Exit::Unsatisfied);
        explained.for_each(|complaint| diagnostics::report(format_args!("{complaint}")));
    }
    Outcome {
        exit,
        stats,
        errors: ended.errors,
        inputs: ended.inputs,
        progress: ended.progress,
        closed: end == Some(DeliveryEnd::Closed),
        reload,
        checkpoint: delivered.checkpoint,
        held,
    }
}

impl Run<'_> {
    /// Reads the inputs in order.
    fn read_inputs(&mut self) -> Result<(), StopReason> {
        let groups = self.plan.groups;
        groups.iter().zip(source::distinct_names(groups)).try_for_each(|(group, name)| self.read_input(group, &name))
    }

    /// Reads an input, or several inputs that are one source. Skips inputs that an earlier run has delivered.
    fn read_input(&mut self, group: &Group, name: &str) -> Result<(), StopReason> {
        if !self.delivery.begin_input(group) {
            return Ok(());
        }
        self.workers.slots.iter_mut().for_each(|slot| slot.worker.input(name));
        self.filter = FilterState::default();
        let before = self.tally.begin_input(group);
        let read = self.read_group(group);
        let ended = self.tally.end_input(before);
        read?;
        self.delivery.end_input(ended).map_err(StopReason::Delivery)
    }

    /// Opens and reads one source.
    fn read_group(&mut self, group: &Group) -> Result<(), StopReason> {
        let plan = self.plan;
        let follow = plan.journal.follow;
        let (paths, (mut source, errors)) = match group {
            Group::Stream(input) => return self.read_stream(group, source::open(input, plan.logs, plan.source)),
            Group::Archive(path) => {
                return self.read_stream(group, source::open_archive(path, plan.output, plan.logs, plan.source));
            }
            Group::DirectoryFile(directory, path) => {
                return self
                    .read_stream(group, Ok(source::open_directory_file(directory, path, plan.logs, plan.source)));
            }
            Group::Files(paths) => {
                self.report_ignored_flags(plan.ignored_flags_of_files());
                let held = std::mem::take(&mut *plan.held.lock().unwrap_or_else(PoisonError::into_inner));
                let observer =
                    FileReports { metrics: Arc::clone(&self.control.files), checkpoint: plan.checkpoint.clone() };
                (paths, source::open_files(paths, plan.source, follow, plan.files, &held, Arc::new(observer)))
            }
            Group::Journal(paths) | Group::Machine(_, paths) => {
                self.report_ignored_flags(&plan.journal.ignored_flags());
                // Slices of files have no positions.
                if plan.state_dir.is_none()
                    && let Some(read) = self.read_in_parallel(paths, &[], plan.journal)
                {
                    return read;
                }
                let opened = source::open_journals(paths, plan.journal, plan.source.block, plan.rules);
                (paths, opened)
            }
        };
        if plan.verbose {
            paths.iter().for_each(|path| diagnostics::report(format_args!("reading {path:?}")));
        }
        errors.iter().for_each(|error| self.tally.input_failed(error));
        source.awaited().iter().for_each(|awaited| diagnostics::report(format_args!("{awaited}")));
        let read = self.read(source.as_mut());
        self.held.append(&mut source.held_files());
        read?;
        if plan.once {
            self.unchanged.append(&mut unchanged_inputs(plan, group, source.as_ref(), &self.tally));
        }
        Ok(())
    }

    /// Reports flags for another beginning than the saved position.
    fn report_ignored_flags(&self, flags: &[&str]) {
        if let Some(directory) = self.plan.state_dir.filter(|_| !flags.is_empty()) {
            let flags = flags.join(", ");
            diagnostics::report(format_args!(
                "{flags}: ignored, because {directory:?} has a position to continue from"
            ));
        }
    }

    /// Reads a journal on several threads. Returns `None` if the journal must be read on one thread.
    fn read_in_parallel(
        &mut self,
        paths: &[PathBuf],
        members: &[Member],
        settings: &JournalSettings,
    ) -> Option<Result<(), StopReason>> {
        let plan = self.plan;
        // A record without a level follows the record before it, which slices do not have.
        let is_free = plan.encode.format.is_one_row() && !plan.rules.follows_records_of_journals();
        let pool = self.workers.pool.as_ref().filter(|_| is_free)?;
        let opened = pool.install(|| source::open_slices(paths, members, settings, plan.source.block, plan.rules))?;
        if plan.verbose {
            paths.iter().for_each(|path| diagnostics::report(format_args!("reading {path:?}")));
        }
        let Opened { files, skipped, damages, errors } = opened;
        errors.iter().for_each(|error| self.tally.input_failed(error));
        self.tally.skipped(skipped);
        damages.into_iter().for_each(|damaged| self.tally.damaged(damaged));
        let pool = self.workers.pool.take()?;
        let mut slots = std::mem::take(&mut self.workers.slots);
        let workers = slots.iter_mut().map(|slot| (&mut slot.batch, &mut slot.worker)).take(pool.current_num_threads());
        let read = parallel_journal::read(&pool, files, workers, plan.rules.has_rows(), now, |ordered, progress| {
            self.deliver_ordered(ordered, progress)
        });
        self.workers = Workers { slots, pool: Some(pool) };
        Some(read)
    }

    /// Delivers records that are in the order of the journal.
    fn deliver_ordered(&mut self, ordered: &mut Chunk, progress: JournalProgress) -> Result<(), StopReason> {
        self.handle_signals(false)?;
        self.tally.encoded(ordered, Path::new(""));
        self.tally.take_back(&progress.overcounted);
        self.deliver_records(&mut ordered.out, None)?;
        self.tally.progress(Some(progress.read));
        self.publish(false);
        progress.damages.into_iter().for_each(|damaged| self.tally.damaged(damaged));
        progress.errors.iter().for_each(|error| self.tally.input_failed(error));
        Ok(())
    }

    /// Reads a stream, and then the journals in the stream if the stream is an archive. A pipe may carry an archive
    /// too.
    fn read_stream(
        &mut self,
        group: &Group,
        opened: Result<Box<dyn Source + Send>, SourceError>,
    ) -> Result<(), StopReason> {
        let plan = self.plan;
        if plan.verbose {
            diagnostics::report(format_args!("reading {}", group.quoted()));
        }
        let members = match opened {
            Ok(mut source) => self.read(source.as_mut())?,
            Err(error) => {
                self.tally.input_failed(&error);
                return Ok(());
            }
        };
        if members.is_empty() {
            return Ok(());
        }
        self.tally.holds_journal();
        let settings = plan.journal.of_archive();
        if let Some(read) = self.read_in_parallel(&[], &members, &settings) {
            return read;
        }
        let (mut source, errors) = source::open_members(members, &settings, plan.source.block, plan.rules);
        errors.iter().for_each(|error| self.tally.input_failed(error));
        self.read(source.as_mut()).map(|_| ())
    }

    /// Reads an open source to its end and returns the journals in it. Pending records are delivered before a read that
    /// may block.
    fn read(&mut self, source: &mut dyn Source) -> Result<Vec<Member>, StopReason> {
        if let Some(position) = source.start() {
            // Saving the start position first lets a run that is killed at once start there again.
            self.delivery.deliver(&mut Encoded::default(), Some(position)).map_err(StopReason::Delivery)?;
            self.delivery.flush();
        }
        let (pool, mut free) = (self.workers.pool.take(), std::mem::take(&mut self.workers.slots));
        let read = OrderedPool::run(pool.as_ref(), Slot::work, |ordered| self.drive(source, ordered, &mut free));
        self.workers = Workers { slots: free, pool };
        read
    }

    /// Fills free slots and delivers finished ones, until the source ends or the run has to stop.
    fn drive<'r>(
        &mut self,
        source: &mut dyn Source,
        ordered: &OrderedPool<Slot<'r>>,
        free: &mut Vec<Slot<'r>>,
    ) -> Result<Vec<Member>, StopReason> {
        let (mut fill, mut end) = (Fill::More, Ok(()));
        let mut journals = Vec::new();
        loop {
            while let Some(mut slot) = ordered.take_first() {
                let delivered = self.deliver(source.done(), &mut slot, &mut journals);
                free.push(slot);
                if delivered.is_err() {
                    self.abandon(ordered, free);
                    return delivered.map(|()| journals);
                }
            }
            if fill == Fill::More
                && let Some(mut slot) = free.pop()
            {
                end = self.handle_signals(source.restarts());
                if end.is_err() {
                    // Pending batches are delivered first, because a pipe cannot be read again.
                    fill = Fill::End;
                    continue;
                }
                fill = slot.fill(source);
                ordered.push(slot);
            } else if !ordered.help_or_wait(Slot::work) {
                if fill == Fill::End {
                    return end.map(|()| journals);
                }
                self.delivery.idle();
                self.publish(true);
                fill = Fill::More;
            }
        }
    }

    /// Finishes the slots that cannot be delivered any more, and reports their records.
    fn abandon<'r>(&mut self, ordered: &OrderedPool<Slot<'r>>, free: &mut Vec<Slot<'r>>) {
        loop {
            while let Some(mut slot) = ordered.take_first() {
                self.delivery.abandon(&slot.chunk.out);
                slot.chunk.out.clear(usize::MAX);
                free.push(slot);
            }
            if !ordered.help_or_wait(Slot::work) {
                return;
            }
        }
    }

    /// Serves the signals that came in. Ignores a reload if the source cannot be opened again.
    fn handle_signals(&mut self, restarts: bool) -> Result<(), StopReason> {
        let Control { signals, status, shutdown, format, files } = &self.control;
        status.reading_continues(!restarts);
        if signals.take_flush() {
            self.delivery.flush();
            let mut stats = self.tally.counted();
            stats.delivered(self.delivery.bytes());
            files.add_to(&mut stats);
            diagnostics::summary(&stats, self.tally.errors(), &[], *format);
        }
        if shutdown.is_requested() {
            return Err(StopReason::Asked);
        }
        if signals.take_reload() {
            status.reloading();
            if restarts {
                // The new configuration may replace the receiver, so a receiver that is away gets little time.
                shutdown.request_within(RELOAD);
                return Err(StopReason::Reload);
            }
            diagnostics::report(format_args!(
                "SIGHUP: the configuration is not reloaded, because a pipe cannot be read again; restart katalog to use a \
                 new one"
            ));
        }
        Ok(())
    }

    /// Delivers the records of a slot, and handles its events. Journals are added to `journals`.
    fn deliver(
        &mut self,
        done: Option<u64>,
        slot: &mut Slot<'_>,
        journals: &mut Vec<Member>,
    ) -> Result<(), StopReason> {
        self.control.status.reading_waits();
        if self.plan.rules.follows_records() {
            slot.chunk.resolve(&mut self.filter, &slot.batch.file);
        }
        self.tally.encoded(&mut slot.chunk, &slot.batch.file);
        self.deliver_records(&mut slot.chunk.out, slot.position.take())?;
        self.tally.progress(done);
        for event in slot.events.drain(..) {
            match event {
                Event::Journal(member) => journals.push(member),
                Event::Skipped(skipped) => self.tally.skipped(skipped),
                Event::Damaged(damaged) => self.tally.damaged(damaged),
                Event::Failed(error) => self.tally.input_failed(&error),
                Event::PassedOver(input) => self.tally.passed_over(&input),
                Event::Binary(input) => self.tally.looks_binary(&input),
            }
        }
        slot.failure.take().iter().for_each(|error| self.tally.input_failed(error));
        self.publish(false);
        Ok(())
    }

    /// Delivers records, and reads the values that are too large for them.
    fn deliver_records(&mut self, out: &mut Encoded, position: Option<Position>) -> Result<(), StopReason> {
        let read = large_values::deliver(self.delivery.as_mut(), out, position).map_err(StopReason::Delivery)?;
        self.tally.large_values(&read);
        Ok(())
    }

    fn publish(&self, idle: bool) {
        self.control.status.publish(&self.tally.counted(), self.delivery.bytes(), idle);
    }
}

impl<'r> Workers<'r> {
    fn new(plan: &Plan<'r>) -> Workers<'r> {
        let pool = start_pool(plan.threads);
        let slots = pool.as_ref().map_or(1, |pool| BATCHES_PER_THREAD * pool.current_num_threads());
        let slot = |_| Slot {
            batch: Batch::default(),
            position: None,
            events: Vec::new(),
            failure: None,
            worker: Worker::new(plan.rules),
            chunk: Chunk::default(),
        };
        Workers { slots: (0..slots).map(slot).collect(), pool }
    }
}

impl Slot<'_> {
    /// Fills the batch from the source.
    fn fill(&mut self, source: &mut dyn Source) -> Fill {
        let Filled { fill, failure, position, events } = source.fill(&mut self.batch);
        (self.failure, self.position, self.events) = (failure, position, events);
        self.chunk.out.received = now();
        fill
    }

    fn work(&mut self) {
        self.worker.run(&self.batch, &mut self.chunk);
    }
}

/// Returns the time. Only events without a time of their own show it.
fn now() -> UnixTime {
    let time = unix_time();
    UnixTime { seconds: u32::try_from(time.as_secs()).unwrap_or(u32::MAX).into(), nanos: time.subsec_nanos() }
}

/// Starts the thread pool. Returns `None` for one thread. If the host cannot start threads, one thread does all work.
fn start_pool(threads: usize) -> Option<ThreadPool> {
    if threads < 2 {
        return None;
    }
    match rayon::ThreadPoolBuilder::new().num_threads(threads).build() {
        Ok(pool) => Some(pool),
        Err(error) => {
            diagnostics::report(format_args!("cannot start {threads} threads: {error}; going on with one"));
            None
        }
    }
}
