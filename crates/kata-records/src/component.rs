//! The components of Kata, and the tables that recognize them.

use crate::named_enum::described_enum;

described_enum! {
    /// The program that wrote the payload of an entry. Its name is the value of `kata_component`, and a word for tags and
    /// `--component`.
    pub enum Component {
        Runtime = "runtime", "`kata-runtime`, the command";
        Proxy = "proxy", "`kata-proxy` of 1.x";
        Shim = "shim", "`kata-shim` of 1.x";
        Shimv2 = "shimv2", "The Go `containerd-shim-kata-v2`";
        RuntimeRs = "runtime-rs", "The Rust `containerd-shim-kata-v2`";
        Agent = "agent", "`kata-agent`, in the guest";
        GuestKernel = "guest-kernel", "The guest's kernel, through its console";
        GuestConsole = "guest-console", "Anything else on the guest's console: its init system, panics, standard error of programs";
        Hypervisor = "hypervisor", "QEMU, Cloud Hypervisor, Firecracker, Dragonball, `StratoVirt`: what they print";
        Virtiofsd = "virtiofsd", "`virtiofsd`, of C or Rust";
        Monitor = "monitor", "`kata-monitor`";
        Netmon = "netmon", "`kata-netmon` of 1.x";
        Throttler = "throttler", "`kata-ksm-throttler` of 1.x and its trigger";
        Unknown = "unknown", "An entry taken as Kata's on the word of its identifier or of the user, with nothing in it that says whose it is";
    }
}

/// Identifiers (SYSLOG_IDENTIFIER) of Kata, with the component to assume if the payload names none. Both shims write
/// `kata`. Upstream: `runtime: pkg/katautils/logger.go`, `kata: src/libs/logging`.
pub(crate) const IDENTIFIERS: &[(&str, Option<Component>)] = &[
    ("kata", None),
    ("kata-runtime", Some(Component::Runtime)),
    ("kata-runtime-cc", Some(Component::Runtime)),
    ("kata-hypervisor", Some(Component::Hypervisor)),
    ("kata-proxy", Some(Component::Proxy)),
    ("kata-shim", Some(Component::Shim)),
    ("kata-agent", Some(Component::Agent)),
    ("kata-netmon", Some(Component::Netmon)),
    ("kata-monitor", Some(Component::Monitor)),
    ("kata-ksm-throttler", Some(Component::Throttler)),
    ("virtiofsd", Some(Component::Virtiofsd)),
    ("containerd-shim-kata-v2", None),
];

/// Values of `name` that identify a component.
pub(crate) const NAMES: &[(&str, Component)] = &[
    ("containerd-shim-v2", Component::Shimv2),
    ("kata-runtime", Component::Runtime),
    ("kata-agent", Component::Agent),
    ("kata-proxy", Component::Proxy),
    ("kata-shim", Component::Shim),
    ("kata-monitor", Component::Monitor),
    ("kata-netmon", Component::Netmon),
    ("kata-ksm-throttler", Component::Throttler),
];

/// Values of `source` that identify a component if `name` does not: the Go shim up to 2.0 writes no `name`.
pub(crate) const SOURCES: &[(&str, Component)] = &[
    ("virtcontainers", Component::Shimv2),
    ("containerd-kata-shim-v2", Component::Shimv2),
    ("katautils", Component::Shimv2),
    ("rootless", Component::Shimv2),
    ("cgroup-manager", Component::Shimv2),
    ("agent-client", Component::Shimv2),
    ("pkg/utils", Component::Shimv2),
    ("pkg/device/config", Component::Shimv2),
    ("virtiofsd", Component::Shimv2),
    ("runtime", Component::Runtime),
    ("proxy", Component::Proxy),
    ("shim", Component::Shim),
    ("agent", Component::Unknown),
    ("netmon", Component::Netmon),
    ("kata-monitor", Component::Monitor),
    ("throttler", Component::Throttler),
    ("throttler-trigger", Component::Throttler),
];

/// Returns the component of a value of `name`.
pub(crate) fn by_name(name: &[u8]) -> Option<Component> {
    NAMES.iter().find(|(known, _)| known.as_bytes() == name).map(|row| row.1)
}

/// Returns the component of a value of `source`.
pub(crate) fn by_source(source: &[u8]) -> Option<Component> {
    if source.starts_with(b"virtcontainers/") {
        return Some(Component::Shimv2);
    }
    SOURCES.iter().find(|(known, _)| known.as_bytes() == source).map(|row| row.1)
}
