//! The guest cannot write fields of the host.

use kata_records::Reference;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use super::{DEFAULT, cases, quote, text, value};

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn the_guest_cannot_speak_for_the_host(route in route(), line in hostile(), identity in any::<bool>()) {
        let entry = route.entry(&line, identity);
        let records = DEFAULT.records(&entry);
        let shown = || format!("{}\n{records:?}", String::from_utf8_lossy(&entry));
        prop_assert_eq!(records.len(), 1, "{}", shown());
        let record = &records[0];
        prop_assert_eq!(record.get("kata_guest"), Some(&Value::Bool(true)), "{}", shown());
        prop_assert_eq!(record.text("kata_time"), Some("2024-03-05T05:01:54.811777275Z"), "{}", shown());
        prop_assert_eq!(record.text("kata_sandbox"), identity.then_some(SANDBOX), "{}", shown());
        prop_assert_eq!(record.get("kata_pid").cloned(), identity.then(|| Value::from(4711)), "{}", shown());
        let format = if matches!(route, Route::Shim | Route::Proxy | Route::Journal) { "logfmt" } else { "slog" };
        prop_assert_eq!(record.text("kata_format"), Some(format), "{}", shown());
        let writers = ["agent", "guest-kernel", "guest-console", "hypervisor"];
        prop_assert!(record.text("kata_component").is_some_and(|name| writers.contains(&name)), "{}", shown());
        for (key, value) in &record.0 {
            if let Some(key) = key.strip_prefix("kata_host_") {
                prop_assert!(route.says(key, value), "kata_host_{key} is not the host's: {}", shown());
            }
            // The message is the host's line, with the guest's text quoted in it.
            if !key.starts_with("kata_") && key != "MESSAGE" {
                prop_assert!(JOURNAL.contains(&(key, value.as_str().unwrap())), "{key} is not the host's: {}", shown());
            }
        }
        // Flaws and escaped fields come from the program itself.
        for (list, known) in [("kata_flaws", None), ("kata_escaped", Some(record))] {
            let Some(names) = record.get(list) else { continue };
            for name in names.as_array().unwrap() {
                let name = name.as_str().unwrap();
                let stated = known.map_or_else(
                    || Reference::flaws().any(|[flaw, ..]| flaw == name),
                    |record| record.get(name).is_some(),
                );
                prop_assert!(stated, "{list} has {name}: {}", shown());
            }
        }
    }
}

pub(super) const SANDBOX: &str = "201a907ebb971597bbd59b92dceb50092224ff05df29891bed87ffc32f8ed7db";

/// The fields of the journal's entry.
pub(super) const JOURNAL: &[(&str, &str)] = &[
    ("SYSLOG_IDENTIFIER", "kata"),
    ("_HOSTNAME", "node1"),
    ("_PID", "4711"),
    ("_TRANSPORT", "syslog"),
    ("PRIORITY", "7"),
];

/// The route of the guest's text to the host.
#[derive(Clone, Copy, Debug)]
pub(super) enum Route {
    /// The Go shim reads the console.
    Shim,
    /// A journal entry of the Go shim, whose own fields must not change.
    Journal,
    /// kata-proxy reads the console.
    Proxy,
    /// runtime-rs reads the console.
    RuntimeRs,
}

pub(super) fn route() -> impl Strategy<Value = Route> {
    prop::sample::select(vec![Route::Shim, Route::Journal, Route::Proxy, Route::RuntimeRs])
}

