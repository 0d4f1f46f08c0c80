//! Formats the status of the process for Prometheus: the text format, version 0.0.4.
//!
//! Names follow the conventions of Prometheus: `katalog_` first, base units, and `_total` for counters. Closed sets of
//! labels are complete from the start, so that rates begin at 0.

use std::fmt::{self, Display, Write as _};

use crate::service::status::{ServerSnapshot, StatusSnapshot};
use log_clients::RetryReason;

/// The value of `Content-Type`.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Counters without labels: the name in the statistics, the metric, and its help.
const TOTALS: &[(&str, &str, &str)] = &[
    ("read", "katalog_entries_read_total", "Entries that were read."),
    ("bytes_in", "katalog_read_bytes_total", "Bytes of the entries that were read."),
    ("bytes_out", "katalog_delivered_bytes_total", "Bytes of records that the receiver has."),
    ("flawed", "katalog_flawed_records_total", "Records with flaws."),
    ("redacted", "katalog_redacted_records_total", "Records in which something was redacted."),
    ("suppressed", "katalog_suppressed_messages_total", "Messages that journald threw away before they could be read."),
    ("refused", "katalog_refused_records_total", "Records that no server took and that were set aside."),
    ("overflowed", "katalog_overflowed_records_total", "Records that were lost because the spool was full."),
    ("vanished_files", "katalog_vanished_files_total", "Log files that were deleted or emptied before they were read."),
    ("vanished_bytes", "katalog_vanished_bytes_total", "Known bytes of these files that were not read."),
];

/// Counters with labels: the name in the statistics, the metric, the label, and the help.
const LABELLED: &[(&str, &str, &str, &str)] = &[
    ("components", "katalog_records_written_total", "component", "Records that were written; `others` is what passed."),
    ("levels", "katalog_record_levels_total", "level", "Records that were written and have a level."),
    ("dropped", "katalog_dropped_total", "reason", "Entries that no record was written for."),
    ("flaws", "katalog_flaws_total", "flaw", "Flaws of records; a record may have several."),
    (
        "origins",
        "katalog_record_origins_total",
        "origin",
        "Records of Kata that were written, by who is proven to speak.",
    ),
    ("errors", "katalog_record_errors_total", "origin", "Records of Kata with the level error or critical, by origin."),
    ("formats", "katalog_record_formats_total", "format", "Records of Kata, by the format of their messages."),
    ("damage", "katalog_damage_total", "reason", "Fields, entries and files that could not be read."),
];

