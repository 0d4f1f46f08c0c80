//! Secrets reach no output: a recognisable value stands at each place where Kata's programs log secrets. It passes through
//! each writer, cut and output, and must appear nowhere: raw, escaped, as numbers of bytes, or in base64.

mod clean;
mod cuts;
mod leak;
mod options;
mod outputs;
mod positions;
mod writers;

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use serde_json::Value;

use crate::support::pipeline::{Cuts, Record, Setup, records};
use leak::{assert_hidden, is_hidden};
use positions::{ENTRY_KEYS, KEYS, Position, TEXTS};
use writers::{CONTAINER, SANDBOX, WRITERS, Writer};

/// The marker that replaces a secret.
const MARKER: &str = "[redacted]";

/// The outcome of a check; the error says what is wrong.
type Checked<T = ()> = Result<T, String>;

/// Fails with a message unless a condition holds.
fn ensure(holds: bool, message: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(message()) }
}

/// Checks that a record lists exactly the fields that hold the marker.
fn is_listed(record: &Record) -> Checked {
    let listed = record.get("kata_redacted").and_then(Value::as_array).ok_or("kata_redacted is missing")?;
    let listed: Vec<&str> = listed.iter().map(|name| name.as_str().unwrap()).collect();
    for name in &listed {
        let value = record.get(name).ok_or_else(|| format!("kata_redacted lists {name}, which is missing"))?;
        ensure(value.to_string().contains(MARKER), || format!("kata_redacted lists {name}, which has no marker"))?;
    }
    for (name, value) in &record.0 {
        let has_marker = value.to_string().contains(MARKER);
        ensure(!has_marker || listed.contains(&name.as_str()), || format!("kata_redacted does not list {name}"))?;
    }
    Ok(())
}

/// Runs an entry, which has to become one record without its secret. Returns the record.
fn redacted(writer: &Writer, setup: &Setup, entry: &[u8]) -> Checked<Record> {
    let outcome = setup.run(entry, &Cuts::whole());
    let output = String::from_utf8_lossy(&outcome.bytes).into_owned();
    let check = || {
        is_hidden(&outcome.bytes)?;
        is_hidden(outcome.stats.to_string().as_bytes())?;
        let mut found = records(&outcome.bytes);
        ensure(found.len() == 1, || format!("{} records", found.len()))?;
        ensure(outcome.stats["redacted"] == 1, || "the record is not counted".to_owned())?;
        let record = found.remove(0);
        is_listed(&record)?;
        let has_ids = output.contains(CONTAINER) && record.text("kata_sandbox") == Some(SANDBOX);
        ensure(!writer.is_kata || has_ids && record.get("kata_msg").is_some(), || "an id is lost".to_owned())?;
        Ok(record)
    };
    check().map_err(|error: String| format!("{error}\n< {}\n> {output}", String::from_utf8_lossy(entry)))
}

