//! Texts by which a guest or a container may try to pass for the host.

/// The pairs of a forged entry.
const PAIRS: &str = "level=error msg=owned name=containerd-shim-v2 pid=666 sandbox=evil source=virtcontainers";

/// Texts without pairs of their own.
const PLAIN: &[&str] = &[
    "",
    " ",
    "\u{feff}",
    "\0",
    "a\0b",
    "a\nb",
    "\n",
    "\r\n",
    "\u{1b}[31mowned\u{1b}[0m",
    "\\",
    "\\\"",
    "\"",
    "{",
    "{}",
    "[",
    "=",
    "time=",
    "time=\\",
    "{\"",
    "{\\",
    "<3>owned",
    "panic: owned",
    "goroutine 1 [running]:",
    "A panic occurred at x.rs:1: owned",
    "-- Boot 590edceeef5545a784ec8c6181a10400 --",
    "Suppressed 99 messages from /system.slice/containerd.service",
    "try to connect to agent-log",
    "hybrid vsock: connected to \"/run/kata/x\"",
    "cloud-hypervisor: 15.157418s: <vmm> INFO:owned",
    "announce: name=\"kata-agent\",pid=\"666\",sandbox=\"evil\"",
    "[    0.395399] owned sandbox=evil pid=666",
    "qemu stderr: \"owned\"",
    "fc stderr: \"owned sandbox=evil pid=666\"",
    "vm console: \"owned\"",
    "source: virtiofsd owned",
    "node1 virtiofsd[666]: owned",
    "a 208 virtiofsd[666]: owned",
    "time=\"1999-01-01T00:00:00Z\" level=info msg=\"time=\\\"1999-01-01T00:00:00Z\\\" level=error name=containerd-shim-v2 sandbox=evil\" component=containerd stream=stderr",
    "MESSAGE=owned\n_UID=0\nSYSLOG_IDENTIFIER=kata\n",
];

/// Beginnings of entries with an envelope.
const ENVELOPES: &[&str] = &[
    "Mar 05 05:01:54 evil kata[666]: owned",
    "<3>Mar  5 05:01:54 evil kata-runtime[666]: owned",
    "2024-03-05T05:01:54Z stdout F owned",
    "__REALTIME_TIMESTAMP=915148800000000\nMESSAGE=owned\n\n",
    "vmconsole=x time=1999-01-01T00:00:00Z msg=owned sandbox=evil",
];

/// Objects, in the forms of each writer.
const OBJECTS: &[&str] = &[
    r#"{"msg":"owned","level":"ERRO","ts":"1999-01-01T00:00:00Z","pid":"666","version":"0.1.0","name":"kata-runtime","subsystem":"root","source":"evil","sandbox":"evil"}"#,
    r#"{"msg":"owned","level":"ERRO","ts":"1999-01-01T00:00:00Z","pid":"666","name":"kata-agent","subsystem":"agent","source":"agent","sandbox":"evil","vmconsole":"x"}"#,
    r#"{"msg":"owned","level":"ERRO","ts":"1999-01-01T00:00:00Z","pid":"666","name":"evil","subsystem":"hypervisor","source":"evil","component":"runtime"}"#,
    r#"{"level":"error","msg":"owned","name":"containerd-shim-v2","pid":666,"sandbox":"evil","source":"virtcontainers","time":"1999-01-01T00:00:00Z"}"#,
    r#"{"MESSAGE":"time=\"1999-01-01T00:00:00Z\" level=error msg=owned sandbox=evil","_UID":"0","_PID":"666","_HOSTNAME":"evil","_TRANSPORT":"syslog","SYSLOG_IDENTIFIER":"kata"}"#,
    r#"{"log":"time=\"1999-01-01T00:00:00Z\" level=error msg=owned sandbox=evil\n","stream":"stdout","time":"1999-01-01T00:00:00Z"}"#,
    r#"{"msg":"owned","kata_sandbox":"evil","kata_pid":666,"kata_time":"1999-01-01T00:00:00Z","kata_origin":"host","kata_host_msg":"owned","_UID":"0"}"#,
    r#"{"msg":"owned","origin":"host","guest":"false","component":"runtime","redacted":"x","flaws":"x","escaped":"x","tag":"kata.runtime"}"#,
    r#"{"msg":"owned","host_msg":"x","host_pid":"666","host_sandbox":"evil","host_fields_component":"x","guest_pid":"1","sandbox":null,"pid":{"a":1}}"#,
    r#"{"msg":"own[    0.395399] sandbox=evil pid=666"#,
    r#"{"msg":"owned","pid":"666","#,
    r#"owned","level":"ERRO","sandbox":"evil","name":"kata-runtime"}"#,
];

/// Returns the texts.
pub(super) fn all() -> Vec<Vec<u8>> {
    let forged = |time: &str| format!("time={time} {PAIRS}");
    let mut texts: Vec<String> = PLAIN.iter().chain(ENVELOPES).chain(OBJECTS).map(|text| (*text).to_owned()).collect();
    for object in OBJECTS.iter().take(4) {
        texts.extend([" ", "\u{feff}", "[", "\t", "vm console: "].map(|head| format!("{head}{object}")));
    }
    let times =
        ["1999-01-01T00:00:00Z", "\"1999-01-01T00:00:00Z\"", "\\\"1999-01-01T00:00:00Z\\\"", "\"1999-01-01 00:00:00\""];
    for time in times {
        texts.extend(["", " ", "\n", "x\n", "\" ", "\\\" ", "\u{feff}"].map(|head| format!("{head}{}", forged(time))));
    }
    for head in ["level=error", "msg=owned", "pid=666", "source=virtcontainers", "name=kata-runtime", "sandbox=evil"] {
        texts.push(format!("{head} time=1999-01-01T00:00:00Z {PAIRS}"));
    }
    for head in ["\" ", "\"}", "\",", "\\\" "] {
        texts.push(format!("x{head}sandbox=evil pid=666 name=kata-runtime vmconsole=\""));
    }
    texts.push(r#"x","pid":"666","source":"evil","name":"kata-runtime"}"#.to_owned());
    texts.push("kata_sandbox=evil kata_pid=666 kata_origin=host origin=host _UID=0 host_msg=x".to_owned());
    texts.push(format!("runtime=io.containerd.kata.v2 path=/run/containerd/evil {}", forged("1999-01-01T00:00:00Z")));
    texts.push(format!("ERRO[0000] owned{:40}name=kata-runtime pid=666 sandbox=evil source=runtime", ""));
    texts.push(format!("INFO[1999-01-01T00:00:00Z] owned{:40}name=kata-runtime pid=666 sandbox=evil", ""));
    for size in [2 << 10, 16 << 10, 32 << 10, 48 << 10, 64 << 10] {
        texts.push(format!("{}{}", "x".repeat(size), forged("1999-01-01T00:00:00Z")));
    }
    let mut texts: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).collect();
    texts.extend([b"\xff\xfe sandbox=evil".to_vec(), b"\xc2\x9b31m".to_vec(), b"a\x7f\x01 pid=666".to_vec()]);
    texts
}

/// Returns whether a text begins as an entry with an envelope.
pub(super) fn begins_envelope(text: &[u8]) -> bool {
    ENVELOPES.iter().any(|envelope| text.starts_with(&envelope.as_bytes()[..8]))
}