/// Returns the page.
#[must_use]
pub fn page(snapshot: &StatusSnapshot) -> String {
    let mut page = Page(String::with_capacity(16 << 10));
    page.family("katalog_build_info", "gauge", "The version that runs.");
    page.sample("katalog_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.one("process_start_time_seconds", "gauge", "When the process began, since 1970.", snapshot.started);
    for (total, name, help) in TOTALS {
        let found = snapshot.stats.totals().into_iter().find(|(known, _)| known == total);
        page.one(name, "counter", help, found.map_or(0, |(_, count)| count));
    }
    let passed = snapshot.stats.totals().into_iter().find(|(name, _)| *name == "passed").map_or(0, |(_, count)| count);
    for (part, name, label, help) in LABELLED {
        page.family(name, "counter", help);
        for (_, counts) in snapshot.stats.parts().into_iter().filter(|(known, _)| known == part) {
            counts.into_iter().for_each(|(value, count)| page.sample(name, &[(label, value)], count));
        }
        if *part == "components" {
            page.sample(name, &[(label, "others")], passed);
        }
    }
    for (name, help, count) in [
        ("katalog_delivered_records_total", "Records that the receiver has.", snapshot.delivery.records),
        ("katalog_delivered_chunks_total", "Chunks that servers acknowledged.", snapshot.delivery.chunks),
        ("katalog_server_connections_total", "Connections to servers.", snapshot.client.counters.connections),
        (
            "katalog_server_reconnects_total",
            "Connections to servers that had one before.",
            snapshot.client.counters.reconnects,
        ),
        ("katalog_state_saves_total", "Saves of the positions in the state directory.", snapshot.saves.saves),
        ("katalog_state_save_failures_total", "Saves of the positions that failed.", snapshot.saves.failures),
        ("katalog_delivery_acks_total", "Requests that servers acknowledged.", snapshot.client.counters.acks),
        ("katalog_delivery_nacks_total", "Requests that servers could not take.", snapshot.client.counters.nacks),
        (
            "katalog_delivery_resent_total",
            "Requests that were sent again, so that records may have come twice.",
            snapshot.client.counters.resent,
        ),
    ] {
        page.one(name, "counter", help, count);
    }
    let (retries, help) = ("katalog_delivery_retries_total", "Attempts that failed and were followed by another one.");
    page.family(retries, "counter", help);
    for reason in RetryReason::ALL {
        page.sample(retries, &[("reason", reason.name())], snapshot.client.counters.retries.get(*reason));
    }
    page.family("katalog_server_up", "gauge", "Whether a server took what it was last sent; not there before.");
    for server in &snapshot.client.servers {
        if let Some(up) = server.is_up {
            page.sample("katalog_server_up", &[("server", &server.name)], u8::from(up));
        }
    }
    let (limit, help) =
        ("katalog_server_request_limit_bytes", "Size of requests; there if a server takes no larger ones.");
    page.family(limit, "gauge", help);
    for server in &snapshot.client.servers {
        if let Some(bytes) = server.request_limit {
            page.sample(limit, &[("server", &server.name)], bytes);
        }
    }
    page.fan_out(&snapshot.servers);
    page.one(
        "katalog_waiting_records",
        "gauge",
        "Records on their way to servers that are not there yet.",
        snapshot.delivery.waiting,
    );
    page.one(
        "katalog_held_files",
        "gauge",
        "Deleted log files that are open until they are read.",
        snapshot.held_files,
    );
    page.one("katalog_held_bytes", "gauge", "Bytes of these files.", snapshot.held_bytes);
    page.one(
        "katalog_lag_seconds",
        "gauge",
        "How far delivery is behind; 0 where all is read and delivered.",
        snapshot.lag,
    );
    for (name, help, value) in [
        ("katalog_spool_bytes", "Bytes in the spool.", snapshot.delivery.spool_bytes.map(|bytes| bytes as f64)),
        (
            "katalog_last_delivery_timestamp_seconds",
            "When servers last took something, since 1970.",
            snapshot.delivered,
        ),
        (
            "katalog_waiting_since_timestamp_seconds",
            "When the oldest waiting record was read, since 1970.",
            snapshot.waiting_since,
        ),
        ("katalog_state_saved_timestamp_seconds", "When the positions were last saved, since 1970.", snapshot.saved),
        ("katalog_last_record_timestamp_seconds", "The time of the last record, since 1970.", snapshot.latest),
    ] {
        page.family(name, "gauge", help);
        if let Some(value) = value {
            page.sample(name, &[], value);
        }
    }
    page.0
}

struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.line(format_args!("{name}"));
        for (index, (label, text)) in labels.iter().enumerate() {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            self.line(format_args!("{}{label}=\"{text}\"", if index == 0 { "{" } else { "," }));
        }
        self.line(format_args!("{} {value}\n", if labels.is_empty() { "" } else { "}" }));
    }

    /// Adds a family with one sample.
    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    /// Adds the families of servers that each get everything.
    fn fan_out(&mut self, servers: &[ServerSnapshot]) {
        type Value = fn(&ServerSnapshot) -> Option<f64>;
        let families: [(&str, &str, &str, Value); 6] = [
            (
                "katalog_server_delivered_records_total",
                "counter",
                "Records that the server has; there with --fan-out.",
                |server| Some(server.records as f64),
            ),
            (
                "katalog_server_overflowed_records_total",
                "counter",
                "Records that were lost because the spool of the server was full; there with --fan-out.",
                |server| Some(server.overflowed as f64),
            ),
            (
                "katalog_server_retries_total",
                "counter",
                "Attempts at the server that failed and were followed by another one; there with --fan-out.",
                |server| Some(server.retries as f64),
            ),
            (
                "katalog_server_waiting_records",
                "gauge",
                "Records on their way to the server that are not there yet; there with --fan-out.",
                |server| Some(server.waiting as f64),
            ),
            (
                "katalog_server_waiting_since_timestamp_seconds",
                "gauge",
                "When the oldest record that waits for the server was read, since 1970; there with --fan-out.",
                |server| server.waiting_since,
            ),
            (
                "katalog_server_spool_bytes",
                "gauge",
                "Bytes in the spool of the server; there with --fan-out.",
                |server| server.spool_bytes.map(|bytes| bytes as f64),
            ),
        ];
        for (name, kind, help, value) in families {
            self.family(name, kind, help);
            for server in servers {
                if let Some(value) = value(server) {
                    self.sample(name, &[("server", &server.name)], value);
                }
            }
        }
    }

    fn line(&mut self, text: fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = self.0.write_fmt(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_of_the_statistics_is_there() {
        let snapshot = StatusSnapshot::default();
        // `written` is the sum of `components` and `passed`.
        let shown = ["written", "passed"];
        for (name, _) in snapshot.stats.totals() {
            assert!(shown.contains(&name) || TOTALS.iter().any(|(known, ..)| *known == name), "{name}");
        }
        for (name, _) in snapshot.stats.parts() {
            assert!(LABELLED.iter().any(|(known, ..)| *known == name), "{name}");
        }
    }

    #[test]
    fn labels_are_escaped() {
        let mut page = Page(String::new());
        page.sample("a", &[("b", "x\"y\\z\n"), ("c", "")], 1.5);
        assert_eq!(page.0, "a{b=\"x\\\"y\\\\z\\n\",c=\"\"} 1.5\n");
    }
}
