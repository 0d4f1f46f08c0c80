//! The programs that write entries, and the routes of the entries.

use serde_json::{Value, json};

use crate::properties::quote;

pub(super) const SANDBOX: &str = "201a907ebb971597bbd59b92dceb50092224ff05df29891bed87ffc32f8ed7db";
pub(super) const CONTAINER: &str = "9b3e6a1c5d7f4820a1b2c3d4e5f60718293a4b5c6d7e8f900112233445566778";

/// Fields of an entry beside its message: keys and values.
type Fields<'t> = &'t [(&'t str, &'t str)];

/// A program and a route.
pub(super) struct Writer {
    pub(super) name: &'static str,
    /// The flags for inputs of the route.
    pub(super) flags: &'static [&'static str],
    /// The writer adds fields to its message.
    pub(super) has_fields: bool,
    pub(super) is_kata: bool,
    pub(super) entry: fn(&str, Fields<'_>) -> Vec<u8>,
}

impl Writer {
    /// Returns an entry with this message and these fields.
    pub(super) fn entry(&self, message: &str, fields: Fields<'_>) -> Vec<u8> {
        (self.entry)(message, fields)
    }

    /// Returns a text as the message of a record shows it: other programs' lines are not decoded.
    pub(super) fn escaped(&self, text: &str) -> String {
        if self.name.starts_with("containerd") { text.replace('"', "\\\"") } else { text.to_owned() }
    }
}

macro_rules! writers {
    ($($name:literal, $flags:expr, $has_fields:literal, $is_kata:literal, $entry:expr;)+) => {
        &[$(Writer { name: $name, flags: &$flags, has_fields: $has_fields, is_kata: $is_kata, entry: $entry },)+]
    };
}

pub(super) const WRITERS: &[Writer] = writers! {
    "the Go shim in the journal", [], true, true, |text, fields| journal("kata", &shim(text, fields));
    "the Go shim in a file", [], true, true, |text, fields| line(&shim(text, fields));
    "the Go shim in bytes of the journal", [], true, true,
        |text, fields| journal_with("kata", shim(text, fields).as_bytes().into(), &[]);
    "the Go shim in an export stream", [], true, true, |text, fields| export("kata", &shim(text, fields));
    "the Go shim in a copy of the journal", [], true, true,
        |text, fields| line(&format!("Mar 05 05:01:54 node1 kata[4711]: {}", shim(text, fields)));
    "the Go shim in syslog", [], true, true,
        |text, fields| line(&format!("<30>1 2024-03-05T05:01:54Z node1 kata 4711 - - {}", shim(text, fields)));
    "the Rust agent in vmconsole", [], true, true, |text, fields| journal("kata", &console(&agent(text, fields)));
    "the Rust agent in vmconsole in a file", [], true, true, |text, fields| line(&console(&agent(text, fields)));
    "the Go agent in vmconsole", [], true, true, |text, fields| line(&console(&go_agent(text, fields)));
    "the Go agent in kata-proxy", [], true, true, |text, fields| line(&proxy(&format!("{}\n", go_agent(text, fields))));
    "runtime-rs in slog JSON", [], true, true, |text, fields| line(&slog("hypervisor", text, fields));
    "runtime-rs in journal fields", [], true, true, |text, fields| native("hypervisor", text, fields);
    "the Rust agent in slog JSON of runtime-rs", [], true, true,
        |text, fields| line(&slog("agent", &agent(text, fields), &[]));
    "the Rust agent in journal fields of runtime-rs", [], true, true,
        |text, fields| native("agent", &agent(text, fields), &[]);
    "a console in journal fields of runtime-rs", [], false, true,
        |text, _| native("hypervisor", &format!("vm console: {text:?}"), &[]);
    "QEMU in journal fields of runtime-rs", [], false, true,
        |text, _| native("hypervisor", &format!("qemu stderr: {text:?}"), &[]);
    "a shim behind containerd", [], true, true, |text, fields| journal("containerd", &shim(text, fields));
    "kata-monitor in a CRI file", ["--vouch"], true, true,
        |text, fields| line(&format!("2024-05-06T07:08:14.3Z stderr F {}", shim(text, fields)));
    "kata-monitor in a Docker file", ["--vouch"], true, true, |text, fields| {
        let log = format!("{}\n", shim(text, fields));
        line(&json!({"log": log, "stream": "stderr", "time": "2024-05-06T07:08:14.3Z"}).to_string())
    };
    "another program in the journal", ["--others=pass"], false, false, |text, _| journal("sshd", text);
    "containerd about others", ["--others=pass"], false, false,
        |text, _| journal("containerd", &logfmt(&[("time", TIME), ("level", "info"), ("msg", text)]));
    "another program in an export stream", ["--others=pass"], false, false,
        |text, _| export("cron", text);
};

const TIME: &str = "2024-03-05T05:01:54.811777275Z";

/// Returns a line of logrus.
fn logfmt(pairs: Fields<'_>) -> String {
    let mut line = Vec::new();
    for (at, (key, value)) in pairs.iter().enumerate() {
        line.extend_from_slice(format!("{}{key}=", if at == 0 { "" } else { " " }).as_bytes());
        match *key {
            "time" => line.extend_from_slice(format!("\"{value}\"").as_bytes()),
            _ => quote::value(value.as_bytes(), &mut line),
        }
    }
    String::from_utf8(line).unwrap()
}

