//! What is written while things go wrong: numbered lines, in bursts and with breaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::rng::Rng;

/// Where lines go.
pub(crate) trait Feed: Send {
    /// Appends a line, and does what else is due.
    fn write(&mut self, number: u64, rng: &mut Rng);

    /// What was done besides writing.
    fn counts(&self) -> String;
}

/// A line of the shim's, whose message says its number.
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
    /// Writes on average ten lines, from this number on, then rests for about so long, again and again.
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

    /// Ends it; returns how many lines there are, and what wrote them.
    pub(crate) fn stop(self) -> (u64, Box<dyn Feed>) {
        self.stop.store(true, Ordering::Release);
        self.thread.join().unwrap()
    }
}
