//! A journal with rotations, written by systemd's own program.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin};
use std::sync::Arc;

use super::feed::{Feed, message};
use super::ledger::Ledger;
use super::rng::Rng;
use crate::support::journal::remote::{self, WriterOptions};
use crate::support::journal::samples::{BOOT, START};
use crate::support::journal::{Entry, stream};

/// Number of archived files to keep. Files with lines that have not arrived are kept as well.
const KEPT: usize = 6;

pub(crate) struct Journal {
    path: PathBuf,
    writer: Child,
    input: Option<ChildStdin>,
    /// Number of field names so far. A file has room for few; then the next file begins.
    names: u64,
    ledger: Arc<Ledger>,
    deleted: usize,
    restarts: usize,
}

impl Journal {
    /// Writes to `system.journal` in this folder.
    pub(crate) fn new(folder: &Path, ledger: Arc<Ledger>) -> Journal {
        let path = folder.join("system.journal");
        let mut writer = remote::start(&path, WriterOptions::default());
        let input = writer.stdin.take();
        Journal { path, writer, input, names: 0, ledger, deleted: 0, restarts: 0 }
    }

    /// Deletes old files, as journald does when space runs low.
    fn vacuum(&mut self) {
        let folder = self.path.parent().unwrap();
        // In order of the first sequence number, which begins with 1 and counts the lines.
        let archived: Vec<(u64, PathBuf)> = remote::journals(folder)
            .into_iter()
            .filter_map(|path| {
                let number = path.file_name()?.to_str()?.split('-').nth(1)?;
                Some((u64::from_str_radix(number, 16).ok()? - 1, path))
            })
            .collect();
        for pair in archived.windows(2).take(archived.len().saturating_sub(KEPT)) {
            if self.ledger.has(&(pair[0].0..pair[1].0)) {
                fs::remove_file(&pair[0].1).unwrap();
                self.deleted += 1;
            }
        }
    }

    pub(super) fn begin(&mut self) {
        self.writer = remote::start(&self.path, WriterOptions::default());
        self.input = self.writer.stdin.take();
    }

    /// Waits until the writer has written everything.
    pub(super) fn end(&mut self) {
        drop(self.input.take());
        _ = self.writer.wait();
    }
}

impl Feed for Journal {
    fn write(&mut self, number: u64, rng: &mut Rng) {
        if rng.once_in(1500) {
            self.end();
            self.begin();
            self.restarts += 1;
            self.vacuum();
        }
        let micros = number * 1000;
        let mut entry = Entry::new(START + micros, 5_000_000 + micros, BOOT)
            .with("_MACHINE_ID", "3dd49df65a1b467bac8d51f2eaa17e92")
            .with("_HOSTNAME", "node1")
            .with("PRIORITY", "6")
            .with("SYSLOG_IDENTIFIER", "kata")
            .with("_PID", "712")
            .with("MESSAGE", message(number, rng));
        if rng.once_in(3) {
            self.names += 1;
            entry = entry.with(&format!("NAME_{}", self.names), "x");
        }
        let bytes = stream(&[entry]);
        let input = self.input.as_mut().unwrap();
        // The pipe may end inside an entry.
        let (first, second) = bytes.split_at(rng.within(0..bytes.len() as u64) as usize);
        input.write_all(first).unwrap();
        input.write_all(second).unwrap();
        input.flush().unwrap();
    }

    fn counts(&self) -> String {
        let files = remote::journals(self.path.parent().unwrap()).len();
        let (deleted, restarts) = (self.deleted, self.restarts);
        format!("journal: {files} files, {deleted} deleted before; its writer started again {restarts} times")
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.end();
    }
}
