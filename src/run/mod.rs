//! The one loop: fill, work, deliver. Inputs are read one after the other, and what they give leaves in their order,
//! whatever the number of threads.

mod relay;
mod shards;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rayon::ThreadPool;

use crate::config::Config;
use crate::delivery::checkpoint::Checkpoint;
use crate::delivery::{Delivery, End, Ended};
use crate::diagnostics::{self, Progress, StatsFormat, Summary};
use crate::exit::Exit;
use crate::service::signals::Signals;
use crate::service::status::Status;
use crate::source::position::Position;
use crate::source::{
    self, Damaged, Fill, Group, Input, JournalSettings, Member, Notice, Opened, Skipped, Source, SourceError,
};
use crate::stop;
use kata_records::encode::{Encoded, Encoder};
use kata_records::entry::Batch;
use kata_records::pipeline::{Chunk, Worker};
use kata_records::rules::Rules;
use kata_records::stats::{Dropped, Stats};
use relay::Relay;
use shards::News;

/// How a run went.
#[derive(Debug)]
pub struct Outcome {
    /// How the program ends.
    pub exit: Exit,
    /// The counters of all inputs.
    pub stats: Stats,
    /// What became of each.
    pub inputs: Vec<Summary>,
    /// It was shown how far it was.
    pub progress: bool,
    /// The reader of the output went away before the end, so the counters say nothing about the inputs.
    pub closed: bool,
    /// It ended only because the configuration is to be read anew.
    pub reload: bool,
    /// How far it came.
    pub checkpoint: Checkpoint,
}

/// How many batches there are for each thread that works them off.
const SHARE: usize = 4;

/// How long what is in hand may take before a new configuration holds.
const RELOAD: Duration = Duration::from_secs(2);

/// Why a run ends before its inputs do.
enum Stop {
    /// Nothing more can be delivered.
    Delivery(End),
    /// It is to end.
    Asked,
    /// The configuration is to be read anew.
    Reload,
}

/// A batch, who works on it, and what comes out; all three are used again and again.
struct Slot<'r> {
    batch: Batch,
    /// How far the input is read with the batch.
    position: Option<Position>,
    /// Why nothing can be read behind it.
    failed: Option<SourceError>,
    worker: Worker<'r>,
    chunk: Chunk,
}

struct Run<'r> {
    slots: Vec<Slot<'r>>,
    /// None where one thread does it all.
    pool: Option<ThreadPool>,
    delivery: Delivery,
    signals: &'r Signals,
    status: &'r Status,
    stop: Arc<stop::Stop>,
    /// How the counters are shown when they are asked for.
    format: StatsFormat,
    /// The counters of the input that is being read, and those of all before it.
    stats: Stats,
    before: Stats,
    /// What became of the inputs so far, that one included.
    inputs: Vec<Summary>,
    progress: Progress,
    /// Failures are told with what else is wrong with the input.
    check: bool,
    /// What the first input that failed comes to.
    failure: Option<Exit>,
    /// Say where inputs are damaged.
    verbose: bool,
}

