//! The proof for lines that are missing: each was in the last bytes of a deleted file, and the program reported so many
//! of its bytes as lost.
//!
//! The state file at a start has the inode, the position and the length of each file that earlier runs knew. Where the
//! spool has a later position, reading begins there. So a report of that start, which has a path and a number of bytes,
//! tells which file it is about.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;

use super::ledger::Ledger;
use super::tally::Tally;

/// Most bytes that a report may count although their lines arrive: a batch that was acknowledged and not remembered, of
/// lines that are shorter than their records.
const MOST_OVERCOUNTED: u64 = 16 << 10;

/// A file that was written, whatever its name is now. It stays open, so that no other file gets its inode.
pub(super) struct WrittenFile {
    pub(super) file: Arc<File>,
    inode: u64,
    /// The number of the first line, and the offset at which each line ends.
    first: u64,
    ends: Vec<u64>,
    deleted: bool,
    /// The most bytes that a report counted as lost.
    reported: u64,
}

impl WrittenFile {
    fn size(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Adds a line. Returns the size of the file.
    pub(super) fn add_line(&mut self, number: u64, length: u64) -> u64 {
        if self.ends.is_empty() {
            self.first = number;
        }
        let end = self.size() + length;
        self.ends.push(end);
        end
    }

    fn has(&self, line: u64) -> bool {
        (self.first..self.first + self.ends.len() as u64).contains(&line)
    }

    /// Returns the offset of a line.
    fn start(&self, line: u64) -> u64 {
        ((line - self.first) as usize).checked_sub(1).map_or(0, |before| self.ends[before])
    }

    /// Returns true if a report covers the whole line.
    fn is_counted(&self, line: u64) -> bool {
        self.deleted && self.start(line) + self.reported >= self.size()
    }

    /// Returns the lines that reports cover.
    fn counted_lines(&self) -> impl Iterator<Item = u64> {
        (self.first..self.first + self.ends.len() as u64).filter(|line| self.is_counted(*line))
    }
}

/// A borrowed file of a history.
pub(super) struct FileGuard<'a> {
    files: MutexGuard<'a, Vec<WrittenFile>>,
    index: usize,
}

impl std::ops::Deref for FileGuard<'_> {
    type Target = WrittenFile;

    fn deref(&self) -> &WrittenFile {
        &self.files[self.index]
    }
}

impl std::ops::DerefMut for FileGuard<'_> {
    fn deref_mut(&mut self) -> &mut WrittenFile {
        &mut self.files[self.index]
    }
}

/// All files that were written, in order.
pub(crate) struct FileHistory {
    files: Mutex<Vec<WrittenFile>>,
    /// The state file of the program.
    state: PathBuf,
}

impl FileHistory {
    pub(crate) fn new(state: &Path) -> FileHistory {
        FileHistory { files: Mutex::default(), state: state.join("state.json") }
    }

    /// Adds a new file. Returns its number.
    pub(super) fn add(&self, file: File, inode: u64) -> usize {
        let mut files = self.files.lock().unwrap();
        let file = Arc::new(file);
        files.push(WrittenFile { file, inode, first: 0, ends: Vec::new(), deleted: false, reported: 0 });
        files.len() - 1
    }

    /// Returns the newest file.
    pub(super) fn newest(&self) -> FileGuard<'_> {
        let files = self.files.lock().unwrap();
        FileGuard { index: files.len() - 1, files }
    }

    pub(super) fn delete(&self, number: usize) {
        self.files.lock().unwrap()[number].deleted = true;
    }

    /// Returns true if the state file has the file.
    pub(super) fn is_saved(&self, number: usize) -> bool {
        let inode = self.files.lock().unwrap()[number].inode;
        self.saved().iter().any(|saved| saved.inode == inode)
    }

    /// Returns the inode and the size of each file, in order.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> Vec<(u64, u64)> {
        self.files.lock().unwrap().iter().map(|file| (file.inode, file.size())).collect()
    }

    /// Reads the state file.
    fn saved(&self) -> Vec<SavedFile> {
        let Ok(text) = fs::read(&self.state) else { return Vec::new() };
        let state: Value = serde_json::from_slice(&text).unwrap();
        let number = |file: &Value, key: &str| file[key].as_u64().unwrap_or(0);
        let files = state["files"].as_array().into_iter().flatten();
        files
            .map(|file| SavedFile {
                path: file["path"].as_str().unwrap_or_default().to_owned(),
                inode: number(file, "inode"),
                offset: number(file, "offset"),
                unread: number(file, "length").saturating_sub(number(file, "offset")),
            })
            .collect()
    }
}

/// A file in the program's state.
struct SavedFile {
    path: String,
    inode: u64,
    offset: u64,
    /// Bytes behind the position.
    unread: u64,
}

/// The losses that the program reports.
pub(crate) struct Losses {
    history: Arc<FileHistory>,
    /// The files that the state had when the program started.
    known: Vec<SavedFile>,
    /// Reports, also repeated ones of programs that were killed before they could save.
    reports: u64,
    problems: Vec<String>,
}

impl Losses {
    pub(crate) fn new(history: Arc<FileHistory>) -> Losses {
        Losses { history, known: Vec::new(), reports: 0, problems: Vec::new() }
    }

    /// Reads the state with which the program starts, and the positions in its spool.
    pub(crate) fn begin_life(&mut self, spool: &Path) {
        self.known = self.history.saved();
        for (inode, offset) in spooled_positions(spool) {
            for known in self.known.iter_mut().filter(|known| known.inode == inode && known.offset < offset) {
                known.unread = known.unread.saturating_sub(offset - known.offset);
                known.offset = offset;
            }
        }
    }

