//! A crash test: one input, one state, and one receiver.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::feed::{Feed, Writer};
use super::journal::Journal;
use super::ledger::{Cause, ID, Ledger};
use super::log::Log;
use super::plan::{Fault, Step, plan};
use super::program::Program;
use super::receiver::Receiver;
use super::rng::Rng;
use super::{Outcome, Settings, Source};
use crate::support::disk::Disk;

/// A crash test in progress.
struct CrashTest {
    program: Program,
    receiver: Receiver,
    ledger: Arc<Ledger>,
    disk: Option<Disk>,
    /// True if the disk was full since the last kill.
    was_full: bool,
    exits: usize,
}

/// Runs the whole test. Returns once all lines have arrived or nothing more arrives.
pub(crate) fn run(settings: &Settings) -> Outcome {
    let ledger = Arc::new(Ledger::default());
    let receiver = Receiver::start(Arc::clone(&ledger));
    let (input, state) = (settings.folder.join("input"), settings.folder.join("state"));
    fs::create_dir(&input).unwrap();
    fs::create_dir(&state).unwrap();
    let disk = settings.full_disk.then(|| Disk::mount(&state)).flatten();
    let no_disk = settings.full_disk && disk.is_none();
    let (followed, mut feed): (PathBuf, Box<dyn Feed>) = match settings.source {
        Source::File => {
            let path = input.join("kata-runtime.log");
            let feed = Log::new(&path, Arc::clone(&ledger));
            (path, Box::new(feed))
        }
        Source::Journal => (input.clone(), Box::new(Journal::new(&input, Arc::clone(&ledger)))),
    };
    let program = Program {
        path: settings.program.clone(),
        arguments: arguments(&followed, &state, receiver.port(), &settings.more),
        environment: settings.environment.clone(),
        errors: settings.folder.join("errors"),
        child: None,
        starts: 0,
    };
    let steps = plan(settings.seed, settings.kills, disk.is_some());
    let mut test = CrashTest { program, receiver, ledger, disk, was_full: false, exits: 0 };
    // A line rotated away before the program's first start would never arrive.
    feed.write(0, &mut Rng::new(settings.seed));
    test.program.start();
    test.wait_for(1, settings.patience);
    let writer = Writer::start(feed, 1, settings.seed, settings.rest);
    for step in &steps {
        test.step(*step);
    }
    let (mut written, mut feed) = writer.stop();
    test.wait_for(written, settings.patience);
    // The last kill forces duplicates to arrive before the last line.
    test.step(Step { after: Duration::ZERO, fault: Fault::Kill { down: Duration::ZERO } });
    feed.write(written, &mut Rng::new(settings.seed));
    written += 1;
    test.wait_for(written, settings.patience);
    test.program.kill();
    let mut problems = test.ledger.problems(written);
    if !problems.is_empty() {
        problems.push(format!("seed {}; the program's last words: {}", settings.seed, test.program.stderr_tail()));
    }
    Outcome { problems, table: test.table(settings.seed, &steps, written, feed.as_ref(), no_disk) }
}

/// Returns the command line. Without a saved position `ship` begins with the first line, so that a kill before the
/// first save loses nothing.
fn arguments(followed: &Path, state: &Path, port: u16, more: &[OsString]) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["ship".into(), followed.into()];
    arguments.extend(["--to".into(), format!("forward://127.0.0.1:{port}").into()]);
    arguments.extend(["--state-dir".into(), state.into()]);
    arguments.extend(["--record-id", ID, "--batch-size", "16K", "--batch-age", "100ms"].map(OsString::from));
    arguments.extend(more.iter().cloned());
    arguments
}

impl CrashTest {
    fn step(&mut self, step: Step) {
        self.watch(step.after);
        match step.fault {
            Fault::Kill { down } => {
                self.program.kill();
                self.receiver.drain();
                let saved = !std::mem::take(&mut self.was_full);
                self.receiver.after(if saved { Cause::Kill } else { Cause::KillUnsaved });
                std::thread::sleep(down);
                self.program.start();
            }
            Fault::Cut { bytes } => self.receiver.cut(bytes),
            Fault::LostAck => self.receiver.lose_ack(),
            Fault::Away { time } => {
                self.receiver.close_port();
                self.receiver.after(Cause::Away);
                self.watch(time);
                self.receiver.reopen();
            }
            Fault::FullDisk { time } => {
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

    /// Lets time pass. An exit of the program is a problem, unless its disk was full. The program is restarted.
    fn watch(&mut self, time: Duration) {
        let start = Instant::now();
        loop {
            if let Some(status) = self.program.ended() {
                self.exits += 1;
                if self.disk.is_none() {
                    self.ledger.problem(format!("the program ended by itself: {status}"));
                }
                self.receiver.after(Cause::Exit);
                // Frequent enough to make progress, and rare enough not to load the machine.
                std::thread::sleep(Duration::from_millis(50));
                self.program.start();
            }
            let left = time.saturating_sub(start.elapsed());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(Duration::from_millis(5)));
        }
    }

    /// Waits until all lines have arrived, or nothing more arrives.
    fn wait_for(&mut self, written: u64, patience: Duration) {
        let (mut arrived, mut last) = (0, Instant::now());
        // A program that exits again and again delivers nothing more.
        let most = self.exits + 50;
        while arrived < written && last.elapsed() < patience && self.exits < most {
            self.watch(Duration::from_millis(10));
            let now = self.ledger.arrived();
            if now != arrived {
                (arrived, last) = (now, Instant::now());
            }
        }
    }

    fn table(&self, seed: u64, steps: &[Step], written: u64, feed: &dyn Feed, no_disk: bool) -> String {
        let count = |kind: fn(&Fault) -> bool| steps.iter().filter(|step| kind(&step.fault)).count();
        let blows = format!(
            "seed {seed}: {} kills, {} cuts, {} lost acks, {} absences of the receiver, {} full disks{}",
            count(|fault| matches!(fault, Fault::Kill { .. })),
            count(|fault| matches!(fault, Fault::Cut { .. })),
            count(|fault| matches!(fault, Fault::LostAck)),
            count(|fault| matches!(fault, Fault::Away { .. })),
            count(|fault| matches!(fault, Fault::FullDisk { .. })),
            if no_disk { " (no small disk can be mounted here)" } else { "" },
        );
        let CrashTest { program, exits, .. } = self;
        let starts = format!("the program: {} starts, {exits} ends by itself", program.starts);
        format!("{blows}\n{starts}\n{}\n\n{}", feed.counts(), self.ledger.table(written))
    }
}
