//! Receives the requests of the host during a run: shutdown, delivery with statistics, and reload.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals as Incoming;

use crate::delivery::shutdown::{GRACE, ShutdownSignal};
use crate::diagnostics;
use crate::exit::Exit;
use crate::sink;

/// The time between the deadline of deliveries and the end of a process that is stuck in one of them.
const EXIT_DELAY: Duration = Duration::from_millis(900);

/// The meaning of SIGHUP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnHangup {
    /// The configuration is reloaded, as services do.
    Reload,
    /// The run ends as by SIGTERM, because the terminal is gone.
    Stop,
}

/// The pending requests.
#[derive(Debug, Default)]
pub struct Signals {
    /// The shutdown of the current run. `is_final` forbids another run.
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
    /// Listens to signals. SIGTERM and SIGINT request shutdown, and end the process the second time. SIGUSR1 requests
    /// delivery and statistics. SIGHUP means `on_hangup`, but stays ignored if the parent process ignores it.
    ///
    /// # Errors
    /// If the host refuses to install the handlers.
    pub fn listen(on_hangup: OnHangup) -> io::Result<Arc<Signals>> {
        let signals = Arc::new(Signals::default());
        let mut incoming = Incoming::new([SIGTERM, SIGINT, SIGUSR1])?;
        // Without /proc the answer is unknown. Most parents do not ignore SIGHUP.
        if !is_ignored(SIGHUP, &fs::read_to_string("/proc/self/status").unwrap_or_default()) {
            incoming.add_signal(SIGHUP)?;
        }
        let requests = Arc::clone(&signals);
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for signal in incoming.forever() {
                match signal {
                    SIGUSR1 => requests.flush.store(true, Ordering::Release),
                    SIGHUP if on_hangup == OnHangup::Reload => requests.reload.store(true, Ordering::Release),
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

    /// Listens to SIGINT, which a terminal sends to the pager too. The run stops to read and waits for the pager, because a
    /// pager without its program fights with the shell for the terminal. Without a pager, the process ends.
    ///
    /// # Errors
    /// If the host refuses to install the handler.
    pub fn listen_beside_pager() -> io::Result<Arc<Signals>> {
        let signals = Arc::new(Signals::default());
        let mut incoming = Incoming::new([SIGINT])?;
        let requests = Arc::clone(&signals);
        let listen = move || {
            for signal in incoming.forever() {
                #[expect(clippy::disallowed_methods, reason = "a read of a pipe may never return")]
                if !sink::pager_runs() {
                    std::process::exit(128 + signal);
                }
                requests.shutdown().current.request();
            }
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(listen)?;
        Ok(signals)
    }

    /// Returns the shutdown signal of the current run.
    #[must_use]
    pub fn current_shutdown(&self) -> Arc<ShutdownSignal> {
        Arc::clone(&self.shutdown().current)
    }

    /// Returns true if shutdown was requested, so that no other run begins.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.shutdown().is_final
    }

    /// Replaces the shutdown signal, so that another run can begin. Does nothing after a request for shutdown.
    pub fn renew(&self) {
        let mut shutdown = self.shutdown();
        if !shutdown.is_final {
            shutdown.current = Arc::default();
        }
    }

    /// Returns true if delivery and statistics were requested since the last call.
    #[must_use]
    pub fn take_flush(&self) -> bool {
        self.flush.swap(false, Ordering::AcqRel)
    }

    /// Returns true if a reload was requested since the last call.
    #[must_use]
    pub fn take_reload(&self) -> bool {
        self.reload.swap(false, Ordering::AcqRel)
    }

    fn shutdown(&self) -> MutexGuard<'_, ShutdownState> {
        self.shutdown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns true if a process ignores a signal. `status` is the content of its `/proc/PID/status`, as in `proc(5)`.
fn is_ignored(signal: i32, status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).unwrap_or_default();
    mask >> (signal - 1) & 1 == 1
}

/// Ends the process after the deadline of deliveries. A write to a pipe that nobody reads never returns.
fn exit_after_grace() {
    let end = || {
        std::thread::sleep(GRACE + EXIT_DELAY);
        diagnostics::report(format_args!("pending records could not be delivered within {} s", GRACE.as_secs()));
        #[expect(clippy::disallowed_methods, reason = "nothing else ends a write that waits for ever")]
        std::process::exit(Exit::Io.code().into());
    };
    // If the thread cannot start, the supervisor ends the process.
    let _ = std::thread::Builder::new().name("end".to_owned()).spawn(end);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_bits_of_a_mask() {
        let status =
            "Name:\tkatalog\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000001002\nSigCgt:\t0000000000000001\n";
        assert!(!is_ignored(SIGHUP, status) && is_ignored(SIGINT, status) && is_ignored(13, status));
        assert!(is_ignored(SIGHUP, &status.replace("1002", "1003")));
        assert!(!is_ignored(SIGHUP, "") && !is_ignored(SIGHUP, "SigIgn:\tnonsense\n"));
    }
}
