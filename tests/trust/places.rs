//! Places where a guest or a container puts text: fields of entries that programs of the host write.

use serde_json::{Map, Value};

use crate::properties::quote;

pub(super) const SANDBOX: &str = "2d258dfe262e244013827bc81591b3b7b273cba1615f7a58100cf5a4d1bd5d45";

/// An entry, before its envelope has a form.
#[derive(Clone, Debug)]
pub(super) struct HostEntry {
    /// The fields of the journal but MESSAGE.
    pub(super) fields: Vec<(&'static str, String)>,
    pub(super) message: Vec<u8>,
}

impl HostEntry {
    fn new(transport: &str, identifier: &str, user: u32, process: u32, message: Vec<u8>) -> HostEntry {
        let fields = [
            ("_TRANSPORT", transport.to_owned()),
            ("SYSLOG_IDENTIFIER", identifier.to_owned()),
            ("_UID", user.to_string()),
            ("_PID", process.to_string()),
            ("_HOSTNAME", "node1".to_owned()),
            ("PRIORITY", "5".to_owned()),
            ("_SOURCE_REALTIME_TIMESTAMP", "1709614914163108".to_owned()),
        ];
        HostEntry { fields: fields.to_vec(), message }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> HostEntry {
        self.fields.push((name, value.into()));
        self
    }

    pub(super) fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }
}

/// A place for text that is not the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `vmconsole` of the Go shim, through syslog.
    ShimConsole,
    /// The copy of it in containerd's output.
    ShimConsoleOfManager,
    /// `vm console: "…"` of runtime-rs from 3.20.
    NativeConsole,
    /// `vm console: "…"` of runtime-rs up to 3.19.
    SlogConsole,
    /// The output of Cloud Hypervisor, with the guest's console, under runtime-rs.
    SlogStream,
    /// A line of the agent under runtime-rs from 3.20.
    NativeAgent,
    /// A line of the agent under runtime-rs up to 3.19.
    SlogAgent,
    /// The guest's kernel under runtime-rs from 3.20.
    NativeKernel,
    /// The guest's kernel under runtime-rs up to 3.19.
    SlogKernel,
    /// `msg` of kata-proxy of 1.x.
    Proxy,
    /// The output of the agent in a peer pod's machine.
    PeerPod,
    /// The rest of a line that was cut without a mark.
    UnmarkedRest,
    /// The rest of an object of runtime-rs that was cut without a mark.
    UnmarkedRestOfObject,
    /// The rest of a line that journald cut.
    MarkedRest,
    /// An entry of a local user.
    LocalUser,
    /// The output of a local user's service whose identifier is a container manager's.
    LocalService,
    /// An entry of a local user with the fields of runtime-rs.
    NativeLocalUser,
    /// A value in the shim's own line, such as an error of the agent.
    ShimValue,
    /// A value in runtime-rs's own entry.
    NativeValue,
    /// The console of the shim in a line of containerd that k0s carries in its own.
    ConsoleBehindK0s,
    /// The rest of a line of containerd that k0s carries in its own.
    RestBehindK0s,
    /// A value in a line of an older shim, which does not name itself.
    UnnamedShimValue,
    /// A line of a container.
    Container,
}

impl Place {
    pub(super) const ALL: [Place; 23] = [
        Place::ShimConsole,
        Place::ShimConsoleOfManager,
        Place::NativeConsole,
        Place::SlogConsole,
        Place::SlogStream,
        Place::NativeAgent,
        Place::SlogAgent,
        Place::NativeKernel,
        Place::SlogKernel,
        Place::Proxy,
        Place::PeerPod,
        Place::UnmarkedRest,
        Place::UnmarkedRestOfObject,
        Place::MarkedRest,
        Place::LocalUser,
        Place::LocalService,
        Place::NativeLocalUser,
        Place::ShimValue,
        Place::NativeValue,
        Place::ConsoleBehindK0s,
        Place::RestBehindK0s,
        Place::UnnamedShimValue,
        Place::Container,
    ];

