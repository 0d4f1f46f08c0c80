//! A log file that grows steadily and is rotated by renaming. Few rotated files are kept.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The time between two writes.
const PERIOD: Duration = Duration::from_millis(10);

/// The settings of a log file.
#[derive(Clone)]
struct Log {
    path: PathBuf,
    rate: u64,
    rotation: Duration,
    kept: usize,
}

pub(crate) struct Writer {
    log: Log,
    written: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Creates the log with its first line.
    pub(crate) fn create(path: &Path, rate: u64, rotation: Duration, kept: usize) -> io::Result<Writer> {
        fs::write(path, line(0))?;
        let log = Log { path: path.to_owned(), rate, rotation, kept };
        Ok(Writer { log, written: Arc::new(AtomicU64::new(1)), stop: Arc::default(), thread: None })
    }

    /// Writes from now on.
    pub(crate) fn start(&mut self) {
        let (log, written, stop) = (self.log.clone(), Arc::clone(&self.written), Arc::clone(&self.stop));
        self.thread = Some(std::thread::spawn(move || log.write(&written, &stop)));
    }

    /// Returns the number of lines so far.
    pub(crate) fn written(&self) -> &AtomicU64 {
        &self.written
    }

    /// Stops writing. Returns the number of lines.
    pub(crate) fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread {
            thread.join().unwrap();
        }
        self.written.load(Ordering::Acquire)
    }
}

impl Log {
    fn write(&self, written: &AtomicU64, stop: &AtomicBool) {
        let (start, mut rotated) = (Instant::now(), Instant::now());
        let mut file = File::options().append(true).open(&self.path).unwrap();
        let mut lines = Vec::new();
        while !stop.load(Ordering::Acquire) {
            let due = start.elapsed().as_millis() as u64 * self.rate / 1000;
            let first = written.load(Ordering::Acquire);
            lines.clear();
            (first..due).for_each(|number| lines.extend(line(number).into_bytes()));
            file.write_all(&lines).unwrap();
            written.fetch_max(due, Ordering::AcqRel);
            if rotated.elapsed() >= self.rotation {
                rotated = Instant::now();
                file = self.rotate();
            }
            std::thread::sleep(PERIOD);
        }
    }

    fn rotate(&self) -> File {
        let name = |age: usize| match age {
            0 => self.path.clone(),
            age => self.path.with_extension(format!("log.{age}")),
        };
        // The oldest file is replaced, and deleted by that.
        for age in (0..self.kept).rev() {
            _ = fs::rename(name(age), name(age + 1));
        }
        File::options().append(true).create_new(true).open(&self.path).unwrap()
    }
}

fn line(number: u64) -> String {
    let time = jiff::Timestamp::from_microsecond(1_709_614_914_000_000 + number.cast_signed()).unwrap();
    format!(
        "time=\"{time:.9}\" level=info msg=\"line {number} of many\" name=containerd-shim-v2 pid=687061 \
         sandbox=375cdd605cf053d7079eecfa2323e83ded5796658e0c4ccb80f3b19e20550ff2 source=virtcontainers subsystem=qemu\n"
    )
}
