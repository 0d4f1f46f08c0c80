//! What the system tells of changes in directories, as something to wait for. It does not look what has changed.

use std::collections::HashSet;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

/// The longest that is waited where nothing happens, and where the system does not tell of changes.
const QUIET: Duration = Duration::from_secs(1);
const BLIND_PAUSE: Duration = Duration::from_millis(100);

/// What the system tells of changes in directories.
pub struct DirectoryWatch {
    /// None where it tells nothing; then all is looked at now and then.
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
    /// One that asks the system, and watches no directory yet.
    #[must_use]
    pub fn new() -> DirectoryWatch {
        let events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok();
        DirectoryWatch { events, directories: HashSet::new(), exhausted: false }
    }

    /// One that the system tells nothing, so that all has to be looked at now and then.
    #[must_use]
    pub fn blind() -> DirectoryWatch {
        DirectoryWatch { events: None, directories: HashSet::new(), exhausted: false }
    }

    /// Whether the system tells of all changes in the directories that it was asked for.
    pub fn is_complete(&self) -> bool {
        self.events.is_some() && !self.exhausted
    }

    /// Watches these directories too. True if one of them was not watched before.
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

    /// Waits until something happens in a directory, or the time is over, or a second. True if there may be other files
    /// than before.
    pub fn wait(&mut self, time: Duration) -> bool {
        let watching = self.events.as_ref().filter(|_| !self.directories.is_empty());
        let Some(events) = watching else {
            std::thread::sleep(time.min(BLIND_PAUSE));
            return false;
        };
        if !time.is_zero() {
            let time = time.min(if self.exhausted { BLIND_PAUSE } else { QUIET });
            let time = Timespec { tv_sec: time.as_secs() as i64, tv_nsec: time.subsec_nanos().into() };
            // Whether it was an event, the end of the time or a signal: the caller looks.
            let _ = poll(&mut [PollFd::new(events, PollFlags::IN)], Some(&time));
        }
        let mut changed = false;
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(events, &mut buffer);
        loop {
            match reader.next() {
                Ok(event) => {
                    // All but the news of a writer, among them that news were lost.
                    changed |= event.events() != ReadFlags::MODIFY;
                    if event.events().intersects(ReadFlags::IGNORED | ReadFlags::MOVE_SELF) {
                        // A directory has gone, and another one may be in its place.
                        self.directories.clear();
                    }
                }
                Err(Errno::INTR) => {}
                Err(_) => return changed,
            }
        }
    }
}
