//! The dictionary: the keys of Kata's writers, with their names and types in records.
//!
//! An unknown key becomes a string under its own name, so the table is never a limit. Every name in the table is itself
//! a key of the table.

use std::num::NonZeroU8;

use crate::name_hash::{ByteSet, NameTable};

/// The type of a known key's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueKind {
    /// A string.
    Text,
    /// An integer from 0, such as a process id.
    Count,
    /// An integer.
    Int,
    /// A boolean.
    Bool,
    /// Go's text of a duration. A second field, with `_ns` after the name, holds the nanoseconds.
    Duration,
    /// A time: `kata_time`.
    Time,
    /// A severity: `kata_level`.
    Level,
}

/// A row of the dictionary.
#[derive(Debug)]
pub(crate) struct KnownKey {
    /// The key as writers spell it.
    pub key: &'static str,
    /// The name in a record, after `kata_`. A key that differs from its name is an alias.
    pub name: &'static str,
    /// The type.
    pub kind: ValueKind,
}

const fn row(key: &'static str, name: &'static str, kind: ValueKind) -> KnownKey {
    KnownKey { key, name, kind }
}

const fn text(key: &'static str) -> KnownKey {
    row(key, key, ValueKind::Text)
}

/// The dictionary. Upstream: the loggers of kata-containers and of kata-containers/runtime, proxy, shim, agent.
pub(crate) const DICTIONARY: &[KnownKey] = &[
    row("time", "time", ValueKind::Time),
    row("ts", "time", ValueKind::Time),
    row("level", "level", ValueKind::Level),
    text("msg"),
    text("name"),
    row("pid", "pid", ValueKind::Count),
    text("sandbox"),
    row("sandbox-id", "sandbox", ValueKind::Text),
    row("sandboxid", "sandbox", ValueKind::Text),
    row("sandbox_id", "sandbox", ValueKind::Text),
    row("sandox-id", "sandbox", ValueKind::Text),
    row("ID", "sandbox", ValueKind::Text),
    row("sandboxID", "sandbox", ValueKind::Text),
    row("podsandboxid", "sandbox", ValueKind::Text),
    text("container"),
    row("container-id", "container", ValueKind::Text),
    row("container_id", "container", ValueKind::Text),
    row("cid", "container", ValueKind::Text),
    row("Container", "container", ValueKind::Text),
    row("container`", "container", ValueKind::Text),
    row("containerID", "container", ValueKind::Text),
    text("exec_id"),
    row("exec-id", "exec_id", ValueKind::Text),
    row("eid", "exec_id", ValueKind::Text),
    row("ExecID", "exec_id", ValueKind::Text),
    row("exec", "exec_id", ValueKind::Text),
    text("source"),
    text("subsystem"),
    text("error"),
    row("Error", "error", ValueKind::Text),
    row("err", "error", ValueKind::Text),
    text("vmconsole"),
    text("stream"),
    text("req"),
    text("runtime"),
    text("pod"),
    row("cri-name", "pod", ValueKind::Text),
    row("Pod Name", "pod", ValueKind::Text),
    text("namespace"),
    row("cri-namespace", "namespace", ValueKind::Text),
    row("Pod Namespace", "namespace", ValueKind::Text),
    text("pod_uid"),
    row("cri-uid", "pod_uid", ValueKind::Text),
    row("Pod UID", "pod_uid", ValueKind::Text),
    row("qemuPid", "qemuPid", ValueKind::Count),
    row("StratoVirt Pid", "StratoVirt_Pid", ValueKind::Count),
    row("StratoVirt_Pid", "StratoVirt_Pid", ValueKind::Count),
    row("proxy-pid", "proxy-pid", ValueKind::Count),
    row("child-pid", "child-pid", ValueKind::Count),
    row("process-id", "process-id", ValueKind::Count),
    row("invalid-virtiofsd-pid", "invalid-virtiofsd-pid", ValueKind::Count),
    row("stream_id", "stream_id", ValueKind::Count),
    row("stream id", "stream_id", ValueKind::Count),
    row("exit-code", "exit-code", ValueKind::Int),
    row("exitcode", "exitcode", ValueKind::Int),
    row("status", "status", ValueKind::Int),
    row("duration", "duration", ValueKind::Duration),
    row("timeout", "timeout", ValueKind::Duration),
    row("createContainerRequestTimeout", "createContainerRequestTimeout", ValueKind::Duration),
    row("vcpus", "vcpus", ValueKind::Int),
    row("reqVCPUs", "reqVCPUs", ValueKind::Int),
    row("cpus-sandbox", "cpus-sandbox", ValueKind::Int),
    row("memory", "memory", ValueKind::Int),
    row("mem-mb", "mem-mb", ValueKind::Int),
    row("current-memory", "current-memory", ValueKind::Int),
    row("new-memory", "new-memory", ValueKind::Int),
    row("memory-sandbox-size-mb", "memory-sandbox-size-mb", ValueKind::Int),
    row("sandboxMemoryByte", "sandboxMemoryByte", ValueKind::Int),
    row("hotplug-memory-mb", "hotplug-memory-mb", ValueKind::Int),
    row("qmp-major-version", "qmp-major-version", ValueKind::Int),
    row("qmp-minor-version", "qmp-minor-version", ValueKind::Int),
    row("qmp-micro-version", "qmp-micro-version", ValueKind::Int),
    row("hotplug", "hotplug", ValueKind::Bool),
    row("debug", "debug", ValueKind::Bool),
    row("terminal", "terminal", ValueKind::Bool),
    row("tracing", "tracing", ValueKind::Bool),
    row("ipv6", "ipv6", ValueKind::Bool),
    row("rollback", "rollback", ValueKind::Bool),
    row("cold-plug", "cold-plug", ValueKind::Bool),
    row("smtEnabled", "smtEnabled", ValueKind::Bool),
    row("debug_console", "debug_console", ValueKind::Bool),
    // Frequent keys. They are listed only because a known name costs less than a new one for each entry.
    text("arch"),
    text("command"),
    text("commit"),
    text("version"),
    text("arguments"),
    text("args"),
    text("id"),
    text("file"),
    text("path"),
    text("type"),
    text("function"),
    text("request"),
    text("resp"),
    text("address"),
    text("device"),
    text("endpoint"),
    text("endpoints"),
    text("endpoint-type"),
    text("console-protocol"),
    text("console-url"),
    text("logrus_error"),
    text("action"),
    text("module"),
    text("operation"),
    text("container-type"),
    text("shm-size"),
    text("mount-point"),
    text("rootfs"),
    text("netns"),
    text("interface"),
    text("hwAddr"),
    text("device-id"),
    text("qmp-capabilities"),
    text("qmp-Capabilities"),
    text("proxy-url"),
    text("url"),
    // Keys that clash with katalog's own fields. logrus renames clashing keys in the same way.
    row("component", "fields_component", ValueKind::Text),
    row("fields_component", "fields_component", ValueKind::Text),
    row("format", "fields_format", ValueKind::Text),
    row("fields_format", "fields_format", ValueKind::Text),
    row("origin", "fields_origin", ValueKind::Text),
    row("fields_origin", "fields_origin", ValueKind::Text),
    row("redacted", "fields_redacted", ValueKind::Text),
    row("fields_redacted", "fields_redacted", ValueKind::Text),
    row("guest", "fields_guest", ValueKind::Text),
    row("fields_guest", "fields_guest", ValueKind::Text),
    row("flaws", "fields_flaws", ValueKind::Text),
    row("fields_flaws", "fields_flaws", ValueKind::Text),
    row("escaped", "fields_escaped", ValueKind::Text),
    row("fields_escaped", "fields_escaped", ValueKind::Text),
    row("delta_ns", "fields_delta_ns", ValueKind::Text),
    row("fields_delta_ns", "fields_delta_ns", ValueKind::Text),
    // Fields of the journal (`systemd.journal-fields(7)`), listed so that they have numbers too.
    text("MESSAGE"),
    text("CONTAINER_ID_FULL"),
    text("PRIORITY"),
    text("SYSLOG_FACILITY"),
    text("SYSLOG_IDENTIFIER"),
    text("SYSLOG_MSGID"),
    text("SYSLOG_PID"),
    text("SYSLOG_RAW"),
    text("SYSLOG_STRUCTURED_DATA"),
    text("SYSLOG_TIMESTAMP"),
    text("_AUDIT_LOGINUID"),
    text("_AUDIT_SESSION"),
    text("_BOOT_ID"),
    text("_CAP_EFFECTIVE"),
    text("_CMDLINE"),
    text("_COMM"),
    text("_EXE"),
    text("_GID"),
    text("_HOSTNAME"),
    text("_LINE_BREAK"),
    text("_MACHINE_ID"),
    text("_PID"),
    text("_RUNTIME_SCOPE"),
    text("_SELINUX_CONTEXT"),
    text("_SOURCE_REALTIME_TIMESTAMP"),
    text("_STREAM_ID"),
    text("_SYSTEMD_CGROUP"),
    text("_SYSTEMD_INVOCATION_ID"),
    text("_SYSTEMD_OWNER_UID"),
    text("_SYSTEMD_SESSION"),
    text("_SYSTEMD_SLICE"),
    text("_SYSTEMD_UNIT"),
    text("_SYSTEMD_USER_SLICE"),
    text("_SYSTEMD_USER_UNIT"),
    text("_TRANSPORT"),
    text("_UID"),
    text("__CURSOR"),
    text("__MONOTONIC_TIMESTAMP"),
    text("__REALTIME_TIMESTAMP"),
    text("__SEQNUM"),
    text("__SEQNUM_ID"),
    // A field of Docker's log lines.
    text("attrs"),
];