/// Reads all inputs and delivers what they give. Failures are reported as they come; one input's failure does not keep
/// the others from being read.
pub fn run(
    config: &Config,
    rules: &Rules,
    groups: &[Group],
    delivery: Delivery,
    signals: &Signals,
    status: &Status,
) -> Outcome {
    let pool = pool(config.threads.unwrap_or(1));
    // Several for each thread: batches take longer and shorter, and who is done early takes another one.
    let slots = pool.as_ref().map_or(1, |pool| SHARE * pool.current_num_threads());
    let slot = |_| Slot {
        batch: Batch::default(),
        position: None,
        failed: None,
        worker: Worker::new(rules, Encoder::new(&config.records.encode)),
        chunk: Chunk::default(),
    };
    let mut run = Run {
        slots: (0..slots).map(slot).collect(),
        pool,
        delivery,
        signals,
        status,
        stop: signals.stop(),
        format: config.stats.unwrap_or(StatsFormat::Text),
        stats: Stats::default(),
        before: Stats::default(),
        inputs: Vec::new(),
        progress: Progress::new(config.progress, || {
            groups.iter().map(|group| source::size(group, &config.journal)).collect()
        }),
        check: config.check && config.stats.is_some(),
        failure: None,
        verbose: config.records.verbose,
    };
    let mut stop = None;
    for (group, name) in groups.iter().zip(source::names(groups)) {
        stop = run.input(group, &name, config, rules).err();
        if stop.is_some() {
            break;
        }
    }
    let mut stats = run.counted();
    let Run { inputs, progress, failure, delivery, .. } = run;
    let shown = progress.is_shown();
    drop(progress);
    status.wait();
    let delivered = delivery.finish();
    stats.delivered(delivered.bytes);
    stats.refused(delivered.refused);
    stats.overflowed(delivered.overflowed);
    let (written, flawed) = delivered.earlier;
    let unsatisfied = config.strict && flawed + stats.flawed() + stats.damaged() > 0
        || config.fail_if_empty && written + stats.written() == 0;
    // How the delivery ended says more than that it could not be given more.
    let end = delivered.end.or(match stop {
        Some(Stop::Delivery(end)) => Some(end),
        _ => None,
    });
    let exit = match (end, failure) {
        (Some(End::Closed), _) => Exit::Success,
        (Some(End::Failed(exit)), None) | (_, Some(exit)) => exit,
        (None, None) if unsatisfied => Exit::Unsatisfied,
        (None, None) => Exit::Success,
    };
    Outcome {
        exit,
        stats,
        inputs,
        progress: shown,
        closed: end == Some(End::Closed),
        reload: matches!(stop, Some(Stop::Reload)),
        checkpoint: delivered.checkpoint,
    }
}

/// What records are written to.
fn written(config: &Config) -> &Path {
    let named = config.output_dir.as_deref().or(config.output.as_deref());
    named.unwrap_or(Path::new("/dev/stdout"))
}

