//! What the host asks for while a run goes on: to end, to deliver and say what was done, to read the configuration anew.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals as Incoming;

use crate::diagnostics;
use crate::exit::Exit;
use crate::stop::{GRACE, Stop};

/// How much later than deliveries the process ends, should it be stuck in one that nothing can interrupt.
const LAST: Duration = Duration::from_millis(900);

/// What was asked for.
#[derive(Debug, Default)]
pub struct Signals {
    /// The end of the run that goes on, and whether it is to be the last.
    stop: Mutex<(Arc<Stop>, bool)>,
    flush: AtomicBool,
    reload: AtomicBool,
}

impl Signals {
    /// Listens from now on. The first SIGTERM or SIGINT asks for the end, a second one is it; SIGUSR1 asks for delivery
    /// and statistics, SIGHUP for the configuration to be read anew.
    ///
    /// # Errors
    /// If the host does not let it.
    pub fn listen() -> io::Result<Arc<Signals>> {
        let signals = Arc::new(Signals::default());
        let mut incoming = Incoming::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1])?;
        let told = Arc::clone(&signals);
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for signal in incoming.forever() {
                match signal {
                    SIGUSR1 => told.flush.store(true, Ordering::Release),
                    SIGHUP => told.reload.store(true, Ordering::Release),
                    _ => {
                        let mut stop = told.stop.lock().unwrap_or_else(PoisonError::into_inner);
                        #[expect(clippy::disallowed_methods, reason = "who asks twice does not want to wait")]
                        if std::mem::replace(&mut stop.1, true) {
                            std::process::exit(128 + signal);
                        }
                        stop.0.ask();
                        watch();
                    }
                }
            }
        })?;
        Ok(signals)
    }

    /// The end of the run that goes on.
    #[must_use]
    pub fn stop(&self) -> Arc<Stop> {
        Arc::clone(&self.stop.lock().unwrap_or_else(PoisonError::into_inner).0)
    }

    /// Whether the end of all runs was asked for.
    #[must_use]
    pub fn ending(&self) -> bool {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    /// Lets another run begin after one that was stopped, unless that was to be the last.
    pub fn renew(&self) {
        let mut stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner);
        if !stop.1 {
            stop.0 = Arc::default();
        }
    }

    /// Whether delivery and statistics were asked for since this was asked last.
    #[must_use]
    pub fn flush(&self) -> bool {
        self.flush.swap(false, Ordering::AcqRel)
    }

    /// Whether the configuration is to be read anew, since this was asked last.
    #[must_use]
    pub fn reload(&self) -> bool {
        self.reload.swap(false, Ordering::AcqRel)
    }
}

/// Ends the process when the time for deliveries is long over: a write to a pipe that nobody reads never returns.
fn watch() {
    let end = || {
        std::thread::sleep(GRACE + LAST);
        diagnostics::report(format_args!("what is in hand could not be delivered within {} s", GRACE.as_secs()));
        #[expect(clippy::disallowed_methods, reason = "nothing else ends a write that waits for ever")]
        std::process::exit(Exit::Io.code().into());
    };
    // Without a thread for it, the supervisor ends the process.
    let _ = std::thread::Builder::new().name("end".to_owned()).spawn(end);
}
