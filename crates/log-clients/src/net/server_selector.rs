//! Selection of the next server, by order or weight and by health. No I/O, no waiting.

use std::time::{Duration, Instant};

use crate::address::Address;
use crate::settings::{ServerSettings, Spread};

/// The interval between two reports on one server.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// The smallest part of a backoff. The rest is random, so that clients do not reconnect in step. The minimum lets
/// the client try the next server first.
const MIN_BACKOFF_SHARE: f64 = 0.1;

/// The next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Try the server of this index.
    Use(usize),
    /// Wait until this time, because all servers are down.
    Wait(Instant),
}

/// The health of each server, and the selection.
#[derive(Debug)]
pub(crate) struct ServerSelector {
    servers: Vec<ServerHealth>,
    spread: Spread,
    first_backoff: Duration,
    last_backoff: Duration,
    return_interval: Duration,
    /// The server that accepted the last chunk.
    current: Option<usize>,
    random: fastrand::Rng,
}

#[derive(Debug)]
struct ServerHealth {
    weight: u32,
    standby: bool,
    /// The number of failures since the last success.
    failures: u32,
    down_until: Option<Instant>,
    chosen: Option<Instant>,
    /// The time of the last report.
    reported_at: Option<Instant>,
    /// True if the last report was a failure, so that a recovery has to be reported too.
    reported_down: bool,
    /// The credit of the weighted round robin.
    credit: i64,
}

impl ServerHealth {
    fn is_up(&self, now: Instant) -> bool {
        self.down_until.is_none_or(|until| until <= now)
    }
}

impl ServerSelector {
    /// Creates a selector with all servers up.
    pub(crate) fn new(settings: &ServerSettings) -> ServerSelector {
        let new = |address: &Address| ServerHealth {
            weight: address.weight,
            standby: address.standby,
            failures: 0,
            down_until: None,
            chosen: None,
            reported_at: None,
            reported_down: false,
            credit: 0,
        };
        ServerSelector {
            servers: settings.servers.iter().map(new).collect(),
            spread: settings.spread,
            first_backoff: settings.first_backoff,
            last_backoff: settings.last_backoff,
            return_interval: settings.return_interval,
            current: None,
            random: fastrand::Rng::new(),
        }
    }

    /// Chooses the server for the next attempt. Standby servers serve only while all others are down.
    pub(crate) fn choose(&mut self, now: Instant) -> Choice {
        let up = |standby| {
            let listed = self.servers.iter().enumerate();
            listed.filter(move |(_, server)| server.is_up(now) && server.standby == standby).map(|(index, _)| index)
        };
        let mut candidates: Vec<usize> = up(false).collect();
        if candidates.is_empty() {
            candidates.extend(up(true));
        }
        let chosen = match self.spread {
            Spread::Failover => self.choose_by_order(&candidates, now),
            Spread::Weighted => self.choose_by_weight(&candidates),
        };
        let Some((index, server)) = chosen.and_then(|index| Some((index, self.servers.get_mut(index)?))) else {
            let earliest = self.servers.iter().filter_map(|server| server.down_until).min();
            return Choice::Wait(earliest.unwrap_or(now));
        };
        server.chosen = Some(now);
        Choice::Use(index)
    }

    /// Chooses the first server. If it was tried recently, stays with the current one.
    fn choose_by_order(&self, candidates: &[usize], now: Instant) -> Option<usize> {
        let first = *candidates.first()?;
        let tried = self.servers.get(first)?.chosen;
        match self.current.filter(|current| self.servers.get(*current).is_some_and(|server| server.is_up(now))) {
            Some(current) if tried.is_some_and(|tried| now < tried + self.return_interval) => Some(current),
            _ => Some(first),
        }
    }

    /// Chooses by smooth weighted round robin: each server earns its weight, and the one with the most credit pays for
    /// all.
    fn choose_by_weight(&mut self, candidates: &[usize]) -> Option<usize> {
        let mut total = 0;
        let mut most: Option<(i64, usize)> = None;
        for index in candidates {
            let server = self.servers.get_mut(*index)?;
            server.credit += i64::from(server.weight);
            total += i64::from(server.weight);
            if most.is_none_or(|(credit, _)| server.credit > credit) {
                most = Some((server.credit, *index));
            }
        }
        let (_, chosen) = most?;
        self.servers.get_mut(chosen)?.credit -= total;
        Some(chosen)
    }

    /// Returns whether an attempt only checks if a preferred server is back, while the current server is still up.
    pub(crate) fn is_return_attempt(&self, index: usize, now: Instant) -> bool {
        self.spread == Spread::Failover
            && self.current.is_some_and(|current| {
                current != index && self.servers.get(current).is_some_and(|server| server.is_up(now))
            })
    }

