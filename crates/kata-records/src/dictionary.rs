//! The keys that Kata's writers use, with the name and the type that each has in a record.
//!
//! A key that is not here is a string under its own name, so the table is never a limit. Every name that the table gives
//! to a key is itself a key of the table.

use std::num::NonZeroU8;

use crate::names::{Bits, Table};

/// What a known key's value becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// A whole number from 0, such as a process id.
    Count,
    /// A whole number.
    Int,
    /// True or false.
    Bool,
    /// Go's text of a duration, with its nanoseconds beside it under the name with `_ns` behind.
    Duration,
    /// A moment: `kata_time`.
    Time,
    /// A severity: `kata_level`.
    Level,
}

/// One row of the dictionary.
#[derive(Debug)]
pub struct Known {
    /// The key as writers have it.
    pub key: &'static str,
    /// The name in a record, after `kata_`. Where it differs from the key, the key is an alias.
    pub name: &'static str,
    /// The type.
    pub kind: Kind,
}

const fn row(key: &'static str, name: &'static str, kind: Kind) -> Known {
    Known { key, name, kind }
}

const fn text(key: &'static str) -> Known {
    row(key, key, Kind::Text)
}

/// The dictionary. Upstream: the loggers of kata-containers and kata-containers/runtime, proxy, shim, agent.
pub const DICTIONARY: &[Known] = &[
    row("time", "time", Kind::Time),
    row("ts", "time", Kind::Time),
    row("level", "level", Kind::Level),
    text("msg"),
    text("name"),
    row("pid", "pid", Kind::Count),
    text("sandbox"),
    row("sandbox-id", "sandbox", Kind::Text),
    row("sandboxid", "sandbox", Kind::Text),
    row("sandbox_id", "sandbox", Kind::Text),
    row("sandox-id", "sandbox", Kind::Text),
    row("ID", "sandbox", Kind::Text),
    row("sandboxID", "sandbox", Kind::Text),
    row("podsandboxid", "sandbox", Kind::Text),
    text("container"),
    row("container-id", "container", Kind::Text),
    row("container_id", "container", Kind::Text),
    row("cid", "container", Kind::Text),
    row("Container", "container", Kind::Text),
    row("container`", "container", Kind::Text),
    row("containerID", "container", Kind::Text),
    text("exec_id"),
    row("exec-id", "exec_id", Kind::Text),
    row("eid", "exec_id", Kind::Text),
    row("ExecID", "exec_id", Kind::Text),
    row("exec", "exec_id", Kind::Text),
    text("source"),
    text("subsystem"),
    text("error"),
    row("Error", "error", Kind::Text),
    row("err", "error", Kind::Text),
    text("vmconsole"),
    text("stream"),
    text("req"),
    text("runtime"),
    text("pod"),
    row("cri-name", "pod", Kind::Text),
    row("Pod Name", "pod", Kind::Text),
    text("namespace"),
    row("cri-namespace", "namespace", Kind::Text),
    row("Pod Namespace", "namespace", Kind::Text),
    text("pod_uid"),
    row("cri-uid", "pod_uid", Kind::Text),
    row("Pod UID", "pod_uid", Kind::Text),
    row("qemuPid", "qemuPid", Kind::Count),
    row("StratoVirt Pid", "StratoVirt_Pid", Kind::Count),
    row("StratoVirt_Pid", "StratoVirt_Pid", Kind::Count),
    row("proxy-pid", "proxy-pid", Kind::Count),
    row("child-pid", "child-pid", Kind::Count),
    row("process-id", "process-id", Kind::Count),
    row("invalid-virtiofsd-pid", "invalid-virtiofsd-pid", Kind::Count),
    row("stream_id", "stream_id", Kind::Count),
    row("stream id", "stream_id", Kind::Count),
    row("exit-code", "exit-code", Kind::Int),
    row("exitcode", "exitcode", Kind::Int),
    row("status", "status", Kind::Int),
    row("duration", "duration", Kind::Duration),
    row("timeout", "timeout", Kind::Duration),
    row("createContainerRequestTimeout", "createContainerRequestTimeout", Kind::Duration),
    row("vcpus", "vcpus", Kind::Int),
    row("reqVCPUs", "reqVCPUs", Kind::Int),
    row("cpus-sandbox", "cpus-sandbox", Kind::Int),
    row("memory", "memory", Kind::Int),
    row("mem-mb", "mem-mb", Kind::Int),
    row("current-memory", "current-memory", Kind::Int),
    row("new-memory", "new-memory", Kind::Int),
    row("memory-sandbox-size-mb", "memory-sandbox-size-mb", Kind::Int),
    row("sandboxMemoryByte", "sandboxMemoryByte", Kind::Int),
    row("hotplug-memory-mb", "hotplug-memory-mb", Kind::Int),
    row("qmp-major-version", "qmp-major-version", Kind::Int),
    row("qmp-minor-version", "qmp-minor-version", Kind::Int),
    row("qmp-micro-version", "qmp-micro-version", Kind::Int),
    row("hotplug", "hotplug", Kind::Bool),
    row("debug", "debug", Kind::Bool),
    row("terminal", "terminal", Kind::Bool),
    row("tracing", "tracing", Kind::Bool),
    row("ipv6", "ipv6", Kind::Bool),
    row("rollback", "rollback", Kind::Bool),
    row("cold-plug", "cold-plug", Kind::Bool),
    row("smtEnabled", "smtEnabled", Kind::Bool),
    row("debug_console", "debug_console", Kind::Bool),
    // Frequent keys, here only so that their names need not be made anew for each entry.
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
    // Keys that would take the names of katalog's own fields: renamed as logrus renames clashing keys.
    row("component", "fields_component", Kind::Text),
    row("fields_component", "fields_component", Kind::Text),
    row("format", "fields_format", Kind::Text),
    row("fields_format", "fields_format", Kind::Text),
    row("guest", "fields_guest", Kind::Text),
    row("fields_guest", "fields_guest", Kind::Text),
    row("flaws", "fields_flaws", Kind::Text),
    row("fields_flaws", "fields_flaws", Kind::Text),
    row("escaped", "fields_escaped", Kind::Text),
    row("fields_escaped", "fields_escaped", Kind::Text),
    row("delta_ns", "fields_delta_ns", Kind::Text),
    row("fields_delta_ns", "fields_delta_ns", Kind::Text),
    // Fields of the journal (`systemd.journal-fields(7)`), so that they too are known by a number.
    text("MESSAGE"),
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

/// The rows that name what payloads say.
#[must_use]
pub fn of_payload() -> &'static [Known] {
    DICTIONARY.split_at(KeyId::MESSAGE.row()).0
}