    /// Returns whether the place can hold a text. Some writers read lines, and some read UTF-8.
    pub(super) fn can_hold(self, text: &[u8]) -> bool {
        let is_line = !text.contains(&b'\n');
        let is_utf8 = std::str::from_utf8(text).is_ok();
        match self {
            Place::ShimConsole | Place::ShimConsoleOfManager | Place::Proxy | Place::UnmarkedRest => true,
            Place::ShimValue | Place::ConsoleBehindK0s | Place::RestBehindK0s | Place::NativeLocalUser => true,
            Place::UnnamedShimValue => true,
            // A datagram of syslog and a line of a service end at NUL and at a newline.
            Place::MarkedRest | Place::LocalUser | Place::LocalService => is_line && !text.contains(&0),
            Place::PeerPod | Place::Container => is_line && !text.contains(&0),
            Place::NativeConsole | Place::SlogConsole | Place::SlogStream | Place::NativeValue => is_utf8,
            Place::UnmarkedRestOfObject => is_utf8,
            Place::NativeAgent | Place::SlogAgent | Place::NativeKernel | Place::SlogKernel => is_line && is_utf8,
        }
    }

    /// Returns whether the text is all of the message, so that a copy of the message alone has no mark of its writer.
    pub(super) fn is_bare(self) -> bool {
        matches!(
            self,
            Place::NativeAgent
                | Place::NativeKernel
                | Place::PeerPod
                | Place::MarkedRest
                | Place::LocalUser
                | Place::LocalService
                | Place::NativeLocalUser
                | Place::NativeValue
        )
    }

    /// Returns the only origin that a record of the text may have.
    pub(super) fn origin(self) -> &'static str {
        match self {
            Place::UnmarkedRest | Place::UnmarkedRestOfObject | Place::MarkedRest | Place::RestBehindK0s => "unproven",
            Place::LocalUser | Place::LocalService | Place::NativeLocalUser => "unproven",
            Place::ShimValue | Place::NativeValue | Place::UnnamedShimValue => "host",
            Place::Container => "tenant",
            _ => "guest",
        }
    }

    /// Returns the entries of a text, and one of the same writer that follows.
    pub(super) fn entries_and_next(self, text: &[u8], number: usize) -> Vec<HostEntry> {
        let mut entries = self.entries(text, number);
        entries.push(if self == Place::Container {
            HostEntry { fields: Vec::new(), message: b"next".to_vec() }
        } else {
            HostEntry::new("stdout", "containerd", 0, 712, proxied(b"next"))
        });
        entries
    }

    /// Returns the entries; the text is in the last one. `number` is unique to the text.
    pub(super) fn entries(self, text: &[u8], number: usize) -> Vec<HostEntry> {
        let stream = format!("{number:032x}");
        let of_manager = |message| HostEntry::new("stdout", "containerd", 0, 712, message).with("_STREAM_ID", &stream);
        let utf8 = || String::from_utf8_lossy(text).into_owned();
        let entry = match self {
            Place::ShimConsole => HostEntry::new("syslog", "kata", 0, 4711, shim_console(text)),
            Place::ShimConsoleOfManager => of_manager(shim_console(text)),
            Place::NativeConsole => native("hypervisor", format!("vm console: {:?}", utf8()), 0),
            Place::SlogConsole => of_manager(slog("hypervisor", &format!("vm console: {:?}", utf8()), None)),
            Place::SlogStream => of_manager(slog("cloud-hypervisor", &format!("{:?}", utf8()), Some("stdout"))),
            Place::NativeAgent => native("agent", utf8(), 0),
            Place::SlogAgent => of_manager(slog("agent", &utf8(), None)),
            Place::NativeKernel => native("dmesg", utf8(), 0),
            Place::SlogKernel => of_manager(slog("dmesg", &utf8(), None)),
            Place::Proxy => HostEntry::new("syslog", "kata-proxy", 0, 4711, proxied(text)),
            Place::PeerPod => HostEntry::new("stdout", "kata-agent", 0, 99, text.to_vec()).with("_STREAM_ID", &stream),
            Place::UnmarkedRest => of_manager(rest(text)),
            Place::UnmarkedRestOfObject => of_manager(rest_of_object(&utf8())),
            Place::MarkedRest => {
                let first = of_manager(b"time=\"2024-03-05T05:01:54.1Z\" level=debug vmconsole=\"x".to_vec());
                return vec![first.with("_LINE_BREAK", "line-max"), of_manager(text.to_vec())];
            }
            Place::LocalUser => HostEntry::new("syslog", "kata", 1000, 4242, text.to_vec()),
            Place::LocalService => {
                HostEntry::new("stdout", "containerd", 1000, 4242, text.to_vec()).with("_STREAM_ID", &stream)
            }
            Place::NativeLocalUser => {
                let entry = native("root", String::new(), 1000);
                HostEntry { message: text.to_vec(), ..entry }
            }
            Place::ShimValue => HostEntry::new("syslog", "kata", 0, 4711, shim_value(text, true)),
            Place::NativeValue => native("root", "owned".to_owned(), 0).with("ERROR", utf8()),
            Place::ConsoleBehindK0s => behind_k0s(&shim_console(text)),
            Place::RestBehindK0s => behind_k0s(&rest(text)),
            Place::UnnamedShimValue => HostEntry::new("syslog", "kata", 0, 4711, shim_value(text, false)),
            Place::Container => HostEntry { fields: Vec::new(), message: text.to_vec() },
        };
        vec![entry]
    }
}