    /// Takes the reports from lines of the program's standard error.
    pub(crate) fn read(&mut self, errors: &str) {
        for line in errors.lines() {
            let Some((path, bytes)) = report(line) else { continue };
            self.reports += 1;
            let mut files = self.history.files.lock().unwrap();
            let known = self.known.iter().filter(|saved| saved.path == path && saved.unread == bytes);
            let mut is_known = false;
            for saved in known {
                if let Some(file) = files.iter_mut().find(|file| file.inode == saved.inode && file.deleted) {
                    is_known = true;
                    file.reported = file.reported.max(bytes);
                }
            }
            if !is_known {
                self.problems.push(format!("no deleted file that the state had explains: {line}"));
            }
        }
    }

    /// Returns true if the line was in bytes that a report counted.
    pub(crate) fn is_counted(&self, line: u64) -> bool {
        let files = self.history.files.lock().unwrap();
        files.iter().find(|file| file.has(line)).is_some_and(|file| file.is_counted(line))
    }

    /// Describes the files with lines of these that no report counted.
    pub(crate) fn describe(&self, missing: &[u64]) -> Vec<String> {
        let files = self.history.files.lock().unwrap();
        let described = files.iter().filter_map(|file| {
            let mut lines = missing.iter().filter(|line| file.has(**line) && !file.is_counted(**line));
            let first = *lines.next()?;
            let (last, WrittenFile { inode, deleted, reported, .. }) = (lines.next_back().unwrap_or(&first), file);
            let (start, end, size) = (file.start(first), file.start(last + 1), file.size());
            let state = if *deleted { "deleted" } else { "kept" };
            Some(format!(
                "lines {first} to {last} are bytes {start} to {end} of {size} of a {state} file with inode {inode}; \
                 {reported} bytes are reported as lost"
            ))
        });
        described.collect()
    }

    /// Returns all problems. `exact` checks that reports count no more than the lines that are missing.
    pub(crate) fn problems(&self, ledger: &Ledger, exact: bool) -> Vec<String> {
        let mut problems = self.problems.clone();
        for file in self.history.files.lock().unwrap().iter().filter(|_| exact) {
            let over = overcounted(file, ledger);
            if over > MOST_OVERCOUNTED {
                let (reported, first) = (file.reported, file.first);
                problems.push(format!(
                    "{over} of {reported} bytes that are reported as lost arrived, of a file with line {first}"
                ));
            }
        }
        problems
    }

    /// Adds the counts to a tally.
    pub(crate) fn tally(&self, ledger: &Ledger, tally: &mut Tally) {
        let files = self.history.files.lock().unwrap();
        let counted = || files.iter().filter(|file| file.reported > 0);
        let lines = || counted().flat_map(WrittenFile::counted_lines);
        let missing = lines().filter(|line| !ledger.has(&(*line..line + 1))).count() as u64;
        tally.sum("files deleted", files.iter().filter(|file| file.deleted).count() as u64);
        tally.sum("deleted files reported with bytes lost", counted().count() as u64);
        tally.sum("reports of them by all starts", self.reports);
        tally.sum("bytes reported as lost", counted().map(|file| file.reported).sum());
        tally.sum("lines that did not arrive, in these", missing);
        tally.sum("bytes reported that arrived", counted().map(|file| overcounted(file, ledger)).sum());
    }
}

/// Returns the number of reported bytes whose lines arrived.
fn overcounted(file: &WrittenFile, ledger: &Ledger) -> u64 {
    let arrived = file.counted_lines().filter(|line| ledger.has(&(*line..line + 1)));
    arrived.map(|line| file.start(line + 1) - file.start(line)).sum()
}

/// Returns the path and the number of bytes of a message about bytes that are lost.
fn report(line: &str) -> Option<(&str, u64)> {
    let (path, rest) = line.strip_prefix("katalog: \"")?.split_once("\": ")?;
    let (bytes, _) = rest.split_once(" bytes are lost: ")?;
    Some((path, bytes.parse().ok()?))
}

/// Returns the inode and the offset of each position in the newest file of a spool that has one.
fn spooled_positions(spool: &Path) -> Vec<(u64, u64)> {
    let entries = fs::read_dir(spool).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "spool")).collect();
    paths.sort();
    let position = |path: &PathBuf| {
        let bytes = fs::read(path).ok()?;
        let at = memchr::memmem::rfind(&bytes, b"{\"validity\"")?;
        serde_json::from_slice::<Value>(&bytes[at..]).ok()
    };
    let stored = paths.iter().rev().find_map(position).unwrap_or_default();
    let number = |file: &Value, key: &str| file[key].as_u64().unwrap_or(0);
    let files = stored["files"].as_array().into_iter().flatten();
    files.map(|file| (number(file, "inode"), number(file, "offset"))).collect()
}

/// Returns the numbers of all lines in the files of a spool.
pub(crate) fn spooled_lines(spool: &Path) -> Vec<u64> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(spool).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "spool") {
            continue;
        }
        let bytes = fs::read(path).unwrap_or_default();
        for found in memchr::memmem::find_iter(&bytes, b"line ") {
            let digits: Vec<u8> = bytes[found + 5..].iter().copied().take_while(u8::is_ascii_digit).collect();
            lines.extend(String::from_utf8_lossy(&digits).parse::<u64>());
        }
    }
    lines.sort_unstable();
    lines.dedup();
    lines
}