/// Returns the rows for keys of payloads.
#[must_use]
pub(crate) fn payload_keys() -> &'static [KnownKey] {
    DICTIONARY.split_at(KeyId::MESSAGE.row()).0
}

/// Returns the rows for fields of envelopes.
#[must_use]
pub(crate) fn envelope_keys() -> &'static [KnownKey] {
    DICTIONARY.split_at(KeyId::MESSAGE.row()).1
}

/// A known key, as the number of its row in [`DICTIONARY`], from 1. The niche keeps an unknown key as small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyId(NonZeroU8);

impl KeyId {
    /// Returns the id of a key of the dictionary. Runs at compile time.
    const fn of(key: &str) -> KeyId {
        let mut index = 0;
        while index < DICTIONARY.len() {
            if same(DICTIONARY[index].key.as_bytes(), key.as_bytes()) {
                return KeyId::of_row(index);
            }
            index += 1;
        }
        panic!("the key is not in the dictionary");
    }

    /// Returns the id of a row.
    pub(crate) const fn of_row(row: usize) -> KeyId {
        assert!(row < 255, "an id is one byte");
        KeyId(NonZeroU8::MIN.saturating_add(row as u8))
    }

    /// Returns the index of the row.
    #[inline]
    #[must_use]
    pub(crate) const fn row(self) -> usize {
        self.0.get() as usize - 1
    }

