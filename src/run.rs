//! The one loop: fill, work, deliver. Inputs are read one after the other, and what they give leaves in their order,
//! whatever the number of threads.

use rayon::ThreadPool;
use rayon::iter::{IntoParallelRefMutIterator as _, ParallelIterator as _};

use crate::config::Config;
use crate::encode::Encoder;
use crate::entry::Batch;
use crate::exit::Exit;
use crate::pipeline::{Chunk, Worker};
use crate::report::{self, Stats};
use crate::rules::Rules;
use crate::sink::{Delivery, Sink};
use crate::source::{self, Damaged, Fill, Group, Input, Source, SourceError};

/// How a run went.
#[derive(Debug)]
pub struct Outcome {
    /// How the program ends.
    pub exit: Exit,
    /// The counters of all inputs.
    pub stats: Stats,
    /// The reader of the output went away before the end, so the counters say nothing about the inputs.
    pub closed: bool,
}

/// Why a run ends before its inputs do.
enum Stop {
    Closed,
    Failed(Exit),
}

/// A batch, who works on it, and what comes out; all three are used again and again.
struct Slot<'r> {
    batch: Batch,
    worker: Worker<'r>,
    chunk: Chunk,
}

struct Run<'r> {
    slots: Vec<Slot<'r>>,
    /// None where one thread does it all.
    pool: Option<ThreadPool>,
    sink: &'r mut Sink,
    stats: Stats,
    /// What the first input that failed comes to.
    failure: Option<Exit>,
    /// Say where inputs are damaged.
    verbose: bool,
}

/// Reads all inputs and delivers what they give. Failures are reported as they come; one input's failure does not keep
/// the others from being read.
pub fn run(config: &Config, rules: &Rules, inputs: &[Input], sink: &mut Sink) -> Outcome {
    let pool = pool(config.threads);
    let slots = pool.as_ref().map_or(1, ThreadPool::current_num_threads);
    let slot = |_| Slot {
        batch: Batch::default(),
        worker: Worker::new(rules, Encoder::new(&config.encode)),
        chunk: Chunk::default(),
    };
    let mut run = Run {
        slots: (0..slots).map(slot).collect(),
        pool,
        sink,
        stats: Stats::default(),
        failure: None,
        verbose: config.verbose,
    };
    let mut stop = None;
    for group in source::groups(inputs, &config.journal) {
        if let Err(reason) = run.group(&group, config, rules) {
            stop = Some(reason);
            break;
        }
    }
    let Run { stats, failure, .. } = run;
    let unsatisfied =
        config.strict && (stats.flawed() > 0 || stats.damaged() > 0) || config.fail_if_empty && stats.written() == 0;
    let closed = matches!(stop, Some(Stop::Closed));
    let exit = match (stop, failure) {
        (Some(Stop::Closed), _) => Exit::Success,
        (Some(Stop::Failed(exit)), None) | (_, Some(exit)) => exit,
        (None, None) if unsatisfied => Exit::Unsatisfied,
        (None, None) => Exit::Success,
    };
    Outcome { exit, stats, closed }
}

impl Run<'_> {
    /// Reads what is one source to its end.
    fn group(&mut self, group: &Group, config: &Config, rules: &Rules) -> Result<(), Stop> {
        let input = match group {
            Group::Stream(input) => input,
            Group::Journal(paths) => {
                if config.verbose {
                    paths.iter().for_each(|path| report::diagnostic(format_args!("reading {}", path.display())));
                }
                let (mut source, errors) = source::open_journals(paths, &config.journal, config.source.block, rules);
                errors.iter().for_each(|error| self.input_failed(error));
                return self.read(source.as_mut());
            }
        };
        if config.verbose {
            report::diagnostic(format_args!("reading {input}"));
        }
        let opened = if rules.raw {
            Err(SourceError::NoJournal { input: input.clone() })
        } else {
            source::open(input, &config.source)
        };
        match opened {
            Ok(mut source) => self.read(source.as_mut()),
            Err(error) => {
                self.input_failed(&error);
                Ok(())
            }
        }
    }

    /// Reads one source to its end.
    fn read(&mut self, source: &mut dyn Source) -> Result<(), Stop> {
        loop {
            let mut filled = 0;
            let mut failed = None;
            let mut fill = Fill::More;
            // As many batches as there are threads, but no waiting for input while there is something to deliver.
            while let (Fill::More, Some(slot)) = (fill, self.slots.get_mut(filled)) {
                filled += 1;
                match source.fill(&mut slot.batch) {
                    Ok(state) => fill = state,
                    Err(error) => {
                        // What the batch holds was read before the failure.
                        fill = Fill::End;
                        failed = Some(error);
                    }
                }
            }
            self.work(filled);
            self.deliver(filled)?;
            self.stats.passed_over(source.skipped());
            for damaged in source.damages() {
                self.stats.damage(damaged.reason, damaged.count);
                if self.verbose {
                    let Damaged { input, reason, count, offset } = damaged;
                    report::diagnostic(format_args!("{input}: {reason}: {count}, first at byte {offset}"));
                }
            }
            if let Some(error) = failed {
                self.input_failed(&error);
            }
            if fill == Fill::End {
                return Ok(());
            }
        }
    }

    fn work(&mut self, filled: usize) {
        let slots = self.slots.get_mut(..filled).unwrap_or_default();
        match &self.pool {
            Some(pool) if filled > 1 => pool.install(|| slots.par_iter_mut().for_each(Slot::work)),
            _ => slots.iter_mut().for_each(Slot::work),
        }
    }

    fn deliver(&mut self, filled: usize) -> Result<(), Stop> {
        for slot in self.slots.iter_mut().take(filled) {
            let chunk = &mut slot.chunk;
            report::notes(&chunk.notes);
            chunk.notes.clear();
            self.stats.merge(&std::mem::take(&mut chunk.stats));
            if chunk.bytes.is_empty() {
                continue;
            }
            match self.sink.deliver(&chunk.bytes) {
                Ok(Delivery::Done) => self.stats.delivered(chunk.bytes.len()),
                Ok(Delivery::Closed) => return Err(Stop::Closed),
                Err(error) => {
                    report::diagnostic(format_args!("{error}"));
                    return Err(Stop::Failed(error.exit()));
                }
            }
            chunk.bytes.clear();
        }
        Ok(())
    }

    fn input_failed(&mut self, error: &SourceError) {
        report::diagnostic(format_args!("{error}"));
        self.failure = self.failure.or(Some(Exit::from_code(error.exit_code()).unwrap_or(Exit::Internal)));
    }
}

impl Slot<'_> {
    fn work(&mut self) {
        self.worker.run(&self.batch, &mut self.chunk);
    }
}

/// The threads that work; none for one, which the caller's is. A host that cannot start them still gets its records.
fn pool(threads: usize) -> Option<ThreadPool> {
    if threads < 2 {
        return None;
    }
    match rayon::ThreadPoolBuilder::new().num_threads(threads).build() {
        Ok(pool) => Some(pool),
        Err(error) => {
            report::diagnostic(format_args!("cannot start {threads} threads: {error}; going on with one"));
            None
        }
    }
}