impl Route {
    /// Returns the fields that the host adds to the guest's text.
    fn host(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Route::Shim | Route::Journal => &[
                ("level", "debug"),
                ("msg", "reading guest console"),
                ("name", "containerd-shim-v2"),
                ("source", "virtcontainers"),
                ("subsystem", "sandbox"),
            ],
            Route::Proxy => &[("level", "info"), ("name", "kata-proxy"), ("source", "agent")],
            Route::RuntimeRs => &[
                ("level", "info"),
                ("name", "kata-runtime"),
                ("version", "0.1.0"),
                ("subsystem", "hypervisor"),
                ("component", "hypervisor"),
            ],
        }
    }

    fn says(self, key: &str, value: &Value) -> bool {
        let key = key.strip_prefix("fields_").unwrap_or(key);
        self.host().iter().any(|(known, expected)| *known == key && value == expected)
            || (key, value) == ("pid", &Value::from(4711))
            || (key, value) == ("sandbox", &Value::from(SANDBOX))
    }

    /// Returns the entry around the guest's text.
    pub(super) fn entry(self, line: &[u8], identity: bool) -> Vec<u8> {
        let mut entry = Vec::new();
        match self {
            Route::Shim | Route::Proxy => {
                entry.extend_from_slice(b"time=\"2024-03-05T08:01:54.811777275+03:00\"");
                for (key, value) in self.host() {
                    entry.extend_from_slice(format!(" {key}=").as_bytes());
                    quote::value(value.as_bytes(), &mut entry);
                }
                if identity {
                    entry.extend_from_slice(format!(" pid=4711 sandbox={SANDBOX}").as_bytes());
                }
                entry.extend_from_slice(if matches!(self, Route::Proxy) { b" msg=" } else { b" vmconsole=" });
                quote::value(line, &mut entry);
            }
            Route::Journal => {
                let message = Route::Shim.entry(line, identity);
                let message = message.trim_ascii_end();
                let mut object = serde_json::Map::new();
                for (key, value) in JOURNAL {
                    object.insert((*key).to_owned(), (*value).into());
                }
                // `journalctl` prints invalid UTF-8 as an array of numbers.
                let message = std::str::from_utf8(message).map_or_else(|_| message.to_vec().into(), Value::from);
                object.insert("MESSAGE".to_owned(), message);
                entry = serde_json::to_vec(&object).unwrap();
            }
            Route::RuntimeRs => {
                let mut object = serde_json::Map::new();
                let text = format!("vm console: {:?}", String::from_utf8_lossy(line));
                object.insert("msg".to_owned(), text.into());
                object.insert("ts".to_owned(), "2024-03-05T05:01:54.811777275Z".into());
                for (key, value) in self.host() {
                    object.insert((*key).to_owned(), (*value).into());
                }
                if identity {
                    object.insert("source".to_owned(), SANDBOX.into());
                    object.insert("pid".to_owned(), "4711".into());
                }
                entry = serde_json::to_vec(&object).unwrap();
            }
        }
        entry.push(b'\n');
        entry
    }
}

/// Generates text by which a guest may try to pass for the host.
pub(super) fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let key = prop::sample::select(vec![
        "sandbox",
        "sandbox-id",
        "sandboxid",
        "ID",
        "pid",
        "time",
        "ts",
        "level",
        "msg",
        "name",
        "source",
        "subsystem",
        "host_msg",
        "host_pid",
        "host_level",
        "host_source",
        "guest_time",
        "guest_pid",
        "guest_sandbox",
        "kata_sandbox",
        "component",
        "format",
        "guest",
        "flaws",
        "escaped",
        "tag",
        "time_text",
        "level_text",
        "pid_text",
        "pid_2",
        "vmconsole",
        "runtime",
        "container",
        "req",
        "words",
        "rest",
        "guest_uptime_ns",
        "fields_time",
        "kernel_text",
        "MESSAGE",
        "_PID",
        "_HOSTNAME",
        "sandbox\\u005f2",
        "",
        "s b",
        "host_name_2",
        "level_2",
        "msg_2",
    ]);
    let value = prop_oneof![
        prop::sample::select(vec![
            "1",
            "-1",
            "true",
            "null",
            "2030-01-01T00:00:00Z",
            "00112233",
            "kata-runtime",
            "kata-agent",
            "virtcontainers",
            "error",
            "DEBG",
            "vm console: \"x\"",
            "{\"a\":1}",
            "host",
            "",
            SANDBOX,
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        value(),
    ];
    let pairs = vec((key, value), 0..10);
    let agent = (pairs.clone(), any::<bool>()).prop_map(|(pairs, msg)| {
        let members = pairs.iter().map(|(key, value)| {
            let value = String::from_utf8_lossy(value);
            // JSON types are kept, and duplicate keys stay duplicates.
            let value = match serde_json::from_str::<Value>(&value) {
                Ok(value) => value,
                Err(_) => Value::from(value.into_owned()),
            };
            format!("\"{key}\":{value}")
        });
        let head = if msg { vec!["\"msg\":\"hello\"".to_owned()] } else { Vec::new() };
        format!("{{{}}}", head.into_iter().chain(members).collect::<Vec<_>>().join(",")).into_bytes()
    });
    let logfmt = pairs.prop_map(|pairs| {
        let mut line = b"time=2031-01-01T00:00:00Z".to_vec();
        for (key, value) in pairs {
            line.extend_from_slice(format!(" {key}=").as_bytes());
            quote::value(&value, &mut line);
        }
        line
    });
    let kernel = value_after("[    0.395399] ");
    let forged = value_after("\" sandbox=evil pid=1 time=\"2030-01-01T00:00:00Z\" vmconsole=\"");
    prop_oneof![3 => agent, 3 => logfmt, 1 => kernel, 1 => forged, 1 => value_after(""), 1 => text(0..200)]
}

fn value_after(head: &'static str) -> impl Strategy<Value = Vec<u8>> {
    value().prop_map(move |value| [head.as_bytes(), &value].concat())
}
