//! Formats of inputs.

use crate::named_enum::named_enum;

/// The format of an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InputFormat {
    /// Any of the others: the beginning of each entry decides.
    #[default]
    Auto,
    /// Output of `journalctl -o json`, one object a line.
    JournalJson,
    /// Output of `journalctl -o export`.
    Export,
    /// Lines of key=value pairs, as logrus writes them.
    Logfmt,
    /// JSON, one object a line.
    Json,
    /// Lines of free text.
    Text,
    /// Container log files of containerd and CRI-O.
    Cri,
    /// Container log files of Docker's json-file driver.
    Docker,
    /// Lines with a syslog prefix, such as `journalctl` prints.
    Syslog,
    /// Records that katalog wrote as NDJSON.
    Kata,
}

named_enum!(InputFormat {
    Auto => "auto", "Recognize each entry by how it begins";
    JournalJson => "journal-json", "Output of `journalctl -o json`, one object a line";
    Export => "export", "Output of `journalctl -o export`";
    Logfmt => "logfmt", "Lines of key=value pairs, as logrus writes them";
    Json => "json", "JSON, one object a line";
    Text => "text", "Lines of free text";
    Cri => "cri", "Container log files of containerd and CRI-O";
    Docker => "docker", "Container log files of Docker's json-file driver";
    Syslog => "syslog", "Lines with a syslog prefix, such as `journalctl` prints";
    Kata => "kata", "Records of katalog in JSON, one object a line or pretty-printed";
});