    /// Returns the number of a key's row, from 1, or zero for an unknown key.
    #[inline]
    #[must_use]
    pub(crate) const fn number(id: Option<KeyId>) -> u8 {
        match id {
            Some(id) => id.0.get(),
            None => 0,
        }
    }

    /// Returns whether records use another name for the key.
    #[inline]
    #[must_use]
    pub(crate) fn is_alias(self) -> bool {
        ALIASES[self.row() / 64] >> (self.row() % 64) & 1 != 0
    }

    /// Returns whether the values of the key are ids, numbers, words or times, which hold no secrets.
    #[inline]
    #[must_use]
    pub(crate) fn is_harmless(self) -> bool {
        HARMLESS[self.0.get() as usize]
    }

    /// Returns the row.
    #[inline]
    #[must_use]
    pub(crate) const fn known(self) -> &'static KnownKey {
        &DICTIONARY[self.row()]
    }
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut index = 0;
    while index < a.len() {
        if a[index] != b[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// A set of known keys.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KeySet(ByteSet);

impl KeySet {
    /// Adds a key. Returns true if the set had it.
    #[inline]
    pub(crate) fn insert(&mut self, id: KeyId) -> bool {
        self.0.insert(id.0.get())
    }
}

/// A key whose presence stages ask for. Such keys are among the first rows, so one word holds a set of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TrackedKey(KeyId);

impl TrackedKey {
    /// Returns the key as a known key.
    #[inline]
    #[must_use]
    pub(crate) const fn id(self) -> KeyId {
        self.0
    }

    /// Makes a key of the first rows. Runs at compile time.
    const fn of(id: KeyId) -> TrackedKey {
        assert!(PresentKeys::bit(Some(id)) != 0, "keys that stages look for have to be among the first rows");
        TrackedKey(id)
    }

    pub(crate) const TIME: TrackedKey = TrackedKey::of(KeyId::TIME);
    pub(crate) const TS: TrackedKey = TrackedKey::of(KeyId::TS);
    pub(crate) const LEVEL: TrackedKey = TrackedKey::of(KeyId::LEVEL);
    pub(crate) const MSG: TrackedKey = TrackedKey::of(KeyId::MSG);
    pub(crate) const NAME: TrackedKey = TrackedKey::of(KeyId::NAME);
    pub(crate) const SANDBOX: TrackedKey = TrackedKey::of(KeyId::SANDBOX);
    pub(crate) const SOURCE: TrackedKey = TrackedKey::of(KeyId::SOURCE);
    pub(crate) const SUBSYSTEM: TrackedKey = TrackedKey::of(KeyId::SUBSYSTEM);
    pub(crate) const VMCONSOLE: TrackedKey = TrackedKey::of(KeyId::VMCONSOLE);
    pub(crate) const ID: TrackedKey = TrackedKey::of(KeyId::ID);
    pub(crate) const ERROR: TrackedKey = TrackedKey::of(KeyId::ERROR);
    pub(crate) const STREAM: TrackedKey = TrackedKey::of(KeyId::STREAM);
    pub(crate) const REQ: TrackedKey = TrackedKey::of(KeyId::REQ);
    pub(crate) const RUNTIME: TrackedKey = TrackedKey::of(KeyId::RUNTIME);
}

/// The set of tracked keys that a payload has. It ignores all other keys, because a set of one word costs nearly
/// nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PresentKeys(u64);

impl PresentKeys {
    /// Adds a key.
    pub(crate) fn insert(&mut self, key: TrackedKey) {
        self.0 |= PresentKeys::bit(Some(key.0));
    }

    /// Returns the set of a key, which is empty if the key is not tracked.
    pub(crate) const fn of(id: Option<KeyId>) -> PresentKeys {
        PresentKeys(PresentKeys::bit(id))
    }

    /// Adds the keys of another set.
    #[inline]
    pub(crate) fn merge(&mut self, other: PresentKeys) {
        self.0 |= other.0;
    }

    /// Adds a key if it is tracked.
    #[inline]
    pub(crate) fn add(&mut self, id: Option<KeyId>) {
        self.0 |= BITS[usize::from(KeyId::number(id))];
    }

    /// Returns whether keys were added that the dictionary does not know.
    #[inline]
    #[must_use]
    pub(crate) fn has_unknown(self) -> bool {
        self.0 & PresentKeys::bit(None) != 0
    }

    /// Returns whether the set has the key.
    #[inline]
    #[must_use]
    pub(crate) fn has(self, key: TrackedKey) -> bool {
        self.0 & PresentKeys::bit(Some(key.0)) != 0
    }

    #[inline]
    const fn bit(id: Option<KeyId>) -> u64 {
        let number = KeyId::number(id);
        ((number < 64) as u64) << (number % 64)
    }
}

/// The sets of single keys, by their numbers.
static BITS: [u64; 256] = {
    let mut bits = [0; 256];
    let mut number = 0;
    while number < 64 {
        bits[number] = 1 << number;
        number += 1;
    }
    bits
};

impl FromIterator<Option<KeyId>> for PresentKeys {
    fn from_iter<I: IntoIterator<Item = Option<KeyId>>>(ids: I) -> PresentKeys {
        PresentKeys(ids.into_iter().fold(0, |keys, id| keys | PresentKeys::bit(id)))
    }
}

/// The rows, by their numbers, whose values hold no secrets. The message and the command line of the journal have checks
/// of their own, and SYSLOG_RAW repeats the message.
static HARMLESS: [bool; 256] = {
    let names = ["name", "sandbox", "container", "exec_id", "subsystem", "stream", "runtime", "version", "arch"];
    let mut table = [false; 256];
    let mut row = 0;
    while row < DICTIONARY.len() {
        let mut harmless = row >= KeyId::MESSAGE.row() || !matches!(DICTIONARY[row].kind, ValueKind::Text);
        let mut at = 0;
        while at < names.len() {
            harmless |= same(DICTIONARY[row].name.as_bytes(), names[at].as_bytes());
            at += 1;
        }
        table[row + 1] = harmless;
        row += 1;
    }
    table
};

/// One bit for each row whose key is an alias.
const ALIASES: [u64; 4] = {
    let mut bits = [0; 4];
    let mut index = 0;
    while index < DICTIONARY.len() {
        if !same(DICTIONARY[index].key.as_bytes(), DICTIONARY[index].name.as_bytes()) {
            bits[index / 64] |= 1 << (index % 64);
        }
        index += 1;
    }
    bits
};

impl KeyId {
    pub(crate) const TIME: KeyId = KeyId::of("time");
    pub(crate) const TS: KeyId = KeyId::of("ts");
    pub(crate) const LEVEL: KeyId = KeyId::of("level");
    pub(crate) const MSG: KeyId = KeyId::of("msg");
    pub(crate) const CONTAINER: KeyId = KeyId::of("container");
    pub(crate) const ARCH: KeyId = KeyId::of("arch");
    pub(crate) const COMMAND: KeyId = KeyId::of("command");
    pub(crate) const CONSOLE_PROTOCOL: KeyId = KeyId::of("console-protocol");
    pub(crate) const CONSOLE_URL: KeyId = KeyId::of("console-url");
    pub(crate) const NAME: KeyId = KeyId::of("name");
    pub(crate) const PID: KeyId = KeyId::of("pid");
    pub(crate) const SANDBOX: KeyId = KeyId::of("sandbox");
    pub(crate) const SOURCE: KeyId = KeyId::of("source");
    pub(crate) const SUBSYSTEM: KeyId = KeyId::of("subsystem");
    pub(crate) const VMCONSOLE: KeyId = KeyId::of("vmconsole");
    pub(crate) const STREAM: KeyId = KeyId::of("stream");
    pub(crate) const REQ: KeyId = KeyId::of("req");
    pub(crate) const RUNTIME: KeyId = KeyId::of("runtime");
    pub(crate) const BOOT_ID: KeyId = KeyId::of("_BOOT_ID");
    pub(crate) const MESSAGE: KeyId = KeyId::of("MESSAGE");
    pub(crate) const SYSLOG_IDENTIFIER: KeyId = KeyId::of("SYSLOG_IDENTIFIER");
    pub(crate) const COMMAND_LINE: KeyId = KeyId::of("_CMDLINE");
    pub(crate) const SYSLOG_TIMESTAMP: KeyId = KeyId::of("SYSLOG_TIMESTAMP");
    pub(crate) const SYSLOG_PID: KeyId = KeyId::of("SYSLOG_PID");
    pub(crate) const SYSLOG_MSGID: KeyId = KeyId::of("SYSLOG_MSGID");
    pub(crate) const SYSLOG_STRUCTURED_DATA: KeyId = KeyId::of("SYSLOG_STRUCTURED_DATA");
    pub(crate) const HOSTNAME: KeyId = KeyId::of("_HOSTNAME");
    pub(crate) const PRIORITY: KeyId = KeyId::of("PRIORITY");
    pub(crate) const TRANSPORT: KeyId = KeyId::of("_TRANSPORT");
    pub(crate) const USER_ID: KeyId = KeyId::of("_UID");
    pub(crate) const PROCESS_ID: KeyId = KeyId::of("_PID");
    pub(crate) const COMMAND_NAME: KeyId = KeyId::of("_COMM");
    pub(crate) const ID: KeyId = KeyId::of("ID");
    pub(crate) const ERROR: KeyId = KeyId::of("error");
    pub(crate) const CONTAINER_ID_FULL: KeyId = KeyId::of("CONTAINER_ID_FULL");
    pub(crate) const LINE_BREAK: KeyId = KeyId::of("_LINE_BREAK");
    pub(crate) const SOURCE_REALTIME: KeyId = KeyId::of("_SOURCE_REALTIME_TIMESTAMP");
    pub(crate) const REALTIME: KeyId = KeyId::of("__REALTIME_TIMESTAMP");
    pub(crate) const CURSOR: KeyId = KeyId::of("__CURSOR");
}

static TABLE: NameTable = {
    let mut table = NameTable::EMPTY;
    let mut index = 0;
    while index < DICTIONARY.len() {
        table = table.with(DICTIONARY[index].key, KeyId::of_row(index).0);
        index += 1;
    }
    table
};

/// Looks a key up.
// The scanners call it for each key; the call costs a third of the lookup.
#[inline(always)]
#[must_use]
pub(crate) fn find(key: &[u8]) -> Option<KeyId> {
    TABLE.find(key).map(KeyId)
}

#[cfg(test)]
mod tests;
