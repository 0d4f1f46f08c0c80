//! Searches for files on a thread of its own while the reader waits for the delivery.
//!
//! A receiver that is away or slow stops the reading, and rotation deletes files meanwhile. A file that was opened in
//! time stays readable without its name. The thread only searches: it opens files and reads their first bytes.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use kata_records::Batch;

use super::{FilesSource, HeldFile};
use crate::source::awaited::Awaited;
use crate::source::position::Position;
use crate::source::{Filled, Source};

/// The pause between searches. A file is missed if it appears and is deleted within that time.
const PAUSE: Duration = Duration::from_millis(50);

/// Followed files that are searched for even while nobody reads them.
pub(in crate::source) struct ScannedFiles {
    files: Arc<Mutex<FilesSource>>,
    /// The thread, and the sender whose end ends it. `None` if the host has no further thread: then only the reader
    /// searches.
    scanner: Option<(Sender<()>, JoinHandle<()>)>,
}

impl ScannedFiles {
    /// Starts the thread.
    pub(in crate::source) fn start(files: FilesSource) -> ScannedFiles {
        let files = Arc::new(Mutex::new(files));
        let (stop, stopped) = channel();
        let searched = Arc::clone(&files);
        let scan = move || {
            // While the reader waits for new data it has the lock, and searches itself.
            while stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                lock(&searched).search_if_due();
                note(&searched);
            }
            // The last search of the reader may have found something.
            note(&searched);
        };
        let thread = std::thread::Builder::new().name("files".to_owned()).spawn(scan);
        ScannedFiles { files, scanner: thread.ok().map(|thread| (stop, thread)) }
    }
}

impl Drop for ScannedFiles {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.scanner.take() {
            drop(stop);
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

impl Source for ScannedFiles {
    fn fill(&mut self, batch: &mut Batch) -> Filled {
        lock(&self.files).fill(batch)
    }

    fn start(&mut self) -> Option<Position> {
        lock(&self.files).start()
    }

    fn awaited(&self) -> Vec<Awaited> {
        lock(&self.files).awaited()
    }

    fn restarts(&self) -> bool {
        lock(&self.files).restarts()
    }

    fn held_files(&self) -> Vec<HeldFile> {
        lock(&self.files).held_files()
    }
}

/// Notes the files that searches found. The lock is free meanwhile, so the reader does not wait for the disk.
fn note(files: &Mutex<FilesSource>) {
    let mut locked = lock(files);
    let (notes, observer) = (std::mem::take(&mut locked.notes), Arc::clone(&locked.observer));
    drop(locked);
    if !notes.is_empty() {
        observer.noted(notes);
    }
}

fn lock(files: &Mutex<FilesSource>) -> MutexGuard<'_, FilesSource> {
    files.lock().unwrap_or_else(PoisonError::into_inner)
}