/// Runs a check for each writer on its own thread. Fails with all that is wrong.
#[track_caller]
fn for_each_writer(check: impl Fn(&Writer, &Setup, &mut Vec<String>) + Sync) {
    let wrong: Vec<String> = WRITERS
        .par_iter()
        .flat_map_iter(|writer| {
            let mut wrong = Vec::new();
            check(writer, &Setup::new(writer.flags), &mut wrong);
            wrong.into_iter().map(|text| format!("{}: {text}", writer.name))
        })
        .collect();
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn texts_hide_their_secret_and_keep_the_rest() {
    for_each_writer(|writer, setup, wrong| {
        for Position { name, text, keeps } in TEXTS {
            let check = || {
                let record = redacted(writer, setup, &writer.entry(&text.replace('#', leak::CANARY), &[]))?;
                let key = if writer.is_kata { "kata_msg" } else { "MESSAGE" };
                let message = record.text(key).ok_or_else(|| format!("{key} is missing"))?;
                let lost = keeps.iter().find(|kept| !message.contains(&writer.escaped(kept)));
                lost.map_or(Ok(()), |lost| Err(format!("{lost} is hidden: {message}")))
            };
            wrong.extend(check().err().map(|error| format!("{name}: {error}")));
        }
    });
}

#[test]
fn keys_hide_their_value() {
    for_each_writer(|writer, setup, wrong| {
        let of_entry = format!("DB_PASSWORD={}", leak::CANARY);
        let keys = KEYS.iter().map(|key| (key, leak::CANARY)).chain(ENTRY_KEYS.iter().map(|key| (key, &*of_entry)));
        for (key, value) in keys.filter(|_| writer.has_fields) {
            let entry = writer.entry("connecting to the server", &[(key, value), ("attempt", "3")]);
            let check = || {
                let record = redacted(writer, setup, &entry)?;
                let attempt =
                    record.0.iter().any(|(name, value)| name.ends_with("attempt") && value.to_string().contains('3'));
                let is_kept = attempt && record.text("kata_msg") == Some("connecting to the server");
                ensure(is_kept, || format!("another field is hidden: {record:?}"))
            };
            wrong.extend(check().err().map(|error| format!("{key}: {error}")));
        }
    });
}

/// Texts stand in fields, too, as errors do in `error=`.
#[test]
fn fields_hide_the_secret_of_their_text() {
    for_each_writer(|writer, setup, wrong| {
        for Position { name, text, .. } in TEXTS.iter().filter(|_| writer.has_fields) {
            let text = text.replace('#', leak::CANARY);
            for field in ["error", "detail"] {
                let check = || {
                    let record = redacted(writer, setup, &writer.entry("cannot go on", &[(field, &text)]))?;
                    let is_kept = record.text("kata_msg") == Some("cannot go on");
                    ensure(is_kept, || format!("another field is hidden: {record:?}"))
                };
                wrong.extend(check().err().map(|error| format!("{name} in {field}: {error}")));
            }
        }
    });
}

/// Members of JSON hold objects, numbers and lists, not only text.
#[test]
fn nested_values_hide_their_secrets() {
    let value = serde_json::json!({
        "a": [{"token": leak::CANARY}, {"n": 1}],
        "env": [format!("A={}", leak::CANARY)],
        "annotations": {"k": {"deep": [leak::CANARY]}},
        "password": [leak::CANARY, {"x": leak::CANARY}],
        "kept": "attempt",
    });
    let slog = |name: &str, value: &Value| {
        let mut entry = serde_json::json!({
            "msg": "cannot go on", "level": "INFO", "ts": "2024-03-05T05:01:54.811777275Z", "pid": "4711",
            "version": "0.1.0", "name": "kata-runtime", "subsystem": "hypervisor", "source": SANDBOX,
            "container-id": CONTAINER,
        });
        entry[name] = value.clone();
        format!("{entry}\n").into_bytes()
    };
    for flags in [&["--nested=keep"][..], &["--nested=string"], &[]] {
        let writer = Writer { name: "runtime-rs", flags, has_fields: true, is_kata: true, entry: |_, _| Vec::new() };
        for (name, value) in [
            ("detail", &value),
            ("error", &value),
            ("secret", &value),
            ("env", &value["env"]),
            ("password", &value["password"]),
        ] {
            let record = redacted(&writer, &Setup::new(flags), &slog(name, value)).unwrap();
            if matches!(name, "detail" | "error") {
                assert!(format!("{record:?}").contains("attempt"), "{record:?}");
            }
        }
    }
}

/// Records leave some nested values out, but the whole message repeats them.
#[test]
fn nested_values_that_are_left_out_are_hidden_where_the_message_stands() {
    let message = serde_json::json!({
        "level": "info", "msg": "endpoint found", "name": "kata-runtime", "source": "virtcontainers",
        "endpoint": {"Token": leak::CANARY}, "time": "2024-03-05T05:01:54.811777275Z",
    });
    let line = format!("{message}\n").into_bytes();
    let of_journal = writers::journal_with("kata-runtime", message.to_string().into(), &[]);
    for (flags, input, shown) in
        [(&[][..], &of_journal, true), (&["--prune=!endpoint.*"], &line, true), (&[], &line, false)]
    {
        let outcome = Setup::new(flags).run(input, &Cuts::whole());
        let output = String::from_utf8_lossy(&outcome.bytes);
        assert_hidden(&outcome.bytes, &output);
        assert_eq!(output.contains(MARKER), shown, "{flags:?}: {output}");
    }
}

/// Many entries share a command line, so results for command lines are kept.
#[test]
fn command_lines_hide_their_secrets() {
    let writer = &WRITERS[0];
    let secrets = [
        "/usr/bin/qemu-system-x86_64 -name sandbox -append root=/dev/pmem0p1 agent.x=# quiet -smp 1",
        "/opt/kata/bin/containerd-shim-kata-v2 -namespace k8s.io --token #",
        "/opt/kata/bin/containerd-shim-kata-v2 --registry-auth=# -namespace k8s.io",
        "curl -H Authorization: Bearer # https://host/path",
    ];
    let clean = "/opt/kata/bin/containerd-shim-kata-v2 -namespace k8s.io -debug";
    for secret in secrets {
        let secret = secret.replace('#', leak::CANARY);
        let mut entries = Vec::new();
        for line in [clean, &secret, &secret, clean, clean, &secret, clean] {
            let entry = String::from_utf8(writer.entry("nothing secret", &[])).unwrap();
            let member = format!("{{\"_CMDLINE\":{},", Value::from(line));
            entries.extend_from_slice(entry.replacen('{', &member, 1).as_bytes());
        }
        let outcome = Setup::new(&[]).run(&entries, &Cuts::whole());
        let shown = String::from_utf8_lossy(&outcome.bytes);
        assert_hidden(&outcome.bytes, &shown);
        let records = records(&outcome.bytes);
        assert_eq!((records.len(), &outcome.stats["redacted"]), (7, &Value::from(3)), "{shown}");
        for (number, record) in records.iter().enumerate() {
            let is_hidden = [1, 2, 5].contains(&number);
            assert_eq!(record.text("kata_msg"), Some("nothing secret"));
            assert_eq!(record.get("kata_redacted"), is_hidden.then(|| serde_json::json!(["_CMDLINE"])).as_ref());
            assert_eq!(record.text("_CMDLINE") == Some(clean), !is_hidden, "{shown}");
        }
    }
}

/// Programs send fields of their own to the journal, once or repeated.
#[test]
fn fields_of_the_journal_hide_their_secrets() {
    let texts = [("DB_PASSWORD", "#"), ("DETAIL", "password=#"), ("UNIT_ENV", "a Bearer # b"), ("POLICY", "#")];
    for identifier in ["kata", "sshd", "containerd"] {
        for (key, text) in texts {
            let text = text.replace('#', leak::CANARY);
            for value in [Value::from(&*text), serde_json::json!(["nothing secret", text, text])] {
                let entry = writers::journal_with(identifier, "nothing secret".into(), &[]);
                let mut entry: Value = serde_json::from_slice(&entry).unwrap();
                entry[key] = value;
                let outcome = Setup::new(&["--others=pass"]).run(entry.to_string().as_bytes(), &Cuts::whole());
                let shown = String::from_utf8_lossy(&outcome.bytes);
                assert_hidden(&outcome.bytes, &shown);
                let found = records(&outcome.bytes);
                assert_eq!((found.len(), &outcome.stats["redacted"]), (1, &Value::from(1)), "{shown}");
                assert_eq!(found[0].get("kata_redacted"), Some(&serde_json::json!([key])), "{shown}");
                assert_eq!(found[0].text("MESSAGE"), Some("nothing secret"), "{shown}");
            }
        }
    }
}
