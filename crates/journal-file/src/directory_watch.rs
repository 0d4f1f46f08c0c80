//! Waiting for changes in directories, as reported by the system. The caller finds out the changes.

use std::collections::HashSet;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

/// The longest waits without any change: with reports from the system, and without them.
const QUIET: Duration = Duration::from_secs(1);
const BLIND_PAUSE: Duration = Duration::from_millis(100);

/// A watch on directories for changes that the system reports.
pub struct DirectoryWatch {
    /// `None` if the system reports nothing. Callers then look from time to time.
    events: Option<OwnedFd>,
    directories: HashSet<PathBuf>,
    /// The system has no watch left for some directory.
    exhausted: bool,
}

impl Default for DirectoryWatch {
    fn default() -> Self {
        DirectoryWatch::new()
    }
}

impl DirectoryWatch {
    /// Creates a watch without directories.
    #[must_use]
    pub fn new() -> DirectoryWatch {
        let events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok();
        DirectoryWatch { events, directories: HashSet::new(), exhausted: false }
    }

    /// Creates a watch without reports from the system, so that callers have to look from time to time.
    #[must_use]
    pub fn blind() -> DirectoryWatch {
        DirectoryWatch { events: None, directories: HashSet::new(), exhausted: false }
    }

    /// Returns whether the system reports all changes in the added directories.
    pub fn is_complete(&self) -> bool {
        self.events.is_some() && !self.exhausted
    }

    /// Adds directories. Returns whether one of them was not watched before.
    pub fn add(&mut self, directories: &[PathBuf]) -> bool {
        let Some(events) = &self.events else { return false };
        let mask = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::MODIFY
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        let mut added = false;
        self.exhausted = false;
        for directory in directories {
            if self.directories.contains(directory) {
                continue;
            }
            match inotify::add_watch(events, directory, mask) {
                Ok(_) => {
                    self.directories.insert(directory.clone());
                    added = true;
                }
                Err(cause) => self.exhausted |= matches!(cause, Errno::NOSPC | Errno::NOMEM),
            }
        }
        added
    }

    /// Waits for a change in a directory, at most for `time` or a second. Returns whether there may be other files than
    /// before.
    pub fn wait(&mut self, time: Duration) -> bool {
        let watching = self.events.as_ref().filter(|_| !self.directories.is_empty());
        let Some(events) = watching else {
            std::thread::sleep(time.min(BLIND_PAUSE));
            return false;
        };
        if !time.is_zero() {
            let time = time.min(if self.exhausted { BLIND_PAUSE } else { QUIET });
            let time = Timespec { tv_sec: time.as_secs() as i64, tv_nsec: time.subsec_nanos().into() };
            // The caller looks after an event, a timeout and a signal alike.
            let _ = poll(&mut [PollFd::new(events, PollFlags::IN)], Some(&time));
        }
        let mut changed = false;
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(events, &mut buffer);
        loop {
            match reader.next() {
                Ok(event) => {
                    // Every event but a write may mean other files, and so does the loss of events.
                    changed |= event.events() != ReadFlags::MODIFY;
                    if event.events().intersects(ReadFlags::IGNORED | ReadFlags::MOVE_SELF) {
                        // The directory is gone, and another one may have its path.
                        self.directories.clear();
                    }
                }
                Err(Errno::INTR) => {}
                Err(_) => return changed,
            }
        }
    }
}