fn shim_console(text: &[u8]) -> Vec<u8> {
    let mut line = format!(
        "time=\"2024-03-05T05:01:54.163108184Z\" level=debug msg=\"reading guest console\" name=containerd-shim-v2 \
         pid=4711 sandbox={SANDBOX} source=virtcontainers subsystem=sandbox vmconsole="
    )
    .into_bytes();
    quote::value(text, &mut line);
    line
}

/// Returns a line of the shim about an error.
fn shim_value(text: &[u8], is_named: bool) -> Vec<u8> {
    let mut line = b"time=\"2024-03-05T05:01:54.163108184Z\" level=error msg=failed error=".to_vec();
    quote::value(text, &mut line);
    if is_named {
        line.extend_from_slice(b" name=containerd-shim-v2");
    }
    line.extend_from_slice(format!(" pid=4711 sandbox={SANDBOX} source=virtcontainers").as_bytes());
    line
}

/// Returns the entry of k0s with a line of containerd.
fn behind_k0s(line: &[u8]) -> HostEntry {
    let mut message = b"time=\"2024-03-05 05:01:54\" level=info msg=".to_vec();
    quote::quoted(line, &mut message);
    message.extend_from_slice(b" component=containerd stream=stderr");
    HostEntry::new("stdout", "k0scontroller", 0, 712, message)
}

fn proxied(text: &[u8]) -> Vec<u8> {
    let mut line = b"time=\"2024-03-05T05:01:54.163108184Z\" level=info msg=".to_vec();
    quote::quoted(&[text, b"\n"].concat(), &mut line);
    line.extend_from_slice(format!(" name=kata-proxy pid=4711 sandbox={SANDBOX} source=agent").as_bytes());
    line
}

/// Returns the end of a line of the proxy, which was cut where the text begins.
fn rest(text: &[u8]) -> Vec<u8> {
    let mut quoted = Vec::new();
    quote::quoted(text, &mut quoted);
    quoted.remove(0);
    quoted.extend_from_slice(b" name=kata-proxy pid=4711 sandbox=s1 source=agent");
    quoted
}

/// Returns the end of an object of runtime-rs, which was cut where the text begins.
fn rest_of_object(text: &str) -> Vec<u8> {
    let object = slog("agent", text, None);
    let behind = object.strip_prefix(b"{\"msg\":\"").unwrap();
    [behind.strip_suffix(b"}").unwrap(), b",\"name\":\"kata-proxy\"} name=kata-proxy"].concat()
}

fn slog(subsystem: &str, text: &str, stream: Option<&str>) -> Vec<u8> {
    let mut object = Map::new();
    for (key, value) in [
        ("msg", text),
        ("level", "INFO"),
        ("ts", "2024-03-05T05:01:54.160000000Z"),
        ("name", "kata-runtime"),
        ("version", "0.1.0"),
        ("subsystem", subsystem),
        ("source", SANDBOX),
        ("pid", "4711"),
    ] {
        object.insert(key.to_owned(), Value::from(value));
    }
    if let Some(stream) = stream {
        object.insert("stream".to_owned(), Value::from(stream));
    }
    serde_json::to_vec(&object).unwrap()
}

fn native(subsystem: &str, message: String, user: u32) -> HostEntry {
    HostEntry::new("journal", "kata", user, 4711, message.into_bytes())
        .with("NAME", "kata-runtime")
        .with("VERSION", "0.1.0")
        .with("PID", "4711")
        .with("SOURCE", SANDBOX)
        .with("SUBSYSTEM", subsystem)
}
