//! A crash test: one input, one state, and one receiver, whose conduct changes with each kill.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::conduct::{Conduct, KEY};
use super::deleting_log::DeletingLog;
use super::feed::{Feed, Writer};
use super::journal::Journal;
use super::ledger::{Cause, ID, Ledger};
use super::log::Log;
use super::losses::{FileHistory, Losses, spooled_lines};
use super::plan::{Fault, Step, plan};
use super::program::Program;
use super::receiver::Receiver;
use super::rng::Rng;
use super::tally::Tally;
use super::{Settings, Source};
use crate::support::disk::Disk;

/// The limit of the spool. A receiver that is away for half a second fills it.
const SPOOL_LIMIT: &str = "96K";

/// The pause between two looks at what is missing. It takes long with many lines.
const LOOK: Duration = Duration::from_millis(100);

/// The result of a crash test.
pub(super) struct Finished {
    pub(super) problems: Vec<String>,
    pub(super) tally: Tally,
    /// Descriptions of the faults and of the input.
    pub(super) notes: String,
}

/// The places of a crash test.
struct Places {
    input: PathBuf,
    /// The folder for state and spool, which may be a small disk.
    state: PathBuf,
    spool: PathBuf,
    key: PathBuf,
}

impl Places {
    fn create(folder: &Path) -> Places {
        let [input, disk] = ["input", "disk"].map(|name| folder.join(name));
        fs::create_dir(&input).unwrap();
        fs::create_dir(&disk).unwrap();
        let key = folder.join("key");
        fs::write(&key, KEY).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        Places { input, state: disk.join("state"), spool: disk.join("spool"), key }
    }

    /// Returns the command line. Without a saved position `ship` begins with the first line, so that a kill before the
    /// first save loses nothing.
    fn arguments(&self, followed: &Path, port: u16, settings: &Settings) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["ship".into(), followed.into()];
        arguments.extend(["--to".into(), format!("forward://127.0.0.1:{port}").into()]);
        arguments.extend(["--state-dir".into(), self.state.clone().into()]);
        arguments.extend(["--record-id", ID, "--batch-size", "16K", "--batch-age", "100ms"].map(OsString::from));
        if settings.source == Source::Spool {
            arguments.extend(["--spool".into(), self.spool.clone().into()]);
            arguments.extend(["--spool-limit", SPOOL_LIMIT, "--spool-full", "wait"].map(OsString::from));
        }
        arguments.extend(settings.more.iter().cloned());
        arguments
    }
}

/// A crash test in progress.
struct CrashTest<'a> {
    settings: &'a Settings,
    places: Places,
    program: Program,
    receiver: Receiver,
    ledger: Arc<Ledger>,
    losses: Option<Losses>,
    disk: Option<Disk>,
    /// Lines that the spool had at a kill.
    spooled: BTreeSet<u64>,
    /// True if the disk was full since the last kill.
    was_full: bool,
    exits: usize,
    tally: Tally,
}

/// Runs the whole test. Returns once all lines have arrived or nothing more arrives.
pub(super) fn run(settings: &Settings) -> Finished {
    let places = Places::create(&settings.folder);
    let disk = settings.full_disk.then(|| Disk::mount(places.state.parent().unwrap())).flatten();
    let no_disk = settings.full_disk && disk.is_none();
    let ledger = Arc::new(Ledger::default());
    let receiver = Receiver::start(Arc::clone(&ledger));
    let log = places.input.join("kata-runtime.log");
    let history = Arc::new(FileHistory::new(&places.state));
    let (followed, mut feed, losses): (_, Box<dyn Feed>, _) = match settings.source {
        Source::File => (&log, Box::new(Log::new(&log, Arc::clone(&ledger))), None),
        Source::Journal => (&places.input, Box::new(Journal::new(&places.input, Arc::clone(&ledger))), None),
        Source::Deleted | Source::Spool => {
            let losses = Losses::new(Arc::clone(&history));
            (&log, Box::new(DeletingLog::new(&log, history)), Some(losses))
        }
    };
    let program = Program::new(settings, places.arguments(followed, receiver.port(), settings));
    let steps = plan(settings.seed, settings.kills, disk.is_some());
    let (spooled, tally) = (BTreeSet::new(), Tally::of_faults());
    let mut test = CrashTest {
        settings,
        places,
        program,
        receiver,
        ledger,
        losses,
        disk,
        spooled,
        was_full: false,
        exits: 0,
        tally,
    };
    // A line rotated away before the program's first start would never arrive.
    feed.write(0, &mut Rng::new(settings.seed));
    test.start(Conduct::Prompt);
    test.wait_for(1, settings.patience);
    let writer = Writer::start(feed, 1, settings.seed, settings.rest);
    for step in &steps {
        test.step(*step);
    }
    let (mut written, mut feed) = writer.stop();
    test.wait_for(written, settings.patience);
    // The last kill forces duplicates to arrive before the last line.
    test.step(Step { after: Duration::ZERO, fault: Fault::Kill { down: Duration::ZERO, next: Conduct::Prompt } });
    feed.write(written, &mut Rng::new(settings.seed));
    written += 1;
    test.wait_for(written, settings.patience);
    test.program.kill();
    test.read_errors();
    let notes = if no_disk { "no small disk can be mounted here\n" } else { "" };
    let notes = format!("{notes}{}\n", feed.counts());
    test.finish(written, notes)
}