/// The rows that name fields of carriers.
#[must_use]
pub fn of_carrier() -> &'static [Known] {
    DICTIONARY.split_at(KeyId::MESSAGE.row()).1
}

/// A known key, as the number of its row in the [`DICTIONARY`], from 1: so a key that is not known needs no byte more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyId(NonZeroU8);

impl KeyId {
    /// The id of a key that is in the dictionary; evaluated when the program is compiled.
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

    /// The id of a row.
    const fn of_row(row: usize) -> KeyId {
        assert!(row < 255, "an id is one byte");
        KeyId(NonZeroU8::MIN.saturating_add(row as u8))
    }

    /// The place of the row.
    #[inline]
    #[must_use]
    pub const fn row(self) -> usize {
        self.0.get() as usize - 1
    }

    /// The number of a key's row, from 1; zero where it is not known.
    #[inline]
    #[must_use]
    pub const fn number(id: Option<KeyId>) -> u8 {
        match id {
            Some(id) => id.0.get(),
            None => 0,
        }
    }

    /// Whether the key stands in records under another name.
    #[inline]
    #[must_use]
    pub fn is_alias(self) -> bool {
        ALIASES[self.row() / 64] >> (self.row() % 64) & 1 != 0
    }

    /// The row.
    #[inline]
    #[must_use]
    pub const fn known(self) -> &'static Known {
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
pub struct Keys(Bits);

impl Keys {
    /// Adds a key; true where it was there.
    #[inline]
    pub fn insert(&mut self, id: KeyId) -> bool {
        self.0.insert(id.0.get())
    }
}

/// A key that stages look for. It is one of the first rows, so that a word holds a set of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoughtKey(KeyId);

impl SoughtKey {
    /// The key as one of all that are known.
    #[inline]
    #[must_use]
    pub const fn id(self) -> KeyId {
        self.0
    }

