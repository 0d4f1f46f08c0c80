//! What the host asks for while a run goes on: to end, to deliver and say what was done, to read the configuration anew.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals as Incoming;

use crate::delivery::shutdown::{GRACE, ShutdownSignal};
use crate::diagnostics;
use crate::exit::Exit;

/// How much later than deliveries the process ends, should it be stuck in one that nothing can interrupt.
const EXIT_DELAY: Duration = Duration::from_millis(900);

/// What was asked for.
#[derive(Debug, Default)]
pub struct Signals {
    /// The end of the run that goes on, and whether it is to be the last.
    shutdown: Mutex<ShutdownState>,
    flush: AtomicBool,
    reload: AtomicBool,
}

#[derive(Debug, Default)]
struct ShutdownState {
    current: Arc<ShutdownSignal>,
    is_final: bool,
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
        let requests = Arc::clone(&signals);
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for signal in incoming.forever() {
                match signal {
                    SIGUSR1 => requests.flush.store(true, Ordering::Release),
                    SIGHUP => requests.reload.store(true, Ordering::Release),
                    _ => {
                        let mut shutdown = requests.shutdown();
                        #[expect(clippy::disallowed_methods, reason = "who asks twice does not want to wait")]
                        if std::mem::replace(&mut shutdown.is_final, true) {
                            std::process::exit(128 + signal);
                        }
                        shutdown.current.request();
                        exit_after_grace();
                    }
                }
            }
        })?;
        Ok(signals)
    }

    /// The end of the run that goes on.
    #[must_use]
    pub fn current_shutdown(&self) -> Arc<ShutdownSignal> {
        Arc::clone(&self.shutdown().current)
    }

    /// Whether the end of all runs was asked for.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.shutdown().is_final
    }

    /// Lets another run begin after one that was stopped, unless that was to be the last.
    pub fn renew(&self) {
        let mut shutdown = self.shutdown();
        if !shutdown.is_final {
            shutdown.current = Arc::default();
        }
    }

    /// Whether delivery and statistics were asked for since this was asked last.
    #[must_use]
    pub fn take_flush(&self) -> bool {
        self.flush.swap(false, Ordering::AcqRel)
    }

    /// Whether the configuration is to be read anew, since this was asked last.
    #[must_use]
    pub fn take_reload(&self) -> bool {
        self.reload.swap(false, Ordering::AcqRel)
    }

    fn shutdown(&self) -> MutexGuard<'_, ShutdownState> {
        self.shutdown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the process when the time for deliveries is long over: a write to a pipe that nobody reads never returns.
fn exit_after_grace() {
    let end = || {
        std::thread::sleep(GRACE + EXIT_DELAY);
        diagnostics::report(format_args!("what is in hand could not be delivered within {} s", GRACE.as_secs()));
        #[expect(clippy::disallowed_methods, reason = "nothing else ends a write that waits for ever")]
        std::process::exit(Exit::Io.code().into());
    };
    // Without a thread for it, the supervisor ends the process.
    let _ = std::thread::Builder::new().name("end".to_owned()).spawn(end);
}