impl Run<'_> {
    /// Reads an input, or several that are one source, unless an earlier run has delivered it, and notes what became of it.
    fn input(&mut self, group: &Group, name: &str, config: &Config, rules: &Rules) -> Result<(), Stop> {
        if !self.delivery.begin_input(group) {
            return Ok(());
        }
        let summary = Summary::new(group.name());
        self.progress.begin(&summary.name);
        self.inputs.push(summary);
        self.slots.iter_mut().for_each(|slot| slot.worker.input(name));
        let before = self.failure.take();
        let read = self.group(group, config, rules);
        let own = self.failure;
        self.failure = before.or(own);
        self.before.merge(&self.stats);
        if let Some(summary) = self.inputs.last_mut() {
            summary.stats = std::mem::take(&mut self.stats);
            self.progress.end(summary);
        }
        read?;
        let stats = &self.before;
        let ended = Ended { failure: own, records: stats.written(), flawed: stats.flawed() + stats.damaged() };
        self.delivery.end_input(ended).map_err(Stop::Delivery)
    }

    /// The counters of all inputs so far.
    fn counted(&self) -> Stats {
        let mut stats = self.before.clone();
        stats.merge(&self.stats);
        stats
    }

    /// Reads what is one source to its end.
    fn group(&mut self, group: &Group, config: &Config, rules: &Rules) -> Result<(), Stop> {
        let follow = config.journal.follow;
        let (paths, what, (mut source, errors)) = match group {
            Group::Stream(input) => return self.stream(input, None, config, rules),
            Group::Archive(path) => {
                return self.stream(&Input::File(path.clone()), Some(path), config, rules);
            }
            Group::Files(paths) => {
                (paths, "log files", source::open_files(paths, &config.source, follow, &config.files))
            }
            Group::Journal(paths) | Group::Machine(_, paths) => {
                if let Some(read) = self.in_pieces(paths, &[], &config.journal, config, rules) {
                    return read;
                }
                (paths, "journal files", source::open_journals(paths, &config.journal, config.source.block, rules))
            }
        };
        if config.records.verbose {
            paths.iter().for_each(|path| diagnostics::report(format_args!("reading {}", path.display())));
        }
        errors.iter().for_each(|error| self.input_failed(error));
        if follow && source.is_empty() && errors.is_empty() {
            diagnostics::report(format_args!("there are no {what} to read yet; waiting for them"));
        }
        self.read(source.as_mut())
    }

    /// Reads a journal on several threads, each of which reads or delivers. None if there are none, or it takes one.
    fn in_pieces(
        &mut self,
        paths: &[PathBuf],
        members: &[Member],
        settings: &JournalSettings,
        config: &Config,
        rules: &Rules,
    ) -> Option<Result<(), Stop>> {
        let pool = self.pool.as_ref().filter(|_| config.records.encode.format.is_one_row())?;
        let opened = pool.install(|| source::open_pieces(paths, members, settings, config.source.block, rules))?;
        if self.verbose {
            paths.iter().for_each(|path| diagnostics::report(format_args!("reading {}", path.display())));
        }
        let Opened { files, skipped, damages, errors } = opened;
        errors.iter().for_each(|error| self.input_failed(error));
        self.skipped(skipped);
        self.damaged(damages);
        let pool = self.pool.take()?;
        let mut slots = std::mem::take(&mut self.slots);
        let hands = slots.iter_mut().map(|slot| (&mut slot.batch, &mut slot.worker)).take(pool.current_num_threads());
        let read = shards::work(&pool, files, hands, rules.rows, now, |ordered, news| self.ordered(ordered, news));
        (self.pool, self.slots) = (Some(pool), slots);
        Some(read)
    }

    /// Delivers what is in order.
    fn ordered(&mut self, ordered: &mut Chunk, news: News) -> Result<(), Stop> {
        self.look_at_signals(false)?;
        diagnostics::notes(&ordered.notes);
        ordered.notes.clear();
        self.stats.merge(&std::mem::take(&mut ordered.stats));
        self.stats.take_back(&news.too_much);
        self.stats.encoded(ordered.out.len());
        self.delivery.put(&mut ordered.out, None).map_err(Stop::Delivery)?;
        self.progress.update(Some(news.read), self.stats.entries());
        self.status.publish(&self.counted(), self.delivery.bytes(), false);
        self.damaged(news.damages);
        news.errors.iter().for_each(|error| self.input_failed(error));
        Ok(())
    }

    fn damaged(&mut self, damages: Vec<Damaged>) {
        for Damaged { input, reason, count, offset } in damages {
            self.stats.damage(reason, count);
            if self.verbose {
                diagnostics::report(format_args!("{input}: {reason}: {count}, first at byte {offset}"));
            }
        }
    }

    /// Reads an input that comes by itself. What is an archive, known by its path or only when it is read, has journals too,
    /// and what comes through a pipe may be one.
    fn stream(&mut self, input: &Input, archive: Option<&Path>, config: &Config, rules: &Rules) -> Result<(), Stop> {
        if config.records.verbose {
            diagnostics::report(format_args!("reading {input}"));
        }
        let opened = match archive {
            Some(path) => source::open_archive(path, written(config), !rules.raw, &config.source),
            None => source::open(input, !rules.raw, &config.source),
        };
        let members = match opened {
            Ok(mut source) => self.read(source.as_mut()).map(|()| source.journals())?,
            Err(error) => {
                self.input_failed(&error);
                return Ok(());
            }
        };
        if members.is_empty() {
            return Ok(());
        }
        let settings = config.journal.of_archive();
        if let Some(read) = self.in_pieces(&[], &members, &settings, config, rules) {
            return read;
        }
        let (mut source, errors) = source::open_members(members, &settings, config.source.block, rules);
        errors.iter().for_each(|error| self.input_failed(error));
        self.read(source.as_mut())
    }

    /// Reads one source to its end. Where reads may wait, what is in hand goes out first.
    fn read(&mut self, source: &mut dyn Source) -> Result<(), Stop> {
        if let Some(position) = source.position() {
            // Where it begins is saved before anything is read: a run that is killed at once is to begin there again.
            self.delivery.put(&mut Encoded::default(), Some(position)).map_err(Stop::Delivery)?;
            self.delivery.flush();
        }
        let (pool, mut free) = (self.pool.take(), std::mem::take(&mut self.slots));
        let read = Relay::run(pool.as_ref(), Slot::work, |relay| self.pass(source, relay, &mut free));
        (self.pool, self.slots) = (pool, free);
        read
    }

    /// Fills what is free, and delivers what comes back.
    fn pass<'r>(
        &mut self,
        source: &mut dyn Source,
        relay: &Relay<Slot<'r>>,
        free: &mut Vec<Slot<'r>>,
    ) -> Result<(), Stop> {
        let (mut fill, mut end) = (Fill::More, Ok(()));
        loop {
            while let Some(mut slot) = relay.take() {
                self.deliver(source, &mut slot)?;
                free.push(slot);
            }
            if fill == Fill::More
                && let Some(mut slot) = free.pop()
            {
                end = self.look_at_signals(source.restarts());
                if end.is_err() {
                    // What was read of a pipe cannot be read again.
                    fill = Fill::End;
                    continue;
                }
                fill = slot.fill(source);
                relay.put(slot);
            } else if !relay.wait(Slot::work) {
                if fill == Fill::End {
                    return end;
                }
                self.delivery.idle();
                self.status.publish(&self.counted(), self.delivery.bytes(), true);
                fill = Fill::More;
            }
        }
    }

    /// Does what the host asks for. Where the source cannot be opened again, the configuration stays.
    fn look_at_signals(&mut self, restarts: bool) -> Result<(), Stop> {
        self.status.pass(!restarts);
        if self.signals.flush() {
            self.delivery.flush();
            let mut stats = self.counted();
            stats.delivered(self.delivery.bytes());
            diagnostics::summary(&stats, &[], self.format);
        }
        if self.stop.asked() {
            return Err(Stop::Asked);
        }
        if self.signals.reload() {
            self.status.reloading();
            if restarts {
                // A receiver that is away may be what is to be changed.
                self.stop.ask_within(RELOAD);
                return Err(Stop::Reload);
            }
            diagnostics::report(format_args!(
                "the configuration stays: what comes through a pipe cannot be gone on with by another one; start katalog \
                 anew for it"
            ));
        }
        Ok(())
    }

    fn skipped(&mut self, skipped: Skipped) {
        self.stats.passed_over(Dropped::Others, skipped.others);
        self.stats.passed_over(Dropped::Repeated, skipped.repeated);
    }

    /// Delivers what came of a batch.
    fn deliver(&mut self, source: &mut dyn Source, slot: &mut Slot<'_>) -> Result<(), Stop> {
        self.status.wait();
        let chunk = &mut slot.chunk;
        diagnostics::notes(&chunk.notes);
        chunk.notes.clear();
        self.stats.merge(&std::mem::take(&mut chunk.stats));
        self.stats.encoded(chunk.out.len());
        self.delivery.put(&mut chunk.out, slot.position.take()).map_err(Stop::Delivery)?;
        self.progress.update(source.done(), self.stats.entries());
        self.skipped(source.skipped());
        self.damaged(source.damages());
        for notice in source.notices() {
            match notice {
                Notice::Failed(error) => self.input_failed(&error),
                Notice::PassedOver(input) => {
                    self.stats.member_passed();
                    if self.verbose {
                        diagnostics::report(format_args!("{input}: passed over"));
                    }
                }
            }
        }
        slot.failed.take().iter().for_each(|error| self.input_failed(error));
        self.status.publish(&self.counted(), self.delivery.bytes(), false);
        Ok(())
    }

    fn input_failed(&mut self, error: &SourceError) {
        if !self.check {
            diagnostics::report(format_args!("{error}"));
        }
        let exit = Exit::from_code(error.exit_code()).unwrap_or(Exit::Internal);
        self.failure = self.failure.or(Some(exit));
        if let Some(input) = self.inputs.last_mut() {
            input.failures.push(error.to_string());
            input.exit = input.exit.or(Some(exit));
        }
    }
}

impl Slot<'_> {
    /// Fills the batch.
    fn fill(&mut self, source: &mut dyn Source) -> Fill {
        let fill = source.fill(&mut self.batch).unwrap_or_else(|error| {
            // What the batch holds was read before the failure.
            self.failed = Some(error);
            Fill::End
        });
        self.position = source.position();
        self.chunk.out.received = now();
        fill
    }

    fn work(&mut self) {
        self.worker.run(&self.batch, &mut self.chunk);
    }
}

/// The time, in seconds and nanoseconds since 1970. It shows only in events that know no time of their own.
fn now() -> (u32, u32) {
    #[expect(clippy::disallowed_methods, reason = "the protocol has no event without a time")]
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    (u32::try_from(time.as_secs()).unwrap_or(u32::MAX), time.subsec_nanos())
}

/// The threads that work; none for one, which the caller's is. A host that cannot start them still gets its records.
fn pool(threads: usize) -> Option<ThreadPool> {
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