    /// Marks a server as up. Returns whether to report the recovery.
    pub(crate) fn succeeded(&mut self, index: usize) -> bool {
        self.current = Some(index);
        let Some(server) = self.servers.get_mut(index) else { return false };
        server.failures = 0;
        server.down_until = None;
        std::mem::take(&mut server.reported_down)
    }

    /// Marks a server as down. Returns the duration of the backoff, and whether to report the failure. If the next
    /// request is `smaller`, the backoff does not grow: the server may take that request.
    pub(crate) fn failed(
        &mut self,
        index: usize,
        configuration: bool,
        smaller: bool,
        now: Instant,
    ) -> (Duration, bool) {
        let Some(server) = self.servers.get_mut(index) else { return (Duration::ZERO, false) };
        let doubled = 2u32.checked_pow(server.failures).unwrap_or(u32::MAX);
        let most = self.first_backoff.saturating_mul(doubled).min(self.last_backoff);
        // A configuration is not corrected within seconds.
        let share = MIN_BACKOFF_SHARE + (1.0 - MIN_BACKOFF_SHARE) * self.random.f64();
        let down = if configuration { self.last_backoff } else { most.mul_f64(share) };
        server.failures = server.failures.saturating_add(u32::from(!smaller));
        server.down_until = Some(now + down);
        let report = server.reported_at.is_none_or(|reported_at| reported_at + REPORT_INTERVAL <= now);
        if report {
            server.reported_at = Some(now);
            server.reported_down = true;
        }
        (down, report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(addresses: &[&str], spread: Spread) -> ServerSelector {
        let servers = addresses.iter().map(|address| address.parse().unwrap()).collect();
        ServerSelector::new(&ServerSettings { servers, spread, ..ServerSettings::default() })
    }

    fn second(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    #[test]
    fn failover_prefers_the_first_server_that_is_up() {
        let mut servers = servers(&["unix:/a", "unix:/b"], Spread::Failover);
        let now = Instant::now();
        assert_eq!(servers.choose(now), Choice::Use(0));
        let (first, report) = servers.failed(0, true, false, now);
        assert!(report && first == second(60));
        assert_eq!(servers.choose(now), Choice::Use(1));
        let (other, _) = servers.failed(1, false, false, now);
        assert!(other <= second(1));
        assert_eq!(servers.choose(now), Choice::Wait(now + other));
        assert_eq!(servers.choose(now + second(2)), Choice::Use(1));
        servers.succeeded(1);
        // The backoff of the first server has passed.
        assert_eq!(servers.choose(now + second(59)), Choice::Use(1));
        assert_eq!(servers.choose(now + second(61)), Choice::Use(0));
        assert!(servers.is_return_attempt(0, now + second(61)));
        // The first server is still down, and is not tried with each chunk.
        let (down, report) = servers.failed(0, false, false, now + second(61));
        assert!(report && down <= second(2));
        assert_eq!(servers.choose(now + second(64)), Choice::Use(1));
        assert_eq!(servers.choose(now + second(92)), Choice::Use(0));
        assert!(servers.succeeded(0));
        assert!(!servers.succeeded(0));
        assert_eq!(servers.choose(now + second(93)), Choice::Use(0));
        assert!(!servers.is_return_attempt(0, now + second(93)));
    }

    #[test]
    fn backoff_is_bounded_and_reported_once_a_minute() {
        let mut servers = servers(&["unix:/a"], Spread::Failover);
        let now = Instant::now();
        let mut reports = 0;
        for failure in 0..100u32 {
            let (down, report) = servers.failed(0, false, false, now + second(u64::from(failure)));
            assert!(down <= second(60) && down <= second(1 << failure.min(6)), "{failure}: {down:?}");
            reports += u32::from(report);
        }
        assert_eq!(reports, 2);
    }

    #[test]
    fn standby_servers_serve_while_all_others_are_down() {
        for spread in [Spread::Failover, Spread::Weighted] {
            let mut servers = servers(&["unix:/a?standby", "unix:/b", "unix:/c"], spread);
            let now = Instant::now();
            assert_eq!(servers.choose(now), Choice::Use(1));
            servers.failed(1, true, false, now);
            assert_eq!(servers.choose(now), Choice::Use(2));
            servers.failed(2, true, false, now);
            assert_eq!(servers.choose(now), Choice::Use(0));
            servers.succeeded(0);
            assert_ne!(servers.choose(now + second(100)), Choice::Use(0));
        }
    }

    #[test]
    fn chunks_are_spread_by_weight() {
        let mut servers = servers(&["unix:/a?weight=5", "unix:/b?weight=1", "unix:/c?weight=1"], Spread::Weighted);
        let now = Instant::now();
        let mut chosen = || match servers.choose(now) {
            Choice::Use(index) => index,
            Choice::Wait(_) => panic!("all are up"),
        };
        let order: Vec<usize> = (0..14).map(|_| chosen()).collect();
        assert_eq!(order, [0, 0, 1, 0, 2, 0, 0, 0, 0, 1, 0, 2, 0, 0]);
    }
}
