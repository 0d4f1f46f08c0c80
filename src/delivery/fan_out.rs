//! The delivery to several servers that each get everything. Each server has its own queue, thread, position and spool.
//!
//! Without spools the slowest server stops the reading, because its queue is short. With spools each server has a queue
//! on disk, and the reading stops only if one of them is full and has to wait.

use kata_records::{Encoded, Events};

use super::checkpoint::{Checkpoint, Lead};
use super::server::{ServerDelivery, ServerDeliveryConfig};
use super::{Delivered, Delivery, DeliveryEnd};
use crate::exit::Exit;
use crate::source::position::Position;

/// A delivery to several servers that each get everything.
#[derive(Debug)]
pub struct FanOut {
    branches: Vec<Branch>,
    /// The positions of all servers.
    checkpoint: Checkpoint,
    /// The records for one server. The buffers are reused.
    copy: Encoded,
}

/// The delivery to one of the servers.
#[derive(Debug)]
struct Branch {
    delivery: Box<ServerDelivery>,
    /// The records that the server has although this run reads them again.
    lead: Lead,
}

impl Branch {
    /// Delivers records to the server, unless it has them.
    fn deliver(&mut self, out: &mut Encoded, position: Option<Position>) -> Result<(), DeliveryEnd> {
        if position.as_ref().is_some_and(|position| self.lead.has(position)) {
            out.clear(usize::MAX);
        }
        self.delivery.deliver(out, position)
    }
}

impl FanOut {
    /// Starts a thread for each server.
    ///
    /// # Errors
    /// If the host cannot start another thread.
    pub fn start(configs: Vec<ServerDeliveryConfig>, checkpoint: Checkpoint) -> std::io::Result<FanOut> {
        let start = |config: ServerDeliveryConfig| {
            let own = config.server.as_ref().map_or_else(|| checkpoint.clone(), |name| checkpoint.of_server(name));
            let lead = own.lead();
            Ok(Branch { delivery: Box::new(ServerDelivery::start(config, own)?), lead })
        };
        let branches = configs.into_iter().map(start).collect::<std::io::Result<_>>()?;
        Ok(FanOut { branches, checkpoint, copy: Encoded::default() })
    }
}

impl Delivery for FanOut {
    fn deliver(&mut self, out: &mut Encoded, position: Option<Position>) -> Result<(), DeliveryEnd> {
        let Some((last, others)) = self.branches.split_last_mut() else { return Ok(()) };
        // After the failure of one server the others still get the batch.
        let mut result = Ok(());
        for branch in others {
            copy(out, &mut self.copy);
            result = result.and(branch.deliver(&mut self.copy, position.clone()));
        }
        result.and(last.deliver(out, position))
    }

    fn abandon(&mut self, out: &Encoded) {
        self.branches.iter_mut().for_each(|branch| branch.delivery.abandon(out));
    }

    fn idle(&mut self) {
        self.branches.iter_mut().for_each(|branch| branch.delivery.idle());
    }

    fn flush(&mut self) {
        self.branches.iter_mut().for_each(|branch| branch.delivery.flush());
    }

    fn bytes(&self) -> u64 {
        self.branches.iter().map(|branch| branch.delivery.bytes()).sum()
    }

    fn finish(mut self: Box<Self>) -> Delivered {
        // All servers deliver what is left at one time.
        self.branches.iter_mut().for_each(|branch| branch.delivery.close());
        let mut all = Delivered::new(self.checkpoint, 0);
        for branch in self.branches {
            let one = branch.delivery.finish();
            all.bytes += one.bytes;
            all.refused += one.refused;
            all.damaged += one.damaged;
            all.overflowed += one.overflowed;
            all.end = worse(all.end, one.end);
        }
        all
    }
}

/// Copies the records for servers. Keeps the buffers of the copy.
fn copy(out: &Encoded, copy: &mut Encoded) {
    copy.clear(usize::MAX);
    for events in out.events.iter().filter(|events| !events.is_empty()) {
        Events::of_tag(&mut copy.events, &events.tag).append(events);
    }
}

/// Returns the worse of two results. A cause is worse than the loss that it leads to.
fn worse(one: Option<DeliveryEnd>, other: Option<DeliveryEnd>) -> Option<DeliveryEnd> {
    let rank = |end: &Option<DeliveryEnd>| match end {
        None => 0,
        Some(DeliveryEnd::Closed) => 1,
        Some(DeliveryEnd::Failed(Exit::Success)) => 2,
        Some(DeliveryEnd::Failed(Exit::Lost)) => 3,
        Some(DeliveryEnd::Failed(_)) => 4,
    };
    if rank(&other) > rank(&one) { other } else { one }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_that_of_a_cause() {
        let failed = |exit| Some(DeliveryEnd::Failed(exit));
        let ends = [None, failed(Exit::Success), failed(Exit::Lost), failed(Exit::Config)];
        for (number, bad) in ends.iter().enumerate() {
            for good in &ends[..number] {
                assert_eq!((worse(*good, *bad), worse(*bad, *good)), (*bad, *bad));
            }
        }
        assert_eq!(worse(failed(Exit::Config), failed(Exit::Unavailable)), failed(Exit::Config), "the first one");
    }
}