    /// A key of the first rows; evaluated when the program is compiled.
    const fn of(id: KeyId) -> SoughtKey {
        assert!(Sought::bit(Some(id)) != 0, "keys that stages look for have to be among the first rows");
        SoughtKey(id)
    }
}

#[expect(missing_docs, reason = "the keys, by name")]
impl SoughtKey {
    pub const TIME: SoughtKey = SoughtKey::of(KeyId::TIME);
    pub const TS: SoughtKey = SoughtKey::of(KeyId::TS);
    pub const LEVEL: SoughtKey = SoughtKey::of(KeyId::LEVEL);
    pub const MSG: SoughtKey = SoughtKey::of(KeyId::MSG);
    pub const NAME: SoughtKey = SoughtKey::of(KeyId::NAME);
    pub const SANDBOX: SoughtKey = SoughtKey::of(KeyId::SANDBOX);
    pub const SOURCE: SoughtKey = SoughtKey::of(KeyId::SOURCE);
    pub const SUBSYSTEM: SoughtKey = SoughtKey::of(KeyId::SUBSYSTEM);
    pub const VMCONSOLE: SoughtKey = SoughtKey::of(KeyId::VMCONSOLE);
    pub const STREAM: SoughtKey = SoughtKey::of(KeyId::STREAM);
    pub const REQ: SoughtKey = SoughtKey::of(KeyId::REQ);
    pub const RUNTIME: SoughtKey = SoughtKey::of(KeyId::RUNTIME);
}

/// Which of the keys that stages look for are there. Other keys are not kept: what one word holds costs next to nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sought(u64);

impl Sought {
    /// Adds a key.
    pub fn insert(&mut self, key: SoughtKey) {
        self.0 |= Sought::bit(Some(key.0));
    }

    /// Whether the key is there.
    #[inline]
    #[must_use]
    pub fn has(self, key: SoughtKey) -> bool {
        self.0 & Sought::bit(Some(key.0)) != 0
    }

    #[inline]
    const fn bit(id: Option<KeyId>) -> u64 {
        let number = KeyId::number(id);
        ((number < 64) as u64) << (number % 64)
    }
}

impl FromIterator<Option<KeyId>> for Sought {
    fn from_iter<I: IntoIterator<Item = Option<KeyId>>>(ids: I) -> Sought {
        Sought(ids.into_iter().fold(0, |keys, id| keys | Sought::bit(id)))
    }
}

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

#[expect(missing_docs, reason = "the keys that stages look for, by name")]
impl KeyId {
    pub const TIME: KeyId = KeyId::of("time");
    pub const TS: KeyId = KeyId::of("ts");
    pub const LEVEL: KeyId = KeyId::of("level");
    pub const MSG: KeyId = KeyId::of("msg");
    pub const NAME: KeyId = KeyId::of("name");
    pub const PID: KeyId = KeyId::of("pid");
    pub const SANDBOX: KeyId = KeyId::of("sandbox");
    pub const CONTAINER: KeyId = KeyId::of("container");
    pub const SOURCE: KeyId = KeyId::of("source");
    pub const SUBSYSTEM: KeyId = KeyId::of("subsystem");
    pub const COMPONENT: KeyId = KeyId::of("component");
    pub const VMCONSOLE: KeyId = KeyId::of("vmconsole");
    pub const STREAM: KeyId = KeyId::of("stream");
    pub const REQ: KeyId = KeyId::of("req");
    pub const RUNTIME: KeyId = KeyId::of("runtime");
    pub const BOOT_ID: KeyId = KeyId::of("_BOOT_ID");
    pub const MESSAGE: KeyId = KeyId::of("MESSAGE");
    pub const SYSLOG_IDENTIFIER: KeyId = KeyId::of("SYSLOG_IDENTIFIER");
    pub const COMMAND_LINE: KeyId = KeyId::of("_CMDLINE");
    pub const PRIORITY: KeyId = KeyId::of("PRIORITY");
    pub const TRANSPORT: KeyId = KeyId::of("_TRANSPORT");
    pub const LINE_BREAK: KeyId = KeyId::of("_LINE_BREAK");
    pub const SOURCE_REALTIME: KeyId = KeyId::of("_SOURCE_REALTIME_TIMESTAMP");
    pub const REALTIME: KeyId = KeyId::of("__REALTIME_TIMESTAMP");
    pub const CURSOR: KeyId = KeyId::of("__CURSOR");
}

static TABLE: Table = {
    let mut table = Table::EMPTY;
    let mut index = 0;
    while index < DICTIONARY.len() {
        table = table.with(DICTIONARY[index].key, KeyId::of_row(index).0);
        index += 1;
    }
    table
};

/// Looks a key up.
#[inline]
#[must_use]
pub fn find(key: &[u8]) -> Option<KeyId> {
    TABLE.find(key).map(KeyId)
}

#[cfg(test)]
mod tests;