impl CrashTest<'_> {
    fn step(&mut self, step: Step) {
        self.watch(step.after);
        match step.fault {
            Fault::Kill { down, next } => {
                self.program.kill();
                self.receiver.drain();
                self.read_errors();
                self.spooled.extend(spooled_lines(&self.places.spool));
                let saved = !std::mem::take(&mut self.was_full);
                self.receiver.after(if saved { Cause::Kill } else { Cause::KillUnsaved });
                std::thread::sleep(down);
                self.tally.sum("kills", 1);
                self.start(next);
            }
            Fault::Cut { bytes } => {
                self.tally.sum("cuts", 1);
                self.receiver.cut(bytes);
            }
            Fault::LostAck => {
                self.tally.sum("lost acks", 1);
                self.receiver.lose_ack();
            }
            Fault::Away { time } => {
                self.tally.sum("absences of the receiver", 1);
                self.receiver.close_port();
                self.receiver.after(Cause::Away);
                self.watch(time);
                self.receiver.reopen();
            }
            Fault::FullDisk { time } => {
                self.tally.sum("full disks", 1);
                if let Some(disk) = &self.disk {
                    disk.fill();
                }
                self.was_full = true;
                self.receiver.after(Cause::FullDisk);
                self.watch(time);
                if let Some(disk) = &self.disk {
                    disk.free();
                }
            }
        }
    }

    /// Starts the program, with a receiver of this conduct.
    fn start(&mut self, conduct: Conduct) {
        self.receiver.conduct(conduct);
        self.program.more = conduct.arguments(&self.places.key);
        self.tally.sum(conduct.starts(), 1);
        self.ledger.begin_life(conduct.is_slow());
        if let Some(losses) = &mut self.losses {
            losses.begin_life(&self.places.spool);
        }
        self.program.start();
    }

    /// Lets time pass. An exit of the program is a problem, unless its disk was full. The program is restarted.
    fn watch(&mut self, time: Duration) {
        let start = Instant::now();
        loop {
            if let Some(status) = self.program.ended() {
                self.exits += 1;
                if self.disk.is_none() {
                    self.ledger.problem(format!("the program ended by itself: {status}"));
                }
                self.read_errors();
                self.receiver.after(Cause::Exit);
                // Frequent enough to make progress, and rare enough not to load the machine.
                std::thread::sleep(Duration::from_millis(50));
                self.start(self.receiver.current_conduct());
            }
            let left = time.saturating_sub(start.elapsed());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(Duration::from_millis(5)));
        }
    }

    /// Waits until all lines have arrived or are counted as lost, or nothing more arrives.
    fn wait_for(&mut self, written: u64, patience: Duration) {
        let (mut missing, mut last) = (written, Instant::now());
        // A program that exits again and again delivers nothing more.
        let most = self.exits + 50;
        while missing > 0 && last.elapsed() < patience && self.exits < most {
            self.watch(if written > 1 { LOOK } else { Duration::from_millis(10) });
            self.read_errors();
            let now = self.missing(written);
            if now != missing {
                (missing, last) = (now, Instant::now());
            }
        }
    }

    /// Returns the number of lines that have not arrived and are not counted as lost.
    fn missing(&self, written: u64) -> u64 {
        let missing = self.ledger.missing(0..written);
        missing.iter().filter(|line| !self.is_counted(**line)).count() as u64
    }

    fn is_counted(&self, line: u64) -> bool {
        self.losses.as_ref().is_some_and(|losses| losses.is_counted(line))
    }

    /// Reads what the program has written to standard error since the last call.
    fn read_errors(&mut self) {
        let errors = self.program.new_errors();
        let starts_with = |text: &str| errors.lines().filter(|line| line.contains(text)).count() as u64;
        self.tally.sum("messages about a full spool", starts_with("reached its limit (--spool-limit)"));
        self.tally.sum("messages about a full disk", starts_with("its disk is full"));
        if let Some(losses) = &mut self.losses {
            losses.read(&errors);
        }
    }

    fn finish(mut self, written: u64, notes: String) -> Finished {
        let (starts, exits) = (self.program.starts as u64, self.exits as u64);
        self.tally.sum("starts of the program", starts);
        self.tally.sum("ends of the program by itself", exits);
        self.ledger.tally(written, &mut self.tally);
        let is_spool = self.settings.source == Source::Spool;
        let mut problems = self.ledger.problems(written, |line| self.is_counted(line));
        if let Some(losses) = &self.losses {
            losses.tally(&self.ledger, &mut self.tally);
            problems.extend(losses.problems(&self.ledger, self.disk.is_none()));
            problems.extend(losses.describe(&self.ledger.missing(0..written)));
        }
        if is_spool {
            let lost = self.spooled.iter().filter(|line| !self.ledger.has(&(**line..**line + 1))).count();
            if lost > 0 {
                problems.push(format!("{lost} lines that the spool had at a kill did not arrive"));
            }
            self.tally.sum("lines in the spool at a kill", self.spooled.len() as u64);
        }
        if !problems.is_empty() {
            let (seed, source) = (self.settings.seed, self.settings.source);
            let words = self.program.stderr_tail();
            problems.push(format!("seed {seed}, {source:?}; the program's last words: {words}"));
        }
        Finished { problems, tally: self.tally, notes }
    }
}
