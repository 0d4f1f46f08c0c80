//! The writer of numbered lines, in bursts with pauses, while faults are injected.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::rng::Rng;

/// A destination of numbered lines.
pub(crate) trait Feed: Send {
    /// Appends a line, and performs any rotation that is due.
    fn write(&mut self, number: u64, rng: &mut Rng);

    /// Describes the operations other than writing.
    fn counts(&self) -> String;
}

/// Returns a line of the shim whose message has its number.
pub(crate) fn message(number: u64, rng: &mut Rng) -> String {
    let time = jiff::Timestamp::from_millisecond(1_709_614_914_000 + number as i64).unwrap();
    let padding = "abcdefgh".repeat(rng.within(0..20) as usize);
    format!(
        "time=\"{time:.9}\" level=info msg=\"line {number} of many {padding}\" name=containerd-shim-v2 pid=687061 \
         sandbox=375cdd605cf053d7079eecfa2323e83ded5796658e0c4ccb80f3b19e20550ff2 source=virtcontainers subsystem=qemu"
    )
}

/// A thread that writes.
pub(crate) struct Writer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(u64, Box<dyn Feed>)>,
}

impl Writer {
    /// Repeatedly writes ten lines on average, from this number on, then rests for about this long.
    pub(crate) fn start(mut feed: Box<dyn Feed>, first: u64, seed: u64, rest: Duration) -> Writer {
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let rest = rest.as_micros() as u64;
        let thread = std::thread::spawn(move || {
            let mut rng = Rng::new(seed);
            let mut number = first;
            while !asked.load(Ordering::Acquire) {
                for _ in 0..rng.within(1..20) {
                    feed.write(number, &mut rng);
                    number += 1;
                }
                let rest = if rng.once_in(100) { 20 * rest } else { rng.within(0..2 * rest) };
                std::thread::sleep(Duration::from_micros(rest));
            }
            (number, feed)
        });
        Writer { stop, thread }
    }

    /// Stops the thread. Returns the number of lines, and their destination.
    pub(crate) fn stop(self) -> (u64, Box<dyn Feed>) {
        self.stop.store(true, Ordering::Release);
        self.thread.join().unwrap()
    }
}