fn shim(text: &str, fields: Fields<'_>) -> String {
    let head = [("time", TIME), ("level", "info"), ("msg", text), ("container", CONTAINER)];
    let tail = [("name", "containerd-shim-v2"), ("pid", "4711"), ("sandbox", SANDBOX), ("source", "virtcontainers")];
    logfmt(&[&head, fields, &tail].concat())
}

fn console(text: &str) -> String {
    let head = [("time", TIME), ("level", "debug"), ("msg", "reading guest console"), ("container", CONTAINER)];
    let tail = [("name", "containerd-shim-v2"), ("pid", "4711"), ("sandbox", SANDBOX), ("source", "virtcontainers")];
    logfmt(&[&head[..], &tail, &[("subsystem", "sandbox"), ("vmconsole", text)]].concat())
}

fn go_agent(text: &str, fields: Fields<'_>) -> String {
    let head = [("time", TIME), ("level", "info"), ("msg", text), ("container", CONTAINER)];
    logfmt(&[&head, fields, &[("name", "kata-agent"), ("pid", "103"), ("source", "agent")]].concat())
}

fn proxy(text: &str) -> String {
    let head = [("time", TIME), ("level", "info"), ("msg", text)];
    logfmt(&[&head[..], &[("name", "kata-proxy"), ("pid", "4711"), ("sandbox", SANDBOX), ("source", "agent")]].concat())
}

fn object(members: Fields<'_>, fields: Fields<'_>) -> String {
    let members = members.iter().chain(fields).map(|(key, value)| ((*key).to_owned(), Value::from(*value)));
    Value::Object(members.collect()).to_string()
}

fn agent(text: &str, fields: Fields<'_>) -> String {
    let members = [("msg", text), ("level", "INFO"), ("ts", TIME), ("container-id", CONTAINER), ("pid", "137")];
    let program = [("name", "kata-agent"), ("version", "0.1.0"), ("source", "agent"), ("subsystem", "rpc")];
    object(&[&members[..], &program].concat(), fields)
}

fn slog(subsystem: &str, text: &str, fields: Fields<'_>) -> String {
    let members = [("msg", text), ("level", "INFO"), ("ts", TIME), ("pid", "4711"), ("version", "0.1.0")];
    let program =
        [("name", "kata-runtime"), ("subsystem", subsystem), ("source", SANDBOX), ("container-id", CONTAINER)];
    object(&[&members[..], &program].concat(), fields)
}

fn line(text: &str) -> Vec<u8> {
    format!("{text}\n").into_bytes()
}

/// The fields that journald sets.
fn trusted(identifier: &str) -> Value {
    let transport = if identifier == "containerd" { "stdout" } else { "syslog" };
    json!({
        "__CURSOR": "s=0a1b;i=3e8;b=590e;m=1f2e;t=64600a;x=ab12", "__REALTIME_TIMESTAMP": "1765799710214113",
        "_TRANSPORT": transport, "_UID": "0", "_GID": "0", "_PID": "4711", "_HOSTNAME": "node1", "PRIORITY": "6",
        "_BOOT_ID": "590edceeef5545a784ec8c6181a10400", "SYSLOG_IDENTIFIER": identifier,
        "_SYSTEMD_UNIT": "containerd.service", "_COMM": "containerd-shim", "_EXE": "/opt/kata/bin/shim",
    })
}

/// Returns an entry of the journal with more fields.
pub(super) fn journal_with(identifier: &str, message: Value, fields: Fields<'_>) -> Vec<u8> {
    let mut entry = trusted(identifier);
    for (key, value) in fields {
        entry[*key] = Value::from(*value);
    }
    entry["MESSAGE"] = message;
    line(&entry.to_string())
}

fn journal(identifier: &str, message: &str) -> Vec<u8> {
    journal_with(identifier, message.into(), &[])
}

fn native(subsystem: &str, text: &str, fields: Fields<'_>) -> Vec<u8> {
    let names: Vec<(String, &str)> =
        fields.iter().map(|(key, value)| (key.to_uppercase().replace(['-', '.'], "_"), *value)).collect();
    let head = [("_TRANSPORT", "journal"), ("NAME", "kata-runtime"), ("VERSION", "0.1.0"), ("PID", "4711")];
    let tail = [("SOURCE", SANDBOX), ("COMPONENT", subsystem), ("SUBSYSTEM", subsystem), ("CONTAINER_ID", CONTAINER)];
    let names: Vec<(&str, &str)> = names.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    journal_with("kata", text.into(), &[&head[..], &tail, &names].concat())
}

/// Returns an entry of an export stream, with the message as bytes.
fn export(identifier: &str, message: &str) -> Vec<u8> {
    let mut entry = Vec::new();
    for (key, value) in trusted(identifier).as_object().unwrap() {
        entry.extend_from_slice(format!("{key}={}\n", value.as_str().unwrap()).as_bytes());
    }
    entry.extend_from_slice(b"MESSAGE\n");
    entry.extend_from_slice(&(message.len() as u64).to_le_bytes());
    entry.extend_from_slice(format!("{message}\n\n").as_bytes());
    entry
}
