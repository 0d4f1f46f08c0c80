//! The schedule of faults.

use std::time::Duration;

use super::conduct::Conduct;
use super::rng::Rng;

/// A fault to inject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The program is killed, and stays down for this long. Then the receiver has this conduct.
    Kill { down: Duration, next: Conduct },
    /// The connection is cut after this many more bytes.
    Cut { bytes: u64 },
    /// The next request is read, and the connection closes instead of an ack.
    LostAck,
    /// The receiver is away for this long.
    Away { time: Duration },
    /// The disk with the program's state and spool is full for this long.
    FullDisk { time: Duration },
}

/// A fault, and the time between it and the previous one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) after: Duration,
    pub(crate) fault: Fault,
}

/// Returns a schedule with this many kills, and other faults between them.
pub(crate) fn plan(seed: u64, kills: usize, full_disk: bool) -> Vec<Step> {
    let mut rng = Rng::new(seed);
    let (mut steps, mut conduct) = (Vec::new(), Conduct::Prompt);
    for kill in 1..=kills {
        for _ in 0..rng.within(0..3) {
            let fault = match rng.within(0..if full_disk { 4 } else { 3 }) {
                0 => Fault::Cut { bytes: rng.within(1..40_000) },
                1 => Fault::LostAck,
                2 => Fault::Away { time: millis(&mut rng, 50..700) },
                _ => Fault::FullDisk { time: millis(&mut rng, 50..700) },
            };
            steps.push(Step { after: pause(&mut rng), fault });
        }
        let longest = if rng.once_in(3) { 400 } else { 20 };
        let down = millis(&mut rng, 0..longest);
        // The program waits after each timeout, so halving takes time.
        let more = if conduct.is_slow() { millis(&mut rng, 0..1500) } else { Duration::ZERO };
        let after = pause(&mut rng) + more;
        // Everything that waits is delivered after the last kill.
        conduct = if kill == kills { Conduct::Prompt } else { Conduct::any(&mut rng) };
        steps.push(Step { after, fault: Fault::Kill { down, next: conduct } });
    }
    steps
}

/// Returns a pause: often one in which the program hardly starts, sometimes one in which it catches up.
fn pause(rng: &mut Rng) -> Duration {
    let longest = [40, 150, 400, 900][rng.within(0..4) as usize];
    millis(rng, 0..longest)
}

fn millis(rng: &mut Rng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_micros(rng.within(range.start * 1000..range.end * 1000))
}
