//! The order in which the addresses of one host name are tried.

use std::net::SocketAddr;

/// The number of failed addresses that are remembered.
const MAX_FAILED: usize = 16;

/// The addresses of a server that failed, the one that failed last at the end.
///
/// A host name may have several addresses. One of them may accept connections and never answer, so addresses that
/// failed are tried after all others.
#[derive(Debug, Default)]
pub(crate) struct AddressOrder {
    failed: Vec<SocketAddr>,
    /// The address of the last connection.
    current: Option<SocketAddr>,
}

impl AddressOrder {
    /// Sorts the addresses of a name: those that did not fail in their order, then the others.
    pub(super) fn sort(&self, addresses: &mut [SocketAddr]) {
        addresses.sort_by_key(|address| self.failed.iter().position(|failed| failed == address).map(|at| at + 1));
    }

    /// Records the address of a new connection.
    pub(super) fn connected(&mut self, address: Option<SocketAddr>) {
        self.current = address;
    }

    /// Records a failure at the address of the last connection.
    pub(super) fn failed(&mut self) {
        self.failed.retain(|failed| Some(*failed) != self.current);
        if self.failed.len() == MAX_FAILED {
            self.failed.remove(0);
        }
        self.failed.extend(self.current);
    }

    /// Records a success at the address of the last connection.
    pub(super) fn succeeded(&mut self) {
        self.failed.retain(|failed| Some(*failed) != self.current);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_addresses_come_last() {
        let all: Vec<SocketAddr> = (1..=3).map(|port| SocketAddr::from(([127, 0, 0, 1], port))).collect();
        let ports = |order: &AddressOrder| {
            let mut addresses = all.clone();
            order.sort(&mut addresses);
            addresses.iter().map(SocketAddr::port).collect::<Vec<_>>()
        };
        let mut order = AddressOrder::default();
        order.failed();
        assert_eq!(ports(&order), [1, 2, 3]);
        for (place, expected) in [(0, [2, 3, 1]), (1, [3, 1, 2]), (2, [1, 2, 3]), (0, [2, 3, 1])] {
            order.connected(Some(all[place]));
            order.failed();
            assert_eq!(ports(&order), expected);
        }
        order.succeeded();
        assert_eq!(ports(&order), [1, 2, 3]);
        for port in 100..200 {
            order.connected(Some(SocketAddr::from(([127, 0, 0, 1], port))));
            order.failed();
        }
        assert_eq!(order.failed.len(), MAX_FAILED);
    }
}
