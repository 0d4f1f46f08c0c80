//! A log file as a program and logrotate leave it: rotated by renaming and by copying, compressed later.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::feed::{Feed, message};
use super::ledger::Ledger;
use super::rng::Rng;

/// Number of rotated files to keep. Files with lines that have not arrived are kept as well.
const KEPT: usize = 4;
/// Number of the first rotated file that is compressed.
const COMPRESSED: usize = 2;

pub(crate) struct Log {
    path: PathBuf,
    file: File,
    /// The lines of the file, then of the rotated files, newest first.
    lines: VecDeque<Range<u64>>,
    /// Number of lines at which the file is rotated.
    limit: u64,
    /// Lines that still go into a renamed file, until its writer opens the new one.
    behind: Option<u64>,
    compression: Option<CompressionJob>,
    ledger: Arc<Ledger>,
    renamed: usize,
    copied: usize,
    compressed: usize,
}

/// A file that is being compressed.
struct CompressionJob {
    from: PathBuf,
    input: File,
    output: GzEncoder<File>,
}

impl Log {
    pub(crate) fn new(path: &Path, ledger: Arc<Ledger>) -> Log {
        Log {
            path: path.to_owned(),
            file: append(path),
            lines: std::iter::once(0..0).collect(),
            limit: 300,
            behind: None,
            compression: None,
            ledger,
            renamed: 0,
            copied: 0,
            compressed: 0,
        }
    }

    /// Returns the name of a rotated file; 0 is the log itself.
    fn name(&self, age: usize, compressed: bool) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        if age > 0 {
            name.push(format!(".{age}"));
        }
        if compressed {
            name.push(".gz");
        }
        name.into()
    }

    fn rotate(&mut self, rng: &mut Rng) {
        while self.compression.is_some() {
            self.compress_part();
        }
        if self.lines.len() > KEPT {
            let oldest = self.lines.back().cloned().unwrap_or_default();
            // A line that nobody has read yet would be lost, which is not the program's fault.
            if !self.ledger.has(&oldest) {
                return;
            }
            self.lines.pop_back();
            _ = fs::remove_file(self.name(KEPT, true));
        }
        for age in (1..KEPT).rev() {
            for compressed in [false, true] {
                _ = fs::rename(self.name(age, compressed), self.name(age + 1, compressed));
            }
        }
        let next = self.lines[0].end;
        if rng.once_in(2) {
            self.copied += 1;
            let mut copy = File::create(self.name(1, false)).unwrap();
            let bytes = fs::read(&self.path).unwrap();
            let half = rng.within(0..bytes.len() as u64 + 1) as usize;
            copy.write_all(&bytes[..half]).unwrap();
            pause(rng);
            copy.write_all(&bytes[half..]).unwrap();
            pause(rng);
            self.file.set_len(0).unwrap();
        } else {
            self.renamed += 1;
            fs::rename(&self.path, self.name(1, false)).unwrap();
            // Either logrotate's `create`, or the writer when it reopens the log.
            if rng.once_in(2) {
                append(&self.path);
            }
            pause(rng);
            self.behind = Some(rng.within(0..20));
        }
        self.lines.push_front(next..next);
        if self.name(COMPRESSED, false).exists() {
            let from = self.name(COMPRESSED, false);
            let input = File::open(&from).unwrap();
            let output = GzEncoder::new(File::create(self.name(COMPRESSED, true)).unwrap(), Compression::fast());
            self.compression = Some(CompressionJob { from, input, output });
        }
        self.limit = rng.within(100..700);
    }

    /// Compresses one more part. Removes the original once the copy is complete.
    fn compress_part(&mut self) {
        let Some(compression) = &mut self.compression else { return };
        let mut part = [0; 4096];
        let size = compression.input.read(&mut part).unwrap();
        compression.output.write_all(&part[..size]).unwrap();
        compression.output.flush().unwrap();
        if size > 0 {
            return;
        }
        if let Some(CompressionJob { from, input, output }) = self.compression.take() {
            let output = output.finish().unwrap();
            output.set_modified(input.metadata().unwrap().modified().unwrap()).unwrap();
            fs::remove_file(from).unwrap();
            self.compressed += 1;
        }
    }
}

impl Feed for Log {
    fn write(&mut self, number: u64, rng: &mut Rng) {
        self.behind = match self.behind {
            Some(0) => {
                self.file = append(&self.path);
                None
            }
            Some(lines) => Some(lines - 1),
            None => None,
        };
        // A line written after the rename belongs to the renamed file.
        let place = usize::from(self.behind.is_some());
        self.lines[place].end = number + 1;
        if place == 1 {
            self.lines[0] = number + 1..number + 1;
        }
        let line = format!("{}\n", message(number, rng));
        let cut = if rng.once_in(10) { rng.within(0..line.len() as u64) as usize } else { 0 };
        if cut > 0 {
            self.file.write_all(&line.as_bytes()[..cut]).unwrap();
            pause(rng);
        }
        self.file.write_all(&line.as_bytes()[cut..]).unwrap();
        self.compress_part();
        if self.behind.is_none() && self.lines[0].end - self.lines[0].start >= self.limit {
            self.rotate(rng);
        }
    }

    fn counts(&self) -> String {
        format!("rotations: {} renamed, {} copied, {} compressed", self.renamed, self.copied, self.compressed)
    }
}

fn append(path: &Path) -> File {
    File::options().append(true).create(true).open(path).unwrap()
}

fn pause(rng: &mut Rng) {
    if rng.once_in(3) {
        std::thread::sleep(std::time::Duration::from_micros(rng.within(0..5_000)));
    }
}
