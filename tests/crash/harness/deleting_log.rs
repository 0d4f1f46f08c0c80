//! A log file that is rotated by renaming, and of whose rotated files few are kept, whoever has read them.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::feed::{Feed, message};
use super::losses::FileHistory;
use super::rng::Rng;

/// Number of rotated files to keep.
const KEPT: usize = 3;

pub(crate) struct DeletingLog {
    path: PathBuf,
    /// The numbers of the files that have a name in the history, newest first. The first one is the log itself.
    named: VecDeque<usize>,
    /// Number of bytes at which the file is rotated.
    limit: u64,
    history: Arc<FileHistory>,
    deleted: usize,
    /// Rotations after which a file kept its name, because no run of the program could know of its end.
    kept: usize,
}

impl DeletingLog {
    pub(crate) fn new(path: &Path, history: Arc<FileHistory>) -> DeletingLog {
        let mut log =
            DeletingLog { path: path.to_owned(), named: VecDeque::new(), limit: 20_000, history, deleted: 0, kept: 0 };
        log.create();
        log
    }

    /// Returns the name of a rotated file; 0 is the log itself.
    fn name(&self, age: usize) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        if age > 0 {
            name.push(format!(".{age}"));
        }
        name.into()
    }

    fn create(&mut self) {
        let file = File::options().append(true).create_new(true).open(&self.path).unwrap();
        let inode = file.metadata().unwrap().ino();
        self.named.push_front(self.history.add(file, inode));
    }

    fn rotate(&mut self, rng: &mut Rng) {
        for age in (0..self.named.len()).rev() {
            fs::rename(self.name(age), self.name(age + 1)).unwrap();
        }
        // A program may see a log without an active file.
        if rng.once_in(3) {
            std::thread::sleep(std::time::Duration::from_micros(rng.within(0..5_000)));
        }
        self.create();
        while self.named.len() > KEPT + 1 {
            let (Some(oldest), Some(next)) = (self.named.back(), self.named.iter().rev().nth(1)) else { return };
            // A run that saved the next file has seen that this one ended. A file of which no run can know is no loss
            // that a program could count.
            if !self.history.is_saved(*next) {
                self.kept += 1;
                return;
            }
            fs::remove_file(self.name(self.named.len() - 1)).unwrap();
            self.history.delete(*oldest);
            self.named.pop_back();
            self.deleted += 1;
        }
    }
}

impl Feed for DeletingLog {
    fn write(&mut self, number: u64, rng: &mut Rng) {
        let line = format!("{}\n", message(number, rng));
        let size = self.history.append(number, line.as_bytes());
        if size >= self.limit {
            self.rotate(rng);
            self.limit = rng.within(30_000..250_000);
        }
    }

    fn counts(&self) -> String {
        let DeletingLog { deleted, kept, .. } = self;
        format!("rotations: {deleted} files deleted, {kept} times none because the program did not know of its end")
    }
}

impl FileHistory {
    /// Appends a line to the newest file. Returns the size of the file.
    fn append(&self, number: u64, line: &[u8]) -> u64 {
        let mut file = self.newest();
        let mut out: &File = &file.file;
        out.write_all(line).unwrap();
        file.add_line(number, line.len() as u64)
    }
}
