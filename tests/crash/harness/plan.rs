//! What goes wrong, and when.

use std::time::Duration;

use super::rng::Rng;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blow {
    /// The program is killed, and stays dead for this long.
    Kill { down: Duration },
    /// The connection is cut behind so many more bytes.
    Cut { bytes: u64 },
    /// The next request is taken, and the connection ends in place of its ack.
    LostAck,
    /// The receiver is away for this long.
    Away { time: Duration },
    /// The disk with the program's state is full for this long.
    FullDisk { time: Duration },
}

/// A blow, and the time between it and the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) after: Duration,
    pub(crate) blow: Blow,
}

/// So many kills, and other blows between them.
pub(crate) fn plan(seed: u64, kills: usize, full_disk: bool) -> Vec<Step> {
    let mut rng = Rng::new(seed);
    let mut steps = Vec::new();
    for _ in 0..kills {
        for _ in 0..rng.within(0..3) {
            let blow = match rng.within(0..if full_disk { 4 } else { 3 }) {
                0 => Blow::Cut { bytes: rng.within(1..40_000) },
                1 => Blow::LostAck,
                2 => Blow::Away { time: millis(&mut rng, 50..700) },
                _ => Blow::FullDisk { time: millis(&mut rng, 50..700) },
            };
            steps.push(Step { after: pause(&mut rng), blow });
        }
        let longest = if rng.once_in(3) { 400 } else { 20 };
        let down = millis(&mut rng, 0..longest);
        steps.push(Step { after: pause(&mut rng), blow: Blow::Kill { down } });
    }
    steps
}

/// Often while the program has hardly begun, sometimes when it has caught up.
fn pause(rng: &mut Rng) -> Duration {
    let longest = [40, 150, 400, 900][rng.within(0..4) as usize];
    millis(rng, 0..longest)
}

fn millis(rng: &mut Rng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_micros(rng.within(range.start * 1000..range.end * 1000))
}
